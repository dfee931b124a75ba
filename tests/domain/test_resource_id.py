"""How IDs that somebody sends are read: by position, without case in ASCII, and nothing but IDs."""

from __future__ import annotations

import pytest

from poolwright.domain.resource_id import (
    CLUSTER_TYPE,
    NODE_POOL_TYPE,
    SNAPSHOT_TYPE,
    NodePoolId,
    ResourceId,
    SnapshotId,
)

GROUP = "/subscriptions/S/resourceGroups/rg"
CLUSTER = f"{GROUP}/providers/{CLUSTER_TYPE}"
ASSIGNMENT_TYPE = "Microsoft.Authorization/roleAssignments"


@pytest.mark.parametrize(
    ("text", "kind", "names", "is_in_group"),
    [
        ("/subscriptions/S", "Microsoft.Resources/subscriptions", (), False),
        (GROUP, "Microsoft.Resources/subscriptions/resourceGroups", (), False),
        (f"{CLUSTER}/c1", CLUSTER_TYPE, ("c1",), True),
        (f"{CLUSTER}/c1/agentPools/np1", NODE_POOL_TYPE, ("c1", "np1"), True),
        (f"{CLUSTER}/myproviders/agentPools/np3", NODE_POOL_TYPE, ("myproviders", "np3"), True),
        (f"{CLUSTER}/providers/agentPools/providers", NODE_POOL_TYPE, ("providers", "providers"), True),
        (f"{CLUSTER}/c1/providers/{ASSIGNMENT_TYPE}/a", ASSIGNMENT_TYPE, ("a",), False),
        (f"{GROUP.replace('rg', 'providers')}/providers/{SNAPSHOT_TYPE}/s", SNAPSHOT_TYPE, ("s",), True),
    ],
)
def test_an_id_is_read_by_position_and_written_as_it_was(
    text: str, kind: str, names: tuple[str, ...], is_in_group: bool
) -> None:
    found = ResourceId.parse(text)
    assert found is not None
    assert (found.type, found.names, found.is_in_group(), str(found)) == (kind, names, is_in_group, text)
    assert ResourceId.parse(f"{text}/") == found
    assert ResourceId.parse(text.upper()) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "nonsense",
        "/subscriptions/S/x",
        "/subscriptions//resourceGroups/rg",
        f"{GROUP}/../rg2",
        f"{GROUP}/../rg2/providers/{CLUSTER_TYPE}/c1",
        f"{CLUSTER}/..",
        f"{CLUSTER}/./agentPools/np1",
        f"{CLUSTER}/c1/agentPools",
        f"{CLUSTER}//agentPools/np1",
        f"{GROUP}/providers/Microsoft.ContainerService",
        f"{CLUSTER}/c1\n",
        f"/\u017fubscriptions/S/resourceGroups/rg/providers/{SNAPSHOT_TYPE}/s",
        f"{GROUP}/provider\u017f/{SNAPSHOT_TYPE}/s",
        f"{GROUP}/providers/Micro\u017foft.ContainerService/snapshots/s",
        f"/tenants/T/providers/{ASSIGNMENT_TYPE}/a",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert ResourceId.parse(text) is None
    assert SnapshotId.parse(text) is None
    assert NodePoolId.parse(text) is None


def test_an_id_of_another_type_or_below_another_resource_is_none_of_that_type() -> None:
    assert str(SnapshotId.parse(f"{GROUP}/providers/{SNAPSHOT_TYPE.upper()}/Taken")).endswith("/snapshots/Taken")
    assert SnapshotId.parse(f"{CLUSTER}/c1") is None
    assert SnapshotId.parse(f"{CLUSTER}/c1/providers/{SNAPSHOT_TYPE}/s") is None
    assert NodePoolId.parse(f"{CLUSTER}/c1") is None
    assert str(NodePoolId.parse(f"{CLUSTER}/c1/AGENTPOOLS/np1")).endswith("/c1/agentPools/np1")
