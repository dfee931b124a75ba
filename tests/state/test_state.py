"""The whole state, written down and brought back: exactly, or not at all."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from poolwright.domain.cluster import ResourceGroup
from poolwright.domain.resource_id import GroupId
from poolwright.domain.roles import OWNER
from poolwright.machines.simulated import SimulatedEngine
from poolwright.state import ROW_TABLES, State, schema
from poolwright.store import statements, tables
from poolwright.store.identity_statements import setting
from poolwright.store.whole_statements import RESETTABLE
from tests.support.everything import everything
from tests.support.in_process import InProcess

STATE, RESET = "/_poolwright/state", "/_poolwright/reset"
USAGES = "/providers/Microsoft.Compute/locations/eastus/usages"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], InProcess]]:
    made: list[InProcess] = []

    def another() -> InProcess:
        made.append(InProcess(tmp_path / f"data{len(made)}"))
        return made[-1]

    yield another
    for service in made:
        service.close()


@pytest.fixture
def app(make: Callable[[], InProcess]) -> InProcess:
    return filled(make())


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """The same, for all tests of what is refused: each of them sees that nothing changed."""
    service = filled(InProcess(tmp_path_factory.mktemp("untouched") / "data"))
    yield service
    service.close()


def filled(service: InProcess) -> InProcess:
    """A cluster with a Windows pool that was rolled, a failed pool, a stopped one, and a quota."""
    client = service.client
    client.make_cluster(windowsProfile={"adminUsername": "azureuser", "adminPassword": "Hunter2-and-nobody-else"})
    client.make_pool("win1", {"osType": "Windows", "vmSize": "Standard_D2s_v5", "count": 2})
    client.make_pool(
        "win1", {"osType": "Windows", "vmSize": "Standard_D2s_v5", "count": 2}, headers={"UseWindowsGen2VM": "true"}
    )
    service.behaviour.never_ready = ("000001",)
    client.operation(client.put(client.pool("bad"), json={"properties": {"count": 2}}))
    service.behaviour.never_ready = ()
    client.make_pool("off", {"count": 1, "scaleDownMode": "Deallocate"})
    client.make_pool("off", {"count": 1, "powerState": {"code": "Stopped"}})
    client.put(f"{client.subscription}{USAGES}/cores", json={"limit": 77})
    add_what_stands_beside(service)
    return service


def add_what_stands_beside(service: InProcess) -> None:
    """A row in every table that is kept row by row."""
    client = service.client
    for method, path, body in (
        ("PUT", f"{client.group()}/providers/Microsoft.ContainerService/snapshots/s1", {
            "location": "eastus", "properties": {"creationData": {"sourceResourceId": client.pool("sys")}}}),
        ("PUT", f"{client.cluster()}/maintenanceConfigurations/default", {
            "properties": {"timeInWeek": [{"day": "Monday", "hourSlots": [1]}]}}),
        ("POST", f"{client.subscription}/providers/Microsoft.Features/providers/Microsoft.ContainerService/features/"
                 "AgentPoolVMSSResize/register", None),
        ("PUT", "/_poolwright/faults/once", {
            "match": {"size": "Standard_B2s"}, "effect": {"retiredSize": True}, "count": 2}),
        ("PUT", f"{client.group()}/providers/Microsoft.Resources/deployments/d1", {
            "properties": {"mode": "Incremental", "template": {
                "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
                "contentVersion": "1.0.0.0", "resources": []}}}),
        ("PUT", "/_poolwright/locations/eastus/sizes/Standard_B2s", {"restrictions": []}),
    ):  # fmt: skip
        reply = client.request(method, path, json=body)
        assert reply.status_code in (200, 201, 202, 204), (path, reply.text)
        if "Azure-AsyncOperation" in reply.headers:
            client.operation(reply)
    refused = client.put(client.pool("small"), json={"properties": {"vmSize": "Standard_B2s"}})
    assert refused.status_code == 400


def exported(service: InProcess) -> dict[str, Any]:
    reply = service.client.get(STATE)
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def imported(service: InProcess, document: object, *, replace: bool = False) -> httpx.Response:
    content = document if isinstance(document, (bytes, str)) else json.dumps(document)
    return service.client.put(STATE, content=content, params={"replace": str(replace).lower()})


def seen(service: InProcess) -> str:
    """All that a client and the engine's owner can see, with the subscription left out."""
    usages = service.client.get(f"{service.client.subscription}{USAGES}").json()
    text = json.dumps([everything(service.client), usages, engine_of(service).written_down()])
    return text.replace(service.credentials.subscription_id, "SUB").replace(service.credentials.tenant_id, "TENANT")


