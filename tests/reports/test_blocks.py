"""One text, two forms, and nothing in it is markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.reports.blocks import Block, Bullets, Code, Commands, Heading, Paragraph, Table, html, markdown
from poolwright.reports.visible import visible

BLOCKS: list[Block] = [
    Heading(1, "A & B", "top"),
    Paragraph("one_two <three>"),
    Bullets(["*x*"]),
    Table("What", ("a", "b"), [("1 | 2", 3)]),
    Commands(["az x --query '[?a==`1`]'", "echo ```"]),
]


def test_markdown() -> None:
    assert markdown(BLOCKS) == (
        "# A & B\n\none\\_two \\<three\\>\n\n- \\*x\\*\n\nWhat\n\n| a | b |\n| --- | --- |\n| 1 \\| 2 | 3 |\n\n"
        "````sh\naz x --query '[?a==`1`]'\necho ```\n````\n"
    )


def test_html() -> None:
    text = html(BLOCKS)
    assert '<h1 id="top">A &amp; B</h1>' in text
    assert "<p>one_two &lt;three&gt;</p>" in text
    assert "<td>1 | 2</td><td>3</td>" in text
    assert "<pre><code>az x --query &#x27;[?a==`1`]&#x27;\necho ```</code></pre>" in text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("az x --query '[?a_b=='c'].{d: *}'", "`az x --query '[?a_b=='c'].{d: *}'`"),
        ("a | b\n c", r"`a \| b c`"),
        ("`a` ``", "``` `a` `` ```"),
    ],
)
def test_code_in_a_cell_is_copied_as_it_is(written: str, shown: str) -> None:
    assert markdown([Table("What", ("a",), [(Code(written),)])]).splitlines()[-1] == f"| {shown} |"
    parser = _Texts()
    parser.feed(html([Table("What", ("a",), [(Code(written),)])]))
    parser.close()
    assert (parser.tags[-1], parser.text) == ("code", f"Whata{visible(written)}")


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=[])))
def test_no_text_becomes_a_tag(text: str) -> None:
    parser = _Texts()
    parser.feed(html([Paragraph(text)]))
    parser.close()
    assert (parser.tags, parser.text) == (["p"], visible(text))


STEERING = "\x1b[2J\u202ea\nb\r\x9b\u2028"


def test_nothing_in_a_text_steers_who_shows_it() -> None:
    blocks = [
        *(Heading(1, STEERING, "x"), Paragraph(STEERING), Bullets([STEERING]), Table("What", ("a",), [(STEERING,)])),
        Commands([STEERING]),
    ]
    blocks.append(Table("What", ("a",), [(Code(STEERING),)]))
    for text in (markdown(blocks), html(blocks)):
        assert text.replace("\n", "").isprintable()
        assert text.count("u202ea") == len(blocks)
    assert len(markdown(blocks).splitlines()) == len(markdown([replace_text(block) for block in blocks]).splitlines())


def replace_text(block: Block) -> Block:
    """The block with a plain word in the place of the text."""
    match block:
        case Heading():
            return Heading(1, "a", "x")
        case Paragraph():
            return Paragraph("a")
        case Bullets():
            return Bullets(["a"])
        case Table():
            return Table("What", ("a",), [("a",)])
        case Commands():
            return Commands(["a"])


@pytest.mark.parametrize("lines", [["```"], ["a", "`````"]])
def test_a_fence_is_longer_than_any_inside(lines: list[str]) -> None:
    text = markdown([Commands(lines)])
    fence = text.split("sh\n")[0]
    assert text.endswith(f"\n{fence}\n")
    assert all(fence not in line for line in lines)
