"""The words of a plan's steps: what to type for az and kubectl, and what to write for the Azure SDK for Python.

Invariant: what is printed here can be run as it is, or begins with # and says what is missing; every value is quoted
for a POSIX shell and taken by az as it is, and what a command cannot say is told, not left out silently.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from poolwright.domain.resource_id import ClusterId, NodePoolId

# Stands for a location that nobody told, in a line that begins with #.
LOCATION: Final = "LOCATION"
WINDOWS_GEN2_HEADER: Final = "UseWindowsGen2VM"
Json = Mapping[str, Any]
# An option of az and its values.
Option = tuple[str, ...]


# The values that az takes of an option for which ARM takes more. Source: acs/_validators.py (azure-cli 2.91.0).
_TAINT: Final = r"[a-zA-Z\d][\w\-./]{0,252}=[a-zA-Z\d][\w\-.]{0,62}:(NoSchedule|PreferNoSchedule|NoExecute)"
_TAKEN: Final = {"--node-taints": re.compile(rf"{_TAINT}(,{_TAINT})*")}


class Unsayable(ValueError):
    """A value that az, or whoever types the line, would not take as it is; says which and why."""


@lru_cache(maxsize=65_536)
def option(name: str, *values: str) -> str:
    """Return an option as a shell and az take it: each value as it is. Raises `Unsayable` where there is no such form.

    az takes a word that begins with @, or has @ after its first =, for the name of a file to read, and one that begins
    with - for an option. Source: azure/cli/core/commands/__init__.py, `_expand_file_prefixed_files` (azure-cli 2.91.0).
    """
    words = [name, *values]
    # Behind the option's own = a single value is no option, and its own = is not the first one of the word.
    if len(values) == 1 and (values[0].startswith("-") or _is_read_as_a_file(values[0])):
        words = [f"{name}={values[0]}"]
    for value in values:
        if not value.isprintable():
            raise Unsayable(f"{name} {value!r} has characters that do not print")
    for value in values:
        # argparse drops a lone --, also behind =.
        if value == "--" or (value.startswith("-") and len(values) > 1):
            raise Unsayable(f"az takes {name} {value!r} for an option")
    for value in values:
        if name in _TAKEN and _TAKEN[name].fullmatch(value) is None:
            raise Unsayable(f"az refuses {name} {value!r}")
    for word in words:
        if _is_read_as_a_file(word):
            raise Unsayable(f"az takes {name} {word.removeprefix(f'{name}=')!r} for the name of a file to read")
    return " ".join(map(_quoted, words))


def _is_read_as_a_file(word: str) -> bool:
    value = word.split("=", 1)[-1]
    return value.startswith("@") and len(value) > 1


def _one(value: Any) -> list[str]:
    return [str(value)]


def _pairs(value: Any) -> list[str]:
    return [f"{name}={text if text is not None else ''}" for name, text in sorted(value.items())]


@dataclass(frozen=True, slots=True)
class OptionRow:
    """How `az aks nodepool add` says a property. `unless` are values that need not be said.

    `values` raises for what no words of az make. An option with a `file` takes the name of one that ends so, and
    `values` are the words for what to write into it. `needs` is a property without which az refuses the option.
    """

    path: str
    option: str
    values: Callable[[Any], list[str]] = _one
    unless: tuple[Any, ...] = ()
    file: str = ""
    needs: str = ""


def _nothing(_: Any) -> list[str]:
    return []


def _json(value: Any) -> list[str]:
    return [json.dumps(value)]


def _decoded(value: Any) -> list[str]:
    """az encodes the text of the file, which has to be ASCII."""
    try:
        base64.b64decode(value, validate=True).decode("ascii")
    except ValueError as error:
        raise Unsayable(str(error)) from error
    return [f"the text that base64 --decode makes of {value}"]


def _ports(ranges: Any) -> list[str]:
    """`80/tcp 4000-5000/udp`."""
    bounds = [(each["portStart"], each["portEnd"], each["protocol"].lower()) for each in ranges]
    return [
        f"{first}/{protocol}" if first == last else f"{first}-{last}/{protocol}" for first, last, protocol in bounds
    ]


def _ip_tags(tags: Any) -> list[str]:
    by_type = {each["ipTagType"]: each["tag"] for each in tags}
    if len(by_type) < len(tags):
        raise Unsayable("az takes one tag of a type")
    return _pairs(by_type)


# Source: `az aks nodepool add --help` of azure-cli 2.91.0, and acs/agentpool_decorator.py there for what a file holds
# and how ports and tags are read.
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
    OptionRow("artifactStreamingProfile.enabled", "--enable-artifact-streaming", _nothing, (False,)),
    OptionRow("networkProfile.allowedHostPorts", "--allowed-host-ports", _ports, ([],)),
    OptionRow(
        "networkProfile.applicationSecurityGroups", "--asg-ids", list, ([],), needs="networkProfile.allowedHostPorts"
    ),
    OptionRow("networkProfile.nodePublicIPTags", "--node-public-ip-tags", _ip_tags, ([],)),
    OptionRow("creationData.sourceResourceId", "--snapshot-id"),
    OptionRow("kubeletConfig", "--kubelet-config", _json, ({},), file="json"),
    OptionRow("linuxOSConfig", "--linux-os-config", _json, ({},), file="json"),
    OptionRow("localDNSProfile", "--localdns-config", _json, ({},), file="json"),
    OptionRow("messageOfTheDay", "--message-of-the-day", _decoded, file="txt"),
    # What every node pool has and no option says; sshAccess has one in the extension aks-preview only.
    OptionRow("kubeletDiskType", "", unless=("OS",)),
    OptionRow("securityProfile.sshAccess", "", unless=("LocalUser",)),
)
# Objects whose members are properties of their own.
_OBJECTS: Final = frozenset(row.path.rpartition(".")[0] for row in OPTIONS if "." in row.path) | {
    "virtualMachinesProfile"
}


@dataclass(frozen=True, slots=True)
class Spelled:
    """A new node pool in az's words. `unsaid` are the properties that no option says as they are, by ARM's names.

    Before the commands are lines that begin with # and say what to write into the files that they read.
    """

    lines: tuple[str, ...]
    unsaid: tuple[str, ...]


def az_add(pool: NodePoolId, properties: Json, headers: Mapping[str, str]) -> Spelled:
    """Return what adds the node pool with these properties; further sizes of a VirtualMachines pool come after it."""
    values = dict(_leaves(properties))
    manual = _manual(properties)
    if manual:
        # Which is their sum; each size is given its own.
        values.pop("count", None)
    options: list[Option] = []
    files: list[str] = []
    unsaid = []
    said = set()
    for row in OPTIONS:
        value = values.pop(row.path, None)
        if value is None or value in row.unless:
            continue
        words = _words(row, value) if row.option and (not row.needs or row.needs in said) else None
        if words is None:
            unsaid.append(row.path)
            continue
        said.add(row.path)
        if row.file:
            name = f"{pool.pool}-{row.path}.{row.file}"
            files.append(f"# write into {name}, which az reads in this directory: {' '.join(words)}")
            options.append((row.option, name))
        else:
            options.append((row.option, *words))
    if manual:
        options.append(("--node-count", str(manual[0]["count"])))
    lines = [*files, az("aks nodepool add", pool, *options, *_headers(headers))]
    for profile in manual[1:]:
        further = ("--vm-sizes", profile["size"]), ("--node-count", str(profile["count"]))
        lines.append(az("aks nodepool manual-scale add", pool, *further))
    return Spelled(tuple(lines), (*unsaid, *sorted(values)))


def _words(row: OptionRow, value: Any) -> list[str] | None:
    """What stands behind the option; None for a value that az does not take as it is."""
    try:
        return row.values(value)
    except (Unsayable, KeyError, TypeError, AttributeError):
        return None


def az(command: str, about: NodePoolId | ClusterId, *options: Option) -> str:
    """Return a command of az about a node pool, or about all node pools of a cluster."""
    cluster = about.cluster_id if isinstance(about, NodePoolId) else about
    where: list[Option] = [("-g", cluster.group_id.group), ("--cluster-name", cluster.cluster)]
    where += [("-n", about.pool)] if isinstance(about, NodePoolId) else []
    return _line(command, *where, *options, ("--subscription", cluster.group_id.subscription))


def az_show(pool: NodePoolId, query: str) -> str:
    """Return a command of az that shows one property of a node pool."""
    return az("aks nodepool show", pool, ("--query", query), ("-o", "tsv"))


def az_system_pools(cluster: ClusterId) -> str:
    """Return a command of az that shows the names of a cluster's system node pools."""
    return az("aks nodepool list", cluster, ("--query", "[?mode=='System'].name"), ("-o", "tsv"))


