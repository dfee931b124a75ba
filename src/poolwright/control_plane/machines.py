"""The verbs of single machines of a node pool.

Invariant: a machine that is deleted lowers the count of its node pool only where it counted; a reimaged one stays
itself, and the count stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.preconditions import idle_pool
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.node_pool_kind import Mode
from poolwright.domain.operation import OperationKind
from poolwright.domain.resource_id import MachineId, NodePoolId
from poolwright.store import statements


class Machines:
    """All changes to single machines. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def delete(self, connection: Connection, pool_id: NodePoolId, names: Sequence[str], call: Call) -> Accepted:
        """Accept the deletion of machines by name; the node pool's count falls by as many."""
        cluster, old = idle_pool(connection, pool_id, call)
        machines = {m.id.machine.lower(): m for m in statements.machines_of_pool(connection, old.id.key)}
        unknown = [name for name in names if name.lower() not in machines]
        if unknown:
            raise errors.InvalidParameter(
                f"Machine(s) '{', '.join(unknown[:5])}' do not exist in agent pool '{old.id.pool}'.",
                target="machineNames",
                remedy="`az aks machine list` shows what exists",
            )
        doomed = [machines[name] for name in dict.fromkeys(name.lower() for name in names)]
        gone, there = (
            Counter(m.spec.size for m in group if not m.parked and not m.quarantined)
            for group in (doomed, machines.values())
        )
        # Machines beyond the count, which a failed change left behind, go without lowering it.
        scale = [
            replace(
                profile, count=profile.count - max(0, gone[profile.size] - max(0, there[profile.size] - profile.count))
            )
            for profile in old.scale
        ]
        pool = replace(
            old,
            scale=tuple(scale),
            promised=old.count,
            etag=self._acceptance.new_id(),
            state=ProvisioningState.UPDATING,
        )
        if pool.count < (1 if pool.mode is Mode.SYSTEM else 0) or (
            pool.autoscaling and pool.min_count is not None and pool.count < pool.min_count
        ):
            raise errors.InvalidParameter(
                f"Deleting {len(doomed)} machine(s) would leave {pool.count} in agent pool '{pool.id.pool}', "
                "fewer than it has to keep.",
                target="machineNames",
                remedy="delete fewer machines, or lower minCount first",
            )
        operation = replace(
            self._acceptance.pool_operation(connection, OperationKind.DELETE_MACHINES, cluster, pool, call),
            machines=tuple(machine.id.machine for machine in doomed),
        )
        self._acceptance.store_pool(connection, replace(pool, operation_id=operation.id))
        return self._acceptance.accept(connection, operation)

    def reimage(self, connection: Connection, machine_id: MachineId, call: Call) -> Accepted:
        """Accept that a machine gets another disk, made from its node image; all else of it stays.

        Whatever the node pool is still to become, as after a change that failed, it becomes first.
        """
        cluster, old = idle_pool(connection, machine_id.pool_id, call)
        machines = statements.machines_of_pool(connection, old.id.key)
        machine = next((machine for machine in machines if machine.id.key == machine_id.key), None)
        if machine is None:
            raise errors.MachineNotFound(
                f"The machine '{machine_id.machine}' was not found in agent pool '{old.id.pool}'.",
                remedy="`az aks machine list` shows what exists",
            )
        pool = replace(
            old, promised=old.count, etag=self._acceptance.new_id(), state=ProvisioningState.UPDATING, error=None
        )
        self._acceptance.require_machines(connection, cluster, [pool], call)
        operation = replace(
            self._acceptance.pool_operation(connection, OperationKind.REIMAGE_MACHINE, cluster, pool, call),
            machines=(machine.id.machine,),
        )
        self._acceptance.store_pool(connection, replace(pool, operation_id=operation.id))
        return self._acceptance.accept(connection, operation)
