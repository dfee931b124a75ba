"""JSON as Azure clients write and read it, and nothing else knows its names.

Decoding is strict about what AKS defines and keeps everything else: unknown properties come back as
they were sent. `""`, null and missing mean the default. Names of properties are compared without case,
as Azure does. Secrets are dropped on the way in.

Invariant: what `encode_*` returns has no secret, and no null outside the `poolwright` block.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

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
from poolwright.domain import change
from poolwright.domain.cluster import Cluster, ClusterRequest, ResourceGroup
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import lasting_os_skus
from poolwright.domain.machine import Machine, MachineFacts
from poolwright.domain.node_pool import GoodState, NodePool, NodePoolRequest, ScaleProfile
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority, ScaleDownMode
from poolwright.domain.operation import Operation, OperationError, OperationKind
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_limits import MAX_POOLS
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import CLUSTER_TYPE, MACHINE_TYPE, NODE_POOL_TYPE
from poolwright.domain.roles import ASSIGNMENT_TYPE, DEFINITION_TYPE, Role, RoleAssignment, WantedAssignment
from poolwright.domain.tags import require_tags
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from poolwright.domain.what_if import WhatIf
from poolwright.domain.wish import ABSENT, Absent

GUID: Final = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"

E = TypeVar("E", bound=Enum)

_READ_ONLY_POOL: Final = (
    "eTag",
    "provisioningState",
    "currentOrchestratorVersion",
    "nodeImageVersion",
    "recentlyUsedVersions",
    "status",
    "poolwright",
    "virtualMachineNodesStatus",
    "name",
)
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

_OsTypes = Literal["Linux", "Windows"]
_Modes = Literal["System", "User", "Gateway"]
_PoolTypes = Literal["VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"]
_Priorities = Literal["Regular", "Spot"]
_Powers = Literal["Running", "Stopped"]
_DiskTypes = Literal["Managed", "Ephemeral"]
_KubeletDiskTypes = Literal["OS", "Temporary"]
_Evictions = Literal["Delete", "Deallocate"]
_Undrainable = Literal["Schedule", "Cordon"]
_Runtimes = Literal["OCIContainer", "WasmWasi", "KataVmIsolation", "KataMshvVmIsolation"]
_GpuDrivers = Literal["Install", "None"]
_SshAccess = Literal["LocalUser", "Disabled", "EntraId"]
_Generations = Literal["V1", "V2"]


class _Power(Sent):
    code: Annotated[_Powers | None, spelled(*get_args(_Powers))] = None


class _Security(Sent):
    enableVTPM: bool | None = None
    enableSecureBoot: bool | None = None
    sshAccess: Annotated[_SshAccess | None, spelled(*get_args(_SshAccess))] = None


class _Gpu(Sent):
    driver: Annotated[_GpuDrivers | None, spelled(*get_args(_GpuDrivers))] = None


class _UpgradeSettings(Sent):
    maxSurge: Text = None
    maxUnavailable: Text = None
    drainTimeoutInMinutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    nodeSoakDurationInMinutes: Annotated[int, Field(ge=0, le=30)] | None = None
    undrainableNodeBehavior: Annotated[_Undrainable | None, spelled(*get_args(_Undrainable))] = None


class _ManualScale(Sent):
    size: Annotated[str, Field(min_length=1)]
    count: Annotated[int, Field(ge=0, le=1000)]


class _Scale(Sent):
    manual: Annotated[list[_ManualScale], Field(max_length=5)] | None = None


class _VirtualMachines(Sent):
    scale: _Scale | None = None


class _CreationData(Sent):
    sourceResourceId: Text = None


class PoolProperties(Sent):
    """The properties of a node pool that have a type in AKS's own definition (api-version 2025-10-01 and later)."""

    vmSize: Text = None
    osType: Annotated[_OsTypes | None, spelled(*get_args(_OsTypes))] = None
    osSKU: Text = None
    count: int | None = None
    orchestratorVersion: str | None = None
    mode: Annotated[_Modes | None, spelled(*get_args(_Modes))] = None
    type: Annotated[_PoolTypes | None, spelled(*get_args(_PoolTypes))] = None
    scaleSetPriority: Annotated[_Priorities | None, spelled(*get_args(_Priorities))] = None
    scaleSetEvictionPolicy: Annotated[_Evictions | None, spelled(*get_args(_Evictions))] = None
    scaleDownMode: Annotated[_Evictions | None, spelled(*get_args(_Evictions))] = None
    spotMaxPrice: float | None = None
    powerState: _Power | None = None
    enableFIPS: bool | None = None
    securityProfile: _Security | None = None
    workloadRuntime: Annotated[_Runtimes | None, spelled(*get_args(_Runtimes))] = None
    gpuProfile: _Gpu | None = None
    gpuInstanceProfile: Text = None
    enableAutoScaling: bool | None = None
    minCount: int | None = None
    maxCount: int | None = None
    osDiskType: Annotated[_DiskTypes | None, spelled(*get_args(_DiskTypes))] = None
    osDiskSizeGB: int | None = None
    kubeletDiskType: Annotated[_KubeletDiskTypes | None, spelled(*get_args(_KubeletDiskTypes))] = None
    maxPods: int | None = None
    availabilityZones: list[str] | None = None
    vnetSubnetID: Text = None
    podSubnetID: Text = None
    nodePublicIPPrefixID: Text = None
    proximityPlacementGroupID: Text = None
    hostGroupID: Text = None
    capacityReservationGroupID: Text = None
    messageOfTheDay: Text = None
    enableNodePublicIP: bool | None = None
    enableEncryptionAtHost: bool | None = None
    enableUltraSSD: bool | None = None
    nodeLabels: dict[str, str | None] | None = None
    nodeTaints: list[str] | None = None
    tags: dict[str, str | None] | None = None
    upgradeSettings: _UpgradeSettings | None = None
    virtualMachinesProfile: _VirtualMachines | None = None
    kubeletConfig: Json | None = None
    linuxOSConfig: Json | None = None
    creationData: _CreationData | None = None
    networkProfile: Json | None = None
    windowsProfile: Json | None = None
    gatewayProfile: Json | None = None
    localDNSProfile: Json | None = None
    nodeImageVersion: Text = None
    vmGeneration: Any = None
    vpmemMiB: Any = None


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
    addonProfiles: Json | None = None


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


