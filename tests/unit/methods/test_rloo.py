"""rloo: numbers by hand, masks, denominators, skipping.

Mutants this kills: the sign, an answer in its own baseline, a mean for a sum of k1, missing scores read as 0,
tokens for rows in the count, counts that forget skipped rows, skipping what is only almost equal, skipping
with a KL in the loss, a ratio per sequence for that of the row, a clip that also holds losses, masked answers
that leave the baseline.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.errors import PlanError
from accord.methods.rloo import RLOO
from accord.ports import Advantaged
from accord.records import Episode
from accord.records.rows import Batch, Row, Window
from accord.testing import a_window, evaluate

Scores = list[list[float | None]]


def measured(window: Window, **by: float) -> Window:
    """Each column as one number for all answer tokens of the window."""
    sequences = [s for row in window.rows for e in row.episodes for s in e.sequences()]
    columns = {name: tuple(np.full(sum(s.answer), x) for s in sequences) for name, x in by.items()}
    return replace(window, measured=columns)


def batch_of(method: RLOO, window: Window, seed: int = 0) -> Batch:
    batch, memory = method.batch(window, {"kept": 1}, np.random.default_rng(seed))
    assert memory == {"kept": 1}
    return batch


def plain(**told: Any) -> RLOO:
    return RLOO(beta=0.0, **told)


def advantage_R(batch: Batch) -> list[float]:
    return batch.rows["advantage"].tolist()


def test_the_objective_by_hand() -> None:
    """Scores 1, 2, 6 of answers of 1, 2 and 3 tokens: A = 1 − 4, 2 − 3.5, 6 − 1.5; every token of a row pulls
    by its row's A over 3 rows."""
    batch = batch_of(plain(), a_window([[1.0, 2.0, 6.0]]))
    assert advantage_R(batch) == [-3.0, -1.5, 4.5]
    assert batch.counts == ({"policy": 3.0},)
    assert not batch.tokens, "with one step per window nothing old is kept"
    found = evaluate(plain().loss, batch, np.full(6, -0.7), {"policy": 1 / 3}, "torch")
    assert found.totals["policy"] == 0.0, "ρ is exactly 1, and advantages sum to 0"
    assert found.pressure_T == pytest.approx(np.array([3.0, 1.5, 1.5, -4.5, -4.5, -4.5]) / 3)


def test_the_penalty_stands_in_the_reward_summed_over_the_answer() -> None:
    """k1 = .5 per token: answers of 1 and 2 tokens pay .1 and .2, and each is the other's baseline."""
    window = measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5)
    batch = batch_of(RLOO(beta=0.2), window)
    assert advantage_R(batch) == pytest.approx([0.1, -0.1])
    assert batch.scalars["k1"] == pytest.approx((0.5 + 1.0) / 2)


def test_what_it_needs() -> None:
    def columns(**told: Any) -> set[str]:
        return set(RLOO(**told).needs().columns)

    assert columns() == {"ref_logp", "old_logp"}
    assert columns(beta=0.0) == set()
    assert columns(beta=0.0, epochs=2) == columns(beta=0.0, rows_per_step=4) == {"old_logp"}
    assert columns(kl="loss") == {"ref_logp"}
    assert columns(kl="loss", epochs=2) == {"ref_logp", "old_logp"}
    needs = RLOO().needs()
    assert (needs.scores, needs.critic) == (0, False)
    assert (RLOO().rows, RLOO().pushes_down) == (("answer", 4, "policy"), True)


def test_missing_scores_leave_baseline_loss_and_count() -> None:
    scores: Scores = [[1.0, None, 3.0], [None, 5.0], [None, None], [2.0, 0.0]]
    batch = batch_of(plain(), a_window(scores))
    assert advantage_R(batch) == [-2.0, 2.0, 2.0, -2.0]
    assert batch.counts == ({"policy": 4.0},)
    wanted = {"rows": 9.0, "missing": 4.0, "groups": 4.0, "groups_dropped": 2.0, "groups_equal": 0.0}
    assert {name: batch.scalars[name] for name in wanted} == wanted


