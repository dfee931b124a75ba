"""The steps that carry out a deployment, stage by stage.

What a stage deploys depends only on earlier stages. `deploy_resources` accepts each of its resources as a PUT
of it would be accepted, in the transaction that notes the resource's own operation; `await_resources` waits
for those operations. A resource that fails leaves the others alone: only what depends on it is not deployed.

Invariant: a resource is accepted once per deployment, whatever is killed when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain.deployment import Deployment, DeploymentResource, DeploymentState, ResourceState
from poolwright.domain.operation import Operation, OperationError, OperationStatus
from poolwright.operations.context import Aborted, Context, put_operation
from poolwright.store import statements
from poolwright.templates.budget import Budget
from poolwright.templates.deferred import body_of, outputs_of

AWAIT_SECONDS: Final = 0.1
AT_LEAST_ONE: Final = (
    "At least one resource deployment operation failed. Please list deployment operations for details. Please see "
    "https://aka.ms/arm-deployment-operations for usage details."
)
_STATES: Final = {
    OperationStatus.SUCCEEDED: ResourceState.SUCCEEDED,
    OperationStatus.FAILED: ResourceState.FAILED,
    OperationStatus.CANCELED: ResourceState.CANCELED,
}

Json = dict[str, Any]


def stages_of(connection: Connection, operation: Operation) -> int:
    """Return how many stages the operation's deployment has."""
    resources = statements.deployment_resources(connection, operation.resource_key)
    return max((resource.stage + 1 for resource in resources), default=0)


def deploy_resources(context: Context, operation: Operation, stage: int) -> None:
    """Every resource of the stage has been accepted, refused or passed over."""
    with context.database.engine.connect() as connection:
        resources = statements.deployment_resources(connection, operation.resource_key)
    for resource in resources:
        if resource.stage != stage or resource.state is not ResourceState.PENDING:
            continue
        try:
            with context.database.transaction() as connection:
                _deploy(context, connection, operation, resource.ordinal)
        except errors.PoolwrightError as error:
            refusal = context.resources.refusal(error, resource.id)
            with context.database.transaction() as connection:
                _note(context, connection, operation, resource.ordinal, ResourceState.FAILED, refusal)


def await_resources(context: Context, operation: Operation, stage: int) -> None:
    """Every operation that the stage began has ended."""
    begun: set[str] = set()
    while True:
        with context.database.engine.connect() as connection:
            deployment = statements.deployment(connection, operation.resource_key)
            if deployment is None or deployment.canceled:
                raise Aborted
            running = [
                (resource, statements.operation(connection, resource.operation_id))
                for resource in statements.deployment_resources(connection, operation.resource_key)
                if resource.stage == stage and resource.state is ResourceState.RUNNING and resource.operation_id
            ]
        for resource, theirs in running:
            if theirs is None or theirs.status.is_terminal:
                with context.database.transaction() as connection:
                    _note_end(context, connection, operation, resource, theirs)
            elif theirs.id not in begun:
                begun.add(theirs.id)
                context.resources.begin(theirs.id)
        if all(theirs is None or theirs.status.is_terminal for _, theirs in running):
            return
        context.wait(AWAIT_SECONDS)


def conclude_deployment(context: Context, operation: Operation) -> None:
    """The deployment and the operation say how it ended, with the outputs, in one transaction."""
    with context.database.transaction() as connection:
        current = statements.operation(connection, operation.id)
        deployment = statements.deployment(connection, operation.resource_key)
        if current is None or current.status.is_terminal:
            return
        if deployment is None or deployment.canceled:
            raise Aborted
        resources = statements.deployment_resources(connection, operation.resource_key)
        concluded = concluded_deployment(
            deployment,
            resources,
            lambda identifier: context.resources.show(connection, deployment, identifier),
            context.now(),
        )
        statements.put_deployment(connection, concluded)
        if concluded.error is None:
            ended = current.succeeded(context.now(), {})
        else:
            told = OperationError(str(concluded.error["code"]), str(concluded.error["message"]))
            ended = current.failed(context.now(), told)
        put_operation(context, connection, ended)


def concluded_deployment(
    deployment: Deployment,
    resources: Sequence[DeploymentResource],
    reference: Any,
    now: float,
    budget: Budget | None = None,
) -> Deployment:
    """Return the deployment as it ends: with its outputs, or with what failed."""
    failed = [resource.error for resource in resources if resource.error is not None]
    error: Json | None = None
    outputs: Json | None = None
    if failed:
        error = _failure(deployment, errors.DeploymentFailed.code, AT_LEAST_ONE, failed)
    else:
        outputs, wrong = outputs_of(deployment, resources, reference, budget)
        if wrong:
            names = ", ".join(str(problem.target).split(".")[1] for problem in wrong if problem.target)
            code = errors.DeploymentOutputEvaluationFailed.code
            error = _failure(
                deployment,
                code,
                f"Unable to evaluate template outputs: '{names}'. Please see error details and deployment operations. "
                "Please see https://aka.ms/arm-common-errors for usage details.",
                [{"code": code, "target": problem.target, "message": problem.message} for problem in wrong],
            )
    state = DeploymentState.FAILED if error else DeploymentState.SUCCEEDED
    return replace(deployment, state=state, ended=now, outputs=outputs, error=error)


