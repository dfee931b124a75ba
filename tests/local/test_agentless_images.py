"""Disks without Poolwright's agent in node pools of a real service: imported, booted, and seen from outside."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage
from poolwright.machines.local import host
from poolwright.testing.process import Service, ServiceEnded
from tests.local import agentless, disks
from tests.local.service import PATIENCE_SECONDS, V1_ONLY, machines, put
from tests.local.test_real_service import BOTH, poolwright, running

SECRET = "hunter2-hunter2"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvdRMwBJaZLg0rmX2DVO4F2Zpo6V+Jg0E2mqVqzQqJC me@laptop"
UBUNTU = {"osType": "Linux", "osSKU": "Ubuntu2204"}
# The definitions of Ubuntu 22.04.
GEN1, GEN2 = "2204containerd", "2204gen2containerd"


@pytest.fixture
def service(tmp_path: Path, node_images: dict[Form, DiskImage]) -> Iterator[Service]:
    own = tmp_path / "user-data"
    own.write_text(f"#!/bin/sh\n# {SECRET}\n")
    with running(tmp_path / "data", node_images, local_user_data=own) as made:
        yield made


def imported(service: Service, definition: str, file: Path) -> dict[str, Any]:
    ended = poolwright(service, "images", "import", "--definition", definition, str(file), "-o", "json")
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def seeds(service: Service) -> list[Path]:
    directory, _ = host.directories(service.data_dir)
    return list(directory.rglob("seed*"))


def cluster_of_gen1(service: Service) -> dict[str, Any]:
    """A cluster with one machine of Generation 1 and a key to log in with; how its creation ended."""
    pool = {"name": "sys", "mode": "System", "count": 1, "vmSize": V1_ONLY, **UBUNTU}
    access = {"adminUsername": "azureuser", "ssh": {"publicKeys": [{"keyData": KEY}]}}
    body = {
        "location": "eastus",
        "identity": {"type": "SystemAssigned"},
        "properties": {"agentPoolProfiles": [pool], "linuxProfile": access},
    }
    client = service.client
    return dict(client.operation(client.put(client.cluster(), json=body), PATIENCE_SECONDS))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        (f"password: {SECRET}\n", "its first line must be '#cloud-config', or begin with '#!' for a script"),
    ],
)
def test_a_service_does_not_start_with_what_are_no_user_data(content: str | None, why: str, tmp_path: Path) -> None:
    own = tmp_path / "user-data"
    if content is not None:
        own.write_text(content)
    with pytest.raises(ServiceEnded) as ended:
        Service(tmp_path / "data", engine="local", local_accelerator="tcg", local_user_data=own).start()
    assert f"POOLWRIGHT_LOCAL_USER_DATA, {own}, cannot be user data of machines: {why}" in str(ended.value)
    assert SECRET not in str(ended.value)


def test_disks_without_our_agent_are_seen_from_outside_and_told_by_cloud_init_who_they_are(
    service: Service, tmp_path: Path
) -> None:
    scratch = [tmp_path / name for name in ("login", "tools", "broken")]
    for directory in scratch:
        directory.mkdir()
    login = imported(service, GEN1, agentless.with_login(Form.GEN1, scratch[0]))
    both = agentless.with_tools(Form.HYBRID, scratch[1])
    tools = imported(service, GEN2, both)
    assert [(image["hasAgent"], image["cloudInit"]) for image in (login, tools)] == [(False, True)] * 2

    ended = cluster_of_gen1(service)
    assert ended["status"] == "Succeeded", ended
    (plain,) = machines(service, "sys")
    assert (plain["observedGeneration"], plain["observedBy"]) == ("V1", "firmware-log")
    assert (plain["image"]["standIn"], plain["image"]["booted"]) == (False, login["digest"])
    assert "plain login:" in poolwright(service, "machines", "console", plain["name"]).stdout

    imported(service, GEN1, both)
    for pool, size, generation in (("np1", V1_ONLY, "V1"), ("np2", BOTH, "V2")):
        ended = service.client.operation(put(service, pool, count=1, vmSize=size, **UBUNTU), PATIENCE_SECONDS)
        assert ended["status"] == "Succeeded", ended
        (told,) = machines(service, pool)
        assert (told["observedGeneration"], told["observedBy"]) == (generation, "guest-tools")
        evidence = json.loads(poolwright(service, "machines", "evidence", told["name"]).stdout)
        assert (evidence["observedBy"], evidence["image"]["digest"]) == ("guest-tools", tools["digest"])
        assert SECRET not in json.dumps(evidence)
        _require_told(told["name"], evidence["uuid"], poolwright(service, "machines", "console", told["name"]).stdout)

    # The user data have a secret: it is on the seeds alone, which only the machines' account reads.
    lying = seeds(service)
    assert [path.name for path in lying] == ["seed.img"] * 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in lying} == {0o600}
    written = [path for path in service.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert SECRET not in service.log()

    ended = service.client.operation(service.client.delete(service.client.pool("np2")), PATIENCE_SECONDS)
    assert ended["status"] == "Succeeded", ended
    assert len(seeds(service)) == 2

    # What passes the import may still not boot: here the loader is a program's head without a program.
    imported(service, GEN2, disks.gen2(scratch[2]))
    ended = service.client.operation(put(service, "np3", count=1, vmSize=BOTH, **UBUNTU), PATIENCE_SECONDS)
    assert ended["status"] == "Failed"
    assert "UEFI found no boot loader" in ended["error"]["message"]


def _require_told(name: str, uuid: str, console: str) -> None:
    """The machine has shown on its console that it read its own seed."""
    # Which disk is found first, the kernel does not promise.
    assert re.search(rf"seed on /dev/[sv]d[ab] of {name}", console)
    assert f"meta-data: instance-id: {uuid}" in console
    assert "the seed is only read" in console
    (address,) = [line for line in console.splitlines() if line.startswith("address ")]
    assert f"macaddress: {address.removeprefix('address ')}" in console
