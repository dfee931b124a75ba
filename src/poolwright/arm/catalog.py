"""The catalogue over HTTP: what a location offers, and, Poolwright's own, how the local operator replaces that.

Invariant: what was answered is stored and in force.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from poolwright import errors
from poolwright.arm import wire_documents as documents
from poolwright.arm.area import Area, OfferedRoute
from poolwright.arm.catalog_import import CatalogImport
from poolwright.arm.documents import ANYTHING, COUNT, FLAG, TEXT, Document, an_object, document, list_of, listing
from poolwright.arm.http import json_response, read_body, stream_body
from poolwright.arm.node_images import render_node_images
from poolwright.arm.paths import CATALOG, CATALOG_LOCATION, LOCATION, name_as_sent
from poolwright.arm.shape import Misshapen
from poolwright.arm.skus import decode_restrictions, encode_sku
from poolwright.catalog.catalog import LocationCatalog, normalized_location
from poolwright.catalog.in_force import InForce, Replacements
from poolwright.catalog_keeping import RESTRICTIONS, SIZES, VERSIONS, parts_of
from poolwright.control_plane.control_plane import ControlPlane
from poolwright.domain.offer import Offer, Restriction
from poolwright.store import statements

_ORIGIN = an_object({"origin": {"enum": ["built-in", "imported"]}, "count": COUNT})
_IN_FORCE = document(
    "Catalogue",
    {
        "locations": list_of(an_object({"location": TEXT, "sizes": _ORIGIN, "kubernetesVersions": _ORIGIN})),
        "nodeImages": _ORIGIN,
        "kept": list_of(an_object({"location": TEXT, "sizes": COUNT, "kubernetesReleases": COUNT})),
    },
)
# One list or several one after the other, each as az or the REST API prints it.
_LISTS = Document("CatalogueLists", lambda: {"type": ["array", "object"], "items": ANYTHING})
_IMPORTED = document(
    "ImportedCatalogue",
    {"locations": list_of(an_object({"location": TEXT, "isOffered": FLAG, "sizes": COUNT, "leftOut": ANYTHING}))},
    {"nodeImages": an_object({"named": COUNT, "kept": COUNT, "unknown": list_of(TEXT)})},
)
_RESTRICTIONS = document("PutRestrictions", {"restrictions": list_of(documents.RESTRICTION)})


class Catalogue(Area):
    """Handlers of what a location offers."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        return (
            OfferedRoute(
                "ContainerService_ListNodeImageVersions",
                "GET",
                LOCATION + "/nodeimageversions",
                self.list_node_images,
                answers={200: listing(documents.NODE_IMAGE)},
            ),
        )

    async def list_node_images(self, request: Request) -> Response:
        plane = self._service.control_plane
        location = plane.require_location(request.path_params["location"], "location")
        return json_response(render_node_images(plane.catalog.at(location).images))


class CatalogueInForce(Area):
    """Handlers of the catalogue that is in force, and of its replacement."""

    def offered(self) -> tuple[OfferedRoute, ...]:
        size = CATALOG_LOCATION + "/sizes/{size}"
        return (
            OfferedRoute("Catalog_Get (Poolwright)", "GET", CATALOG, self.get_catalog, answers={200: _IN_FORCE}),
            OfferedRoute(
                "Catalog_Import (Poolwright)",
                "PUT",
                CATALOG,
                self.import_catalog,
                takes=_LISTS,
                answers={200: _IMPORTED},
                query=("location",),
            ),
            OfferedRoute("Catalog_Reset (Poolwright)", "DELETE", CATALOG, self.reset_catalog, answers={200: _IN_FORCE}),
            OfferedRoute(
                "Catalog_ResetLocation (Poolwright)",
                "DELETE",
                CATALOG_LOCATION + "/catalog",
                self.reset_catalog,
                answers={200: _IN_FORCE},
            ),
            OfferedRoute(
                "Catalog_RestrictSize (Poolwright)",
                "PUT",
                size,
                self.restrict_size,
                takes=_RESTRICTIONS,
                answers={200: documents.SKU},
            ),
        )

    async def get_catalog(self, request: Request) -> Response:
        def read() -> Mapping[tuple[str, str], int]:
            with self._service.database.engine.connect() as connection:
                return statements.catalogue_entries(connection)

        state = self._service.control_plane.catalogs.state
        return json_response(orjson.dumps(_shown(state, await asyncio.to_thread(read))))

    async def import_catalog(self, request: Request) -> Response:
        lists = CatalogImport(request.query_params.get("location"))
        await stream_body(request, lists.feed)
        imported = await asyncio.to_thread(lists.end, self._service.now())
        parts = await asyncio.to_thread(parts_of, imported)
        keeper = self._service.catalog_keeper
        await self._change(request, lambda connection: keeper.import_lists(connection, imported, parts))
        return json_response(orjson.dumps(self._report(lists, imported)))

    async def reset_catalog(self, request: Request) -> Response:
        named, keeper = request.path_params.get("location"), self._service.catalog_keeper
        location = normalized_location(named) if named is not None else None
        await self._change(request, lambda connection: keeper.reset(connection, location))
        return await self.get_catalog(request)

    async def restrict_size(self, request: Request) -> Response:
        plane, keeper = self._service.control_plane, self._service.catalog_keeper
        location, name, restrictions = decode_size_restrictions(
            plane, request.path_params["location"], name_as_sent(request), await read_body(request)
        )
        await self._change(request, lambda connection: keeper.restrict(connection, location, name, restrictions))
        changed = _require_offer(plane.catalog.at(location), name)
        return json_response(orjson.dumps(encode_sku(changed, location)))

    async def _change(self, request: Request, verb: Callable[[Connection], InForce]) -> None:
        service = self._service
        await self._changed(request, verb, lambda _: 200, service.control_plane.catalogs.put)
        # The list az asks for is made here, so that nobody waits for it.
        await asyncio.to_thread(service.skus.warm)

    def _report(self, lists: CatalogImport, imported: Replacements) -> dict[str, Any]:
        catalog = self._service.control_plane.catalog
        report: dict[str, Any] = {
            "locations": [
                _imported(
                    location, imported, lists.left_out.get(location, {}), is_offered=location in catalog.locations
                )
                for location in sorted({*imported.sizes, *imported.versions, *lists.left_out})
            ]
        }
        if imported.images is not None:
            images = lists.images_report(catalog.images)
            report["nodeImages"] = {"named": images.named, "kept": images.kept, "unknown": images.unknown}
        return report


