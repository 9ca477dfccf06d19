"""Hidden context: utilities with a mean and a spread, so that disagreement is no noise around one number.

Siththaranjan, Laidlaw, Hadfield-Menell 2023 (2312.08358). With z = (μ_c − μ_r)/√(σ_c² + σ_r²) for the chosen
and the rejected answer,

    loss = −log Φ(z)        r² = Var μ/(Var μ + E σ²)        risk-averse: μ + σ·Φ⁻¹(q)

z does not change when all μ and σ are multiplied by a number or all μ are moved, and neither does r².

r² alone says nothing: Bradley–Terry is itself a model of noisy utilities, so raters who all want the same
have an r² well below 1. It is read only against refits of labels that were drawn from the plain Bradley–Terry
fit of the same data, on the same pairs with the same number of votes (``null``). Two groups that want the
opposite everywhere look like indifference to any model of pairs; what r² can see is that some answers are
disputed and others are not.

Deliberate differences from the reference:

1. −log Φ itself, by ``log_ndtr``. Theirs, softplus(−√(2π)z), has at z = 0 the slope √(2π)/2 of log-odds where
   Φ has 2/√(2π) of them: σ is inflated by π/2. It is kept as ``authors``.
2. σ = softplus(raw), as theirs; μ is drawn to 0 and raw to where σ = 1, with a weight of ``hold`` votes in
   all: it fixes the unit that the loss leaves free, and keeps unanimous votes finite.
3. The null.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from accord.maths.intervals import Floats, Ints

__all__ = [
    "HOLD",
    "Context",
    "Labels",
    "Loss",
    "Null",
    "Slopes",
    "authors",
    "explained",
    "fitted",
    "mean_variance",
    "null",
    "plain_chances",
    "risk_averse",
]

HOLD = 0.1

_ROOT = math.sqrt(2 * math.pi)
_ONE = math.log(math.e - 1)  # softplus(_ONE) = 1
_FAR = 1e3
_LEAST = 1e-6  # of σ: beside 1, where raw begins, nothing; but never 0
_TRIES = 5
_FLAT = 1e-5  # of the slope, where losses per vote are near ½


class Slopes(NamedTuple):
    """A loss for each pair and its derivatives by μ and σ of the chosen and of the rejected answer."""

    loss_V: Floats
    mu_c_V: Floats
    sigma_c_V: Floats
    mu_r_V: Floats
    sigma_r_V: Floats


Loss = Callable[[Floats, Floats, Floats, Floats], Slopes]


class Labels(NamedTuple):
    """Pairs of rows of a feature matrix, the share p that prefers the first, and of how many votes."""

    first_V: Ints
    second_V: Ints
    p_V: Floats
    votes_V: Floats


class Context(NamedTuple):
    """μ and σ of each answer, their coefficients, and the loss per vote without what holds them."""

    mu_K: Floats
    sigma_K: Floats
    weight_F: Floats
    raw_F: Floats
    loss: float

    @property
    def r2(self) -> float:
        return explained(self.mu_K, self.sigma_K)


class Null(NamedTuple):
    """r² of refits where one utility is all there is: ``low`` is their 5 % quantile, ``p`` the share, the
    fit itself included, that is no larger than what was found."""

    r2: float
    low: float
    p: float
    r2_B: Floats

    @property
    def hidden(self) -> bool:
        """Whether raters hold different utilities, as far as 5 % tells."""
        return self.r2 < self.low


def mean_variance(mu_c_V: Floats, sigma_c_V: Floats, mu_r_V: Floats, sigma_r_V: Floats) -> Slopes:
    """−log Φ((μ_c − μ_r)/√(σ_c² + σ_r²)), finite far out on either side.

    At z = 0 the loss is ln 2 and its slope by z −φ(0)/Φ(0) = −√(2/π); with σ = (3, 4) the root is 5.

    >>> found = mean_variance(*(np.array([x]) for x in (1.0, 3.0, 1.0, 4.0)))
    >>> round(float(np.exp(found.loss_V[0])), 9), round(5 * float(found.mu_r_V[0] ** 2) * 5 * math.pi, 9)
    (2.0, 2.0)
    """
    from scipy.special import log_ndtr  # pyright: ignore[reportMissingTypeStubs] - scipy ships none

    z_V, root_V = _z(mu_c_V, sigma_c_V, mu_r_V, sigma_r_V)
    log_phi_V = np.asarray(log_ndtr(z_V), dtype=np.float64)
    # Far out −φ/Φ is z + 1/z up to 2/z³, where the difference of two large logarithms has no digits left.
    far_V = z_V < -_FAR
    near_V = np.where(far_V, 0.0, z_V)
    slope_V = -np.exp(-(near_V**2) / 2 - np.where(far_V, 0.0, log_phi_V)) / _ROOT
    slope_V = np.where(far_V, z_V + 1 / np.where(far_V, z_V, -1.0), slope_V)
    return _slopes(-log_phi_V, slope_V, z_V, root_V, (sigma_c_V, sigma_r_V))


def authors(mu_c_V: Floats, sigma_c_V: Floats, mu_r_V: Floats, sigma_r_V: Floats) -> Slopes:
    """softplus(−√(2π)z), the loss of the reference's code: Φ(z) by a logistic curve that is π/2 too steep.

    >>> found = authors(*(np.array([x]) for x in (1.0, 3.0, 1.0, 4.0)))
    >>> exact = mean_variance(*(np.array([x]) for x in (1.0, 3.0, 1.0, 4.0)))
    >>> round(float(np.exp(found.loss_V[0])), 9), round(2 * float(found.mu_c_V[0] / exact.mu_c_V[0]), 6)
    (2.0, 3.141593)
    """
    z_V, root_V = _z(mu_c_V, sigma_c_V, mu_r_V, sigma_r_V)
    loss_V = np.logaddexp(0.0, -_ROOT * z_V)
    slope_V = -_ROOT * np.exp(-np.logaddexp(0.0, _ROOT * z_V))
    return _slopes(loss_V, slope_V, z_V, root_V, (sigma_c_V, sigma_r_V))


def explained(mu_K: Floats, sigma_K: Floats) -> float:
    """r²: the share of the spread of utilities that lies between answers, not between those who judge them.

    >>> explained(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    0.5
    """
    between, within = float(mu_K.var()), float((sigma_K**2).mean())
    if between + within <= 0:
        raise ValueError("all answers have one utility without a spread: r² is 0/0")
    return between / (between + within)


def risk_averse(mu_K: Floats, sigma_K: Floats, q: float = 0.1) -> Floats:
    """The q-quantile of each answer's utility over those who judge: what all but a share q give it.

    >>> [round(float(u), 2) for u in risk_averse(np.array([1.0, 1.2]), np.array([0.1, 1.0]), 0.01)]
    [0.77, -1.13]
    """
    from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs] - scipy ships none

    if not 0 < q < 1:
        raise ValueError(f"the quantile is {q}: expected a share between 0 and 1")
    return mu_K + sigma_K * float(ndtri(q))


def fitted(x_KF: Floats, labels: Labels, loss: Loss = mean_variance, hold: float = HOLD) -> Context:
    """μ = x·a and σ = softplus(_1 + x·b) that fit the labels best; a table of answers is ``np.eye(K)``.

    Not found: ArithmeticError.
    """
    size, votes = int(x_KF.shape[1]), float(labels.votes_V.sum())
    pull = hold / votes
    one_VF, two_VF = x_KF[labels.first_V], x_KF[labels.second_V]

    def objective(ab: Floats) -> tuple[float, Floats]:
        a_F, b_F = ab[:size], ab[size:]
        raw_1, raw_2 = _ONE + one_VF @ b_F, _ONE + two_VF @ b_F
        first = one_VF @ a_F, _spread(raw_1)
        second = two_VF @ a_F, _spread(raw_2)
        won, lost = loss(*first, *second), loss(*second, *first)
        p_V, n_V = labels.p_V, labels.votes_V / votes
        total = float((n_V * (p_V * won.loss_V + (1 - p_V) * lost.loss_V)).sum())
        mu_1 = n_V * (p_V * won.mu_c_V + (1 - p_V) * lost.mu_r_V)
        sigma_1 = n_V * (p_V * won.sigma_c_V + (1 - p_V) * lost.sigma_r_V) * _logistic(raw_1)
        sigma_2 = n_V * (p_V * won.sigma_r_V + (1 - p_V) * lost.sigma_c_V) * _logistic(raw_2)
        slope = np.concatenate([mu_1 @ (one_VF - two_VF), sigma_1 @ one_VF + sigma_2 @ two_VF])
        return total + pull * float((ab**2).sum()) / 2, slope + pull * ab

    ab = _lowest(objective, np.zeros(2 * size))
    a_F, b_F = ab[:size], ab[size:]
    held = pull * float((ab**2).sum()) / 2
    return Context(x_KF @ a_F, _spread(_ONE + x_KF @ b_F), a_F, b_F, objective(ab)[0] - held)


def plain_chances(x_KF: Floats, labels: Labels, hold: float = HOLD) -> Floats:
    """That the first answer of each pair wins, by the plain Bradley–Terry fit: one utility for everybody."""
    apart_VF = x_KF[labels.first_V] - x_KF[labels.second_V]
    n_V, pull = labels.votes_V / labels.votes_V.sum(), hold / float(labels.votes_V.sum())

    def objective(a_F: Floats) -> tuple[float, Floats]:
        delta_V = apart_VF @ a_F
        cost_V = np.logaddexp(0.0, delta_V) - labels.p_V * delta_V
        slope_F = (n_V * (_logistic(delta_V) - labels.p_V)) @ apart_VF
        return float((n_V * cost_V).sum()) + pull * float((a_F**2).sum()) / 2, slope_F + pull * a_F

    return _logistic(apart_VF @ _lowest(objective, np.zeros(int(x_KF.shape[1]))))


def null(  # size: what ``fitted`` takes, the draws, and their generator
    x_KF: Floats,
    labels: Labels,
    rng: np.random.Generator,
    refits: int = 199,
    loss: Loss = mean_variance,
    hold: float = HOLD,
) -> Null:
    """r² of the labels, and of ``refits`` sets drawn from the plain fit, as many votes on the same pairs."""
    if refits < 19:
        raise ValueError(f"{refits} refits have no 5 % quantile: expected 19 or more")
    found = fitted(x_KF, labels, loss, hold)
    chance_V = plain_chances(x_KF, labels, hold)
    votes_V = np.rint(labels.votes_V).astype(np.int64)
    if (votes_V < 1).any():
        raise ValueError("a pair without a vote: labels cannot be drawn for it")
    r2_B = np.zeros(refits)
    for b in range(refits):
        drawn_V = rng.binomial(votes_V, chance_V) / votes_V
        r2_B[b] = fitted(x_KF, labels._replace(p_V=drawn_V), loss, hold).r2
    low = float(np.quantile(r2_B, 0.05, method="lower"))
    return Null(found.r2, low, (1 + int((r2_B <= found.r2).sum())) / (1 + refits), r2_B)


def _z(mu_c: Floats, sigma_c: Floats, mu_r: Floats, sigma_r: Floats) -> tuple[Floats, Floats]:
    root_V = np.sqrt(sigma_c**2 + sigma_r**2)
    return (mu_c - mu_r) / root_V, root_V


def _slopes(
    loss_V: Floats, slope_V: Floats, z_V: Floats, root_V: Floats, sigmas: tuple[Floats, Floats]
) -> Slopes:
    """By the chain rule: ∂z/∂μ_c = 1/root, ∂z/∂σ_c = −z·σ_c/root²."""
    mu_V = slope_V / root_V
    spread_c, spread_r = (-slope_V * z_V * sigma_V / root_V**2 for sigma_V in sigmas)
    return Slopes(loss_V, mu_V, spread_c, -mu_V, spread_r)


def _spread(raw: Floats) -> Floats:
    return np.logaddexp(0.0, raw) + _LEAST


def _logistic(x: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -x))


def _lowest(objective: Callable[[Floats], tuple[float, Floats]], begin: Floats) -> Floats:
    from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs] - scipy ships none
        minimize,  # pyright: ignore[reportUnknownVariableType]
    )

    options = {"maxiter": 2000, "maxfun": 20_000, "ftol": 1e-14, "gtol": _FLAT / 100}
    at, said = begin, ""
    for _ in range(_TRIES):  # a step too far can end a search early; it forgets, and goes on from there
        found = cast("Any", minimize)(objective, at, jac=True, method="L-BFGS-B", options=options)
        at, said = np.asarray(found.x, dtype=np.float64), str(found.message)
        if float(np.abs(objective(at)[1]).max()) <= _FLAT:
            return at
    raise ArithmeticError(f"no lowest loss was found in {_TRIES} searches: {said}")
