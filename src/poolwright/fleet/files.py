"""The files that exports are in.

Invariant: a path that is there and cannot be read is a problem of the fleet; one that is not there is an error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from poolwright.bounded_files import content, content_of
from poolwright.fleet.reading import Reading
from poolwright.fleet.values import Origin, ProblemKind

STANDARD_INPUT: Final = "-"
# Exports and plans of the largest fleets, some ten thousand node pools, have a quarter of that.
MAX_BYTES: Final = 512 * 1024 * 1024
_STDIN: Final = "<stdin>"
_NO_REGULAR_FILE: Final = "it is no regular file and was not read"


def take_paths(reading: Reading, paths: Sequence[str]) -> None:
    """Take these files, `-` (standard input), and the `*.json` below these folders.

    Raises `FileNotFoundError` for a path that is not there.
    """
    for name, raw in _contents(paths, reading):
        try:
            # Windows PowerShell redirects in UTF-16, and some editors begin UTF-8 with a mark.
            text = raw.decode(json.detect_encoding(raw)).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            reading.complain(ProblemKind.UNREADABLE, Origin(name, line), "the text is neither UTF-8, UTF-16 nor UTF-32")
            continue
        if not text.strip():
            reading.complain(ProblemKind.UNREADABLE, Origin(name), "the file is empty")
        reading.take_text(name, text)


def _contents(paths: Sequence[str], reading: Reading) -> Iterator[tuple[str, bytes]]:
    for text in paths:
        if text == STANDARD_INPUT:
            try:
                yield _STDIN, content_of(sys.stdin.buffer, _STDIN, MAX_BYTES)
            except OSError as error:
                reading.complain(ProblemKind.UNREADABLE, Origin(_STDIN), error.strerror or str(error))
            continue
        path = Path(text)
        if not path.exists():
            raise FileNotFoundError(f"no file or folder {text!r}")
        found = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not found:
            reading.complain(ProblemKind.UNREADABLE, Origin(text), "the folder has no file whose name ends with .json")
        for file in found:
            try:
                # A pipe in a folder would be waited for without end; one that is named itself is meant: <(az aks list).
                if file != path and file.exists() and not file.is_file():
                    reading.complain(ProblemKind.UNREADABLE, Origin(str(file)), _NO_REGULAR_FILE)
                    continue
                yield str(file), content(file, MAX_BYTES)
            except OSError as error:
                reading.complain(ProblemKind.UNREADABLE, Origin(str(file)), error.strerror or str(error))
