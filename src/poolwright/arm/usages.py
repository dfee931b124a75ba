"""The reply of `GET .../Microsoft.Compute/locations/{location}/usages`, which `az vm list-usage` prints.

Invariant: a family is there whether or not it is used, and once, however its sizes spell it.

Source: https://learn.microsoft.com/rest/api/compute/usage/list (2024-11-01)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from poolwright.catalog.catalog import Catalog
from poolwright.domain import quota

_IN_ONE_WORD = re.compile(r"standard(\S+)family", re.IGNORECASE | re.ASCII)
# As `az vm list-usage` has shown them where they do not follow from the family's name.
_IRREGULAR: Final = {
    "standarda0_a7family": "Standard A0-A7 Family vCPUs",
    "standarddv2promofamily": "Standard Dv2 Promo Family vCPUs",
    "standarddsv2promofamily": "Standard DSv2 Promo Family vCPUs",
    "standardncadsa100v4family": "Standard NCADS_A100_v4 Family vCPUs",
    "standard ndamsv4_a100family": "Standard NDAMSv4_A100Family vCPUs",
}


def render_usages(catalog: Catalog, location: str, used: Mapping[str, int], limits: Mapping[str, int]) -> bytes:
    """Return the vCPUs in use and their limits: the regional total first, then every family offered there."""
    families = quota.family_names(catalog.sizes_in(location))
    shown = [_usage(quota.TOTAL, quota.TOTAL, "Total Regional vCPUs", used, limits)]
    shown += [
        _usage(key, name, _localized(name), used, limits)
        for key, name in sorted(families.items(), key=lambda item: item[1].lower())
    ]
    return orjson.dumps({"value": shown})


def _usage(key: str, name: str, localized: str, used: Mapping[str, int], limits: Mapping[str, int]) -> dict[str, Any]:
    return {
        "unit": "Count",
        "currentValue": used.get(key, 0),
        "limit": limits.get(key, quota.DEFAULT_LIMIT),
        "name": {"value": name, "localizedValue": localized},
    }


def _localized(family: str) -> str:
    """`standardDSv5Family` as Azure writes it for people: `Standard DSv5 Family vCPUs`.

    A family named with blanks keeps its name, and so does a size that stands for itself, its family being unknown.
    """
    if family.lower() in _IRREGULAR:
        return _IRREGULAR[family.lower()]
    match = _IN_ONE_WORD.fullmatch(family)
    return f"Standard {match[1]} Family vCPUs" if match else f"{family} vCPUs"
