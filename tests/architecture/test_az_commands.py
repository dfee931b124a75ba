"""The list of az's commands says nothing that the rest contradicts, and a claim that was not tried is noticed."""

from __future__ import annotations

from poolwright.arm.not_offered import missing
from poolwright.arm.offered import AREAS, rows_of
from tools.az_commands import STATES, az_commands, untried


def test_every_command_has_a_state_and_what_does_not_simply_work_says_why() -> None:
    commands = az_commands()
    assert [row.command for row in commands] == sorted({row.command for row in commands})
    assert {row.state for row in commands} == STATES.keys()
    assert [row.command for row in commands if row.state != "works" and not row.told] == []
    assert [row.command for row in commands if row.operation and row.state != "not offered"] == []


def test_the_operations_that_commands_are_refused_for_are_not_offered() -> None:
    lacking = {known.operation for known in missing(rows_of(AREAS))}
    named = {row.operation for row in az_commands()} - {""}
    assert len(named) > 10
    assert named <= lacking


def test_a_command_that_was_not_run_or_came_to_something_else_is_noticed() -> None:
    ran = {(row.command, row.outcome) for row in az_commands() if row.outcome is not None}
    assert len(ran) > 100
    assert untried(ran) == []
    assert untried(ran - {("aks show", "succeeded")}) == ["az aks show: succeeded"]
    assert untried(ran - {("aks show", "succeeded")} | {("aks show", "failed")}) == ["az aks show: succeeded"]
    assert untried(ran - {("aks rotate-certs", "ManagedClusters_RotateClusterCertificates")}) == [
        "az aks rotate-certs: ManagedClusters_RotateClusterCertificates"
    ]
