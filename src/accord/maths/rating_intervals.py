"""How sure ratings are where votes of one rater hang together, and the fits that are shown side by side.

The questions are fixed and the raters are a sample. With β = (log π, log ν), Σ log π = 0 over each component,
g_c the score of the votes of rater c of C, and H the negative Hessian,

    V = H⁺ (Σ_c g_c g_cᵀ) H⁺ · C/(C − 1),        t with C − 1 degrees of freedom;

under 20 raters the jackknife over raters, V = (C − 1)/C · Σ_c (β₋c − β̄)(β₋c − β̄)ᵀ, with the same t; under 6
none. Only differences of two items have an interval: of one rating nothing but its distance from others means
anything.

Of one vote, x = 1, ½, 0 where it is won, tied, lost, and T = 1 where it is tied: ∂/∂log πᵢ = x − E x,
∂/∂log πⱼ = E x − x, ∂/∂log ν = T − E T; Var x = Pᵢ + P_T/4 − (E x)², Cov(x, T) = P_T(½ − E x),
Var T = P_T(1 − P_T).

V holds a number for every two items: meant for hundreds of items, not for all answers of a data set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from accord.maths.intervals import Floats, Interval, Ints, share_of
from accord.maths.ratings import Mask, Ratings, Tally, Votes, chances, fit, tallied

__all__ = [
    "Accepted",
    "Ballots",
    "Fits",
    "NoInterval",
    "Sure",
    "acceptability",
    "all_fits",
    "difference",
    "inverse_propensity",
    "sure",
]

SANDWICH, JACKKNIFE, GROUP = 20, 6, 10  # raters needed


class Sure(NamedTuple):
    """Ratings with the covariance of log π, and of log ν as its last row where there are ties."""

    ratings: Ratings
    covariance_MM: Floats
    degrees: int
    way: Literal["sandwich", "jackknife"]


class NoInterval(NamedTuple):
    """Ratings without intervals, and why."""

    ratings: Ratings
    why: str


class Ballots(NamedTuple):
    """Votes with who cast them and how their questions were chosen.

    ``rater_V``: any numbers, one per rater. ``propensity_V``: of the question's draw, NaN where it was not
    drawn; ``pool_V``: of how many it was drawn; ``random_V``: by the random arm. ``closed_V``: all slots of
    the question are closed. ``group_V``: of a rater who consented to it being used, else −1.
    """

    votes: Votes
    rater_V: Ints
    propensity_V: Floats
    pool_V: Floats
    random_V: Mask
    closed_V: Mask
    group_V: Ints


class Fits(NamedTuple):
    """The same votes read in several ways. None: no vote to read so. ``unclosed``: the share of votes left
    out, because other slots of their question were still open."""

    unweighted: Sure | NoInterval | None
    weighted: Sure | NoInterval | None
    random_only: Sure | NoInterval | None
    by_group: Mapping[int, Sure | NoInterval]
    unclosed: float


class Accepted(NamedTuple):
    """How often an item was called good enough, with an interval over raters where there are six."""

    share: float
    raters: int
    interval: Interval | None


def acceptability(
    item_A: Ints, accepted_A: Mask, rater_A: Ints, items: int, rng: np.random.Generator
) -> tuple[Accepted | None, ...]:
    """Of every item; None where nobody said. Both bad is a tie to a rating, and here it is not.

    >>> said = np.zeros(4, int), np.array([True, False, True, True]), np.array([0, 0, 1, 2])
    >>> acceptability(*said, 2, np.random.default_rng(0))
    (Accepted(share=0.75, raters=3, interval=None), None)
    """
    found: list[Accepted | None] = []
    for item in range(items):
        own = item_A == item
        said_V, rater_V = accepted_A[own].astype(np.float64), rater_A[own]
        by_rater = [said_V[rater_V == rater] for rater in np.unique(rater_V)]
        interval = share_of(by_rater, rng) if len(by_rater) >= JACKKNIFE else None
        found.append(Accepted(float(said_V.mean()), len(by_rater), interval) if by_rater else None)
    return tuple(found)


def sure(votes: Votes, rater_V: Ints, items: int) -> Sure | NoInterval:
    """Ratings of all items with what their differences need for an interval; votes of one rater are one draw.

    Six raters who all say the same of two items vary by nothing:

    >>> said = np.full(6, 2.0), np.ones(6), np.zeros(6)
    >>> same = Votes(np.zeros(6, int), np.ones(6, int), *said)
    >>> found = sure(same, np.arange(6), 2)
    >>> found.way, found.degrees, abs(difference(found, 0, 1).high - math.log(2)) < 1e-9
    ('jackknife', 5, True)
    """
    ratings = fit(votes, items)
    names, rater_V = np.unique(rater_V, return_inverse=True)
    raters = names.size
    if not np.isfinite(ratings.log_pi_K).any():
        return NoInterval(ratings, "no finite rating")
    if raters < JACKKNIFE:
        return NoInterval(ratings, f"{raters} raters: an interval needs {JACKKNIFE}")
    if raters >= SANDWICH:
        return Sure(ratings, _sandwich(votes, rater_V, ratings), raters - 1, "sandwich")
    return _jackknife(votes, rater_V, ratings)


def difference(found: Sure, i: int, j: int, level: float = 0.95) -> Interval | None:
    """log πᵢ − log πⱼ with its interval over raters; None where the two have no order."""
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs] - scipy ships none

    if not found.ratings.comparable(i, j):
        return None
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}: expected a share between 0 and 1")
    value = float(found.ratings.log_pi_K[i] - found.ratings.log_pi_K[j])
    v = found.covariance_MM
    spread = math.sqrt(max(0.0, float(v[i, i] + v[j, j] - 2 * v[i, j])))
    wide = float(stdtrit(found.degrees, (1 + level) / 2)) * spread
    return Interval(value, value - wide, value + wide)


def inverse_propensity(propensity_V: Floats, pool_V: Floats, random_share: float) -> Floats:
    """How much more often an even draw would have taken each question: min(1/(N·p), 1/random share).

    With a random arm of share r every p is at least r/N, so the cap cuts only what was recorded wrongly.
    One of four, drawn evenly; one drawn with .5; one with .02, less than r/N = .05:

    >>> inverse_propensity(np.array([0.25, 0.5, 0.02]), np.full(3, 4.0), 0.2).tolist()
    [1.0, 0.5, 5.0]
    """
    if not 0 < random_share <= 1 or not (propensity_V > 0).all() or not (pool_V >= 1).all():
        raise ValueError("propensities and the random share lie in (0, 1], a pool holds one question or more")
    return np.minimum(1 / (pool_V * propensity_V), 1 / random_share)


def all_fits(ballots: Ballots, items: int, random_share: float) -> Fits:
    """Unweighted, by inverse propensity, random arm only, and each group of 10 raters or more.

    Only votes on questions whose slots are all closed: those that close fast are others than those that do
    not. The weighted fit takes only questions that were drawn. A group that is too small is not fitted.
    """
    closed = ballots.closed_V
    drawn = closed & np.isfinite(ballots.propensity_V)
    weight_V = np.zeros(closed.size)
    weight_V[drawn] = inverse_propensity(ballots.propensity_V[drawn], ballots.pool_V[drawn], random_share)
    groups: dict[int, Sure | NoInterval] = {}
    for group in np.unique(ballots.group_V[ballots.group_V >= 0]).tolist():
        inside = closed & (ballots.group_V == group)
        enough = np.unique(ballots.rater_V[inside]).size >= GROUP
        if enough and (found := _of(ballots, inside, items)) is not None:
            groups[int(group)] = found
    weighted = ballots._replace(votes=ballots.votes.weighted(weight_V))
    return Fits(
        _of(ballots, closed, items),
        _of(weighted, drawn, items),
        _of(ballots, closed & ballots.random_V, items),
        groups,
        1 - float(closed.mean()) if closed.size else 0.0,
    )


def _of(ballots: Ballots, which_V: Mask, items: int) -> Sure | NoInterval | None:
    if not which_V.any():
        return None
    return sure(ballots.votes.take(which_V), ballots.rater_V[which_V], items)


def _sandwich(votes: Votes, rater_V: Ints, ratings: Ratings) -> Floats:
    inside = ratings.component_K[votes.first_V] == ratings.component_K[votes.second_V]
    within, rater_V, raters = votes.take(inside), rater_V[inside], int(rater_V.max()) + 1
    bread = _inverse(_information(tallied(within, ratings.log_pi_K.size), ratings), ratings)
    g_CM = _scores(within, rater_V, raters, ratings)
    half = g_CM @ bread
    return half.T @ half * raters / (raters - 1)


def _jackknife(votes: Votes, rater_V: Ints, ratings: Ratings) -> Sure | NoInterval:
    raters, items = int(rater_V.max()) + 1, ratings.log_pi_K.size
    left: list[Floats] = []
    for rater in range(raters):
        one = fit(votes.take(rater_V != rater), items, ratings)
        same = (one.component_K == ratings.component_K).all()
        if not same or math.isfinite(one.log_nu) != math.isfinite(ratings.log_nu) or one.tier_K is not None:
            return NoInterval(ratings, "without one of the raters there is no such fit")
        left.append(_beta(one))
    apart_CM = np.array(left) - np.mean(left, axis=0)
    covariance = apart_CM.T @ apart_CM * (raters - 1) / raters
    return Sure(ratings, covariance, raters - 1, "jackknife")


def _beta(ratings: Ratings) -> Floats:
    log_pi_K = np.nan_to_num(ratings.log_pi_K)
    return np.append(log_pi_K, ratings.log_nu) if math.isfinite(ratings.log_nu) else log_pi_K


class _Moments(NamedTuple):
    """Of x = 1, ½, 0 and of T, pair by pair."""

    x_E: Floats
    tie_E: Floats
    var_x_E: Floats
    cov_E: Floats
    var_tie_E: Floats


def _moments(i: Ints, j: Ints, ratings: Ratings) -> _Moments:
    log_pi_K = np.nan_to_num(ratings.log_pi_K)
    win, _, tie = chances(log_pi_K[i], log_pi_K[j], ratings.log_nu)
    x = win + tie / 2
    return _Moments(x, tie, win + tie / 4 - x**2, tie * (0.5 - x), tie * (1 - tie))


def _information(tally: Tally, ratings: Ratings) -> Floats:
    """H: the sum over votes of the covariance of their score."""
    i, j, items = tally.i_E, tally.j_E, tally.items
    votes_E = tally.win_E + tally.loss_E + tally.tie_E
    of = _moments(i, j, ratings)
    h = np.zeros((items + 1, items + 1))
    own, cross = votes_E * of.var_x_E, votes_E * of.cov_E
    for one, other, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
        np.add.at(h, (one, other), sign * own)
    np.add.at(h[-1], i, cross)
    np.add.at(h[-1], j, -cross)
    h[:, -1] = h[-1]
    h[-1, -1] = float((votes_E * of.var_tie_E).sum())
    return h if math.isfinite(ratings.log_nu) else h[:-1, :-1]


def _inverse(h: Floats, ratings: Ratings) -> Floats:
    """H⁺. What H does not see is known: the same added to all ratings of a component.

    So it is filled in, inverted, and taken out again, exactly; a general pseudo-inverse would have to guess
    from rounding which directions are missing.
    """
    component_K = ratings.component_K
    alike = component_K[:, None] == component_K[None, :]
    unseen = np.zeros_like(h)
    unseen[: component_K.size, : component_K.size] = alike / alike.sum(axis=1)
    return np.linalg.inv(h + unseen) - unseen


def _scores(votes: Votes, rater_V: Ints, raters: int, ratings: Ratings) -> Floats:
    """g_c of every rater."""
    of = _moments(votes.first_V, votes.second_V, ratings)
    said_V = votes.win_V + votes.loss_V + votes.tie_V
    g_V = votes.win_V + votes.tie_V / 2 - said_V * of.x_E
    size = ratings.log_pi_K.size + 1
    g_CM = np.zeros(raters * size)
    for at_V, of_V in (
        (votes.first_V, g_V),
        (votes.second_V, -g_V),
        (np.full(g_V.size, size - 1), votes.tie_V - said_V * of.tie_E),
    ):
        g_CM += np.bincount(rater_V * size + at_V, weights=of_V, minlength=raters * size)
    g_CM = g_CM.reshape(raters, size)
    return g_CM if math.isfinite(ratings.log_nu) else g_CM[:, :-1]
