"""Clusters over HTTP.

Invariant: a cluster is shown with its node pools as they are now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Select
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paging, paths
from poolwright.arm import wire_documents as documents
from poolwright.arm.actions import required
from poolwright.arm.area import Area, OfferedRoute, Over
from poolwright.arm.documents import listing
from poolwright.arm.http import call_of, json_response, read_body
from poolwright.arm.kubeconfig import credential_results
from poolwright.arm.paths import CLUSTER, CLUSTERS, GROUP_CLUSTERS, LOCATION
from poolwright.arm.tags import decode_tags
from poolwright.arm.upgrades import cluster_upgrade_profile, kubernetes_versions, orchestrators
from poolwright.arm.wire_clusters import decode_cluster
from poolwright.control_plane.calls import Accepted
from poolwright.domain.cluster import Cluster
from poolwright.store import statements
from poolwright.store.records import load

READ_CLUSTER: Final = required("GET", CLUSTER).action


class Clusters(Area):
    """Handlers of `managedClusters`."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "ManagedClusters_Stop", "POST", CLUSTER + "/stop", self.stop_cluster, answers={202: None}, begins=True
            ),
            OfferedRoute(
                "ManagedClusters_Start",
                "POST",
                CLUSTER + "/start",
                self.start_cluster,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "ManagedClusters_AbortLatestOperation",
                "POST",
                CLUSTER + "/abort",
                self.abort_cluster,
                answers={202: None},
                begins=True,
            ),
            OfferedRoute(
                "ManagedClusters_UpdateTags",
                "PATCH",
                CLUSTER,
                self.patch_cluster,
                takes=documents.PATCH_TAGS,
                answers={200: documents.CLUSTER},
                begins=True,
                headers=("If-Match", "If-None-Match"),
            ),
            OfferedRoute("ManagedClusters_Get", "GET", CLUSTER, self.get_cluster, answers={200: documents.CLUSTER}),
            OfferedRoute(
                "ManagedClusters_CreateOrUpdate",
                "PUT",
                CLUSTER,
                self.put_cluster,
                takes=documents.PUT_CLUSTER,
                answers={200: documents.CLUSTER, 201: documents.CLUSTER},
                begins=True,
                headers=("If-Match", "If-None-Match", "UseWindowsGen2VM"),
            ),
            OfferedRoute(
                "ManagedClusters_Delete",
                "DELETE",
                CLUSTER,
                self.delete_cluster,
                answers={202: None, 204: None},
                begins=True,
                headers=("If-Match", "If-None-Match"),
            ),
            OfferedRoute(
                "ManagedClusters_List",
                "GET",
                CLUSTERS,
                self.list_clusters,
                over=Over.EACH,
                answers={200: listing(documents.CLUSTER)},
                query=("$skiptoken",),
            ),
            OfferedRoute(
                "ManagedClusters_ListByResourceGroup",
                "GET",
                GROUP_CLUSTERS,
                self.list_group_clusters,
                answers={200: listing(documents.CLUSTER)},
                query=("$skiptoken",),
            ),
            OfferedRoute(
                "ManagedClusters_GetUpgradeProfile",
                "GET",
                CLUSTER + "/upgradeprofiles/default",
                self.get_cluster_upgrades,
                answers={200: documents.CLUSTER_UPGRADES},
            ),
            OfferedRoute(
                "ManagedClusters_ListClusterUserCredentials",
                "POST",
                CLUSTER + "/listclusterusercredential",
                self.user_credentials,
                answers={200: documents.CREDENTIALS},
            ),
            OfferedRoute(
                "ManagedClusters_ListClusterAdminCredentials",
                "POST",
                CLUSTER + "/listclusteradmincredential",
                self.admin_credentials,
                answers={200: documents.CREDENTIALS},
            ),
            OfferedRoute(
                "ManagedClusters_ListKubernetesVersions",
                "GET",
                LOCATION + "/kubernetesversions",
                self.list_kubernetes_versions,
                answers={200: documents.KUBERNETES_VERSIONS},
            ),
            OfferedRoute(
                "ContainerServices_ListOrchestrators",
                "GET",
                LOCATION + "/orchestrators",
                self.list_orchestrators,
                answers={200: documents.ORCHESTRATORS},
                query=("resource-type",),
            ),
        )

    async def get_cluster(self, request: Request) -> Response:
        cluster = self._cluster(request)
        return json_response(self._encoded(cluster, request), headers={"ETag": f'"{cluster.etag}"'})

    async def put_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        wanted, pools = decode_cluster(await self._body(request), self._service.profile)
        plane = self._service.control_plane
        accepted = await self._accepted(
            request, lambda connection: plane.clusters.put(connection, cluster_id, wanted, pools, call)
        )
        return self._on_its_way(request, accepted)

    async def patch_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        tags = decode_tags(await read_body(request))
        plane = self._service.control_plane
        accepted = await self._accepted(
            request, lambda connection: plane.clusters.put_tags(connection, cluster_id, tags, call)
        )
        return self._on_its_way(request, accepted)

    async def delete_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._deleted(request, lambda connection: plane.clusters.delete(connection, cluster_id, call))

    async def list_clusters(self, request: Request) -> Response:
        access = self._access(request)
        return self._page(
            request,
            statements.CLUSTERS_OF_SUBSCRIPTION,
            request.path_params["subscription"],
            lambda key: access.may(READ_CLUSTER, key),
        )

    async def list_group_clusters(self, request: Request) -> Response:
        group_id = paths.group_id(request)
        self._require_group(group_id.key, group_id.group)
        return self._page(request, statements.CLUSTERS_OF_GROUP, group_id.key)

    async def stop_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.clusters.stop(connection, cluster_id, call))

    async def start_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        plane = self._service.control_plane
        return await self._posted(request, lambda connection: plane.clusters.start(connection, cluster_id, call))

    async def abort_cluster(self, request: Request) -> Response:
        cluster_id, call = paths.cluster_id(request), call_of(request)
        plane = self._service.control_plane
        # An abort has no plan of its own to begin: the operation it stops ends it.
        return await self._posted(
            request, lambda connection: plane.clusters.abort(connection, cluster_id, call), begins=False
        )

    async def get_cluster_upgrades(self, request: Request) -> Response:
        cluster = self._cluster(request)
        kubernetes = self._service.control_plane.catalog.at(cluster.location).kubernetes
        return json_response(cluster_upgrade_profile(cluster, self._pools(cluster), kubernetes))

    async def user_credentials(self, request: Request) -> Response:
        return self._credentials(request, admin=False)

    async def admin_credentials(self, request: Request) -> Response:
        return self._credentials(request, admin=True)

    async def list_kubernetes_versions(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        return json_response(kubernetes_versions(plane.catalog.at(location).kubernetes))

    async def list_orchestrators(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        kind = request.query_params.get("resource-type", "managedClusters")
        if kind.lower() != "managedclusters":
            raise errors.InvalidParameter(
                f"The value of resource-type is invalid: '{kind[:40]}'. Versions of managedClusters are listed only.",
                target="resource-type",
                remedy="send resource-type=managedClusters, or leave it out",
            )
        subscription = request.path_params["subscription"]
        return json_response(orchestrators(subscription, location, plane.catalog.at(location).kubernetes))

    def _page(
        self, request: Request, statement: Select[Any], key: str, may_see: Callable[[str], bool] = lambda key: True
    ) -> Response:
        return paging.page(
            request,
            self._service.base_of(request),
            "clusters",
            lambda after, limit: self._reader.rows(statement, key=key, after=after, limit=limit),
            paging.CLUSTERS_PER_PAGE,
            lambda row: self._encoded(load(Cluster, row[1]), request),
            lambda row: may_see(row[0]),
        )

    def _on_its_way(self, request: Request, accepted: Accepted) -> Response:
        """The cluster as it is while the accepted change is on its way."""
        cluster = self._cluster(request)
        body = self._encoded(cluster, request)
        self._begin(accepted)
        headers = self._polling(request, accepted) | {"ETag": f'"{cluster.etag}"'}
        return json_response(body, 201 if accepted.created else 200, headers)

    def _credentials(self, request: Request, *, admin: bool) -> Response:
        cluster = self._cluster(request)
        body = credential_results(
            self._service.base_of(request),
            cluster,
            admin=admin,
            ca_pem=self._service.ca_pem,
            secret_of=self._service.key.secret_of,
        )
        return json_response(body)
