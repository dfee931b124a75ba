"""The verbs about the disk images that real machines boot from: build, import, list, show, remove.

They return images as JSON. They work on the image directory of a data directory, whether a service runs on it or not.

Invariant: which generation a definition has comes from the catalogue, never from its name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from poolwright.catalog.catalog import Catalog
from poolwright.domain.generation import Generation
from poolwright.domain.node_image import NodeImage
from poolwright.domain.vm_size import Architecture
from poolwright.machines.host_packages import MissingPackages
from poolwright.machines.images import build, importing, overlays, packages
from poolwright.machines.images.build import Form
from poolwright.machines.images.initial_ramdisk import ModuleMissing
from poolwright.machines.images.packages import PackagesNotAvailable
from poolwright.machines.images.programs import ProgramFailed
from poolwright.machines.images.store import DiskImage, ImageStore

# What the local operator can act on, besides `LookupError` and `ValueError`.
TROUBLES: Final = (MissingPackages, PackagesNotAvailable, ModuleMissing, ProgramFailed)
# What machines of both generations need.
USUAL_FORMS: Final = (Form.GEN1.value, Form.GEN2.value)

Progress = Callable[[str, float], None]
Json = dict[str, Any]


class ImageKeeping:
    """The images of one directory; `in_use` says the digests of those that machines have their disks from."""

    def __init__(
        self, directory: Path, definitions: Iterable[NodeImage], in_use: Callable[[], Collection[str]]
    ) -> None:
        self._store = ImageStore(directory)
        self._definitions = {image.definition: image for image in definitions}
        self._in_use = in_use

    @classmethod
    def of_operator(cls, directory: Path, disks: Path) -> ImageKeeping:
        """Return the verbs for the built-in definitions; the disks of machines lie somewhere below `disks`."""
        catalog = Catalog.built_in(("eastus",))  # definitions are the same everywhere
        return cls(directory, catalog.images, lambda: overlays.images_below(disks))

    def build(self, forms: Sequence[str], progress: Progress) -> list[Json]:
        """Return the node image of Poolwright's own in those forms; what is not there is built. Raises `TROUBLES`."""
        built = build.build([Form(form) for form in forms], self._store, packages.default_cache(), progress)
        return [_wire(image) for image in built]

    def import_disk(
        self, file: Path, definition: str, progress: Progress, *, has_agent: bool, cloud_init: bool | None = None
    ) -> Json:
        """Return the image made from a disk file, which machines of the node image definition boot from now on.

        Raises `LookupError` for an unknown definition, `DiskRefused` with the reason, and `TROUBLES`.
        """
        generation = self._generation(definition)
        return _wire(
            importing.import_disk(
                file, definition, generation, self._store, progress, has_agent=has_agent, cloud_init=cloud_init
            )
        )

    def images(self) -> list[Json]:
        """Return every image, oldest first."""
        return [_wire(image) for image in self._store.list()]

    def image(self, reference: str) -> Json:
        """Return the image that a digest, its beginning, a definition or a form names. Raises `LookupError`."""
        return _wire(self._store.show(reference))

    def remove(self, reference: str) -> None:
        """Remove an image, unless a machine has its disk from it. Raises `LookupError` or `ImageInUse`."""
        self._store.remove(reference, self._in_use)

    def _generation(self, definition: str) -> Generation:
        known = self._definitions.get(definition)
        if known is None:
            near = difflib.get_close_matches(definition, self._definitions, n=3)
            hint = f": {', '.join(near)}?" if near else ""
            raise LookupError(f"there is no node image definition '{definition}' in the catalogue{hint}")
        if known.architecture is not Architecture.X64:
            raise ValueError(f"{definition} is of arm64, and machines of this host are of x86-64")
        return known.generation


def _wire(image: DiskImage) -> Json:
    return {
        "digest": f"sha256:{image.digest}",
        "origin": image.origin.value,
        "definition": image.definition,
        "form": image.form,
        "generations": sorted(generation.value for generation in image.generations),
        "secureBoot": image.secure_boot,
        "hasAgent": image.has_agent,
        "cloudInit": image.cloud_init,
        "virtualBytes": image.virtual_bytes,
        "fileBytes": image.path.stat().st_size,
        "path": str(image.path),
        "source": list(image.source),
    }
