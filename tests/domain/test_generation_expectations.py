"""The VM generation of every new node pool, enumerated and held against a reviewed table.

`generation_expectations.csv` is written from the domain rules and the design alone, never from the
implementation, so that the two check each other. A cell is `*` (any), one value, or alternatives
`a|b`. The row with the most cells other than `*` wins; a cell that lists every value is how a row
takes precedence over narrower matters.

Invariant: exactly one row wins each case, so nothing is left to the order of the rows.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from poolwright.catalog.catalog import Catalog
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import ImageRequest
from poolwright.domain.image_resolution import resolve
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.profile import Profile
from poolwright.domain.refusal import Refusal
from poolwright.domain.vm_size import Architecture, VmSize
from poolwright.domain.wish import ABSENT, WishConflict, settle_wish


class Case(NamedTuple):
    """One request for a new pool, in the words of the table."""

    os_type: str
    os_sku: str
    offered: str
    header: str
    property: str
    trusted_launch: str
    fips: str
    arch: str
    profile: str


def resolve_case(case: Case) -> tuple[str, str | None]:
    """The implementation's answer in the table's words, and the definition of the node image."""
    profile, os_type = Profile(case.profile), OsType(case.os_type)
    try:
        settled = settle_wish(
            None,
            header=TRI_STATE[case.header],
            vm_generation=ABSENT if case.property == "absent" else Generation(case.property),
            os_type=os_type,
            profile=profile,
        )
    except WishConflict:
        return "refuse:InvalidParameter", None
    outcome = resolve(
        ImageRequest(
            profile=profile,
            os_type=os_type,
            os_sku=None if case.os_sku == "unset" else OsSku(case.os_sku),
            version=KubernetesVersion.parse(f"{KUBERNETES_OF_OS_SKU[case.os_sku]}.5"),
            size=size_of(case.offered, case.arch),
            fips=TRI_STATE[case.fips],
            vtpm=case.trusted_launch == "yes",
            secure_boot=case.trusted_launch == "yes",
            wish=settled.wish,
        ),
        images=catalog().images,
    )
    if isinstance(outcome, Refusal):
        return f"refuse:{outcome.code}", None
    if outcome.late_failure is not None:
        return f"late:{outcome.late_failure.code}", outcome.image.definition
    return outcome.generation.value, outcome.image.definition


TRI_STATE = {"true": True, "false": False, "absent": None, "unset": None}

# A Kubernetes version that supports the OS SKU; the switches between versions are tested elsewhere.
KUBERNETES_OF_OS_SKU = {
    "unset": "1.33",
    "Ubuntu": "1.33",
    "Ubuntu2204": "1.33",
    "Ubuntu2404": "1.33",
    "AzureLinux": "1.33",
    "AzureLinux3": "1.33",
    "AzureLinuxOSGuard": "1.34",
    "AzureContainerLinux": "1.34",
    "CBLMariner": "1.29",
    "Flatcar": "1.33",
    "Windows2019": "1.32",
    "Windows2022": "1.33",
    "Windows2025": "1.33",
    "WindowsAnnual": "1.33",
}

VALUES: tuple[tuple[str, ...], ...] = (
    ("Linux", "Windows"),
    tuple(KUBERNETES_OF_OS_SKU),
    ("V1", "V2", "both"),
    ("absent", "true", "false"),
    ("absent", "V1", "V2"),
    ("no", "yes"),
    ("unset", "true", "false"),
    ("x64", "Arm64"),
    ("documented", "azure-2026"),
)

EXPECTATION = re.compile(r"V1|V2|(refuse|late):[A-Z][A-Za-z0-9]+")
CITATION = re.compile(r"rule \d+|section \d+|C\d+|design: the wish")


@cache
def catalog() -> Catalog:
    return Catalog.built_in(["eastus"])


@cache
def size_of(offered: str, arch: str) -> VmSize:
    """A size that offers these generations, under a name and family of the right architecture."""
    is_arm64 = arch == "Arm64"
    return VmSize(
        name="Standard_D4ps_v6" if is_arm64 else "Standard_D4s_v5",
        family="StandardDpsv6Family" if is_arm64 else "standardDSv5Family",
        tier="Standard",
        vcpus=4,
        memory_gb=16,
        generations=Generation.parse_set("V1,V2" if offered == "both" else offered),
        architecture=Architecture(arch),
    )


class Row(NamedTuple):
    """One expectation: the values each condition admits (`None` is any) and what is expected then."""

    id: str
    conditions: tuple[frozenset[str] | None, ...]
    expect: str
    image: str
    citations: tuple[str, ...]

    @property
    def specificity(self) -> int:
        return sum(condition is not None for condition in self.conditions)


class Table:
    """The rows, indexed so that a case finds its winners in a few operations on bit sets of rows."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = rows
        self._admitting = tuple(
            {value: self._bits(rows, column, value) for value in values} for column, values in enumerate(VALUES)
        )
        self._levels = tuple(
            sum(1 << number for number, row in enumerate(rows) if row.specificity == level)
            for level in sorted({row.specificity for row in rows}, reverse=True)
        )

    def winners(self, case: Case) -> list[Row]:
        """The most specific rows that match the case: exactly one if the table is sound."""
        matching = -1
        for admitting, value in zip(self._admitting, case, strict=True):
            matching &= admitting[value]
        best = next((matching & level for level in self._levels if matching & level), 0)
        return [row for number, row in enumerate(self.rows) if best >> number & 1]

    @staticmethod
    def _bits(rows: tuple[Row, ...], column: int, value: str) -> int:
        return sum(
            1 << number
            for number, row in enumerate(rows)
            if (admitted := row.conditions[column]) is None or value in admitted
        )


