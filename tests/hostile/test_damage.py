"""Damaged databases, and a second service: each start says what is wrong, ends with 1, and leaves every file alone."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from poolwright.installation import DataDirectory, open_database
from poolwright.store.database import Damaged
from tests.support.service import ServiceProcess

DATABASE, LOG, MACHINES = "poolwright.sqlite", "poolwright.sqlite-wal", "machines/simulated.sqlite"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a service that was killed: its last changes stand in the write-ahead log alone."""
    service = ServiceProcess(tmp_path_factory.mktemp("killed") / "data").start()
    service.client.make_cluster()
    service.stop()
    service.start()
    service.client.make_pool("np1", {"count": 2})
    service.kill()
    assert (service.data_dir / LOG).stat().st_size > 0
    return service.data_dir


@pytest.fixture
def data(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "data"))


def up(data: Path) -> subprocess.CompletedProcess[str]:
    """Run `up` to its end: it must not start."""
    return subprocess.run(
        [sys.executable, "-m", "poolwright.cli.main", "up", "--port", "0", "--log-level", "error", "--data-dir", data],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def content(data: Path) -> dict[str, bytes]:
    """Every file that holds something, but SQLite's index of its log, and the lock, which says who looked last."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and path.stat().st_size and not path.name.endswith("-shm") and path.name != "lock"
    }


def overwrite(path: Path, offset: int, replacement: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(replacement)


def middle(path: Path) -> int:
    return path.stat().st_size // 2


def without_log(data: Path, name: str = DATABASE) -> Path:
    """Bring what stands in the log into the database, and return that."""
    with sqlite3.connect(data / name) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return data / name


# What is done, and the file that is named.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "noise in the header": (lambda data: overwrite(without_log(data), 0, os.urandom(100)), DATABASE),
    "noise in the middle": (lambda data: overwrite(p := without_log(data), middle(p), os.urandom(8192)), DATABASE),
    "zeros in the middle": (lambda data: overwrite(p := without_log(data), middle(p), bytes(8192)), DATABASE),
    "cut off": (lambda data: os.truncate(p := without_log(data), middle(p)), DATABASE),
    "cut off within a page": (lambda data: os.truncate(p := without_log(data), middle(p) + 7), DATABASE),
    "cut off to its header": (lambda data: os.truncate(without_log(data), 100), DATABASE),
    "emptied": (lambda data: os.truncate(data / DATABASE, 0), DATABASE),
    "emptied, without a log": (lambda data: os.truncate(without_log(data), 0), DATABASE),
    "something else": (lambda data: without_log(data).write_text("This is no database.\n" * 1000), DATABASE),
    "noise for a log": (lambda data: (data / LOG).write_bytes(os.urandom(50_000)), LOG),
    "machines emptied": (lambda data: os.truncate(without_log(data, MACHINES), 0), MACHINES),
    "machines of noise": (lambda data: without_log(data, MACHINES).write_bytes(os.urandom(9000)), MACHINES),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_database_is_named_and_left_alone(data: Path, name: str) -> None:
    damage, named = DAMAGES[name]
    damage(data)
    before = content(data)
    with pytest.raises(Damaged) as told:
        open_database(DataDirectory(data))
    assert re.fullmatch(
        rf"{re.escape(str(data / named))} is damaged \(.+\); it was not changed\. Bring back a copy of the whole data "
        r"directory, or choose another --data-dir to begin anew",
        str(told.value),
    )
    assert content(data) == before


@pytest.mark.parametrize("name", ["noise in the middle", "noise for a log"])
def test_a_start_on_a_damaged_database_says_so_in_one_line(data: Path, name: str) -> None:
    damage, named = DAMAGES[name]
    damage(data)
    before = content(data)
    ended = up(data)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"error: {re.escape(str(data / named))} is damaged .+\n", ended.stderr)
    assert content(data) == before


def test_a_database_of_a_newer_version_is_left_to_that_version(data: Path) -> None:
    with sqlite3.connect(without_log(data)) as connection:
        assert connection.execute("UPDATE pw_alembic_version SET version_num = '9999'").rowcount == 1
    connection.close()
    before = without_log(data).read_bytes()
    ended = up(data)
    assert (ended.returncode, ended.stdout) == (1, "")
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"error: the database in {data} is of a newer version of Poolwright (")
    assert "start that version, or choose another --data-dir" in last
    assert "Traceback" not in ended.stderr
    assert without_log(data).read_bytes() == before


def test_a_log_cut_off_in_its_last_commit_is_what_a_power_cut_leaves_and_is_no_damage(data: Path) -> None:
    log = data / LOG
    os.truncate(log, log.stat().st_size - 1000)
    service = ServiceProcess(data).start()
    assert service.client.get(service.client.cluster()).json()["properties"]["provisioningState"] == "Succeeded"
    service.kill()


def test_a_database_that_another_program_holds_is_named(data: Path) -> None:
    other = sqlite3.connect(data / DATABASE, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    ended = up(data)
    other.close()
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (
        ended.stderr
        == f"error: the database in {data} cannot be used: another process holds the database (database is locked)\n"
    )


def test_a_second_service_names_the_first_one_and_harms_nothing(data: Path) -> None:
    first = ServiceProcess(data)
    first.launch()
    # The lock may still name the one before.
    while (data / "lock").read_text() != str(first.pid):
        assert first.is_running
    early = up(data)
    first.url = first.wait_ready()
    late = up(data)
    assert (early.returncode, late.returncode, early.stdout, late.stdout) == (1, 1, "", "")
    refused = f"error: another Poolwright service runs on {data} (process {first.pid}"
    rest = ": stop it, or choose another --data-dir\n"
    assert early.stderr in (f"{refused}){rest}", f"{refused} at {first.url}){rest}")
    assert late.stderr == f"{refused} at {first.url}){rest}"
    assert first.client.get(first.client.cluster()).status_code == 200
    first.client.make_pool("np2", {"count": 1})
    first.kill()
    # A lock whose holder was killed is no lock, whatever stands in it.
    assert first.start().client.get(first.client.pool("np2")).status_code == 200
    first.kill()
