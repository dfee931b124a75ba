"""What two sizes can do, compared: everything that is known of sizes and that a workload may notice.

Invariant: what is not known of one of them is no difference; it is listed as unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from poolwright.domain.generation import Generation, generations_text
from poolwright.domain.offer import Offer
from poolwright.domain.size_name import SizeName, available_vcpus, disk_controllers
from poolwright.domain.vm_size import VmSize

_RDMA: Final = "RdmaEnabled"


@dataclass(frozen=True, slots=True)
class Difference:
    """A capability that both sizes are known to have or not, and that differs."""

    capability: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    """A capability of sizes and how to tell it; None where it is unknown."""

    name: str
    tell: Callable[[VmSize], object | None]


@lru_cache(maxsize=4096)
def _parsed(name: str) -> SizeName | None:
    """The parts of the name; None for one outside the grammar. Every row asks, for every two sizes."""
    try:
        return SizeName.parse(name)
    except ValueError:
        return None


def _named(tell: Callable[[SizeName], object | None]) -> Callable[[VmSize], object | None]:
    """What the name of a size tells; nothing of one outside the grammar."""

    def of(size: VmSize) -> object | None:
        name = _parsed(size.name)
        return tell(name) if name is not None else None

    return of


def _temporary_disk(size: VmSize) -> object | None:
    """Whether there is a local temporary disk: as a list of sizes says, else as the name does.

    From version 4 of the D and E families on, and from version 6 on everywhere, sizes without the letter d have none.
    Source: https://learn.microsoft.com/azure/virtual-machines/azure-vms-no-temp-disk
    """
    said = dict(size.further).get("MaxResourceVolumeMB", "")
    if said.isdecimal():
        return int(said) > 0
    name = _parsed(size.name)
    if name is None:
        return None
    if "d" in name.letters:
        return True
    if name.series in ("D", "E"):
        return name.version < 4
    return False if name.version >= 6 and name.series in ("F", "FX") else None


def _premium_storage(size: VmSize) -> object | None:
    """Whether it takes premium disks: as a list of sizes says, else by the letter s of its name.

    Source: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
    """
    return size.premium_io if size.premium_io is not None else _named(lambda name: "s" in name.letters)(size)


# (series, version) of sizes whose name does not tell their accelerator, and what it is. NP has FPGAs.
# Source: https://learn.microsoft.com/azure/virtual-machines/sizes/overview#gpu-accelerated and the page of each series.
ACCELERATORS: Final[Mapping[tuple[str, int], str]] = {
    ("NC", 1): "K80",
    ("NC", 2): "P100",
    ("NC", 3): "V100",
    ("ND", 1): "P40",
    ("ND", 2): "V100",
    ("ND", 4): "A100",
    ("NP", 1): "U250",
    ("NV", 1): "M60",
    ("NV", 2): "M60",
    ("NV", 3): "M60",
    ("NV", 4): "MI25",
}


def accelerator(size: VmSize) -> str | None:
    """Return the model of the size's GPUs or FPGAs by its name, `none` where it has none, None where nothing tells."""
    name = _parsed(size.name)
    if name is None:
        return None
    if name.family != "N":
        return "none" if size.gpus == 0 else None
    return name.accelerator or ACCELERATORS.get((name.series, name.version))


def _gpus(size: VmSize) -> object | None:
    """How many; 0 of a size of an N series means that nobody counted them."""
    name = _parsed(size.name)
    return None if size.gpus == 0 and name is not None and name.family == "N" else size.gpus


def _rdma(size: VmSize) -> object | None:
    """Whether the network has RDMA: as a list of sizes says, else by the letter r; A8 and A9 are older than the letter.

    Source: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
    """
    said = dict(size.further).get(_RDMA)
    if said is not None:
        return said.lower() == "true"
    return _named(lambda name: None if name.series == "A" else "r" in name.letters)(size)


