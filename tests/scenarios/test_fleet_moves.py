"""A plan carried out in the application of this process: any fleet, changes by others, failures, the way back."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.domain.profile import Profile
from poolwright.fleet.apply import Application, ByHand, MoveResult, Outcome
from poolwright.fleet.arm import NoAnswer
from poolwright.fleet.audit import Move
from poolwright.fleet.document import document_of
from poolwright.fleet.journal import Entry, Event, Journal
from poolwright.fleet.plan import PoolMove, StepName, Way
from poolwright.fleet.reading import read
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import (
    SYSTEM,
    Json,
    Meddling,
    Site,
    by_hand,
    by_name,
    fault,
    move,
    plan_of,
    scale,
    shown,
    site,
    two_pools,
    without_etags,
)

GEN1 = "AKSUbuntu-2204containerd-202512.18.0"


@pytest.fixture(params=list(Profile), ids=lambda profile: profile.value)
def profile(request: pytest.FixtureRequest) -> Profile:
    given_profile: Profile = request.param
    return given_profile


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Site]:
    """Three node pools that get new ones beside them, in two clusters."""
    with site(tmp_path / "data", two_pools(), Profile.AZURE_2026) as made:
        yield made


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """The same, changed in place."""
    with site(tmp_path / "data", two_pools(), Profile.DOCUMENTED) as made:
        yield made


# --- any fleet --------------------------------------------------------------------------------------------------------

SIZES = [f"Standard_{size}" for size in ("D2_v3", "D4_v2", "D2s_v3", "D4s_v5", "D4ads_v6", "E2_v3")]
POOLS = st.fixed_dictionaries(
    {
        "vmSize": st.sampled_from(SIZES),
        "count": st.integers(0, 4),
        "mode": st.sampled_from(["System", "User", "User"]),
        "nodeImageVersion": st.sampled_from([None, GEN1]),
        "nodeLabels": st.sampled_from([None, {"team": "x"}]),
        "upgradeSettings": st.sampled_from([None, {"maxSurge": "50%"}]),
        "tags": st.sampled_from([None, {"cost": "7"}]),
    }
)
KINDS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"osType": "Linux"},
        {"osType": "Linux", "osSKU": "AzureLinux", "nodeImageVersion": None},
        {"osType": "Linux", "scaleSetPriority": "Spot", "mode": "User", "enableAutoScaling": True}
        | {"minCount": 0, "maxCount": 6, "upgradeSettings": None},
        {"osType": "Windows", "osSKU": "Windows2022", "mode": "User", "nodeImageVersion": None},
        {"osType": "Windows", "osSKU": "Windows2019", "mode": "User", "nodeImageVersion": None},
        {"osType": "Linux", "availabilityZones": ["1", "2"]},
    ]
)
CLUSTERS = st.lists(st.lists(st.tuples(POOLS, KINDS), max_size=4), min_size=1, max_size=2)
# What a PUT keeps, whichever way a node pool moves.
KEPT = ("count", "mode", "nodeLabels", "osType", "tags", "upgradeSettings", "availabilityZones", "scaleSetPriority")


def fleet_from(drawn: Any) -> Fleet:
    clusters = [
        cluster(
            SYSTEM,
            *(
                pool(f"p{number}", **{name: value for name, value in (known | kind).items() if value is not None})
                for number, (known, kind) in enumerate(pools)
            ),
            name=f"c{index}",
        )
        for index, pools in enumerate(drawn)
    ]
    return read([("drawn.json", json.dumps(clusters))])


@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(CLUSTERS, st.sampled_from(Profile))
def test_what_can_be_moved_is_of_generation_2_and_all_else_as_it_was(drawn: Any, profile: Profile) -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        site(Path(scratch) / "data", fleet_from(drawn), profile) as there,
    ):
        before = there.pools()
        missing = {each.id.lower() for each in there.not_loaded}
        results = there.applied()
        after = there.pools()

        assert {result.outcome for result in results} <= {Outcome.MOVED}, results
        assert [result.id for result in results] == [each.id for each in there.plan.moves]
        gone, new = set(), set()
        for each in there.plan.moves:
            old = before[each.id.lower()]["properties"]
            identity = each.id.lower()
            if each.way is Way.NEW_POOL:
                gone.add(identity)
                identity = f"{each.id.rpartition('/')[0]}/{each.replacement}".lower()
                new.add(identity)
            moved = after[identity]["properties"]
            assert moved["poolwright"]["resolvedGeneration"] == "V2"
            assert moved["poolwright"]["observedGenerations"]["V1"] == 0
            assert {name: moved.get(name) for name in KEPT} == {name: old.get(name) for name in KEPT}
        touched = gone | new | {each.id.lower() for each in there.plan.moves}
        assert after.keys() == (before.keys() - gone) | new
        assert {name: after[name] for name in after.keys() - touched} == {
            name: before[name] for name in before.keys() - touched
        }

        # The fleet that stands there now, read anew, has nothing left to move.
        again = plan_of(there.fleet(), profile)
        assert again.moves == ()
        assert {stay.move for stay in again.stays} <= {Move.DONE, Move.BLOCKED}
        assert not missing & touched


# --- looking ----------------------------------------------------------------------------------------------------------


def test_looking_changes_nothing_and_says_what_comes(azure: Site) -> None:
    before = azure.pools()
    journal = azure.journal()
    results = azure.application(journal).look({each.id for each in azure.plan.moves}, 1)
    assert {(result.outcome, result.next) for result in results} == {(Outcome.TO_DO, StepName.CONFIRM)}
    assert (azure.pools(), journal.entries) == (before, ())


def test_only_what_was_chosen_is_moved(azure: Site) -> None:
    before = azure.pools()
    (result,) = azure.application().run({move(azure, "c").id}, 1)
    assert result.outcome is Outcome.MOVED
    after = azure.pools()
    assert before.keys() ^ after.keys() == {
        move(azure, "c").id.lower(),
        f"{move(azure, 'c').id.rpartition('/')[0]}/cg2".lower(),
    }


def test_a_finished_plan_is_not_carried_out_again(azure: Site) -> None:
    journal = azure.journal()
    chosen = {each.id for each in azure.plan.moves}
    azure.application(journal).run(chosen, 1)
    sent = len(azure.service.client.get("/_poolwright/requests").json()["value"])
    results = azure.application(journal).run(chosen, 1)
    assert {result.outcome for result in results} == {Outcome.MOVED}
    assert len(azure.service.client.get("/_poolwright/requests").json()["value"]) <= sent + 1


# --- changes by others ------------------------------------------------------------------------------------------------


def test_a_pool_that_was_changed_since_the_plan_is_left_alone(azure: Site) -> None:
    scale(azure, move(azure, "a").id, 3)
    changed = azure.pool(move(azure, "a").id)
    results = by_name(azure.applied())
    assert results["a"].outcome is Outcome.CHANGED
    assert results["a"].why.startswith("its ETag is ")
    assert azure.pool(move(azure, "a").id) == changed
    assert {results["b"].outcome, results["c"].outcome} == {Outcome.MOVED}


def test_where_the_export_has_no_etags_the_properties_are_compared(azure: Site) -> None:
    without_etags(azure)
    scale(azure, move(azure, "a").id, 3)
    # An autoscaler does that all day.
    scale(azure, move(azure, "b").id, 2)
    results = by_name(azure.applied())
    assert (results["a"].outcome, results["a"].why) == (
        Outcome.CHANGED,
        "it was changed since this was planned: count",
    )
    assert {results["b"].outcome, results["c"].outcome} == {Outcome.MOVED}


def test_a_pool_that_is_gone_is_told(azure: Site) -> None:
    azure.arm.delete(move(azure, "a").id, {})
    results = by_name(azure.applied())
    assert (results["a"].outcome, results["a"].why) == (Outcome.CHANGED, "it is not there any more")
    assert azure.pool(f"{move(azure, 'a').id}g2") is None


class Emptying:
    """Somebody else works on the replacement just when the old node pool is cordoned, or drained."""

    def __init__(self, there: Site, change: Mapping[str, Any], at: str) -> None:
        self._there, self._change, self._at = there, change, at

    def done(self, move: PoolMove, lines: Any) -> str | None:
        path = f"{move.id}g2"
        if lines[0].startswith(f"kubectl {self._at}"):
            self._there.arm.put(path, {"properties": {**shown(self._there.pool(path)), **self._change}}, {})
        return "drained"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"count": 0}, "ag2 has 0 machines, and 2 are needed before a is {}"),
        ({"count": 1}, "ag2 has 1 machines, and 2 are needed before a is {}"),
        ({"powerState": {"code": "Stopped"}}, "ag2 is Stopped: start it before a is {}"),
        ({"nodeTaints": ["only=theirs:NoSchedule"]}, "ag2 is not as this made it (taints), so somebody else made or "),
    ],
)
@pytest.mark.parametrize(("at", "step", "what"), [("cordon", "drain", "drained"), ("drain", "delete-pool", "deleted")])
def test_a_pool_whose_replacement_does_not_carry_its_work_is_neither_drained_nor_deleted(
    azure: Site, change: Mapping[str, Any], why: str, at: str, step: str, what: str
) -> None:
    nodes = Emptying(azure, change, at)
    application = Application(azure.plan, azure.arm, azure.journal(), nodes, lambda move, entry: None)
    (result,) = application.run({move(azure, "a").id}, 1)
    assert (result.outcome, result.why.startswith(f"{step}: {why.format(what)}")) == (Outcome.FAILED, True), result.why
    assert azure.pool(move(azure, "a").id) is not None


def test_a_replacement_with_an_autoscaler_needs_a_machine(azure: Site) -> None:
    change = {"minCount": 0, "count": 0}
    nodes = Emptying(azure, change, "drain")
    application = Application(azure.plan, azure.arm, azure.journal(), nodes, lambda move, entry: None)
    (result,) = application.run({move(azure, "b").id}, 1)
    assert (result.outcome, "bg2 has 0 machines, and 1 are needed" in result.why) == (Outcome.FAILED, True), result.why
    assert azure.pool(move(azure, "b").id) is not None


def test_a_pool_that_was_changed_while_it_moves_is_not_deleted(azure: Site) -> None:
    application = Application(azure.plan, azure.arm, azure.journal(), Meddling(azure), lambda move, entry: None)
    results = by_name(application.run({each.id for each in azure.plan.moves}, 1))
    assert results["a"].outcome is Outcome.CHANGED
    assert "somebody else changed it while it moved" in results["a"].why
    assert "ag2 stands beside it" in results["a"].why
    assert shown(azure.pool(move(azure, "a").id))["count"] in (7, 8)


def test_a_pool_of_the_new_name_that_was_there_before_is_not_taken_for_ours(azure: Site) -> None:
    path = f"{move(azure, 'a').id}g2"
    azure.arm.put(path, {"properties": {"vmSize": "Standard_D4s_v5", "count": 1}}, {})
    there = azure.pool(path)
    results = by_name(azure.applied())
    assert results["a"].outcome is Outcome.FAILED
    assert "has a node pool ag2 already" in results["a"].why
    assert azure.pool(path) == there
    assert azure.pool(move(azure, "a").id) is not None


def test_a_pool_that_somebody_else_made_at_the_same_moment_is_neither_used_nor_taken_back(
    azure: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, path = azure.arm.put, f"{move(azure, 'a').id}g2"

    def outrun(target: str, body: Json, headers: Mapping[str, str]) -> None:
        monkeypatch.setattr(azure.arm, "put", put)
        put(path, {"properties": {"vmSize": "Standard_D4s_v3", "count": 1}}, {})
        put(target, body, headers)

    monkeypatch.setattr(azure.arm, "put", outrun)
    journal, chosen = azure.journal(), {move(azure, "a").id}
    (result,) = azure.application(journal).run(chosen, 1)
    assert result.why.startswith("add-pool: PreconditionFailed: ")
    theirs = azure.pool(path)

    (result,) = azure.application(journal).run(chosen, 1)
    assert "has a node pool ag2 already" in result.why
    result = azure.application(journal).roll_back(move(azure, "a"))
    assert (result.outcome, "else somebody else made it" in result.why) == (Outcome.FAILED, True)
    assert azure.pool(path) == theirs


def test_a_pool_that_somebody_else_made_after_a_refusal_is_neither_used_nor_taken_back(azure: Site) -> None:
    fault(azure, "policy", {"operation": "create_node_pool"}, {"refuse": {"code": "RequestDisallowedByPolicy"}})
    journal, chosen, path = azure.journal(), {move(azure, "a").id}, f"{move(azure, 'a').id}g2"
    (result,) = azure.application(journal).run(chosen, 1)
    assert result.why.startswith("add-pool: RequestDisallowedByPolicy: ")
    request = next(step.request for step in move(azure, "a").steps if step.name is StepName.ADD_POOL)
    assert request is not None
    azure.arm.put(path, {"properties": request.properties}, {})
    theirs = azure.pool(path)

    (result,) = azure.application(journal).run(chosen, 1)
    assert (result.outcome, "has a node pool ag2 already" in result.why) == (Outcome.FAILED, True)
    result = azure.application(journal).roll_back(move(azure, "a"))
    assert (result.outcome, "else somebody else made it" in result.why) == (Outcome.FAILED, True)
    assert azure.pool(path) == theirs


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"vmSize": "Standard_D8s_v5"}, "size, count"),
        ({"mode": "System"}, "mode"),
        ({"nodeLabels": {"team": "theirs"}}, "labels"),
        ({"nodeTaints": ["only=theirs:NoSchedule"]}, "taints"),
        ({"osSKU": "AzureLinux"}, "osSKU"),
        ({"count": 1}, "count"),
    ],
)
def test_where_the_answer_was_lost_only_what_was_asked_for_is_taken_for_ours(
    azure: Site, monkeypatch: pytest.MonkeyPatch, change: Mapping[str, Any], differing: str
) -> None:
    put, path = azure.arm.put, f"{move(azure, 'a').id}g2"

    def lost(target: str, body: Json, headers: Mapping[str, str]) -> None:
        monkeypatch.setattr(azure.arm, "put", put)
        put(target, {"properties": {**body["properties"], **change}}, {})
        raise NoAnswer("the reply was lost")

    monkeypatch.setattr(azure.arm, "put", lost)
    journal, chosen = azure.journal(), {move(azure, "a").id}
    azure.application(journal).run(chosen, 1)
    theirs = azure.pool(path)
    assert theirs is not None
    for result in (
        *azure.application(journal).run(chosen, 1),
        azure.application(journal).roll_back(move(azure, "a")),
    ):
        assert result.outcome is Outcome.FAILED
        assert f"not as this asked for it ({differing})" in result.why, result.why
    assert azure.pool(path) == theirs
    assert azure.pool(move(azure, "a").id) is not None


# --- failures ---------------------------------------------------------------------------------------------------------


def test_the_first_failure_stops_everything_and_the_next_run_goes_on(azure: Site) -> None:
    fault(azure, "full", {"operation": "create_node_pool", "step": "await_ready"}, {"failAtStep": "no space left"})
    journal = azure.journal()
    chosen = {each.id for each in azure.plan.moves}
    before = azure.pools()

    results = by_name(azure.application(journal).run(chosen, 1))
    assert results["a"].outcome is Outcome.FAILED
    assert "no space left" in results["a"].why
    assert {results["b"].outcome, results["c"].outcome} == {Outcome.STOPPED}
    assert azure.pool(move(azure, "a").id) == before[move(azure, "a").id.lower()]

    results = by_name(azure.application(journal).run(chosen, 1))
    assert {result.outcome for result in results.values()} == {Outcome.MOVED}


def test_a_refusal_is_told_in_the_endpoint_s_words(azure: Site) -> None:
    fault(azure, "policy", {"operation": "create_node_pool"}, {"refuse": {"code": "RequestDisallowedByPolicy"}})
    results = by_name(azure.applied())
    assert results["a"].why.startswith("add-pool: RequestDisallowedByPolicy: ")


def test_without_halting_a_failure_ends_its_own_move_alone(azure: Site) -> None:
    fault(azure, "full", {"operation": "create_node_pool", "step": "await_ready"}, {"failAtStep": "no space left"})
    application = azure.application(halts=False)
    results = by_name(application.run({each.id for each in azure.plan.moves}, 1))
    assert {name: result.outcome for name, result in results.items()} == {
        "a": Outcome.FAILED,
        "b": Outcome.MOVED,
        "c": Outcome.MOVED,
    }


def test_an_answer_that_never_came_is_looked_for_and_nothing_is_sent_twice(
    azure: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, sent = azure.arm.put, []

    def lost(path: str, body: Json, headers: Mapping[str, str]) -> None:
        put(path, body, headers)
        sent.append(path)
        if len(sent) == 1:
            raise NoAnswer("the reply was lost")

    monkeypatch.setattr(azure.arm, "put", lost)
    journal = azure.journal()
    chosen = {each.id for each in azure.plan.moves}
    assert by_name(azure.application(journal).run(chosen, 1))["a"].outcome is Outcome.FAILED
    results = azure.application(journal).run(chosen, 1)
    assert {result.outcome for result in results} == {Outcome.MOVED}
    assert sorted(sent) == sorted(
        [f"{move(azure, 'a').id}g2", f"{move(azure, 'b').id}g2", move(azure, "b").id, f"{move(azure, 'c').id}g2"]
    )


# --- kubectl by hand --------------------------------------------------------------------------------------------------


def test_without_a_cluster_it_stops_before_kubectl_and_goes_on_when_told(azure: Site) -> None:
    journal = azure.journal()
    # Nothing was asked for yet, so nothing can have been run.
    results = by_hand(azure, journal, "a")
    assert results["a"].outcome is Outcome.WAITS
    assert [line.split()[1] for line in results["a"].run] == ["cordon", "drain"]
    assert results["b"].outcome is Outcome.STOPPED
    assert results["b"].why == "a of its cluster is under way and comes first"
    assert results["c"].outcome is Outcome.WAITS
    assert azure.pool(move(azure, "a").id) is not None

    results = by_hand(azure, journal, "a")
    assert results["a"].outcome is Outcome.MOVED
    assert {step.told for step in results["a"].taken} == {"", "run by hand, as was said"}
    assert results["b"].outcome is Outcome.WAITS
    assert azure.pool(move(azure, "a").id) is None


def test_the_last_system_pool_is_moved_although_its_export_has_no_mode(tmp_path: Path) -> None:
    with site(tmp_path / "data", fleet_of(cluster(pool("agentpool", mode=None, count=1))), Profile.AZURE_2026) as there:
        (result,) = there.applied()
        assert (result.outcome, result.why) == (Outcome.MOVED, "")
        (left,) = there.pools().values()
        assert (left["name"], left["properties"]["mode"]) == ("agentpoolg2", "System")


# --- the way back -----------------------------------------------------------------------------------------------------


def test_what_was_begun_is_taken_back(azure: Site) -> None:
    journal = azure.journal()
    by_hand(azure, journal)
    by_hand(azure, journal, "a")
    assert shown(azure.pool(move(azure, "b").id))["enableAutoScaling"] is False

    def rolled_back(*said: str) -> MoveResult:
        done = ByHand([move(azure, name).id for name in said], journal)
        return Application(azure.plan, azure.arm, journal, done, lambda move, entry: None).roll_back(move(azure, "b"))

    # The lines of kubectl were only printed, and may have been run all the same.
    waits = rolled_back("b")
    assert (waits.outcome, [line.split()[1] for line in waits.run]) == (Outcome.WAITS, ["uncordon"])
    assert azure.pool(f"{move(azure, 'b').id}g2") is not None
    assert rolled_back("b").outcome is Outcome.ROLLED_BACK
    assert azure.pool(f"{move(azure, 'b').id}g2") is None
    back = shown(azure.pool(move(azure, "b").id))
    assert (back["enableAutoScaling"], back["minCount"], back["maxCount"]) == (True, 1, 5)
    results = by_hand(azure, journal, "b")
    assert (results["b"].outcome, results["b"].why) == (
        Outcome.ROLLED_BACK,
        "it was rolled back; plan anew to move it",
    )


def test_what_is_deleted_cannot_be_taken_back(azure: Site) -> None:
    journal = azure.journal()
    azure.application(journal).run({move(azure, "a").id}, 1)
    way_back = move(azure, "a").way_back
    result = azure.application(journal).roll_back(move(azure, "a"))
    assert (result.outcome, result.why) == (Outcome.MOVED, "a is deleted, so nothing is taken back")
    assert result.run == way_back[way_back.index("After that:") + 1 :]
    assert azure.pool(f"{move(azure, 'a').id}g2") is not None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"count": 0}, "c has no machines, and had 1: scale it"),
        ({"powerState": {"code": "Stopped"}}, "c is Stopped: start it"),
        (None, "c is not there any more, and cg2 was not deleted: it is the only one left"),
    ],
)
def test_the_only_pool_left_is_not_taken_back(azure: Site, change: Mapping[str, Any] | None, why: str) -> None:
    journal, path = azure.journal(), move(azure, "c").id
    by_hand(azure, journal)
    if change is None:
        azure.arm.delete(path, {})
    else:
        azure.arm.put(path, {"properties": {**shown(azure.pool(path)), **change}}, {})
    done = ByHand([path], journal)
    application = Application(azure.plan, azure.arm, journal, done, lambda move, entry: None)
    assert application.roll_back(move(azure, "c")).outcome in (Outcome.WAITS, Outcome.FAILED)
    result = Application(azure.plan, azure.arm, journal, ByHand([path], journal), lambda move, entry: None).roll_back(
        move(azure, "c")
    )
    assert (result.outcome, result.why.startswith(why)) == (Outcome.FAILED, True), result.why
    assert azure.pool(f"{path}g2") is not None


def test_a_change_in_place_is_taken_back(own: Site) -> None:
    journal = own.journal()
    before = shown(own.pool(move(own, "a").id))
    own.application(journal).run({move(own, "a").id}, 1)
    assert shown(own.pool(move(own, "a").id))["poolwright"]["resolvedGeneration"] == "V2"
    assert own.application(journal).roll_back(move(own, "a")).outcome is Outcome.ROLLED_BACK
    after = shown(own.pool(move(own, "a").id))
    assert after["poolwright"]["resolvedGeneration"] == "V1"
    assert after["vmSize"] == before["vmSize"]
    assert own.application(journal).roll_back(move(own, "a")).outcome is Outcome.ROLLED_BACK


def test_a_roll_back_that_was_killed_at_any_entry_comes_to_the_same_end(azure: Site) -> None:
    class Killed(BaseException):
        pass

    kept: list[Any] = []
    left = 0

    def write(line: bytes) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        kept.append(line)

    class ByAnybody:
        def done(self, move: PoolMove, lines: Any) -> str | None:
            return "run" if lines[0].startswith("kubectl uncordon") else None

    def application() -> Application:
        entries = [document_of(Entry, line) for line in kept]
        journal = Journal(entries, write, lambda: next(azure.clock))
        return Application(azure.plan, azure.arm, journal, ByAnybody(), lambda move, entry: None)

    before = azure.pools()
    left = 100
    assert application().run({move(azure, "a").id}, 1)[0].outcome is Outcome.WAITS
    for _ in range(30):
        left = 1
        with contextlib.suppress(Killed):
            assert application().roll_back(move(azure, "a")).outcome is Outcome.ROLLED_BACK
            break
    else:
        raise AssertionError("it makes no progress")
    assert azure.pools() == before
    assert application().run({move(azure, "a").id}, 1)[0].outcome is Outcome.ROLLED_BACK


def test_a_roll_back_that_was_begun_has_to_be_ended(own: Site) -> None:
    journal = own.journal()
    own.application(journal).run({move(own, "a").id}, 1)
    journal.append(move(own, "a").id, StepName.CHANGE, Event.UNDOING)
    result = by_name(own.application(journal).run({move(own, "a").id}, 1))["a"]
    assert (result.outcome, result.why) == (Outcome.WAITS, "its roll-back was begun and has not ended")
    assert own.application(journal).roll_back(move(own, "a")).outcome is Outcome.ROLLED_BACK
