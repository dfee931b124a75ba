"""Texts as entries, with lines, paths and breaks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.fleet.json_text import BrokenJson, Entries

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=6).filter(lambda name: name not in ("value", "data")), VALUES, max_size=4)


def test_entries_come_with_the_line_on_which_they_begin_and_their_path() -> None:
    text = '[\n  {"a": 1},\n\n  {\n "a": 2}\n]\n{"data": [\n{"a": 3}],\n "skip_token": null}'
    assert list(Entries(text)) == [(2, "[0]", {"a": 1}), (4, "[1]", {"a": 2}), (8, "data[0]", {"a": 3})]


def test_what_no_list_wraps_is_one_entry() -> None:
    assert list(Entries('\n{"id": "x", "value": [1]}')) == [(2, "", {"id": "x", "value": [1]})]


@pytest.mark.parametrize("text", ["", " \n", "[]", '{"value": []}', "[][]"])
def test_nothing_is_no_entry(text: str) -> None:
    assert list(Entries(text)) == []


@pytest.mark.parametrize("member", ["nextLink", "skip_token", "$skipToken"])
def test_a_page_that_is_not_the_last_says_so(member: str) -> None:
    entries = Entries(json.dumps({"data": [{}], member: "more"}))
    assert [path for _, path, _ in entries] == ["data[0]"]
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
    assert [value for _, _, value in Entries(as_list)] == objects
    assert [value for _, _, value in Entries(one_by_one)] == objects
    assert [value for _, _, value in Entries(json.dumps({"count": 1, "value": objects}))] == objects


@given(st.text() | VALUES.map(json.dumps))
def test_any_text_gives_entries_or_a_break(text: str) -> None:
    line = column = 1
    try:
        list(Entries(text))
    except BrokenJson as broken:
        line, column = broken.line, broken.column
    assert min(line, column) >= 1
