"""What is said about node pools: the outcome of each, and findings with a place and a remedy.

Invariant: a finding names the place in the file it is about, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.profile import Profile
from poolwright.lint.kinds import Kind
from poolwright.lint.pools import FoundPool, Mistake
from poolwright.lint.texts import Place
from poolwright.reports.sarif import Level


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a node pool, or about a file where `pool` is None."""

    kind: Kind
    level: Level
    place: Place
    message: str
    remedy: str
    pool: FoundPool | None = None


def finding_of(mistake: Mistake, pool: FoundPool | None = None) -> Finding:
    """Return a mistake as a finding, of the node pool that it is about."""
    return Finding(mistake.kind, mistake.level, mistake.place, mistake.message, mistake.remedy, pool)


def finding_at(pool: FoundPool, kind: Kind, level: Level, path: str, message: str, remedy: str) -> Finding:
    """Return a finding about what stands at a path of the node pool."""
    return Finding(kind, level, pool.place_of(path), message, remedy, pool)


def softened(finding: Finding) -> Finding:
    """Return a finding of a node pool that exists: what refuses a new one is no error until somebody makes it anew."""
    if finding.level is not Level.ERROR:
        return finding
    return replace(finding, level=Level.WARNING, message=f"it exists, and would not be made anew: {finding.message}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node pool gets by one profile.

    `generation` is None where it is not known, or the node pool is refused. Several `images` or `rules` mean that
    each of them is possible. `is_likely` says that the rules give the generation of a node pool that exists, and that
    nothing of itself tells it.
    """

    profile: Profile
    generation: Generation | None
    images: Sequence[str]
    rules: Sequence[Kind]
    because_unknown: str | None
    is_refused: bool
    fails_later: bool = False
    is_likely: bool = False
    assumptions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LintedPool:
    """A node pool with its outcome by the profile asked for, and what is to be said about it."""

    pool: FoundPool
    outcome: Outcome
    findings: Sequence[Finding]


UNRELATED: Final = "without a word about node pools"


@dataclass(frozen=True, slots=True)
class LintReport:
    """All that was found. `mistakes` are about files; `left_out` counts files by the reason why they were not read."""

    profile: Profile
    pools: Sequence[LintedPool]
    mistakes: Sequence[Finding]
    broken: Sequence[tuple[Place, str]]
    files: int
    left_out: Mapping[str, int]

    @property
    def skipped(self) -> int:
        """How many files have no word about node pools."""
        return self.left_out.get(UNRELATED, 0)

    @property
    def findings(self) -> list[Finding]:
        """Every finding, in the order of places."""
        found = [finding for linted in self.pools for finding in linted.findings]
        return sorted([*found, *self.mistakes], key=lambda finding: finding.place)
