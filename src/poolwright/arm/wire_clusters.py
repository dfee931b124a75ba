"""Clusters as JSON: what a PUT asks for, with the node pools it names, and how AKS shows them.

As with node pools, unknown properties come back as they were sent, and secrets are dropped on the way in.

Invariant: what is returned has no secret and no null outside the `poolwright` blocks of its node pools; a cluster that
was shown can be sent again.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import Field

from poolwright import errors
from poolwright.arm.sent import (
    BLANK_IS_NONE,
    IDENTITY,
    Json,
    Sent,
    Text,
    as_sent,
    checked,
    clean,
    in_words,
    spelled,
    without,
    wrong,
)
from poolwright.arm.wire_node_pools import PoolProperties, pool_properties, pool_request
from poolwright.domain.cluster import Cluster, ClusterRequest
from poolwright.domain.node_pool import NodePool, NodePoolRequest
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import CLUSTER_TYPE
from poolwright.domain.tags import require_tags

_READ_ONLY_CLUSTER: Final = (
    "provisioningState",
    "powerState",
    "currentKubernetesVersion",
    "fqdn",
    "azurePortalFQDN",
    "privateFQDN",
    "maxAgentPools",
    "resourceUID",
    "agentPoolProfiles",
    "status",
)

_OUTBOUND_TYPES: Final = (
    "loadBalancer",
    "userDefinedRouting",
    "managedNATGateway",
    "userAssignedNATGateway",
    "none",
)


class _NetworkProfile(Sent):
    networkPlugin: Annotated[str | None, spelled("azure", "kubenet", "none")] = None
    networkPluginMode: Annotated[str | None, spelled("overlay")] = None
    networkPolicy: Annotated[str | None, spelled("none", "calico", "azure", "cilium")] = None
    networkDataplane: Annotated[str | None, spelled("azure", "cilium")] = None
    loadBalancerSku: Annotated[str | None, spelled("standard", "basic")] = None
    outboundType: Annotated[str | None, spelled(*_OUTBOUND_TYPES)] = None


class _WindowsProfile(Sent):
    adminUsername: Text = None


class _SshPublicKey(Sent):
    keyData: Text = None


class _Ssh(Sent):
    publicKeys: list[_SshPublicKey] | None = None


_UserName = Annotated[str, Field(pattern=r"^[A-Za-z][-A-Za-z0-9_]*$")]


class _LinuxProfile(Sent):
    adminUsername: Annotated[_UserName | None, BLANK_IS_NONE] = None
    ssh: _Ssh | None = None


class _ServicePrincipalProfile(Sent):
    clientId: Text = None


class _Addon(Sent):
    enabled: bool


class ClusterProperties(Sent):
    kubernetesVersion: Text = None
    dnsPrefix: Text = None
    nodeResourceGroup: Text = None
    supportPlan: Annotated[str | None, spelled("KubernetesOfficial", "AKSLongTermSupport")] = None
    enableRBAC: bool | None = None
    disableLocalAccounts: bool | None = None
    networkProfile: _NetworkProfile | None = None
    windowsProfile: _WindowsProfile | None = None
    linuxProfile: _LinuxProfile | None = None
    servicePrincipalProfile: _ServicePrincipalProfile | None = None
    aadProfile: Json | None = None
    agentPoolProfiles: Annotated[list[Json], Field(max_length=MAX_POOLS)] | None = None
    addonProfiles: dict[str, _Addon | None] | None = None


class _Sku(Sent):
    name: Annotated[str | None, spelled("Base", "Automatic")] = None
    tier: Annotated[str | None, spelled("Free", "Standard", "Premium")] = None


class _Identity(Sent):
    type: Annotated[str | None, spelled("SystemAssigned", "UserAssigned", "None")] = None


class ClusterBody(Sent):
    location: Text = None
    tags: dict[str, str | None] | None = None
    properties: ClusterProperties | None = None
    sku: _Sku | None = None
    identity: _Identity | None = None


def decode_cluster(body: Json, profile: Profile) -> tuple[ClusterRequest, list[tuple[str, NodePoolRequest]]]:
    """Return the cluster's request and its named node pools. Raises one error naming every wrong value."""
    model = checked(ClusterBody, body, "")
    require_tags(model.tags)
    properties = model.properties or ClusterProperties()
    _require_ssh_keys(properties.linuxProfile)
    network = properties.networkProfile
    windows = properties.windowsProfile
    sent = clean(without(as_sent(model), (*IDENTITY, "location")))
    sent["properties"] = without(sent.get("properties", {}), _READ_ONLY_CLUSTER)
    request = ClusterRequest(
        location=model.location,
        wanted_version=properties.kubernetesVersion,
        network_plugin=network.networkPlugin if network else None,
        has_windows_profile=bool(windows and windows.adminUsername),
        sent=sent,
    )
    return request, _pool_requests(properties.agentPoolProfiles or [], profile)


