"""Disks without Poolwright's agent: a kernel and busybox with QEMU's guest agent, or with a line to log in on.

They are made from Debian's packages as the product's own node image is, without root.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from poolwright.machines.images import build, initial_ramdisk, packages
from poolwright.machines.images.build import FORMS, Form
from poolwright.machines.images.initial_ramdisk import MODULES

_GUEST = Path(__file__).parent / "guest"
_BOOT = ("busybox-static", "shim-signed", "shim-unsigned", "grub-efi-amd64-signed")
# What qemu-ga is linked to: `ldd` says it.
_TOOLS = ("qemu-guest-agent", "libglib2.0-0", "libnuma1", "liburing2", "libudev1", "libpcre2-8-0", "libc6")
_LIBRARIES = (
    *("libudev.so.1", "libnuma.so.1", "liburing.so.2", "libglib-2.0.so.0", "libgmodule-2.0.so.0"),
    *("libpcre2-8.so.0", "libm.so.6", "libc.so.6"),
)
_LIBRARY_PLACES = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
_FAT = ("vfat", "nls_cp437", "nls_ascii")


def with_tools(form: Form, scratch: Path) -> Path:
    """A disk with QEMU's guest agent, which reads its seed and shows it on the console."""
    root = _unpacked((*_BOOT, *_TOOLS), scratch)
    files = {"init": _GUEST / "with-tools", "usr/sbin/qemu-ga": root / "usr/sbin/qemu-ga"}
    files |= {f"lib/x86_64-linux-gnu/{name}": _library(root, name) for name in _LIBRARIES}
    files["lib64/ld-linux-x86-64.so.2"] = _library(root, "ld-linux-x86-64.so.2")
    return _disk(form, root, scratch, files, (*MODULES, *_FAT))


def with_login(form: Form, scratch: Path) -> Path:
    """A disk that shows nothing but a line to log in on."""
    root = _unpacked(_BOOT, scratch)
    return _disk(form, root, scratch, {"init": _GUEST / "with-login"}, MODULES)


def _unpacked(names: Sequence[str], scratch: Path) -> Path:
    cache = packages.default_cache()
    needed = packages.current([packages.kernel_package(cache), *names], cache)
    packages.unpack(packages.fetch(needed, cache, lambda lacking: None), scratch / "root")
    return scratch / "root"


def _library(root: Path, name: str) -> Path:
    return next(file for place in _LIBRARY_PLACES if (file := root / place / name).exists())


def _disk(form: Form, root: Path, scratch: Path, files: Mapping[str, Path], modules: Sequence[str]) -> Path:
    initial_ramdisk.build(root, scratch / "ramdisk", scratch / "initrd", files, modules)
    (scratch / "disk").mkdir()
    return build.disk_of(FORMS[form], root, scratch / "initrd", scratch / "disk")