def engine_of(service: InProcess) -> SimulatedEngine:
    engine = service.context.engine
    assert isinstance(engine, SimulatedEngine)
    return engine


def without_names(document: dict[str, Any]) -> str:
    text = json.dumps({**document, "made": ""})
    return text.replace(document["subscription"], "SUB")


def test_another_service_becomes_the_same(app: InProcess, make: Callable[[], InProcess]) -> None:
    other = make()
    assert imported(other, exported(app)).status_code == 204
    assert seen(other) == seen(app)
    assert without_names(exported(other)) == without_names(exported(app))


def test_every_table_is_exported_reset_or_identity(app: InProcess) -> None:
    identity = {"pw_settings", "pw_subscriptions", "pw_service_principals", "pw_role_assignments"}
    reset = {table.name for table in RESETTABLE}
    assert reset | identity == set(tables.metadata.tables)
    typed = {"resource_groups", "clusters", "node_pools", "machines", "operations"}
    history = {"pw_activity", "pw_rollouts"}
    assert {f"pw_{name}" for name in typed | set(ROW_TABLES)} | history == reset
    rows = exported(app)["rows"]
    assert [name for name, found in rows.items() if not found] == ["deployment_resources"]


def test_what_is_kept_in_memory_follows(app: InProcess, make: Callable[[], InProcess]) -> None:
    other = make()
    imported(other, exported(app))
    small = other.client.put(other.client.pool("small"), json={"properties": {"vmSize": "Standard_B2s"}})
    assert "once" in json.dumps(small.json()), "the fault acts there as well"
    assert other.catalogs.replacements == app.catalogs.replacements
    fired = [service.client.get("/_poolwright/faults/once").json()["state"]["fired"] for service in (app, other)]
    assert fired == [1, 2]


def test_operations_that_have_ended_can_still_be_read(app: InProcess, make: Callable[[], InProcess]) -> None:
    operation = exported(app)["operations"][0]["id"]
    path = "{}/providers/Microsoft.ContainerService/locations/eastus/operations/" + operation
    before = app.client.get(path.format(app.client.subscription)).json()
    other = make()
    imported(other, exported(app))
    after = other.client.get(path.format(other.client.subscription)).json()
    assert (after["status"], after["startTime"]) == (before["status"], before["startTime"])


def test_what_was_brought_back_goes_on(app: InProcess, make: Callable[[], InProcess]) -> None:
    other = make()
    imported(other, exported(app))
    client = other.client
    for number, service in enumerate((app, other)):
        service.client.make_pool("win1", {"osType": "Windows", "vmSize": "Standard_D4s_v5", "count": 3})
        service.client.done(service.client.post(f"{service.client.pool('win1')}/rollback"))
        pool = service.client.get(service.client.pool("win1")).json()["properties"]
        assert (pool["count"], pool["vmSize"]) == (3, "Standard_D2s_v5"), number
        assert pool["poolwright"]["observedGenerations"]["V2"] == 3
    assert client.delete(client.group()).status_code == 202
    assert engine_of(other).keys() == set()


def test_the_document_fits_its_schema(app: InProcess) -> None:
    Draft202012Validator.check_schema(schema())
    assert not list(Draft202012Validator(schema()).iter_errors(exported(app)))


