"""What commands print: az's tables, the JSON of the wire, and errors and decisions for people.

Invariant: nothing here writes a secret or colours what a pipe reads.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

Json = dict[str, Any]


class Output(StrEnum):
    """The forms an answer can have."""

    TABLE = "table"
    JSON = "json"


def print_json(document: object) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_answer(document: object, rows: Sequence[Mapping[str, object]], output: Output) -> None:
    """Print the wire's document, or the rows that stand for it in a table."""
    if output is Output.JSON:
        print_json(document)
    elif rows:
        print(table(rows))


def note(text: str) -> None:
    """Tell a person something that is not the answer."""
    print(text, file=sys.stderr)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the rows as az draws them: two blanks between columns, headings underlined; None is blank.

    A column that is None in every row is left out.
    """
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if value is not None))
    lines = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    # tabulate, which az uses, gives a heading at least two more places than it has letters.
    widths = [max(len(name) + 2, *(len(line[column]) for line in lines)) for column, name in enumerate(names)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def error_text(error: Mapping[str, Any], *, status: int | None = None) -> str:
    """Return an ARM error for people: code, message, target, remedy, alternatives, rule, and every detail."""
    code = f"{error.get('code', 'Error')} (HTTP {status})" if status is not None else error.get("code", "Error")
    lines = [f"error: {code}: {error.get('message', '')}", *_circumstances(error)]
    for detail in _all_details(error):
        lines += [f"also: {detail.get('code', 'Error')}: {detail.get('message', '')}", *_circumstances(detail)]
    return "\n".join(lines)


def decision_text(properties: Mapping[str, Any]) -> str:
    """Return what was decided about a node pool: generation, image, rule with source, warnings."""
    firmware = {"V1": "V1 (BIOS)", "V2": "V2 (UEFI)"}
    rule = properties["rule"]
    parts = [
        ("Generation", firmware[properties["generation"]]),
        ("NodeImageVersion", properties["nodeImageVersion"]),
        ("Rule", f"{rule['id']}: {rule['text']}"),
        ("Source", rule["source"]),
        *_change_lines(properties),
        *(("Warning", f"{warning['code']}: {warning['message']}") for warning in properties["warnings"]),
    ]
    return "\n".join(f"{name:<18}{value}" for name, value in parts)


def _change_lines(properties: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What a request would change of a node pool that exists, and how its machines would follow."""
    if "before" not in properties:
        return
    before, rollout = properties["before"], properties["rollout"]
    yield "Before", f"{before['generation']}, {before['nodeImageVersion']} ({before['rule']['id']})"
    for change in properties["changes"]:
        yield "Change", f"{change['property']}: {change['before']} -> {change['after']}, {change['effect']}"
    if properties["rollsMachines"]:
        yield (
            "Rollout",
            f"{rollout['machinesReplaced']} machines replaced in {rollout['waves']} waves, up to "
            f"{rollout['surgeMachines']} surge machines and {rollout['surgeVcpus']} more vCPUs",
        )


def note_warnings(pool: Mapping[str, Any]) -> None:
    """Tell a person what a node pool's decision warns of."""
    for warning in pool.get("properties", {}).get("poolwright", {}).get("warnings", []):
        note(f"warning: {warning['code']}: {warning['message']}")


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _circumstances(error: Mapping[str, Any]) -> Iterable[str]:
    if error.get("target"):
        yield f"  target: {error['target']}"
    information: Json = {}
    for part in error.get("additionalInfo", []):
        information |= part.get("info", {})
    rule = information.pop("rule", None)
    for name, value in information.items():
        if isinstance(value, list):
            value = ", ".join(str(part) for part in value)
        if value:
            yield f"  {name}: {value}"
    if rule:
        yield f"  rule: {rule['id']}: {rule['text']}"
        yield f"  source: {rule['source']}"


def _all_details(error: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for detail in error.get("details", []):
        yield detail
        yield from _all_details(detail)
