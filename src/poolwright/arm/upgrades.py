"""Kubernetes versions and upgrades as AKS shows them.

Source of the shapes: `az aks get-versions` and `get-upgrades` (docs/compatibility.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from poolwright.arm.shape import Misshapen, object_in, text_in, texts_in
from poolwright.arm.wire import timestamp
from poolwright.catalog.catalog import LocationCatalog
from poolwright.catalog.kubernetes_versions import KubernetesVersions, OfferedRelease
from poolwright.domain.admission import MAX_VERSION_SKEW
from poolwright.domain.cluster import Cluster
from poolwright.domain.kubernetes_version import KubernetesRelease, KubernetesVersion
from poolwright.domain.node_pool import NodePool

V = TypeVar("V")


def kubernetes_versions(kubernetes: KubernetesVersions) -> bytes:
    """Return the body of ListKubernetesVersions: releases, support plans, and where each patch can go."""
    values: list[dict[str, Any]] = []
    for offered in kubernetes.releases:
        value: dict[str, Any] = {
            "version": str(offered.release),
            "capabilities": {"supportPlan": list(offered.support_plans)},
            "patchVersions": {
                str(patch): {"upgrades": [str(target) for target in upgrades_of(patch, kubernetes)]}
                for patch in offered.patches
            },
        }
        if offered.is_preview:
            value["isPreview"] = True
        if offered.release == kubernetes.default:
            value["isDefault"] = True
        values.append(value)
    return orjson.dumps({"values": values})


def orchestrators(subscription: str, location: str, kubernetes: KubernetesVersions) -> bytes:
    """Return the body of ListOrchestrators, by which older clients learn the versions: patches, and where each can go.

    Source: Azure's definition of api-version 2019-04-01 (`location.json`), which Ansible's modules ask for.
    """
    default = kubernetes.newest_patch(kubernetes.default)
    listed = [
        {
            **_orchestrator(patch, kubernetes),
            **({"default": True} if patch == default else {}),
            "upgrades": [_orchestrator(target, kubernetes) for target in upgrades_of(patch, kubernetes)],
        }
        for offered in kubernetes.releases
        for patch in offered.patches
    ]
    place = f"/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/{location}"
    return orjson.dumps(
        {
            "id": f"{place}/orchestrators",
            "name": "default",
            "type": "Microsoft.ContainerService/locations/orchestrators",
            "properties": {"orchestrators": listed},
        }
    )


def _orchestrator(version: KubernetesVersion, kubernetes: KubernetesVersions) -> dict[str, Any]:
    return {
        "orchestratorType": "Kubernetes",
        "orchestratorVersion": str(version),
        **({"isPreview": True} if _is_preview(version, kubernetes) else {}),
    }


def decode_kubernetes_release(entry: Mapping[str, Any]) -> tuple[OfferedRelease, bool] | None:
    """Return the release of an entry of that list, and whether it is the default; None for one without patches.

    Raises `Misshapen`.
    """
    release = _version(text_in(entry, "version"), "version", KubernetesRelease.parse)
    patches = {
        _version(text, f"patchVersions.{text}", KubernetesVersion.parse): tuple(
            _version(target, f"patchVersions.{text}.upgrades", KubernetesVersion.parse)
            for target in texts_in(object_in(object_in(entry, "patchVersions"), text), "upgrades")
        )
        for text in object_in(entry, "patchVersions")
    }
    if not patches:
        return None
    for patch in patches:
        if patch.release != release:
            raise Misshapen("patchVersions", f"it has {patch}, which is no patch of {release}")
    offered = OfferedRelease(
        release,
        tuple(sorted(patches)),
        tuple(texts_in(object_in(entry, "capabilities"), "supportPlan")),
        entry.get("isPreview") is True,
        {str(patch): tuple(sorted(targets)) for patch, targets in patches.items()},
    )
    return offered, entry.get("isDefault") is True


def cluster_upgrade_profile(cluster: Cluster, pools: Sequence[NodePool], kubernetes: KubernetesVersions) -> bytes:
    """Return the body of ManagedClusters_GetUpgradeProfile."""
    control_plane = KubernetesVersion.parse(cluster.version)
    return orjson.dumps(
        {
            "id": f"{cluster.id}/upgradeprofiles/default",
            "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/upgradeprofiles",
            "properties": {
                "controlPlaneProfile": {
                    "kubernetesVersion": cluster.version,
                    "osType": "Linux",
                    "upgrades": _upgrades(upgrades_of(control_plane, kubernetes), kubernetes),
                },
                "agentPoolProfiles": [
                    {
                        "name": pool.id.pool,
                        "kubernetesVersion": pool.version,
                        "osType": pool.os_type.value,
                        "upgrades": _upgrades(
                            [
                                target
                                for target in upgrades_of(KubernetesVersion.parse(pool.version), kubernetes)
                                if target <= control_plane
                            ],
                            kubernetes,
                        ),
                    }
                    for pool in pools
                ],
            },
        }
    )


def node_pool_upgrade_profile(cluster: Cluster, pool: NodePool, catalog: LocationCatalog) -> bytes:
    """Return the body of AgentPools_GetUpgradeProfile.

    `recentlyUsedVersions` is what `az aks nodepool rollback` goes back to: the newest entry, if there is one.
    """
    control_plane = KubernetesVersion.parse(cluster.version)
    kubernetes = catalog.kubernetes
    targets = [
        target for target in upgrades_of(KubernetesVersion.parse(pool.version), kubernetes) if target <= control_plane
    ]
    newest = next((image for image in catalog.images if image.definition == pool.image_definition), None)
    former = pool.last_good
    properties: dict[str, Any] = {
        "kubernetesVersion": pool.version,
        "osType": pool.os_type.value,
        "upgrades": _upgrades(targets, kubernetes),
        "latestNodeImageVersion": newest.version_string if newest is not None else pool.node_image,
    }
    if former is not None and (former.node_image, former.version) != (pool.node_image, pool.version):
        properties["recentlyUsedVersions"] = [
            {
                "orchestratorVersion": former.version,
                "nodeImageVersion": former.node_image,
                "timestamp": timestamp(former.since),
            }
        ]
    return orjson.dumps(
        {
            "id": f"{pool.id}/upgradeProfiles/default",
            "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/agentPools/upgradeProfiles",
            "properties": properties,
        }
    )


def available_node_pool_versions(cluster: Cluster, kubernetes: KubernetesVersions) -> bytes:
    """Return the body of GetAvailableAgentPoolVersions: the control plane's version and what may be behind it."""
    control_plane = KubernetesVersion.parse(cluster.version)
    lowest = control_plane.release.minor - MAX_VERSION_SKEW
    versions = []
    for offered in kubernetes.releases:
        for patch in offered.patches:
            if lowest <= patch.release.minor and patch <= control_plane:
                versions.append(
                    {
                        "kubernetesVersion": str(patch),
                        "default": patch == control_plane,
                        **({"isPreview": True} if offered.is_preview else {}),
                    }
                )
    return orjson.dumps(
        {
            "id": f"{cluster.id}/availableAgentPoolVersions",
            "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/availableAgentPoolVersions",
            "properties": {"agentPoolVersions": versions},
        }
    )


