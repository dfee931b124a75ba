"""Features of a subscription over HTTP, as Azure has them under Microsoft.Features.

A feature is registered and shown; it changes nothing here. AgentPoolVMSSResize, which Azure asked for before it
resized a node pool, is not asked for: profile `documented` resizes without it, and profile `azure-2026` looks at the
api-version, as Azure does since 2026-01-02-preview.

Invariant: a feature's name has Azure's spelling where the service knows it.

Source of the shapes: https://learn.microsoft.com/rest/api/resources/features (2021-07-01)
"""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute, Service
from poolwright.arm.documents import listing
from poolwright.arm.http import json_response, listed
from poolwright.arm.providers import require_namespace
from poolwright.side_resources import KNOWN_FEATURES, FeatureState, SideResources, feature_name
from poolwright.store import statements

_ALL = "/subscriptions/{subscription}/providers/microsoft.features/features"
_FEATURES = "/subscriptions/{subscription}/providers/microsoft.features/providers/{namespace}/features"
_FEATURE = _FEATURES + "/{feature}"


class Features(Area):
    """Handlers of `Microsoft.Features`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._side = SideResources(service.control_plane, service.now)

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("Features_ListAll", "GET", _ALL, self.list_all, answers={200: listing(documents.FEATURE)}),
            OfferedRoute(
                "Features_List", "GET", _FEATURES, self.list_features, answers={200: listing(documents.FEATURE)}
            ),
            OfferedRoute("Features_Get", "GET", _FEATURE, self.get_feature, answers={200: documents.FEATURE}),
            OfferedRoute(
                "Features_Register", "POST", _FEATURE + "/register", self.register, answers={200: documents.FEATURE}
            ),
            OfferedRoute(
                "Features_Unregister",
                "POST",
                _FEATURE + "/unregister",
                self.unregister,
                answers={200: documents.FEATURE},
            ),
        )

    async def list_all(self, request: Request) -> Response:
        return self._listed(request, "")

    async def list_features(self, request: Request) -> Response:
        return self._listed(request, f"{require_namespace(request)}/")

    async def get_feature(self, request: Request) -> Response:
        asked = _named(request)
        name, state = self._states(request).get(asked.lower(), (asked, FeatureState.NOT_REGISTERED.value))
        return json_response(self._shown(request, name, state))

    async def register(self, request: Request) -> Response:
        return await self._put(request, FeatureState.REGISTERED)

    async def unregister(self, request: Request) -> Response:
        return await self._put(request, FeatureState.UNREGISTERED)

    async def _put(self, request: Request, state: FeatureState) -> Response:
        name, subscription = _named(request), request.path_params["subscription"]
        await self._changed(
            request, lambda connection: self._side.put_feature(connection, subscription, name, state), lambda _: 200
        )
        return json_response(self._shown(request, name, state.value))

    def _listed(self, request: Request, prefix: str) -> Response:
        states = sorted(self._states(request).items())
        return listed(
            self._shown(request, name, state) for key, (name, state) in states if key.startswith(prefix.lower())
        )

    def _states(self, request: Request) -> dict[str, tuple[str, str]]:
        """Name and state, by the name in lower case, of the known features and those somebody registered."""
        known = {name.lower(): (name, FeatureState.NOT_REGISTERED.value) for name in KNOWN_FEATURES}
        rows = self._reader.rows(statements.FEATURES, key=request.path_params["subscription"])
        return known | {key: (name, state) for key, name, state in rows}

    def _shown(self, request: Request, name: str, state: str) -> bytes:
        namespace, _, feature = name.partition("/")
        place = f"/subscriptions/{request.path_params['subscription']}/providers/Microsoft.Features"
        return orjson.dumps(
            {
                "id": f"{place}/providers/{namespace}/features/{feature}",
                "name": name,
                "type": "Microsoft.Features/providers/features",
                "properties": {"state": state},
            }
        )


def _named(request: Request) -> str:
    """The feature's name with its namespace; a name the service does not know keeps the spelling it came with."""
    feature = request.scope[paths.AS_SENT].strip("/").split("/")[7]
    return feature_name(f"{require_namespace(request)}/{feature}")
