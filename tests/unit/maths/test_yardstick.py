"""The yardstick on cases small enough to work out by hand, and a gap that is refused.

Mutants these kill: arms resampled apart, abstentions left out of the gap or counted as one half, a refusal by
the gap instead of its lower end, bins of equal width, a bin that hangs on the order among equals, laundering
by one of the two, the best of n with the worst, an unjudged answer preferred, cost by judgment.
"""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from accord.maths.calibration import ece as equal_width
from accord.maths.recovered import share_right
from accord.maths.yardstick import (
    Arm,
    Arms,
    auroc,
    calibration,
    ece,
    exploited,
    measured,
    per_verdict,
    recovered,
)
from accord.records import Cost
from accord.records.accounts import Account

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
NAN = np.nan


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def right(k: int, of: int = 100, seeds: int = 1) -> Arm:
    return Arm(np.tile((np.arange(of) < k).astype(np.float64), (seeds, 1)))


# Gap recovered


def test_the_share_is_paired_over_tasks() -> None:
    """T(O) ties wherever O is wrong: ½ of the gap in every resample that draws the same tasks for both."""
    o = (np.arange(100) % 4 == 0)[None] * 1.0
    found = recovered(Arms(Arm(o + (1 - o) / 2), Arm(o), right(100)), rng())
    assert found.share is not None
    assert tuple(found.share) == pytest.approx((0.5, 0.5, 0.5), abs=1e-9)
    assert found.gap.low < 0.7 < found.gap.high


def test_the_interval_covers_its_share() -> None:
    """Of 100 worlds with a true share of .5 about 95 hold it."""
    held, draw = 0, np.random.default_rng(1)
    for _ in range(100):
        u = draw.random((3, 200))
        arms = Arms(*(Arm((u[0] < p)[None] * 1.0) for p in (0.75, 0.6, 0.9)))
        share = recovered(arms, draw, draws=400).share
        held += share is not None and share.low <= 0.5 <= share.high
    assert 88 <= held <= 99


def test_a_tiny_gap_is_refused() -> None:
    """.10 of 40 tasks is a gap that may be nothing; the same .10 of 1,000 tasks is not."""
    few = recovered(Arms(right(38, 40), right(36, 40), right(40, 40)), rng())
    assert (few.share, few.why) == (None, "gap too small")
    assert few.gap.value == pytest.approx(0.1)
    assert few.gap.low < 0.03
    many = recovered(Arms(right(950, 1000), right(900, 1000), right(1000, 1000)), rng())
    assert many.share is not None
    assert many.share.value == pytest.approx(0.5)
    small = recovered(Arms(right(1000, 1000), right(975, 1000), right(1000, 1000)), rng())
    assert small.why == "gap too small", "certain, and small"
    assert recovered(Arms(right(1), right(50), right(40)), rng()).why == "gap too small", "the wrong way"


def test_an_abstention_is_wrong() -> None:
    silent = np.where(np.arange(100) < 80, 1.0, NAN)[None]
    found = recovered(Arms(Arm(silent), right(50), right(100)), rng())
    assert found.share is not None
    assert found.share.value == pytest.approx(0.6)


def test_seeds_are_drawn_too() -> None:
    """Two seeds, one always right and one never: over tasks alone there would be no doubt."""
    apart = Arm(np.array([np.ones(50), np.zeros(50)]))
    found = recovered(Arms(apart, right(0, 50, 2), right(50, 50, 2)), rng()).share
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.0, 1.0), abs=1e-12)
    assert share_right(apart.right_ST, None, rng()).low == pytest.approx(0.0)


def test_arms_of_other_tasks_are_no_arms() -> None:
    with pytest.raises(ValueError, match="same seeds and tasks"):
        recovered(Arms(right(5), right(5, 50), right(5)), rng())


