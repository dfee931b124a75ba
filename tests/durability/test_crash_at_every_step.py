"""A real service kills itself before and after the effect of every step of every plan, and goes on.

The steps are enumerated from the plans, so a new one is covered by itself. How operations unwind is in
test_crash_while_unwinding.py; here only a node pool that Compute would refuse does. Deployments, which begin
operations of other kinds, are in test_crash_in_deployments.py.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.domain.operation import OperationKind
from tests.durability.chains import Case, chained, require_all_in
from tests.operations.workbench import KINDS, steps_of
from tests.support.activity_log import require_logged_once
from tests.support.service import ArmClient, ServiceProcess

DEADLINE_SECONDS = 60
V1_ONLY, BOTH = "Standard_D2_v3", "Standard_D2s_v3"
# With profile azure-2026 this node pool is accepted and its operation fails (conflict C3): it unwinds.
REFUSED = {"vmSize": "Standard_D4ads_v6", "osType": "Windows", "osSKU": "Windows2022", "count": 2}
# Each kind of step once: the same step of another wave is the same code.
CASES = [
    *(
        Case(kind, step, moment)
        for kind in KINDS
        for step in dict.fromkeys(name.rpartition(".")[2] for name in steps_of(kind))
        for moment in ("before", "after")
    ),
    *(Case(OperationKind.CREATE_NODE_POOL, "mark_failed", moment, fails=True) for moment in ("before", "after")),
]
CHAINS = chained(CASES, 4)


def test_every_step_of_every_plan_is_covered() -> None:
    require_all_in(CHAINS, CASES)


@pytest.mark.parametrize("chain", CHAINS, ids=[f"chain {number}" for number in range(len(CHAINS))])
def test_a_service_killed_at_any_step_finishes_or_unwinds_when_it_starts_again(
    chain: list[Case], fresh: ServiceProcess
) -> None:
    fresh.start()
    fresh.client.make_cluster()
    fresh.client.make_cluster("by")
    fresh.kill()
    left: Expectation | None = None
    for number, case in enumerate(chain):
        fresh.start(test_crash=case.place, profile="azure-2026" if case.fails else "documented")
        if left is not None:
            left.require(fresh)
        following = chain[number + 1].kind if number + 1 < len(chain) else None
        bystander = disturbed(fresh.client, number, {case.kind, following})
        left = provoke(case, number, fresh.client, bystander)
        assert fresh.wait() == -signal.SIGKILL, f"{case.place}: not killed\n{fresh.log()[-2000:]}"
    fresh.start()
    assert left is not None
    left.require(fresh)
    assert require_logged_once(fresh.data_dir) > len(chain)


@dataclass
class Expectation:
    """What has to be true once the service runs again: of the resource, and of the operation beside it."""

    case: Case
    path: str
    count: int | None
    bystander: Bystander

    def require(self, service: ServiceProcess) -> None:
        state = "Failed" if self.case.fails else "Succeeded"
        stored = self._ended(service.data_dir)
        assert stored[self.path.lower(), self.case.kind.value] == state, f"{self.case.place}: {stored}"
        reply = service.client.get(self.path)
        if self.count is None:
            assert reply.status_code == 404, f"{self.case.place}: {self.path} is still there"
        else:
            assert reply.json()["properties"]["provisioningState"] == state, f"{self.case.place}: {reply.text}"
        rows, boots = machine_rows(service.data_dir), machines(service.data_dir)
        assert rows == boots.keys(), f"{self.case.place}: machines left behind or missing"
        most = {2} if self.case.kind is OperationKind.START_CLUSTER else {1}
        mine_or_not = {key: number for key, number in boots.items() if key.startswith(f"{self.path.lower()}/")}
        if self.case.kind is OperationKind.REIMAGE_MACHINE:
            # Exactly one of them was started twice.
            assert sorted(mine_or_not.values()) == [1, 2], f"{self.case.place}: {boots}"
            most = {1, 2}
        assert set(mine_or_not.values()) <= most, f"{self.case.place}: a machine was started twice: {boots}"
        mine = [key for key in rows if key.startswith(f"{self.path.lower()}/")]
        assert len(mine) == (self.count or 0), f"{self.case.place}: {mine}"
        self.bystander.require(service.client, self.case.place)

    def _ended(self, data_dir: Path) -> dict[tuple[str, str], str]:
        """Every operation's status, by resource and kind, once all have ended."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            stored = operations(data_dir)
            if "InProgress" not in stored.values():
                return stored
            threading.Event().wait(0.02)
        raise AssertionError(f"{self.case.place}: not ended after {DEADLINE_SECONDS} s: {stored}")


@dataclass
class Bystander:
    """An operation on something else, begun just before the process dies."""

    operation: str
    path: str
    shows: str

    def require(self, client: ArmClient, place: str) -> None:
        assert client.get(self.operation, params={}).json()["status"] == "Succeeded", place
        shown = client.get(self.path).json()
        assert self.shows in json.dumps(shown), f"{place}: {shown}"
        assert shown["properties"]["provisioningState"] == "Succeeded"


