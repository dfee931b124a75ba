"""Maintenance configurations over HTTP: kept and returned. Nothing upgrades itself here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.area import Area, OfferedRoute, Service
from poolwright.arm.documents import ANYTHING, document_of, listing, resource
from poolwright.arm.http import json_response, listed, read_body
from poolwright.arm.wire_maintenance import MaintenanceBody, decode_maintenance, encode_maintenance
from poolwright.domain.maintenance import MaintenanceConfiguration
from poolwright.domain.resource_id import MaintenanceId
from poolwright.side_resources import SideResources
from poolwright.store import statements
from poolwright.store.records import load

CONFIGURATIONS = paths.CLUSTER + "/maintenanceconfigurations"
CONFIGURATION = CONFIGURATIONS + "/{configuration}"


class Maintenance(Area):
    """Handlers of `maintenanceConfigurations`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._side = SideResources(service.control_plane, service.now)

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "MaintenanceConfigurations_Get", "GET", CONFIGURATION, self.get_configuration, answers={200: _SHOWN}
            ),
            OfferedRoute(
                "MaintenanceConfigurations_CreateOrUpdate",
                "PUT",
                CONFIGURATION,
                self.put_configuration,
                takes=_PUT,
                answers={200: _SHOWN, 201: _SHOWN},
            ),
            OfferedRoute(
                "MaintenanceConfigurations_Delete",
                "DELETE",
                CONFIGURATION,
                self.delete_configuration,
                answers={200: None, 204: None},
            ),
            OfferedRoute(
                "MaintenanceConfigurations_ListByManagedCluster",
                "GET",
                CONFIGURATIONS,
                self.list_configurations,
                answers={200: listing(_SHOWN)},
            ),
        )

    async def get_configuration(self, request: Request) -> Response:
        return json_response(self._configuration(request, paths.maintenance_id(request)))

    async def put_configuration(self, request: Request) -> Response:
        maintenance_id = paths.maintenance_id(request)
        sent = decode_maintenance(await read_body(request), maintenance_id.name)
        created = await self._changed(
            request,
            lambda connection: self._side.put_maintenance_configuration(connection, maintenance_id, sent),
            lambda created: 201 if created else 200,
        )
        return json_response(self._configuration(request, maintenance_id), 201 if created else 200)

    async def delete_configuration(self, request: Request) -> Response:
        maintenance_id = paths.maintenance_id(request)
        self._require_cluster(maintenance_id.cluster_id.key, request)
        existed = await self._changed(
            request,
            lambda connection: self._side.delete_maintenance_configuration(connection, maintenance_id),
            lambda existed: 200 if existed else 204,
        )
        return Response(status_code=200 if existed else 204)

    async def list_configurations(self, request: Request) -> Response:
        cluster_id = paths.cluster_id(request)
        self._require_cluster(cluster_id.key, request)
        rows = self._reader.rows(statements.MAINTENANCE_RECORDS, key=cluster_id.key)
        return listed(encode_maintenance(load(MaintenanceConfiguration, record)) for (record,) in rows)

    def _configuration(self, request: Request, maintenance_id: MaintenanceId) -> bytes:
        row = self._reader.row(statements.MAINTENANCE_RECORD, key=maintenance_id.key)
        if row is None:
            self._require_cluster(maintenance_id.cluster_id.key, request)
            raise errors.ResourceNotFound(
                f"The maintenance configuration '{maintenance_id.name}' of managed cluster "
                f"'{maintenance_id.cluster_id.cluster}' was not found.",
                remedy="`az aks maintenanceconfiguration list` shows what exists",
            )
        return encode_maintenance(load(MaintenanceConfiguration, row[0]))


_PUT = document_of("PutMaintenanceConfiguration", MaintenanceBody)
_SHOWN = resource("MaintenanceConfiguration", ANYTHING)
