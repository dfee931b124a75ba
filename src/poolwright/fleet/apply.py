"""A plan carried out at an endpoint, cluster beside cluster, and within a cluster one move after the other.

    look -> begun (journal) -> request -> wait -> look again -> done (journal)

A process that is killed anywhere in there goes on with the same step: what is begun and not done is looked at first,
and sent only where it did not take effect.

Invariant: a node pool that is not as it was planned for is not touched; the old node pool of a move is deleted only
while its replacement is ready and of Generation 2; after the first failure no further step begins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from poolwright.domain.node_pool_kind import Mode, PowerState
from poolwright.fleet.arm import Arm, Json, NoAnswer, Refused, etag_of, properties_of, state_of, unquoted
from poolwright.fleet.audit import image_stem
from poolwright.fleet.document import Document
from poolwright.fleet.formats import read_pool
from poolwright.fleet.journal import Entry, Event, Journal
from poolwright.fleet.plan import Plan, PoolFound, PoolMove, Request, Step, StepName
from poolwright.fleet.values import FleetPool, Origin

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken(Document):
    """A step that is done: how long it took, in seconds, and what has to be told about it."""

    step: StepName
    seconds: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult(Document):
    """How a move stands, why, what a person has to run, and what was done so far. `next` is the step that comes now."""

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


class Nodes(Protocol):
    """Who has pods leave the nodes of a node pool."""

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        """Return in words how the lines of kubectl were run; None where a person has to. Raises `StepFailed`."""


class StepFailed(Exception):
    """A step did not come to what it must; says what is there instead."""


class _Changed(Exception):
    """The node pool is not what the plan was made for."""


class _Waits(Exception):
    """A person has to run these lines first."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("no Kubernetes cluster is reached from here")
        self.lines = lines


class _Halted(Exception):
    """Something failed elsewhere."""


@dataclass(slots=True)
class _Past:
    """What the journal says about a move."""

    begun: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, Entry] = field(default_factory=dict)
    undoing: set[str] = field(default_factory=set)
    rolled_back: bool = False
    etag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> _Past:
        past = cls()
        for entry in entries:
            match entry.event:
                case Event.BEGUN:
                    past.begun.setdefault(entry.step, entry.at)
                case Event.DONE:
                    past.done[entry.step] = entry
                    past.etag = entry.told.get("etag", past.etag)
                    past.properties = entry.told.get("properties", past.properties)
                case Event.UNDOING:
                    past.undoing.add(entry.step)
                case Event.UNDONE:
                    past.begun.pop(entry.step, None)
                    past.done.pop(entry.step, None)
                case Event.ROLLED_BACK:
                    past.rolled_back = True
        return past


# Told of every entry, as it is written.
Tell = Callable[[PoolMove, Entry], None]


