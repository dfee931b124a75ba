"""What does not print is shown as its escape, and nothing else changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.reports.visible import visible, visible_json, visible_lines

ANY = st.text(st.characters(exclude_categories=[]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 4 🙂", "Größe 4 🙂"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_does_not_print_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_any_text_prints_in_one_line_and_one_that_did_is_as_it_was(text: str) -> None:
    assert visible(text).isprintable()
    assert not text.isprintable() or visible(text) == text
    assert visible_lines(text).split("\n") == [visible(line) for line in text.split("\n")]


@given(ANY, st.sampled_from([None, 2]), st.booleans())
def test_json_reads_the_same_and_prints(text: str, indent: int | None, ascii_only: bool) -> None:
    document = {"name": text, "list": [text, 1]}
    written = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert json.loads(visible_json(written)) == json.loads(written)
    assert visible_json(written).replace("\n", "").isprintable()
