"""The options of az's node pool commands, and which property of a node pool each says.

Spelled as az 2.91.0 spells them (a test with the real az compares); `--vm-generation` and `--vpmem-mib` are ours,
`--ssh-access` is aks-preview's. What az has beside them stands in `not_taken`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import Any, Final

from poolwright.cli.option_rows import (
    ID,
    IDS,
    IP_TAGS,
    JSON_FILE,
    LABELS,
    MESSAGE_FILE,
    ONE_SIZE,
    PART_OF,
    PORTS,
    PRICE,
    TAGS,
    TAINTS,
    TEXT,
    WHOLE_ID,
    WORDS,
    Against,
    Beside,
    Form,
    OptionRow,
    choice,
    number,
    switch,
)

DEFAULT_COUNT: Final = 3  # az's


class Taker(Flag):
    """Which commands take an option: of `nodepool`, `aks create` for its first node pool, and `explain`."""

    ADD = auto()
    UPDATE = auto()
    UPGRADE = auto()
    CREATE = auto()
    EXPLAIN = auto()


_A, _U, _G, _C, _E = Taker
# What a new node pool takes, whoever makes it.
_NEW: Final = _A | _C | _E
_ALWAYS: Final = _NEW | _U

ENABLE_AUTOSCALER: Final = "--enable-cluster-autoscaler"
DISABLE_AUTOSCALER: Final = "--disable-cluster-autoscaler"
UPDATE_AUTOSCALER: Final = "--update-cluster-autoscaler"
_BOUNDS: Final = ("minCount", "maxCount")
# As az has it: whether the autoscaler of the node pool is on says nothing.
_AUTOSCALED: Final = Beside("enableAutoScaling", True, in_words=True)
_OF_SIZES: Final = Against(
    "type",
    "VirtualMachines",
    "each of its sizes has bounds of its own: `poolwright az aks nodepool auto-scale` keeps them",
)

OS_TYPE: Final = choice("Linux", "Windows", or_blank=True)
OS_SKU: Final = choice(
    *("Ubuntu", "Ubuntu2204", "Ubuntu2404", "AzureLinux", "AzureLinux3", "AzureLinuxOSGuard", "AzureContainerLinux"),
    *("CBLMariner", "Mariner", "Flatcar", "Windows2019", "Windows2022", "Windows2025", "WindowsAnnual"),
    shown="NAME",
)
WORKLOAD_RUNTIME: Final = choice("OCIContainer", "WasmWasi", "KataVmIsolation", "KataMshvVmIsolation", shown="NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOption(OptionRow):
    """An option, the commands that take it, and its spellings at `aks create` where they differ."""

    takers: Taker
    words_of_create: str | None = None


def _row(
    takers: Taker, words: str, path: str, form: Form, text: str, *, create: str | None = None, **more: Any
) -> PoolOption:
    return PoolOption(takers=takers, words=words, path=path, form=form, help=text, words_of_create=create, **more)


def _pair(takers: Taker, name: str, path: str, what: str, **more: Any) -> tuple[PoolOption, PoolOption]:
    """Return the options that switch something on and off; both at once are refused as two that say the same."""
    on = _row(takers, f"--enable-{name}", path, switch(True), f"{what}: on.", **more)
    return on, _row(takers, f"--disable-{name}", path, switch(False), f"{what}: off.", **more)


POOL_OPTIONS: Final = (
    _row(_A | _U | _C, "--node-vm-size --vm-size -s", "vmSize", TEXT, "VM size of the machines."),
    _row(
        _A | _C,
        "--vm-sizes",
        "vmSize",
        ONE_SIZE,
        "The same for --vm-set-type VirtualMachines.",
        only_with=Beside("type", "VirtualMachines"),
    ),
    _row(
        _NEW,
        "--vm-set-type",
        "type",
        choice("VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines", shown="TYPE"),
        "VirtualMachineScaleSets, AvailabilitySet or VirtualMachines.",
    ),
    _row(_A | _U | _E, "--os-type", "osType", OS_TYPE, "OS type."),
    _row(_ALWAYS, "--os-sku", "osSKU", OS_SKU, "OS SKU, for example Ubuntu, AzureLinux, Windows2022."),
    _row(_NEW, "--node-count -c", "count", number(), "How many machines; 3 for a new node pool."),
    _row(_A | _E | _G, "--kubernetes-version -k", "orchestratorVersion", TEXT, "1.33 or 1.33.2."),
    _row(_A | _U | _E, "--mode", "mode", choice("System", "User", "Gateway"), "What the node pool is for."),
    _row(_A | _C | _G, "--snapshot-id", "creationData.sourceResourceId", ID, "ID of a node pool snapshot."),
    _row(_ALWAYS, "--labels", "nodeLabels", LABELS, "Labels of the nodes: a=b c=d.", create="--nodepool-labels"),
    _row(_ALWAYS, "--tags", "tags", TAGS, "Tags of the node pool: a=b c=d.", create="--nodepool-tags"),
    _row(
        _ALWAYS,
        "--node-taints",
        "nodeTaints",
        TAINTS,
        "Taints, separated by commas: k=v:NoSchedule,...",
        create="--nodepool-taints",
    ),
    _row(_NEW, "--zones -z", "availabilityZones", WORDS, "Availability zones: 1 2 3."),
    _row(_NEW, "--max-pods -m", "maxPods", number(zero_is_unsaid=True), "Most pods of a node."),
    _row(_NEW, "--node-osdisk-size", "osDiskSizeGB", number(), "GB of the OS disk."),
    _row(_NEW, "--node-osdisk-type", "osDiskType", choice("Managed", "Ephemeral"), "What the OS disk is."),
    _row(_A | _E, "--priority", "scaleSetPriority", choice("Regular", "Spot"), "Regular or evictable machines."),
    _row(
        _A | _E,
        "--eviction-policy",
        "scaleSetEvictionPolicy",
        choice("Delete", "Deallocate"),
        "What becomes of evicted machines.",
    ),
    _row(
        _A | _E,
        "--spot-max-price",
        "spotMaxPrice",
        PRICE,
        "US dollars an hour, or -1: up to the price on demand.",
        only_with=Beside("scaleSetPriority", "Spot"),
    ),
    _row(
        _ALWAYS,
        f"{ENABLE_AUTOSCALER} -e",
        "enableAutoScaling",
        switch(True),
        "Cluster autoscaler: on.",
        create=ENABLE_AUTOSCALER,
        needs=_BOUNDS,
        against=_OF_SIZES,
    ),
    _row(
        # At `aks create` -d is another option.
        _A | _U | _E,
        f"{DISABLE_AUTOSCALER} -d",
        "enableAutoScaling",
        switch(False),
        "Cluster autoscaler: off.",
    ),
    _row(
        _U,
        f"{UPDATE_AUTOSCALER} -u",
        "enableAutoScaling",
        switch(True),
        "Cluster autoscaler: other bounds.",
        needs=_BOUNDS,
        against=_OF_SIZES,
    ),
    _row(_ALWAYS, "--min-count", "minCount", number(), "Fewest machines of the autoscaler.", only_with=_AUTOSCALED),
    _row(_ALWAYS, "--max-count", "maxCount", number(), "Most machines of the autoscaler.", only_with=_AUTOSCALED),
    _row(
        _A | _U | _E,
        "--scale-down-mode",
        "scaleDownMode",
        choice("Delete", "Deallocate"),
        "What becomes of machines that scaling down takes away.",
    ),
    _row(
        _A | _U | _G | _E,
        "--max-surge",
        "upgradeSettings.maxSurge",
        PART_OF,
        "Machines beyond the count while replacing: 1 or 33%.",
    ),
    _row(
        _A | _U | _G | _E,
        "--max-unavailable",
        "upgradeSettings.maxUnavailable",
        PART_OF,
        "Machines that may be missing while replacing: 1 or 5%.",
    ),
    _row(
        _A | _U | _G | _E,
        "--drain-timeout",
        "upgradeSettings.drainTimeoutInMinutes",
        number(1, 1440, zero_is_unsaid=True),
        "Minutes that pods have to leave a node.",
    ),
    # az sends 0 with `upgrade` alone.
    *(
        _row(
            takers,
            "--node-soak-duration",
            "upgradeSettings.nodeSoakDurationInMinutes",
            number(0, 30, zero_is_unsaid=takers is not _G),
            "Minutes to wait after each drained node.",
        )
        for takers in (_A | _U | _E, _G)
    ),
    _row(
        _A | _U | _G | _E,
        "--undrainable-node-behavior",
        "upgradeSettings.undrainableNodeBehavior",
        choice("Schedule", "Cordon", or_blank=True),
        "When pods do not leave in time: stop and take pods again, or leave the node cordoned and go on.",
    ),
    *_pair(_ALWAYS, "fips-image", "enableFIPS", "FIPS image"),
    *_pair(_ALWAYS, "vtpm", "securityProfile.enableVTPM", "vTPM"),
    *_pair(_ALWAYS, "secure-boot", "securityProfile.enableSecureBoot", "Secure Boot"),
    _row(
        _ALWAYS,
        "--ssh-access",
        "securityProfile.sshAccess",
        choice("LocalUser", "Disabled", "EntraId"),
        "How people log in to nodes (aks-preview's).",
    ),
    _row(
        _ALWAYS,
        "--vm-generation",
        "vmGeneration",
        choice("V1", "V2"),
        "Ask for a VM generation (properties.vmGeneration, Poolwright's own).",
    ),
    _row(
        _ALWAYS,
        "--vpmem-mib",
        "vpmemMiB",
        number(0),
        "Persistent memory (vPMEM) of each machine in MiB, 0 for none (properties.vpmemMiB, Poolwright's own).",
    ),
    _row(
        _NEW,
        "--workload-runtime",
        "workloadRuntime",
        WORKLOAD_RUNTIME,
        "OCIContainer, WasmWasi, KataVmIsolation or KataMshvVmIsolation.",
    ),
    _row(_A | _U | _E, "--gpu-driver", "gpuProfile.driver", choice("Install", "None"), "GPU driver."),
    _row(
        _NEW,
        "--gpu-instance-profile",
        "gpuInstanceProfile",
        choice("MIG1g", "MIG2g", "MIG3g", "MIG4g", "MIG7g"),
        "How GPUs are parted.",
    ),
    _row(_NEW, "--vnet-subnet-id", "vnetSubnetID", ID, "ID of the subnet of the nodes."),
    _row(_NEW, "--pod-subnet-id", "podSubnetID", ID, "ID of the subnet of the pods."),
    _row(
        _NEW,
        "--pod-ip-allocation-mode",
        "podIPAllocationMode",
        choice("DynamicIndividual", "StaticBlock"),
        "How pods get addresses of their subnet.",
    ),
    _row(_NEW, "--enable-node-public-ip", "enableNodePublicIP", switch(True), "A public address for each node."),
    _row(_NEW, "--node-public-ip-prefix-id", "nodePublicIPPrefixID", TEXT, "ID of the prefix of these addresses."),
    _row(
        _NEW,
        "--node-public-ip-tags",
        "networkProfile.nodePublicIPTags",
        IP_TAGS,
        "Tags of these addresses: a=b c=d.",
    ),
    _row(
        _ALWAYS,
        "--allowed-host-ports",
        "networkProfile.allowedHostPorts",
        PORTS,
        "Ports open on nodes: 80/tcp 4000-5000/udp.",
        create="--nodepool-allowed-host-ports",
    ),
    _row(
        _ALWAYS,
        "--asg-ids",
        "networkProfile.applicationSecurityGroups",
        IDS,
        "IDs of application security groups.",
        create="--nodepool-asg-ids",
        only_with=Beside("networkProfile.allowedHostPorts", in_words=True),
    ),
    _row(
        _A | _U | _E,
        "--enable-managed-dranet",
        "networkProfile.dranet.mode",
        switch("Managed"),
        "DRANET, managed by AKS.",
    ),
    _row(_NEW, "--ppg", "proximityPlacementGroupID", ID, "ID of a proximity placement group."),
    _row(_NEW, "--host-group-id", "hostGroupID", ID, "ID of a group of dedicated hosts."),
    _row(_NEW, "--crg-id", "capacityReservationGroupID", WHOLE_ID, "ID of a capacity reservation group."),
    _row(
        _NEW, "--enable-encryption-at-host", "enableEncryptionAtHost", switch(True), "Encryption of disks at the host."
    ),
    _row(_NEW, "--enable-ultra-ssd", "enableUltraSSD", switch(True), "Ultra disks."),
    _row(_NEW, "--kubelet-config", "kubeletConfig", JSON_FILE, "JSON file with the configuration of kubelet."),
    _row(_NEW, "--linux-os-config", "linuxOSConfig", JSON_FILE, "JSON file with the configuration of Linux."),
    _row(
        _A | _U | _E,
        "--localdns-config",
        "localDNSProfile",
        JSON_FILE,
        "JSON file with the profile of the local DNS.",
    ),
    _row(
        _NEW,
        "--message-of-the-day",
        "messageOfTheDay",
        MESSAGE_FILE,
        "File whose text who logs in to a Linux node reads.",
        only_with=Beside("osType", "Linux"),
    ),
    _row(
        _A | _E,
        "--disable-windows-outbound-nat",
        "windowsProfile.disableOutboundNat",
        switch(True),
        "No NAT for what leaves Windows nodes.",
        only_with=Beside("osType", "Windows"),
    ),
    _row(
        _A | _E,
        "--gateway-prefix-size",
        "gatewayProfile.publicIPPrefixSize",
        number(28, 31),
        "Length of the public prefix of a Gateway node pool.",
        only_with=Beside("mode", "Gateway"),
    ),
    *_pair(
        _A | _U | _E,
        "artifact-streaming",
        "artifactStreamingProfile.enabled",
        "Start of containers before all of their image is there, Linux only",
        only_with=Beside("osType", "Linux"),
    ),
)

# What holds of a new node pool where nothing else is asked.
NEW_POOL: Final = {"osType": "Linux", "mode": "User", "scaleSetPriority": "Regular", "type": "VirtualMachineScaleSets"}

# What az sends of a new node pool where nothing is asked, as far as it is not what the service has anyway: its OS type
# may be a snapshot's. FIPS is on for Windows otherwise.
_UNASKED: Final = {
    "count": DEFAULT_COUNT,
    "mode": "User",
    "nodeTaints": [],
    "enableFIPS": False,
    "upgradeSettings.undrainableNodeBehavior": "Schedule",
}
# What it sends with priority Spot alone.
_UNASKED_OF_SPOT: Final = {"scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1}


def of_new_pool(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what az sends of a new node pool, by path."""
    is_spot = asked.get("scaleSetPriority") == "Spot"
    said = {path: value for path, value in asked.items() if is_spot or path not in _UNASKED_OF_SPOT}
    return _UNASKED | (_UNASKED_OF_SPOT if is_spot else {}) | said


def taken_by(takers: Taker) -> tuple[PoolOption, ...]:
    """Return the options that one of the commands takes, spelled as it spells them."""
    rows = (row for row in POOL_OPTIONS if row.takers & takers)
    if takers is not Taker.CREATE:
        return tuple(rows)
    return tuple(replace(row, words=row.words_of_create or row.words) for row in rows)
