"""The closed choices a node pool is made of.

Invariant: an impossible choice cannot be constructed; spelling is Azure's own.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

# The workload runtime of a node pool that asks for none.
ORDINARY_RUNTIME: Final = "OCIContainer"


class Mode(Enum):
    """What a node pool is for."""

    SYSTEM = "System"
    USER = "User"
    GATEWAY = "Gateway"


class PoolType(Enum):
    """How Azure groups the machines of a node pool."""

    SCALE_SETS = "VirtualMachineScaleSets"
    AVAILABILITY_SET = "AvailabilitySet"
    VIRTUAL_MACHINES = "VirtualMachines"


class Priority(Enum):
    """Regular or evictable capacity."""

    REGULAR = "Regular"
    SPOT = "Spot"


class PowerState(Enum):
    """Whether the machines of a node pool run."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class ScaleDownMode(Enum):
    """What becomes of a machine that is one too many: it is deleted, or stopped and kept."""

    DELETE = "Delete"
    DEALLOCATE = "Deallocate"