class GroupBody(Sent):
    location: str
    tags: dict[str, str | None] | None = None


class PoolBody(Sent):
    properties: PoolProperties | None = None


def decode_group(body: Json) -> tuple[str, Json]:
    """Return location and kept content of a resource group's PUT."""
    model = checked(GroupBody, body, "")
    require_tags(model.tags)
    return model.location, clean(without(as_sent(model), ("id", "name", "type", "properties", "location")))


def decode_node_pool(body: Json, profile: Profile) -> NodePoolRequest:
    """Return the request of a node pool's PUT. Raises `InvalidParameter` naming every wrong value."""
    model = checked(PoolBody, body, "")
    request = _pool_request(model.properties or PoolProperties(), "properties", profile)
    return replace(request, beside=clean(without(as_sent(model), (*IDENTITY, "properties"))))


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


class MachineNames(Sent):
    machineNames: Annotated[list[str], Field(min_length=1, max_length=1000)]


class _AssignmentProperties(Sent):
    roleDefinitionId: str
    principalId: Annotated[str, Field(pattern=GUID)]
    description: Text = None
    condition: Text = None


class AssignmentBody(Sent):
    properties: _AssignmentProperties


class QuotaBody(Sent):
    limit: Annotated[int, Field(ge=0, le=10_000_000)]


class _ScaleProperties(Sent):
    count: Annotated[int, Field(ge=0, le=1000)] | None = None
    virtualMachinesProfile: _VirtualMachines | None = None


class ScaleBody(Sent):
    properties: _ScaleProperties | None = None


def decode_scale(body: Json) -> tuple[int | None, tuple[ScaleProfile, ...] | None]:
    """Return count and scale profiles of a node pool's PATCH. Raises `InvalidParameter` for anything else in it."""
    properties = checked(ScaleBody, body, "").properties or _ScaleProperties()
    if properties.model_extra:
        name = min(properties.model_extra)
        raise errors.InvalidParameter(
            f"A PATCH of a node pool changes count or virtualMachinesProfile.scale only, not {name}.",
            target=f"properties.{name}",
            remedy="send the whole node pool in a PUT to change something else",
        )
    scale = properties.virtualMachinesProfile.scale if properties.virtualMachinesProfile else None
    return properties.count, _manual_scale(scale)


