"""What becomes of each command of `az aks` here: az-commands.csv, the states it uses, and what they claim.

The names are those that azure-cli 2.91.0 has in its own table of commands (tests/az/list_commands.py prints it); a
test with the real az compares them, and another one fails when a claim was not tried with it.
"""

from __future__ import annotations

import csv
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolwright.arm.not_offered import known_operations, reason_of

FILE: Final = Path(__file__).with_name("az-commands.csv")

# State -> what it claims.
STATES: Final = {
    "works": "does what it says",
    "kept": "succeeds; what it sets is stored and shown, and nothing acts on it",
    "not offered": "is refused by name, or az itself gives up",
    "outside": "does not come to this service, or needs what is not here; not tried",
}


@dataclass(frozen=True, slots=True)
class AzCommand:
    """A command; `operation` is what AKS calls the request it is refused for."""

    command: str
    state: str
    operation: str
    note: str

    @property
    def outcome(self) -> str | None:
        """What a run of it with the real az has to come to; None where it is not run."""
        return {"outside": None, "not offered": self.operation or "failed"}.get(self.state, "succeeded")

    @property
    def told(self) -> str:
        """What the document says about it beside its state."""
        if not self.operation:
            return self.note
        operation = next(known for known in known_operations() if known.operation == self.operation)
        return f"{self.operation} is not offered: {reason_of(operation).why}"


def az_commands() -> list[AzCommand]:
    """Return every command of `az aks`, by name."""
    with FILE.open(newline="") as file:
        return [AzCommand(**row) for row in csv.DictReader(file)]


def untried(ran: Set[tuple[str, str]]) -> list[str]:
    """Return what is claimed and was not seen; `ran` are the commands that were run and what they came to."""
    return [
        f"az {row.command}: {row.outcome}"
        for row in az_commands()
        if row.outcome is not None and (row.command, row.outcome) not in ran
    ]
