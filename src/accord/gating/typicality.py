"""Typicality: is an answer preferred for being likely, and what would that leave of diversity (2510.01171)?

α is regressed from the comparisons that the stage learns from, or that its reward model learnt from, with
length held equal; where there are none, from what the stage rewards of the base's own answers, with gold held
equal where it is known. Then the base's answers are drawn anew with weights π₀ᵗ, t ≤ α/β as far as the
planned KL goes, and the fall of EAD is held against the guard's tolerance for diversity.

1. Pairs are matched by length: the longer at most ``RATIO`` times the shorter, what is left is regressed.
   Where nothing says how good an answer is, quality is not held equal, and the finding says so.
2. Refused on the lower bounds of both: the fall at the lower bound of α, and that fall's own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from accord.errors import Unsayable
from accord.gating.covariance import beta_of
from accord.gating.data import comparisons
from accord.gating.grounds import Grounds, Lacking
from accord.gating.report import Figure, Finding
from accord.indicators import score
from accord.maths.diversity import words
from accord.maths.intervals import Interval
from accord.maths.overuse import GOLD
from accord.maths.typicality import by_choice, by_score, fall, reach
from accord.records.rows import Floats, Group, Text
from accord.reports.tolerances import rules_of
from accord.rules import Fell
from accord.sources import seeded
from accord.stores.foreign.prompts import DataRow

__all__ = ["CHECK", "PAIRS", "RATIO", "typicality"]

CHECK = "typicality"
PAIRS = 1000  # comparisons that are read at most
RATIO = 1.25
_TOLERATED = 0.5  # of diversity, where the stage's rules do not say


class _Found(NamedTuple):
    """α, and what was held equal."""

    alpha: Interval
    held: str


def typicality(grounds: Grounds) -> Finding:
    """α, and the fall of diversity that it would bring by itself."""
    stage = grounds.stage.name
    try:
        groups = _answers(grounds)
        logp_P = _likelihoods(grounds, groups)
        found = _alpha(grounds, groups, logp_P)
    except Lacking as lack:
        return Finding(CHECK, "not measurable", lack.why, stage, remedy=lack.remedy)
    alpha, beta, kl = found.alpha, beta_of(grounds), grounds.stage.guard.planned_kl
    shown = Figure("α", alpha.value, alpha.low, alpha.high, None, f"per nat of log π₀; {found.held}")
    tokens_P = [[words(r.text) for r in group.responses] for group in groups]

    def falls(at: float) -> tuple[float, Interval]:
        most = max(0.0, at) / beta if beta else (math.inf if at > 0 else 0.0)
        t = reach(logp_P, most, kl)
        return t, fall(tokens_P, logp_P, t, seeded("gate", CHECK, "fall"))

    t, likely = falls(alpha.value)
    _, least = falls(alpha.low if math.isfinite(alpha.low) else 0.0)
    limit = _tolerated(grounds)
    lost = Figure("fall of EAD", likely.value, likely.low, likely.high, limit, f"at π₀^{1 + t:.3g}")
    figures = (shown, lost)
    if least.low > limit:
        says = f"at the least α by itself would cost {least.low:.0%} of diversity; tolerated {limit:.0%}"
        stronger = f"{grounds.wishes.command} --set {grounds.path}.method.beta={2 * (beta or 0.05):g}"
        remedy = (stronger, "compare answers that are as likely as each other to the base")
        return Finding(CHECK, "refused", says, stage, figures, remedy)
    if too_few := grounds.too_few:
        wanted = f"{grounds.wishes.command} --prompts 200 --answers 16"
        return Finding(CHECK, "not measurable", too_few, stage, figures, (wanted,))
    says = f"α by itself is not shown to cost more than {limit:.0%} of diversity"
    return Finding(CHECK, "passed" if likely.high <= limit else "printed only", says, stage, figures)


def _answers(grounds: Grounds) -> list[Group]:
    if "logp" not in grounds.base.can:
        raise Lacking("the base gives no log-probabilities", "a base that tells them, as one on this machine")
    if len(grounds.prompts) < 2:
        raise Lacking(f"the source has {len(grounds.prompts)} prompts", "a source with more prompts")
    return grounds.answered(grounds.prompts, "answers to the stage’s prompts")


def _likelihoods(grounds: Grounds, groups: list[Group]) -> list[Floats]:
    """log π₀ of every answer, by prompt."""
    said = [Text(group.prompt, r) for group in groups for r in group.responses]
    tokens_S = grounds.worker.run(score(grounds.base, said, "logp")).tokens_S
    sums = np.array([float(tokens_T.sum()) for tokens_T in tokens_S])
    ends = np.cumsum([len(group.responses) for group in groups])[:-1]
    return np.split(sums, ends)


def _alpha(grounds: Grounds, groups: list[Group], logp_P: list[Floats]) -> _Found:
    rows = [row for one in comparisons(grounds) for row in one.rows]
    if rows:
        return _of_pairs(grounds, rows)
    rewards = grounds.judged(groups)
    gold = _gold(grounds, groups)
    paid = [np.array([rewards.get(r.id, np.nan) for r in g.responses]) for g in groups]
    columns: list[Floats] = []
    for group, logp_G in zip(groups, logp_P, strict=True):
        own = [logp_G, np.array([float(len(r.tokens)) for r in group.responses])]
        own += [] if gold is None else [np.array([gold.get(r.id, np.nan) for r in group.responses])]
        columns.append(np.stack(own, axis=1))
    held = "length held equal, quality not" if gold is None else "length and gold held equal"
    found = by_score(paid, columns, seeded("gate", CHECK))
    if isinstance(found, str):
        raise Lacking(found, "a reward that tells answers to one prompt apart")
    return _Found(found, f"of scored answers, {held}")


def _gold(grounds: Grounds, groups: list[Group]) -> dict[str, float] | None:
    """What is known of how good the answers are."""
    try:
        return grounds.judged(groups, GOLD)
    except Lacking:
        return None


def _of_pairs(grounds: Grounds, rows: list[DataRow]) -> _Found:
    """α of comparisons whose answers are of like length."""
    alike = [row for row in rows if _alike(*row.answers)]
    order = seeded("gate", CHECK, "pairs").permutation(len(alike))[:PAIRS]
    chosen = [alike[int(i)] for i in order]
    grounds.progress.say(f"the base reads {len(chosen):,} comparisons of answers of like length")
    kept: list[DataRow] = []
    texts: list[Text] = []
    for row in chosen:
        try:
            both = [Text(row.prompt, grounds.base.encode(row.prompt, answer)) for answer in row.answers]
        except Unsayable:
            continue
        kept.append(row)
        texts += both
    if len({row.prompt.id for row in kept}) < 2:
        why = f"{len(kept)} of {len(rows):,} comparisons are of answers of like length"
        raise Lacking(why, "comparisons of answers of like length")
    tokens_S = grounds.worker.run(score(grounds.base, texts, "logp")).tokens_S
    logp = np.array([float(tokens_T.sum()) for tokens_T in tokens_S]).reshape(-1, 2)
    size = np.array([float(tokens_T.size) for tokens_T in tokens_S]).reshape(-1, 2)
    delta_RC = np.stack([logp[:, 0] - logp[:, 1], size[:, 0] - size[:, 1]], axis=1)
    p_R = np.array([row.columns.get("p", 1.0) for row in kept])
    found = by_choice(delta_RC, p_R, [row.prompt.id for row in kept], seeded("gate", CHECK))
    if isinstance(found, str):
        raise Lacking(found, "more comparisons")
    return _Found(found, f"of {len(kept):,} comparisons, length held equal, quality not")


def _alike(first: str, second: str) -> bool:
    one, other = len(words(first)), len(words(second))
    return min(one, other) > 0 and max(one, other) <= RATIO * min(one, other)


def _tolerated(grounds: Grounds) -> float:
    """The share of diversity that the stage's rules let go."""
    rules = [one.rule for one in rules_of(grounds.plan, grounds.stage)]
    found = [rule.by for rule in rules if isinstance(rule, Fell) and rule.indicator == "diversity"]
    return min(found, default=_TOLERATED)
