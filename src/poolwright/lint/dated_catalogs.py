"""What each location offers, judged by a day: sizes that have ended are never suggested.

Invariant: a size that has ended is still offered where the catalogue has it; no remedy names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from poolwright.catalog.catalog import LocationCatalog
from poolwright.catalog.retirements import Retirement, Retirements
from poolwright.domain.size_name import alternatives
from poolwright.domain.vm_size import VmSize
from poolwright.lint.catalogs import Catalogs, suggesting
from poolwright.templates.partial import Unknown

MAX_SUGGESTIONS: Final = 5
# Of the nearest sizes that many are tried.
_MAX_TRIED: Final = 50


@dataclass(slots=True)
class DatedCatalogs:
    """The catalogues, and what of them has ended by a day."""

    catalogs: Catalogs
    today: date
    retirements: Retirements = field(default_factory=Retirements.built_in)
    _suggesting: dict[str, LocationCatalog] = field(default_factory=dict)
    _near: dict[tuple[str, str], tuple[VmSize, ...]] = field(default_factory=dict)

    def at(self, location: str | Unknown) -> LocationCatalog:
        """Return what a location offers; of its sizes those are suggested that have not ended."""
        whole = self.catalogs.at(location)
        if whole.location not in self._suggesting:
            sizes = [size for size in whole.usable_sizes if all(end.day > self.today for end in self._ends_of(size))]
            self._suggesting[whole.location] = suggesting(whole, sizes)
        return self._suggesting[whole.location]

    def nearest(self, size: VmSize, catalog: LocationCatalog) -> tuple[VmSize, ...]:
        """Return the nearest sizes of which no end is known: what a remedy may name."""
        key = catalog.location, size.name
        if key not in self._near:
            lasting = [each for each in catalog.usable_sizes if not self._ends_of(each)]
            self._near[key] = alternatives(size, lasting, limit=_MAX_TRIED)
        return self._near[key]

    def _ends_of(self, size: VmSize) -> tuple[Retirement, ...]:
        return self.retirements.of_size(size.name, size)
