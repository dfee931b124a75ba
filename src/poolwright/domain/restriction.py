"""What a restricted size, or zone, forbids: new node pools and further machines, never the machines there are.

Invariant: a restriction is looked at where a size comes new to a node pool, and where a node pool needs more
machines than there are; scaling down, labels and deletion never meet it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from poolwright import errors
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.offer import Offer
from poolwright.domain.refusal import Refusal, RefusalRow
from poolwright.domain.rules import Rule, first_match, when
from poolwright.domain.size_name import alternatives
from poolwright.domain.surroundings import Surroundings

_SKU_PAGE = (
    "Resolve errors for SKU not available (error-sku-not-available.md); "
    "Compute's ResourceSkuRestrictions (skus.json 2021-07-01)"
)
_SIZE = "properties.vmSize"
_ZONES = "properties.availabilityZones"
_ZONE_NOT_SUPPORTED = (
    "The zone(s) '{zones}' for resource '{pool}' is not supported. The supported zones for location '{location}' are "
    "'{usable}'"
)


@dataclass(frozen=True, slots=True)
class RestrictionFacts:
    """A size, and the zones asked for, as the rows see them."""

    version: KubernetesVersion
    size_is_new: bool
    needs_machines: bool
    size_is_restricted: bool
    zone_is_missing: bool
    zone_is_restricted: bool


RESTRICTION_TABLE: Final = (
    RefusalRow(
        Rule(
            "size-restricted",
            "A size that is restricted in the location is not taken for a node pool.",
            f"{_SKU_PAGE}; wording seen in Azure/azure-cli#30887",
        ),
        when(size_is_new=True, size_is_restricted=True),
        errors.VMSizeNotSupported,
        _SIZE,
        "Virtual Machine size: '{size}' is not supported for subscription {subscription} in location '{location}'. "
        "The available VM sizes are '{available},...'",
        "the size is restricted there ({reason}): choose another one, or another location",
    ),
    RefusalRow(
        Rule(
            "size-restricted-growth",
            "A node pool gets no further machines of a size that is restricted in the location.",
            f"{_SKU_PAGE}; Azure/AKS#236; wording seen in hashicorp/terraform-provider-azurerm issues with HTTP 409",
        ),
        when(needs_machines=True, size_is_restricted=True),
        errors.SkuNotAvailable,
        _SIZE,
        "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is "
        "currently not available in location '{location}'. Please try another size or deploy to a different location "
        "or different zone. See https://aka.ms/azureskunotavailable for details.",
        "the size is restricted there ({reason}): keep the count or lower it, with maxSurge 0 where machines are "
        "replaced, or add a node pool of another size",
    ),
    RefusalRow(
        Rule(
            "zone-not-offered",
            "A zone that the size does not have in the location is not taken.",
            "wording seen in MicrosoftDocs/azure-aks-docs#416",
        ),
        when(size_is_new=True, zone_is_missing=True),
        errors.AvailabilityZoneNotSupported,
        _ZONES,
        _ZONE_NOT_SUPPORTED,
        "{zone_advice}",
    ),
    RefusalRow(
        Rule(
            "zone-restricted",
            "A zone in which the size is restricted is not taken for a node pool.",
            f"{_SKU_PAGE}; wording seen in MicrosoftDocs/azure-aks-docs#416",
        ),
        when(size_is_new=True, zone_is_restricted=True),
        errors.AvailabilityZoneNotSupported,
        _ZONES,
        _ZONE_NOT_SUPPORTED,
        "the size is restricted in the zone(s) ({reason}): {zone_advice}",
    ),
    RefusalRow(
        Rule(
            "zone-restricted-growth",
            "A node pool gets no further machines while its size is restricted in one of its zones.",
            f"{_SKU_PAGE}; wording seen in Azure/AKS#1444",
        ),
        when(needs_machines=True, zone_is_restricted=True),
        errors.SkuNotAvailable,
        _ZONES,
        "The requested size for resource '{pool}' is currently not available in location '{location}' zones '{zones}' "
        "for subscription '{subscription}'. Please try another size or deploy to a different location or zones. See "
        "https://aka.ms/azureskunotavailable for details.",
        "the size is restricted in the zone(s) ({reason}): keep the count or lower it, with maxSurge 0 where machines "
        "are replaced, or add a node pool in other zones",
    ),
)


def refused_size(offer: Offer, surroundings: Surroundings) -> Refusal | None:
    """Return why a size that is new to a node pool is refused for being restricted, or None."""
    return _refused(_of(_SIZE), offer, (), "", surroundings, size_is_new=True)


def refused_zones(offer: Offer, zones: Iterable[str], pool: str, surroundings: Surroundings) -> Refusal | None:
    """Return why the zones are refused for a size that is new to a node pool, or None."""
    return _refused(_of(_ZONES), offer, tuple(zones), pool, surroundings, size_is_new=True)


def refused_growth(offer: Offer, zones: Iterable[str], pool: str, surroundings: Surroundings) -> Refusal | None:
    """Return why a node pool gets no further machines of the size, or None."""
    return _refused(RESTRICTION_TABLE, offer, tuple(zones), pool, surroundings, needs_machines=True)


def _of(target: str) -> tuple[RefusalRow, ...]:
    return tuple(row for row in RESTRICTION_TABLE if row.target == target)


def _refused(
    rows: tuple[RefusalRow, ...],
    offer: Offer,
    zones: tuple[str, ...],
    pool: str,
    surroundings: Surroundings,
    *,
    size_is_new: bool = False,
    needs_machines: bool = False,
) -> Refusal | None:
    whole = offer.location_restriction
    missing = [zone for zone in zones if zone not in offer.zones]
    restricted = [zone for zone in zones if zone in offer.restricted_zones]
    facts = RestrictionFacts(
        version=KubernetesVersion.parse(surroundings.cluster.version),
        size_is_new=size_is_new,
        needs_machines=needs_machines,
        size_is_restricted=whole is not None,
        zone_is_missing=bool(missing),
        zone_is_restricted=bool(restricted),
    )
    row = first_match(rows, facts)
    if row is None:
        return None
    reasons = {whole.reason} if whole is not None else {one.reason for one in offer.restrictions}
    near = alternatives(offer.size, surroundings.catalog.usable_sizes)
    usable = offer.usable_zones
    words = {
        "size": offer.size.name,
        "subscription": surroundings.subscription,
        "location": surroundings.cluster.location,
        "available": ",".join(size.name.lower() for size in near or surroundings.catalog.usable_sizes[:5]),
        "reason": ", ".join(sorted(reason.value for reason in reasons)),
        "pool": pool,
        "zones": ",".join(missing or restricted),
        "usable": ",".join(usable),
        "zone_advice": f"choose from zones {', '.join(usable)}" if usable else "leave availabilityZones out",
    }
    return row.filled(words, {"alternatives": [size.name for size in near]} if row.target == _SIZE else {})
