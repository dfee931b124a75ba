"""The table of operations as a whole: the areas of the API, and the description of all their rows.

Invariant: an operation is offered because an area here has its row.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright.arm import openapi
from poolwright.arm.activity import Activity
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.authorization import Authorization
from poolwright.arm.catalog import Catalogue, CatalogueInForce
from poolwright.arm.clusters import Clusters
from poolwright.arm.compute import Compute
from poolwright.arm.deployments import Deployments
from poolwright.arm.documents import TEXT, Json, document
from poolwright.arm.faults import Faults
from poolwright.arm.features import Features
from poolwright.arm.http import json_response
from poolwright.arm.machines import Machines
from poolwright.arm.maintenance import Maintenance
from poolwright.arm.node_pools import NodePools
from poolwright.arm.operations import Operations
from poolwright.arm.providers import Providers
from poolwright.arm.requests import Requests
from poolwright.arm.resources import Resources
from poolwright.arm.snapshots import Snapshots
from poolwright.arm.state import WholeState
from poolwright.arm.subscriptions import Subscriptions


class Description(Area):
    """The handler of the API's description."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "Description_Get", "GET", "/_poolwright/openapi.json", self.get_description, answers={200: _OPENAPI}
            ),
        )

    async def get_description(self, request: Request) -> Response:
        return json_response(_rendered())


_OPENAPI: Final = document("OpenApi", {"openapi": TEXT})

AREAS: Final[tuple[type[Area], ...]] = (
    NodePools,
    Operations,
    Clusters,
    Snapshots,
    Maintenance,
    Compute,
    Catalogue,
    Deployments,
    Authorization,
    Activity,
    Subscriptions,
    Resources,
    Providers,
    Features,
)
# Below /_poolwright: not Azure's, and only for the local operator.
LOCAL_AREAS: Final[tuple[type[Area], ...]] = (Faults, CatalogueInForce, WholeState, Requests, Machines, Description)


def rows_of(areas: Iterable[type[Area]]) -> list[OfferedRoute]:
    """Return the rows of areas that nobody will call: the table needs no service."""
    return [row for area in areas for row in object.__new__(area).offered()]


def description() -> Json:
    """Return the OpenAPI description of everything offered; docs/openapi.json has it."""
    return openapi.description(rows_of((*AREAS, *LOCAL_AREAS)), version("poolwright"))


@cache
def _rendered() -> bytes:
    return orjson.dumps(description())
