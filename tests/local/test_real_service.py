"""A real service with real machines: what ARM's clients see, and what a kill of the service leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local import host
from poolwright.machines.local.daemon import private_daemon
from poolwright.testing.process import Service
from tests.local.service import (
    PATIENCE_SECONDS,
    V1_ONLY,
    cluster_of,
    end_with_the_host,
    lives,
    machines,
    put,
    put_cluster,
    wait,
)

BOTH = "Standard_D2s_v5"
TRUSTED = {"securityProfile": {"enableVTPM": True, "enableSecureBoot": True}}


@pytest.fixture
def service(tmp_path: Path, node_images: dict[Form, DiskImage]) -> Iterator[Service]:
    with running(tmp_path / "data", node_images) as made:
        yield made


@contextmanager
def running(data: Path, node_images: dict[Form, DiskImage], **settings: object) -> Iterator[Service]:
    """Yield a service of real machines with a resource group; nothing of it is left afterwards."""
    made = Service(
        data,
        engine="local",
        local_stand_ins=node_images[Form.GEN1].path.parent,
        local_accelerator="tcg",
        local_memory_mib=256,
        **settings,
    ).start()
    try:
        group = made.client.group()
        made.client.expect(201, made.client.put(group, json={"location": "eastus"}))
        yield made
    finally:
        if not made.is_running:
            made.start()
        # Real machines outlive their service.
        made.client.timeout = PATIENCE_SECONDS
        made.reset()
        made.stop()
        directory, sockets = host.directories(made.data_dir)
        private_daemon(directory, sockets).end()
        for place in (directory, sockets):
            shutil.rmtree(place, ignore_errors=True)


def poolwright(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "poolwright.cli.main", *arguments],
        env=service.environment | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_a_pool_is_rolled_from_bios_to_uefi_through_a_kill(service: Service, tmp_path: Path) -> None:
    """Killed while the first machine boots, and again while the wave's new one does."""
    accepted = put_cluster(service)
    wait(lambda: machines(service, "sys"))
    service.kill()
    service.start()
    ended = service.client.operation(_at(service, accepted), PATIENCE_SECONDS)
    assert ended["status"] == "Succeeded", ended
    before = machines(service, "sys")
    assert [(machine["observedGeneration"], machine["firmware"]) for machine in before] == [("V1", "bios")]
    assert before[0]["observedBy"] == "guest-agent"
    assert before[0]["image"]["standIn"] is True

    ended = service.client.operation(put(service, "sys", mode="System", count=2, vmSize=V1_ONLY), PATIENCE_SECONDS)
    assert ended["status"] == "Succeeded", ended
    accepted = put(service, "sys", mode="System", count=2, vmSize=BOTH)
    wait(lambda: len(machines(service, "sys")) > 2)
    service.kill()
    service.start()
    ended = service.client.operation(_at(service, accepted), PATIENCE_SECONDS)
    assert ended["status"] == "Succeeded", ended
    after = machines(service, "sys")
    assert [(machine["observedGeneration"], machine["firmware"]) for machine in after] == [("V2", "uefi")] * 2
    assert not {machine["name"] for machine in before} & {machine["name"] for machine in after}

    key = tmp_path / "evidence.pub"
    printed = poolwright(service, "machines", "evidence", after[0]["name"], "--key-to", str(key))
    evidence = tmp_path / "evidence.json"
    evidence.write_text(printed.stdout)
    assert json.loads(printed.stdout)["observedGeneration"] == "V2"
    assert poolwright(service, "evidence", "verify", str(evidence), "--key", str(key)).returncode == 0
    evidence.write_text(printed.stdout.replace('"V2"', '"V1"'))
    refused = poolwright(service, "evidence", "verify", str(evidence), "--key", str(key))
    assert refused.returncode == 1
    assert "does not verify" in refused.stderr
    console = poolwright(service, "machines", "console", after[0]["name"]).stdout
    assert "poolwright-agent:" in console


def test_trusted_launch_is_seen_by_the_guest_and_its_unsigned_twin_does_not_come_up(
    service: Service, node_images: dict[Form, DiskImage]
) -> None:
    definition = cluster_of(service, BOTH, **TRUSTED)["poolwright"]["image"]["definition"]
    assert [(m["secureBoot"], m["vtpm"], m["observedGeneration"]) for m in machines(service, "sys")] == [
        (True, True, "V2")
    ]
    unsigned = str(node_images[Form.UNSIGNED].path)
    imported = poolwright(service, "images", "import", "--definition", definition, "--with-agent", unsigned)
    assert imported.returncode == 0, imported.stderr
    ended = service.client.operation(put(service, "twin", count=1, vmSize=BOTH, **TRUSTED), PATIENCE_SECONDS)
    assert ended["status"] == "Failed"
    assert "Secure Boot refused the boot loader" in ended["error"]["message"]
    assert service.client.get(service.client.pool("twin")).json()["properties"]["provisioningState"] == "Failed"


