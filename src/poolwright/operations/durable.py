"""The port to durable execution: how an accepted operation comes to be carried out.

Invariant: `enlist` writes inside the caller's transaction, so node pool, operation and workflow are
one commit; a rolled-back transaction leaves no workflow.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.engine import Connection


class DurableOperations(Protocol):
    """Carries out accepted operations, also after a kill at any moment."""

    def enlist(self, connection: Connection, operation_id: str) -> None:
        """Afterwards, if the transaction commits, the operation will be carried out."""

    def begin(self, operation_id: str) -> None:
        """Have an enlisted operation started at once instead of at the next look at the queue.

        Call after the commit. The event loop may call it: it does not wait for the database.
        """

    def start(self) -> None:
        """Begin carrying out operations, those a former process left unfinished first."""

    def await_idle(self, seconds: float) -> bool:
        """Wait until no operation is being carried out; False when one still is after that time."""

    def stop(self) -> None:
        """Take on nothing more; what is unfinished goes on at the next start."""
