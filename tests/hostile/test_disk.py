"""The disk under the service is full or read-only: it says so, reads go on, and nothing is harmed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from poolwright.testing import ServiceEnded
from tests.hostile.disks import Disk, disk
from tests.support.everything import everything
from tests.support.service import ArmClient, ServiceProcess

ROOM_KIB = 6 * 1024


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path / "disk", ROOM_KIB) as made:
        yield made


def changes(client: ArmClient) -> list[httpx.Request]:
    """Requests that store something, one of each kind."""
    build = client.build_request
    return [
        build("PUT", client.group("new"), json={"location": "eastus"}),
        build("PUT", client.pool("new"), json={"properties": {"count": 3}}),
        build("PUT", client.pool("sys"), json={"properties": {"count": 2, "mode": "System"}}),
        build("DELETE", client.pool("np1")),
        build("DELETE", client.cluster()),
        build("POST", f"{client.cluster()}/stop"),
        build("PUT", "/_poolwright/faults/f", json={"effect": {"refuse": "InvalidParameter"}}),
        build("POST", "/_poolwright/reset"),
    ]


def require_refusals(client: ArmClient) -> None:
    before = everything(client)
    for request in changes(client):
        reply = client.send(request)
        assert reply.status_code == 503, (request.method, request.url.path, reply.text)
        assert int(reply.headers["Retry-After"]) > 0
        error = reply.json()["error"]
        assert (error["code"], "the disk of the data directory is full" in error["message"]) == (
            "StorageUnavailable",
            True,
        )
        assert everything(client) == before
    assert client.get("/metrics").status_code == 200


def require_whole(service: ServiceProcess, copied: Path) -> None:
    # SQLite cannot open what lies behind /proc.
    data = shutil.copytree(service.data_dir, copied)
    for file in (data / "poolwright.sqlite", data / "machines" / "simulated.sqlite"):
        connection = sqlite3.connect(file)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_a_full_disk_refuses_changes_and_what_was_begun_ends_well_when_there_is_room(
    small: Disk, tmp_path: Path
) -> None:
    # Its log is on the same disk.
    service = small.service().start(simulated_boot_seconds=1)
    try:
        client = service.client
        client.make_cluster()
        client.make_pool("np1", {"count": 2})
        client.make_cluster("c2")
        begun = [
            client.put(client.pool(f"begun{number}", "c2"), json={"properties": {"count": 2}}) for number in range(3)
        ]
        small.fill()
        assert [reply.status_code for reply in begun] == [201, 201, 201]
        require_refusals(client)
        time.sleep(2)
        assert {
            client.get(client.pool(f"begun{number}", "c2")).json()["properties"]["provisioningState"]
            for number in range(3)
        } == {"Creating"}
        small.make_room()
        for reply in begun:
            client.done(reply)
        client.make_pool("after", {"count": 1})
        client.done(client.delete(client.pool("np1")))
        known = everything(client)

        # A kill while the disk is full, and a start on it.
        again = client.put(client.pool("again"), json={"properties": {"count": 2}})
        small.fill()
        polled = httpx.URL(again.headers["Azure-AsyncOperation"]).raw_path.decode()
        service.kill()
        small.make_room()
        client = service.start(simulated_boot_seconds=0).client
        while client.get(polled, params={}).json()["status"] == "InProgress":
            time.sleep(0.05)
        assert client.get(polled, params={}).json()["status"] == "Succeeded"
        client.done(client.delete(client.pool("again")))
        assert set(everything(client)) == set(known)
        assert service.stop() == 0
    finally:
        if service.is_running:
            service.kill()
    require_whole(service, tmp_path / "copied")


def up(data: Path, *enter: str) -> subprocess.CompletedProcess[str]:
    """Run `up` to its end, for cases in which it must not start."""
    return subprocess.run(
        [
            *enter,
            sys.executable,
            "-m",
            "poolwright.cli.main",
            "up",
            "--port",
            "0",
            "--log-level",
            "error",
            "--data-dir",
            data,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("left", [0, 32 * 1024, 256 * 1024])
def test_a_start_on_a_full_disk_says_so_and_the_next_one_goes_on(small: Disk, left: int) -> None:
    small.fill(leave=left)
    data = small.path / "data"
    ended = up(data, *small.enter)
    assert (ended.returncode, ended.stdout) == (1, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert str(data) in last
    assert "full" in last or "No space left on device" in last
    small.make_room()
    service = small.service().start()
    assert service.client.is_healthy()
    service.kill()


def test_a_start_on_a_full_disk_with_a_state_leaves_the_state(small: Disk, tmp_path: Path) -> None:
    service = small.service().start()
    service.client.make_cluster()
    known = everything(service.client)
    service.kill()
    small.fill()
    service.launch()
    # It may need no room at all; then it answers what it knows.
    try:
        service.url = service.wait_ready()
    except ServiceEnded:
        assert service.log().splitlines()[-1].startswith("error: ")
    else:
        assert everything(service.client) == known
        service.kill()
    small.make_room()
    service.start()
    assert everything(service.client) == known
    service.stop()
    require_whole(service, tmp_path / "copied")


def test_a_read_only_data_directory_is_told_and_left_alone(small: Disk) -> None:
    service = small.service().start()
    service.client.make_cluster()
    service.kill()
    small.make_read_only()
    before = digests(service.data_dir)
    ended = up(small.path / "data", *small.enter)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"error: {small.path}/data/lock: Read-only file system\n"
    assert digests(service.data_dir) == before
    ended = up(small.path / "new", *small.enter)
    assert (ended.returncode, ended.stderr) == (1, f"error: {small.path}/new: Read-only file system\n")


def digests(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def test_a_data_directory_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o500)
    # Root may write everywhere, unless it gives that up.
    humble = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override") if os.geteuid() == 0 else ()
    ended = up(data, *humble)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == f"error: {data}/machines: Permission denied"
