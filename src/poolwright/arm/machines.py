"""`/_poolwright/machines`: what only the machine engine knows of a machine, for the local operator.

A machine is named by its own name and, where several clusters have one of that name, by its resource ID as well.

Invariant: nothing here asks or changes a machine; it shows what the engine has seen.
"""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.documents import ANYTHING, TEXT, document
from poolwright.arm.http import json_response
from poolwright.machines.engine import WitnessingEngine

_RESOURCE_ID: Final = "resourceId"
_CONSOLE: Final = document("MachineConsole", {"console": TEXT})
_EVIDENCE: Final = document("MachineEvidence", {"evidence": ANYTHING, "publicKey": TEXT})


class Machines(Area):
    """Handlers of the machines' consoles and evidence."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Machines_Console",
                "GET",
                "/_poolwright/machines/{machine}/console",
                self.console,
                answers={200: _CONSOLE},
                query=(_RESOURCE_ID,),
            ),
            OfferedRoute(
                "Machines_Evidence",
                "GET",
                "/_poolwright/machines/{machine}/evidence",
                self.evidence,
                answers={200: _EVIDENCE},
                query=(_RESOURCE_ID,),
            ),
        )

    async def console(self, request: Request) -> Response:
        engine, key = self._engine(), self._key(request)
        return json_response(orjson.dumps({"console": engine.console(key) or ""}))

    async def evidence(self, request: Request) -> Response:
        engine, key = self._engine(), self._key(request)
        evidence = engine.evidence(key)
        if evidence is None:
            raise errors.EvidenceNotFound(
                f"The machine '{request.path_params['machine']}' has shown nothing yet.",
                remedy="wait until it is ready, or look at its console: poolwright machines console NAME",
            )
        return json_response(orjson.dumps({"evidence": evidence, "publicKey": engine.evidence_public_key()}))

    def _engine(self) -> WitnessingEngine:
        engine = self._service.engine
        if not isinstance(engine, WitnessingEngine):
            raise errors.EvidenceNotFound(
                f"Machines of the engine '{engine.name}' have no firmware: there is no console and no evidence.",
                remedy="run real machines: poolwright up --engine local",
            )
        return engine

    def _key(self, request: Request) -> str:
        named = request.path_params["machine"].lower()
        wanted = request.query_params.get(_RESOURCE_ID, "").lower()
        keys = self._service.engine.keys()
        found = sorted(key for key in keys if key.rpartition("/")[2] == named and wanted in ("", key))
        if not found:
            raise errors.MachineNotFound(
                f"The engine '{self._service.engine.name}' has no machine '{request.path_params['machine']}'.",
                remedy="list them: poolwright aks machine list -g GROUP --cluster-name CLUSTER --nodepool-name POOL",
            )
        if len(found) > 1:
            raise errors.InvalidParameter(
                f"There are {len(found)} machines named '{named}'.",
                target="machine",
                remedy=f"send the resourceId of one: {', '.join(found)}",
            )
        return found[0]