def disturbed(client: ArmClient, number: int, kinds_taken: set[OperationKind | None]) -> Bystander:
    """Begin an operation that meets neither this place nor the next, and do not wait for it."""
    mark = f"bystander-{number}"
    requests: Mapping[OperationKind, tuple[str, dict[str, Any]]] = {
        OperationKind.UPDATE_NODE_POOL: (
            client.pool("sys", "by"),
            {"properties": {"mode": "System", "nodeLabels": {"mark": mark}}},
        ),
        OperationKind.UPDATE_CLUSTER: (client.cluster("by"), {"location": "eastus", "tags": {"mark": mark}}),
        OperationKind.CREATE_CLUSTER: (client.cluster(f"by-{number}"), cluster(1) | {"tags": {"mark": mark}}),
    }
    path, body = next(request for kind, request in requests.items() if kind not in kinds_taken)
    reply = client.put(path, json=body)
    assert reply.status_code in (200, 201), reply.text
    url = httpx.URL(reply.headers["Azure-AsyncOperation"])
    return Bystander(url.raw_path.decode(), path, mark)


def provoke(case: Case, number: int, client: ArmClient, bystander: Bystander) -> Expectation:
    """Send the request whose operation meets the place, and say what has to come of it."""

    def sent(
        method: str, path: str, body: dict[str, Any] | None, count: int | None, resource: str | None = None
    ) -> Expectation:
        # The process may die before it answers: what it stored counts.
        with suppress(httpx.TransportError):
            reply = client.request(method, path, json=body)
            assert reply.status_code in (200, 201, 202), reply.text
        return Expectation(case, resource or path, count, bystander)

    pool = client.pool(f"p{number}")
    # Growing and shrinking in turn: at `before` and `after` of a step, chains being what they are, each comes up.
    count = 3 if case.moment == "before" else 1
    match case.kind:
        case OperationKind.CREATE_NODE_POOL if case.fails:
            return sent("PUT", pool, {"properties": REFUSED}, 0)
        case OperationKind.CREATE_NODE_POOL:
            return sent("PUT", pool, {"properties": {"count": 2}}, 2)
        case OperationKind.UPDATE_NODE_POOL:
            client.make_pool(f"p{number}", {"vmSize": V1_ONLY, "count": 2})
            return sent("PUT", pool, {"properties": {"vmSize": BOTH, "count": count}}, count)
        case OperationKind.UPGRADE_NODE_IMAGE:
            client.make_pool(f"p{number}", {"count": 2})
            return sent("POST", f"{pool}/upgradeNodeImageVersion", None, 2, pool)
        case OperationKind.ROLLBACK_NODE_POOL:
            client.make_pool(f"p{number}", {"vmSize": V1_ONLY, "count": 2})
            client.done(client.put(pool, json={"properties": {"vmSize": BOTH}}))
            return sent("POST", f"{pool}/rollback", None, 2, pool)
        case OperationKind.DELETE_MACHINES:
            client.make_pool(f"p{number}", {"count": 2})
            name = client.get(f"{pool}/machines").json()["value"][0]["name"]
            return sent("POST", f"{pool}/deleteMachines", {"machineNames": [name]}, 1, pool)
        case OperationKind.REIMAGE_MACHINE:
            client.make_pool(f"p{number}", {"count": 2})
            name = client.get(f"{pool}/machines").json()["value"][0]["name"]
            return sent("POST", f"{pool}/machines/{name}/reimage", None, 2, pool)
        case OperationKind.STOP_CLUSTER | OperationKind.START_CLUSTER:
            path = client.cluster(f"s{number}")
            client.done(client.put(path, json=cluster(2)))
            if case.kind is OperationKind.STOP_CLUSTER:
                return sent("POST", f"{path}/stop", None, 2, path)
            client.done(client.post(f"{path}/stop"))
            return sent("POST", f"{path}/start", None, 2, path)
        case OperationKind.DELETE_NODE_POOL:
            client.make_pool(f"p{number}", {"count": 2})
            return sent("DELETE", pool, None, None)
        case OperationKind.CREATE_CLUSTER:
            return sent("PUT", client.cluster(f"k{number}"), cluster(2), 2)
        case OperationKind.UPDATE_CLUSTER:
            path = client.cluster(f"u{number}")
            client.done(client.put(path, json=cluster(2)))
            return sent("PUT", path, cluster(count, "Standard_D4s_v5"), count)
        case OperationKind.DELETE_CLUSTER:
            path = client.cluster(f"d{number}")
            client.done(client.put(path, json=cluster(2)))
            return sent("DELETE", path, None, None)
        case OperationKind.DELETE_RESOURCE_GROUP:
            client.make_cluster(group=f"g{number}")
            return sent("DELETE", client.group(f"g{number}"), None, None)
        case OperationKind.ABORT_NODE_POOL | OperationKind.ABORT_CLUSTER | OperationKind.CREATE_DEPLOYMENT:
            raise ValueError(f"{case.kind} is not one of KINDS")


def cluster(count: int, size: str = "Standard_D2s_v5") -> dict[str, Any]:
    profile = {"name": "sys", "mode": "System", "count": count, "vmSize": size}
    return {"location": "eastus", "properties": {"agentPoolProfiles": [profile]}}


def operations(data_dir: Path) -> dict[tuple[str, str], str]:
    rows = _rows(data_dir / "poolwright.sqlite", "SELECT resource_key, record, status FROM pw_operations")
    return {(key, json.loads(record)["kind"]): status for key, record, status in rows}


def machine_rows(data_dir: Path) -> set[str]:
    return {key for (key,) in _rows(data_dir / "poolwright.sqlite", "SELECT key FROM pw_machines")}


def machines(data_dir: Path) -> dict[str, int]:
    """Every machine of the simulated engine, with how often it was started."""
    return dict(_rows(data_dir / "machines" / "simulated.sqlite", "SELECT key, boots FROM machines"))


def _rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