def test_a_machine_with_persistent_memory_is_reimaged_through_a_kill_and_what_is_missing_here_is_refused(
    service: Service,
) -> None:
    client = service.client
    cluster_of(service, BOTH, vpmemMiB=128)
    [before] = machines(service, "sys")
    assert (before["observedGeneration"], before["vpmemMiB"]) == ("V2", 128)
    first = json.loads(poolwright(service, "machines", "evidence", before["name"]).stdout)
    directory, _ = host.directories(service.data_dir)
    [disk] = directory.glob("*/disk.qcow2")

    with disk.open("rb") as old:
        accepted = client.post(f"{client.pool('sys')}/machines/{before['name']}/reimage")
        assert accepted.status_code == 202
        service.kill()
        service.start()
        ended = service.client.operation(_at(service, accepted), PATIENCE_SECONDS)
        assert ended["status"] == "Succeeded", ended
        # Held open, its inode cannot be another file's.
        assert (os.fstat(old.fileno()).st_nlink, disk.stat().st_ino != os.fstat(old.fileno()).st_ino) == (0, True)
    [after] = machines(service, "sys")
    assert (after["name"], after["vpmemMiB"], after["firmware"]) == (before["name"], 128, "uefi")
    second = json.loads(poolwright(service, "machines", "evidence", before["name"]).stdout)
    assert (second["boot"], second["uuid"]) == (first["boot"] + 1, first["uuid"])
    assert second["nonce"] != first["nonce"]

    ended = service.client.operation(put(service, "sgx", count=1, vmSize="Standard_DC2s_v2"), PATIENCE_SECONDS)
    assert (ended["status"], ended["error"]["code"]) == ("Failed", "AllocationFailed")
    assert "it has SGX, for which this host lacks KVM" in ended["error"]["message"]
    assert machines(service, "sgx") == []

    # Windows without a disk is refused with the way to import one.
    ended = service.client.operation(
        put(service, "win", count=1, vmSize=BOTH, osType="Windows", osSKU="Windows2022"), PATIENCE_SECONDS
    )
    assert ended["status"] == "Failed"
    assert ended["error"]["code"] == "ImageNotFound"
    assert "poolwright images import --definition windows-2022-containerd" in json.dumps(ended["error"])


def test_faults_strike_real_machines_and_stop_and_start_power_them_down_and_up_again(service: Service) -> None:
    client = service.client
    losing = {"match": {"step": "wave_1.await_ready"}, "effect": {"loseMachine": 1}, "count": 1}
    full = {"match": {"pool": "np1"}, "effect": {"noCapacity": "AllocationFailed"}}
    for name, fault in (("lost", losing), ("full", full)):
        client.expect(201, client.put(f"/_poolwright/faults/{name}", json=fault))
    directory, _ = host.directories(service.data_dir)

    ended = client.operation(put_cluster(service), PATIENCE_SECONDS)
    assert ended["status"] == "Failed"
    assert "poolwright faults show lost" in json.dumps(ended["error"])
    assert (machines(service, "sys"), list(directory.glob("*/disk.qcow2"))) == ([], [])
    cluster_of(service)
    assert [(machine["observedGeneration"], machine["observedBy"]) for machine in machines(service, "sys")] == [
        ("V1", "guest-agent")
    ]

    [before] = machines(service, "sys")
    for verb, code, phase in (("stop", "Stopped", "off"), ("start", "Running", "ready")):
        ended = client.operation(client.post(f"{client.cluster()}/{verb}"), PATIENCE_SECONDS)
        assert ended["status"] == "Succeeded", ended
        assert client.get(client.pool("sys")).json()["properties"]["powerState"]["code"] == code
        assert lives(service)["sys"]["phase"] == phase
    [after] = machines(service, "sys")
    assert (after["name"], after["observedGeneration"]) == (before["name"], "V1")
    assert lives(service)["sys"]["boots"] == 2

    ended = client.operation(put(service, "np1", count=1, vmSize=V1_ONLY), PATIENCE_SECONDS)
    assert (ended["status"], ended["error"]["code"]) == ("Failed", "AllocationFailed")
    assert machines(service, "np1") == []
    assert len(list(directory.glob("*/disk.qcow2"))) == 1


def test_a_host_that_reboots_brings_its_machines_up_again(service: Service) -> None:
    """That is nobody's loss: also where lost machines are only reported. A machine that was off stays so."""
    service.stop()
    service.start(local_when_lost="report")
    cluster_of(service)
    client = service.client
    stopped = {"powerState": {"code": "Stopped"}}
    for properties in ({}, stopped):
        ended = client.operation(put(service, "np1", count=1, vmSize=V1_ONLY, **properties), PATIENCE_SECONDS)
        assert ended["status"] == "Succeeded", ended
    before = machines(service, "sys")
    service.kill()
    end_with_the_host(service)
    service.start(local_when_lost="report")
    wait(lambda: lives(service)["sys"]["boots"] == 2 and lives(service)["sys"]["phase"] in ("ready", "failed"))
    assert lives(service)["sys"]["phase"] == "ready", lives(service)["sys"]["cause"]
    assert [machine["name"] for machine in machines(service, "sys")] == [machine["name"] for machine in before]
    assert [machine["observedGeneration"] for machine in machines(service, "sys")] == ["V1"]
    now = lives(service)
    assert [now[pool]["repairs"] for pool in ("sys", "np1")] == [0, 0]
    assert (now["np1"]["phase"], now["np1"]["boots"]) == ("off", 1)


def _at(service: Service, accepted: httpx.Response) -> httpx.Response:
    """The reply as the service would give it now: it may listen on another port."""
    url = httpx.URL(accepted.headers["Azure-AsyncOperation"])
    now = httpx.URL(service.url)
    accepted.headers["Azure-AsyncOperation"] = str(url.copy_with(host=now.host, port=now.port))
    return accepted
