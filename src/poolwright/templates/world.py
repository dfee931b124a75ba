"""What a template is prepared in: the resource types on offer, what is there, and what its deployer may do.

Invariant: templates see the service only through this; whoever prepares one decides what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from poolwright import errors
from poolwright.domain.deployment import DeploymentResource
from poolwright.templates.sections import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is outside the template.

    `types` are the resource types on offer, in lower case, each with `group` or `subscription`, where it goes.
    `group` and `subscription` return what functions tell of them, None when they do not exist.
    `require_access` raises where the deployer may not deploy a resource, in the same way whether anything is there:
    nothing below a deployment within this one is looked at before. `cleaned` returns a body without secrets.
    """

    types: Mapping[str, tuple[str, str]]
    group: Callable[[str, str], Mapping[str, Any] | None]
    subscription: Callable[[str], Mapping[str, Any] | None]
    require_access: Callable[[DeploymentResource], object]
    facts: Mapping[str, Any]
    cleaned: Callable[[Json], Json]
    now: float
    new_id: Callable[[], str]
    correlation_id: str


def no_subscription(subscription: str) -> errors.SubscriptionNotFound:
    """Return the refusal of a subscription that does not exist, or is none of the deployer's tenant."""
    return errors.SubscriptionNotFound(
        f"The subscription '{subscription}' could not be found.",
        remedy="use the subscription `poolwright env` prints",
    )
