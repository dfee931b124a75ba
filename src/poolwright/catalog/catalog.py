"""What the service offers: sizes, node images and Kubernetes versions, per location.

Invariant: what is not known is assumed in the caller's favour and said to be assumed (`Offer.assumed`);
a blank of a table never becomes `False`. A catalogue never changes: another one takes its place (`in_force.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from poolwright.catalog import shipped_table
from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesRelease
from poolwright.domain.node_image import NodeImage
from poolwright.domain.offer import ASSUMED_ZONES, Offer
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize

_WHAT_A_SIZE_NEEDS = {"hyperv_generations": "generations", "vcpus": "vCPUs", "memory_gb": "memory"}
_ASSUMPTIONS = tuple(frozenset(assumed) for assumed in ((), ("zones",), ("locations",), ("locations", "zones")))


@dataclass(frozen=True, slots=True)
class LeftOutSize:
    """A size that exists but of which too little is known to offer it; `reasons` names what is unknown."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocationCatalog:
    """What one location offers. Images stand best first.

    `known` has every size of the catalogue by lower-case name: a node pool keeps a size that its location no
    longer offers.
    """

    location: str
    offers: tuple[Offer, ...]
    images: tuple[NodeImage, ...]
    kubernetes: KubernetesVersions
    known: Mapping[str, VmSize] = field(repr=False, compare=False)
    _offer_by_name: Mapping[str, Offer] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_offer_by_name", {offer.size.name.lower(): offer for offer in self.offers})

    @property
    def sizes(self) -> tuple[VmSize, ...]:
        return tuple(offer.size for offer in self.offers)

    @property
    def usable_sizes(self) -> tuple[VmSize, ...]:
        """The sizes that no restriction of the whole location keeps from being used."""
        return tuple(offer.size for offer in self.offers if offer.location_restriction is None)

    def offer(self, name: str) -> Offer | None:
        """Return the size of that name as the location offers it, ignoring case; None if it does not."""
        return self._offer_by_name.get(name.lower())

    def size(self, name: str) -> VmSize | None:
        """Return the size of that name, offered here or not; None if nothing is known of it."""
        offer = self.offer(name)
        return offer.size if offer is not None else self.known.get(name.lower())


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything offered in the locations of the service."""

    locations: tuple[str, ...]
    left_out: tuple[LeftOutSize, ...]
    images: tuple[NodeImage, ...]
    _by_location: Mapping[str, LocationCatalog] = field(repr=False)
    _known: Mapping[str, VmSize] = field(repr=False, compare=False)

    @classmethod
    def built_in(cls, locations: Sequence[str]) -> Catalog:
        """Return the catalogue of the tables that the package ships, for the locations of the service."""
        sizes, left_out = _read_sizes()
        names = tuple(dict.fromkeys(normalized_location(location) for location in locations))
        surveyed = frozenset(place for listed in {size.listed_in for size in sizes} if listed for place in listed)
        kubernetes = KubernetesVersions.built_in()
        return cls.of(
            {name: tuple(size.offer(name) for size in sizes if size.is_offered(name, surveyed)) for name in names},
            dict.fromkeys(names, kubernetes),
            _read_images(),
            known=[size.size for size in sizes],
            left_out=left_out,
        )

    @classmethod
    def of(
        cls,
        offers: Mapping[str, tuple[Offer, ...]],
        kubernetes: Mapping[str, KubernetesVersions],
        images: tuple[NodeImage, ...],
        *,
        known: Iterable[VmSize] = (),
        left_out: tuple[LeftOutSize, ...] = (),
    ) -> Catalog:
        """Return the catalogue of these locations. `known` are sizes that need not be offered anywhere."""
        if not offers:
            raise ValueError("a catalogue needs at least one location")
        by_name = {size.name.lower(): size for size in known}
        for offered in reversed(tuple(offers.values())):
            by_name.update((offer.size.name.lower(), offer.size) for offer in offered)
        return cls(
            locations=tuple(offers),
            left_out=left_out,
            images=images,
            _by_location={
                location: LocationCatalog(location, offered, images, kubernetes[location], by_name)
                for location, offered in offers.items()
            },
            _known=by_name,
        )

    def replaced(
        self,
        offers: Mapping[str, tuple[Offer, ...]],
        kubernetes: Mapping[str, KubernetesVersions],
        images: tuple[NodeImage, ...] | None,
        known: Iterable[VmSize] = (),
    ) -> Catalog:
        """Return this catalogue with other offers and versions in some of its locations, and other images if given.

        What it knew of sizes stays known.
        """
        return Catalog.of(
            {place: offers.get(place, here.offers) for place, here in self._by_location.items()},
            {place: kubernetes.get(place, here.kubernetes) for place, here in self._by_location.items()},
            self.images if images is None else images,
            known=[*self._known.values(), *known],
            left_out=self.left_out,
        )

    def at(self, location: str) -> LocationCatalog:
        """Return what a location offers; a location that the service does not offer any more offers no size."""
        here = self._by_location.get(normalized_location(location))
        if here is not None:
            return here
        kubernetes = self._by_location[self.locations[0]].kubernetes
        return LocationCatalog(location, (), self.images, kubernetes, self._known)

    def size(self, name: str) -> VmSize | None:
        """Return the size of that name, ignoring case, wherever it is offered; None if nothing is known of it."""
        return self._known.get(name.lower())

    def sizes_in(self, location: str) -> tuple[VmSize, ...]:
        """Return the sizes offered in a location, none if the service does not offer the location."""
        here = self._by_location.get(normalized_location(location))
        return here.sizes if here is not None else ()

    @property
    def sizes(self) -> tuple[VmSize, ...]:
        """Every size of which the facts are known, offered or not."""
        return tuple(self._known.values())


@dataclass(frozen=True, slots=True)
class _ShippedSize:
    """A row of the table: the size, and where its sources saw it (None: unknown)."""

    size: VmSize
    listed_in: tuple[str, ...] | None
    zones: Mapping[str, tuple[str, ...]] | None

    def is_offered(self, location: str, surveyed: frozenset[str]) -> bool:
        """Whether it counts as offered: only where a source looked does being absent mean not being offered."""
        return self.listed_in is None or location not in surveyed or self._is_listed(location)

    def offer(self, location: str) -> Offer:
        """Return the offer in a location: zones 1 to 3 where none were seen."""
        seen = self.zones.get(location) if self.zones is not None else None
        assumed = _ASSUMPTIONS[(seen is None) + 2 * (not self._is_listed(location))]
        return Offer(self.size, ASSUMED_ZONES if seen is None else seen, assumed=assumed)

    def _is_listed(self, location: str) -> bool:
        """Whether the source names the size there; having seen its zones tells as much."""
        return (self.listed_in is not None and location in self.listed_in) or (
            self.zones is not None and location in self.zones
        )


def display_names() -> dict[str, str]:
    """Return Azure's display name (`East US`) of each location the package knows, by ARM's name (`eastus`)."""
    return {row["name"]: row["display_name"] for row in shipped_table.rows("locations.csv")}


def normalized_location(location: str) -> str:
    """Return the name ARM knows a location by: `East US` is `eastus`."""
    return location.replace(" ", "").lower()


def _read_sizes() -> tuple[tuple[_ShippedSize, ...], tuple[LeftOutSize, ...]]:
    sizes = []
    left_out = []
    for row in shipped_table.rows("vm-sizes.csv"):
        missing = tuple(word for column, word in _WHAT_A_SIZE_NEEDS.items() if not row[column])
        if missing:
            left_out.append(LeftOutSize(row["name"], missing))
        else:
            listed = shipped_table.listed(row["locations"]) or None
            sizes.append(_ShippedSize(_size(row), listed, _zones(row["zones"])))
    return tuple(sizes), tuple(left_out)


def _size(row: Mapping[str, str]) -> VmSize:
    confidential = row["confidential_computing_type"]
    return VmSize(
        name=row["name"],
        family=row["family"],
        tier=row["tier"],
        vcpus=int(row["vcpus"]),
        memory_gb=float(row["memory_gb"]),
        generations=Generation.parse_set(row["hyperv_generations"]),
        architecture=Architecture(row["cpu_architecture"]),
        confidential=ConfidentialComputing(confidential) if confidential else None,
        trusted_launch_disabled=shipped_table.optional_flag(row["trusted_launch_disabled"]) is True,
        gpus=int(row["gpus"]),
        max_data_disks=shipped_table.optional_number(row["max_data_disks"]),
        accelerated_networking=shipped_table.optional_flag(row["accelerated_networking"]),
        premium_io=shipped_table.optional_flag(row["premium_io"]),
        encryption_at_host=shipped_table.optional_flag(row["encryption_at_host"]),
        ephemeral_os_disk=shipped_table.optional_flag(row["ephemeral_os_disk"]),
        os_vhd_size_mb=shipped_table.optional_number(row["os_vhd_size_mb"]),
        cached_disk_bytes=shipped_table.optional_number(row["cached_disk_bytes"]),
    )


def _zones(text: str) -> dict[str, tuple[str, ...]] | None:
    """Return the zones per location of `eastus:1|2|3;westcentralus:`; nothing after the colon is no zone."""
    if not text:
        return None
    parts = (part.partition(":") for part in text.split(";"))
    return {location: shipped_table.listed(zones) for location, _, zones in parts}


def _read_images() -> tuple[NodeImage, ...]:
    """Return the images of the table in its order, best first.

    Where the table has no version string, it is derived as gallery-definition-version, with the version
    of a sibling: the first image of the same distribution release, of the same gallery if there is one.
    An image without such a sibling is left out.
    """
    rows = shipped_table.rows("node-images.csv")
    images = []
    for row in rows:
        version_string = row["version_string_example"] or _derived_version_string(row, rows)
        if version_string is not None:
            images.append(_image(row, version_string))
    return tuple(images)


def _derived_version_string(row: Mapping[str, str], rows: Iterable[Mapping[str, str]]) -> str | None:
    siblings = [other for other in rows if other["distro_release"] == row["distro_release"]]
    siblings.sort(key=lambda sibling: sibling["family"] != row["family"])
    for sibling in siblings:
        stem = _version_string_stem(sibling)
        if sibling["version_string_example"].startswith(stem):
            return _version_string_stem(row) + sibling["version_string_example"].removeprefix(stem)
    return None


def _version_string_stem(row: Mapping[str, str]) -> str:
    """Return what stands before the version: `AKSUbuntu-2204containerd-`; Windows drops `windows-`."""
    return f"{row['family']}-{row['image_definition'].removeprefix('windows-')}-"


def _image(row: Mapping[str, str], version_string: str) -> NodeImage:
    return NodeImage(
        gallery=row["family"],
        definition=row["image_definition"],
        version_string=version_string,
        os_skus=shipped_table.listed(row["os_sku"]),
        release=row["distro_release"],
        generation=Generation.parse(row["generation"]),
        architecture=Architecture(row["arch"]),
        fips=shipped_table.flag(row["fips"]),
        trusted_launch=shipped_table.flag(row["trusted_launch"]),
        first_kubernetes=_optional_release(row["k8s_min"]),
        last_kubernetes=_optional_release(row["k8s_max"]),
    )


def _optional_release(text: str) -> KubernetesRelease | None:
    return KubernetesRelease.parse(text) if text else None
