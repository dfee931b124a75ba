"""Resource providers over HTTP: which there are, and which types of resources they have.

Invariant: a provider of this service is registered, always; `az resource` learns from here which api-versions to send.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import listing
from poolwright.arm.http import json_response, listed

_API_VERSIONS: Final = ("2026-08-01", "2026-06-01", "2026-04-01", "2026-01-02-preview", "2025-10-01")
_PROVIDERS: Final = {
    name.lower(): (name, types)
    for name, types in (
        (
            "Microsoft.ContainerService",
            (
                "managedClusters",
                "managedClusters/agentPools",
                "managedClusters/agentPools/machines",
                "managedClusters/maintenanceConfigurations",
                "snapshots",
                "locations/kubernetesVersions",
                "locations/operations",
                "locations/operationresults",
                "locations/orchestrators",
            ),
        ),
        ("Microsoft.Authorization", ("roleAssignments", "roleDefinitions")),
        ("Microsoft.Compute", ("skus", "locations/usages")),
        ("Microsoft.Features", ("features", "providers/features")),
        ("Microsoft.Resources", ("deployments", "resourceGroups", "subscriptions", "resources", "providers")),
        ("Microsoft.Insights", ("eventtypes",)),
    )
}

_PLACE = "/subscriptions/{subscription}/providers"


class Providers(Area):
    """Handlers of resource providers."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Providers_List", "GET", _PLACE, self.list_providers, answers={200: listing(documents.PROVIDER)}
            ),
            OfferedRoute(
                "Providers_Get", "GET", _PLACE + "/{namespace}", self.get_provider, answers={200: documents.PROVIDER}
            ),
            OfferedRoute(
                "Providers_Register",
                "POST",
                _PLACE + "/{namespace}/register",
                self.get_provider,
                answers={200: documents.PROVIDER},
            ),
            OfferedRoute("Providers_Unregister", "POST", _PLACE + "/{namespace}/unregister", self.unregister),
        )

    async def list_providers(self, request: Request) -> Response:
        return listed(orjson.dumps(self._provider(request, namespace)) for namespace in _PROVIDERS)

    async def get_provider(self, request: Request) -> Response:
        return json_response(orjson.dumps(self._provider(request, require_namespace(request).lower())))

    async def unregister(self, request: Request) -> Response:
        namespace = require_namespace(request)
        raise errors.OperationNotAllowed(
            f"The resource provider '{namespace}' cannot be unregistered: it is part of this service.",
            remedy="nothing to do; delete the resources themselves",
        )

    def _provider(self, request: Request, key: str) -> dict[str, Any]:
        namespace, types = _PROVIDERS[key]
        return {
            "id": f"/subscriptions/{request.path_params['subscription']}/providers/{namespace}",
            "namespace": namespace,
            "registrationState": "Registered",
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": [
                {
                    "resourceType": kind,
                    "locations": list(self._service.control_plane.catalog.locations),
                    "apiVersions": list(_API_VERSIONS),
                }
                for kind in types
            ],
        }


def require_namespace(request: Request) -> str:
    """Return the namespace of the path in Azure's spelling. Raises `InvalidResourceType` for an unknown one."""
    asked = request.path_params["namespace"]
    known = _PROVIDERS.get(asked)
    if known is None:
        raise errors.InvalidResourceType(
            f"The resource provider '{asked}' is not one this service offers.",
            remedy=f"offered are {', '.join(name for name, _ in _PROVIDERS.values())}",
        )
    return known[0]
