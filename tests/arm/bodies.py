"""What bodies of requests can hold, for the tests of what is read and written."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st

from poolwright.domain.cluster import Cluster, ProvisioningState
from poolwright.domain.resource_id import ClusterId, GroupId

GROUP = GroupId("00000000-0000-4000-8000-000000000001", "rg")
CLUSTER = ClusterId(GROUP, "c1")
SECRET = "Hunter2-and-nobody-else"
SECRET_PLACES: list[dict[str, Any]] = [
    {"windowsProfile": {"adminUsername": "me", "adminPassword": SECRET}},
    {"WindowsProfile": {"adminUsername": "me", "AdminPassword": SECRET}},
    {"servicePrincipalProfile": {"clientId": "x", "secret": SECRET}},
    {"aadProfile": {"serverAppSecret": SECRET}},
    {"x9": {"deep": [{"er": {"clientSecret": SECRET, "password": SECRET}}]}},
]


def json_values() -> st.SearchStrategy[Any]:
    """Everything a JSON document can hold that a number of 64 bits can."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([1e30, 1.5e-300, -0.0, 1e22, "", "\0", "\u2028", "ß", "\U0001f600", "null"])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    )
    # Not the name of a secret, which Hypothesis would find in the source.
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).map(lambda text: f"{text}9")
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
    )


def unknown_properties() -> st.SearchStrategy[dict[str, Any]]:
    names = st.text(string.ascii_letters + string.digits + "-_. é", max_size=8).map(lambda text: f"x{text}9")
    return st.dictionaries(names, json_values(), max_size=4)


def cluster(**changes: Any) -> Cluster:
    known: dict[str, Any] = {
        "id": CLUSTER,
        "location": "eastus",
        "sent": {},
        "wanted_version": "1.33",
        "version": "1.33.2",
        "principal_id": "p",
        "has_windows_profile": True,
        "etag": "e",
        "state": ProvisioningState.SUCCEEDED,
    }
    return Cluster(**(known | changes))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value if part is not None]
    return value
