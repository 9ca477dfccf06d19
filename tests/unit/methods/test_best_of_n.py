"""best_of_n: P(y) = F(y)ⁿ − F(y⁻)ⁿ, by enumeration through the real ``batch``.

Mutants this kills: the worst for the best (sign), n draws scored as n − 1, ties to the last index or to all,
a missing score taken for 0 or for the best, > for ≥ at the threshold, an empty group filled up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from accord.methods.best_of_n import BestOfN
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row, Window
from accord.testing import a_response, a_window

ARMS = 4
P = np.array([0.1, 0.2, 0.3, 0.4])


def bandit(arms: Sequence[int], reward: Sequence[float | None], group: int = 0) -> list[Row]:
    """Draws of arms as rows; an arm is its token."""
    prompt = Prompt.of(f"bandit {group}")
    rows: list[Row] = []
    for k, arm in enumerate(arms):
        said = a_response(prompt, str(arm), k, (10 + arm,))
        score = reward[arm]
        value = math.nan if score is None else score
        rows.append(Row((Episode.single(said),), {"score": value}, score is None, group))
    return rows


def chosen(batch: Batch) -> list[int]:
    return [s.tokens[-1] - 10 for s in batch.sequences]


def target(reward: Sequence[float | None], n: int, threshold: float | None = None) -> np.ndarray:
    """What one round teaches: the expected share of each arm, over all n-tuples of draws."""
    share, mass = np.zeros(ARMS), 0.0
    method = BestOfN(n=n, threshold=threshold)
    for arms in itertools.product(range(ARMS), repeat=n):
        weight = float(np.prod(P[list(arms)]))
        batch, _ = method.batch(Window(0, tuple(bandit(arms, reward))), {}, np.random.default_rng(0))
        for arm in chosen(batch):
            share[arm] += weight
            mass += weight
    return share / mass


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("reward", [[0.0, 1.0, 2.0, 3.0], [3.0, 0.5, -1.0, 2.0]])
def test_one_round_teaches_the_law_of_the_best(reward: list[float], n: int) -> None:
    below = np.array([P[np.array(reward) < r].sum() for r in reward])
    upto = np.array([P[np.array(reward) <= r].sum() for r in reward])
    expected = upto**n - below**n
    assert expected.sum() == pytest.approx(1)
    found = target(reward, n)
    assert found == pytest.approx(expected, abs=1e-12)
    kl = float((found * np.log(found / P)).sum())
    assert kl <= math.log(n) - (n - 1) / n + 1e-12


def test_a_tied_level_shares_its_mass_as_the_reference_does() -> None:
    reward = [1.0, 1.0, 0.0, 1.0]
    found = target(reward, 3)
    top = P[[0, 1, 3]]
    assert found[[0, 1, 3]] == pytest.approx((1 - 0.3**3) * top / top.sum(), abs=1e-12)
    assert found[2] == pytest.approx(0.3**3, abs=1e-12)


def test_the_threshold_form_is_the_reference_on_what_is_accepted() -> None:
    """Every accepted draw is raised: expected shares are π_ref conditioned on the accepted set."""
    found = target([0.0, 1.0, 0.5, 2.0], 3, threshold=1.0)
    accepted = np.array([0.0, 0.2, 0.0, 0.4])
    assert found == pytest.approx(accepted / accepted.sum(), abs=1e-12)
    kl = float(sum(f * math.log(f / p) for f, p in zip(found, P, strict=True) if f))
    assert kl == pytest.approx(-math.log(0.6), abs=1e-12)


def test_missing_draws_leave_before_the_best_is_chosen() -> None:
    found = target([5.0, 1.0, None, 2.0], 2)
    assert found[2] == 0
    # Of two draws one or both are missing (arm 2, .3): the other one wins by itself.
    alone, both = 2 * 0.3, 1.0
    expected = {
        0: P[0] * alone + (0.7**2 - 0.6**2) * both,
        3: P[3] * alone + (0.6**2 - 0.2**2) * both,
        1: P[1] * alone + 0.2**2 * both,
    }
    total = sum(expected.values())
    assert total == pytest.approx(1 - 0.3**2)
    for arm, mass in expected.items():
        assert found[arm] == pytest.approx(mass / total, abs=1e-12)


def test_ties_go_to_the_lowest_index() -> None:
    batch, _ = BestOfN().batch(a_window([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0]]), {}, np.random.default_rng(0))
    assert [len(s.tokens) - 2 for s in batch.sequences] == [2, 1], "answer k has k + 1 tokens"


def test_prompts_without_an_accepted_answer_are_dropped_and_counted() -> None:
    window = a_window([[1.0, 0.0], [0.0, 0.0], [None, None], [None, 2.0]])
    batch, memory = BestOfN(threshold=1.0).batch(window, {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    assert len(batch.sequences) == 2
    wanted = {"rows": 8.0, "missing": 3.0, "accepted": 2.0, "groups": 4.0, "groups_without": 2.0}
    assert {name: batch.scalars[name] for name in wanted} == wanted
    assert batch.scalars["score"] == pytest.approx(3.0 / 5)
    assert batch.scalars["unused"] == pytest.approx(1 - 2 / 5)
    best, _ = BestOfN().batch(window, {}, np.random.default_rng(0))
    assert (len(best.sequences), best.scalars["groups_without"]) == (3, 1.0)


def test_a_score_at_the_threshold_is_accepted() -> None:
    batch, _ = BestOfN(threshold=1.0).batch(a_window([[1.0, 0.999]]), {}, np.random.default_rng(0))
    assert len(batch.sequences) == 1


def test_a_window_without_scores_has_no_steps() -> None:
    batch, _ = BestOfN().batch(a_window([[None, None]]), {}, np.random.default_rng(0))
    assert (batch.steps, batch.counts, batch.sequences) == ((), (), ())
    assert batch.scalars["groups_without"] == 1.0


def test_counts_are_the_answer_tokens_of_each_step() -> None:
    """Of each group the last answer is the best: 3, 2 and 1 tokens."""
    window = a_window([[0.0, 1.0, 2.0], [0.0, 1.0], [5.0]])
    batch, _ = BestOfN(rows_per_step=2, epochs=2).batch(window, {}, np.random.default_rng(3))
    assert [len(s) for s in batch.steps] == [2, 1, 2, 1]
    lengths = np.array([3, 2, 1])
    for step, counts in zip(batch.steps, batch.counts, strict=True):
        assert counts == {"nll": float(lengths[step].sum())}
    assert sorted(np.concatenate(batch.steps[:2]).tolist()) == [0, 1, 2]
    assert batch.tokens["weight"].tolist() == [1.0] * 6
    orders = {
        tuple(np.concatenate(BestOfN().batch(window, {}, np.random.default_rng(s))[0].steps))
        for s in range(9)
    }
    assert len(orders) > 1, "the order is drawn"


def test_what_it_says_of_itself() -> None:
    method = BestOfN(n=5)
    assert (method.rows.unit, method.rows.n, method.rows.by) == ("answer", 5, "policy")
    assert method.pushes_down is False
    assert method.needs().columns == frozenset()
