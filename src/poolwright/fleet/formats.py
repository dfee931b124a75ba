"""Entries of exports as values: node pools, clusters and sizes, whichever command or api-version wrote them.

`az` flattens `properties` into the resource and spells some names its own way, Resource Graph and ARM do not, and older
api-versions leave properties out. All of it is read here alike: by name without case, absent where it is null.

Invariant: a value of a kind that does not belong there is complained about and absent; the rest of its resource is
read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final, TypeVar

from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesRelease, KubernetesVersion
from poolwright.domain.node_pool import ScaleProfile
from poolwright.domain.node_pool_kind import Mode, PoolType, PowerState, Priority
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.resource_id import CLUSTER_TYPE, NODE_POOL_TYPE, ClusterId, GroupId, NodePoolId, ResourceId
from poolwright.fleet.json_text import Complain, folded
from poolwright.fleet.values import FleetCluster, FleetPool, Origin

E = TypeVar("E", bound=Enum)
Json = dict[str, Any]

# ARM's names of what a node pool has, by kind, for exports that spell them otherwise.
# Source: AgentPool.tsp in Azure/azure-rest-api-specs, as azure-mgmt-containerservice 41.8.0 has it.
_ARM_NAMES: Final[Mapping[type[Any], tuple[str, ...]]] = {
    str: (
        *("capacityReservationGroupID", "gpuInstanceProfile", "hostGroupID", "kubeletDiskType", "messageOfTheDay"),
        *(
            "mode",
            "nodePublicIPPrefixID",
            "orchestratorVersion",
            "osDiskType",
            "osSKU",
            "osType",
            "podIPAllocationMode",
        ),
        *("podSubnetID", "proximityPlacementGroupID", "scaleDownMode", "scaleSetEvictionPolicy", "scaleSetPriority"),
        *("type", "vmGeneration", "vmSize", "vnetSubnetID", "workloadRuntime"),
    ),
    int: ("count", "maxCount", "maxPods", "minCount", "osDiskSizeGB"),
    float: ("spotMaxPrice",),
    bool: ("enableAutoScaling", "enableEncryptionAtHost", "enableFIPS", "enableNodePublicIP", "enableUltraSSD"),
    list: ("availabilityZones", "nodeTaints"),
    dict: (
        *("artifactStreamingProfile", "creationData", "gatewayProfile", "gpuProfile", "kubeletConfig", "linuxOSConfig"),
        *("localDNSProfile", "networkProfile", "nodeLabels", "securityProfile", "tags", "upgradeSettings"),
        *("virtualMachinesProfile", "windowsProfile"),
    ),
}
_KIND: Final = {name.lower(): kind for kind, names in _ARM_NAMES.items() for name in names}
# Members of those objects that exports spell otherwise as well.
_INNER: Final = ("enableSecureBoot", "enableVTPM", "nodePublicIPTags", "publicIPPrefixSize", "swapFileSizeMB")
_ARM_NAME: Final = {
    name.lower(): name for name in (*_INNER, *(name for names in _ARM_NAMES.values() for name in names))
}
# The node pools in a cluster.
POOLS: Final = "agentPoolProfiles"
_IN_POOL: Final = re.compile(rf"(?:properties\.)?{POOLS}\[(\d+)\]", re.IGNORECASE)
# What a PUT cannot carry, and what stands beside the properties.
_NOT_PUT: Final = frozenset(
    (
        *("etag", "id", "location", "name", "nodeimageversion", "poolwright", "powerstate", "provisioningstate"),
        *("currentorchestratorversion", "recentlyusedversions", "resourcegroup", "status", "subscriptionid"),
        *("systemdata", "tenantid", "typepropertiestype", "virtualmachinenodesstatus"),
    )
)
# Their members are names that people chose.
_OWN_NAMES: Final = frozenset(("nodelabels", "tags"))


def kind_of(entry: Mapping[str, Any]) -> str:
    """Return ARM's type of the entry in small letters: as it says, else as its ID or its members tell; else ""."""
    known = folded(entry)
    written = str(known.get("type", "")).lower()
    if "/" in written:
        return written
    identifier = ResourceId.parse(known["id"]) if isinstance(known.get("id"), str) else None
    if identifier is not None and identifier.providers:
        return identifier.type.lower()
    properties = known.get("properties")
    if "agentpoolprofiles" in known or (isinstance(properties, dict) and "agentpoolprofiles" in folded(properties)):
        return CLUSTER_TYPE.lower()
    return ""