ARCHITECTURE: Final = "architecture"
# Everything that is known of sizes and that a workload may notice, in the order in which it is shown.
CAPABILITIES: Final = (
    CapabilityRow("vCPUs", available_vcpus),
    CapabilityRow("memory (GB)", lambda size: f"{size.memory_gb:g}"),
    CapabilityRow("GPUs", _gpus),
    CapabilityRow("accelerator", accelerator),
    CapabilityRow("generations", lambda size: generations_text(size.generations)),
    CapabilityRow(ARCHITECTURE, lambda size: size.architecture.value),
    CapabilityRow("processor", _named(lambda name: {"a": "AMD", "p": "Arm"}.get((name.letters + " ")[0], "Intel"))),
    CapabilityRow("burstable", _named(lambda name: name.family == "B")),
    CapabilityRow("tier", lambda size: size.tier or None),
    CapabilityRow("temporary disk", _temporary_disk),
    CapabilityRow("disk controller", lambda size: "/".join(sorted(disk_controllers(size.name, size) or ())) or None),
    CapabilityRow("data disks", lambda size: size.max_data_disks),
    CapabilityRow("largest OS disk (MB)", lambda size: size.os_vhd_size_mb),
    CapabilityRow("premium storage", _premium_storage),
    CapabilityRow("accelerated networking", lambda size: size.accelerated_networking),
    CapabilityRow("RDMA", _rdma),
    CapabilityRow("ephemeral OS disk", lambda size: size.ephemeral_os_disk),
    CapabilityRow("encryption at host", lambda size: size.encryption_at_host),
    CapabilityRow("cache (bytes)", lambda size: size.cached_disk_bytes),
    CapabilityRow("a host of its own", _named(lambda name: "i" in name.letters)),
    CapabilityRow("Trusted Launch", lambda size: size.supports(Generation.V2) and not size.trusted_launch_disabled),
    CapabilityRow("confidential computing", lambda size: size.confidential.value if size.confidential else "no"),
    CapabilityRow("quota family", lambda size: size.family or None),
)
# Of what a list says by ARM's names: what a row tells, and what is no capability.
_TOLD: Final = frozenset({_RDMA, "RetirementDateUtc"})


def compared(own: Offer | None, before: VmSize, after: Offer) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Return what differs between a size and another one, and which capabilities are not known of one of them.

    `own` is what the first is offered as where the other one is, None where it is not.
    """
    if before.name.lower() == after.size.name.lower():
        return (), ()
    pairs = [*_known(before, after.size), *(_in_zones(own, after) if own is not None else ())]
    unknown = tuple(name for name, old, new in pairs if old is None or new is None)
    return tuple(
        Difference(name, _text(old), _text(new))
        for name, old, new in pairs
        if old is not None and new is not None and old != new
    ), unknown


def _known(before: VmSize, after: VmSize) -> Iterator[tuple[str, object | None, object | None]]:
    """Every capability with what is known of it, the rows first, then what lists say by ARM's names."""
    for row in CAPABILITIES:
        yield row.name, row.tell(before), row.tell(after)
    old, new = dict(before.further), dict(after.further)
    # A size that is in no list has none of those names.
    for name in sorted((old.keys() | new.keys()) - _TOLD) if old and new else ():
        yield name, old.get(name), new.get(name)


def _in_zones(own: Offer, after: Offer) -> Iterator[tuple[str, object, object]]:
    """What they can do in some zones only, with those zones."""
    old, new = (_zones_of(offer) for offer in (own, after))
    for name, value in sorted(old.keys() | new.keys()):
        yield f"{name} {value} in zones", old.get((name, value), "none"), new.get((name, value), "none")


def _zones_of(offer: Offer) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], set[str]] = {}
    for detail in offer.zone_details:
        for pair in detail.capabilities:
            found.setdefault(pair, set()).update(detail.zones)
    return {pair: _listed(zones) for pair, zones in found.items()}


def _listed(zones: Iterable[str]) -> str:
    return ",".join(sorted(zones))


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