def test_what_other_subscriptions_have_comes_back_where_they_are_known(
    app: InProcess, make: Callable[[], InProcess]
) -> None:
    made = app.make_subscription("second")
    second = made.subscription_id
    owner = app.make_principal("second", (OWNER, f"/subscriptions/{second}"), subscription=made)
    owner.expect(201, owner.put(f"/subscriptions/{second}/resourceGroups/far", json={"location": "eastus"}))
    owner.put(f"/subscriptions/{second}{USAGES}/cores", json={"limit": 5})
    document = exported(app)
    assert imported(app, document, replace=True).status_code == 204
    assert owner.get(f"/subscriptions/{second}/resourceGroups/far").status_code == 200
    assert without_names(exported(app)) == without_names(document)
    refused = imported(make(), document)
    place = [group["id"]["group"] for group in document["resource_groups"]].index("far")
    assert (refused.status_code, refused.json()["error"]["target"]) == (400, f"resource_groups[{place}]")


def test_no_secret_is_in_it(app: InProcess) -> None:
    text = json.dumps(exported(app))
    assert "Hunter2" not in text
    assert app.credentials.client_secret not in text
    assert app.client.headers["Authorization"] not in text


def test_a_service_that_is_not_empty_keeps_what_it_has(app: InProcess, make: Callable[[], InProcess]) -> None:
    other = make()
    other.client.make_cluster("mine")
    before = seen(other)
    refused = imported(other, exported(app))
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationNotAllowed")
    assert seen(other) == before
    assert imported(other, exported(app), replace=True).status_code == 204
    assert seen(other) == seen(app)


def held(app: InProcess) -> list[str]:
    """Begin an operation that nobody carries out, and return its ID."""
    begun: list[str] = []
    app.service.operations.begin = begun.append  # type: ignore[method-assign]
    app.client.put(app.client.pool("np1"), json={"properties": {"count": 2}})
    del app.service.operations.begin
    return begun


def test_nothing_is_exported_or_imported_while_an_operation_runs(app: InProcess) -> None:
    document = exported(app)
    (operation,) = held(app)
    before = seen(app)
    for refused in (app.client.get(STATE), imported(app, document, replace=True)):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationNotAllowed")
        assert operation in refused.json()["error"]["message"]
    assert seen(app) == before


