"""What `poolwright catalog import` sends: lists of SKUs, of Kubernetes versions, of node image versions, told by
their content.

Invariant: nothing is in force before the last byte was understood. An entry that is not of ARM's shape ends the
import and is named with its place; one whose values mean nothing here is left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from poolwright import errors
from poolwright.arm.json_stream import JsonSequence, MalformedJson, Position
from poolwright.arm.node_images import ListedImage, decode_node_image
from poolwright.arm.shape import Misshapen
from poolwright.arm.skus import LeftOutSku, decode_sku
from poolwright.arm.upgrades import decode_kubernetes_release
from poolwright.catalog.catalog import normalized_location
from poolwright.catalog.in_force import ImportedImages, ImportedSizes, ImportedVersions, Replacements, image_key
from poolwright.catalog.kubernetes_versions import KubernetesVersions, OfferedRelease
from poolwright.domain.kubernetes_version import KubernetesRelease
from poolwright.domain.node_image import NodeImage
from poolwright.domain.offer import Offer

# Azure's whole list has some 70 000 entries of virtual machines, and weighs a hundred megabytes as az prints it.
MAX_BYTES: Final = 1024 * 1024 * 1024
MAX_OFFERS: Final = 250_000

_REMEDY: Final = (
    "send what one of these prints as JSON: az vm list-skus --all, az aks get-versions, or the REST list of "
    "nodeImageVersions"
)


@dataclass(frozen=True, slots=True)
class ImagesReport:
    """What a list of node image versions was good for: how many of the known images it names, and names, or not."""

    named: int
    kept: int
    unknown: tuple[str, ...]


@dataclass(slots=True)
class _Versions:
    releases: dict[KubernetesRelease, OfferedRelease] = field(default_factory=dict)
    defaults: list[KubernetesRelease] = field(default_factory=list)


class CatalogImport:
    """Takes the bytes of the lists and, at the end, gives what they replace.

    `location` is where a list of Kubernetes versions, which does not tell, belongs. Sizes that come without such a
    list have to be of it too, among others.
    """

    def __init__(self, location: str | None) -> None:
        self._location = normalized_location(location) if location else None
        self._sequence = JsonSequence()
        self._pool: dict[Any, Any] = {}
        self._offers: dict[str, dict[str, Offer]] = {}
        self._left_out: dict[str, Counter[str]] = {}
        self._versions = _Versions()
        self._images: dict[str, ListedImage] = {}
        self._bytes = 0
        self._count = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises `InvalidRequestContent` or `RequestEntityTooLarge`."""
        self._bytes += len(chunk)
        if self._bytes > MAX_BYTES:
            raise errors.RequestEntityTooLarge(f"The import is larger than {MAX_BYTES} bytes.", remedy="send less")
        with_positions = self._sequence.feed(chunk)
        self._take(with_positions)

    def end(self, now: float) -> Replacements:
        """Return what the lists replace. Raises `InvalidRequestContent` or `InvalidParameter`."""
        self._take(self._sequence.end())
        if not (self._offers or self._left_out or self._versions.releases or self._images):
            raise errors.InvalidRequestContent("The import holds no entry of any list.", remedy=_REMEDY)
        self._require_location_among_sizes()
        return Replacements(
            sizes={
                location: ImportedSizes(tuple(offers.values()), dict(self._left_out.get(location, {})), now)
                for location, offers in self._offers.items()
            },
            versions=self._imported_versions(now),
            images=ImportedImages({key: image.full_name for key, image in self._images.items()}, now)
            if self._images
            else None,
        )

    @property
    def left_out(self) -> Mapping[str, Mapping[str, int]]:
        """How many entries were not taken, by location and reason."""
        return self._left_out

    def images_report(self, known: tuple[NodeImage, ...]) -> ImagesReport:
        """Return how the list of node images compares with the images Poolwright knows."""
        keys = {image_key(image.gallery, image.definition) for image in known}
        unknown = tuple(sorted(image.full_name for key, image in self._images.items() if key not in keys))
        return ImagesReport(len(keys & self._images.keys()), len(keys - self._images.keys()), unknown)

    def _take(self, elements: Iterator[tuple[Position, Any]]) -> None:
        try:
            for position, element in elements:
                try:
                    self._take_element(element)
                except Misshapen as misshapen:
                    place = f"{position.path}.{misshapen.place}" if misshapen.place else position.path
                    raise _unusable(f"{place}: {misshapen.expected}", position) from misshapen
        except MalformedJson as malformed:
            raise _unusable(malformed.reason, malformed.position) from malformed

    def _take_element(self, element: Any) -> None:
        if not isinstance(element, dict):
            raise Misshapen("", "it is no object")
        if "resourceType" in element:
            self._take_sku(element)
        elif "fullName" in element:
            image = decode_node_image(element)
            key = image_key(image.gallery, image.definition)
            known = self._images.get(key)
            if known is None or known.age < image.age:
                self._images[key] = image
        elif "patchVersions" in element and "version" in element:
            decoded = decode_kubernetes_release(element)
            if decoded is not None:
                release, is_default = decoded
                self._versions.releases[release.release] = release
                self._versions.defaults += [release.release] if is_default else []
        else:
            names = ", ".join(sorted(str(name) for name in element)[:5]) or "nothing"
            raise Misshapen("", f"it is an entry of no list known here (it has {names})")

    def _take_sku(self, entry: dict[str, Any]) -> None:
        for found in decode_sku(entry, self._pool):
            if isinstance(found, LeftOutSku):
                self._leave_out(found.location, found.reason)
                continue
            location, offer = found
            offers = self._offers.setdefault(location, {})
            if offer.size.name.lower() in offers:
                self._leave_out(location, "listed before")
                continue
            offers[offer.size.name.lower()] = offer
            self._count += 1
            if self._count > MAX_OFFERS:
                raise errors.RequestEntityTooLarge(
                    f"The import has more than {MAX_OFFERS} sizes in locations.", remedy="send fewer locations"
                )

    def _leave_out(self, location: str, reason: str) -> None:
        self._left_out.setdefault(location, Counter())[reason] += 1

    def _require_location_among_sizes(self) -> None:
        """A location that is given means something: it is that of the versions, or one the sizes are of."""
        there = {*self._offers, *self._left_out}
        if self._location is None or self._versions.releases or not there or self._location in there:
            return
        names = ", ".join(sorted(there)[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
        raise errors.InvalidParameter(
            f"The list of sizes has none in location '{self._location}'; it has {names}.",
            target="location",
            remedy="leave the location out: a list of sizes says itself which locations it replaces",
        )

    def _imported_versions(self, now: float) -> dict[str, ImportedVersions]:
        releases = tuple(sorted(self._versions.releases.values(), key=lambda offered: offered.release))
        if not releases:
            return {}
        if self._location is None:
            raise errors.InvalidParameter(
                "A list of Kubernetes versions does not say which location it is of.",
                target="location",
                remedy="say it: poolwright catalog import FILE --location eastus",
            )
        # Where the list marks none, the newest one that is no preview.
        stable = [offered.release for offered in releases if not offered.is_preview]
        default = self._versions.defaults or stable[-1:] or [releases[-1].release]
        return {self._location: ImportedVersions(KubernetesVersions(releases, default[-1]), now)}


def _unusable(what: str, position: Position) -> errors.InvalidRequestContent:
    return errors.InvalidRequestContent(
        f"The import cannot be used, and nothing was changed: {what} (document {position.text}, {position}).",
        target=position.path or None,
        remedy=_REMEDY,
        information={"document": position.text, "line": position.line, "column": position.column, "reason": what},
    )
