"""Reads the tables that the package ships.

Invariant: what a table says is taken as written; an unexpected text raises, it never becomes a default.
"""

from __future__ import annotations

import csv
from importlib.resources import files

_FLAGS = {"true": True, "false": False}


def rows(file_name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file beside this module, by column name."""
    text = files("poolwright.catalog").joinpath(file_name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def flag(text: str) -> bool:
    """Return the truth value written in a cell. Raises `ValueError` for a blank and for anything else."""
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise ValueError(f"neither true nor false: {text!r}") from None


def optional_flag(text: str) -> bool | None:
    """Return the truth value written in a cell, `None` for a blank: unknown."""
    return flag(text) if text else None


def optional_number(text: str) -> int | None:
    """Return the whole number written in a cell, `None` for a blank: unknown."""
    return int(text) if text else None


def listed(text: str) -> tuple[str, ...]:
    """Return the values of a cell that are separated by `|`."""
    return tuple(text.split("|")) if text else ()