def _manual_scale(scale: _Scale | None) -> tuple[ScaleProfile, ...] | None:
    return tuple(ScaleProfile(part.size, part.count) for part in scale.manual or ()) if scale else None


def properties_schemas() -> tuple[Json, Json]:
    """Return the JSON schemas of a cluster's and a node pool's properties, as far as they are typed here."""
    return ClusterProperties.model_json_schema(), PoolProperties.model_json_schema()


def decode_machine_names(body: Json) -> tuple[str, ...]:
    """Return the machines a deletion names, each once."""
    return tuple(dict.fromkeys(checked(MachineNames, body, "").machineNames))


def decode_quota_limit(body: Json) -> int:
    """Return the vCPU limit of a quota's PUT."""
    return checked(QuotaBody, body, "").limit


def decode_role_assignment(body: Json, subscription: str, name: str) -> WantedAssignment:
    """Return the wish of a role assignment's PUT. Raises `InvalidParameter` for a name that is no GUID.

    So it does for a condition, which would be ignored.
    """
    if re.fullmatch(GUID, name, re.IGNORECASE | re.ASCII) is None:
        raise errors.InvalidParameter(
            f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            target="roleAssignmentName",
            remedy="name the assignment with a new GUID",
        )
    sent = checked(AssignmentBody, body, "").properties
    if sent.condition is not None:
        raise errors.InvalidParameter(
            "Conditions of role assignments are not offered: the role would be granted without them.",
            target="properties.condition",
            remedy="assign the role without a condition, or at a narrower scope",
        )
    definition = sent.roleDefinitionId.strip("/").lower()
    scope, _, role_id = definition.rpartition(f"providers/{DEFINITION_TYPE.lower()}/")
    if not definition.startswith("providers/") and scope.strip("/").split("/")[:2] != ["subscriptions", subscription]:
        raise errors.RoleDefinitionDoesNotExist(
            f"The specified role definition with ID '{sent.roleDefinitionId}' does not exist.",
            target="properties.roleDefinitionId",
            remedy=f"name one of the subscription: /subscriptions/{subscription}/providers/{DEFINITION_TYPE}/<GUID>",
        )
    return WantedAssignment(role_id, sent.principalId, sent.description)


def encode_role_assignment(assignment: RoleAssignment, subscription: str) -> Json:
    """Return a role assignment as ARM shows it."""
    properties = {
        "roleDefinitionId": _role_definition_id(assignment.role_id, subscription),
        "principalId": assignment.principal_id,
        "principalType": "ServicePrincipal",
        "scope": assignment.scope,
        "createdOn": timestamp(assignment.created),
        "updatedOn": timestamp(assignment.updated),
        "description": assignment.description,
        "createdBy": assignment.created_by,
        "updatedBy": assignment.updated_by,
    }
    return {
        "properties": {name: value for name, value in properties.items() if value is not None},
        "id": assignment.id,
        "type": ASSIGNMENT_TYPE,
        "name": assignment.name,
    }


def encode_role(role: Role, subscription: str) -> Json:
    """Return a role definition as ARM shows it."""
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": role.actions,
                    "notActions": role.not_actions,
                    "dataActions": [],
                    "notDataActions": [],
                }
            ],
        },
        "id": _role_definition_id(role.id, subscription),
        "type": DEFINITION_TYPE,
        "name": role.id,
    }


def _role_definition_id(role_id: str, subscription: str) -> str:
    return f"/subscriptions/{subscription}/providers/{DEFINITION_TYPE}/{role_id}"


def encode_group(group: ResourceGroup) -> bytes:
    """Return a resource group as ARM shows it."""
    return orjson.dumps(
        {
            "id": str(group.id),
            "name": group.id.group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            **group.sent,
            "properties": {"provisioningState": group.state.value},
        }
    )


