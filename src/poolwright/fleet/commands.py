"""The words of a plan's steps: what to type for az and kubectl, and what to write for the Azure SDK for Python.

Invariant: what is printed here can be run as it is; every value is quoted for a POSIX shell, and what a command cannot
say is told, not left out silently.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from poolwright.domain.resource_id import NodePoolId

WINDOWS_GEN2_HEADER: Final = "UseWindowsGen2VM"
Json = Mapping[str, Any]


def _one(value: Any) -> list[str]:
    return [str(value)]


def _pairs(value: Any) -> list[str]:
    return [f"{name}={text if text is not None else ''}" for name, text in sorted(value.items())]


@dataclass(frozen=True, slots=True)
class OptionRow:
    """How `az aks nodepool add` says a property. `unless` are values that need not be said."""

    path: str
    option: str
    values: Callable[[Any], list[str]] = _one
    unless: tuple[Any, ...] = ()


def _nothing(_: Any) -> list[str]:
    return []


# Source: `az aks nodepool add --help` of azure-cli 2.91.0.
OPTIONS: Final = (
    OptionRow("mode", "--mode"),
    OptionRow("osType", "--os-type"),
    OptionRow("osSKU", "--os-sku"),
    OptionRow("type", "--vm-set-type", unless=("VirtualMachineScaleSets",)),
    OptionRow("vmSize", "--node-vm-size"),
    OptionRow("count", "--node-count"),
    OptionRow("virtualMachinesProfile.scale.manual", "--vm-sizes", lambda manual: [manual[0]["size"]]),
    OptionRow("orchestratorVersion", "--kubernetes-version"),
    OptionRow("availabilityZones", "--zones", lambda zones: [str(zone) for zone in zones]),
    OptionRow("nodeLabels", "--labels", _pairs),
    OptionRow("nodeTaints", "--node-taints", lambda taints: [",".join(taints)]),
    OptionRow("tags", "--tags", _pairs),
    OptionRow("maxPods", "--max-pods"),
    OptionRow("osDiskType", "--node-osdisk-type"),
    OptionRow("osDiskSizeGB", "--node-osdisk-size", unless=(0,)),
    OptionRow("vnetSubnetID", "--vnet-subnet-id"),
    OptionRow("podSubnetID", "--pod-subnet-id"),
    OptionRow("podIPAllocationMode", "--pod-ip-allocation-mode", unless=("DynamicIndividual",)),
    OptionRow("enableNodePublicIP", "--enable-node-public-ip", _nothing, (False,)),
    OptionRow("nodePublicIPPrefixID", "--node-public-ip-prefix-id"),
    OptionRow("enableAutoScaling", "--enable-cluster-autoscaler", _nothing, (False,)),
    OptionRow("minCount", "--min-count"),
    OptionRow("maxCount", "--max-count"),
    OptionRow("scaleSetPriority", "--priority", unless=("Regular",)),
    OptionRow("scaleSetEvictionPolicy", "--eviction-policy"),
    OptionRow("spotMaxPrice", "--spot-max-price"),
    OptionRow("scaleDownMode", "--scale-down-mode", unless=("Delete",)),
    OptionRow("proximityPlacementGroupID", "--ppg"),
    OptionRow("hostGroupID", "--host-group-id"),
    OptionRow("capacityReservationGroupID", "--crg-id"),
    OptionRow("enableEncryptionAtHost", "--enable-encryption-at-host", _nothing, (False,)),
    OptionRow("enableUltraSSD", "--enable-ultra-ssd", _nothing, (False,)),
    OptionRow("enableFIPS", "--enable-fips-image", _nothing, (False,)),
    OptionRow("securityProfile.enableVTPM", "--enable-vtpm", _nothing, (False,)),
    OptionRow("securityProfile.enableSecureBoot", "--enable-secure-boot", _nothing, (False,)),
    OptionRow("gpuInstanceProfile", "--gpu-instance-profile"),
    OptionRow("gpuProfile.driver", "--gpu-driver"),
    OptionRow("workloadRuntime", "--workload-runtime", unless=("OCIContainer",)),
    OptionRow("windowsProfile.disableOutboundNat", "--disable-windows-outbound-nat", _nothing, (False,)),
    OptionRow("upgradeSettings.maxSurge", "--max-surge"),
    OptionRow("upgradeSettings.maxUnavailable", "--max-unavailable", unless=("0",)),
    OptionRow("upgradeSettings.drainTimeoutInMinutes", "--drain-timeout"),
    OptionRow("upgradeSettings.nodeSoakDurationInMinutes", "--node-soak-duration", unless=(0,)),
    OptionRow("upgradeSettings.undrainableNodeBehavior", "--undrainable-node-behavior", unless=("Schedule",)),
    OptionRow("gatewayProfile.publicIPPrefixSize", "--gateway-prefix-size"),
    # What every node pool has and no option says.
    OptionRow("kubeletDiskType", "", unless=("OS",)),
    OptionRow("securityProfile.sshAccess", "", unless=("LocalUser",)),
)
_BY_PATH: Final = {row.path: row for row in OPTIONS}
# Objects whose members are properties of their own.
_OBJECTS: Final = frozenset(row.path.rpartition(".")[0] for row in OPTIONS if "." in row.path) | {
    "virtualMachinesProfile"
}


def az_add(pool: NodePoolId, properties: Json, headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return what adds the node pool with these properties; further sizes of a VirtualMachines pool come after it."""
    arguments = []
    for path, value in _leaves(properties):
        row = _BY_PATH.get(path)
        if row is not None and row.option and value not in row.unless:
            arguments += [row.option, *row.values(value)]
    manual = _manual(properties)
    if manual:
        arguments += ["--node-count", str(manual[0]["count"])]
    lines = [az("aks nodepool add", pool, *arguments, *_headers(headers))]
    for profile in manual[1:]:
        arguments = ["--vm-sizes", profile["size"], "--node-count", str(profile["count"])]
        lines.append(az("aks nodepool manual-scale add", pool, *arguments))
    return tuple(lines)


