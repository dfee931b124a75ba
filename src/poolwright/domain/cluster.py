"""Managed clusters and resource groups, as far as node pools need them.

Invariant: what a client sent and we do not interpret is kept in `sent` as it came, without secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from poolwright.domain.node_pool_kind import PowerState
from poolwright.domain.resource_id import ClusterId, GroupId


class ProvisioningState(Enum):
    """ARM's provisioning states, as far as this product has them."""

    CREATING = "Creating"
    UPDATING = "Updating"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self in (ProvisioningState.SUCCEEDED, ProvisioningState.FAILED, ProvisioningState.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGroup:
    """A resource group; `sent` holds its tags and whatever else the client sent."""

    id: GroupId
    location: str
    sent: Mapping[str, Any]
    state: ProvisioningState = ProvisioningState.SUCCEEDED
    operation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A managed cluster without its node pools.

    `wanted_version` is what the client wrote (`1.33` or `1.33.2`), `version` the full version it runs.
    `operation_id` names the operation that runs on the cluster itself.
    """

    id: ClusterId
    location: str
    sent: Mapping[str, Any]
    wanted_version: str
    version: str
    principal_id: str
    has_windows_profile: bool
    etag: str
    state: ProvisioningState
    operation_id: str | None = None
    power: PowerState = PowerState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRequest:
    """A PUT of a cluster as decoded: None means not given. Node pools are decoded separately."""

    location: str | None
    wanted_version: str | None
    network_plugin: str | None
    has_windows_profile: bool
    sent: Mapping[str, Any]
