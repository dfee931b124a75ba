"""Virtualized persistent memory over HTTP: asked for, kept, changed, refused, in both profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.service import ArmClient, ServiceProcess

V1_ONLY, BOTH = "Standard_D2_v3", "Standard_D2s_v5"


@pytest.fixture(scope="module")
def client(service: ServiceProcess) -> ArmClient:
    service.client.make_cluster()
    return service.client


def put(client: ArmClient, name: str, **properties: Any) -> dict[str, Any]:
    client.done(client.put(client.pool(name), json={"properties": properties}))
    return shown(client, name)


def shown(client: ArmClient, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(client.pool(name)).json()["properties"]
    return found


def machines(client: ArmClient, name: str) -> dict[str, int | None]:
    listed = client.get(f"{client.pool(name)}/machines").json()["value"]
    return {machine["name"]: machine["properties"]["poolwright"]["vpmemMiB"] for machine in listed}


def test_machines_have_what_the_pool_asks_for_until_it_asks_for_something_else(client: ArmClient) -> None:
    assert put(client, "np1", vmSize=BOTH, count=2, vpmemMiB=128)["vpmemMiB"] == 128
    first = machines(client, "np1")
    assert list(first.values()) == [128, 128]
    # az scales by a PUT of what it has read; others leave out what they do not know.
    assert put(client, "np1", count=1)["vpmemMiB"] == 128
    kept = machines(client, "np1")
    assert kept.items() <= first.items()

    assert put(client, "np1", count=1, vpmemMiB=256)["vpmemMiB"] == 256
    replaced = machines(client, "np1")
    assert list(replaced.values()) == [256]
    assert not replaced.keys() & kept.keys()

    assert "vpmemMiB" not in put(client, "np1", count=1, vpmemMiB=None)
    assert list(machines(client, "np1").values()) == [0]


def test_a_snapshot_keeps_it_for_new_node_pools(client: ArmClient) -> None:
    put(client, "source", vmSize=BOTH, count=1, vpmemMiB=64)
    snapshot = f"{client.group()}/providers/Microsoft.ContainerService/snapshots/s1"
    creation = {"creationData": {"sourceResourceId": client.pool("source")}}
    taken = client.put(snapshot, json={"location": "eastus", "properties": creation}).json()
    assert taken["properties"]["poolwright"]["vpmemMiB"] == 64

    from_it = {"creationData": {"sourceResourceId": snapshot}}
    assert put(client, "copy", count=1, **from_it)["vpmemMiB"] == 64
    assert list(machines(client, "copy").values()) == [64]
    assert "vpmemMiB" not in put(client, "without", count=1, vpmemMiB=0, **from_it)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"vmSize": V1_ONLY, "vpmemMiB": 128}, "the machines of this node pool are of Generation 1 (V1)"),
        ({"vmSize": BOTH, "vmGeneration": "V1", "vpmemMiB": 128}, "of Generation 1 (V1)"),
        ({"vmSize": BOTH, "vpmemMiB": 100}, "a multiple of 16 from 16 to 8192"),
        ({"vmSize": BOTH, "vpmemMiB": -16}, "a multiple of 16 from 16 to 8192"),
        ({"vmSize": BOTH, "vpmemMiB": 8208}, "a multiple of 16 from 16 to 8192"),
        ({"vmSize": BOTH, "vpmemMiB": "128"}, "It is a whole number of MiB"),
        ({"vmSize": BOTH, "vpmemMiB": True}, "It is a whole number of MiB"),
        ({"vmSize": BOTH, "vpmemMiB": 128.0}, "It is a whole number of MiB"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    client: ArmClient, properties: dict[str, Any], words: str
) -> None:
    refused = client.put(client.pool("bad"), json={"properties": properties})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert words in error["message"]
    assert "vpmemMiB" in error["target"]
    assert client.get(client.pool("bad")).status_code == 404


def test_azure_2026_keeps_it_as_a_property_it_does_not_know(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", profile="azure-2026").start()
    try:
        client = service.client
        client.make_cluster()
        assert put(client, "np1", vmSize=V1_ONLY, vpmemMiB="whatever")["vpmemMiB"] == "whatever"
        assert list(machines(client, "np1").values()) == [0]
    finally:
        service.stop()
