"""Hostile text made inert. What a model, a person or a file wrote is data, whatever it looks like.

``plain`` is the form a text is shown in first: its own characters, nothing interpreted. Characters that hide
or move others about are spelled out, with their name as a title; what a terminal would obey is taken out.
``marked`` reads Markdown by a closed list of tags: no HTML, no image, and a link is the text as written.
Each run of characters in ``spanned`` says where it stands in the original, so that a selection on the page is
a span of the answer. ``terminal`` and ``cell`` do the same for a terminal and for a spreadsheet.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal, NamedTuple

from markupsafe import Markup, escape

from accord.reports.words import visible
from accord.stores.foreign.cells import cell

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["Sentence", "cell", "changes", "marked", "plain", "sentences", "spanned", "terminal"]

_LONGEST_MARKED = 100_000  # characters; Markdown beyond that is shown plain, for reading it takes too long
_LONGEST_COMMAND = 2048
_DEEPEST = 20
_MOST_WORDS = 4000  # in a comparison word by word; longer texts are compared line by line

# CSI; OSC, DCS, SOS, PM, APC up to their end; the two-character rest: all that a terminal would obey. Where
# the end is missing only the introducer goes, for what stands behind it is text that somebody must see.
_COMMANDS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{{0,{_LONGEST_COMMAND}}}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,8}[0-~]|\r(?=\n)"
)
_BEYOND_ASCII = re.compile(r"(?:[^\n\r\t -~]|\r(?!\n))+")
_SENTENCE = re.compile(r"[^\n.!?…。！？]*(?:[.!?…]+[\"'“”’»)\]]*(?=\s|$)|[.!?…]|[。！？]+|\n|$)")


class _Run(NamedTuple):
    """A part of a text: where it stands in the original, and the name of a character that is spelled out."""

    start: int
    shown: str
    title: str = ""


def plain(text: str) -> Markup:
    """The text as it was written, inert; for an element that keeps white space.

    >>> str(plain("<b>a\\u200bb"))
    '&lt;b&gt;a<span class="unseen" title="zero width space, U+200B">⟨U+200B⟩</span>b'
    """
    return Markup("").join(_spelled(run) if run.title else escape(run.shown) for run in _runs(text))


def spanned(text: str, start: int = 0) -> Markup:
    """``plain``, each run inside an element that says where it begins, in code points of the original.

    >>> str(spanned("a\\x1b[1mb"))
    '<span data-start="0">a</span><span data-start="5">b</span>'
    """
    out: list[Markup] = []
    for run in _runs(text):
        at = start + run.start
        if run.title:
            out.append(
                Markup('<span data-start="{}" data-end="{}">{}</span>').format(at, at + 1, _spelled(run))
            )
        else:
            out.append(Markup('<span data-start="{}">{}</span>').format(at, run.shown))
    return Markup("").join(out)


def terminal(text: str) -> str:
    """The text for a terminal: commands gone, what hides spelled out. To rich it is Text, never markup.

    >>> terminal("\\x1b]0;owned\\x07[red]a\\u202e")
    '[red]a⟨U+202E⟩'
    """
    return visible(_COMMANDS.sub("", text))


class Sentence(NamedTuple):
    """A span of a text that can be picked as one, in code points."""

    start: int
    end: int
    text: str


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text, each line's end ending one; white space around them is left out.

    >>> [s.text for s in sentences("One. Two, 3.5!\\n\\nFour")]
    ['One.', 'Two, 3.5!', 'Four']
    """
    found: list[Sentence] = []
    start = 0
    # A full stop inside a word or a number ends nothing: the pieces are joined until white space follows.
    for match in _SENTENCE.finditer(text):
        end = match.end()
        ends = end == len(text) or text[end].isspace() or text[end - 1 : end] in ("\n", "。", "！", "？")
        if not ends:
            continue
        said = text[start:end]
        if stripped := said.strip():
            first = start + len(said) - len(said.lstrip())
            found.append(Sentence(first, first + len(stripped), stripped))
        start = end
    return found


def changes(before: str, after: str) -> Markup:
    """What becomes of a text: ``del`` and ``ins`` among what stays; long texts line by line."""
    old, new = _pieces(before), _pieces(after)
    if len(old) + len(new) > _MOST_WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    out: list[Markup] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            out.append(plain("".join(old[a:b])))
            continue
        if b > a:
            out.append(Markup("<del>{}</del>").format(plain("".join(old[a:b]))))
        if d > c:
            out.append(Markup("<ins>{}</ins>").format(plain("".join(new[c:d]))))
    return Markup("").join(out)


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s+|\w+\s*|[^\w\s]\s*", text)


def _runs(text: str) -> Iterator[_Run]:
    """The text in runs that are shown as they are, and single characters that are spelled out."""
    at = 0
    for match in _COMMANDS.finditer(text):
        yield from _visible_runs(text, at, match.start())
        at = match.end()
    yield from _visible_runs(text, at, len(text))


