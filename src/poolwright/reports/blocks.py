"""A text as headings, paragraphs, tables and commands, once as Markdown and once as HTML.

Invariant: what is written is shown as it is: nothing in a text is markup, in either form, and what does not print is
shown as its escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from poolwright.reports.visible import visible


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; `anchor` is what a link leads to."""

    level: int
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True, slots=True)
class Code:
    """A cell of a table that is copied as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one for each name; a cell is `Code`, or shown by its text."""

    caption: str
    names: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines to type, or of a program, in the language that is named."""

    lines: Sequence[str]
    language: str = "sh"


Block = Heading | Paragraph | Bullets | Table | Commands
_FENCE: Final = "```"


def markdown(blocks: Iterable[Block]) -> str:
    """Return the text as Markdown (CommonMark, with GitHub's tables)."""
    parts = []
    for block in blocks:
        match block:
            case Heading(level, text):
                parts.append(f"{'#' * level} {_plain(text)}")
            case Paragraph(text):
                parts.append(_plain(text))
            case Bullets(items):
                parts.append("\n".join(f"- {_plain(item)}" for item in items))
            case Table(caption, names, rows):
                head = [f"| {' | '.join(map(_cell, names))} |", f"| {' | '.join('---' for _ in names)} |"]
                parts.append(
                    "\n".join([f"{_plain(caption)}\n", *head, *(f"| {' | '.join(map(_cell, row))} |" for row in rows)])
                )
            case Commands(lines, language):
                # A fence has to be longer than any inside of it.
                fence = _FENCE
                while any(fence in line for line in lines):
                    fence += "`"
                parts.append("\n".join([f"{fence}{language}", *map(visible, lines), fence]))
    return "\n\n".join(parts) + "\n"


def html(blocks: Iterable[Block]) -> str:
    """Return the text as the content of an HTML body."""
    return "\n".join(_html(block) for block in blocks)


def _html(block: Block) -> str:
    match block:
        case Heading(level, text, anchor):
            identity = f' id="{escape(anchor)}"' if anchor else ""
            return f"<h{level}{identity}>{_html_text(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_html_text(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{_html_text(item)}</li>" for item in items) + "</ul>"
        case Table(caption, names, rows):
            head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
            body = "".join("<tr>" + "".join(f"<td>{_html_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return (
                f'<div class="wide" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
                f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            )
        case Commands(lines):
            return f"<pre><code>{chr(10).join(map(_html_text, lines))}</code></pre>"


def _html_cell(cell: object) -> str:
    return f"<code>{_html_text(cell.text)}</code>" if isinstance(cell, Code) else _html_text(str(cell))


def _html_text(text: str) -> str:
    return escape(visible(text))


def _plain(text: str) -> str:
    """The text with the characters escaped that Markdown would take for markup."""
    return "".join(f"\\{character}" if character in r"\`*_{}[]<>#|~" else character for character in visible(text))


def _cell(value: object) -> str:
    if isinstance(value, Code):
        return _code_span(value.text)
    return _plain(" ".join(str(value).split()))


def _code_span(text: str) -> str:
    """The text as code in a cell, where only a bar that ends the cell is escaped (GFM, "Tables")."""
    shown = visible(" ".join(text.split())).replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    # Blanks keep a first or last backtick from being part of the fence, and are taken off.
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"
