"""A plan carried out at an endpoint, cluster beside cluster, and within a cluster one move after the other.

    look -> begun (journal) -> request -> wait -> look again -> done (journal)

A process that is killed anywhere in there goes on with the same step: what is begun and not done is looked at first,
and sent only where it did not take effect. Who only looks has the same decisions made, and sends nothing.

Invariant: a node pool that is not as it was planned for is not touched; the old node pool of a move is deleted only
while its replacement is ready and of Generation 2; after the first failure no further step begins; no move begins while
another one of its cluster is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from poolwright.domain.node_pool_kind import Mode
from poolwright.fleet.arm import Arm, Json, NoAnswer, Refused, is_busy, properties_of, state_of
from poolwright.fleet.comparison import StepFailed, making_again
from poolwright.fleet.deciding import Changed, Deciding, Done, Lines, Send
from poolwright.fleet.document import Document
from poolwright.fleet.journal import Entry, Event, Journal, Past
from poolwright.fleet.plan import ClusterPlan, Plan, PoolMove, Step, StepName

# Refusals of HTTP after which a request may be taken all the same: a timeout, and throttling that a proxy answers.
_MAY_STILL_TAKE_EFFECT: Final = (408, 429)


class Outcome(StrEnum):
    """How a move stands."""

    MOVED = "moved"
    TO_DO = "to do"
    WAITS = "waits"
    CHANGED = "changed"
    FAILED = "failed"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled back"
    NOTHING_TO_TAKE_BACK = "nothing to take back"


# Where no step comes next.
_NOT_GONE_ON_WITH: Final = (Outcome.ROLLED_BACK, Outcome.NOTHING_TO_TAKE_BACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken(Document):
    """A step that is done: how long it took, in seconds, and what has to be told about it."""

    step: StepName
    seconds: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult(Document):
    """How a move stands, why, what a person has to run, and what was done so far.

    `next` is the step that comes now; where a roll-back was looked at, the one that is taken back first. `first` is the
    ID of the move of the same cluster that has to come to its end before this one begins.
    """

    id: str
    resource_group: str
    cluster: str
    pool: str
    replacement: str | None
    outcome: Outcome
    why: str
    next: StepName | None
    run: tuple[str, ...]
    taken: tuple[StepTaken, ...]
    seconds: float
    first: str | None


class Nodes(Protocol):
    """Who has pods leave the nodes of a node pool."""

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        """Return in words how the lines of kubectl were run; None where a person has to. Raises `StepFailed`."""


class _Waits(Exception):
    """A person has to run these lines first."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("no Kubernetes cluster is reached from here")
        self.lines = lines


class _Halted(Exception):
    """Something failed elsewhere."""


class _Busy(Exception):
    """An operation works on what is looked at; says on what."""


# Told of every entry, as it is written.
Tell = Callable[[PoolMove, Entry], None]


