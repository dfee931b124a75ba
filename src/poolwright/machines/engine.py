"""The port to whatever runs machines.

An engine receives finished specifications and chooses nothing. Its methods say what is true
afterwards; each may be called again with the same arguments, also after a kill in the middle.

Only the operation runner retries: an engine raises `TemporaryError` when trying again may help and
`PermanentError` when it will not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from poolwright.domain.machine import MachineFacts, MachineSpec


class TemporaryError(Exception):
    """Trying again after `retry_after_seconds` may help."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class PermanentError(Exception):
    """Trying again will not help; the message is the cause in words, `code` Azure's for it if there is one.

    `remedy` is the next move, in words, where the engine knows one; `fault` the name of the fault that caused it.
    """

    def __init__(
        self, message: str, *, code: str | None = None, remedy: str | None = None, fault: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy
        self.fault = fault


class MachineEngine(Protocol):
    """Runs machines. Keys are `MachineSpec.key`."""

    @property
    def name(self) -> str:
        """The engine's name, as `--engine` takes it."""

    def ensure(self, specs: Sequence[MachineSpec]) -> None:
        """Afterwards a machine exists for every specification, as specified, running or stopped.

        A machine that already matches is left alone; one that differs in anything but its power state is made again,
        and of one that differs only in `reimaged_by` only the disk. Raises `TemporaryError` or `PermanentError`; what
        was made by then stays.
        """

    def observe(self, keys: Sequence[str]) -> Mapping[str, MachineFacts]:
        """Return what is known now of those machines; a key without a machine is missing from the result."""

    def delete(self, keys: Sequence[str]) -> None:
        """Afterwards none of those machines exists. A key without a machine is fine."""

    def keys(self) -> set[str]:
        """Return the key of every machine that exists."""

    def close(self) -> None:
        """Let go of files and connections; machines keep running."""


@runtime_checkable
class WitnessingEngine(Protocol):
    """What an engine has whose machines have firmware that shows what it is. Keys are `MachineSpec.key`."""

    @property
    def name(self) -> str:
        """The engine's name, as `--engine` takes it."""

    def console(self, key: str) -> str | None:
        """Return the end of what a machine has written to its serial console, None where there is no such machine."""

    def evidence(self, key: str) -> Mapping[str, Any] | None:
        """Return the signed evidence of what a machine has shown, None while it has shown nothing."""

    def evidence_public_key(self) -> str:
        """Return the PEM of the public key that evidence is verified with."""


@runtime_checkable
class PortableEngine(Protocol):
    """What an engine has whose machines can be written into a document and brought back from it."""

    @property
    def name(self) -> str:
        """The engine's name, as `--engine` takes it."""

    def written_down(self) -> list[dict[str, Any]]:
        """Return every machine as JSON, with all that the engine knows of it."""

    def require_own(self, machines: Sequence[Mapping[str, Any]]) -> None:
        """Raise `ValueError` unless `written_down` may have returned this."""

    def bring_back(self, machines: Sequence[Mapping[str, Any]]) -> None:
        """Afterwards exactly those machines exist, as they were written down."""
