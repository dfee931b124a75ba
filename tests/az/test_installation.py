"""Which az is used, and that a private one is installed whole, once, or not at all.

The installations are real ones by venv and pip, of a package named azure-cli that is a few lines long.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolwright.az import installation


def fake_az(directory: Path, version: str | None, *, prints: str = "") -> Path:
    """A script named az in `directory`; `version` is in the metadata beside its interpreter."""
    prefix = directory / "prefix"
    (prefix / "bin").mkdir(parents=True)
    script = "#!/bin/sh\n"
    if version is not None:
        (prefix / f"lib/python3.11/site-packages/azure_cli-{version}.dist-info").mkdir(parents=True)
        script += f"# {prefix}/bin/python3.11 -m azure.cli\n"
    az = directory / "az"
    az.write_text(f"{script}echo started >> {directory}/starts\necho '{prints}'\n")
    az.chmod(0o755)
    return az


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("POOLWRIGHT_AZ", "POOLWRIGHT_AZ_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def test_the_named_az_wins_over_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_az(tmp_path / "path", "2.95.0")
    named = fake_az(tmp_path / "named", "2.91.0")
    monkeypatch.setenv("POOLWRIGHT_AZ", str(named))

    assert installation.ensure_az() == named


def test_a_named_az_that_is_no_program_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLWRIGHT_AZ", str(tmp_path / "nowhere"))

    with pytest.raises(installation.AzNotAvailable, match="nowhere, which is not an executable file"):
        installation.ensure_az()


def test_a_named_az_that_is_too_old_is_an_error_that_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLWRIGHT_AZ", str(fake_az(tmp_path / "named", "2.60.0")))

    with pytest.raises(installation.AzNotAvailable, match=r"az 2\.60\.0; 2\.91 or newer is needed"):
        installation.ensure_az()


@pytest.mark.parametrize("version", ["2.91.0", "2.100.1", "3.0.0"])
def test_an_az_on_the_path_that_is_new_enough_is_used_without_starting_it(tmp_path: Path, version: str) -> None:
    az = fake_az(tmp_path / "path", version)

    assert installation.ensure_az() == az
    assert not (tmp_path / "path" / "starts").exists()


def test_an_az_on_the_path_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    fake_az(tmp_path / "path", "2.90.1")

    assert installation.find_az() is None


def test_the_metadata_is_found_through_a_link_to_the_script(tmp_path: Path) -> None:
    az = fake_az(tmp_path / "tool", "2.92.0")
    link = tmp_path / "az"
    link.symlink_to(az)

    assert installation.version_of(link) == (2, 92, 0)


def test_an_az_without_metadata_is_asked_for_its_version(tmp_path: Path) -> None:
    az = fake_az(tmp_path / "path", None, prints='{"azure-cli": "2.93.0"}')

    assert installation.version_of(az) == (2, 93, 0)
    assert installation.find_az() == az


@pytest.mark.parametrize("prints", ["", "[]", "{}", '{"azure-cli": null}', "no JSON"])
def test_an_az_that_tells_no_version_is_passed_over(tmp_path: Path, prints: str) -> None:
    fake_az(tmp_path / "path", None, prints=prints)

    assert installation.find_az() is None


@pytest.mark.parametrize(
    ("variables", "home"),
    [
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/poolwright/azure-cli-2.91.0"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.cache/poolwright/azure-cli-2.91.0"),
        ({"POOLWRIGHT_AZ_HOME": "/opt/az-of-poolwright"}, "/opt/az-of-poolwright"),
    ],
)
def test_the_private_az_lives_in_the_cache_or_where_it_is_told_to(
    variables: dict[str, str], home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert installation.private_home() == Path(home)


def test_the_shipped_lock_names_one_azure_cli_and_hashes_everything() -> None:
    text = installation.LOCK_FILE.read_text()
    packages = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;]+)", text, re.MULTILINE)
    hashed = re.findall(r"^[a-z0-9].*==.* \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)

    versions = dict(packages)
    assert versions["azure-cli"] == versions["azure-cli-core"] == installation.AZURE_CLI_VERSION
    assert len(packages) == len(hashed) > 100
    assert "://" not in text


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A wheel of azure-cli, which is all that pip sees meanwhile."""
    directory = tmp_path_factory.mktemp("wheels")
    path = directory / f"azure_cli-{installation.AZURE_CLI_VERSION}-py3-none-any.whl"
    path.write_bytes(small_azure_cli())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(directory))
        yield path


