"""Node pools as JSON: what a PUT or PATCH asks for, how AKS shows them, and what a change would do.

Decoding is strict about what AKS defines and keeps everything else: unknown properties come back as
they were sent. `""`, null and missing mean the default. Names of properties are compared without case,
as Azure does. Secrets are dropped on the way in.

Invariant: what is returned has no secret, and no null outside the `poolwright` block; what was shown can be sent back
and asks for nothing new.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import orjson
from pydantic import Field

from poolwright import errors
from poolwright.arm.sent import (
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
)
from poolwright.arm.wire import counted, encode_operation_error, image_block, timestamp
from poolwright.domain import change
from poolwright.domain.generation import Generation
from poolwright.domain.image_resolution import lasting_os_skus
from poolwright.domain.node_pool import GoodState, NodePool, NodePoolRequest, ScaleProfile
from poolwright.domain.node_pool_kind import ORDINARY_RUNTIME, Mode, PoolType, PowerState, Priority, ScaleDownMode
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.resource_id import NODE_POOL_TYPE
from poolwright.domain.tags import require_tags
from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings
from poolwright.domain.what_if import WhatIf
from poolwright.domain.wish import ABSENT, Absent

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
_Protocols = Literal["TCP", "UDP"]


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
    # 0 is for nothing said: azurerm sends it so, and Azure takes it. Source: its expandAgentPoolUpgradeSettings.
    drainTimeoutInMinutes: Annotated[int, Field(ge=0, le=1440)] | None = None
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


class _Kubelet(Sent):
    """What is kept of a machine's settings has no effect, and yet the type that clients read it with."""

    cpuManagerPolicy: str | None = None
    cpuCfsQuota: bool | None = None
    cpuCfsQuotaPeriod: str | None = None
    imageGcHighThreshold: int | None = None
    imageGcLowThreshold: int | None = None
    topologyManagerPolicy: str | None = None
    allowedUnsafeSysctls: list[str] | None = None
    failSwapOn: bool | None = None
    containerLogMaxSizeMB: int | None = None
    containerLogMaxFiles: Annotated[int, Field(ge=2)] | None = None
    podMaxPids: int | None = None


class _Sysctls(Sent):
    netCoreSomaxconn: int | None = None
    netCoreNetdevMaxBacklog: int | None = None
    netCoreRmemDefault: int | None = None
    netCoreRmemMax: int | None = None
    netCoreWmemDefault: int | None = None
    netCoreWmemMax: int | None = None
    netCoreOptmemMax: int | None = None
    netIpv4TcpMaxSynBacklog: int | None = None
    netIpv4TcpMaxTwBuckets: int | None = None
    netIpv4TcpFinTimeout: int | None = None
    netIpv4TcpKeepaliveTime: int | None = None
    netIpv4TcpKeepaliveProbes: int | None = None
    netIpv4TcpkeepaliveIntvl: Annotated[int, Field(ge=10, le=90)] | None = None
    netIpv4TcpTwReuse: bool | None = None
    netIpv4IpLocalPortRange: str | None = None
    netIpv4NeighDefaultGcThresh1: int | None = None
    netIpv4NeighDefaultGcThresh2: int | None = None
    netIpv4NeighDefaultGcThresh3: int | None = None
    netNetfilterNfConntrackMax: Annotated[int, Field(ge=131072, le=2097152)] | None = None
    netNetfilterNfConntrackBuckets: Annotated[int, Field(ge=65536, le=524288)] | None = None
    fsInotifyMaxUserWatches: int | None = None
    fsFileMax: int | None = None
    fsAioMaxNr: int | None = None
    fsNrOpen: int | None = None
    kernelThreadsMax: int | None = None
    vmMaxMapCount: int | None = None
    vmSwappiness: int | None = None
    vmVfsCachePressure: int | None = None


class _LinuxOs(Sent):
    sysctls: _Sysctls | None = None
    transparentHugePageEnabled: str | None = None
    transparentHugePageDefrag: str | None = None
    swapFileSizeMB: int | None = None


