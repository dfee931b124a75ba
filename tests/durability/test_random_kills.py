"""Kills at random moments while several clients work: what was acknowledged is there, and everything agrees."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.support.service import ArmClient, ServiceProcess

SEED = 20_260_601
KILLS = 6
TENANTS = 3
DEADLINE_SECONDS = 60
SIZE = "Standard_D2s_v5"


@dataclass
class Pool:
    """A node pool as its client knows it: the counts it may have, None for not being there."""

    name: str
    possible: set[int | None] = field(default_factory=lambda: {None})
    acknowledged: list[str] = field(default_factory=list)

    def answered(self, reply: httpx.Response, count: int | None) -> None:
        if reply.status_code == 409:
            return
        assert reply.status_code in (200, 201, 202, 204), reply.text
        self.possible = {count}
        if reply.status_code != 204:
            self.acknowledged.append(httpx.URL(reply.headers["Azure-AsyncOperation"]).raw_path.decode())

    def unanswered(self, count: int | None) -> None:
        """The service died before it answered: the request may have been accepted or not."""
        self.possible.add(count)


@dataclass
class Tenant:
    """A client with a cluster of its own, which creates, scales and deletes node pools until the service dies."""

    cluster: str
    dice: random.Random
    pools: list[Pool] = field(init=False)

    def __post_init__(self) -> None:
        self.pools = [Pool(f"np{number}") for number in range(3)]

    def work(self, service: ServiceProcess) -> None:
        try:
            with closing(ArmClient(service)) as client:
                while True:
                    self._change(client, self.dice.choice(self.pools))
        except httpx.TransportError:
            return

    def _change(self, client: ArmClient, pool: Pool) -> None:
        path = client.pool(pool.name, self.cluster)
        count = self.dice.choice([None, 1, 2, 3, 8])
        try:
            if count is None:
                reply = client.delete(path)
            else:
                reply = client.put(path, json={"properties": {"vmSize": SIZE, "count": count}})
        except httpx.TransportError:
            pool.unanswered(count)
            raise
        pool.answered(reply, count)
        if pool.acknowledged and self.dice.random() < 0.5:
            self._watch(client, pool.acknowledged[-1])

    def _watch(self, client: ArmClient, operation: str) -> None:
        while client.get(operation, params={}).json()["status"] == "InProgress":
            threading.Event().wait(0.02)


def test_whatever_the_moment_of_a_kill_nothing_acknowledged_is_lost_and_nothing_is_left_over(
    fresh: ServiceProcess,
) -> None:
    dice = random.Random(SEED)
    tenants = [Tenant(f"t{number}", random.Random(f"{SEED}-{number}")) for number in range(TENANTS)]
    fresh.start()
    for tenant in tenants:
        fresh.client.make_cluster(tenant.cluster)
    fresh.stop()
    for _ in range(KILLS):
        fresh.start(simulated_boot_seconds=0.15)
        with ThreadPoolExecutor(TENANTS) as threads:
            working = [threads.submit(tenant.work, fresh) for tenant in tenants]
            threading.Event().wait(dice.uniform(0.2, 1.5))
            fresh.kill()
            for work in working:
                work.result(DEADLINE_SECONDS)
    fresh.start()
    require_all_ended(fresh.data_dir)
    acknowledged = [operation for tenant in tenants for pool in tenant.pools for operation in pool.acknowledged]
    assert len(acknowledged) > 3 * KILLS
    for operation in acknowledged:
        assert fresh.client.get(operation, params={}).json()["status"] == "Succeeded", operation
    for tenant in tenants:
        for pool in tenant.pools:
            require_as_told(fresh.client, tenant.cluster, pool)
    require_agreement(fresh.data_dir)
    assert fresh.stop() == 0
    for file in ("poolwright.sqlite", "machines/simulated.sqlite"):
        assert query(fresh.data_dir / file, "PRAGMA integrity_check") == [("ok",)]
        assert query(fresh.data_dir / file, "PRAGMA foreign_key_check") == []


def require_all_ended(data_dir: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while running := query(
        data_dir / "poolwright.sqlite", "SELECT id, runner FROM pw_operations WHERE status = 'InProgress'"
    ):
        assert time.monotonic() < deadline, f"these never ended: {running}"
        threading.Event().wait(0.05)


def require_as_told(client: ArmClient, cluster: str, pool: Pool) -> None:
    reply = client.get(client.pool(pool.name, cluster))
    there: int | None = None
    if reply.status_code != 404:
        properties = reply.json()["properties"]
        assert properties["provisioningState"] == "Succeeded"
        there = properties["count"]
        machines = client.get(f"{client.pool(pool.name, cluster)}/machines").json()["value"]
        assert len(machines) == there
    assert there in pool.possible, f"{cluster}/{pool.name} has {there}, may have {pool.possible}"


def require_agreement(data_dir: Path) -> None:
    """Store and engine have the same machines, and none was started twice."""
    rows = {key for (key,) in query(data_dir / "poolwright.sqlite", "SELECT key FROM pw_machines")}
    boots = dict(query(data_dir / "machines" / "simulated.sqlite", "SELECT key, boots FROM machines"))
    assert rows == boots.keys()
    assert set(boots.values()) == {1}


def query(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()
