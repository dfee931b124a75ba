"""What the service offers: sizes, node images and Kubernetes versions, per location.

Invariant: what is not known is assumed in the caller's favour and said to be assumed (`Catalog.assumed`);
a blank of a table never becomes `False`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from poolwright.catalog import shipped_table
from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.domain.generation import Generation
from poolwright.domain.kubernetes_version import KubernetesRelease
from poolwright.domain.node_image import NodeImage
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize

_ASSUMED_ZONES = ("1", "2", "3")
_WHAT_A_SIZE_NEEDS = {"hyperv_generations": "generations", "vcpus": "vCPUs", "memory_gb": "memory"}


@dataclass(frozen=True, slots=True)
class LeftOutSize:
    """A size that exists but of which too little is known to offer it; `reasons` names what is unknown."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything offered in the locations of the service.

    `surveyed_locations` are the locations the lists of the sizes were drawn from: only there does being
    absent from a list mean not being offered. Images stand best first.
    """

    locations: tuple[str, ...]
    sizes: tuple[VmSize, ...]
    left_out: tuple[LeftOutSize, ...]
    images: tuple[NodeImage, ...]
    kubernetes: KubernetesVersions
    surveyed_locations: frozenset[str]
    _size_by_name: Mapping[str, VmSize] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.locations:
            raise ValueError("a catalogue needs at least one location")
        object.__setattr__(self, "_size_by_name", {size.name.lower(): size for size in self.sizes})

    @classmethod
    def built_in(cls, locations: Sequence[str]) -> Catalog:
        """Return the catalogue of the tables that the package ships, for the locations of the service."""
        sizes, left_out = _read_sizes()
        return cls(
            locations=tuple(dict.fromkeys(normalized_location(location) for location in locations)),
            sizes=sizes,
            left_out=left_out,
            images=_read_images(),
            kubernetes=KubernetesVersions.built_in(),
            surveyed_locations=frozenset(
                location for listed in {size.locations for size in sizes} if listed for location in listed
            ),
        )

    def size(self, name: str) -> VmSize | None:
        """Return the size of that name, ignoring case; `None` if the catalogue has none."""
        return self._size_by_name.get(name.lower())

    def sizes_in(self, location: str) -> tuple[VmSize, ...]:
        """Return the sizes offered in a location, none if the service does not offer the location."""
        wanted = normalized_location(location)
        if wanted not in self.locations:
            return ()
        return tuple(size for size in self.sizes if self._is_offered(size, wanted))

    def offered_in(self, size: VmSize, location: str) -> bool:
        """Whether the size is offered in the location; an unknown counts as offered."""
        wanted = normalized_location(location)
        return wanted in self.locations and self._is_offered(size, wanted)

    def zones(self, size: VmSize, location: str) -> tuple[str, ...]:
        """Return the availability zones of the size there: 1 to 3 if unknown, none if it is not offered."""
        wanted = normalized_location(location)
        if not self.offered_in(size, wanted):
            return ()
        if size.zones is not None and wanted in size.zones:
            return size.zones[wanted]
        return _ASSUMED_ZONES

    def assumed(self, size: VmSize, location: str) -> frozenset[str]:
        """Return what is assumed about the size in the location: `locations`, `zones`, both or nothing."""
        wanted = normalized_location(location)
        if not self.offered_in(size, wanted):
            return frozenset()
        assumptions = set()
        if not _is_listed(size, wanted):
            assumptions.add("locations")
        if size.zones is None or wanted not in size.zones:
            assumptions.add("zones")
        return frozenset(assumptions)

    def _is_offered(self, size: VmSize, location: str) -> bool:
        return size.locations is None or location not in self.surveyed_locations or _is_listed(size, location)


def display_names() -> dict[str, str]:
    """Return Azure's display name (`East US`) of each location the package knows, by ARM's name (`eastus`)."""
    return {row["name"]: row["display_name"] for row in shipped_table.rows("locations.csv")}


def normalized_location(location: str) -> str:
    """Return the name ARM knows a location by: `East US` is `eastus`."""
    return location.replace(" ", "").lower()


def _is_listed(size: VmSize, location: str) -> bool:
    """Whether the source names the size in that location; having seen its zones there tells as much."""
    return (size.locations is not None and location in size.locations) or (
        size.zones is not None and location in size.zones
    )


def _read_sizes() -> tuple[tuple[VmSize, ...], tuple[LeftOutSize, ...]]:
    sizes = []
    left_out = []
    for row in shipped_table.rows("vm-sizes.csv"):
        missing = tuple(word for column, word in _WHAT_A_SIZE_NEEDS.items() if not row[column])
        if missing:
            left_out.append(LeftOutSize(row["name"], missing))
        else:
            sizes.append(_size(row))
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
        locations=shipped_table.listed(row["locations"]) or None,
        zones=_zones(row["zones"]),
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