@pytest.fixture(scope="module")
def lock(wheel: Path) -> Path:
    return lock_with(hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel.with_name("azure-cli.lock"))


@dataclass
class Installed:
    """What three simultaneous installations into one place returned and said."""

    home: Path
    returned: list[Path]
    messages: list[str]


@pytest.fixture(scope="module")
def installed(lock: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("private") / "az"
    messages: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        returned = list(pool.map(lambda _: installation.install(home, lock, messages.append), range(3)))
    return Installed(home, returned, messages)


def lock_with(digest: str, path: Path) -> Path:
    path.write_text(f"azure-cli=={installation.AZURE_CLI_VERSION} \\\n    --hash=sha256:{digest}\n")
    return path


def output_of(az: Path) -> str:
    return subprocess.run([az], capture_output=True, text=True, check=True).stdout


def small_azure_cli() -> bytes:
    name = f"azure_cli-{installation.AZURE_CLI_VERSION}"
    files = {
        f"{name}.data/scripts/az": "#!python\nprint('az runs')\n",
        f"{name}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: azure-cli\nVersion: {installation.AZURE_CLI_VERSION}\n"
        ),
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}"
        for path, text in files.items()
    ]
    files[f"{name}.dist-info/RECORD"] = "\n".join([*record, f"{name}.dist-info/RECORD,,", ""])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, text)
    return content.getvalue()


def test_the_private_az_runs_and_is_installed_once_for_all_who_ask_together(installed: Installed) -> None:
    az = installed.home / "bin" / "az"

    assert installed.returned == [az, az, az]
    assert output_of(az) == "az runs\n"
    assert installation.version_of(az) == (2, 91, 0)
    said = installed.messages
    assert sum(message.startswith("no az 2.91 or newer found: installing") for message in said) == 1
    assert sum(message == f"azure-cli 2.91.0 is installed in {installed.home}" for message in said) == 1
    for beginning in ("creating a Python environment (", "unpacking 1 packages (", "waiting for another process"):
        assert any(message.startswith(beginning) for message in said)


