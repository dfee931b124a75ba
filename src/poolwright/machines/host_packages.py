"""The Debian packages that real machines need on this host: one table.

`poolwright images build` and the machine engine ask it what is missing; whoever installs packages for them reads
the same rows. Sources: the package's page at https://packages.debian.org/bookworm/NAME; which ones are needed was
found by building and booting.

Invariant: a package counts as installed when what it is `recognised_by` is there, wherever it came from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# An ordinary user's PATH lacks the directories of mkfs.vfat, modinfo and sfdisk.
_ADMINISTRATION = ("/usr/sbin", "/sbin")


class Use(Enum):
    """What a package is needed for."""

    RUN = "to run machines"
    BUILD = "to build node images"
    IMPORT = "to import disks"


@dataclass(frozen=True, slots=True)
class HostPackage:
    """A package; `recognised_by` is a command, or a file by its absolute path."""

    name: str
    recognised_by: str
    why: str
    uses: tuple[Use, ...]

    @property
    def is_installed(self) -> bool:
        if self.recognised_by.startswith("/"):
            return Path(self.recognised_by).exists()
        return command(self.recognised_by) is not None


HOST_PACKAGES = (
    HostPackage("qemu-system-x86", "qemu-system-x86_64", "the virtual machines", (Use.RUN,)),
    HostPackage("qemu-utils", "qemu-img", "disk files: overlays, conversion, checks", (Use.RUN, Use.BUILD, Use.IMPORT)),
    HostPackage("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "the UEFI firmware of Generation 2", (Use.RUN,)),
    HostPackage("seabios", "/usr/share/seabios/bios-256k.bin", "the BIOS of Generation 1", (Use.RUN,)),
    HostPackage("ipxe-qemu", "/usr/lib/ipxe/qemu/efi-virtio.rom", "the boot ROM of network cards", (Use.RUN,)),
    HostPackage("swtpm", "swtpm", "the TPM 2.0 of Trusted Launch", (Use.RUN,)),
    HostPackage("swtpm-tools", "swtpm_setup", "the first state of a TPM", (Use.RUN,)),
    HostPackage("libvirt-daemon", "libvirtd", "the daemon that keeps machines running", (Use.RUN,)),
    HostPackage(
        "libvirt-daemon-driver-qemu",
        "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
        "libvirt's driver for QEMU",
        (Use.RUN,),
    ),
    HostPackage("libvirt-dev", "/usr/include/libvirt/libvirt.h", "compiling libvirt-python", (Use.RUN,)),
    HostPackage("pkg-config", "pkg-config", "compiling libvirt-python", (Use.RUN,)),
    HostPackage("gcc", "gcc", "compiling libvirt-python", (Use.RUN,)),
    HostPackage("mtools", "mcopy", "files on FAT file systems without mounting them", (Use.RUN, Use.BUILD, Use.IMPORT)),
    HostPackage("dosfstools", "mkfs.vfat", "FAT file systems", (Use.RUN, Use.BUILD)),
    HostPackage("fdisk", "sfdisk", "partition tables", (Use.BUILD,)),
    HostPackage("grub-common", "grub-mkimage", "GRUB for the BIOS", (Use.BUILD,)),
    HostPackage("grub-pc-bin", "/usr/lib/grub/i386-pc/boot.img", "GRUB for the BIOS", (Use.BUILD,)),
    HostPackage("kmod", "modinfo", "which kernel module needs which", (Use.BUILD,)),
    HostPackage("cpio", "cpio", "the initial RAM disk", (Use.BUILD,)),
    HostPackage("zstd", "zstd", "the initial RAM disk", (Use.BUILD,)),
)


class MissingPackages(Exception):
    """The host lacks packages; the message names them and the line that installs them."""

    def __init__(self, packages: Collection[HostPackage], use: Use) -> None:
        names = [package.name for package in packages]
        needed = "\n".join(f"  {package.name:<16}{package.why}" for package in packages)
        super().__init__(
            f"this host lacks Debian packages {use.value}:\n{needed}\nInstall them with: {install_line(names)}"
        )
        self.names = tuple(names)


def command(name: str) -> str | None:
    """Return the path of a command, in the PATH or in the directories of the administrator; None without."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMINISTRATION)))


def missing(use: Use) -> tuple[HostPackage, ...]:
    """Return the packages of a use that are not installed here."""
    return tuple(package for package in HOST_PACKAGES if use in package.uses and not package.is_installed)


def require(use: Use) -> None:
    """Return when everything for a use is installed. Raises `MissingPackages`."""
    if packages := missing(use):
        raise MissingPackages(packages, use)


def install_line(names: Collection[str]) -> str:
    """Return the shell command that installs packages."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {' '.join(names)}"
