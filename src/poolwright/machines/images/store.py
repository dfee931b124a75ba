"""The disk images that machines boot from, by the digest of their bytes.

    images/
      sha256-<hex>.qcow2   one image, never changed
      index.json           what is known of each, oldest first
      lock                 held while the index changes
      build.lock           held while somebody builds
      work/<name>/         where somebody builds or imports; work/<name>.lock is held meanwhile

An image is moved into place under its digest first and then entered in the index; it leaves in the opposite order.
So a kill at any moment leaves at most a file that no index entry names, or a directory whose lock nobody holds, and
whoever changes the store next removes both.

Invariant: every image that `list` returns is complete, on disk, and has the digest in its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from poolwright.domain.generation import Generation

_INDEX_VERSION: Final = 1
_SHORTEST_REFERENCE: Final = 6
_POLL_SECONDS: Final = 0.2


class Origin(Enum):
    """Where an image is from: built here to stand in for others, or brought by the user."""

    STAND_IN = "stand-in"
    IMPORTED = "imported"


class StoreDamaged(ValueError):
    """The index cannot be read; nothing is changed while that is so."""


class ImageInUse(ValueError):
    """A machine has its disk from the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskImage:
    """A disk that machines boot from.

    `digest` is the SHA-256 of the qcow2 file at `path`, in hex. `generations` are those whose firmware boots it.
    `secure_boot` says whether firmware with Secure Boot starts it: None when only the firmware can tell.
    `definition` is the node image definition it was imported for (`2204gen2containerd`); None for a stand-in, which
    has a `form` instead. `cloud_init` says whether its machines get a seed for cloud-init. `source` names what it was
    made from: the file, or packages with their versions.
    """

    digest: str
    path: Path
    virtual_bytes: int
    generations: frozenset[Generation]
    secure_boot: bool | None
    origin: Origin
    definition: str | None = None
    form: str | None = None
    has_agent: bool = False
    cloud_init: bool = False
    source: tuple[str, ...] = ()


