"""Writes the JSON schemas and the OpenAPI description in docs/ from the code; `--check` only compares."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from poolwright import state
from poolwright.arm import offered
from poolwright.fleet.apply_report import Report
from poolwright.fleet.audit import Audit
from poolwright.fleet.document import schema
from poolwright.fleet.plan import Plan
from poolwright.fleet.rehearsal import Rehearsal
from poolwright.seed import sections

DOCS = Path(__file__).parent.parent / "docs"
SCHEMAS = {
    "seed.schema.json": sections.schema,
    "state.schema.json": state.schema,
    "openapi.json": offered.description,
    "fleet-audit.schema.json": lambda: schema(Audit, "What `poolwright fleet audit -o json` prints"),
    "fleet-plan.schema.json": lambda: schema(Plan, "What `poolwright fleet plan -o json` prints"),
    "fleet-rehearsal.schema.json": lambda: schema(Rehearsal, "What `poolwright fleet rehearse -o json` prints"),
    "fleet-apply.schema.json": lambda: schema(Report, "What `poolwright fleet apply -o json` prints"),
}


def rendered(name: str) -> str:
    """Return the schema as the file has it."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Return the names of the files that are not up to date."""
    return [name for name in SCHEMAS if not (DOCS / name).exists() or (DOCS / name).read_text() != rendered(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a schema is stale")
    if parser.parse_args().check:
        for name in stale():
            print(f"{name} is stale: run `make docs`", file=sys.stderr)
        return 1 if stale() else 0
    for name in SCHEMAS:
        (DOCS / name).write_text(rendered(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