def encode_node_pool(pool: NodePool) -> bytes:
    """Return a node pool as AKS shows it."""
    return orjson.dumps(
        {
            **pool.beside,
            "id": str(pool.id),
            "name": pool.id.pool,
            "type": NODE_POOL_TYPE,
            "properties": pool_properties(pool),
        }
    )


def pool_properties(pool: NodePool) -> Json:
    """Return the properties of a node pool: what was sent, overlaid with what the service decided."""
    shown: Json = {
        "enableAutoScaling": pool.autoscaling,
        "enableEncryptionAtHost": False,
        "enableNodePublicIP": False,
        "enableUltraSSD": False,
        "kubeletDiskType": "OS",
        **pool.sent,
        "count": pool.count,
        "vmSize": pool.vm_size,
        "osDiskSizeGB": pool.os_disk_size_gb,
        "osDiskType": pool.os_disk_type,
        "maxPods": pool.max_pods,
        "type": pool.pool_type.value,
        "mode": pool.mode.value,
        "orchestratorVersion": pool.wanted_version,
        "currentOrchestratorVersion": pool.version,
        "nodeImageVersion": pool.node_image,
        "osType": pool.os_type.value,
        "osSKU": pool.os_sku.value,
        "enableFIPS": pool.fips,
        "workloadRuntime": pool.workload_runtime,
        "scaleSetPriority": pool.priority.value,
        "securityProfile": {
            "sshAccess": "LocalUser",
            **pool.sent.get("securityProfile", {}),
            "enableVTPM": pool.vtpm,
            "enableSecureBoot": pool.secure_boot,
        },
        "scaleDownMode": pool.scale_down.value,
        "upgradeSettings": _upgrade_settings(pool),
        "powerState": {"code": (PowerState.RUNNING if pool.is_running else PowerState.STOPPED).value},
        "provisioningState": pool.state.value,
        "eTag": pool.etag,
        "poolwright": _pool_block(pool),
    }
    if pool.zones:
        shown["availabilityZones"] = list(pool.zones)
    for name, value in (
        ("vnetSubnetID", pool.subnet),
        ("hostGroupID", pool.host_group),
        ("gpuInstanceProfile", pool.gpu_instance_profile),
    ):
        if value is not None:
            shown[name] = value
    if pool.pool_type is PoolType.VIRTUAL_MACHINES:
        del shown["vmSize"]
        manual = [{"size": profile.size, "count": profile.count} for profile in pool.scale]
        sent = pool.sent.get("virtualMachinesProfile", {})
        shown["virtualMachinesProfile"] = {**sent, "scale": {**sent.get("scale", {}), "manual": manual}}
    if pool.snapshot is not None:
        shown["creationData"] = {"sourceResourceId": pool.snapshot}
    if pool.error is not None:
        shown["status"] = {"provisioningError": encode_operation_error(pool.error)}
    if pool.profile is Profile.DOCUMENTED:
        shown.pop("vmGeneration", None)
        shown.pop("vpmemMiB", None)
        if pool.vpmem_mib is not None:
            shown["vpmemMiB"] = pool.vpmem_mib
        if pool.wish is not None:
            shown["vmGeneration"] = pool.wish.generation.value
    return shown


def _upgrade_settings(pool: NodePool) -> Json:
    settings = pool.upgrade
    return {
        **pool.sent.get("upgradeSettings", {}),
        "maxSurge": settings.max_surge,
        "maxUnavailable": settings.max_unavailable,
        "drainTimeoutInMinutes": settings.drain_timeout_minutes,
        "nodeSoakDurationInMinutes": settings.node_soak_minutes,
        "undrainableNodeBehavior": settings.undrainable.value,
    }


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


