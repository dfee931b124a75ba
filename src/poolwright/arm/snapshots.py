"""Node pool snapshots over HTTP.

Invariant: lists of a subscription leave out what the caller may not see.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm import paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.actions import required
from poolwright.arm.area import Area, OfferedRoute, Over, Service
from poolwright.arm.documents import TAGS, TEXT, an_object, document_of, listing, resource
from poolwright.arm.http import json_response, listed, read_body
from poolwright.arm.tags import decode_tags
from poolwright.arm.wire_snapshots import SnapshotBody, decode_snapshot, encode_snapshot
from poolwright.domain.snapshot import Snapshot
from poolwright.side_resources import SideResources, no_snapshot
from poolwright.store import statements
from poolwright.store.records import load

SNAPSHOTS = "/subscriptions/{subscription}/providers/microsoft.containerservice/snapshots"
GROUP_SNAPSHOTS = paths.GROUP + "/providers/microsoft.containerservice/snapshots"
SNAPSHOT = GROUP_SNAPSHOTS + "/{snapshot}"

READ_SNAPSHOT = required("GET", SNAPSHOT).action


class Snapshots(Area):
    """Handlers of `snapshots`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._side = SideResources(service.control_plane, service.now)

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("Snapshots_Get", "GET", SNAPSHOT, self.get_snapshot, answers={200: _SHOWN}),
            OfferedRoute(
                "Snapshots_CreateOrUpdate",
                "PUT",
                SNAPSHOT,
                self.put_snapshot,
                takes=_PUT,
                answers={200: _SHOWN, 201: _SHOWN},
            ),
            OfferedRoute(
                "Snapshots_UpdateTags",
                "PATCH",
                SNAPSHOT,
                self.patch_snapshot,
                takes=documents.PATCH_TAGS,
                answers={200: _SHOWN},
            ),
            OfferedRoute("Snapshots_Delete", "DELETE", SNAPSHOT, self.delete_snapshot, answers={200: None, 204: None}),
            OfferedRoute(
                "Snapshots_List", "GET", SNAPSHOTS, self.list_snapshots, over=Over.EACH, answers={200: listing(_SHOWN)}
            ),
            OfferedRoute(
                "Snapshots_ListByResourceGroup",
                "GET",
                GROUP_SNAPSHOTS,
                self.list_group_snapshots,
                answers={200: listing(_SHOWN)},
            ),
        )

    async def get_snapshot(self, request: Request) -> Response:
        snapshot_id = paths.snapshot_id(request)
        row = self._reader.row(statements.SNAPSHOT_RECORD, key=snapshot_id.key)
        if row is None:
            self._require_group(snapshot_id.group_id.key, snapshot_id.group_id.group)
            raise no_snapshot(snapshot_id.snapshot, snapshot_id.group_id.group)
        return json_response(encode_snapshot(load(Snapshot, row[0])))

    async def put_snapshot(self, request: Request) -> Response:
        snapshot_id = paths.snapshot_id(request)
        location, source, sent = decode_snapshot(await self._body(request))
        snapshot, created = await self._changed(
            request,
            lambda connection: self._side.put_snapshot(connection, snapshot_id, location, source, sent),
            lambda result: 201 if result[1] else 200,
        )
        return json_response(encode_snapshot(snapshot), 201 if created else 200)

    async def patch_snapshot(self, request: Request) -> Response:
        snapshot_id, tags = paths.snapshot_id(request), decode_tags(await read_body(request))
        snapshot = await self._changed(
            request, lambda connection: self._side.put_snapshot_tags(connection, snapshot_id, tags), lambda _: 200
        )
        return json_response(encode_snapshot(snapshot))

    async def delete_snapshot(self, request: Request) -> Response:
        snapshot_id = paths.snapshot_id(request)
        existed = await self._changed(
            request,
            lambda connection: self._side.delete_snapshot(connection, snapshot_id),
            lambda existed: 200 if existed else 204,
        )
        return Response(status_code=200 if existed else 204)

    async def list_snapshots(self, request: Request) -> Response:
        rows = self._reader.rows(statements.SNAPSHOTS_OF_SUBSCRIPTION, key=request.path_params["subscription"])
        access = self._access(request)
        found = (load(Snapshot, record) for (record,) in rows)
        return listed(encode_snapshot(each) for each in found if access.may(READ_SNAPSHOT, each.id.key))

    async def list_group_snapshots(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        self._require_group(group_id.key, group_id.group)
        rows = self._reader.rows(statements.SNAPSHOTS_OF_GROUP, key=group_id.key)
        return listed(encode_snapshot(load(Snapshot, record)) for (record,) in rows)


_PUT = document_of("PutSnapshot", SnapshotBody)
_SHOWN = resource(
    "Snapshot",
    an_object({"creationData": an_object({"sourceResourceId": TEXT}), "snapshotType": TEXT, "nodeImageVersion": TEXT}),
    {"location": TEXT, "tags": TAGS},
)
