"""`poolwright up`: one line on stdout, clear ends, and what the command line may override."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import poolwright.settings
from poolwright.settings import unknown_variables
from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "poolwright.cli.main", "up"]


def up(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `up` to its end, for cases in which it must not start."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_up_prints_one_line_tells_a_terminal_how_to_connect_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    data = tmp_path / "data"
    with subprocess.Popen(
        [*COMMAND, "--port", "0", "--data-dir", str(data), "--log-level", "error"],
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    ) as process:
        os.close(follower)
        assert process.stdout is not None
        ready = process.stdout.readline()
        told = ""
        while "Ctrl-C stops the service" not in told:
            told += os.read(leader, 1000).decode()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        code = process.wait(timeout=30)
    os.close(leader)

    assert re.fullmatch(r"ready https://127\.0\.0\.1:\d+\n", ready)
    assert (rest, code) == ("", 0)
    assert f"export POOLWRIGHT_DATA_DIR={data}" in told
    assert "poolwright az aks list" in told
    assert 'eval "$(poolwright env)"' in told


def test_a_second_service_on_the_same_directory_is_refused(service: ServiceProcess) -> None:
    ended = up("--port", "0", "--data-dir", str(service.data_dir))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"error: another Poolwright service runs on .*\n", ended.stderr)


def test_a_port_that_is_taken_is_named(service: ServiceProcess, tmp_path: Path) -> None:
    port = service.url.rpartition(":")[2]

    ended = up("--port", port, "--data-dir", str(tmp_path / "other"))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"error: cannot listen on 127\.0\.0\.1:{port}: .*\n", ended.stderr)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--engine", "qemu"], "simulated"),
        (["--profile", "azure-1999"], "azure-2026"),
        (["--port", "70000"], "65535"),
    ],
)
def test_an_option_that_cannot_be_is_a_usage_error_that_names_what_can(
    arguments: list[str], named: str, alone: CommandLine
) -> None:
    ended = alone("up", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert arguments[0] in ended.err
    assert named in ended.err


def test_a_wrong_variable_is_named(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLWRIGHT_PORT", "many")

    ended = alone("up")

    assert ended.code == 2
    assert ended.err.startswith("error: POOLWRIGHT_PORT: ")


def test_a_variable_that_nothing_reads_is_refused_with_the_one_that_may_be_meant(
    alone: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLWRIGHT_PROFIL", "azure-2026")

    ended = alone("up")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: there is no variable POOLWRIGHT_PROFIL: did you mean 'POOLWRIGHT_PROFILE'?\n"


def test_every_variable_that_is_read_is_known() -> None:
    read = {
        name
        for file in Path(poolwright.settings.__file__).parent.rglob("*.py")
        for name in re.findall(r"(?<!_)\bPOOLWRIGHT_[A-Z_]*[A-Z]\b", file.read_text())
    }

    assert {"POOLWRIGHT_AZ", "POOLWRIGHT_ENDPOINT", "POOLWRIGHT_DATA_DIR"} < read
    assert list(unknown_variables(read)) == []


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    ended = up("--data-dir", str(tmp_path / "data"), "--host", "192.0.2.1", environment={"POOLWRIGHT_PORT": "4711"})

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot listen on 192.0.2.1:4711")


@pytest.mark.parametrize(
    ("file", "content"),
    [("poolwright.sqlite", "not a database, and long enough to be read as one" * 100), ("signing-key.pem", "no key")],
)
def test_a_damaged_file_is_one_clear_line(file: str, content: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(content)

    ended = up("--port", "0", "--data-dir", str(tmp_path))

    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(rf"error: .*{re.escape(str(tmp_path))}.*\n", ended.stderr)


SEED = """\
resourceGroups:
- name: rg
  location: eastus
  clusters:
  - name: c1
    nodePools:
    - name: sys
      properties: {mode: System, count: 1}
    - name: np1
      properties:
        vmSize: Standard_D2s_v5
