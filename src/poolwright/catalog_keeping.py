"""Changes to the catalogue: imports, restrictions set by hand, and the way back to the built-in one.

Every verb takes the connection of the transaction it runs in, and returns what will be in force; after the commit
`CatalogInForce.put` puts it there.

Invariant: a verb stores all of its change or nothing. What is stored of locations the service does not offer
is kept for a start that offers them, and is not read until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from poolwright.catalog.in_force import (
    CatalogInForce,
    FormerSizes,
    ImportedImages,
    ImportedSizes,
    ImportedVersions,
    InForce,
    Replacements,
    SetRestrictions,
)
from poolwright.domain.offer import Restriction
from poolwright.store import statements
from poolwright.store.database import only_reading
from poolwright.store.statements import CataloguePart

T = TypeVar("T")

SIZES: Final = "sizes"
VERSIONS: Final = "versions"
IMAGES: Final = "images"
RESTRICTIONS: Final = "restrictions"
FORMER: Final = "former"
EVERYWHERE: Final = ""


def stored(connection: Connection, locations: Sequence[str]) -> Replacements:
    """Return what is stored for the locations."""
    images = statements.catalogue_parts(connection, IMAGES, ImportedImages, [EVERYWHERE])
    former = statements.catalogue_parts(connection, FORMER, FormerSizes, [EVERYWHERE])
    return Replacements(
        sizes=statements.catalogue_parts(connection, SIZES, ImportedSizes, locations),
        versions=statements.catalogue_parts(connection, VERSIONS, ImportedVersions, locations),
        images=images.get(EVERYWHERE),
        restrictions=statements.catalogue_parts(connection, RESTRICTIONS, SetRestrictions, locations),
        former=former.get(EVERYWHERE, FormerSizes(())),
    )


def stored_at(path: Path, locations: Sequence[str]) -> Replacements:
    """Return the same of a database that is only read. Raises `ValueError` where that is not possible."""
    try:
        with only_reading(path) as connection:
            return stored(connection, locations)
    except SQLAlchemyError as error:
        raise ValueError(str(error)) from error


def parts_of(imported: Replacements) -> tuple[CataloguePart, ...]:
    """Return what an import stores. Nobody else can write while a transaction runs, so this is done before."""
    parts = [CataloguePart.of(SIZES, place, sizes, len(sizes.offers)) for place, sizes in imported.sizes.items()]
    for place, versions in imported.versions.items():
        parts.append(CataloguePart.of(VERSIONS, place, versions, len(versions.kubernetes.releases)))
    if imported.images is not None:
        parts.append(CataloguePart.of(IMAGES, EVERYWHERE, imported.images, len(imported.images.version_strings)))
    return tuple(parts)


class CatalogKeeper:
    """The verbs."""

    def __init__(self, catalogs: CatalogInForce) -> None:
        self._catalogs = catalogs

    def import_lists(self, connection: Connection, imported: Replacements, parts: Sequence[CataloguePart]) -> InForce:
        """Let what was imported take the place of what there was; its restrictions that of those set by hand.

        `parts` are what `parts_of` makes of it.
        """
        for part in parts:
            statements.put_catalogue_part(connection, part)
        for location in imported.sizes:
            statements.delete_catalogue_parts(connection, RESTRICTIONS, location)
        present = self._catalogs.replacements
        return self._following(
            connection,
            replace(
                present,
                sizes={**present.sizes, **self._offered(imported.sizes)},
                versions={**present.versions, **self._offered(imported.versions)},
                images=imported.images or present.images,
                restrictions=_without(present.restrictions, imported.sizes),
            ),
        )

    def reset(self, connection: Connection, location: str | None) -> InForce:
        """Go back to the built-in catalogue: in one location, or in all of them with the node images."""
        for kind in (SIZES, VERSIONS, RESTRICTIONS):
            statements.delete_catalogue_parts(connection, kind, location)
        present = self._catalogs.replacements
        if location is None:
            statements.delete_catalogue_parts(connection, IMAGES)
            return self._following(connection, Replacements(former=present.former))
        return self._following(
            connection,
            replace(
                present,
                sizes=_without(present.sizes, [location]),
                versions=_without(present.versions, [location]),
                restrictions=_without(present.restrictions, [location]),
            ),
        )

    def restrict(
        self, connection: Connection, location: str, size: str, restrictions: tuple[Restriction, ...]
    ) -> InForce:
        """Let these be the restrictions of a size in a location; none of them lifts all."""
        present = self._catalogs.replacements
        known = present.restrictions.get(location, SetRestrictions({}))
        changed = SetRestrictions({**known.by_size, size.lower(): restrictions})
        statements.put_catalogue_part(
            connection, CataloguePart.of(RESTRICTIONS, location, changed, len(changed.by_size))
        )
        return self._catalogs.with_replacements(
            replace(present, restrictions={**present.restrictions, location: changed})
        )

    def _offered(self, parts: Mapping[str, T]) -> dict[str, T]:
        locations = self._catalogs.present.locations
        return {location: part for location, part in parts.items() if location in locations}

    def _following(self, connection: Connection, replacements: Replacements) -> InForce:
        """What these replacements put in force, with the sizes that node pools use and no list has any more."""
        following = self._catalogs.with_replacements(replace(replacements, former=FormerSizes(())))
        before = self._catalogs.present
        used = sorted(name for name in statements.sizes_in_use(connection) if following.catalog.size(name) is None)
        former = FormerSizes(tuple(size for name in used if (size := before.size(name)) is not None))
        if former != replacements.former:
            statements.put_catalogue_part(connection, CataloguePart.of(FORMER, EVERYWHERE, former, len(former.sizes)))
        return self._catalogs.with_replacements(replace(replacements, former=former)) if former.sizes else following


def _without(parts: Mapping[str, T], gone: Iterable[str]) -> dict[str, T]:
    names = set(gone)
    return {location: part for location, part in parts.items() if location not in names}
