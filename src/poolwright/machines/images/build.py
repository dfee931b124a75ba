"""Poolwright's own node image, built on this host from Debian's packages.

It holds a kernel, busybox and the guest agent: enough for the firmware of a machine to show what it is, and for
nothing else. The forms differ by the rows of `FORMS`.

Invariant: the same packages and the same recipe give the same digest, so a second build is found and not made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.machines import host_packages
from poolwright.machines.host_packages import Use
from poolwright.machines.images import disk, initial_ramdisk, packages, programs
from poolwright.machines.images.disk import MIB, SECTOR_BYTES
from poolwright.machines.images.initial_ramdisk import GUEST, GUEST_FILES
from poolwright.machines.images.packages import Package
from poolwright.machines.images.programs import ProgramFailed
from poolwright.machines.images.store import DiskImage, ImageStore, Origin

# What is being done, and how much of everything is done by then, from 0 to 1.
Progress = Callable[[str, float], None]

DISK_BYTES: Final = 64 * MIB
# quiet and the rest save seconds where the processor is emulated; panic=-1 resets at once instead of hanging.
KERNEL_OPTIONS: Final = (
    "console=ttyS0,115200 quiet panic=-1 random.trust_cpu=on tsc=reliable no_timer_check mitigations=off"
)
_PACKAGES: Final = ("busybox-static", "shim-signed", "shim-unsigned", "grub-efi-amd64-signed")
_UNSIGNED_GRUB: Final = "grub-efi-amd64-bin"
_ESP: Final = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_BIOS_BOOT: Final = "21686148-6449-6E6F-744E-656564454649"
_GRUB_MODULES: Final = (
    *("biosdisk", "part_msdos", "part_gpt", "fat", "normal", "linux", "configfile", "echo", "test", "boot"),
    *("serial", "terminal", "halt", "acpi"),
)
_SHIM: Final = "usr/lib/shim/shimx64.efi.signed"
_MOK_MANAGER: Final = "usr/lib/shim/mmx64.efi"
_SIGNED_GRUB: Final = "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
_PLAIN_GRUB: Final = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"
# Where the GRUB of Debian, signed or not, looks for its configuration.
_GRUB_CONFIGURATION_EFI: Final = "EFI/debian/grub.cfg"
_GRUB_CONFIGURATION_BIOS: Final = "boot/grub/grub.cfg"


class Form(StrEnum):
    """The forms of the node image."""

    GEN1 = "gen1"
    GEN2 = "gen2"
    HYBRID = "hybrid"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class FormRow:
    """How a form is laid out, and what boots it.

    `table` is for sfdisk; the file system begins at sector `first_sector`. `bios` is where GRUB for the BIOS finds its
    configuration and the sector its core image begins at. `efi` is the GRUB behind the shim.
    """

    generations: frozenset[Generation]
    table: str
    first_sector: int
    size_mib: int
    bios: tuple[str, int] | None = None
    efi: str | None = None
    secure_boot: bool | None = None


FORMS: Final[Mapping[Form, FormRow]] = {
    Form.GEN1: FormRow(
        generations=frozenset({Generation.V1}),
        table="label: dos\nlabel-id: 0x504f4f4c\nstart=2048, type=0c, bootable\n",
        first_sector=2048,
        size_mib=63,
        # The gap before the first partition.
        bios=("(hd0,msdos1)/boot/grub", 1),
    ),
    Form.GEN2: FormRow(
        generations=frozenset({Generation.V2}),
        table="label: gpt\nlabel-id: 504F4F4C-0000-4000-8000-000000000002\nfirst-lba: 34\n"
        f"start=2048, size=124928, type={_ESP}, uuid=504F4F4C-0000-4000-8000-000000000021, name=esp\n",
        first_sector=2048,
        size_mib=61,
        efi=_SIGNED_GRUB,
        secure_boot=True,
    ),
    Form.HYBRID: FormRow(
        generations=frozenset({Generation.V1, Generation.V2}),
        table="label: gpt\nlabel-id: 504F4F4C-0000-4000-8000-000000000003\nfirst-lba: 34\n"
        f"start=2048, size=2048, type={_BIOS_BOOT}, uuid=504F4F4C-0000-4000-8000-000000000031, name=bios\n"
        f"start=4096, size=122880, type={_ESP}, uuid=504F4F4C-0000-4000-8000-000000000032, name=esp\n",
        first_sector=4096,
        size_mib=60,
        bios=("(hd0,gpt2)/boot/grub", 2048),
        efi=_SIGNED_GRUB,
        secure_boot=True,
    ),
    # What Trusted Launch must refuse: only its GRUB lacks a signature.
    Form.UNSIGNED: FormRow(
        generations=frozenset({Generation.V2}),
        table="label: gpt\nlabel-id: 504F4F4C-0000-4000-8000-000000000004\nfirst-lba: 34\n"
        f"start=2048, size=124928, type={_ESP}, uuid=504F4F4C-0000-4000-8000-000000000041, name=esp\n",
        first_sector=2048,
        size_mib=61,
        efi=_PLAIN_GRUB,
        secure_boot=False,
    ),
}


def build(forms: Sequence[Form], store: ImageStore, cache: Path, progress: Progress) -> list[DiskImage]:
    """Return the node image in each form, as the packages are now; what the store lacks is built into it.

    Raises `MissingPackages` of the host, `PackagesNotAvailable`, `ModuleMissing` or `ProgramFailed`.
    """
    host_packages.require(Use.BUILD)
    with store.only_builder(lambda: progress("waiting for another build", 0.0)):
        progress("asking apt for the packages", 0.0)
        needed = packages.current(_package_names(forms, cache), cache)
        host_grub = _host_grub()
        source = {form: _source(form, needed, host_grub) for form in forms}
        known = {image.form: image for image in store.list() if image.source in source.values()}
        lacking = [form for form in source if form not in known]
        if lacking:
            with store.work_directory() as work:
                for form, file in _build(lacking, needed, work, cache, progress):
                    known[form] = _added(store, form, file, source[form])
        progress("done", 1.0)
        return [known[form] for form in forms]


def recipe() -> str:
    """Return what changes whenever this recipe or a file of the guest does."""
    modules = [Path(module.__file__ or "") for module in (disk, initial_ramdisk)]
    parts = [Path(__file__), *modules, *(GUEST / name for name in sorted(GUEST_FILES))]
    return hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()[:12]


def _package_names(forms: Collection[Form], cache: Path) -> list[str]:
    unsigned = [_UNSIGNED_GRUB] if any(FORMS[form].efi == _PLAIN_GRUB for form in forms) else []
    return [packages.kernel_package(cache), *_PACKAGES, *unsigned]


def _source(form: Form, needed: Sequence[Package], host_grub: str) -> tuple[str, ...]:
    used = [package for package in needed if package.name != _UNSIGNED_GRUB or FORMS[form].efi == _PLAIN_GRUB]
    return (*map(str, used), host_grub, f"recipe {recipe()}")


def _host_grub() -> str:
    """GRUB for the BIOS comes from the host, because its files must fit the host's grub-mkimage."""
    try:
        version = programs.run("dpkg-query", "--show", "--showformat=${Version}", "grub-pc-bin").decode().strip()
    except ProgramFailed:
        version = "unknown"
    return f"grub-pc-bin {version}"


