"""Probes: linear functions of hidden states that say how true a thing is (axes ``_N`` prompts, ``_D`` width).

    logistic      min Σ log(1 + e^{−s(w·z + b)})/N + λ|w|²/2,   s = ±1,   z = (x − mean)/deviation
    difference    w = mean of the true − mean of the false                                  2310.06824
    contrast      min Σ (p⁺ − (1 − p⁻))² + min(p⁺, p⁻)²,   p = σ(w·z + b)                 CCS, 2212.03827

A probe is fitted to states and labels and gives one number for each state, higher where the label is 1.
Deliberate differences from the papers:

1. What is fitted is centred and scaled column by column first, so a shift of all states changes no probe, and
   for ``logistic`` and ``contrast`` no scale of a column either. A column that never moves is left out.
2. ``contrast`` sees no labels, so it does not know which end is true. One bit is taken from labels
   (``Probe.facing``) of the prompts it was fitted on; 2212.03827 reports the better of both ends instead.
3. The area under the curve is given prompt by prompt (``placements``), for intervals that are paired.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from accord.records.rows import Floats

__all__ = ["Probe", "contrast", "difference", "logistic", "placements", "towards"]

_STILL = 1e-9  # a column whose deviation is under so much of the largest never moves
_STARTS = 5


class Probe(NamedTuple):
    """w·x + b."""

    weight_D: Floats
    bias: float

    def __call__(self, x_ND: Floats) -> Floats:
        """What it says of each state."""
        return x_ND @ self.weight_D + self.bias

    def facing(self, x_ND: Floats, true_N: Floats) -> Probe:
        """The same, or its negative where it says less of the true than of the false.

        >>> Probe(np.array([-2.0]), 1.0).facing(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
        Probe(weight_D=array([2.]), bias=-1.0)
        """
        said_N = self(x_ND)
        if said_N[true_N > 0.5].mean() >= said_N[true_N < 0.5].mean():
            return self
        return Probe(-self.weight_D, -self.bias)


class _Scale(NamedTuple):
    """Columns with mean 0 and deviation 1; what never moves becomes 0."""

    mean_D: Floats
    factor_D: Floats

    @classmethod
    def of(cls, x_ND: Floats) -> _Scale:
        deviation_D = x_ND.std(axis=0)
        moves_D = deviation_D > _STILL * max(float(deviation_D.max()), _STILL)
        return cls(
            x_ND.mean(axis=0), np.divide(1.0, deviation_D, out=np.zeros_like(deviation_D), where=moves_D)
        )

    def __call__(self, x_ND: Floats) -> Floats:
        return (x_ND - self.mean_D) * self.factor_D

    def undone(self, weight_D: Floats, bias: float) -> Probe:
        """The probe of states as they are that says what this one says of scaled ones."""
        plain_D = weight_D * self.factor_D
        return Probe(plain_D, bias - float(plain_D @ self.mean_D))


def logistic(x_ND: Floats, true_N: Floats, strength: float = 0.1) -> Probe:
    """The logistic regression of labels on states, with ``strength`` λ; the bias is free.

    Labels that the states do not tell: no weight, and the bias is the logit of their share, here ln 3.

    >>> probe = logistic(np.zeros((4, 2)), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> probe.weight_D.tolist(), round(probe.bias, 4), round(float(np.log(3)), 4)
    ([0.0, 0.0], 1.0986, 1.0986)
    """
    _both(x_ND, true_N)
    scale = _Scale.of(x_ND)
    z_ND, sign_N = scale(x_ND), np.where(true_N > 0.5, 1.0, -1.0)

    def loss(at: Floats) -> tuple[float, Floats]:
        margin_N = sign_N * (z_ND @ at[:-1] + at[-1])
        pull_N = -sign_N * _sigmoid(-margin_N) / sign_N.size
        value = float(np.logaddexp(0.0, -margin_N).mean()) + strength * float(at[:-1] @ at[:-1]) / 2
        return value, np.append(pull_N @ z_ND + strength * at[:-1], pull_N.sum())

    at = _least(loss, np.zeros(int(x_ND.shape[1]) + 1))
    return scale.undone(at[:-1], float(at[-1]))


def difference(x_ND: Floats, true_N: Floats) -> Probe:
    """Along the difference of the means, 0 half way between them.

    True at (2, 1) on average, false at (0, 1): the direction is (2, 0), the middle (1, 1).

    >>> difference(np.array([[2.0, 0.0], [2.0, 2.0], [0.0, 1.0]]), np.array([1.0, 1.0, 0.0]))
    Probe(weight_D=array([2., 0.]), bias=-2.0)
    """
    _both(x_ND, true_N)
    true_D, false_D = x_ND[true_N > 0.5].mean(axis=0), x_ND[true_N < 0.5].mean(axis=0)
    weight_D = true_D - false_D
    return Probe(weight_D, -float(weight_D @ (true_D + false_D)) / 2)


def contrast(yes_ND: Floats, no_ND: Floats, rng: np.random.Generator, starts: int = _STARTS) -> Probe:
    """The contrast-consistent search over pairs: the same statement called true (``yes``) and false (``no``).

    The probe reads the difference of a pair, yes − no. Each half is centred by itself, so that what the two
    words look like does not answer; the scale is of both. The best of ``starts`` that are drawn; which end is
    true it does not know.

    >>> yes, no = np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([[-1.0], [1.0], [-1.0], [1.0]])
    >>> probe = contrast(yes, no, np.random.default_rng(0))
    >>> np.abs(np.sign(probe(yes - no))[[0, 1]] - np.sign(probe(yes - no))[[3, 2]]).tolist()
    [2.0, 2.0]
    """
    if yes_ND.shape != no_ND.shape:
        raise ValueError(f"pairs of {len(yes_ND)} and {len(no_ND)}: expected as many of each")
    means = yes_ND.mean(axis=0), no_ND.mean(axis=0)
    scale = _Scale.of(np.concatenate([yes_ND - means[0], no_ND - means[1]]))
    z_HND = np.stack([yes_ND - means[0], no_ND - means[1]]) * scale.factor_D

    def loss(at: Floats) -> tuple[float, Floats]:
        p_HN = _sigmoid(z_HND @ at[:-1] + at[-1])
        apart_N, least_N = p_HN.sum(axis=0) - 1, p_HN.min(axis=0)
        pull_HN = 2 * (apart_N + least_N * (p_HN == least_N)) * p_HN * (1 - p_HN) / apart_N.size
        value = float((apart_N**2 + least_N**2).mean())
        return value, np.append(np.einsum("hn,hnd->d", pull_HN, z_HND), pull_HN.sum())

    drawn = rng.normal(size=(starts, yes_ND.shape[1] + 1)) / np.sqrt(yes_ND.shape[1])
    best = min((_least(loss, at) for at in drawn), key=lambda at: loss(at)[0])
    weight_D = best[:-1] * scale.factor_D
    return Probe(weight_D, -float(weight_D @ (means[0] - means[1])))


def towards(direction_D: Floats, x_ND: Floats, true_N: Floats) -> Probe:
    """A direction that was given, facing the true: what labels alone make of any direction.

    >>> towards(np.array([-1.0]), np.array([[0.0], [2.0]]), np.array([0.0, 1.0]))
    Probe(weight_D=array([1.]), bias=-1.0)
    """
    _both(x_ND, true_N)
    middle = float(direction_D @ (x_ND[true_N > 0.5].mean(axis=0) + x_ND[true_N < 0.5].mean(axis=0))) / 2
    return Probe(direction_D, -middle).facing(x_ND, true_N)


def placements(score_N: Floats, true_N: Floats) -> Floats:
    """For each of the true, in order, the share of the false that it is above, a tie counting one half.

    Their mean is the area under the curve (``recovered.auroc``). Of .9 and .3 against .4 and .1:

    >>> placements(np.array([0.9, 0.3, 0.4, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])).tolist()
    [1.0, 0.5]
    """
    _both(score_N[:, None], true_N)
    high, low = score_N[true_N > 0.5], np.sort(score_N[true_N < 0.5])
    under, upto = (np.searchsorted(low, high, side=side) for side in ("left", "right"))
    return (under + upto) / (2 * low.size)


def _both(x_ND: Floats, true_N: Floats) -> None:
    if x_ND.shape[0] != true_N.size or set(true_N.tolist()) != {0.0, 1.0}:
        raise ValueError(
            f"{len(x_ND)} states, {true_N.size} labels: expected one each, of both kinds, 0 and 1"
        )
    if not np.isfinite(x_ND).all():
        raise ValueError("a state that is no number")


def _sigmoid(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -x))


def _least(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where a smooth loss, given with its gradient, is least from this start on."""
    from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs] - scipy ships none
        minimize,  # pyright: ignore[reportUnknownVariableType]
    )

    found = cast("Any", minimize)(
        loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "maxfun": 1000}
    )
    return np.asarray(found.x, dtype=np.float64)
