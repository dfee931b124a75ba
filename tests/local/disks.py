"""Disk files for tests, made by the programs that people make them with."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from poolwright.machines import host_packages
from poolwright.machines.images import disk

MIB = 1024 * 1024
MBR = "label: dos\nlabel-id: 0x1\nstart=2048, type=7, bootable\n"
GPT = "label: gpt\nstart=2048, size=86016, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
HYBRID = (
    "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n"
    "start=4096, size=86016, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"
)
# As Windows Setup lays out a disk for UEFI: EFI system, Microsoft reserved, and the volume of Windows.
WINDOWS = (
    f"{GPT}start=88064, size=2048, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\n"
    "start=90112, size=6144, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
)
ESP_BYTES = 42 * MIB


def program(name: str, *arguments: str | Path) -> None:
    found = host_packages.command(name)
    assert found is not None
    subprocess.run([found, *map(str, arguments)], check=True, capture_output=True, timeout=120)


def efi_program(*, signed: bool = True, machine: int = 0x8664) -> bytes:
    """The headers of an EFI program, which is all that is looked at."""
    head = bytearray(512)
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 0x80)
    struct.pack_into("<4sH", head, 0x80, b"PE\0\0", machine)
    struct.pack_into("<H", head, 0x80 + 24, 0x20B)
    struct.pack_into("<II", head, 0x80 + 24 + 112 + 32, 0x200, 0x100 if signed else 0)
    return bytes(head)


def raw(directory: Path, table: str, *, code: bytes = b"\xfa", esp: Mapping[str, bytes] | None = None) -> Path:
    """A raw disk of 48 MiB with a partition table, boot code, and files on its EFI system partition."""
    file = directory / "disk.raw"
    disk.blank(file, 48 * MIB)
    disk.partition(file, table)
    with file.open("r+b") as opened:
        opened.write(code)
    if esp is not None:
        places = {}
        for number, (place, content) in enumerate(esp.items()):
            places[place] = directory / f"file{number}"
            places[place].write_bytes(content)
        (directory / "esp").unlink(missing_ok=True)
        disk.fat(directory / "esp", ESP_BYTES, "ESP", places)
        disk.paste(file, directory / "esp", 4096 if table == HYBRID else 2048)
    return file


def gen1(directory: Path) -> Path:
    return raw(directory, MBR)


def gen2(directory: Path) -> Path:
    return raw(directory, GPT, code=b"", esp={"EFI/BOOT/BOOTX64.EFI": efi_program()})


def windows(directory: Path, *, for_any_firmware: bool = True) -> Path:
    """A disk as Windows has it; its loader also where firmware looks whose variables do not name it, or only there."""
    loader = efi_program()
    esp = {"EFI/Microsoft/Boot/bootmgfw.efi": loader, "EFI/Microsoft/Boot/BCD": b"regf"}
    if for_any_firmware:
        esp["EFI/Boot/bootx64.efi"] = loader
    file = raw(directory, WINDOWS, code=b"", esp=esp)
    with file.open("r+b") as opened:
        opened.seek(90112 * 512)
        opened.write(b"\xebR\x90NTFS    ")
    return file


def hybrid(directory: Path) -> Path:
    return raw(directory, HYBRID, esp={"EFI/BOOT/BOOTX64.EFI": efi_program()})


def converted(file: Path, form: str, *options: str) -> Path:
    """The same disk in another format, by the name of qemu-img."""
    target = file.with_suffix(f".{form}")
    program("qemu-img", "convert", "-f", "raw", "-O", form, *options, file, target)
    return target
