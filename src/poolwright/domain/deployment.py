"""Deployments of templates: what was sent, what became of it, and the resources it leads to.

A resource of a deployment goes

    Pending --> Running --> Succeeded | Failed
       |------> Skipped                    its condition is false
       '------> NotDeployed                something it depends on did not succeed

Invariant: no value of a secure parameter is in a deployment; what needs one is evaluated before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

DEPLOYMENT_TYPE = "Microsoft.Resources/deployments"
GROUP_TYPE = "Microsoft.Resources/resourceGroups"


class DeploymentState(Enum):
    """ARM's provisioning states of a deployment and of its resources."""

    ACCEPTED = "Accepted"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def is_terminal(self) -> bool:
        return self not in (DeploymentState.ACCEPTED, DeploymentState.RUNNING)


class ResourceState(Enum):
    """How far a resource of a deployment is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"
    SKIPPED = "Skipped"
    NOT_DEPLOYED = "NotDeployed"

    @property
    def lets_others_follow(self) -> bool:
        return self in (ResourceState.SUCCEEDED, ResourceState.SKIPPED)


@dataclass(frozen=True, slots=True)
class DeploymentId:
    """A deployment to a resource group, or to a subscription when `group` is None."""

    subscription: str
    group: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.scope}/providers/{DEPLOYMENT_TYPE}/{self.name}"

    @property
    def key(self) -> str:
        return str(self).lower()

    @property
    def scope(self) -> str:
        """The ID of the resource group or subscription."""
        return f"/subscriptions/{self.subscription}" + (f"/resourceGroups/{self.group}" if self.group else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment.

    `parameters` are as clients see them, `values` without the secure ones. `facts` are what functions such
    as `resourceGroup()` tell. `error` is ARM's error object. `canceled` says that somebody asked it to stop.
    """

    id: DeploymentId
    location: str | None
    tags: Mapping[str, Any]
    template: Mapping[str, Any]
    template_hash: str
    parameters: Mapping[str, Any]
    values: Mapping[str, Any]
    facts: Mapping[str, Any]
    correlation_id: str
    started: float
    state: DeploymentState = DeploymentState.ACCEPTED
    ended: float | None = None
    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    operation_id: str | None = None
    canceled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentResource:
    """A resource that a deployment leads to, or refers to when it is `existing`.

    `body` is what will be PUT; None where it needs other resources first: then `source` is the template's
    own text of it, and `copies` the indexes of the loops around it. `nested` is a deployment within this one.
    Resources of one `stage` depend only on those of earlier ones. `place` is where in the template it stands.
    """

    ordinal: int
    id: str
    type: str
    name: str
    api_version: str
    place: str
    symbol: str | None = None
    depends_on: tuple[int, ...] = ()
    stage: int = 0
    existing: bool = False
    condition: bool = True
    body: Mapping[str, Any] | None = None
    source: Mapping[str, Any] | None = None
    copies: Mapping[str, int] = field(default_factory=dict)
    nested: PreparedDeployment | None = None
    state: ResourceState = ResourceState.PENDING
    operation_id: str | None = None
    error: Mapping[str, Any] | None = None
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedDeployment:
    """A deployment with its resources, evaluated as far as that is possible before it begins."""

    deployment: Deployment
    resources: tuple[DeploymentResource, ...]
