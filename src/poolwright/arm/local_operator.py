"""What only the local operator may do: an owner of the service who calls from the machine it runs on.

Invariant: whether somebody is an owner is decided in `is_owner` alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.actions import LOCAL, PROVIDER
from poolwright.arm.area import Handler, OfferedRoute, Service
from poolwright.arm.directory import Access, Directory
from poolwright.domain.roles import OWNER

# Notes who calls in the scope; or returns the answer to somebody without a usable token.
Identify = Callable[[Scope, dict[bytes, bytes]], Response | None]


def is_owner(access: Access, directory: Directory) -> bool:
    """Whether a caller owns the service: whoever is Owner of the subscription made at the first start does."""
    return access.has_role(OWNER, f"/subscriptions/{directory.home}")


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


def for_local_operator(route: OfferedRoute, service: Service, identify: Identify) -> Handler:
    """Return the route's handler as only the local operator gets to it; others get 401 or 403.

    In the activity log what it changes belongs to the subscription made at the first start.
    """
    action = route.requirement.action

    async def guarded(request: Request) -> Response:
        scope = request.scope
        refusal = identify(scope, dict(scope["headers"]))
        if refusal is not None:
            return refusal
        place = scope[paths.AS_SENT][len(LOCAL) :]
        scope["poolwright.needs"] = action, f"/subscriptions/{service.directory.home}/providers/{PROVIDER}{place}"
        error = _refusal(request, service.directory)
        if error is not None:
            await service.trail.refused(request, error)
            raise error
        return await route.handler(request)

    return guarded


def _refusal(request: Request, directory: Directory) -> errors.AuthorizationFailed | None:
    """Why the caller is not the local operator; None when it is."""
    access: Access = request.scope["poolwright.access"]
    caller = access.principal
    if not is_loopback(request.scope):
        return errors.AuthorizationFailed(
            f"The path '{request.url.path}' is only for the machine the service runs on.",
            remedy="call it there, by 127.0.0.1 or localhost",
        )
    if not is_owner(access, directory):
        return errors.AuthorizationFailed(
            f"The client '{caller.app_id}' with object id '{caller.object_id}' is not an owner of the service.",
            remedy="use the credentials `poolwright env` prints",
        )
    return None