def end_deployment(
    context: Context, connection: Connection, operation: Operation, error: OperationError, *, is_canceled: bool
) -> None:
    """The deployment of an operation that ends early says so; resources under way go on by themselves."""
    deployment = statements.deployment(connection, operation.resource_key)
    if deployment is None or deployment.operation_id != operation.id or deployment.state.is_terminal:
        return
    for resource in statements.deployment_resources(connection, operation.resource_key):
        if resource.state in (ResourceState.PENDING, ResourceState.RUNNING):
            canceled = replace(resource, state=ResourceState.CANCELED, ended=context.now())
            statements.put_deployment_resource(connection, operation.resource_key, canceled)
    told = {**context.render.operation_error(error), "target": str(deployment.id)}
    state = DeploymentState.CANCELED if is_canceled else DeploymentState.FAILED
    statements.put_deployment(connection, replace(deployment, state=state, ended=context.now(), error=told))


def _deploy(context: Context, connection: Connection, operation: Operation, ordinal: int) -> None:
    deployment = statements.deployment(connection, operation.resource_key)
    if deployment is None or deployment.canceled:
        raise Aborted
    resources = statements.deployment_resources(connection, operation.resource_key)
    resource = resources[ordinal]
    if resource.state is not ResourceState.PENDING:
        return
    if deployment.state is DeploymentState.ACCEPTED:
        statements.put_deployment(connection, replace(deployment, state=DeploymentState.RUNNING))
    if not all(resources[place].state.lets_others_follow for place in resource.depends_on):
        _note(context, connection, operation, ordinal, ResourceState.NOT_DEPLOYED)
    elif resource.existing or not resource.condition:
        _note(context, connection, operation, ordinal, ResourceState.SKIPPED)
    else:
        body: Mapping[str, Any] = {}
        if resource.nested is None:
            body = body_of(
                deployment,
                resources,
                resource,
                lambda identifier: context.resources.show(connection, deployment, identifier),
            )
        operation_id = context.resources.put(connection, deployment, resource, body)
        state = ResourceState.RUNNING if operation_id is not None else ResourceState.SUCCEEDED
        _note(context, connection, operation, ordinal, state, operation_id=operation_id)


def _note_end(
    context: Context,
    connection: Connection,
    operation: Operation,
    resource: DeploymentResource,
    theirs: Operation | None,
) -> None:
    """The resource says how its own operation ended."""
    if theirs is None:
        gone = {"code": errors.OperationNotFound.code, "target": resource.id, "message": "The operation is gone."}
        _note(context, connection, operation, resource.ordinal, ResourceState.FAILED, gone)
        return
    error = None
    if theirs.error is not None:
        nested = statements.deployment(connection, theirs.resource_key)
        told = nested.error if nested is not None and nested.operation_id == theirs.id else None
        cause = context.render.operation_error(theirs.error)
        error = {
            "code": errors.ResourceDeploymentFailure.code,
            "target": resource.id,
            "message": "The resource write operation failed to complete successfully, because it reached terminal "
            f"provisioning state '{theirs.status.value}'.",
            "details": [dict(told or cause)],
        }
    _note(context, connection, operation, resource.ordinal, _STATES[theirs.status], error)


def _note(
    context: Context,
    connection: Connection,
    operation: Operation,
    ordinal: int,
    state: ResourceState,
    error: Mapping[str, Any] | None = None,
    operation_id: str | None = None,
) -> None:
    """Store how far the resource is, unless the deployment is not this operation's any more."""
    deployment = statements.deployment(connection, operation.resource_key)
    if deployment is None or deployment.operation_id != operation.id:
        return
    resource = statements.deployment_resources(connection, operation.resource_key)[ordinal]
    now = context.now()
    changed = replace(
        resource,
        state=state,
        error=error,
        operation_id=operation_id or resource.operation_id,
        started=resource.started if resource.started is not None else now,
        ended=now if state is not ResourceState.RUNNING else None,
    )
    statements.put_deployment_resource(connection, operation.resource_key, changed)


def _failure(deployment: Deployment, code: str, message: str, details: Sequence[Mapping[str, Any]]) -> Json:
    error: Json = {"code": code, "target": str(deployment.id), "message": message}
    return error | ({"details": [dict(detail) for detail in details]} if details else {})
