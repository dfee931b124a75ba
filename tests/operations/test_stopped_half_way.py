"""Whatever stops a change half way: it keeps what runs, says why and how far it came, and the next command goes on.

A node pool of four machines gets another size, one machine at a time. The first wave succeeds; something is wrong from
the second one on. A Kubernetes cluster is attached. Each row of `CAUSES` is one thing that can go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.machine import machine_name
from poolwright.domain.operation import Operation, OperationStatus
from poolwright.domain.os_sku import OsType
from poolwright.domain.resource_id import NodePoolId
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.machines.engine import PermanentError, TemporaryError
from poolwright.machines.simulated import Behaviour
from tests.operations.workbench import GROUP, Script, Workbench, until_halt

OLD, NEW = "Standard_D2_v3", "Standard_D2s_v3"
FAMILY = "standardDSv3Family"
FAILED, QUOTA, UPGRADE = "ReconcileVMSSAgentPoolFailed", "ErrCode_InsufficientVCPUQuota", "UpgradeFailed"


def away(times: int) -> list[Exception]:
    return [TemporaryError("the host is away", retry_after_seconds=100) for _ in range(times)]


def pool_id(bench: Workbench) -> NodePoolId:
    return NodePoolId(bench.cluster_id, "np1")


def name(bench: Workbench, ordinal: int) -> str:
    """Machines 0 to 3 are the old ones; 4 was added by the first wave, and 5 is by the second, which replaces 1."""
    return machine_name(pool_id(bench), OsType.LINUX, ordinal)


def limit(bench: Workbench, vcpus: int | None) -> None:
    with bench.database.transaction() as connection:
        bench.plane.quotas.put(connection, GROUP.subscription, "eastus", FAMILY, vcpus)


def to_come(bench: Workbench) -> tuple[str, ...]:
    """The names of the next machines."""
    there = {machine.ordinal for machine in bench.machines()}
    return tuple(name(bench, ordinal) for ordinal in range(12) if ordinal not in there)


def boot_for_an_hour(bench: Workbench) -> None:
    bench.clock.now += 2 * 3600
    bench.behaviour.boot_seconds = 3600


def abort(bench: Workbench) -> None:
    bench.post("node_pools.abort", pool_id(bench))


def abort_while_it_waits(bench: Workbench) -> None:
    def once() -> None:
        bench.clock.meanwhile = lambda: None
        abort(bench)

    bench.clock.meanwhile = once


def lose(bench: Workbench, ordinal: int) -> None:
    bench.simulated.delete([machine.id.key for machine in bench.machines() if machine.ordinal == ordinal])


@dataclass(frozen=True)
class Cause:
    """What goes wrong `at` a step, how the operation's error says it, and whether it `lasts` until it is repaired.

    The change has `replaced` so many machines by then, and keeps at least so many at work.
    """

    what: str
    go_wrong: Callable[[Workbench], None]
    says: str
    code: str = FAILED
    at: str = "wave_2.add_machines"
    lasts: bool = True
    replaced: int = 1
    keeps: int = 4


CAUSES = [
    Cause(
        "no room for a new machine",
        lambda bench: setattr(bench.behaviour, "refuse", "no room on this host"),
        "no room on this host",
    ),
    Cause(
        "capacity",
        lambda bench: setattr(bench.behaviour, "capacity", len(bench.engine.keys())),
        "Allocation failed. We do not have sufficient capacity",
        "AllocationFailed",
    ),
    Cause(
        "quota",
        lambda bench: limit(bench, 2),
        f"requested 2, remaining 0 for family {FAMILY} for region eastus",
        QUOTA,
        # The next PUT would be refused at once.
        lasts=False,
    ),
    Cause(
        "a new machine that is never ready",
        lambda bench: setattr(bench.behaviour, "never_ready", to_come(bench)),
        "1 machine(s) will not become ready",
    ),
    Cause(
        "a new machine that is not ready in time",
        boot_for_an_hour,
        "1 machine(s) did not become ready in time",
    ),
    Cause(
        "a new machine that vanishes",
        lambda bench: setattr(bench.behaviour, "lose", to_come(bench)),
        "1 machine(s) vanished: ",
    ),
    Cause(
        "a new machine that boots the other generation",
        lambda bench: setattr(bench.engine, "turned", True),
        "1 machine(s) booted another generation than the resolved one",
    ),
    Cause(
        "a host that is away for too long",
        lambda bench: bench.engine.raises.update(ensure=away(20)),
        "the host is away",
        lasts=False,
    ),
    Cause(
        "a host that cannot say what there is",
        lambda bench: bench.engine.raises.update(observe=[PermanentError("the host is confused")]),
        "the host is confused",
        lasts=False,
    ),
    Cause(
        "an old machine that cannot be deleted",
        lambda bench: bench.engine.raises.update(delete=[PermanentError("the host is read-only")]),
        "the host is read-only",
        at="wave_2.remove_machines",
        lasts=False,
    ),
    Cause(
        "a replacement lost before the old machine goes",
        lambda bench: lose(bench, 5),
        "1 machine(s) vanished: ",
        at="wave_2.remove_machines",
        lasts=False,
    ),
    Cause(
        "a replacement of a finished wave lost",
        lambda bench: lose(bench, 4),
        "1 machine(s) vanished: ",
        at="mark_succeeded",
        lasts=False,
        replaced=4,
        keeps=3,
    ),
    Cause(
        "a drain that times out",
        lambda bench: bench.kubernetes.place(name(bench, 1), evictions=None),
        "did not end within 5 minutes: pod default/web is protected by a Pod Disruption Budget",
        UPGRADE,
    ),
    Cause(
        "a cluster that does not let nodes be cordoned",
        lambda bench: bench.kubernetes.fail("cordon", PermanentError("nodes is forbidden"), times=10),
        "nodes is forbidden",
    ),
    Cause(
        "a cluster that does not let pods be evicted",
        lambda bench: bench.kubernetes.fail("drain", PermanentError("pods/eviction is forbidden"), times=10),
        "pods/eviction is forbidden",
    ),
    Cause(
        "a cluster that is away for too long",
        lambda bench: bench.kubernetes.fail(
            "drain", TemporaryError("the cluster is away", retry_after_seconds=100), times=100
        ),
        "the cluster is away",
    ),
    Cause("an abort between steps", abort, "The operation was aborted", "OperationCanceled", lasts=False),
    Cause(
        "an abort while a node drains",
        abort_while_it_waits,
        "The operation was aborted",
        "OperationCanceled",
        at="wave_2.drain",
        lasts=False,
    ),
]
every_cause = pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.what)
lasting = pytest.mark.parametrize("cause", [each for each in CAUSES if each.lasts], ids=lambda cause: cause.what)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    made = Workbench(tmp_path)
    made.kubernetes.attach(evictions=2)
    made.put_group()
    made.done(made.put_cluster())
    made.done(made.put_pool(count=4, vm_size=OLD))
    yield made
    made.close()


@every_cause
def test_the_same_put_goes_on(bench: Workbench, cause: Cause) -> None:
    stop_half_way(bench, cause)
    repair(bench)
    require_reached(bench, put(bench, NEW), NEW)


@every_cause
def test_a_rollback_goes_back(bench: Workbench, cause: Cause) -> None:
    stop_half_way(bench, cause)
    repair(bench)
    require_reached(bench, bench.post("node_pools.rollback", pool_id(bench)), OLD)


@lasting
def test_what_meets_the_same_again_stops_again_and_loses_nothing(bench: Workbench, cause: Cause) -> None:
    stop_half_way(bench, cause)
    before = Before(bench)
    again = bench.done(put(bench, NEW))
    require_stopped(bench, cause, again, "0 of 3 machines were replaced, 3 were not")
    before.require_order()
    before = Before(bench)
    bench.done(bench.post("node_pools.rollback", pool_id(bench)))
    require_kept(bench, cause)
    before.require_order()
    repair(bench)
    require_reached(bench, put(bench, OLD), OLD)
    require_reached(bench, put(bench, NEW), NEW)


def put(bench: Workbench, size: str) -> Operation:
    return bench.put_pool(count=4, vm_size=size, upgrade=UpgradeSettings("1", drain_timeout_minutes=5))


def stop_half_way(bench: Workbench, cause: Cause) -> None:
    before, operation = Before(bench), put(bench, NEW)
    until_halt(bench, operation, Script(before=cause.at))
    cause.go_wrong(bench)
    ended = bench.run(operation, Script(at=cause.at))
    left = 4 - cause.replaced
    require_stopped(bench, cause, ended, f"{cause.replaced} of 4 machines were replaced, {left} were not")
    before.require_order()


class Before:
    """The machines before an operation, which must not go undrained."""

    def __init__(self, bench: Workbench) -> None:
        self._cluster = bench.kubernetes
        self._machines = [machine.id.machine for machine in bench.machines()]
        self._since = len(bench.kubernetes.calls)

    def require_order(self) -> None:
        self._cluster.require_order(self._machines, since=self._since)


def require_stopped(bench: Workbench, cause: Cause, ended: Operation, progress: str) -> None:
    aborted = cause.code == "OperationCanceled"
    assert ended.status is (OperationStatus.CANCELED if aborted else OperationStatus.FAILED)
    assert ended.error is not None
    assert ended.error.code == cause.code
    assert cause.says in ended.error.message
    assert progress in ended.error.message
    assert "Cleaning up failed" not in ended.error.message
    pool = bench.there()
    assert pool.state is (ProvisioningState.CANCELED if aborted else ProvisioningState.FAILED)
    assert (pool.error, pool.operation_id) == (ended.error, None)
    require_kept(bench, cause)


def require_kept(bench: Workbench, cause: Cause) -> None:
    """The machines that worked still do and take pods, and none is orphaned."""
    rows, keys = bench.rows(), bench.engine.keys()
    assert keys <= rows
    assert len(rows - keys) == 4 - cause.keeps
    working = bench.simulated.observe([machine.id.key for machine in bench.machines()])
    assert sum(facts.ready for facts in working.values()) >= cause.keeps
    assert bench.kubernetes.cordoned == set()


def repair(bench: Workbench) -> None:
    bench.simulated.behaviour = Behaviour()
    bench.engine.turned = False
    bench.engine.raises.clear()
    bench.kubernetes.heal()
    bench.kubernetes.let_go()
    limit(bench, None)


def require_reached(bench: Workbench, operation: Operation, size: str) -> None:
    """The operation succeeds; all machines are of that size, and the others were drained before they went."""
    before = Before(bench)
    assert bench.done(operation).status is OperationStatus.SUCCEEDED
    machines = bench.machines()
    assert [machine.spec.size for machine in machines] == [size] * 4
    assert all(machine.facts is not None and machine.facts.ready for machine in machines)
    assert not any(machine.cordoned or machine.quarantined for machine in machines)
    assert bench.there().state is ProvisioningState.SUCCEEDED
    assert bench.engine.keys() == bench.rows()
    assert bench.kubernetes.cordoned == set()
    before.require_order()
