"""Sizes and quotas over HTTP: what Azure has under Microsoft.Compute, and the sizes that AKS takes.

Invariant: a family's quota is shown right after it was set.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import listing
from poolwright.arm.http import json_response, read_body
from poolwright.arm.paths import COMPUTE_LOCATION, LOCATION, USAGES
from poolwright.arm.skus import PageKey, render_sizes
from poolwright.arm.usages import render_usages
from poolwright.arm.wire import decode_quota_limit


class Compute(Area):
    """Handlers of sizes and usages."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("Usage_List", "GET", USAGES, self.list_usages, answers={200: listing(documents.USAGE)}),
            OfferedRoute(
                "Usage_SetLimit (Poolwright)",
                "PUT",
                USAGES + "/{family}",
                self.put_quota,
                takes=documents.PUT_QUOTA,
                answers={200: listing(documents.USAGE)},
            ),
            OfferedRoute(
                "Usage_ResetLimit (Poolwright)",
                "DELETE",
                USAGES + "/{family}",
                self.delete_quota,
                answers={200: listing(documents.USAGE)},
            ),
            OfferedRoute(
                "ResourceSkus_List",
                "GET",
                "/subscriptions/{subscription}/providers/microsoft.compute/skus",
                self.list_skus,
                answers={200: listing(documents.SKU)},
                query=("$filter",),
            ),
            OfferedRoute(
                "VmSkus_List", "GET", LOCATION + "/vmskus", self.list_aks_skus, answers={200: listing(documents.SKU)}
            ),
            OfferedRoute(
                "VirtualMachineSizes_List",
                "GET",
                COMPUTE_LOCATION + "/vmsizes",
                self.list_sizes,
                answers={200: listing(documents.SIZE)},
            ),
        )

    async def list_skus(self, request: Request) -> Response:
        location = self._service.skus.location_of(request.query_params.get("$filter"))
        return await self._sku_page(request, PageKey(location))

    async def list_sizes(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        return json_response(render_sizes(plane.catalog.at(location).offers))

    async def list_aks_skus(self, request: Request) -> Response:
        location = self._service.control_plane.require_location(request.path_params["location"], "location")
        return await self._sku_page(request, PageKey(location, only_aks=True))

    async def _sku_page(self, request: Request, key: PageKey) -> Response:
        pages = self._service.skus
        page = pages.ready(key)
        if page is None:
            page = await asyncio.to_thread(pages.make, key)
        body, encoding = page.body(request.headers.get("accept-encoding", ""))
        headers = {"Content-Encoding": encoding, "Vary": "Accept-Encoding"} if encoding else {}
        return json_response(body, headers=headers)

    async def list_usages(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        subscription = request.path_params["subscription"]

        def read() -> tuple[dict[str, int], dict[str, int]]:
            with self._service.database.engine.connect() as connection:
                return plane.quotas.usages(connection, subscription, location)

        used, limits = await asyncio.to_thread(read)
        return json_response(render_usages(plane.catalog, location, used, limits))

    async def put_quota(self, request: Request) -> Response:
        return await self._store_quota(request, decode_quota_limit(await read_body(request)))

    async def delete_quota(self, request: Request) -> Response:
        return await self._store_quota(request, None)

    async def _store_quota(self, request: Request, limit: int | None) -> Response:
        plane, place = self._service.control_plane, request.path_params
        await self._changed(
            request,
            lambda connection: plane.quotas.put(
                connection, place["subscription"], place["location"], place["family"], limit
            ),
            lambda _: 200,
        )
        return await self.list_usages(request)
