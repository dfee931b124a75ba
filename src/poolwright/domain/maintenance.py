"""Maintenance configurations of a cluster: when Azure may upgrade it by itself.

Nothing upgrades itself here, so a configuration is checked, kept and returned, and that is all.

Invariant: a configuration that is kept fits Azure's own definition.

Source: https://learn.microsoft.com/azure/aks/planned-maintenance
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from poolwright.domain.resource_id import MaintenanceId

# The configurations AKS knows: weekly releases of AKS, upgrades of the cluster, and node image upgrades.
DEFAULT: Final = "default"
NAMES: Final = (DEFAULT, "aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceConfiguration:
    """A maintenance configuration; `sent` is what the client sent, checked."""

    id: MaintenanceId
    sent: Mapping[str, Any]