@cache
def table() -> Table:
    with Path(__file__).with_name("generation_expectations.csv").open(encoding="utf-8", newline="") as file:
        return Table(tuple(read_row(record) for record in csv.DictReader(file, strict=True)))


def read_row(record: dict[str, str]) -> Row:
    return Row(
        id=record["id"],
        conditions=tuple(
            None if record[column] == "*" else frozenset(record[column].split("|")) for column in Case._fields
        ),
        expect=record["expect"],
        image=record["image"],
        citations=tuple(record["cite"].split("; ")),
    )


def every_case() -> Iterator[Case]:
    return map(Case._make, itertools.product(*VALUES))


def first(problems: list[str]) -> str:
    """The number of problems and enough of them to see the pattern."""
    return "\n".join([f"{len(problems)} problems", *problems[:20]])


def test_every_new_pool_gets_the_generation_and_image_the_table_expects() -> None:
    problems = []
    for case in every_case():
        (row, *_) = table().winners(case)
        answer, image = resolve_case(case)
        if answer != row.expect or row.image not in ("*", image):
            problems.append(f"{row.id}: expected {row.expect} {row.image}, got {answer} {image} for {case}")
    assert not problems, first(problems)


def test_every_case_has_exactly_one_most_specific_row() -> None:
    problems = [
        f"{[row.id for row in winners]} for {case}"
        for case in every_case()
        if len(winners := table().winners(case)) != 1
    ]
    assert not problems, first(problems)


def test_every_row_wins_at_least_one_case() -> None:
    used = {row.id for case in every_case() for row in table().winners(case)}
    assert [row.id for row in table().rows if row.id not in used] == []


def test_row_ids_are_unique() -> None:
    assert [name for name, times in Counter(row.id for row in table().rows).items() if times > 1] == []


def test_the_table_stays_small_enough_to_review() -> None:
    assert 0 < len(table().rows) <= 200


def test_every_row_cites_a_rule_a_conflict_or_the_design() -> None:
    assert [row.id for row in table().rows if not all(CITATION.fullmatch(citation) for citation in row.citations)] == []


def test_every_cell_is_written_with_known_values() -> None:
    problems = [
        f"{row.id}: {sorted(condition - set(values))}"
        for row in table().rows
        for condition, values in zip(row.conditions, VALUES, strict=True)
        if condition is not None and not condition <= set(values)
    ]
    problems += [f"{row.id}: {row.expect}" for row in table().rows if not EXPECTATION.fullmatch(row.expect)]
    assert not problems, first(problems)


def test_a_row_names_an_image_exactly_when_a_machine_would_be_built() -> None:
    assert [row.id for row in table().rows if (row.image == "*") != row.expect.startswith("refuse:")] == []