def test_equal_groups_are_not_computed_and_still_weigh() -> None:
    batch = batch_of(plain(), a_window([[1.0, 0.0], [0.1, 0.1, 0.1]]))
    assert len(batch.sequences) == 2
    assert batch.counts == ({"policy": 5.0},)
    assert batch.scalars["groups_equal"] == 1.0
    nothing = batch_of(plain(), a_window([[1.0, 1.0], [0.1, 0.1, 0.1], [1.0, None]]))
    assert (nothing.steps, nothing.counts, nothing.sequences) == ((), (), ())
    assert len(batch_of(plain(), a_window([[0.3, 0.1 + 0.2]])).sequences) == 2, "almost equal is computed"


def test_equal_advantages_that_are_not_0_are_computed() -> None:
    """As a wrapper may mix them, where a row left after the baseline was taken."""
    window = a_window([[1.0, 2.0, 3.0]])
    batch = plain().taught(window, np.array([0.5, 0.5, np.nan]), np.random.default_rng(0))
    assert advantage_R(batch) == [0.5, 0.5]
    assert batch.scalars["groups_equal"] == 0.0


def test_a_kl_in_the_loss_is_never_skipped_and_pulls_by_k1_over_the_rows() -> None:
    window = measured(a_window([[1.0, 1.0]]), old_logp=-1.0, ref_logp=-1.5)
    method = RLOO(beta=0.5, kl="loss")
    batch = batch_of(method, window)
    assert advantage_R(batch) == [0.0, 0.0]
    assert batch.counts == ({"policy": 2.0, "kl": 2.0, "k1": 3.0, "k3": 3.0},)
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    found = evaluate(method.loss, batch, np.full(3, -1.0), scale, "torch")
    assert found.pressure_T == pytest.approx([0.5 * 0.5 / 2] * 3), "β·k1 / rows"
    assert found.totals["kl"] == pytest.approx(3 * 0.125)
    twice = RLOO(beta=0.5, kl="loss", epochs=2)
    found = evaluate(twice.loss, batch_of(twice, window), np.full(3, -1.0), scale, "torch")
    assert found.pressure_T == pytest.approx([0.5 * 0.5 / 2] * 3)
    assert found.totals["kl"] == pytest.approx(3 * (np.exp(-0.5) - 0.5)), "k3 times ρ, which is 1 here"


def episode(*, apart: bool) -> Episode:
    """Two answers of 2 and 1 tokens; the second prompt extends all before it, or starts anew."""
    second = (9, 9) if apart else (1, 2, 3, 8)
    told: dict[str, Any] = {"prompt": "p", "responses": ("a", "b"), "prompt_tokens": ((1,), second)}
    return Episode(**told, tokens=((2, 3), (4,)))


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_turns_are_one_decision_however_many_sequences_they_are(apart: bool, clip: float | None) -> None:
    """Tokens that became 2, ½ and 1.2 times as probable: ρ = 1.2 for the whole episode, inside the clip; the
    other row stands at 3 with A = −1, which no clip holds."""
    rows = (
        Row((episode(apart=apart),), {"score": 3.0}),
        Row(a_window([[0.0]]).rows[0].episodes, {"score": 2.0}),
    )
    method = plain(epochs=2, clip=clip)
    batch = batch_of(method, measured(Window(0, rows), old_logp=-3.0))
    assert batch.row_S.tolist() == ([0, 0, 1] if apart else [0, 1])
    logp = np.log([2.0, 0.5, 1.2, 3.0]) - 3.0
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    found = evaluate(method.loss, batch, logp, scale, "torch")
    assert found.totals["policy"] == pytest.approx(-1.2 + 3.0)
    assert found.pressure_T == pytest.approx(np.array([-1.2, -1.2, -1.2, 3.0]) / 2)
    assert found.totals.get("clipped", 0.0) == 0.0


