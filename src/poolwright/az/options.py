"""Which options the commands of az that make and change node pools take.

Rows of `options.csv`: those of az 2.91.0 without extensions, and those that `poolwright az` adds (`extension/`), with
how many values each takes in argparse's words (0 for a flag). A test with the real az compares
(tests/az/test_option_names.py).

Invariant: an option is taken as argparse takes it: written out, with its value behind one letter, or as the beginning
of one long option alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final

VERSION: Final = "2.91"
AZ: Final = "az"
POOLWRIGHT_AZ: Final = "poolwright az"
# What is less like an option, or a word of one, is no slip of the pen. Tried with options of aks-preview, none of which
# may pass for a slip.
_ALIKE: Final = 0.8
_WORDS_ALIKE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command by one of its names: how many values it takes, and who takes it."""

    values: str
    taken_by: str

    @property
    def is_flag(self) -> bool:
        return self.values == "0"


@dataclass(frozen=True, slots=True)
class Spelled:
    """What a word that begins with `-` is to a command.

    `option` is the option that it names, None where none is: then `nearest` is the one that may be meant, or `could_be`
    are several that it begins. `inline` is a value in the same word.
    """

    option: str | None
    inline: str | None = None
    nearest: str | None = None
    could_be: tuple[str, ...] = ()


@cache
def options_of(command: str) -> Mapping[str, Option]:
    """Return the options of a command (`aks nodepool add`) by name; nothing for a command that is not in the table."""
    text = files("poolwright.az").joinpath("options.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    if command not in {row["command"] for row in rows if row["command"]}:
        return {}
    return {
        name: Option(row["values"], row["taken_by"])
        for row in rows
        if row["command"] in ("", command)
        for name in row["options"].split()
    }


def spelled(command: str, word: str) -> Spelled:
    """Return what the word is to a command of `options_of`."""
    known = options_of(command)
    name, equals, value = word.partition("=")
    inline = value if equals else None
    if name in known:
        return Spelled(name, inline)
    if not name.startswith("--"):
        letter = known.get(word[:2])
        if letter is not None and not letter.is_flag:
            return Spelled(word[:2], word[2:])
        return Spelled(None, inline, nearest=_nearest(f"-{name}", known))
    begun = tuple(option for option in known if option.startswith(name) and known[option].taken_by == AZ)
    if len(begun) == 1:
        return Spelled(begun[0], inline)
    return Spelled(None, inline, could_be=begun, nearest=None if begun else _nearest(name, known))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The option that is meant, where it is all but written: every word of it is the same or looks like it.

    Options of extensions often differ from one of az's by a word (`--final-soak-duration`, `--disable-...`).
    """
    name = name.lower().replace("_", "-")
    for option in get_close_matches(name, known, 5, _ALIKE):
        words, others = name.split("-"), option.split("-")
        is_slip = len(words) == len(others) and all(map(_look_alike, words, others))
        if is_slip or "".join(words) == "".join(others):
            return option
    return None


def _look_alike(word: str, other: str) -> bool:
    is_opposite = {word, other} == {"enable", "disable"}
    return not is_opposite and SequenceMatcher(None, word, other).ratio() >= _WORDS_ALIKE
