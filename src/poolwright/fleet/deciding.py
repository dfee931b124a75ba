"""What comes next of a step, or of its undoing, by what the endpoint shows: it took effect, or this has to be done.

Who carries a plan out, and who only looks, ask here, so that both come to the same.

Invariant: nothing is changed here, neither at the endpoint nor in the journal. What refuses a step raises before the
step is begun.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from poolwright.domain.image_name import image_stem
from poolwright.domain.node_pool_kind import Mode, PowerState
from poolwright.fleet.arm import Arm, Json, etag_of, properties_of, state_of, unquoted
from poolwright.fleet.comparison import (
    StepFailed,
    as_asked,
    changed_by,
    differing,
    known,
    making_again,
    otherwise_than_asked,
    read,
    replacement_of,
    request_of,
    set_by_others,
    why_not_in_its_place,
    why_not_ready,
)
from poolwright.fleet.journal import Past
from poolwright.fleet.plan import Plan, PoolMove, Request, Step, StepName
from poolwright.fleet.values import FleetPool


class Changed(Exception):
    """The node pool is not what the plan was made for."""


@dataclass(frozen=True, slots=True)
class Done:
    """The step took effect; what has to be remembered of it."""

    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of kubectl have to be run."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A request has to be sent."""

    method: Literal["PUT", "DELETE"]
    path: str
    headers: Mapping[str, str]
    body: Json = field(default_factory=dict)


Decision = Done | Lines | Send
# Returns a resource when no operation works on it any more, None where there is none.
Settled = Callable[[str], Json | None]


