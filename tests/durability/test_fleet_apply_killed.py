"""`poolwright fleet apply` killed at every point of its course: the same end, and nothing is done twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.scenarios.test_fleet_apply import workplace

# What is sent to a node pool that has every step there is: one more beside it, the autoscaler held, cordon and drain by
# hand, the deletion.
BESIDE = [("DELETE", "spot"), ("PUT", "spot"), ("PUT", "spotg2")]
IN_PLACE = [("PUT", "web")]


@pytest.mark.parametrize("point", ["after-entry", "before-entry", "in-flight"])
@pytest.mark.parametrize(("profile", "pool"), [("azure-2026", "spot"), ("documented", "web")])
def test_killed_again_and_again_it_comes_to_the_same_end_and_does_nothing_twice(
    profile: str, pool: str, point: str, tmp_path: Path
) -> None:
    sent = BESIDE if profile == "azure-2026" else IN_PLACE
    for here in workplace(tmp_path / "work", profile):
        here.planned("--profile", profile)
        name = f"shop/prod/{pool}"
        kills = 0
        # Every run makes one step forward at least, and none may be lost.
        for _ in range(25):
            command = ("plan.json", "--yes", "--only", name, "--kubectl-done", name)
            ended = here(point, *command, module="tests.fleet.killed_apply")
            if ended.code == 0:
                break
            assert ended.code in (-signal.SIGKILL, 4), ended
            kills += ended.code == -signal.SIGKILL
        assert ended.code == 0, "it makes no progress"
        assert kills >= len(sent)
        assert sorted(here.sent()) == sent
        pools = here.pools("prod")
        moved = f"{pool}g2" if profile == "azure-2026" else pool
        assert (pool in pools) == (moved == pool)
        assert pools[moved]["poolwright"]["observedGenerations"]["V1"] == 0
