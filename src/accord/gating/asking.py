"""Asking: does the base do what the values want as soon as it is told to? Then nothing need be pushed.

Every principle that a program checks is put before the prompts of its sealed audit half as an instruction,
π₀(·|c), and the share of answers that keep it is held against its target, slice by slice. Three answers: it
reaches the target in every slice, it falls short of it in one, or these prompts decide neither.

1. Principles that a person or a model judges are not asked here; they are listed.
2. The prompt is the unit: an interval is that of ``maths.bounded``, which no bootstrap of prompts that all
   agree, or all but one, would reach. An answer nobody could judge counts as a violation at its low end and
   as kept at its high one; under a hard principle as a violation at both.
3. One slice that falls short is enough, so each of K is held to a level of 1 − .05/K: of slices that all
   reach their targets one falls short by chance in 2.5 % of gates at most. To refuse takes them all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np

from accord.asks.each import Each
from accord.feedback import Asking as Asked
from accord.gating.grounds import SCORE, Grounds, Lacking
from accord.gating.report import Figure, Finding
from accord.indicators.compatibility import instructed
from accord.maths.bounded import bounded_mean
from accord.maths.intervals import Interval
from accord.ports import Overseer
from accord.records.rows import Floats, Group
from accord.sources import seeded
from accord.values import Principle, Slice, Values

__all__ = ["CHECK", "asking", "share"]

CHECK = "asking"
_ANSWERS, _TOKENS = 4, 128
_DRAWS = 5000  # of an interval at 95 %


class _Slice(NamedTuple):
    """A slice and its share when asked; ``short``: shown to be below the target, among all slices."""

    figure: Figure
    short: bool

    @property
    def reached(self) -> bool:
        """Whether it is shown to be at the target."""
        return (self.figure.low or 0.0) >= (self.figure.limit or 0.0)


def asking(grounds: Grounds) -> Finding:
    """The share of answers that keep each principle when it is asked for."""
    values = grounds.wishes.values
    if values is None:
        return Finding(
            CHECK,
            "not measurable",
            "no values were given, so there is nothing to ask for",
            remedy=(f"{grounds.wishes.command} --values hhh",),
        )
    asked = [p for p in values.principles if values.program(p.id) is not None and p.target is not None]
    slices = [(principle, one) for principle in asked for one in values.slices(principle.id)]
    found: list[_Slice] = []
    for principle, one in slices:
        try:
            found.append(_slice(grounds, principle, one, 1 - 0.05 / len(slices)))
        except Lacking as lack:
            name = f"{principle.id}, {one.name}"
            found.append(_Slice(Figure(name, None, None, None, principle.target, lack.why), False))
    beside: list[Figure] = []
    for principle in (one for one in values.principles if one not in asked):
        why = "no program checks it" if values.program(principle.id) is None else "it has no target"
        beside.append(Figure(principle.id, None, note=f"not asked: {why}"))
    return _judged(grounds, found, beside)


def share(verdicts_P: Sequence[Floats], level: float, *seed: str) -> Interval:
    """The mean over prompts of the share of answers that keep it, with its interval; NaN: nobody could say.

    >>> found = share([np.array([1.0, np.nan]), np.array([1.0, 1.0])], 0.95, "x")
    >>> found.value, found.low < 0.16, found.high
    (1.0, True, 1.0)
    """
    judged = [x[np.isfinite(x)].mean() for x in verdicts_P if np.isfinite(x).any()]
    low_P, high_P = (np.array([np.nan_to_num(x, nan=end).mean() for x in verdicts_P]) for end in (0.0, 1.0))
    draws = math.ceil(_DRAWS * max(1.0, 0.05 / (1 - level)))
    low, high = (
        bounded_mean(x_P, seeded("gate", CHECK, *seed), draws=draws, level=level) for x_P in (low_P, high_P)
    )
    return Interval(float(np.mean(judged)), low.low, high.high)


def _judged(grounds: Grounds, found: Sequence[_Slice], beside: Sequence[Figure]) -> Finding:
    figures = (*(one.figure for one in found), *beside)
    known = [one for one in found if one.figure.value is not None]
    if not known:
        says = "no principle has a program and a target, so nobody can say whether asking reaches it"
        if found:
            says = "no answer was judged, so nobody can say whether asking reaches a target"
        return Finding(CHECK, "not measurable", says, figures=figures, remedy=_persons())
    if short := [one.figure.name for one in known if one.short]:
        return Finding(CHECK, "passed", f"asking falls short of {', '.join(short)}", figures=figures)
    if len(known) == len(found) and all(one.reached for one in known):
        says = "asking already reaches every target: there is nothing to push for"
        remedy = ("ask for it: put the principles into the system message", *_persons())
        return Finding(CHECK, "refused", says, figures=figures, remedy=remedy)
    says = "these prompts do not decide whether asking reaches the targets"
    more = f"{grounds.wishes.command} --prompts {_largest(grounds)}"
    enough = grounds.wishes.extent.prompts >= _largest(grounds)
    supply = "more prompts in the slices of the values" if enough else more
    return Finding(CHECK, "not measurable", says, figures=figures, remedy=(supply, *_persons()))


def _largest(grounds: Grounds) -> int:
    """The prompts of the largest slice's audit half."""
    values = grounds.wishes.values
    assert values is not None
    return max(len(one.audit) for p in values.principles for one in values.slices(p.id))


def _persons() -> tuple[str, ...]:
    return ("values whose principles say more of what you want: --values FILE.toml",)


def _slice(grounds: Grounds, principle: Principle, one: Slice, level: float) -> _Slice:
    """What asking comes to in one slice. Lacking where fewer than two of its prompts have a verdict."""
    name, target = f"{principle.id}, {one.name}", principle.target
    values = grounds.wishes.values
    assert values is not None and target is not None
    told = values.instruction(principle.id)
    prompts = [instructed(case.prompt, told) for case in one.audit[: grounds.wishes.extent.prompts]]
    # A stage that draws short answers would cut off what asking could do.
    how = grounds.how._replace(max_tokens=max(_TOKENS, grounds.how.max_tokens))
    groups = grounds.answered(prompts, f"asked for {name}", _ANSWERS, how)
    verdicts_P = _verdicts(grounds, values, principle, groups)
    judged = sum(bool(np.isfinite(x).any()) for x in verdicts_P)
    if judged < 2:
        raise Lacking(f"{judged} prompts have a verdict")
    shown = share(verdicts_P, 0.95, principle.id, one.name)
    strict = share(verdicts_P, level, principle.id, one.name)
    return _Slice(Figure(name, *shown, target, f"{len(prompts)} prompts"), strict.high < target)


def _verdicts(
    grounds: Grounds, values: Values, principle: Principle, groups: Sequence[Group]
) -> list[Floats]:
    """Of each prompt which answers keep the principle; NaN where its check cannot tell, unless it is hard."""
    program = values.program(principle.id)
    asked = Asked(Each(column=SCORE, collapse="distribution"), cast(Overseer, program))
    said, unknown = grounds.put(asked, groups), 0.0 if principle.hard else np.nan
    return [np.array([said.get(r.id, unknown) for r in group.responses]) for group in groups]
