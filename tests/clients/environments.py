"""Environments of clients that are not ours, installed once from locks into the cache directory.

An environment's directory is named after what it is made from, so that another lock is another directory; a lock that
the installer's children inherit lets one installation run at a time, also when the process that began it was killed.

Invariant: an environment is used only when its installation ran to its end.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pytest

HERE: Final = Path(__file__).parent
_COMPLETE: Final = "poolwright-complete"
_INSTALL_TIMEOUT_SECONDS: Final = 600
# What pip and npm say when nobody answers at the registry's address, or not to the end.
_UNREACHABLE: Final = re.compile(
    r"\(from versions: none\)|Retrying \(Retry\(total=0|"
    r"npm error (code|errno) (EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ENOTFOUND|ERR_SOCKET_TIMEOUT|ETIMEDOUT)"
)
# Settings that send packages, or their bytecode, elsewhere.
_ELSEWHERE: Final = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"


class NotAvailable(Exception):
    """A client cannot be installed here, through no fault of this repository; and why."""


class Run(Protocol):
    """Runs one command of an installation to its end; raises where it fails."""

    def __call__(self, *command: str | Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Environment:
    """What a client's environment is made from, how, and a file of it without which it does not work."""

    name: str
    made_from: tuple[Path, ...]
    install: Callable[[Path, Run], None]
    needed: str


def cache_directory() -> Path:
    """Return where the environments are."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolwright" / "clients"


def require(environment: Environment, cache: Path) -> Path:
    """Return what `ensure` does; where that cannot be had, the test is skipped with the reason, but in CI it fails."""
    try:
        return ensure(environment, cache)
    except NotAvailable as reason:
        if os.environ.get("CI"):
            pytest.fail(f"in CI every client is there: {reason}")
        pytest.skip(str(reason))


def ensure(environment: Environment, cache: Path) -> Path:
    """Return the directory of the environment, installed if need be. A call beside another one waits for its result.

    Raises `NotAvailable` when a registry cannot be reached, `AssertionError` when the installation fails otherwise.
    """
    home = cache / f"{environment.name}-{_digest(environment)}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ((home / _COMPLETE).is_file() and (home / environment.needed).exists()):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            environment.install(home, lambda *command: _run(command, lock.fileno()))
            (home / _COMPLETE).touch()
    return home


def _digest(environment: Environment) -> str:
    # The Python is part of an environment made with it, and this file says how they are made.
    digest = hashlib.sha256(sys.version.encode())
    for path in (Path(__file__), *environment.made_from):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _run(command: Sequence[str | Path], lock: int) -> None:
    ended = subprocess.run(
        command,
        env={name: value for name, value in os.environ.items() if name not in (*_ELSEWHERE, _NO_BYTECODE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        timeout=_INSTALL_TIMEOUT_SECONDS,
        check=False,
    )
    if ended.returncode == 0:
        return
    told = f"{' '.join(str(part) for part in command)} ended with {ended.returncode}:\n{ended.stdout[-3000:]}"
    if _UNREACHABLE.search(ended.stdout):
        raise NotAvailable(f"a package registry cannot be reached: {told}")
    raise AssertionError(told)


def _install_javascript(home: Path, run: Run) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotAvailable("npm is not installed: the JavaScript SDK needs Node.js 20 or newer")
    for path in JAVASCRIPT.made_from:
        shutil.copy(path, home)
    run(npm, "ci", "--prefix", home)


JAVASCRIPT: Final = Environment(
    "javascript",
    tuple(HERE / "javascript" / name for name in ("package.json", "package-lock.json", ".npmrc")),
    _install_javascript,
    "node_modules",
)


def _install_ansible(home: Path, run: Run) -> None:
    lock, addition = ANSIBLE.made_from
    python = home / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", home)
    # What is not compiled now is compiled when it is imported first, which is a small part of it.
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--require-hashes", "--requirement", lock),
        *("--no-compile", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"),
    )
    (cloud,) = home.glob("lib/python3*/site-packages/azure/cli/core/cloud.py")
    with cloud.open("a") as module:
        module.write("\n\n" + addition.read_text())
    run(python, "-c", "import ansible_collections.azure.azcollection.plugins.module_utils.azure_rm_common")
    run(home / "bin" / "ansible-playbook", "--version")


ANSIBLE: Final = Environment(
    "ansible",
    (HERE / "ansible" / "requirements.lock", HERE / "ansible" / "azure_cli_core_cloud.py"),
    _install_ansible,
    "bin/python",
)


if __name__ == "__main__":
    for each in (JAVASCRIPT, ANSIBLE):
        ensure(each, cache_directory())
