"""A seed comes about through the service's own verbs: all of it or nothing, and once."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright.domain.profile import Profile
from poolwright.seed.reading import WrongSeed, parse
from poolwright.seed.seeding import Seeder
from tests.arm.test_catalog_import import VERSIONS
from tests.arm.test_catalog_import import changed as listed_sku
from tests.seed.test_sections import GOOD
from tests.support.everything import everything
from tests.support.in_process import InProcess


@pytest.fixture
def app(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path / "data")
    # Sent by the seed and not by the client, and known to nobody.
    service.client.sent = {"somethingNew"}
    yield service
    service.close()


def seeder(app: InProcess, seed: object) -> Seeder:
    return Seeder(
        parse("seed.yaml", yaml.safe_dump(seed, sort_keys=False)),
        context=app.context,
        operations=app.operations,
        plane_with=app.control_plane,
        catalogs=app.catalogs,
        subscription=app.credentials.subscription_id,
        profile=app.profile,
        scratch=app.rehearsal,
    )


def apply_seed(app: InProcess, seed: object) -> None:
    seeder(app, seed).apply()


def refused(app: InProcess, seed: object) -> list[tuple[str, str]]:
    """Path and error code of every problem."""
    with pytest.raises(WrongSeed) as wrong:
        apply_seed(app, seed)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in wrong.value.problems)
    return [(problem.place, problem.what.partition(":")[0]) for problem in wrong.value.problems]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The good seed with a change; the change gets its cluster."""
    seed = copy.deepcopy(GOOD)
    change(seed["resourceGroups"][0]["clusters"][0])
    return seed


def test_what_a_seed_names_is_there(app: InProcess) -> None:
    apply_seed(app, GOOD)
    client = app.client
    assert client.get(client.group()).json()["tags"] == {"team": "web"}
    cluster = client.get(client.cluster()).json()["properties"]
    assert (cluster["kubernetesVersion"], cluster["provisioningState"]) == ("1.34", "Succeeded")
    pools = {pool["name"]: pool for pool in cluster["agentPoolProfiles"]}
    assert pools.keys() == {"sys", "win1"}
    assert pools["win1"]["poolwright"]["requestedBy"] == "header"
    assert (pools["win1"]["poolwright"]["resolvedGeneration"], pools["win1"]["somethingNew"]) == ("V2", [1])
    assert len(client.get(f"{client.pool('win1')}/machines").json()["value"]) == pools["win1"]["count"]
    usages = client.get(f"{client.subscription}/providers/Microsoft.Compute/locations/eastus/usages").json()["value"]
    assert usages[0]["limit"] == 40


def test_the_same_seed_changes_nothing_the_second_time(app: InProcess) -> None:
    apply_seed(app, GOOD)
    before = everything(app.client)
    apply_seed(app, GOOD)
    assert everything(app.client) == before


def test_what_somebody_changed_since_stays(app: InProcess) -> None:
    apply_seed(app, GOOD)
    app.client.make_pool("win1", {"osType": "Windows", "vmSize": "Standard_D2s_v5", "count": 5})
    app.client.make_pool("mine", {"count": 1})
    before = everything(app.client)
    apply_seed(app, GOOD)
    assert everything(app.client) == before


def test_a_changed_entry_is_put_and_the_others_are_left_alone(app: InProcess) -> None:
    apply_seed(app, GOOD)
    before = app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]
    apply_seed(app, changed(lambda cluster: cluster["nodePools"][1]["properties"].update(count=2)))
    after = app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert [(pool["name"], pool["count"]) for pool in after] == [("sys", 1), ("win1", 2)]
    assert after[0] == before[0]


def test_a_changed_system_pool_is_put_with_its_cluster(app: InProcess) -> None:
    apply_seed(app, GOOD)
    windows = app.client.get(app.client.pool("win1")).json()
    apply_seed(app, changed(lambda cluster: cluster["nodePools"][0]["properties"].update(count=3)))
    assert app.client.get(app.client.pool("sys")).json()["properties"]["count"] == 3
    assert app.client.get(app.client.pool("win1")).json() == windows


def test_what_is_gone_from_the_seed_is_not_deleted(app: InProcess) -> None:
    apply_seed(app, GOOD)
    before = everything(app.client)
    apply_seed(app, changed(lambda cluster: cluster["nodePools"].pop()))
    apply_seed(app, {})
    assert everything(app.client) == before


