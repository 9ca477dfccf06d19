"""reinforce_pp: numbers by hand, baselines, denominators, skipping.

Mutants this kills: the sign, a population's deviation, the deviation of the group for the window's, the
window's mean for the group's, a baseline dropped without whitening, a group skipped because it is equal while
the window is not, missing scores read as 0, counts that forget skipped rows, scaling twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.errors import PlanError
from accord.methods.reinforce_pp import ReinforcePP
from accord.ports import Advantaged
from accord.records.rows import Batch, Window
from accord.testing import a_window, evaluate

Scores = list[list[float | None]]


def measured(window: Window, **by: float) -> Window:
    """Each column as one number for all answer tokens of the window."""
    sequences = [s for row in window.rows for e in row.episodes for s in e.sequences()]
    columns = {name: tuple(np.full(sum(s.answer), x) for s in sequences) for name, x in by.items()}
    return replace(window, measured=columns)


def batch_of(method: ReinforcePP, window: Window, seed: int = 0) -> Batch:
    batch, memory = method.batch(window, {"kept": 1}, np.random.default_rng(seed))
    assert memory == {"kept": 1}
    return batch


def plain(**told: Any) -> ReinforcePP:
    return ReinforcePP(**{"beta": 0.0, "whiten": False, "n": 2, **told})


def advantage_R(batch: Batch) -> list[float]:
    """One advantage per sequence; all its tokens have the same."""
    pieces = np.split(batch.tokens["advantage"], np.cumsum(batch.lengths_S())[:-1])
    assert all(len(set(piece.tolist())) == 1 for piece in pieces)
    return [float(piece[0]) for piece in pieces]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        # Scores 1, 2 and 3, 6: mean 3 of the window, 1.5 and 4.5 of the groups.
        ({}, np.array([-2.0, -1.0, 0.0, 3.0])),
        ({"baseline": "group"}, np.array([-0.5, 0.5, -1.5, 1.5])),
        ({"whiten": True}, np.array([-2.0, -1.0, 0.0, 3.0]) / (np.sqrt(14 / 3) + 1e-4)),
        ({"whiten": True, "baseline": "group"}, np.array([-0.5, 0.5, -1.5, 1.5]) / (np.sqrt(5 / 3) + 1e-4)),
    ],
    ids=str,
)
def test_the_objective_by_hand(told: dict[str, Any], wanted: np.ndarray) -> None:
    """Answers of 1, 2, 1 and 2 tokens; token t pulls by −A over 6 tokens."""
    method = plain(**told)
    batch = batch_of(method, a_window([[1.0, 2.0], [3.0, 6.0]]))
    assert advantage_R(batch) == pytest.approx(wanted, rel=1e-12)
    assert batch.counts == ({"policy": 6.0},)
    assert set(batch.tokens) == {"advantage"}, "with one step per window nothing old is kept"
    found = evaluate(method.loss, batch, np.full(6, -0.7), {"policy": 1 / 6}, "torch")
    assert found.totals["policy"] == pytest.approx(-(wanted * [1, 2, 1, 2]).sum())
    assert found.pressure_T == pytest.approx(-np.repeat(wanted, [1, 2, 1, 2]) / 6)


def test_the_penalty_stands_in_the_reward_summed_over_the_answer() -> None:
    """k1 = .5 per token: answers of 1 and 2 tokens pay .1 and .2, .15 on average."""
    window = measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5)
    batch = batch_of(plain(beta=0.2), window)
    assert advantage_R(batch) == pytest.approx([0.05, -0.05])
    assert batch.scalars["k1"] == pytest.approx((0.5 + 1.0) / 2)


def test_what_it_needs() -> None:
    def columns(**told: Any) -> set[str]:
        return set(ReinforcePP(**told).needs().columns)

    assert columns() == columns(epochs=2) == {"ref_logp", "old_logp"}
    assert columns(beta=0.0) == set()
    assert columns(beta=0.0, epochs=2) == columns(beta=0.0, rows_per_step=4) == {"old_logp"}
    needs = ReinforcePP().needs()
    assert (needs.scores, needs.critic) == (0, False)
    assert (ReinforcePP().rows, ReinforcePP().pushes_down) == (("answer", 1, "policy"), True)


def test_missing_scores_leave_mean_deviation_loss_and_count() -> None:
    scores: Scores = [[1.0, None], [4.0], [None], [7.0, None]]
    batch = batch_of(plain(whiten=True), a_window(scores))
    assert advantage_R(batch) == pytest.approx(np.array([-3.0, 0.0, 3.0]) / (3 + 1e-4))
    assert batch.counts == ({"policy": 3.0},)
    assert (batch.scalars["missing"], batch.scalars["groups_dropped"]) == (3.0, 1.0)
    grouped = batch_of(plain(baseline="group"), a_window(scores))
    assert not grouped.steps, "no prompt has two answers to compare"


def test_equal_groups_are_skipped_only_where_they_are_all_that_is_compared() -> None:
    window = a_window([[1.0, 1.0], [0.1, 0.1, 0.1], [0.0, 4.0]])
    whole = batch_of(plain(), window)
    assert len(whole.sequences) == 7, "each group is equal, and yet over or under the window's mean"
    grouped = batch_of(plain(baseline="group", whiten=True), window)
    assert len(grouped.sequences) == 2
    assert grouped.counts == ({"policy": 3.0 + 6.0 + 3.0},), "what is not computed still weighs"
    assert advantage_R(grouped) == pytest.approx(np.array([-2.0, 2.0]) / (np.sqrt(8 / 6) + 1e-4))
    assert (whole.scalars["groups_equal"], grouped.scalars["groups_equal"]) == (0.0, 2.0)
    for method in (plain(whiten=True), plain(baseline="group")):
        nothing = batch_of(method, a_window([[0.1, 0.1, 0.1], [0.1, 0.1]]))
        assert (nothing.steps, nothing.sequences) == ((), ())
        assert nothing.scalars["groups_equal"] == 2.0


def test_several_steps_take_every_row_once_an_epoch_and_keep_the_old_policy() -> None:
    window = measured(a_window([[0.0, 1.0, 2.0], [3.0, 7.0], [0.0, 5.0]]), old_logp=-0.5)
    batch = batch_of(plain(epochs=2, rows_per_step=3), window)
    assert [len(step) for step in batch.steps] == [3, 3, 1] * 2
    lengths = batch.lengths_S()
    assert [c["policy"] for c in batch.counts] == [float(lengths[step].sum()) for step in batch.steps]
    assert batch.tokens["old_logp"].tolist() == [-0.5] * 12
    assert batch.weights == {"policy": 1.0, "clipped": 0.0}


def test_the_clip_holds_gains_and_counts_what_it_holds() -> None:
    """One token with A = −1 at ρ = .7, under the clip; two with A = 1 at ρ = 1.25 and 1.35."""
    method = plain(clip=0.2, clip_high=0.3, epochs=2)
    batch = batch_of(method, measured(a_window([[1.0, 3.0]]), old_logp=-1.0))
    logp = np.log([0.7, 1.25, 1.35]) - 1.0
    found = evaluate(method.loss, batch, logp, {"policy": 1.0, "clipped": 0.0}, "torch")
    assert found.totals == pytest.approx({"policy": 0.8 - 1.25 - 1.3, "clipped": 2.0})
    assert found.pressure_T == pytest.approx([0.0, -1.25, 0.0])


def test_its_advantages_are_mixed_before_they_are_scaled_once() -> None:
    method = ReinforcePP(beta=0.2)
    assert isinstance(method, Advantaged)
    window = measured(a_window([[1.0], [3.0]]), old_logp=-1.0, ref_logp=-1.5)
    rows = tuple(
        replace(row, columns={**row.columns, "cost:harm": float(k)}) for k, row in enumerate(window.rows)
    )
    window = replace(window, rows=rows)
    score, cost = (method.advantage(name, window, {}) for name in ("score", "cost:harm"))
    assert score == pytest.approx([-1.0, 1.0]), "the mean off, nothing scaled"
    assert cost == pytest.approx([-0.5, 0.5])
    mixed = method.taught(window, (score - cost) / 2, np.random.default_rng(0))
    assert advantage_R(mixed) == pytest.approx(np.array([-0.25, 0.25]) / (np.sqrt(0.125) + 1e-4))
    alone = method.taught(window, np.array([np.nan, 0.5]), np.random.default_rng(0))
    assert not alone.steps, "one row has no deviation"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="2 or more, with baseline"):
        ReinforcePP(baseline="group")
    for told in ({"n": 0}, {"baseline": "leave_one_out"}, {"clip": 0.0}):
        with pytest.raises(ValidationError):
            ReinforcePP(**told)
    with pytest.raises(PlanError, match='column is "score"'):
        batch_of(plain(), a_window([[1.0, 2.0]], column="p"))
