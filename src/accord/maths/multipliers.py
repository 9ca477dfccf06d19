"""Multipliers: how much a cost weighs so that its mean keeps to a limit, and the advantage that follows.

λ ≥ 0 is the price of a cost. It is moved once a window by e = mean cost − limit, and stays where e stays 0:
there π ∝ π_ref·exp((r − λc)/β) has the mean cost that was asked for. Two ways to move it, ``pid`` and
``naive``; two ways to use it, ``mixed`` and ``penalised``. Nothing here knows what a cost is of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CAP", "Multiplier", "mixed", "naive", "penalised", "pid"]

Floats = NDArray[np.float64]

CAP = 100.0  # the most a cost may weigh; at 100 the reward has a hundredth of the say
_P, _I, _D, _EMA = 0.1, 0.01, 0.01, 0.95
_RISE = 10  # windows over which a rise of the cost is looked at
_RATE = 0.05  # of the projected gradient


class Multiplier(NamedTuple):
    """λ of one cost, and what its controller remembers.

    ``error`` is the running mean of e, ``costs`` the running mean of the cost after each of the last eleven
    windows, newest last.
    """

    value: float = 0.0
    integral: float = 0.0
    error: float = 0.0
    costs: tuple[float, ...] = ()


def pid(before: Multiplier, cost: float, limit: float) -> Multiplier:
    """λ = K_p·ema(e) + I + K_d·max(0, rise of ema(cost) over 10 windows), within 0 and 100 (2007.03964).

    I ← max(0, I + K_i·e). Gains .1, .01, .01 and an ema of .95 are OmniSafe's; two things differ from it: the
    running means start at the first window's values, so that no rise from 0 is seen which never was, and λ is
    capped.

    Limit .2. A cost of .3: e = .1, I = .001, ema(e) = .1, no rise yet: λ = .01 + .001 = .011. Then .7:
    e = .5, I = .006, ema(e) = .95·.1 + .05·.5 = .12, ema(cost) .3 → .32: λ = .012 + .006 + .01·.02 = .0182.

    >>> first = pid(Multiplier(), 0.3, 0.2)
    >>> round(first.value, 6), round(pid(first, 0.7, 0.2).value, 6)
    (0.011, 0.0182)
    """
    e = cost - limit
    integral = max(0.0, before.integral + _I * e)
    error = _EMA * before.error + (1 - _EMA) * e if before.costs else e
    now = _EMA * before.costs[-1] + (1 - _EMA) * cost if before.costs else cost
    costs = (*before.costs, now)[-_RISE - 1 :]
    value = _P * error + integral + _D * max(0.0, now - costs[0])
    return Multiplier(min(max(value, 0.0), CAP), integral, error, costs)


def naive(before: Multiplier, cost: float, limit: float) -> Multiplier:
    """λ ← λ + .05·e, within 0 and 100: projected gradient. It overshoots where the policy follows late.

    >>> round(naive(Multiplier(0.1), 0.5, 0.2).value, 6), naive(Multiplier(0.001), 0.1, 0.2).value
    (0.115, 0.0)
    """
    return before._replace(value=min(max(before.value + _RATE * (cost - limit), 0.0), CAP))


def mixed(reward: Floats, costs: Sequence[Floats], multipliers: Sequence[float]) -> Floats:
    """(A_r − Σ λ_j A_j)/(1 + Σ λ_j), of rows or of tokens; NaN where one of them is.

    The division keeps its size while λ grows; what scales or whitens it comes after, once.

    >>> mixed(np.array([1.0, -1.0]), [np.array([0.5, -0.5])], [3.0]).tolist()  # (1 − 3·½)/4
    [-0.125, 0.125]
    """
    return penalised(reward, costs, multipliers) / (1 + sum(multipliers))


def penalised(reward: Floats, costs: Sequence[Floats], multipliers: Sequence[float]) -> Floats:
    """A_r − Σ λ_j A_j.

    >>> penalised(np.array([1.0, -1.0]), [np.array([0.5, -0.5])], [3.0]).tolist()
    [-0.5, 0.5]
    """
    found = reward.astype(np.float64)
    for cost, multiplier in zip(costs, multipliers, strict=True):
        found = found - multiplier * cost
    return found
