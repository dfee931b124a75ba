"""Reads long JSON lists as they arrive, one element at a time.

A sequence has any number of texts, each with any number of documents one after the other: a list, or an object
with one list among its members, as Azure pages them. Texts are separated by the record separator of RFC 7464
(`application/json-seq`), documents by nothing.

Invariant: what is kept in memory is one element and what has arrived since; the whole list never is.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

RECORD_SEPARATOR: Final = "\x1e"
MAX_ELEMENT_CHARACTERS: Final = 1024 * 1024
_BLANKS: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands: the text, its line and column, all counted from 1, and its path in the document."""

    text: int
    line: int
    column: int
    path: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class MalformedJson(ValueError):
    """This is not JSON, or not of the kind a sequence has."""

    def __init__(self, reason: str, position: Position) -> None:
        super().__init__(f"{reason} at {position}")
        self.reason = reason
        self.position = position


class _State(Enum):
    DOCUMENT = auto()  # before a document
    FIRST_MEMBER = auto()  # in an object, before the first name or the end
    MEMBER = auto()  # in an object, before a name
    FIRST_ELEMENT = auto()  # in a list, before the first element or the end
    ELEMENT = auto()  # in a list, before an element
    AFTER_ELEMENT = auto()  # in a list, before a comma or the end
    AFTER_MEMBER = auto()  # in an object, before a comma or the end


class _Incomplete(Exception):
    """More has to arrive."""


