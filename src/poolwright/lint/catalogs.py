"""The sizes, images and Kubernetes versions that node pools are judged by: the built-in ones, or a subscription's.

Invariant: where the location is unknown, a size counts as offered if any location has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolwright import errors
from poolwright.arm.catalog_import import MAX_BYTES, CatalogImport
from poolwright.bounded_files import pieces
from poolwright.catalog.catalog import Catalog, LocationCatalog, display_names, normalized_location
from poolwright.catalog.in_force import Replacements, in_force
from poolwright.domain.offer import Offer
from poolwright.domain.vm_size import VmSize
from poolwright.templates.partial import Unknown

# No location's name, as messages show it: nothing was surveyed there, so that every size counts as offered.
ANYWHERE: Final = "unknown"


class UnusableCatalog(ValueError):
    """A list that was to replace the built-in catalogue cannot be used; says why and where.

    `is_missing` says that there is no such file.
    """

    def __init__(self, text: str, *, is_missing: bool = False) -> None:
        super().__init__(text)
        self.is_missing = is_missing


@dataclass(frozen=True, slots=True)
class _Suggesting(LocationCatalog):
    """The same offers, of which refusals suggest these alone."""

    suggested: tuple[VmSize, ...] = ()

    @property
    def usable_sizes(self) -> tuple[VmSize, ...]:
        return self.suggested


def suggesting(catalog: LocationCatalog, sizes: Iterable[VmSize]) -> LocationCatalog:
    """Return a location that offers the same, and of which refusals suggest these sizes alone."""
    parts = catalog.location, catalog.offers, catalog.images, catalog.kubernetes, catalog.known
    return _Suggesting(*parts, suggested=tuple(sizes))


class Catalogs:
    """What each location offers. Catalogues are made when they are asked for."""

    def __init__(self, imported: Replacements | None = None) -> None:
        self._imported = imported or Replacements()
        self._made: dict[str, LocationCatalog] = {}
        self._names = {*display_names(), *self._imported.sizes, *self._imported.versions}
        built_in = Catalog.built_in((ANYWHERE,))
        self._left_out = {left.name.lower(): left.reasons for left in built_in.left_out}

    def at(self, location: str | Unknown) -> LocationCatalog:
        """Return what a location offers; for an unknown one what any offers."""
        name = normalized_location(location) if isinstance(location, str) else ANYWHERE
        if name not in self._made:
            self._made[name] = self._made_for(name)
        return self._made[name]

    def knows(self, location: str) -> bool:
        """Whether there is such a location."""
        return normalized_location(location) in self._names

    def lists_versions(self, location: str | Unknown) -> bool:
        """Whether the Kubernetes versions are those of a list of this location, not the built-in ones."""
        return isinstance(location, str) and normalized_location(location) in self._imported.versions

    def lacks(self, size: str) -> tuple[str, ...]:
        """Return what is not known of a size that exists; nothing for one of which everything is known."""
        anywhere = self.at(Unknown(""))
        return () if anywhere.size(size) is not None else self._left_out.get(size.lower(), ())

    def _made_for(self, name: str) -> LocationCatalog:
        catalog = in_force(Catalog.built_in((name,)), self._imported)
        if name != ANYWHERE or not self._imported.sizes:
            return catalog.at(name)
        offers: dict[str, Offer] = {}
        for imported in self._imported.sizes.values():
            offers = {offer.size.name.lower(): offer for offer in imported.offers} | offers
        kubernetes = catalog.at(name).kubernetes
        return Catalog.of({name: tuple(offers.values())}, {name: kubernetes}, catalog.images).at(name)


def read_catalogs(files: Iterable[Path], location: str | None) -> Catalogs:
    """Return the built-in catalogue with what the lists replace, read as `poolwright catalog import` reads them.

    Raises `UnusableCatalog`.
    """
    imported: Replacements | None = None
    for path in files:
        taken = CatalogImport(location)
        try:
            for piece in pieces(path, MAX_BYTES):
                taken.feed(piece)
            found = taken.end(0)
        except OSError as error:
            is_missing = isinstance(error, FileNotFoundError)
            what = f"{path}: the file cannot be read: {error.strerror or error}"
            raise UnusableCatalog(what, is_missing=is_missing) from error
        except errors.InvalidRequest as error:
            raise UnusableCatalog(f"{path}: {error.message}; {error.remedy}") from error
        except errors.TooLarge as error:
            raise UnusableCatalog(f"{path}: {error.message}; {error.remedy}") from error
        before = imported or Replacements()
        imported = Replacements(
            sizes={**before.sizes, **found.sizes},
            versions={**before.versions, **found.versions},
            images=found.images or before.images,
        )
    return Catalogs(imported)
