"""The catalogue in force: the built-in one, with what was imported and restricted in its place.

Invariant: everybody reads the present catalogue here and nowhere else, and it is replaced as a whole: a reader
sees the one or the other, never a mixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from poolwright.catalog.catalog import Catalog
from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.domain.node_image import NodeImage
from poolwright.domain.offer import Offer, Restriction
from poolwright.domain.vm_size import VmSize


@dataclass(frozen=True, slots=True)
class ImportedSizes:
    """The sizes of one location, as an import had them. `left_out` counts the entries not taken, by reason."""

    offers: tuple[Offer, ...]
    left_out: Mapping[str, int]
    imported: float


@dataclass(frozen=True, slots=True)
class ImportedVersions:
    """The Kubernetes versions of one location, as an import had them."""

    kubernetes: KubernetesVersions
    imported: float


@dataclass(frozen=True, slots=True)
class ImportedImages:
    """The newest version string of each node image, by `image_key`, as an import had them."""

    version_strings: Mapping[str, str]
    imported: float


@dataclass(frozen=True, slots=True)
class SetRestrictions:
    """The restrictions that were set by hand in one location, by lower-case size; they stand for all of the size's."""

    by_size: Mapping[str, tuple[Restriction, ...]]


@dataclass(frozen=True, slots=True)
class FormerSizes:
    """Sizes that no list has any more and that node pools still use."""

    sizes: tuple[VmSize, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacements:
    """What stands in the place of the built-in catalogue, by location."""

    sizes: Mapping[str, ImportedSizes] = field(default_factory=dict)
    versions: Mapping[str, ImportedVersions] = field(default_factory=dict)
    images: ImportedImages | None = None
    restrictions: Mapping[str, SetRestrictions] = field(default_factory=dict)
    former: FormerSizes = FormerSizes(())


@dataclass(frozen=True, slots=True)
class InForce:
    """A catalogue, and what it has in the place of the built-in one."""

    catalog: Catalog
    replacements: Replacements


class CatalogInForce:
    """Where the present catalogue is read, and replaced. May be used from several threads."""

    def __init__(self, built_in: Catalog, replacements: Replacements | None = None) -> None:
        self._built_in = built_in
        self._state = self.with_replacements(replacements or Replacements())

    def apart(self) -> CatalogInForce:
        """Return another one with the same catalogue, which is replaced by itself."""
        return CatalogInForce(self._built_in, self.replacements)

    @property
    def state(self) -> InForce:
        return self._state

    @property
    def present(self) -> Catalog:
        return self._state.catalog

    @property
    def replacements(self) -> Replacements:
        return self._state.replacements

    def size(self, name: str) -> VmSize | None:
        """Return the size of that name, as the present catalogue knows it."""
        return self.present.size(name)

    def with_replacements(self, replacements: Replacements) -> InForce:
        """Return what these replacements would put in force."""
        return InForce(in_force(self._built_in, replacements), replacements)

    def put(self, state: InForce) -> None:
        """From now on everybody reads this catalogue."""
        self._state = state


def in_force(built_in: Catalog, replacements: Replacements) -> Catalog:
    """Return the built-in catalogue with what was imported and restricted in its place."""
    offers = {place: imported.offers for place, imported in replacements.sizes.items()}
    for place, hand_set in replacements.restrictions.items():
        if place in built_in.locations:
            here = offers.get(place, built_in.at(place).offers)
            offers[place] = tuple(_restricted(offer, hand_set.by_size) for offer in here)
    images = replacements.images
    return built_in.replaced(
        offers,
        {place: imported.kubernetes for place, imported in replacements.versions.items()},
        _with_versions(built_in.images, images.version_strings) if images is not None else None,
        replacements.former.sizes,
    )


def image_key(gallery: str, definition: str) -> str:
    """Return the name a node image goes by in a list of versions, whatever its case."""
    return f"{gallery}/{definition}".lower()


def _restricted(offer: Offer, by_size: Mapping[str, tuple[Restriction, ...]]) -> Offer:
    restrictions = by_size.get(offer.size.name.lower())
    return offer if restrictions is None else replace(offer, restrictions=restrictions)


def _with_versions(images: tuple[NodeImage, ...], version_strings: Mapping[str, str]) -> tuple[NodeImage, ...]:
    """The images with the versions of the list; one that the list does not have keeps its own."""
    return tuple(
        replace(
            image, version_string=version_strings.get(image_key(image.gallery, image.definition), image.version_string)
        )
        for image in images
    )
