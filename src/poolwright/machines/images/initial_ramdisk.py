"""The initial RAM disk of the node image: busybox, the drivers, the guest agent; nothing else runs in a machine.

Invariant: the same files give the same bytes, whoever builds it, wherever and when.
"""

from __future__ import annotations

import lzma
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from poolwright.machines.images import programs

GUEST: Final = Path(__file__).parent / "guest"
# From each of our files to its place in the RAM disk.
GUEST_FILES: Final = {
    "init": "init",
    "agent": "agent",
    "lease": "lease",
    "power-button": "etc/acpi/PWRF/00000080",
}
OUR_FILES: Final = {place: GUEST / name for name, place in GUEST_FILES.items()}
# In this order; what one needs is loaded before it. Debian's cloud kernel has neither AHCI nor NVMe built in.
MODULES: Final = (
    *("virtio_pci", "virtio_console"),
    *("sd_mod", "virtio_scsi", "virtio_blk", "ata_piix", "nvme"),
    *("efivarfs", "button", "evdev"),
    *("libnvdimm", "nfit", "nd_btt", "nd_pmem"),
    "virtio_net",
)
_FIRST_OF_1970 = (0, 0)


class ModuleMissing(Exception):
    """The kernel package lacks a module that the node image needs."""


def build(
    root: Path,
    scratch: Path,
    ramdisk: Path,
    files: Mapping[str, Path] = OUR_FILES,
    modules: Sequence[str] = MODULES,
) -> None:
    """Write the RAM disk from the unpacked packages in `root`; `scratch` is made, and is left behind.

    Besides busybox it has `files`, by their places in it, and `modules` with what these need.
    """
    scratch.mkdir()
    busybox = scratch / "bin" / "busybox"
    _copy(root / "bin" / "busybox" if (root / "bin" / "busybox").exists() else root / "usr/bin/busybox", busybox, 0o755)
    (scratch / "bin" / "sh").symlink_to("busybox")
    for place, source in files.items():
        _copy(source, scratch / place, 0o755)
    ordered = modules_in_order(kernel_directory(root), modules)
    for file in ordered:
        _write(scratch / "lib" / "modules" / _module_file(file), _module(file))
    order = "".join(f"{_module_file(file)}\n" for file in ordered)
    _write(scratch / "lib" / "modules" / "order", order.encode())
    archive = _archive(scratch)
    ramdisk.write_bytes(programs.run("zstd", "-q", "-T1", "-12", "--stdout", given=archive))


def kernel_directory(root: Path) -> Path:
    """Return `lib/modules/VERSION` of the one kernel in `root`."""
    found = [*root.glob("lib/modules/*"), *root.glob("usr/lib/modules/*")]
    if len(found) != 1:
        raise ModuleMissing(f"one kernel was expected, not {len(found)}")
    return found[0]


def modules_in_order(kernel: Path, wanted: Sequence[str]) -> list[Path]:
    """Return the files of the wanted modules and of all they need, each after what it needs.

    What is built into the kernel has no file. Raises `ModuleMissing`.
    """
    files = {_module_name(file): file for file in kernel.rglob("*.ko*")}
    built_in = {_module_name(Path(line)) for line in (kernel / "modules.builtin").read_text().splitlines()}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in ordered or name in built_in:
            return
        if name not in files:
            raise ModuleMissing(f"kernel {kernel.name} has no module {name}")
        for needed in programs.run("modinfo", "-F", "depends", files[name]).decode().strip().split(","):
            if needed:
                add(needed.replace("-", "_"))
        ordered[name] = files[name]

    for name in wanted:
        add(name)
    return list(ordered.values())


def _module_name(file: Path) -> str:
    return file.name.partition(".")[0].replace("-", "_")


def _module_file(file: Path) -> str:
    return f"{_module_name(file)}.ko"


def _module(file: Path) -> bytes:
    """The module with the signature at its end, without which a kernel under Secure Boot refuses it."""
    content = file.read_bytes()
    return lzma.decompress(content) if file.suffix == ".xz" else content


def _copy(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o644)


def _archive(directory: Path) -> bytes:
    names = sorted(_names(directory))
    for name in names:
        path = directory / name
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, _FIRST_OF_1970, follow_symlinks=False)
    listed = b"".join(os.fsencode(name) + b"\0" for name in names)
    return programs.run(
        "cpio", "--create", "--quiet", "--null", "--format=newc", "--reproducible", "--owner=0:0",
        given=listed, directory=directory,
    )  # fmt: skip


def _names(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        yield str(path.relative_to(directory))