def encode_what_if(what_if: WhatIf) -> bytes:
    """Return what a PUT would do: the node pool after it, what differs, and how the machines would follow."""
    pool, old = what_if.pool, what_if.old
    after = pool_properties(pool)
    for name in ("eTag", "provisioningState"):
        del after[name]
    block = after["poolwright"]
    warnings = list(block["warnings"])
    if what_if.controllers is not None:
        before, now = what_if.controllers
        warnings.append(
            {
                "code": "DiskControllerChanges",
                "message": f"The disk controller changes from {before} to {now}: device names inside the machines "
                "change. AKS refuses such a resize; profile documented does it.",
            }
        )
    properties: Json = {
        "exists": old is not None,
        "generation": pool.generation.value,
        "nodeImageVersion": pool.node_image,
        "rule": block["rule"],
        "warnings": warnings,
        "after": after,
    }
    if old is not None:
        properties |= {
            "before": {
                "generation": old.generation.value,
                "nodeImageVersion": old.node_image,
                "rule": {"id": old.rule.id, "text": old.rule.text, "source": old.rule.source},
            },
            "changes": [
                {
                    "property": difference.row.wire,
                    "before": difference.before,
                    "after": difference.after,
                    "effect": difference.row.effect.value,
                    "source": difference.row.source,
                }
                for difference in what_if.differences
            ],
            "rollsMachines": bool(change.rolls(what_if.differences)),
            "rollout": rollout_block(what_if),
        }
    if pool.late_failure is not None:
        properties["operationWouldFail"] = {"code": pool.late_failure.code, "message": pool.late_failure.message}
    return orjson.dumps({"id": str(pool.id), "name": pool.id.pool, "properties": properties})


def rollout_block(what_if: WhatIf) -> Json:
    """Return how the machines would follow a change."""
    return {
        "waves": len(what_if.rollout.waves),
        "machinesReplaced": what_if.rollout.to_replace,
        "surgeMachines": what_if.surge_machines,
        "surgeVcpus": what_if.surge_vcpus,
    }


def encode_machine(machine: Machine, pool: NodePool) -> bytes:
    """Return a machine as AKS shows it, with what its firmware showed."""
    facts = machine.facts
    block = _decision_block(pool) | {
        "resolvedGeneration": machine.spec.generation.value,
        "observedGeneration": facts.observed.value if facts and facts.observed else None,
        "observedBy": facts.observed_by.value if facts and facts.observed_by else None,
        "firmware": facts.observed.firmware.value if facts and facts.observed else None,
        "secureBoot": facts.secure_boot if facts else None,
        "vtpm": facts.vtpm if facts else None,
        "vpmemMiB": facts.vpmem_mib if facts else None,
        "partitionTable": facts.partition_table if facts else None,
        "lastSeen": timestamp(facts.last_seen) if facts and facts.last_seen is not None else None,
        "allocated": _allocated(facts),
        "cause": facts.cause if facts else None,
    }
    if facts is not None:
        block["image"] = block["image"] | {"booted": facts.booted, "standIn": facts.stand_in}
    document: Json = {
        "id": str(machine.id),
        "name": machine.id.machine,
        "type": MACHINE_TYPE,
        "properties": {
            "network": {"ipAddresses": [{"ip": facts.ip, "family": "IPv4"}] if facts and facts.ip else []},
            "resourceId": str(machine.id),
            "nodeImageVersion": machine.spec.node_image,
            "poolwright": block,
        },
    }
    if machine.spec.zone is not None:
        document["zones"] = [machine.spec.zone]
    return orjson.dumps(document)


def _allocated(facts: MachineFacts | None) -> Json | None:
    """What a machine really got of its host, beside what its size promises; None where nothing runs."""
    if facts is None or facts.memory_mib is None:
        return None
    return {"memoryMiB": facts.memory_mib, "vCPUs": facts.cpus}


def encode_operation(operation: Operation) -> bytes:
    """Return an operation's status as ARM shows it."""
    document: Json = {
        "id": f"/subscriptions/{operation.subscription}/providers/Microsoft.ContainerService/locations/"
        f"{operation.location}/operations/{operation.id}",
        "name": operation.id,
        "status": operation.status.value,
        "startTime": timestamp(operation.started),
        "percentComplete": operation.percent,
        "resourceId": operation.resource_id,
        "properties": {
            "poolwright": {
                "operation": operation.kind.words,
                "step": operation.step,
                "wave": operation.wave,
                "waves": operation.waves,
                "replaced": operation.replaced,
                "toReplace": operation.to_replace,
                "generations": _counted(operation.generations),
                "kubernetes": _kubernetes(operation),
            }
        },
    }
    if operation.ended is not None:
        document["endTime"] = timestamp(operation.ended)
    if operation.error is not None:
        document["error"] = encode_operation_error(operation.error)
    return orjson.dumps(document)


