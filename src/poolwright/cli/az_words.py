"""The words of a command read as az reads them, which is by argparse, and written out so that they say one thing.

Invariant: what is written out has every value in the word of its option, and each list as it was given last.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NAMELESS: Final = "--"


class NotAsAzReads(Exception):
    """Words that az's parser refuses as well; `option` is the one that it is about, "" where it is about none."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What argparse has to know of an option. `least` is how many values it needs, `most` None any number."""

    names: tuple[str, ...]
    least: int
    most: int | None

    @property
    def name(self) -> str:
        """The first name that takes `=value`."""
        return next((name for name in self.names if name.startswith("--")), self.names[0])

    @property
    def nargs(self) -> str | int | None:
        return None if self.most == 1 else "+" if self.least else "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """`words` with every value in the word of its option, and `unknown`: what no option takes, in its order."""

    words: tuple[str, ...]
    unknown: tuple[str, ...]


def as_az_reads(options: Iterable[Option], arguments: Sequence[str]) -> Understood:
    """Return what the arguments say: of values and of lists that are given twice, the last. Raises `NotAsAzReads`.

    Source: https://docs.python.org/3/library/argparse.html and knack.parser, which is what az parses by.
    """
    parser = _Parser(
        add_help=False, allow_abbrev=False, exit_on_error=False, argument_default=argparse.SUPPRESS, usage=""
    )
    named: dict[str, Option] = {}
    for option in options:
        named[option.name] = option
        if option.most == 0:
            parser.add_argument(*option.names, dest=option.name, action="store_true")
        else:
            parser.add_argument(*option.names, dest=option.name, nargs=option.nargs)
    before, nameless, after = _parted(arguments)
    try:
        given, unknown = parser.parse_known_args(before)
    except argparse.ArgumentError as error:
        option = named[_name_of(error, named)]
        raise NotAsAzReads(option.name, _why(option)) from error
    words: list[str] = []
    for name, value in vars(given).items():
        words += _written_out(named[name], value)
    return Understood(words=tuple(words), unknown=(*unknown, *nameless, *after))


def _parted(arguments: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """The arguments up to `--`, that word, and what follows, which no option takes."""
    at = arguments.index(_NAMELESS) if _NAMELESS in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at : at + 1]), list(arguments[at + 1 :])


def _written_out(option: Option, value: Any) -> list[str]:
    if option.most == 0:
        return [option.name]
    # No value at all is one empty text, which says the same of labels and tags.
    values = [value] if option.most == 1 else value or [""]
    return [f"{option.name}={one}" for one in values]


def _name_of(error: argparse.ArgumentError, named: dict[str, Option]) -> str:
    spelled = set((error.argument_name or "").split("/"))
    return next(name for name, option in named.items() if spelled & set(option.names))


def _why(option: Option) -> str:
    if option.most == 0:
        return "takes no value: leave out what follows '='"
    return f"needs a value; one that begins with '-' is written {option.name}=-..."


def meant_by(options: Iterable[Option], word: str) -> list[str]:
    """Return the options that the word is a beginning of, as az would take it where there is one only."""
    beginning = word.partition("=")[0]
    names = [name for option in options for name in option.names]
    return sorted(name for name in names if len(beginning) > 2 and name.startswith(beginning))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        """In place of a usage text and the end of the process."""
        raise NotAsAzReads("", message)
