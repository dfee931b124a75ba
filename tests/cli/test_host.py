"""`poolwright host install`: what it runs, what it prints where it may not, and what happens when that fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from poolwright.machines import host_packages
from poolwright.machines.engine import PermanentError
from poolwright.machines.host_packages import HostPackage, Use
from poolwright.machines.local.daemon import Account
from tests.cli.conftest import CommandLine

LACKING = HostPackage("some-package", "some-command-that-nobody-has", "this test", (Use.RUN,))
ACCOUNT_COMMAND = "useradd --system --no-create-home --shell /usr/sbin/nologin poolwright"


class Programs:
    """Programs in the place of the host's: each writes down its arguments and does what it is told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._log = directory / "log"
        for name in ("apt-get", "useradd", "sudo"):
            self.do(name, "exit 0")

    def do(self, name: str, script: str) -> None:
        program = self._directory / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self._log}\n{script}\n')
        program.chmod(0o755)

    @property
    def ran(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(host_packages, "HOST_PACKAGES", (LACKING,))
    return Programs(tmp_path / "bin")


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Be another account, as far as the effective user ID shows."""
    return lambda uid: monkeypatch.setattr(os, "geteuid", lambda: uid)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts of the host: none until a test adds one."""
    known: list[str] = []

    def called(name: str) -> Account:
        if name not in known:
            raise PermanentError("no such account")
        return Account(name, 1, 1)

    monkeypatch.setattr(Account, "called", called)
    return known


def test_root_installs_what_is_missing_and_makes_the_account(
    alone: CommandLine, programs: Programs, become: Callable[[int], None], account: list[str]
) -> None:
    become(0)
    ended = alone.done("host", "install")
    expected = ["apt-get update", "apt-get install -y --no-install-recommends some-package", ACCOUNT_COMMAND]
    assert programs.ran == expected
    assert [line.removeprefix("+ ") for line in ended.err.splitlines()] == expected


def test_an_account_that_somebody_makes_meanwhile_is_no_failure(
    alone: CommandLine,
    programs: Programs,
    become: Callable[[int], None],
    account: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become(0)
    programs.do("useradd", "exit 9")
    ended = alone("host", "install")
    assert ended.code == 1
    assert f"`{ACCOUNT_COMMAND}` ended with 9" in ended.err
    answers = iter([False, True])
    monkeypatch.setattr("poolwright.cli.host._is_known", lambda _: next(answers))
    alone.done("host", "install")


def test_what_fails_ends_it(
    alone: CommandLine, programs: Programs, become: Callable[[int], None], account: list[str]
) -> None:
    become(0)
    programs.do("apt-get", '[ "$1" = update ] || exit 100')
    ended = alone("host", "install")
    assert ended.code == 1
    assert "some-package` ended with 100" in ended.err
    assert programs.ran[-1].startswith("apt-get install")


def test_without_the_right_to_it_prints_the_line_and_runs_nothing(
    alone: CommandLine, programs: Programs, become: Callable[[int], None]
) -> None:
    become(1234)
    programs.do("sudo", "exit 1")
    ended = alone("host", "install")
    line = "apt-get update && apt-get install -y --no-install-recommends some-package"
    assert ended.code == 1
    assert f"this needs root. Run: sudo sh -c '{line}'" in ended.err
    assert programs.ran == ["sudo -n true"]
    assert alone.done("host", "install", "--print").out == f"{line}\n"


def test_with_sudo_an_ordinary_account_installs_and_needs_no_account(
    alone: CommandLine, programs: Programs, become: Callable[[int], None]
) -> None:
    become(1234)
    programs.do("sudo", 'shift; exec "$@"')
    alone.done("host", "install")
    assert [line for line in programs.ran if not line.startswith("sudo")] == [
        "apt-get update",
        "apt-get install -y --no-install-recommends some-package",
    ]


def test_where_nothing_is_missing_nothing_is_run(
    alone: CommandLine,
    programs: Programs,
    become: Callable[[int], None],
    account: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become(0)
    account.append("poolwright")
    monkeypatch.setattr(host_packages, "HOST_PACKAGES", ())
    assert "nothing is missing" in alone.done("host", "install").err
    assert programs.ran == []
