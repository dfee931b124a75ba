"""What a disk file is, and which generations of VM it can boot; found without running it.

A file that somebody brings is not believed: it may name other files (a backing file, an external data file, a parent
disk), which qemu-img would open and copy for whoever wrote the name. So what names other files is found here, by
the file's own header, before qemu-img sees it; and qemu-img is always told the format, never left to guess it.

Invariant: nothing is written but below the work directory, and no program gets more than its limit of time and memory.
"""

from __future__ import annotations

import json
import stat
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from poolwright.domain.generation import Generation
from poolwright.machines.images import programs
from poolwright.machines.images.partitions import (
    BEGINNING_BYTES,
    SECTOR_BYTES,
    BadTable,
    Layout,
    Span,
    TableKind,
    layout,
)
from poolwright.machines.images.programs import ProgramFailed

# The largest OS disk of Azure: https://learn.microsoft.com/azure/virtual-machines/managed-disks-overview#os-disk
LARGEST_DISK_BYTES: Final = 4095 * 1024**3
_LARGEST_ESP_BYTES: Final = 4 * 1024**3
# As OpenStack limits qemu-img for the same reason (oslo.utils, QEMU_IMG_LIMITS), with more time for a slow disk.
_LIMITS: Final = (f"--as={2 * 1024**3}", "--cpu=60")
_TIMEOUT_SECONDS: Final = 300.0
_MTOOLS: Final = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}
# The only loader that firmware starts when nothing is written in its variables: UEFI specification 2.10, 3.5.1.1.
_LOADER_DIRECTORY: Final = "EFI/BOOT"
_LOADER: Final = "BOOTX64.EFI"
_LOADERS_OF_OTHERS: Final = {"BOOTAA64.EFI": "arm64", "BOOTIA32.EFI": "32-bit x86"}
_LOADER_OF_WINDOWS: Final = "EFI/Microsoft/Boot/bootmgfw.efi"
_SECOND_STAGE: Final = "GRUBX64.EFI"


class DiskFormat(StrEnum):
    """The formats that are read, by the names of qemu-img."""

    QCOW2 = "qcow2"
    RAW = "raw"
    VHD = "vpc"
    VHDX = "vhdx"


# What people mistake for a disk, by its first bytes.
_OTHER_FORMATS: Final[Mapping[bytes, str]] = {
    b"KDMV": "a VMDK of VMware",
    b"COWD": "a VMDK of VMware",
    b"# Disk DescriptorFile": "a VMDK of VMware",
    b"<<< ": "a VDI of VirtualBox",
    b"QED\0": "a QED disk",
    b"\x1f\x8b": "compressed by gzip",
    b"\xfd7zXZ\0": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"BZh": "compressed by bzip2",
    b"PK\x03\x04": "a ZIP archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"MSWIM\0\0\0": "a WIM, from which Windows is installed",
}


class DiskRefused(ValueError):
    """The file cannot become an image; the message says why."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. `cannot_boot` says of every generation that is not in `generations` why it cannot.

    `secure_boot` is False where a boot loader has no signature, and None otherwise: only firmware can tell.
    """

    format: DiskFormat
    virtual_bytes: int
    table: TableKind
    generations: frozenset[Generation]
    secure_boot: bool | None
    cannot_boot: Mapping[Generation, str] = field(default_factory=dict)


def inspect(file: Path, work: Path) -> Inspection:
    """Return what a disk file is. Raises `DiskRefused`; `work` is a directory for what has to be read."""
    found = format_of(file)
    information = _asked(file, found, "info")
    size = _virtual_bytes(file, found, information)
    _require_whole(file, found, information)
    try:
        beginning = _read(file, found, Span(0, min(BEGINNING_BYTES, size)), work / "beginning")
        laid_out = layout(beginning.read_bytes(), size)
    except BadTable as error:
        raise DiskRefused(f"{file.name}: {error}") from error
    uefi, secure_boot = _uefi(file, found, laid_out, work)
    reasons = {Generation.V1: laid_out.bios, Generation.V2: uefi}
    return Inspection(
        format=found,
        virtual_bytes=size,
        table=laid_out.table,
        generations=frozenset(generation for generation, reason in reasons.items() if reason is None),
        secure_boot=secure_boot,
        cannot_boot={generation: reason for generation, reason in reasons.items() if reason is not None},
    )


