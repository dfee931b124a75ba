"""Writes the generated tables of docs/compatibility.md from the code; `--check` only compares.

The tables stand between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; the prose around them is
written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from poolwright.arm.area import OfferedRoute, Over
from poolwright.arm.deployable import TYPES
from poolwright.arm.errors import status_of
from poolwright.arm.faults import fault_schema
from poolwright.arm.not_offered import known_operations, missing, reason_of
from poolwright.arm.offered import AREAS, LOCAL_AREAS, rows_of
from poolwright.catalog.catalog import Catalog
from poolwright.cli.not_taken import NOT_TAKEN
from poolwright.cli.pool_options import POOL_OPTIONS, Taker
from poolwright.domain.change import CHANGES, REFUSED_CHANGES
from poolwright.domain.fault import EFFECTS, EffectRow
from poolwright.domain.generation import Generation
from poolwright.domain.generation_features import FEATURES
from poolwright.domain.image_refusals import REFUSAL_TABLE
from poolwright.domain.image_tables import GENERATION_TABLE, OFFER_TABLE, OS_SKU_TABLE, RELEASE_TABLE, WARNING_TABLE
from poolwright.domain.pool_limits import LIMIT_TABLE
from poolwright.domain.pool_requirements import ADMISSION_TABLE, CLUSTER_TABLE, GENERATION_NEEDS, NAME_TABLE
from poolwright.domain.restriction import RESTRICTION_TABLE
from poolwright.domain.roles import ROLES
from poolwright.domain.rules import Rule
from poolwright.domain.snapshot import SNAPSHOT_TABLE
from poolwright.domain.tags import TAG_TABLE
from poolwright.domain.throttle import LIMITS, Limit
from poolwright.errors import leaves
from poolwright.operations.plans import EACH_STAGE, PLANS, STAGE_STEPS, Step
from poolwright.operations.waves import WAVE_STEPS
from poolwright.templates.evaluation import SPECIAL
from poolwright.templates.functions import FUNCTIONS

sys.path.insert(0, str(Path(__file__).parents[1]))
from tools.az_commands import STATES, az_commands

DOCUMENT = Path(__file__).parent.parent / "docs" / "compatibility.md"
SCHEMA = DOCUMENT.with_name("fault.schema.json")


def tables() -> dict[str, str]:
    """Return every generated table by its name."""
    return {
        "os-sku": _rule_table("OS SKU", [(row.rule, row.condition, row.os_sku.value) for row in OS_SKU_TABLE]),
        "release": _rule_table("release", [(row.rule, row.condition, row.release) for row in RELEASE_TABLE]),
        "refusals": _rule_table(
            "refused with",
            [
                (row.rule, row.condition, row.error_type.code)
                for table in (
                    REFUSAL_TABLE,
                    ADMISSION_TABLE,
                    LIMIT_TABLE,
                    RESTRICTION_TABLE,
                    NAME_TABLE,
                    CLUSTER_TABLE,
                    GENERATION_NEEDS,
                    TAG_TABLE,
                )
                for row in table
            ],
        ),
        "generations": _rule_table(
            "generation", [(row.rule, row.condition, row.generation.value) for row in GENERATION_TABLE]
        ),
        "features": _table(
            ("feature", "Generation 1", "Generation 2", "real machines here", "source"),
            [(row.name, row.v1, row.v2, row.here, row.source) for row in FEATURES],
        ),
        "offers": _rule_table(
            "when the size lacks it",
            [
                (row.rule, f"wanted {row.wanted.value}; {row.condition}", _offer(row.error_type.code, late=row.late))
                for row in OFFER_TABLE
            ],
        ),
        "warnings": _rule_table("warning", [(row.rule, row.condition, row.code) for row in WARNING_TABLE]),
        "changes": _table(
            ("property", "changes", "source"), [(f"`{row.wire}`", row.effect.value, row.source) for row in CHANGES]
        ),
        "refused-changes": _rule_table(
            "refusal", [(row.rule, row.condition, f"`{row.error_type.code}`") for row in REFUSED_CHANGES]
        ),
        "operations": _table(
            ("operation", "method", "path", "action"),
            [
                (row.operation, row.method, f"`{row.path}`", f"`{row.requirement.action}`{_over(row.over)}")
                for row in _offered()
            ],
        ),
        "roles": _table(
            ("role", "GUID", "actions", "not actions", "source"),
            [
                (role.name, f"`{role.id}`", _actions(role.actions), _actions(role.not_actions), role.source)
                for role in ROLES
            ],
        ),
        "local-operations": _table(
            ("operation", "method", "path"),
            [(row.operation, row.method, f"`{row.path}`") for row in rows_of(LOCAL_AREAS)],
        ),
        "effects": _table(
            ("effect", "value", "decided", "what it does", "says"),
            [
                (
                    f"`{row.kind.value}`",
                    row.value,
                    _places(row),
                    row.text,
                    f"`{row.code}`" if row.code else "",
                )
                for row in EFFECTS
            ],
        ),
        "limits": _table(
            ("limit", "requests", "burst", "refill", "bucket for each", "source"),
            [
                (f"`{row.id}`", row.method or "any", str(row.burst), _refill(row), row.scope, row.source)
                for row in LIMITS
            ],
        ),
        "deployable": _table(
            ("type", "deployed to"),
            [(f"`{row.name}`", "group or subscription" if row.scope == "any" else row.scope) for row in TYPES.values()],
        ),
        "functions": _table(
            ("category", "functions"),
            [
                (category, ", ".join(f"`{name}`" for name in sorted(names, key=str.lower)))
                for category, names in _functions().items()
            ],
        ),
        "aks-operations": _aks_operations(),
        "az-commands": _az_commands(),
        "pool-options": _pool_options(),
        "options-not-taken": _options_not_taken(),
        "plans": _table(
            ("operation", "steps"),
            [(kind.words, " → ".join(_steps(part) for part in plan)) for kind, plan in PLANS.items()],
        ),
        "snapshots": _rule_table(
            "refusal", [(row.rule, row.condition, f"`{row.error_type.code}`") for row in SNAPSHOT_TABLE]
        ),
        "errors": _table(
            ("code", "HTTP", "wording", "cause", "what to do"),
            [
                (
                    f"`{leaf.code}`",
                    str(status_of(leaf) or "in the operation"),
                    ("Azure's" if leaf.wording == "azure" else "ours")
                    + (", only by a fault" if leaf.only_on_demand else ""),
                    leaf.cause,
                    leaf.advice,
                )
                for leaf in leaves()
            ],
        ),
        "catalogue": _catalogue(),
    }


def rendered_schema() -> str:
    """Return the published JSON schema of a fault."""
    return json.dumps(fault_schema(), indent=2) + "\n"


def rendered(document: str) -> str:
    """Return the document with its tables up to date. Raises `ValueError` for a missing or unknown marker."""
    wanted = tables()
    for name, table in wanted.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)", re.DOTALL)
        document, count = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", document)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the marker of table {name} stands {count} times in {DOCUMENT.name}")
    unknown = set(re.findall(r"<!-- generated: (\S+) -->", document)) - wanted.keys()
    if unknown:
        raise ValueError(f"unknown tables in {DOCUMENT.name}: {', '.join(sorted(unknown))}")
    return document


def _functions() -> dict[str, list[str]]:
    """The functions of template expressions by category, in the order of Microsoft's pages."""
    found: dict[str, list[str]] = {}
    for row in sorted((*FUNCTIONS.values(), *SPECIAL.values()), key=lambda row: row.category.lower()):
        found.setdefault(row.category, []).append(row.name)
    return found


