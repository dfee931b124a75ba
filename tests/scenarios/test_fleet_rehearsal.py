"""A rehearsal: what is loaded, what is assumed and told, and the figures it gives."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.apply import Outcome
from poolwright.fleet.journal import Event, in_memory
from poolwright.fleet.plan import Plan, StepName
from poolwright.fleet.rehearsal import Conditions, Rehearsal, _first_seed, _peak_machines, _peak_vcpus, rehearse
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import SUBSCRIPTION, cluster, fleet_of, pool
from tests.fleet.sites import plan_of

OTHER = "99999999-1111-2222-3333-444444444444"
SYSTEM = pool("sys", mode="System", vmSize="Standard_D4s_v5", count=1)


def rehearsed(fleet: Fleet, seed: Path | None = None) -> tuple[Plan, Rehearsal]:
    plan = plan_of(fleet, Profile.AZURE_2026)
    conditions = Conditions(parallel=2, seed=seed)
    return plan, rehearse(plan, "plan.json", conditions, lambda text: None, lambda move, entry: None)


def elsewhere(document: dict[str, object]) -> dict[str, object]:
    return document | {"id": str(document["id"]).replace(SUBSCRIPTION, OTHER)}


def test_every_subscription_has_its_own_fleet_and_the_limits_of_the_seed(tmp_path: Path) -> None:
    # The same cluster in two subscriptions, and room for the move of one node pool of 2 vCPUs in each.
    both = cluster(SYSTEM, pool("a", count=1, vmSize="Standard_D2_v3"))
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"quotas": [{"location": "eastus", "family": "standardDSv3Family", "limit": 2}]}))
    _, came = rehearsed(fleet_of(both, elsewhere(both)), seed)
    assert [result.outcome for result in came.results] == [Outcome.MOVED] * 2
    assert {peak.subscription for peak in came.peak_vcpus} == {SUBSCRIPTION, OTHER}

    seed.write_text(json.dumps({"quotas": [{"location": "eastus", "family": "standardDSv3Family", "limit": 1}]}))
    _, came = rehearsed(fleet_of(both, elsewhere(both)), seed)
    assert [result.outcome for result in came.results] == [Outcome.FAILED] * 2
    assert all("standardDSv3Family" in result.why for result in came.results)


def test_a_pool_that_only_was_of_generation_1_is_loaded_as_it_is() -> None:
    # Its size does both, and new Linux node pools get Generation 2.
    old = pool("a", count=1, vmSize="Standard_D4s_v5", nodeImageVersion="AKSUbuntu-2204containerd-202512.18.0")
    plan, came = rehearsed(fleet_of(cluster(SYSTEM, old)))
    assert len(plan.moves) == 1
    assert (came.not_loaded, [result.outcome for result in came.results]) == ((), [Outcome.MOVED])


def test_clusters_of_one_resource_group_may_lie_in_different_locations() -> None:
    places = [("c1", "eastus"), ("c2", "westeurope"), ("c3", "eastus")]
    clusters = [cluster(SYSTEM, pool("a", count=1), name=name, location=location) for name, location in places]
    _, came = rehearsed(fleet_of(*clusters))
    assert (came.not_loaded, [result.outcome for result in came.results]) == ((), [Outcome.MOVED] * 3)


def test_the_only_node_pool_of_a_cluster_is_rehearsed_as_a_system_node_pool_where_no_mode_is_told() -> None:
    plan, came = rehearsed(fleet_of(cluster(pool("agentpool", mode=None, count=1))))
    assert (came.not_loaded, [result.outcome for result in came.results]) == ((), [Outcome.MOVED])
    assert plan.found[0].pools[0].properties["mode"] == "System"


def test_what_cannot_be_loaded_and_what_is_assumed_is_told() -> None:
    _, came = rehearsed(
        fleet_of(
            cluster(SYSTEM, pool("a", count=1), kubernetesVersion="1.33.0"),
            cluster(SYSTEM, pool("b", count=1), name="ancient", kubernetesVersion="1.18.14"),
        )
    )
    assert [each.id.rpartition("/")[2] for each in came.not_loaded] == ["ancient"]
    assert "1.18.14" in came.not_loaded[0].why
    assert [result.pool for result in came.results] == ["a"]
    assert any(remark.startswith("Kubernetes 1.33.0: taken to be offered in eastus") for remark in came.remarks)
    assert any(remark.startswith("Nothing was cordoned or drained") for remark in came.remarks)


def test_no_file_of_a_rehearsal_is_named_by_the_fleet(tmp_path: Path) -> None:
    plan = plan_of(fleet_of(cluster(SYSTEM, kubernetesVersion="1.33.0")), Profile.AZURE_2026)
    elsewhere = replace(plan, found=(replace(plan.found[0], location="../../escaped"),))
    scratch = tmp_path / "deeper" / "scratch"
    scratch.mkdir(parents=True)
    written, remarks = _first_seed(elsewhere, None, scratch)
    (listed,) = json.loads(written.read_text())["catalogImports"]
    assert listed["location"] == "../../escaped"
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {written, Path(listed["file"])}
    assert Path(listed["file"]).parent == scratch
    assert len(remarks) == 1


def test_an_empty_fleet_has_an_empty_rehearsal() -> None:
    _, came = rehearsed(fleet_of())
    assert (came.results, came.not_loaded, came.peak_machines, came.clusters) == ((), (), 0, ())


@pytest.mark.parametrize(
    ("course", "machines", "vcpus"),
    [
        # One after the other: the second begins with what the first left behind, which is as much of the new family.
        (["a+", "a-", "b+", "b-"], 3, 8 + 12),
        (["a+", "b+", "a-", "b-"], 5, 8 + 12),
        (["a+", "a-"], 2, 8),
        ([], 0, 0),
    ],
)
def test_peaks_follow_the_course_of_the_moves(course: list[str], machines: int, vcpus: int) -> None:
    plan = plan_of(fleet_of(cluster(pool("a", count=2), pool("b", count=3))), Profile.AZURE_2026)
    identities = {move.pool: move.id for move in plan.moves}
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
    journal = in_memory(lambda: noon + timedelta(seconds=len(journal.entries)))
    for each in course:
        if each.endswith("+"):
            journal.append(identities[each[0]], StepName.ADD_POOL, Event.BEGUN)
        else:
            journal.append(identities[each[0]], StepName.DELETE_POOL, Event.DONE)
    assert _peak_machines(plan, journal) == machines
    peaks = {peak.family: peak.vcpus for peak in _peak_vcpus(plan, journal)}
    assert peaks.get("standardDSv3Family", 0) == vcpus
