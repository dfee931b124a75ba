"""What the real az makes of bad days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_az_scenario import OF_CLUSTER, Lab

from tests.support.service import ServiceProcess

pytestmark = pytest.mark.az


@pytest.fixture(scope="module")
def lab(az_path: Path, service: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    service.client.make_cluster()
    return Lab(az_path, service, tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def no_faults(lab: Lab) -> Iterator[None]:
    yield
    lab.service.client.delete("/_poolwright/faults")


def add(lab: Lab, **document: Any) -> None:
    assert lab.service.client.put("/_poolwright/faults/f", json=document).status_code == 201


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("VMSizeNotSupported", "Virtual Machine size: 'Standard_D2s_v5' is not supported for subscription"),
        ("ErrCode_InsufficientVCPUQuota", "Insufficient vcpu quota requested"),
        ("SkuNotAvailable", "Following SKUs have failed for Capacity Restrictions: Standard_D2s_v5"),
        ("OperationNotAllowed", "Operation is not allowed because there's an in-progress create node pool operation"),
    ],
)
def test_az_shows_a_refusal_in_azures_words(lab: Lab, code: str, message: str) -> None:
    add(lab, match={"operation": "create_node_pool"}, effect={"refuse": code}, count=1)
    told = lab.refused(f"aks nodepool add {OF_CLUSTER} --name refused --node-vm-size Standard_D2s_v5")
    assert f"({code})" in told
    assert message in told


def test_az_shows_an_operation_that_fails_and_the_next_change_repairs_it(lab: Lab) -> None:
    add(lab, match={"zone": "2"}, effect={"noCapacity": "ZonalAllocationFailed"}, count=1)
    command = f"aks nodepool add {OF_CLUSTER} --name zonal --node-count 2 --zones 1 2"
    told = lab.refused(command)
    assert "(ZonalAllocationFailed) Allocation failed. We do not have sufficient capacity" in told
    assert lab.pool("zonal")["provisioningState"] == "Failed"
    lab.ok(f"aks nodepool scale {OF_CLUSTER} --name zonal --node-count 3")
    assert lab.pool("zonal")["provisioningState"] == "Succeeded"


def test_az_waits_when_it_is_throttled(lab: Lab) -> None:
    add(lab, match={"method": "GET", "path": "*/agentPools/sys"}, effect={"throttle": 1}, count=2)
    shown = json.loads(lab.ok(f"aks nodepool show {OF_CLUSTER} --name sys --output json"))
    assert shown["name"] == "sys"
    assert lab.service.client.get("/_poolwright/faults/f").json()["state"]["fired"] == 2
