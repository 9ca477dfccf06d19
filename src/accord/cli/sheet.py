"""A question on a terminal: what the page of a rater shows, drawn with rich, or as bare lines.

All that others wrote goes through ``showing.terminal``: a terminal obeys none of it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from accord.cli.typed import points_in
from accord.records import Instrument
from accord.reports.words import counted
from accord.web.asked import Asked, Turn
from accord.web.seat import Far
from accord.web.showing import changes, sentences, terminal
from accord.web.sitting import LETTERS
from accord.web.verdicts import SKIPS, levels_of, scores_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from accord.stores.people import Project

__all__ = [
    "HELP",
    "Sheet",
    "draw",
    "draw_changes",
    "draw_instructions",
    "draw_reasons",
    "picks_of",
    "said_so_far",
    "say",
]

_TAG = re.compile(r"<[^>]*>")
_SIDE_BY_SIDE = 100  # columns; two answers beside each other are hard to read on less
_LONG = 20_000  # characters; longer texts are written as they come, for boxes around them take too long
_ALWAYS = "s skip · u undo · i instructions · why TEXT · sure 80 · r again · ? help · q quit"
HELP = """\
  s          skip this question, and say why; it costs you nothing
  u          take your last answer back, and answer it again
  i          the instructions, and worked examples
  why TEXT   say why, beside your answer
  sure 80    how sure you are, in per cent
  v          show a text that may distress
  r          show the question again
  q          stop; what you have begun is kept for the next time"""


class Sheet(NamedTuple):
    """A question as it is to be drawn. ``open``: a distressing text was asked for."""

    asked: Asked
    order: tuple[str, ...]
    far: Far
    open: bool = False


def say(console: Console, text: str, style: str = "") -> None:
    """A line of ours, with what others wrote in it made inert."""
    console.print(_inert(text, style), soft_wrap=_as_it_comes(console, text))


def _as_it_comes(console: Console, text: str) -> bool:
    """Whether lines are left as they are: where nobody looks at them, or breaking them takes too long."""
    return not console.is_terminal or len(text) > _LONG


def draw(console: Console, sheet: Sheet, fields: Mapping[str, Sequence[str]]) -> None:
    """The whole question, and what may be typed."""
    asked = sheet.asked
    console.print()
    say(console, f"{sheet.far.done} of {sheet.far.total}", "dim")
    say(console, asked.line, "bold")
    if asked.more:
        say(console, asked.more)
    if asked.hindsight:
        say(
            console,
            "You judged this before. Since then it became known what followed; judge again.",
            "yellow",
        )
    for one in asked.question.instrument.principles:
        say(console, f"- {one}")
    if asked.covered and not sheet.open:
        say(console, "This text may distress you. v shows it; you may always skip.", "yellow")
    else:
        _turns(console, asked.shared)
        if asked.evidence:
            console.print()
            say(console, "What followed:" if asked.hindsight else "Also known:", "bold yellow")
            _turns(console, asked.evidence)
        _answers(console, asked)
    console.print()
    for line in said_so_far(sheet, fields):
        say(console, line, "green")
    say(console, _ways(sheet))
    say(console, _ALWAYS, "dim")


def _inert(text: str, style: str = "") -> Text:
    from rich.text import Text as Inert

    return Inert(terminal(text), style=style)


def _bare(markup: str) -> str:
    """What a page shows of its own markup: every < of a text is written otherwise there."""
    return html.unescape(_TAG.sub("", markup))


def _turns(console: Console, turns: Sequence[Turn]) -> None:
    for turn in turns:
        console.print()
        if turn.who:
            say(console, turn.who, "bold cyan")
        say(console, turn.raw)


def _answers(console: Console, asked: Asked) -> None:
    if asked.task == "demonstrate":
        return
    several = len(asked.answers) > 1
    titles = [f"Answer {one.letter}" if several else "The answer" for one in asked.answers]
    texts = [_numbered(one.raw) if asked.task == "critique" else one.raw for one in asked.answers]
    texts = [text or "(an empty answer)" for text in texts]
    for one, title in zip(asked.answers, titles, strict=True):
        if one.before:
            say(console, f"Before {title.lower()}:", "dim")
            _turns(console, one.before)
    boxed = console.is_terminal and not console.is_dumb_terminal and max(map(len, texts)) <= _LONG
    if not boxed:
        for title, text in zip(titles, texts, strict=True):
            console.print()
            say(console, title, "bold")
            say(console, text)
        return
    from rich.panel import Panel
    from rich.table import Table

    panels = [Panel(_inert(text), title=title) for title, text in zip(titles, texts, strict=True)]
    if len(panels) == 2 and console.width >= _SIDE_BY_SIDE:
        both = Table.grid(expand=True)
        both.add_column(ratio=1)
        both.add_column(ratio=1)
        both.add_row(*panels)
        panels = [both]
    for panel in panels:
        console.print(panel)


def picks_of(asked: Asked) -> list[str]:
    """The passages that can be picked by a number, as fields of the form have them."""
    return [
        f"{one.letter}:{sentence.start}-{sentence.end}"
        for one in asked.answers
        for sentence in sentences(one.raw)
    ]


def _numbered(text: str) -> str:
    """An answer with the numbers of its sentences before them.

    >>> _numbered("One. Two.")
    '[1] One. [2] Two.'
    """
    out, at = "", 0
    for number, sentence in enumerate(sentences(text), 1):
        out += f"{text[at : sentence.start]}[{number}] {sentence.text}"
        at = sentence.end
    return out + text[at:]


def said_so_far(sheet: Sheet, fields: Mapping[str, Sequence[str]]) -> list[str]:
    """What stands in the draft of an answer, in words."""

    def value(name: str) -> str:
        return next(iter(fields.get(name, ())), "")

    picks = picks_of(sheet.asked)
    lines: list[str] = []
    for i in points_in(fields):
        where = value(f"point-{i}-where")
        sentence = f"sentence {picks.index(where) + 1}" if where in picks else where or "the whole answer"
        tag = f" #{value(f'point-{i}-tag')}" if value(f"point-{i}-tag") else ""
        told = f"severity {value(f'point-{i}-severity')}{tag}: {value(f'point-{i}-text')}"
        lines.append(f"point {i + 1}, {sentence}, {told}")
    if value("text").strip():
        lines.append(f"your text so far: {counted(len(value('text').split()), 'word')}")
    if value("rationale"):
        lines.append(f"why: {value('rationale')}")
    if value("confidence"):
        lines.append(f"sure: {value('confidence')} %")
    return lines


def _ways(sheet: Sheet) -> str:
    """What may be typed as an answer to this question."""
    question, instrument = sheet.asked.question, sheet.asked.question.instrument
    match sheet.asked.task:
        case "pair":
            ways = ["1 A is better", "2 B is better"]
            ways += ["0 tie"] if "tie" in instrument.allows else []
            ways += ["9 both bad"] if "acceptability" in instrument.allows else []
            strong = "; by how much: 1 1 slightly, 1 2 clearly, 1 3 much"
            return " · ".join(ways) + (strong if "strength" in instrument.allows else "")
        case "ranking":
            tie = ", = for one place" if "tie" in instrument.allows else ""
            good = "; which are good enough: … good b c" if "acceptability" in instrument.allows else ""
            return f"the letters, best first: b > a > c{tie}{good}"
        case "grade":
            low, high, _ = levels_of(question)
            titles = ", ".join(score.title for score in scores_of(question, sheet.order))
            return f"{titles}: {low:g} is the worst, {high:g} the best"
        case "label":
            options = " · ".join(f"{i} {option}" for i, option in enumerate(instrument.options, 1))
            dimensions = (
                f" (for each of: {', '.join(instrument.dimensions)})" if instrument.dimensions else ""
            )
            return f"{options}{dimensions}"
        case "critique":
            tags = " · ".join(f"#{i} {tag}" for i, tag in enumerate(instrument.options, 1))
            how = "SENTENCE SEVERITY WORDS adds a point: 3 2 it is wrong; - 4 … is about the whole answer"
            tagged = f"\n{tags}: 3 2 #1 it is wrong" if tags else ""
            return f"{how}{tagged}\nx 2 takes point 2 out · none: nothing is wrong · . sends the points"
        case "correct":
            return "e writes the answer as it should be · . sends it, once you have seen what changes"
        case "demonstrate":
            return "e writes your answer · . sends it"


def draw_changes(console: Console, before: str, after: str) -> None:
    """What becomes of a text: [-taken out-], {+put in+}."""
    from rich.text import Text as Inert

    shown, style = Inert(), ""
    ways = {"<del>": ("[-", "red strike"), "<ins>": ("{+", "green underline")}
    ends = {"</del>": "-]", "</ins>": "+}"}
    for piece in re.split(r"(</?(?:del|ins)>)", str(changes(before, after))):
        if piece in ways:
            opened, style = ways[piece]
            shown.append(opened, style)
        elif piece in ends:
            shown.append(ends[piece], style)
            style = ""
        else:
            shown.append_text(_inert(_bare(piece), style))
    say(console, "What changes:", "bold")
    console.print(shown, soft_wrap=_as_it_comes(console, after))


def draw_instructions(console: Console, project: Project, instrument: Instrument | None) -> None:
    """What raters are told, and worked examples."""
    say(console, project.title, "bold")
    if project.instructions:
        say(console, project.instructions)
    if instrument is None:
        return
    if instrument.wording:
        say(console, f"What is asked: {instrument.wording}")
    for one in instrument.principles:
        say(console, f"- {one}")
    for number, example in enumerate(instrument.examples, 1):
        say(console, f"Example {number}", "bold")
        say(console, f"Person: {example.prompt}")
        for letter, text in zip(LETTERS, example.responses, strict=False):
            say(console, f"Answer{f' {letter}' if len(example.responses) > 1 else ''}: {text}")
        say(console, f"Verdict: {example.verdict}")
        if example.why:
            say(console, f"Why: {example.why}")


def draw_reasons(console: Console) -> None:
    """Why a question may be skipped."""
    say(console, "Skipping costs you nothing. Why?")
    for number, title in enumerate(SKIPS.values(), 1):
        say(console, f"  {number} {title}")
