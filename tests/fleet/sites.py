"""A fleet that stands in the application of this process, and a plan for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from poolwright.domain.profile import Profile
from poolwright.fleet import rehearsal
from poolwright.fleet.apply import Application, MoveResult
from poolwright.fleet.arm import Arm
from poolwright.fleet.audit import audit
from poolwright.fleet.journal import Journal, in_memory
from poolwright.fleet.plan import Plan, plan
from poolwright.fleet.rehearsal import NotDrained, NotLoaded
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import SUBSCRIPTION, fleet_of, targets_for
from tests.support.in_process import BASE, InProcess

Json = dict[str, Any]


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
        for cluster in self.plan.found:
            answer = self.service.client.get(f"{cluster.id}/agentPools").json()
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
    """Yield the fleet, loaded as a rehearsal loads it."""
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
        yield service, arm
    finally:
        arm.close()
        service.close()


def _seconds() -> Iterator[datetime]:
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    while True:
        yield now
        now += timedelta(seconds=1)
