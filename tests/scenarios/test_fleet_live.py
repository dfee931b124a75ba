"""`poolwright fleet --live` against a running service, and a plan's SDK calls carried out there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.mgmt.containerservice import ContainerServiceClient

from poolwright.fleet import live
from poolwright.fleet.reading import Reading
from tests.cli.conftest import CommandLine, Ended
from tests.support.service import ServiceProcess

POOLS: dict[str, dict[str, Any]] = {
    "lin1": {"vmSize": "Standard_D2_v3", "count": 2},
    "lin2": {"vmSize": "Standard_D2s_v5", "count": 1},
    "win1": {"vmSize": "Standard_D2s_v5", "count": 1, "osType": "Windows", "osSKU": "Windows2022"},
}


@pytest.fixture(scope="module")
def fleet(service: ServiceProcess) -> ServiceProcess:
    """A cluster with node pools of both generations, and one that only its sizes tell of."""
    service.client.make_cluster()
    for name, properties in POOLS.items():
        service.client.done(service.client.put(service.client.pool(name), json={"properties": properties}))
    return service


@pytest.fixture
def poolwright(fleet: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(fleet.data_dir))
    return CommandLine()


def audit(poolwright: CommandLine, fleet: ServiceProcess, *arguments: str) -> Ended:
    return poolwright("fleet", "audit", "--live", "--data-dir", str(fleet.data_dir), *arguments)


def test_a_service_is_read_without_any_file(fleet: ServiceProcess, poolwright: CommandLine) -> None:
    ended = audit(poolwright, fleet, "-o", "json")
    assert ended.code == 0, ended
    found = {pool["pool"]: pool for pool in ended.json["pools"]}
    assert {name: found[name]["generation"] for name in POOLS} == {"lin1": "V1", "lin2": "V2", "win1": "V1"}
    assert {pool["confidence"] for pool in found.values()} == {"certain"}
    assert "sizes of eastus as given" in ended.json["catalogue"]
    assert found["lin1"]["place"]["file"].startswith(f"<{fleet.url}/subscriptions/")


def test_the_data_directory_of_the_environment_names_the_service(
    fleet: ServiceProcess, poolwright: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("POOLWRIGHT_ENDPOINT", raising=False)
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID", raising=False)
    ended = poolwright("fleet", "audit", "--live", "-o", "json")
    assert ended.code == 0, ended
    assert len(ended.json["pools"]) == 1 + len(POOLS)
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(tmp_path))
    ended = poolwright("fleet", "audit", "--live")
    assert (ended.code, ended.out) == (3, "")
    assert f"no service was started on {tmp_path} yet" in ended.err


def test_files_and_a_service_are_one_fleet(fleet: ServiceProcess, poolwright: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(fleet.client.get(fleet.client.cluster("c1")).text)
    ended = audit(poolwright, fleet, str(tmp_path), "-o", "json")
    assert ended.code == 0, ended
    assert len(ended.json["pools"]) == 1 + len(POOLS)


def test_only_reading_leaves_this_process(fleet: ServiceProcess, poolwright: CommandLine) -> None:
    before = len(fleet.requests())
    assert audit(poolwright, fleet).code == 0
    sent = fleet.requests()[before:]
    writing = [request["path"] for request in sent if request["method"] != "GET"]
    assert all(path.endswith("/oauth2/v2.0/token") for path in writing), writing
    assert any("/managedClusters" in request["path"] for request in sent)


def test_what_may_not_be_read_is_a_problem_and_the_rest_goes_on(fleet: ServiceProcess, poolwright: CommandLine) -> None:
    known = fleet.credentials["subscriptionId"]
    foreign = "11111111-1111-1111-1111-111111111111"
    ended = audit(poolwright, fleet, "--subscription", foreign, "--subscription", known, "-o", "json")
    assert ended.code == 1
    assert len(ended.json["pools"]) == 1 + len(POOLS)
    (problem,) = ended.json["problems"]
    assert problem["kind"] == "unreadable"
    assert foreign in problem["place"]["file"]
    assert "SubscriptionNotFound" in problem["message"]


def test_without_the_sdk_the_command_says_what_to_install(
    fleet: ServiceProcess, poolwright: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    ended = audit(poolwright, fleet)
    assert (ended.code, ended.out) == (1, "")
    assert "pip install 'poolwright[azure]'" in ended.err


@pytest.mark.parametrize("arguments", [[], ["--subscription", "x", "a.json"], ["--live"]], ids=" ".join)
def test_a_command_line_that_names_nothing_to_read_is_wrong(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_SUBSCRIPTION_ID", raising=False)
    monkeypatch.delenv("POOLWRIGHT_ENDPOINT", raising=False)
    monkeypatch.delenv("POOLWRIGHT_DATA_DIR", raising=False)
    assert CommandLine()("fleet", "audit", *arguments).code == 2


def test_a_writing_request_is_stopped_before_it_is_sent(fleet: ServiceProcess) -> None:
    credential = credential_of(fleet)
    with pytest.raises(AssertionError, match="only read"), client_of(fleet, credential, live._only_reading()) as client:
        client.agent_pools.begin_delete("rg", "c1", "lin1")
    live.take_live(Reading(), fleet.url, [], credential)


def credential_of(fleet: ServiceProcess) -> Any:
    known = fleet.credentials
    return live.secret_credential(fleet.url, known["tenantId"], known["clientId"], known["clientSecret"], str(fleet.ca))


@contextlib.contextmanager
def client_of(fleet: ServiceProcess, credential: Any, *policies: Any) -> Iterator[ContainerServiceClient]:
    with ContainerServiceClient(
        credential,
        fleet.credentials["subscriptionId"],
        base_url=fleet.url,
        connection_verify=str(fleet.ca),
        polling_interval=1,
        per_call_policies=list(policies),
    ) as client:
        yield client


def test_the_sdk_calls_of_a_plan_bring_every_pool_to_generation_2(
    fleet: ServiceProcess, poolwright: CommandLine
) -> None:
    plan = ("fleet", "plan", "--live", "--data-dir", str(fleet.data_dir), "-o", "json")
    in_place = poolwright.done(*plan, "--profile", "documented").json
    new_pool = poolwright.done(*plan, "--profile", "azure-2026").json
    wanted = {
        # One in place, one by a new node pool, as the two profiles plan them.
        "lin1": _move(in_place, "lin1"),
        "win1": _move(new_pool, "win1"),
    }
    credential = credential_of(fleet)
    with client_of(fleet, credential) as client:
        for move in wanted.values():
            for step in move["steps"]:
                if step["sdk"]:
                    exec(step["sdk"], {"client": client, "MatchConditions": MatchConditions})
    after = {pool["pool"]: pool for pool in audit(poolwright, fleet, "-o", "json").json["pools"]}
    assert "win1" not in after
    assert {name: pool["generation"] for name, pool in after.items()} == {
        **{"lin1": "V2", "lin2": "V2", "win1g2": "V2"},
        **{name: "V2" for name in after if name not in ("lin1", "lin2", "win1g2")},
    }


def _move(plan: dict[str, Any], pool: str) -> dict[str, Any]:
    (only,) = [move for cluster in plan["clusters"] for move in cluster["moves"] if move["pool"] == pool]
    assert isinstance(only, dict)
    return only
