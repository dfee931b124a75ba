"""Looking at a plan: the same decisions as carrying it out, at every point of its course, and nothing is changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet import rehearsal
from poolwright.fleet.apply import Application, ByHand, MoveResult, Outcome
from poolwright.fleet.arm import Arm
from poolwright.fleet.document import document_of
from poolwright.fleet.journal import Entry, Journal
from poolwright.fleet.kubectl import WouldRun
from poolwright.fleet.plan import StepName
from tests.fleet.sites import Json, Site, by_name, move, plan_of, shown, site, two_pools


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Site]:
    """a and b in a cluster, c in another: each gets a new node pool beside it."""
    with site(tmp_path / "data", two_pools(), Profile.AZURE_2026) as made:
        yield made


def application(there: Site, journal: Journal, *said: str) -> Application:
    done = ByHand([move(there, name).id for name in said], journal)
    return Application(there.plan, there.arm, journal, done, lambda move, entry: None)


def kept(journal: Journal) -> Journal:
    """The journal as who only looks has it: nothing can be written."""

    def refuse(line: bytes) -> NoReturn:
        raise AssertionError("who only looks writes nothing")

    return Journal(list(journal.entries), refuse, lambda: journal.entries[-1].at)


def looked(there: Site, journal: Journal, *said: str) -> dict[str, MoveResult]:
    before = there.pools()
    results = application(there, kept(journal), *said).look({each.id for each in there.plan.moves}, 1)
    assert there.pools() == before
    return by_name(results)


def took_its_name(there: Site) -> None:
    there.arm.put(f"{move(there, 'a').id}g2", {"properties": {"vmSize": "Standard_D4s_v5", "count": 1}}, {})


def planned_for_another_profile(there: Site) -> None:
    there.plan = rehearsal.as_loaded(plan_of(two_pools(), Profile.DOCUMENTED), there.arm)


def took_the_quota(there: Site) -> None:
    usages = f"{there.plan.clusters[0].id.partition('/resource')[0]}/providers/Microsoft.Compute/locations/eastus"
    there.arm.put(f"{usages}/usages/cores", {"limit": 1}, {})


def changed_it(there: Site) -> None:
    path = move(there, "a").id
    there.arm.put(path, {"properties": {**shown(there.pool(path)), "count": 5}}, {})


def deleted_it(there: Site) -> None:
    there.arm.delete(move(there, "a").id, {})


@pytest.mark.parametrize(
    ("happened", "outcome", "why"),
    [
        (took_its_name, Outcome.FAILED, "add-pool: the cluster has a node pool ag2 already"),
        (planned_for_another_profile, Outcome.FAILED, "change: PropertyChangeNotAllowed: "),
        (took_the_quota, Outcome.FAILED, "add-pool: ErrCode_InsufficientVCPUQuota: "),
        (changed_it, Outcome.CHANGED, "its ETag is "),
        (deleted_it, Outcome.CHANGED, "it is not there any more"),
    ],
)
def test_what_refuses_a_move_at_once_is_seen_by_looking_in_the_same_words(
    azure: Site, happened: Any, outcome: Outcome, why: str
) -> None:
    happened(azure)
    journal = azure.journal()
    seen = looked(azure, journal)["a"]
    assert (seen.outcome, seen.why.startswith(why)) == (outcome, True), seen.why
    (came,) = application(azure, journal).run({move(azure, "a").id}, 1)
    assert (came.outcome, came.why) == (seen.outcome, seen.why)


@pytest.mark.parametrize(
    ("change", "outcome", "why"),
    [
        ({}, Outcome.TO_DO, "an earlier run began it"),
        ({"powerState": {"code": "Stopped"}}, Outcome.FAILED, "cordon: ag2 is Stopped: start it before a is drain"),
        ({"count": 0}, Outcome.FAILED, "cordon: ag2 has 0 machines, and 2 are needed before a is drained"),
    ],
)
def test_a_move_that_waited_for_kubectl_is_looked_at_as_far_as_it_would_go(
    azure: Site, change: Mapping[str, Any], outcome: Outcome, why: str
) -> None:
    journal = azure.journal()
    (waiting,) = application(azure, journal).run({move(azure, "a").id}, 1)
    seen = looked(azure, journal)["a"]
    assert (seen.outcome, seen.run) == (Outcome.WAITS, waiting.run)

    if change:
        path = f"{move(azure, 'a').id}g2"
        azure.arm.put(path, {"properties": {**shown(azure.pool(path)), **change}}, {})
    seen = looked(azure, journal, "a")["a"]
    assert (seen.outcome, seen.why.startswith(why), seen.next) == (outcome, True, StepName.CORDON), seen.why


def test_lines_that_were_never_printed_are_to_be_printed(azure: Site) -> None:
    journal = azure.journal()
    application(azure, journal).run({move(azure, "a").id}, 1)
    # Killed right before the lines were printed.
    begun = next(number for number, entry in enumerate(journal.entries) if entry.step == StepName.CORDON)
    earlier = Journal(list(journal.entries[:begun]), lambda line: None, lambda: next(azure.clock))
    seen = looked(azure, earlier, "a")["a"]
    assert (seen.outcome, seen.next, seen.run) == (Outcome.TO_DO, StepName.CORDON, ())


@pytest.mark.parametrize("profile", list(Profile), ids=lambda profile: profile.value)
def test_at_every_point_of_its_course_looking_changes_nothing_and_sees_no_obstacle(
    tmp_path: Path, profile: Profile
) -> None:
    class Killed(BaseException):
        pass

    lines: list[bytes] = []
    left = 0

    def write(line: bytes) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        lines.append(line)

    with site(tmp_path / "data", two_pools(), profile) as there:
        chosen, seen = {move(there, "b").id}, []
        for _ in range(30):
            journal = Journal([document_of(Entry, line) for line in lines], write, lambda: next(there.clock))
            seen.append(looked(there, journal, "b")["b"].outcome)
            left = 1
            with contextlib.suppress(Killed):
                if application(there, journal, "b").run(chosen, 1)[0].outcome is Outcome.MOVED:
                    break
        else:
            raise AssertionError("it makes no progress")
        assert len(seen) > 3
        # After the last entry there is nothing left but to say so.
        assert {*seen[:-1]} == {Outcome.TO_DO}
        assert looked(there, journal, "b")["b"].outcome is Outcome.MOVED


def shows(there: Site, monkeypatch: pytest.MonkeyPatch, path: str, properties: Mapping[str, Any]) -> None:
    """Have the endpoint show that node pool with these properties; None takes one away."""
    get = there.arm.get

    def answer(target: str, *arguments: Any) -> Json | None:
        resource = get(target, *arguments)
        if resource is None or target.lower() != path.lower():
            return resource
        changed = {**resource["properties"], **properties}
        return {**resource, "properties": {name: value for name, value in changed.items() if value is not None}}

    monkeypatch.setattr(there.arm, "get", answer)


def test_what_an_operation_works_on_is_not_waited_for(azure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = azure.journal()
    application(azure, journal).run({move(azure, "a").id}, 1)
    added = [entry for entry in journal.entries if entry.step in (StepName.CONFIRM, StepName.ADD_POOL)][:-1]
    begun = Journal(added, lambda line: None, lambda: next(azure.clock))
    shows(azure, monkeypatch, f"{move(azure, 'a').id}g2", {"provisioningState": "Creating"})
    seen = application(azure, begun).look({move(azure, "a").id}, 1)[0]
    assert seen.outcome is Outcome.TO_DO
    assert seen.why == "an earlier run began it; ag2 is Creating, whose end would be waited for"


def test_an_endpoint_that_cannot_be_asked_beforehand_is_not_asked(azure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(self: Arm, *arguments: Any) -> NoReturn:
        raise AssertionError("Azure has no whatIf of node pools")

    beside, chosen = azure.plan, {move(azure, name).id for name in ("a", "b")}
    planned_for_another_profile(azure)
    monkeypatch.setattr(Arm, "what_if", asked)
    for path in chosen:
        shows(azure, monkeypatch, path, {"poolwright": None})

    results = azure.application().look(chosen, 1)
    assert [result.outcome for result in results] == [Outcome.TO_DO] * 2
    assert all("shows only when it is asked to; AKS does not" in result.why for result in results)
    azure.plan = beside
    results = azure.application().look(chosen, 1)
    assert [(result.outcome, result.why) for result in results] == [(Outcome.TO_DO, "")] * 2


def test_what_is_accepted_and_then_fails_is_told(azure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"operationWouldFail": {"code": "OperationNotAllowed", "message": "it cannot boot"}}
    monkeypatch.setattr(azure.arm, "what_if", lambda *arguments: failing)
    (seen,) = azure.application().look({move(azure, "a").id}, 1)
    assert (seen.outcome, seen.why) == (Outcome.FAILED, "add-pool: OperationNotAllowed: it cannot boot")


def test_kubectl_that_would_be_run_has_to_be_there(azure: Site) -> None:
    journal = azure.journal()
    application(azure, journal).run({move(azure, "a").id}, 1)

    def seen(program: str) -> MoveResult:
        nodes = WouldRun(program)
        looking = Application(azure.plan, azure.arm, kept(journal), nodes, lambda move, entry: None)
        return looking.look({move(azure, "a").id}, 1)[0]

    assert (seen("sh").outcome, seen("sh").why) == (Outcome.TO_DO, "an earlier run began it")
    assert seen("no-such-kubectl").outcome is Outcome.FAILED
    assert seen("no-such-kubectl").why.startswith("cordon: there is no no-such-kubectl on this machine")


# --- the way back -----------------------------------------------------------------------------------------------------


def looked_back(there: Site, journal: Journal, name: str, *said: str) -> MoveResult:
    before = there.pools()
    result = application(there, kept(journal), *said).look_back(move(there, name))
    assert there.pools() == before
    return result


def test_looking_at_a_roll_back_says_what_it_would_do(azure: Site) -> None:
    journal = azure.journal()
    chosen = {move(azure, "b").id}
    seen = looked_back(azure, azure.journal(), "b")
    assert (seen.outcome, seen.why) == (Outcome.NOTHING_TO_TAKE_BACK, "by this journal nothing of it was changed")

    application(azure, journal).run(chosen, 1)
    uncordon = "kubectl uncordon -l kubernetes.azure.com/agentpool=b"
    seen = looked_back(azure, journal, "b")
    assert (seen.outcome, seen.next) == (Outcome.TO_DO, StepName.CORDON)
    assert seen.why == f"takes back cordon (by {uncordon}), hold-autoscaler (changes b), add-pool (deletes bg2)"

    back = application(azure, journal).roll_back(move(azure, "b"))
    seen = looked_back(azure, journal, "b")
    assert (seen.outcome, seen.run, seen.why) == (Outcome.WAITS, back.run, back.why)
    seen = looked_back(azure, journal, "b", "b")
    assert (seen.outcome, seen.why) == (Outcome.TO_DO, "takes back hold-autoscaler (changes b), add-pool (deletes bg2)")

    assert application(azure, journal, "b").roll_back(move(azure, "b")).outcome is Outcome.ROLLED_BACK
    assert looked_back(azure, journal, "b").outcome is Outcome.ROLLED_BACK


@pytest.mark.parametrize("ran_before", [False, True])
def test_what_another_journal_made_is_not_told_to_be_rolled_back(azure: Site, ran_before: bool) -> None:
    lost, journal = azure.journal(), azure.journal()
    application(azure, lost).run({move(azure, "a").id}, 1)
    if ran_before:
        assert application(azure, journal).run({move(azure, "a").id}, 1)[0].outcome is Outcome.FAILED
    seen, came = looked_back(azure, journal, "a"), application(azure, journal).roll_back(move(azure, "a"))
    assert (seen.outcome, came.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert seen.why == came.why
    assert came.why.startswith("nothing was taken back: the cluster has a node pool ag2 already, of which this journal")
    assert "--journal" in came.why
    assert azure.pool(f"{move(azure, 'a').id}g2") is not None

    azure.arm.delete(f"{move(azure, 'a').id}g2", {})
    came = application(azure, journal).roll_back(move(azure, "a"))
    assert (came.outcome, came.next) == (Outcome.NOTHING_TO_TAKE_BACK, None)
    assert application(azure, journal).run({move(azure, "a").id}, 1)[0].outcome is Outcome.WAITS, "it can still begin"


def test_who_lost_the_journal_is_told_what_stands_there(azure: Site) -> None:
    application(azure, azure.journal()).run({move(azure, "b").id}, 1)
    seen = looked(azure, azure.journal())["b"]
    assert seen.outcome is Outcome.CHANGED
    assert seen.why.startswith("its ETag is ")
    assert "; the cluster has a node pool bg2 already, of which this journal knows nothing" in seen.why


def test_a_change_in_place_that_another_journal_made_is_told(tmp_path: Path) -> None:
    with site(tmp_path / "data", two_pools(), Profile.DOCUMENTED) as own:
        own.application(own.journal()).run({move(own, "a").id}, 1)
        came = own.application(own.journal()).roll_back(move(own, "a"))
        assert came.outcome is Outcome.FAILED
        assert came.why.startswith("nothing was taken back: a is what the plan makes of it already")
        (seen,) = own.application(own.journal()).look({move(own, "a").id}, 1)
        assert (seen.outcome, "a is what the plan makes of it already" in seen.why) == (Outcome.CHANGED, True)


def test_a_roll_back_that_would_be_refused_is_seen_by_looking_in_the_same_words(azure: Site) -> None:
    journal = azure.journal()
    application(azure, journal).run({move(azure, "a").id}, 1)
    path = move(azure, "a").id
    azure.arm.put(path, {"properties": {**shown(azure.pool(path)), "count": 0}}, {})
    application(azure, journal).roll_back(move(azure, "a"))
    seen = looked_back(azure, journal, "a", "a")
    assert (seen.outcome, "a has no machines, and had 2: scale it" in seen.why) == (Outcome.FAILED, True), seen.why
    came = application(azure, journal, "a").roll_back(move(azure, "a"))
    assert (came.outcome, came.why) == (seen.outcome, seen.why)


def test_what_is_deleted_is_seen_to_have_no_way_back(azure: Site) -> None:
    journal = azure.journal()
    azure.application(journal).run({move(azure, "a").id}, 1)
    seen, came = looked_back(azure, journal, "a"), azure.application(journal).roll_back(move(azure, "a"))
    assert (seen.outcome, seen.run, seen.why) == (Outcome.MOVED, came.run, came.why)


def test_a_deletion_that_was_begun_is_seen_to_keep_a_move_from_being_taken_back(azure: Site) -> None:
    done = azure.journal()
    azure.application(done).run({move(azure, "a").id}, 1)
    journal = Journal(list(done.entries[:-1]), lambda line: None, lambda: next(azure.clock))
    seen, came = looked_back(azure, journal, "a"), azure.application(journal).roll_back(move(azure, "a"))
    assert seen.outcome is Outcome.FAILED
    assert seen.why.startswith("the deletion of a was begun and may have taken effect: nothing was taken back")
    assert (came.outcome, came.why) == (seen.outcome, seen.why)


def test_a_change_in_place_is_seen_to_be_changed_back_or_refused(tmp_path: Path) -> None:
    with site(tmp_path / "data", two_pools(), Profile.DOCUMENTED) as own:
        journal = own.journal()
        own.application(journal).run({move(own, "a").id}, 1)
        seen = looked_back(own, journal, "a")
        assert (seen.outcome, seen.next, seen.why) == (Outcome.TO_DO, StepName.CHANGE, "takes back change (changes a)")
        took_the_quota(own)
        seen = looked_back(own, journal, "a")
        assert (seen.outcome, "Quota" in seen.why) == (Outcome.FAILED, True), seen.why
        came = own.application(journal).roll_back(move(own, "a"))
        assert (came.outcome, came.why) == (seen.outcome, seen.why)