def test_auroc_is_the_share_of_pairs() -> None:
    draw = np.random.default_rng(2)
    score, truth = draw.integers(5, size=20) / 4, (np.arange(20) < 8) * 1.0
    pairs = [(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for i in range(8) for j in range(8, 20)]
    assert auroc(score, truth)[0] == pytest.approx(np.mean(pairs))
    twice = np.ones((2, 20))
    twice[1, :3] = 2
    again = np.concatenate([score, score[:3]]), np.concatenate([truth, truth[:3]])
    assert auroc(score, truth, twice).tolist() == pytest.approx([np.mean(pairs), auroc(*again)[0]])


def test_auroc_stands_for_accuracy() -> None:
    truth = (np.arange(60) % 2) * 1.0
    chance, perfect = np.full(60, 0.5), truth
    helped = np.where(np.arange(60) < 30, truth, 0.5)  # a half ranked, the other half all alike
    arms = Arms(*(Arm.of_two(p[None], truth) for p in (helped, chance, perfect)), truth)
    found = recovered(arms, rng(), "auroc", draws=500)
    assert found.share is not None
    # ¼ of pairs both ranked, ½ one: 1 beats .5 and .5 beats 0; ¼ ties: 1 − ⅛ of all pairs.
    assert found.share.value == pytest.approx(0.75)
    mute = np.where(np.arange(60) < 30, truth, NAN)
    worse = arms._replace(aided=Arm.of_two(mute[None], truth))
    lower = recovered(worse, rng(), "auroc", draws=500).share
    assert lower is not None
    assert lower.value < 0, "silence is ranked on the wrong side"
    with pytest.raises(ValueError, match="AUROC needs"):
        recovered(arms._replace(truth_T=None), rng(), "auroc")


# Calibration


def test_bins_hold_equally_many() -> None:
    """In bins of equal width these share one; in two of two, .91 and .92 are right, .98 and .99 wrong."""
    confidence, outcome = np.array([0.91, 0.98, 0.92, 0.99]), np.array([1.0, 0.0, 1.0, 0.0])
    assert ece(confidence, outcome, bins=2) == pytest.approx((0.085 + 0.985) / 2)
    assert equal_width(confidence, outcome) == pytest.approx(0.45)
    assert ece(confidence, outcome) == pytest.approx((0.09 + 0.08 + 0.98 + 0.99) / 4), "a bin for each"


def test_no_order_among_equals_decides() -> None:
    outcome = np.array([1.0, 1.0, 0.0, 0.0])
    same = np.full(4, 0.5)
    assert ece(same, outcome, bins=2) == ece(same, outcome[[0, 2, 1, 3]], bins=2) == 0


def test_laundering_is_both_up() -> None:
    outcome = (np.arange(100) % 5 < 3)[None] * 1.0

    def arm(confidence: float, said: Floats = outcome) -> Arm:
        return Arm(said, np.full((1, 100), confidence))

    surer = calibration(arm(0.8), arm(0.54), rng())
    assert surer is not None
    assert surer.laundering
    assert (surer.ece.value, surer.brier.value) == pytest.approx((0.2, 0.6 * 0.04 + 0.4 * 0.64))
    assert surer.ece_change is not None
    assert surer.ece_change.value == pytest.approx(0.2 - 0.06)
    truer = calibration(arm(0.6), arm(0.4), rng())
    shyer = calibration(arm(0.3), arm(0.5), rng())
    assert truer is not None
    assert shyer is not None
    assert not truer.laundering, "surer, and rightly so"
    assert not shyer.laundering, "worse, and less sure"


def test_changes_are_on_what_both_answered() -> None:
    outcome = np.array([[1.0, 1.0, 1.0, 0.0, NAN]])
    aided = Arm(outcome, np.array([[0.9, 0.9, 0.9, 0.9, NAN]]))
    unaided = Arm(np.array([[1.0, 1.0, NAN, NAN, 1.0]]), np.array([[0.6, 0.6, NAN, NAN, 0.6]]))
    found = calibration(aided, unaided, rng())
    assert found is not None
    assert found.confidence_change is not None
    assert (found.verdicts, found.common) == (4, 2)
    assert found.confidence_change.value == pytest.approx(0.3)
    assert calibration(right(5), right(5), rng()) is None, "no confidence was given"


# The best of n


def test_curves_are_means_over_all_subsets() -> None:
    draw = np.random.default_rng(3)
    proxy, gold = np.array([draw.permutation(6) * 1.0 for _ in range(3)]), draw.normal(size=(3, 6))
    found = exploited(proxy, gold, rng(), most=6)
    for n in range(1, 7):
        subsets = [list(some) for some in combinations(range(6), n)]
        best = [[some[int(np.argmax(row[some]))] for some in subsets] for row in proxy]
        said = [np.mean(row[at]) for row, at in zip(proxy, best, strict=True)]
        worth = [np.mean(row[at]) for row, at in zip(gold, best, strict=True)]
        assert found.proxy_N[n - 1] == pytest.approx(np.mean(said))
        assert found.true_N[n - 1] == pytest.approx(np.mean(worth))
    assert found.peak == int(np.argmax(found.true_N)) + 1
    assert found.loss.value == pytest.approx(max(found.true_N) - found.true_N[-1])


def test_what_was_not_judged_is_chosen_last() -> None:
    proxy, gold = np.array([[NAN, 1.0, 2.0]] * 2 + [[NAN] * 3]), np.array([[9.0, 3.0, 0.0]] * 2 + [[5.0] * 3])
    found = exploited(proxy, gold, rng(), most=3)
    assert found.true_N == pytest.approx((4.0, 1.0, 0.0)), "(9 + 3 + 0)/3, (3 + 0 + 0)/3, 0"
    assert found.proxy_N == pytest.approx((4 / 3, 5 / 3, 2.0))
    assert found.prompts == 2
    with pytest.raises(ValueError, match="best of 4 among 3"):
        exploited(proxy, gold, rng(), most=4)


# The whole


def test_the_whole_of_a_protocol_that_abstains() -> None:
    p = np.concatenate([np.full(60, 0.9), np.full(20, 0.1), np.full(20, NAN)])[None]
    truth = np.ones(100)
    coin = np.where(np.arange(100) % 2, 0.52, 0.48)[None]
    arms = Arms(Arm.of_two(p, truth), Arm.of_two(coin, truth), right(100))
    took = Account(judging=Cost(calls=160, tokens_in=700, tokens_out=100))
    found = measured("Mine", arms, rng(), account=took)
    assert found.accuracy.value == pytest.approx(0.6)
    assert found.answered is not None
    assert (found.answered.value, found.abstained.value) == pytest.approx((0.75, 0.2))
    assert found.cost == {"calls": 2.0, "tokens": 10.0, "seconds": 0.0, "money": 0.0}
    told = json.loads(json.dumps(found.json()))
    assert told["recovered"]["share"]["value"] == pytest.approx(0.2)
    assert told["laundering"] is found.calibration.laundering is True  # type: ignore[union-attr]
    rows = {row.metric: row for row in found.rows()}
    assert rows["accuracy on answered"].n == "80 of 100 tasks"
    assert rows["calls per verdict"].value == "2"
    assert rows["laundering"].value == "surer, and less right to be"


def test_zero_of_n_and_nothing_at_all() -> None:
    found = measured("Silent", Arms(Arm(np.full((2, 50), NAN)), right(0, 50, 2), right(50, 50, 2)), rng())
    rows = {row.metric: row for row in found.rows()}
    assert (found.answered, found.calibration, per_verdict(Account(), 0)) == (None, None, None)
    assert rows["accuracy, abstentions wrong"][1:] == ("0", "≤ 0.06", "50 tasks × 2 seeds")
    assert rows["accuracy on answered"].value == "answered none"
    assert rows["abstained"].value == "1.000"
    small = measured("Near", Arms(right(50), right(50), right(51)), rng())
    assert small.rows()[0].value == "gap too small"
    assert small.json()["recovered"]["share"] is None  # type: ignore[index, call-overload]
