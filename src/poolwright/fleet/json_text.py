"""JSON texts as their entries, each with its line and path: what a shell collects by `az ... >> all.json` as well.

A text has any number of documents one after the other. The entries of a list are entries; so are those of a wrapper
around one, as Azure's pages (`value`) and Resource Graph (`data`) are; any other document is one entry.

Invariant: every entry before a break in the text is given, then `BrokenJson` says where the break is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from poolwright.fleet.mistaken import looks_like

_BLANKS: Final = " \t\r\n"
_WRAPPED: Final = ("value", "data")
# Members beside the list that say that the list is not all.
_MORE: Final = ("nextLink", "odata.nextLink", "skip_token", "$skipToken", "skipToken")

# What an entry may hold: what ARM's own readers take, and everything that is made of it can carry.
MAX_DEPTH: Final = 64
_WHOLE: Final = range(-(2**63), 2**63)
_MAX_DIGITS: Final = 1_000

# Line, path and value, and the lines of the elements that are located.
Entry = tuple[int, str, Any, tuple[int, ...]]
# What may stand between an entry and the list of what is located: ARM's resources have it, az has it not.
_PROPERTIES: Final = "properties"
# Takes the path inside the entry and what is wrong there.
Complain = Callable[[str, str], None]


class BrokenJson(ValueError):
    """The text is no JSON from this line and column on, both from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason, self.line, self.column = reason, line, column


class MoreToCome(ValueError):
    """The document is one page of several; every entry it has was given."""

    def __init__(self, line: int, path: str) -> None:
        super().__init__("the list goes on: its end was not exported")
        self.line, self.path = line, path


class Entries:
    """The entries of a text as (line, path, value, lines); `incomplete` then has the pages that are not the last.

    `lines` are those on which the elements of the list called `located` begin, which an entry or its properties have.
    """

    def __init__(self, text: str, *, located: str = "") -> None:
        self._text = text
        # Only a text that has the name is read member by member; a scan in one go is faster.
        self._located = located.lower() if located and located.lower() in text.lower() else None
        # Python reads no numbers of thousands of digits; this many are already too much for `bounded`.
        self._scan = json.JSONDecoder(parse_int=lambda digits: int(digits[:_MAX_DIGITS])).raw_decode
        self._at = 0
        self._line, self._counted = 1, 0
        self.incomplete: list[MoreToCome] = []

    def __iter__(self) -> Iterator[Entry]:
        """Yield every entry. Raises `BrokenJson`."""
        self._skip_blanks()
        while self._at < len(self._text):
            match self._text[self._at]:
                case "[":
                    yield from self._list("")
                case "{":
                    yield from self._object()
                case _:
                    raise self._broken("a list or an object is expected", self._at, is_document=True)
            self._skip_blanks()

    def _list(self, name: str) -> Iterator[Entry]:
        for index, line in enumerate(self._elements()):
            lines = list[int]()
            yield line, f"{name}[{index}]", self._whole(lines), tuple(lines)

    def _elements(self) -> Iterator[int]:
        """The lines of a list's elements; whoever asks takes the value of each."""
        self._take("[", "a list is expected")
        is_first = True
        while not self._takes("]"):
            if not is_first:
                self._take(",", "a comma or ] is expected")
                self._skip_blanks()
            yield self._line_here()
            is_first = False

    def _object(self) -> Iterator[Entry]:
        """A wrapper's entries, or the object itself."""
        line, members, wraps, lines = self._line_here(), dict[str, Any](), False, list[int]()
        for name in self._members():
            if name in _WRAPPED and self._here() == "[" and "id" not in members:
                wraps = True
                yield from self._list(name)
            else:
                members[name] = self._member(name, lines)
        if not wraps:
            yield line, "", members, tuple(lines)
        elif any(members.get(name) for name in _MORE):
            self.incomplete.append(MoreToCome(line, next(name for name in _MORE if members.get(name))))

    def _members(self) -> Iterator[str]:
        """The names of an object's members; whoever asks takes the value after each."""
        self._take("{", "an object is expected")
        is_first = True
        while not self._takes("}"):
            if not is_first:
                self._take(",", "a comma or } is expected")
                self._skip_blanks()
            if self._here() != '"':
                raise self._broken("a member name in quotes is expected", self._at)
            name = self._value()
            self._skip_blanks()
            self._take(":", "a colon is expected")
            self._skip_blanks()
            yield name
            is_first = False

    def _whole(self, lines: list[int]) -> Any:
        """An entry's value, with the lines of what is located in it."""
        if self._located is None or self._here() != "{":
            return self._value()
        return {name: self._member(name, lines) for name in self._members()}

    def _member(self, name: str, lines: list[int], *, is_inner: bool = False) -> Any:
        """The value of a member of an entry, or of its properties."""
        if self._located is None:
            return self._value()
        if name.lower() == self._located and self._here() == "[":
            found = list[Any]()
            lines.clear()
            for line in self._elements():
                lines.append(line)
                found.append(self._value())
            return found
        if name.lower() == _PROPERTIES and self._here() == "{" and not is_inner:
            return {inner: self._member(inner, lines, is_inner=True) for inner in self._members()}
        return self._value()

    def _value(self) -> Any:
        try:
            value, self._at = self._scan(self._text, self._at)
        except json.JSONDecodeError as error:
            raise self._broken(error.msg.removesuffix(" at"), error.pos) from error
        except RecursionError as error:
            raise self._broken("it is nested too deeply", self._at) from error
        return value

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _takes(self, character: str) -> bool:
        self._skip_blanks()
        if self._here() != character:
            return False
        self._at += 1
        return True

    def _take(self, character: str, otherwise: str) -> None:
        if not self._takes(character):
            raise self._broken(otherwise if self._here() else "the text ends too early", self._at)

    def _skip_blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _broken(self, reason: str, place: int, *, is_document: bool = False) -> BrokenJson:
        reason = looks_like(self._text, place, is_document=is_document) or reason
        line = self._text.count("\n", 0, place) + 1
        return BrokenJson(reason, line, place - self._text.rfind("\n", 0, place))


