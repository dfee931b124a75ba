"""Disks as plain files: partition tables, a FAT file system, GRUB for the BIOS; no root, no loop device, no mount.

Invariant: the same files give the same bytes. Every identifier is fixed and every time is the first one FAT knows.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from poolwright.machines.images import programs

SECTOR_BYTES: Final = 512
MIB: Final = 1024 * 1024
GRUB_FOR_BIOS: Final = Path("/usr/lib/grub/i386-pc")

# 1980-01-01 00:00 UTC, where the times of FAT begin.
_REPRODUCIBLE: Final = {"SOURCE_DATE_EPOCH": "315532800", "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}
_VOLUME_ID: Final = "504f4f4c"  # "POOL"

# Fields of GRUB's boot.img and of the first sector of its core image (diskboot.img), as `grub-bios-setup` sets them.
# Source: include/grub/i386/pc/boot.h and util/setup.c of GRUB 2.06.
_KERNEL_SECTOR: Final = 0x5C
_BOOT_DRIVE: Final = 0x64
_DRIVE_CHECK: Final = 0x66
_DISK_SIGNATURE_AND_TABLE: Final = slice(0x1B8, SECTOR_BYTES)
_FIRST_BLOCKLIST: Final = SECTOR_BYTES - 12
_KERNEL_SEGMENT: Final = 0x820
_DRIVE_OF_BIOS: Final = 0xFF
_TWO_NOPS: Final = b"\x90\x90"


def blank(disk: Path, size_bytes: int) -> None:
    """Make an empty disk; it takes no space."""
    with disk.open("wb") as file:
        file.truncate(size_bytes)


def partition(disk: Path, script: str) -> None:
    """Write the partition table that a script of sfdisk describes."""
    programs.run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, given=script.encode())


def fat(file: Path, size_bytes: int, label: str, files: Mapping[str, Path], *, bits: int = 32) -> None:
    """Make a FAT file system that holds files, by their places in it; FAT12 is for the smallest."""
    programs.run(
        "mkfs.vfat", "-C", "-F", str(bits), "-s", "1", "-n", label, "-i", _VOLUME_ID, "--invariant",
        file, str(size_bytes // 1024), environment=_REPRODUCIBLE,
    )  # fmt: skip
    directories = {str(parent) for place in files for parent in Path(place).parents if parent != Path(".")}
    for directory in sorted(directories):
        programs.run("mmd", "-i", file, f"::/{directory}", environment=_REPRODUCIBLE)
    for place in sorted(files):
        programs.run("mcopy", "-i", file, files[place], f"::/{place}", environment=_REPRODUCIBLE)


def paste(disk: Path, part: Path, sector: int) -> None:
    """Write a file onto a disk from a sector on."""
    with disk.open("r+b") as file:
        file.seek(sector * SECTOR_BYTES)
        file.write(part.read_bytes())


def install_grub_for_bios(disk: Path, scratch: Path, prefix: str, modules: Sequence[str], core_sector: int) -> None:
    """Put GRUB into the boot sector, with its core image from `core_sector` on; the partition table stays.

    `prefix` is where GRUB finds `grub.cfg`. It is what grub-bios-setup does, which wants a device.
    """
    core_file = scratch / "core.img"
    programs.run(
        "grub-mkimage", "-O", "i386-pc", "-d", GRUB_FOR_BIOS, "-o", core_file, "-p", prefix, *modules
    )  # fmt: skip
    core = bytearray(core_file.read_bytes())
    boot = bytearray((GRUB_FOR_BIOS / "boot.img").read_bytes())
    further_sectors = -(-len(core) // SECTOR_BYTES) - 1
    struct.pack_into("<QHH", core, _FIRST_BLOCKLIST, core_sector + 1, further_sectors, _KERNEL_SEGMENT)
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, core_sector)
    boot[_BOOT_DRIVE] = _DRIVE_OF_BIOS
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _TWO_NOPS
    with disk.open("r+b") as file:
        boot[_DISK_SIGNATURE_AND_TABLE] = file.read(SECTOR_BYTES)[_DISK_SIGNATURE_AND_TABLE]
        file.seek(0)
        file.write(boot)
        file.seek(core_sector * SECTOR_BYTES)
        file.write(core)


def to_qcow2(raw: Path, qcow2: Path) -> None:
    """Write a raw disk as qcow2."""
    programs.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