class JsonSequence:
    """Takes bytes and gives the elements of all lists with their positions. Members that are no list are skipped."""

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = None
        self._head = b""
        self._scan = json.JSONDecoder().raw_decode
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._text, self._line, self._column = 1, 1, 1
        self._is_first_text = True
        self._restart()

    def feed(self, chunk: bytes) -> Iterator[tuple[Position, Any]]:
        """Yield the elements that are complete with these bytes. Raises `MalformedJson`."""
        yield from self._elements(self._decoded(chunk, final=False))

    def end(self) -> Iterator[tuple[Position, Any]]:
        """Yield what was still to come. Raises `MalformedJson` when something is missing."""
        self._ended = True
        yield from self._elements(self._decoded(b"", final=True))
        self._require_end_of_document()

    def _restart(self) -> None:
        self._state = _State.DOCUMENT
        self._is_object = False
        self._member = ""
        self._index = 0

    def _decoded(self, chunk: bytes, *, final: bool) -> str:
        if self._decoder is None:
            self._head += chunk
            if len(self._head) < 3 and not final:
                return ""
            # Windows PowerShell redirects in UTF-16, and some editors begin UTF-8 with a mark.
            is_utf16 = self._head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
            self._decoder = codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")()
            chunk = self._head
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise MalformedJson("the text is neither UTF-8 nor UTF-16", self._position()) from error

    def _elements(self, text: str) -> Iterator[tuple[Position, Any]]:
        self._buffer = self._buffer[self._at :] + text
        self._at = 0
        while True:
            self._skip_blanks()
            if self._at == len(self._buffer):
                return
            if self._buffer[self._at] == RECORD_SEPARATOR:
                self._next_text()
                continue
            try:
                found = self._step()
            except _Incomplete:
                if len(self._buffer) - self._at > MAX_ELEMENT_CHARACTERS:
                    raise MalformedJson(
                        f"an element is longer than {MAX_ELEMENT_CHARACTERS} characters", self._position()
                    ) from None
                return
            if found is not None:
                yield found

    def _step(self) -> tuple[Position, Any] | None:
        """Take one token or value, and return it if it is an element."""
        character = self._buffer[self._at]
        match self._state:
            case _State.DOCUMENT:
                if character not in "[{":
                    raise MalformedJson("a list or an object is expected", self._position())
                self._restart()
                self._is_object = character == "{"
                self._state = _State.FIRST_MEMBER if self._is_object else _State.FIRST_ELEMENT
                self._advance(1)
            case _State.FIRST_MEMBER if character == "}":
                self._end_document()
            case _State.FIRST_MEMBER | _State.MEMBER:
                self._begin_member()
            case _State.FIRST_ELEMENT if character == "]":
                self._end_list()
            case _State.FIRST_ELEMENT | _State.ELEMENT:
                position = self._position()
                element = self._value()
                self._index += 1
                self._state = _State.AFTER_ELEMENT
                return position, element
            case _State.AFTER_ELEMENT:
                if character == "]":
                    self._end_list()
                else:
                    self._comma(character, "a comma or ] is expected", _State.ELEMENT)
            case _State.AFTER_MEMBER:
                if character == "}":
                    self._end_document()
                else:
                    self._comma(character, "a comma or } is expected", _State.MEMBER)
        return None

    def _begin_member(self) -> None:
        """Take a name, a colon and the value, or only the bracket where the value is a list."""
        if self._buffer[self._at] != '"':
            raise MalformedJson("a member name in quotes is expected", self._position())
        start = self._at, self._line, self._column
        try:
            name = self._value()
            self._skip_blanks()
            if self._at == len(self._buffer):
                raise _Incomplete
            if self._buffer[self._at] != ":":
                raise MalformedJson("a colon is expected", self._position())
            self._advance(1)
            self._skip_blanks()
            if self._at == len(self._buffer):
                raise _Incomplete
            self._member = name
            if self._buffer[self._at] == "[":
                self._advance(1)
                self._index = 0
                self._state = _State.FIRST_ELEMENT
            else:
                self._value()
                self._state = _State.AFTER_MEMBER
        except _Incomplete:
            # Names are short: the next time it is read again from its beginning.
            self._at, self._line, self._column = start
            raise

    def _value(self) -> Any:
        """Take a whole value."""
        try:
            value, end = self._scan(self._buffer, self._at)
        except json.JSONDecodeError as error:
            raise self._malformed(error.msg.removesuffix(" at"), error.pos) from error
        except RecursionError as error:
            raise MalformedJson("the nesting is too deep", self._position()) from error
        except ValueError as error:  # as Python reads no integer of thousands of digits
            raise MalformedJson("a number is too long", self._position()) from error
        # A number may go on in what has not arrived: `1`, and what came of it, in `1e+9` cut after the plus sign.
        if len(self._buffer) - end < 3 and not self._ended and self._buffer[self._at] not in '"{[':
            raise _Incomplete
        self._advance(end - self._at)
        return value

    def _malformed(self, reason: str, place: int) -> Exception:
        """What ends at the end of what has arrived is not wrong, but incomplete."""
        # The longest token a mistake can be found in the middle of is `-Infinity`; a text or a value that is
        # not closed is reported where it began.
        if not self._ended and (place >= len(self._buffer) - 12 or reason.startswith("Unterminated")):
            return _Incomplete()
        self._advance(place - self._at)
        return MalformedJson(reason, self._position())

    def _comma(self, character: str, reason: str, following: _State) -> None:
        if character != ",":
            raise MalformedJson(reason, self._position())
        self._advance(1)
        self._state = following

    def _end_list(self) -> None:
        self._advance(1)
        self._state = _State.AFTER_MEMBER if self._is_object else _State.DOCUMENT

    def _end_document(self) -> None:
        self._advance(1)
        self._state = _State.DOCUMENT

    def _next_text(self) -> None:
        self._require_end_of_document()
        self._at += 1
        if not (self._is_first_text and (self._line, self._column) == (1, 1)):
            self._text += 1
        self._is_first_text = False
        self._line = self._column = 1

    def _require_end_of_document(self) -> None:
        if self._state is not _State.DOCUMENT:
            raise MalformedJson("the document ends too early", self._position())

    def _skip_blanks(self) -> None:
        end = self._at
        while end < len(self._buffer) and self._buffer[end] in _BLANKS:
            end += 1
        self._advance(end - self._at)

    def _advance(self, length: int) -> None:
        passed = self._buffer[self._at : self._at + length]
        lines = passed.count("\n")
        self._line += lines
        self._column = len(passed) - passed.rfind("\n") if lines else self._column + length
        self._at += length

    def _position(self) -> Position:
        inside = self._state in (_State.FIRST_ELEMENT, _State.ELEMENT, _State.AFTER_ELEMENT)
        path = f"{self._member}[{self._index}]" if inside else self._member
        return Position(self._text, self._line, self._column, path)
