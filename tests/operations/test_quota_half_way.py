"""A quota that is lowered while machines are replaced: the change stops, and goes on once there is room."""

from __future__ import annotations

from pathlib import Path

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.operation import OperationStatus
from poolwright.domain.upgrade_settings import UpgradeSettings
from tests.operations.workbench import GROUP, Script, Workbench, once, until_halt

FAMILY = "standardDSv3Family"


def test_a_quota_missing_half_way_stops_the_change_and_the_same_request_goes_on(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    bench.put_group()
    bench.done(bench.put_cluster())
    bench.done(bench.put_pool(count=4, vm_size="Standard_D2_v3"))
    wanted = {"count": 4, "vm_size": "Standard_D2s_v3", "upgrade": UpgradeSettings("1")}
    operation = bench.put_pool(**wanted)
    until_halt(bench, operation, Script(after="wave_2.remove_machines"))
    _limit(bench, 4)

    failed = bench.run(operation, once)

    assert failed.status is OperationStatus.FAILED
    assert failed.error is not None
    assert failed.error.code == "ErrCode_InsufficientVCPUQuota"
    assert f"requested 2, remaining 0 for family {FAMILY} for region eastus." in failed.error.message
    assert "2 of 4 machines were replaced, 2 were not" in failed.error.message
    assert bench.there().state is ProvisioningState.FAILED
    assert bench.there().observed == {"V1": 2, "V2": 2, "unknown": 0}
    assert bench.simulated.keys() == bench.rows()

    _limit(bench, None)
    assert bench.done(bench.put_pool(**wanted)).status is OperationStatus.SUCCEEDED
    assert bench.there().observed == {"V1": 0, "V2": 4, "unknown": 0}
    bench.close()


def _limit(bench: Workbench, vcpus: int | None) -> None:
    with bench.database.transaction() as connection:
        bench.plane.put_quota(connection, GROUP.subscription, "eastus", FAMILY, vcpus)
