"""A fleet that stands in the application of this process, and a plan for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from poolwright.domain.profile import Profile
from poolwright.fleet import arm as arm_module
from poolwright.fleet import rehearsal
from poolwright.fleet.apply import Application, ByHand, MoveResult
from poolwright.fleet.arm import Arm
from poolwright.fleet.audit import audit
from poolwright.fleet.journal import Journal, in_memory
from poolwright.fleet.plan import Plan, PoolMove
from poolwright.fleet.planning import plan
from poolwright.fleet.rehearsal import NotDrained, NotLoaded
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import SUBSCRIPTION, cluster, fleet_of, pool, targets_for
from tests.support.in_process import BASE, InProcess

Json = dict[str, Any]
SYSTEM = pool("sys", mode="System", vmSize="Standard_D4s_v5", count=1)


def plan_of(fleet: Fleet, profile: Profile) -> Plan:
    targets = targets_for(fleet, profile)
    return plan(fleet, audit(fleet, targets), targets)


@dataclass
class Site:
    """`plan` is for the fleet as it stands there, with the ETags of the service."""

    service: InProcess
    arm: Arm
    plan: Plan
    not_loaded: tuple[NotLoaded, ...]
    clock: Iterator[datetime] = field(default_factory=lambda: _seconds())

    def journal(self) -> Journal:
        return in_memory(lambda: next(self.clock))

    def application(self, journal: Journal | None = None, **settings: Any) -> Application:
        return Application(
            self.plan, self.arm, journal or self.journal(), NotDrained(), lambda move, entry: None, **settings
        )

    def applied(self) -> tuple[MoveResult, ...]:
        return self.application().run({move.id for move in self.plan.moves}, 1)

    def pool(self, path: str) -> Json | None:
        return self.arm.get(path)

    def pools(self) -> dict[str, Json]:
        """Every node pool there is, by ID in small letters."""
        found = {}
        for found_cluster in self.plan.found:
            answer = self.service.client.get(f"{found_cluster.id}/agentPools").json()
            found |= {each["id"].lower(): each for each in answer.get("value", [])}
        return found

    def fleet(self) -> Fleet:
        """The fleet as it stands now, read as an export is."""
        listed = self.service.client.get(
            f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.ContainerService/managedClusters"
        ).json()
        return fleet_of(*listed["value"])


@contextmanager
def site(directory: Path, fleet: Fleet, profile: Profile) -> Iterator[Site]:
    """Yield the fleet, loaded as a rehearsal loads it; operations are over when the reply comes, so nobody waits."""
    made = plan_of(fleet, profile)
    with _service(directory, Profile.DOCUMENTED) as (_, arm):
        not_loaded = rehearsal.load(made, arm, lambda text: None)
    with _service(directory, profile) as (service, arm):
        yield Site(service, arm, rehearsal.as_loaded(made, arm), not_loaded)


@contextmanager
def _service(directory: Path, profile: Profile) -> Iterator[tuple[InProcess, Arm]]:
    service = InProcess(directory, profile=profile, subscription_id=SUBSCRIPTION)
    # What an export has and no published definition: the tests of replies are elsewhere.
    service.client.sent = None
    arm = Arm(BASE, lambda renew: service.token(), transport=service.transport())
    try:
        with mock.patch.object(arm_module, "_FIRST_PAUSE_SECONDS", 0.0):
            yield service, arm
    finally:
        arm.close()
        service.close()


def two_pools() -> Fleet:
    spot = {"scaleSetPriority": "Spot", "enableAutoScaling": True, "minCount": 1, "maxCount": 5}
    return fleet_of(
        cluster(SYSTEM, pool("a", count=2), pool("b", nodeLabels={"team": "x"}, **spot)),
        cluster(SYSTEM, pool("c", count=1), name="c2"),
    )


def move(site: Site, name: str) -> PoolMove:
    (found,) = [each for each in site.plan.moves if each.pool == name]
    return found


def by_name(results: tuple[MoveResult, ...]) -> dict[str, MoveResult]:
    return {result.pool: result for result in results}


def shown(resource: Json | None) -> Json:
    assert resource is not None
    properties: Json = resource["properties"]
    return properties


def by_hand(there: Site, journal: Any, *said: str) -> dict[str, MoveResult]:
    done = ByHand([move(there, name).id for name in said], journal)
    application = Application(there.plan, there.arm, journal, done, lambda move, entry: None)
    return by_name(application.run({each.id for each in there.plan.moves}, 1))


def fault(there: Site, name: str, match: Mapping[str, Any], effect: Mapping[str, Any]) -> None:
    body = {"match": match, "effect": effect, "count": 1}
    there.arm.put(f"/_poolwright/faults/{name}", body, {})


def scale(there: Site, path: str, count: int) -> None:
    body = {"properties": {**shown(there.pool(path)), "count": count}}
    there.arm.put(path, body, {})


def without_etags(there: Site) -> None:
    there.plan = replace(
        there.plan,
        found=tuple(
            replace(each, pools=tuple(replace(known, etag=None) for known in each.pools)) for each in there.plan.found
        ),
    )


class Meddling:
    """Somebody else works on the old node pool just when it is to be drained."""

    def __init__(self, there: Site) -> None:
        self._there = there

    def done(self, move: PoolMove, lines: Any) -> str | None:
        if move.pool == "a":
            scale(self._there, move.id, 7)
        return "drained"


def _seconds() -> Iterator[datetime]:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    while True:
        yield now
        now += timedelta(seconds=1)
