"""What the first bytes of a disk say: its partition table, and whether a BIOS would find something to boot.

Pure: bytes in, facts out. Sources: UEFI specification 2.10, chapter 5 (GPT, protective MBR); for the MBR, the
layout that every BIOS since the IBM PC reads; for GRUB on GPT, the GRUB manual, "BIOS installation".

Invariant: numbers that come from the disk are checked before they are used.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SECTOR_BYTES: Final = 512
# What is read of a disk: the tables, for every layout that is in use.
BEGINNING_BYTES: Final = 1024 * 1024

_ESP: Final = uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
_BIOS_BOOT: Final = uuid.UUID("21686148-6449-6E6F-744E-656564454649")
_MBR_ESP: Final = 0xEF
_MBR_PROTECTIVE: Final = 0xEE
_ACTIVE: Final = 0x80
_BOOT_CODE: Final = slice(0, 440)
_SIGNATURE: Final = b"EFI PART"
_GPT_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_MOST_ENTRIES: Final = 1024
_ENTRY_SIZES: Final = (128, 256, 512)


class TableKind(StrEnum):
    """The kinds of partition table."""

    MBR = "mbr"
    GPT = "gpt"


class BadTable(ValueError):
    """The disk has no partition table that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a disk, in bytes."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a disk is divided. `bios` is None where a BIOS can boot it, otherwise why it cannot."""

    table: TableKind
    esp: Span | None
    bios: str | None


@dataclass(frozen=True, slots=True)
class _Partition:
    kind: int | uuid.UUID
    first_sector: int
    sectors: int
    active: bool = False

    @property
    def span(self) -> Span:
        return Span(self.first_sector * SECTOR_BYTES, self.sectors * SECTOR_BYTES)


def layout(beginning: bytes, disk_bytes: int) -> Layout:
    """Return how a disk of that size is divided; `beginning` is its first `BEGINNING_BYTES` or all of it.

    Raises `BadTable`.
    """
    if len(beginning) < 2 * SECTOR_BYTES or not beginning.strip(b"\0"):
        raise BadTable("the disk is blank: it has neither boot code nor a partition table")
    if beginning[510:512] != b"\x55\xaa":
        if beginning[4096:4104] == _SIGNATURE or beginning[512:520] == _SIGNATURE:
            raise BadTable("it has a GPT without the protective MBR in front of it, which is damaged")
        raise BadTable("it has no partition table: neither an MBR nor a GPT")
    entries = _mbr_entries(beginning)
    if not any(entry.kind == _MBR_PROTECTIVE for entry in entries):
        return _mbr(beginning, entries, disk_bytes)
    if beginning[512:520] != _SIGNATURE:
        if beginning[4096:4104] == _SIGNATURE:
            raise BadTable("its GPT is laid out for sectors of 4096 bytes; machines here have sectors of 512")
        raise BadTable("its MBR announces a GPT, and there is none: it is damaged")
    return _gpt(beginning, disk_bytes)


def _mbr(beginning: bytes, entries: Sequence[_Partition], disk_bytes: int) -> Layout:
    if not entries:
        raise BadTable("its MBR has no partitions")
    _require_within(entries, disk_bytes)
    esp = next((entry.span for entry in entries if entry.kind == _MBR_ESP), None)
    code = beginning[_BOOT_CODE]
    if not code.strip(b"\0"):
        bios = "its MBR has no boot code"
    elif not any(entry.active for entry in entries) and b"GRUB" not in code:
        # GRUB alone does not look for the active partition.
        bios = "no partition of its MBR is active"
    else:
        bios = None
    return Layout(TableKind.MBR, esp, bios)


def _gpt(beginning: bytes, disk_bytes: int) -> Layout:
    header = _GPT_HEADER.unpack_from(beginning, SECTOR_BYTES)
    _, _, header_bytes, header_sum, _, _, backup_sector, *_, first, count, entry_bytes, entries_sum = header
    if not _GPT_HEADER.size <= header_bytes <= SECTOR_BYTES:
        raise BadTable("the header of its GPT is damaged")
    raw = bytearray(beginning[SECTOR_BYTES : SECTOR_BYTES + header_bytes])
    raw[16:20] = bytes(4)
    if zlib.crc32(raw) != header_sum:
        raise BadTable("the header of its GPT is damaged: the checksum is wrong")
    start, size = first * SECTOR_BYTES, count * entry_bytes
    if count > _MOST_ENTRIES or entry_bytes not in _ENTRY_SIZES or start + size > len(beginning):
        raise BadTable(f"its GPT has {count} entries of {entry_bytes} bytes from sector {first} on, which nobody makes")
    table = beginning[start : start + size]
    if zlib.crc32(table) != entries_sum:
        raise BadTable("the entries of its GPT are damaged: the checksum is wrong")
    if (backup_sector + 1) * SECTOR_BYTES > disk_bytes:
        raise BadTable(
            f"its GPT is of a disk of {(backup_sector + 1) * SECTOR_BYTES:,} bytes, and it has {disk_bytes:,}: "
            "the end is missing"
        )
    entries = [entry for at in range(0, size, entry_bytes) if (entry := _gpt_entry(table, at)) is not None]
    if not entries:
        raise BadTable("its GPT has no partitions")
    _require_within(entries, disk_bytes)
    esp = next((entry.span for entry in entries if entry.kind == _ESP), None)
    if not beginning[_BOOT_CODE].strip(b"\0"):
        bios = "it has a GPT without boot code in front of it"
    elif not any(entry.kind == _BIOS_BOOT for entry in entries):
        bios = "it has a GPT without a BIOS boot partition"
    else:
        bios = None
    return Layout(TableKind.GPT, esp, bios)


def _mbr_entries(beginning: bytes) -> list[_Partition]:
    entries = []
    for at in range(446, 510, 16):
        status, kind, first, sectors = struct.unpack_from("<B3xB3xII", beginning, at)
        if kind and sectors:
            entries.append(_Partition(kind, first, sectors, status == _ACTIVE))
    return entries


def _gpt_entry(table: bytes, at: int) -> _Partition | None:
    kind = uuid.UUID(bytes_le=table[at : at + 16])
    first, last = struct.unpack_from("<QQ", table, at + 32)
    if kind.int == 0:
        return None
    if last < first:
        raise BadTable("a partition of its GPT ends before it begins")
    return _Partition(kind, first, last - first + 1)


def _require_within(entries: Sequence[_Partition], disk_bytes: int) -> None:
    for entry in entries:
        end = entry.span.start + entry.span.size
        if end > disk_bytes:
            raise BadTable(f"a partition ends at byte {end:,}, and the disk has {disk_bytes:,}: the end is missing")
