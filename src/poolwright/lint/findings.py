"""What is said about node pools: the outcome of each, and findings with a place and a remedy.

Invariant: a finding names the place in the file it is about, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.profile import Profile
from poolwright.lint.pools import FoundPool
from poolwright.lint.texts import Place
from poolwright.reports.sarif import Level


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings of one ID have in common."""

    id: str
    text: str
    source: str


GEN1: Final = Kind("gen1", "The node pool gets Generation 1.", "Poolwright")
UNKNOWN: Final = Kind("unknown", "What the file tells does not decide the generation.", "Poolwright")
PROFILES_DIFFER: Final = Kind(
    "profiles-differ",
    "The documents and the service lead to different outcomes.",
    "docs/compatibility.md, Where the sources disagree",
)
VM_GENERATION: Final = Kind(
    "vm-generation-property", "vmGeneration is a property of Poolwright's own.", "docs/compatibility.md, The wish"
)
LOCATION: Final = Kind("unknown-location", "The catalogue knows no such location.", "catalog/locations.csv")
VERSION: Final = Kind(
    "kubernetes-version", "The Kubernetes version is not offered.", "https://aka.ms/supported-version-list"
)
HEADER: Final = Kind("header-value", "UseWindowsGen2VM takes true or false.", "generation-2-vm.md (rule 5)")
RETIRED: Final = Kind("size-retired", "The size is retired.", "catalog/retirements.csv")
RETIRING: Final = Kind("size-retiring", "The size will be retired.", "catalog/retirements.csv")
TEMPLATE: Final = Kind(
    "template", "The template cannot be deployed as it stands.", "https://aka.ms/arm-template-expressions"
)
PARAMETERS: Final = Kind(
    "template-parameters", "A parameter is given that no template has.", "https://aka.ms/arm-pass-parameter-values"
)
WITHOUT_VALUE: Final = Kind(
    "parameter-without-value",
    "A parameter has neither a value nor a default.",
    "https://aka.ms/arm-create-parameter-file",
)
OPERATION_FAILS: Final = Kind("operation-fails", "The request is accepted, then the operation fails.", "dapr/dapr#9994")
OWN_KINDS: Final = (
    GEN1,
    OPERATION_FAILS,
    RETIRED,
    RETIRING,
    UNKNOWN,
    PROFILES_DIFFER,
    VM_GENERATION,
    LOCATION,
    VERSION,
    HEADER,
    TEMPLATE,
    PARAMETERS,
    WITHOUT_VALUE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about a node pool, or about a file where `pool` is None."""

    kind: Kind
    level: Level
    place: Place
    message: str
    remedy: str
    pool: FoundPool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a node pool gets by one profile.

    `generation` is None where it is not known, or the node pool is refused. Several `images` or `rules` mean that
    each of them is possible.
    """

    profile: Profile
    generation: Generation | None
    images: Sequence[str]
    rules: Sequence[Kind]
    because_unknown: str | None
    is_refused: bool
    fails_later: bool = False
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
