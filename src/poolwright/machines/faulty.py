"""A machine engine on a bad day: another engine, of which faults (`domain/fault.py`) decide what it cannot do.

It stands before every engine alike. What the engine inside really does is left to it: machines that are refused
are never asked for, and a machine that a fault keeps from becoming ready runs there, and is only said not to be.

Invariant: it decides nothing; `Trouble` does, and remembers what it decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from poolwright.domain.machine import MachineFacts, MachineSpec
from poolwright.machines.engine import MachineEngine, PermanentError


class Trouble(Protocol):
    """What goes wrong. Asked again about the same machines in the same step, it answers the same."""

    def lacking(self, new: Sequence[MachineSpec]) -> tuple[Collection[str], PermanentError] | None:
        """Return the keys of the new machines there is no room for, and how the engine says so."""

    def booting(self, new: Sequence[MachineSpec]) -> None:
        """Decide which of the machines about to be made never become ready."""

    def causes(self) -> Mapping[str, str]:
        """Return the key of every machine that never becomes ready, with the cause in words."""

    def gone(self, keys: Sequence[str]) -> None:
        """Those machines are deleted."""


class FaultyEngine:
    """Implements `MachineEngine`."""

    def __init__(self, inner: MachineEngine, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble

    @property
    def name(self) -> str:
        return self._inner.name

    def ensure(self, specs: Sequence[MachineSpec]) -> None:
        there = self._inner.observe([spec.key for spec in specs])
        new = [spec for spec in specs if spec.key not in there]
        lack = self._trouble.lacking(new) if new else None
        refused: Collection[str] = lack[0] if lack is not None else ()
        self._trouble.booting([spec for spec in new if spec.key not in refused])
        self._inner.ensure([spec for spec in specs if spec.key not in refused])
        if lack is not None:
            raise lack[1]

    def observe(self, keys: Sequence[str]) -> Mapping[str, MachineFacts]:
        facts = self._inner.observe(keys)
        causes = self._trouble.causes()
        return {
            key: replace(seen, ready=False, observed=None, last_seen=None, cause=causes[key]) if key in causes else seen
            for key, seen in facts.items()
        }

    def delete(self, keys: Sequence[str]) -> None:
        self._inner.delete(keys)
        self._trouble.gone(keys)

    def keys(self) -> set[str]:
        return self._inner.keys()

    def close(self) -> None:
        self._inner.close()