def encode_operation_error(error: OperationError) -> Json:
    """Return why an operation failed as ARM's error object; remedy and fault stand in `additionalInfo`."""
    told: Json = {"code": error.code, "message": error.message}
    if error.target is not None:
        told["target"] = error.target
    info = {name: value for name, value in (("remedy", error.remedy), ("fault", error.fault)) if value is not None}
    if info:
        told["additionalInfo"] = [{"type": "PoolwrightRemedy", "info": info}]
    return told


def _kubernetes(operation: Operation) -> Json | None:
    """What becomes of the work on leaving machines; None where none leaves."""
    if operation.cluster_attached is None:
        return None
    what = "reimaged" if operation.kind is OperationKind.REIMAGE_MACHINE else "removed"
    told = (
        f"nodes are cordoned and drained before they are {what}"
        if operation.cluster_attached
        else f"no Kubernetes cluster is attached: nodes are neither cordoned nor drained before they are {what}"
    )
    return {"attached": operation.cluster_attached, "message": told}


class WireRenderer:
    """The `Renderer` the operations store documents with."""

    def node_pool(self, pool: NodePool) -> bytes:
        return encode_node_pool(pool)

    def machine(self, machine: Machine, pool: NodePool) -> bytes:
        return encode_machine(machine, pool)

    def operation(self, operation: Operation) -> bytes:
        return encode_operation(operation)

    def operation_error(self, error: OperationError) -> Json:
        return encode_operation_error(error)

    def resource_group(self, group: ResourceGroup) -> bytes:
        return encode_group(group)


