"""What a fleet is judged by: the catalogue, published ends, a behaviour profile, and a day.

Invariant: sizes that were exported with the fleet replace those of their location; nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from poolwright.catalog.catalog import Catalog, LocationCatalog
from poolwright.catalog.in_force import Replacements, in_force
from poolwright.catalog.retirements import Retirements
from poolwright.domain.profile import Profile
from poolwright.fleet.values import Fleet

# Where a cluster without a location is looked up: everything is assumed to be offered there. No location, which has
# letters and digits only, is called that.
NO_LOCATION: Final = "any-location"


def place_called(location: str) -> str:
    """Return the location in words."""
    return "any location" if location == NO_LOCATION else location


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`called` says in words where the catalogue is from. `as_of` is the day that dates are compared with."""

    catalog: Catalog
    retirements: Retirements
    profile: Profile
    as_of: date
    called: str

    def at(self, location: str | None) -> LocationCatalog:
        """Return what a location offers; of an unknown one, everything."""
        return self.catalog.at(location or NO_LOCATION)


def profile_named(name: str) -> Profile:
    """Return the behaviour profile of that name."""
    return Profile(name)


def knowledge_for(
    fleet: Fleet, profile: Profile, as_of: date, *, imported: Replacements | None = None, called: str = "built-in"
) -> Knowledge:
    """Return what to judge the fleet by: the built-in catalogue, what was imported, and the sizes given with it."""
    built_in = Catalog.built_in((*fleet.locations, NO_LOCATION))
    catalog = in_force(built_in, imported) if imported is not None else built_in
    given = {place: offers for place, offers in fleet.offers.items() if place in catalog.locations}
    if given:
        catalog = catalog.replaced(given, {}, None)
        called = f"sizes of {', '.join(given)} as given, else {called}"
    return Knowledge(catalog, Retirements.built_in(), profile, as_of, called)
