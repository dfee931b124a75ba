"""The moves of one cluster, asked for one by one: what is under way comes to its end before anything else begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.apply import Application, ByHand, MoveResult, Outcome
from poolwright.fleet.journal import Event, Journal
from poolwright.fleet.plan import StepName
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import Meddling, Site, by_name, move, scale, site


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Site]:
    """a, b and the system node pool sys in a cluster, in this order, and c in another."""
    first = cluster(pool("sys", mode="System", count=1), pool("a", count=1), pool("b", count=1))
    fleet = fleet_of(first, cluster(pool("other", mode="System", count=1), pool("c", count=1), name="c2"))
    with site(tmp_path / "data", fleet, Profile.AZURE_2026) as made:
        yield made


def application(there: Site, journal: Journal, *said: str) -> Application:
    done = ByHand([move(there, name).id for name in said], journal)
    return Application(there.plan, there.arm, journal, done, lambda move, entry: None)


def identities(there: Site, names: str) -> set[str]:
    return {each.id for each in there.plan.moves if each.pool in names.split()}


def ran(there: Site, journal: Journal, names: str, *said: str) -> dict[str, MoveResult]:
    return by_name(application(there, journal, *said).run(identities(there, names), 1))


def stand(there: Site) -> set[str]:
    """The node pools of the first cluster."""
    return {path.rpartition("/")[2] for path in there.pools() if "/c1/" in path}


def test_a_move_does_not_begin_while_another_of_its_cluster_is_under_way(azure: Site) -> None:
    journal = azure.journal()
    assert ran(azure, journal, "a")["a"].outcome is Outcome.WAITS
    for said in ((), ("b",)):
        before, entries = azure.pools(), journal.entries
        (seen,) = application(azure, journal, *said).look(identities(azure, "b"), 1)
        (came,) = ran(azure, journal, "b", *said).values()
        assert (came.outcome, came.first) == (Outcome.STOPPED, move(azure, "a").id)
        assert came.why == "a of its cluster is under way and comes first"
        assert (seen.outcome, seen.why, seen.first) == (Outcome.TO_DO, "", move(azure, "a").id)
        assert (azure.pools(), journal.entries) == (before, entries)

    results = ran(azure, journal, "a b", "a")
    assert (results["a"].outcome, results["b"].outcome) == (Outcome.MOVED, Outcome.WAITS)
    assert stand(azure) == {"sys", "ag2", "b", "bg2"}


def test_what_is_under_way_comes_first_whatever_the_plan_s_order(azure: Site) -> None:
    journal = azure.journal()
    assert ran(azure, journal, "b")["b"].outcome is Outcome.WAITS
    results = ran(azure, journal, "a b", "a")
    assert (results["a"].outcome, results["a"].first) == (Outcome.STOPPED, move(azure, "b").id)
    assert list(results) == ["a", "b"], "told in the plan's order all the same"
    assert stand(azure) == {"sys", "a", "b", "bg2"}
    results = ran(azure, journal, "a b", "b")
    assert (results["a"].outcome, results["b"].outcome) == (Outcome.WAITS, Outcome.MOVED)


@pytest.fixture
def four(tmp_path: Path) -> Iterator[Site]:
    """a, b, c and the system node pool sys in one cluster, in this order."""
    pools = (pool(name, count=1) for name in ("a", "b", "c"))
    fleet = fleet_of(cluster(pool("sys", mode="System", count=1), *pools))
    with site(tmp_path / "data", fleet, Profile.AZURE_2026) as made:
        yield made


@pytest.mark.parametrize("chosen", ["a b c sys", "a b sys"])
def test_a_move_that_is_over_or_can_never_begin_keeps_its_outcome_while_another_one_waits(
    four: Site, chosen: str
) -> None:
    journal = four.journal()
    ran(four, journal, "a")
    application(four, journal).roll_back(move(four, "a"))
    assert application(four, journal, "a").roll_back(move(four, "a")).outcome is Outcome.ROLLED_BACK
    ran(four, journal, "b")
    assert ran(four, journal, "b", "b")["b"].outcome is Outcome.MOVED
    assert ran(four, journal, "c")["c"].outcome is Outcome.WAITS
    scale(four, move(four, "sys").id, 2)

    first = move(four, "c").id
    for results in (ran(four, journal, chosen), by_name(application(four, journal).look(identities(four, chosen), 1))):
        assert (results["a"].outcome, results["a"].next, results["a"].first) == (Outcome.ROLLED_BACK, None, None)
        assert (results["b"].outcome, results["b"].next, results["b"].first) == (Outcome.MOVED, None, None)
        assert (results["sys"].outcome, results["sys"].first) == (Outcome.CHANGED, first)
        assert results["sys"].why.startswith("its ETag is ")


def test_a_look_sees_what_would_refuse_a_move_while_another_one_comes_first(azure: Site) -> None:
    journal = azure.journal()
    ran(azure, journal, "a")
    azure.arm.put(f"{move(azure, 'b').id}g2", {"properties": {"vmSize": "Standard_D4s_v5", "count": 1}}, {})
    looked = by_name(application(azure, journal, "a").look(identities(azure, "a b sys"), 1))
    assert (looked["a"].outcome, looked["a"].first) == (Outcome.TO_DO, None)
    assert (looked["b"].outcome, looked["b"].first) == (Outcome.FAILED, move(azure, "a").id)
    assert looked["b"].why.startswith("add-pool: the cluster has a node pool bg2 already")
    assert (looked["sys"].outcome, looked["sys"].first) == (Outcome.TO_DO, move(azure, "a").id)


def test_another_cluster_is_not_held_up(azure: Site) -> None:
    journal = azure.journal()
    ran(azure, journal, "a")
    assert ran(azure, journal, "c")["c"].outcome is Outcome.WAITS


def test_two_that_are_under_way_already_are_both_gone_on_with(azure: Site) -> None:
    journals = azure.journal(), azure.journal()
    ran(azure, journals[0], "a")
    ran(azure, journals[1], "b")
    journal = Journal([*journals[0].entries, *journals[1].entries], lambda line: None, lambda: next(azure.clock))
    assert ran(azure, journal, "sys")["sys"].first == move(azure, "a").id
    assert ran(azure, journal, "b", "b")["b"].outcome is Outcome.MOVED
    assert ran(azure, journal, "a", "a")["a"].outcome is Outcome.MOVED
    assert ran(azure, journal, "sys")["sys"].outcome is Outcome.WAITS


def test_what_was_taken_back_or_refused_holds_nothing_up(azure: Site) -> None:
    journal = azure.journal()
    body = {"match": {"operation": "create_node_pool"}, "effect": {"refuse": {"code": "RequestDisallowedByPolicy"}}}
    azure.arm.put("/_poolwright/faults/policy", {**body, "count": 1}, {})
    assert ran(azure, journal, "a")["a"].outcome is Outcome.FAILED
    assert ran(azure, journal, "b")["b"].outcome is Outcome.WAITS
    assert application(azure, journal, "b").roll_back(move(azure, "b")).outcome is Outcome.WAITS
    assert ran(azure, journal, "a")["a"].first == move(azure, "b").id, "its roll-back is not over"
    assert application(azure, journal, "b").roll_back(move(azure, "b")).outcome is Outcome.ROLLED_BACK
    assert ran(azure, journal, "a")["a"].outcome is Outcome.WAITS


def test_a_roll_back_that_waits_stops_nothing_but_its_own_cluster(azure: Site) -> None:
    journal = azure.journal()
    ran(azure, journal, "a")
    assert application(azure, journal).roll_back(move(azure, "a")).outcome is Outcome.WAITS
    results = ran(azure, journal, "a b sys c")
    assert (results["a"].outcome, results["a"].run) == (Outcome.WAITS, ())
    assert [results[name].outcome for name in ("b", "sys")] == [Outcome.STOPPED] * 2
    assert results["b"].why == "a of its cluster is being rolled back and comes first"
    assert (results["c"].outcome, bool(results["c"].run)) == (Outcome.WAITS, True)
    assert application(azure, journal).going_back() == {move(azure, "a").id}
    assert application(azure, journal, "a").roll_back(move(azure, "a")).outcome is Outcome.ROLLED_BACK
    assert application(azure, journal).going_back() == set()


def test_one_that_others_changed_while_it_moved_is_ended_before_the_next_begins(azure: Site) -> None:
    journal = azure.journal()
    meddled = Application(azure.plan, azure.arm, journal, Meddling(azure), lambda move, entry: None)
    results = by_name(meddled.run(identities(azure, "a b"), 1))
    assert results["a"].outcome is Outcome.CHANGED
    assert (results["b"].outcome, results["b"].first) == (Outcome.STOPPED, move(azure, "a").id)
    assert stand(azure) == {"sys", "a", "ag2", "b"}


def test_a_system_pool_that_comes_before_its_turn_is_told(azure: Site) -> None:
    journal = azure.journal()

    def told(names: str) -> list[Any]:
        early = application(azure, journal).before_their_turn(identities(azure, names))
        return [(each.pool, [other.pool for other in others]) for each, others in early]

    assert told("a b") == []
    assert told("a b c sys other") == []
    assert told("a sys other") == [("sys", ["b"]), ("other", ["c"])]
    journal.append(move(azure, "b").id, StepName.DELETE_POOL, Event.DONE)
    assert told("a sys") == []
