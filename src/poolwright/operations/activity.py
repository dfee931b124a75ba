"""What goes into the activity log, in the transaction of what it tells about.

A change writes one entry when it is made or accepted, and an operation one more when it ends.

Invariant: an entry holds stored records, which have no secrets; it is never what a client sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy.engine import Connection

from poolwright import errors
from poolwright.domain.activity import SERVICE, Change, Event, Outcome, Snapshot, differing, type_of
from poolwright.domain.operation import Operation, OperationStatus
from poolwright.store import activity_statements, identity_statements

T = TypeVar("T")

NO_CONTENT: Final = 204

_OUTCOMES: Final = {
    OperationStatus.SUCCEEDED: Outcome.SUCCEEDED,
    OperationStatus.FAILED: Outcome.FAILED,
    OperationStatus.CANCELED: Outcome.CANCELED,
}


@dataclass(frozen=True, slots=True)
class ActivityLog:
    """Writes entries on the connection of the transaction they belong to."""

    now: Callable[[], float]
    new_id: Callable[[], str]

    def recorded(
        self,
        connection: Connection,
        change: Change,
        verb: Callable[[Connection], T],
        told: Callable[[T], tuple[Operation | None, int | None]],
    ) -> T:
        """Run the verb and log what it changed. `told` gives its operation, and the HTTP status, if it has them.

        Nothing is logged where nothing was there to delete (204).
        """
        before = activity_statements.snapshot(connection, change.resource_key)
        result = verb(connection)
        operation, status = told(result)
        if status == NO_CONTENT and not before:
            return result
        was, became = differing(before, activity_statements.snapshot(connection, change.resource_key))
        self._add(
            connection,
            change,
            Outcome.SUCCEEDED if operation is None else Outcome.ACCEPTED,
            self.now(),
            operation_id=operation.id if operation is not None else None,
            status=status,
            # An accepted deletion takes away more than it changes now.
            before=before if change.action.lower().endswith("/delete") else was,
            after=became,
        )
        return result

    def refused(self, connection: Connection, change: Change, error: errors.PoolwrightError, status: int) -> None:
        """Log a change that the caller may not make."""
        self._add(connection, change, Outcome.FAILED, self.now(), status=status, error=(error.code, error.message))

    def done(
        self, connection: Connection, change: Change, before: Snapshot | None = None, after: Snapshot | None = None
    ) -> None:
        """Log a change at once that has been made."""
        self._add(connection, change, Outcome.SUCCEEDED, self.now(), before=before, after=after)

    def ended(self, connection: Connection, operation: Operation) -> None:
        """Log that an operation has ended, by whom it was begun, and what is stored of all it was about."""
        begun = activity_statements.beginning_of(connection, operation.id)
        keys = {operation.resource_key, *operation.pool_keys}
        if begun is not None:
            keys |= begun.before.keys() | begun.after.keys()
        there = activity_statements.snapshot(connection, operation.resource_key)
        error = operation.error
        self._add(
            connection,
            begun.event.change if begun is not None else _by_the_service(connection, operation),
            _OUTCOMES[operation.status],
            self.now(),
            operation_id=operation.id,
            begins=False,
            error=(error.code, error.message) if error is not None else None,
            after={key: record for key, record in there.items() if key in keys},
        )

    def _add(
        self,
        connection: Connection,
        change: Change,
        outcome: Outcome,
        at: float,
        *,
        operation_id: str | None = None,
        begins: bool = True,
        status: int | None = None,
        error: tuple[str, str] | None = None,
        before: Snapshot | None = None,
        after: Snapshot | None = None,
    ) -> None:
        event_id = self.new_id()
        code, message = error or (None, None)
        event = Event(
            id=event_id,
            at=at,
            change=change,
            outcome=outcome,
            operation_id=operation_id or event_id,
            begins=begins,
            status=status,
            error_code=code,
            error_message=message,
        )
        activity_statements.add_event(connection, event, before or {}, after or {})


def without_token(
    connection: Connection, caller: str, subscription: str, action: str, resource_id: str, correlation_id: str
) -> Change:
    """Return the change of somebody who sent no request: the local operator, or the service."""
    known = {row.subscription_id: row.tenant_id for row in identity_statements.subscriptions(connection)}
    return Change(
        subscription=subscription,
        tenant=known.get(subscription, ""),
        caller=caller,
        action=action,
        resource_id=resource_id,
        correlation_id=correlation_id,
    )


def _by_the_service(connection: Connection, operation: Operation) -> Change:
    """Who and what, for an operation that no caller asked for."""
    action = f"{type_of(operation.resource_id)}/{operation.kind.value}/action"
    return without_token(
        connection, SERVICE, operation.subscription, action, operation.resource_id, operation.correlation_id
    )
