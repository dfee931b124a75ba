"""Which action a request needs, and at which scope: derived from its method and path by one rule.

    GET, HEAD .../{type}/{name}       {type}/read over the resource
    GET .../{type}                    {type}/read over what the list belongs to
    PUT, PATCH .../{type}/{name}      {type}/write over the resource
    DELETE .../{type}/{name}          {type}/delete over the resource
    POST .../{type}/{name}/{verb}     {type}/{verb}/action over the resource

Where Azure's own action differs, `_EXCEPTIONS` has it. Source of the actions:
https://learn.microsoft.com/azure/role-based-access-control/permissions/containers and its sister pages.
What is below /_poolwright is called by the same rule, as if it were of a provider `Poolwright`; nobody is granted
these actions, they only name in the activity log what the local operator did.

Invariant: every path has an action; one that is not known here is spelled in lower case, which grants
and refuses the same, because actions are compared without case.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class Requirement:
    """An action, and how many segments at the end of the path do not belong to its scope.

    A name of the path, in braces, may stand in the action.
    """

    action: str
    beyond: int

    def scope(self, path: str) -> str:
        """Return the part of a request's path over which the action is needed."""
        return path.rsplit("/", self.beyond)[0] if self.beyond else path


LOCAL: Final = "/_poolwright"
PROVIDER: Final = "Poolwright"
_VERBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
_SUBSCRIPTION: Final = "/subscriptions/{subscription}"
_EXCEPTIONS: Final = {
    ("GET", "/subscriptions"): Requirement("Microsoft.Resources/subscriptions/read", 0),
    ("GET", f"{_SUBSCRIPTION}/providers/{{namespace}}"): Requirement(
        "Microsoft.Resources/subscriptions/providers/read", 0
    ),
    # az asks for these at paths without a provider.
    **{
        ("GET", f"{_SUBSCRIPTION}/resourcegroups/{{group}}/deployments/{{deployment}}/operations{tail}"): Requirement(
            "Microsoft.Resources/deployments/operations/read", beyond
        )
        for tail, beyond in (("", 1), ("/{operation}", 0))
    },
    # Over the subscription, however the provider is called.
    ("POST", f"{_SUBSCRIPTION}/providers/{{namespace}}/register"): Requirement("{namespace}/register/action", 3),
}
# As Azure spells what paths have in lower case.
_SPELLED: Final = {
    spelled.lower(): spelled
    for spelled in (
        "Microsoft.Authorization",
        "Microsoft.Compute",
        "Microsoft.ContainerService",
        "Microsoft.Features",
        "Microsoft.Insights",
        "Microsoft.Resources",
        "accessProfiles",
        "agentPools",
        "availableAgentPoolVersions",
        "deleteMachines",
        "exportTemplate",
        "kubernetesVersions",
        "listClusterAdminCredential",
        "maintenanceConfigurations",
        "nodeImageVersions",
        "vmSizes",
        "vmSkus",
        "listClusterUserCredential",
        "managedClusters",
        "operationResults",
        "operationStatuses",
        "resourceGroups",
        "roleAssignments",
        "roleDefinitions",
        "upgradeNodeImageVersion",
        "upgradeProfiles",
        "whatIf",
    )
}


@cache
def required(method: str, path: str) -> Requirement:
    """Return what a request with that method needs. The path is a route's: in lower case, names in braces."""
    exception = _EXCEPTIONS.get((method, path))
    if exception is not None:
        return exception
    head, _, tail = path.rpartition("/providers/")
    if path.startswith(f"{LOCAL}/"):
        provider, *rest = PROVIDER, *path.strip("/").split("/")[1:]
    else:
        # Without a provider it belongs to Microsoft.Resources.
        provider, *rest = tail.split("/") if head else ["microsoft.resources", *path.strip("/").split("/")]
    # Types and names take turns; what is left over is a list's type, or a POST's verb.
    kind = "/".join(spelled(part) for part in (provider, *rest[::2]))
    return Requirement(f"{kind}/{_VERBS[method]}", len(rest) % 2)


def spelled(part: str) -> str:
    """Return a segment of a route's path as Azure spells it."""
    return _SPELLED.get(part, part)
