"""What a disk file is found to be: every format and layout, and every kind of file that must be refused."""

from __future__ import annotations

import os
import shutil
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.machines.images import inspection
from poolwright.machines.images.importing import import_disk
from poolwright.machines.images.inspection import DiskFormat, DiskRefused, has_signature, inspect, require_generation
from poolwright.machines.images.partitions import TableKind
from poolwright.machines.images.store import ImageStore, Origin
from tests.local import disks
from tests.local.disks import GPT, MBR, MIB, converted, efi_program, raw

V1, V2 = Generation.V1, Generation.V2


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.mark.parametrize(
    ("made", "table", "generations"),
    [
        (disks.gen1, TableKind.MBR, {V1}),
        (disks.gen2, TableKind.GPT, {V2}),
        (disks.hybrid, TableKind.GPT, {V1, V2}),
    ],
)
@pytest.mark.parametrize("form", ["raw", "qcow2", "vpc", "vhdx"])
def test_each_layout_boots_in_its_generations_in_every_format(
    made: Callable[[Path], Path], table: TableKind, generations: set[Generation], form: str, tmp_path: Path, work: Path
) -> None:
    file = made(tmp_path)
    if form != "raw":
        # Fixed and with the exact size, as Azure has its VHDs.
        options = ("-o", "subformat=fixed,force_size=on") if form == "vpc" else ()
        file = converted(file, form, *options)

    found = inspect(file, work)

    assert (found.format, found.virtual_bytes) == (DiskFormat(form), 48 * MIB)
    assert (found.table, found.generations) == (table, frozenset(generations))
    assert found.cannot_boot.keys() == {V1, V2} - generations
    assert found.secure_boot is None


def test_a_compressed_qcow2_is_read_too(tmp_path: Path, work: Path) -> None:
    """Its last cluster ends where its data end, which `qemu-img check` does not count."""
    assert inspect(converted(disks.hybrid(tmp_path), "qcow2", "-c"), work).generations == {V1, V2}


def test_a_dynamic_vhd_is_read_too(tmp_path: Path, work: Path) -> None:
    file = converted(disks.gen1(tmp_path), "vpc", "-o", "subformat=dynamic,force_size=on")

    assert inspect(file, work).generations == {V1}


def test_only_a_bit_of_a_large_disk_is_read(tmp_path: Path, work: Path) -> None:
    file = disks.gen1(tmp_path)
    os.truncate(file, 1024**4)

    assert inspect(file, work).virtual_bytes == 1024**4
    assert sum(path.stat().st_blocks * 512 for path in work.rglob("*")) < 2 * MIB


@pytest.mark.parametrize(
    ("table", "code", "esp", "generation", "reason"),
    [
        (MBR, b"", None, V1, "its MBR has no boot code"),
        (MBR.replace(", bootable", ""), b"\xfa", None, V1, "no partition of its MBR is active"),
        (MBR, b"\xfa", None, V2, "it has no EFI system partition"),
        (GPT, b"", None, V1, "it has a GPT without boot code in front of it"),
        (GPT, b"\xfa", None, V1, "it has a GPT without a BIOS boot partition"),
        (GPT, b"", None, V2, r"its EFI system partition has no directory \\EFI\\BOOT"),
        (GPT, b"", {"EFI/debian/grubx64.efi": b"MZ"}, V2, r"its EFI system partition has no directory \\EFI\\BOOT"),
        (GPT, b"", {"EFI/BOOT/other.efi": b"MZ"}, V2, r"has no \\EFI\\BOOT\\BOOTX64\.EFI$"),
        (GPT, b"", {"EFI/BOOT/BOOTAA64.EFI": b"MZ"}, V2, r"has no \\EFI\\BOOT\\BOOTX64\.EFI, only one for arm64"),
        (GPT, b"", {"EFI/BOOT/BOOTX64.EFI": b"text"}, V2, r"\\EFI\\BOOT\\BOOTX64\.EFI is no program for 64-bit x86"),
    ],
)
def test_what_a_firmware_would_not_boot_is_said(
    table: str,
    code: bytes,
    esp: dict[str, bytes] | None,
    generation: Generation,
    reason: str,
    tmp_path: Path,
    work: Path,
) -> None:
    found = inspect(raw(tmp_path, table, code=code, esp=esp), work)

    assert generation not in found.generations
    with pytest.raises(DiskRefused, match=reason):
        raise DiskRefused(found.cannot_boot[generation])


