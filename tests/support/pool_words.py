"""Options of `az aks nodepool add`, as words, and the properties they say; what can stand together is together.

The same words are given to `poolwright` (tests/cli) and to the real az (tests/az).
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_IN_GROUP: Final = "/subscriptions/30000000-0000-4000-8000-000000000003/resourceGroups/rg/providers"
_VNET: Final = f"{_IN_GROUP}/Microsoft.Network/virtualNetworks/v1/subnets"
_PREFIX: Final = f"{_IN_GROUP}/Microsoft.Network/publicIPPrefixes/p1"
_ASG: Final = f"{_IN_GROUP}/Microsoft.Network/applicationSecurityGroups"
_PPG: Final = f"{_IN_GROUP}/Microsoft.Compute/proximityPlacementGroups/p1"
_HOSTS: Final = f"{_IN_GROUP}/Microsoft.Compute/hostGroups/h1"
_RESERVED: Final = f"{_IN_GROUP}/Microsoft.Compute/capacityReservationGroups/c1"

_KUBELET: Final = {"cpuManagerPolicy": "static", "podMaxPids": 100}
_LINUX: Final = {"transparentHugePageEnabled": "madvise", "sysctls": {"netCoreSomaxconn": 163849}}
_DNS: Final = {"mode": "Preferred"}


@dataclass(frozen=True)
class Said:
    """`words` are options of `add`; `properties` what a node pool made with them has, by path.

    `ours` are words that az has not.
    """

    words: str
    properties: dict[str, Any]
    ours: str = ""

    def arguments(self, directory: Path) -> list[str]:
        """The words, with the files they name written there."""
        for name, content in (("kubelet", _KUBELET), ("linux", _LINUX), ("dns", _DNS)):
            (directory / f"{name}.json").write_text(json.dumps(content))
        (directory / "message").write_text("Hello")
        return self.words.format(files=directory).split()


SAID: Final[dict[str, Said]] = {
    "linux": Said(
        "-s Standard_D4s_v5 --os-type Linux --os-sku AzureLinux -k 1.34 --mode User --labels a=b c= --tags t=1 u "
        "--node-taints k=v:NoSchedule,x=y:NoExecute -z 1 2 -m 50 --node-osdisk-size 64 --node-osdisk-type Managed "
        "-c 2 -e --min-count 1 --max-count 4 --scale-down-mode Deallocate",
        {
            "vmSize": "Standard_D4s_v5",
            "osType": "Linux",
            "osSKU": "AzureLinux",
            "orchestratorVersion": "1.34",
            "mode": "User",
            "nodeLabels": {"a": "b", "c": ""},
            "tags": {"t": "1", "u": ""},
            "nodeTaints": ["k=v:NoSchedule", "x=y:NoExecute"],
            "availabilityZones": ["1", "2"],
            "maxPods": 50,
            "osDiskSizeGB": 64,
            "osDiskType": "Managed",
            "count": 2,
            "enableAutoScaling": True,
            "minCount": 1,
            "maxCount": 4,
            "scaleDownMode": "Deallocate",
        },
        ours="--vm-generation V2 --vpmem-mib 128 --ssh-access disabled",
    ),
    "replace": Said(
        "-s Standard_D2s_v5 -c 0 --max-surge 50% --drain-timeout 20 --node-soak-duration 3 "
        "--undrainable-node-behavior Cordon --max-unavailable 0 --enable-vtpm --enable-secure-boot",
        {
            "upgradeSettings.maxSurge": "50%",
            "upgradeSettings.maxUnavailable": "0",
            "upgradeSettings.drainTimeoutInMinutes": 20,
            "upgradeSettings.nodeSoakDurationInMinutes": 3,
            "upgradeSettings.undrainableNodeBehavior": "Cordon",
            "securityProfile.enableVTPM": True,
            "securityProfile.enableSecureBoot": True,
        },
    ),
    "kata": Said(
        "-s Standard_D4s_v5 -c 0 --workload-runtime KataVmIsolation --os-sku AzureLinux",
        {"workloadRuntime": "KataVmIsolation", "osSKU": "AzureLinux"},
    ),
    "network": Said(
        f"-s Standard_D2s_v5 -c 0 --vnet-subnet-id {_VNET}/nodes --pod-subnet-id {_VNET}/pods "
        f"--pod-ip-allocation-mode DynamicIndividual --enable-node-public-ip --node-public-ip-prefix-id {_PREFIX} "
        f"--node-public-ip-tags RoutingPreference=Internet --allowed-host-ports 80/tcp 4000-5000/UDP "
        f"--asg-ids {_ASG}/a {_ASG}/b",
        {
            "vnetSubnetID": f"{_VNET}/nodes",
            "podSubnetID": f"{_VNET}/pods",
            "podIPAllocationMode": "DynamicIndividual",
            "enableNodePublicIP": True,
            "nodePublicIPPrefixID": _PREFIX,
            "networkProfile.nodePublicIPTags": [{"ipTagType": "RoutingPreference", "tag": "Internet"}],
            "networkProfile.allowedHostPorts": [
                {"portStart": 80, "portEnd": 80, "protocol": "TCP"},
                {"portStart": 4000, "portEnd": 5000, "protocol": "UDP"},
            ],
            "networkProfile.applicationSecurityGroups": [f"{_ASG}/a", f"{_ASG}/b"],
        },
    ),
    "place": Said(
        f"-s Standard_D2s_v5 -c 0 --ppg {_PPG} --crg-id {_RESERVED} --enable-encryption-at-host --enable-ultra-ssd "
        "--enable-fips-image --enable-artifact-streaming --enable-managed-dranet",
        {
            "proximityPlacementGroupID": _PPG,
            "capacityReservationGroupID": _RESERVED,
            "enableEncryptionAtHost": True,
            "enableUltraSSD": True,
            "enableFIPS": True,
            "artifactStreamingProfile.enabled": True,
            "networkProfile.dranet.mode": "Managed",
        },
    ),
    "hosts": Said(f"-s Standard_D2s_v5 -c 0 --host-group-id {_HOSTS}", {"hostGroupID": _HOSTS}),
    "files": Said(
        "-s Standard_D2s_v5 -c 0 --kubelet-config {files}/kubelet.json --linux-os-config {files}/linux.json "
        "--localdns-config {files}/dns.json --message-of-the-day {files}/message",
        {
            "kubeletConfig": _KUBELET,
            "linuxOSConfig": _LINUX,
            "localDNSProfile.mode": "Preferred",
            "messageOfTheDay": "SGVsbG8=",
        },
    ),
    "spot": Said(
        "-s Standard_D2s_v5 -c 0 --priority Spot --eviction-policy Deallocate --spot-max-price 0.12345",
        {"scaleSetPriority": "Spot", "scaleSetEvictionPolicy": "Deallocate", "spotMaxPrice": 0.12345},
    ),
    "any": Said("-s Standard_D2s_v5 -c 0 --priority Spot --spot-max-price -1", {"spotMaxPrice": -1}),
    "win": Said(
        "-s Standard_D2s_v5 -c 0 --os-type Windows --os-sku Windows2022 --disable-windows-outbound-nat",
        {"osType": "Windows", "windowsProfile.disableOutboundNat": True},
    ),
    "gpu": Said(
        "-s Standard_NC24ads_A100_v4 -c 0 --gpu-driver None --gpu-instance-profile MIG2g",
        {"gpuProfile.driver": "None", "gpuInstanceProfile": "MIG2g"},
    ),
    "gateway": Said(
        "-s Standard_D2s_v5 -c 2 --mode Gateway --gateway-prefix-size 30",
        {"mode": "Gateway", "gatewayProfile.publicIPPrefixSize": 30},
    ),
    "vms": Said(
        "--vm-set-type VirtualMachines --vm-sizes Standard_D2s_v5 -c 2",
        {
            "type": "VirtualMachines",
            "virtualMachinesProfile.scale.manual": [{"size": "Standard_D2s_v5", "count": 2}],
        },
    ),
}


@dataclass(frozen=True)
class Alike:
    """Words of one of az's node pool commands, which come to the same with `poolwright`: what, is not said here.

    `before` is what the node pool has that is changed.
    """

    command: str
    words: str
    before: dict[str, Any] | None = None

    def arguments(self) -> list[str]:
        """The words; a new node pool has a size and no machines, where they do not say other things."""
        own = shlex.split(self.words)
        return ["-s", "Standard_D2s_v5", "-c", "0", *own] if self.command == "add" else own


_ON: Final = {"enableAutoScaling": True, "minCount": 1, "maxCount": 3, "count": 1}
_REPLACED: Final = {"upgradeSettings": {"maxSurge": "2", "drainTimeoutInMinutes": 7, "nodeSoakDurationInMinutes": 5}}
_MARKED: Final = {"nodeLabels": {"x": "y"}, "tags": {"t": "1"}, "nodeTaints": ["k=v:NoSchedule"]}
ALIKE: Final = (
    # Twice, in other forms, beginnings of others, opposites.
    Alike("add", "--labels a=b --labels c=d -z 1 -z=2 --tags x=1 --tags=y=2"),
    Alike("add", "-c=2 -c0 -s=Standard_D4s_v5"),
    Alike("add", "--labels=a=b c=d"),
    Alike("add", "-s --max-surge 1"),
    Alike("add", "--enable-vtpm=true"),
    *(
        Alike("update", f"--{one}-{name} --{other}-{name}")
        for name in ("vtpm", "secure-boot", "fips-image", "artifact-streaming")
        for one, other in (("enable", "disable"), ("disable", "enable"))
    ),
    # The autoscaler.
    Alike("add", "--min-count 1 --max-count 3"),
    Alike("add", "-e --min-count 0"),
    Alike("add", "-e --min-count 3 --max-count 1 -c 2"),
    Alike("add", "-e --min-count 1 --max-count 3 -c 4"),
    Alike("add", "-e --min-count 0 --max-count 3"),
    Alike("update", "-e -d --min-count 1 --max-count 2"),
    Alike("update", "-u -d", _ON),
    Alike("update", "-u -e --min-count 1 --max-count 2", _ON),
    Alike("update", "-e --min-count 1 --max-count 2 --labels a=b", _ON),
    Alike("update", "-e", _ON),
    Alike("update", "-d --labels a=b"),
    Alike("update", "-d --min-count 1", _ON),
    Alike("update", "-d", _ON),
    Alike("update", "-u", _ON),
    Alike("update", "-u --min-count 1 --max-count 5", _ON),
    Alike("update", "-u --min-count 1 --max-count 5"),
    Alike("update", "--min-count 1 --max-count 5", _ON),
    Alike("update", "--mode User", _ON),
    Alike("scale", "-c 2", _ON),
    Alike("scale", "-c 1.0"),
    # Nothing, and 0.
    Alike("add", "--labels '' --tags '' --node-taints '' --node-public-ip-tags '' --max-pods 0"),
    Alike("add", "--os-type '' --kubelet-config '' --linux-os-config '' -k ''"),
    Alike("add", "--message-of-the-day '' --localdns-config '' --snapshot-id '' --vnet-subnet-id '' --ppg ''"),
    Alike("add", "--if-match '' --if-none-match '' --aks-custom-headers '' --host-group-id ''"),
    Alike("add", "--zones ''"),
    Alike("add", "--crg-id ''"),
    Alike("add", "--mode ''"),
    Alike("add", "--max-surge ''"),
    Alike("add", "--max-unavailable ''"),
    Alike("add", "--drain-timeout 0 --node-soak-duration 0"),
    Alike("update", "--drain-timeout 0 --node-soak-duration 0", _REPLACED),
    Alike("update", "--max-surge ''", _REPLACED),
    Alike("update", "--labels --tags a=b --tags --node-taints ''", _MARKED),
    Alike("update", "--if-match ''", _MARKED),
    # With `add`, az leaves out what it sends unasked then, and Poolwright does not.
    Alike("update", "--undrainable-node-behavior '' --max-surge 2", _REPLACED),
    Alike("upgrade", "-y --drain-timeout 0 --node-soak-duration 0", _REPLACED),
    Alike("upgrade", "--node-image-only -k '' --drain-timeout 0"),
    # Values, and what az adds to them.
    Alike("add", "--priority spot"),
    Alike("add", "--priority Regular --eviction-policy Deallocate"),
    Alike("add", "--os-type windows --os-sku windows2022"),
    Alike("add", "--max-surge 33 --max-unavailable 5%"),
    Alike("add", "-c 1.0"),
    Alike("add", "--node-taints 'a=b:NoSchedule, c=d:NoSchedule'"),
    Alike("add", "--node-taints a=b:NoSchedule,"),
    Alike("add", "--vnet-subnet-id x"),
    Alike("add", "--aks-custom-headers 'a = b,a=c'"),
    Alike("add", "--aks-custom-headers a="),
    Alike("add", "--aks-custom-headers a=b=c"),
    Alike("update", "--aks-custom-headers UseWindowsGen2VM=true,UseWindowsGen2VM=false"),
    Alike("update", f"--asg-ids {_ASG}/a", {"networkProfile": {"allowedHostPorts": []}}),
)


# Options of `az aks create`, and what a cluster made with them has where.
OF_CLUSTER: Final[dict[str, tuple[str, Any]]] = {
    "-l westus2": ("location", "westus2"),
    "--tags a=b c": ("tags", {"a": "b", "c": ""}),
    "-k 1.34": ("properties.kubernetesVersion", "1.34"),
    "-p prefix": ("properties.dnsPrefix", "prefix"),
    "--node-resource-group nodes": ("properties.nodeResourceGroup", "nodes"),
    "--k8s-support-plan aksLongTermSupport": ("properties.supportPlan", "AKSLongTermSupport"),
    "--sku base": ("sku.name", "Base"),
    "--tier premium": ("sku.tier", "Premium"),
    "--disable-rbac": ("properties.enableRBAC", False),
    "--disable-local-accounts": ("properties.disableLocalAccounts", True),
    "--network-plugin azure": ("properties.networkProfile.networkPlugin", "azure"),
    "--network-plugin-mode overlay": ("properties.networkProfile.networkPluginMode", "overlay"),
    "--network-policy cilium": ("properties.networkProfile.networkPolicy", "cilium"),
    "--network-dataplane cilium": ("properties.networkProfile.networkDataplane", "cilium"),
    "--load-balancer-sku standard": ("properties.networkProfile.loadBalancerSku", "standard"),
    "--outbound-type managednatgateway": ("properties.networkProfile.outboundType", "managedNATGateway"),
    "--pod-cidr 10.1.0.0/16": ("properties.networkProfile.podCidr", "10.1.0.0/16"),
    "--service-cidr 10.2.0.0/16": ("properties.networkProfile.serviceCidr", "10.2.0.0/16"),
    "--dns-service-ip 10.2.0.10": ("properties.networkProfile.dnsServiceIP", "10.2.0.10"),
    "--auto-upgrade-channel stable": ("properties.autoUpgradeProfile.upgradeChannel", "stable"),
    "--node-os-upgrade-channel nodeimage": ("properties.autoUpgradeProfile.nodeOSUpgradeChannel", "NodeImage"),
    "--enable-oidc-issuer": ("properties.oidcIssuerProfile.enabled", True),
    "--enable-workload-identity": ("properties.securityProfile.workloadIdentity.enabled", True),
    "--windows-admin-username winadmin": ("properties.windowsProfile.adminUsername", "winadmin"),
    "--windows-admin-password Pass-word-1234": ("properties.windowsProfile.adminPassword", None),
    "-u somebody": ("properties.linuxProfile.adminUsername", "somebody"),
}
# Those about its first node pool.
FIRST_POOL: Final = Said(
    "-s Standard_D4s_v5 --os-sku AzureLinux --nodepool-labels a=b c= --nodepool-tags t=1 u --zones 1 2 "
    "--nodepool-taints CriticalAddonsOnly=true:NoSchedule -m 50 --node-osdisk-size 64 --enable-vtpm -c 2 "
    "--enable-cluster-autoscaler --min-count 1 --max-count 4 --nodepool-name first --yes --enable-managed-identity",
    {
        "name": "first",
        "mode": "System",
        "vmSize": "Standard_D4s_v5",
        "osSKU": "AzureLinux",
        "nodeLabels": {"a": "b", "c": ""},
        "tags": {"t": "1", "u": ""},
        "availabilityZones": ["1", "2"],
        "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"],
        "maxPods": 50,
        "osDiskSizeGB": 64,
        "securityProfile.enableVTPM": True,
        "count": 2,
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 4,
    },
)


def found_at(properties: dict[str, Any], path: str) -> Any:
    """The value at a path, None where there is none."""
    found: Any = properties
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found
