"""Whether machines may use a bridge of this host, asked before anything is started.

A privileged libvirt puts a machine's network card on a bridge itself. Any other has QEMU's bridge helper do it, which
is root's by its mode and asks a list of bridges. Sources: https://wiki.qemu.org/Features/HelperNetworking and QEMU's
`qemu-bridge-helper.c`, which has the only description of the list.

Invariant: nothing is changed here; what is refused comes with the commands that allow it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from poolwright.machines.engine import PermanentError
from poolwright.machines.local.daemon import Account, Libvirt

_NETWORK_CARDS: Final = Path("sys/class/net")
_HELPER: Final = Path("usr/lib/qemu/qemu-bridge-helper")
_LIST: Final = Path("etc/qemu/bridge.conf")
_TUN: Final = Path("dev/net/tun")


def require(name: str, libvirt: Libvirt, root: Path = Path("/")) -> None:
    """Return when machines of that libvirt may use the bridge.

    Raises `PermanentError` with everything that is in the way.
    """
    cards = root / _NETWORK_CARDS
    if not (cards / name / "bridge").is_dir():
        there = sorted(card.name for card in cards.glob("*") if (card / "bridge").is_dir())
        raise PermanentError(
            f"this host has no bridge '{name}'" + (f"; it has {', '.join(there)}" if there else ""),
            remedy=f"Make it: ip link add name {name} type bridge && ip link set {name} up",
        )
    if libvirt.is_privileged:
        return
    helper, allowed, tun = root / _HELPER, root / _LIST, root / _TUN
    if not helper.exists():
        raise PermanentError(
            f"there is no {helper}, which puts network cards on a bridge", remedy="Run `poolwright host install`."
        )
    lacking = []
    if not _is_roots(helper):
        lacking.append((f"{helper} does not run as root", f"chmod u+s {helper}"))
    if not _allows(allowed, name):
        lacking.append((f"{allowed} does not allow it", f"mkdir -p {allowed.parent} && echo allow {name} >> {allowed}"))
    if not tun.exists():
        lacking.append((f"there is no {tun}", "modprobe tun"))
    # As root the helper keeps only its power over the network, not the one over files.
    elif not _may_open(tun, libvirt.account):
        lacking.append((f"the account of machines may not open {tun}", f"chmod 666 {tun}"))
    if lacking:
        raise PermanentError(
            f"machines may not use the bridge '{name}': {', '.join(reason for reason, _ in lacking)}",
            remedy=f"As root: {' && '.join(command for _, command in lacking)}. Or run the service as root with "
            "POOLWRIGHT_LOCAL_URI=qemu:///system, whose libvirt needs none of that.",
        )


def _is_roots(helper: Path) -> bool:
    """Whether the program has root's power over the network when anybody runs it."""
    mode = helper.stat().st_mode
    if mode & stat.S_ISUID:
        return True
    try:
        return bool(os.getxattr(helper, "security.capability"))
    except OSError:
        return False


def _may_open(path: Path, account: Account) -> bool:
    """Whether the account, by itself and its first group, may read and write it."""
    found = path.stat()
    wanted = stat.S_IROTH | stat.S_IWOTH
    if found.st_uid == account.uid:
        wanted = stat.S_IRUSR | stat.S_IWUSR
    elif found.st_gid == account.gid:
        wanted = stat.S_IRGRP | stat.S_IWGRP
    return found.st_mode & wanted == wanted


def _allows(path: Path, name: str) -> bool:
    """Whether the list allows the bridge: something does and nothing denies it. What it includes is not known here."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    words = [line for line in lines if len(line) == 2]
    if any(line[0] == "deny" and line[1] in ("all", name) for line in words):
        return False
    return any(line[0] == "include" or (line[0] == "allow" and line[1] in ("all", name)) for line in words)
