"""A VM size as one location offers it: its zones, and what restricts it there.

Invariant: a restriction says nothing about the machines there are; it forbids further ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from poolwright.domain.vm_size import VmSize

ASSUMED_ZONES = ("1", "2", "3")


class RestrictionReason(Enum):
    """Why a subscription may not use a size, in the spelling of ARM's `reasonCode`."""

    QUOTA_ID = "QuotaId"
    NOT_AVAILABLE = "NotAvailableForSubscription"


@dataclass(frozen=True, slots=True)
class Restriction:
    """A size is restricted in some zones of a location, or, with `zones` None, in all of it."""

    reason: RestrictionReason
    zones: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ZoneDetail:
    """What a size can do in some zones only, as ARM says it."""

    zones: tuple[str, ...]
    capabilities: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A size in one location. `assumed` names what nobody has seen there: `locations`, `zones`, both or nothing."""

    size: VmSize
    zones: tuple[str, ...]
    restrictions: tuple[Restriction, ...] = ()
    zone_details: tuple[ZoneDetail, ...] = ()
    assumed: frozenset[str] = frozenset()

    @property
    def location_restriction(self) -> Restriction | None:
        """The restriction of the whole location, None where there is none."""
        return next((restriction for restriction in self.restrictions if restriction.zones is None), None)

    @property
    def restricted_zones(self) -> frozenset[str]:
        return frozenset(zone for restriction in self.restrictions for zone in restriction.zones or ())

    @property
    def usable_zones(self) -> tuple[str, ...]:
        """The zones in which further machines may be had."""
        return tuple(zone for zone in self.zones if zone not in self.restricted_zones)