def _build(
    forms: Sequence[Form], needed: Sequence[Package], work: Path, cache: Path, progress: Progress
) -> Iterator[tuple[Form, Path]]:
    progress("checking the downloads", 0.05)
    files = packages.fetch(needed, cache, lambda lacking: progress(f"downloading {len(lacking)} packages", 0.05))
    progress("unpacking packages", 0.3)
    root = work / "root"
    packages.unpack(files, root)
    progress("packing the initial RAM disk", 0.6)
    ramdisk = work / "initrd"
    initial_ramdisk.build(root, work / "ramdisk", ramdisk)
    for number, form in enumerate(forms):
        progress(f"making the disk, form {form}", 0.7 + 0.3 * number / len(forms))
        scratch = work / form
        scratch.mkdir()
        yield form, disk_of(FORMS[form], root, ramdisk, scratch)


def disk_of(row: FormRow, root: Path, ramdisk: Path, scratch: Path) -> Path:
    """Return a disk that boots the kernel and boot loaders in `root` with that RAM disk, as a qcow2 in `scratch`."""
    raw, part, qcow2 = scratch / "disk.raw", scratch / "fat", scratch / "disk.qcow2"
    (kernel,) = root.glob("boot/vmlinuz-*")
    files = {"boot/vmlinuz": kernel, "boot/initrd": ramdisk}
    if row.bios is not None:
        files[_GRUB_CONFIGURATION_BIOS] = _written(scratch / "bios.cfg", _SERIAL_CONSOLE + _GRUB_CONFIGURATION)
    if row.efi is not None:
        files[_GRUB_CONFIGURATION_EFI] = _written(scratch / "efi.cfg", _GRUB_CONFIGURATION)
        files["EFI/BOOT/BOOTX64.EFI"] = root / _SHIM
        files["EFI/BOOT/grubx64.efi"] = root / row.efi
        files["EFI/BOOT/mmx64.efi"] = root / _MOK_MANAGER
    disk.blank(raw, DISK_BYTES)
    disk.partition(raw, row.table)
    disk.fat(part, row.size_mib * MIB, "POOLWRIGHT", files)
    disk.paste(raw, part, row.first_sector)
    if row.bios is not None:
        prefix, core_sector = row.bios
        disk.install_grub_for_bios(raw, scratch, prefix, _GRUB_MODULES, core_sector)
    disk.to_qcow2(raw, qcow2)
    return qcow2


def _added(store: ImageStore, form: Form, file: Path, source: tuple[str, ...]) -> DiskImage:
    return store.add(
        file,
        virtual_bytes=DISK_BYTES,
        generations=FORMS[form].generations,
        secure_boot=FORMS[form].secure_boot,
        origin=Origin.STAND_IN,
        form=form.value,
        has_agent=True,
        source=source,
    )


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


# A kernel that is refused must not leave a prompt behind, which burns a core for ever: the machine ends instead.
_GRUB_CONFIGURATION = f"""\
set timeout=0
if linux /boot/vmlinuz {KERNEL_OPTIONS}; then
  if initrd /boot/initrd; then
    boot
  fi
fi
echo "poolwright: GRUB cannot start the kernel"
halt
"""
# The BIOS itself writes nothing to a serial port.
_SERIAL_CONSOLE = """\
serial --unit=0 --speed=115200
terminal_output serial console
"""
assert all(row.first_sector * SECTOR_BYTES + row.size_mib * MIB <= DISK_BYTES for row in FORMS.values())
