"""Choosing the next question: arms that sample, and the exact propensity with which each question came.

An arm a gives every question of the pool a chance q_a: ``random`` the same to all; ``uncertain`` by the
variance of P over an ensemble; ``split`` by how far groups disagree; ``bridge`` by whether a pair joins two
components. Active arms sample a softmax and never take the argmax: what can never come can never be weighted.
A draw takes an arm with its weight w_a, then a question with q_a, so

    propensity = Σ_a w_a · q_a

at the weights of that moment, whichever arm it was. ``random`` has 20 % and never less than 5 %; an arm that
nothing scored lends it its weight, so where no score comes any more it is alone.

A draw is determined by its pool, weights, scores and seed; several draws take one question after another out
of the pool, each with the next seed, and each is recorded with the pool it was drawn from.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from accord.maths.intervals import Floats, Ints
from accord.records.feedback import Selection

__all__ = [
    "FLOOR",
    "RANDOM",
    "SELECTOR",
    "Drawn",
    "Pool",
    "bridge",
    "draw",
    "draws",
    "pool_of",
    "pool_size",
    "propensities",
    "shares",
    "softmax",
    "split",
    "uncertain",
    "weights_of",
]

SELECTOR = "accord.maths.selection/1"
RANDOM, FLOOR = 0.2, 0.05

_FAR = 3.0  # standard deviations: none is more than e^6 times as likely as another
_PRIOR = 1.0  # a made-up vote for each side, by half: one vote is no unanimous group


class Pool(NamedTuple):
    """Questions in the order of their ids, what each arm gives them, and the weights of the arms."""

    ids: tuple[str, ...]
    chance_AN: Floats
    arms: tuple[str, ...]
    weight_A: Floats
    name: str


class Drawn(NamedTuple):
    """A question and how it came."""

    question: str
    selection: Selection


def uncertain(p_HN: Floats) -> Floats:
    """The variance over heads of the chance that the first answer wins.

    >>> uncertain(np.array([[0.2, 0.5], [0.6, 0.5]])).round(9).tolist()
    [0.04, 0.0]
    """
    return p_HN.var(axis=0)


def split(won_GN: Floats, votes_GN: Floats) -> Floats:
    """The variance over groups of the share that prefers the first answer, each drawn half a vote to ½.

    Groups without a vote on a question say nothing of it; NaN where fewer than two said something. Three of
    three against none of three: shares 3.5/4 and .5/4, so .375² = .140625.

    >>> split(np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([[3.0, 1.0], [3.0, 0.0]])).tolist()
    [0.140625, nan]
    """
    said_GN = votes_GN > 0
    groups_N = said_GN.sum(axis=0)
    share_GN = np.where(said_GN, (won_GN + _PRIOR / 2) / (votes_GN + _PRIOR), 0.0)
    some_N = np.maximum(groups_N, 1)
    apart_GN = np.where(said_GN, share_GN - share_GN.sum(axis=0) / some_N, 0.0)
    square_N: Floats = (apart_GN * apart_GN).sum(axis=0).astype(np.float64)
    return np.divide(square_N, some_N, out=np.full(square_N.size, math.nan), where=groups_N > 1)


def bridge(i_N: Ints, j_N: Ints, component_K: Ints) -> Floats:
    """1 for a pair that joins two components of the graph of votes, else 0; all NaN where there is one only.

    >>> bridge(np.array([0, 0]), np.array([1, 2]), np.array([0, 0, 1])).tolist()
    [0.0, 1.0]
    """
    joins_N: Floats = (component_K[i_N] != component_K[j_N]).astype(np.float64)
    return joins_N if bool(joins_N.any()) else np.full(joins_N.size, math.nan)


def softmax(score_N: Floats, temperature: float = 1.0) -> Floats:
    """Chances ∝ exp(z/T), z the score in standard deviations from the mean, at most 3; NaN has none.

    Scores of different arms have different units, so z; clipped, because else one that stands out would come
    almost surely. 0 and 2 stand one deviation either side: e^−1 : e, that is 1 : e².

    >>> (softmax(np.array([0.0, 2.0, np.nan])) * (1 + np.exp(2.0))).round(6).tolist()
    [1.0, 7.389056, 0.0]
    """
    there = np.isfinite(score_N)
    if not there.any() or temperature <= 0:
        raise ValueError(f"a softmax of {int(there.sum())} scores at temperature {temperature}")
    scores = score_N[there]
    spread = float(scores.std())
    z = np.clip((scores - scores.mean()) / spread, -_FAR, _FAR) if spread > 0 else np.zeros(scores.size)
    power = np.exp((z - z.max()) / temperature)
    chance_N = np.zeros(score_N.size)
    chance_N[there] = power / power.sum()
    return chance_N


def weights_of(arms: Sequence[str], random: float = RANDOM) -> dict[str, float]:
    """The random arm's share, and the rest alike for the active ones; without any, random alone.

    >>> weights_of(["split", "bridge"])
    {'random': 0.2, 'split': 0.4, 'bridge': 0.4}
    """
    return {"random": random if arms else 1.0, **dict.fromkeys(arms, (1 - random) / max(1, len(arms)))}


def shares(weights: Mapping[str, float], scored: Sequence[str]) -> dict[str, float]:
    """The weights of the arms that can draw; what the others had is ``random``'s.

    Weights that do not sum to 1, are negative, or leave ``random`` under 5 %: ValueError.

    >>> shares({"random": 0.25, "split": 0.5, "bridge": 0.25}, ["bridge"])
    {'random': 0.75, 'bridge': 0.25}
    """
    total = sum(weights.values())
    if abs(total - 1) > 1e-9 or any(w < 0 for w in weights.values()):
        raise ValueError(
            f"weights of arms are not negative and sum to 1, got {dict(weights)} (sum {total:g})"
        )
    if weights.get("random", 0.0) < FLOOR:
        raise ValueError(f"the random arm has {weights.get('random', 0.0):g}, less than {FLOOR}")
    active = {arm: w for arm, w in weights.items() if arm != "random" and arm in scored and w > 0}
    return {"random": 1 - sum(active.values()), **active}


def pool_of(
    ids: Sequence[str], scores: Mapping[str, Floats], weights: Mapping[str, float], temperature: float = 1.0
) -> Pool:
    """What can be drawn. ``scores``: of each active arm one number for each question, NaN where it has none.

    The order of the questions makes no difference. A question twice, or none: ValueError.
    """
    return _pool(*_ordered(ids, scores), weights, temperature)


def propensities(pool: Pool) -> Floats:
    """Σ_a w_a·q_a of each question; they sum to 1.

    >>> pool = pool_of(["b", "a"], {"split": np.array([2.0, 0.0])}, {"random": 0.5, "split": 0.5})
    >>> (propensities(pool) * (1 + np.exp(2.0))).round(6).tolist()  # ½(½ + 1/(1 + e²)), of a then b
    [2.597264, 5.791792]
    """
    return pool.weight_A @ pool.chance_AN


def draw(pool: Pool, seed: int) -> Drawn:
    """One question, the arm that drew it, and the propensity over all arms."""
    rng = np.random.default_rng(seed)
    arm = int(rng.choice(len(pool.arms), p=pool.weight_A / pool.weight_A.sum()))
    chance_N = pool.chance_AN[arm]
    place = int(rng.choice(len(pool.ids), p=chance_N / chance_N.sum()))
    propensity = min(1.0, float(propensities(pool)[place]))
    return Drawn(
        pool.ids[place],
        Selection(arm=pool.arms[arm], propensity=propensity, selector=SELECTOR, pool=pool.name, seed=seed),
    )


def draws(  # size: what a pool is made of, how many are drawn, and the seed
    ids: Sequence[str],
    scores: Mapping[str, Floats],
    weights: Mapping[str, float],
    count: int,
    seed: int,
    temperature: float = 1.0,
) -> list[Drawn]:
    """``count`` different questions, or all there are, each drawn from what the ones before it left."""
    drawn: list[Drawn] = []
    if count > 0 and ids:
        left, scored = _ordered(ids, scores)  # once: what is left of an order is in order
        for k in range(min(count, len(ids))):
            drawn.append(draw(_pool(left, scored, weights, temperature), seed + k))
            at = bisect_left(left, drawn[-1].question)
            left = left[:at] + left[at + 1 :]
            scored = {arm: np.delete(score_N, at) for arm, score_N in scored.items()}
    return drawn


def pool_size(selection: Selection) -> int:
    """How many questions it was drawn from.

    >>> one = draw(pool_of(["a", "b", "c"], {}, {"random": 1.0}), 0).selection
    >>> pool_size(one), round(one.propensity * 3, 9), one.arm
    (3, 1.0, 'random')
    """
    size, _, digest = selection.pool.partition("-")
    if not size.isdigit() or not digest:
        raise ValueError(f"the pool {selection.pool!r} does not say how many questions it held")
    return int(size)


def _ordered(ids: Sequence[str], scores: Mapping[str, Floats]) -> tuple[list[str], dict[str, Floats]]:
    if not ids or len(set(ids)) != len(ids):
        raise ValueError(f"a pool of {len(ids)} questions, {len(set(ids))} of them different")
    if wrong := [arm for arm, score_N in scores.items() if score_N.shape != (len(ids),)]:
        raise ValueError(f"arms {wrong} have no score for each of {len(ids)} questions")
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__))
    return sorted(ids), {arm: score_N[order] for arm, score_N in scores.items()}


def _pool(
    ids: Sequence[str], scores: Mapping[str, Floats], weights: Mapping[str, float], temperature: float
) -> Pool:
    usable = {arm: score_N for arm, score_N in scores.items() if np.isfinite(score_N).any()}
    share = shares(weights, list(usable))
    even_N = np.full(len(ids), 1 / len(ids))
    chance_AN = [even_N if arm == "random" else softmax(usable[arm], temperature) for arm in share]
    return Pool(tuple(ids), np.array(chance_AN), tuple(share), np.array(list(share.values())), _name(ids))


def _name(ids: Sequence[str]) -> str:
    """Size and hash: the size is what turns a propensity into a weight."""
    return f"{len(ids)}-{hashlib.sha256(chr(10).join(ids).encode()).hexdigest()[:32]}"
