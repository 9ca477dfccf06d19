"""A sheet for people: a row per judgment, in words, in cells that no spreadsheet computes.

It is for reading and counting, not for keeping: ``whole`` keeps.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping

from accord.records import (
    Critiqued,
    Graded,
    Judgment,
    Labelled,
    Point,
    Ranked,
    Revised,
    Spread,
    Verdict,
)
from accord.stores.foreign.cells import cell
from accord.stores.foreign.exports.form import annotator_of
from accord.stores.foreign.exports.given import Asked, Export, Given, asked_of, made_of

__all__ = ["HEAD", "sheet"]

HEAD = (
    "question",
    "asks",
    "wording",
    "prompt",
    "answers",
    "annotator",
    "verdict",
    "strength",
    "acceptable",
    "abstention",
    "confidence",
    "rationale",
)


def sheet(given: Given) -> tuple[str, Export]:
    """The CSV, and what it leaves out. Answers are called A, B, C … in the order of the question."""
    lost = Counter[str]()
    used: list[str] = []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(HEAD)
    for asked in asked_of(given, lost):
        letters = {answer: _letter(i) for i, answer in enumerate(asked.question.responses)}
        lost["evidence"] += bool(asked.question.evidence)
        for judgment in asked.judgments:
            lost["marks"] += len(judgment.marks)
            lost["how it was shown, and when"] += bool(judgment.shown or judgment.rendering or judgment.times)
            writer.writerow([cell(one) for one in _cells(asked, judgment, letters)])
            used.append(judgment.id)
    return text.getvalue(), made_of([], lost, used)


def _cells(asked: Asked, judgment: Judgment, letters: Mapping[str, str]) -> list[str]:
    question, verdict = asked.question, judgment.verdict
    ranked = verdict if isinstance(verdict, Ranked) else None
    good = None if ranked is None else ranked.acceptable
    texts = (f"{letters[name]}: {chr(10).join(turns)}" for name, turns in asked.answers.items())
    return [
        question.id,
        question.asks.value,
        question.instrument.wording,
        "\n\n".join(f"{message.role}: {message.content}" for message in asked.prompt.messages),
        "\n\n".join(texts),
        annotator_of(judgment.by),
        "" if verdict is None else _words(verdict, letters),
        "" if ranked is None or ranked.strength is None else _strength(ranked.strength),
        "" if good is None else ", ".join(letters[name] for name in good) or "none",
        judgment.abstention or "",
        "" if judgment.confidence is None else f"{judgment.confidence:g}",
        judgment.rationale,
    ]


def _words(verdict: Verdict, letters: Mapping[str, str]) -> str:
    match verdict:
        case Ranked(tiers=tiers):
            return " > ".join(" = ".join(letters.get(name, name) for name in tier) for tier in tiers)
        case Spread(p=p):
            return ", ".join(f"{letters.get(name, name)} {share:g}" for name, share in p.items())
        case Graded(scores=scores):
            return ", ".join(f"{letters.get(name, name)} {score:g}" for name, score in scores.items())
        case Labelled(tags=tags):
            return ", ".join(tags)
        case Revised(text=text):
            return text
        case Critiqued(points=points):
            return "\n".join(_point(point, letters) for point in points) or "nothing"


def _strength(strength: int) -> str:
    """By how much which of two is better; a sign would look like the beginning of a formula.

    >>> _strength(2), _strength(-3), _strength(0)
    ('A by 2', 'B by 3', '0')
    """
    return f"{'A' if strength > 0 else 'B'} by {abs(strength)}" if strength else "0"


def _point(point: Point, letters: Mapping[str, str]) -> str:
    mark = point.mark
    where = "" if mark is None else f" {letters.get(mark.response, '?')}:{mark.start}-{mark.end}"
    tag = f" {mark.tag}" if mark is not None and mark.tag else ""
    return f"({point.severity}{where}{tag}) {point.text}"


def _letter(place: int) -> str:
    """A to Z, then AA, AB … as a spreadsheet counts its columns.

    >>> _letter(0), _letter(25), _letter(26), _letter(27)
    ('A', 'Z', 'AA', 'AB')
    """
    more, rest = divmod(place, 26)
    return (_letter(more - 1) if more else "") + chr(ord("A") + rest)
