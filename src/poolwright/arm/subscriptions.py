"""Subscriptions and resource groups over HTTP.

Invariant: nobody sees the subscriptions of another tenant.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm import paging, paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.actions import required
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.documents import listing
from poolwright.arm.http import RETRY_AFTER, call_of, json_response, listed, read_body
from poolwright.arm.paths import GROUP
from poolwright.arm.tags import decode_tags
from poolwright.arm.wire import decode_group
from poolwright.catalog.catalog import display_names
from poolwright.store import statements
from poolwright.store.identity_statements import Subscription

READ_GROUP: Final = required("GET", GROUP).action


class Subscriptions(Area):
    """Handlers of what Azure has under Microsoft.Resources."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("ResourceGroups_Get", "GET", GROUP, self.get_group, answers={200: documents.GROUP}),
            OfferedRoute(
                "ResourceGroups_CheckExistence", "HEAD", GROUP, self.head_group, answers={204: None, 404: None}
            ),
            OfferedRoute(
                "ResourceGroups_CreateOrUpdate",
                "PUT",
                GROUP,
                self.put_group,
                takes=documents.PUT_GROUP,
                answers={200: documents.GROUP, 201: documents.GROUP},
            ),
            OfferedRoute(
                "ResourceGroups_Update",
                "PATCH",
                GROUP,
                self.patch_group,
                takes=documents.PATCH_TAGS,
                answers={200: documents.GROUP},
            ),
            OfferedRoute("ResourceGroups_Delete", "DELETE", GROUP, self.delete_group, answers={202: None}, begins=True),
            OfferedRoute(
                "ResourceGroups_List",
                "GET",
                "/subscriptions/{subscription}/resourcegroups",
                self.list_groups,
                over=Over.EACH,
                answers={200: listing(documents.GROUP)},
                query=("$top", "$skiptoken"),
            ),
            OfferedRoute(
                "Subscriptions_List",
                "GET",
                "/subscriptions",
                self.list_subscriptions,
                over=Over.EACH,
                answers={200: listing(documents.SUBSCRIPTION)},
            ),
            OfferedRoute(
                "Subscriptions_Get",
                "GET",
                "/subscriptions/{subscription}",
                self.get_subscription,
                answers={200: documents.SUBSCRIPTION},
            ),
            OfferedRoute(
                "Subscriptions_ListLocations",
                "GET",
                "/subscriptions/{subscription}/locations",
                self.list_locations,
                answers={200: listing(documents.LOCATION)},
            ),
        )

    async def list_subscriptions(self, request: Request) -> Response:
        access = self._access(request)
        return listed(
            orjson.dumps(_subscription(known))
            for known in self._service.subscriptions.values()
            if known.tenant_id == access.principal.tenant_id and access.has_any_role(known.subscription_id)
        )

    async def get_subscription(self, request: Request) -> Response:
        return json_response(
            orjson.dumps(_subscription(self._service.subscriptions[request.path_params["subscription"]]))
        )

    async def list_locations(self, request: Request) -> Response:
        subscription = request.path_params["subscription"]
        shown = display_names()
        return listed(
            orjson.dumps(
                {
                    "id": f"/subscriptions/{subscription}/locations/{location}",
                    "name": location,
                    "type": "Region",
                    "displayName": shown.get(location, location),
                    "regionalDisplayName": shown.get(location, location),
                    "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
                }
            )
            for location in self._service.control_plane.catalog.locations
        )

    async def get_group(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        return json_response(self._require_group(group_id.key, group_id.group))

    async def head_group(self, request: Request) -> Response:
        row = self._reader.row(statements.GROUP_WIRE, key=paths.group_id(request).key)
        return Response(status_code=204 if row is not None else 404)

    async def put_group(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        location, sent = decode_group(await read_body(request))
        plane = self._service.control_plane
        _, created = await self._changed(
            request,
            lambda connection: plane.resource_groups.put(connection, group_id, location, sent),
            lambda result: 201 if result[1] else 200,
        )
        return json_response(self._require_group(group_id.key, group_id.group), 201 if created else 200)

    async def patch_group(self, request: Request) -> Response:
        group_id, tags = paths.group_id(request), decode_tags(await read_body(request))
        plane = self._service.control_plane
        await self._changed(
            request, lambda connection: plane.resource_groups.put_tags(connection, group_id, tags), lambda _: 200
        )
        return json_response(self._require_group(group_id.key, group_id.group))

    async def delete_group(self, request: Request) -> Response:
        group_id, call = paths.group_id(request), call_of(request)
        plane = self._service.control_plane
        accepted = await self._accepted(
            request, lambda connection: plane.resource_groups.delete(connection, group_id, call)
        )
        self._begin(accepted)
        assert accepted.operation is not None
        base, version = self._service.base_of(request), request.scope["poolwright.api_version"]
        location = (
            f"{base}/subscriptions/{accepted.operation.subscription}/operationresults/{accepted.operation.id}"
            f"?api-version={version}"
        )
        return Response(status_code=202, headers=RETRY_AFTER | {"Location": location})

    async def list_groups(self, request: Request) -> Response:
        access, subscription = self._access(request), request.path_params["subscription"]
        return paging.page(
            request,
            self._service.base_of(request),
            "groups",
            lambda after, limit: self._reader.rows(statements.GROUP_WIRES, key=subscription, after=after, limit=limit),
            paging.wanted_size(request),
            lambda row: row[1],
            lambda row: access.may(READ_GROUP, row[0]),
        )


def _subscription(known: Subscription) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{known.subscription_id}",
        "subscriptionId": known.subscription_id,
        "tenantId": known.tenant_id,
        "displayName": known.display_name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }
