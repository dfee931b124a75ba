"""The names of VM sizes: what they say, and which sizes come near a wanted one.

Invariant: what a name does not say for sure is taken from the `VmSize`; the ARM family is never looked at,
because it splits one line of sizes by version and by letter.

Source of the grammar: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions

    tier _ family sub-family vCPUs [-constrained vCPUs] additive letters [_accelerator] [_memory] [_version]

Older names differ. `DS2_v2` is family D with the additive letter s, GS likewise, and the number of
A, D, G and their first successors counts sizes, not vCPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from math import log2

from poolwright.domain.vm_size import VmSize

_NAME = re.compile(
    r"(?P<tier>basic|standard)_"
    r"(?P<family>[a-z])(?P<sub_family>[a-z]*)"
    r"(?P<number>\d+)(?:-(?P<constrained>\d+))?(?P<letters>[a-z]*)"
    r"(?P<words>(?:_[a-z0-9]+)*?)"
    r"(?:_v(?P<version>\d+))?(?P<promo>_promo)?",
    re.IGNORECASE | re.ASCII,
)
# (family, sub-family) of an older name, to the family and additive letter they mean.
_OLDER_SERIES = {("D", "S"): ("D", "s"), ("G", "S"): ("G", "s")}
# (family, version) of the names whose number is not the count of vCPUs. The sub-family is empty.
# https://learn.microsoft.com/azure/virtual-machines/sizes-previous-gen
_NUMBER_IS_NO_COUNT = frozenset({("A", 1), ("D", 1), ("D", 2), ("G", 1)})
# Words between the letters and the version that are neither an accelerator nor a memory capacity: `cc` may
# hold confidential child VMs, `NDR` is the network of the machine, `xl` a larger variant.
_VARIANTS = frozenset({"CC", "NDR", "XL"})

# Series that serve the same purpose, the most usual first. A size of another series of its line is the next
# best thing when its own series has none. https://learn.microsoft.com/azure/virtual-machines/sizes/overview
_GENERAL_PURPOSE = ("D", "A", "B")
_MEMORY_OPTIMIZED = ("E", "M", "G")
_LINES = (
    _GENERAL_PURPOSE,
    ("F", "FX"),
    _MEMORY_OPTIMIZED,
    ("L",),
    ("NC", "ND"),
    ("NV", "NG"),
    ("HB", "HC", "HX", "H"),
    ("DC", "EC"),
)
# General purpose sizes have up to 4 GB per vCPU. Those with much more (D11 to D15, A5 to A11, A2m_v2) are
# memory optimized by another name: https://learn.microsoft.com/azure/virtual-machines/dv2-dsv2-series-memory
_MEMORY_OPTIMIZED_GB_PER_VCPU = 6

# Additive letters that name the processor, and those that name something a workload may rely on. The
# others (l, m, t) tell the amount of memory, which is compared as such.
_PROCESSOR_LETTERS = frozenset("ap")
_FEATURE_LETTERS = frozenset("bdinorsx")

# Memory within a fifth counts as the same amount: D2_v2 has 7 GB, D2_v3 has 8.
_MEMORY_STEPS_PER_DOUBLING = 2
_NOTICEABLY_LESS_MEMORY = 0.95
# Work that fits the wanted size may not fit a smaller one: fewer vCPUs count like one doubling further away.
_PRICE_OF_FEWER_VCPUS = 1

# Names have up to 40 characters; nobody meant a size by a text far longer.
_LONGEST_NAME = 80
_CLOSE_ENOUGH = 0.6


@dataclass(frozen=True, slots=True)
class SizeName:
    """The parts of a size's name, families in capitals and additive letters in small ones.

    `number` is what the name says, which `vcpus` interprets. `memory_tb` is the memory capacity that some
    M sizes carry in their name.
    """

    tier: str
    family: str
    sub_family: str
    number: int
    constrained_vcpus: int | None
    letters: str
    accelerator: str | None
    variant: str | None
    memory_tb: int | None
    version: int
    is_promo: bool

    @classmethod
    def parse(cls, text: str) -> SizeName:
        """Return the parts of a name such as `Standard_D2s_v3`, ignoring case.

        Raises `ValueError` for a name outside the grammar.
        """
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(f"not the name of a VM size: {text!r} (expected the form of Standard_D2s_v3)")
        family, sub_family = match["family"].upper(), match["sub_family"].upper()
        family_meant, older_letter = _OLDER_SERIES.get((family, sub_family), (family, ""))
        words = match["words"].upper().split("_")[1:]
        accelerators = [word for word in words if not word.isdigit() and word not in _VARIANTS]
        memories = [int(word) for word in words if word.isdigit()]
        variants = [word for word in words if word in _VARIANTS]
        if max(len(accelerators), len(memories), len(variants)) > 1:
            raise ValueError(f"not the name of a VM size: {text!r} (a part stands there twice)")
        return cls(
            tier=match["tier"].capitalize(),
            family=family_meant,
            sub_family="" if older_letter else sub_family,
            number=int(match["number"]),
            constrained_vcpus=int(match["constrained"]) if match["constrained"] else None,
            letters=older_letter + match["letters"].lower(),
            accelerator=next(iter(accelerators), None),
            variant=next(iter(variants), None),
            memory_tb=next(iter(memories), None),
            version=int(match["version"] or 1),
            is_promo=match["promo"] is not None,
        )

    @property
    def series(self) -> str:
        """The family with its sub-family, such as `D`, `DC` or `NV`."""
        return self.family + self.sub_family

    @property
    def vcpus(self) -> int | None:
        """The vCPUs the name tells, before they are constrained; `None` where its number counts sizes."""
        if not self.sub_family and (self.family, self.version) in _NUMBER_IS_NO_COUNT:
            return None
        return self.number


def available_vcpus(size: VmSize) -> int:
    """Return the vCPUs a machine of the size gets: fewer than `size.vcpus` where they are constrained.

    Source: https://learn.microsoft.com/azure/virtual-machines/constrained-vcpu
    """
    if size.vcpus_available is not None:
        return size.vcpus_available
    name = _name_of(size)
    if name is None or name.constrained_vcpus is None:
        return size.vcpus
    return name.constrained_vcpus


def alternatives(wanted: VmSize, candidates: Iterable[VmSize], *, limit: int = 5) -> tuple[VmSize, ...]:
    """Return the candidates that come nearest to the wanted size, nearest first.

    The candidates are those that meet the need (offered in the location, of the right generation); only
    sizes of the wanted one's line are returned, none of another kind of confidential computing and none
    of the promotional sizes, which are no longer sold.
    """
    wanted_name = _name_of(wanted)
    if wanted_name is None:
        return ()
    line = _line(wanted, wanted_name)
    ranked = []
    for candidate in candidates:
        name = _name_of(candidate)
        if (
            name is not None
            and not name.is_promo
            and candidate.name.lower() != wanted.name.lower()
            and candidate.confidential is wanted.confidential
            and (series := _series(candidate, name)) in line
        ):
            distance = (
                # Another architecture needs other images of every workload.
                candidate.architecture is not wanted.architecture,
                line.index(series),
                *_distance(wanted, wanted_name, candidate, name),
            )
            ranked.append((distance, candidate))
    ranked.sort(key=lambda pair: (pair[0], pair[1].name))
    return tuple(candidate for _, candidate in ranked[:limit])


def nearest_names(text: str, candidates: Iterable[VmSize], limit: int = 5) -> tuple[VmSize, ...]:
    """Return the candidates somebody may have meant who wrote a name that does not exist, likeliest first.

    A name of a series and accelerator that exist is compared part by part, the version by how alike the
    names look: `v55` is rather a slip for `v5` than for `v6`. Any other text is compared letter by letter.
    The tier may be missing or misspelt. Promotional sizes are left out.
    """
    if len(text) > _LONGEST_NAME:
        return ()
    tier, short = _tier_and_rest(text)
    full = f"{tier}_{short}"
    written = _parsed(full)
    named = [(size, name) for size in candidates if (name := _name_of(size)) and not name.is_promo]
    if written is not None and any(_kind(name) == _kind(written) for _, name in named):
        of_series = [(size, name) for size, name in named if name.series == written.series]
        of_series.sort(key=lambda pair: (_misspelling(full, written, *pair), pair[0].name))
        return tuple(size for size, _ in of_series[:limit])
    # Of two sizes that differ only by tier, the Standard one is meant.
    by_tier = sorted(named, key=lambda pair: pair[1].tier)
    size_by_short_name = {_tier_and_rest(size.name)[1].lower(): size for size, _ in by_tier}
    close = get_close_matches(short.lower(), size_by_short_name, n=limit, cutoff=_CLOSE_ENOUGH)
    return tuple(size_by_short_name[short_name] for short_name in close)


def _line(size: VmSize, name: SizeName) -> tuple[str, ...]:
    """Return the series to look for another size in, the size's own first."""
    own = _series(size, name)
    line = next((line for line in _LINES if own in line), (own,))
    return (own, *(series for series in line if series != own))


def _series(size: VmSize, name: SizeName) -> str:
    """Return the size's series; that of memory-optimized sizes for one with as much memory."""
    if name.series in _GENERAL_PURPOSE and size.memory_gb > _MEMORY_OPTIMIZED_GB_PER_VCPU * size.vcpus:
        return _MEMORY_OPTIMIZED[0]
    return name.series


def _distance(wanted: VmSize, wanted_name: SizeName, candidate: VmSize, name: SizeName) -> tuple[float, ...]:
    """Return how far the candidate is from the wanted size, what matters most first."""
    lost = (set(wanted_name.letters) - set(name.letters)) & _FEATURE_LETTERS
    gained = (set(name.letters) - set(wanted_name.letters)) & _FEATURE_LETTERS
    return (
        # No GPU counted on a size of a GPU series means that the count is unknown.
        _doublings(candidate.gpus, wanted.gpus, least=1),
        name.variant != wanted_name.variant,
        # Names before 2020 do not tell their accelerator.
        wanted_name.accelerator is not None and name.accelerator != wanted_name.accelerator,
        # A constrained size is a slice of the host as large as its number says, and gets fewer vCPUs of it.
        _vcpu_distance(candidate.vcpus, wanted.vcpus)
        + _vcpu_distance(available_vcpus(candidate), available_vcpus(wanted)),
        round(_doublings(candidate.memory_gb, wanted.memory_gb) * _MEMORY_STEPS_PER_DOUBLING),
        candidate.memory_gb < wanted.memory_gb * _NOTICEABLY_LESS_MEMORY,
        len(lost),
        # Premium SSD is worth having even if the wanted size takes none: the OS disks of nodes use it.
        "s" not in name.letters,
        len((set(name.letters) ^ set(wanted_name.letters)) & _PROCESSOR_LETTERS),
        # An isolated size takes a host of its own.
        "i" in gained,
        name.version < wanted_name.version,
        len(gained),
        abs(name.version - wanted_name.version),
    )


