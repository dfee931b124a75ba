"""Machines: what one should be, and what one was seen to be.

Invariant: a `MachineSpec` is finished. Its firmware follows from the resolved generation; a machine
engine chooses nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import Enum

from poolwright.domain.generation import Firmware, Generation
from poolwright.domain.os_sku import OsType
from poolwright.domain.resource_id import MachineId, NodePoolId


class WhenLost(Enum):
    """What happens to a machine that ended without the service having asked for it."""

    REPAIR = "repair"
    REPORT = "report"


class Witness(Enum):
    """Who observed the generation of a machine; `simulated` means that no firmware was asked."""

    SIMULATED = "simulated"
    GUEST_AGENT = "guest-agent"
    FIRMWARE_LOG = "firmware-log"
    GUEST_TOOLS = "guest-tools"


@dataclass(frozen=True, slots=True)
class Login:
    """Who may log in to a machine by SSH, and with which public keys, as lines of `authorized_keys`."""

    user: str
    public_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """One machine as it should be. `key` is unique in the service; memory is in GB.

    `vpmem_mib` is its virtualized persistent memory in MiB, `epc_mib` the memory for SGX enclaves that its size
    promises, both 0 where it has none. `reimaged_by` is the operation that
    last had its disk made anew, "" where none did: with another value the same machine has another disk.

    `configuration` is a digest of everything of the node pool that machines are replaced for
    (`domain/change.py`); "" in machines stored before it was kept. `login` is what a machine is told when it is made,
    None where nobody may log in.
    """

    key: str
    generation: Generation
    node_image: str
    size: str
    vcpus: int
    memory_gb: float
    secure_boot: bool
    vtpm: bool
    running: bool
    zone: str | None = None
    configuration: str = ""
    login: Login | None = None
    vpmem_mib: int = 0
    epc_mib: int = 0
    reimaged_by: str = ""

    @property
    def firmware(self) -> Firmware:
        return self.generation.firmware

    def is_met_by(self, other: MachineSpec) -> bool:
        """Whether a machine made for the other specification can become this one without being made again.

        Another disk, which another `reimaged_by` asks for, is not another machine.
        """
        return self == replace(
            other,
            running=self.running,
            configuration=self.configuration,
            login=self.login,
            reimaged_by=self.reimaged_by,
        )


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """One machine as its engine sees it.

    `observed` is None until the machine has shown its generation. `cause` says in words why a machine
    will never be ready. `last_seen` is in UNIX seconds. `memory_mib` and `cpus` are what it really got of its host,
    None where nothing was given; `booted` is the disk image it boots from, which `stand_in` says to be in the place of
    its node image. `ip` is what the guest reports. `vpmem_mib` is the virtualized persistent memory that it has shown.
    """

    key: str
    ready: bool
    running: bool
    observed: Generation | None
    observed_by: Witness | None
    secure_boot: bool | None
    vtpm: bool | None
    partition_table: str | None
    last_seen: float | None
    cause: str | None = None
    ip: str | None = None
    memory_mib: int | None = None
    cpus: int | None = None
    booted: str | None = None
    stand_in: bool = False
    vpmem_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine of a node pool as the service keeps it: its specification and the last facts.

    `parked`: it was scaled down by stopping it (scale-down mode Deallocate) and does not count.
    `cordoned`: an operation had it take no new pods, and none has taken that back yet.
    `quarantined`: its pods did not leave, so it was left cordoned beside its replacement.
    """

    id: MachineId
    ordinal: int
    spec: MachineSpec
    facts: MachineFacts | None = None
    parked: bool = False
    cordoned: bool = False
    quarantined: bool = False


def scale_set_name(pool_id: NodePoolId, os_type: OsType) -> str:
    """Return the name AKS gives the scale set behind a node pool: `aks-np1-12345678-vmss` or `akswin`."""
    if os_type is OsType.WINDOWS:
        return f"aks{pool_id.pool.lower()}"
    digest = hashlib.sha256(pool_id.cluster_id.key.encode()).digest()
    return f"aks-{pool_id.pool.lower()}-{int.from_bytes(digest[:8], 'big') % 10**8:08d}-vmss"


def machine_name(pool_id: NodePoolId, os_type: OsType, ordinal: int) -> str:
    """Return the stable name of the machine with that ordinal: six base-36 digits after the scale set's name."""
    return f"{scale_set_name(pool_id, os_type)}{_base36(ordinal):0>6}"


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
        if number == 0:
            return text