def timestamp(seconds: float) -> str:
    """Return UNIX seconds as ARM writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def image_block(definition: str) -> Json:
    """Return the `image` part of a poolwright block: what was chosen, and what was really booted (nothing yet)."""
    return {"definition": definition, "booted": None, "standIn": False}


def _pool_block(pool: NodePool) -> Json:
    return _decision_block(pool) | {
        "observedGenerations": _counted(pool.observed),
        "observedBy": pool.observed_by.value if pool.observed_by else None,
        "lastGood": _good_block(pool.last_good),
    }


def _good_block(good: GoodState | None) -> Json | None:
    """What a rollback would go back to."""
    if good is None:
        return None
    return {
        "vmSize": good.scale[0].size,
        "osSKU": good.os_sku.value,
        "orchestratorVersion": good.version,
        "nodeImageVersion": good.node_image,
        "generation": good.generation.value,
        "since": timestamp(good.since),
    }


def _counted(generations: Mapping[str, int]) -> dict[str, int]:
    return {"V1": 0, "V2": 0, "unknown": 0} | dict(generations)


def _decision_block(pool: NodePool) -> Json:
    return {
        "profile": pool.profile.value,
        "engine": pool.engine,
        "requestedGeneration": pool.wish.generation.value if pool.wish else None,
        "requestedBy": pool.wish.source.value if pool.wish else None,
        "resolvedGeneration": pool.generation.value,
        "rule": {"id": pool.rule.id, "text": pool.rule.text, "source": pool.rule.source},
        "image": image_block(pool.image_definition),
        "warnings": [{"code": warning.code, "message": warning.message} for warning in pool.warnings],
    }


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
            request = _pool_request(checked(PoolProperties, raw, place), place, profile)
            # Only the PUT of a node pool itself means the cluster's version by a blank one.
            pools.append((name, replace(request, kubernetes_version=request.kubernetes_version or None)))
        except errors.InvalidRequest as error:
            problems.append(error)
    if problems:
        raise errors.joined(problems)
    return pools


def _pool_request(model: PoolProperties, path: str, profile: Profile) -> NodePoolRequest:
    require_tags(model.tags, f"{path}.tags")
    security = model.securityProfile or _Security()
    scale = model.virtualMachinesProfile.scale if model.virtualMachinesProfile else None
    return NodePoolRequest(
        sent=clean(without(as_sent(model), (*_READ_ONLY_POOL, "creationData"))),
        vm_generation=_vm_generation(model, path, profile),
        vpmem_mib=_vpmem_mib(model, path, profile),
        vm_size=model.vmSize,
        os_type=_member(OsType, model.osType),
        os_sku=_os_sku(model.osSKU, path),
        count=model.count,
        kubernetes_version=model.orchestratorVersion,
        mode=_member(Mode, model.mode),
        pool_type=_member(PoolType, model.type),
        priority=_member(Priority, model.scaleSetPriority),
        power=_member(PowerState, model.powerState.code) if model.powerState else None,
        fips=model.enableFIPS,
        vtpm=security.enableVTPM,
        secure_boot=security.enableSecureBoot,
        workload_runtime=model.workloadRuntime,
        gpu_driver=model.gpuProfile.driver if model.gpuProfile else None,
        autoscaling=model.enableAutoScaling,
        min_count=model.minCount,
        max_count=model.maxCount,
        os_disk_type=model.osDiskType,
        os_disk_size_gb=model.osDiskSizeGB,
        max_pods=model.maxPods,
        zones=tuple(model.availabilityZones) if model.availabilityZones else None,
        subnet=model.vnetSubnetID,
        host_group=model.hostGroupID,
        gpu_instance_profile=model.gpuInstanceProfile,
        node_image=model.nodeImageVersion,
        snapshot=model.creationData.sourceResourceId if model.creationData else None,
        manual_scale=_manual_scale(scale),
        upgrade=_upgrade_request(model.upgradeSettings, path),
        scale_down=_member(ScaleDownMode, model.scaleDownMode),
    )


def _upgrade_request(sent: _UpgradeSettings | None, path: str) -> UpgradeSettings | None:
    if sent is None:
        return None
    try:
        return UpgradeSettings(
            max_surge=sent.maxSurge or "10%",
            max_unavailable=sent.maxUnavailable or "0",
            drain_timeout_minutes=sent.drainTimeoutInMinutes or 30,
            node_soak_minutes=sent.nodeSoakDurationInMinutes or 0,
            undrainable=_member(UndrainableNodeBehavior, sent.undrainableNodeBehavior)
            or UndrainableNodeBehavior.SCHEDULE,
        )
    except ValueError as error:
        raise errors.InvalidParameter(
            f"The value of parameter {path}.upgradeSettings is invalid: {error}.",
            target=f"{path}.upgradeSettings",
            remedy="set maxSurge to a number or percentage, or maxSurge 0 together with a maxUnavailable above 0",
        ) from None


def _vm_generation(model: PoolProperties, path: str, profile: Profile) -> Generation | Absent | None:
    if profile is Profile.AZURE_2026 or "vmGeneration" not in model.model_fields_set:
        return ABSENT
    value = model.vmGeneration
    if value is None or value == "":
        return None
    try:
        return Generation.parse(value)
    except (ValueError, AttributeError):
        raise errors.InvalidParameter(
            f"The value of parameter {path}.vmGeneration is invalid: {in_words(value)}. It is V1 or V2.",
            target=f"{path}.vmGeneration",
            remedy="send V1 or V2, or leave vmGeneration out",
        ) from None


def _vpmem_mib(model: PoolProperties, path: str, profile: Profile) -> int | Absent | None:
    if profile is Profile.AZURE_2026 or "vpmemMiB" not in model.model_fields_set:
        return ABSENT
    value = model.vpmemMiB
    if value is None or value == "":
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise errors.InvalidParameter(
            f"The value of parameter {path}.vpmemMiB is invalid: {in_words(value)}. It is a whole number of MiB.",
            target=f"{path}.vpmemMiB",
            remedy="send a number such as 128, or leave vpmemMiB out",
        )
    return value or None


def _os_sku(text: str | None, path: str) -> OsSku | None:
    if text is None:
        return None
    try:
        return OsSku.parse(text)
    except ValueError:
        known, lasting = (", ".join(sku.value for sku in skus) for skus in (OsSku, lasting_os_skus()))
        raise errors.InvalidOSSKU(
            f"The OS SKU {in_words(text)} is unknown. Valid OS SKUs are: {known}.",
            target=f"{path}.osSKU",
            remedy=f"choose one of: {lasting}",
        ) from None


def _member(kind: type[E], value: str | None) -> E | None:
    return kind(value) if value is not None else None
