"""Azure's operations on AKS that this service does not offer, and why: each is answered by name.

`aks-operations.csv` is the complete list of operations of Microsoft.ContainerService: those of
azure-mgmt-containerservice 41.8.0 (api-version 2026-08-01), those that 41.9.0b1 (2026-08-02-preview) has besides, and
the deployment safeguards that azure-cli 2.91.0 knows (2025-07-01); operation, method and path as in those packages.

Invariant: every operation of the list is either offered or has one reason.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Handler, OfferedRoute

_PARAMETER: Final = re.compile(r"\{[^}]+\}")


@dataclass(frozen=True, slots=True)
class KnownOperation:
    """An operation of Azure's resource provider; `path` is as Azure writes it."""

    operation: str
    method: str
    path: str
    api_version: str

    @property
    def is_preview(self) -> bool:
        return self.api_version.endswith("-preview")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why operations whose names begin with one of these are not offered, and what to do instead."""

    operations: tuple[str, ...]
    why: str
    remedy: str


_KUBERNETES: Final = "it works inside the Kubernetes cluster, and none is behind the node pools"
_NETWORK: Final = "it is about Azure networks, which this service does not have"

REASONS: Final = (
    Reason(
        (
            "AgentFabricMemberships_",
            "DeploymentSafeguards_",
            "ManagedClusters_GetCommandResult",
            "ManagedClusters_GetGuardrailsVersions",
            "ManagedClusters_GetMesh",
            "ManagedClusters_GetSafeguardsVersions",
            "ManagedClusters_ListGuardrailsVersions",
            "ManagedClusters_ListMesh",
            "ManagedClusters_ListSafeguardsVersions",
            "ManagedClusters_RunCommand",
            "ManagedNamespaces_",
            "MeshMemberships_",
            "UpgradeInsights_",
        ),
        _KUBERNETES,
        "use a Kubernetes cluster of your own for what runs on the nodes",
    ),
    Reason(
        (
            "IdentityBindings_",
            "JWTAuthenticators_",
            "ManagedClusters_ResetAADProfile",
            "ManagedClusters_ResetServicePrincipalProfile",
            "ManagedClusters_RotateClusterCertificates",
            "ManagedClusters_RotateServiceAccountSigningKeys",
            "TrustedAccessRoleBindings_",
            "TrustedAccessRoles_",
        ),
        "it is about who may use the Kubernetes API, and no Kubernetes cluster is behind the node pools",
        "nothing to do: there are no credentials of a Kubernetes API to change",
    ),
    Reason(
        (
            "LoadBalancers_",
            "ManagedClusters_ListOutboundNetworkDependenciesEndpoints",
            "ManagedClusters_RebalanceLoadBalancers",
            "PrivateEndpointConnections_",
            "PrivateLinkResources_",
            "ResolvePrivateLinkServiceId_",
        ),
        _NETWORK,
        "nothing to do: the machines of node pools need none of it",
    ),
    Reason(
        ("ManagedClusters_GetAccessProfile",),
        "Azure has replaced it by the lists of credentials",
        "use az aks get-credentials",
    ),
    Reason(
        ("AlertConfigurations_", "ManagedClusters_ListClusterMonitoringUserCredentials"),
        "it is about Azure Monitor, which this service does not have",
        "watch /metrics and the service's log",
    ),
    Reason(
        ("AgentPools_CompleteUpgrade",),
        "it ends a blue-green upgrade, and node pools are upgraded wave by wave here",
        "set upgradeSettings.maxSurge and nodeSoakDurationInMinutes; az aks nodepool operation-abort stops an upgrade",
    ),
    Reason(
        ("AgentPools_ListBootstrapData",),
        "it is for machines somebody else runs, and the machine engine runs all machines here",
        "scale the node pool",
    ),
    Reason(
        ("Machines_CreateOrUpdate",),
        "machines are made by their node pool, to its count",
        "scale the node pool; az aks nodepool delete-machines takes one away",
    ),
    Reason(
        ("MaintenanceWindows_",),
        "it is a preview of what maintenance configurations are",
        "use az aks maintenanceconfiguration",
    ),
    Reason(
        ("ManagedClusterSnapshots_",),
        "it keeps the settings of whole clusters, of which this service has few",
        "use az aks nodepool snapshot",
    ),
    Reason(
        ("Operations_List",),
        "it lists actions for Azure's role definitions",
        "docs/compatibility.md lists what is offered",
    ),
)


def known_operations() -> tuple[KnownOperation, ...]:
    """Return every operation of Azure's AKS resource provider, by name."""
    text = resources.files("poolwright.arm").joinpath("aks-operations.csv").read_text()
    return tuple(KnownOperation(**row) for row in csv.DictReader(text.splitlines()))


def missing(offered: Iterable[OfferedRoute]) -> list[KnownOperation]:
    """Return the operations that are not among the offered ones."""
    there = {(row.method, _shape(row.path)) for row in offered}
    return [known for known in known_operations() if (known.method, _shape(known.path)) not in there]


def reason_of(operation: KnownOperation) -> Reason:
    """Return why the operation is not offered."""
    return next(reason for reason in REASONS if operation.operation.startswith(reason.operations))


def refusing_routes(offered: Sequence[OfferedRoute]) -> list[OfferedRoute]:
    """Return a route for every operation that is not offered; it refuses with the reason."""
    spelled = {_shape(row.path): row.path for row in offered}
    return [
        OfferedRoute(
            known.operation,
            known.method,
            spelled.get(_shape(known.path), known.path.lower().replace("{subscriptionid}", "{subscription}")),
            _refusing(known),
        )
        for known in missing(offered)
    ]


def _refusing(known: KnownOperation) -> Handler:
    reason = reason_of(known)

    async def refuse(request: Request) -> Response:
        raise errors.OperationNotOffered(
            f"The operation {known.operation} of Microsoft.ContainerService is not offered by Poolwright: "
            f"{reason.why}.",
            remedy=reason.remedy,
        )

    return refuse


def _shape(path: str) -> str:
    """The path in lower case, whatever its parameters are called."""
    return _PARAMETER.sub("{}", path.lower())
