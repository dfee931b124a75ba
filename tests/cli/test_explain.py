"""`explain` and the service never differ."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.cli.conftest import CommandLine
from tests.support.service import ServiceProcess

WINDOWS = {"osType": "Windows"}


@dataclass(frozen=True)
class Asked:
    """The same node pool as options and as the body of a PUT."""

    options: str
    properties: dict[str, Any]
    header: str | None = None
    name: str = "np1"
    details: tuple[str, ...] = field(default=())


REFUSED = [
    Asked("-s Standard_Nonsense_v9", {"vmSize": "Standard_Nonsense_v9"}),
    Asked("-s Standard_D2_v3 --os-type Windows --header true", {"vmSize": "Standard_D2_v3", **WINDOWS}, "true"),
    Asked("-s Standard_D2_v3 --vm-generation V2", {"vmSize": "Standard_D2_v3", "vmGeneration": "V2"}),
    Asked(
        "-s Standard_D4ads_v6 --os-type Windows --os-sku Windows2022 --use-windows-gen2-vm false",
        {"vmSize": "Standard_D4ads_v6", "osSKU": "Windows2022", **WINDOWS},
        "false",
    ),
    Asked(
        "-s Standard_D4ads_v5 --os-type Windows --os-sku Windows2019 --aks-custom-headers UseWindowsGen2VM=true",
        {"vmSize": "Standard_D4ads_v5", "osSKU": "Windows2019", **WINDOWS},
        "true",
    ),
    Asked("-s Standard_D2ps_v5 --os-type Windows", {"vmSize": "Standard_D2ps_v5", **WINDOWS}),
    Asked(
        "-s Standard_D2_v3 --enable-vtpm --enable-secure-boot",
        {"vmSize": "Standard_D2_v3", "securityProfile": {"enableVTPM": True, "enableSecureBoot": True}},
    ),
    Asked("-s Standard_D2s_v5 --os-sku Windows2022", {"vmSize": "Standard_D2s_v5", "osSKU": "Windows2022"}),
    Asked(
        "-s Standard_D2s_v5 --os-type Windows --mode System", {"vmSize": "Standard_D2s_v5", "mode": "System", **WINDOWS}
    ),
    Asked("-s Standard_D2s_v5 -n Bad_Name", {"vmSize": "Standard_D2s_v5"}, name="Bad_Name"),
    Asked("-s Standard_D2s_v5 --os-type Windows -n toolong", {"vmSize": "Standard_D2s_v5", **WINDOWS}, name="toolong"),
    Asked("-s Standard_D2s_v5 -k 1.11", {"vmSize": "Standard_D2s_v5", "orchestratorVersion": "1.11"}),
    Asked(
        "-s Standard_B1s --mode System --os-sku Windows2019 -n Bad",
        {"vmSize": "Standard_B1s", "mode": "System", "osSKU": "Windows2019"},
        name="Bad",
    ),
    Asked(
        "-s Standard_D2s_v5 --os-type Windows --header true --vm-generation V1",
        {"vmSize": "Standard_D2s_v5", "vmGeneration": "V1", **WINDOWS},
        "true",
    ),
    Asked("-s Standard_D2_v3 --vpmem-mib 128", {"vmSize": "Standard_D2_v3", "vpmemMiB": 128}),
    Asked("-s Standard_D2s_v5 --vpmem-mib 100", {"vmSize": "Standard_D2s_v5", "vpmemMiB": 100}),
    Asked(
        "-s Standard_D2s_v5 --priority Spot --mode System --max-pods 5 -e --min-count 3 --max-count 2",
        {
            "vmSize": "Standard_D2s_v5",
            "scaleSetPriority": "Spot",
            "mode": "System",
            "maxPods": 5,
            "enableAutoScaling": True,
            "minCount": 3,
            "maxCount": 2,
        },
    ),
    Asked(
        "-s Standard_D2s_v5 --vm-set-type VirtualMachines -z 1 2 --node-taints nonsense --labels a_=b",
        {
            "vmSize": "Standard_D2s_v5",
            "type": "VirtualMachines",
            "availabilityZones": ["1", "2"],
            "nodeTaints": ["nonsense"],
            "nodeLabels": {"a_": "b"},
        },
    ),
]

ACCEPTED = [
    Asked("-s Standard_D2s_v5", {"vmSize": "Standard_D2s_v5"}),
    Asked("-s standard_d2_V3", {"vmSize": "standard_d2_V3"}),
    Asked("-s Standard_D4ads_v6 --os-type Windows", {"vmSize": "Standard_D4ads_v6", **WINDOWS}),
    Asked("-s Standard_D4ads_v5 --os-type windows --header TRUE", {"vmSize": "Standard_D4ads_v5", **WINDOWS}, "true"),
    Asked("-s Standard_D2s_v5 --header true", {"vmSize": "Standard_D2s_v5"}, "true"),
    Asked("-s Standard_D2s_v5 --enable-fips-image", {"vmSize": "Standard_D2s_v5", "enableFIPS": True}),
    Asked("-s Standard_D2s_v5 --vpmem-mib 128", {"vmSize": "Standard_D2s_v5", "vpmemMiB": 128}),
    Asked("-s Standard_D2s_v5 -k 1.33", {"vmSize": "Standard_D2s_v5", "orchestratorVersion": "1.33"}),
]


def headers(asked: Asked) -> dict[str, str]:
    return {"UseWindowsGen2VM": asked.header} if asked.header else {}


@pytest.mark.parametrize("asked", REFUSED, ids=lambda asked: asked.options)
def test_a_refusal_is_the_error_body_of_the_put(asked: Asked, poolwright: CommandLine, cluster: ServiceProcess) -> None:
    reply = cluster.client.put(
        cluster.client.pool(asked.name), json={"properties": asked.properties}, headers=headers(asked)
    )

    ended = poolwright("explain", *asked.options.split(), "--output", "json")

    assert reply.status_code == 400
    assert (ended.code, ended.err) == (1, "")
    assert ended.json == reply.json()


@pytest.mark.parametrize("asked", ACCEPTED, ids=lambda asked: asked.options)
def test_a_decision_is_the_one_of_the_service(asked: Asked, poolwright: CommandLine, cluster: ServiceProcess) -> None:
    reply = cluster.client.post(
        f"{cluster.client.pool(asked.name)}/whatIf", json={"properties": asked.properties}, headers=headers(asked)
    )

    explained = poolwright.done("explain", *asked.options.split(), "-o", "json").json

    assert explained["properties"].pop("catalogue") == "built-in"
    wanted = reply.json()
    del wanted["id"], wanted["properties"]["after"]
    assert explained == wanted


def test_a_refusal_for_people_has_remedy_and_alternatives(alone: CommandLine) -> None:
    ended = alone("explain", *REFUSED[1].options.split())

    assert (ended.code, ended.out) == (1, "")
    assert "error: UnsupportedGen2VMSize (HTTP 400)" in ended.err
    assert "  remedy: " in ended.err
    assert "  alternatives: Standard_D2s_v3, Standard_D2s_v4, Standard_D2s_v5" in ended.err


def test_the_profile_of_the_environment_is_followed(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ("-s", "Standard_D4ads_v6", "--os-type", "Windows", "--os-sku", "Windows2022")
    assert alone("explain", *size).code == 0

    monkeypatch.setenv("POOLWRIGHT_PROFILE", "azure-2026")

    ended = alone("explain", *size)
    assert ended.code == 1
    assert "the operation would fail" in ended.err


def test_explain_needs_no_network(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("explain opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    assert "POOLWRIGHT_ENDPOINT" not in os.environ

    assert alone.done("explain", "-s", "Standard_D2s_v5").out.startswith("Generation        V2")


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("mars", "az account list-locations"),
        ("nowhere", "did you mean northeurope"),
        ("eastuss", "did you mean eastus"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--built-in",)])
def test_a_location_nobody_knows_is_refused(
    poolwright: CommandLine, location: str, hint: str, more: tuple[str, ...]
) -> None:
    ended = poolwright("explain", "-s", "Standard_D2s_v5", "-l", location, *more)
    assert ended.code == 2
    assert hint in ended.err
    assert poolwright("explain", "-s", "Standard_D2s_v5", "-l", "West US 2", *more).code == 0
