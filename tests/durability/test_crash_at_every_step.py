"""A real service kills itself before and after the effect of every step of every plan, and goes on.

The steps are enumerated from `PLANS`, so a new one is covered by itself. The cases run as chains on one data
directory each: a case is started, the process dies of SIGKILL at its place, and the start for the next case
finishes what was left. Neighbours in a chain are of different kinds, so that the next place is not met early.
"""

from __future__ import annotations

import itertools
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from poolwright.domain.operation import OperationKind
from poolwright.operations.plans import PLANS
from tests.support.service import ArmClient, ServiceProcess

CHAINS = 2
DEADLINE_SECONDS = 30
# With profile azure-2026 this node pool is accepted and its operation fails (conflict C3): it unwinds.
FAILING = {"vmSize": "Standard_D4ads_v6", "osType": "Windows", "osSKU": "Windows2022", "count": 2}


@dataclass(frozen=True)
class Case:
    """One place to die at; `fails` is a creation that has to unwind."""

    kind: OperationKind
    step: str
    moment: str
    fails: bool = False

    @property
    def place(self) -> str:
        return f"{self.kind.value}:{self.step}:{self.moment}"


def every_case() -> list[Case]:
    return [
        *(
            Case(kind, step.name, moment)
            for kind, plan in PLANS.items()
            for step in plan
            for moment in ("before", "after")
        ),
        *(
            Case(OperationKind.CREATE_NODE_POOL, name, moment, fails=True)
            for name in ("allocate_machines", "undo_allocate_machines", "mark_failed")
            for moment in ("before", "after")
        ),
    ]


def chains() -> list[list[Case]]:
    """The cases in `CHAINS` parts, in each of which no kind follows itself."""
    by_kind: dict[OperationKind, list[Case]] = {}
    for case in every_case():
        by_kind.setdefault(case.kind, []).append(case)
    ordered: list[Case] = []
    while any(by_kind.values()):
        last = ordered[-1].kind if ordered else None
        kind = max((kind for kind in by_kind if kind is not last), key=lambda kind: len(by_kind[kind]))
        ordered.append(by_kind[kind].pop())
    cut = len(ordered) // CHAINS
    return [ordered[:cut], ordered[cut:]]


def test_every_step_of_every_plan_is_covered() -> None:
    covered = {(case.kind, case.step) for case in itertools.chain(*chains())}
    assert covered >= {(kind, step.name) for kind, plan in PLANS.items() for step in plan}
    assert sorted(map(str, itertools.chain(*chains()))) == sorted(map(str, every_case()))
    for chain in chains():
        assert all(first.kind is not second.kind for first, second in itertools.pairwise(chain))


@pytest.mark.parametrize("chain", chains(), ids=[f"chain{number}" for number in range(CHAINS)])
def test_a_service_killed_at_any_step_finishes_or_unwinds_when_it_starts_again(
    chain: list[Case], fresh: ServiceProcess
) -> None:
    fresh.start()
    prepare(fresh.client)
    pending: Expectation | None = None
    for number, case in enumerate(chain):
        if fresh.is_running:
            fresh.stop()
        profile = "azure-2026" if case.fails else "documented"
        fresh.start(test_crash=case.place, profile=profile)
        if pending is not None:
            pending.require(fresh)
        pending = provoke(case, number, fresh)
        assert fresh.wait() == -signal.SIGKILL, f"{case.place}: not killed\n{fresh.log()[-2000:]}"
    fresh.start()
    assert pending is not None
    pending.require(fresh)


