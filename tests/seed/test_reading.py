"""YAML and JSON as values that know where they stand, whatever is in the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolwright.seed.reading import MAX_BYTES, Problem, WrongSeed, parse, path_of, read

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x7f\x85\u2028\u2029\ufeff"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def problems(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(WrongSeed) as wrong:
        parse("seed.yaml", text)
    return [(problem.line, problem.column, problem.place, problem.what) for problem in wrong.value.problems]


def test_values_are_those_of_yaml_1_2() -> None:
    text = """
        norway: no
        on: off
        version: "1.30"
        number: 1.30
        date: 2024-01-01
        time: 12:30:00
        octal: 010
        hexadecimal: 0x1F
        nothing: ~
        blank:
        yes: true
        list: [1, -2, 3.5e3]
        text: |
          two
          lines
    """
    assert parse("x", text).value == {
        "norway": "no",
        "on": "off",
        "version": "1.30",
        "number": 1.3,
        "date": "2024-01-01",
        "time": "12:30:00",
        "octal": 10,
        "hexadecimal": "0x1F",
        "nothing": None,
        "blank": None,
        "yes": True,
        "list": [1, -2, 3500.0],
        "text": "two\nlines\n",
    }


@SLOW
@given(JSON)
def test_any_json_is_read_as_json_reads_it(value: object) -> None:
    assert parse("x", json.dumps({"x": value})).value == {"x": value}


@SLOW
@given(JSON)
def test_so_is_what_yaml_writes(value: object) -> None:
    value = without_numbers_in_texts(value)
    written = yaml.safe_dump({"x": value}, allow_unicode=True)
    assert parse("x", written).value == {"x": value}


def without_numbers_in_texts(value: Any) -> Any:
    """PyYAML writes by version 1.1, where 1E5 is a text and needs no quotes."""
    if isinstance(value, dict):
        return {without_numbers_in_texts(name): without_numbers_in_texts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_numbers_in_texts(part) for part in value]
    return re.sub(r"^[-+.\d]", "t", value) if isinstance(value, str) else value


@SLOW
@given(st.text(max_size=60) | st.text("{}[]:,&*!-#'\"|>? \n\tab", max_size=60))
def test_any_text_is_a_value_or_says_where_it_is_wrong(text: str) -> None:
    found: list[Problem] = []
    try:
        parse("x", text)
    except WrongSeed as wrong:
        found = list(wrong.problems)
        assert found, "a seed is wrong for a reason"
    assert all(problem.line >= 1 and problem.column >= 1 and problem.what for problem in found)


def test_json_may_have_tabs_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    file.write_bytes(b'\xef\xbb\xbf{\n\t"a":\t[1]\n}')
    seed = read(file)
    assert (seed.value, seed.positions["a", 0]) == ({"a": [1]}, (2, 8))


def test_every_value_knows_where_it_stands() -> None:
    positions = parse("x", "a: 1\nb:\n  - c: {d: 2}\n").positions
    assert positions == {
        (): (1, 1),
        ("a",): (1, 4),
        ("b",): (3, 3),
        ("b", 0): (3, 5),
        ("b", 0, "c"): (3, 8),
        ("b", 0, "c", "d"): (3, 12),
    }


def test_what_is_missing_is_looked_for_where_it_would_stand() -> None:
    file = parse("x", "a:\n  b: 1\n")
    problem = file.problem(("a", "c", 2), "it is missing")
    assert (problem.line, problem.column, problem.place) == (2, 3, "a.c[2]")


NO_VALUE = "it is no JSON value (tag:yaml.org,2002:{})"
WRONG: dict[str, list[tuple[int, int, str, str]]] = {
    "a: 1\nb: 2\na: 3\n": [(3, 1, "a", "it stands there twice")],
    "a: [1\n": [(2, 1, "", "expected ',' or ']', but got '<stream end>'")],
    "? [1, 2]\n: 3\n": [(1, 3, "", "a name must be a text")],
    '"\\ud83d": 3\n': [(1, 1, "", "a name must be a text")],
    "a: !!python/object/apply:os.system [id]\n": [(1, 4, "a", NO_VALUE.format("python/object/apply:os.system"))],
    "a: !!python/name:os.system x\n": [(1, 4, "a", NO_VALUE.format("python/name:os.system"))],
    "a: !!int x\nb: !!binary eA==\n": [(1, 4, "a", NO_VALUE.format("int")), (2, 4, "b", NO_VALUE.format("binary"))],
    "a: 99999999999999999999\nb: 1e999\n": [
        (1, 4, "a", NO_VALUE.format("int")),
        (2, 4, "b", NO_VALUE.format("float")),
    ],
    'a: "\\ud83d"\n': [(1, 4, "a", NO_VALUE.format("str"))],
    "a: 1\n---\nb: 2\n": [(2, 1, "", "but found another document")],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_with_its_position(text: str) -> None:
    assert problems(text) == WRONG[text]


def test_little_text_may_not_mean_much() -> None:
    layers = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 9)]
    ((line, _, _, what),) = problems("\n".join(["a0: &a0 x", *layers]))
    assert (line, what) == (1, "the file holds more than 1000000 values")


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "[" * 70 + "]" * 70, "[" * 50_000])
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    assert problems(text)


def test_aliases_are_values() -> None:
    assert parse("x", "a: &pool {count: 1}\nb: [*pool, *pool]\n").value["b"] == [{"count": 1}, {"count": 1}]


def test_an_empty_file_is_an_empty_seed() -> None:
    assert parse("x", "# nothing\n").value == {}


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "seed.yaml"
    file.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(WrongSeed, match=r"seed\.yaml:2:1: the file is not UTF-8"):
        read(file)
    file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(WrongSeed, match=r"larger than"):
        read(file)


def test_places_are_written_as_people_do() -> None:
    assert path_of(("clusters", 0, "nodePools", 1, "name")) == "clusters[0].nodePools[1].name"