def _require_ssh_keys(profile: _LinuxProfile | None) -> None:
    """Refuse what is no public key, in AKS's words: it would only be noticed where somebody tries to log in."""
    for entry in (profile.ssh.publicKeys if profile and profile.ssh else None) or ():
        key = (entry.keyData or "").strip()
        try:
            load_ssh_public_key(key.encode())
            if not key.isprintable():
                raise ValueError("it has more than one line")
        except (ValueError, UnsupportedAlgorithm) as error:
            raise errors.InvalidParameter(
                "The value of parameter linuxProfile.ssh.publicKeys.keyData is invalid. Please see "
                "https://aka.ms/aks-naming-rules for more details.",
                target="linuxProfile.ssh.publicKeys.keyData",
                remedy="send one line as in ~/.ssh/id_rsa.pub: the kind of key, the key in base64, a comment",
            ) from error


def _pool_requests(profiles: Sequence[Json], profile: Profile) -> list[tuple[str, NodePoolRequest]]:
    """The named node pools of a cluster's body."""
    pools: list[tuple[str, NodePoolRequest]] = []
    problems: list[errors.PoolwrightError] = []
    for index, raw in enumerate(profiles):
        place = f"agentPoolProfiles[{index}]"
        name = next((value for key, value in raw.items() if key.lower() == "name"), None)
        try:
            if not isinstance(name, str):
                raise wrong([(f"{place}.name", f"a string is expected, got {in_words(name)}")])
            request = pool_request(checked(PoolProperties, raw, place), place, profile)
            # Only the PUT of a node pool itself means the cluster's version by a blank one.
            pools.append((name, replace(request, kubernetes_version=request.kubernetes_version or None)))
        except errors.InvalidRequest as error:
            problems.append(error)
    if problems:
        raise errors.joined(problems)
    return pools


def encode_cluster(cluster: Cluster, pools: Sequence[NodePool], tenant_id: str) -> bytes:
    """Return a cluster with its node pools as AKS shows it."""
    sent = dict(cluster.sent)
    properties = dict(sent.pop("properties", {}))
    name, group = cluster.id.cluster, cluster.id.group_id.group
    prefix = properties.get("dnsPrefix") or f"{name}-{group}"[:54].strip("-_.").lower()
    network = {
        "networkPlugin": "azure",
        "loadBalancerSku": "standard",
        "outboundType": "loadBalancer",
        **properties.get("networkProfile", {}),
    }
    shown: Json = {
        "enableRBAC": True,
        "disableLocalAccounts": False,
        "supportPlan": "KubernetesOfficial",
        "nodeResourceGroup": f"MC_{group}_{name}_{cluster.location}",
        **properties,
        "dnsPrefix": prefix,
        "fqdn": f"{prefix}.{cluster.location}.poolwright.invalid",
        "networkProfile": network,
        "kubernetesVersion": cluster.wanted_version,
        "currentKubernetesVersion": cluster.version,
        "provisioningState": cluster.state.value,
        "powerState": {"code": cluster.power.value},
        "maxAgentPools": 100,
        "agentPoolProfiles": [{"name": pool.id.pool, **pool_properties(pool)} for pool in pools],
    }
    if cluster.has_windows_profile:
        shown["windowsProfile"] = {"adminUsername": "azureuser", **properties.get("windowsProfile", {})}
    # A cluster that names no service principal has a managed identity.
    identity = dict(sent.pop("identity", {}))
    if not identity and "servicePrincipalProfile" not in properties:
        identity = {"type": "SystemAssigned"}
    if str(identity.get("type", "")).lower().startswith("systemassigned"):
        identity |= {"principalId": cluster.principal_id, "tenantId": tenant_id}
    document: Json = {
        "id": str(cluster.id),
        "name": name,
        "type": CLUSTER_TYPE,
        "location": cluster.location,
        "sku": {"name": "Base", "tier": "Free"},
        **sent,
        "eTag": cluster.etag,
        "properties": shown,
    }
    if identity:
        document["identity"] = identity
        shown.setdefault("servicePrincipalProfile", {"clientId": "msi"})
        shown.setdefault("identityProfile", {"kubeletidentity": _kubelet_identity(cluster, shown["nodeResourceGroup"])})
    return orjson.dumps(document)


def _kubelet_identity(cluster: Cluster, node_group: str) -> Json:
    """The identity AKS makes for the nodes; without it, `az aks update` refuses before it sends anything."""
    client_id, object_id = (
        str(uuid.uuid5(uuid.NAMESPACE_OID, f"{cluster.principal_id}/{what}")) for what in ("client", "object")
    )
    return {
        "resourceId": f"/subscriptions/{cluster.id.group_id.subscription}/resourceGroups/{node_group}/providers/"
        f"Microsoft.ManagedIdentity/userAssignedIdentities/{cluster.id.cluster}-agentpool",
        "clientId": client_id,
        "objectId": object_id,
    }


def properties_schemas() -> tuple[Json, Json]:
    """Return the JSON schemas of a cluster's and a node pool's properties, as far as they are typed here."""
    return ClusterProperties.model_json_schema(), PoolProperties.model_json_schema()
