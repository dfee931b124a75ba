"""The reply of `GET .../providers/Microsoft.Compute/skus`, which `az vm list-skus` prints.

Invariant: one region per entry, and `restrictions` is always present; az shows only the first of
`locations` and fails to draw its table without `restrictions`. What the catalogue does not know is left out.

Source: https://learn.microsoft.com/rest/api/compute/resource-skus/list
"""

from __future__ import annotations

import gzip
import re
from typing import Any

import orjson

from poolwright import errors
from poolwright.catalog.catalog import Catalog, normalized_location
from poolwright.domain.generation import generations_text
from poolwright.domain.size_name import available_vcpus
from poolwright.domain.vm_size import VmSize

# Compute takes no other filter: "Only location filter is supported currently".
_LOCATION_FILTER = re.compile(r"\s*location\s+eq\s+'([^']+)'\s*", re.IGNORECASE)

ASSUMED_CAPABILITY = "PoolwrightAssumed"


def parse_location_filter(text: str) -> str:
    """Return the location of a `$filter` such as `location eq 'eastus'`; any other raises `ValueError`."""
    match = _LOCATION_FILTER.fullmatch(text)
    if match is None:
        raise ValueError(f"the filter {text!r} is not supported; write location eq 'eastus'")
    return match[1]


def render_skus(catalog: Catalog, location: str | None) -> bytes:
    """Return the JSON list of the sizes offered in a location, or in all locations of the service."""
    locations = catalog.locations if location is None else (normalized_location(location),)
    entries = [_entry(catalog, size, region) for region in locations for size in catalog.sizes_in(region)]
    return orjson.dumps({"value": entries})


def _entry(catalog: Catalog, size: VmSize, location: str) -> dict[str, Any]:
    capabilities = _capabilities(size)
    assumed = catalog.assumed(size, location)
    if assumed:
        capabilities[ASSUMED_CAPABILITY] = ",".join(sorted(assumed))
    entry = {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": size.tier,
        "size": size.name.removeprefix(f"{size.tier}_"),
        "family": size.family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": catalog.zones(size, location), "zoneDetails": []}],
        "capabilities": [{"name": name, "value": value} for name, value in capabilities.items()],
        "restrictions": [],
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
        # ARM names these two only where they say something.
        "TrustedLaunchDisabled": size.trusted_launch_disabled or None,
        "ConfidentialComputingType": size.confidential.value if size.confidential else None,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


class SkuPages:
    """The reply per location, made once and compressed once. May be used from several threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pages: dict[str | None, tuple[bytes, bytes]] = {}

    def page(self, location_filter: str | None, accept_encoding: str) -> tuple[bytes, str | None]:
        """Return the body and its content encoding (None: not compressed). Raises `InvalidParameter`."""
        location = None
        if location_filter:
            try:
                location = normalized_location(parse_location_filter(location_filter))
            except ValueError as error:
                raise errors.InvalidParameter(
                    f"The value of $filter is invalid: {error}.",
                    target="$filter",
                    remedy="write $filter=location eq 'eastus', or leave it out",
                ) from error
            if location not in self._catalog.locations:
                return b'{"value":[]}', None
        plain, compressed = self._rendered(location)
        if "gzip" in accept_encoding.lower():
            return compressed, "gzip"
        return plain, None

    def warm(self) -> None:
        """Make the page that az asks for, so that the first request is as fast as the others."""
        self._rendered(None)

    def _rendered(self, location: str | None) -> tuple[bytes, bytes]:
        known = self._pages.get(location)
        if known is None:
            plain = render_skus(self._catalog, location)
            known = self._pages[location] = (plain, gzip.compress(plain, compresslevel=6, mtime=0))
        return known