def test_every_refusal_is_said_and_nothing_has_changed(app: InProcess) -> None:
    app.client.make_cluster("mine")
    before = everything(app.client)
    seed = changed(
        lambda cluster: cluster.update(
            nodePools=[
                {"name": "sys", "properties": {"mode": "System"}},
                {"name": "Wrong!", "properties": {}},
                {"name": "old", "properties": {"vmSize": "nonsense", "osDiskSizeGB": "much"}},
                {"name": "sized", "properties": {"vmSize": "nonsense"}},
                {"name": "fine", "properties": {"count": 1}},
            ]
        )
    )
    seed["quotas"].append({"location": "mars", "family": "cores", "limit": 1})
    seed["quotas"].append({"location": "eastus", "family": "nonsense", "limit": 1})
    pool = {"name": "sys", "properties": {"mode": "System", "vmSize": "Standard_A0"}}
    lost = {"name": "lost", "properties": {}}
    seed["resourceGroups"][0]["clusters"].append({"name": "c2", "nodePools": [pool, lost]})
    seed["resourceGroups"].append({"name": "far", "location": "mars", "clusters": [{"name": "c", "nodePools": [pool]}]})

    place = "resourceGroups[0].clusters[0].nodePools"
    assert refused(app, seed) == [
        ("quotas[1].location", "LocationNotAvailableForResourceType"),
        ("quotas[2].family", "InvalidParameter"),
        (f"{place}[1].name", "InvalidParameter"),
        (f"{place}[2].properties.osDiskSizeGB", "InvalidParameter"),
        (f"{place}[3].properties.vmSize", "VMSizeNotSupported"),
        ("resourceGroups[0].clusters[1].nodePools[0].properties.vmSize", "SystemPoolSkuTooLow"),
        ("resourceGroups[1].location", "LocationNotAvailableForResourceType"),
    ]
    assert everything(app.client) == before
    assert app.client.get("/healthz").status_code == 200


def test_the_problem_stands_at_its_line(app: InProcess) -> None:
    text = """\
resourceGroups:
- name: rg
  location: eastus
  clusters:
  - name: c1
    nodePools:
    - name: sys
      properties:
        mode: System
        count: 1
        vmSize: Standard_Nonsense
"""
    maker = Seeder(
        parse("seed.yaml", text),
        context=app.context,
        operations=app.operations,
        plane_with=app.control_plane,
        catalogs=app.catalogs,
        subscription=app.credentials.subscription_id,
        profile=app.profile,
        scratch=app.rehearsal,
    )
    with pytest.raises(
        WrongSeed,
        match=r"^the seed cannot be used, 1 problem:\n  seed\.yaml:11:17: "
        r"resourceGroups\[0\]\.clusters\[0\]\.nodePools\[0\]\.properties\.vmSize: VMSizeNotSupported: ",
    ):
        maker.apply()


def test_node_pools_stand_in_one_place(app: InProcess) -> None:
    seed = changed(lambda cluster: cluster["properties"].update(AgentPoolProfiles=[]))
    assert refused(app, seed) == [("resourceGroups[0].clusters[0].properties.agentPoolProfiles", "InvalidParameter")]


def test_a_cluster_without_a_system_pool_is_refused_at_its_node_pools(app: InProcess) -> None:
    seed = changed(lambda cluster: cluster["nodePools"].pop(0))
    assert refused(app, seed) == [("resourceGroups[0].clusters[0].nodePools", "InvalidParameter")]


def test_an_operation_that_would_fail_is_a_problem_too(tmp_path: Path) -> None:
    app = InProcess(tmp_path / "data", profile=Profile.AZURE_2026)
    try:
        # That profile accepts it, and the operation fails with Compute's words.
        seed = changed(
            lambda cluster: cluster["nodePools"].append(
                {
                    "name": "late",
                    "properties": {"osType": "Windows", "osSKU": "Windows2022", "vmSize": "Standard_D4ads_v6"},
                }
            )
        )
        ((place, _),) = refused(app, seed)
        assert place == "resourceGroups[0].clusters[0].nodePools[2]"
        assert app.client.get(app.client.group()).status_code == 404
    finally:
        app.close()


