"""Node pools and their machines over HTTP.

Invariant: a node pool is read as it was rendered when it was written: one look-up.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import listing
from poolwright.arm.http import call_of, json_response, listed, read_body
from poolwright.arm.paths import CLUSTER, POOL, POOLS
from poolwright.arm.upgrades import available_node_pool_versions, node_pool_upgrade_profile
from poolwright.arm.wire_machines import decode_machine_names
from poolwright.arm.wire_node_pools import decode_node_pool, decode_scale, encode_what_if
from poolwright.domain.node_pool import NodePool
from poolwright.domain.resource_id import ResourceId
from poolwright.domain.what_if import WhatIf
from poolwright.store import statements
from poolwright.store.records import load


class NodePools(Area):
    """Handlers of `agentPools` and their machines."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("AgentPools_Get", "GET", POOL, self.get_node_pool, answers={200: documents.POOL}),
            OfferedRoute("AgentPools_List", "GET", POOLS, self.list_node_pools, answers={200: listing(documents.POOL)}),
            OfferedRoute(
                "AgentPools_CreateOrUpdate",
                "PUT",
                POOL,
                self.put_node_pool,
                takes=documents.PUT_POOL,
                answers={200: documents.POOL, 201: documents.POOL},
                begins=True,
                headers=("If-Match", "If-None-Match", "UseWindowsGen2VM"),
            ),
            OfferedRoute(
                "AgentPools_Update",
                "PATCH",
                POOL,
                self.patch_node_pool,
                takes=documents.PATCH_POOL,
                answers={202: None},
                begins=True,
                headers=("If-Match", "If-None-Match"),
            ),
            OfferedRoute(
                "AgentPools_Delete",
                "DELETE",
                POOL,
                self.delete_node_pool,
                answers={202: None, 204: None},
                begins=True,
                headers=("If-Match", "If-None-Match"),
            ),
            OfferedRoute(
                "Machines_List",
                "GET",
                POOL + "/machines",
                self.list_machines,
                answers={200: listing(documents.MACHINE)},
            ),
            OfferedRoute(
                "Machines_Get", "GET", POOL + "/machines/{machine}", self.get_machine, answers={200: documents.MACHINE}
            ),
            OfferedRoute(
                "Machines_Reimage (Poolwright)",
                "POST",
                POOL + "/machines/{machine}/reimage",
                self.reimage_machine,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "AgentPools_WhatIf (Poolwright)",
                "POST",
                POOL + "/whatif",
                self.what_if_node_pool,
                takes=documents.PUT_POOL,
                answers={200: documents.WHAT_IF},
                headers=("If-Match", "If-None-Match", "UseWindowsGen2VM"),
            ),
            OfferedRoute(
                "AgentPools_Rollback (Poolwright)",
                "POST",
                POOL + "/rollback",
                self.rollback_node_pool,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "AgentPools_UpgradeNodeImageVersion",
                "POST",
                POOL + "/upgradenodeimageversion",
                self.upgrade_node_image,
                answers={202: documents.POOL},
                begins=True,
                headers=("AKSSnapshotId",),
            ),
            OfferedRoute(
                "AgentPools_DeleteMachines",
                "POST",
                POOL + "/deletemachines",
                self.delete_machines,
                takes=documents.MACHINE_NAMES,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "AgentPools_AbortLatestOperation",
                "POST",
                POOL + "/abort",
                self.abort_node_pool,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "AgentPools_GetUpgradeProfile",
                "GET",
                POOL + "/upgradeprofiles/default",
                self.get_node_pool_upgrades,
                answers={200: documents.POOL_UPGRADES},
            ),
            OfferedRoute(
                "AgentPools_GetAvailableAgentPoolVersions",
                "GET",
                CLUSTER + "/availableagentpoolversions",
                self.list_node_pool_versions,
                answers={200: documents.POOL_VERSIONS},
            ),
        )

    async def get_node_pool(self, request: Request) -> Response:
        # The folded, lower-case path of a node pool is its key.
        row = self._reader.row(statements.POOL_WIRE, key=request.scope["path"])
        if row is None:
            pool_id = paths.node_pool_id(request)
            self._require_cluster(pool_id.cluster_id.key, request)
            raise errors.AgentPoolNotFound(
                f"The agent pool '{pool_id.pool}' was not found in managed cluster '{pool_id.cluster_id.cluster}'.",
                remedy="`az aks nodepool list` shows what exists",
            )
        return json_response(row[0], headers={"ETag": f'"{row[1]}"'})

    async def list_node_pools(self, request: Request) -> Response:
        cluster_key = paths.cluster_id(request).key
        rows = self._reader.rows(statements.POOL_WIRES, key=cluster_key)
        if not rows:
            self._require_cluster(cluster_key, request)
        return listed(row[0] for row in rows)

    async def put_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        wanted = decode_node_pool(await self._body(request), self._service.profile)
        plane = self._service.control_plane
        accepted = await self._accepted(
            request, lambda connection: plane.node_pools.put(connection, pool_id, wanted, call)
        )
        row = self._reader.row(statements.POOL_WIRE, key=pool_id.key)
        self._begin(accepted)
        assert row is not None
        headers = self._polling(request, accepted) | {"ETag": f'"{row[1]}"'}
        return json_response(row[0], 201 if accepted.created else 200, headers)

    async def patch_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        count, manual = decode_scale(await read_body(request))
        plane = self._service.control_plane
        return await self._posted(
            request, lambda connection: plane.node_pools.scale(connection, pool_id, count, manual, call)
        )

    async def delete_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._deleted(request, lambda connection: plane.node_pools.delete(connection, pool_id, call))

    async def list_machines(self, request: Request) -> Response:
        self._require_pool(request)
        rows = self._reader.rows(statements.MACHINE_WIRES, key=paths.node_pool_id(request).key)
        return listed(row[0] for row in rows)

    async def get_machine(self, request: Request) -> Response:
        machine_id = paths.machine_id(request)
        row = self._reader.row(statements.MACHINE_WIRE, key=machine_id.key)
        if row is None:
            self._require_pool(request)
            raise errors.MachineNotFound(
                f"The machine '{machine_id.machine}' was not found in agent pool '{machine_id.pool_id.pool}'.",
                remedy="`az aks machine list` shows what exists",
            )
        return json_response(row[0])

    async def what_if_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        wanted = decode_node_pool(await self._body(request), self._service.profile)
        plane = self._service.control_plane

        def settle() -> WhatIf:
            with self._service.database.engine.connect() as connection:
                return plane.node_pools.what_if(connection, pool_id, wanted, call)

        return json_response(encode_what_if(await asyncio.to_thread(settle)))

    async def rollback_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.node_pools.rollback(connection, pool_id, call))

    async def upgrade_node_image(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        plane = self._service.control_plane
        # How `az aks nodepool upgrade --node-image-only --snapshot-id` names the snapshot.
        snapshot = request.headers.get("akssnapshotid") or None
        source = ResourceId.parse(snapshot) if snapshot is not None else None
        if source is not None:
            self._require_readable(request, source, "AKSSnapshotId")
        return await self._posted(
            request,
            lambda connection: plane.node_pools.upgrade_node_image(connection, pool_id, call, snapshot),
            shown=pool_id,
        )

    async def delete_machines(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        names = decode_machine_names(await read_body(request))
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.machines.delete(connection, pool_id, names, call))

    async def reimage_machine(self, request: Request) -> Response:
        machine_id, call = paths.machine_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.machines.reimage(connection, machine_id, call))

    async def abort_node_pool(self, request: Request) -> Response:
        pool_id, call = paths.node_pool_id(request), call_of(request)
        plane = self._service.control_plane
        # An abort has no plan of its own to begin: the operation it stops ends it.
        return await self._posted(
            request, lambda connection: plane.node_pools.abort(connection, pool_id, call), begins=False
        )

    async def get_node_pool_upgrades(self, request: Request) -> Response:
        cluster = self._cluster(request)
        self._require_pool(request)
        record = self._reader.row(statements.POOL_RECORD, key=paths.node_pool_id(request).key)
        assert record is not None
        here = self._service.control_plane.catalog.at(cluster.location)
        return json_response(node_pool_upgrade_profile(cluster, load(NodePool, record[0]), here))

    async def list_node_pool_versions(self, request: Request) -> Response:
        cluster = self._cluster(request)
        kubernetes = self._service.control_plane.catalog.at(cluster.location).kubernetes
        return json_response(available_node_pool_versions(cluster, kubernetes))