class Deciding:
    """Decides for the moves of one plan. `settled` waits for operations, or raises where nobody waits."""

    def __init__(self, plan: Plan, arm: Arm, settled: Settled) -> None:
        self._arm = arm
        self._settled_or_gone = settled
        self._found = {
            f"{cluster.id}/agentPools/{pool.name}".lower(): pool for cluster in plan.found for pool in cluster.pools
        }
        self._step: Final[Mapping[StepName, Callable[[PoolMove, Step, Past], Decision]]] = {
            StepName.CONFIRM: self._confirm,
            StepName.CHANGE: self._change,
            StepName.ADD_POOL: self._add_pool,
            StepName.HOLD_AUTOSCALER: self._hold_autoscaler,
            StepName.CORDON: self._emptying,
            StepName.DRAIN: self._emptying,
            StepName.DELETE_POOL: self._delete_pool,
        }

    def step(self, move: PoolMove, step: Step, past: Past) -> Decision:
        """Return what comes next of a step. Raises `Changed`, `StepFailed`, `Refused` and `NoAnswer`."""
        return self._step[step.name](move, step, past)

    def sent(self, move: PoolMove, step: Step) -> Mapping[str, Any]:
        """Return what has to be remembered once the step's request is over. Raises as `step` does."""
        match step.name:
            case StepName.ADD_POOL:
                return self._made(move, self._settled(replacement_of(move)))
            case StepName.CHANGE:
                self._require_ready(move, self._settled(move.id))
            case StepName.HOLD_AUTOSCALER:
                resource = self._settled(move.id)
                return {"etag": etag_of(resource), "properties": known(read(resource))}
            case StepName.DELETE_POOL:
                if self._settled_or_gone(move.id) is not None:
                    raise StepFailed(f"{move.pool} is still there")
        return {}

    def way_back(self, move: PoolMove, past: Past) -> None:
        """Return when a move may be taken back, before anything is touched. Raises as `step` does."""
        deleting = StepName.DELETE_POOL in past.begun
        resource = self._settled_or_gone(move.id) if deleting else self._arm.get(move.id)
        # A deletion that failed left another ETag, so that a request which is still on its way is refused.
        if deleting and (resource is None or etag_of(resource) == past.etag):
            raise StepFailed(
                f"the deletion of {move.pool} was begun and may have taken effect: nothing was taken back. End the "
                "move, with the same command without --roll-back"
            )
        # What stands beside a node pool that is gone, or that a deletion has begun with, is all there is.
        if StepName.ADD_POOL in past.begun and (deleting or resource is None):
            self._require_old_carries(move, past)

    def undo(self, move: PoolMove, step: Step, past: Past) -> Decision:
        """Return what takes a step back. Raises as `step` does."""
        match step.name:
            case StepName.CORDON | StepName.DRAIN:
                return Lines(step.undo)
            case StepName.ADD_POOL:
                replacement = self._settled_or_gone(replacement_of(move))
                if replacement is None:
                    return Done()
                self._require_own(move, replacement, past)
                self._require_old_carries(move, past)
                return Send(method="DELETE", path=replacement_of(move), headers=_condition(replacement))
            case StepName.HOLD_AUTOSCALER | StepName.CHANGE:
                assert step.undo_request is not None
                resource = self._settled(move.id)
                if _is_as_before(resource, past):
                    return Done()
                if names := set_by_others(known(read(resource)), _before(past)["properties"], step):
                    return Done({"left": f"{move.pool} was left as others set it meanwhile ({', '.join(names)})"})
                return _over(resource, step.undo_request)
            case _:
                return Done()

    def undone(self, move: PoolMove, step: Step) -> None:
        """Return when the request that takes a step back came to what it must. Raises as `step` does."""
        if step.name is not StepName.ADD_POOL and (state := state_of(self._settled(move.id))) != "Succeeded":
            raise StepFailed(f"{move.pool} is {state}")

    def made_by_another(self, move: PoolMove) -> str | None:
        """Return what stands there of a move by which this journal changed nothing, and what to do.

        None where nothing does. Raises `Refused`, `NoAnswer` and `StepFailed`.
        """
        resource = self._arm.get(replacement_of(move) if move.replacement is not None else move.id)
        if resource is None or (move.replacement is None and why_not_ready(move, resource) is not None):
            return None
        return _known_to_another(move)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _confirm(self, move: PoolMove, step: Step, past: Past) -> Decision:
        resource = self._arm.get(move.id)
        try:
            if resource is None:
                raise Changed("it is not there any more")
            pool = self._require_as_planned(move, resource)
        except Changed as changed:
            # The steps of an earlier run change it, too.
            if (standing := self.made_by_another(move)) is not None:
                raise Changed(f"{changed}; {standing}") from None
            raise
        return Done({"etag": etag_of(resource), "properties": known(pool), "image": pool.node_image})

    def _add_pool(self, move: PoolMove, step: Step, past: Past) -> Decision:
        self._require_untouched(move, past)
        request = request_of(step)
        there = self._arm.get(request.pool)
        body = {"properties": request.properties}
        if there is None:
            headers = {**request.headers, "If-None-Match": "*"}
            return Send(method="PUT", path=request.pool, headers=headers, body=body)
        if step.name not in past.begun:
            raise StepFailed(
                f"{_known_to_another(move)}; else plan anew from a fresh export, which gives the new one another name"
            )
        self._require_own(move, there, past)
        there = self._settled(request.pool)
        if state_of(there) != "Succeeded":
            # It was made and failed; the same request again has the service try again.
            return Send(method="PUT", path=request.pool, headers=request.headers, body=body)
        return Done(self._made(move, there))

    def _hold_autoscaler(self, move: PoolMove, step: Step, past: Past) -> Decision:
        request = request_of(step)
        resource = self._settled(move.id)
        wanted = changed_by(past.properties, request)
        if step.name in past.begun and etag_of(resource) != past.etag and known(read(resource)) == wanted:
            if state_of(resource) == "Succeeded":
                return Done({"etag": etag_of(resource), "properties": wanted})
            # It was held and failed; the same request again has the service try again.
            return _over(resource, request)
        self._require_untouched(move, past, resource)
        return _over(resource, request)

    def _emptying(self, move: PoolMove, step: Step, past: Past) -> Decision:
        """The lines that have pods leave, for which there has to be somewhere to go."""
        resource = self._require_untouched(move, past)
        self._require_in_its_place(move, past, resource, self._settled(replacement_of(move)), "drained")
        return Lines(step.kubectl)

    def _delete_pool(self, move: PoolMove, step: Step, past: Past) -> Decision:
        again = step.name in past.begun
        resource = self._arm.get(move.id)
        if resource is None and again:
            return Done()
        self._require_in_its_place(move, past, resource, self._settled(replacement_of(move)), "deleted")
        if again and resource is not None:
            resource = self._settled_or_gone(move.id)
            if resource is None:
                return Done()
            if etag_of(resource) != past.etag and _is_as_left(resource, past):
                # Nothing but its state and ETag is another: the deletion that was begun did not take effect.
                return Send(method="DELETE", path=move.id, headers=_condition(resource))
        return Send(method="DELETE", path=move.id, headers=_condition(self._require_untouched(move, past, resource)))

    def _change(self, move: PoolMove, step: Step, past: Past) -> Decision:
        again = step.name in past.begun
        resource = self._settled(move.id) if again else self._require_untouched(move, past)
        if again and etag_of(resource) != past.etag:
            why = why_not_ready(move, resource)
            if why is None:
                return Done()
            if state_of(resource) == "Succeeded":
                raise Changed(f"somebody else changed it while it moved: {why}")
        return _over(resource, request_of(step))

    # --- what has to hold ---------------------------------------------------------------------------------------------

    def _require_as_planned(self, move: PoolMove, resource: Json) -> FleetPool:
        """The node pool, which must be as it was when this was planned. Raises `Changed`."""
        pool, found = read(resource), self._found[move.id.lower()]
        if found.etag is not None and unquoted(found.etag) != etag_of(resource):
            raise Changed(f"its ETag is {etag_of(resource)}, and was {unquoted(found.etag)} when this was planned")
        if found.etag is None and (names := differing(found, pool)):
            raise Changed(f"it was changed since this was planned: {', '.join(names)}")
        if state_of(resource) != "Succeeded":
            raise Changed(f"it is {state_of(resource) or 'in an unknown state'}; a move begins with what has Succeeded")
        return pool

    def _require_untouched(self, move: PoolMove, past: Past, resource: Json | None = None) -> Json:
        """The old node pool, on which nobody but this worked since its move began. Raises `Changed`."""
        resource = resource or self._arm.get(move.id)
        beside = f"; {move.replacement} stands beside it" if StepName.ADD_POOL in past.begun else ""
        if resource is None:
            raise Changed(f"somebody else deleted it while it moved{beside}")
        if etag_of(resource) != past.etag:
            raise Changed(
                f"somebody else changed it while it moved: its ETag is {etag_of(resource)}, and was {past.etag}{beside}"
                ". --roll-back takes back what was done"
            )
        return resource

    def _require_in_its_place(
        self, move: PoolMove, past: Past, resource: Json | None, replacement: Json, what: str
    ) -> None:
        """Return when the replacement does the old node pool's work, which is then drained or deleted.

        Raises `StepFailed`.
        """
        self._require_ready(move, replacement)
        old, new = read(resource) if resource is not None else None, read(replacement)
        if old is not None and (why := why_not_in_its_place(move, old, new, what)):
            raise StepFailed(why)
        if (old or new).mode is Mode.SYSTEM and new.mode is not Mode.SYSTEM:
            raise StepFailed(f"{move.pool} is a system node pool, and {move.replacement} is none")
        self._require_own(move, replacement, past)

    def _require_old_carries(self, move: PoolMove, past: Past) -> None:
        """Return when the work has the old node pool to go back to, or there is no replacement. Raises `StepFailed`."""
        if self._arm.get(replacement_of(move)) is None:
            return
        stays = f"{move.replacement} was not deleted"
        resource = self._settled_or_gone(move.id)
        if resource is None:
            raise StepFailed(
                f"{move.pool} is not there any more, and {stays}: it is the only one left. Keep it, and plan anew; or "
                f"make {move.pool} again first: {'; '.join(making_again(move))}"
            )
        pool, before = read(resource), _before(past)["properties"]
        had = read({"id": move.id, "properties": before}).count
        if state_of(resource) != "Succeeded":
            why = f"is {state_of(resource)}: have it come to Succeeded"
        elif pool.power is not PowerState.RUNNING:
            why = f"is {pool.power.value if pool.power else 'in an unknown power state'}: start it"
        elif had and not pool.count:
            why = f"has no machines, and had {had}: scale it"
        else:
            return
        raise StepFailed(f"{move.pool} {why}, and then the same command again; {stays}")

    def _settled(self, path: str) -> Json:
        resource = self._settled_or_gone(path)
        if resource is None:
            raise StepFailed(f"{path.rpartition('/')[2]} is not there any more")
        return resource

    def _require_ready(self, move: PoolMove, resource: Json) -> None:
        if why := why_not_ready(move, resource):
            raise StepFailed(why)

    def _made(self, move: PoolMove, there: Json) -> Mapping[str, Any]:
        """What has to be remembered of the replacement, which must be ready."""
        self._require_ready(move, there)
        return {"made": known(read(there))}

    def _require_own(self, move: PoolMove, there: Json, past: Past) -> None:
        """What is there by the replacement's name must be what this move made. Raises `StepFailed`."""
        added = past.done.get(StepName.ADD_POOL)
        if added is None:
            # No reply ever said that it is this move's, so that it has to be as it was asked for.
            if names := otherwise_than_asked(as_asked(move), read(there)):
                raise StepFailed(
                    f"the cluster has a node pool {move.replacement} that is not as this asked for it "
                    f"({', '.join(names)}), so somebody else made or changed it: plan anew, or delete it"
                )
            return
        made = added.told.get("made", as_asked(move).properties)
        # How many machines it has may have become another number.
        names = otherwise_than_asked(read({"id": replacement_of(move), "properties": made}), read(there))
        if names := [name for name in names if name != "count"]:
            raise StepFailed(
                f"{move.replacement} is not as this made it ({', '.join(names)}), so somebody else made or changed it. "
                "Bring it back to what it was, and then the same command again; or, where it is not to be, delete it, "
                "and take the move back with --roll-back"
            )


