"""Options of `az aks nodepool add`, as words, and the properties they say; what can stand together is together.

The same words are given to `poolwright` (tests/cli) and to the real az (tests/az).
"""

from __future__ import annotations

import json
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