def require_generation(found: Inspection, generation: Generation, definition: str, name: str) -> None:
    """Return when the disk boots in the generation of the definition. Raises `DiskRefused` with the reason."""
    if generation in found.generations:
        return
    firmware = generation.firmware.value.upper()
    others = [
        f"It boots in Generation {other.number} ({other.firmware.value.upper()})."
        for other in sorted(found.generations, key=lambda other: other.number)
    ]
    raise DiskRefused(
        f"{name} does not boot in Generation {generation.number} ({firmware}), which {definition} needs: "
        + " ".join([f"{found.cannot_boot[generation]}.", *others])
    )


def format_of(file: Path) -> DiskFormat:
    """Return the format of a file that stands for itself. Raises `DiskRefused`."""
    try:
        # Before it is opened: opening a pipe waits for its writer.
        if not stat.S_ISREG(file.stat().st_mode):
            raise DiskRefused(f"{file} is no regular file")
        with file.open("rb") as opened:
            beginning = opened.read(SECTOR_BYTES)
            opened.seek(max(0, file.stat().st_size - SECTOR_BYTES))
            end = opened.read(SECTOR_BYTES)
    except OSError as error:
        raise DiskRefused(f"{file} cannot be read: {error.strerror}") from error
    if not beginning:
        raise DiskRefused(f"{file.name} is empty")
    for magic, what in _OTHER_FORMATS.items():
        if beginning.startswith(magic):
            raise DiskRefused(f"{file.name} is {what}; qcow2, raw, vhd and vhdx are understood")
    if beginning.startswith(b"QFI\xfb"):
        _require_qcow2_alone(file, beginning)
        return DiskFormat.QCOW2
    if beginning.startswith(b"vhdxfile"):
        _require_vhdx_alone(file)
        return DiskFormat.VHDX
    if end.startswith(b"conectix"):
        _require_vhd_alone(file, end)
        return DiskFormat.VHD
    if beginning.startswith(b"conectix"):
        raise DiskRefused(f"{file.name} is a VHD whose end is missing")
    return DiskFormat.RAW


def qcow2_bytes(file: Path, found: DiskFormat) -> int:
    """Return how large the disk will be as a qcow2, which is more than the file where that is compressed."""
    return int(_asked(file, found, "measure", "-O", "qcow2")["required"])


def options(file: Path, found: DiskFormat) -> dict[str, str]:
    """Return the options that let QEMU open exactly this file in exactly this format."""
    chosen = {"driver": str(found), "file.driver": "file", "file.filename": str(file.absolute())}
    if found is DiskFormat.VHD:
        # The size in the footer, not the one by cylinders, which is smaller.
        chosen["force_size_calc"] = "current_size"
    return chosen


def image_options(chosen: Mapping[str, str]) -> str:
    """Return options as `--image-opts` takes them."""
    return ",".join(f"{name}={value.replace(',', ',,')}" for name, value in chosen.items())


# Source of the fields: docs/interop/qcow2.txt of QEMU.
_QCOW2: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_QCOW2_CORRUPT, _QCOW2_DATA_FILE = 1 << 1, 1 << 2


def _require_qcow2_alone(file: Path, beginning: bytes) -> None:
    if len(beginning) < _QCOW2.size + 8:
        raise DiskRefused(f"{file.name} is a qcow2 whose end is missing")
    _, version, backing, _, _, _, encryption, *_ = _QCOW2.unpack_from(beginning)
    if version not in (2, 3):
        raise DiskRefused(f"{file.name} is a qcow of version {version}; 2 and 3 are understood")
    if backing:
        raise DiskRefused(
            f"{file.name} is an overlay on another file, which it names: write all of it into one file first "
            "(qemu-img convert -O qcow2)"
        )
    if encryption:
        raise DiskRefused(f"{file.name} is encrypted")
    if version == 3:
        (incompatible,) = struct.unpack_from(">Q", beginning, _QCOW2.size)
        if incompatible & _QCOW2_DATA_FILE:
            raise DiskRefused(f"{file.name} keeps its data in another file, which it names: write all of it into one")
        if incompatible & _QCOW2_CORRUPT:
            raise DiskRefused(f"{file.name} is marked as corrupt by whatever wrote it last")


