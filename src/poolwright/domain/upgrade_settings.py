"""How a node pool's machines are replaced: how many at once, and how long their work may take to leave.

Invariant: settings under which nothing could ever be replaced cannot be constructed.
Source: upgradeSettings in Azure/azure-rest-api-specs AgentPool.tsp; upgrade-aks-node-pools-rolling.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

_SHARE: Final = re.compile(r"([0-9]{1,4})(%?)")


class UndrainableNodeBehavior(Enum):
    """What becomes of a node whose pods do not leave in time.

    `Schedule`: it takes pods again and the change stops. `Cordon`: it is left cordoned beside its
    replacement and the change goes on; it fails at the end all the same.
    """

    SCHEDULE = "Schedule"
    CORDON = "Cordon"


@dataclass(frozen=True, slots=True)
class UpgradeSettings:
    """Settings as AKS has them. `max_surge` and `max_unavailable` are a number or a percentage, as text.

    Raises `ValueError` for another text, and when both are zero.
    """

    max_surge: str = "10%"
    max_unavailable: str = "0"
    drain_timeout_minutes: int = 30
    node_soak_minutes: int = 0
    undrainable: UndrainableNodeBehavior = UndrainableNodeBehavior.SCHEDULE

    def __post_init__(self) -> None:
        if (_share(self.max_surge, 100), _share(self.max_unavailable, 100)) == (0, 0):
            raise ValueError("maxSurge and maxUnavailable cannot both be 0: no machine could ever be replaced")

    def surge(self, count: int) -> int:
        """Return how many machines a pool of that many may have beyond its count; fractions are rounded up."""
        return _share(self.max_surge, count)

    def unavailable(self, count: int) -> int:
        """Return how many machines a pool of that many may lack; fractions are rounded up."""
        return min(_share(self.max_unavailable, count), count)


def _share(text: str, count: int) -> int:
    match = _SHARE.fullmatch(text)
    if match is None or (match[2] and int(match[1]) > 100):
        raise ValueError(f"it is a number such as 1, or a percentage up to 100% such as 33%; got {text!r}")
    number = int(match[1])
    return -(-number * count // 100) if match[2] else number
