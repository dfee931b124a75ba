"""What would make a node pool Generation 2: a property less, the header, another size.

Invariant: what is said here was tried, by the rules that decide about the node pool.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from math import prod
from typing import Final

from poolwright.catalog.catalog import LocationCatalog
from poolwright.domain.generation import Generation
from poolwright.domain.profile import Profile
from poolwright.lint.cases import Cases, bare, choices_of, signature
from poolwright.lint.dated_catalogs import MAX_SUGGESTIONS, DatedCatalogs
from poolwright.lint.pools import Action, FoundPool
from poolwright.lint.properties import without
from poolwright.templates.partial import Unknown

# Sizes are suggested where trying each of them is quick.
_MAX_CASES_TO_SUGGEST: Final = 64


@dataclass(slots=True)
class Ways:
    """Finds ways to Generation 2, each once."""

    _cases: Cases
    _catalogs: DatedCatalogs
    _known: dict[str, str] = field(default_factory=dict)

    def to_gen2(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> str:
        """Return what would make this node pool Generation 2, tried by the same rules; "" where nothing is found."""
        # A node pool that exists gets there by being made anew.
        pool = replace(bare(pool), action=Action.CREATE) if pool.action is Action.KEEP else bare(pool)
        key = f"{pool.tool.name} {signature(pool, profile)}"
        if key not in self._known:
            self._known[key] = self._found_way(pool, profile, catalog)
        return self._known[key]

    def _found_way(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> str:
        silent = replace(pool, properties=without(pool.properties, "vmGeneration"))
        if silent.properties != pool.properties and self._generation(silent, profile, catalog) is Generation.V2:
            return "leave vmGeneration out"
        with_header = replace(silent, header=True)
        if pool.header is not True and self._generation(with_header, profile, catalog) is Generation.V2:
            return asks_for_gen2(pool)
        wanted = pool.properties.get("vmSize")
        size = catalog.size(str(wanted.values[0] if isinstance(wanted, Unknown) and wanted.values else wanted))
        choices = choices_of(pool, catalog)
        if size is None or prod(map(len, choices.values())) > _MAX_CASES_TO_SUGGEST:
            return ""
        if not self._cases.may_try(pool, profile, choices):
            return ""
        fitting = (
            each.name
            for each in self._catalogs.nearest(size, catalog)
            if self._generation(_of_size(pool, each.name), profile, catalog) is Generation.V2
        )
        names = list(islice(fitting, MAX_SUGGESTIONS))
        return f"for Generation 2 choose a size that offers it, for example {', '.join(names)}" if names else ""

    def _generation(self, pool: FoundPool, profile: Profile, catalog: LocationCatalog) -> Generation | None:
        """The generation where it is certain and nothing fails."""
        cases = self._cases.of(pool, profile, catalog, choices_of(pool, catalog))
        pools = [case.pool for case in cases if case.pool is not None]
        if not pools or any(decided.late_failure for decided in pools):
            return None
        found = {decided.generation for decided in pools}
        return next(iter(found)) if len(found) == 1 else None


def asks_for_gen2(pool: FoundPool) -> str:
    """Return how the node pool's tool asks for Generation 2 of Windows."""
    return pool.tool.header or pool.tool.instead


def _of_size(pool: FoundPool, size: str) -> FoundPool:
    return replace(pool, properties={**pool.properties, "vmSize": size})
