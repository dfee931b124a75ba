"""`make soak`: fifty clients for ten minutes, with random kills in the first six; then everything is compared.

Prints the report on stdout and its progress on stderr. Exit code 0 when nothing was lost, 1 otherwise, 130 after Ctrl-C
with a report of what was measured until then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate, count, takewhile
from pathlib import Path
from typing import Final

from bench.memory import memory_mb
from bench.soak.customer import Customer
from bench.soak.report import SHOWN_PROBLEMS, Report, Sample, latencies, load_average, memory, statuses
from bench.soak.session import Address, Session, Traffic
from poolwright.testing import Service, ServiceEnded
from tests.support.promises import shown_losses, stored_losses

CUSTOMERS_OF_A_CLUSTER: Final = 10
SAMPLE_SECONDS: Final = 1.0
FINISH_SECONDS: Final = 180.0
START_SECONDS: Final = 120.0
# As in tests/durability: long enough that kills meet machines on their way.
BOOT_SECONDS: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. Kills come `between_kills` seconds after each other, in the first `storm` of the time."""

    seconds: float = 600.0
    clients: int = 50
    seed: int = 1
    kills: bool = True
    between_kills: tuple[float, float] = (20.0, 60.0)
    storm: float = 0.6
    progress_seconds: float = 10.0

    def kills_at(self) -> list[float]:
        """Return when to kill, in seconds since the load began: the seed decides."""
        if not self.kills:
            return []
        chance = random.Random(self.seed)
        moments = accumulate(chance.uniform(*self.between_kills) for _ in count())
        return list(takewhile(lambda at: at <= self.storm * self.seconds, moments))


