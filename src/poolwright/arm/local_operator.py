"""What only the local operator may do: an owner of the service who calls from the machine it runs on.

Invariant: whether somebody is an owner is decided in `is_owner` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from poolwright import errors
from poolwright.arm.area import Handler, Service
from poolwright.identity.tokens import Caller
from poolwright.store.statements import Subscription

# Who calls, or the answer to somebody without a usable token.
Authenticate = Callable[[Scope, dict[bytes, bytes]], Caller | Response]


def is_owner(caller: Caller, subscriptions: Mapping[str, Subscription]) -> bool:
    """Whether the caller owns the service: there are no roles, so everybody of a tenant with a subscription does."""
    return any(subscription.tenant_id == caller.tenant_id for subscription in subscriptions.values())


def is_loopback(scope: Scope) -> bool:
    """Whether the request comes from this machine; behind a proxy on this machine, every one does."""
    client = scope.get("client")
    if client is None:
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def for_local_operator(handler: Handler, service: Service, authenticate: Authenticate) -> Handler:
    """Return the handler as only the local operator gets to it; others get 401 or 403."""

    async def guarded(request: Request) -> Response:
        caller = authenticate(request.scope, dict(request.scope["headers"]))
        if isinstance(caller, Response):
            return caller
        if not is_loopback(request.scope):
            raise errors.AuthorizationFailed(
                f"The path '{request.url.path}' is only for the machine the service runs on.",
                remedy="call it there, by 127.0.0.1 or localhost",
            )
        if not is_owner(caller, service.subscriptions):
            raise errors.AuthorizationFailed(
                f"The client '{caller.app_id}' with object id '{caller.object_id}' is not an owner of the service.",
                remedy="use the credentials `poolwright env` prints",
            )
        return await handler(request)

    return guarded