def _visible_runs(text: str, start: int, end: int) -> Iterator[_Run]:
    at = start
    for match in _BEYOND_ASCII.finditer(text, start, end):
        # ``visible`` writes a character as itself or as ⟨U+…⟩, so its output is read beside the original.
        foreign, shown, read = match.group(), visible(match.group()), 0
        for i, character in enumerate(foreign):
            if shown.startswith(character, read):
                read += 1
                continue
            place = match.start() + i
            if at < place:
                yield _Run(at, text[at:place])
            spelled = shown[read : shown.index("⟩", read) + 1]
            yield _Run(place, spelled, f"{_name(character)}, {spelled[1:-1]}")
            read, at = read + len(spelled), place + 1
    if at < end:
        yield _Run(at, text[at:end])


def _name(character: str) -> str:
    return unicodedata.name(character, "control character").lower()


def _spelled(run: _Run) -> Markup:
    return Markup('<span class="unseen" title="{}">{}</span>').format(run.title, run.shown)


# Markdown

_TAGS = frozenset(
    {"blockquote", "code", "em", "hr", "li", "ol", "p", "pre", "s", "strong"}
    | {"table", "tbody", "td", "th", "thead", "tr", "ul"}
)
# No rule for HTML, links, images or references: these stay the characters they are.
_BLOCKS = ["blockquote", "code", "fence", "heading", "hr", "lheading", "list", "paragraph", "table"]
_INLINES = ["backticks", "emphasis", "entity", "escape", "newline", "strikethrough"]


def marked(text: str) -> Markup:
    """The text as Markdown, of the tags of a closed list; what is no such Markdown stands as it was written.

    A heading is a paragraph of a class, for the outline of a page is not the answer's to change.

    >>> str(marked("**a** [b](javascript:c)"))
    '<p><strong>a</strong> [b](javascript:c)</p>'
    """
    from markdown_it import MarkdownIt

    bare = _COMMANDS.sub("", text)
    tokens: list[Token] = []
    if len(bare) <= _LONGEST_MARKED:
        reader = MarkdownIt("zero", {"html": False, "maxNesting": _DEEPEST}).enable(_BLOCKS + _INLINES)
        tokens = reader.parse(bare)
    if _whole(bare, tokens):
        return Markup("").join(_drawn(tokens))
    return Markup('<p class="kept">{}</p>').format(plain(text))


def _whole(text: str, tokens: Sequence[Token]) -> bool:
    """Whether Markdown of these tokens shows all of the text. It drops what is nested deeper than it reads,
    and the cells of a row beyond those of its head; nobody is to judge an answer of which they see a part."""
    lines, columns = text.split("\n"), 0
    for token in tokens:
        if token.level >= _DEEPEST - 1:
            return False
        if token.type in ("th_open", "table_open"):
            columns = columns + 1 if token.type == "th_open" else 0
        if token.type == "tr_open" and token.level and token.map and columns:
            row = lines[token.map[0]].strip().removeprefix("|").removesuffix("|")
            if row.count("|") >= columns:
                return False
    return bool(tokens) or not text.strip()


def _drawn(tokens: Sequence[Token]) -> Iterator[Markup]:
    for token in tokens:
        match token.type:
            case "inline":
                yield from _drawn(token.children or [])
            case "softbreak" | "hardbreak":
                yield Markup("<br>")
            case "fence" | "code_block":
                # What is written beside the opening of a block is text too, and is not to hide there.
                info = f"{token.info.strip()}\n" if token.info.strip() else ""
                yield Markup("<pre>{}</pre>").format(plain(info + token.content))
            case "code_inline":
                yield Markup("<code>{}</code>").format(plain(token.content))
            case _ if token.nesting == 0 and token.tag != "hr":
                yield plain(token.content)
            case _:
                yield _tag(token)


def _tag(token: Token) -> Markup:
    """An opening, closing or empty tag of the list; nothing of what the text says goes into it."""
    kind: Literal["heading", "tag"] = "heading" if token.type.startswith("heading") else "tag"
    name = "p" if kind == "heading" else token.tag
    if name not in _TAGS or token.hidden:
        return Markup("")
    if token.nesting < 0:
        return Markup(f"</{name}>")  # noqa: S704 - a name of the list
    extra = ' class="heading"' if kind == "heading" else _start(token.attrs)
    return Markup(f"<{name}{extra}>")  # noqa: S704 - a name of the list, and what _start made


def _start(attrs: Mapping[str, str | int | float]) -> str:
    """The first number of a list, the only attribute that is kept."""
    start = attrs.get("start")
    return f' start="{start}"' if isinstance(start, int) and 0 <= start < 10**9 else ""
