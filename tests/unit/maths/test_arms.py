"""Mutants these kill: the sign of the gain, unequal counts, votes as draws in the interval, an impossible
vote that decides everything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.maths.arms import NO_EVIDENCE, arm_gain, log_loss
from accord.maths.ratings import Votes, chances, fit

TRUTH = np.linspace(-2, 2, 8)


def votes_on(i: np.ndarray, j: np.ndarray, rng: np.random.Generator) -> Votes:
    win, loss, _ = chances(TRUTH[i], TRUTH[j], -1.0)
    at = rng.random(i.size)
    won, lost = at < win, (at >= win) & (at < win + loss)
    return Votes(i, j, won * 1.0, lost * 1.0, 1.0 * ~(won | lost))


def anywhere(size: int, rng: np.random.Generator) -> Votes:
    i = rng.integers(8, size=size)
    return votes_on(i, (i + rng.integers(1, 8, size=size)) % 8, rng)


def one_pair(size: int, rng: np.random.Generator) -> Votes:
    return votes_on(np.zeros(size, int), np.ones(size, int), rng)


def test_an_arm_that_asks_one_thing_only_harms_and_its_opposite_helps() -> None:
    rng = np.random.default_rng(0)
    broad, narrow, held = anywhere(300, rng), one_pair(200, rng), anywhere(400, rng)
    question = np.arange(400) // 2
    harm = arm_gain(narrow, broad, held, question, 8, rng)
    help_ = arm_gain(broad, narrow, held, question, 8, rng)
    assert (harm.said, help_.said, harm.votes) == ("harms, by these votes", "helps, by these votes", 200)
    assert harm.gain.high < 0 < help_.gain.low


def test_the_same_arm_twice_is_no_evidence() -> None:
    rng = np.random.default_rng(1)
    found = arm_gain(anywhere(250, rng), anywhere(250, rng), anywhere(200, rng), np.arange(200), 8, rng)
    assert found.said == NO_EVIDENCE
    assert found.gain.low <= 0 <= found.gain.high


def test_the_gain_is_the_difference_of_losses_over_questions() -> None:
    rng = np.random.default_rng(2)
    ours, theirs, held = anywhere(120, rng), anywhere(120, rng), anywhere(60, rng)
    question = rng.integers(9, size=60)
    found = arm_gain(ours, theirs, held, question, 8, np.random.default_rng(3))
    gain = log_loss(fit(theirs, 8), held) - log_loss(fit(ours, 8), held)
    assert found.gain.value == pytest.approx(gain.mean())
    widely = arm_gain(ours, theirs, held, np.arange(60) // 30, 8, np.random.default_rng(3))
    assert widely.gain.value == pytest.approx(gain.mean())
    assert widely.gain != found.gain


def test_losses_by_hand() -> None:
    """π = (3, 1) and no ties: of a win −ln(.99·¾ + .01/3), of a tie −ln(.01/3); half of each their mean."""
    cast = [np.array([x]) for x in (0, 1, 3.0, 1.0, 0.0)]
    found = fit(Votes(*cast), 2)
    three = Votes(
        np.zeros(3, int), np.ones(3, int), np.array([2.0, 0, 1]), np.zeros(3), np.array([0, 1.0, 1])
    )
    win, tie = -math.log(0.99 * 0.75 + 0.01 / 3), -math.log(0.01 / 3)
    assert log_loss(found, three) == pytest.approx([win, tie, (win + tie) / 2])


def test_no_vote_no_comparison() -> None:
    rng = np.random.default_rng(4)
    nothing = anywhere(1, rng).take(np.zeros(0, np.int64))
    with pytest.raises(ValueError, match="no vote"):
        arm_gain(nothing, anywhere(9, rng), anywhere(9, rng), np.arange(9), 8, rng)
