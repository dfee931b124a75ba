"""Long lists are read as they arrive: the same elements however the bytes are cut, and mistakes with their place."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.arm.json_stream import MAX_ELEMENT_CHARACTERS, JsonSequence, MalformedJson, Position

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
lists = st.lists(values, max_size=5)
indents = st.sampled_from([None, 2])


def read(content: bytes, sizes: list[int]) -> list[tuple[Position, Any]]:
    """The elements, when the bytes arrive in pieces of these sizes, and the rest at once."""
    sequence, found, start = JsonSequence(), [], 0
    for size in [*sizes, len(content)]:
        found += sequence.feed(content[start : start + size])
        start += size
    return found + list(sequence.end())


def elements(content: bytes, *sizes: int) -> list[Any]:
    return [element for _, element in read(content, list(sizes))]


@given(lists, lists, indents, st.lists(st.integers(1, 9), max_size=60), st.booleans())
@settings(max_examples=80, deadline=None)
def test_however_the_bytes_are_cut_the_elements_are_those_of_the_lists(
    first: list[Any], second: list[Any], indent: int | None, sizes: list[int], ascii_only: bool
) -> None:
    page = {"count": 3, "value": second, "nextLink": "https://here", "more": {"value": [1]}}
    documents = [json.dumps(document, indent=indent, ensure_ascii=ascii_only) for document in (first, page)]
    assert elements("".join(documents).encode(), *sizes) == first + second
    assert elements(b"".join(b"\x1e" + document.encode() for document in documents), *sizes) == first + second


@given(lists.filter(bool), indents, st.data())
@settings(max_examples=80, deadline=None)
def test_a_document_that_breaks_off_is_never_taken_for_a_whole_one(
    values: list[Any], indent: int | None, data: st.DataObject
) -> None:
    content = json.dumps({"value": values}, indent=indent).encode()
    cut = data.draw(st.integers(1, len(content) - 1))
    with pytest.raises(MalformedJson):
        read(content[:cut], [])


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=20))
@settings(max_examples=300, deadline=None)
def test_anything_at_all_is_read_or_refused_with_a_place(content: bytes, sizes: list[int]) -> None:
    try:
        whole = elements(content)
    except MalformedJson:
        with pytest.raises(MalformedJson):
            read(content, sizes)
    else:
        assert elements(content, *sizes) == whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_powershell_and_editors_write_is_read(encoding: str) -> None:
    content = '[{"name": "größe"}]'.encode(encoding)
    for cut in range(len(content)):
        assert elements(content, cut) == [{"name": "größe"}]
    assert encoding != "utf-16" or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


@pytest.mark.parametrize(
    ("content", "reason", "place"),
    [
        (b"x", "a list or an object is expected", (1, 1, 1)),
        (b"[1]]", "a list or an object is expected", (1, 1, 4)),
        (b"[1,]", "Expecting value", (1, 1, 4)),
        (b"[1 2]", "a comma or ] is expected", (1, 1, 4)),
        (b'{"a": 1,}', "a member name in quotes is expected", (1, 1, 9)),
        (b'{"a" 1}', "a colon is expected", (1, 1, 6)),
        (b'{"a": 1 "b": 2}', "a comma or } is expected", (1, 1, 9)),
        (b'[\n  {"a": 1},\n  {"b" 2}\n]', "Expecting ':' delimiter", (1, 3, 8)),
        (b'[{"a": tru}]', "Expecting value", (1, 1, 8)),
        (b'["a\nb"]', "Invalid control character", (1, 1, 4)),
        (b'[{"a": "' + b"x" * 100, "Unterminated string starting", (1, 1, 8)),
        (b"[1", "the document ends too early", (1, 1, 3)),
        (b'\x1e[1]\x1e\n[{"a": 1}, nope]', "Expecting value", (2, 2, 12)),
        (b"\x1e[1\x1e[2]", "the document ends too early", (1, 1, 3)),
        (b'["\xff"]', "the text is neither UTF-8 nor UTF-16", (1, 1, 1)),
        (b"[" * 100_000, "the nesting is too deep", (1, 1, 2)),
        (b"[1, " + b"9" * 5000 + b"]", "a number is too long", (1, 1, 5)),
    ],
)
def test_a_mistake_is_named_with_its_text_line_and_column(
    content: bytes, reason: str, place: tuple[int, int, int]
) -> None:
    for sizes in ([], [1] * 400 if len(content) < 400 else []):
        with pytest.raises(MalformedJson) as refused:
            read(content, sizes)
        position = refused.value.position
        assert (refused.value.reason, (position.text, position.line, position.column)) == (reason, place)


def test_an_element_has_its_position_and_its_path() -> None:
    ((first, _), (second, _)) = read(b'{"nextLink": null,\n "value": [ 1,\n   {"a": 2}]}', [])
    assert (first.line, first.column, first.path) == (2, 13, "value[0]")
    assert (second.line, second.column, second.path) == (3, 4, "value[1]")


def test_an_element_that_never_ends_is_given_up() -> None:
    content = b'["' + b"x" * MAX_ELEMENT_CHARACTERS
    with pytest.raises(MalformedJson, match="an element is longer than"):
        read(content + b"x" * 65_536, [65_536] * 17)


def test_what_was_read_is_not_kept() -> None:
    sequence = JsonSequence()
    list(sequence.feed(b"["))
    for number in range(5000):
        assert len(list(sequence.feed(b'{"n": %d},' % number))) == 1
    assert len(sequence._buffer) < 100
