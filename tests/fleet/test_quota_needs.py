"""Quota is counted while a move runs and after it, for each family, and of all moves together."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.plan import Plan
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.plans import GEN1, decided, planned


def test_quota_counts_what_runs_beside_each_other_and_what_stays(made: Plan) -> None:
    rows = {(row.location, row.family): row for row in made.quota}
    v3 = rows["eastus", "standardDSv3Family"]
    # lake: mixed 8 and system 4; old2: 6; shop-prod: batch 20.
    assert (v3.one_at_a_time, v3.all_at_once, v3.for_good) == (38, 38, 38)
    # win22 needs 8 beside its 8, and gives them back.
    v5 = rows["eastus", "standardDSv5Family"]
    assert (v5.one_at_a_time, v5.all_at_once, v5.for_good) == (8, 8, 0)
    assert rows["eastus", "lowPriorityCores"].one_at_a_time == 24


def test_a_size_is_not_taken_for_a_family() -> None:
    old = pool("old", vmSize="Standard_D4_v3"), pool("sgx", vmSize="Standard_DC2s", nodeImageVersion=GEN1, count=1)
    made = planned(fleet_of(cluster(*old)), Profile.DOCUMENTED)
    families = {row.family: row.check for row in made.quota}
    (unknown,) = [name for name in families if name.startswith("unknown family of ")]
    assert "family: name.value, limit: limit" in families[unknown]
    assert not any("Standard_" in check for check in families.values())


@pytest.mark.parametrize(
    ("old", "new", "count", "during", "after"),
    [
        # One family, more vCPUs: the last of three waves has one old machine, two new ones and one of surge.
        ("Standard_D2s_v3", "Standard_D4s_v3", 3, 2 * 2 + 4, 6),
        # Another family: at the end there are all of it.
        ("Standard_D2_v3", "Standard_D4s_v3", 3, 12, 12),
    ],
)
def test_quota_of_a_move_in_place(old: str, new: str, count: int, during: int, after: int, tmp_path: Path) -> None:
    fleet = fleet_of(cluster(pool(vmSize=old, count=count, nodeImageVersion=GEN1)))
    overrides = decided(tmp_path, f"overrides: [{{pools: rg/c1/np1, size: {new}}}]")
    (move,) = planned(fleet, Profile.DOCUMENTED, overrides).moves
    need = next(need for need in move.quota if need.family == "standardDSv3Family")
    assert (need.during, need.after) == (during, after)
