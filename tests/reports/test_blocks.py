"""One text, two forms, and nothing in it is markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.reports.blocks import Block, Bullets, Commands, Heading, Paragraph, Table, html, markdown

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


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_no_text_becomes_a_tag(text: str) -> None:
    parser = _Texts()
    parser.feed(html([Paragraph(text)]))
    parser.close()
    assert (parser.tags, parser.text) == (["p"], text)


@pytest.mark.parametrize("lines", [["```"], ["a", "`````"]])
def test_a_fence_is_longer_than_any_inside(lines: list[str]) -> None:
    text = markdown([Commands(lines)])
    fence = text.split("sh\n")[0]
    assert text.endswith(f"\n{fence}\n")
    assert all(fence not in line for line in lines)
