"""Drift: where a reward would push a trait of answers, told from the base alone (2602.01002).

Among the policies π ∝ π₀·e^{λr} the mean of a trait moves by λ·Cov(trait, r) to first order, and KL(π‖π₀) is
½·λ²·Var r. So at a planned KL, with both moments taken within prompts,

    drift = √(2·KL) · mean_x Cov_x(trait, r) / √(mean_x Var_x r)

Its sign is that of the covariance, whatever the KL. Beside it stands the whole tilt of a method whose optimum
is π₀·e^{r/β}: mean_x Cov_x(trait, e^{r/β}) / E_x e^{r/β}, which is E_π trait − E_π₀ trait.

1. A prompt gives moments where two of its answers were judged and have the trait; others are left out.
2. The tilt is self-normalised over the answers there are: with few of them it is drawn to 0.
3. Intervals resample prompts, covariances and variances together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from accord.maths.intervals import Interval
from accord.records.rows import Floats

__all__ = ["Moments", "drift", "moments", "tilt"]

_NOTHING = 1e-18  # of the largest variance: below it is rounding


class Moments(NamedTuple):
    """Of each prompt the covariance of trait and reward among its answers, and the reward's variance."""

    cov_P: Floats
    var_P: Floats


def moments(trait_P: Sequence[Floats], reward_P: Sequence[Floats]) -> Moments:
    """Unbiased (n − 1) moments of every prompt with two answers or more; NaN marks what is unknown.

    Traits 0, 1 with rewards 0, 2: Cov = .5·1 + .5·1 = 1 and Var r = 2.

    >>> found = moments([np.array([0.0, 1.0, np.nan])], [np.array([0.0, 2.0, 9.0])])
    >>> found.cov_P.tolist(), found.var_P.tolist()
    ([1.0], [2.0])
    """
    cov: list[float] = []
    var: list[float] = []
    for trait_G, reward_G in zip(trait_P, reward_P, strict=True):
        known = np.isfinite(trait_G) & np.isfinite(reward_G)
        if known.sum() < 2:
            continue
        t, r = trait_G[known] - trait_G[known].mean(), reward_G[known] - reward_G[known].mean()
        cov.append(float(t @ r) / (t.size - 1))
        var.append(float(r @ r) / (t.size - 1))
    return Moments(np.array(cov), np.array(var))


def drift(found: Moments, kl: float, rng: np.random.Generator, draws: int = 2000) -> Interval | str:
    """The first-order drift at ``kl`` nats with its 95 % interval over prompts; in words why there is none.

    Twice the prompt above, at 2 nats: √4 · 1/√2 = √2, in every resample.

    >>> again = Moments(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    >>> print("%.4f %.4f %.4f" % drift(again, 2.0, np.random.default_rng(0)))
    1.4142 1.4142 1.4142
    """
    if kl <= 0:
        raise ValueError(f"a KL of {kl}: expected more than 0 nats")
    prompts = found.cov_P.size
    if prompts < 2:
        return f"{prompts} prompts have two answers that were judged and can be read; an interval needs 2"
    if not found.var_P.max() > _NOTHING:
        return "the reward does not tell answers to one prompt apart"
    index = rng.integers(prompts, size=(draws, prompts))
    cov, var = found.cov_P[index].mean(axis=1), found.var_P[index].mean(axis=1)
    value = _at(float(found.cov_P.mean()), float(found.var_P.mean()), kl)
    if (var <= _NOTHING).any():  # so few prompts tell answers apart that a resample may hold none of them
        return Interval(value, -math.inf, math.inf)
    low, high = np.quantile(math.sqrt(2 * kl) * cov / np.sqrt(var), [0.025, 0.975])
    return Interval(value, float(low), float(high))


def tilt(trait_P: Sequence[Floats], reward_P: Sequence[Floats], beta: float) -> float:
    """The mean over prompts of Cov(trait, e^{r/β}) / E e^{r/β}.

    Traits 0, 1 with rewards 0, ln 3 and β = 1: weights 1, 3, so the mean goes from ½ to ¾.

    >>> round(tilt([np.array([0.0, 1.0])], [np.array([0.0, np.log(3.0)])], 1.0), 12)
    0.25
    """
    moved: list[float] = []
    for trait_G, reward_G in zip(trait_P, reward_P, strict=True):
        known = np.isfinite(trait_G) & np.isfinite(reward_G)
        if known.sum() < 2:
            continue
        weight_G = np.exp((reward_G[known] - reward_G[known].max()) / beta)
        moved.append(float(weight_G @ trait_G[known] / weight_G.sum() - trait_G[known].mean()))
    if not moved:
        raise ValueError("no prompt has two answers that were judged and can be read")
    return float(np.mean(moved))


def _at(cov: float, var: float, kl: float) -> float:
    return math.sqrt(2 * kl) * cov / math.sqrt(var)
