"""Pressure: what training pushed against, in figures for the report. None of them has a tolerance.

Of an update, with a = −∂loss/∂log π of every answer token (``StepOutcome.pressure_T`` is −a):

    pushed-down share     #{answers with Σ_t a < 0} / #{answers}
    negative mass         Σ_{a<0} |a|(1 − π) / Σ |a|(1 − π)
    support exit          #{tokens outside π₀'s top-p .95} / #{tokens}
    price                 nats of KL(π‖π₀) per point of held-out gain

and of a policy, with y ∼ π and c what it is to be aligned to, put as an instruction:

    C = 1 − KL(π‖π₀(·|c)) / KL(π‖π₀) = Σ [log π₀(y|c,x) − log π₀(y|x)] / Σ [log π(y|x) − log π₀(y|x)]

C is 1 where training did what asking does, 0 where asking explains nothing of it, below 0 where it moved
away from that. 1 − π is what a token's own logit receives of its pressure: pushing down what is certain
already to come moves nothing. These are operational figures: they say where training pushed a model, and are
no evidence of anything it may undergo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Interval, ratio_of_sums
from accord.records.rows import Floats

__all__ = [
    "LEAST_NATS",
    "as_likely",
    "compatibility",
    "felt",
    "negative_mass",
    "price",
    "pushed_down_share",
    "support_exit",
]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEAST_NATS = 0.5
"""Nats per answer under which C is undefined: a ratio of two small numbers says nothing."""


def pushed_down_share(a_T: Floats, lengths_S: Ints, among_S: Bools | None = None) -> float | None:
    """The share of answers whose pressures sum below 0; of those ``among_S`` where given. None: of none.

    Three answers with sums −1, 2 and −3; among the last two, one.

    >>> a_T, lengths_S = np.array([1.0, -2.0, 2.0, -3.0]), np.array([2, 1, 1])
    >>> round(pushed_down_share(a_T, lengths_S) or 0.0, 4)
    0.6667
    >>> pushed_down_share(a_T, lengths_S, np.array([False, True, True]))
    0.5
    """
    if int(lengths_S.sum()) != a_T.size:
        raise ValueError(f"lengths that sum to {int(lengths_S.sum())} for {a_T.size} pressures")
    sums_S = np.zeros(lengths_S.size)
    np.add.at(sums_S, np.repeat(np.arange(lengths_S.size), lengths_S), a_T)
    counted = sums_S if among_S is None else sums_S[among_S]
    return float((counted < 0).mean()) if counted.size else None


def as_likely(base_S: Floats, drawn_S: Floats) -> Bools:
    """Which answers are as likely under π₀ as the median of its own answers, by log-probability per token.

    The median of −1, −2 and −9 is −2.

    >>> as_likely(np.array([-1.5, -2.0, -2.5]), np.array([-1.0, -2.0, -9.0])).tolist()
    [True, True, False]
    """
    if not drawn_S.size:
        raise ValueError("no answer of the base: its median is unknown")
    return base_S >= float(np.median(drawn_S))


def negative_mass(a_T: Floats, logp_T: Floats) -> float | None:
    """The share of the pressure, as logits receive it, that lowers. None where nothing is pressed.

    Raised with 2 at π = ½, lowered with 1 at π = ½ and with 9 at π = 1: .5 / (1 + .5 + 0).

    >>> round(negative_mass(np.array([2.0, -1.0, -9.0]), np.log([0.5, 0.5, 1.0])) or 0.0, 4)
    0.3333
    """
    if a_T.shape != logp_T.shape:
        raise ValueError(f"pressures of shape {a_T.shape} and log-probabilities of shape {logp_T.shape}")
    mass_T = np.abs(a_T) * -np.expm1(logp_T)
    whole = float(mass_T.sum())
    return float(mass_T[a_T < 0].sum()) / whole if whole > 0 else None


def felt(pressure_T: Floats, logp_T: Floats, lengths_S: Ints) -> dict[str, float]:
    """The figures of one update by their names in its event, of what ``StepOutcome`` tells of it.

    Those that there are: ``pushed_down`` of tokens and ``pushed_answers`` of answers; ``negative_mass`` where
    log π is told of every token that is pressed. Two answers, a = (2, −1) and (−9), π = ½, ½, 1: two of three
    tokens and one of two answers are pushed down, and .5 of a mass of 1.5.

    >>> felt(np.array([-2.0, 1.0, 9.0]), np.log([0.5, 0.5, 1.0]), np.array([2, 1]))["pushed_answers"]
    0.5
    """
    a_T, pressed_T = -pressure_T, pressure_T != 0
    told = {
        "pushed_down": float((a_T < 0).mean()) if a_T.size else 0.0,
        "pushed_answers": pushed_down_share(a_T, lengths_S),
        "negative_mass": negative_mass(a_T[pressed_T], logp_T[pressed_T]) if logp_T.size else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def support_exit(inside_T: Floats) -> float | None:
    """The share of tokens outside; ``inside_T`` is a Sampler's column ``support``, 1 within. None: no token.

    >>> support_exit(np.array([1.0, 0.0, 1.0, 1.0]))
    0.25
    """
    return float(1 - inside_T.mean()) if inside_T.size else None


def price(nats: float, gain: float) -> float | None:
    """Nats per point of held-out gain; None where nothing was gained: what was spent then bought nothing.

    2 nats for a gain of .25: 8 nats a point.

    >>> price(2.0, 0.25), price(2.0, 0.0)
    (8.0, None)
    """
    return nats / gain if gain > 0 else None


def compatibility(asked_P: Floats, moved_P: Floats, answers: int, rng: np.random.Generator) -> Interval | str:
    """C with its 95 % interval over prompts, or in words why it is undefined.

    ``asked_P``: per prompt the sum over answers of log π₀(y|c,x) − log π₀(y|x); ``moved_P`` that of
    log π(y|x) − log π₀(y|x); ``answers``: how many there are in all. Two prompts of one answer each:
    (1 + 1)/(2 + 2) = .5.

    >>> compatibility(np.array([1.0, 1.0]), np.array([2.0, 2.0]), 2, np.random.default_rng(0))
    Interval(value=0.5, low=0.5, high=0.5)
    >>> compatibility(np.array([1.0, 1.0]), np.array([0.2, 0.2]), 2, np.random.default_rng(0))
    'undefined: 0.2 nats per answer between policy and base; it needs 0.5'
    """
    if asked_P.shape != moved_P.shape or asked_P.size < 2 or answers < asked_P.size:
        raise ValueError(f"{asked_P.shape} and {moved_P.shape} sums of {answers} answers: expected 2 prompts")
    nats = float(moved_P.sum()) / answers
    if nats < LEAST_NATS:
        return f"undefined: {nats:.3g} nats per answer between policy and base; it needs {LEAST_NATS:g}"
    found = ratio_of_sums(asked_P, moved_P, rng)
    if not (np.isfinite(found.low) and np.isfinite(found.high)):
        return "undefined: over these prompts the distance from the base cannot be told from 0"
    return found