def az_usage(subscription: str, location: str | None, family: str | None) -> str:
    """Return a command of az that shows a quota and how much of it is used; of an unknown location with a gap.

    Where the family is not known it shows those of all.
    """
    if family is not None and not set(family).isdisjoint("'\\"):
        return f"# az vm list-usage cannot be typed: no text of a query is the family {family!r}"
    figures = "limit: limit, used: currentValue"
    query = (
        f"[?name.value=='{family}'].{{{figures}}}" if family is not None else f"[].{{family: name.value, {figures}}}"
    )
    where = ("-l", location or LOCATION), ("--subscription", subscription)
    line = _line("vm list-usage", *where, ("--query", query), ("-o", "table"))
    return line if location is not None else f"# with the location in the place of {LOCATION}: {line}"


def _line(command: str, *options: Option) -> str:
    """The command, or a line that begins with # and says which value it would not take."""
    try:
        return " ".join([f"az {command}", *(option(*each) for each in options)])
    except Unsayable as why:
        return f"# az {command} cannot be typed: {why}; the Azure SDKs and requests take it"


def az_change(pool: NodePoolId, properties: Json, headers: Mapping[str, str]) -> str:
    """Return the change in place: by the options of Poolwright's az, or by name where a property has none."""
    if properties.keys() <= {"vmSize"}:
        resized = [("--node-vm-size", properties["vmSize"])] if properties else []
        return az("aks nodepool update", pool, *resized, *_headers(headers))
    wanted = [f"properties.{name}={value}" for name, value in properties.items()]
    return _line("resource update", ("--ids", str(pool)), ("--set", *wanted))


