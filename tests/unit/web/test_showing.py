"""Hostile text: inert, whole, with its place in the original. Each test names what it would let through."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.seeded import HOSTILE

from accord.web.showing import cell, changes, marked, plain, sentences, spanned, terminal

TAGS = {
    "span",
    "p",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "hr",
    "br",
    "del",
    "ins",
}
TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "title", "start", "data-start", "data-end"}


class Read(HTMLParser):
    """What a browser would make of it: tags, attributes, text; and the text by its place in the original."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.placed: list[tuple[int, str]] = []
        self.unseen = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        names = dict(attrs)
        self.unseen += names.get("class") == "unseen"
        if "data-start" in names:
            self.placed.append((int(names["data-start"] or ""), ""))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.placed:
            start, text = self.placed[-1]
            self.placed[-1] = (start, text + data)


NESTED = "> " * 60 + "**hidden** <b>x</b>"
ATTACKS = [
    HOSTILE,
    "<script src=//evil></script>",
    "![i](http://evil/p.png) [a](javascript:x) <http://evil> [r]: http://evil\n\n[r]",
    "<div onmouseover=x>\n\n# h\n\n</div>",
    "```<script>\n</pre><script>x</script>\n```",
    NESTED,
    "| a |\n|-|\n| <svg onload=x> |",
    "&lt;script&gt; &#x202e; &#8203; &quot;onload=x",
    "\x9b31m\x90payload\x9c \x00\x07\x08 \ud800",
]


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("draw", [plain, marked, spanned])
def test_what_attacks_the_page_becomes_text(draw: object, text: str) -> None:
    found = Read(str(draw(text)))  # type: ignore[operator]
    assert set(found.tags) <= TAGS
    assert {name for name, _ in found.attributes} <= ATTRIBUTES
    assert not any(re.search(r"https?:|javascript:", value or "") for _, value in found.attributes)


@given(st.text(max_size=200))
def test_any_text_stays_inert(text: str) -> None:
    for draw in (plain, marked, spanned):
        found = Read(str(draw(text)))
        assert set(found.tags) <= TAGS
        assert {name for name, _ in found.attributes} <= ATTRIBUTES
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x1b]", found.text)


def test_what_hides_is_spelled_out_with_its_name() -> None:
    """Kills: a mark without a title, an order that is turned round, a character that is dropped."""
    found = Read(str(plain("a\u200bb\u202ec\u00adnew")))
    assert found.text == "a⟨U+200B⟩b⟨U+202E⟩c⟨U+00AD⟩new"
    assert found.unseen == 3
    assert ("title", "right-to-left override, U+202E") in found.attributes
    # The same characters typed by somebody are no mark.
    assert Read(str(plain("⟨U+200B⟩"))).unseen == 0


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[31;1mb\x1b[0m", "ab"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x9b2Jx", "x"),
        ("\x1b]0;no end, and a text that must be seen", "0;no end, and a text that must be seen"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text: str, left: str) -> None:
    assert Read(str(plain(text))).text == left
    assert terminal(text) == left


@pytest.mark.parametrize("text", ["[red]a[/red] \\[b] [link=http://evil]c", "a:\\", "\\[/[*\\[", "#\\"])
def test_rich_reads_no_markup_in_it(text: str) -> None:
    """Kills: a text that is escaped for rich and read as markup again, which loses or doubles backslashes."""
    from io import StringIO

    from rich.console import Console

    from accord.cli.sheet import say

    drawn = StringIO()
    say(Console(file=drawn, width=200), text)
    assert drawn.getvalue() == f"{text}\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_a_formula_stands_behind_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "1+1", "'x", " =1"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_a_selection_finds_its_place_in_the_original() -> None:
    """Kills: places counted in what is shown, in UTF-16 units, or without what was taken out."""
    text = "😀\x1b[1mab\r\nc\u200bd"
    found = Read(str(spanned(text, start=10)))
    shown = {place - 10: run for place, run in found.placed if run}
    assert shown == {0: "😀", 5: "ab", 8: "\nc", 10: "⟨U+200B⟩", 11: "d"}
    for place, run in shown.items():
        assert run.startswith("⟨") or text[place : place + len(run)] == run


@pytest.mark.parametrize("text", [NESTED, "| a |\n|-|\n| b | c |", "x" * 100_001])
def test_markdown_that_would_hide_something_is_shown_plain(text: str) -> None:
    """Kills: the parser's silence about deep nesting and cells beyond the head."""
    assert Read(str(marked(text))).text == text
    assert "blockquote" not in Read(str(marked(text))).tags


def test_markdown_draws_its_tags_and_no_more() -> None:
    text = "# H\n\n- *a*\n- **b** ~~c~~ `d`\n\n> q\n\n7. x\n\n```py\ne\n```\n\n|f|\n|-|\n|g|\n\n---"
    found = Read(str(marked(text)))
    assert {"p", "ul", "li", "em", "strong", "s", "code", "blockquote", "ol", "pre", "table", "hr"} <= set(
        found.tags
    )
    assert "h1" not in found.tags
    assert ("start", "7") in found.attributes
    assert "py\ne" in found.text


def test_sentences_are_spans_of_the_text() -> None:
    text = "  One. Two 3.5 e.g. x!\n\nFour?“ 五。六"
    found = sentences(text)
    assert [s.text for s in found] == [text[s.start : s.end] for s in found]
    assert [s.text for s in found] == ["One.", "Two 3.5 e.g.", "x!", "Four?“", "五。", "六"]


def test_changes_say_what_goes_and_what_comes() -> None:
    assert str(changes("Use <b>.", "Use wool.")) == "Use <del>&lt;b&gt;</del><ins>wool</ins>."
    assert str(changes("same", "same")) == "same"


def test_long_texts_take_a_moment_and_no_more() -> None:
    """A line of a megabyte, and what makes careless patterns slow. Generous, for machines are busy."""
    began = time.monotonic()
    for text in (
        "x" * 1_000_000,
        "\x1b]" * 100_000,
        "\x1b[" * 100_000,
        "*a " * 20_000,
        "[" * 90_000,
        "." * 200_000,
    ):
        plain(text)
        marked(text)
        sentences(text)
    changes("a b " * 20_000, "a c " * 20_000)
    assert time.monotonic() - began < 10
