"""Where libvirt is, for whom, and what is refused before anything is started."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from poolwright.machines.engine import PermanentError
from poolwright.machines.local import host
from poolwright.machines.local.daemon import Account, PrivateDaemon, libvirt_of

needs_binding = pytest.mark.skipif(find_spec("libvirt") is None, reason="libvirt-python is not installed")


@pytest.fixture
def ordinary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An ordinary account, as far as the effective user ID shows, with a directory for its sockets."""
    monkeypatch.setattr(os, "geteuid", os.getuid if os.getuid() else lambda: 1234)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("xen:///system", "is no connection to QEMU"),
        ("qemu:///", "is no connection to QEMU"),
        ("qemu+ssh://other/system", "names another host"),
        ("qemu:///system", "only root can give files to it"),
    ],
)
def test_what_cannot_run_machines_here_is_refused_with_what_can(ordinary: Path, uri: str, words: str) -> None:
    with pytest.raises(PermanentError, match=words) as raised:
        libvirt_of(uri, ordinary, ordinary)
    assert raised.value.remedy


@needs_binding
@pytest.mark.skipif(os.getuid() != 0, reason="only root may ask for the system's libvirt")
def test_a_system_libvirt_that_does_not_answer_is_refused(tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path / 'none'}"
    with pytest.raises(PermanentError, match="no connection to libvirt at") as raised:
        libvirt_of(uri, tmp_path, tmp_path)
    assert "systemctl start libvirtd" in str(raised.value.remedy)


def test_an_ordinary_account_has_its_own_session(ordinary: Path) -> None:
    libvirt = libvirt_of(None, ordinary, ordinary)
    assert (libvirt.uri, libvirt.account.name, libvirt.is_privileged) == ("qemu:///session", None, False)
    assert libvirt.logs == (ordinary / "cache/libvirt/qemu/log",)


def test_a_home_too_far_down_for_sockets_is_refused(ordinary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/" + 39 * "x")
    libvirt_of(None, ordinary, ordinary)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/" + 45 * "x")
    with pytest.raises(PermanentError, match="longer than 107 bytes") as raised:
        libvirt_of(None, ordinary, ordinary)
    assert "Set XDG_CONFIG_HOME" in str(raised.value.remedy)


def test_an_ordinary_account_has_its_machines_in_the_data_directory(
    ordinary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ordinary / "data"
    directory, sockets = host.directories(data)
    assert sockets.is_relative_to(ordinary / "run/poolwright")
    assert host.data_of(directory / "uuid" / "disk.qcow2") == data
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert host.directories(data)[1].parent == Path(f"/tmp/poolwright-{os.geteuid()}")


def test_sockets_are_not_put_where_somebody_else_rules(ordinary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, sockets = host.directories(ordinary / "data")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PermanentError, match="belongs to another account") as raised:
        host.make_directories(directory, sockets, Account.own())
    assert "XDG_RUNTIME_DIR" in str(raised.value.remedy)


def test_sockets_are_not_put_behind_a_link(ordinary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, sockets = host.directories(ordinary / "data")
    monkeypatch.setattr(os, "geteuid", lambda: ordinary.stat().st_uid or 1234)
    (ordinary / "elsewhere").mkdir()
    (ordinary / "run").mkdir()
    (ordinary / "run/poolwright").symlink_to(ordinary / "elsewhere")
    with pytest.raises(PermanentError, match="belongs to another account"):
        host.make_directories(directory, sockets, Account.own())


def test_a_number_that_a_reboot_gave_to_another_process_is_no_daemon(tmp_path: Path) -> None:
    (tmp_path / "libvirt").mkdir()
    (tmp_path / "libvirt/libvirtd.pid").write_text(str(os.getpid()))
    daemon = PrivateDaemon(Account.own(), tmp_path / "home", tmp_path)
    assert daemon.pid is None
    daemon.end()


def test_one_boot_of_the_host_is_one_name() -> None:
    assert host.boot() == host.boot()
    assert len(host.boot()) > 36


def test_a_path_of_a_socket_is_short_enough_wherever_the_data_directory_is(tmp_path: Path) -> None:
    _, sockets = host.directories(Path("/") / "/".join(["very-long-name"] * 20))
    assert len(str(sockets / "12345678" / "agent")) < 108
