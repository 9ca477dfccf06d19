"""Asks: what is asked about which answers, and how verdicts become numbers (layer 2).

``each.py`` is the example to follow. Here, beside this map, stands what asks share: how a question is made
(``asked``, ``compared``), which rows grades and votes make (``graded``, ``by_answer``, ``rated``), how groups
of raters are counted apart (``Apart``). Adding up votes is ``accord.maths.votes``. Not here: who answers
(``accord.overseers``) or what is done with the numbers (``accord.methods``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, PrivateAttr

from accord.errors import PlanError
from accord.maths.votes import Vote, counted, grade_of, log_ratings
from accord.records import Instrument, Judgment, Kind, Question
from accord.records.rows import Columns, Floats, Group

__all__ = [
    "Allows",
    "Apart",
    "Strength",
    "asked",
    "by_answer",
    "cast",
    "compared",
    "comparing",
    "graded",
    "one_grade",
    "rated",
]

Allows = tuple[Literal["tie", "strength", "acceptability", "abstention"], ...]
Strength = Literal["bt_margin"] | None


def asked(
    kind: Kind, prompt: str, answers: tuple[str, ...], instrument: Instrument, beside: tuple[str, ...] = ()
) -> Question:
    """A question about answers to a prompt, with what is shown beside them as evidence."""
    return Question(
        asks=kind,
        prompt=prompt,
        responses=answers,
        instrument=instrument,
        evidence=beside,
        parents=(prompt, *answers, *beside),
    )


def compared(wording: str, allows: Allows, strength: Strength) -> Instrument:
    """The instrument of a comparison; where strength counts it may be given."""
    needed: Allows = ("strength",) if strength is not None and "strength" not in allows else ()
    return Instrument(wording=wording, allows=(*allows, *needed))


def one_grade(grades: Sequence[float], collapse: str, q: float) -> float:
    """Several grades of one answer as one: the median (``majority``), the q-quantile, else the mean. NaN of
    none.

    >>> [one_grade([0.0, 0.0, 3.0], way, 0.75) for way in ("distribution", "majority", "quantile")]
    [1.0, 0.0, 1.5]
    """
    if not grades:
        return math.nan
    match collapse:
        case "majority":
            return float(np.median(grades))
        case "quantile":
            return float(np.quantile(grades, q))
        case _:
            return math.fsum(grades) / len(grades)  # rounded once, so their order cannot show


def graded(
    column: str,
    questions: Sequence[Question],
    judgments: Sequence[Judgment],
    number: Callable[[Sequence[float]], float],
) -> Columns:
    """A row per question: what ``number`` makes of its grades, missing where that is NaN."""
    grades: dict[str, dict[str, float]] = {}
    for judgment in judgments:
        if (grade := grade_of(judgment)) is not None:
            grades.setdefault(judgment.question, {})[judgment.id] = grade
    told = [grades.get(question.id, {}) for question in questions]
    value_R = np.array([number(list(own.values())) for own in told], dtype=np.float64)
    return Columns(
        members=tuple(question.responses for question in questions),
        values={column: value_R},
        missing=np.isnan(value_R),
        parents=tuple(tuple(own) for own in told),
    )


def cast(questions: Iterable[Question], judgments: Iterable[Judgment], strength: Strength) -> list[Vote]:
    """The votes of all judgments of these questions."""
    return counted(questions, judgments, margin=strength == "bt_margin")


def comparing(votes: Iterable[Vote]) -> dict[str, tuple[str, ...]]:
    """For each answer that was voted on the judgments that compared it, each once."""
    found: dict[str, dict[str, None]] = {}
    for vote in votes:
        for answer in (vote.first, vote.second):
            found.setdefault(answer, {})[vote.judgment] = None
    return {answer: tuple(own) for answer, own in found.items()}


def by_answer(
    column: str,
    groups: Sequence[Group],
    score: Mapping[str, float],
    parents: Mapping[str, tuple[str, ...]],
) -> Columns:
    """A row per answer, each answer once; missing where it has no score."""
    answers = list(dict.fromkeys(response.id for group in groups for response in group.responses))
    score_R = np.array([score.get(answer, math.nan) for answer in answers], dtype=np.float64)
    return Columns(
        members=tuple((answer,) for answer in answers),
        values={column: score_R},
        missing=np.isnan(score_R),
        parents=tuple(parents.get(answer, ()) for answer in answers),
    )


def rated(column: str, groups: Sequence[Group], votes: Sequence[Vote]) -> Columns:
    """A row per answer: log π by one fit over all votes. A rating rests on all votes of its prompt, so these
    are its parents."""
    prompts: dict[str, list[str]] = {}
    for group in groups:
        prompts.setdefault(group.prompt.id, []).extend(response.id for response in group.responses)
    own = comparing(votes)
    parents = dict[str, tuple[str, ...]]()
    for answers in prompts.values():
        every = tuple(dict.fromkeys(judgment for answer in answers for judgment in own.get(answer, ())))
        parents |= {answer: every for answer in answers if answer in own}
    return by_answer(column, groups, log_ratings(prompts.values(), votes), parents)


class Apart(BaseModel):
    """What every ask has that can count groups of raters apart: the port ``Grouped``."""

    _groups: Mapping[str, str] = PrivateAttr(default_factory=dict[str, str])

    @property
    def lacks_groups(self) -> bool:
        return getattr(self, "collapse", None) == "per_group" and not self._groups

    def grouped(self, groups: Mapping[str, str]) -> Self:
        ready = self.model_copy()
        ready._groups = dict(groups)
        return ready

    def apart(self, judgments: Sequence[Judgment], table: Callable[[Sequence[Judgment]], Columns]) -> Columns:
        """The tables of the groups one after another, in the order of their names; ``group`` says which.

        A row that a group said nothing of is missing. PlanError where nobody is in any group.
        """
        names = tuple(sorted(set(self._groups.values())))
        if not names:
            advice = "nobody told of a group of raters, which is what raters said of themselves and agreed to"
            raise PlanError("ask.collapse", "per_group", "a way that counts all votes alike", advice)
        own = {name: [j for j in judgments if self._groups.get(j.by.name) == name] for name in names}
        return _below({name: table(said) for name, said in own.items()})


def _below(tables: Mapping[str, Columns]) -> Columns:
    """Tables of groups below one another; a column that only some of them have is unknown in the others."""
    parts = list(tables.values())
    columns = list(dict.fromkeys(name for part in parts for name in part.values))

    def values_of(name: str) -> Floats:
        unknown = [part.values.get(name, np.full(len(part.members), math.nan)) for part in parts]
        return np.concatenate(unknown)

    code_R = [np.full(len(part.members), float(code)) for code, part in enumerate(parts)]
    return Columns(
        members=tuple(members for part in parts for members in part.members),
        values={name: values_of(name) for name in columns} | {"group": np.concatenate(code_R)},
        missing=np.concatenate([part.missing for part in parts]),
        parents=tuple(parents for part in parts for parents in part.parents),
        groups=tuple(tables),
    )