def _aks_operations() -> str:
    """Every operation of Azure's AKS resource provider, and how many of them are offered."""
    known = known_operations()
    lacking = missing(_offered())
    counts = [
        f"{sum(row not in lacking for row in rows)} of {len(rows)} {what}"
        for what, rows in (
            ("stable operations", [row for row in known if not row.is_preview]),
            ("operations in preview", [row for row in known if row.is_preview]),
        )
    ]
    rows = [
        (
            row.operation + (" (preview)" if row.is_preview else ""),
            row.method,
            f"not offered: {reason_of(row).why}" if row in lacking else "offered",
        )
        for row in known
    ]
    return f"Offered: {' and '.join(counts)}.\n\n" + _table(("operation", "method", "here"), rows)


def _pool_options() -> str:
    """The options that say something about node pools, and which commands take them."""
    names = {
        Taker.ADD: "`add`",
        Taker.UPDATE: "`update`",
        Taker.UPGRADE: "`upgrade`",
        Taker.CREATE: "`aks create`",
        Taker.EXPLAIN: "`explain`",
    }
    rows = []
    for row in POOL_OPTIONS:
        takers = [
            f"{name} as `{row.words_of_create}`" if taker is Taker.CREATE and row.words_of_create else name
            for taker, name in names.items()
            if row.takers & taker
        ]
        spelled = ", ".join(f"`{word}`" for word in row.words.split())
        rows.append((spelled, f"`{row.path}`", ", ".join(takers)))
    return _table(("option", "property", "taken by"), rows)


