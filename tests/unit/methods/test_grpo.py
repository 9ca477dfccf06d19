"""grpo: numbers by hand, masks, denominators, skipping.

Mutants this kills: the sign, a population's deviation, a mean for a sum of k1, β dropped, the penalty the
wrong way round, missing scores read as 0, counts that forget skipped rows, skipping what is only almost
equal, skipping with a KL in the loss, an advantage on one turn only, the clip used with the wrong ratio.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.errors import PlanError
from accord.methods.grpo import GRPO
from accord.records import Episode
from accord.records.rows import Batch, Row, Window
from accord.testing import a_window, evaluate

Scores = list[list[float | None]]


def measured(window: Window, **by: float) -> Window:
    """Each column as one number for all answer tokens of the window."""
    sequences = [s for row in window.rows for e in row.episodes for s in e.sequences()]
    columns = {name: tuple(np.full(sum(s.answer), x) for s in sequences) for name, x in by.items()}
    return replace(window, measured=columns)


def batch_of(method: GRPO, window: Window, seed: int = 0) -> Batch:
    batch, memory = method.batch(window, {"kept": 1}, np.random.default_rng(seed))
    assert memory == {"kept": 1}
    return batch


def plain(**told: Any) -> GRPO:
    return GRPO(beta=0.0, scale_std=False, **told)


def advantage_R(batch: Batch) -> list[float]:
    """One advantage per sequence; all its tokens have the same."""
    pieces = np.split(batch.tokens["advantage"], np.cumsum(batch.lengths_S())[:-1])
    assert all(len(set(piece.tolist())) == 1 for piece in pieces)
    return [float(piece[0]) for piece in pieces]


@pytest.mark.parametrize(
    ("told", "count", "wanted"),
    [
        # Answers of 1, 2 and 3 tokens with advantages −1, 0 and 1; ρ = 1, so token t adds −w·A.
        ({}, 6.0, (1 * 1 + 2 * 0 - 3 * 1) / 6),
        ({"per": "sequence"}, 3.0, (1 + 0 - 1) / 3),
        ({"per": "max_tokens", "max_tokens": 5}, 15.0, (1 - 3) / 15),
    ],
)
def test_the_objective_by_hand(told: dict[str, Any], count: float, wanted: float) -> None:
    method = plain(**told)
    batch = batch_of(method, a_window([[1.0, 2.0, 3.0]]))
    assert batch.counts == ({"policy": count},)
    assert advantage_R(batch) == [-1.0, 0.0, 1.0]
    part = batch.take(batch.steps[0])
    found = evaluate(method.loss, part, np.full(6, -0.7), {"policy": 1 / count}, "torch")
    assert found.totals["policy"] / count == pytest.approx(wanted, abs=1e-12)
    weight = [1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3] if method.per == "sequence" else [1] * 6
    slope = -np.array(weight) * [-1, 0, 0, 1, 1, 1] / count
    assert found.pressure_T == pytest.approx(slope), "∂objective/∂log π = −w·A / count"


def test_the_spread_is_that_of_a_sample_and_not_quite_divided_out() -> None:
    batch = batch_of(GRPO(beta=0.0), a_window([[1.0, 0.0]]))
    assert advantage_R(batch) == pytest.approx([0.5 / (0.5**0.5 + 1e-4), -0.5 / (0.5**0.5 + 1e-4)])


def test_the_penalty_stands_in_the_reward_summed_over_the_answer() -> None:
    """k1 = .5 per token, so answers of 1 and 2 tokens pay β·.5 and β·1; the rest is as without."""
    window = measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5)
    batch = batch_of(GRPO(beta=0.2, scale_std=False), window)
    assert advantage_R(batch) == pytest.approx([0.05, -0.05])
    assert batch.scalars["k1"] == pytest.approx((0.5 + 1.0) / 2)
    assert batch.scalars["k1_token"] == pytest.approx(0.5)
    assert batch.scalars["k3_token"] == pytest.approx(np.exp(-0.5) - 1 + 0.5)
    assert set(batch.tokens) == {"advantage", "weight"}, "with one step per window nothing old is kept"


def test_what_it_needs() -> None:
    def columns(**told: Any) -> set[str]:
        return set(GRPO(**told).needs().columns)

    assert columns() == {"ref_logp", "old_logp"}
    assert columns(beta=0.0) == set()
    assert columns(beta=0.0, epochs=2) == columns(beta=0.0, rows_per_step=4) == {"old_logp"}
    assert columns(kl="loss") == {"ref_logp"}
    assert columns(kl="loss", epochs=2) == {"ref_logp", "old_logp"}
    needs = GRPO().needs()
    assert (needs.scores, needs.critic) == (0, False)
    assert (GRPO(n=5).rows, GRPO().pushes_down) == (("answer", 5, "policy"), True)


def test_missing_scores_leave_baseline_and_loss() -> None:
    scores: Scores = [[1.0, None, 3.0], [None, 5.0], [None, None], [2.0, 0.0]]
    window = a_window(scores)
    batch = batch_of(plain(), window)
    assert advantage_R(batch) == [-1.0, 1.0, 1.0, -1.0]
    assert batch.counts == ({"policy": 1.0 + 3.0 + 1.0 + 2.0},)
    assert [s.tokens for s in batch.sequences] == [
        window.rows[i].episodes[0].sequences()[0].tokens for i in (0, 2, 7, 8)
    ]
    wanted = {"rows": 9.0, "missing": 4.0, "groups": 4.0, "groups_dropped": 2.0, "groups_equal": 0.0}
    assert {name: batch.scalars[name] for name in wanted} == wanted
    assert batch.scalars["score"] == pytest.approx(11 / 5)
    assert batch.scalars["score_std"] == pytest.approx(np.std([1, 3, 5, 2, 0]))


def test_equal_groups_are_not_computed_and_still_weigh() -> None:
    window = a_window([[1.0, 0.0], [2.0, 2.0, 2.0]])
    batch = batch_of(plain(), window)
    assert len(batch.sequences) == 2
    assert batch.counts == ({"policy": 3.0 + 6.0},), "the denominator is that of all rows that stay"
    assert batch.scalars["groups_equal"] == 1.0
    assert batch_of(plain(per="sequence"), window).counts == ({"policy": 5.0},)
    assert batch_of(plain(per="max_tokens", max_tokens=4), window).counts == ({"policy": 20.0},)


def test_almost_equal_is_computed() -> None:
    batch = batch_of(plain(), a_window([[0.3, 0.1 + 0.2]]))
    assert len(batch.sequences) == 2
    assert advantage_R(batch)[0] < 0


def test_a_penalty_makes_equal_scores_unequal_and_a_kl_in_the_loss_is_never_skipped() -> None:
    window = measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5)
    assert len(batch_of(GRPO(), window).sequences) == 2
    assert len(batch_of(GRPO(kl="loss"), window).sequences) == 2
    assert not batch_of(GRPO(beta=0.0), window).sequences


def test_a_window_of_equal_groups_has_no_steps_and_says_why() -> None:
    batch = batch_of(plain(), a_window([[1.0, 1.0], [0.0, 0.0], [1.0, None]]))
    assert (batch.steps, batch.counts, batch.sequences) == ((), (), ())
    assert (batch.scalars["groups_equal"], batch.scalars["groups_dropped"]) == (2.0, 1.0)


def test_skipping_changes_no_gradient() -> None:
    """Against the same rows with the skip taken out: zero advantages add nothing."""
    window = a_window([[1.0, 0.0], [2.0, 2.0], [0.0, 4.0]])
    method = GRPO(beta=0.0, rows_per_step=3, epochs=2)
    window = measured(window, old_logp=-0.5)
    skipped = batch_of(method, window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accord.methods.grpo.alike", lambda value, group: np.zeros(len(value), np.bool_))
        whole = batch_of(method, window)
    assert len(whole.sequences) == 6 and len(skipped.sequences) == 4
    by_tokens: list[dict[Any, float]] = []
    for batch in (whole, skipped):
        slopes: dict[Any, float] = {}
        for step, counts in zip(batch.steps, batch.counts, strict=True):
            part = batch.take(step)
            scale = {name: batch.weights[name] / count for name, count in counts.items()}
            found = evaluate(method.loss, part, np.full(part.lengths_S().sum(), -0.4), scale, "torch")
            pieces = np.split(found.pressure_T, np.cumsum(part.lengths_S())[:-1])
            for s, piece in zip(part.sequences, pieces, strict=True):
                slopes[s.tokens, s.answer] = slopes.get((s.tokens, s.answer), 0.0) + float(piece.sum())
        by_tokens.append({at: slope for at, slope in slopes.items() if slope})
    assert by_tokens[0] == pytest.approx(by_tokens[1])
    assert by_tokens[1]


def test_several_steps_take_every_row_once_an_epoch_and_keep_the_old_policy() -> None:
    window = measured(a_window([[0.0, 1.0, 2.0], [3.0, 1.0], [0.0, 5.0]]), old_logp=-0.5)
    batch = batch_of(plain(epochs=2, rows_per_step=3), window)
    assert [len(step) for step in batch.steps] == [3, 3, 1] * 2
    for epoch in (batch.steps[:3], batch.steps[3:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(7))
    lengths = batch.lengths_S()
    assert [c["policy"] for c in batch.counts] == [float(lengths[step].sum()) for step in batch.steps]
    assert batch.tokens["old_logp"].tolist() == [-0.5] * 12
    assert batch.weights == {"policy": 1.0, "clipped": 0.0}


def test_the_clip_holds_gains_and_counts_what_it_holds() -> None:
    method = plain(clip=0.2, clip_high=0.3, epochs=2)
    batch = batch_of(method, measured(a_window([[1.0, 3.0]]), old_logp=-1.0))
    part = batch.take(np.array([0, 1]))
    assert advantage_R(part) == [-1.0, 1.0]
    # One token with A = −1 at ρ = .7, under the clip; two with A = 1 at ρ = 1.25 and 1.35.
    logp = np.log([0.7, 1.25, 1.35]) - 1.0
    found = evaluate(method.loss, part, logp, {"policy": 1.0, "clipped": 0.0}, "torch")
    assert found.totals == pytest.approx({"policy": 0.8 - 1.25 - 1.3, "clipped": 2.0})
    assert found.pressure_T == pytest.approx([0.0, -1.25, 0.0])


@pytest.mark.parametrize("told", [{}, {"epochs": 2}])
def test_a_kl_in_the_loss_pulls_by_k1_and_is_weighted_by_beta(told: dict[str, Any]) -> None:
    method = GRPO(beta=0.5, scale_std=False, kl="loss", **told)
    batch = batch_of(method, measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5))
    assert advantage_R(batch) == [0.0, 0.0], "no penalty in the reward"
    assert (batch.weights["kl"], batch.weights["k1"], batch.weights["k3"]) == (0.5, 0.0, 0.0)
    part = batch.take(batch.steps[0])
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    found = evaluate(method.loss, part, np.full(3, -1.0), scale, "torch")
    assert found.pressure_T == pytest.approx([0.5 * 0.5 / 3] * 3), "β·k1 / tokens"
    assert found.totals["k1"] == pytest.approx(3 * 0.5)
    assert found.totals["kl"] == pytest.approx(3 * (np.exp(-0.5) - 0.5 if told else 0.125))


def test_one_advantage_for_all_answer_tokens_of_all_turns() -> None:
    turns = Episode(
        prompt="p", responses=("a", "b"), prompt_tokens=((1,), (9, 9)), tokens=((2, 3), (4,)), rewards=()
    )
    rows = (Row((turns,), {"score": 3.0}), Row(a_window([[0.0]]).rows[0].episodes, {"score": 1.0}))
    batch = batch_of(plain(per="sequence"), Window(0, rows))
    assert batch.row_S.tolist() == [0, 0, 1]
    assert batch.tokens["advantage"].tolist() == [1.0, 1.0, 1.0, -1.0]
    assert batch.tokens["weight"] == pytest.approx([1 / 3] * 3 + [1.0])
    assert batch.counts == ({"policy": 2.0},), "an episode is one row, however many turns"


def test_settings_that_contradict_each_other_are_refused() -> None:
    for told in ({"per": "max_tokens"}, {"max_tokens": 9}):
        with pytest.raises(ValidationError, match="max_tokens is given with per"):
            GRPO(**told)
    with pytest.raises(ValidationError):
        GRPO(kl="k1")


def test_a_window_without_the_column_is_a_plan_error() -> None:
    with pytest.raises(PlanError, match='column is "score"'):
        batch_of(plain(), a_window([[1.0, 2.0]], column="p"))


def test_figures_that_nothing_was_measured_for_are_left_out() -> None:
    batch = batch_of(plain(), a_window([[None, None]]))
    assert not {"score", "score_std", "k1", "k3"} & set(batch.scalars)
    assert "k1" not in batch_of(plain(), a_window([[1.0, 2.0]])).scalars