def test_a_quota_that_is_too_small_is_noticed_across_node_pools(app: InProcess) -> None:
    seed = copy.deepcopy(GOOD)
    seed["quotas"][0]["limit"] = 3
    ((place, code),) = refused(app, seed)
    assert (place, code) == (
        "resourceGroups[0].clusters[0].nodePools[1].properties.count",
        "ErrCode_InsufficientVCPUQuota",
    )


def test_what_fails_after_all_is_said_and_tried_again(app: InProcess) -> None:
    app.behaviour.refuse = "no room on this host"
    ((place, code),) = refused(app, GOOD)
    assert (place, code) == ("resourceGroups[0].clusters[0]", "ReconcileVMSSAgentPoolFailed")
    app.behaviour.refuse = None
    apply_seed(app, GOOD)
    pools = app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert [pool["provisioningState"] for pool in pools] == ["Succeeded", "Succeeded"]


def test_it_waits_for_what_a_former_process_left_under_way(app: InProcess) -> None:
    app.client.make_cluster()
    held: list[str] = []
    app.service.operations.begin = held.append  # type: ignore[method-assign]
    app.client.put(app.client.pool("win1"), json={"properties": {"count": 1}})
    del app.service.operations.begin
    patient = seeder(app, changed(lambda cluster: cluster["properties"].clear()))
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        app.operations.begin(*held)

    object.__setattr__(patient._site, "wait", wait)
    assert refused_by(patient) == [("PropertyChangeNotAllowed")]
    assert waited


def refused_by(maker: Seeder) -> list[str]:
    with pytest.raises(WrongSeed) as wrong:
        maker.apply()
    return [problem.what.partition(":")[0] for problem in wrong.value.problems]


def test_a_seed_grows_on_what_is_there(app: InProcess) -> None:
    app.client.make_cluster()
    app.client.make_pool("mine", {"count": 2})
    apply_seed(app, changed(lambda cluster: cluster["properties"].clear()))
    names = [pool["name"] for pool in app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]]
    assert names == ["mine", "sys", "win1"]


def test_a_reset_leads_back_to_the_seed(app: InProcess) -> None:
    app.again = seeder(app, GOOD).apply_again
    apply_seed(app, GOOD)
    for _ in range(3):
        app.client.make_pool("mine", {"count": 1})
        app.client.delete(app.client.pool("win1"))
        assert app.client.post("/_poolwright/reset").status_code == 204
        pools = app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]
        assert [(pool["name"], pool["provisioningState"]) for pool in pools] == [
            ("sys", "Succeeded"),
            ("win1", "Succeeded"),
        ]
        assert app.context.engine.keys() == {
            machine["id"].lower()
            for pool in ("sys", "win1")
            for machine in app.client.get(f"{app.client.pool(pool)}/machines").json()["value"]
        }
        before = everything(app.client)
        apply_seed(app, GOOD)
        assert everything(app.client) == before, "the seed is known to be there"


def test_a_seed_that_needs_what_a_reset_took_away_is_said_to(app: InProcess) -> None:
    app.client.make_cluster()
    seed = changed(lambda cluster: (cluster["nodePools"].pop(0), cluster["properties"].clear()))
    app.again = seeder(app, seed).apply_again
    apply_seed(app, seed)
    reply = app.client.post("/_poolwright/reset")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "OperationNotAllowed")
    assert "nodePools" in reply.json()["error"]["message"]


class Killed(BaseException):
    """Where a kill would have ended the process."""