def unsaid(properties: Json) -> tuple[str, ...]:
    """Return the properties that `az aks nodepool add` has no option for, in ARM's names."""
    return tuple(
        path
        for path, value in _leaves(properties)
        if (row := _BY_PATH.get(path)) is None or (not row.option and value not in row.unless)
    )


def az(command: str, pool: NodePoolId, *arguments: str) -> str:
    """Return a command of az about a node pool."""
    cluster = pool.cluster_id
    where = ["-g", cluster.group_id.group, "--cluster-name", cluster.cluster, "-n", pool.pool]
    subscription = ["--subscription", cluster.group_id.subscription]
    return shlex.join(["az", *command.split(), *where, *arguments, *subscription])


def az_update(pool: NodePoolId, size: str | None, headers: Mapping[str, str]) -> str:
    """Return the change in place, as Poolwright's az takes it: the size, and what Windows node pools ask for."""
    resized = ["--node-vm-size", size] if size is not None else []
    return az("aks nodepool update", pool, *resized, *_headers(headers))


def az_set(pool: NodePoolId, name: str, value: str) -> str:
    """Return what sets a property of the node pool that no option says."""
    return shlex.join(["az", "resource", "update", "--ids", str(pool), "--set", f"properties.{name}={value}"])


def kubectl(verb: str, pool: str, *arguments: str) -> str:
    """Return a command of kubectl about the nodes of a node pool."""
    return shlex.join(["kubectl", *verb.split(), "-l", f"kubernetes.azure.com/agentpool={pool}", *arguments])


def sdk_create(pool: NodePoolId, properties: Json, headers: Mapping[str, str]) -> str:
    """Return the call of azure-mgmt-containerservice that makes the node pool."""
    sent = f", headers={dict(headers)!r}" if headers else ""
    body = {"properties": properties}
    return f"client.agent_pools.begin_create_or_update({_names(pool)}, {body!r}{sent}).result()"


def sdk_change(pool: NodePoolId, properties: Json, headers: Mapping[str, str]) -> str:
    """Return the calls that change some properties of the node pool, if nobody else changes it meanwhile."""
    sent = f", headers={dict(headers)!r}" if headers else ""
    lines = [
        f"pool = client.agent_pools.get({_names(pool)})",
        *(f'pool["properties"][{name!r}] = {value!r}' for name, value in properties.items()),
        f"client.agent_pools.begin_create_or_update({_names(pool)}, pool, etag=pool.e_tag, "
        f"match_condition=MatchConditions.IfNotModified{sent}).result()",
    ]
    return "\n".join(lines)


def sdk_delete(pool: NodePoolId) -> str:
    """Return the call that deletes the node pool."""
    return f"client.agent_pools.begin_delete({_names(pool)}).result()"


def _names(pool: NodePoolId) -> str:
    cluster = pool.cluster_id
    return f"{cluster.group_id.group!r}, {cluster.cluster!r}, {pool.pool!r}"


def _headers(headers: Mapping[str, str]) -> list[str]:
    return ["--aks-custom-headers", ",".join(f"{name}={value}" for name, value in headers.items())] if headers else []


def _manual(properties: Json) -> list[Json]:
    profile = properties.get("virtualMachinesProfile") or {}
    manual: list[Json] = (profile.get("scale") or {}).get("manual") or []
    return manual


def _leaves(properties: Json, above: str = "") -> list[tuple[str, Any]]:
    """The properties by path, in the order of the options, others after them by name."""
    found: list[tuple[str, Any]] = []
    for name, value in properties.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and path in _OBJECTS:
            found += _leaves(value, f"{path}.")
        elif value is not None:
            found.append((path, value))
    return sorted(found, key=lambda pair: (_ORDER.get(pair[0], len(_ORDER)), pair[0]))


_ORDER: Final = {row.path: number for number, row in enumerate(OPTIONS)}