def kubectl(verb: str, pool: str, *arguments: str) -> str:
    """Return a command of kubectl about the nodes of a node pool."""
    return _joined(["kubectl", *verb.split(), "-l", f"kubernetes.azure.com/agentpool={pool}", *arguments])


def kubectl_cordon(pool: str) -> str:
    """Return what keeps further pods from the nodes of a node pool."""
    return kubectl("cordon", pool)


def kubectl_uncordon(pool: str) -> str:
    """Return what lets pods come to the nodes of a node pool again."""
    return kubectl("uncordon", pool)


def kubectl_drain(pool: str, timeout_minutes: int) -> str:
    """Return what has the pods leave the nodes of a node pool."""
    return kubectl("drain", pool, "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={timeout_minutes}m")


def kubectl_unfinished_pods() -> str:
    """Return a command of kubectl that shows the pods of all nodes, and those that found none."""
    unfinished = "--field-selector=status.phase!=Succeeded,status.phase!=Failed"
    return _joined(["kubectl", "get", "pods", "-A", "-o", "wide", unfinished])


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


def _headers(headers: Mapping[str, str]) -> list[Option]:
    return [("--aks-custom-headers", ",".join(f"{name}={value}" for name, value in headers.items()))] if headers else []


def _manual(properties: Json) -> list[Json]:
    profile = properties.get("virtualMachinesProfile") or {}
    manual: list[Json] = (profile.get("scale") or {}).get("manual") or []
    return manual


def _leaves(properties: Json, above: str = "") -> Iterator[tuple[str, Any]]:
    """The properties by path."""
    for name, value in properties.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and path in _OBJECTS:
            yield from _leaves(value, f"{path}.")
        elif value is not None:
            yield path, value


# A fleet repeats its words: the commands of 10 000 node pools have a million of them.
_quoted = lru_cache(maxsize=65_536)(shlex.quote)


def _joined(words: Iterable[str]) -> str:
    """As `shlex.join`."""
    return " ".join(map(_quoted, words))
