"""What may come between a request and its handler: the documented limits, and faults for requests.

Only what the caller may do gets here: Azure Resource Manager routes a request to AKS, whose limits these are, when it
has authorized it. So nobody without rights uses up a limit or the count of a fault.

Invariant: with neither, a request costs one look into memory here.
"""

from __future__ import annotations

import asyncio

from starlette.types import Scope

from poolwright.arm import paths
from poolwright.arm.throttle import Throttle, handler_of
from poolwright.domain.fault import (
    EffectKind,
    Point,
    Situation,
    Target,
    circumstances_of,
    parents_of,
    refusal,
    retry_after,
)
from poolwright.identity.tokens import Caller
from poolwright.operations.faults import Faults
from poolwright.store.database import Database


class Gate:
    """Lets requests through, late or not at all."""

    def __init__(self, database: Database, faults: Faults, throttle: Throttle | None) -> None:
        self._database = database
        self._faults = faults
        self._throttle = throttle

    @property
    def is_watched(self) -> bool:
        """Whether `let_through` could have any effect."""
        return self._throttle is not None or self._faults.meet_requests

    async def let_through(self, scope: Scope) -> None:
        """Return when the handler may go on. Raises what the request is refused with."""
        method, path = scope["method"], scope["path"]
        if self._throttle is not None:
            self._throttle.require(method, path)
        if not self._faults.meet_requests:
            return
        cluster, pool = parents_of(scope[paths.AS_SENT])
        situation = Situation(
            cluster=cluster, method=method, path=scope[paths.AS_SENT], targets=(Target(pool),) if pool else ()
        )
        if not self._faults.is_meant(Point.REQUEST, situation):
            return
        fired = await self._database.write(lambda connection: self._faults.fire(connection, Point.REQUEST, situation))
        for one in fired:
            if one.fault.effect.kind is EffectKind.DELAY:
                await asyncio.sleep(one.fault.effect.seconds)
                continue
            seconds = retry_after(one.fault)
            circumstances = {"seconds": str(seconds), "handler": handler_of(method, path)} | asked_for(scope)
            raise refusal(one.fault, circumstances | circumstances_of(scope[paths.AS_SENT]))


def asked_for(scope: Scope) -> dict[str, str]:
    """Return who calls and what for, as the wording of a missing role names them."""
    caller: Caller = scope["poolwright.caller"]
    known = {"app_id": caller.app_id, "object_id": caller.object_id, "tenant": caller.tenant_id}
    if "poolwright.needs" in scope:  # not where the handler itself leaves out what the caller may not see
        known["action"], known["scope"] = scope["poolwright.needs"]
    return known
