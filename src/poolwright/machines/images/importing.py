"""Brings a disk of the user's into the store: inspected, copied as qcow2, kept by its digest.

Invariant: a file that is refused leaves nothing behind, and the user's file is only read.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.machines import host_packages
from poolwright.machines.host_packages import Use
from poolwright.machines.images import inspection, programs
from poolwright.machines.images.inspection import DiskFormat, DiskRefused, inspect
from poolwright.machines.images.store import DiskImage, ImageStore, Origin, is_windows

Progress = Callable[[str, float], None]

_COPYING_BEGINS: Final = 0.1
_DIGEST_BEGINS: Final = 0.9
# What must stay free on the disk of the store.
_RESERVE_BYTES: Final = 256 * 1024**2


def import_disk(
    file: Path,
    definition: str,
    generation: Generation,
    store: ImageStore,
    progress: Progress,
    *,
    has_agent: bool,
    cloud_init: bool | None = None,
) -> DiskImage:
    """Return the image made from a disk file for a node image definition of that generation.

    Where nothing is said of `cloud_init`, disks have it as cloud images do: Linux without Poolwright's agent.
    Raises `DiskRefused` with the reason, `MissingPackages` of the host, or `ProgramFailed`.
    """
    host_packages.require(Use.IMPORT)
    progress("looking at the disk", 0.0)
    inspection.format_of(file)
    with store.work_directory() as work:
        found = inspect(file, work)
        inspection.require_generation(found, generation, definition, file.name)
        _require_space(file, found.format, work)
        copied = work / "disk.qcow2"
        _copy(file, found.format, copied, lambda share: progress("copying the disk", share))
        progress("taking the digest", _DIGEST_BEGINS)
        image = store.add(
            copied,
            virtual_bytes=found.virtual_bytes,
            generations=found.generations,
            secure_boot=found.secure_boot,
            origin=Origin.IMPORTED,
            definition=definition,
            has_agent=has_agent,
            cloud_init=not (has_agent or is_windows(definition)) if cloud_init is None else cloud_init,
            source=(file.name,),
        )
    progress("done", 1.0)
    return image


def _require_space(file: Path, found: DiskFormat, work: Path) -> None:
    needed = inspection.qcow2_bytes(file, found) + _RESERVE_BYTES
    free = shutil.disk_usage(work).free
    if free < needed:
        raise DiskRefused(
            f"{file.name} needs about {needed // 1024**2:,} MiB in the image store, "
            f"and {free // 1024**2:,} MiB are free there"
        )


def _copy(file: Path, found: DiskFormat, target: Path, told: Callable[[float], None]) -> None:
    chosen = inspection.image_options(inspection.options(file, found))
    line = programs.line("qemu-img", "convert", "-p", "--image-opts", chosen, "-O", "qcow2", target)
    with subprocess.Popen(
        line,
        env=programs.surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            # "    (12.00/100%)\r", some times a second.
            while chunk := process.stdout.read(4096):
                for percent in re.findall(rb"\((\d+)\.\d+/100%\)", chunk)[-1:]:
                    told(_COPYING_BEGINS + int(percent) / 100 * (_DIGEST_BEGINS - _COPYING_BEGINS))
            said = process.stderr.read()
            code = process.wait()
        except BaseException:
            process.kill()
            raise
    if code != 0:
        raise programs.failed("qemu-img", code, said)
