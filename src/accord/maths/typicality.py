"""Typicality α: how far a preference goes by what the base would have said anyway (2510.01171, section 3).

    r(x, y) = quality(x, y) + α · log π₀(y|x) + γ · length + …

Where α > 0, answers of equal quality are preferred for being likely, and the optimum of a KL-regularised
method is π ∝ π₀^{1 + α/β} · e^{quality/β}: a sharper π₀, whatever the quality says. What that does to
diversity is read off the base's own answers, drawn anew with weights π₀ᵗ, t = α/β.

Deliberate differences from the paper:

1. Length, and quality where a gold figure is known, stand in the regression beside Δlog π₀, and pairs are
   matched by whoever calls; the paper matches by correctness alone.
2. Intervals resample prompts, not pairs.
3. t goes no further than the planned KL(π₀ᵗ⁺¹‖π₀). Of G answers that KL is at most ln G, so where the plan
   allows more the largest t is bounded by α/β alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from accord.maths.diversity import ead
from accord.maths.intervals import Interval, ratio_of_sums
from accord.records.rows import Floats

__all__ = ["by_choice", "by_score", "fall", "reach", "sharpened", "spent"]

_ROUNDS = 60
_CLOSE = 1e-9
_KNOWN = 1e-6
_LARGEST = 30.0  # in standard deviations of a column: larger, and the pairs are separated
_SHARPEST = 1e3  # nats of a difference in log π₀ count a thousandfold: only the likeliest is left
_DRAWS = 4  # groups drawn anew of each prompt


def by_choice(
    delta_RC: Floats, p_R: Floats, prompt_R: Sequence[str], rng: np.random.Generator, draws: int = 400
) -> Interval | str:
    """α of pairs: logistic regression of the share that prefers the first on the columns' differences.

    Column 0 is Δlog π₀, the others what is held equal. One pair to a prompt, Δ = 1, three quarters of whose
    raters prefer the first: σ(α) = ¾, so α = ln 3.

    >>> found = by_choice(np.ones((4, 1)), np.full(4, 0.75), list("abcd"), np.random.default_rng(0))
    >>> print("%.4f %.4f" % (found.value, found.low))
    1.0986 1.0986
    """
    groups = list(dict.fromkeys(prompt_R))
    if delta_RC.shape[0] != p_R.size or len(prompt_R) != p_R.size:
        raise ValueError(f"{delta_RC.shape} differences, {p_R.size} shares, {len(prompt_R)} prompts")
    if len(groups) < 2:
        return f"pairs of {len(groups)} prompts; an interval needs 2"
    scale_C = delta_RC.std(axis=0) + np.abs(delta_RC.mean(axis=0))
    if not scale_C[0] > 0:
        return "the answers of every pair are as likely as each other"
    used = scale_C > 0
    x_RC = delta_RC[:, used] / scale_C[used]
    place = {name: i for i, name in enumerate(groups)}
    at_R = np.array([place[name] for name in prompt_R])
    count_DP = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=draws)
    weight_BR = np.vstack([np.ones((1, at_R.size)), count_DP[:, at_R].astype(np.float64)])
    beta_B = _logistic(x_RC, p_R, weight_BR) / scale_C[0]
    if math.isnan(beta_B[0]):
        return "the pairs are separated: no finite α fits them"
    return _interval(beta_B)


def by_score(
    score_P: Sequence[Floats], columns_P: Sequence[Floats], rng: np.random.Generator, draws: int = 2000
) -> Interval | str:
    """α of scored answers: least squares within prompts of the score on the columns, ``(G, C)`` each.

    Column 0 is log π₀. Two prompts, log π₀ = 0, −1, −2 and scores 4, 3, 2 and 9, 8, 7: one per nat.

    >>> logp = np.array([[0.0], [-1.0], [-2.0]])
    >>> found = by_score([logp[:, 0] + 4, logp[:, 0] + 9], [logp, logp], np.random.default_rng(0))
    >>> print("%.4f %.4f %.4f" % found)
    1.0000 1.0000 1.0000
    """
    centred = [_centred(s, c) for s, c in zip(score_P, columns_P, strict=True)]
    known = [one for one in centred if one is not None]
    if len(known) < 2:
        return (
            f"{len(known)} prompts have two answers with a score and log-probabilities; an interval needs 2"
        )
    spread_C = np.linalg.norm(np.vstack([x_GC for _, x_GC in known]), axis=0)
    if not spread_C[0] > 0:
        return "the answers to every prompt are as likely as each other"
    used = spread_C > 0
    # Columns in their own unit: nats and tokens lie orders of magnitude apart.
    x_P = [x_GC[:, used] / spread_C[used] for _, x_GC in known]
    cross_PX = np.array([(x.T @ x).ravel() for x in x_P])
    right_PC = np.array([x.T @ y_G for x, (y_G, _) in zip(x_P, known, strict=True)])
    count_DP = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), size=draws)
    weight_BP = np.vstack([np.ones((1, len(known))), count_DP]).astype(np.float64)
    found_B = _solved(weight_BP @ cross_PX, weight_BP @ right_PC)
    if math.isnan(found_B[0]):
        return "length and likelihood say the same of these answers: they cannot be told apart"
    return _interval(found_B / spread_C[0])


def sharpened(logp_G: Floats, t: float) -> Floats:
    """The weights π₀ᵗ of answers drawn from π₀, summing to 1.

    >>> sharpened(np.log([0.2, 0.1]), 1.0).round(6).tolist()
    [0.666667, 0.333333]
    """
    weight_G = np.exp(min(t, _SHARPEST) * (logp_G - logp_G.max()))
    return weight_G / weight_G.sum()


def spent(logp_P: Sequence[Floats], t: float) -> float:
    """KL(π ∝ π₀^{1+t} ‖ π₀) in nats, the mean over prompts: Σ w·ln(w·G) over the G answers of each.

    Two answers with weights ⅔ and ⅓: ⅔·ln 4/3 + ⅓·ln 2/3.

    >>> round(spent([np.log([0.2, 0.1])], 1.0), 6)
    0.056633
    """
    found: list[float] = []
    for logp_G in logp_P:
        weight_G = sharpened(logp_G, t)
        told_G = weight_G[weight_G > 0]
        found.append(float(told_G @ np.log(told_G * logp_G.size)))
    return float(np.mean(found))


def reach(logp_P: Sequence[Floats], most: float, kl: float) -> float:
    """The largest t ≤ ``most`` that spends ``kl`` nats at the most.

    >>> reach([np.log([0.2, 0.1])], 1.0, 3.0), round(reach([np.log([0.2, 0.1])], 9.0, 0.056633), 3)
    (1.0, 1.0)
    """
    if most <= 0 or spent(logp_P, most) <= kl:
        return max(0.0, min(most, _SHARPEST))
    low, high = 0.0, min(most, _SHARPEST)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(logp_P, middle) <= kl else (low, middle)
    return low


def fall(
    tokens_P: Sequence[Sequence[Sequence[str]]], logp_P: Sequence[Floats], t: float, rng: np.random.Generator
) -> Interval:
    """The share of EAD that is lost where a group is drawn anew with weights π₀ᵗ instead of evenly.

    Both draws are with replacement and by the same numbers, so at t = 0 nothing is lost. One prompt of two
    answers drawn until only the likelier is left, "a b" twice instead of a mixture, loses; answers that are
    all the same lose nothing.

    >>> same = [[["a", "b"]] * 4] * 2
    >>> fall(same, [np.arange(4.0)] * 2, 5.0, np.random.default_rng(0)).value
    0.0
    """
    sharp_P, even_P = np.zeros(len(tokens_P)), np.zeros(len(tokens_P))
    for place, (tokens_G, logp_G) in enumerate(zip(tokens_P, logp_P, strict=True)):
        size = logp_G.size
        chance_DG = rng.random((_DRAWS, size))
        weight_G = sharpened(logp_G, t)
        for chance_G in chance_DG:
            even_P[place] += _drawn(tokens_G, np.full(size, 1 / size), chance_G)
            sharp_P[place] += _drawn(tokens_G, weight_G, chance_G)
    left = ratio_of_sums(sharp_P, even_P, rng)
    return Interval(1 - left.value, 1 - left.high, 1 - left.low)


def _drawn(tokens_G: Sequence[Sequence[str]], weight_G: Floats, chance_G: Floats) -> float:
    edge_G: Floats = np.cumsum(weight_G)
    passed_GG = chance_G[:, None] * edge_G[-1] >= edge_G
    places = cast("list[int]", passed_GG.sum(axis=1).tolist())
    return ead([tokens_G[min(place, len(tokens_G) - 1)] for place in places])


def _centred(score_G: Floats, column_GC: Floats) -> tuple[Floats, Floats] | None:
    """Score and columns less their means over the answers that have both; None for fewer than two."""
    known = np.isfinite(score_G) & np.isfinite(column_GC).all(axis=1)
    if known.sum() < 2:
        return None
    y_G, x_GC = score_G[known], column_GC[known]
    return y_G - y_G.mean(), x_GC - x_GC.mean(axis=0)


def _inverse(a_BCC: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Pseudo-inverses, and where they tell the first coefficient apart from the others. Those may well be
    each other's multiples, as a length in words and one in tokens are."""
    found_BCC = np.asarray(np.linalg.pinv(a_BCC, rcond=_CLOSE, hermitian=True), dtype=np.float64)
    return found_BCC, (found_BCC @ a_BCC)[:, 0, 0] > 1 - _KNOWN