@dataclass
class Expectation:
    """What has to be true once the service runs again."""

    case: Case
    path: str
    operation: str | None
    count: int | None

    def require(self, service: ServiceProcess) -> None:
        client = service.client
        document = self._settled(client)
        if self.count is None:
            assert document is None, f"{self.case.place}: {self.path} is still there"
        else:
            assert document is not None, f"{self.case.place}: {self.path} is gone"
            state = document["properties"]["provisioningState"]
            assert state == ("Failed" if self.case.fails else "Succeeded"), (self.case.place, document)
        if self.operation is not None:
            status = client.get(self.operation).json()["status"]
            assert status == ("Failed" if self.case.fails else "Succeeded"), self.case.place
        shown = machines(client)
        run = dict(boots(service.data_dir))
        assert shown.keys() == run.keys(), f"{self.case.place}: machines left behind or missing"
        assert set(run.values()) <= {1}, f"{self.case.place}: a machine was made twice: {run}"
        if self.count is not None:
            assert sum(key.startswith(self.path.lower()) for key in shown) == self.count, self.case.place

    def _settled(self, client: ArmClient) -> dict[str, Any] | None:
        """The resource once it is in a terminal state; None once it is gone."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            reply = client.get(self.path)
            if reply.status_code == 404:
                return None
            document: dict[str, Any] = reply.json()
            terminal = document["properties"]["provisioningState"] in ("Succeeded", "Failed")
            if terminal and self.count is not None:
                return document
            threading.Event().wait(0.05)
        raise AssertionError(f"{self.case.place}: not settled after {DEADLINE_SECONDS} s: {reply.text}")


def prepare(client: ArmClient) -> None:
    client.make_cluster()
    client.make_pool("upd", {"count": 2})


def provoke(case: Case, number: int, service: ServiceProcess) -> Expectation:
    """Send the request whose operation meets the place, and say what has to come of it."""
    client = service.client
    pool = client.pool(f"p{number}")
    match case.kind:
        case OperationKind.CREATE_NODE_POOL if case.fails:
            return sent(client, case, "PUT", pool, {"properties": FAILING}, 0)
        case OperationKind.CREATE_NODE_POOL:
            return sent(client, case, "PUT", pool, {"properties": {"count": 2}}, 2)
        case OperationKind.UPDATE_NODE_POOL:
            count = 3 if number % 2 else 1
            return sent(client, case, "PUT", client.pool("upd"), {"properties": {"count": count}}, count)
        case OperationKind.DELETE_NODE_POOL:
            client.make_pool(f"p{number}", {"count": 2})
            return sent(client, case, "DELETE", pool, None, None)
        case OperationKind.CREATE_CLUSTER:
            path = client.cluster(f"k{number}")
            return sent(client, case, "PUT", path, cluster(2), 2)
        case OperationKind.UPDATE_CLUSTER:
            count = 3 if number % 2 else 1
            path = client.cluster(f"u{number}")
            client.done(client.put(path, json=cluster(2)))
            return sent(client, case, "PUT", path, cluster(count), count)
        case OperationKind.DELETE_CLUSTER:
            path = client.cluster(f"d{number}")
            client.done(client.put(path, json=cluster(1)))
            return sent(client, case, "DELETE", path, None, None)
        case OperationKind.DELETE_RESOURCE_GROUP:
            client.make_cluster(group=f"g{number}")
            return sent(client, case, "DELETE", client.group(f"g{number}"), None, None)


def sent(
    client: ArmClient, case: Case, method: str, path: str, body: dict[str, Any] | None, count: int | None
) -> Expectation:
    """The request may be answered before the process dies, or not."""
    operation = None
    try:
        reply = client.request(method, path, json=body)
        assert reply.status_code in (200, 201, 202), reply.text
        operation = reply.headers.get("Azure-AsyncOperation", "").partition("/subscriptions")[2]
    except httpx.TransportError:
        pass
    return Expectation(case, path, f"/subscriptions{operation}" if operation else None, count)


def cluster(count: int) -> dict[str, Any]:
    profile = {"name": "sys", "mode": "System", "count": count}
    return {"location": "eastus", "properties": {"agentPoolProfiles": [profile]}}


def machines(client: ArmClient) -> dict[str, Any]:
    """Every machine the service shows, by key."""
    found = {}
    for managed in client.get(f"{client.subscription}/providers/Microsoft.ContainerService/managedClusters").json()[
        "value"
    ]:
        for profile in managed["properties"]["agentPoolProfiles"]:
            pool = f"{managed['id']}/agentPools/{profile['name']}"
            for machine in client.get(f"{pool}/machines").json()["value"]:
                found[machine["id"].lower()] = machine
    return found


def boots(data_dir: Path) -> Iterator[tuple[str, int]]:
    """Every machine of the simulated engine, with how often it was made or started."""
    with sqlite3.connect(f"file:{data_dir}/machines/simulated.sqlite?mode=ro", uri=True) as connection:
        yield from connection.execute("SELECT key, boots FROM machines").fetchall()
    connection.close()
