"""Asking: does the base do what the values want as soon as it is told to? Then nothing need be pushed.

Every principle that a program checks is put before the prompts of its sealed audit half as an instruction,
π₀(·|c), and the share of answers that keep it is held against its target, slice by slice. Three answers: it
reaches the target in every slice, it falls short of it in one, or these prompts decide neither.

1. Principles that a person or a model judges are not asked here; they are listed.
2. A share in which every prompt agrees has the exact binomial interval of its prompts, no bootstrap of none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from accord.asks.each import Each
from accord.feedback import Asking as Asked
from accord.gating.grounds import SCORE, Grounds, Lacking
from accord.gating.report import Figure, Finding
from accord.indicators.compatibility import instructed
from accord.maths.intervals import Interval, clopper_pearson, cluster_mean
from accord.ports import Overseer
from accord.records.rows import Floats, Group
from accord.sources import seeded
from accord.values import Principle, Slice, Values

__all__ = ["CHECK", "asking", "share"]

CHECK = "asking"
_ANSWERS, _TOKENS = 4, 128


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
    figures: list[Figure] = []
    for principle in values.principles:
        if values.program(principle.id) is None or principle.target is None:
            why = "no program checks it" if values.program(principle.id) is None else "it has no target"
            figures.append(Figure(principle.id, None, note=f"not asked: {why}"))
            continue
        for one in values.slices(principle.id):
            try:
                figures.append(_figure(grounds, values, principle, one))
            except Lacking as lack:
                figures.append(
                    Figure(f"{principle.id}, {one.name}", None, None, None, principle.target, lack.why)
                )
    return _judged(grounds, figures)


def share(kept_P: Sequence[Floats], *seed: str) -> Interval:
    """The mean with its interval over prompts; the exact binomial one where all answers agree.

    >>> share([np.array([1.0]), np.array([1.0])], "x").low > 0.15
    True
    """
    found = float(np.concatenate(list(kept_P)).mean())
    if found in (0.0, 1.0) or len(kept_P) < 2:
        return clopper_pearson(found * len(kept_P), len(kept_P))
    return cluster_mean(kept_P, seeded("gate", CHECK, *seed))


def _judged(grounds: Grounds, figures: Sequence[Figure]) -> Finding:
    known = [one for one in figures if one.value is not None]
    unread = [one for one in figures if one.value is None and one.limit is not None]
    if not known:
        says = "no principle has a program and a target, so nobody can say whether asking reaches it"
        return Finding(CHECK, "not measurable", says, figures=tuple(figures), remedy=_persons())
    short = [one for one in known if (one.high or 0.0) < (one.limit or 0.0)]
    if short:
        says = f"asking falls short of {', '.join(one.name for one in short)}"
        return Finding(CHECK, "passed", says, figures=tuple(figures))
    if not unread and all((one.low or 0.0) >= (one.limit or 0.0) for one in known):
        says = "asking already reaches every target: there is nothing to push for"
        remedy = ("ask for it: put the principles into the system message", *_persons())
        return Finding(CHECK, "refused", says, figures=tuple(figures), remedy=remedy)
    says = "these prompts do not decide whether asking reaches the targets"
    more = f"{grounds.wishes.command} --prompts {_largest(grounds)}"
    enough = grounds.wishes.extent.prompts >= _largest(grounds)
    supply = "more prompts in the slices of the values" if enough else more
    return Finding(CHECK, "not measurable", says, figures=tuple(figures), remedy=(supply, *_persons()))


def _largest(grounds: Grounds) -> int:
    """The prompts of the largest slice's audit half."""
    values = grounds.wishes.values
    assert values is not None
    return max(len(one.audit) for p in values.principles for one in values.slices(p.id))


def _persons() -> tuple[str, ...]:
    return ("values whose principles say more of what you want: --values FILE.toml",)


def _figure(grounds: Grounds, values: Values, principle: Principle, one: Slice) -> Figure:
    name = f"{principle.id}, {one.name}"
    cases = one.audit[: grounds.wishes.extent.prompts]
    told = values.instruction(principle.id)
    prompts = [instructed(case.prompt, told) for case in cases]
    # A stage that draws short answers would cut off what asking could do.
    how = grounds.how._replace(max_tokens=max(_TOKENS, grounds.how.max_tokens))
    groups = grounds.answered(prompts, f"asked for {name}", _ANSWERS, how)
    kept_P = _kept(grounds, values, principle, groups)
    if len(kept_P) < 2:
        raise Lacking(f"{len(kept_P)} prompts have a verdict")
    found = share(kept_P, principle.id, one.name)
    return Figure(name, found.value, found.low, found.high, principle.target)


def _kept(grounds: Grounds, values: Values, principle: Principle, groups: Sequence[Group]) -> list[Floats]:
    """For each prompt which of its answers keep the principle; those nobody judged are left out."""
    program = values.program(principle.id)
    assert program is not None
    asked = Asked(Each(column=SCORE, collapse="distribution"), cast(Overseer, program))
    said = grounds.put(asked, groups)
    shares = [np.array([said[r.id] for r in group.responses if r.id in said]) for group in groups]
    return [kept_G for kept_G in shares if kept_G.size]
