"""A service under load is killed at random moments, again and again; nothing acknowledged is lost."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import httpx

from tests.support.databases import ENGINE, rows
from tests.support.promises import Journal, shown_losses, stored_losses
from tests.support.service import ArmClient, ServiceProcess

KILLS = 6
WORKERS = 4
SEED = 20240503
ANSWERS_BETWEEN_KILLS = 10
SETTLE_SECONDS = 60


class Worker:
    """Creates, scales and deletes node pools of its own, and keeps a journal of what it was promised."""

    def __init__(self, number: int, service: ServiceProcess, stop: threading.Event) -> None:
        self._number = number
        self._service = service
        self._stop = stop
        self._random = random.Random(SEED + number)
        self.journal = Journal()
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
        pool = client.pool(f"w{self._number}p{self._random.randrange(4)}")
        wanted = self._random.choice((None, 1, 2, 5))
        body = {"properties": {"count": wanted}}
        asked = self.journal.asks({pool: None if wanted is None else body})
        reply = client.delete(pool) if wanted is None else client.put(pool, json=body)
        self.answers += 1
        if reply.status_code in (200, 201, 202):
            asked.accepted(reply.headers)
        elif reply.status_code == 204:
            asked.is_so()
        else:
            assert reply.status_code == 409, reply.text
            asked.refused()


def test_random_kills_under_load_lose_nothing(fresh: ServiceProcess) -> None:
    chance = random.Random(SEED)
    fresh.start(simulated_boot_seconds=0.05)
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
                fresh.start(simulated_boot_seconds=0.05)
            await_answers(workers, running, ANSWERS_BETWEEN_KILLS)
        finally:
            stop.set()
        for thread in running:
            thread.result()
    assert all(worker.journal.operations for worker in workers)
    journals = [worker.journal for worker in workers]
    assert shown_losses(fresh.client, journals) == []
    assert fresh.stop() == 0
    assert stored_losses(fresh.data_dir, journals) == []
    # Counts alone changed, so a machine that was begun again after a kill was not started again.
    boots = rows(fresh.data_dir / ENGINE, "SELECT boots FROM machines")
    assert set(boots) == {(1,)}


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