class Application:
    """Carries a plan out, or takes a move of it back. Without `halts` a failure ends its own move alone.

    For who only looks, `nodes` must run nothing.
    """

    def __init__(self, plan: Plan, arm: Arm, journal: Journal, nodes: Nodes, tell: Tell, *, halts: bool = True) -> None:
        self._plan = plan
        self._arm = arm
        self._journal = journal
        self._nodes = nodes
        self._tell = tell
        self._halts = halts
        self._halted = threading.Event()
        self._clusters = {move.id: cluster for cluster in plan.clusters for move in cluster.moves}
        self._doing = Deciding(plan, arm, arm.settled)
        self._looking = Deciding(plan, arm, self._settled_already)

    def run(self, chosen: Collection[str], parallel: int) -> tuple[MoveResult, ...]:
        """Carry out the chosen moves, by ID, as far as they go; returns how each stands, in the plan's order.

        Raises `Interrupted` after `Arm.stop`.
        """
        results = self._side_by_side(chosen, parallel, self._carried_out, self._held_up)
        return tuple(results[move.id] for move in self._plan.moves if move.id in chosen)

    def look(self, chosen: Collection[str], parallel: int) -> tuple[MoveResult, ...]:
        """Return how each of the chosen moves stands, what its next step is, and what would refuse it now.

        Every move is looked at as if it came now, whichever comes first. Changes nothing.
        """
        results = self._side_by_side(chosen, parallel, self._looked, self._looked_ahead)
        return tuple(results[move.id] for move in self._plan.moves if move.id in chosen)

    def roll_back(self, move: PoolMove) -> MoveResult:
        """Take back what was begun of a move, last step first; returns how it stands."""
        past = self._past(move)
        try:
            if (over := self._nothing_to_take_back(move, past)) is not None:
                return over
            self._doing.way_back(move, past)
            for step in reversed(move.steps):
                if step.name in past.begun:
                    self._take_back(move, step)
            self._note(move, "", Event.ROLLED_BACK)
        except (Refused, NoAnswer, StepFailed) as error:
            return self._result(move, Outcome.FAILED, str(error))
        except _Waits as waits:
            self._note(move, "", Event.WAITS, {"run": list(waits.lines)})
            return self._result(move, Outcome.WAITS, str(waits), run=waits.lines)
        return self._result(move, Outcome.ROLLED_BACK, "; ".join(self._past(move).left))

    def look_back(self, move: PoolMove) -> MoveResult:
        """Return what taking back what was begun of a move would do, and what would refuse it now. Changes nothing."""
        past = self._past(move)
        begun = [step for step in reversed(move.steps) if step.name in past.begun]
        first, told = begun[0].name if begun else None, []
        try:
            if (over := self._nothing_to_take_back(move, past)) is not None:
                return over
            self._looking.way_back(move, past)
            for step in begun:
                decision = self._looking.undo(move, step, past)
                match decision:
                    case Done(remembered) if "left" in remembered:
                        told.append(f"{step.name.value} ({remembered['left']})")
                    case Lines(lines) if self._nodes.done(move, lines) is None:
                        if past.printed.issuperset(lines):
                            return self._result(move, Outcome.WAITS, str(_Waits(lines)), run=lines, next_step=first)
                        told.append(f"{step.name.value} (by {'; '.join(lines)})")
                    case Send():
                        self._asked_beforehand(move, step, decision)
                        what = "deletes" if decision.method == "DELETE" else "changes"
                        told.append(f"{step.name.value} ({what} {decision.path.rpartition('/')[2]})")
        except (Refused, NoAnswer, StepFailed) as error:
            return self._result(move, Outcome.FAILED, str(error), next_step=first)
        except _Busy as busy:
            told.append(str(busy))
        why = f"takes back {', '.join(told)}" if told else "what was begun of it changed nothing"
        return self._result(move, Outcome.TO_DO, why, next_step=first)

    def going_back(self) -> frozenset[str]:
        """Return the moves, by ID, whose roll-back was begun and has not ended: nothing else can be done with them."""
        pasts = {move.id: self._past(move) for move in self._plan.moves}
        return frozenset(identity for identity, past in pasts.items() if past.undoing and not past.has_ended)

    def before_their_turn(self, chosen: Collection[str]) -> Iterator[tuple[PoolMove, tuple[PoolMove, ...]]]:
        """Yield the system node pools that would move before others of their cluster which the plan has first."""
        for cluster in self._plan.clusters:
            left = [move for move in cluster.moves if not self._past(move).has_ended]
            users = tuple(move for move in left if move.mode == Mode.USER.value and move.id not in chosen)
            for move in left:
                if users and move.id in chosen and move.mode != Mode.USER.value:
                    yield move, users

    # --- the course of it ---------------------------------------------------------------------------------------------

    def _side_by_side(
        self,
        chosen: Collection[str],
        parallel: int,
        how: Callable[[PoolMove], MoveResult],
        held_up: Callable[[PoolMove, PoolMove], MoveResult],
    ) -> dict[str, MoveResult]:
        results: dict[str, MoveResult] = {}
        with ThreadPoolExecutor(parallel, thread_name_prefix="cluster") as pool:
            running = [
                pool.submit(self._cluster, cluster, chosen, how, held_up, results)
                for cluster in self._plan.clusters
                if any(move.id in chosen for move in cluster.moves)
            ]
            try:
                wait(running)
            except KeyboardInterrupt:
                self._halted.set()
                self._arm.stop()
                pool.shutdown(cancel_futures=True)
                raise
        for each in running:
            each.result()
        return results

    def _cluster(
        self,
        cluster: ClusterPlan,
        chosen: Collection[str],
        how: Callable[[PoolMove], MoveResult],
        held_up: Callable[[PoolMove, PoolMove], MoveResult],
        results: dict[str, MoveResult],
    ) -> None:
        """The chosen moves of one cluster, one after the other: first those that are under way, as long as they end."""
        under_way = [move for move in cluster.moves if self._past(move).is_under_way]
        others = [move for move in cluster.moves if move not in under_way]
        # A move that was not chosen and is under way keeps those from beginning that are not.
        first = next((move for move in under_way if move.id not in chosen), None) if self._halts else None
        try:
            for move in (*under_way, *others):
                if move.id not in chosen:
                    continue
                # What has ended begins no more, so that nothing comes before it.
                if first is None or move in under_way or self._past(move).has_ended:
                    results[move.id] = how(move)
                else:
                    results[move.id] = held_up(move, first)
                if self._halts and first is None and self._past(move).is_under_way:
                    first = move
        except BaseException:
            self._halted.set()
            raise

    def _held_up(self, move: PoolMove, first: PoolMove) -> MoveResult:
        """How a move stands that cannot begin before another one of its cluster has ended."""
        past = self._past(move)
        step = next(step for step in move.steps if step.name not in past.done)
        try:
            # One that can never begin is not to wait for that. After a failure nothing further is asked.
            if not self._halted.is_set():
                self._looking.step(move, step, past)
        except Changed as changed:
            return self._result(move, Outcome.CHANGED, str(changed), first=first)
        except (Refused, NoAnswer, StepFailed, _Busy):
            pass  # It shows when its turn comes.
        how = "is being rolled back" if self._past(first).undoing else "is under way"
        return self._result(move, Outcome.STOPPED, f"{first.pool} of its cluster {how} and comes first", first=first)

    def _carried_out(self, move: PoolMove) -> MoveResult:
        result = self._moved(move)
        if result.outcome is Outcome.FAILED and self._halts:
            self._halted.set()
        return result

    def _moved(self, move: PoolMove) -> MoveResult:
        if (over := self._over(move)) is not None:
            return over
        for step in move.steps:
            if step.name in self._past(move).done:
                continue
            try:
                if self._halted.is_set():
                    raise _Halted
                self._note(move, step.name, Event.DONE, self._taken(move, step))
            except (Refused, NoAnswer, StepFailed) as error:
                self._note(move, step.name, Event.FAILED, {"why": str(error)})
                return self._result(move, Outcome.FAILED, f"{step.name.value}: {error}")
            except Changed as changed:
                return self._result(move, Outcome.CHANGED, str(changed))
            except _Waits as waits:
                self._note(move, step.name, Event.WAITS, {"run": list(waits.lines)})
                return self._result(move, Outcome.WAITS, str(waits), run=waits.lines)
            except _Halted:
                return self._result(move, Outcome.STOPPED, "another move failed")
        return self._result(move, Outcome.MOVED, "")

    def _taken(self, move: PoolMove, step: Step) -> Mapping[str, Any]:
        """Take a step; returns what has to be remembered. Raises what says that it did not come to its end."""
        decision = self._doing.step(move, step, self._past(move))
        # What an earlier run sent and had no answer to may take effect at any moment, whatever this one comes to.
        is_first = step.name not in self._past(move).begun
        # Lines that were only printed may be run at any moment, so that the way back has to count with them.
        self._begin(move, step)
        match decision:
            case Done(told):
                return told
            case Lines(lines):
                how = self._nodes.done(move, lines)
                if how is None:
                    raise _Waits(self._lines_left(move, self._past(move)))
                return {"how": how}
            case Send():
                try:
                    self._send(decision)
                except Refused as refused:
                    if is_first and refused.status is not None and refused.status not in _MAY_STILL_TAKE_EFFECT:
                        # Nothing was done, and what is there from now on is never to be taken for this move's.
                        self._note(move, step.name, Event.UNDONE)
                    raise
                return self._doing.sent(move, step)

    def _take_back(self, move: PoolMove, step: Step) -> None:
        past = self._past(move)
        decision = self._doing.undo(move, step, past)
        if step.name not in past.undoing:
            self._note(move, step.name, Event.UNDOING)
        told: Mapping[str, Any] = {}
        match decision:
            case Done(told):
                pass
            case Lines(lines):
                if self._nodes.done(move, lines) is None:
                    raise _Waits(lines)
            case Send():
                self._send(decision)
                self._doing.undone(move, step)
        self._note(move, step.name, Event.UNDONE, told)

    def _send(self, request: Send) -> None:
        if request.method == "PUT":
            self._arm.put(request.path, request.body, request.headers)
        else:
            self._arm.delete(request.path, request.headers)

    def _over(self, move: PoolMove) -> MoveResult | None:
        """How a move stands of which no step can be taken; None where one can."""
        past = self._past(move)
        if past.rolled_back:
            return self._result(move, Outcome.ROLLED_BACK, "it was rolled back; plan anew to move it")
        if past.undoing:
            return self._result(move, Outcome.WAITS, "its roll-back was begun and has not ended")
        return None

    def _nothing_to_take_back(self, move: PoolMove, past: Past) -> MoveResult | None:
        """How a move stands of which nothing can be taken back; None where something can. Raises as `Arm.get`."""
        if past.rolled_back:
            return self._result(move, Outcome.ROLLED_BACK, "it was rolled back before")
        if not past.has_changed:
            if (standing := self._looking.made_by_another(move)) is not None:
                why = (
                    f"nothing was taken back: {standing}; else somebody else made it, and nothing is left of this move"
                )
                return self._result(move, Outcome.FAILED, why)
            return self._result(move, Outcome.NOTHING_TO_TAKE_BACK, "by this journal nothing of it was changed")
        if StepName.DELETE_POOL in past.done:
            why = f"{move.pool} is deleted, so nothing is taken back"
            return self._result(move, Outcome.MOVED, why, run=making_again(move))
        return None

    # --- looking ------------------------------------------------------------------------------------------------------

    def _looked(self, move: PoolMove) -> MoveResult:
        """How a move stands, by the decisions that would be made now: until something would have to be done."""
        if (over := self._over(move)) is not None:
            return over
        past, begun = self._past(move), "an earlier run began it" if self._past(move).begun else ""
        for step in move.steps:
            if step.name in past.done:
                continue
            try:
                decision = self._looking.step(move, step, past)
                match decision:
                    case Done(told):
                        past.suppose(step.name, told)
                    case Lines(lines) if self._nodes.done(move, lines) is not None:
                        past.suppose(step.name, {})
                    case Lines(lines) if past.printed.issuperset(lines):
                        lines = self._lines_left(move, past)
                        return self._result(move, Outcome.WAITS, str(_Waits(lines)), run=lines)
                    case Lines():
                        return self._result(move, Outcome.TO_DO, begun)
                    case Send():
                        unknown = self._asked_beforehand(move, step, decision)
                        return self._result(move, Outcome.TO_DO, "; ".join(filter(None, (begun, unknown))))
            except (Refused, NoAnswer, StepFailed) as error:
                return self._result(move, Outcome.FAILED, f"{step.name.value}: {error}")
            except Changed as changed:
                return self._result(move, Outcome.CHANGED, str(changed))
            except _Busy as busy:
                return self._result(move, Outcome.TO_DO, "; ".join(filter(None, (begun, str(busy)))))
        # What is left to do is to note in the journal that it took effect.
        return self._result(move, Outcome.TO_DO if self._left(move) else Outcome.MOVED, "")

    def _looked_ahead(self, move: PoolMove, first: PoolMove) -> MoveResult:
        """How a move stands before which another one of its cluster has to end, as if it came now."""
        return replace(self._looked(move), first=first.id)

    def _asked_beforehand(self, move: PoolMove, step: Step, request: Send) -> str:
        """Have the endpoint say whether it would take a request; returns what cannot be known, in words.

        Raises `Refused` as the request would, and `StepFailed` where its operation would fail.
        """
        if request.method != "PUT":
            return ""
        if not isinstance(properties_of(self._arm.get(move.id) or {}).get("poolwright"), dict):
            if step.name is StepName.CHANGE:
                return "whether the endpoint changes a node pool in place shows only when it is asked to; AKS does not"
            return ""
        failing = self._arm.what_if(request.path, request.body, request.headers).get("operationWouldFail")
        if isinstance(failing, dict):
            raise StepFailed(f"{failing.get('code')}: {failing.get('message')}")
        return ""

    def _settled_already(self, path: str) -> Json | None:
        """The resource, on which no operation works. Raises `_Busy`: who looks does not wait."""
        resource = self._arm.get(path)
        if resource is not None and is_busy(resource):
            raise _Busy(f"{path.rpartition('/')[2]} is {state_of(resource)}, whose end would be waited for")
        return resource

    # --- the journal --------------------------------------------------------------------------------------------------

    def _past(self, move: PoolMove) -> Past:
        return Past.of(self._journal.of(move.id))

    def _left(self, move: PoolMove) -> list[StepName]:
        past = self._past(move)
        return [step.name for step in move.steps if step.name not in past.done]

    def _lines_left(self, move: PoolMove, past: Past) -> tuple[str, ...]:
        return tuple(line for step in move.steps if step.name not in past.done for line in step.kubectl)

    def _begin(self, move: PoolMove, step: Step) -> None:
        if step.name not in self._past(move).begun:
            self._note(move, step.name, Event.BEGUN)

    def _note(self, move: PoolMove, step: str, event: Event, told: Mapping[str, Any] | None = None) -> None:
        self._tell(move, self._journal.append(move.id, str(step), event, told))

    def _result(
        self,
        move: PoolMove,
        outcome: Outcome,
        why: str,
        *,
        run: tuple[str, ...] = (),
        next_step: StepName | None = None,
        first: PoolMove | None = None,
    ) -> MoveResult:
        past, cluster = self._past(move), self._clusters[move.id]
        taken = tuple(
            StepTaken(
                step=step.name,
                seconds=(past.done[step.name].at - past.begun.get(step.name, past.done[step.name].at)).total_seconds(),
                told=str(past.done[step.name].told.get("how", "")),
            )
            for step in move.steps
            if step.name in past.done
        )
        left = [next_step] if next_step is not None else self._left(move)
        return MoveResult(
            id=move.id,
            resource_group=cluster.resource_group,
            cluster=cluster.cluster,
            pool=move.pool,
            replacement=move.replacement,
            outcome=outcome,
            why=why,
            next=left[0] if left and outcome not in _NOT_GONE_ON_WITH else None,
            run=run,
            taken=taken,
            seconds=sum(each.seconds for each in taken),
            first=first.id if first is not None else None,
        )


class ByHand:
    """Nothing here reaches a cluster: a person runs kubectl, and says so afterwards.

    Only lines that an earlier run asked for can have been run: what is drained before its replacement is there has
    nowhere to go.
    """

    def __init__(self, said: Collection[str], journal: Journal) -> None:
        self._run = {pool: Past.of(journal.of(pool)).printed for pool in said}

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        return "run by hand, as was said" if self._run.get(move.id, set()).issuperset(lines) else None
