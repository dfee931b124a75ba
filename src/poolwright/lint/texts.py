"""Texts of files, and where in them something stands.

Invariant: lines and columns count from 1, columns in characters; a file that cannot be read is a `Broken` with the
place where reading ended, never an exception of a parser.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from poolwright import bounded_files

# A Terraform plan of a large estate has some ten megabytes, on one line.
MAX_BYTES: Final = 64 * 1024 * 1024
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Broken(Exception):
    """A file, or a part of one, that cannot be read; `reason` says why and what to do."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class Text:
    """The text of a file, or of a script within one, that knows its lines.

    `line` and `column` are where it begins in the file; its later lines begin `indent` characters in.
    """

    def __init__(self, file: str, content: str, *, line: int = 1, column: int = 1, indent: int = 0) -> None:
        self.file = file
        self.content = content
        self._line, self._column, self._indent = line, column, indent
        self._starts = [0]
        end = content.find("\n")
        while end >= 0:
            self._starts.append(end + 1)
            end = content.find("\n", end + 1)

    def place(self, offset: int) -> Place:
        """Return the position of a character."""
        row = bisect_right(self._starts, offset) - 1
        column = offset - self._starts[row]
        first = self._column if row == 0 else 1 + self._indent
        return Place(self.file, self._line + row, first + column)

    def lines(self, first: int, end: int) -> list[str]:
        """Return lines, counted from 0, without their ends."""
        if first >= len(self._starts):
            return []
        stop = self._starts[end] if end < len(self._starts) else len(self.content)
        lines = self.content[self._starts[first] : stop].split("\n")
        return lines[:-1] if lines and not lines[-1] else lines


class JoinedText(Text):
    """Texts that one shell reads one after the other, each of which knows its own lines."""

    def __init__(self, parts: Sequence[Text]) -> None:
        super().__init__(parts[0].file, "\n".join(part.content for part in parts))
        self._parts = parts
        self._begins = [0]
        for part in parts[:-1]:
            self._begins.append(self._begins[-1] + len(part.content) + 1)

    def place(self, offset: int) -> Place:
        """Return the position of a character."""
        number = bisect_right(self._begins, offset) - 1
        return self._parts[number].place(offset - self._begins[number])


def read_text(path: Path, name: str) -> Text:
    """Return the text of a file: UTF-8, or UTF-16 with its mark, as PowerShell redirects. Raises `Broken`."""
    try:
        raw = bounded_files.content(path, MAX_BYTES)
    except bounded_files.TooLarge as error:
        raise Broken(Place(name, 1, 1), f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB; split it") from error
    except OSError as error:
        raise Broken(Place(name, 1, 1), f"the file cannot be read: {error.strerror or error}") from error
    try:
        content = raw.decode("utf-16" if raw[:2] in _UTF16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Broken(Place(name, line, 1), "the text is neither UTF-8 nor UTF-16; save it as UTF-8") from error
    return Text(name, content)
