"""How a deployment is carried out: its steps repeated, interrupted and failing; what others see of it meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolwright import errors
from poolwright.control_plane import deployments
from poolwright.domain.cluster import ProvisioningState
from poolwright.domain.deployment import Deployment, DeploymentId, DeploymentResource, DeploymentState, ResourceState
from poolwright.domain.operation import Operation, OperationStatus
from poolwright.machines.engine import PermanentError
from poolwright.operations.durable import DurableOperations
from poolwright.operations.in_memory import InMemoryOperations
from poolwright.operations.plans import STAGE_STEPS, Context
from poolwright.store import statements
from poolwright.templates.requested import Requested
from tests.operations.workbench import OTHER_SIZE, Script, Workbench, once, until_halt

CLUSTERS, POOLS = "Microsoft.ContainerService/managedClusters", "Microsoft.ContainerService/managedClusters/agentPools"
STEPS = [f"stage_{stage}.{step}" for stage in (1, 2) for step in STAGE_STEPS] + ["conclude_deployment"]


def cluster(name: str = "c1", **more: Any) -> dict[str, Any]:
    properties = {"agentPoolProfiles": [{"name": "sys", "mode": "System", "count": 1}]}
    return {"type": CLUSTERS, "apiVersion": "2025-10-01", "name": name, "properties": properties, **more}


def pool(name: str, depends: tuple[str, ...] = ("cluster",), **properties: Any) -> dict[str, Any]:
    return {
        "type": POOLS,
        "apiVersion": "2025-10-01",
        "name": name,
        "properties": {"count": 1, **properties},
        "dependsOn": list(depends),
    }


def nested(template: dict[str, Any], name: str, **more: Any) -> dict[str, Any]:
    properties = {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": template}
    kind = "Microsoft.Resources/deployments"
    return {"type": kind, "apiVersion": "2025-04-01", "name": name, "properties": properties, **more}


TEMPLATE: dict[str, Any] = {
    "resources": {"cluster": cluster(), "np1": pool("c1/np1"), "np2": pool("c1/np2", count=2)},
    "outputs": {"image": {"type": "string", "value": "[reference('np2').nodeImageVersion]"}},
}


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Workbench(tmp_path)
    made.put_group()
    yield made
    made.close()


def deployment(bench: Workbench, name: str = "main") -> Deployment:
    with bench.database.engine.connect() as connection:
        found = statements.deployment(connection, identifier(bench, name).key)
    assert found is not None
    return found


def resources(bench: Workbench, name: str = "main") -> list[DeploymentResource]:
    with bench.database.engine.connect() as connection:
        return statements.deployment_resources(connection, identifier(bench, name).key)


def states(bench: Workbench, name: str = "main") -> dict[str, str]:
    return {resource.name: resource.state.value for resource in resources(bench, name)}


def identifier(bench: Workbench, name: str = "main") -> DeploymentId:
    return DeploymentId(bench.group_id.subscription, bench.group_id.group, name)


def assert_deployed(bench: Workbench, operation: Operation) -> None:
    assert bench.operation(operation).status is OperationStatus.SUCCEEDED
    made = deployment(bench)
    assert (made.state, made.error) == (DeploymentState.SUCCEEDED, None)
    assert made.outputs == {"image": {"type": "String", "value": bench.there("np2").node_image}}
    assert states(bench) == dict.fromkeys(("c1", "c1/np1", "c1/np2"), "Succeeded")
    assert {name: len(bench.machines(name)) for name in ("sys", "np1", "np2")} == {"sys": 1, "np1": 1, "np2": 2}
    assert bench.engine.keys() == bench.rows()
    assert set(bench.simulated.boots().values()) == {1}


def test_a_deployment_brings_its_resources_about_stage_by_stage(bench: Workbench) -> None:
    operation = bench.put_deployment(TEMPLATE)
    assert (deployment(bench).state, operation.kind.words) == (DeploymentState.ACCEPTED, "create deployment")
    script = Script()
    bench.run(operation, script)
    assert script.steps == STEPS
    assert_deployed(bench, operation)


def test_every_step_may_happen_twice(bench: Workbench) -> None:
    operation = bench.put_deployment(TEMPLATE)
    bench.run(operation, Script(twice=True))
    assert_deployed(bench, operation)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_deployment_interrupted_anywhere_is_completed(bench: Workbench, step: str, moment: str) -> None:
    operation = bench.put_deployment(TEMPLATE)
    until_halt(bench, operation, Script(**{moment: step}))
    bench.run(operation, once)
    assert_deployed(bench, operation)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_step_that_fails_ends_the_deployment_and_leaves_what_is_there(bench: Workbench, step: str) -> None:
    operation = bench.put_deployment(TEMPLATE)
    bench.run(operation, Script(fails=step))
    ended, made = bench.operation(operation), deployment(bench)
    assert ended.status is OperationStatus.FAILED
    assert made.state is DeploymentState.FAILED
    assert made.error is not None
    assert (made.error["code"], made.error["message"]) == ("Broken", "told to fail")
    assert {each.state for each in resources(bench)} <= {ResourceState.SUCCEEDED, ResourceState.CANCELED}
    assert bench.cluster() is not None
    # What was begun goes on by itself; the same deployment again completes the rest.
    bench.operations.start()
    again = bench.done(bench.put_deployment(TEMPLATE))
    assert again.status is OperationStatus.SUCCEEDED
    assert {name: len(bench.machines(name)) for name in ("sys", "np1", "np2")} == {"sys": 1, "np1": 1, "np2": 2}


def test_an_ended_deployment_carried_out_again_changes_nothing(bench: Workbench) -> None:
    operation = bench.done(bench.put_deployment(TEMPLATE))
    before = bench.everything()
    bench.run(operation, once)
    assert bench.everything() == before


def test_the_same_deployment_again_replaces_no_machine(bench: Workbench) -> None:
    first = bench.done(bench.put_deployment(TEMPLATE))
    boots = bench.simulated.boots()
    second = bench.done(bench.put_deployment(TEMPLATE))
    assert first.id != second.id
    assert bench.simulated.boots() == boots
    assert_deployed(bench, second)


def test_a_changed_template_changes_what_it_names(bench: Workbench) -> None:
    bench.done(bench.put_deployment(TEMPLATE))
    changed = {"resources": {"np1": pool("c1/np1", (), vmSize=OTHER_SIZE, vmGeneration="V1")}}
    assert bench.done(bench.put_deployment(changed)).status is OperationStatus.SUCCEEDED
    assert (bench.there("np1").vm_size, bench.there("np1").generation.value) == (OTHER_SIZE, "V1")
    assert bench.there("np2").generation.value == "V2"


def test_a_resource_that_fails_fails_the_deployment_and_only_what_depends_on_it_is_left_out(bench: Workbench) -> None:
    bench.done(bench.put_cluster())
    template = {
        "resources": {
            "broken": pool("c1/broken", ()),
            "after": pool("c1/after", ("broken",)),
            "good": pool("c1/good", ()),
            "best": pool("c1/best", ("good",)),
        }
    }
    operation = bench.put_deployment(template)
    bench.engine.raises["ensure"] = [PermanentError("the host has no room")]
    ended = bench.done(operation)
    assert states(bench) == {
        "c1/broken": "Failed",
        "c1/after": "NotDeployed",
        "c1/good": "Succeeded",
        "c1/best": "Succeeded",
    }
    assert ended.error is not None
    assert ended.error.code == "DeploymentFailed"
    assert ended.error.message.startswith("At least one resource deployment operation failed.")
    error = deployment(bench).error
    assert error is not None
    (detail,) = error["details"]
    assert detail["code"] == "ResourceDeploymentFailure"
    assert str(detail["target"]).endswith("/agentPools/broken")
    assert detail["details"] == [{"code": "ReconcileVMSSAgentPoolFailed", "message": "the host has no room"}]
    assert bench.pool("after") is None
    # The cause is gone: the same deployment again repairs.
    assert bench.done(bench.put_deployment(template)).status is OperationStatus.SUCCEEDED
    assert set(states(bench).values()) == {"Succeeded"}


def test_a_resource_that_is_refused_when_its_turn_comes_fails_alone(bench: Workbench) -> None:
    template = {"resources": {"cluster": cluster(), "bad": pool("c1/bad", vmSize="Standard_Nothing")}}
    bench.done(bench.put_deployment(template))
    assert states(bench) == {"c1": "Succeeded", "c1/bad": "Failed"}
    error = deployment(bench).error
    assert error is not None
    (detail,) = error["details"]
    assert detail["code"] == "VMSizeNotSupported"
    assert str(detail["target"]).endswith("/agentPools/bad")
    assert detail["additionalInfo"][0]["info"]["property"] == "properties.vmSize"
    assert bench.pool("bad") is None


def test_a_deployment_within_a_deployment_has_its_own_operation_and_passes_its_failure_on(bench: Workbench) -> None:
    inner = nested({"resources": [pool("c1/bad", (), vmSize="Standard_Nothing")]}, "inner", dependsOn=["cluster"])
    bench.done(bench.put_deployment({"resources": {"cluster": cluster(), "inner": inner}}))
    assert deployment(bench, "inner").state is DeploymentState.FAILED
    error = deployment(bench).error
    assert error is not None
    codes, details = [], [error]
    while details:
        codes.append(details[0]["code"])
        details = details[0].get("details", [])
    assert codes == ["DeploymentFailed", "ResourceDeploymentFailure", "DeploymentFailed", "VMSizeNotSupported"]


def test_an_output_that_cannot_be_evaluated_fails_the_deployment_after_its_resources(bench: Workbench) -> None:
    outputs = {"bad": {"type": "string", "value": "[reference('cluster').nothing]"}}
    ended = bench.done(bench.put_deployment({"resources": {"cluster": cluster()}, "outputs": outputs}))
    assert ended.error is not None
    assert ended.error.code == "DeploymentOutputEvaluationFailed"
    assert "'bad'" in ended.error.message
    assert states(bench) == {"c1": "Succeeded"}


class Held(InMemoryOperations):
    """Operations that begin only when `held` is emptied by the test."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.held: list[str] = []

    def begin(self, operation_id: str) -> None:
        self.held.append(operation_id)

    def let_go(self) -> None:
        while self.held:
            super().begin(self.held.pop())


