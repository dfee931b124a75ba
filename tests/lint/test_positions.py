"""Positions: a value stands where the report says, however the file is written."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yaml.nodes import ScalarNode

from poolwright.lint.json_text import JsonText, Path
from poolwright.lint.texts import Broken, Place, Text
from poolwright.lint.yaml_text import documents, mappings, members, script_in
from tests.lint.measured import taken

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def paths(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every value in a value, with its path."""
    found = [(path, value)]
    if isinstance(value, dict):
        found += [each for name, part in value.items() for each in paths(part, (*path, name))]
    if isinstance(value, list):
        found += [each for index, part in enumerate(value) for each in paths(part, (*path, index))]
    return found


@given(VALUES, st.sampled_from([None, 0, 3]), st.booleans())
def test_every_value_of_a_json_text_stands_at_its_place(value: Any, indent: int | None, is_ascii: bool) -> None:
    content = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    document = JsonText(Text("f", content))
    starts = [0, *(index + 1 for index, character in enumerate(content) if character == "\n")]
    for path, part in paths(value):
        place = document.place(path)
        offset = starts[place.line - 1] + place.column - 1
        assert json.JSONDecoder().raw_decode(content, offset)[0] == part


def test_of_a_name_that_stands_there_twice_the_last_one_counts() -> None:
    document = JsonText(Text("f", '{"a": 1,\n "a": 2}'))
    assert document.value == {"a": 2}
    assert document.place(("a",)) == Place("f", 2, 7)


def test_comments_do_not_move_what_follows() -> None:
    document = JsonText(Text("f", '{ // "a": 0\n /* b\n */ "a": "x//y" }'))
    assert document.value == {"a": "x//y"}
    assert document.place(("a",)) == Place("f", 3, 10)


@pytest.mark.parametrize(
    ("content", "line", "column", "reason"),
    [
        ("{\n  'a': 1}", 2, 3, "this is not JSON: expecting property name enclosed in double quotes"),
        ("[" * 100_000, 1, 1, "nested too deeply"),
        ("[1" + "0" * 5_000 + "]", 1, 1, "integer string conversion"),
        ("", 1, 1, "this is not JSON: expecting value"),
    ],
)
def test_broken_json_is_named_by_its_place(content: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(Broken) as broken:
        JsonText(Text("f", content))
    assert broken.value.place == Place("f", line, column)
    assert reason in broken.value.reason


# All below 4 KiB: 2 to the power of 40 values, levels upon levels, and many merges of many keys.
BOMB = "a0: &a0 {0}x: x{1}\n" + "".join(f"a{n}: &a{n} {{2}}*a{n - 1}, *a{n - 1}{{3}}\n" for n in range(1, 40))
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))
MERGES = f"x: &x {{{', '.join(f'k{n}: 1' for n in range(100))}}}\nl: &l [{', '.join(['*x'] * 200)}]\n" + "".join(
    f"n{n}: {{<<: *l}}\n" for n in range(100)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [", "this is not YAML"),
        ("[" * 10_000, "nested deeper than 64 levels"),
        ("a: &a [*a]", "the aliases of the YAML make it endless"),
        ("a: &a\n  b: *a", "the aliases of the YAML make it endless"),
        ("a: &a\n  <<: *a", "the aliases of the YAML make it endless"),
        (BOMB.format(*"[]", *"[]"), "more than 500000 values with its aliases written out"),
        (BOMB.format("{b: 1, ", "}", "{<<: [", "]}"), "more than 500000 values with its aliases written out"),
        (CHAIN, "nested deeper than 64 levels with its aliases written out"),
        (MERGES, "more than 500000 values with its aliases written out"),
        ("- a\n" * 500_001, "more than 500000 values"),
        ("a: " + "x" * 4_200_000, "longer than"),
    ],
)
def test_broken_and_hostile_yaml_ends_with_a_message(content: str, reason: str) -> None:
    text = Text("f", content)
    with pytest.raises(Broken) as broken:
        [list(mappings(root)) for root in documents(text)]
    assert reason in broken.value.reason


SCRIPTS = f"- run: &s [{'az aks create -n a -s x,' * 100}]\n" + "- run: *s\n" * 150
TASKS = "- azure_rm_aks: &o {name: c, agent_pool_profiles: [&p {}" + ", *p" * 600 + "]}\n" + "- azure_rm_aks: *o\n" * 60


@pytest.mark.parametrize(
    "content",
    [
        BOMB.format(*"[]", *"[]"),
        BOMB.format("{b: 1, ", "}", "{<<: [", "]}"),
        CHAIN,
        MERGES,
        SCRIPTS,
        TASKS,
        "[" * 4_000,
    ],
)
def test_short_yaml_takes_neither_seconds_nor_megabytes(content: str) -> None:
    seconds, megabytes = taken(content, "yaml_files.read_yaml")
    assert len(content) < 4_500
    assert seconds < 2
    assert megabytes < 60


@pytest.mark.parametrize(
    ("content", "word", "place"),
    [
        ("run: az aks", "az", (1, 6)),
        ("run: 'az aks'", "az", (1, 7)),
        ("- run: |\n    one\n    az aks\n- x: 1", "az", (3, 5)),
        ("run: |-\n  one\n\n    az aks\n", "az", (4, 5)),
        ("run: >\n  one\n  az aks\n", "az", (3, 3)),
        ("# é\nrun: |2\n    az aks\n", "az", (3, 5)),
    ],
)
def test_scripts_in_yaml_know_their_lines_in_the_file(content: str, word: str, place: tuple[int, int]) -> None:
    text = Text("f", content)
    (root,) = documents(text)
    (mapping,) = (each for each in mappings(root) if "run" in members(each))
    node = members(mapping)["run"]
    assert isinstance(node, ScalarNode)
    script = script_in(text, node)
    assert script.place(script.content.index(word)) == Place("f", *place)
    assert script.content.split() == node.value.split()


def test_what_is_merged_stands_behind_what_is_written() -> None:
    text = Text("f", "base: &b {a: 1, c: 2}\nuse:\n  <<: *b\n  a: 3\n")
    (root,) = documents(text)
    found = members(members(root)["use"])
    assert {name: node.value for name, node in found.items()} == {"a": "3", "c": "2"}


@pytest.mark.parametrize("part", ['{"a":1 /*', '\\"', '{"a":1 "\\', "/*/", "/* // ", "{//", '"\n'])
def test_json_that_ends_in_the_midst_of_a_comment_or_a_text_takes_no_seconds(part: str) -> None:
    began = time.process_time()
    with pytest.raises(Broken):
        JsonText(Text("f", part * 20_000))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("content", "column"), [('{"a": 1 /* b', 9), ('{"a": 1 /*/', 9), ('{"a": "/* b', 7), ('{"a": 1 // b', 13)]
)
def test_a_comment_without_an_end_is_told_where_it_begins(content: str, column: int) -> None:
    with pytest.raises(Broken) as broken:
        JsonText(Text("f", content))
    assert broken.value.place == Place("f", 1, column)