def origin_of(path: str, origin: Origin, lines: Sequence[int]) -> Origin:
    """Return where something of a cluster stands: a node pool, and what is in it, on the line of the node pool."""
    inside = _IN_POOL.match(path)
    if inside is None or int(inside[1]) >= len(lines):
        return origin
    return Origin(origin.file, lines[int(inside[1])], origin.path)


def read_cluster(
    entry: Mapping[str, Any], origin: Origin, complain: Complain, lines: Sequence[int] = ()
) -> FleetCluster | None:
    """Return a managed cluster with the node pools in it; None when it does not say which cluster it is.

    `lines` are those on which its node pools begin, where they are known.
    """
    beside = folded(entry)
    identity = _cluster_id(beside)
    if identity is None:
        complain("", "it has no ID of a cluster (id, or subscriptionId, resourceGroup and name)")
        return None
    reader = _Reader(_properties(entry, "properties", complain), complain)
    version = reader.version("currentkubernetesversion", "kubernetesversion")
    pools = []
    profiles = reader.given("agentpoolprofiles", list) or []
    for index, profile in enumerate(profiles):
        path = f"{POOLS}[{index}]"
        where = replace(origin_of(path, origin, lines), path=f"{origin.path}.{path}" if origin.path else path)
        pool = _pool_id(identity, folded(profile).get("name")) if isinstance(profile, dict) else None
        if pool is None:
            complain(path, "it is no node pool with a name")
            continue
        pools.append(_pool(pool, profile, where, _below(complain, path)))
    return FleetCluster(
        id=identity,
        origin=origin,
        location=_location(beside.get("location"), complain),
        version=version,
        power=reader.power(),
        state=reader.text("provisioningstate"),
        pools=tuple(pools),
    )


def read_pool(entry: Mapping[str, Any], origin: Origin, complain: Complain) -> FleetPool | None:
    """Return a node pool that was exported by itself; None when it does not say which it is."""
    identity = NodePoolId.parse(text := str(folded(entry).get("id", "")))
    if identity is None or not text.isprintable():
        complain("id", "it has no ID of a node pool")
        return None
    return _pool(identity, entry, origin, complain)


def _pool(identity: NodePoolId, entry: Mapping[str, Any], origin: Origin, complain: Complain) -> FleetPool:
    properties = _properties(entry, "properties", complain)
    if "typepropertiestype" in properties:
        properties["type"] = properties["typepropertiestype"]
    elif "/" in str(properties.get("type", "")):
        del properties["type"]
    reader = _Reader(properties, complain)
    security, counted = reader.inside("securityprofile"), _scale(reader)
    counts = [count for _, count in counted if count is not None]
    counts_told = len(counts) == len(counted) if counted else None
    return FleetPool(
        id=identity,
        origin=origin,
        scale=tuple(ScaleProfile(size, count or 0) for size, count in counted),
        counts_told=counts_told,
        machines=sum(counts) if counts_told else reader.count("count"),
        os_type=reader.choice("ostype", OsType),
        os_sku=reader.os_sku(),
        version=reader.version("currentorchestratorversion", "orchestratorversion"),
        node_image=reader.text("nodeimageversion"),
        stated=reader.inside("poolwright").choice("resolvedgeneration", Generation),
        mode=reader.choice("mode", Mode),
        pool_type=reader.choice("type", PoolType),
        priority=reader.choice("scalesetpriority", Priority),
        power=reader.power(),
        state=reader.text("provisioningstate"),
        fips=reader.given("enablefips", bool),
        vtpm=security.given("enablevtpm", bool),
        secure_boot=security.given("enablesecureboot", bool),
        workload_runtime=reader.text("workloadruntime"),
        gpu_driver=reader.inside("gpuprofile").text("driver"),
        autoscaling=reader.given("enableautoscaling", bool),
        min_count=reader.count("mincount"),
        max_count=reader.count("maxcount"),
        zones=tuple(sorted(str(zone) for zone in reader.given("availabilityzones", list) or [] if zone is not None)),
        etag=reader.text("etag"),
        properties=_sendable(properties, complain),
    )


