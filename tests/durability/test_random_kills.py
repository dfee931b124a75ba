"""A service under load is killed at random moments, again and again; nothing acknowledged is lost."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.durability.activity_log import require_logged_once
from tests.support.service import ArmClient, ServiceProcess

KILLS = 6
WORKERS = 4
SEED = 20240503
ANSWERS_BETWEEN_KILLS = 10
SETTLE_SECONDS = 60


class Worker:
    """Creates, scales and deletes node pools of its own, and remembers what was acknowledged."""

    def __init__(self, number: int, service: ServiceProcess, stop: threading.Event) -> None:
        self._number = number
        self._service = service
        self._stop = stop
        self._random = random.Random(SEED + number)
        # Pool name -> acknowledged count; None after an acknowledged deletion. A request without an answer
        # leaves two possibilities.
        self.acknowledged: dict[str, set[int | None]] = {}
        self.operations: list[str] = []
        self.answers = 0

    def run(self) -> None:
        """Until told to stop, with a new connection after every one that broke."""
        while not self._stop.is_set():
            try:
                with closing(self._log_in()) as client:
                    while not self._stop.is_set():
                        self._one_change(client)
            except httpx.TransportError:
                self._stop.wait(0.05)

    def _log_in(self) -> ArmClient:
        return ArmClient.of(self._service.url, self._service.ca, self._service.credentials)

    def _one_change(self, client: ArmClient) -> None:
        name = f"w{self._number}p{self._random.randrange(4)}"
        wanted = self._random.choice((None, 1, 2, 5))
        before = self.acknowledged.setdefault(name, {None})
        self.acknowledged[name] = before | {wanted}
        if wanted is None:
            reply = client.delete(client.pool(name))
        else:
            reply = client.put(client.pool(name), json={"properties": {"count": wanted}})
        self.answers += 1
        if reply.status_code in (200, 201, 202):
            self.acknowledged[name] = {wanted}
            self.operations.append(reply.headers["Azure-AsyncOperation"].partition("/subscriptions")[2])
        elif reply.status_code == 204:
            self.acknowledged[name] = {None}
        else:
            assert reply.status_code == 409, reply.text
            self.acknowledged[name] = before


def test_random_kills_under_load_lose_nothing(fresh: ServiceProcess) -> None:
    chance = random.Random(SEED)
    fresh.start(simulated_boot_seconds=0.05)
    port = int(fresh.url.rpartition(":")[2])
    fresh.client.make_cluster()
    stop = threading.Event()
    workers = [Worker(number, fresh, stop) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as threads:
        running = [threads.submit(worker.run) for worker in workers]
        try:
            for _ in range(KILLS):
                await_answers(workers, running, ANSWERS_BETWEEN_KILLS)
                stop.wait(chance.uniform(0.0, 1.0))
                fresh.kill()
                fresh.start(port=port, simulated_boot_seconds=0.05)
            await_answers(workers, running, ANSWERS_BETWEEN_KILLS)
        finally:
            stop.set()
        for thread in running:
            thread.result()
    assert all(worker.operations for worker in workers)
    client = fresh.client
    for worker in workers:
        for operation in worker.operations:
            assert settled_status(client, f"/subscriptions{operation}") == "Succeeded"
        for name, possible in worker.acknowledged.items():
            assert settled_count(client, name) in possible, (name, possible)
    store, engine = fresh.data_dir / "poolwright.sqlite", fresh.data_dir / "machines" / "simulated.sqlite"
    assert rows(store, "SELECT id FROM pw_operations WHERE status = 'InProgress'") == []
    boots = dict(rows(engine, "SELECT key, boots FROM machines"))
    assert boots.keys() == shown(client) == {key for (key,) in rows(store, "SELECT key FROM pw_machines")}
    assert set(boots.values()) == {1}
    assert require_logged_once(fresh.data_dir) >= sum(len(worker.operations) for worker in workers)
    assert fresh.stop() == 0
    for database in (store, engine):
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        assert rows(database, "PRAGMA foreign_key_check") == []


def await_answers(workers: list[Worker], running: list[Future[None]], more: int) -> None:
    """Returns when the workers together have `more` answers than now: a slow machine kills no idle service."""
    before = sum(worker.answers for worker in workers)
    deadline = time.monotonic() + SETTLE_SECONDS
    while sum(worker.answers for worker in workers) < before + more:
        for thread in running:
            if thread.done():
                thread.result()
        assert time.monotonic() < deadline, f"not {more} answers within {SETTLE_SECONDS} s"
        time.sleep(0.02)


def settled_status(client: ArmClient, operation: str) -> str:
    deadline = time.monotonic() + SETTLE_SECONDS
    while (status := client.get(operation).json()["status"]) == "InProgress" and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    return str(status)


def settled_count(client: ArmClient, name: str) -> int | None:
    """The machines of the node pool once nothing happens to it any more; None when there is none."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        reply = client.get(client.pool(name))
        if reply.status_code == 404:
            return None
        properties: dict[str, Any] = reply.json()["properties"]
        if properties["provisioningState"] in ("Succeeded", "Failed"):
            assert properties["provisioningState"] == "Succeeded", properties
            assert sum(properties["poolwright"]["observedGenerations"].values()) == properties["count"]
            return int(properties["count"])
        threading.Event().wait(0.05)
    raise AssertionError(f"{name} did not settle within {SETTLE_SECONDS} s")


def shown(client: ArmClient) -> set[str]:
    """The key of every machine the service shows."""
    pools = client.get(f"{client.cluster()}/agentPools").json()["value"]
    return {machine["id"].lower() for pool in pools for machine in client.get(f"{pool['id']}/machines").json()["value"]}


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
