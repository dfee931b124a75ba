"""`poolwright generations`: what the two generations can and cannot do. Needs no service."""

from __future__ import annotations

from dataclasses import asdict

from poolwright.cli.options import OutputForm
from poolwright.cli.output import Output, print_answer


def generations(output: OutputForm = Output.TABLE) -> None:
    """Show what Generation 1 (BIOS) and Generation 2 (UEFI) machines have, and what local machines have of it."""
    from poolwright.domain.generation_features import FEATURES

    rows = [asdict(feature) for feature in FEATURES]
    print_answer(
        {"value": rows},
        [{"Feature": row["name"], "V1": row["v1"], "V2": row["v2"], "Here": row["here"]} for row in rows],
        output,
    )