def test_a_reset_killed_between_any_two_transactions_leads_to_the_seed_at_the_next_start(
    app: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = seeder(app, GOOD)
    app.again = maker.apply_again
    maker.apply()
    app.client.make_pool("mine", {"count": 2})
    wanted, number, ended = names_of(app) - {"mine"}, 0, False
    while not ended:
        with monkeypatch.context() as patched:
            patched.setattr(app.database, "transaction", killing_after(number, app.database.transaction))
            try:
                app.state.reset(app.credentials.subscription_id, app.change("reset/action"))
                ended = True
            except Killed:
                ended = False
        if number:  # until the first transaction nothing was decided
            app.state.finish()
            app.operations.start()
            maker.apply()
            assert names_of(app) == wanted
            assert len(app.context.engine.keys()) == 2
        app.client.make_pool("mine", {"count": 2})
        number += 1
    assert number > 8


def names_of(app: InProcess) -> set[str]:
    pools = app.client.get(app.client.cluster()).json()["properties"]["agentPoolProfiles"]
    assert {pool["provisioningState"] for pool in pools} == {"Succeeded"}
    return {pool["name"] for pool in pools}


def killing_after(number: int, transaction: Callable[[], Any]) -> Callable[[], Any]:
    """Return the transaction, of which so many can be had and the next one kills."""
    left = iter(range(number))

    def counted() -> Any:
        if next(left, None) is None:
            raise Killed
        return transaction()

    return counted


FAULT = {"name": "retired", "match": {"size": "Standard_D2s_v5"}, "effect": {"retiredSize": True}}


def test_a_fault_acts_once_the_whole_seed_is_there(app: InProcess) -> None:
    seed = {"faults": [FAULT], **GOOD}
    apply_seed(app, seed)
    apply_seed(app, seed)
    assert app.client.get(app.client.pool("win1")).json()["properties"]["vmSize"] == "Standard_D2s_v5"
    reply = app.client.put(app.client.pool("late"), json={"properties": {"vmSize": "Standard_D2s_v5"}})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "VMSizeNotSupported")


def test_a_wrong_fault_is_said_where_it_stands(app: InProcess) -> None:
    wrong = {"name": "x", "match": {"nth": 0}, "effect": {"refuse": "nonsense"}}
    assert refused(app, {"faults": [FAULT, wrong]}) == [
        ("faults[1].match.nth", "InvalidParameter"),
        ("faults[1].effect.refuse.code", "InvalidParameter"),
    ]


def test_faults_that_are_there_count_no_rehearsal(app: InProcess) -> None:
    fault = {"match": {"operation": "create_node_pool"}, "effect": {"refuse": "AllocationFailed"}, "count": 1}
    app.client.put("/_poolwright/faults/once", json={**fault, "match": {"step": "plan_waves"}})
    ((place, code),) = refused(app, GOOD)
    assert (place, code) == ("resourceGroups[0].clusters[0]", "AllocationFailed")
    state = app.client.get("/_poolwright/faults/once").json()["state"]
    assert (state["matched"], state["fired"]) == (0, 0), "the seed was rehearsed on a copy"


def own_world(tmp_path: Path) -> dict[str, Any]:
    """A seed with a catalogue of its own, in a file beside it, and with what stands beside clusters."""
    (tmp_path / "skus.json").write_text(json.dumps([listed_size(size) for size in ("D2s_v5", "D4s_v5", "D2_v3")]))
    (tmp_path / "versions.json").write_text(json.dumps(VERSIONS))
    seed = changed(
        lambda cluster: cluster.update(
            maintenanceConfigurations=[
                {"name": "default", "properties": {"timeInWeek": [{"day": "Monday", "hourSlots": [1]}]}}
            ]
        )
    )
    seed["resourceGroups"][0]["clusters"][0]["properties"] = {}
    seed["resourceGroups"][0]["clusters"][0]["nodePools"][0]["properties"]["vmSize"] = "Standard_D2s_v5"
    seed["resourceGroups"][0]["snapshots"] = [
        {"name": "golden", "nodePool": "c1/win1", "tags": {"kept": "yes"}},
        {"name": "system", "nodePool": "C1/sys"},
    ]
    seed["catalogImports"] = [{"file": "skus.json"}, {"file": "versions.json", "location": "eastus"}]
    seed["restrictions"] = [
        {
            "location": "eastus",
            "size": "Standard_D4s_v5",
            "restrictions": [{"type": "Location", "reasonCode": "NotAvailableForSubscription"}],
        }
    ]
    return seed


def listed_size(name: str) -> dict[str, Any]:
    generations = "V1" if name.endswith("v3") else "V1,V2"
    capabilities = {"vCPUs": "2", "MemoryGB": "8", "HyperVGenerations": generations}
    shown = [{"name": key, "value": value} for key, value in capabilities.items()]
    return listed_sku(name=f"Standard_{name}", capabilities=shown, restrictions=[])


def apply_from(app: InProcess, directory: Path, seed: object) -> None:
    maker(app, directory, seed).apply()