def _vcpu_distance(vcpus: int, wanted: int) -> float:
    return _doublings(vcpus, wanted) + (_PRICE_OF_FEWER_VCPUS if vcpus < wanted else 0)


def _doublings(value: float, wanted: float, *, least: float = 0.25) -> float:
    """Return how often one value must be doubled to reach the other; less than `least` counts as `least`."""
    return round(abs(log2(max(value, least) / max(wanted, least))), 2)


def _tier_and_rest(text: str) -> tuple[str, str]:
    """Return the tier that is meant and the text after it: what stands first without a digit is the tier."""
    first, _, rest = text.partition("_")
    if not rest or any(character.isdigit() for character in first):
        return "Standard", text
    return "Basic" if first.lower() == "basic" else "Standard", rest


def _kind(name: SizeName) -> tuple[str, str | None, str | None]:
    return name.series, name.accelerator, name.variant


def _misspelling(text: str, written: SizeName, size: VmSize, name: SizeName) -> tuple[float, ...]:
    """Return how far the name is from what was written, what matters most first."""
    return (
        _kind(name) != _kind(written),
        # Of two names that count differently only the same number tells anything.
        name.number != written.number and (name.vcpus is None) != (written.vcpus is None),
        abs(name.number - written.number),
        name.constrained_vcpus != written.constrained_vcpus,
        len(set(name.letters) ^ set(written.letters)),
        -SequenceMatcher(None, text.lower(), size.name.lower()).ratio(),
    )


def _name_of(size: VmSize) -> SizeName | None:
    return _parsed(size.name)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> SizeName | None:
    """Return the parts of the name, `None` if it is outside the grammar; one answer asks for every size."""
    try:
        return SizeName.parse(text)
    except ValueError:
        return None


def disk_controllers(name: str, size: VmSize | None = None) -> frozenset[str] | None:
    """Return the disk controllers (SCSI, NVMe) the size takes; None where neither its facts nor its name tell.

    Source of what the name tells: https://learn.microsoft.com/azure/virtual-machines/enable-nvme-faqs: from
    version 6 on, and Lsv4 and its kin, sizes are NVMe only; Ebsv5 and Mv3 take both; general purpose, compute and
    memory optimized sizes up to version 5 are SCSI only.
    """
    if size is not None and size.disk_controllers is not None:
        return size.disk_controllers
    parsed = _parsed(name)
    if parsed is None:
        return None
    series = (parsed.family, parsed.version)
    if parsed.version >= 6 or series == ("L", 4):
        return frozenset({"NVMe"})
    if series == ("M", 3) or (series == ("E", 5) and "b" in parsed.letters):
        return frozenset({"NVMe", "SCSI"})
    if parsed.family in "ABDEF" and parsed.sub_family != "X":
        return frozenset({"SCSI"})
    return None
