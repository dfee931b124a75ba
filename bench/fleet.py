"""How long `poolwright fleet` takes for a large fleet, and how much memory: audit and plan of one export, as a process.

The export is made up and always the same: 20 node pools a cluster, of many sizes, systems and states.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POOLS_A_CLUSTER = 20
LOCATIONS = ("eastus", "eastus2", "westus2", "westeurope", "northeurope", "uksouth", "southeastasia", "japaneast")
SIZES = (
    *("Standard_D2_v2", "Standard_DS2_v2", "Standard_D4_v3", "Standard_D4s_v3", "Standard_D8_v3", "Standard_E4_v3"),
    *("Standard_F8", "Standard_F8s_v2", "Standard_D4s_v5", "Standard_D8s_v5", "Standard_D4ads_v6", "Standard_E8s_v5"),
    *("Standard_B4ms", "Standard_NC6s_v3", "Standard_A4_v2", "Standard_L8s_v2", "Standard_E16_v3", "Standard_D64_v3"),
)
SYSTEMS: tuple[dict[str, Any], ...] = (
    {"osType": "Linux", "osSku": "Ubuntu", "nodeImageVersion": "AKSUbuntu-2204containerd-202512.18.0"},
    {"osType": "Linux", "osSku": "Ubuntu", "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202512.18.0"},
    {"osType": "Linux", "osSku": "AzureLinux", "nodeImageVersion": "AKSAzureLinux-V3-202512.18.0"},
    {"osType": "Linux", "osSku": "Ubuntu", "nodeImageVersion": None},
    {"osType": "Windows", "osSku": "Windows2022", "nodeImageVersion": None},
    {"osType": "Windows", "osSku": "Windows2019", "nodeImageVersion": "AKSWindows-2019-containerd-17763.8146.251212"},
)
# What az prints of every node pool although it is not there.
ABSENT = (
    *("capacityReservationGroupId", "creationData", "gpuInstanceProfile", "gpuProfile", "hostGroupId", "kubeletConfig"),
    *("linuxOsConfig", "messageOfTheDay", "networkProfile", "nodePublicIpPrefixId", "podSubnetId", "windowsProfile"),
    *("proximityPlacementGroupId", "spotMaxPrice", "tags", "virtualMachinesProfile", "workloadRuntime"),
)
SUBNETS = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets"


def export(pools: int) -> str:
    """Return what `az aks list -o json` would print of a fleet with so many node pools."""
    drawn = random.Random(pools)
    clusters = [_cluster(index, drawn) for index in range(pools // POOLS_A_CLUSTER)]
    return json.dumps(clusters, indent=2)


def _cluster(index: int, drawn: random.Random) -> dict[str, Any]:
    subscription = f"00000000-0000-0000-0000-{index // 100:012d}"
    group, name = f"group-{index // 10}", f"cluster-{index}"
    return {
        "agentPoolProfiles": [_pool(number, drawn) for number in range(POOLS_A_CLUSTER)],
        "currentKubernetesVersion": "1.33.2",
        "dnsPrefix": name,
        "id": f"/subscriptions/{subscription}/resourcegroups/{group}/providers/Microsoft.ContainerService/"
        f"managedClusters/{name}",
        "kubernetesVersion": "1.33",
        "location": drawn.choice(LOCATIONS),
        "name": name,
        "powerState": {"code": drawn.choice(["Running"] * 9 + ["Stopped"])},
        "provisioningState": "Succeeded",
        "resourceGroup": group,
        "type": "Microsoft.ContainerService/ManagedClusters",
    }


def _pool(number: int, drawn: random.Random) -> dict[str, Any]:
    system = drawn.choice(SYSTEMS) if number else SYSTEMS[0]
    absent = dict.fromkeys(ABSENT)
    return (
        absent
        | {
            "availabilityZones": drawn.choice([None, ["1"], ["1", "2", "3"]]),
            "count": drawn.randint(1, 20),
            "currentOrchestratorVersion": "1.33.2",
            "eTag": f"{drawn.getrandbits(64):016x}",
            "enableAutoScaling": drawn.choice([True, False]),
            "enableEncryptionAtHost": False,
            "enableFips": False,
            "enableNodePublicIp": False,
            "enableUltraSsd": False,
            "kubeletDiskType": "OS",
            "maxCount": 30,
            "maxPods": 110,
            "minCount": 1,
            "mode": "User" if number else "System",
            "name": f"pool{number}",
            "nodeLabels": {"team": f"team{drawn.randint(1, 40)}", "tier": drawn.choice(["front", "back"])},
            "nodeTaints": drawn.choice([None, ["dedicated=batch:NoSchedule"]]),
            "orchestratorVersion": "1.33.2",
            "osDiskSizeGb": 128,
            "osDiskType": drawn.choice(["Managed", "Ephemeral"]),
            "powerState": {"code": "Running"},
            "provisioningState": drawn.choice(["Succeeded"] * 19 + ["Failed"]),
            "scaleDownMode": "Delete",
            "scaleSetPriority": None,
            "securityProfile": {"enableSecureBoot": False, "enableVtpm": False, "sshAccess": "LocalUser"},
            "type": "VirtualMachineScaleSets",
            "upgradeSettings": {"drainTimeoutInMinutes": 30, "maxSurge": "10%", "maxUnavailable": "0"},
            "vmSize": drawn.choice(SIZES),
            "vnetSubnetId": f"{SUBNETS}/s{number}",
        }
        | system
    )


def rows(scratch: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the rows of the table: audit and plan of 1 000 and 10 000 node pools."""
    for pools in (1_000, 10_000):
        file = scratch / f"fleet-{pools}.json"
        file.write_text(export(pools))
        for command in ("audit", "plan"):
            seconds, cpu, memory = _measured(command, file, scratch / "answer.json")
            clusters = pools // POOLS_A_CLUSTER
            yield (
                f"fleet {command}, {pools:,} node pools in {clusters} clusters",
                f"{seconds:.2f} s, {memory:.0f} MB",
                f"{cpu:.2f} s of CPU",
            )


def _measured(command: str, export_file: Path, answer: Path) -> tuple[float, float, float]:
    """The medians of three whole processes in seconds and in seconds of CPU, and the most memory one took in MB."""
    program = (
        "import resource, sys\n"
        "from poolwright.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
    )
    times, cpus, memory = [], [], 0.0
    for _ in range(3):
        arguments = ["fleet", command, str(export_file), "--built-in", "-o", "json", "--to", str(answer)]
        started = time.perf_counter()
        ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - started)
        cpu, most = ended.stdout.split()[-2:]
        cpus.append(float(cpu))
        memory = max(memory, int(most) / 1024)
    return statistics.median(times), statistics.median(cpus), memory
