"""What a soak has measured, in figures, as text and as JSON.

Invariant: what was not measured says so; it has no figure.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.soak.session import Traffic

SHOWN_PROBLEMS: Final = 20
# Of a life without kills: the first part fills caches, and a fit over less than a minute says nothing.
WARM_UP_SHARE: Final = 0.25
LEAST_JUDGED_SECONDS: Final = 60.0
# What counts as flat: ours. Growth by the fitted line over the judged time.
MOST_GROWTH_SHARE: Final = 0.05


@dataclass(frozen=True)
class Sample:
    """Resident memory of the service. `at` is seconds since the load began."""

    at: float
    pid: int
    mb: float


@dataclass(frozen=True)
class Memory:
    """Memory over the last life. `is_flat` is None, with no fit, where that was too short to judge."""

    most_mb: float
    lives: int
    judged_seconds: float
    mean_mb: float | None = None
    slope_mb_per_minute: float | None = None
    growth_mb: float | None = None
    allowed_growth_mb: float | None = None
    is_flat: bool | None = None


@dataclass(frozen=True)
class Latency:
    """How long answers of one kind took, in milliseconds."""

    kind: str
    number: int
    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """One soak. `losses` is None where nothing was compared, because it was broken off."""

    clients: int
    seed: int
    seconds: float
    changes: int
    operations: int
    requests: int
    retries: int
    gave_up: int
    broken: dict[str, int]
    statuses: dict[str, dict[str, int]]
    latencies: tuple[Latency, ...]
    kills: tuple[float, ...]
    restart_seconds: tuple[float, ...]
    memory: Memory | None
    load_average: tuple[float, float, float]
    cores: int
    problems: tuple[str, ...]
    losses: tuple[str, ...] | None

    @property
    def is_good(self) -> bool:
        """Whether everything was compared, nothing was lost or went wrong, and memory, where judged, is flat."""
        return self.losses == () and not self.problems and (self.memory is None or self.memory.is_flat is not False)

    def as_json(self) -> dict[str, Any]:
        return {"isGood": self.is_good, **asdict(self)}

    def as_text(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.clients} clients for {self.seconds:.0f} s, seed {self.seed}, {self.cores} cores, load average "
            + (" ".join(f"{load:.1f}" for load in self.load_average))
        )
        kills = ", ".join(f"{at:.0f}" for at in self.kills)
        yield f"kills: {len(self.kills)}" + (f", at {kills} s" if kills else "")
        if self.restart_seconds:
            middle = statistics.median(self.restart_seconds)
            yield f"from kill to ready again: median {middle:.2f} s, at most {max(self.restart_seconds):.2f} s"
        yield (
            f"{self.requests:,} requests answered ({self.requests / self.seconds:,.0f} a second), "
            f"{self.changes:,} changes accepted, {self.operations:,} operations followed"
        )
        broken = ", ".join(f"{name} {number}" for name, number in sorted(self.broken.items()))
        yield f"{self.retries} requests sent again, {self.gave_up} given up; broken: {broken or 'none'}"
        yield ""
        yield f"{'':<14} {'number':>9} {'p50':>10} {'p90':>10} {'p99':>10} {'max':>10}   statuses"
        for row in self.latencies:
            figures = " ".join(f"{value:>7.1f} ms" for value in (row.p50, row.p90, row.p99, row.most))
            statuses = " ".join(
                f"{status}:{number}" for status, number in sorted(self.statuses.get(row.kind, {}).items())
            )
            yield f"{row.kind:<14} {row.number:>9,} {figures}   {statuses}"
        yield ""
        yield _memory_line(self.memory)
        for title, found in (("went wrong", self.problems), ("lost", self.losses or ())):
            yield from (f"{title}: {each}" for each in found[:SHOWN_PROBLEMS])
            if len(found) > SHOWN_PROBLEMS:
                yield f"{title}: {len(found) - SHOWN_PROBLEMS} more"
        compared = "not compared: broken off" if self.losses is None else f"lost: {len(self.losses)}"
        yield f"{compared}; went wrong: {len(self.problems)}"


def latencies(traffic: Traffic) -> tuple[Latency, ...]:
    return tuple(_latency(kind, seconds) for kind, seconds in sorted(traffic.seconds.items()))


def statuses(traffic: Traffic) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (kind, status), number in traffic.statuses.items():
        found.setdefault(kind, {})[str(status)] = number
    return found


def memory(samples: Sequence[Sample]) -> Memory | None:
    """Return how memory developed; None without samples."""
    if not samples:
        return None
    last = [sample for sample in samples if sample.pid == samples[-1].pid]
    began, ended = last[0].at, last[-1].at
    judged = [sample for sample in last if sample.at >= began + WARM_UP_SHARE * (ended - began)]
    seconds = ended - judged[0].at
    most, lives = max(sample.mb for sample in samples), len({sample.pid for sample in samples})
    if seconds < LEAST_JUDGED_SECONDS:
        return Memory(most_mb=most, lives=lives, judged_seconds=seconds)
    per_second = statistics.linear_regression([s.at for s in judged], [s.mb for s in judged]).slope
    mean = statistics.fmean(sample.mb for sample in judged)
    growth, allowed = per_second * seconds, MOST_GROWTH_SHARE * mean
    return Memory(
        most_mb=most,
        lives=lives,
        judged_seconds=seconds,
        mean_mb=mean,
        slope_mb_per_minute=60 * per_second,
        growth_mb=growth,
        allowed_growth_mb=allowed,
        is_flat=growth <= allowed,
    )


def load_average() -> tuple[float, float, float]:
    return os.getloadavg()


def _latency(kind: str, seconds: Sequence[float]) -> Latency:
    ordered = sorted(1000 * each for each in seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(kind, len(ordered), at(0.5), at(0.9), at(0.99), ordered[-1])


def _memory_line(memory: Memory | None) -> str:
    if memory is None:
        return "memory: not measured"
    most = f"memory: at most {memory.most_mb:.0f} MB in {memory.lives} process(es)"
    if memory.slope_mb_per_minute is None:
        return f"{most}; not judged: {memory.judged_seconds:.0f} s of the last one are too few"
    return (
        f"{most}; over the last {memory.judged_seconds:.0f} s without a kill "
        f"{memory.slope_mb_per_minute:+.2f} MB a minute ({memory.growth_mb:+.1f} MB around {memory.mean_mb:.0f} MB; "
        f"up to {memory.allowed_growth_mb:.1f} MB counts as flat): {'flat' if memory.is_flat else 'NOT FLAT'}"
    )
