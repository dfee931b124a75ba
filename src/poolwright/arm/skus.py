"""SKUs as Compute lists them, which `az vm list-skus` prints, in both directions.

Invariant: one region per entry, and `restrictions` is always present; az shows only the first of
`locations` and fails to draw its table without `restrictions`. What the catalogue does not know is left out, and
what `render_skus` writes, `decode_sku` reads back as it was.

The list is one page, however long: Compute sends no `nextLink` (Azure/azure-rest-api-specs#15672).
Source: https://learn.microsoft.com/rest/api/compute/resource-skus/list
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from poolwright import errors
from poolwright.arm.shape import Misshapen, listed_in, object_in, text_in, texts_in
from poolwright.catalog.catalog import Catalog, normalized_location
from poolwright.catalog.in_force import CatalogInForce
from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.offer import Offer, Restriction, RestrictionReason, ZoneDetail
from poolwright.domain.size_name import available_vcpus
from poolwright.domain.vm_size import Architecture, ConfidentialComputing, VmSize

# Compute takes no other filter: "Only location filter is supported currently".
_LOCATION_FILTER = re.compile(r"\s*location\s+eq\s+'([^']+)'\s*", re.IGNORECASE | re.ASCII)

ASSUMED_CAPABILITY: Final = "PoolwrightAssumed"
VIRTUAL_MACHINES: Final = "virtualMachines"
_ASSUMED: Final = frozenset({"locations", "zones"})
_FLAGS: Final = {"true": True, "false": False}
_CONTROLLERS: Final = ("SCSI", "NVMe")


def parse_location_filter(text: str) -> str:
    """Return the location of a `$filter` such as `location eq 'eastus'`; any other raises `ValueError`."""
    match = _LOCATION_FILTER.fullmatch(text)
    if match is None:
        raise ValueError(f"the filter {text!r} is not supported; write location eq 'eastus'")
    return match[1]


def render_skus(
    catalog: Catalog, location: str | None, *, is_shown: Callable[[VmSize], bool] = lambda size: True
) -> bytes:
    """Return the JSON list of the sizes offered in a location, or in all locations of the service."""
    places = catalog.locations if location is None else (location,)
    entries = [
        encode_sku(offer, here.location)
        for here in map(catalog.at, places)
        for offer in here.offers
        if is_shown(offer.size)
    ]
    return orjson.dumps({"value": entries})


def render_sizes(offers: Iterable[Offer]) -> bytes:
    """Return the body of VirtualMachineSizes_List, as `az vm list-sizes` prints it. Restricted sizes are among them.

    Source: https://learn.microsoft.com/rest/api/compute/virtual-machine-sizes/list (deprecated)
    """
    values = []
    for size in (offer.size for offer in offers):
        resource_disk = dict(size.further).get("MaxResourceVolumeMB", "")
        numbers = {
            "numberOfCores": size.vcpus,
            "osDiskSizeInMB": size.os_vhd_size_mb,
            "resourceDiskSizeInMB": int(resource_disk) if resource_disk.isdecimal() else None,
            "memoryInMB": round(size.memory_gb * 1024),
            "maxDataDiskCount": size.max_data_disks,
        }
        known = {name: number for name, number in numbers.items() if number is not None}
        values.append({"name": size.name, **known})
    return orjson.dumps({"value": values})


def encode_restrictions(restrictions: tuple[Restriction, ...], location: str) -> list[dict[str, Any]]:
    """Return restrictions as ARM writes them."""
    return [
        {
            "type": "Location" if restriction.zones is None else "Zone",
            "values": [location],
            "restrictionInfo": {"locations": [location]}
            | ({} if restriction.zones is None else {"zones": restriction.zones}),
            "reasonCode": restriction.reason.value,
        }
        for restriction in restrictions
    ]


@dataclass(frozen=True, slots=True)
class LeftOutSku:
    """An entry that was understood and is not taken."""

    location: str
    reason: str


def decode_sku(entry: Mapping[str, Any], pool: dict[Any, Any]) -> Iterator[tuple[str, Offer] | LeftOutSku]:
    """Yield the size in each location that the entry of a SKU list names, or why it is left out there.

    Raises `Misshapen` for an entry that is not of ARM's shape. Values that are met often are kept once, in `pool`.
    """
    name, kind = text_in(entry, "name"), text_in(entry, "resourceType")
    information = {
        normalized_location(text_in(part, "location", place)): (part, place)
        for part, place in listed_in(entry, "locationInfo")
    }
    places = [normalized_location(text) for text in texts_in(entry, "locations")] or list(information)
    if kind.lower() != VIRTUAL_MACHINES.lower():
        yield from (LeftOutSku(location, f"resource type {kind}") for location in places)
        return
    if not places:
        yield LeftOutSku("", "no location")
    capabilities = _pairs(entry, "")
    for location in places:
        part, place = information.get(location, ({}, ""))
        if part.get("type") is not None:
            yield LeftOutSku(location, "extended location")
            continue
        try:
            size, assumed = _decoded_size(entry, name, capabilities, pool)
            restrictions = tuple(_decoded_restrictions(entry, location))
        except _Unreadable as unreadable:
            yield LeftOutSku(location, str(unreadable))
            continue
        details = tuple(
            ZoneDetail(tuple(texts_in(detail, "name", where) or texts_in(detail, "Name", where)), _pairs(detail, where))
            for detail, where in listed_in(part, "zoneDetails", place)
        )
        zones = tuple(sorted(texts_in(part, "zones", place)))
        yield location, Offer(size, _kept(pool, zones), _kept(pool, restrictions), _kept(pool, details), assumed)


def decode_restrictions(document: Mapping[str, Any], location: str) -> tuple[Restriction, ...]:
    """Return the restrictions of an entry, or of a request's body, that concern a location. Raises `Misshapen`."""
    try:
        return tuple(_decoded_restrictions(document, location))
    except _Unreadable as unreadable:
        raise Misshapen("restrictions", str(unreadable)) from unreadable


