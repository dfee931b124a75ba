"""What others do while node pools move, and requests that fail or are late: nothing is lost, and there is a way on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.apply import Application, ByHand, MoveResult, Outcome
from poolwright.fleet.arm import NoAnswer
from poolwright.fleet.journal import Event
from poolwright.fleet.plan import PoolFound, StepName
from tests.fleet.sites import Json, Site, by_hand, fault, move, scale, shown, site, two_pools, without_etags


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Site]:
    """a and b in a cluster, c in another: each gets a new node pool beside it."""
    with site(tmp_path / "data", two_pools(), Profile.AZURE_2026) as made:
        yield made


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"nodeLabels": {"team": "x"}, "nodeTaints": ["gpu=yes:NoSchedule"]}, "nodeLabels, nodeTaints"),
        ({"tags": {"owner": "x"}}, "tags"),
        ({"enableAutoScaling": True, "minCount": 1, "maxCount": 3}, "enableAutoScaling, minCount, maxCount"),
    ],
)
def test_where_the_export_has_no_etags_what_was_set_since_is_seen(
    azure: Site, change: Mapping[str, Any], differing: str
) -> None:
    without_etags(azure)
    path = move(azure, "a").id
    azure.arm.put(path, {"properties": {**shown(azure.pool(path)), **change}}, {})
    (result,) = azure.application().run({path}, 1)
    assert (result.outcome, result.why) == (Outcome.CHANGED, f"it was changed since this was planned: {differing}")
    assert azure.pool(f"{path}g2") is None


def test_what_a_service_fills_in_by_itself_is_no_change_since_an_older_export(azure: Site) -> None:
    without_etags(azure)
    told = ("count", "vmSize", "mode", "osType", "type", "enableAutoScaling", "minCount", "maxCount", "nodeLabels")

    def older(known: PoolFound) -> PoolFound:
        properties = {name: value for name, value in known.properties.items() if name in told}
        return replace(known, properties=properties, node_image=None)

    found = (replace(each, pools=tuple(map(older, each.pools))) for each in azure.plan.found)
    azure.plan = replace(azure.plan, found=tuple(found))
    assert [result.why for result in azure.applied()] == ["", "", ""]


FAILING = {"failAtStep": "no"}
REFUSING = {"refuse": {"code": "RequestDisallowedByPolicy"}}


@pytest.mark.parametrize("effect", [FAILING, REFUSING], ids=["failed", "refused"])
@pytest.mark.parametrize("back", [False, True], ids=["on", "back"])
def test_a_deletion_that_took_no_effect_is_gone_on_with_or_taken_back(
    azure: Site, effect: Mapping[str, Any], back: bool
) -> None:
    step = {"step": "remove_resources"} if effect is FAILING else {}
    fault(azure, "stays", {"operation": "delete_node_pool", "pool": "a", **step}, effect)
    journal, path = azure.journal(), move(azure, "a").id
    (result,) = azure.application(journal).run({path}, 1)
    assert (result.outcome, result.why.startswith("delete-pool: ")) == (Outcome.FAILED, True), result.why

    if not back:
        assert azure.application(journal).run({path}, 1)[0].outcome is Outcome.MOVED
        assert (azure.pool(path), azure.pool(f"{path}g2") is None) == (None, False)
        return
    if effect is FAILING:
        result = azure.application(journal).roll_back(move(azure, "a"))
        assert (result.outcome, "a is Failed: have it come to Succeeded" in result.why) == (Outcome.FAILED, True)
        assert Event.UNDOING not in [entry.event for entry in journal.entries], "it can still be gone on with"
        scale(azure, path, 2)
    assert azure.application(journal).roll_back(move(azure, "a")).outcome is Outcome.ROLLED_BACK
    assert (azure.pool(path) is None, azure.pool(f"{path}g2")) == (False, None)


@pytest.mark.parametrize("effect", [FAILING, REFUSING], ids=["failed", "refused"])
def test_a_pool_that_others_changed_after_its_deletion_failed_is_left_and_the_move_is_taken_back(
    azure: Site, effect: Mapping[str, Any]
) -> None:
    step = {"step": "remove_resources"} if effect is FAILING else {}
    fault(azure, "stays", {"operation": "delete_node_pool", "pool": "a", **step}, effect)
    journal, path = azure.journal(), move(azure, "a").id
    azure.application(journal).run({path}, 1)
    scale(azure, path, 5)
    assert azure.application(journal).run({path}, 1)[0].outcome is Outcome.CHANGED
    assert azure.application(journal).roll_back(move(azure, "a")).outcome is Outcome.ROLLED_BACK
    assert (shown(azure.pool(path))["count"], azure.pool(f"{path}g2")) == (5, None)


def test_a_create_whose_answer_was_lost_and_that_comes_late_is_still_this_move_s(
    azure: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, late = azure.arm.put, []

    def lost(target: str, body: Json, headers: Mapping[str, str]) -> None:
        if not late:
            late.append((target, body, headers))
            raise NoAnswer("the reply was lost")
        monkeypatch.setattr(azure.arm, "put", put)
        put(*late[0])
        put(target, body, headers)

    monkeypatch.setattr(azure.arm, "put", lost)
    journal, path = azure.journal(), move(azure, "a").id
    assert azure.application(journal).run({path}, 1)[0].why == "add-pool: the reply was lost"
    assert azure.application(journal).run({path}, 1)[0].why.startswith("add-pool: PreconditionFailed: ")
    assert azure.application(journal).run({path}, 1)[0].outcome is Outcome.MOVED
    assert azure.pool(f"{path}g2") is not None


def test_an_autoscaler_that_is_held_by_a_failed_operation_is_held_again(azure: Site) -> None:
    fault(azure, "half", {"operation": "update_node_pool", "pool": "b", "step": "mark_succeeded"}, FAILING)
    journal, path = azure.journal(), move(azure, "b").id
    (result,) = azure.application(journal).run({path}, 1)
    assert (result.outcome, result.why.startswith("hold-autoscaler: ")) == (Outcome.FAILED, True), result.why
    held = by_hand(azure, journal)["b"]
    assert (held.outcome, shown(azure.pool(path))["provisioningState"]) == (Outcome.WAITS, "Succeeded")


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"vmSize": "Standard_D8s_v5"}, "size"),
        ({"nodeLabels": {"owner": "other"}}, "labels"),
        ({"nodeTaints": ["other=1:NoSchedule"]}, "taints"),
    ],
)
def test_a_pool_that_somebody_else_made_in_the_replacement_s_place_is_neither_used_nor_taken_back(
    azure: Site, change: Mapping[str, Any], differing: str
) -> None:
    journal, path = azure.journal(), move(azure, "c").id
    by_hand(azure, journal)
    asked = next(step.request for step in move(azure, "c").steps if step.name is StepName.ADD_POOL)
    assert asked is not None
    azure.arm.delete(f"{path}g2", {})
    azure.arm.put(f"{path}g2", {"properties": {**asked.properties, **change}}, {})
    before = azure.pools()
    why = f"cg2 is not as this made it ({differing}), so somebody else made or changed it"
    result = by_hand(azure, journal, "c")["c"]
    assert (result.outcome, result.why.partition(": ")[2].startswith("cg2 ")) == (Outcome.FAILED, True), result.why

    def back() -> MoveResult:
        nodes = ByHand([path], journal)
        return Application(azure.plan, azure.arm, journal, nodes, lambda move, entry: None).roll_back(move(azure, "c"))

    back()
    result = back()
    assert (result.outcome, result.why.startswith(why)) == (Outcome.FAILED, True), result.why
    assert {name: azure.pools()[name] for name in before} == before
    azure.arm.delete(f"{path}g2", {})
    assert back().outcome is Outcome.ROLLED_BACK


def test_a_replacement_that_was_scaled_is_still_this_move_s(azure: Site) -> None:
    journal, path = azure.journal(), move(azure, "c").id
    by_hand(azure, journal)
    scale(azure, f"{path}g2", 3)
    assert by_hand(azure, journal, "c")["c"].outcome is Outcome.MOVED


def test_what_others_set_while_the_autoscaler_was_held_stays_as_they_set_it(azure: Site) -> None:
    journal, path = azure.journal(), move(azure, "b").id
    application = Application(azure.plan, azure.arm, journal, ByHand([], journal), lambda move, entry: None)
    assert application.run({path}, 1)[0].outcome is Outcome.WAITS
    bounds = {"enableAutoScaling": True, "minCount": 3, "maxCount": 20}
    azure.arm.put(path, {"properties": {**shown(azure.pool(path)), **bounds}}, {})
    application.roll_back(move(azure, "b"))

    nodes = ByHand([path], journal)
    application = Application(azure.plan, azure.arm, journal, nodes, lambda move, entry: None)
    why = "b was left as others set it meanwhile (minCount, maxCount)"
    assert why in application.look_back(move(azure, "b")).why
    result = application.roll_back(move(azure, "b"))
    assert (result.outcome, result.why) == (Outcome.ROLLED_BACK, why)
    left = shown(azure.pool(path))
    assert {name: left[name] for name in bounds} == bounds
    assert azure.pool(f"{path}g2") is None
