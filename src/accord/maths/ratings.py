"""Ratings from comparisons: Bradley–Terry with ties (Davidson 1970), by Newman's iteration (JMLR 24, 2023).

With s = √(πᵢπⱼ) and Z = πᵢ + πⱼ + 2νs:  P(i ≻ j) = πᵢ/Z,  P(tie) = 2νs/Z.  With w wins, t ties, a = w + t/2,

    πᵢ ← Σⱼ aᵢⱼ(πⱼ + νs)/Z ÷ Σⱼ aⱼᵢ(1 + νs/πᵢ)/Z        ν ← Σ tᵢⱼ(πᵢ + πⱼ)/Z ÷ Σ 2s(wᵢⱼ + wⱼᵢ)/Z

until neither log π nor log ν moves by 1e-10.

A finite fit exists where (i) wins, and ties both ways, join the items strongly, (ii) there is a tie, (iii) a
directed cycle has more wins than ties. These are all the directions in which the likelihood could rise for
ever: apart, ν → 0, ν → ∞. So without (i) each component is fitted by itself, with one ν, and nothing is said
of their order; without (ii) ν = 0; without (iii) there are tiers and no numbers.

Deliberate differences from the reference:

1. All πᵢ move at once, and half of the way on the log scale. One at a time needs a loop over items; at once
   and all of the way, two items swing past one another for ever. The fixed point is the same, and near it the
   step is a descent for every set of votes, because Var(x) ≤ E(x)(1 − E(x)) for x = 1, ½, 0.
2. It starts at π = 1, or from a fit of similar votes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Floats, Ints

__all__ = [
    "NO_ORDER",
    "NO_TIES",
    "ORDER_ONLY",
    "Chances",
    "Existence",
    "Ratings",
    "Tally",
    "Votes",
    "chances",
    "existence",
    "fit",
    "tallied",
]

NO_ORDER = "no order between these"
ORDER_ONLY = "ties outweigh every contradiction: order only"
NO_TIES = "no ties: plain Bradley–Terry"

Mask = NDArray[np.bool_]

_STILL = 1e-10
_ROUNDS = 10_000


class Votes(NamedTuple):
    """Vote v compares two items: how much of it says that the first wins, that it loses, that they tie.

    A judgment is (1, 0, 0), (0, 1, 0) or (0, 0, 1), a soft label (p, 1 − p, 0); a weight multiplies all.
    """

    first_V: Ints
    second_V: Ints
    win_V: Floats
    loss_V: Floats
    tie_V: Floats

    def take(self, which_V: Ints | Mask) -> Votes:
        pair = self.first_V[which_V], self.second_V[which_V]
        return Votes(*pair, self.win_V[which_V], self.loss_V[which_V], self.tie_V[which_V])

    def weighted(self, weight_V: Floats) -> Votes:
        said = weight_V * self.win_V, weight_V * self.loss_V, weight_V * self.tie_V
        return Votes(self.first_V, self.second_V, *said)


class Tally(NamedTuple):
    """What was said of each pair of items, i < j, that was compared; ``items``: how many there are."""

    i_E: Ints
    j_E: Ints
    win_E: Floats
    loss_E: Floats
    tie_E: Floats
    items: int


class Existence(NamedTuple):
    """Which fit the votes allow. ``component_K``: items with one number are joined both ways.

    ``tier_K``: how far an item stands below the best, by wins less ties on the way; None where a cycle has
    more wins than ties, and so no such order exists.
    """

    component_K: Ints
    ties: bool
    tier_K: Ints | None


class Ratings(NamedTuple):
    """A fit. ``log_pi_K``: 0 on average over each component, NaN of an item without a rating.

    ``log_nu``: −∞ without ties, +∞ where there is an order only (``tier_K``, 0 is the best). ``said``: what a
    reader has to be told.
    """

    log_pi_K: Floats
    log_nu: float
    component_K: Ints
    tier_K: Ints | None
    rounds: int
    said: tuple[str, ...]

    def comparable(self, i: int, j: int) -> bool:
        """Whether the difference of these two ratings means anything."""
        there = math.isfinite(self.log_pi_K[i]) and math.isfinite(self.log_pi_K[j])
        return there and bool(self.component_K[i] == self.component_K[j])


class Chances(NamedTuple):
    """Of pairs: that the first wins, that it loses, that they tie."""

    win_E: Floats
    loss_E: Floats
    tie_E: Floats


def chances(log_pi_i: Floats, log_pi_j: Floats, log_nu: float) -> Chances:
    """What the model gives pairs with these ratings.

    π = (4, 1) and ν = ½: Z = 4 + 1 + 2·½·2 = 7.

    >>> [round(7 * float(p[0]), 9) for p in chances(np.log([4.0]), np.zeros(1), math.log(0.5))]
    [4.0, 1.0, 2.0]
    """
    half = (log_pi_i - log_pi_j) / 2  # symmetric: neither side overflows before the other
    up, down, tie = np.exp(half), np.exp(-half), 2 * math.exp(log_nu) * np.ones_like(half)
    z = up + down + tie
    return Chances(up / z, down / z, tie / z)


def tallied(votes: Votes, items: int) -> Tally:
    """Votes summed over pairs. Indices outside, an item against itself, what is no weight: ValueError.

    >>> one = Votes(np.array([0, 1]), np.array([1, 0]), np.ones(2), np.zeros(2), np.zeros(2))
    >>> found = tallied(one, 2)
    >>> found.win_E.tolist(), found.loss_E.tolist()
    ([1.0], [1.0])
    """
    _check(votes, items)
    low_V, high_V = np.minimum(votes.first_V, votes.second_V), np.maximum(votes.first_V, votes.second_V)
    key_E, edge_V = np.unique(low_V.astype(np.int64) * items + high_V, return_inverse=True)
    turned_V = votes.first_V > votes.second_V
    win_V = np.where(turned_V, votes.loss_V, votes.win_V)
    loss_V = np.where(turned_V, votes.win_V, votes.loss_V)
    win_E, loss_E, tie_E = (_summed(edge_V, of_V, key_E.size) for of_V in (win_V, loss_V, votes.tie_V))
    said = win_E + loss_E + tie_E > 0
    return _kept(Tally(key_E // items, key_E % items, win_E, loss_E, tie_E, items), said)


def existence(tally: Tally) -> Existence:
    """Components of the graph with ties as both edges, whether there is a tie, and whether ties outweigh.

    0 beat 1, and both tied with 2: the cycle 0 → 1 → 2 → 0 has one win and two ties, so ties excuse it, and
    0 stands one above 1.

    >>> pairs = np.array([0, 0, 1]), np.array([1, 2, 2])
    >>> found = existence(Tally(*pairs, np.array([1.0, 0, 0]), np.zeros(3), np.array([0.0, 1, 1]), 3))
    >>> found.component_K.tolist(), found.ties, found.tier_K.tolist()
    ([0, 0, 0], True, [0, 1, 0])
    """
    from scipy.sparse import coo_array  # pyright: ignore[reportMissingTypeStubs] - scipy ships none
    from scipy.sparse.csgraph import (  # pyright: ignore[reportMissingTypeStubs]
        connected_components,  # pyright: ignore[reportUnknownVariableType]
    )

    tied = tally.tie_E > 0
    down, up = tally.win_E > 0, tally.loss_E > 0
    one, other = _ways(tally, down | tied, up | tied)
    shape = (tally.items, tally.items)
    graph = coo_array((np.ones(one.size), (one, other)), shape=shape).tocsr()
    found_K = np.asarray(connected_components(graph, connection="strong")[1], dtype=np.int64)
    # Named after their first item: the same parts have the same names, whatever votes made them.
    _, first_K, component_K = np.unique(found_K, return_index=True, return_inverse=True)
    component_K = np.argsort(np.argsort(first_K))[component_K].astype(np.int64)
    return Existence(component_K, bool(tied.any()), _tiers(tally, down, up, tied))


def fit(votes: Votes, items: int, start: Ratings | None = None) -> Ratings:
    """Ratings of all items, as far as the votes determine them; ``start``: a fit of similar votes.

    10,000 rounds without coming to rest: ArithmeticError. By hand: 0 beats 1 three times, loses once, with
    two ties. a₀₁ = 4, a₁₀ = 2, and with two items the fit is exact: π₀/π₁ = w/l = 3, and
    P(tie) = 2ν√3/(3 + 1 + 2ν√3) = 2/6 gives ν = 1/√3.

    >>> said = [np.array([x]) for x in (0, 1, 3.0, 1.0, 2.0)]
    >>> found = fit(Votes(*said), 2)
    >>> round(math.exp(found.log_pi_K[0] - found.log_pi_K[1]), 9), round(3 * math.exp(2 * found.log_nu), 9)
    (3.0, 1.0)
    """
    tally = tallied(votes, items)
    exists = existence(tally)
    component_K = exists.component_K
    inside = component_K[tally.i_E] == component_K[tally.j_E]
    rated_K = np.bincount(component_K, minlength=items)[component_K] > 1
    said = (NO_ORDER,) if int(component_K.max(initial=0)) > 0 else ()
    nothing_K = np.full(items, math.nan)
    if exists.ties and exists.tier_K is not None:
        return Ratings(nothing_K, math.inf, component_K, exists.tier_K, 0, (*said, ORDER_ONLY))
    if not exists.ties:
        said = (*said, NO_TIES)
    if not rated_K.any():
        return Ratings(nothing_K, -math.inf, component_K, None, 0, said)
    within = _kept(tally, inside)
    begin = _begin(start, component_K, exists.ties)
    log_pi_K, log_nu, rounds = _settled(within, component_K, *begin)
    return Ratings(np.where(rated_K, log_pi_K, math.nan), log_nu, component_K, None, rounds, said)


def _kept(tally: Tally, which_E: Mask) -> Tally:
    said = tally.win_E[which_E], tally.loss_E[which_E], tally.tie_E[which_E]
    return Tally(tally.i_E[which_E], tally.j_E[which_E], *said, tally.items)


def _begin(start: Ratings | None, component_K: Ints, ties: bool) -> tuple[Floats, float]:
    log_pi_K, log_nu = np.zeros(component_K.size), 0.0
    if start is not None:
        log_pi_K = _centred(np.nan_to_num(start.log_pi_K), component_K)
        log_nu = start.log_nu if math.isfinite(start.log_nu) else 0.0
    return log_pi_K, log_nu if ties else -math.inf


def _settled(tally: Tally, component_K: Ints, log_pi_K: Floats, log_nu: float) -> tuple[Floats, float, int]:
    """log π and log ν at rest, and after how many rounds."""
    nu = math.exp(log_nu)
    for rounds in range(1, _ROUNDS + 1):
        after_K = _centred((log_pi_K + _moved(tally, log_pi_K, nu)) / 2, component_K)
        later = _tie_weight(tally, after_K, nu) if nu else 0.0
        still = 2 * float(np.abs(after_K - log_pi_K).max()) < _STILL
        still &= not nu or abs(math.log(later / nu)) < _STILL
        log_pi_K, nu = after_K, later
        if still:
            return log_pi_K, math.log(nu) if nu else -math.inf, rounds
    raise ArithmeticError(
        f"ratings of {tally.items} items still move by more than {_STILL} after {_ROUNDS} rounds: "
        "they hang together by few votes; compare items across the chain, or rate its parts apart"
    )


def _moved(tally: Tally, log_pi_K: Floats, nu: float) -> Floats:
    """log πᵢ after one update of the reference; of an item without a vote, as it was."""
    pi_K = np.exp(log_pi_K)
    i, j, size = tally.i_E, tally.j_E, tally.items
    ours, theirs = pi_K[i], pi_K[j]
    tie = nu * np.sqrt(ours * theirs)
    z = ours + theirs + 2 * tie
    up, down = (tally.win_E + tally.tie_E / 2) / z, (tally.loss_E + tally.tie_E / 2) / z
    top = _summed(i, up * (theirs + tie), size) + _summed(j, down * (ours + tie), size)
    bottom = _summed(i, down * (1 + tie / ours), size) + _summed(j, up * (1 + tie / theirs), size)
    voted = bottom > 0
    ratio = np.divide(top, bottom, out=np.ones(size), where=voted)
    return np.where(voted, np.log(ratio), log_pi_K)


def _tie_weight(tally: Tally, log_pi_K: Floats, nu: float) -> float:
    """ν after one update."""
    pi_K = np.exp(log_pi_K)
    ours, theirs = pi_K[tally.i_E], pi_K[tally.j_E]
    root = np.sqrt(ours * theirs)
    z = ours + theirs + 2 * nu * root
    top = float((tally.tie_E * (ours + theirs) / z).sum())
    return top / float((2 * root * (tally.win_E + tally.loss_E) / z).sum())


def _summed(at_E: Ints, of_E: Floats, size: int) -> Floats:
    return np.bincount(at_E, weights=of_E, minlength=size).astype(np.float64)


def _centred(log_pi_K: Floats, component_K: Ints) -> Floats:
    mean_C = np.bincount(component_K, weights=log_pi_K) / np.bincount(component_K)
    return log_pi_K - mean_C[component_K]


def _ways(tally: Tally, down: Mask, up: Mask) -> tuple[Ints, Ints]:
    """Directed edges: i → j where ``down``, j → i where ``up``."""
    one = np.concatenate([tally.i_E[down], tally.j_E[up]])
    other = np.concatenate([tally.j_E[down], tally.i_E[up]])
    return one, other


def _tiers(tally: Tally, down: Mask, up: Mask, tied: Mask) -> Ints | None:
    """Bellman–Ford from everywhere at once: a win is one step down, a tie at most one step up or down.

    None: there is a cycle with more wins than ties.
    """
    if (down & up).any():  # two wins and no tie; what nearly all votes of people have
        return None
    won, lost = _ways(tally, down, up)
    equal, other = _ways(tally, tied, tied)
    one, to = np.concatenate([won, equal]), np.concatenate([lost, other])
    step = np.concatenate([np.ones(won.size, np.int64), np.full(equal.size, -1, np.int64)])
    tier_K = np.zeros(tally.items, np.int64)
    for _round in range(tally.items):
        below_K = tier_K.copy()
        np.maximum.at(below_K, to, tier_K[one] + step)
        if (below_K == tier_K).all():
            return tier_K
        tier_K = below_K
    return None


def _check(votes: Votes, items: int) -> None:
    sizes = {column.shape for column in votes}
    if len(sizes) != 1 or len(next(iter(sizes))) != 1 or items < 1:
        raise ValueError(f"votes of shapes {sorted(sizes)} over {items} items: expected equal columns")
    if not votes.first_V.size:
        return
    low = min(int(votes.first_V.min()), int(votes.second_V.min()))
    high = max(int(votes.first_V.max()), int(votes.second_V.max()))
    if low < 0 or high >= items:
        raise ValueError(f"votes name items {low} to {high}: expected 0 to {items - 1}")
    if (votes.first_V == votes.second_V).any():
        raise ValueError("a vote compares an item with itself")
    if not all(np.isfinite(said).all() and (said >= 0).all() for said in votes[2:]):
        raise ValueError("a part of a vote is negative or not finite")