class _Unreadable(Exception):
    """A value means nothing here; says which one."""


def encode_sku(offer: Offer, location: str) -> dict[str, Any]:
    """Return the entry of the list for a size in one location."""
    size = offer.size
    capabilities = _capabilities(size)
    if offer.assumed:
        capabilities[ASSUMED_CAPABILITY] = ",".join(sorted(offer.assumed))
    details = [
        {"Name": detail.zones, "capabilities": [{"name": name, "value": value} for name, value in detail.capabilities]}
        for detail in offer.zone_details
    ]
    entry = {
        "resourceType": VIRTUAL_MACHINES,
        "name": size.name,
        "tier": size.tier,
        "size": size.name.removeprefix(f"{size.tier}_"),
        "family": size.family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": offer.zones, "zoneDetails": details}],
        "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
        "restrictions": encode_restrictions(offer.restrictions, location),
    }
    if not size.family:
        del entry["family"]
    return entry


def _capabilities(size: VmSize) -> dict[str, str]:
    """Return what is known of the size, by ARM's names and in ARM's spelling: every value is a text."""
    values: dict[str, object] = {
        "vCPUs": size.vcpus,
        "vCPUsAvailable": available_vcpus(size),
        "MemoryGB": f"{size.memory_gb:.10g}",
        "HyperVGenerations": generations_text(size.generations),
        "CpuArchitectureType": size.architecture.value,
        "MaxDataDiskCount": size.max_data_disks,
        "OSVhdSizeMB": size.os_vhd_size_mb,
        "CachedDiskBytes": size.cached_disk_bytes,
        "AcceleratedNetworkingEnabled": size.accelerated_networking,
        "PremiumIO": size.premium_io,
        "EncryptionAtHostSupported": size.encryption_at_host,
        "EphemeralOSDiskSupported": size.ephemeral_os_disk,
        "GPUs": size.gpus or None,
        # ARM names these three only where they say something.
        "TrustedLaunchDisabled": size.trusted_launch_disabled or None,
        "ConfidentialComputingType": size.confidential.value if size.confidential else None,
        "DiskControllerTypes": _controllers_text(size.disk_controllers),
    }
    return {name: str(value) for name, value in values.items() if value is not None} | dict(size.further)