"""


@pytest.mark.parametrize(
    ("number", "to_all"),
    # As `kill` sends it to make, as a terminal sends Ctrl-C, and as one that closes says so.
    [(signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGHUP, True)],
)
def test_what_ends_make_up_ends_the_service(number: signal.Signals, to_all: bool, tmp_path: Path) -> None:
    installed = tmp_path / "venv" / ".runtime"
    with subprocess.Popen(
        [
            "make",
            "-C",
            str(ROOT),
            "up",
            f"BIN={Path(sys.executable).parent}",
            f"VENV={installed.parent}",
            "-o",
            installed,
        ],
        env={**os.environ, "POOLWRIGHT_PORT": "0", "POOLWRIGHT_DATA_DIR": str(tmp_path / "data")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("ready "):
            assert line
        try:
            (os.killpg if to_all else os.kill)(process.pid, number)
            code = process.wait(timeout=30)
            # Nothing of that session is left.
            with pytest.raises(ProcessLookupError):
                os.killpg(process.pid, 0)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert code == -number


def test_a_service_is_ready_when_its_seed_is_there(fresh: ServiceProcess, tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    client = fresh.start(seed=seed).client
    pools = client.get(client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert [(pool["name"], pool["provisioningState"]) for pool in pools] == [("np1", "Succeeded"), ("sys", "Succeeded")]
    fresh.kill()
    client = fresh.start(seed=seed).client
    assert client.get(client.cluster()).json()["properties"]["agentPoolProfiles"] == pools
    assert fresh.log().count("seed_applied") == 1


def test_a_wrong_seed_says_every_problem_and_the_service_does_not_start(tmp_path: Path) -> None:
    seed, data = tmp_path / "seed.yaml", tmp_path / "data"
    seed.write_text(
        SEED.replace("Standard_D2s_v5", "Standard_Nonsense") + "quotas:\n- {location: mars, family: cores, limit: 1}\n"
    )
    ended = up("--port", "0", "--data-dir", str(data), "--seed", str(seed), "--log-level", "error")
    assert (ended.returncode, ended.stdout) == (1, "")
    first, *problems = ended.stderr.splitlines()
    assert first == "error: the seed cannot be used, 2 problems:"
    assert [line.partition(": ")[0].strip() for line in problems] == [f"{seed}:11:17", f"{seed}:13:14"]
    assert "VMSizeNotSupported" in problems[0]
    assert "LocationNotAvailableForResourceType" in problems[1]


def test_a_seed_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = up("--port", "0", "--data-dir", str(tmp_path / "data"), environment={"POOLWRIGHT_SEED": "/nowhere.yaml"})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1] == "error: /nowhere.yaml: No such file or directory"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_while_the_seed_comes_about_ends_it_and_the_next_start_goes_on(
    number: int, code: int, fresh: ServiceProcess, tmp_path: Path
) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    fresh.launch(seed=seed, simulated_boot_seconds=3600)
    while not (fresh.data_dir / "machines" / "simulated.sqlite").exists() or not booting(fresh):
        assert fresh.is_running, fresh.log()
    assert fresh.stop(number) == code
    assert "Traceback" not in fresh.log()
    client = fresh.start(seed=seed).client
    pools = client.get(client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert {pool["provisioningState"] for pool in pools} == {"Succeeded"}


def test_what_a_kill_leaves_of_a_rehearsal_lies_in_the_data_directory_until_the_next_start(
    fresh: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed, temporary = tmp_path / "seed.yaml", tmp_path / "temporary"
    seed.write_text(SEED)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    rehearsal = fresh.data_dir / "rehearsal"
    fresh.launch(seed=seed)
    while not rehearsal.exists():
        assert fresh.is_running, fresh.log()
    fresh.kill()
    assert rehearsal.exists()
    assert list(temporary.iterdir()) == []

    fresh.start()

    assert not rehearsal.exists()


def booting(service: ServiceProcess) -> bool:
    """Whether the seed's first machine was switched on."""
    with contextlib.suppress(sqlite3.OperationalError):
        machines = sqlite3.connect(f"file:{service.data_dir}/machines/simulated.sqlite?mode=ro", uri=True)
        with contextlib.closing(machines):
            return bool(machines.execute("SELECT count(*) FROM machines").fetchone()[0])
    return False


def test_no_requests_are_kept_where_the_setting_says_so(fresh: ServiceProcess) -> None:
    client = fresh.start(requests_kept=0).client
    client.get(client.group())
    assert fresh.requests() == []