def _scale(reader: _Reader) -> list[tuple[str, int | None]]:
    """The machines by size. A VirtualMachines pool tells them by its profile, else by what there is of them."""
    size = reader.text("vmsize")
    if size is not None:
        return [(size, reader.count("count"))]
    manual = reader.inside("virtualmachinesprofile").inside("scale").given("manual", list)
    profiles: list[tuple[str, int | None]] = []
    for part in manual or reader.given("virtualmachinenodesstatus", list) or []:
        known = folded(part) if isinstance(part, dict) else {}
        # The first previews had a list of sizes in each profile.
        sizes = known.get("sizes")
        name = known.get("size") or (sizes[0] if isinstance(sizes, list) and sizes else None)
        if isinstance(name, str) and name:
            profiles.append((name, _whole(known.get("count"))))
    return profiles


class _Reader:
    """The members of an object, each of the kind asked for or absent."""

    def __init__(self, members: Mapping[str, Any], complain: Complain) -> None:
        self._members = members
        self._complain = complain

    def given(self, name: str, kind: type[Any]) -> Any:
        value = self._members.get(name)
        if value is not None and not isinstance(value, kind):
            self._complain(_ARM_NAME.get(name, name), f"it is no {_KINDS[kind]}: {str(value)[:40]!r}")
            return None
        return value

    def text(self, name: str) -> str | None:
        return self.given(name, str) or None

    def count(self, name: str) -> int | None:
        return _whole(self.given(name, int))

    def inside(self, name: str) -> _Reader:
        return _Reader(folded(self.given(name, dict) or {}), _below(self._complain, _ARM_NAME.get(name, name)))

    def choice(self, name: str, kind: type[E]) -> E | None:
        text = self.text(name)
        known = {str(member.value).lower(): member for member in kind}
        if text is not None and text.lower() not in known:
            listed = ", ".join(str(member.value) for member in kind)
            self._complain(_ARM_NAME.get(name, name), f"{text[:40]!r} is none of {listed}")
            return None
        return known[text.lower()] if text is not None else None

    def os_sku(self) -> OsSku | None:
        text = self.text("ossku")
        try:
            return OsSku.parse(text) if text is not None else None
        except ValueError as error:
            self._complain("osSKU", str(error))
            return None

    def power(self) -> PowerState | None:
        return self.inside("powerstate").choice("code", PowerState)

    def version(self, *names: str) -> KubernetesVersion | None:
        """The Kubernetes version by the first of the names that has one; `1.30` counts as its first patch."""
        for name in names:
            text = self.text(name)
            if text is None:
                continue
            # Long-term versions carry a suffix: 1.28.103-akslts.
            bare = text.partition("-")[0].removeprefix("v")
            try:
                return KubernetesVersion.parse(bare if bare.count(".") > 1 else f"{KubernetesRelease.parse(bare)}.0")
            except ValueError:
                self._complain(_ARM_NAME.get(name, name), f"{text[:40]!r} is no Kubernetes version")
        return None


_KINDS: Final[Mapping[type[Any], str]] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "true or false",
    list: "list",
    dict: "object",
}


def _properties(entry: Mapping[str, Any], name: str, complain: Complain) -> Json:
    """The properties of a resource, wherever they stand."""
    known = folded(entry)
    inner = known.get(name)
    if inner is None:
        return known
    if not isinstance(inner, dict):
        complain(name, "it is no object")
        return {}
    return folded(inner)


