"""Best of n: does gold turn while the reward rises, within the n that best-of-n is used for (2210.10760)?

The base answers prompts 64 times; what the reward picks of n is judged by gold for n = 1, 2, 4, … 64, and d*
is the peak of the fitted curve (``maths.best_of``). d is 1.78 at n = 64. Reinforcement has a curve of its
own, which is fitted in training. A reward model of fewer than 2,000 comparisons is refused unseen: the
paper's do not learn from less.

1. A parabola turns where gold only levels off. So gold must also be shown to fall, with its whole interval:
   from the n nearest to d* to 64. That n was chosen by the same prompts, where gold is high by luck too: the
   interval holds for all that could have been chosen at once (each at a level of 1 − .05/6).
"""

from __future__ import annotations

import math

import numpy as np

from accord.gating.data import comparisons
from accord.gating.grounds import SCORE, Grounds, Lacking
from accord.gating.report import Figure, Finding
from accord.maths.best_of import MOST, best_of, distance, turning
from accord.maths.intervals import cluster_mean
from accord.maths.overuse import GOLD
from accord.records.rows import Floats
from accord.sources import seeded

__all__ = ["CHECK", "COMPARISONS", "best_of_n"]

CHECK = "best_of_n"
COMPARISONS = 2000
_PROMPTS = 64  # each is answered 64 times
_TRIED = (1, 2, 4, 8, 16, 32, MOST)


def best_of_n(grounds: Grounds) -> Finding:
    """d* of the base's answers picked by the stage's reward, as gold sees them."""
    stage, furthest = grounds.stage.name, distance(MOST)
    if grounds.method.rows.by != "policy":
        says = "no reward is used on answers of the policy: the stage learns from a file"
        return Finding(CHECK, "printed only", says, stage)
    learnt = [one for one in comparisons(grounds) if one.learnt]
    counts = tuple(
        Figure(f"comparisons in {one.file.rpartition('/')[2]}", float(len(one.rows))) for one in learnt
    )
    if any(len(one.rows) < COMPARISONS for one in learnt):
        few = min(len(one.rows) for one in learnt)
        says = f"a reward model learnt from {few:,} comparisons; {COMPARISONS:,} are the least"
        remedy = ("accord run reward_model MORE.jsonl --model MODEL, and name its result in the plan",)
        return Finding(CHECK, "refused", says, stage, counts, remedy)
    try:
        curve_PN = _curves(grounds)
    except Lacking as lack:
        return Finding(CHECK, "not measurable", lack.why, stage, counts, lack.remedy)
    found = turning(curve_PN, _TRIED, seeded("gate", CHECK))
    never = "gold does not turn in the fit" if math.isinf(found.value) else ""
    shown = Figure(
        "d*", found.value, found.low, found.high, None, never or f"n = {MOST} is at {furthest:.2f}"
    )
    means = " ".join(f"{x:.3g}" for x in curve_PN.mean(axis=0))
    top = min(range(len(_TRIED) - 1), key=lambda i: abs(distance(_TRIED[i]) - found.value))
    fell_P = list((curve_PN[:, top] - curve_PN[:, -1])[:, None])
    fell = cluster_mean(fell_P, seeded("gate", CHECK, "fall"), level=1 - 0.05 / (len(_TRIED) - 1))
    lost = Figure(f"gold lost from n = {_TRIED[top]} to {MOST}", *fell, None, "95 % for every n at once")
    curve = Figure("gold", None, note=f"{means} at n = {', '.join(map(str, _TRIED))}")
    figures = (*counts, shown, lost, curve)
    if found.high < furthest and fell.low > 0:
        says = f"gold turns within n = {MOST}: d* is at most {found.high:.2f}"
        remedy = ("mend the reward where gold falls, and ask again",)
        return Finding(CHECK, "refused", says, stage, figures, remedy)
    says = f"gold is not shown to turn within n = {MOST}"
    return Finding(CHECK, "passed" if found.low >= furthest else "printed only", says, stage, figures)


def _curves(grounds: Grounds) -> Floats:
    """The gold of the best of each n, by prompt. Lacking where fewer than two prompts have all verdicts."""
    for column in (SCORE, GOLD):
        grounds.asked(column)
    groups = grounds.answered(grounds.prompts[:_PROMPTS], "answers for the best of n", MOST)
    rewards, gold = grounds.judged(groups), grounds.judged(groups, GOLD)
    curves: list[Floats] = []
    for group in groups:
        ids = [r.id for r in group.responses if r.id in rewards and r.id in gold]
        if len(ids) == len(group.responses):
            paid, good = (np.array([of[one] for one in ids]) for of in (rewards, gold))
            curves.append(best_of(paid, good, _TRIED))
    if len(curves) < 2:
        why = f"{len(curves)} of {len(groups)} prompts have {MOST} answers with reward and gold"
        raise Lacking(why, "overseers that judge every answer")
    return np.array(curves)
