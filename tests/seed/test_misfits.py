"""What does not fit a model is told by its place, what stands there, and what is expected."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core.core_schema import ErrorType

from poolwright.misfits import _EXPECTED, misfits


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, alias="theName")]
    number: Annotated[int, Field(ge=1, le=9)] = 1


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    parts: list[Part] = []
    texts: list[str] = []
    way: Literal["up", "down"] | None = None
    flag: bool = False
    by_name: dict[str, Part] | None = None


def told(value: Any, expected: dict[str, str] | None = None) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(value)
    return [(".".join(map(str, place)), what) for place, what in misfits(caught.value, Whole, expected)]


@pytest.mark.parametrize(
    ("value", "place", "what"),
    [
        ({"parts": {}}, "parts", "a mapping stands there; expected is a list"),
        ({"parts": [3]}, "parts.0", "3 stands there; expected is a mapping"),
        ({"parts": [{}]}, "parts.0.theName", "it is missing"),
        ({"parts": [{"theName": ""}]}, "parts.0.theName", "nothing stands there; expected is a text of at least 1"),
        ({"parts": [{"theName": 1.3}]}, "parts.0.theName", "1.3 stands there; expected is a text, in quotes"),
        ({"parts": [{"theName": []}]}, "parts.0.theName", "a list stands there; expected is a text"),
        (
            {"parts": [{"theName": "x", "number": 0}]},
            "parts.0.number",
            "0 stands there; expected is a number from 1 on",
        ),
        (
            {"parts": [{"theName": "x", "number": 10}]},
            "parts.0.number",
            "10 stands there; expected is a number up to 9",
        ),
        ({"parts": [{"theName": "x", "numer": 1}]}, "parts.0.numer", "there is no such member; did you mean number?"),
        ({"parts": [{"theName": "x", "q": 1}]}, "parts.0.q", "there is no such member; there are theName, number"),
        ({"by_name": {"a": {"theName": "x", "q": 1}}}, "by_name.a.q", "there is no such member"),
        ({"texts": ["a", None]}, "texts.1", "nothing stands there; expected is a text"),
        ({"way": "left"}, "way", "'left' stands there; expected is 'up' or 'down'"),
        ({"flag": "x" * 90}, "flag", f"'{'x' * 56}... stands there; expected is true or false"),
        ([], "", "a list stands there; expected is a mapping"),
    ],
)
def test_a_misfit_says_what_stands_there_and_what_is_expected(value: Any, place: str, what: str) -> None:
    ((found, said),) = told(value)
    assert found == place
    assert said.startswith(what)


def test_a_name_has_better_words_for_its_value_for_its_entries_and_the_whole() -> None:
    better = {"": "parts or texts", "texts": "words", "texts[]": "a word", "theName": "who it is"}
    assert told({"texts": 1}, better) == [("texts", "1 stands there; expected is words")]
    assert told({"texts": [1]}, better) == [("texts.0", "1 stands there; expected is a word")]
    assert told({"parts": [{}]}, better) == [("parts.0.theName", "it is missing; expected is who it is")]
    assert told(7, better) == [("", "7 stands there; expected is parts or texts")]


def test_every_row_is_a_misfit_that_there_is() -> None:
    assert _EXPECTED.keys() <= set(get_args(ErrorType))