def test_grub_boots_without_an_active_partition(tmp_path: Path, work: Path) -> None:
    file = raw(tmp_path, MBR.replace(", bootable", ""), code=b"\xeb\x63GRUB \0")

    assert inspect(file, work).generations == {V1}


def test_an_mbr_can_have_an_esp(tmp_path: Path, work: Path) -> None:
    table = "label: dos\nstart=2048, size=86016, type=ef\n"
    file = raw(tmp_path, table, code=b"", esp={"efi/boot/bootx64.efi": efi_program()})

    assert inspect(file, work).generations == {V2}


@pytest.mark.parametrize(
    ("loader", "second", "secure_boot"), [(True, True, None), (False, True, False), (True, False, False)]
)
def test_a_loader_without_a_signature_is_seen(
    loader: bool, second: bool, secure_boot: bool | None, tmp_path: Path, work: Path
) -> None:
    esp = {
        "EFI/BOOT/BOOTX64.EFI": efi_program(signed=loader),
        "EFI/BOOT/grubx64.efi": efi_program(signed=second),
    }

    assert inspect(raw(tmp_path, GPT, code=b"", esp=esp), work).secure_boot is secure_boot


@pytest.mark.parametrize("program", [b"", b"MZ", efi_program()[:200], efi_program(machine=0xAA64), bytes(512)])
def test_what_is_no_program_for_this_processor_has_no_signature_to_speak_of(program: bytes) -> None:
    assert has_signature(program) is None


def test_the_wrong_generation_is_refused_with_reason_and_what_it_would_boot(tmp_path: Path, work: Path) -> None:
    found = inspect(disks.gen1(tmp_path), work)

    require_generation(found, V1, "2204containerd", "disk.raw")
    with pytest.raises(DiskRefused) as refused:
        require_generation(found, V2, "2204gen2containerd", "disk.raw")
    assert str(refused.value) == (
        "disk.raw does not boot in Generation 2 (UEFI), which 2204gen2containerd needs: "
        "it has no EFI system partition. It boots in Generation 1 (BIOS)."
    )


def blank(directory: Path) -> Path:
    file = directory / "disk.raw"
    file.write_bytes(b"")
    os.truncate(file, 4 * MIB)
    return file


def garbage(directory: Path) -> Path:
    file = directory / "disk.raw"
    file.write_bytes(bytes(range(256)) * 8192)
    return file


def written(content: bytes) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        file = directory / "disk.raw"
        file.write_bytes(content)
        return file

    return make


