"""The usages of Compute: their shape, their order, and the names az shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from poolwright.arm.usages import _localized, render_usages
from poolwright.catalog.catalog import Catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.built_in(("eastus", "westcentralus"))


def rendered(catalog: Catalog, location: str = "eastus", **numbers: dict[str, int]) -> list[dict[str, Any]]:
    reply = json.loads(render_usages(catalog, location, numbers.get("used", {}), numbers.get("limits", {})))
    assert list(reply) == ["value"]
    usages: list[dict[str, Any]] = reply["value"]
    return usages


def named(usages: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [usage for usage in usages if usage["name"]["value"] == name]
    return found


def test_the_regional_total_comes_first_and_a_family_has_its_use_and_limit(catalog: Catalog) -> None:
    usages = rendered(catalog, used={"cores": 12, "standarddsv5family": 8}, limits={"standarddsv5family": 10})

    assert usages[0] == {
        "currentValue": 12,
        "limit": 100_000,
        "unit": "Count",
        "name": {"value": "cores", "localizedValue": "Total Regional vCPUs"},
    }
    assert named(usages, "standardDSv5Family") == {
        "currentValue": 8,
        "limit": 10,
        "unit": "Count",
        "name": {"value": "standardDSv5Family", "localizedValue": "Standard DSv5 Family vCPUs"},
    }


def test_a_limit_of_zero_is_shown_as_zero(catalog: Catalog) -> None:
    usages = rendered(catalog, limits={"cores": 0, "standarddsv5family": 0})

    assert [usages[0]["limit"], named(usages, "standardDSv5Family")["limit"]] == [0, 0]


def test_every_family_of_the_location_is_there_once_and_in_order(catalog: Catalog) -> None:
    for location in catalog.locations:
        names = [usage["name"]["value"] for usage in rendered(catalog, location)[1:]]
        folded = [name.lower() for name in names]

        assert set(names) == {size.family or size.name for size in catalog.sizes_in(location)}
        assert folded == sorted(set(folded))


def test_two_locations_offer_different_families(catalog: Catalog) -> None:
    assert rendered(catalog, "eastus") != rendered(catalog, "westcentralus")


def test_a_location_may_be_named_as_people_do(catalog: Catalog) -> None:
    assert rendered(catalog, "East US") == rendered(catalog, "eastus")


def test_every_name_for_people_is_one_of_its_kind(catalog: Catalog) -> None:
    shown = [usage["name"]["localizedValue"] for usage in rendered(catalog)]

    assert len(set(shown)) == len(shown)
    assert all(name.endswith(" vCPUs") and "  " not in name for name in shown)


# What `az vm list-usage` has shown in public, but for the last three: one goes by the same rule, and sizes are ours.
@pytest.mark.parametrize(
    ("family", "shown"),
    [
        ("standardDSv5Family", "Standard DSv5 Family vCPUs"),
        ("standardBSFamily", "Standard BS Family vCPUs"),
        ("standardMSMediumMemoryv2Family", "Standard MSMediumMemoryv2 Family vCPUs"),
        ("Standard NCASv3_T4 Family", "Standard NCASv3_T4 Family vCPUs"),
        ("Standard NDASv4_A100 Family", "Standard NDASv4_A100 Family vCPUs"),
        ("standard NDAMSv4_A100Family", "Standard NDAMSv4_A100Family vCPUs"),
        ("StandardNCADSA100v4Family", "Standard NCADS_A100_v4 Family vCPUs"),
        ("StandardNCADSA10v4Family", "Standard NCADSA10v4 Family vCPUs"),
        ("standardA0_A7Family", "Standard A0-A7 Family vCPUs"),
        ("standardDv2PromoFamily", "Standard Dv2 Promo Family vCPUs"),
        ("standardDSv2PromoFamily", "Standard DSv2 Promo Family vCPUs"),
        ("StandardDadsv7Family", "Standard Dadsv7 Family vCPUs"),
        ("Standard_A8", "Standard_A8 vCPUs"),
        ("Basic_A0", "Basic_A0 vCPUs"),
    ],
)
def test_a_family_is_shown_to_people_as_azure_shows_it(family: str, shown: str) -> None:
    assert _localized(family) == shown
