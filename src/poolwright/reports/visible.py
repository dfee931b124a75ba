"""Texts of unknown origin, harmless to look at: what would steer a terminal or reorder a line is shown as its escape.

Invariant: a text that is only letters, signs and blanks stays as it is; one that is not has no line break afterwards.
"""

from __future__ import annotations

from collections.abc import Callable


def visible(text: str) -> str:
    """Return the text with every character that does not print as its escape: `\\x1b`, `\\u202e`, `\\n`.

    Those are Unicode's controls, format characters (which reorder or hide), separators other than the blank, lone
    surrogates, and what is assigned to nothing.
    """
    return text if text.isprintable() else _escaped(text, lambda character: character.encode("unicode_escape").decode())


def visible_lines(text: str) -> str:
    """Return the text with its line breaks, and all else that does not print as its escape."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """Return JSON that reads the same, with every character of its texts that does not print as JSON's escape."""
    if text.isascii() and "\x7f" not in text:
        # JSON itself has no other control characters in a text.
        return text
    return "\n".join(_escaped(line, _json_escape) for line in text.split("\n"))


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    return "".join(character if character.isprintable() else escape(character) for character in text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
