"""The verbs of deployments: accepted as prepared (`templates/preparation.py`), canceled, forgotten.

Invariant: a deployment is replaced or forgotten only when it has ended; its resources are no affair of these verbs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.control_plane.acceptance import Acceptance
from poolwright.control_plane.calls import Accepted, Call
from poolwright.control_plane.names import require_deployment_name
from poolwright.control_plane.preconditions import in_progress, require_group, utc
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.deployment import Deployment, DeploymentId, PreparedDeployment
from poolwright.domain.operation import OperationKind
from poolwright.domain.resource_id import GroupId
from poolwright.store import statements

# An operation of a deployment waits for others on a thread; the others need theirs (`on_dbos.MAX_AT_WORK`).
MAX_DEPLOYMENTS_UNDER_WAY: Final = 128


class Deployments:
    """All changes to deployments. Every method takes the connection of the transaction it runs in."""

    def __init__(self, acceptance: Acceptance) -> None:
        self._acceptance = acceptance

    def put(self, connection: Connection, prepared: PreparedDeployment, call: Call) -> Accepted:
        """Accept a deployment in the place of the one with its name, which must have ended."""
        deployment = prepared.deployment
        wanted = deployment.id
        require_deployment_name(wanted.name)
        location = deployment.location or ""
        if wanted.group is not None:
            group = require_group(connection, GroupId(wanted.subscription, wanted.group))
            if group.state is ProvisioningState.DELETING:
                raise in_progress(connection, group.operation_id or "", f"resource group {group.id.group}")
            location = group.location
            wanted = replace(wanted, group=group.id.group)
        elif not location:
            raise errors.InvalidParameter(
                "The location of a deployment to a subscription is required: it is where its record is kept.",
                target="location",
                remedy="send location (az: --location)",
            )
        else:
            location = self._acceptance.require_location(location, "location")
        old = statements.deployment(connection, wanted.key)
        if old is not None:
            _require_ended(old)
        if statements.deployments_under_way(connection) >= MAX_DEPLOYMENTS_UNDER_WAY:
            raise errors.OperationNotAllowed(
                f"Operation is not allowed because {MAX_DEPLOYMENTS_UNDER_WAY} deployments, those of modules included, "
                "are under way. Please wait for one to finish before starting a new one.",
                remedy="wait for a deployment to finish",
            )
        operation = self._acceptance.operation(
            connection,
            OperationKind.CREATE_DEPLOYMENT,
            GroupId(wanted.subscription, wanted.group or ""),
            location,
            str(wanted),
            wanted.key,
            [],
            call,
        )
        accepted = replace(deployment, id=wanted, operation_id=operation.id)
        statements.replace_deployment(connection, replace(prepared, deployment=accepted))
        return self._acceptance.accept(connection, operation, created=old is None)

    def cancel(self, connection: Connection, deployment_id: DeploymentId) -> None:
        """Have a deployment deploy nothing more; what it has begun goes on."""
        deployment = _require_deployment(connection, deployment_id)
        if deployment.state.is_terminal:
            raise errors.DeploymentCannotBeCancelled(
                f"The deployment '{deployment.id.name}' cannot be cancelled because its provisioning state is "
                f"'{deployment.state.value}'.",
                remedy="only a deployment that is Accepted or Running can be cancelled",
            )
        statements.put_deployment(connection, replace(deployment, canceled=True))

    def delete(self, connection: Connection, deployment_id: DeploymentId) -> None:
        """Forget a deployment that has ended; its resources stay. Nothing happens for one that does not exist."""
        deployment = statements.deployment(connection, deployment_id.key)
        if deployment is not None:
            _require_ended(deployment)
            statements.delete_deployment(connection, deployment.id.key)


def _require_deployment(connection: Connection, deployment_id: DeploymentId) -> Deployment:
    deployment = statements.deployment(connection, deployment_id.key)
    if deployment is None:
        raise errors.DeploymentNotFound(
            f"Deployment '{deployment_id.name}' could not be found.",
            remedy="`az deployment group list` shows what exists",
        )
    return deployment


def _require_ended(deployment: Deployment) -> None:
    if not deployment.state.is_terminal:
        raise errors.DeploymentActive(
            f"Unable to edit or replace deployment '{deployment.id.name}': previous deployment from "
            f"'{utc(deployment.started)}' is still active. Please see https://aka.ms/arm-deploy for usage details.",
            remedy=f"wait for it, or cancel it: az deployment group cancel --name {deployment.id.name}",
        )
