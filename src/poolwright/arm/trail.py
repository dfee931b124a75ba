"""The activity log of a request: who asks for what, from where.

Invariant: no number of refused requests writes more than `MAX_REFUSALS` entries a minute and principal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.engine import Connection
from starlette.requests import Request

from poolwright import errors
from poolwright.arm.errors import status_of
from poolwright.domain.activity import Change
from poolwright.domain.operation import Operation
from poolwright.operations.activity import ActivityLog
from poolwright.store.database import Database

T = TypeVar("T")
MAX_REFUSALS: Final = 60
_MINUTE_SECONDS: Final = 60.0


class Trail:
    """Runs changes so that the log has them."""

    def __init__(self, database: Database, log: ActivityLog) -> None:
        self._database = database
        self._log = log
        self._minute = 0.0
        self._refusals: dict[str, int] = {}

    async def changed(
        self,
        request: Request,
        verb: Callable[[Connection], T],
        told: Callable[[T], tuple[Operation | None, int]],
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Run the verb in a write transaction, with its entry. `told` gives its operation and HTTP's status.

        `then` is called after the commit, before the next change begins.
        """
        change = change_of(request)
        return await self._database.write(lambda connection: self._log.recorded(connection, change, verb, told), then)

    async def refused(self, request: Request, error: errors.Forbidden) -> None:
        """Log that the caller may not make a change; reads are not logged."""
        if request.method in ("GET", "HEAD") or not self._has_room(request.scope["poolwright.caller"].app_id):
            return
        change, status = change_of(request), status_of(type(error)) or 500
        await self._database.write(lambda connection: self._log.refused(connection, change, error, status))

    def _has_room(self, app_id: str) -> bool:
        now = self._log.now()
        if not 0 <= now - self._minute < _MINUTE_SECONDS:
            self._minute = now
            self._refusals.clear()
        self._refusals[app_id] = self._refusals.get(app_id, 0) + 1
        return self._refusals[app_id] <= MAX_REFUSALS


def change_of(request: Request) -> Change:
    """Return who asks for what in a request whose action is known."""
    scope = request.scope
    caller = scope["poolwright.caller"]
    action, resource_id = scope["poolwright.needs"]
    sent = request.headers.get("x-ms-client-request-id", "")
    return Change(
        subscription=resource_id.split("/")[2].lower(),
        tenant=caller.tenant_id,
        caller=caller.app_id,
        object_id=caller.object_id,
        action=action,
        resource_id=resource_id,
        correlation_id=scope["poolwright.correlation_id"],
        client_request_id=sent if sent.isascii() and 0 < len(sent) <= 64 else None,
        method=request.method,
        address=request.client.host if request.client else None,
    )