def _solved(cross_BX: Floats, right_BC: Floats) -> Floats:
    """The first coefficient of each resample, NaN where it cannot be told."""
    size = right_BC.shape[1]
    inverse_BCC, known_B = _inverse(cross_BX.reshape(-1, size, size))
    return np.where(known_B, (inverse_BCC @ right_BC[..., None])[:, 0, 0], np.nan)


def _logistic(x_RC: Floats, p_R: Floats, weight_BR: Floats) -> Floats:
    """The first coefficient of each weighting, by Newton's method; NaN where it runs away."""
    size = x_RC.shape[1]
    square_RX = (x_RC[:, :, None] * x_RC[:, None, :]).reshape(len(x_RC), -1)
    beta_BC = np.zeros((len(weight_BR), size))
    lost_B = np.zeros(len(weight_BR), dtype=np.bool_)
    for _ in range(_ROUNDS):
        said_BR = 1 / (1 + np.exp(-np.clip(beta_BC @ x_RC.T, -500, 500)))
        slope_BC = (weight_BR * (p_R - said_BR)) @ x_RC
        bend_BCC = ((weight_BR * said_BR * (1 - said_BR)) @ square_RX).reshape(-1, size, size)
        inverse_BCC, known_B = _inverse(bend_BCC)
        lost_B |= ~known_B | (np.abs(beta_BC) > _LARGEST).any(axis=1)
        if lost_B.all():
            break
        step_BC = np.where(lost_B[:, None], 0.0, (inverse_BCC @ slope_BC[..., None])[..., 0])
        # Steps of more than a unit overshoot where the curve is flat.
        beta_BC += np.clip(step_BC, -1, 1)
        if np.abs(step_BC).max() < _CLOSE:
            break
    return np.where(lost_B, np.nan, beta_BC[:, 0])


def _interval(found_B: Floats) -> Interval:
    """The first is of the data, the rest of resamples; one without a value tells nothing of the ends."""
    if np.isnan(found_B).any():
        return Interval(float(found_B[0]), -math.inf, math.inf)
    low, high = np.quantile(found_B[1:], [0.025, 0.975])
    return Interval(float(found_B[0]), float(low), float(high))
