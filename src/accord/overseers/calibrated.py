"""Calibrated: what the inner overseer gives to an answer, made what labels say it is worth (isotonic).

    p → g(p),   g never falling, fitted to ``labelled``, g(1 − p) = 1 − g(p)        (``maths.isotonic``)

``labelled`` is a file of JSON lines, ``{"p": 0.8, "right": true}``: what the inner overseer gave to an answer
when it compared two, and whether that was the better one (or a number from 0 to 1: the share of people who
said so). Ask it in both orders, as it will be asked: a leaning is then in the labels too.

1. It keeps order weakly, and whoever was chosen stays chosen or is tied. Accuracy cannot rise by it.
2. Labels of another overseer, of another prompt or of other weights say nothing of this one; the file is part
   of the hash, and that it fits is for whoever writes it to see to.
3. Of two answers only: what of more than two is left to spread no label of two says. A verdict that is a rank
   is p = 1, and becomes what such a verdict is worth.
4. A confidence is what it now gives to the answer it chose.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, Self, cast

import numpy as np
from pydantic import model_validator

from accord.errors import PlanError, Unreadable
from accord.maths.isotonic import Calibrating, fitted
from accord.overseers import Inner, Made, rows_in, shares
from accord.part import Part
from accord.ports import Desk
from accord.problems import problem
from accord.records import JSON, Judgment, Kind, Question, Spread, digest

__all__ = ["LEAST", "Calibrated", "Label", "labels_in"]

LEAST = 50  # labels: fewer fit a curve to chance
_ROW = '{"p": 0 to 1, "right": true, false, or 0 to 1}'


class Label(NamedTuple):
    """What was given to an answer, and whether it was the better one."""

    p: float
    right: float


def labels_in(file: str) -> list[Label]:
    """The labels of a file. Unreadable names the line that is none."""
    found: list[Label] = []
    for number, line, row in rows_in(file, "labelled", _ROW):
        p, right = row.get("p"), row.get("right")
        if isinstance(p, bool) or not _share(p) or not _share(right):
            raise Unreadable(file, _ROW, line[:80], number)
        found.append(Label(float(cast(float, p)), float(cast(float, right))))
    return found


def _share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


class Calibrated(Made, Part):
    """The inner overseer's probabilities, as true as ``labelled`` shows them to be."""

    inner: Inner
    labelled: str

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if Kind.COMPARE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that compares answers")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    @cached_property
    def labels(self) -> list[Label]:
        """PlanError where there are too few."""
        found = labels_in(self.labelled)
        if len(found) < LEAST:
            allowed = f"{LEAST} labels or more: fewer fit a curve to chance"
            raise PlanError("labelled", self.labelled, allowed, f"it has {len(found)}")
        return found

    @cached_property
    def worth(self) -> Calibrating:
        """What a probability of the inner overseer is worth."""
        p_I, right_I = np.array(self.labels).T
        return fitted(p_I, right_I)

    @cached_property
    def config(self) -> str:
        """The inner overseer and what the file says, wherever it lies."""
        rows: list[JSON] = [[label.p, label.right] for label in self.labels]
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        return digest({"class": kind, "inner": self.inner.config, "labels": rows})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if len(question.responses) != 2:
            raise ValueError(f"it is calibrated on two answers, not on {len(question.responses)}")
        said = await desk.ask(self.inner, question)
        first, second = sorted(question.responses)  # turned round, the same to the last bit
        p = shares(question, said)
        if p is None or first == second:
            return self.taken_over(question, said)
        worth = self.worth(p[first])
        told = {"verdict": Spread(p={first: worth, second: 1 - worth}), "confidence": max(worth, 1 - worth)}
        note = f"p {p[first]:.4g} of {first[:8]} is worth {worth:.4g}"
        return self.taken_over(question, said, note).model_copy(update=told)