@pytest.fixture
def held(tmp_path: Path) -> Any:
    def operations(context: Context) -> DurableOperations:
        return Held(context)

    made = Workbench(tmp_path, operations=operations)
    made.put_group()
    yield made
    made.close()


def test_a_canceled_deployment_deploys_nothing_more_and_what_was_begun_goes_on(held: Workbench) -> None:
    assert isinstance(held.operations, Held)
    operation = held.put_deployment(TEMPLATE)

    def cancel() -> None:
        if not deployment(held).canceled:
            with held.database.transaction() as connection:
                held.plane.deployments.cancel(connection, identifier(held))

    held.clock.meanwhile = cancel
    held.run(operation, once)
    held.clock.meanwhile = lambda: None
    ended = held.operation(operation)
    assert (ended.status, deployment(held).state) == (OperationStatus.CANCELED, DeploymentState.CANCELED)
    assert states(held) == dict.fromkeys(("c1", "c1/np1", "c1/np2"), "Canceled")
    held.operations.let_go()
    made = held.cluster()
    assert made is not None
    assert made.state is ProvisioningState.SUCCEEDED
    assert held.pool("np1") is None
    with pytest.raises(errors.DeploymentCannotBeCancelled), held.database.transaction() as connection:
        held.plane.deployments.cancel(connection, identifier(held))


