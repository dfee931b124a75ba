"""When VM sizes, OS releases and types of node pools end, as far as somebody published it.

Invariant: a date is one that a named source gives; no row means that nothing is known, never that nothing is planned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from poolwright.catalog import shipped_table
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.size_name import SizeName
from poolwright.domain.vm_size import VmSize

# The capability of a list of sizes that carries the date.
CAPABILITY: Final = "RetirementDateUtc"


@dataclass(frozen=True, slots=True)
class Retirement:
    """What ends (`Standard_D2_v2`, `Ubuntu 22.04`), on which day, what that means, and who says so."""

    subject: str
    day: date
    effect: str
    source: str

    @property
    def removes_images(self) -> bool:
        """Whether no machine can be made of it afterwards, because its node images are gone."""
        return self.effect.startswith("images removed")


@dataclass(frozen=True, slots=True)
class Retirements:
    """The rows of the table, by kind and name."""

    _rows: Mapping[tuple[str, str], tuple[tuple[date, str, str], ...]]

    @classmethod
    def built_in(cls) -> Retirements:
        """Return the dates of the table that the package ships."""
        rows: dict[tuple[str, str], tuple[tuple[date, str, str], ...]] = {}
        for row in shipped_table.rows("retirements.csv"):
            key = row["kind"], row["name"].lower()
            rows[key] = (*rows.get(key, ()), (date.fromisoformat(row["date"]), row["effect"], row["source"]))
        return cls(rows)

    def of_size(self, name: str, size: VmSize | None = None) -> tuple[Retirement, ...]:
        """Return when a size ends: as a list of sizes said it (`RetirementDateUtc`), else as its series does."""
        text = dict(size.further).get(CAPABILITY, "") if size is not None else ""
        said = _day(text) if text else None
        if said is not None:
            return (Retirement(name, said, "retired", f"{CAPABILITY} of the list of sizes"),)
        return self._of(name, ("size", name.lower()), ("series", series_of(name)))

    def of_release(self, release: str) -> tuple[Retirement, ...]:
        """Return when an OS release ends, as node images name it (`22.04`, `Windows Server 2019`)."""
        subject = f"Ubuntu {release}" if release[:1].isdigit() else release
        return self._of(subject, ("os-release", release.lower()))

    def of_pool_type(self, pool_type: PoolType) -> tuple[Retirement, ...]:
        """Return when a type of node pools ends."""
        return self._of(f"node pools of type {pool_type.value}", ("pool-type", pool_type.value.lower()))

    def _of(self, subject: str, *keys: tuple[str, str]) -> tuple[Retirement, ...]:
        rows = next((self._rows[key] for key in keys if key in self._rows), ())
        return tuple(Retirement(subject, *row) for row in rows)


def series_of(name: str) -> str:
    """Return the series of a size with its version, in small letters (`d_v2`); "" for a name outside the grammar.

    An accelerator or a variant makes another series: `Standard_NC4as_T4_v3` is no NCv3.
    """
    try:
        parsed = SizeName.parse(name)
    except ValueError:
        return ""
    parts = (parsed.series, parsed.accelerator, parsed.variant, f"v{parsed.version}")
    return "_".join(part for part in parts if part).lower()


def _day(text: str) -> date | None:
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%m/%d/%Y %H:%M:%S").replace(tzinfo=UTC)):
        try:
            return read(text).date()
        except ValueError:
            continue
    return None
