"""What services left on this host whose data directories are gone: machines, their files, their sockets.

Invariant: nothing of a service whose data directory is there is touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from poolwright.machines.local import host
from poolwright.machines.local.daemon import Libvirt, libvirt_of, private_daemon
from poolwright.machines.local.hypervisor import Domain, Hypervisor

_PREFIX: Final = "poolwright-"
_OWNER: Final = "data-directory"


def mark(directory: Path, data: Path, uri: str | None) -> None:
    """The directory of machines says whose they are and where their libvirt is, which is read of root's alone."""
    (directory / _OWNER).write_text(f"{data}\n{uri or ''}\n")


def clean(uri: str | None, tell: Callable[[str], None]) -> int:
    """End and remove what was left, and return of how many services it was.

    `uri` is where an ordinary account's libvirt is, None for its session; root's services said where theirs is.
    Raises `PermanentError` or `TemporaryError` of libvirt.
    """
    return _clean_root(tell) if os.geteuid() == 0 else _clean_own(uri, tell)


def _clean_root(tell: Callable[[str], None]) -> int:
    """Root's machines lie outside of data directories, each service's in a directory that says whose it is."""
    number = 0
    for owner in sorted(host.ROOT_MACHINES.glob(f"*/{_OWNER}")):
        data, _, uri = owner.read_text().partition("\n")
        if not Path(data).exists():
            _clean_directory(owner.parent, host.ROOT_SOCKETS / owner.parent.name, uri.strip() or None, tell)
            number += 1
    return number


def _clean_directory(directory: Path, sockets: Path, uri: str | None, tell: Callable[[str], None]) -> None:
    _end(libvirt_of(uri, directory, sockets), lambda disk: disk.is_relative_to(directory), tell)
    if uri is None:
        private_daemon(directory, sockets).end()
    for place in (directory, sockets):
        shutil.rmtree(place, ignore_errors=True)


def _clean_own(uri: str | None, tell: Callable[[str], None]) -> int:
    """An ordinary account's lie in the data directory; libvirt still knows where their disks were."""
    libvirt = libvirt_of(uri, Path(), Path())
    ended = _end(libvirt, lambda disk: not host.data_of(disk).exists(), tell)
    gone = {host.data_of(disk) for disk in ended}
    for data in gone:
        shutil.rmtree(host.directories(data)[1], ignore_errors=True)
    return len(gone)


def _end(libvirt: Libvirt, was_left: Callable[[Path], bool], tell: Callable[[str], None]) -> list[Path]:
    """End the machines whose disks were left, and return the disks."""
    hypervisor = libvirt.hypervisor()
    try:
        found = [(domain, hypervisor.disk_of(domain.uuid)) for domain in hypervisor.domains(_PREFIX).values()]
        left = [(domain, disk) for domain, disk in found if disk is not None and was_left(disk)]
        for domain, _ in left:
            tell(f"ending {domain.name}")
            remove(hypervisor, domain, libvirt.logs)
        return [disk for _, disk in left]
    finally:
        hypervisor.close()


def remove(hypervisor: Hypervisor, domain: Domain, logs: tuple[Path, ...]) -> None:
    """The machine is ended, and libvirt has nothing of it: no definition, NVRAM, TPM state or log."""
    hypervisor.end(domain.uuid)
    hypervisor.undefine(domain.uuid)
    remove_logs(domain.name, logs)


def remove_logs(name: str, logs: tuple[Path, ...]) -> None:
    """What QEMU, and swtpm beside it, have written about a machine is gone."""
    for directory in logs:
        for written in directory.glob(f"{name}*.log"):
            written.unlink(missing_ok=True)
