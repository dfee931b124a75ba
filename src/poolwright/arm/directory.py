"""Who exists and who may do what, as a running service knows it.

Everything is read from the database when it is first needed, and forgotten when the database says that
tenants, subscriptions, principals or assignments have changed. That is asked after every change of this
process, and otherwise every few hundredths of a second, for which other processes wait before they say
that they are done (`poolwright sp delete`): asking with every request would cost a twentieth of it.

Invariant: after `catch_up`, answers are as of a moment at most `NOTICED_WITHIN_SECONDS` before it, and
not before the last change of this process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from poolwright.access_control import NOTICED_WITHIN_SECONDS
from poolwright.domain import roles
from poolwright.domain.roles import Role, RoleAssignment
from poolwright.identity.tokens import Caller, InvalidToken
from poolwright.store.database import Database
from poolwright.store.identity_statements import (
    ASSIGNMENTS_OF_PRINCIPAL,
    SERVICE_PRINCIPAL,
    SETTING,
    SUBSCRIPTIONS,
    VERSION_SETTING,
    ServicePrincipal,
    Subscription,
)
from poolwright.store.records import load

_ISSUER: Final = re.compile(r"https://[^/]+/(?:adfs|([^/]+)/v2\.0)")


class Access:
    """What one principal may do. Remembers what it may do everywhere in a subscription."""

    __slots__ = ("_assignments", "_everywhere", "principal")

    def __init__(self, principal: ServicePrincipal, assignments: Sequence[RoleAssignment]) -> None:
        self.principal = principal
        self._assignments = tuple(assignments)
        self._everywhere: dict[tuple[str, str], bool] = {}

    def may_everywhere(self, action: str, subscription: str) -> bool:
        """Whether it may do that to all of a subscription. Costs next to nothing the second time."""
        asked = (action, subscription)
        known = self._everywhere.get(asked)
        if known is None:
            known = self._everywhere[asked] = self.may(action, f"/subscriptions/{subscription}")
        return known

    def may(self, action: str, scope: str) -> bool:
        """Whether it may do that at a scope."""
        return roles.may(self._assignments, action, scope)

    def has_role(self, role: Role, scope: str) -> bool:
        """Whether that role is assigned to it at exactly that scope."""
        return any(held.role_id == role.id and held.scope_key == scope.lower() for held in self._assignments)

    def has_any_role(self, subscription: str) -> bool:
        """Whether a role is assigned to it anywhere in a subscription."""
        within = f"/subscriptions/{subscription}"
        return any(roles.covers(within, held.scope_key) for held in self._assignments)


class Directory:
    """The tenants, subscriptions and principals of the service. For use from one thread, the event loop."""

    def __init__(self, database: Database, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._database = database
        self._reader = database.reader
        self._now = now
        self._monotonic = monotonic
        self._commits = -1
        self._good_until = 0.0
        self._version: str | None = "none yet"
        self._access: dict[str, Access] = {}
        self._tenants: frozenset[str] = frozenset()
        self.subscriptions: dict[str, Subscription] = {}
        self.catch_up()

    def catch_up(self) -> None:
        """Forget what has changed in the database since the last time."""
        commits, now = self._database.commits, self._monotonic()
        if commits == self._commits and now < self._good_until:
            return
        row = self._reader.row(SETTING, key=VERSION_SETTING)
        version = row[0] if row is not None else None
        if version != self._version:
            self._access.clear()
            self.subscriptions = {row[0]: Subscription(*row) for row in self._reader.rows(SUBSCRIPTIONS)}
            self._tenants = frozenset(known.tenant_id for known in self.subscriptions.values())
        self._version, self._commits, self._good_until = version, commits, now + NOTICED_WITHIN_SECONDS

    @property
    def home(self) -> str:
        """The ID of the subscription made at the first start."""
        return next(iter(self.subscriptions))

    def is_tenant(self, tenant_id: str) -> bool:
        return tenant_id in self._tenants

    def is_issuer(self, issuer: str) -> bool:
        """Whether tokens say so: `BASE/adfs` or `BASE/{tenant}/v2.0`, whatever name and port the client used."""
        match = _ISSUER.fullmatch(issuer)
        return match is not None and (match[1] is None or match[1] in self._tenants)

    def access(self, caller: Caller) -> Access:
        """Return what the caller may do. Raises `InvalidToken` when its principal is gone or has expired."""
        known = self._access.get(caller.app_id)
        if known is None:
            known = self._access[caller.app_id] = self._read(caller)
        principal = known.principal
        if principal.object_id != caller.object_id or principal.tenant_id != caller.tenant_id:
            raise InvalidToken("its service principal is another one by now")
        if principal.expires is not None and principal.has_expired(self._now()):
            raise InvalidToken("the secret of its service principal has expired")
        return known

    def _read(self, caller: Caller) -> Access:
        row = self._reader.row(SERVICE_PRINCIPAL, key=caller.app_id)
        if row is None:
            raise InvalidToken("its service principal has been deleted")
        principal = ServicePrincipal(*row)
        held = self._reader.rows(ASSIGNMENTS_OF_PRINCIPAL, key=principal.object_id)
        return Access(principal, [load(RoleAssignment, record) for (record,) in held])