def test_a_deployment_under_way_is_neither_replaced_nor_deleted(held: Workbench) -> None:
    held.put_deployment(TEMPLATE)
    before = held.everything()
    with pytest.raises(errors.DeploymentActive, match="Unable to edit or replace deployment 'main'"):
        held.put_deployment(TEMPLATE)
    with pytest.raises(errors.DeploymentActive), held.database.transaction() as connection:
        held.plane.deployments.delete(connection, identifier(held))
    assert held.everything() == before


def test_there_are_only_so_many_deployments_under_way(held: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "MAX_DEPLOYMENTS_UNDER_WAY", 2)
    first = held.put_deployment({"resources": []}, name="one")
    held.put_deployment({"resources": []}, name="two")
    with pytest.raises(errors.OperationNotAllowed, match="because 2 deployments, those of modules included"):
        held.put_deployment({"resources": []}, name="three")
    held.run(first, once)
    held.put_deployment({"resources": []}, name="three")


def test_modules_that_are_rehearsed_do_not_count_as_under_way(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "MAX_DEPLOYMENTS_UNDER_WAY", 2)
    modules = {
        f"m{number}": {**nested({"resources": []}, f"m{number}"), "dependsOn": [f"m{number - 1}"] if number else []}
        for number in range(4)
    }
    with bench.database.transaction() as connection:
        prepared = bench.deployable.prepare(
            connection, identifier(bench), Requested({"resources": modules}, {}), {}, "c"
        )
        assert bench.deployable.rehearse(connection, prepared).problems == []


def test_the_deletion_of_its_group_ends_a_deployment(held: Workbench) -> None:
    assert isinstance(held.operations, Held)
    operation = held.put_deployment({"resources": []})
    deletion = held.delete_group()
    InMemoryOperations.begin(held.operations, deletion.id)
    assert held.operation(deletion).status is OperationStatus.SUCCEEDED
    assert held.run(operation, once).status is OperationStatus.CANCELED
    assert held.group() is None


def test_a_rehearsal_leaves_nothing_behind(bench: Workbench) -> None:
    bench.done(bench.put_cluster())
    before = bench.everything()
    template = {**TEMPLATE, "resources": {**TEMPLATE["resources"], "bad": pool("c1/bad", vmSize="Standard_Nothing")}}
    with bench.database.transaction() as connection:
        prepared = bench.deployable.prepare(connection, identifier(bench), Requested(template, {}), {}, "c")
        rehearsal = bench.deployable.rehearse(connection, prepared)
    assert [change.resource_id.rpartition("/")[2] for change in rehearsal.changes] == ["c1", "np1", "np2"]
    assert [problem.code for problem in rehearsal.problems] == ["VMSizeNotSupported"]
    bench.operations.start()
    assert bench.everything() == before
