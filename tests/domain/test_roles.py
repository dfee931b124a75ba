"""What each built-in role grants, enumerated over every operation offered, and at every scope there is."""

from __future__ import annotations

import itertools

import pytest

from poolwright.arm.offered import AREAS
from poolwright.domain import roles
from poolwright.domain.roles import AKS_CONTRIBUTOR, CONTRIBUTOR, OWNER, READER, ROLES, Role, RoleAssignment, may

ACTIONS = sorted({row.requirement.action for area in AREAS for row in object.__new__(area).offered()})
# A subscription, a group, a cluster, a pool, and neighbours whose names begin alike.
SUBSCRIPTION = "/subscriptions/00000000-0000-4000-8000-000000000001"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
CLUSTER = f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/c1"
POOL = f"{CLUSTER}/agentPools/np1"
NEIGHBOURS = (
    "/subscriptions/00000000-0000-4000-8000-000000000002",
    f"{SUBSCRIPTION}1",
    f"{GROUP}2",
    f"{GROUP}2/providers/Microsoft.ContainerService/managedClusters/c1",
    f"{CLUSTER}2",
    f"{POOL}2",
)
SCOPES = (SUBSCRIPTION, GROUP, CLUSTER, POOL)


def is_granted(role: Role, action: str) -> bool:
    """What the articles about the roles say, in other words than the table's."""
    provider, *_, verb = action.lower().split("/")
    changes_access = provider == "microsoft.authorization" and verb in ("write", "delete")
    if role is OWNER:
        return True
    if role is CONTRIBUTOR:
        return not changes_access
    if role is READER:
        return verb == "read"
    kinds = action.lower().removeprefix("microsoft.containerservice/")
    return (
        (
            provider == "microsoft.containerservice"
            and kinds.startswith(("managedclusters/", "locations/", "snapshots/"))
        )
        or (provider == "microsoft.authorization" and verb == "read")
        or action.lower() == "microsoft.resources/subscriptions/resourcegroups/read"
        or action.lower().startswith("microsoft.resources/deployments/")
    )


def assigned(role: Role, scope: str) -> RoleAssignment:
    return RoleAssignment(name="n", scope=scope, role_id=role.id, principal_id="p", created=0, updated=0)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_grants_at_its_scope_and_below_what_its_article_says_and_nothing_elsewhere(role: Role) -> None:
    for held_at, asked_at, action in itertools.product(SCOPES, (*SCOPES, *NEIGHBOURS), ACTIONS):
        is_below = SCOPES.index(asked_at) >= SCOPES.index(held_at) if asked_at in SCOPES else False
        is_below |= asked_at in NEIGHBOURS and asked_at.startswith(f"{held_at}/")
        expected = is_below and is_granted(role, action)
        assert may([assigned(role, held_at)], action, asked_at) is expected, (held_at, asked_at, action)


def test_every_role_differs_in_what_it_grants_here() -> None:
    granted = {role.name: frozenset(action for action in ACTIONS if role.grants(action)) for role in ROLES}
    assert len(set(granted.values())) == len(ROLES)
    assert granted["Owner"] == set(ACTIONS)
    assert granted["Owner"] - granted["Contributor"] == {
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Authorization/roleAssignments/delete",
    }


@pytest.mark.parametrize(
    ("role", "action", "expected"),
    [
        (CONTRIBUTOR, "microsoft.authorization/ROLEASSIGNMENTS/Write", False),
        (CONTRIBUTOR, "Microsoft.Authorization/roleAssignments/read", True),
        (READER, "microsoft.containerservice/managedclusters/READ", True),
        (READER, "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", False),
        (READER, "Microsoft.ContainerService/managedClusters/readers/write", False),
        (AKS_CONTRIBUTOR, "Microsoft.ContainerService/managedClusters/agentPools/write", True),
        (AKS_CONTRIBUTOR, "Microsoft.ContainerService/managedClustersX/write", False),
        (AKS_CONTRIBUTOR, "Microsoft.Resources/subscriptions/resourceGroups/write", False),
        (AKS_CONTRIBUTOR, "Microsoft.Compute/skus/read", False),
    ],
)
def test_actions_are_compared_without_case_and_as_a_whole(role: Role, action: str, expected: bool) -> None:
    assert role.grants(action) is expected


def test_assignments_add_up_and_what_one_role_leaves_out_another_may_grant() -> None:
    both = [assigned(CONTRIBUTOR, SUBSCRIPTION), assigned(OWNER, GROUP)]
    action = "Microsoft.Authorization/roleAssignments/write"
    assert may(both, action, CLUSTER)
    assert not may(both, action, SUBSCRIPTION)
    assert not may([], "Microsoft.ContainerService/managedClusters/read", CLUSTER)


def test_an_assignment_of_an_unknown_role_grants_nothing() -> None:
    unknown = RoleAssignment(name="n", scope=GROUP, role_id="x", principal_id="p", created=0, updated=0)
    assert not any(may([unknown], action, GROUP) for action in ACTIONS)


def test_roles_are_found_by_name_and_guid_without_case() -> None:
    for role in ROLES:
        assert roles.role_by_name(role.name.upper()) is role
        assert roles.role_by_name(role.id.upper()) is role
        assert roles.role_by_id(role.id.upper()) is role
    assert roles.role_by_name("Ownerx") is roles.role_by_id("x") is None