def _controllers_text(controllers: frozenset[str] | None) -> str | None:
    """`SCSI, NVMe`, as Compute writes it."""
    return ", ".join(sorted(controllers, key=_CONTROLLERS.index)) if controllers else None


def _decoded_size(
    entry: Mapping[str, Any], name: str, pairs: tuple[tuple[str, str], ...], pool: dict[Any, Any]
) -> tuple[VmSize, frozenset[str]]:
    """The size with what is assumed of it. The same facts are read once, however many locations repeat them."""
    tier, family = text_in(entry, "tier", default=""), text_in(entry, "family", default="")
    key = (name, tier, family, pairs)
    known: tuple[VmSize, frozenset[str]] | None = pool.get(key)
    if known is None:
        facts = dict(pairs)
        assumed = frozenset(facts.pop(ASSUMED_CAPABILITY, "").split(",")) & _ASSUMED
        known = pool[key] = (_size_of(name, tier or name.partition("_")[0], family, facts, pool), assumed)
    return known


def _size_of(name: str, tier: str, family: str, facts: dict[str, str], pool: dict[Any, Any]) -> VmSize:
    """The size with these capabilities; what is read is taken out of `facts`, and what remains is kept."""
    generations = facts.pop("HyperVGenerations", "")
    if not generations:
        raise _Unreadable("no generations")
    confidential = facts.pop("ConfidentialComputingType", None)
    size = VmSize(
        name=name,
        family=family,
        tier=tier,
        generations=_read("HyperVGenerations", generations, Generation.parse_set),
        vcpus=_needed(facts, "vCPUs", int),
        memory_gb=_needed(facts, "MemoryGB", float),
        architecture=_read("CpuArchitectureType", facts.pop("CpuArchitectureType", "x64"), Architecture),
        confidential=_read("ConfidentialComputingType", confidential, ConfidentialComputing) if confidential else None,
        trusted_launch_disabled=_flag(facts, "TrustedLaunchDisabled") is True,
        gpus=_number(facts, "GPUs") or 0,
        max_data_disks=_number(facts, "MaxDataDiskCount"),
        accelerated_networking=_flag(facts, "AcceleratedNetworkingEnabled"),
        premium_io=_flag(facts, "PremiumIO"),
        encryption_at_host=_flag(facts, "EncryptionAtHostSupported"),
        ephemeral_os_disk=_flag(facts, "EphemeralOSDiskSupported"),
        os_vhd_size_mb=_number(facts, "OSVhdSizeMB"),
        cached_disk_bytes=_number(facts, "CachedDiskBytes"),
    )
    available = _number(facts, "vCPUsAvailable")
    controllers = facts.pop("DiskControllerTypes", None)
    return replace(
        size,
        # What the name tells already is not said twice, so that a list of ours is read as what it was written from.
        vcpus_available=None if available == available_vcpus(size) else available,
        disk_controllers=_read("DiskControllerTypes", controllers, _controllers) if controllers else None,
        further=_kept(pool, tuple(_kept(pool, pair) for pair in facts.items())),
    )


def _controllers(text: str) -> frozenset[str]:
    spelled = {controller.lower(): controller for controller in _CONTROLLERS}
    return frozenset(spelled[part.strip().lower()] for part in text.split(","))


def _decoded_restrictions(document: Mapping[str, Any], location: str) -> Iterator[Restriction]:
    for restriction, place in listed_in(document, "restrictions"):
        kind, reason = text_in(restriction, "type", place), text_in(restriction, "reasonCode", place)
        about = object_in(restriction, "restrictionInfo", place)
        places = texts_in(about, "locations", f"{place}.restrictionInfo") or texts_in(restriction, "values", place)
        if places and location not in map(normalized_location, places):
            continue
        if kind.lower() not in ("location", "zone"):
            raise _Unreadable(f"unreadable restriction type {kind[:40]}")
        zones = tuple(sorted(texts_in(about, "zones", f"{place}.restrictionInfo")))
        yield Restriction(
            _read("restriction reason", reason, RestrictionReason), zones if kind.lower() == "zone" else None
        )