def _known_to_another(move: PoolMove) -> str:
    """What stands there of a move of which the journal does not tell, and what to do."""
    there = (
        f"{move.pool} is what the plan makes of it already"
        if move.replacement is None
        else f"the cluster has a node pool {move.replacement} already"
    )
    return (
        f"{there}, of which this journal knows nothing. Where an earlier run made it, go on with the journal of that "
        "run, by --journal"
    )


def _over(resource: Json, request: Request) -> Send:
    """The change of some properties of a node pool, if it is still the one that was looked at."""
    body = {"properties": {**properties_of(resource), **request.properties}}
    return Send(method="PUT", path=request.pool, headers={**request.headers, **_condition(resource)}, body=body)


def _condition(resource: Json) -> Mapping[str, str]:
    """What has a request refused, once the node pool is another than was looked at."""
    etag = etag_of(resource)
    return {"If-Match": f'"{etag}"'} if etag else {}


def _before(past: Past) -> Mapping[str, Any]:
    """What is remembered of the old node pool, as it was when its move began."""
    return past.done[StepName.CONFIRM].told


def _is_as_left(resource: Json, past: Past) -> bool:
    """Whether the old node pool is as the last step of its move left it, whatever its state and ETag."""
    pool = read(resource)
    return known(pool) == past.properties and pool.node_image == _before(past)["image"]


def _is_as_before(resource: Json, past: Past) -> bool:
    """Whether the old node pool is what it was when its move began, which a roll-back that was killed may find."""
    before = _before(past)
    if etag_of(resource) == before["etag"]:
        return True
    pool = read(resource)
    return (
        state_of(resource) == "Succeeded"
        and known(pool) == before["properties"]
        and image_stem(pool.node_image or "") == image_stem(before["image"] or "")
    )
