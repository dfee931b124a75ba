"""What commands print: az's tables, the JSON of the wire, and errors and decisions for people.

Invariant: nothing here writes a secret or colours what a pipe reads; no text of a table, a note or a document steers a
terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from poolwright.reports.numbers import counted
from poolwright.reports.visible import visible, visible_json, visible_lines

if TYPE_CHECKING:
    from poolwright.fleet.document import Document

Json = dict[str, Any]


class Output(StrEnum):
    """The forms an answer can have."""

    TABLE = "table"
    JSON = "json"


def print_json(document: object) -> None:
    print(visible_json(json.dumps(document, indent=2, ensure_ascii=False)))


def document_text(document: Document) -> Iterator[str]:
    """Yield the JSON of a document about a fleet in pieces, every character that does not print as its escape."""
    from poolwright.fleet.document import json_pieces

    return (visible_json(piece.decode()) for piece in json_pieces(document))


def print_answer(document: object, rows: Sequence[Mapping[str, object]], output: Output) -> None:
    """Print the wire's document, or the rows that stand for it in a table."""
    if output is Output.JSON:
        print_json(document)
    elif rows:
        print(table(rows))


def note(text: str) -> None:
    """Tell a person something that is not the answer."""
    print(visible_lines(text), file=sys.stderr)


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
    """Return what was decided about a node pool: generation, image, rule with source, warnings.

    For a node pool that exists also what was before, what differs, and how its machines would follow.
    """
    firmware = {"V1": "V1 (BIOS)", "V2": "V2 (UEFI)"}
    before, rule = properties.get("before"), properties["rule"]
    generation, image = firmware[properties["generation"]], properties["nodeImageVersion"]
    decided = [
        ("Generation", _then(before and firmware[before["generation"]], generation)),
        ("NodeImageVersion", _then(before and before["nodeImageVersion"], image)),
        ("Rule", f"{rule['id']}: {rule['text']}"),
        ("Source", rule["source"]),
    ]
    warnings = [("Warning", f"{warning['code']}: {warning['message']}") for warning in properties["warnings"]]
    if "catalogue" in properties:
        decided.append(("Catalogue", properties["catalogue"]))
    if before is None:
        return _aligned(decided + warnings)
    if before["rule"] != rule:
        decided += [
            ("RuleBefore", f"{before['rule']['id']}: {before['rule']['text']}"),
            ("SourceBefore", before["rule"]["source"]),
        ]
    parts = [_aligned(decided), _differences(properties["changes"]), _aligned(_rollout(properties) + warnings)]
    return "\n\n".join(parts)


def _then(before: str | None, after: str) -> str:
    return after if before in (None, after) else f"{before} -> {after}"


def _aligned(parts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<18}{value}" for name, value in parts)


def _differences(changes: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        {"Property": name, "Before": _plain(before), "After": _plain(after), "Changes": change["effect"]}
        for change in changes
        for name, before, after in _parts(change["property"], change["before"], change["after"])
    ]
    return table(rows) if rows else "No property differs."


def _parts(name: str, before: object, after: object) -> Iterable[tuple[str, object, object]]:
    """A difference; of an object only those of its properties that differ."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield name, before, after
        return
    for part in before | after:
        if before.get(part) != after.get(part):
            yield f"{name}.{part}", before.get(part), after.get(part)


def _plain(value: object) -> str:
    """A JSON value in a cell: text as it is, nothing as `-`."""
    if value is None or isinstance(value, str):
        return value or "-"
    return json.dumps(value, ensure_ascii=False)


def _rollout(properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    rollout = properties["rollout"]
    replaced = rollout["machinesReplaced"]
    # Machines of an earlier change that stopped are replaced although nothing differs.
    followed = (
        f"{counted(replaced, 'machine')} replaced in {counted(rollout['waves'], 'wave')}"
        if replaced
        else "no machine is replaced"
    )
    surge = f"up to {counted(rollout['surgeMachines'], 'machine')} and {counted(rollout['surgeVcpus'], 'vCPU')} more"
    return [("Rollout", followed), ("Surge", surge if rollout["surgeMachines"] else "none")]


def note_warnings(pool: Mapping[str, Any]) -> None:
    """Tell a person what a node pool's decision warns of."""
    for warning in pool.get("properties", {}).get("poolwright", {}).get("warnings", []):
        note(f"warning: {warning['code']}: {warning['message']}")


def _cell(value: object) -> str:
    return "" if value is None else visible(str(value))


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