def _pairs(document: Mapping[str, Any], place: str) -> tuple[tuple[str, str], ...]:
    """Capabilities as ARM lists them; one without a value says nothing."""
    return tuple(
        (text_in(part, "name", where), value)
        for part, where in listed_in(document, "capabilities", place)
        if (value := text_in(part, "value", where, default=""))
    )


def _needed(facts: dict[str, str], name: str, kind: Callable[[str], Any]) -> Any:
    text = facts.pop(name, "")
    if not text:
        raise _Unreadable({"vCPUs": "no vCPUs", "MemoryGB": "no memory"}[name])
    value = _read(name, text, kind)
    if not 0 < value < 1_000_000:
        raise _Unreadable(f"unreadable {name} {text[:40]}")
    return value


def _number(facts: dict[str, str], name: str) -> int | None:
    text = facts.pop(name, None)
    if text is None:
        return None
    value: int = _read(name, text, int)
    if not 0 <= value < 2**63:
        raise _Unreadable(f"unreadable {name} {text[:40]}")
    return value


def _flag(facts: dict[str, str], name: str) -> bool | None:
    text = facts.pop(name, None)
    return None if text is None else bool(_read(name, text.lower(), _FLAGS.__getitem__))


def _read(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except (ValueError, KeyError) as error:
        raise _Unreadable(f"unreadable {name} {text[:40]}") from error


def _kept(pool: dict[Any, Any], value: Any) -> Any:
    """The first one met of equal values, so that 50 locations do not keep 50 of it."""
    return pool.setdefault(value, value)


class SkuPages:
    """The list per location, made once for a catalogue and compressed once. May be used from several threads."""

    def __init__(self, catalogs: CatalogInForce) -> None:
        self._catalogs = catalogs
        self._made = _Made(catalogs.present)

    def location_of(self, location_filter: str | None) -> str | None:
        """Return the location of a filter, None for no filter. Raises `InvalidParameter`."""
        if not location_filter:
            return None
        try:
            return normalized_location(parse_location_filter(location_filter))
        except ValueError as error:
            raise errors.InvalidParameter(
                f"The value of $filter is invalid: {error}.",
                target="$filter",
                remedy="write $filter=location eq 'eastus', or leave it out",
            ) from error

    def ready(self, key: PageKey) -> Page | None:
        """Return the page if it is made already for the present catalogue."""
        return self._present().pages.get(key)

    def make(self, key: PageKey) -> Page:
        """Return the page; making it takes a tenth of a second for each thousand sizes."""
        made = self._present()
        page = made.pages.get(key)
        if page is None:
            body = key.render(made.catalog)
            page = made.pages[key] = Page(body, gzip.compress(body, compresslevel=6, mtime=0))
        return page

    def warm(self) -> None:
        """Make the page that az asks for, so that the first request is as fast as the others."""
        self.make(PageKey(None))

    def _present(self) -> _Made:
        catalog, made = self._catalogs.present, self._made
        if made.catalog is not catalog:
            made = self._made = _Made(catalog)
        return made


@dataclass(frozen=True, slots=True)
class PageKey:
    """Which list: of a location (None: of all), and whether only of sizes that AKS takes."""

    location: str | None
    only_aks: bool = False

    def render(self, catalog: Catalog) -> bytes:
        if self.location is not None and self.location not in catalog.locations:
            return b'{"value":[]}'
        return render_skus(catalog, self.location, is_shown=is_accepted_by_aks if self.only_aks else lambda size: True)


@dataclass(frozen=True, slots=True)
class Page:
    """A body, plain and compressed."""

    plain: bytes
    compressed: bytes

    def body(self, accept_encoding: str) -> tuple[bytes, str | None]:
        """Return the body and its content encoding (None: not compressed)."""
        return (self.compressed, "gzip") if "gzip" in accept_encoding.lower() else (self.plain, None)


class _Made:
    """The pages made of one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.pages: dict[PageKey, Page] = {}


def is_accepted_by_aks(size: VmSize) -> bool:
    """Whether AKS takes the size for a user node pool: at least 2 vCPUs and 2 GB (rule 58), no TDX (rule 34)."""
    return size.vcpus >= 2 and size.memory_gb >= 2 and size.confidential is not ConfidentialComputing.TDX