def maker(app: InProcess, directory: Path, seed: object) -> Seeder:
    return Seeder(
        parse(str(directory / "seed.yaml"), yaml.safe_dump(seed, sort_keys=False)),
        context=app.context,
        operations=app.operations,
        plane_with=app.control_plane,
        catalogs=app.catalogs,
        subscription=app.credentials.subscription_id,
        profile=app.profile,
        scratch=app.rehearsal,
    )


def test_a_seed_brings_its_catalogue_and_what_stands_beside_clusters(app: InProcess, tmp_path: Path) -> None:
    client, seed = app.client, own_world(tmp_path)
    apply_from(app, tmp_path, seed)

    place = client.get("/_poolwright/catalog").json()["locations"][0]
    assert (place["sizes"]["origin"], place["sizes"]["count"], place["sizes"]["restricted"]) == ("imported", 3, 1)
    assert place["kubernetesVersions"]["origin"] == "imported"
    refused = client.put(client.pool("np1"), json={"properties": {"vmSize": "Standard_D4s_v5"}})
    assert refused.json()["error"]["code"] == "VMSizeNotSupported"
    snapshots = f"{client.group()}/providers/Microsoft.ContainerService/snapshots"
    golden, system = (client.get(f"{snapshots}/{name}").json() for name in ("golden", "system"))
    assert golden["tags"] == {"kept": "yes"}
    assert golden["properties"]["creationData"]["sourceResourceId"] == client.pool("win1")
    assert golden["properties"]["poolwright"]["generation"] == "V2"
    assert system["properties"]["osSku"] == "Ubuntu"
    windows = client.get(f"{client.cluster()}/maintenanceConfigurations/default").json()["properties"]
    assert windows == {"timeInWeek": [{"day": "Monday", "hourSlots": [1]}]}

    # Once; but another file under the same name is another entry.
    before = client.get("/_poolwright/catalog").json()
    apply_from(app, tmp_path, seed)
    assert client.get("/_poolwright/catalog").json() == before
    (tmp_path / "skus.json").write_text(json.dumps([listed_size("D2s_v5")]))
    apply_from(app, tmp_path, seed)
    assert client.get("/_poolwright/catalog").json()["locations"][0]["sizes"]["count"] == 1


def test_a_reset_goes_back_to_the_seed_s_catalogue(app: InProcess, tmp_path: Path) -> None:
    seeding = maker(app, tmp_path, own_world(tmp_path))
    app.again = seeding.apply_again
    seeding.apply()
    for _ in range(2):
        assert app.client.delete("/_poolwright/catalog").status_code == 200
        assert app.client.post("/_poolwright/reset").status_code == 204
        place = app.client.get("/_poolwright/catalog").json()["locations"][0]
        assert (place["sizes"]["count"], place["sizes"]["restricted"]) == (3, 1)


def test_what_is_wrong_beside_clusters_is_said_at_its_place(app: InProcess, tmp_path: Path) -> None:
    seed = own_world(tmp_path)
    group = seed["resourceGroups"][0]
    group["snapshots"][0]["nodePool"] = "c1/none"
    group["clusters"][0]["maintenanceConfigurations"].append({"name": "nonsense", "properties": {"timeInWeek": []}})
    seed["restrictions"][0]["size"] = "Standard_Nonsense"
    (tmp_path / "skus.json").write_text('[{"resourceType": 1}]')
    seed["catalogImports"][1].pop("location")
    before = everything(app.client)
    with pytest.raises(WrongSeed) as wrong:
        apply_from(app, tmp_path, seed)
    assert {problem.place for problem in wrong.value.problems} >= {
        "catalogImports[0].file",
        "catalogImports[1].location",
        "restrictions[0].size",
        "resourceGroups[0].snapshots[0].nodePool",
        "resourceGroups[0].clusters[0].maintenanceConfigurations[1].properties.maintenanceWindow",
    }
    assert everything(app.client) == before
    assert app.client.get("/_poolwright/catalog").json()["locations"][0]["sizes"]["origin"] == "built-in"
    seed["catalogImports"][0]["file"] = "none.json"
    with pytest.raises(WrongSeed, match=r"catalogImports\[0\]\.file: .*there is no file"):
        apply_from(app, tmp_path, seed)
