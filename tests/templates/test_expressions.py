"""Text to tree and back, and what is no expression."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright import errors
from poolwright.templates.expressions import (
    MAX_CHARACTERS,
    Call,
    Expression,
    Index,
    Literal,
    Member,
    calls,
    escaped,
    is_expression,
    parse,
    render,
    unescaped,
)

NAMES = st.from_regex(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,8}", re.ASCII), fullmatch=True)
LITERALS: st.SearchStrategy[Expression] = st.builds(
    Literal, st.one_of(st.text(max_size=20), st.integers(-(2**63), 2**63 - 1))
)
FUNCTIONS = st.one_of(NAMES, st.builds("{}.{}".format, NAMES, NAMES))
TREES: st.SearchStrategy[Expression] = st.recursive(
    LITERALS,
    lambda inner: st.one_of(
        st.builds(Call, FUNCTIONS, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Member, inner.filter(lambda tree: not isinstance(tree, Literal)), NAMES),
        st.builds(Index, inner, inner),
    ),
    max_leaves=12,
)


@given(TREES)
def test_a_tree_written_as_text_is_read_as_the_same_tree(tree: Expression) -> None:
    assert parse(f"[{render(tree)}]") == tree


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(errors.InvalidTemplate):
        assert parse(f"[{render(parse(f'[{text}]'))}]") == parse(f"[{text}]")


@given(st.text(max_size=40))
def test_text_written_into_a_template_means_itself(text: str) -> None:
    written = escaped(text)
    assert not is_expression(written)
    assert unescaped(written) == text


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("[1]", Literal(1)),
        ("[-12]", Literal(-12)),
        ("['it''s']", Literal("it's")),
        ("[ concat( 'a' , f() ) ]", Call("concat", (Literal("a"), Call("f")))),
        ("[__bicep.name('x')]", Call("__bicep.name", (Literal("x"),))),
        ("[f().a.b[0]]", Index(Member(Member(Call("f"), "a"), "b"), Literal(0))),
        ("[f()['a b'].$c]", Member(Index(Call("f"), Literal("a b")), "$c")),
        ("[f(\n  1,\n  2\n)]", Call("f", (Literal(1), Literal(2)))),
    ],
)
def test_examples_are_read(text: str, tree: Expression) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[]", "unexpected end of the expression at character 1"),
        ("[concat('a']", "unexpected end of the expression at character 11"),
        ("[concat('a)]", 'unexpected "\'" at character 8'),
        ("[concat('a' 'b')]", 'unexpected "\'" at character 12'),
        ("[parameters]", "unexpected end of the expression"),
        ("[f() g()]", "unexpected 'g' at character 5"),
        ("[1.5]", "unexpected '5' at character 3"),
        ("[f(,)]", "unexpected ',' at character 3"),
        ("[f().]", "unexpected end of the expression"),
        ("[a.b.c()]", "unexpected '.' at character 4"),
        ("[#]", "unexpected '#' at character 1"),
        (f"[{'not(' * 200}true(){')' * 200}]", "nested deeper than 100 levels"),
        (f"['{'x' * MAX_CHARACTERS}']", "Limit: '24576' and actual: '24580'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, wrong: str) -> None:
    with pytest.raises(errors.InvalidTemplate, match=re.escape(wrong)):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[a()]", True), ("[[a()]", False), ("a", False), ("[a", False), ("a]", False), ("[]", True), ("", False)],
)
def test_an_expression_stands_in_single_brackets(text: str, expected: bool) -> None:
    assert is_expression(text) is expected


def test_every_call_in_a_tree_is_found() -> None:
    tree = parse("[if(a(), b(c())[d()].x, e().f)]")
    assert [call.function for call in calls(tree)] == ["if", "a", "b", "c", "d", "e"]