def upgrades_of(version: KubernetesVersion, kubernetes: KubernetesVersions) -> list[KubernetesVersion]:
    """Return where a version can go, oldest first.

    That is what a list of the location's versions said, or else the later patches of the same release and the
    patches of the next one.
    """
    own = kubernetes.offered(version.release)
    if own is not None and own.upgrades is not None and str(version) in own.upgrades:
        return list(own.upgrades[str(version)])
    following = KubernetesRelease(version.release.major, version.release.minor + 1)
    targets = []
    for release in (version.release, following):
        offered = kubernetes.offered(release)
        if offered is not None:
            targets += [patch for patch in offered.patches if patch > version]
    return targets


def _version(text: str, place: str, parse: Callable[[str], V]) -> V:
    try:
        # Long-term patches have a suffix in some lists: 1.28.103-akslts.
        return parse(text.partition("-")[0])
    except ValueError as error:
        raise Misshapen(place, f"it is no Kubernetes version: {text[:40]}") from error


def _upgrades(targets: Sequence[KubernetesVersion], kubernetes: KubernetesVersions) -> list[dict[str, Any]]:
    return [
        {"kubernetesVersion": str(target), **({"isPreview": True} if _is_preview(target, kubernetes) else {})}
        for target in targets
    ]


def _is_preview(version: KubernetesVersion, kubernetes: KubernetesVersions) -> bool:
    offered = kubernetes.offered(version.release)
    return offered is not None and offered.is_preview