class Soak:
    """One run against a service that is not started yet."""

    def __init__(self, plan: Plan, service: Service) -> None:
        self._plan = plan
        self._service = service
        self._traffic = Traffic()
        self._customers: list[Customer] = []
        self._samples: list[Sample] = []
        self._kills: list[float] = []
        self._restarts: list[float] = []
        self._began = time.monotonic()
        self._ended: float | None = None
        self._losses: tuple[str, ...] | None = None

    @property
    def report(self) -> Report:
        """What has been measured so far."""
        return Report(
            clients=self._plan.clients,
            seed=self._plan.seed,
            seconds=(self._ended or time.monotonic()) - self._began,
            changes=sum(len(customer.journal.changes) for customer in self._customers),
            operations=sum(len(customer.journal.operations) for customer in self._customers),
            requests=self._traffic.requests,
            retries=self._traffic.retries,
            gave_up=self._traffic.gave_up,
            broken=dict(self._traffic.broken),
            statuses=statuses(self._traffic),
            latencies=latencies(self._traffic),
            kills=tuple(self._kills),
            restart_seconds=tuple(self._restarts),
            memory=memory(self._samples),
            load_average=load_average(),
            cores=len(os.sched_getaffinity(0)),
            problems=tuple(self._traffic.problems),
            losses=self._losses,
        )

    async def run(self) -> Report:
        """Load, kill, compare; the service is stopped afterwards."""
        await asyncio.to_thread(self._start)
        async with self._sessions() as sessions:
            await self._set_up(sessions)
            stop = asyncio.Event()
            self._began = time.monotonic()
            async with asyncio.TaskGroup() as work:
                beside = [work.create_task(each) for each in (self._sample(), self._show_progress())]
                working = [work.create_task(customer.work(stop)) for customer in self._customers]
                await self._kill_at_random()
                await asyncio.sleep(self._plan.seconds - self._spent())
                for task in beside:
                    task.cancel()
                self._ended = time.monotonic()
                stop.set()
                _, unfinished = await asyncio.wait(working, timeout=FINISH_SECONDS)
                for task in unfinished:
                    task.cancel()
                    self._traffic.problems.append(f"a client had not finished {FINISH_SECONDS:g} s after the end")
        self._losses = await asyncio.to_thread(self._compare)
        return self.report

    def _start(self) -> None:
        """Start the service and wait until it is ready. Raises `ServiceEnded` where it ends instead, or takes too long.

        The wait is longer than in tests: on a machine that is shared, starting has taken half a minute.
        """
        self._service.launch(simulated_boot_seconds=BOOT_SECONDS)
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self._service.url = self._service.wait_ready()
            except ServiceEnded:
                if not self._service.is_running or time.monotonic() > give_up:
                    raise
            else:
                return

    def _compare(self) -> tuple[str, ...]:
        journals = [customer.journal for customer in self._customers]
        lost = shown_losses(self._service.client, journals)
        code = self._service.stop()
        if code != 0:
            lost.append(f"the service ended with {code}")
        return (*lost, *stored_losses(self._service.data_dir, journals))

    @asynccontextmanager
    async def _sessions(self) -> AsyncIterator[list[Session]]:
        trust = ssl.create_default_context(cafile=str(self._service.ca))
        token = self._service.client.headers["Authorization"].removeprefix("Bearer ")
        address = Address(self._service.url, trust, token)
        sessions = [Session(address, self._traffic) for _ in range(self._plan.clients)]
        try:
            yield sessions
        finally:
            for session in sessions:
                await session.close()

    async def _set_up(self, sessions: list[Session]) -> None:
        client = self._service.client
        shared = [f"shared{number}" for number in range(-(-self._plan.clients // CUSTOMERS_OF_A_CLUSTER))]
        for cluster in shared:
            await asyncio.to_thread(client.make_cluster, cluster, "soak")
        self._customers = [
            Customer(number, self._plan.seed, client, shared[number % len(shared)], session)
            for number, session in enumerate(sessions)
        ]

    async def _kill_at_random(self) -> None:
        for at in self._plan.kills_at():
            await asyncio.sleep(at - self._spent())
            self._kills.append(self._spent())
            await asyncio.to_thread(self._service.kill)
            await asyncio.to_thread(self._start)
            self._restarts.append(self._spent() - self._kills[-1])

    async def _sample(self) -> None:
        while True:
            pid = self._service.pid
            # It may be gone, or not know its memory yet.
            with contextlib.suppress(OSError, IndexError):
                self._samples.append(Sample(self._spent(), pid, memory_mb(pid)))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def _show_progress(self) -> None:
        before = told = 0
        while True:
            await asyncio.sleep(self._plan.progress_seconds)
            for problem in self._traffic.problems[told : told + SHOWN_PROBLEMS]:
                print(f"went wrong: {problem}", file=sys.stderr)
            told = len(self._traffic.problems)
            requests = self._traffic.requests
            minutes, seconds = divmod(int(self._spent()), 60)
            changes = sum(len(customer.journal.changes) for customer in self._customers)
            print(
                f"{minutes:02}:{seconds:02}  kills {len(self._kills)}  requests {requests:,} "
                f"({(requests - before) / self._plan.progress_seconds:,.0f}/s)  "
                f"changes {changes:,}  retries {self._traffic.retries}  "
                f"memory {self._samples[-1].mb:.0f} MB  went wrong {len(self._traffic.problems)}",
                file=sys.stderr,
                flush=True,
            )
            before = requests

    def _spent(self) -> float:
        return time.monotonic() - self._began


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: a random one, reported")
    parser.add_argument("--kills", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    wanted = parser.parse_args()
    if wanted.minutes <= 0 or wanted.clients < 1:
        parser.error("--minutes and --clients have to be more than 0")
    plan = Plan(seconds=60 * wanted.minutes, clients=wanted.clients, seed=wanted.seed, kills=wanted.kills)
    print(f"seed {plan.seed}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="poolwright-soak-", ignore_cleanup_errors=True) as scratch:
        service = Service(Path(scratch) / "data", log_level="warning")
        soak = Soak(plan, service)
        try:
            code = asyncio.run(_until_interrupted(soak.run))
        finally:
            if service.is_running:
                service.kill()
        report = soak.report
    print(json.dumps(report.as_json(), indent=2) if wanted.output == "json" else report.as_text())
    return code if code else int(not report.is_good)


async def _until_interrupted(run: Callable[[], Awaitable[object]]) -> int:
    """Return 0 once the run has ended, 130 when Ctrl-C has ended it."""
    running = asyncio.ensure_future(run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
