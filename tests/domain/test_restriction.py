"""Restricted sizes and zones: refused where they come new, kept where they are, and every row is met."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from poolwright import errors
from poolwright.catalog.catalog import LocationCatalog
from poolwright.domain.offer import Offer, Restriction, RestrictionReason
from poolwright.domain.restriction import RESTRICTION_TABLE, refused_growth, refused_size, refused_zones
from tests.domain.test_node_pool import V2, around, catalog, put

SIZE, OTHER = "Standard_D4s_v5", "Standard_D2s_v5"
NOT_AVAILABLE, QUOTA_ID = RestrictionReason.NOT_AVAILABLE, RestrictionReason.QUOTA_ID
WHOLE = Restriction(NOT_AVAILABLE)
ZONE_1 = Restriction(QUOTA_ID, ("1",))
EVERY_ZONE = Restriction(NOT_AVAILABLE, ("1", "2", "3"))


def restricted(
    *restrictions: Restriction, size: str = SIZE, zones: tuple[str, ...] = ("1", "2", "3")
) -> LocationCatalog:
    offers = tuple(
        replace(offer, restrictions=restrictions, zones=zones) if offer.size.name == size else offer
        for offer in catalog().offers
    )
    return replace(catalog(), offers=offers)


def offer(*restrictions: Restriction, zones: tuple[str, ...] = ("1", "2", "3")) -> Offer:
    found = restricted(*restrictions, zones=zones).offer(SIZE)
    assert found is not None
    return found


def refusal_of(here: LocationCatalog, **asked: Any) -> errors.PoolwrightError:
    with pytest.raises(errors.InvalidRequest) as refused:
        put(surroundings=around(catalogue=here), **asked)
    return refused.value


@pytest.mark.parametrize("reason", RestrictionReason)
def test_a_size_restricted_in_the_location_is_refused_in_the_words_of_aks(reason: RestrictionReason) -> None:
    error = refusal_of(restricted(Restriction(reason)), vm_size=SIZE.upper())
    assert isinstance(error, errors.VMSizeNotSupported)
    assert error.message.startswith(
        f"Virtual Machine size: '{SIZE}' is not supported for subscription 00000000-0000-4000-8000-000000000001 in "
        "location 'eastus'. The available VM sizes are 'standard_d4"
    )
    assert error.target == "properties.vmSize"
    assert reason.value in str(error.remedy)
    assert error.information["rule"]["id"] == "size-restricted"
    assert SIZE not in error.information["alternatives"]


def test_a_restricted_size_is_suggested_to_nobody() -> None:
    unsuitable = {"vm_size": "Standard_D2_v3", "vm_generation": V2}
    suggested = refusal_of(catalog(), **unsuitable).information["alternatives"]
    without = refusal_of(restricted(WHOLE, size=suggested[0]), **unsuitable).information["alternatives"]
    assert without[:4] == suggested[1:]
    unknown = refusal_of(restricted(WHOLE, size="Standard_D2s_v5"), vm_size="Standard_D2s_v55")
    assert "standard_d2s_v5," not in unknown.message


@pytest.mark.parametrize(
    ("zones", "restrictions", "offered", "refused", "usable", "rule"),
    [
        (("1",), (ZONE_1,), ("1", "2", "3"), "1", "2,3", "zone-restricted"),
        (("1", "2"), (ZONE_1,), ("1", "2", "3"), "1", "2,3", "zone-restricted"),
        (("3",), (EVERY_ZONE,), ("1", "2", "3"), "3", "", "zone-restricted"),
        (("1", "3"), (ZONE_1,), ("1", "2"), "3", "2", "zone-not-offered"),
        (("1",), (), (), "1", "", "zone-not-offered"),
    ],
)
def test_zones_that_cannot_be_had_are_refused(
    zones: tuple[str, ...],
    restrictions: tuple[Restriction, ...],
    offered: tuple[str, ...],
    refused: str,
    usable: str,
    rule: str,
) -> None:
    error = refusal_of(restricted(*restrictions, zones=offered), vm_size=SIZE, zones=zones)
    assert isinstance(error, errors.AvailabilityZoneNotSupported)
    assert error.message == (
        f"The zone(s) '{refused}' for resource 'np1' is not supported. The supported zones for location 'eastus' are "
        f"'{usable}'"
    )
    assert error.information["rule"]["id"] == rule


def test_a_size_restricted_in_zones_alone_may_be_had_without_zones_and_in_the_others() -> None:
    for asked in ({}, {"zones": ("2", "3")}):
        assert put(surroundings=around(catalogue=restricted(ZONE_1)), vm_size=SIZE, **asked).vm_size == SIZE
    assert put(surroundings=around(catalogue=restricted(EVERY_ZONE)), vm_size=SIZE).vm_size == SIZE


def test_a_node_pool_keeps_a_size_and_zones_that_were_restricted_later() -> None:
    there = put(vm_size=SIZE, zones=("1", "2"), count=3)
    for here in (restricted(WHOLE), restricted(ZONE_1)):
        for change in ({"count": 1}, {"count": 9}, {"vm_size": SIZE.lower()}, {"vm_generation": V2}):
            assert put(there, around(catalogue=here), **change).vm_size == SIZE


def test_a_node_pool_does_not_move_to_a_restricted_size() -> None:
    there = put(vm_size=OTHER)
    with pytest.raises(errors.VMSizeNotSupported):
        put(there, around(catalogue=restricted(WHOLE)), vm_size=SIZE)
    in_zone_1 = put(vm_size=OTHER, zones=("1",))
    with pytest.raises(errors.AvailabilityZoneNotSupported):
        put(in_zone_1, around(catalogue=restricted(ZONE_1)), vm_size=SIZE)


@pytest.mark.parametrize(
    ("restrictions", "zones", "rule", "target"),
    [
        ((), ("1",), None, None),
        ((ZONE_1,), (), None, None),
        ((ZONE_1,), ("2",), None, None),
        ((ZONE_1,), ("1", "2"), "zone-restricted-growth", "properties.availabilityZones"),
        ((WHOLE,), (), "size-restricted-growth", "properties.vmSize"),
        ((WHOLE, ZONE_1), ("1",), "size-restricted-growth", "properties.vmSize"),
    ],
)
def test_a_node_pool_grows_where_nothing_is_restricted(
    restrictions: tuple[Restriction, ...], zones: tuple[str, ...], rule: str | None, target: str | None
) -> None:
    refusal = refused_growth(offer(*restrictions), zones, "np1", around())
    assert (refusal and refusal.rule.id, refusal and refusal.target) == (rule, target)
    assert refusal is None or (
        refusal.error_type is errors.SkuNotAvailable and "currently not available" in refusal.message
    )


def test_every_row_decides_something() -> None:
    surroundings = around()
    met = [
        refused_size(offer(WHOLE), surroundings),
        refused_growth(offer(WHOLE), (), "np1", surroundings),
        refused_zones(offer(zones=("2",)), ("1",), "np1", surroundings),
        refused_zones(offer(ZONE_1), ("1",), "np1", surroundings),
        refused_growth(offer(ZONE_1), ("1",), "np1", surroundings),
    ]
    assert [refusal and refusal.rule.id for refusal in met] == [row.rule.id for row in RESTRICTION_TABLE]
    for refusal in met:
        assert refusal is not None
        assert "{" not in refusal.message + refusal.remedy
