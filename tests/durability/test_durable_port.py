"""What the durable port promises about starting, stopping, and taking up what was left."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from tests.durability.operations_process import OperationsProcess, until
from tests.support.service import ServiceProcess


def assert_one_machine_each(found: dict[str, Any], count: int) -> None:
    """Store and engine have the same machines, and each was started once."""
    assert list(found["machines"].values()) == [1] * count
    assert sorted(found["machines"]) == found["rows"]


def test_a_transaction_rolled_back_leaves_no_workflow(process: OperationsProcess) -> None:
    process.start()
    process.call("enlist_and_roll_back", operation="00000000-0000-4000-8000-00000000dead")
    assert process.call("workflows") == {}
    process.stop()


def test_an_operation_accepted_but_never_begun_is_carried_out_by_the_queue_after_a_kill(
    process: OperationsProcess,
) -> None:
    process.start()
    process.call("prepare", group="g", kind="create_node_pool")
    operation = process.call("ask", group="g", kind="create_node_pool", begin=False)
    process.kill()
    process.start()
    ended = process.call("end", operation=operation)
    assert ended["status"] == "Succeeded"
    # Looked at every half second; the rest is room for a busy machine.
    assert ended["seconds"] < 3
    assert f"{operation}.at-once" not in process.call("workflows")
    assert_one_machine_each(process.call("look", group="g"), 5)
    process.stop()


def test_an_operation_begun_at_once_and_queued_is_carried_out_once(process: OperationsProcess) -> None:
    process.start()
    process.call("prepare", group="g", kind="update_node_pool")
    operation = process.call("ask", group="g", kind="update_node_pool")
    process.call("begin", operation=operation)
    assert process.call("end", operation=operation)["status"] == "Succeeded"
    until(lambda: set(process.call("workflows").values()) == {"SUCCESS"})
    steps = process.call("steps")
    # One checkpoint however many waves, of the one that carried it out.
    assert sorted([steps[f"{operation}.at-once"], steps[f"{operation}.queued"]]) == [[], ["waves"]]
    assert_one_machine_each(process.call("look", group="g"), 4)
    process.stop()


@pytest.mark.parametrize("behaviour", [{"boot_seconds": 600}, {"ensure_seconds": 1.5}], ids=["waiting", "working"])
def test_an_operation_interrupted_by_a_stop_goes_on_at_the_next_start(
    process: OperationsProcess, behaviour: dict[str, float]
) -> None:
    process.start()
    process.call("prepare", group="g", kind="create_node_pool")
    process.call("misbehave", **behaviour)
    operation = process.call("ask", group="g", kind="create_node_pool")
    until(lambda: len(process.call("look", group="g")["rows"]) == 5)
    process.stop()
    assert process.log() == ""
    process.start()
    assert process.call("look", group="g")["states"]["np1"] in ("Creating", "Succeeded")
    assert process.call("end", operation=operation)["status"] == "Succeeded"
    assert_one_machine_each(process.call("look", group="g"), 5)
    process.stop()
    assert "Traceback" not in process.log()


def test_operations_of_older_plans_are_completed_by_the_newer_ones_and_never_again_by_the_older(
    process: OperationsProcess,
) -> None:
    process.start(plans_version="older")
    process.call("prepare", group="g", kind="create_node_pool")
    process.call("prepare", group="h", kind="create_node_pool")
    process.call("misbehave", boot_seconds=600)
    begun = process.call("ask", group="g", kind="create_node_pool")
    queued = process.call("ask", group="h", kind="create_node_pool", begin=False)
    until(lambda: len(process.call("look", group="g")["machines"]) == 5)
    process.kill()
    process.start(plans_version="newer")
    for operation, group in ((begun, "g"), (queued, "h")):
        assert process.call("end", operation=operation)["status"] == "Succeeded"
        assert_one_machine_each(process.call("look", group=group), 5)
    process.stop()
    process.start(plans_version="older")
    until(lambda: not {"PENDING", "ENQUEUED"} & set(process.call("workflows").values()))
    assert process.call("workflows")[f"{begun}.at-once"] == "CANCELLED"
    process.stop()


def test_an_operation_whose_workflows_were_cancelled_is_taken_up_at_the_next_start(
    process: OperationsProcess,
) -> None:
    process.start()
    process.call("prepare", group="g", kind="create_node_pool")
    process.call("misbehave", boot_seconds=600)
    operation = process.call("ask", group="g", kind="create_node_pool")
    until(lambda: len(process.call("look", group="g")["machines"]) == 5)
    process.call("cancel", operation=operation)
    process.kill()
    process.start()
    assert process.call("end", operation=operation)["status"] == "Succeeded"
    assert_one_machine_each(process.call("look", group="g"), 5)
    assert '"event": "operation_enlisted_anew"' in process.log()
    process.stop()


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO main.operation_outputs", "UPDATE pw_operations SET runner=?"],
    ids=["at its checkpoint", "at its claim"],
)
def test_an_operation_that_met_a_full_disk_goes_on_without_a_restart(
    process: OperationsProcess, statement: str
) -> None:
    """Both of its workflows do so, and then what enlists it anew."""
    process.start()
    process.call("prepare", group="g", kind="delete_node_pool")
    until(lambda: set(process.call("workflows").values()) == {"SUCCESS"})
    process.call("fill_disk", statement=statement, times=3)
    operation = process.call("ask", group="g", kind="delete_node_pool")
    ended = process.call("end", operation=operation)
    assert (ended["status"], ended["error"]) == ("Succeeded", None)
    found = process.call("look", group="g")
    assert (found["busy"], found["pools"]) == (0, {"sys": 2})
    assert_one_machine_each(found, 2)
    assert '"event": "operation_enlisted_anew"' in process.log()
    process.stop()


def test_workflows_that_ended_long_ago_are_forgotten_and_recent_ones_kept(process: OperationsProcess) -> None:
    process.start()
    process.call("prepare", group="g", kind="delete_cluster")
    until(lambda: set(process.call("workflows").values()) == {"SUCCESS"})
    known = process.call("workflows")
    assert len(known) == 4
    process.stop()
    process.start(set_forward=3500)
    process.call("prepare", group="h", kind="create_node_pool")
    until(lambda: set(process.call("workflows").values()) == {"SUCCESS"})
    assert known.items() <= process.call("workflows").items()
    process.stop()
    process.start(set_forward=3700)
    until(lambda: process.call("workflows") == {})
    assert process.call("look", group="g")["pools"] == {"sys": 2, "np1": 3}
    process.stop()


def test_every_connection_of_dbos_waits_for_the_disk_too(process: OperationsProcess) -> None:
    process.start()
    process.call("prepare", group="g", kind="delete_cluster")
    until(lambda: set(process.call("workflows").values()) == {"SUCCESS"})
    seen = process.call("connections")
    assert {each.pop("by_dbos") for each in seen} == {True, False}
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "isolation_level": "IMMEDIATE",
    }
    assert all(each == wanted for each in seen)
    process.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_the_service_ends_at_once_and_goes_on_where_it_was(fresh: ServiceProcess, number: signal.Signals) -> None:
    fresh.start()
    fresh.client.make_cluster()
    fresh.stop()
    fresh.start(simulated_boot_seconds=600)
    reply = fresh.client.put(fresh.client.pool("np1"), json={"properties": {"vmSize": "Standard_D2s_v5", "count": 2}})
    polled = reply.headers["Azure-AsyncOperation"].removeprefix(fresh.url)
    until(lambda: fresh.client.get(polled, params={}).json()["properties"]["poolwright"]["step"] == "await_ready")
    began = time.monotonic()
    assert fresh.stop(number) == (0 if number == signal.SIGTERM else 130)
    assert time.monotonic() - began < 10
    fresh.start(simulated_boot_seconds=0)
    until(lambda: fresh.client.get(polled, params={}).json()["status"] != "InProgress")
    assert fresh.client.get(polled, params={}).json()["status"] == "Succeeded"
    assert fresh.client.get(fresh.client.pool("np1")).json()["properties"]["provisioningState"] == "Succeeded"
    assert "Traceback" not in fresh.log()
