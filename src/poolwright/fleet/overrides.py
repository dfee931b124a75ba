"""What people decide about single node pools: a small file that is reviewed and kept beside the plan.

    overrides:
      - pools: shop/shop-prod/win19        # resource group/cluster/node pool; * and ? as in a shell
        osSku: Windows2022
        note: agreed with the shop team
      - pools: shop/*/batch
        size: Standard_D4s_v5
      - pools: data/lake/extra
        leave: replaced in March

Invariant: an override that means nothing - an unknown name, a pattern no node pool has - is an error that names file,
line and entry, what stands there, and what is expected. Only of a fleet that is moved in part, where the caller allows
it, overrides without a node pool left to decide about are told instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poolwright.domain.os_sku import OsSku
from poolwright.fleet.values import FleetPool
from poolwright.misfits import misfits, shown
from poolwright.seed.reading import Problem, SeedFile, WrongSeed
from poolwright.seed.reading import read as read_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Override(_Part):
    """One decision. `pools` is a pattern over `resource group/cluster/node pool`; the last one that matches counts."""

    pools: Annotated[str, Field(pattern=r"^[^/]+/[^/]+/[^/]+$")]
    size: str | None = None
    os_sku: Annotated[str | None, Field(alias="osSku")] = None
    way: Literal["in-place", "new-pool"] | None = None
    name: str | None = None
    leave: Annotated[str, Field(min_length=1)] | None = None
    note: str | None = None


class OverridesFile(_Part):
    """The file as a whole."""

    overrides: list[Override] = []


# What is expected of each member, by the name it has in the file.
_EXPECTED: Final = {
    "": "`overrides:` with a list below it",
    "overrides[]": "`pools` with what is decided about them",
    "overrides": "a list, each entry with `pools` and what is decided about them",
    "pools": "resource group/cluster/node pool, where * and ? stand for text: shop/*/batch",
    "size": "the name of a VM size: Standard_D4s_v5",
    "osSku": f"one of {', '.join(sku.value for sku in OsSku)}",
    "way": "in-place or new-pool",
    "name": "the name of the new node pool: batch2",
    "leave": "the reason why the node pools stay, as text",
    "note": "a text",
}
# The parts of a decision.
_DECIDED: Final = ("size", "os_sku", "way", "name", "leave")


class WrongOverrides(ValueError):
    """The overrides cannot be used; says every problem with its place, and what to do where that is known."""

    def __init__(self, file: str, problems: list[Problem], remedy: str = "") -> None:
        shown = "\n".join(_line(file, problem) for problem in problems)
        super().__init__(f"the overrides cannot be used:\n{shown}{remedy and f'{chr(10)}{remedy}'}")


def _line(file: str, problem: Problem) -> str:
    return f"  {file}:{problem.line}:{problem.column}: {problem.place + ': ' if problem.place else ''}{problem.what}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the overrides say about one node pool, all of them together."""

    size: str | None = None
    os_sku: OsSku | None = None
    way: str | None = None
    name: str | None = None
    leave: str | None = None


# What decides about a move, and means nothing for a node pool that is of Generation 2 already.
_ABOUT_MOVES: Final = ("size", "way", "name")
ALLOW_UNMATCHED: Final = "--allow-unmatched"
_MOVED_MEANWHILE: Final = (
    f"Correct them; or, where that was moved meanwhile, plan with {ALLOW_UNMATCHED}, which tells them and goes on"
)


class Overrides:
    """The decisions of a file, and which of them were met."""

    def __init__(
        self, overrides: tuple[Override, ...] = (), file: SeedFile | None = None, *, allow_unmatched: bool = False
    ) -> None:
        self.given = overrides
        self._file = file
        self._allows_unmatched = allow_unmatched
        self._met = [False] * len(overrides)
        self._moved: dict[int, str] = {}

    def of(self, pool: FleetPool, *, is_moved: bool = False) -> Decision:
        """Return what is decided about a node pool; of one that is of Generation 2 already, nothing about its move."""
        cluster = pool.id.cluster_id
        name = f"{cluster.group_id.group}/{cluster.cluster}/{pool.id.pool}"
        decided: dict[str, str] = {}
        for number, override in enumerate(self.given):
            if not fnmatchcase(name.lower(), override.pools.lower()):
                continue
            parts = {part for part in _DECIDED if getattr(override, part) is not None}
            if is_moved and not parts.isdisjoint(_ABOUT_MOVES):
                self._moved.setdefault(number, name)
                parts.difference_update(_ABOUT_MOVES)
            else:
                self._met[number] = True
            decided |= {part: getattr(override, part) for part in parts}
        os_sku = decided.pop("os_sku", None)
        return Decision(os_sku=OsSku.parse(os_sku) if os_sku is not None else None, **decided)

    def unmet(self) -> tuple[str, ...]:
        """Return the overrides that no node pool is left for, each with its place in the file.

        Raises `WrongOverrides` with them where that is not allowed.
        """
        if self._file is None or all(self._met):
            return ()
        problems = [
            self._file.problem(("overrides", number, "pools"), self._why_unmet(number))
            for number, met in enumerate(self._met)
            if not met
        ]
        if not self._allows_unmatched:
            raise WrongOverrides(self._file.name, problems, _MOVED_MEANWHILE)
        return tuple(_line(self._file.name, problem).strip() for problem in problems)

    def _why_unmet(self, number: int) -> str:
        if number in self._moved:
            return f"nothing is left to decide: {self._moved[number]} is of Generation 2 already"
        return f"no node pool of the fleet is {self.given[number].pools}"


def read_overrides(path: Path, *, allow_unmatched: bool = False) -> Overrides:
    """Return the overrides of a YAML or JSON file.

    `allow_unmatched` lets some be for no node pool that is left to move. Raises `WrongOverrides`, and `OSError` when
    it cannot be read.
    """
    try:
        file = read_yaml(path)
    except WrongSeed as wrong:
        raise WrongOverrides(str(path), list(wrong.problems)) from wrong
    try:
        parsed = OverridesFile.model_validate(file.value)
    except ValidationError as error:
        problems = [file.problem(*misfit) for misfit in misfits(error, OverridesFile, _EXPECTED)]
        raise WrongOverrides(file.name, problems) from error
    problems = []
    for number, override in enumerate(parsed.overrides):
        try:
            OsSku.parse(override.os_sku or OsSku.UBUNTU.value)
        except ValueError:
            what = f"{shown(override.os_sku)} stands there; expected is {_EXPECTED['osSku']}"
            problems.append(file.problem(("overrides", number, "osSku"), what))
    if problems:
        raise WrongOverrides(file.name, problems)
    return Overrides(tuple(parsed.overrides), file, allow_unmatched=allow_unmatched)
