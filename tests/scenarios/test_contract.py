"""The contract others build on, pinned: exact keys, types, and what may be null. A change here breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.service import ArmClient, ServiceProcess

PROFILES = {"documented", "azure-2026"}
GENERATIONS = {"V1", "V2"}
SOURCES = {"header", "property"}
WITNESSES = {"simulated", "guest-agent", "firmware-log", "guest-tools"}
RULE = {"id", "text", "source"}
IMAGE = {"definition", "booted", "standIn"}
WARNING = {"code", "message"}
COUNTED = {"V1", "V2", "unknown"}

DECISION = {
    "profile",
    "engine",
    "requestedGeneration",
    "requestedBy",
    "resolvedGeneration",
    "observedBy",
    "rule",
    "image",
    "warnings",
}
POOL = DECISION | {"observedGenerations", "lastGood"}
MACHINE = DECISION | {
    "observedGeneration",
    "firmware",
    "secureBoot",
    "vtpm",
    "vpmemMiB",
    "partitionTable",
    "lastSeen",
    "allocated",
    "cause",
}
OPERATION = {"operation", "step", "wave", "waves", "replaced", "toReplace", "generations", "kubernetes"}

# Pools with every kind of wish, with warnings and without, with machines and without.
POOLS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "plain": ({"vmSize": "Standard_D2s_v5"}, {}),
    "header": (
        {"vmSize": "Standard_D2s_v5", "osType": "Windows", "osSKU": "Windows2022"},
        {"UseWindowsGen2VM": "true"},
    ),
    "false": (
        {"vmSize": "Standard_D2s_v5", "osType": "Windows", "osSKU": "Windows2022"},
        {"UseWindowsGen2VM": "FALSE"},
    ),
    "prop": ({"vmSize": "Standard_D2s_v5", "vmGeneration": "V1"}, {}),
    "warned": ({"vmSize": "Standard_D2_v3"}, {"UseWindowsGen2VM": "true"}),
    "empty": ({"vmSize": "Standard_D4ads_v6", "count": 0}, {}),
    "off": ({"vmSize": "Standard_D2s_v5", "powerState": {"code": "Stopped"}}, {}),
    "trusted": ({"vmSize": "Standard_D2s_v5", "securityProfile": {"enableVTPM": True, "enableSecureBoot": True}}, {}),
}
NAMES = {"header": "hdr", "false": "fls"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArmClient]:
    process = ServiceProcess(tmp_path_factory.mktemp("contract") / "data").start()
    process.client.make_cluster()
    for name, (properties, headers) in POOLS.items():
        process.client.make_pool(NAMES.get(name, name), properties, headers=headers)
    yield process.client
    process.stop()


def blocks(client: ArmClient) -> dict[str, dict[str, Any]]:
    pools = client.get(f"{client.cluster()}/agentPools").json()["value"]
    names = {short: name for name, short in NAMES.items()}
    return {names.get(row["name"], row["name"]): row["properties"]["poolwright"] for row in pools}


def require_decision(block: dict[str, Any]) -> None:
    assert block["profile"] in PROFILES
    assert block["engine"] == "simulated"
    assert block["resolvedGeneration"] in GENERATIONS
    assert (block["requestedGeneration"] is None) == (block["requestedBy"] is None)
    assert block["requestedGeneration"] in GENERATIONS | {None}
    assert block["requestedBy"] in SOURCES | {None}
    assert block["observedBy"] in WITNESSES | {None}
    assert set(block["rule"]) == RULE
    assert all(isinstance(text, str) and text for text in block["rule"].values())
    assert set(block["image"]) == IMAGE
    assert isinstance(block["image"]["definition"], str)
    assert block["image"]["definition"]
    assert block["image"]["booted"] is None or isinstance(block["image"]["booted"], str)
    assert isinstance(block["image"]["standIn"], bool)
    assert isinstance(block["warnings"], list)
    for warning in block["warnings"]:
        assert set(warning) == WARNING
        assert all(isinstance(text, str) and text for text in warning.values())


@pytest.mark.parametrize("name", [*POOLS, "sys"])
def test_the_block_of_a_pool(client: ArmClient, name: str) -> None:
    block = blocks(client)[name]
    assert set(block) == POOL
    require_decision(block)
    assert set(block["observedGenerations"]) == COUNTED
    assert all(type(count) is int for count in block["observedGenerations"].values())


@pytest.mark.parametrize("name", [*POOLS, "sys"])
def test_the_block_of_a_machine(client: ArmClient, name: str) -> None:
    machines = client.get(f"{client.pool(NAMES.get(name, name))}/machines").json()["value"]
    assert len(machines) == (0 if name == "empty" else 1)
    for machine in machines:
        assert set(machine) <= {"id", "name", "type", "properties", "zones"}
        assert set(machine["properties"]) == {"network", "resourceId", "nodeImageVersion", "poolwright"}
        assert isinstance(machine["properties"]["nodeImageVersion"], str)
        block = machine["properties"]["poolwright"]
        assert set(block) == MACHINE
        require_decision(block)
        assert block["observedGeneration"] in GENERATIONS | {None}
        assert block["firmware"] in {"bios", "uefi", None}
        assert block["partitionTable"] in {"mbr", "gpt", None}
        assert block["secureBoot"] is None or isinstance(block["secureBoot"], bool)
        assert block["vtpm"] is None or isinstance(block["vtpm"], bool)
        assert block["cause"] is None or isinstance(block["cause"], str)
        if block["lastSeen"] is not None:
            assert datetime.fromisoformat(block["lastSeen"]).utcoffset() is not None


def test_the_values_say_what_was_asked_chosen_and_seen(client: ArmClient) -> None:
    seen = blocks(client)
    asked = {name: (block["requestedGeneration"], block["requestedBy"]) for name, block in seen.items()}
    assert asked == {
        "plain": (None, None),
        "header": ("V2", "header"),
        "false": ("V1", "header"),
        "prop": ("V1", "property"),
        "warned": (None, None),
        "empty": (None, None),
        "off": (None, None),
        "trusted": (None, None),
        "sys": (None, None),
    }
    rules = {name: (block["resolvedGeneration"], block["rule"]["id"]) for name, block in seen.items()}
    assert rules == {
        "plain": ("V2", "gen2-linux"),
        "header": ("V2", "gen2-header"),
        "false": ("V1", "gen1-header"),
        "prop": ("V1", "gen1-property"),
        "warned": ("V1", "gen1-only-size"),
        "empty": ("V2", "gen2-only-size"),
        "off": ("V2", "gen2-linux"),
        "trusted": ("V2", "gen2-trusted-launch"),
        "sys": ("V2", "gen2-linux"),
    }
    assert [warning["code"] for warning in seen["warned"]["warnings"]] == ["GenerationForcedBySize", "HeaderIgnored"]
    assert [warning["code"] for warning in seen["empty"]["warnings"]] == ["CatalogueAssumption"]
    assert seen["empty"]["observedBy"] is None
    assert seen["plain"]["observedBy"] == "simulated"


def test_a_machine_shows_its_firmware(client: ArmClient) -> None:
    expected = {
        "plain": ("V2", "uefi", "gpt", False, False),
        "prop": ("V1", "bios", "mbr", False, False),
        "trusted": ("V2", "uefi", "gpt", True, True),
    }
    for name, facts in expected.items():
        (machine,) = client.get(f"{client.pool(name)}/machines").json()["value"]
        block = machine["properties"]["poolwright"]
        shown = tuple(block[key] for key in ("observedGeneration", "firmware", "partitionTable", "secureBoot", "vtpm"))
        assert shown == facts


def test_the_same_block_stands_in_a_cluster_s_pools(client: ArmClient) -> None:
    inside = client.get(client.cluster()).json()["properties"]["agentPoolProfiles"]
    names = {short: name for name, short in NAMES.items()}
    assert {names.get(row["name"], row["name"]): row["poolwright"] for row in inside} == blocks(client)


def test_vm_generation_is_returned_only_while_a_wish_is_stored(client: ArmClient) -> None:
    pools = client.get(f"{client.cluster()}/agentPools").json()["value"]
    shown = {row["name"]: row["properties"].get("vmGeneration") for row in pools}
    assert {name: value for name, value in shown.items() if value} == {"hdr": "V2", "fls": "V1", "prop": "V1"}


def test_the_block_of_an_operation(client: ArmClient) -> None:
    accepted = client.put(client.pool("plain"), json={"properties": {"count": 2}})
    url = accepted.headers["Azure-AsyncOperation"]
    for operation in (client.get(url, params={}).json(), client.done(accepted)):
        assert set(operation) - {"endTime"} == {
            "id",
            "name",
            "status",
            "startTime",
            "percentComplete",
            "resourceId",
            "properties",
        }
        assert type(operation["percentComplete"]) is int
        assert set(operation["properties"]) == {"poolwright"}
        block = operation["properties"]["poolwright"]
        assert set(block) == OPERATION
        assert block["step"] is None or isinstance(block["step"], str)
        assert type(block["wave"]) is int
        assert type(block["waves"]) is int
        assert set(block["generations"]) == COUNTED
    assert operation["resourceId"] == client.pool("plain")
    assert operation["properties"]["poolwright"]["generations"] == {"V1": 0, "V2": 2, "unknown": 0}
    deleted = client.done(client.delete(client.pool("prop")))
    assert set(deleted["properties"]["poolwright"]["generations"]) == COUNTED


def test_what_if_has_the_answer_and_the_pool_as_it_would_be(client: ArmClient) -> None:
    body = {"properties": {"vmSize": "Standard_D2s_v5", "osType": "Windows", "osSKU": "Windows2022"}}
    new = client.post(f"{client.pool('new')}/whatIf", json=body).json()
    assert set(new) == {"id", "name", "properties"}
    assert set(new["properties"]) == {"exists", "generation", "nodeImageVersion", "rule", "warnings", "after"}
    assert (new["properties"]["exists"], new["properties"]["generation"]) == (False, "V1")
    assert set(new["properties"]["after"]["poolwright"]) == POOL
    assert set(new["properties"]["rule"]) == RULE
    assert {"eTag", "provisioningState"}.isdisjoint(new["properties"]["after"])
    old = client.post(f"{client.pool('hdr')}/whatIf", json={"properties": {"count": 5}}).json()
    assert (old["properties"]["exists"], old["properties"]["generation"]) == (True, "V2")
    assert set(old["properties"]) == set(new["properties"]) | {"before", "changes", "rollsMachines", "rollout"}
    assert set(old["properties"]["before"]) == {"generation", "nodeImageVersion", "rule"}
    (change,) = old["properties"]["changes"]
    assert set(change) == {"property", "before", "after", "effect", "source"}
    assert (change["property"], change["after"], change["effect"]) == ("count", 5, "at once")
    assert set(old["properties"]["rollout"]) == {"waves", "machinesReplaced", "surgeMachines", "surgeVcpus"}


def test_an_error_s_remedy_and_alternatives_stand_in_additional_info(client: ArmClient) -> None:
    body = {"properties": {"vmSize": "Standard_D2_v3", "osType": "Windows", "osSKU": "Windows2022"}}
    reply = client.put(client.pool("err"), json=body, headers={"UseWindowsGen2VM": "true"})
    error = reply.json()["error"]
    assert set(error) == {"code", "message", "target", "additionalInfo"}
    (info,) = error["additionalInfo"]
    assert (set(info), info["type"]) == ({"type", "info"}, "PoolwrightRemedy")
    assert set(info["info"]) == {"remedy", "rule", "alternatives"}
    assert set(info["info"]["rule"]) == RULE
    assert info["info"]["alternatives"][:3] == ["Standard_D2s_v3", "Standard_D2s_v4", "Standard_D2s_v5"]
    assert len(info["info"]["alternatives"]) == 5
