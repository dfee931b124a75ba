"""`/_poolwright/state` and `/_poolwright/reset`: the whole state of the service, for the local operator.

Invariant: while one of them is at work, no request changes anything.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors, state
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import Document
from poolwright.arm.http import json_response, read_bytes
from poolwright.arm.trail import change_of

# A hundred thousand machines; the file comes from this machine and is wanted whole.
MAX_STATE_BYTES: Final = 512 * 1024 * 1024


_STATE: Final = Document("State", state.schema)


class WholeState(Area):
    """Handlers of export, import and reset."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute("State_Export", "GET", "/_poolwright/state", self.export, answers={200: _STATE}),
            OfferedRoute(
                "State_Import",
                "PUT",
                "/_poolwright/state",
                self.restore,
                takes=_STATE,
                answers={204: None},
                query=("replace",),
            ),
            OfferedRoute("State_Reset", "POST", "/_poolwright/reset", self.reset, answers={204: None}),
        )

    async def export(self, request: Request) -> Response:
        whole = self._service.state
        return json_response(await self._service.database.alone(lambda: whole.exported(self._home())))

    async def restore(self, request: Request) -> Response:
        body, replace = await read_bytes(request, MAX_STATE_BYTES), _flag(request, "replace")
        whole, change = self._service.state, change_of(request)
        await self._service.database.alone(lambda: whole.restore(body, self._home(), change, replace=replace))
        return Response(status_code=204)

    async def reset(self, request: Request) -> Response:
        change = change_of(request)
        await self._service.database.alone(lambda: self._service.state.reset(self._home(), change))
        self._service.requests.clear()
        return Response(status_code=204)

    def _home(self) -> str:
        """The subscription that goes by the service's own name in a document: the one made at the first start."""
        return self._service.directory.home


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false"):
        raise errors.InvalidParameter(
            f"The value of the query parameter '{name}' is invalid: '{text[:60]}'.",
            target=name,
            remedy="send true or false",
        )
    return text == "true"