def _options_not_taken() -> str:
    return _table(
        ("command", "options of az", "not taken here: why, and the way round"),
        [
            (f"`{row.command}`" if row.command else "all", ", ".join(f"`{name}`" for name in row.spellings), row.why)
            for row in NOT_TAKEN
        ],
    )


def _az_commands() -> str:
    """Every command of `az aks` with its state, and how many there are of each."""
    commands = az_commands()
    counts = [
        (f"`{state}`", str(sum(row.state == state for row in commands)), claim) for state, claim in STATES.items()
    ]
    return (
        _table(("state", "commands", "the command"), counts)
        + "\n\n"
        + _table(("command", "state", "why"), [(f"`az {row.command}`", row.state, row.told) for row in commands])
    )


def _offered() -> list[OfferedRoute]:
    return rows_of(AREAS)


def _offer(code: str, *, late: bool) -> str:
    return f"{code} ({'accepted, then the operation fails' if late else 'refused'})"


def _places(row: EffectRow) -> str:
    """Where an effect is decided, and what the match has to name for that."""
    return "; or ".join(
        place.point.words + (f" (with {' or '.join(f'`match.{need}`' for need in place.needs)})" if place.needs else "")
        for place in row.places
    )


def _refill(limit: Limit) -> str:
    return f"{limit.per_second:g} a second" if limit.per_second >= 1 else f"{limit.per_second * 60:g} a minute"


def _over(over: Over) -> str:
    return "" if over is Over.PATH else f" over {over.value}"


def _actions(actions: Iterable[str]) -> str:
    return "<br>".join(f"`{action}`" for action in actions)


def _steps(part: Step | str) -> str:
    """A step, or the steps of every wave or stage."""
    if isinstance(part, Step):
        return f"`{part.name}`"
    names = list(STAGE_STEPS) if part == EACH_STAGE else [step.name for step in WAVE_STEPS]
    return f"{part} ({' → '.join(f'`{name}`' for name in names)})"


def _rule_table(result: str, rows: Iterable[tuple[Rule, object, str]]) -> str:
    return _table(
        ("rule", "when", result, "what it implements", "source"),
        [(f"`{rule.id}`", str(condition), outcome, rule.text, rule.source) for rule, condition, outcome in rows],
    )


def _catalogue() -> str:
    catalog = Catalog.built_in(["eastus"])
    kubernetes = catalog.at("eastus").kubernetes
    offering = {
        "only V1": sum(size.generations == {Generation.V1} for size in catalog.sizes),
        "only V2": sum(size.generations == {Generation.V2} for size in catalog.sizes),
        "both": sum(len(size.generations) == 2 for size in catalog.sizes),
    }
    reasons = sorted({reason for size in catalog.left_out for reason in size.reasons})
    return _table(
        ("what", "count"),
        [
            ("sizes offered", str(len(catalog.sizes))),
            *((f"… that boot {what}", str(count)) for what, count in offering.items()),
            (f"sizes left out, because {' or '.join(reasons)} is unknown", str(len(catalog.left_out))),
            ("node images", str(len(catalog.images))),
            ("Kubernetes releases", str(len(kubernetes.releases))),
            ("default Kubernetes release", str(kubernetes.default)),
        ],
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when the document is stale")
    check = parser.parse_args().check
    document = DOCUMENT.read_text()
    current = rendered(document)
    if check:
        if current != document or rendered_schema() != SCHEMA.read_text():
            print(f"{DOCUMENT.name} or {SCHEMA.name} is stale: run `make docs`", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(current)
    SCHEMA.write_text(rendered_schema())
    return 0


if __name__ == "__main__":
    sys.exit(main())