def folded(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members by their names in small letters, without nulls: ARM compares names without case."""
    return {str(name).lower(): value for name, value in document.items() if value is not None}


def bounded(entry: Any, complain: Complain) -> Any:
    """Return the entry without what is beyond the bounds; each such value is complained about.

    A member is left out; an element of a list leaves None, so that the others keep their places.
    """
    is_within = _are_within(entry, 0) if isinstance(entry, dict | list) else _refusal(entry) is None
    return entry if is_within else _without(entry, "", 0, complain)


def _are_within(value: dict[str, Any] | list[Any], depth: int) -> bool:
    """Whether all of it is within the bounds, which nearly every entry is.

    Every value of every export is looked at here, so no function is called for one that is nothing special.
    """
    if depth >= MAX_DEPTH:
        return False
    parts: Iterable[Any] = value
    if isinstance(value, dict):
        if not "".join(value).isascii() and not all(map(_is_text, value)):
            return False
        parts = value.values()
    for part in parts:
        kind = type(part)
        if part is None or kind is bool or (kind is str and part.isascii()) or (kind is int and part in _WHOLE):
            continue
        if kind is dict or kind is list:
            if not _are_within(part, depth + 1):
                return False
        elif _refusal(part) is not None:
            return False
    return True


def _refusal(value: Any) -> str | None:
    """What is wrong with a value that holds no others; None where nothing is."""
    match value:
        case str():
            return None if _is_text(value) else "it has half of a character (a lone surrogate)"
        case int():
            return None if value in _WHOLE else "it is a number of more than 64 bits"
        case float():
            return None if math.isfinite(value) else "it is no finite number"
    return None


def _without(value: Any, path: str, depth: int, complain: Complain) -> Any:
    if not isinstance(value, dict | list):
        refusal = _refusal(value)
        if refusal is not None:
            complain(path, refusal)
        return value if refusal is None else None
    if depth >= MAX_DEPTH:
        complain(path, f"it is nested deeper than {MAX_DEPTH} levels")
        return None
    if isinstance(value, list):
        return [_without(part, f"{path}[{index}]", depth + 1, complain) for index, part in enumerate(value)]
    kept = {}
    for name, part in value.items():
        if not _is_text(name):
            complain(path, "the name of a member has half of a character (a lone surrogate)")
            continue
        left = _without(part, f"{path}.{name}" if path else name, depth + 1, complain)
        if left is not None or part is None:
            kept[name] = left
    return kept


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
