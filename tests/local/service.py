"""What the tests of whole services with real machines ask of them, and do to their host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from poolwright.machines.local import host
from poolwright.testing.process import Service

V1_ONLY = "Standard_D2_v3"
PATIENCE_SECONDS = 600


def put_cluster(service: Service, size: str = V1_ONLY, **properties: Any) -> httpx.Response:
    """Ask for a cluster with one machine. `properties` are further ones of its node pool."""
    client = service.client
    pool = {"name": "sys", "mode": "System", "count": 1, "vmSize": size, **properties}
    body = {
        "location": "eastus",
        "identity": {"type": "SystemAssigned"},
        "properties": {"agentPoolProfiles": [pool]},
    }
    return client.put(client.cluster(), json=body)


def cluster_of(service: Service, size: str = V1_ONLY, **properties: Any) -> dict[str, Any]:
    """The node pool of a cluster with one machine, once that is there."""
    client = service.client
    ended = client.operation(put_cluster(service, size, **properties), PATIENCE_SECONDS)
    assert ended["status"] == "Succeeded", ended
    return dict(client.get(client.pool("sys")).json()["properties"])


def put(service: Service, pool: str, **properties: Any) -> httpx.Response:
    return service.client.put(service.client.pool(pool), json={"properties": properties})


def machines(service: Service, pool: str) -> list[dict[str, Any]]:
    listed = service.client.get(f"{service.client.pool(pool)}/machines").json()["value"]
    return [machine["properties"]["poolwright"] | {"name": machine["name"]} for machine in listed]


def wait(until: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def lives(service: Service) -> dict[str, dict[str, Any]]:
    """What the engine keeps of the one machine of each pool."""
    with sqlite3.connect(service.data_dir / "machines" / "local.sqlite") as journal:
        rows = journal.execute("SELECT key, life FROM lives").fetchall()
    journal.close()
    return {key.split("/agentpools/")[1].split("/")[0]: json.loads(life) for key, life in rows}


def processes_with(words: str) -> list[int]:
    """The processes that have a path in their arguments or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(words.encode() in (process / name).read_bytes() for name in ("cmdline", "environ")):
                found.append(int(process.name))
    return found


def end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end_with_the_host(service: Service) -> None:
    """What a reboot of the host leaves of a service that was killed: no process, nothing in /run, another boot.

    The boot itself cannot be changed here, so what the journal says of it is.
    """
    directory, sockets = host.directories(service.data_dir)

    def running() -> list[int]:
        # QEMU has the path of its disk, libvirt's daemon that of its sockets.
        return sorted({*processes_with(str(directory)), *processes_with(str(sockets))})

    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in running()}
    assert {"libvirtd", "qemu-system-x86"} <= names
    end(running())
    wait(lambda: not running())
    shutil.rmtree(sockets)
    with sqlite3.connect(service.data_dir / "machines" / "local.sqlite") as journal:
        for key, life in journal.execute("SELECT key, life FROM lives").fetchall():
            before = json.dumps({**json.loads(life), "host_boot": "another"}).encode()
            journal.execute("UPDATE lives SET life = ? WHERE key = ?", (before, key))
    journal.close()