def decode_size_restrictions(
    plane: ControlPlane, location: str, size: str, body: dict[str, Any]
) -> tuple[str, str, tuple[Restriction, ...]]:
    """Return location, size and restrictions as the catalogue has them. Raises where it does not have them."""
    location = plane.require_location(location, "location")
    offer = _require_offer(plane.catalog.at(location), size)
    try:
        restrictions = decode_restrictions(body, location)
    except Misshapen as misshapen:
        raise errors.InvalidRequestContent(
            f"The request content was invalid: {misshapen.place}: {misshapen.expected}.",
            target=misshapen.place,
            remedy="send restrictions as Compute lists them: type, restrictionInfo, reasonCode",
        ) from misshapen
    unknown = sorted({zone for one in restrictions for zone in one.zones or ()} - set(offer.zones))
    if unknown:
        raise errors.InvalidParameter(
            f"VM size '{offer.size.name}' has no zone(s) {', '.join(unknown)} in location '{location}'.",
            target="restrictions",
            remedy=f"choose from zones {', '.join(offer.zones)}" if offer.zones else "restrict the whole location",
        )
    return location, offer.size.name, restrictions


def _require_offer(here: LocationCatalog, name: str) -> Offer:
    offer = here.offer(name)
    if offer is None:
        raise errors.InvalidParameter(
            f"VM size '{name}' is not offered in location '{here.location}'.",
            target="size",
            remedy=f"`az vm list-skus --location {here.location} --all` lists what is offered",
        )
    return offer


def _imported(
    location: str, imported: Replacements, left_out: Mapping[str, int], *, is_offered: bool
) -> dict[str, Any]:
    sizes, versions = imported.sizes.get(location), imported.versions.get(location)
    offers = sizes.offers if sizes is not None else ()
    return {
        "location": location,
        "isOffered": is_offered,
        "sizes": len(offers),
        "restricted": sum(bool(offer.restrictions) for offer in offers),
        "kubernetesReleases": len(versions.kubernetes.releases) if versions is not None else 0,
        "leftOut": dict(sorted(left_out.items())),
    }


def _shown(state: InForce, stored: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """What is in force, where from, how many, and what of it is assumed."""
    catalog, replacements = state.catalog, state.replacements
    elsewhere = sorted({place for kind, place in stored if place and kind in (SIZES, VERSIONS, RESTRICTIONS)})
    return {
        "locations": [_location_shown(catalog.at(location), replacements) for location in catalog.locations],
        "nodeImages": _origin(replacements.images.imported if replacements.images else None)
        | {"count": len(catalog.images)},
        "kept": [
            {
                "location": location,
                "sizes": stored.get((SIZES, location), 0),
                "kubernetesReleases": stored.get((VERSIONS, location), 0),
            }
            for location in elsewhere
            if location not in catalog.locations
        ],
    }


def _location_shown(here: LocationCatalog, replacements: Replacements) -> dict[str, Any]:
    sizes = replacements.sizes.get(here.location)
    versions = replacements.versions.get(here.location)
    by_hand = replacements.restrictions.get(here.location)
    assumed = Counter(what for offer in here.offers for what in offer.assumed)
    return {
        "location": here.location,
        "sizes": _origin(sizes.imported if sizes else None)
        | {
            "count": len(here.offers),
            "restricted": sum(bool(offer.restrictions) for offer in here.offers),
            "restrictionsSetByHand": sorted(by_hand.by_size) if by_hand else [],
            "assumed": {"locations": assumed["locations"], "zones": assumed["zones"]},
            "leftOut": dict(sorted(sizes.left_out.items())) if sizes else {},
        },
        "kubernetesVersions": _origin(versions.imported if versions else None)
        | {"count": len(here.kubernetes.releases), "default": str(here.kubernetes.default)},
    }


def _origin(imported: float | None) -> dict[str, Any]:
    if imported is None:
        return {"origin": "built-in"}
    return {"origin": "imported", "imported": datetime.fromtimestamp(imported, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
