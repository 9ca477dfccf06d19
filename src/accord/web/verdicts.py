"""A form into a Judgment: the one way in which what a person says becomes a record. Pure.

The page, the API and the terminal fill the same fields, which are text, as of an urlencoded form. Answers
are called A, B, C … in the order they were shown, so no form holds an id that could be changed. Whatever
does not fit is refused as a PlanError whose path is the field. Fields, by task (``sitting.task_of``):

- pair: ``choice`` = A, B, tie or bad; ``strength`` = 1 to 3
- ranking: ``order`` = ``B>A=C``; ``good`` = a letter for each good one, or ``none``
- grade: ``score-0`` … in the order of ``scores_of``; label: ``option-0`` … = the place of an option
- critique: ``point-0-text``, ``-severity``, ``-where`` (nothing, or ``A:12-40`` in code points), ``-tag``;
  ``none`` = 1 where there is nothing to say
- correct, demonstrate: ``text``
- all: ``confidence`` in per cent, ``rationale``, ``shown_at``, ``first_after``, ``active``
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from accord.errors import PlanError
from accord.records import (
    Abstention,
    Critiqued,
    Graded,
    Judgment,
    Labelled,
    Mark,
    Point,
    Question,
    Ranked,
    Revised,
    Times,
    Verdict,
)
from accord.web.sitting import LETTERS, Sitting, task_of

__all__ = [
    "SKIPS",
    "Fields",
    "Score",
    "abstention_of",
    "fields_of",
    "judgment_of",
    "levels_of",
    "moved",
    "scores_of",
    "tiers_of",
]

Fields = Mapping[str, Sequence[str]]
SKIPS: Mapping[Abstention, str] = {
    "unclear": "The question is unclear",
    "not_my_field": "I know too little about it",
    "distressing": "It distresses me",
    "conflict": "I have a stake in it",
    "technical": "Something does not work here",
    "other": "Another reason",
}
"""Why a person may skip a question, in the words of the page."""

_SCALE = (1.0, 10.0)  # where an instrument has none, as of a model that judges
_MOST_LEVELS = 11  # beyond that a grade is typed
_MOST_POINTS = 50
_LONGEST = 200_000  # characters of one field
_WHERE = re.compile(r"([A-Z]):([0-9]{1,9})-([0-9]{1,9})")


def fields_of(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The fields of a form by name, in the order they came."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def judgment_of(question: Question, form: Fields, sitting: Sitting) -> Judgment:
    """What a person said. PlanError names the field that does not fit."""
    verdict = _verdict(question, form, sitting)
    confidence = _number(form, "confidence", 0, 100)
    judgment = _judgment(question, form, sitting, verdict=verdict, confidence=confidence)
    lengths = {answer: len(text) for answer, text in sitting.texts.items()}
    if problem := judgment.problem_with(question, lengths):
        path, _, what = problem.partition(": ")
        raise PlanError(path, None, what)
    return judgment


def abstention_of(question: Question, form: Fields, sitting: Sitting) -> Judgment:
    """A question that was skipped, with the ``reason``: one of ``SKIPS``. It is no vote, and no fault."""
    reason = _one(form, "reason")
    if reason not in SKIPS:
        advice = "say why, so that the question can be mended"
        raise PlanError("reason", reason or None, " · ".join(SKIPS), advice)
    return _judgment(question, form, sitting, abstention=cast(Abstention, reason))


def _judgment(
    question: Question,
    form: Fields,
    sitting: Sitting,
    *,
    verdict: Verdict | None = None,
    abstention: Abstention | None = None,
    confidence: float | None = None,
) -> Judgment:
    # The parents are what a desk would set for a person, so the id here is the id in every run.
    return Judgment(
        question=question.id,
        parents=(question.id,),
        by=sitting.by,
        shown=sitting.order,
        verdict=verdict,
        abstention=abstention,
        confidence=None if confidence is None else confidence / 100,
        rationale=_written(form, "rationale"),
        rendering=sitting.rendering,
        times=_times(form, sitting.now),
        consent=sitting.consent,
        salt=sitting.salt,
    )


# Verdicts


def _verdict(question: Question, form: Fields, sitting: Sitting) -> Verdict:
    match task_of(question):
        case "pair":
            return _pair(question, form, sitting.order)
        case "ranking":
            return _ranking(question, form, sitting.order)
        case "grade":
            scores = scores_of(question, sitting.order)
            return Graded(scores={score.name: _score(question, form, score) for score in scores})
        case "label":
            return Labelled(tags=_tags(question, form))
        case "critique":
            return _critique(question, form, sitting.order)
        case "correct" | "demonstrate":
            text = _written(form, "text")
            if not text.strip():
                raise PlanError("text", None, "the text you would give", "skip the question if there is none")
            return Revised(text=text)


def _pair(question: Question, form: Fields, order: Sequence[str]) -> Ranked:
    allows, choice, first = question.instrument.allows, _one(form, "choice"), question.responses[0]
    choices = ["A", "B"]
    choices += ["tie"] if "tie" in allows else []
    choices += ["bad"] if "acceptability" in allows else []
    if choice not in choices:
        raise PlanError("choice", choice or None, ", ".join(choices), "choose the better answer")
    strength = _number(form, "strength", 1, 3)
    if strength is not None and strength != int(strength):
        raise PlanError("strength", strength, "1, 2 or 3")
    if strength is not None and "strength" not in allows:
        raise PlanError("strength", int(strength), "nothing: this question does not ask by how much")
    if choice in ("tie", "bad"):
        if strength is not None:
            raise PlanError("strength", int(strength), "nothing, where neither answer is better")
        told = 0 if choice == "tie" and "strength" in allows else None
        return Ranked(tiers=(tuple(order),), strength=told, acceptable=() if choice == "bad" else None)
    better = order[LETTERS.index(choice)]
    worse = order[1 - LETTERS.index(choice)]
    signed = None if strength is None else int(strength) * (1 if better == first else -1)
    return Ranked(tiers=((better,), (worse,)), strength=signed)


def _ranking(question: Question, form: Fields, order: Sequence[str]) -> Ranked:
    said, letters = _one(form, "order"), LETTERS[: len(order)]
    tiers = [tier.split("=") for tier in said.split(">")]
    if sorted(letter for tier in tiers for letter in tier) != sorted(letters):
        example = ">".join(letters)
        raise PlanError("order", said or None, f"each of {', '.join(letters)} once, best first, as {example}")
    if len(tiers) < len(order) and "tie" not in question.instrument.allows:
        raise PlanError("order", said, "no two in one place: this question allows no tie")
    good = [value for value in form.get("good", ()) if value]
    acceptable: tuple[str, ...] | None = None
    if good:
        if "acceptability" not in question.instrument.allows:
            raise PlanError("good", good, "nothing: this question does not ask which answers are good enough")
        if any(value not in (*letters, "none") for value in good) or ("none" in good and len(good) > 1):
            raise PlanError("good", good, f"some of {', '.join(letters)}, or none alone")
        acceptable = (
            () if good == ["none"] else tuple(order[LETTERS.index(one)] for one in letters if one in good)
        )
    named = tuple(tuple(order[LETTERS.index(letter)] for letter in tier) for tier in tiers)
    return Ranked(tiers=named, acceptable=acceptable)


def tiers_of(order: str, count: int) -> list[list[str]]:
    """The places as an order has them; each answer in its own where it is none of so many answers."""
    tiers, letters = [tier.split("=") for tier in order.split(">")], list(LETTERS[:count])
    return tiers if sorted(one for tier in tiers for one in tier) == letters else [[one] for one in letters]


def moved(order: str, move: str) -> str:
    """An order after one press of a button: ``up:B``, ``down:B``, or ``same:B``, which also undoes itself.

    What shares its place leaves it, up or down; what stands alone changes places with its neighbours. All
    else that is asked for changes nothing.

    >>> moved("A>B>C", "up:C"), moved("A>B>C", "same:B"), moved("A=B>C", "up:B"), moved("A=B>C", "same:B")
    ('A>C>B', 'A=B>C', 'B>A>C', 'A>B>C')
    """
    what, _, letter = move.partition(":")
    tiers = [tier.split("=") for tier in order.split(">")]
    at = next((i for i, tier in enumerate(tiers) if letter in tier), None)
    if at is None:
        return order
    alone = tiers[at] == [letter]
    match what:
        case "same" if alone and at > 0:
            tiers[at - 1 : at + 1] = [[*tiers[at - 1], letter]]
        case "up" | "down" | "same" if not alone:
            rest = [other for other in tiers[at] if other != letter]
            tiers[at : at + 1] = [[letter], rest] if what == "up" else [rest, [letter]]
        case "up" if at > 0:
            tiers[at - 1 : at + 1] = [tiers[at], tiers[at - 1]]
        case "down" if at + 1 < len(tiers):
            tiers[at : at + 2] = [tiers[at + 1], tiers[at]]
        case _:
            pass
    return ">".join("=".join(tier) for tier in tiers)


class Score(NamedTuple):
    """One number of a grade: its field, its name in the verdict, and what the page calls it."""

    field: str
    name: str
    title: str


def scores_of(question: Question, order: Sequence[str]) -> list[Score]:
    """The scores of a grade: one per dimension, and per answer where there are several."""
    dimensions = question.instrument.dimensions or ("score",)
    found: list[Score] = []
    for letter, answer in zip(LETTERS, order, strict=False):
        for dimension in dimensions:
            name, title = dimension, dimension
            if len(order) > 1:
                bare = not question.instrument.dimensions
                name = answer if bare else f"{answer}:{dimension}"
                title = f"Answer {letter}" if bare else f"Answer {letter}: {dimension}"
            found.append(Score(f"score-{len(found)}", name, title))
    return found


def levels_of(question: Question) -> tuple[float, float, tuple[int, ...]]:
    """The ends of the scale, and its whole numbers where these are few enough to choose among."""
    low, high = question.instrument.scale or _SCALE
    whole = low == int(low) and high == int(high) and high - low < _MOST_LEVELS
    return low, high, tuple(range(int(low), int(high) + 1)) if whole else ()


def _score(question: Question, form: Fields, score: Score) -> float:
    low, high, levels = levels_of(question)
    value = _number(form, score.field, low, high)
    if value is None or (levels and value not in levels):
        kind = "a whole number" if levels else "a number"
        raise PlanError(score.field, value, f"{kind} from {low:g} to {high:g} for {score.title}")
    return value


def _tags(question: Question, form: Fields) -> tuple[str, ...]:
    options, dimensions = question.instrument.options, question.instrument.dimensions
    if not options:
        raise PlanError("instrument.options", None, "the labels to choose among", "skip it as technical")
    tags: list[str] = []
    for i, dimension in enumerate(dimensions or ("",)):
        place = _one(form, f"option-{i}")
        if not place.isascii() or not place.isdigit() or int(place) >= len(options):
            raise PlanError(f"option-{i}", place or None, " · ".join(options), "choose one")
        tags.append(f"{dimension}: {options[int(place)]}" if dimension else options[int(place)])
    return tuple(tags)


def _critique(question: Question, form: Fields, order: Sequence[str]) -> Critiqued:
    numbers = sorted({int(m[1]) for name in form if (m := re.fullmatch(r"point-([0-9]{1,3})-[a-z]+", name))})
    points = [point for i in numbers if (point := _point(question, form, order, i)) is not None]
    nothing = _one(form, "none") == "1"
    if nothing and points:
        raise PlanError("none", "1", "ticked only where there is no point", "untick it, or empty the points")
    if not points and not nothing:
        raise PlanError("point-0-text", None, "at least one point, or the tick that there is nothing wrong")
    if len(points) > _MOST_POINTS:
        raise PlanError("point-0-text", len(points), f"at most {_MOST_POINTS} points")
    return Critiqued(points=tuple(points))


def _point(question: Question, form: Fields, order: Sequence[str], i: int) -> Point | None:
    """One point, or None where its fields are empty."""
    text, where, tag = (_written(form, f"point-{i}-{name}").strip() for name in ("text", "where", "tag"))
    severity = _number(form, f"point-{i}-severity", 1, 4)
    if not (text or where or tag or severity):
        return None
    tags = question.instrument.options
    if tag and tag not in tags:
        raise PlanError(f"point-{i}-tag", tag, " · ".join(tags) or "nothing: there are no tags here")
    if not text and not tag:
        raise PlanError(f"point-{i}-text", None, "what is wrong, in words")
    if severity is None or severity != int(severity):
        raise PlanError(f"point-{i}-severity", severity, "1 (hardly matters) to 4 (ruins the answer)")
    mark = None
    if where:
        match = _WHERE.fullmatch(where)
        if match is None or LETTERS.index(match[1]) >= len(order) or int(match[3]) <= int(match[2]):
            raise PlanError(f"point-{i}-where", where, "a passage as A:12-40, or nothing")
        mark = Mark(response=order[LETTERS.index(match[1])], start=int(match[2]), end=int(match[3]), tag=tag)
    elif tag:
        raise PlanError(
            f"point-{i}-where", None, f"the passage that is {tag!r}", "select it, or pick a sentence"
        )
    return Point(mark=mark, severity=int(severity), text=text)


# Fields


def _one(form: Fields, name: str) -> str:
    values = form.get(name, ())
    if len(values) > 1:
        raise PlanError(name, list(values), "one value")
    return values[0] if values else ""


def _written(form: Fields, name: str) -> str:
    """A text as it was written; a browser sends the end of a line as two characters."""
    text = _one(form, name).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > _LONGEST:
        raise PlanError(name, f"{len(text):,} characters", f"at most {_LONGEST:,} characters")
    return text


def _number(form: Fields, name: str, low: float, high: float) -> float | None:
    """A number of the range; None where nothing was said."""
    text = _one(form, name).strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise PlanError(name, text, f"a number from {low:g} to {high:g}")
    return value


def _times(form: Fields, now: float) -> Times:
    """When it was shown by our clock; what the page counted since then, within what can have passed."""
    shown = _number(form, "shown_at", 0, now)
    if shown is None:
        raise PlanError("shown_at", None, "when the page was made, as it says itself")
    passed = now - shown
    first = _number(form, "first_after", 0, math.inf)
    active = _number(form, "active", 0, math.inf) or 0.0
    return Times(
        shown=shown,
        first_input=None if first is None else shown + min(first, passed),
        submitted=now,
        active=min(active, passed),
    )