def _cluster_id(known: Mapping[str, Any]) -> ClusterId | None:
    """The cluster's ID. Names stand in commands, paths and tables, so one that does not print is none."""
    if isinstance(known.get("id"), str) and (found := _cluster_named(known["id"])) is not None:
        return found
    # A query of Resource Graph that projects leaves the ID out.
    parts = [known.get(name) for name in ("subscriptionid", "resourcegroup", "name")]
    if all(isinstance(part, str) for part in parts):
        subscription, group, name = map(str, parts)
        return _cluster_named(str(ClusterId(GroupId(subscription, group), name)))
    return None


def _cluster_named(text: str) -> ClusterId | None:
    """The cluster whose ID the text is, None where it is none of a cluster."""
    identifier = ResourceId.parse(text) if text.isprintable() else None
    if identifier is None or identifier.type.lower() != CLUSTER_TYPE.lower() or identifier.group is None:
        return None
    return ClusterId(GroupId(identifier.subscription, identifier.group), identifier.names[-1])


def _pool_id(cluster: ClusterId, name: Any) -> NodePoolId | None:
    """The node pool of that name, None where it is no name of one."""
    if not isinstance(name, str) or not name.isprintable():
        return None
    return NodePoolId(cluster, name) if NodePoolId.parse(str(NodePoolId(cluster, name))) is not None else None


def _sendable(properties: Mapping[str, Any], complain: Complain) -> Json:
    """What a PUT could carry, by ARM's names; a known property of another kind is complained about and left out."""
    sendable: Json = {}
    for name, value in properties.items():
        if name in _NOT_PUT or value in ({}, [], ""):
            continue
        if not _is_of_kind(name, value):
            complain(_ARM_NAME[name], f"it is no {_KINDS[_KIND[name]]}: {str(value)[:40]!r}")
            continue
        sendable[_ARM_NAME.get(name, name)] = _plain(name, value)
    return sendable


def _is_of_kind(name: str, value: Any) -> bool:
    """Whether the value is what a property of that name holds; one that is not known here holds anything."""
    kind = _KIND.get(name)
    if isinstance(value, bool) or kind is bool:
        return kind is None or (kind is bool and isinstance(value, bool))
    if isinstance(value, list):
        return kind is None or (kind is list and all(isinstance(part, str | int) for part in value))
    if isinstance(value, dict):
        if name in _OWN_NAMES:
            return all(text is None or isinstance(text, str) for text in value.values())
        return kind is None or (kind is dict and (name != "virtualmachinesprofile" or _is_profile(value)))
    return kind is None or isinstance(value, (int, float) if kind is float else kind)


def _is_profile(value: Json) -> bool:
    """Whether a VirtualMachines profile lists sizes with their counts, as far as it lists any."""
    scale = folded(value).get("scale", {})
    manual = folded(scale).get("manual", []) if isinstance(scale, dict) else None
    return isinstance(manual, list) and all(
        isinstance(part, dict) and isinstance(part.get("size"), str) and _whole(part.get("count")) is not None
        for part in manual
    )


def _plain(name: str, value: Any) -> Any:
    """The value by ARM's names and without nulls."""
    if isinstance(value, list):
        return [_plain(name, part) for part in value]
    if not isinstance(value, dict) or name in _OWN_NAMES:
        return value
    return {
        _ARM_NAME.get(inner.lower(), inner): _plain(inner.lower(), part)
        for inner, part in value.items()
        if part is not None
    }


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def location_of(value: Any) -> str | None:
    """Return the location by its short name, `eastus`; None for what is no name of one.

    Locations stand in commands that people type, so nothing but letters and digits is let through.
    """
    name = value.replace(" ", "").lower() if isinstance(value, str) else ""
    return name if name.isascii() and name.isalnum() else None


def _location(value: Any, complain: Complain) -> str | None:
    name = location_of(value)
    if name is None and value not in (None, ""):
        complain("location", f"it is no location, which has letters and digits only: {str(value)[:40]!r}")
    return name


def _below(complain: Complain, place: str) -> Complain:
    return lambda path, what: complain(f"{place}.{path}" if path else place, what)


POOL_KIND: Final = NODE_POOL_TYPE.lower()
CLUSTER_KIND: Final = CLUSTER_TYPE.lower()