# Source: "Virtual Hard Disk Image Format Specification", hard disk footer.
_VHD_TYPE_AT: Final = 60
_VHD_TYPES: Final = {2: "fixed", 3: "dynamic"}


def _require_vhd_alone(file: Path, footer: bytes) -> None:
    (kind,) = struct.unpack_from(">I", footer, _VHD_TYPE_AT)
    if kind not in _VHD_TYPES:
        what = "a differencing disk on another file" if kind == 4 else f"of the unknown type {kind}"
        raise DiskRefused(f"{file.name} is a VHD that is {what}; fixed and dynamic ones are understood")


# Source: MS-VHDX, 2.2.3 (region table) and 2.6 (metadata region). Both tables: a head, then entries of 32 bytes.
_VHDX_REGIONS_AT: Final = 192 * 1024
_VHDX_METADATA: Final = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_VHDX_FILE_PARAMETERS: Final = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_VHDX_HAS_PARENT: Final = 2


def _require_vhdx_alone(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            metadata = _vhdx_entry(opened, _VHDX_REGIONS_AT, b"regi", "<8xI", 16, _VHDX_METADATA, "<16xQ")
            item = _vhdx_entry(opened, metadata, b"metadata", "<10xH", 32, _VHDX_FILE_PARAMETERS, "<16xI")
            opened.seek(metadata + item)
            _, flags = struct.unpack("<II", opened.read(8))
    except (OSError, LookupError, struct.error) as error:
        raise DiskRefused(f"{file.name} is a VHDX that is damaged: its tables cannot be read") from error
    if flags & _VHDX_HAS_PARENT:
        raise DiskRefused(f"{file.name} is a VHDX that is a differencing disk on another file")


def _vhdx_entry(
    opened: BinaryIO, at: int, signature: bytes, count: str, head_bytes: int, wanted: uuid.UUID, place: str
) -> int:
    """Where the table at a place of the file says that something is. Raises `LookupError` or `struct.error`."""
    opened.seek(at)
    head = opened.read(head_bytes)
    if not head.startswith(signature):
        raise LookupError(signature)
    (entries,) = struct.unpack_from(count, head)
    for _ in range(min(entries, 2047)):  # the most that the specification allows
        entry = opened.read(32)
        if uuid.UUID(bytes_le=entry[:16].ljust(16, b"\0")) == wanted:
            found: int = struct.unpack_from(place, entry)[0]
            return found
    raise LookupError(wanted)


def _virtual_bytes(file: Path, found: DiskFormat, information: Mapping[str, Any]) -> int:
    size = int(information["virtual-size"])
    if size > LARGEST_DISK_BYTES:
        raise DiskRefused(
            f"{file.name} is a disk of {size // 1024**3:,} GiB, and an OS disk has "
            f"{LARGEST_DISK_BYTES // 1024**3:,} at most"
        )
    if found is DiskFormat.RAW and (length := file.stat().st_size) % SECTOR_BYTES:
        raise DiskRefused(f"{file.name} has {length:,} bytes, no whole sectors of {SECTOR_BYTES}: the end is missing")
    return size


def _require_whole(file: Path, found: DiskFormat, information: Mapping[str, Any]) -> None:
    if found not in (DiskFormat.QCOW2, DiskFormat.VHDX):
        return  # qemu-img cannot check the others
    answer = _asked(file, found, "check")
    if wrong := answer.get("corruptions", 0) + answer.get("check-errors", 0):
        raise DiskRefused(f"{file.name} is damaged: qemu-img check finds {wrong} errors in it")
    # A compressed cluster at the end is not filled up to the whole cluster that the answer counts.
    unfilled = information["cluster-size"] - 1 if answer.get("compressed-clusters") else 0
    if answer.get("image-end-offset", 0) > file.stat().st_size + unfilled:
        raise DiskRefused(f"{file.name} is damaged: its end is missing")


def _asked(file: Path, found: DiskFormat, verb: str, *further: str) -> dict[str, Any]:
    """The JSON that `qemu-img info`, `check` or `measure` prints."""
    opened = image_options(options(file, found))
    try:
        printed = _limited("qemu-img", verb, "--output=json", *further, "--image-opts", opened)
        answer = json.loads(printed)
        assert isinstance(answer, dict)
    except (ProgramFailed, ValueError, AssertionError) as error:
        raise DiskRefused(f"{file.name} is damaged: {_without_path(error, file)}") from error
    return answer


def _read(file: Path, found: DiskFormat, part: Span, target: Path) -> Path:
    """A part of the disk as a raw, sparse file."""
    inner = {f"file.{name}": value for name, value in options(file, found).items()}
    chosen = {"driver": "raw", "offset": str(part.start), "size": str(part.size), **inner}
    try:
        _limited("qemu-img", "convert", "--image-opts", image_options(chosen), "-O", "raw", str(target))
    except ProgramFailed as error:
        raise DiskRefused(f"{file.name} is damaged: {_without_path(error, file)}") from error
    return target


def _uefi(file: Path, found: DiskFormat, laid_out: Layout, work: Path) -> tuple[str | None, bool | None]:
    """Why UEFI cannot boot the disk, or None; and `Inspection.secure_boot`."""
    if laid_out.esp is None:
        return "it has no EFI system partition", None
    if laid_out.esp.size > _LARGEST_ESP_BYTES:
        return f"its EFI system partition has {laid_out.esp.size:,} bytes, which are not looked through", None
    esp = _read(file, found, laid_out.esp, work / "esp")
    try:
        listed = _limited("mdir", "-b", "-i", str(esp), f"::/{_LOADER_DIRECTORY}").decode("utf-8", "replace")
    except ProgramFailed as error:
        if error.code is None:
            raise
        return f"its EFI system partition has no directory \\EFI\\BOOT{_of_windows(esp)}", None
    names = {line.strip().rpartition("/")[2].upper(): line.strip() for line in listed.splitlines() if line.strip()}
    if _LOADER not in names:
        others = [what for name, what in _LOADERS_OF_OTHERS.items() if name in names]
        only = f", only one for {' and '.join(others)}" if others else _of_windows(esp)
        return f"its EFI system partition has no \\EFI\\BOOT\\{_LOADER}{only}", None
    signed = []
    for name in (_LOADER, _SECOND_STAGE):
        if name in names:
            program = _program(esp, names[name], work / name)
            if program is None:
                return f"\\EFI\\BOOT\\{name} is no program for 64-bit x86", None
            signed.append(program)
    return None, None if all(signed) else False


def _of_windows(esp: Path) -> str:
    """What is said of a disk that was taken out of a machine whose variables name Windows's own loader; else ""."""
    try:
        _limited("mdir", "-b", "-i", str(esp), f"::/{_LOADER_OF_WINDOWS}")
    except ProgramFailed as error:
        if error.code is None:
            raise
        return ""
    place = _LOADER_OF_WINDOWS.replace("/", "\\")
    return f", and \\{place} is started only where the firmware's variables name it: copy it to \\EFI\\BOOT\\{_LOADER}"


def _program(esp: Path, place: str, target: Path) -> bool | None:
    """Whether an EFI program has a signature; None when it is none for 64-bit x86."""
    _limited("mcopy", "-n", "-i", str(esp), place, str(target))
    return has_signature(target.read_bytes())


# Source: "PE Format", Microsoft: the certificate table is the fifth data directory of the optional header.
_PE_AT, _PE32_PLUS, _X86_64, _CERTIFICATES_AT = 0x3C, 0x20B, 0x8664, 24 + 112 + 4 * 8


def has_signature(program: bytes) -> bool | None:
    """Return whether a PE program has an Authenticode signature, good or not; None when it is none for 64-bit x86."""
    try:
        (at,) = struct.unpack_from("<I", program, _PE_AT)
        (machine,) = struct.unpack_from("<H", program, at + 4)
        (magic,) = struct.unpack_from("<H", program, at + 24)
        _, size = struct.unpack_from("<II", program, at + _CERTIFICATES_AT)
    except struct.error:
        return None
    if program[:2] != b"MZ" or program[at : at + 4] != b"PE\0\0" or (machine, magic) != (_X86_64, _PE32_PLUS):
        return None
    return bool(size)


def _limited(name: str, *arguments: str) -> bytes:
    return programs.run(
        "prlimit", *_LIMITS, "--", *programs.line(name, *arguments),
        environment=_MTOOLS, timeout_seconds=_TIMEOUT_SECONDS,
    )  # fmt: skip


def _without_path(error: Exception, file: Path) -> str:
    text = str(error).splitlines()[-1] if str(error) else "it cannot be read"
    return text.replace(str(file.absolute()), file.name)
