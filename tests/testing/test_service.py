"""`poolwright.testing.service`: up in no time, told apart, gone afterwards whatever happens."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from poolwright import testing

SEED = """
resourceGroups:
  - name: rg
    location: eastus
    clusters:
      - name: c1
        nodePools:
          - name: sys
            properties: {mode: System, count: 1}
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made in a test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def ends(pid: int) -> bool:
    """Whether the process ends, within half a minute."""
    for _ in range(3000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.01)
    return False


def test_a_service_of_ones_own(scratch: Path) -> None:
    with testing.service(seed=SEED) as service:
        pid = service.pid
        pool = service.put_pool("win1", {"osType": "Windows"}, headers={"UseWindowsGen2VM": "true"})
        assert pool["poolwright"]["resolvedGeneration"] == "V2"
        assert [request["body"] for request in service.requests(pool="win1", method="PUT")] == [
            {"properties": {"osType": "Windows"}}
        ]
        service.reset()
        assert service.client.get(service.client.pool("win1")).status_code == 404
        assert service.client.get(service.client.pool("sys")).status_code == 200
        assert service.environment["POOLWRIGHT_ENDPOINT"] == service.url
        assert service.environment["AZURE_CLIENT_SECRET"] == service.credentials["clientSecret"]
    assert ends(pid)
    assert list(scratch.iterdir()) == [], "nothing is left behind"


def test_two_at_once_do_not_meet(scratch: Path) -> None:
    with testing.service() as one, testing.service(profile="azure-2026") as other:
        one.client.make_cluster()
        other.client.make_cluster()
        assert one.url != other.url
        profiles = [
            service.client.get(service.client.pool("sys")).json()["properties"]["poolwright"]["profile"]
            for service in (one, other)
        ]
        assert profiles == ["documented", "azure-2026"]


def test_a_seed_may_be_a_file_a_text_or_values(scratch: Path) -> None:
    file = scratch / "seed.yaml"
    file.write_text(SEED)
    for seed in (file, str(file), {"resourceGroups": [{"name": "rg", "location": "eastus"}]}):
        with testing.service(seed=seed) as service:
            assert service.client.get(service.client.group()).status_code == 200


def test_a_text_that_names_no_file_but_could_is_said_to_be_missing(scratch: Path) -> None:
    with pytest.raises(testing.ServiceEnded, match=r"/nowhere/seed\.yaml: No such file"):
        testing.service(seed="/nowhere/seed.yaml").__enter__()


def test_a_crash_and_the_next_start_are_not_noticed_by_who_knows_the_address(scratch: Path) -> None:
    with testing.service(seed=SEED) as service:
        before, environment = service.url, service.environment
        service.kill()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(before.rpartition(":")[2])))
        service.start()
        assert (service.url, service.environment) == (before, environment)
        assert service.client.get(service.client.pool("sys")).status_code == 200


def test_a_setting_there_is_not_is_refused(tmp_path: Path) -> None:
    meant = "Poolwright has no setting 'profil': did you mean 'profile'?"
    with pytest.raises(TypeError, match=re.escape(meant)):
        testing.service(profil="azure-2026").__enter__()
    service = testing.Service(tmp_path / "data")
    with pytest.raises(TypeError, match=re.escape(meant)):
        service.start(profil="azure-2026")
    assert not service.is_running


def test_a_failure_inside_has_the_log_in_its_notes_and_nothing_is_left(scratch: Path) -> None:
    pids: list[int] = []

    def failing() -> None:
        with testing.service() as service:
            pids.append(service.pid)
            service.client.put(service.client.group("told"), json={"location": "eastus"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as failed:
        failing()
    (note,) = failed.value.__notes__
    assert note.startswith("The Poolwright service logged:\n")
    assert "resourcegroups/told" in note
    assert ends(pids[0])
    assert list(scratch.iterdir()) == []


def test_a_service_that_cannot_start_says_why(scratch: Path) -> None:
    with (
        pytest.raises(testing.ServiceEnded, match=r"seed\.yaml:1:11: clusters: there is no such member"),
        testing.service(seed="clusters: []\n"),
    ):
        pass
    assert list(scratch.iterdir()) == []


def test_the_log_stays_in_a_directory_that_was_given(tmp_path: Path) -> None:
    with testing.service(directory=tmp_path / "kept", log_format="json") as service:
        service.client.put(service.client.group(), json={"location": "eastus"})
    assert '"event": "request"' in (tmp_path / "kept" / "data.log").read_text()


def test_before_it_is_started_there_is_no_process(tmp_path: Path) -> None:
    service = testing.Service(tmp_path / "data")
    assert not service.is_running
    with pytest.raises(testing.ServiceEnded, match="not started yet"):
        service.stop()


CHILD = """
import sys, threading
from poolwright import testing
with testing.service() as service:
    print(service.pid, service.data_dir.parent, flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_whoever_started_it_however_that_ends(number: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A process group of its own, as under a supervisor: the signal reaches the parent alone.
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        os.kill(parent.pid, number)
        assert ends(int(pid))
    assert Path(directory).exists() == (number != signal.SIGINT), "only Ctrl-C leaves time to tidy up"


def test_importing_it_costs_nothing() -> None:
    program = "import sys, poolwright.testing.plugin; print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not re.findall(r"\b(httpx|pydantic|sqlalchemy|dbos|starlette|typer|rich|yaml)\b", ended.stdout)


def test_the_log_up_to_now_has_every_request_that_was_answered_as_whole_lines() -> None:
    with testing.service() as service:
        for number in range(1, 201):
            service.client.put(service.client.group(f"g{number}"), json={"location": "mars"})
            end = service.logged()
            until_now = service.log_path.read_bytes()[:end].decode()
            assert until_now.endswith("\n")
            assert until_now.count("method=PUT") == number
