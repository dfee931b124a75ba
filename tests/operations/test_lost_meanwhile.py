"""A machine that is lost while others are being replaced: success is never said with one missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolwright.domain.operation import OperationStatus
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.operations.workbench import Script, Workbench, once, until_halt


@pytest.mark.parametrize("step", ["wave_2.remove_machines", "wave_3.add_machines", "mark_succeeded"])
def test_a_replacement_lost_after_it_was_ready_fails_the_change_and_the_next_put_repairs_it(
    tmp_path: Path, step: str
) -> None:
    bench = Workbench(tmp_path)
    bench.put_group()
    bench.done(bench.put_cluster())
    bench.done(bench.put_pool(count=4, vm_size="Standard_D2_v3"))
    wanted = {"count": 4, "vm_size": "Standard_D2s_v3", "upgrade": UpgradeSettings("1")}
    operation = bench.put_pool(**wanted)
    until_halt(bench, operation, Script(before=step))
    replacement = next(machine.id.key for machine in bench.machines() if machine.ordinal == 5)
    bench.simulated.delete([replacement])

    ended = bench.run(operation, Script(at=step))

    assert ended.status is OperationStatus.FAILED
    assert ended.error is not None
    assert "1 machine(s) vanished: " in ended.error.message
    assert bench.done(bench.put_pool(**wanted)).status is OperationStatus.SUCCEEDED
    assert bench.simulated.keys() == bench.rows()
    assert bench.there().observed == {"V1": 0, "V2": 4, "unknown": 0}
    assert bench.run(operation, once) == ended
    bench.close()
