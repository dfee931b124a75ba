"""How stored values look to clients: what the operations store beside each record.

Invariant: it only passes on to the module that writes the resource, so a stored reply is the one a request would get.
"""

from __future__ import annotations

from poolwright.arm.sent import Json
from poolwright.arm.wire import encode_group, encode_operation, encode_operation_error
from poolwright.arm.wire_machines import encode_machine
from poolwright.arm.wire_node_pools import encode_node_pool
from poolwright.domain.cluster import ResourceGroup
from poolwright.domain.machine import Machine
from poolwright.domain.node_pool import NodePool
from poolwright.domain.operation import Operation, OperationError


class WireRenderer:
    """The `Renderer` the operations store documents with."""

    def node_pool(self, pool: NodePool) -> bytes:
        return encode_node_pool(pool)

    def machine(self, machine: Machine, pool: NodePool) -> bytes:
        return encode_machine(machine, pool)

    def operation(self, operation: Operation) -> bytes:
        return encode_operation(operation)

    def operation_error(self, error: OperationError) -> Json:
        return encode_operation_error(error)

    def resource_group(self, group: ResourceGroup) -> bytes:
        return encode_group(group)
