"""JSON with the position of every value.

The standard library reads the whole text once; positions are looked for when somebody asks, by walking down to
them, because out of a plan with a million values a few dozen are asked for.

Invariant: a position is that of the value the reader took: of names that stand there twice, the last one's.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from poolwright.lint.texts import Broken, Place, Text

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"[ \t\r\n]*")
# Azure takes comments in templates; they become blanks, so that what follows stays where it is. A text or a comment
# without an end goes to the last character: to look for the next one in it would take the square of the time.
_TEXT_OR_COMMENT: Final = re.compile(r'(?P<comment>//[^\n]*|/\*.*?\*/)|"(?:\\.|[^"\\])*+"?|/\*.*', re.DOTALL)
_NOT_A_LINE_END: Final = re.compile(r"[^\n]")


class JsonText:
    """A JSON document: its value, and where the parts of it stand."""

    def __init__(self, text: Text) -> None:
        """Raises `Broken`."""
        self._text = text
        self.file = text.file
        self._decoder = json.JSONDecoder()
        self._members: dict[int, dict[str | int, int]] = {}
        self._content = text.content
        try:
            self.value: Any = self._decoded()
        except json.JSONDecodeError as error:
            raise Broken(text.place(error.pos), f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}") from error
        except RecursionError as error:
            raise Broken(text.place(0), "the JSON is nested too deeply to be read") from error
        except ValueError as error:
            raise Broken(text.place(0), f"this is not JSON: {error}") from error

    def place(self, path: Path) -> Place:
        """Return where the value at the path stands, or the nearest value around it that is there."""
        offset = self._after_blanks(0)
        for part in path:
            members = self._members_at(offset)
            if part not in members:
                break
            offset = members[part]
        return self._text.place(offset)

    def _decoded(self) -> Any:
        try:
            return self._decoder.decode(self._content)
        except json.JSONDecodeError as error:
            without = _TEXT_OR_COMMENT.sub(_blanked, self._content)
            if without == self._content:
                raise error
            self._content = without
            return self._decoder.decode(self._content)

    def _members_at(self, start: int) -> dict[str | int, int]:
        """Where the members of the object or list that begins there stand; of anything else, nothing."""
        known = self._members.get(start)
        if known is not None:
            return known
        content, found = self._content, self._members.setdefault(start, {})
        opening = content[start]
        if opening not in "{[":
            return found
        at = self._after_blanks(start + 1)
        index = 0
        while content[at] not in "}]":
            key: str | int = index
            if opening == "{":
                key, at = self._decoder.raw_decode(content, at)
                at = self._after_blanks(self._after_blanks(at) + 1)
            found[key] = at
            at = self._after_blanks(self._decoder.raw_decode(content, at)[1])
            index += 1
            if content[at] == ",":
                at = self._after_blanks(at + 1)
        return found

    def _after_blanks(self, at: int) -> int:
        found = _BLANK.match(self._content, at)
        return found.end() if found is not None else at


def _blanked(found: re.Match[str]) -> str:
    return found[0] if found["comment"] is None else _NOT_A_LINE_END.sub(" ", found[0])