def test_a_complete_private_az_is_used_and_one_made_from_another_lock_is_not(
    installed: Installed, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLWRIGHT_AZ_HOME", str(installed.home))
    monkeypatch.setattr(installation, "LOCK_FILE", lock)
    assert installation.ensure_az() == installed.home / "bin" / "az"

    monkeypatch.setattr(installation, "LOCK_FILE", lock_with("0" * 64, tmp_path / "newer.lock"))
    assert installation.find_az() is None


def test_a_private_az_whose_python_was_taken_away_is_not_used(
    installed: Installed, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "az"
    shutil.copytree(installed.home, home, symlinks=True)
    monkeypatch.setenv("POOLWRIGHT_AZ_HOME", str(home))
    monkeypatch.setattr(installation, "LOCK_FILE", lock)
    assert installation.find_az() is not None

    (home / "bin" / "python").unlink()
    (home / "bin" / "python").symlink_to(tmp_path / "gone")

    assert installation.find_az() is None


def test_a_package_that_does_not_match_its_hash_is_not_installed(tmp_path: Path, wheel: Path) -> None:
    home = tmp_path / "az"

    with pytest.raises(installation.AzNotAvailable, match="DO NOT MATCH THE HASHES"):
        installation.install(home, lock_with("0" * 64, tmp_path / "wrong.lock"), lambda _: None)

    assert not home.exists()
    assert "DO NOT MATCH THE HASHES" in (tmp_path / "az.log").read_text()


def test_an_installation_that_was_killed_is_never_used_and_the_next_call_starts_afresh(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "az"
    monkeypatch.setenv("POOLWRIGHT_AZ_HOME", str(home))
    monkeypatch.setattr(installation, "LOCK_FILE", lock)
    # Killed when the environment is there and pip has begun.
    program = (
        "import os, signal, sys; from pathlib import Path; from poolwright.az import installation\n"
        "def progress(message):\n"
        "    if message.startswith('downloading'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "installation.install(Path(sys.argv[1]), Path(sys.argv[2]), progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, home, lock], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (home / "bin" / "python").exists()
    assert installation.find_az() is None
    leftover = home / "leftover"
    leftover.write_text("of the killed installation")

    az = installation.ensure_az(lambda _: None)

    assert output_of(az) == "az runs\n"
    assert not leftover.exists()


def test_what_a_killed_installation_left_running_keeps_others_out_until_it_ends(tmp_path: Path, lock: Path) -> None:
    home, gate, python = tmp_path / "az", tmp_path / "gate", tmp_path / "python"
    os.mkfifo(gate)
    python.write_text(f"#!/bin/sh\nread _ < {gate}\n")
    python.chmod(0o755)
    program = (
        "import os, signal, sys; from pathlib import Path; from poolwright.az import installation\n"
        "home, lock, sys.executable = sys.argv[1:]\n"
        "def progress(message):\n"
        "    if message.startswith('creating'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "installation.install(Path(home), Path(lock), progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, home, lock, python], check=False)
    assert killed.returncode == -signal.SIGKILL

    with (tmp_path / "az.lock").open() as held:
        with pytest.raises(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        gate.write_text("end")
        fcntl.flock(held, fcntl.LOCK_EX)


def test_ctrl_c_ends_all_that_the_installation_started_and_leaves_nothing_behind(
    tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, gate, python = tmp_path / "az", tmp_path / "gate", tmp_path / "python"
    os.mkfifo(gate)
    python.write_text(f"#!/bin/sh\n(read _ < {gate}) &\nwait\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    reached: list[int] = []

    def interrupted(message: str) -> None:
        if not message.startswith("creating"):
            return
        with contextlib.suppress(OSError):  # no grandchild reads yet: look again at the next sign of life
            reached.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        installation.install(home, lock, interrupted)

    assert not home.exists()
    with pytest.raises(BrokenPipeError):
        os.write(reached[0], b"end\n")
    os.close(reached[0])


def test_a_directory_that_is_not_ours_is_never_removed(tmp_path: Path, lock: Path) -> None:
    home = tmp_path / "az"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")

    with pytest.raises(installation.AzNotAvailable, match="did not put there"):
        installation.install(home, lock, lambda _: None)

    assert (home / "thesis.txt").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_reported_with_its_name(tmp_path: Path, lock: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(installation.AzNotAvailable, match=r"cannot be installed into .*/file/az"):
        installation.install(tmp_path / "file" / "az", lock, lambda _: None)


@pytest.mark.parametrize("python", [(3, 9), (3, 15)])
def test_a_python_that_azure_cli_does_not_support_is_named_with_the_way_out(
    python: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (*python, 1, "final", 0))

    with pytest.raises(installation.AzNotAvailable, match=rf"this is Python {python[0]}\.{python[1]}.*POOLWRIGHT_AZ"):
        installation.install(tmp_path / "az", tmp_path / "lock", lambda _: None)


def test_without_a_terminal_each_step_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with installation.reporting(None) as report:
        for second in range(3):
            report(f"creating a Python environment ({second} s)")
        for package in range(3):
            report(f"downloading, package {package} of at most 9 (4 s)")

    assert capsys.readouterr().err.splitlines() == [
        "creating a Python environment (0 s)",
        "downloading, package 0 of at most 9 (4 s)",
    ]


def test_on_a_terminal_what_lasts_renews_its_line_and_news_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "30")

    with installation.reporting(None) as report:
        report("installing into somewhere that is long")
        report("creating (1 s)")
        report("creating (2 s)")

    lines = [line.split("\r\x1b[K")[-1] for line in terminal.getvalue().split("\n")]
    assert lines == ["installing into somewhere that is long", "creating (2 s)", ""]