class _IpTag(Sent):
    ipTagType: str | None = None
    tag: str | None = None


class _PortRange(Sent):
    portStart: Annotated[int, Field(ge=1, le=65535)] | None = None
    portEnd: Annotated[int, Field(ge=1, le=65535)] | None = None
    protocol: Annotated[_Protocols | None, spelled(*get_args(_Protocols))] = None


class _Network(Sent):
    nodePublicIPTags: list[_IpTag] | None = None
    allowedHostPorts: list[_PortRange] | None = None
    applicationSecurityGroups: list[str] | None = None


class _Windows(Sent):
    disableOutboundNat: bool | None = None


class _Gateway(Sent):
    publicIPPrefixSize: Annotated[int, Field(ge=28, le=31)] | None = None


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
    kubeletConfig: _Kubelet | None = None
    linuxOSConfig: _LinuxOs | None = None
    creationData: _CreationData | None = None
    networkProfile: _Network | None = None
    windowsProfile: _Windows | None = None
    gatewayProfile: _Gateway | None = None
    localDNSProfile: Json | None = None
    nodeImageVersion: Text = None
    vmGeneration: Any = None
    vpmemMiB: Any = None


class PoolBody(Sent):
    properties: PoolProperties | None = None


class _ScaleProperties(Sent):
    count: Annotated[int, Field(ge=0, le=1000)] | None = None
    virtualMachinesProfile: _VirtualMachines | None = None


class ScaleBody(Sent):
    properties: _ScaleProperties | None = None


def decode_node_pool(body: Json, profile: Profile) -> NodePoolRequest:
    """Return the request of a node pool's PUT. Raises `InvalidParameter` naming every wrong value."""
    model = checked(PoolBody, body, "")
    request = pool_request(model.properties or PoolProperties(), "properties", profile)
    return replace(request, beside=clean(without(as_sent(model), (*IDENTITY, "properties"))))


def pool_request(model: PoolProperties, path: str, profile: Profile) -> NodePoolRequest:
    """Return what a node pool's properties ask for. Raises an `InvalidRequest` with a target below `path`."""
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
    if pool.workload_runtime != ORDINARY_RUNTIME:
        # Unsaid, it is not shown. Source: azurerm's tests at Azure, where a plan after one that does not say differs in
        # nothing.
        shown["workloadRuntime"] = pool.workload_runtime
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
    """What AKS shows of it: how many at once, unless of spot machines, and the rest where it was said.

    Sources: hashicorp/terraform-provider-azurerm#24020 (maxSurge appears unsaid), #26137 (drainTimeoutInMinutes does
    not), and that provider's reader of upgrade_settings (of spot node pools nothing does).
    """
    settings, defaults = pool.upgrade, UpgradeSettings()
    sent = {name: value for name, value in pool.sent.get("upgradeSettings", {}).items() if value is not None}
    if sent.get("drainTimeoutInMinutes") == 0:
        del sent["drainTimeoutInMinutes"]
    told = (
        ("maxSurge", settings.max_surge, defaults.max_surge),
        ("maxUnavailable", settings.max_unavailable, defaults.max_unavailable),
        ("drainTimeoutInMinutes", settings.drain_timeout_minutes, defaults.drain_timeout_minutes),
        ("nodeSoakDurationInMinutes", settings.node_soak_minutes, defaults.node_soak_minutes),
        ("undrainableNodeBehavior", settings.undrainable.value, defaults.undrainable.value),
    )
    unsaid = () if pool.priority is Priority.SPOT else ("maxSurge", "maxUnavailable")
    return sent | {name: value for name, value, usual in told if name in (*sent, *unsaid) or value != usual}


def _pool_block(pool: NodePool) -> Json:
    return decision_block(pool) | {
        "observedGenerations": counted(pool.observed),
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


def decision_block(pool: NodePool) -> Json:
    """Return the part of a poolwright block that a node pool and its machines share: what was decided, and why."""
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