def truncated(form: str, share: float, *options: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        file = disks.hybrid(directory)
        if form != "raw":
            file = converted(file, form, *options)
        os.truncate(file, int(file.stat().st_size * share) // 512 * 512)
        return file

    return make


def patched(
    at: int, content: bytes, form: str = "qcow2", layout: Callable[[Path], Path] = disks.gen2, *options: str
) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        file = layout(directory)
        if form != "raw":
            file = converted(file, form, *options)
        with file.open("r+b") as opened:
            opened.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
            opened.write(content)
        return file

    return make


def overlay(directory: Path) -> Path:
    base = converted(disks.gen1(directory), "qcow2")
    file = directory / "overlay.qcow2"
    disks.program("qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", base, file)
    return file


def with_data_file(directory: Path) -> Path:
    file = directory / "outside.qcow2"
    disks.program("qemu-img", "create", "-f", "qcow2", "-o", f"data_file={directory}/data.raw", file, "4M")
    return file


def encrypted(directory: Path) -> Path:
    file = directory / "secret.qcow2"
    # LUKS would measure the CPU first, which fails now and then on a busy host.
    disks.program(
        "qemu-img", "create", "--object", "secret,id=s,data=x", "-f", "qcow2",
        "-o", "encrypt.format=aes,encrypt.key-secret=s", file, "4M",
    )  # fmt: skip
    return file


def differencing_vhd(directory: Path) -> Path:
    file = converted(disks.gen1(directory), "vpc", "-o", "subformat=dynamic")
    with file.open("r+b") as opened:
        opened.seek(-512 + 60, os.SEEK_END)
        opened.write(struct.pack(">I", 4))
    return file


def vhdx_with_file_parameters(flags: bytes) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        file = converted(disks.gen1(directory), "vhdx")
        content = file.read_bytes()
        metadata = content.index(b"metadata\0\0")
        entry = content.index(uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le, metadata)
        (item,) = struct.unpack_from("<I", content, entry + 16)
        with file.open("r+b") as opened:
            opened.seek(metadata + item + 4)
            opened.write(flags)
        return file

    return make


def too_large(directory: Path) -> Path:
    file = directory / "huge.qcow2"
    disks.program("qemu-img", "create", "-f", "qcow2", file, "5T")
    return file


def fifo(directory: Path) -> Path:
    os.mkfifo(directory / "pipe")
    return directory / "pipe"


def big_sectors(directory: Path) -> Path:
    file = disks.gen2(directory)
    with file.open("r+b") as opened:
        opened.seek(512)
        header = opened.read(512)
        opened.seek(512)
        opened.write(bytes(512))
        opened.seek(4096)
        opened.write(header)
    return file


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (written(b""), "disk.raw is empty"),
        (written(b"\xeb\x63" + bytes(1000)), "no whole sectors of 512"),
        (blank, "the disk is blank"),
        (garbage, "it has no partition table"),
        (lambda directory: directory / "nothing", "cannot be read: No such file"),
        (lambda directory: directory, "is no regular file"),
        (fifo, "is no regular file"),
        (written(b"KDMV" + bytes(508)), "is a VMDK of VMware"),
        (written(b"\x1f\x8b" + bytes(510)), "is compressed by gzip"),
        (overlay, "overlay.qcow2 is an overlay on another file"),
        (with_data_file, "keeps its data in another file"),
        (encrypted, "is encrypted"),
        (differencing_vhd, "a differencing disk on another file"),
        (vhdx_with_file_parameters(b"\x02"), "disk.vhdx is a VHDX that is a differencing disk on another file"),
        (written(b"vhdxfile" + bytes(1024 * 1024)), "is a VHDX that is damaged: its tables cannot be read"),
        (too_large, "is a disk of 5,120 GiB, and an OS disk has 4,095 at most"),
        (written(b"QFI\xfb" + bytes(20)), "is a qcow2 whose end is missing"),
        (patched(4, struct.pack(">I", 1)), "is a qcow of version 1"),
        (patched(79, b"\x02"), "is marked as corrupt"),
        (patched(40, b"\xff" * 8), "is damaged"),
        (truncated("qcow2", 0.6), "is damaged"),
        (truncated("qcow2", 0.6, "-c"), "is damaged"),
        (truncated("raw", 0.6), "the end is missing"),
        (truncated("vhdx", 0.6), "is damaged"),
        (truncated("vpc", 0.6, "-o", "subformat=dynamic"), "is a VHD whose end is missing"),
        (truncated("vpc", 0.6, "-o", "subformat=fixed"), "the end is missing"),
        (patched(600, b"x", "raw"), "the header of its GPT is damaged: the checksum is wrong"),
        (patched(524, b"\xff\xff", "raw"), "the header of its GPT is damaged$"),
        (patched(1100, b"x", "raw"), "the entries of its GPT are damaged"),
        (patched(512, bytes(8), "raw"), "its MBR announces a GPT, and there is none"),
        (patched(510, bytes(2), "raw"), "without the protective MBR"),
        (patched(450, bytes(1), "raw", disks.gen1), "its MBR has no partitions"),
        (patched(458, b"\xff\xff\xff\xff", "raw", disks.gen1), "a partition ends at byte"),
        (big_sectors, "sectors of 4096 bytes"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_whole_disk_of_its_own_is_refused_with_the_reason(
    make: Callable[[Path], Path], reason: str, tmp_path: Path, work: Path
) -> None:
    file = make(tmp_path)

    with pytest.raises(DiskRefused, match=reason):
        inspect(file, work)


def test_qemu_img_never_sees_a_file_that_names_another_one(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = vhdx_with_file_parameters(b"\x02")
    files = [make(tmp_path) for make in (overlay, with_data_file, differencing_vhd, parent)]
    monkeypatch.setattr(inspection, "_limited", lambda *arguments: pytest.fail(str(arguments)))

    for file in files:
        with pytest.raises(DiskRefused, match="another file"):
            inspect(file, work)


def test_a_raw_disk_that_begins_like_a_qcow2_is_not_taken_for_raw(tmp_path: Path, work: Path) -> None:
    """A guest can write a qcow2 header into its raw disk; nobody who opens it may follow that."""
    file = disks.gen1(tmp_path)
    evil = tmp_path / "evil.qcow2"
    disks.program("qemu-img", "create", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", evil, "48M")
    with file.open("r+b") as opened:
        opened.write(evil.read_bytes()[:512])

    with pytest.raises(DiskRefused, match="overlay on another file"):
        inspect(file, work)


@pytest.mark.parametrize("name", ["a,b=c.raw", "a b.raw", "-x.raw", "ä'\"$(id).raw", "nbd:localhost.raw"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path, work: Path) -> None:
    file = disks.gen2(tmp_path).rename(tmp_path / name)

    assert inspect(file, work).generations == {V2}


def test_what_takes_too_long_is_given_up(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_TIMEOUT_SECONDS", 0.0)

    with pytest.raises(DiskRefused, match="did not end within 0 s"):
        inspect(disks.gen1(tmp_path), work)


def test_an_imported_disk_is_a_qcow2_of_the_same_content_and_the_file_stays(tmp_path: Path) -> None:
    file = converted(disks.gen2(tmp_path), "vpc", "-o", "subformat=dynamic,force_size=on")
    before = file.read_bytes()
    store = ImageStore(tmp_path / "images")
    heard: list[tuple[str, float]] = []

    image = import_disk(
        file, "2204gen2containerd", V2, store, lambda step, share: heard.append((step, share)), has_agent=False
    )

    assert store.list() == [image]
    assert (image.origin, image.definition, image.generations) == (Origin.IMPORTED, "2204gen2containerd", {V2})
    assert (image.virtual_bytes, image.secure_boot, image.source) == (48 * MIB, None, ("disk.vpc",))
    disks.program("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image.path, tmp_path / "disk.raw")
    assert file.read_bytes() == before
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert {step for step, _ in heard} == {"looking at the disk", "copying the disk", "taking the digest", "done"}
    assert sorted(path.name for path in (tmp_path / "images" / "work").iterdir()) == []


def test_a_refused_import_leaves_nothing_behind(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    file = disks.gen1(tmp_path)

    with pytest.raises(DiskRefused, match="which 2204gen2containerd needs"):
        import_disk(file, "2204gen2containerd", V2, store, lambda step, share: None, has_agent=False)
    assert store.list() == []
    assert {path.name for path in (tmp_path / "images").rglob("*")} <= {"lock", "work"}


def test_a_disk_that_does_not_fit_is_refused_with_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the disk, not the file: cloud images come compressed."""
    file = disks.gen1(tmp_path)
    with file.open("r+b") as opened:
        opened.seek(2 * MIB)
        opened.write(b"node" * (8 * MIB))
    small = converted(file, "qcow2", "-c")
    assert small.stat().st_size < MIB
    free = 270 * MIB
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, free))

    with pytest.raises(DiskRefused, match=r"needs about 28\d MiB in the image store, and 270 MiB are free there"):
        import_disk(small, "2204containerd", V1, ImageStore(tmp_path / "images"), print, has_agent=False)
