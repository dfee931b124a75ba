"""Which az is used, and the private one that is installed where there is none.

The order: `POOLWRIGHT_AZ`, then an az on the PATH that is new enough, then a virtual environment of
our own in the cache directory, made from the hashes of `azure-cli.lock`.

Invariant: a private az is used only when its installation ran to its end. A virtual environment
cannot be moved, so it is built in its final place: a note at the root says it is ours from the first
moment, a second note says it is complete, and a lock that the installer's children inherit lets one
installation run at a time, even when the process that began it was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from poolwright.az import AzError

AZURE_CLI_VERSION = "2.91.0"
OLDEST_VERSION = (2, 91)
# The classifiers of azure-cli 2.91.0 on the Python Package Index.
OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 14)
LOCK_FILE = Path(__file__).with_name("azure-cli.lock")

STARTED_NOTE = "poolwright-installs-here"
COMPLETE_NOTE = "poolwright-complete.json"

Progress = Callable[[str], None]


class AzNotAvailable(AzError):
    """No az can be used, and why."""


def ensure_az(progress: Progress | None = None) -> Path:
    """The az to run: a found one at once, otherwise the private one, installed if need be."""
    found = find_az()
    if found is not None:
        return found
    with reporting(progress) as report:
        return install(private_home(), LOCK_FILE, report)


def find_az() -> Path | None:
    """The az that can be used without installing anything, or None."""
    named = os.environ.get("POOLWRIGHT_AZ")
    if named:
        return _checked(Path(named).expanduser())
    on_path = shutil.which("az")
    if on_path and (version_of(Path(on_path)) or (0,)) >= OLDEST_VERSION:
        return Path(on_path)
    home = private_home()
    return home / "bin" / "az" if _is_complete(home, LOCK_FILE) else None


def private_home() -> Path:
    """Where the private az lives."""
    named = os.environ.get("POOLWRIGHT_AZ_HOME")
    if named:
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "poolwright" / f"azure-cli-{AZURE_CLI_VERSION}"


def version_of(az: Path) -> tuple[int, ...] | None:
    """The version of an az, read from its installed metadata or, where that is not found, by running it."""
    text = _version_in_metadata(az) or _version_it_prints(az)
    numbers = re.match(r"\d+(?:\.\d+)*", text or "")
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else None


def install(home: Path, lock_file: Path, progress: Progress) -> Path:
    """The az in `home`, which afterwards holds exactly what the lock file names.

    A second call finds it there; a call beside another one waits for it and uses its result.
    """
    _require_supported_python(sys.version_info[:2])
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _only_installer(home.with_name(home.name + ".lock"), progress) as lock:
            if not _is_complete(home, lock_file):
                _remove_unfinished(home)
                _build(home, lock_file, progress, lock)
    except OSError as error:
        raise AzNotAvailable(f"azure-cli cannot be installed into {home}: {error}") from error
    return home / "bin" / "az"


def _checked(az: Path) -> Path:
    if not (az.is_file() and os.access(az, os.X_OK)):
        raise AzNotAvailable(f"POOLWRIGHT_AZ names {az}, which is not an executable file.")
    version = version_of(az)
    if version is not None and version < OLDEST_VERSION:
        raise AzNotAvailable(
            f"POOLWRIGHT_AZ names {az}, which is az {_dotted(version)}; "
            f"{_dotted(OLDEST_VERSION)} or newer is needed. Unset it to use a private az."
        )
    return az.absolute()


def _version_in_metadata(az: Path) -> str | None:
    # Packages of az leave a script whose first lines name the Python it runs in; where not, az is run.
    try:
        with az.resolve().open("rb") as script:
            beginning = script.read(4096).decode("utf-8", "replace")
    except OSError:
        return None
    versions = {
        found.name.removeprefix("azure_cli-").removesuffix(".dist-info")
        for interpreter in re.findall(r"/[^\s\"'#!]+/python[\d.]*", beginning)
        for found in Path(interpreter).parent.parent.glob("lib*/python3*/site-packages/azure_cli-*.dist-info")
    }
    return versions.pop() if len(versions) == 1 else None


def _version_it_prints(az: Path) -> str | None:
    # az writes into its configuration directory even for this, so it gets one that is thrown away.
    with tempfile.TemporaryDirectory(prefix="poolwright-az-") as scratch:
        environment = {**os.environ, "AZURE_CONFIG_DIR": scratch, "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        try:
            answer = subprocess.run(
                [str(az), "version", "--output", "json"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
            return str(json.loads(answer)["azure-cli"])
        except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
            return None


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(number) for number in version)


def _require_supported_python(python: tuple[int, ...]) -> None:
    if not OLDEST_PYTHON <= python <= NEWEST_PYTHON:
        raise AzNotAvailable(
            f"azure-cli {AZURE_CLI_VERSION} supports Python {_dotted(OLDEST_PYTHON)} to "
            f"{_dotted(NEWEST_PYTHON)}, and this is Python {_dotted(python)}. Install az {_dotted(OLDEST_VERSION)} "
            "or newer by other means and put it on the PATH, or name it in POOLWRIGHT_AZ."
        )


@contextlib.contextmanager
def _only_installer(lock_path: Path, progress: Progress) -> Iterator[int]:
    """Hold the lock of the installation; its file descriptor is for the children to inherit."""
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
                progress(f"waiting for another process that installs azure-cli ({waited:.0f} s)")
                time.sleep(0.5)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_complete(home: Path, lock_file: Path) -> bool:
    try:
        note = json.loads((home / COMPLETE_NOTE).read_text())
    except (OSError, ValueError):
        return False
    # Its Python is a link to the one that made it, which an upgrade of the system can take away.
    runs = all(os.access(home / "bin" / program, os.X_OK) for program in ("az", "python"))
    return runs and bool(note == _complete_note(lock_file))


def _complete_note(lock_file: Path) -> dict[str, str]:
    return {"lock": hashlib.sha256(lock_file.read_bytes()).hexdigest()}


def _remove_unfinished(home: Path) -> None:
    if not home.exists():
        return
    # The path can come from the environment, so only what carries our note is ever removed.
    if not (home / STARTED_NOTE).is_file() and any(home.iterdir()):
        raise AzNotAvailable(
            f"{home} holds something that Poolwright did not put there. "
            "Remove it, or name another directory in POOLWRIGHT_AZ_HOME."
        )
    (home / COMPLETE_NOTE).unlink(missing_ok=True)
    # The note goes last: whoever is killed here leaves a directory that still says whose it is.
    for entry in home.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STARTED_NOTE:
            entry.unlink()
    shutil.rmtree(home)


def _build(home: Path, lock_file: Path, progress: Progress, lock: int) -> None:
    home.mkdir()
    (home / STARTED_NOTE).write_text("Poolwright installs azure-cli here and may remove this directory.\n")
    progress(
        f"no az {_dotted(OLDEST_VERSION)} or newer found: installing azure-cli {AZURE_CLI_VERSION} into {home} "
        "(about 730 MB, one to three minutes, once)"
    )
    install_command = [str(home / "bin" / "python"), "-I", "-m", "pip", "install"]
    install_command += ["--require-hashes", "--requirement", str(lock_file)]
    install_command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    total = sum("==" in line for line in lock_file.read_text().splitlines() if not line.startswith("#"))
    try:
        with home.with_name(home.name + ".log").open("w") as log:
            _run([sys.executable, "-m", "venv", str(home)], _VenvSteps(), progress, log, lock)
            _run(install_command, _PipSteps(total), progress, log, lock)
    except BaseException:
        progress("removing what was installed so far")
        with contextlib.suppress(OSError):  # what cannot be removed now, the next installation removes
            _remove_unfinished(home)
        raise
    _write_durably(home / COMPLETE_NOTE, json.dumps(_complete_note(lock_file)))
    progress(f"azure-cli {AZURE_CLI_VERSION} is installed in {home}")


def _write_durably(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


class _VenvSteps:
    """What `python -m venv` is doing."""

    def now(self, _line: str) -> str:
        return "creating a Python environment"

    remedy = "On Debian and Ubuntu, the package python3-venv is needed."


class _PipSteps:
    """What pip is doing, from the lines it prints."""

    remedy = "The download needs access to the Python Package Index, or to the mirror pip is configured for."

    def __init__(self, total: int) -> None:
        self._total = total
        self._collected = 0
        self._installs = False

    def now(self, line: str) -> str:
        if line.startswith(("Collecting ", "Processing ")):
            self._collected += 1
        if line.startswith("Installing collected packages"):
            self._installs = True
        if self._installs:
            return f"unpacking {self._collected} packages"
        return f"downloading, package {self._collected} of at most {self._total}"


def _run(command: Sequence[str], steps: _VenvSteps | _PipSteps, progress: Progress, log: IO[str], lock: int) -> None:
    """Run one command to its end, and say every second what it does."""
    started = time.monotonic()
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        env=_pip_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        process_group=0,
    )
    assert process.stdout is not None
    printed: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_forward, args=(process.stdout, printed), daemon=True)
    reader.start()
    try:
        doing = steps.now("")
        line: str | None = ""
        while line is not None:
            progress(f"{doing} ({time.monotonic() - started:.0f} s)")
            with contextlib.suppress(queue.Empty):
                line = printed.get(timeout=1)
                if line is not None:
                    lines.append(line)
                    log.write(line)
                    doing = steps.now(line)
        code = process.wait()
    except BaseException:
        _stop(process)
        raise
    finally:
        reader.join()
        process.stdout.close()
    if code != 0:
        errors = [line for line in lines if "ERROR" in line] or lines
        raise AzNotAvailable(
            f"azure-cli {AZURE_CLI_VERSION} could not be installed. {steps.remedy} "
            f"The whole output is in {log.name}; its end:\n" + "".join(errors[-5:]).rstrip()
        )


def _pip_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    # The user's index and proxy settings stay; settings that send packages elsewhere do not.
    elsewhere = {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH"}
    return {name: value for name, value in inherited.items() if name not in elsewhere}


def _forward(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    """End the command with all it started, which would go on writing otherwise."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def reporting(progress: Progress | None) -> Iterator[Progress]:
    """The given way of reporting, or a way of our own on stderr."""
    if progress is not None:
        yield progress
        return
    reporter = _StderrReporter(sys.stderr)
    try:
        yield reporter
    finally:
        reporter.finish()


class _StderrReporter:
    """On a terminal what lasts renews its line; elsewhere each step is one line, with a sign of life at times."""

    _SIGN_OF_LIFE_SECONDS = 15.0

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._renews = stream.isatty()
        self._unfinished_line = False
        self._step = ""
        self._printed_at = float("-inf")

    def __call__(self, message: str) -> None:
        lasts = re.search(r"\(\d+ s\)$", message) is not None
        if self._renews:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{message[:width]}" if lasts else f"\r\x1b[K{message}\n")
            self._unfinished_line = lasts
        else:
            step, now = re.sub(r"\d+", "", message), time.monotonic()
            if step == self._step and now - self._printed_at < self._SIGN_OF_LIFE_SECONDS:
                return
            self._step, self._printed_at = step, now
            self._stream.write(f"{message}\n")
        self._stream.flush()

    def finish(self) -> None:
        if self._unfinished_line:
            self._stream.write("\n")
            self._stream.flush()
