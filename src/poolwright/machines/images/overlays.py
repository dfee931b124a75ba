"""Which images the disks of machines lie on top of.

Invariant: a disk that cannot be read keeps no image from being removed, and none that can be is overlooked.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

# Magic, version, and where the name of the backing file is. Source: docs/interop/qcow2.txt of QEMU.
_HEADER = struct.Struct(">4sIQI")
_IMAGE = re.compile(r"sha256-([0-9a-f]{64})\.qcow2$")
_LONGEST_NAME = 1023  # QEMU's


def images_below(directory: Path) -> set[str]:
    """Return the digests of the images that qcow2 disks below a directory lie on top of."""
    return {digest for disk in directory.rglob("*.qcow2") if (digest := _image_of(disk)) is not None}


def _image_of(disk: Path) -> str | None:
    try:
        with disk.open("rb") as file:
            magic, _, at, length = _HEADER.unpack(file.read(_HEADER.size))
            if magic != b"QFI\xfb" or not at or length > _LONGEST_NAME:
                return None
            file.seek(at)
            named = _IMAGE.search(file.read(length).decode("utf-8", "replace"))
    except (OSError, struct.error):
        return None
    return named[1] if named else None
