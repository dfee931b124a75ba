"""Plans for tests: made as the command line makes them, and looked up by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poolwright.domain.profile import Profile
from poolwright.fleet.audit import audit
from poolwright.fleet.overrides import Overrides, read_overrides
from poolwright.fleet.plan import Plan, PoolMove
from poolwright.fleet.planning import plan
from poolwright.fleet.values import Fleet
from tests.fleet.fleets import cluster, fleet_of, pool, targets_for

GEN1 = "AKSUbuntu-2204containerd-202512.18.0"


def planned(fleet: Fleet, profile: Profile = Profile.AZURE_2026, overrides: Overrides | None = None) -> Plan:
    targets = targets_for(fleet, profile)
    return plan(fleet, audit(fleet, targets), targets, overrides)


def move_of(profile: Profile = Profile.AZURE_2026, **properties: Any) -> PoolMove:
    """The move of the only node pool of the only cluster."""
    (only,) = planned(fleet_of(cluster(pool(**properties))), profile).moves
    return only


def decided(tmp_path: Path, text: str) -> Overrides:
    (tmp_path / "decisions.yaml").write_text(text)
    return read_overrides(tmp_path / "decisions.yaml")


def named(made: Plan, name: str) -> PoolMove:
    (only,) = [move for each in made.clusters for move in each.moves if f"{each.cluster}/{move.pool}" == name]
    return only