def test_the_clip_holds_gains_of_whole_answers_and_counts_them() -> None:
    """A = −1 at ρ = .7 and A = 1 at ρ = 1.5·.9 = 1.35, both past .2, though one token is within it."""
    method = plain(epochs=2, clip=0.2)
    batch = batch_of(method, measured(a_window([[1.0, 2.0]]), old_logp=-3.0))
    logp = np.log([0.7, 1.5, 0.9]) - 3.0
    found = evaluate(method.loss, batch, logp, {"policy": 1.0, "clipped": 0.0}, "torch")
    assert found.totals == pytest.approx({"policy": 0.8 - 1.2, "clipped": 2.0})
    assert found.pressure_T == pytest.approx([0.0, 0.0, 0.0])
    assert batch.counts == ({"policy": 2.0, "clipped": 2.0},) * 2


def test_several_steps_take_every_row_once_an_epoch_and_keep_the_old_policy() -> None:
    window = measured(a_window([[0.0, 1.0, 2.0], [3.0, 1.0], [0.0, 5.0]]), old_logp=-0.5)
    batch = batch_of(plain(epochs=2, rows_per_step=3), window)
    assert [len(step) for step in batch.steps] == [3, 3, 1] * 2
    for epoch in (batch.steps[:3], batch.steps[3:]):
        assert sorted(np.concatenate(epoch).tolist()) == list(range(7))
    assert [c["policy"] for c in batch.counts] == [3.0, 3.0, 1.0] * 2
    assert batch.tokens["old_logp"].tolist() == [-0.5] * 12
    assert batch.weights == {"policy": 1.0}


def test_masked_answers_leave_loss_and_count_and_stay_in_the_baseline() -> None:
    plain_window = a_window([[1.0, 2.0, 6.0]])
    cut = [0.0, 0.0, 1.0]
    rows = [replace(r, columns={**r.columns, "cut": c}) for r, c in zip(plain_window.rows, cut, strict=True)]
    batch = batch_of(plain(mask_cut=True), replace(plain_window, rows=tuple(rows)))
    assert advantage_R(batch) == [-3.0, -1.5]
    assert batch.counts == ({"policy": 2.0},)
    with pytest.raises(PlanError, match='column is "cut"'):
        batch_of(plain(mask_cut=True), plain_window)


def test_its_advantages_can_be_taken_of_any_column_mixed_and_given_back() -> None:
    method = RLOO(beta=0.2)
    assert isinstance(method, Advantaged)
    window = measured(a_window([[1.0, 1.0], [4.0, 0.0]]), old_logp=-1.0, ref_logp=-1.5)
    rows = tuple(
        replace(row, columns={**row.columns, "cost:harm": float(k == 3)}) for k, row in enumerate(window.rows)
    )
    window = replace(window, rows=rows)
    score, cost = (method.advantage(name, window, {}) for name in ("score", "cost:harm"))
    assert score == pytest.approx([0.1, -0.1, 4.1, -4.1])
    assert cost.tolist() == [0.0, 0.0, -1.0, 1.0], "a cost pays no penalty"
    whole = batch_of(method, window)
    again = method.taught(window, score, np.random.default_rng(0))
    assert again.rows["advantage"].tolist() == whole.rows["advantage"].tolist()
    mixed = method.taught(window, (score - cost) / 2, np.random.default_rng(0))
    assert mixed.rows["advantage"] == pytest.approx([0.05, -0.05, 2.55, -2.55])


def test_what_cannot_be_is_refused() -> None:
    for told in ({"n": 1}, {"kl": "k1"}, {"clip": 1.0}):
        with pytest.raises(ValidationError):
            RLOO(**told)
    with pytest.raises(PlanError, match='column is "score"'):
        batch_of(plain(), a_window([[1.0, 2.0]], column="p"))
