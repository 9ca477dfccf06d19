"""Mutants these kill: votes as clusters, no C/(C − 1), z for t, a Hessian without the cross term, a general
pseudo-inverse, ν left out of V, jackknife without (C − 1)/C, weights without a cap, open slots counted."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import t as student

from accord.maths.rating_intervals import (
    Ballots,
    NoInterval,
    Sure,
    acceptability,
    all_fits,
    difference,
    inverse_propensity,
    sure,
)
from accord.maths.ratings import Votes, chances, fit


def drawn(
    log_pi_RK: np.ndarray, each: int, rng: np.random.Generator, log_nu: float = -1.0
) -> tuple[Votes, np.ndarray]:
    """Each rater votes on pairs by their own utilities."""
    raters, items = log_pi_RK.shape
    rater = np.repeat(np.arange(raters), each)
    i = rng.integers(items, size=rater.size)
    j = (i + rng.integers(1, items, size=rater.size)) % items
    win, loss, _ = chances(log_pi_RK[rater, i], log_pi_RK[rater, j], log_nu)
    at = rng.random(rater.size)
    won, lost = at < win, (at >= win) & (at < win + loss)
    return Votes(i, j, won * 1.0, lost * 1.0, 1.0 * ~(won | lost)), rater


def by_differences(cast: Votes, rater: np.ndarray, found: Sure) -> np.ndarray:
    """V with score and Hessian by differences of the log-likelihood, and a pseudo-inverse."""
    beta = np.append(found.ratings.log_pi_K, found.ratings.log_nu)

    def slopes(at: np.ndarray, which: np.ndarray) -> np.ndarray:
        part = cast.take(which)

        def likelihood(b: np.ndarray) -> float:
            p = chances(b[:-1][part.first_V], b[:-1][part.second_V], b[-1])
            return float(sum((n * np.log(q)).sum() for n, q in zip(part[2:], p, strict=True)))

        step = 1e-5
        return np.array([likelihood(at + step * e) - likelihood(at - step * e) for e in np.eye(at.size)]) / (
            2 * step
        )

    everybody = np.ones(rater.size, bool)
    h = -np.array(
        [
            (slopes(beta + 1e-3 * e, everybody) - slopes(beta - 1e-3 * e, everybody)) / 2e-3
            for e in np.eye(beta.size)
        ]
    )
    inverse = np.linalg.pinv((h + h.T) / 2, rcond=1e-6)
    g = np.array([slopes(beta, rater == c) for c in np.unique(rater)])
    return inverse @ (g.T @ g) @ inverse * len(g) / (len(g) - 1)


def test_the_sandwich_is_what_differences_of_the_likelihood_give() -> None:
    rng = np.random.default_rng(0)
    cast, rater = drawn(np.array([0.6, 0.0, -0.6]) + rng.normal(size=(22, 3)), 8, rng)
    found = sure(cast, rater * 7 + 3, 3)
    assert isinstance(found, Sure)
    assert (found.way, found.degrees) == ("sandwich", 21)
    assert found.covariance_MM == pytest.approx(by_differences(cast, rater, found), rel=1e-4, abs=1e-7)
    interval = difference(found, 0, 2, level=0.9)
    assert interval is not None
    v = found.covariance_MM
    wide = student.ppf(0.95, 21) * math.sqrt(v[0, 0] + v[2, 2] - 2 * v[0, 2])
    assert interval.value == pytest.approx(found.ratings.log_pi_K[0] - found.ratings.log_pi_K[2])
    assert interval.high - interval.value == pytest.approx(wide)
    assert interval.value - interval.low == pytest.approx(wide)


def test_two_items_by_hand() -> None:
    """No ties, so log π₀ − log π₁ is the log-odds of wins; of rater c with k of n wins, g = k − n·p.

    20 raters of 4 votes, ten with 3 wins and ten with 1: p = ½, H = 80·¼ = 20 for the difference,
    Σ g² = 20·1, so Var = 20/20² · 20/19.
    """
    wins = np.array([3.0] * 10 + [1.0] * 10)
    found = sure(Votes(np.zeros(20, int), np.ones(20, int), wins, 4 - wins, np.zeros(20)), np.arange(20), 2)
    assert isinstance(found, Sure)
    v = found.covariance_MM
    assert v.shape == (2, 2)
    assert v[0, 0] + v[1, 1] - 2 * v[0, 1] == pytest.approx(1 / 19, rel=1e-9)


def test_a_rater_is_one_draw_however_often_they_vote() -> None:
    rng = np.random.default_rng(1)
    cast, rater = drawn(np.array([0.6, 0.0, -0.6]) + rng.normal(size=(25, 3)), 10, rng)
    twice = Votes(*(np.concatenate([c, c]) for c in cast))
    one, two = sure(cast, rater, 3), sure(twice, np.concatenate([rater, rater]), 3)
    assert isinstance(one, Sure)
    assert isinstance(two, Sure)
    assert two.covariance_MM == pytest.approx(one.covariance_MM, rel=1e-6)
    alone = sure(twice, np.arange(rater.size * 2), 3)
    assert isinstance(alone, Sure)
    assert alone.covariance_MM[0, 0] < 0.7 * one.covariance_MM[0, 0]


def test_few_raters_are_left_out_one_at_a_time() -> None:
    rng = np.random.default_rng(2)
    cast, rater = drawn(np.array([0.6, 0.0, -0.6]) + rng.normal(size=(7, 3)) / 2, 30, rng)
    found = sure(cast, rater, 3)
    assert isinstance(found, Sure)
    assert (found.way, found.degrees) == ("jackknife", 6)
    without = [fit(cast.take(rater != c), 3) for c in range(7)]
    apart = np.array([one.log_pi_K[0] - one.log_pi_K[1] for one in without])
    wanted = 6 / 7 * ((apart - apart.mean()) ** 2).sum()
    v = found.covariance_MM
    assert v[0, 0] + v[1, 1] - 2 * v[0, 1] == pytest.approx(wanted, rel=1e-6)
    assert v.shape == (4, 4)


def test_where_there_is_no_interval_it_says_why() -> None:
    rng = np.random.default_rng(3)
    five = sure(*drawn(np.zeros((5, 3)), 40, rng), 3)
    assert isinstance(five, NoInterval)
    assert five.why == "5 raters: an interval needs 6"
    assert np.isfinite(five.ratings.log_pi_K).all()
    never = sure(Votes(np.zeros(9, int), np.ones(9, int), np.ones(9), *[np.zeros(9)] * 2), np.arange(9), 2)
    assert isinstance(never, NoInterval)
    assert never.why == "no finite rating"
    losses = np.array([1.0] + [0.0] * 6)  # only one of the seven ever preferred the second
    one = sure(Votes(np.zeros(7, int), np.ones(7, int), np.ones(7), losses, np.zeros(7)), np.arange(7), 2)
    assert isinstance(one, NoInterval)
    assert one.why.startswith("without one of the raters")


def test_items_without_an_order_have_no_difference() -> None:
    rng = np.random.default_rng(4)
    cast, rater = drawn(np.zeros((24, 2)), 12, rng)
    parts = Votes(*(np.concatenate([c, c]) for c in cast))
    parts = parts._replace(first_V=np.concatenate([cast.first_V, cast.first_V + 2]))
    parts = parts._replace(second_V=np.concatenate([cast.second_V, cast.second_V + 2]))
    found, alone = sure(parts, np.concatenate([rater, rater]), 5), sure(cast, rater, 2)
    assert isinstance(found, Sure)
    assert isinstance(alone, Sure)
    assert difference(found, 0, 2) is None
    assert difference(found, 0, 4) is None
    assert difference(found, 2, 3) == pytest.approx(difference(alone, 0, 1), rel=1e-6)
    with pytest.raises(ValueError, match="level"):
        difference(found, 0, 1, level=1.0)


@pytest.mark.parametrize(("raters", "each"), [(30, 20), (8, 30)])
def test_intervals_cover_what_all_raters_would_give(raters: int, each: int) -> None:
    """Raters differ, so the truth is the fit to what raters say on average, not their average utility."""
    rng, middle = np.random.default_rng(5), np.linspace(-1, 1, 4)
    pairs = np.array(list(itertools.combinations(range(4), 2)))
    many = middle + 0.8 * rng.normal(size=(20_000, 4))
    means = np.array([[p.mean() for p in chances(many[:, i], many[:, j], -1.0)] for i, j in pairs])
    truth = fit(Votes(pairs[:, 0], pairs[:, 1], *means.T), 4).log_pi_K
    runs, within = 80 if raters >= 20 else 30, Counter[tuple[int, int]]()
    for _ in range(runs):
        found = sure(*drawn(middle + 0.8 * rng.normal(size=(raters, 4)), each, rng), 4)
        assert isinstance(found, Sure)
        for i, j in ((3, 0), (2, 1)):
            interval = difference(found, i, j)
            assert interval is not None
            within[i, j] += interval.low <= truth[i] - truth[j] <= interval.high
    # Binomial: .95 − 3.5·√(.95·.05/runs); intervals that take votes for draws cover about 80 %.
    assert all(n / runs >= 0.95 - 3.5 * math.sqrt(0.95 * 0.05 / runs) for n in within.values())


def ballots(cast: Votes, rater: np.ndarray, **told: np.ndarray) -> Ballots:
    size = rater.size
    plain = Ballots(
        cast,
        rater,
        np.full(size, 0.1),
        np.full(size, 10.0),
        np.ones(size, bool),
        np.ones(size, bool),
        np.full(size, -1),
    )
    return plain._replace(**told)


def test_the_fits_read_the_votes_they_name() -> None:
    rng = np.random.default_rng(6)
    cast, rater = drawn(np.array([0.5, 0.0, -0.5]) + rng.normal(size=(24, 3)), 20, rng)
    size = rater.size
    propensity = np.where(np.arange(size) % 2, 0.1, 0.5)
    propensity[:7] = np.nan
    random, closed = np.arange(size) % 3 == 0, np.arange(size) % 4 > 0
    group = np.where(rater < 10, 0, np.where(rater < 19, 1, -1))
    told = {"propensity_V": propensity, "random_V": random, "closed_V": closed, "group_V": group}
    found = all_fits(ballots(cast, rater, **told), 3, 0.2)
    assert found.unclosed == pytest.approx(0.25)
    same = {
        "unweighted": sure(cast.take(closed), rater[closed], 3),
        "random_only": sure(cast.take(closed & random), rater[closed & random], 3),
    }
    drawn_V = closed & (np.arange(size) >= 7)
    weight = np.where(propensity == 0.5, 0.2, 1.0)[drawn_V]
    same["weighted"] = sure(cast.take(drawn_V).weighted(weight), rater[drawn_V], 3)
    for name, wanted in same.items():
        one = getattr(found, name)
        assert one.ratings.log_pi_K.tolist() == wanted.ratings.log_pi_K.tolist()
        assert one.covariance_MM == pytest.approx(wanted.covariance_MM)
    assert set(found.by_group) == {0}, "the group of nine is not shown"
    inside = closed & (group == 0)
    wanted = sure(cast.take(inside), rater[inside], 3)
    assert found.by_group[0].ratings.log_pi_K.tolist() == wanted.ratings.log_pi_K.tolist()


def test_what_was_not_drawn_has_no_weighted_fit() -> None:
    cast, rater = drawn(np.zeros((24, 3)), 10, np.random.default_rng(7))
    size = rater.size
    told = {"propensity_V": np.full(size, np.nan), "random_V": np.zeros(size, bool)}
    found = all_fits(ballots(cast, rater, **told), 3, 0.2)
    assert (found.weighted, found.random_only, found.by_group) == (None, None, {})
    assert found.unweighted is not None


def test_weighting_undoes_what_an_arm_preferred() -> None:
    """Raters of two questions differ by question; an arm takes the first one nine times in ten."""
    rng = np.random.default_rng(8)
    often = np.array([0.9, 0.1])
    question = rng.choice(2, p=often, size=4000)
    won = rng.random(4000) < np.array([0.8, 0.3])[question]
    cast = Votes(np.zeros(4000, int), np.ones(4000, int), won * 1.0, 1.0 - won, np.zeros(4000))
    weight = inverse_propensity(often[question], np.full(4000, 2.0), 0.2)
    assert weight.tolist() == [[1 / 1.8, 5.0][q] for q in question.tolist()]
    assert inverse_propensity(np.array([0.01]), np.array([2.0]), 0.2).tolist() == [5.0], "50 without a cap"

    def share(votes: Votes) -> float:
        apart = np.diff(fit(votes, 2).log_pi_K[::-1])[0]
        return 1 / (1 + math.exp(-apart))

    assert share(cast) == pytest.approx(0.75, abs=0.03)
    assert share(cast.weighted(weight)) == pytest.approx(0.55, abs=0.04)


def test_acceptability_is_over_raters_and_needs_six() -> None:
    rng = np.random.default_rng(9)
    item, rater = np.repeat([0, 2], [40, 10]), np.append(np.arange(40) % 8, np.arange(10) % 5)
    accepted = np.append(rater[:40] < 2, np.ones(10, bool))
    first, nobody, few = acceptability(item, accepted, rater, 3, rng)
    assert first is not None
    assert (first.share, first.raters, nobody) == (0.25, 8, None)
    assert few == (1.0, 5, None)
    assert first.interval is not None
    # Two raters of eight, always or never: a rater is one draw, so it reaches 0; 40 draws would not.
    assert first.interval.low == 0
    assert 0.5 <= first.interval.high <= 0.75


@pytest.mark.parametrize(("p", "pool", "share"), [(0.0, 2.0, 0.2), (0.1, 0.0, 0.2), (0.1, 2.0, 0.0)])
def test_no_propensity_no_weight(p: float, pool: float, share: float) -> None:
    with pytest.raises(ValueError, match="propensities"):
        inverse_propensity(np.array([p]), np.array([pool]), share)
