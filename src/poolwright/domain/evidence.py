"""What tells the generation of a node pool that exists, and how sure that is.

A node pool that exists was once asked for by somebody, and what was asked is in no export and in no state of Terraform.
So the rules of a PUT come last: image and hardware tell more.

Invariant: nothing is guessed. What no row tells is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from poolwright.domain.generation import Generation
from poolwright.domain.rules import Rule
from poolwright.domain.sources import GEN2_PAGE, IMAGES_PAGE
from poolwright.domain.vm_size import VmSize


class Confidence(StrEnum):
    """`certain`: image or hardware leave no choice. `likely`: what AKS's rules give, if nobody asked otherwise."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells of a node pool's generation; each names a generation, or None where it does not tell."""

    definition: Generation | None = None
    mark: Generation | None = None
    stated: Generation | None = None
    size: Generation | None = None
    no_mark: Generation | None = None
    rules: Generation | None = None

    @property
    def deciding(self) -> EvidenceRow | None:
        """The row of the table that decides; None where nothing tells."""
        return next((row for row in EVIDENCE if getattr(self, row.evidence) is not None), None)


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """Which evidence counts, and how much. The first row whose evidence there is decides."""

    rule: Rule
    evidence: str
    confidence: Confidence


EVIDENCE: Final = (
    EvidenceRow(
        Rule("image-known", "The node image is a known definition, and a definition has one generation.", IMAGES_PAGE),
        "definition",
        Confidence.CERTAIN,
    ),
    EvidenceRow(
        Rule("image-gen2", "nodeImageVersion contains gen2, so the image is of Generation 2.", f"{GEN2_PAGE} (rule 9)"),
        "mark",
        Confidence.CERTAIN,
    ),
    EvidenceRow(
        Rule("stated", "The service that wrote the export states the generation.", "Poolwright"),
        "stated",
        Confidence.CERTAIN,
    ),
    EvidenceRow(
        Rule(
            "size-only",
            "The size offers one generation, and boots nothing else.",
            f"{GEN2_PAGE}, scenarios 1 and 2 (rules 1, 2)",
        ),
        "size",
        Confidence.CERTAIN,
    ),
    EvidenceRow(
        Rule(
            "image-without-gen2",
            "nodeImageVersion does not contain gen2, and images of this gallery that are of Generation 2 do.",
            f"{GEN2_PAGE} (rule 9)",
        ),
        "no_mark",
        Confidence.LIKELY,
    ),
    EvidenceRow(
        Rule("rules", "AKS's rules give this generation, unless somebody asked for another one.", GEN2_PAGE),
        "rules",
        Confidence.LIKELY,
    ),
)
NOTHING_TELLS: Final = Rule(
    "nothing-tells",
    "Neither the node image nor the size tells, and the rules need more than was exported.",
    "Poolwright",
)


def only_generation(sizes: Iterable[VmSize]) -> Generation | None:
    """Return the generation that machines of these sizes have whatever was asked for; None where there are several."""
    offered = frozenset[Generation]().union(*(size.generations for size in sizes))
    return next(iter(offered)) if len(offered) == 1 else None
