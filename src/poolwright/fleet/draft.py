"""A move before its place in the order and its steps are known, and what its node pool is before it.

Invariant: nothing here decides whether, or by which way, a node pool is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from poolwright.domain.node_pool_kind import Mode, Priority
from poolwright.domain.os_sku import OsSku
from poolwright.domain.rules import Rule
from poolwright.domain.upgrade_settings import UpgradeSettings
from poolwright.domain.vm_size import VmSize
from poolwright.fleet.audit import AuditedPool, Urgency
from poolwright.fleet.overrides import Decision
from poolwright.fleet.plan import Way
from poolwright.fleet.targets import Target
from poolwright.fleet.values import FleetPool


@dataclass(frozen=True, slots=True)
class Draft:
    """A move before its place in the order and its steps are known."""

    pool: FleetPool
    found: AuditedPool
    decision: Decision
    os_sku: OsSku
    chosen: tuple[tuple[VmSize, int, Target, tuple[Target, ...]], ...]
    way: Way
    because: Rule

    @property
    def resizes(self) -> bool:
        return any(size.name.lower() != target.size.name.lower() for size, _, target, _ in self.chosen)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """User node pools first; of each kind the most urgent."""
        return self.pool.role is Mode.SYSTEM, list(Urgency).index(self.found.urgency), self.pool.id.pool


def as_it_was(pool: FleetPool) -> dict[str, Any]:
    """Return what a PUT of it would carry.

    Its mode is the one that it is moved as, so that all that makes it again has it.
    """
    version = {"orchestratorVersion": str(pool.version)} if pool.version is not None else {}
    return dict(sorted({**pool.properties, **version, "mode": pool.role.value}.items()))


def as_made(pool: FleetPool) -> dict[str, Any]:
    """Return what a PUT that makes it anew can carry: for spot machines no surge (rule `spot-surge`)."""
    properties, settings = as_it_was(pool), pool.properties.get("upgradeSettings")
    if pool.priority is Priority.SPOT and isinstance(settings, dict):
        properties["upgradeSettings"] = {name: value for name, value in settings.items() if name != "maxSurge"}
    return properties


def upgrade_settings(pool: FleetPool) -> UpgradeSettings:
    """Return how its machines are replaced, AKS's defaults where it does not say or says nonsense."""
    sent = pool.properties.get("upgradeSettings")
    settings: Mapping[str, Any] = sent if isinstance(sent, dict) else {}
    timeout, soak = settings.get("drainTimeoutInMinutes"), settings.get("nodeSoakDurationInMinutes")
    try:
        return UpgradeSettings(
            max_surge=str(settings.get("maxSurge") or "10%"),
            max_unavailable=str(settings.get("maxUnavailable") or "0"),
            drain_timeout_minutes=timeout if isinstance(timeout, int) and timeout > 0 else 30,
            node_soak_minutes=soak if isinstance(soak, int) and soak >= 0 else 0,
        )
    except ValueError:
        return UpgradeSettings()