class ImageStore:
    """The images of one directory, which is made when the first one is added."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def list(self) -> list[DiskImage]:
        """Return every image, oldest first. Raises `StoreDamaged`."""
        return [image for image in self._index() if image.path.exists()]

    def find(self, definition: str, generation: Generation) -> DiskImage | None:
        """Return the image for machines of a node image definition, or None.

        The newest that was imported for the definition comes first; for Linux a stand-in of the generation is next.
        """
        for image in reversed(self.list()):
            if image.definition == definition and generation in image.generations:
                return image
        return None if is_windows(definition) else self.stand_in(generation)

    def stand_in(self, generation: Generation) -> DiskImage | None:
        """Return the newest stand-in of a generation, one for it alone before a hybrid; None without one.

        One that Secure Boot refuses is for tests and never chosen.
        """
        fitting = [
            image
            for image in self.list()
            if image.origin is Origin.STAND_IN and generation in image.generations and image.secure_boot is not False
        ]
        return max(reversed(fitting), key=lambda image: -len(image.generations), default=None)

    def show(self, reference: str) -> DiskImage:
        """Return the image that a digest, its first letters, a definition or a form names.

        Raises `LookupError` when it names none and `ValueError` when it names several.
        """
        wanted = reference.lower().removeprefix("sha256-").removeprefix("sha256:")
        named = [
            image
            for image in self.list()
            if reference in (image.definition, image.form)
            or (len(wanted) >= _SHORTEST_REFERENCE and image.digest.startswith(wanted))
        ]
        if not named:
            raise LookupError(f"there is no image '{reference}': `poolwright images list` shows them")
        if len(named) > 1:
            those = ", ".join(f"{image.digest[:12]} ({image.definition or image.form})" for image in named)
            raise ValueError(f"'{reference}' names several images: {those}; name one of those")
        return named[0]

    def remove(self, reference: str, in_use: Callable[[], Collection[str]]) -> DiskImage:
        """Remove the image that `show` returns, and return what it was.

        `in_use` says the digests that machines have their disks from. Raises `ImageInUse` for those, and as `show`.
        """
        with self._changing() as images:
            gone = self.show(reference)
            if gone.digest in in_use():
                raise ImageInUse(f"image {gone.digest[:12]} is in use: delete the machines that boot from it first")
            images.remove(gone)
        return gone

    def add(
        self,
        file: Path,
        *,
        virtual_bytes: int,
        generations: frozenset[Generation],
        secure_boot: bool | None,
        origin: Origin,
        definition: str | None = None,
        form: str | None = None,
        has_agent: bool = False,
        cloud_init: bool = False,
        source: tuple[str, ...] = (),
    ) -> DiskImage:
        """Move a qcow2 file out of a work directory of this store into it, as its newest image.

        What had the same bytes and the same purpose is replaced by it.
        """
        digest = _digest_on_disk(file)
        image = DiskImage(
            digest=digest,
            path=self._directory / f"sha256-{digest}.qcow2",
            virtual_bytes=virtual_bytes,
            generations=generations,
            secure_boot=secure_boot,
            origin=origin,
            definition=definition,
            form=form,
            has_agent=has_agent,
            cloud_init=cloud_init,
            source=source,
        )
        file.chmod(0o444)
        with self._changing() as images:
            os.replace(file, image.path)
            _sync(self._directory)
            images[:] = [known for known in images if _purpose(known) != _purpose(image)]
            images.append(image)
        return image

    @contextmanager
    def work_directory(self) -> Iterator[Path]:
        """Yield an empty directory on the file system of the store; it is gone afterwards, at the latest when
        the store is next changed after a kill."""
        with self._locked():
            self._work.mkdir(exist_ok=True)
            directory = self._work / secrets.token_hex(8)
            held = _held(directory.with_suffix(".lock"))
            directory.mkdir()
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            directory.with_suffix(".lock").unlink(missing_ok=True)
            os.close(held)

    @contextmanager
    def only_builder(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Return when nobody else builds here; `waiting` is called now and then until that is so."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (held := _try(self._directory / "build.lock")) is None:
            waiting()
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            os.close(held)

    @property
    def _work(self) -> Path:
        return self._directory / "work"

    @property
    def _index_file(self) -> Path:
        return self._directory / "index.json"

    @contextmanager
    def _changing(self) -> Iterator[MutableSequence[DiskImage]]:
        """Yield what the index has, to be changed; afterwards it is written and the files follow it."""
        with self._locked():
            images = self._index()
            yield images
            self._write_index(images)
            self._remove_files_that_nothing_names(images)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = _held(self._directory / "lock")
        try:
            self._remove_abandoned_work()
            yield
        finally:
            os.close(held)

    def _index(self) -> MutableSequence[DiskImage]:
        try:
            content = json.loads(self._index_file.read_bytes())
            if content["version"] != _INDEX_VERSION:
                raise ValueError(f"its version is {content['version']}, and this Poolwright knows {_INDEX_VERSION}")
            return [self._image(entry) for entry in content["images"]]
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreDamaged(
                f"{self._index_file} is damaged ({error}): restore it, or remove {self._directory} and build or "
                "import the images again"
            ) from error

    def _write_index(self, images: Collection[DiskImage]) -> None:
        content = {"version": _INDEX_VERSION, "images": [_entry(image) for image in images]}
        unfinished = self._index_file.with_suffix(".unfinished")
        with unfinished.open("w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self._index_file)
        _sync(self._directory)

    def _remove_files_that_nothing_names(self, images: Collection[DiskImage]) -> None:
        named = {image.path for image in images}
        for file in self._directory.glob("sha256-*.qcow2"):
            if file not in named:
                file.unlink(missing_ok=True)

    def _remove_abandoned_work(self) -> None:
        for directory in self._work.glob("*"):
            if directory.suffix == ".lock":
                continue
            held = _try(directory.with_suffix(".lock"))
            if held is not None:
                shutil.rmtree(directory, ignore_errors=True)
                os.close(held)
        for lock in self._work.glob("*.lock"):
            # Nobody else makes a work directory now, so a lock without one is a leftover.
            if not lock.with_suffix("").exists():
                lock.unlink(missing_ok=True)

    def _image(self, entry: dict[str, Any]) -> DiskImage:
        digest = entry["digest"]
        # It becomes a path.
        if not (len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise ValueError(f"'{digest}' is no digest")
        return DiskImage(
            digest=digest,
            path=self._directory / f"sha256-{digest}.qcow2",
            virtual_bytes=int(entry["virtualBytes"]),
            generations=frozenset(Generation(value) for value in entry["generations"]),
            secure_boot=entry["secureBoot"],
            origin=Origin(entry["origin"]),
            definition=entry["definition"],
            form=entry["form"],
            has_agent=bool(entry["hasAgent"]),
            # Images from before there was such a thing have none.
            cloud_init=bool(entry.get("cloudInit", False)),
            source=tuple(entry["source"]),
        )


def is_windows(definition: str) -> bool:
    """Whether a node image definition is of Windows, as in `windows-2022-containerd-gen2`."""
    return definition.lower().startswith("windows")


def _purpose(image: DiskImage) -> tuple[str, str | None, str | None]:
    return image.digest, image.definition, image.form


def _entry(image: DiskImage) -> dict[str, Any]:
    return {
        "digest": image.digest,
        "virtualBytes": image.virtual_bytes,
        "generations": sorted(generation.value for generation in image.generations),
        "secureBoot": image.secure_boot,
        "origin": image.origin.value,
        "definition": image.definition,
        "form": image.form,
        "hasAgent": image.has_agent,
        "cloudInit": image.cloud_init,
        "source": list(image.source),
    }


def _digest_on_disk(file: Path) -> str:
    """The digest of a file, all of which is on disk when it returns."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
        os.fsync(opened.fileno())
    return digest


def _held(path: Path) -> int:
    """A descriptor that holds a lock until it is closed; waits for it."""
    descriptor = _opened(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _try(path: Path) -> int | None:
    """A descriptor that holds a lock, or None while somebody else does."""
    descriptor = _opened(path)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    os.close(descriptor)
    return None


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _sync(directory: Path) -> None:
    # The new name of a file is durable only once its directory is.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