class Application:
    """Carries a plan out, or takes a move of it back. Without `halts` a failure ends its own move alone."""

    def __init__(self, plan: Plan, arm: Arm, journal: Journal, nodes: Nodes, tell: Tell, *, halts: bool = True) -> None:
        self._plan = plan
        self._arm = arm
        self._journal = journal
        self._nodes = nodes
        self._tell = tell
        self._halts = halts
        self._halted = threading.Event()
        self._clusters = {move.id: cluster for cluster in plan.clusters for move in cluster.moves}
        self._found = {
            f"{cluster.id}/agentPools/{pool.name}".lower(): pool for cluster in plan.found for pool in cluster.pools
        }
        self._act: Final[Mapping[StepName, Callable[[PoolMove, Step, bool], Mapping[str, Any]]]] = {
            StepName.CONFIRM: self._confirm,
            StepName.CHANGE: self._change,
            StepName.ADD_POOL: self._add_pool,
            StepName.HOLD_AUTOSCALER: self._hold_autoscaler,
            StepName.CORDON: self._by_kubectl,
            StepName.DRAIN: self._by_kubectl,
            StepName.DELETE_POOL: self._delete_pool,
        }

    def run(self, chosen: Collection[str], parallel: int) -> tuple[MoveResult, ...]:
        """Carry out the chosen moves, by ID, as far as they go; returns how each stands, in the plan's order.

        Raises `Interrupted` after `Arm.stop`.
        """
        results = self._side_by_side(chosen, parallel, self._cluster)
        return tuple(results[move.id] for move in self._plan.moves if move.id in chosen)

    def look(self, chosen: Collection[str], parallel: int) -> tuple[MoveResult, ...]:
        """Return how each of the chosen moves stands and what its next step is. Changes nothing."""

        def looked(moves: Sequence[PoolMove], results: dict[str, MoveResult]) -> None:
            for move in moves:
                results[move.id] = self._looked(move)

        results = self._side_by_side(chosen, parallel, looked)
        return tuple(results[move.id] for move in self._plan.moves if move.id in chosen)

    def roll_back(self, move: PoolMove) -> MoveResult:
        """Take back what was begun of a move, last step first; returns how it stands."""
        past = self._past(move)
        try:
            if past.rolled_back or not (past.begun or past.undoing):
                return self._result(move, Outcome.ROLLED_BACK, "nothing of it is done")
            if StepName.DELETE_POOL in past.done:
                why = f"{move.pool} is deleted, so nothing is taken back"
                return self._result(move, Outcome.MOVED, why, _afterwards(move))
            if StepName.DELETE_POOL in past.begun:
                raise StepFailed(
                    f"the deletion of {move.pool} was begun and may have taken effect: nothing was taken back. End the "
                    "move, with the same command without --roll-back"
                )
            # Before anything is touched: what stands beside a node pool that is gone is all there is.
            if StepName.ADD_POOL in past.begun and self._arm.get(move.id) is None:
                self._require_old_carries(move)
            for step in reversed(move.steps):
                if step.name in past.begun:
                    if step.name not in past.undoing:
                        self._note(move, step.name, Event.UNDOING)
                    self._undo(move, step)
                    self._note(move, step.name, Event.UNDONE)
            self._note(move, "", Event.ROLLED_BACK)
        except (Refused, NoAnswer, StepFailed) as error:
            return self._result(move, Outcome.FAILED, str(error))
        except _Waits as waits:
            self._note(move, "", Event.WAITS, {"run": list(waits.lines)})
            return self._result(move, Outcome.WAITS, str(waits), waits.lines)
        return self._result(move, Outcome.ROLLED_BACK, "")

    # --- the course of it ---------------------------------------------------------------------------------------------

    def _side_by_side(
        self,
        chosen: Collection[str],
        parallel: int,
        work: Callable[[Sequence[PoolMove], dict[str, MoveResult]], None],
    ) -> dict[str, MoveResult]:
        moves = [[move for move in cluster.moves if move.id in chosen] for cluster in self._plan.clusters]
        results: dict[str, MoveResult] = {}
        with ThreadPoolExecutor(parallel, thread_name_prefix="cluster") as pool:
            running = [pool.submit(work, each, results) for each in moves if each]
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

    def _cluster(self, moves: Sequence[PoolMove], results: dict[str, MoveResult]) -> None:
        """The moves of one cluster, until one of them does not come to its end."""
        waiting: MoveResult | None = None
        try:
            for move in moves:
                if waiting is not None:
                    results[move.id] = self._result(move, Outcome.STOPPED, f"{waiting.pool} of its cluster comes first")
                    continue
                result = results[move.id] = self._moved(move)
                if result.outcome is Outcome.FAILED and self._halts:
                    self._halted.set()
                elif result.outcome is Outcome.WAITS:
                    waiting = result
        except BaseException:
            self._halted.set()
            raise

    def _moved(self, move: PoolMove) -> MoveResult:
        past = self._past(move)
        if past.rolled_back:
            return self._result(move, Outcome.ROLLED_BACK, "it was rolled back; plan anew to move it")
        if past.undoing:
            return self._result(move, Outcome.FAILED, "its roll-back was begun: end it with --roll-back")
        for step in move.steps:
            if step.name in past.done:
                continue
            try:
                if self._halted.is_set():
                    raise _Halted
                # `again` where an earlier run began the step; what is returned has to be remembered.
                told = self._act[step.name](move, step, step.name in past.begun)
                self._note(move, step.name, Event.DONE, told)
            except (Refused, NoAnswer, StepFailed) as error:
                self._note(move, step.name, Event.FAILED, {"why": str(error)})
                return self._result(move, Outcome.FAILED, f"{step.name.value}: {error}")
            except _Changed as changed:
                return self._result(move, Outcome.CHANGED, str(changed))
            except _Waits as waits:
                self._note(move, step.name, Event.WAITS, {"run": list(waits.lines)})
                return self._result(move, Outcome.WAITS, str(waits), waits.lines)
            except _Halted:
                return self._result(move, Outcome.STOPPED, "another move failed")
        return self._result(move, Outcome.MOVED, "")

    def _looked(self, move: PoolMove) -> MoveResult:
        past = self._past(move)
        if past.rolled_back:
            return self._result(move, Outcome.ROLLED_BACK, "it was rolled back; plan anew to move it")
        if all(step.name in past.done for step in move.steps):
            return self._result(move, Outcome.MOVED, "")
        if past.begun:
            return self._result(move, Outcome.TO_DO, "an earlier run began it")
        try:
            self._require_as_planned(move, self._arm.get(move.id))
        except _Changed as changed:
            return self._result(move, Outcome.CHANGED, str(changed))
        except (Refused, NoAnswer) as error:
            return self._result(move, Outcome.FAILED, str(error))
        return self._result(move, Outcome.TO_DO, "")

    # --- steps --------------------------------------------------------------------------------------------------------

    def _confirm(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        resource = self._arm.get(move.id)
        pool = self._require_as_planned(move, resource)
        assert resource is not None
        self._begin(move, step)
        return {"etag": etag_of(resource), "properties": _known(pool), "image": pool.node_image}

    def _add_pool(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        self._require_untouched(move)
        request = _request(step)
        there = self._arm.get(request.pool)
        if there is not None and not again:
            raise StepFailed(
                f"the cluster has a node pool {move.replacement} already, which this did not make: plan anew, or "
                "delete it"
            )
        self._begin(move, step)
        if there is None:
            try:
                body = {"properties": request.properties}
                self._arm.put(request.pool, body, {**request.headers, "If-None-Match": "*"})
            except Refused as refused:
                if refused.status is not None and refused.status not in _MAY_STILL_TAKE_EFFECT:
                    # Nothing was made, and what is there from now on is never to be taken for this move's.
                    self._note(move, step.name, Event.UNDONE)
                raise
        else:
            self._require_as_asked(move, there)
            if state_of(self._settled(request.pool)) != "Succeeded":
                # It was made and failed; the same request again has the service try again.
                self._arm.put(request.pool, {"properties": request.properties}, request.headers)
        self._require_ready(move, self._settled(request.pool))
        return {}

    def _hold_autoscaler(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        request, past = _request(step), self._past(move)
        resource = self._settled(move.id)
        wanted = _changed_by(past.properties, request)
        if again and etag_of(resource) != past.etag and _known(_read(resource)) == wanted:
            return {"etag": etag_of(resource), "properties": wanted}
        self._require_untouched(move, resource)
        self._begin(move, step)
        self._put_over(resource, request)
        resource = self._settled(move.id)
        return {"etag": etag_of(resource), "properties": _known(_read(resource))}

    def _by_kubectl(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        # Lines that were only printed may be run at any moment, so that the way back has to count with them.
        self._begin(move, step)
        how = self._nodes.done(move, step.kubectl)
        if how is None:
            past = self._past(move)
            raise _Waits(tuple(line for each in move.steps if each.name not in past.done for line in each.kubectl))
        return {"how": how}

    def _delete_pool(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        resource = self._arm.get(move.id)
        if resource is None and again:
            return {}
        replacement = self._settled(_replacement(move))
        self._require_ready(move, replacement)
        if resource is not None and (why := _why_not_in_its_place(move, _read(resource), _read(replacement))):
            raise StepFailed(why)
        modes = [_read(each).mode for each in (resource, replacement) if each is not None]
        if modes[0] is Mode.SYSTEM and modes[-1] is not Mode.SYSTEM:
            raise StepFailed(f"{move.pool} is a system node pool, and {move.replacement} is none")
        if again and resource is not None and state_of(resource) == "Deleting":
            resource = self._arm.settled(move.id)
            if resource is None:
                return {}
        self._require_untouched(move, resource)
        self._begin(move, step)
        etag = etag_of(resource or {})
        self._arm.delete(move.id, {"If-Match": f'"{etag}"'} if etag else {})
        if self._arm.settled(move.id) is not None:
            raise StepFailed(f"{move.pool} is still there")
        return {}

    def _change(self, move: PoolMove, step: Step, again: bool) -> Mapping[str, Any]:
        past, request = self._past(move), _request(step)
        resource = self._settled(move.id) if again else self._require_untouched(move)
        if again and etag_of(resource) != past.etag:
            if _why_not_ready(move, resource) is None:
                return {}
            if state_of(resource) == "Succeeded":
                raise _Changed(f"somebody else changed it while it moved: {_why_not_ready(move, resource)}")
        self._begin(move, step)
        self._put_over(resource, request)
        self._require_ready(move, self._settled(move.id))
        return {}

    def _undo(self, move: PoolMove, step: Step) -> None:
        match step.name:
            case StepName.CORDON | StepName.DRAIN:
                if self._nodes.done(move, step.undo) is None:
                    raise _Waits(step.undo)
            case StepName.ADD_POOL:
                if (replacement := self._arm.settled(_replacement(move))) is not None:
                    if step.name not in self._past(move).done:
                        # No reply ever said that it is this move's.
                        self._require_as_asked(move, replacement)
                    self._require_old_carries(move)
                    self._arm.delete(_replacement(move), {})
            case StepName.HOLD_AUTOSCALER | StepName.CHANGE:
                assert step.undo_request is not None
                resource = self._settled(move.id)
                if not self._is_as_before(move, resource):
                    self._put_over(resource, step.undo_request)
                    if state_of(self._settled(move.id)) != "Succeeded":
                        raise StepFailed(f"{move.pool} is {state_of(self._settled(move.id))}")

    def _require_old_carries(self, move: PoolMove) -> None:
        """Return when the work has the old node pool to go back to, or there is no replacement. Raises `StepFailed`."""
        if self._arm.get(_replacement(move)) is None:
            return
        stays = f"{move.replacement} was not deleted"
        resource = self._arm.settled(move.id)
        if resource is None:
            raise StepFailed(
                f"{move.pool} is not there any more, and {stays}: it is the only one left. Keep it, and plan anew; or "
                f"make {move.pool} again first: {'; '.join(_afterwards(move))}"
            )
        pool, before = _read(resource), self._past(move).done[StepName.CONFIRM].told["properties"]
        had = _read({"id": move.id, "properties": before}).count
        if state_of(resource) != "Succeeded":
            why = f"is {state_of(resource)}: have it come to Succeeded"
        elif pool.power is not PowerState.RUNNING:
            why = f"is {pool.power.value if pool.power else 'in an unknown power state'}: start it"
        elif had and not pool.count:
            why = f"has no machines, and had {had}: scale it"
        else:
            return
        raise StepFailed(f"{move.pool} {why}, and then the same command again; {stays}")

    def _is_as_before(self, move: PoolMove, resource: Json) -> bool:
        """Whether the old node pool is what it was when its move began, which a roll-back that was killed may find."""
        before = self._past(move).done[StepName.CONFIRM].told
        if etag_of(resource) == before["etag"]:
            return True
        pool = _read(resource)
        return (
            state_of(resource) == "Succeeded"
            and _known(pool) == before["properties"]
            and image_stem(pool.node_image or "") == image_stem(before["image"] or "")
        )

    # --- looking ------------------------------------------------------------------------------------------------------

    def _require_as_planned(self, move: PoolMove, resource: Json | None) -> FleetPool:
        """The node pool, which must be as it was when this was planned. Raises `_Changed`."""
        if resource is None:
            raise _Changed("it is not there any more")
        pool, found = _read(resource), self._found[move.id.lower()]
        if found.etag is not None and unquoted(found.etag) != etag_of(resource):
            raise _Changed(f"its ETag is {etag_of(resource)}, and was {unquoted(found.etag)} when this was planned")
        if found.etag is None and (differing := _differing(found, pool)):
            raise _Changed(f"it was changed since this was planned: {', '.join(differing)}")
        if state_of(resource) != "Succeeded":
            raise _Changed(
                f"it is {state_of(resource) or 'in an unknown state'}; a move begins with what has Succeeded"
            )
        return pool

    def _require_untouched(self, move: PoolMove, resource: Json | None = None) -> Json:
        """The old node pool, on which nobody but this worked since its move began. Raises `_Changed`."""
        resource = resource or self._arm.get(move.id)
        past = self._past(move)
        beside = f"; {move.replacement} stands beside it" if StepName.ADD_POOL in past.begun else ""
        if resource is None:
            raise _Changed(f"somebody else deleted it while it moved{beside}")
        if etag_of(resource) != past.etag:
            raise _Changed(
                f"somebody else changed it while it moved: its ETag is {etag_of(resource)}, and was {past.etag}{beside}"
                ". --roll-back takes back what was done"
            )
        return resource

    def _settled(self, path: str) -> Json:
        resource = self._arm.settled(path)
        if resource is None:
            raise StepFailed(f"{path.rpartition('/')[2]} is not there any more")
        return resource

    def _require_ready(self, move: PoolMove, resource: Json) -> None:
        if why := _why_not_ready(move, resource):
            raise StepFailed(why)

    def _require_as_asked(self, move: PoolMove, resource: Json) -> None:
        """What is there by the replacement's name must be what this asked for. Raises `StepFailed`."""
        if differing := _otherwise_than_asked(_as_asked(move), _read(resource)):
            raise StepFailed(
                f"the cluster has a node pool {move.replacement} that is not as this asked for it "
                f"({', '.join(differing)}), so somebody else made or changed it: plan anew, or delete it"
            )

    def _put_over(self, resource: Json, request: Request) -> None:
        """Change some properties of a node pool, if it is still the one that was looked at."""
        etag = etag_of(resource)
        condition = {"If-Match": f'"{etag}"'} if etag else {}
        body = {"properties": {**properties_of(resource), **request.properties}}
        self._arm.put(request.pool, body, {**request.headers, **condition})

    # --- the journal --------------------------------------------------------------------------------------------------

    def _past(self, move: PoolMove) -> _Past:
        return _Past.of(self._journal.of(move.id))

    def _begin(self, move: PoolMove, step: Step) -> None:
        if step.name not in self._past(move).begun:
            self._note(move, step.name, Event.BEGUN)

    def _note(self, move: PoolMove, step: str, event: Event, told: Mapping[str, Any] | None = None) -> None:
        self._tell(move, self._journal.append(move.id, str(step), event, told))

    def _result(self, move: PoolMove, outcome: Outcome, why: str, run: tuple[str, ...] = ()) -> MoveResult:
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
        left = [step.name for step in move.steps if step.name not in past.done]
        return MoveResult(
            id=move.id,
            resource_group=cluster.resource_group,
            cluster=cluster.cluster,
            pool=move.pool,
            replacement=move.replacement,
            outcome=outcome,
            why=why,
            next=left[0] if left and outcome is not Outcome.ROLLED_BACK else None,
            run=run,
            taken=taken,
            seconds=sum(each.seconds for each in taken),
        )


class ByHand:
    """Nothing here reaches a cluster: a person runs kubectl, and says so afterwards.

    Only lines that an earlier run asked for can have been run: what is drained before its replacement is there has
    nowhere to go.
    """

    def __init__(self, said: Collection[str], journal: Journal) -> None:
        self._run = {
            pool: {line for entry in journal.of(pool) if entry.event is Event.WAITS for line in entry.told["run"]}
            for pool in said
        }

    def done(self, move: PoolMove, lines: Sequence[str]) -> str | None:
        return "run by hand, as was said" if self._run.get(move.id, set()).issuperset(lines) else None


def _request(step: Step) -> Request:
    assert step.request is not None, "every step but those of kubectl and the first has a request"
    return step.request


def _replacement(move: PoolMove) -> str:
    return f"{move.id.rpartition('/')[0]}/{move.replacement}"


def _afterwards(move: PoolMove) -> tuple[str, ...]:
    """The lines that make the old node pool again, once it is deleted."""
    return next(step.undo for step in move.steps if step.name is StepName.DELETE_POOL)


def _read(resource: Json) -> FleetPool:
    pool = read_pool(resource, Origin("the endpoint"), lambda path, what: None)
    if pool is None:
        raise StepFailed(f"what the endpoint answers is no node pool: {sorted(resource)}")
    return pool


def _known(pool: FleetPool) -> dict[str, Any]:
    """The properties of a node pool that a PUT could carry, without nulls."""
    version = {"orchestratorVersion": str(pool.version)} if pool.version is not None else {}
    return {name: value for name, value in {**pool.properties, **version}.items() if value is not None}


def _changed_by(properties: Mapping[str, Any], request: Request) -> dict[str, Any]:
    changed = {**properties, **request.properties}
    return {name: value for name, value in changed.items() if value is not None}


def _differing(found: PoolFound, pool: FleetPool) -> list[str]:
    """What differs from the export, of all it told. An autoscaler changes the count of its node pool all the time."""
    known = _known(pool)
    differing = [
        name
        for name, value in found.properties.items()
        # Exports have `false` where replies have nothing, and the other way round.
        if (known.get(name) or None) != (value or None) and not (name == "count" and pool.autoscaling)
    ]
    if found.node_image is not None and found.node_image != pool.node_image:
        differing.append("nodeImageVersion")
    return differing


def _why_not_ready(move: PoolMove, resource: Json) -> str | None:
    """Why the moved node pool, or the replacement, is not what the move is to come to; None where it is."""
    pool = _read(resource)
    name, definition = pool.id.pool, move.image_definition.removeprefix("windows-")
    if state_of(resource) != "Succeeded":
        return f"{name} is {state_of(resource) or 'in an unknown state'}"
    if definition not in (pool.node_image or ""):
        return f"{name} has the node image {pool.node_image}, and was to have {definition}"
    missing = {size.to.size.lower() for size in move.sizes} - {size.lower() for size in pool.sizes}
    if missing:
        return f"{name} has no machines of {', '.join(sorted(missing))}"
    own = properties_of(resource).get("poolwright")
    observed = own.get("observedGenerations") if isinstance(own, dict) else None
    if isinstance(observed, dict) and observed.get("V1"):
        return f"{observed['V1']} machines of {name} show Generation 1"
    return None


def _why_not_in_its_place(move: PoolMove, old: FleetPool, replacement: FleetPool) -> str | None:
    """Why the old node pool is still needed: its replacement does not run, or has too few machines; None else."""
    name = replacement.id.pool
    if replacement.power is not PowerState.RUNNING:
        state = replacement.power.value if replacement.power is not None else "in an unknown power state"
        return f"{name} is {state}: start it before {move.pool} is deleted"
    # What has drained off the old node pool has to have somewhere to go; one that never had machines needs none.
    planned = _as_asked(move).count or old.count
    wanted = max(replacement.min_count or 0, min(planned, 1)) if replacement.autoscaling else planned
    if replacement.count < wanted:
        return f"{name} has {replacement.count} machines, and {wanted} are needed before {move.pool} is deleted"
    return None


def _as_asked(move: PoolMove) -> FleetPool:
    """The replacement as the plan asks for it."""
    (request,) = [_request(step) for step in move.steps if step.name is StepName.ADD_POOL]
    return _read({"id": request.pool, "properties": request.properties})


def _sizes(pool: FleetPool) -> object:
    return sorted(size.lower() for size in pool.sizes)


def _labels(pool: FleetPool) -> object:
    # AKS adds its own, to spot machines among others.
    labels = pool.properties.get("nodeLabels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(_OF_AKS)}


def _taints(pool: FleetPool) -> object:
    return sorted(taint for taint in pool.properties.get("nodeTaints") or [] if not taint.startswith(_OF_AKS))


def _machines(pool: FleetPool) -> object:
    return sorted((profile.size.lower(), profile.count) for profile in pool.scale)


_OF_AKS: Final = "kubernetes.azure.com/"
# What a node pool is known by again, as its reader has it; None is what a request leaves to the service.
_KNOWN_BY: Final[Mapping[str, Callable[[FleetPool], object]]] = {
    "size": _sizes,
    "mode": lambda pool: pool.mode,
    "labels": _labels,
    "taints": _taints,
    "osType": lambda pool: pool.os_type,
    "osSKU": lambda pool: pool.os_sku,
    "count": _machines,
}


def _otherwise_than_asked(asked: FleetPool, there: FleetPool) -> list[str]:
    """What differs from the request. An autoscaler changes the count of its node pool all the time."""
    return [
        name
        for name, of in _KNOWN_BY.items()
        if of(asked) is not None and of(asked) != of(there) and not (name == "count" and asked.autoscaling)
    ]
