"""The action a request needs follows from its method and path; here they are written out."""

from __future__ import annotations

import re

import pytest

from poolwright.arm.actions import required
from poolwright.arm.area import OfferedRoute
from poolwright.arm.offered import AREAS

ROUTES = {(row.method, row.path): row for area in AREAS for row in object.__new__(area).offered()}
SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = f"{SUBSCRIPTION}/resourcegroups/{{group}}"
CLUSTERS = f"{GROUP}/providers/microsoft.containerservice/managedclusters"
CLUSTER = f"{CLUSTERS}/{{cluster}}"
POOL = f"{CLUSTER}/agentpools/{{pool}}"
LOCATION = f"{SUBSCRIPTION}/providers/microsoft.containerservice/locations/{{location}}"
ASSIGNMENTS = "/providers/microsoft.authorization/roleassignments"
AKS = "Microsoft.ContainerService/managedClusters"
# Method, path, action, and the scope over which it is needed, as ARM names it.
EXPECTED = [
    ("GET", POOL, f"{AKS}/agentPools/read", POOL),
    ("GET", f"{CLUSTER}/agentpools", f"{AKS}/agentPools/read", CLUSTER),
    ("PUT", POOL, f"{AKS}/agentPools/write", POOL),
    ("DELETE", POOL, f"{AKS}/agentPools/delete", POOL),
    ("POST", f"{POOL}/abort", f"{AKS}/agentPools/abort/action", POOL),
    ("POST", f"{POOL}/whatif", f"{AKS}/agentPools/whatIf/action", POOL),
    ("POST", f"{POOL}/deletemachines", f"{AKS}/agentPools/deleteMachines/action", POOL),
    ("GET", f"{POOL}/machines", f"{AKS}/agentPools/machines/read", POOL),
    ("GET", f"{POOL}/machines/{{machine}}", f"{AKS}/agentPools/machines/read", f"{POOL}/machines/{{machine}}"),
    (
        "POST",
        f"{POOL}/machines/{{machine}}/reimage",
        f"{AKS}/agentPools/machines/reimage/action",
        f"{POOL}/machines/{{machine}}",
    ),
    ("GET", f"{POOL}/upgradeprofiles/default", f"{AKS}/agentPools/upgradeProfiles/read", None),
    ("GET", f"{CLUSTER}/availableagentpoolversions", f"{AKS}/availableAgentPoolVersions/read", CLUSTER),
    ("PUT", CLUSTER, f"{AKS}/write", CLUSTER),
    ("POST", f"{CLUSTER}/stop", f"{AKS}/stop/action", CLUSTER),
    ("POST", f"{CLUSTER}/listclusteradmincredential", f"{AKS}/listClusterAdminCredential/action", CLUSTER),
    ("GET", CLUSTERS, f"{AKS}/read", f"{GROUP}/providers/microsoft.containerservice"),
    ("GET", f"{LOCATION}/orchestrators", "Microsoft.ContainerService/locations/orchestrators/read", LOCATION),
    ("GET", f"{LOCATION}/kubernetesversions", "Microsoft.ContainerService/locations/kubernetesVersions/read", LOCATION),
    ("GET", f"{LOCATION}/operations/{{operation}}", "Microsoft.ContainerService/locations/operations/read", None),
    ("GET", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP),
    ("HEAD", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", GROUP),
    ("PUT", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/write", GROUP),
    ("DELETE", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/delete", GROUP),
    ("GET", SUBSCRIPTION, "Microsoft.Resources/subscriptions/read", SUBSCRIPTION),
    ("GET", f"{SUBSCRIPTION}/locations", "Microsoft.Resources/subscriptions/locations/read", SUBSCRIPTION),
    ("GET", f"{SUBSCRIPTION}/providers/{{namespace}}", "Microsoft.Resources/subscriptions/providers/read", None),
    ("POST", f"{SUBSCRIPTION}/providers/{{namespace}}/register", "{namespace}/register/action", SUBSCRIPTION),
    (
        "GET",
        f"{SUBSCRIPTION}/providers/microsoft.compute/skus",
        "Microsoft.Compute/skus/read",
        f"{SUBSCRIPTION}/providers/microsoft.compute",
    ),
    (
        "PUT",
        f"{SUBSCRIPTION}/providers/microsoft.compute/locations/{{location}}/usages/{{family}}",
        "Microsoft.Compute/locations/usages/write",
        None,
    ),
    ("GET", f"{GROUP}{ASSIGNMENTS}", "Microsoft.Authorization/roleAssignments/read", None),
    (
        "PUT",
        f"{POOL}{ASSIGNMENTS}/{{name}}",
        "Microsoft.Authorization/roleAssignments/write",
        f"{POOL}{ASSIGNMENTS}/{{name}}",
    ),
    ("DELETE", f"{GROUP}{ASSIGNMENTS}/{{name}}", "Microsoft.Authorization/roleAssignments/delete", None),
]


@pytest.mark.parametrize(("method", "path", "action", "scope"), EXPECTED)
def test_the_action_and_the_scope_of_a_request(method: str, path: str, action: str, scope: str | None) -> None:
    assert (method, path) in ROUTES
    needed = required(method, path)
    assert needed.action == action
    if scope is not None:
        assert needed.scope(path) == scope


@pytest.mark.parametrize("row", ROUTES.values(), ids=lambda row: f"{row.method} {row.operation}")
def test_every_operation_has_an_action_that_fits_its_method(row: OfferedRoute) -> None:
    verbs = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
    action = row.requirement.action
    assert re.fullmatch(r"(Microsoft\.\w+|\{namespace\})(/\w+)+", action), action
    assert action.rpartition("/")[2] == verbs[row.method]
    assert row.requirement.scope(row.path).startswith("/subscriptions")