Spoil = Callable[[dict[str, Any]], object]
SPOILED: dict[str, tuple[Spoil, str | None]] = {
    "another format": (lambda d: d.update(format="other"), None),
    "another version": (lambda d: d.update(version=2), "version"),
    "an unknown part": (lambda d: d.update(more=1), "more"),
    "a part missing": (lambda d: d.pop("machines"), "machines"),
    "a subscription that is none": (lambda d: d.update(subscription="a"), "subscription"),
    "a record with an unknown field": (lambda d: d["clusters"][0].update(x=1), "clusters[0].x"),
    "a record without a field": (lambda d: d["node_pools"][1].pop("etag"), "node_pools[1].etag"),
    "a value of another type": (
        lambda d: d["machines"][0]["machine"].update(ordinal="one"),
        "machines[0].machine.ordinal",
    ),
    "an enum value nobody knows": (lambda d: d["node_pools"][0].update(mode="Other"), "node_pools[0].mode"),
    "a cluster without its group": (lambda d: d["resource_groups"].clear(), "clusters[0]"),
    "a node pool without its cluster": (lambda d: d["clusters"].clear(), "node_pools[0]"),
    "machines without their node pool": (lambda d: d["node_pools"].pop(), "machines[2]"),
    "a node pool twice": (lambda d: d["node_pools"].append(d["node_pools"][0]), "node_pools"),
    "an ordinal twice": (
        lambda d: d["machines"][3]["machine"].update(ordinal=d["machines"][2]["machine"]["ordinal"]),
        "machines",
    ),
    "a node pool without a size": (lambda d: d["node_pools"][0].update(scale=[]), "node_pools[0].scale"),
    "a machine that is another": (
        lambda d: d["machines"][0]["machine"]["spec"].update(key="x"),
        "machines[0].machine.spec.key",
    ),
    "a machine that shows another": (lambda d: d["machines"][0]["shown"].update(id="x"), "machines[0].shown.id"),
    "an operation that runs": (lambda d: d["operations"][0].update(status="InProgress"), "operations[0]"),
    "a node pool in an operation": (lambda d: d["node_pools"][0].update(operation_id="x"), "node_pools[0]"),
    "a quota twice": (lambda d: d["rows"]["quotas"].append(d["rows"]["quotas"][0]), "rows.quotas"),
    "machines of another engine": (lambda d: d["engine"].update(name="local"), "engine.name"),
    "an engine's machine that is none": (lambda d: d["engine"]["machines"][0].pop("boots"), "engine.machines"),
    "an engine's machine twice": (
        lambda d: d["engine"]["machines"].append(d["engine"]["machines"][0]),
        "engine.machines",
    ),
    "an engine's machine of no generation": (
        lambda d: d["engine"]["machines"][0].update(generation="V3"),
        "engine.machines",
    ),
    "a table nobody knows": (lambda d: d["rows"].update(more=[]), "rows.more"),
    "a row with a column missing": (lambda d: d["rows"]["features"][0].pop("state"), "rows.features[0]"),
    "a row with a value of another type": (lambda d: d["rows"]["faults"][0].update(fired="x"), "rows.faults[0]"),
    "a row with a record of another kind": (lambda d: d["rows"]["snapshots"][0].update(record={}), "rows.snapshots[0]"),
    "a row under another key": (lambda d: d["rows"]["deployments"][0].update(key="x"), "rows.deployments[0]"),
    "a row twice": (lambda d: d["rows"]["features"].append(d["rows"]["features"][0]), "rows.features"),
    "a row without what it is part of": (lambda d: d["rows"]["faults"].clear(), "rows.fault_firings"),
    "a part of the catalogue nobody knows": (
        lambda d: d["rows"]["catalogue"][0].update(kind="more"),
        "rows.catalogue[0]",
    ),
    "what was sent is no object": (
        lambda d: d["clusters"][0]["sent"].update(properties=7),
        "clusters[0].sent.properties",
    ),
    "what was sent is of another type": (
        lambda d: d["node_pools"][0]["sent"].update(upgradeSettings=5),
        "node_pools[0].sent.upgradeSettings",
    ),
    "a size sent as a number": (lambda d: d["node_pools"][0]["sent"].update(vmSize=7), "node_pools[0].sent.vmSize"),
    "a secret": (
        lambda d: d["clusters"][0]["sent"]["properties"]["windowsProfile"].update(adminPassword="x"),
        "clusters[0].sent.properties",
    ),
    "an ID in the place of the group's": (
        lambda d: d["resource_groups"][0]["sent"].update(id=5),
        "resource_groups[0].sent.id",
    ),
    "a negative count": (lambda d: d["node_pools"][0]["scale"][0].update(count=-5), "node_pools[0].scale"),
    "a size that nobody knows": (
        lambda d: d["node_pools"][0]["scale"][0].update(size="Standard_Nope"),
        "node_pools[0].scale[0].size",
    ),
    "a cluster that is being created by nobody": (
        lambda d: d["clusters"][0].update(state="Creating"),
        "clusters[0].state",
    ),
    "a node pool that is being created by nobody": (
        lambda d: d["node_pools"][0].update(state="Creating"),
        "node_pools[0].state",
    ),
    "a deployment that nobody carries out": (
        lambda d: d["rows"]["deployments"][0]["record"].update(state="Running"),
        "rows.deployments[0].record.state",
    ),
    "an engine without the machines": (lambda d: d["engine"].update(machines=[]), "engine.machines"),
    "an engine with more machines": (
        lambda d: d["engine"]["machines"].append({**d["engine"]["machines"][0], "key": "x"}),
        "engine.machines",
    ),
    "a machine that is there and lost": (
        lambda d: d["engine"].update(lost=[d["engine"]["machines"][0]["key"]]),
        "engine.lost",
    ),
    "a quota beyond what can be asked for": (lambda d: d["rows"]["quotas"][0].update(vcpus=-1), "rows.quotas[0]"),
    "a fault that no document leads to": (
        lambda d: d["rows"]["faults"][0]["record"].update(count=-1),
        "rows.faults[0].record.count",
    ),
    "a group of another subscription": (
        lambda d: d["resource_groups"][0]["id"].update(subscription="00000000-0000-4000-8000-000000000000"),
        "clusters[0]",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_bad_file_changes_nothing(name: str, untouched: InProcess) -> None:
    spoil, target = SPOILED[name]
    document, before = exported(untouched), seen(untouched)
    spoil(document)
    refused = imported(untouched, document, replace=True)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"].get("target") == target
    assert seen(untouched) == before


def test_what_cannot_be_read_is_told_by_what_stands_there_and_what_is_expected(untouched: InProcess) -> None:
    document = exported(untouched)
    document["clusters"] = "none"
    del document["machines"]
    document["node_pool"] = []
    error = imported(untouched, document, replace=True).json()["error"]
    assert {part["target"]: part["message"] for part in (error, *error["details"])} == {
        "clusters": "The state cannot be read at clusters: 'none' stands there; expected is a list.",
        "machines": "The state cannot be read at machines: it is missing.",
        "node_pool": "The state cannot be read at node_pool: there is no such member; did you mean node_pools?",
    }


def test_the_name_of_a_node_pool_is_checked(untouched: InProcess) -> None:
    document, before = exported(untouched), seen(untouched)
    bare = next(pool for pool in document["node_pools"] if pool["id"]["pool"] == "sys")
    text = json.dumps(document).replace("/sys", "/Bad Name!").replace("aks-sys-", "aks-bad name!-")
    text = text.replace(json.dumps(bare["id"]), json.dumps({**bare["id"], "pool": "Bad Name!"}))
    refused = imported(untouched, text.replace('"pool": "sys"', '"pool": "Bad Name!"'), replace=True)
    assert refused.status_code == 400
    error = refused.json()["error"]
    places = [part.get("target") for part in (error, *error.get("details", ()))]
    assert f"node_pools[{document['node_pools'].index(bare)}].id.pool" in places
    assert seen(untouched) == before


def test_every_problem_is_said(untouched: InProcess) -> None:
    document = exported(untouched)
    document["clusters"][0]["sent"]["properties"] = 7
    document["node_pools"][0]["sent"]["vmSize"] = 7
    document["node_pools"][1]["state"] = "Updating"
    error = imported(untouched, document, replace=True).json()["error"]
    assert {part["target"] for part in (error, *error["details"])} == {
        "clusters[0].sent.properties",
        "node_pools[0].sent.vmSize",
        "node_pools[1].state",
    }


def test_what_the_engine_lost_is_said_and_comes_back_lost(app: InProcess, make: Callable[[], InProcess]) -> None:
    app.behaviour.lose = ("000000",)
    there = engine_of(app).keys()
    document = exported(app)
    keys = {part["machine"]["spec"]["key"] for part in document["machines"]}
    assert document["engine"]["lost"] == sorted(keys - there) != []
    other = make()
    assert imported(other, document).status_code == 204
    assert seen(other) == seen(app)
    document["engine"]["lost"].pop()
    refused = imported(app, document, replace=True)
    assert (refused.status_code, refused.json()["error"]["target"]) == (400, "engine.machines")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"x"', b"\xff", "[" * 3000])
def test_what_is_no_document_changes_nothing(content: bytes | str, untouched: InProcess) -> None:
    before = seen(untouched)
    assert imported(untouched, content, replace=True).status_code == 400
    assert seen(untouched) == before


def test_a_file_cut_off_anywhere_changes_nothing(untouched: InProcess) -> None:
    content, before = json.dumps(exported(untouched)), seen(untouched)
    for length in range(0, len(content), len(content) // 40):
        assert imported(untouched, content[:length], replace=True).status_code == 400
    assert seen(untouched) == before


def test_a_flag_that_is_none_is_refused(app: InProcess) -> None:
    reply = app.client.put(STATE, content="{}", params={"replace": "maybe"})
    assert (reply.status_code, reply.json()["error"]["target"]) == (400, "replace")


def test_after_a_reset_nothing_is_there_and_everybody_is_still_logged_in(app: InProcess) -> None:
    operation = exported(app)["operations"][0]["id"]
    assert app.client.post(RESET).status_code == 204
    empty = exported(app)
    for part in ("resource_groups", "clusters", "node_pools", "machines", "operations"):
        assert empty[part] == []
    assert not any(empty["rows"].values())
    client = app.client
    allowed = client.put(client.group(), json={"location": "eastus"})
    assert allowed.status_code == 201
    client.make_cluster()
    client.make_pool("small", {"vmSize": "Standard_B2s"})
    client.post(RESET)
    assert engine_of(app).keys() == set()
    assert app.client.get("/_poolwright/requests").json()["value"] == []
    place = "providers/Microsoft.ContainerService/locations/eastus/operations"
    assert app.client.get(f"{app.client.subscription}/{place}/{operation}").status_code == 404
    app.client.make_cluster()


def test_a_reset_stops_what_is_under_way(app: InProcess) -> None:
    (operation,) = held(app)
    assert app.client.post(RESET).status_code == 204
    app.service.operations.begin(operation)
    assert is_empty(app)
    assert engine_of(app).keys() == set()
    app.client.make_cluster()


def is_empty(app: InProcess) -> bool:
    """Whether a client sees nothing."""
    return all(found == {"value": []} for found in everything(app.client).values())


def test_a_reset_waits_for_a_step_and_says_when_one_takes_too_long(app: InProcess) -> None:
    app.operations.await_idle = lambda seconds: False  # type: ignore[method-assign]
    refused = app.client.post(RESET)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "OperationNotAllowed")
    del app.operations.await_idle
    assert engine_of(app).keys() != set(), "the step may still be at work on them"
    app.state.finish()
    assert engine_of(app).keys() == set(), "the next start goes on"


def test_what_a_deployment_makes_in_its_last_step_goes_as_well(app: InProcess) -> None:
    group = ResourceGroup(id=GroupId(app.credentials.subscription_id, "late"), location="eastus", sent={})
    last_steps = iter([group])

    def await_idle(seconds: float) -> bool:
        for made in last_steps:
            with app.database.transaction() as connection:
                statements.put_group(connection, made, b"{}")
        return True

    app.operations.await_idle = await_idle  # type: ignore[method-assign]
    assert app.client.post(RESET).status_code == 204
    assert is_empty(app)


class Killed(BaseException):
    """Where a kill would have ended the process."""


@pytest.mark.parametrize("what", ["import", "reset"])
def test_an_engine_that_had_not_followed_when_the_service_was_killed_follows_at_the_start(
    what: str, app: InProcess, make: Callable[[], InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make()
    other.client.make_cluster("mine")
    document = json.dumps(exported(app)).encode()

    def killed(*_: object) -> None:
        raise Killed

    def decide(state: State) -> None:
        if what == "import":
            state.restore(document, other.credentials.subscription_id, other.change("state/write"), replace=True)
        else:
            state.reset(other.credentials.subscription_id, other.change("reset/action"))

    with monkeypatch.context() as patched:
        patched.setattr(engine_of(other), "bring_back", killed)
        patched.setattr(engine_of(other), "delete", killed)
        with pytest.raises(Killed):
            decide(other.state)
    other.state.finish()

    if what == "import":
        assert seen(other) == seen(app)
    else:
        assert is_empty(other)
        assert engine_of(other).keys() == set()
    before = seen(other)
    other.state.finish()
    assert seen(other) == before, "it follows once"


POOLS = st.lists(
    st.tuples(
        st.sampled_from(["Standard_D2s_v3", "Standard_D2_v3", "Standard_D4s_v5", "Standard_D4ads_v6"]),
        st.integers(0, 4),
        st.sampled_from(["Linux", "Windows"]),
        st.sampled_from([None, "true", "false"]),
        st.sampled_from(["Delete", "Deallocate"]),
        st.dictionaries(st.sampled_from(["a", "b/c", "é"]), st.sampled_from(["x", ""]), max_size=2),
    ),
    max_size=4,
)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["scale", "size", "stop", "rollback", "delete", "lose", "break", "quota"]), st.integers(0, 3)
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    # The machine was shown with a warning that its node pool does not have any more.
    pools=[("Standard_D2s_v3", 1, "Linux", "true", "Delete", {})],
    changes=[("scale", 1)],
)
@given(pools=POOLS, changes=CHANGES)
def test_any_state_comes_back_as_it_was(pools: list[tuple[Any, ...]], changes: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as scratch:
        one, other = InProcess(Path(scratch) / "one"), InProcess(Path(scratch) / "other")
        try:
            one.client.make_cluster()
            names = [f"p{number}" for number in range(len(pools))]
            for name, (size, count, system, header, down, labels) in zip(names, pools, strict=True):
                body = {"vmSize": size, "count": count, "osType": system, "scaleDownMode": down, "nodeLabels": labels}
                headers = {"UseWindowsGen2VM": header} if header else {}
                finish(one, one.client.put(one.client.pool(name), json={"properties": body}, headers=headers))
            for (what, number), name in zip(changes, itertools.cycle(names or ["sys"]), strict=False):
                change(one, what, number, name)
            document = exported(one)

            assert imported(other, document).status_code == 204
            assert seen(other) == seen(one)
            assert without_names(exported(other)) == without_names(document)
            assert imported(one, document, replace=True).status_code == 204
            assert without_names(exported(one)) == without_names(document)
        finally:
            one.close()
            other.close()


def finish(service: InProcess, reply: httpx.Response) -> None:
    """Wait for what was accepted; refusals and failures are states as good as others."""
    if reply.status_code in (200, 201, 202) and "Azure-AsyncOperation" in reply.headers:
        service.client.operation(reply)


def change(service: InProcess, what: str, number: int, name: str) -> None:
    client, path = service.client, service.client.pool(name)
    match what:
        case "scale":
            finish(service, client.put(path, json={"properties": {"count": number}}))
        case "size":
            finish(service, client.put(path, json={"properties": {"vmSize": "Standard_D2s_v5"}}))
        case "stop":
            finish(service, client.put(path, json={"properties": {"powerState": {"code": "Stopped"}}}))
        case "rollback":
            finish(service, client.post(f"{path}/rollback"))
        case "delete":
            finish(service, client.delete(path))
        case "lose":
            service.behaviour.lose = (f"00000{number}",)
        case "break":
            service.behaviour.never_ready = (f"00000{number}",)
        case "quota":
            client.put(f"{client.subscription}{USAGES}/cores", json={"limit": 50 + number})


def test_the_names_of_what_is_stored_beside_the_state_stay(app: InProcess) -> None:
    with app.database.transaction() as connection:
        before = setting(connection, "tenant_id")
    app.client.post(RESET)
    with app.database.transaction() as connection:
        assert setting(connection, "tenant_id") == before


class OfRealMachines:
    """An engine whose machines are in no document."""

    name = "local"

    def __init__(self, engine: SimulatedEngine) -> None:
        self.keys, self.delete = engine.keys, engine.delete


def test_another_engine_is_told_what_works_with_it_and_is_reset(make: Callable[[], InProcess]) -> None:
    service = make()
    service.client.make_cluster()
    document = service.client.get(STATE).content
    service.state._engine = OfRealMachines(engine_of(service))  # type: ignore[assignment]  # all that is asked of it
    before = seen(service)

    for reply in (
        service.client.get(STATE),
        service.client.put(STATE, params={"replace": "true"}, content=document),
    ):
        assert reply.status_code == 409
        assert reply.json()["error"]["code"] == "OperationNotAllowed"
        assert "machines of the engine 'local' are not in a document, nor made from one" in reply.text
        assert "reset works with every engine" in reply.text
    assert seen(service) == before
    assert service.client.post(RESET).status_code == 204
    assert is_empty(service)
