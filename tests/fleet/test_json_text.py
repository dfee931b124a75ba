"""Texts as entries, with lines, paths and breaks."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.fleet.json_text import MAX_DEPTH, BrokenJson, Entries, bounded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=6).filter(lambda name: name not in ("value", "data")), VALUES, max_size=4)


def test_entries_come_with_the_line_on_which_they_begin_and_their_path() -> None:
    text = '[\n  {"a": 1},\n\n  {\n "a": 2}\n]\n{"data": [\n{"a": 3}],\n "skip_token": null}'
    assert list(Entries(text)) == [(2, "[0]", {"a": 1}, ()), (4, "[1]", {"a": 2}, ()), (8, "data[0]", {"a": 3}, ())]


def test_what_no_list_wraps_is_one_entry() -> None:
    assert list(Entries('\n{"id": "x", "value": [1]}')) == [(2, "", {"id": "x", "value": [1]}, ())]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1,\n "Pools": [\n{"n": 1}, {"n": 2},\n\n {"n": 3}\n]}]',
        '{"a": 1,\n "pools": [\n{"n": 1}, {"n": 2},\n\n {"n": 3}\n]}',
        '{"value": [{"a": 1,\n "POOLS": [\n{"n": 1}, {"n": 2},\n\n {"n": 3}\n]}]}',
        '[{"properties": {"a": 1,\n "pools": [\n{"n": 1}, {"n": 2},\n\n {"n": 3}\n]}}]',
    ],
)
def test_what_is_located_comes_with_its_lines(text: str) -> None:
    ((line, _, value, lines),) = Entries(text, located="pools")
    assert (line, lines) == (1, (3, 3, 5))
    assert [value] == [read for _, _, read, _ in Entries(text)], "read member by member it is the same"


@pytest.mark.parametrize("text", ["", " \n", "[]", '{"value": []}', "[][]"])
def test_nothing_is_no_entry(text: str) -> None:
    assert list(Entries(text)) == []


@pytest.mark.parametrize("member", ["nextLink", "skip_token", "$skipToken"])
def test_a_page_that_is_not_the_last_says_so(member: str) -> None:
    entries = Entries(json.dumps({"data": [{}], member: "more"}))
    assert [path for _, path, _, _ in entries] == ["data[0]"]
    assert [page.path for page in entries.incomplete] == [member]


@pytest.mark.parametrize(
    ("text", "line", "column", "before"),
    [
        ('[{"a": 1},\n {"a": }]', 2, 8, 1),
        ("[1 2]", 1, 4, 1),
        ('{"a": 1,}', 1, 9, 0),
        ('{"data": [1,\n2', 2, 2, 2),
        ("[", 1, 2, 0),
        ("az: error", 1, 1, 0),
        ("[1]\n]", 2, 1, 1),
        ("[" + "[" * 100_000, 1, 2, 0),
    ],
)
def test_a_break_is_named_by_line_and_column_and_what_stood_before_is_given(
    text: str, line: int, column: int, before: int
) -> None:
    given: list[object] = []
    with pytest.raises(BrokenJson) as broken:
        given.extend(Entries(text))
    assert (broken.value.line, broken.value.column, len(given)) == (line, column, before)


@given(st.lists(OBJECTS, max_size=5), st.sampled_from([None, 2]))
def test_any_list_and_any_sequence_of_objects_is_read_as_written(objects: list[dict[str, object]], indent: int) -> None:
    as_list = json.dumps(objects, indent=indent)
    one_by_one = "\n".join(json.dumps(each, indent=indent) for each in objects)
    assert [value for _, _, value, _ in Entries(as_list)] == objects
    assert [value for _, _, value, _ in Entries(one_by_one)] == objects
    assert [value for _, _, value, _ in Entries(json.dumps({"count": 1, "value": objects}))] == objects


NAMES = st.sampled_from(["pools", "Pools", "properties", "id", "value"])
NESTED = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.lists(st.dictionaries(NAMES, NESTED), max_size=3), st.sampled_from([None, 1]))
def test_what_is_located_changes_nothing_of_what_is_read(objects: list[Any], indent: int | None) -> None:
    text = json.dumps(objects, indent=indent)
    assert [value for _, _, value, _ in Entries(text, located="pools")] == objects


def is_too_much(value: Any, depth: int = 0) -> bool:
    """The bounds once more, in the plainest words."""
    if isinstance(value, dict):
        inside = any(is_too_much(part, depth + 1) or is_too_much(name) for name, part in value.items())
        return depth >= MAX_DEPTH or inside
    if isinstance(value, list):
        return depth >= MAX_DEPTH or any(is_too_much(part, depth + 1) for part in value)
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def wrapped(value: Any, levels: int) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"é": value}
    return value


SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.floats(), st.sampled_from([0, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1])),
    st.text(st.characters(exclude_categories=()), max_size=3),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(ANYTHING, st.sampled_from([0, 1, 61, 62, 63, 64]))
def test_bounds_leave_out_what_is_too_much_and_nothing_else(value: Any, levels: int) -> None:
    entry, complaints = wrapped(value, levels), list[str]()
    left = bounded(entry, lambda path, what: complaints.append(what))
    assert bool(complaints) == is_too_much(entry)
    assert complaints or left is entry
    assert not is_too_much(left)


@given(st.text() | VALUES.map(json.dumps), st.sampled_from(["", "a"]))
def test_any_text_gives_entries_or_a_break(text: str, located: str) -> None:
    line = column = 1
    try:
        list(Entries(text, located=located))
    except BrokenJson as broken:
        line, column = broken.line, broken.column
    assert min(line, column) >= 1


LINE_BEFORE = "a line that something printed before the JSON"
LOG = "WARNING: The behavior of this command has been altered by the following extension: aks-preview"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (f'{LOG}\n[{{"a": 1}}]', 1, "a line of a log (WARNING: The behavior of this command has been altered by...)"),
        (f'[{{"a": 1}}]\n{LOG}\n', 2, "a line of a log (WARNING: "),
        (f'[{{"a": 1}},\n{LOG}\n{{"a": 2}}]', 2, "a line of a log (WARNING: "),
        (f'[{{"a":\n{{"b": 1\n{LOG}\n}}}}]', 3, "a line of a log (WARNING: "),
        ("cli.knack.cli: Command arguments: ['aks', 'list']\n[]", 1, "a line of a log (cli.knack.cli: "),
        ("/usr/lib/az/x.py:7: UserWarning: old\n[]", 1, "a line of a log (/usr/lib/az/x.py:7: UserWarning: old)"),
        ("Please wait, this takes long\n\n{}", 1, "a line that something printed before the JSON (Please wait"),
        ("Name    Location\n------  ----------\nc1      eastus\n", 1, "a table (Name Location)"),
        ("\r\n  Name    Location\r\n  ------  ----------\r\n", 2, "a table (Name Location)"),
        ("Name,Location\nc1,eastus\n", 1, "CSV (Name,Location)"),
        ("c1\teastus\tSucceeded\n", 1, "columns with tabs between them (c1 eastus Succeeded)"),
        ("- name: c1\n  location: eastus\n", 1, "YAML (- name: c1)"),
    ],
)
def test_what_is_no_json_is_told_by_what_it_looks_like_and_what_to_do(text: str, line: int, reason: str) -> None:
    with pytest.raises(BrokenJson) as caught:
        list(Entries(text))
    assert caught.value.line == line
    assert caught.value.reason.startswith(f"it looks like {reason}")
    redirect = "redirect only stdout (> FILE, without 2>&1)"
    is_output_of_another_kind = reason.split(" (")[0] not in ("a line of a log", LINE_BEFORE)
    assert caught.value.reason.endswith("give the command -o json" if is_output_of_another_kind else redirect)


@pytest.mark.parametrize("text", ["nothing of that sort", "[1,,2]", '{"a": 1,\n"b": x,\n}', "[1, 2\n", "Name"])
def test_what_looks_like_nothing_known_is_told_by_what_is_expected(text: str) -> None:
    with pytest.raises(BrokenJson) as caught:
        list(Entries(text))
    assert "looks like" not in caught.value.reason
