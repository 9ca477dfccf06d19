"""What a rater types in a terminal, as the fields of the page's form (``web/verdicts.py``). Pure.

One line is one answer, by the keys that the pages have:

- pair: ``1``, ``2``, ``0`` (a tie), ``9`` (both bad); where strength is asked for, ``1 3``
- ranking: ``b > a = c``, or ``b a=c``; behind ``good`` those that are good enough: ``b a c good b``
- grade: a number for each score, ``7`` or ``7 3``; label: the number of an option for each dimension
- critique: ``3 2 it is wrong`` is a point about sentence 3, severity 2; ``- 4 no answer`` one about the
  whole; ``3 2 #1 it is wrong`` tags the passage with the first tag; ``none`` where there is nothing to say
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from accord.errors import PlanError
from accord.records import Question
from accord.web.sitting import task_of
from accord.web.verdicts import SKIPS, scores_of

__all__ = ["CHOICES", "fields_typed", "point_typed", "points_in", "reason_typed"]

CHOICES = {"1": "A", "2": "B", "0": "tie", "9": "bad"}
_TIERS = re.compile(r"[A-Z](?:=[A-Z])*")
_POINT = re.compile(r"(-|[0-9]{1,4})\s+([1-4])(?:\s+#([0-9]{1,3}))?(?:\s+(.*))?")
_PLACE = re.compile(r"point-([0-9]{1,3})-[a-z]+")
_PARTS = ("where", "severity", "tag", "text")

Fields = dict[str, list[str]]


def fields_typed(question: Question, order: Sequence[str], line: str) -> Fields:
    """The verdict in a line, where a line holds one. PlanError where it does not read as any.

    >>> from accord.records import Kind
    >>> pair = Question(asks=Kind.COMPARE, prompt="p", responses=("x", "y"))
    >>> fields_typed(pair, ("y", "x"), "2")
    {'choice': ['B']}
    """
    words = line.split()
    match task_of(question):
        case "pair":
            return _pair(words)
        case "ranking":
            return _ranking(line)
        case "grade":
            names = [score.field for score in scores_of(question, order)]
            titles = [score.title for score in scores_of(question, order)]
            return _each(words, names, f"a number for each of: {', '.join(titles)}")
        case "label":
            dimensions = question.instrument.dimensions or ("",)
            options = len(question.instrument.options)
            if any(not _within(word, options) for word in words):
                raise PlanError("label", line, f"numbers of options, 1 to {options}")
            names = [f"option-{i}" for i in range(len(dimensions))]
            places = [str(int(word) - 1) for word in words]
            return _each(places, names, f"the number of an option for each of: {', '.join(dimensions)}")
        case "critique" if line.strip().lower() == "none":
            return {"none": ["1"]}
        case _:
            raise PlanError("line", line, "one of the commands; ? lists them")


def _within(word: str, most: int) -> bool:
    return word.isascii() and word.isdigit() and 1 <= int(word) <= most


def _pair(words: Sequence[str]) -> Fields:
    choice = CHOICES.get(words[0]) if words else None
    if choice is None or len(words) > 2:
        raise PlanError("choice", " ".join(words) or None, "1 for A, 2 for B, 0 for a tie, 9 for both bad")
    return {"choice": [choice], **({"strength": [words[1]]} if len(words) == 2 else {})}


def _ranking(line: str) -> Fields:
    """
    >>> _ranking("b a=c good b")
    {'order': ['B>A=C'], 'good': ['B']}
    """
    said, _, good = line.partition("good")
    letters = "".join(said.upper().split())
    tiers = _TIERS.findall(letters)
    if not tiers or _TIERS.sub("", letters).strip(">"):
        raise PlanError("order", line, "letters, the best first, as b > a = c")
    fields = {"order": [">".join(tiers)]}
    names = ["none" if word == "none" else word.upper() for word in good.replace(",", " ").split()]
    return {**fields, "good": names} if names else fields


def _each(words: Sequence[str], names: Sequence[str], allowed: str) -> Fields:
    if len(words) != len(names):
        raise PlanError(names[0], " ".join(words) or None, allowed)
    return {name: [word] for name, word in zip(names, words, strict=True)}


# Points of a critique


def points_in(fields: Mapping[str, Sequence[str]]) -> list[int]:
    """The numbers of the points that a form holds."""
    found = {int(m[1]) for name, texts in fields.items() if any(texts) and (m := _PLACE.fullmatch(name))}
    return sorted(found)


def point_typed(
    question: Question, picks: Sequence[str], fields: Mapping[str, Sequence[str]], line: str
) -> Fields:
    """One more point, as fields under the next number. ``picks``: the passages of the sentences, in order."""
    match = _POINT.fullmatch(line.strip())
    if match is None:
        raise PlanError("point", line, "SENTENCE SEVERITY WORDS, as 3 2 it is wrong; - is the whole answer")
    place, severity, tag, text = match.groups(default="")
    if place != "-" and not _within(place, len(picks)):
        raise PlanError("point", line, f"sentences 1 to {len(picks)}, or - for the whole answer")
    tags = question.instrument.options
    if tag and not _within(tag, len(tags)):
        raise PlanError("point", line, f"tags #1 to #{len(tags)}" if tags else "no tag: there are none here")
    said = ("" if place == "-" else picks[int(place) - 1], severity, tags[int(tag) - 1] if tag else "", text)
    number = max(points_in(fields), default=-1) + 1
    return {
        f"point-{number}-{name}": [value] for name, value in zip(_PARTS, said, strict=True) if value.strip()
    }


def reason_typed(text: str) -> str:
    """A reason to skip, by its number or its name. PlanError where it is none.

    >>> reason_typed("1"), reason_typed("not my field")
    ('unclear', 'not_my_field')
    """
    names = list(SKIPS)
    word = text.strip().lower().replace(" ", "_")
    if _within(word, len(names)):
        return names[int(word) - 1]
    if word not in names:
        raise PlanError("reason", text, f"1 to {len(names)}, or one of {', '.join(names)}")
    return word
