"""What keeps machines from a bridge is said before anything is started, all at once and with the commands that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolwright.machines.engine import PermanentError
from poolwright.machines.local import bridge
from poolwright.machines.local.daemon import Account, Libvirt

PRIVILEGED = Libvirt("qemu:///system", Account("libvirt-qemu", 64055, 64055), (), is_privileged=True)
ORDINARY = Libvirt("qemu:///session", Account(None, 12345, 12345), ())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with a bridge, another network card, and the helper as Debian installs it."""
    (tmp_path / "sys/class/net/br0/bridge").mkdir(parents=True)
    (tmp_path / "sys/class/net/eth0").mkdir()
    (tmp_path / "usr/lib/qemu").mkdir(parents=True)
    (tmp_path / "usr/lib/qemu/qemu-bridge-helper").touch(mode=0o755)
    (tmp_path / "dev/net").mkdir(parents=True)
    (tmp_path / "dev/net/tun").touch()
    (tmp_path / "dev/net/tun").chmod(0o666)
    return tmp_path


def listed(root: Path, text: str) -> None:
    (root / "etc/qemu").mkdir(parents=True, exist_ok=True)
    (root / "etc/qemu/bridge.conf").write_text(text)


def refused(root: Path, name: str = "br0", libvirt: Libvirt = ORDINARY) -> PermanentError:
    with pytest.raises(PermanentError) as raised:
        bridge.require(name, libvirt, root)
    return raised.value


@pytest.mark.parametrize("libvirt", [PRIVILEGED, ORDINARY])
def test_a_bridge_that_is_none_is_refused_with_those_there_are(root: Path, libvirt: Libvirt) -> None:
    for name in ("virbr0", "eth0"):
        error = refused(root, name, libvirt)
        assert str(error) == f"this host has no bridge '{name}'; it has br0"
        assert f"ip link add name {name} type bridge" in str(error.remedy)


def test_a_privileged_libvirt_needs_only_the_bridge(root: Path) -> None:
    bridge.require("br0", PRIVILEGED, root)


def test_any_other_needs_the_helper_as_root_and_the_list(root: Path) -> None:
    helper = root / "usr/lib/qemu/qemu-bridge-helper"
    error = refused(root)
    assert "does not run as root, " in str(error)
    assert "bridge.conf does not allow it" in str(error)
    assert f"chmod u+s {helper} && mkdir -p" in str(error.remedy)
    helper.chmod(0o4755)
    error = refused(root)
    assert "does not run as root" not in str(error)
    assert "chmod" not in str(error.remedy)
    listed(root, "allow br0\n")
    bridge.require("br0", ORDINARY, root)
    helper.unlink()
    assert "there is no" in str(refused(root))


def test_any_other_needs_the_device_as_well_which_the_helper_opens_without_the_power_of_root(root: Path) -> None:
    (root / "usr/lib/qemu/qemu-bridge-helper").chmod(0o4755)
    listed(root, "allow br0\n")
    tun = root / "dev/net/tun"
    tun.chmod(0o600)
    error = refused(root)
    assert str(error).endswith(f"the account of machines may not open {tun}")
    assert f"As root: chmod 666 {tun}." in str(error.remedy)
    mine = Libvirt("", Account(None, tun.stat().st_uid, 1), ())
    bridge.require("br0", mine, root)
    tun.chmod(0o660)
    bridge.require("br0", Libvirt("", Account(None, 12345, tun.stat().st_gid), ()), root)
    tun.unlink()
    assert "modprobe tun" in str(refused(root).remedy)


@pytest.mark.parametrize(
    ("text", "allows"),
    [
        ("", False),
        ("# allow br0\n", False),
        ("allow br1\n", False),
        ("allow br0\n", True),
        ("allow all\n", True),
        ("allow all\ndeny br0\n", False),
        ("deny all\nallow br0\n", False),
        ("deny br1\nallow br0\n", True),
        ("include /etc/qemu/alice.conf\n", True),
    ],
)
def test_the_list_is_read_as_the_helper_reads_it(root: Path, text: str, allows: bool) -> None:
    (root / "usr/lib/qemu/qemu-bridge-helper").chmod(0o4755)
    listed(root, text)
    if allows:
        bridge.require("br0", ORDINARY, root)
    else:
        assert "does not allow it" in str(refused(root))
