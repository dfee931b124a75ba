"""Lists in pages, as ARM pages them: `nextLink` leads to the next one, by a `$skiptoken` nobody has to understand.

Which lists Azure pages: clusters (`x-ms-pageable` in AKS's definition, its page size is not published), and
resource groups where `$top` asks for it ("If null is passed, returns all resource groups"). Compute's SKUs come
in one reply (Azure/azure-rest-api-specs#15672), and a cluster's node pools, at most 100, fit one page.

Invariant: lists are ordered by key, and a token names the last key that its page shows; so what is there during the
whole walk is listed once, whatever comes and goes meanwhile, and nothing is named that the caller may not see.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import paths
from poolwright.arm.http import json_response

R = TypeVar("R", bound=Sequence[Any])

CLUSTERS_PER_PAGE: Final = 200
MOST_PER_PAGE: Final = 1000
NO_LIMIT: Final = 2**31 - 1
_SKIP: Final = "$skiptoken"
_TOP: Final = "$top"
_LONGEST_TOKEN: Final = 4096


def after(request: Request, kind: str) -> str:
    """Return the key after which the page begins: empty for the first one. Raises `InvalidParameter`."""
    token = token_of(request)
    if token is None:
        return ""
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError(token[:40])
        named, _, key = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")
    except (ValueError, binascii.Error) as error:
        raise invalid_token() from error
    if named != kind or not key:
        raise invalid_token()
    return key


def token_of(request: Request) -> str | None:
    """Return the `$skiptoken` of a request, however the name is spelled; None where it has none."""
    return next((value for name, value in request.query_params.items() if name.lower() == _SKIP), None)


def without_token(query_string: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a query but for its `$skiptoken`."""
    return [pair for pair in parse_qsl(query_string.decode("latin-1")) if pair[0].lower() != _SKIP]


def wanted_size(request: Request) -> int | None:
    """Return how many entries `$top` asks for; None where it does not. Raises `InvalidParameter`."""
    text = request.query_params.get(_TOP)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MOST_PER_PAGE):
        raise errors.InvalidParameter(
            f"The value of $top is invalid: '{text[:40]}'. It is a number from 1 to {MOST_PER_PAGE}.",
            target=_TOP,
            remedy="send such a number, or leave $top out",
        )
    return int(text)


def page(
    request: Request,
    base: str,
    kind: str,
    read: Callable[[str, int], Sequence[R]],
    size: int | None,
    show: Callable[[R], bytes],
    may_see: Callable[[R], bool] = lambda row: True,
) -> Response:
    """Return the page that the request asks for, with a `nextLink` where another one follows.

    `read` returns the rows after a key, at most so many; they begin with their keys. Rows the caller may not see are
    passed over, also by the token.
    """
    start, shown = after(request, kind), list[R]()
    # One more than fits tells whether another page follows.
    enough = limit = size + 1 if size is not None else NO_LIMIT
    while len(shown) < enough:
        rows = read(start, limit)
        shown += [row for row in rows if may_see(row)]
        if len(rows) < limit:
            break
        start, limit = rows[-1][0], max(enough, CLUSTERS_PER_PAGE)
    fitting = shown[:size]
    body = b'{"value":[' + b",".join(show(row) for row in fitting) + b"]"
    if len(fitting) < len(shown):
        link = _next_link(request, base, f"{kind} {fitting[-1][0]}")
        body += b',"nextLink":"' + link.encode() + b'"'
    return json_response(body + b"}")


def _next_link(request: Request, base: str, named: str) -> str:
    token = base64.urlsafe_b64encode(named.encode()).decode()
    path = quote(request.scope[paths.AS_SENT], safe="/")
    # Percent-encoded throughout, so that the link can stand in a JSON text as it is.
    return f"{base}{path}?{urlencode([*without_token(request.scope['query_string']), (_SKIP, token)])}"


def invalid_token() -> errors.InvalidParameter:
    """Return the refusal of a token that the list did not give out."""
    return errors.InvalidParameter(
        "The value of $skiptoken is invalid: it is not one this list gave out.",
        target=_SKIP,
        remedy="begin again without $skiptoken, and follow nextLink as it is",
    )
