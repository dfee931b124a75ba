"""Machines as JSON: which ones a deletion names, and how AKS shows one, with what its firmware showed.

Invariant: what was not seen yet is null, never guessed; nulls stand in the `poolwright` block only.
"""

from __future__ import annotations

from typing import Annotated

import orjson
from pydantic import Field

from poolwright.arm.sent import Json, Sent, checked
from poolwright.arm.wire import timestamp
from poolwright.arm.wire_node_pools import decision_block
from poolwright.domain.machine import Machine, MachineFacts
from poolwright.domain.node_pool import NodePool
from poolwright.domain.resource_id import MACHINE_TYPE


class MachineNames(Sent):
    machineNames: Annotated[list[str], Field(min_length=1, max_length=1000)]


def decode_machine_names(body: Json) -> tuple[str, ...]:
    """Return the machines a deletion names, each once."""
    return tuple(dict.fromkeys(checked(MachineNames, body, "").machineNames))


def encode_machine(machine: Machine, pool: NodePool) -> bytes:
    """Return a machine as AKS shows it, with what its firmware showed."""
    facts = machine.facts
    block = decision_block(pool) | {
        "resolvedGeneration": machine.spec.generation.value,
        "observedGeneration": facts.observed.value if facts and facts.observed else None,
        "observedBy": facts.observed_by.value if facts and facts.observed_by else None,
        "firmware": facts.observed.firmware.value if facts and facts.observed else None,
        "secureBoot": facts.secure_boot if facts else None,
        "vtpm": facts.vtpm if facts else None,
        "vpmemMiB": facts.vpmem_mib if facts else None,
        "partitionTable": facts.partition_table if facts else None,
        "lastSeen": timestamp(facts.last_seen) if facts and facts.last_seen is not None else None,
        "allocated": _allocated(facts),
        "cause": facts.cause if facts else None,
    }
    if facts is not None:
        block["image"] = block["image"] | {"booted": facts.booted, "standIn": facts.stand_in}
    document: Json = {
        "id": str(machine.id),
        "name": machine.id.machine,
        "type": MACHINE_TYPE,
        "properties": {
            "network": {"ipAddresses": [{"ip": facts.ip, "family": "IPv4"}] if facts and facts.ip else []},
            "resourceId": str(machine.id),
            "nodeImageVersion": machine.spec.node_image,
            "poolwright": block,
        },
    }
    if machine.spec.zone is not None:
        document["zones"] = [machine.spec.zone]
    return orjson.dumps(document)


def _allocated(facts: MachineFacts | None) -> Json | None:
    """What a machine really got of its host, beside what its size promises; None where nothing runs."""
    if facts is None or facts.memory_mib is None:
        return None
    return {"memoryMiB": facts.memory_mib, "vCPUs": facts.cpus}
