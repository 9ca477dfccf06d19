"""Little worlds: counts, probabilities, values. Mutants: π* with β on the wrong side, V without its β,
contexts of one prompt visited from another, a forced end that costs probability."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from accord.testing import bandit, distance, optimum, strings


def test_what_can_be_said() -> None:
    little = strings()
    assert len(set(little.answers)) == 15
    assert all(answer[-1] == 0 and 0 not in answer[:-1] for answer in little.answers)
    assert {len(answer) for answer in little.answers} == {1, 2, 3, 4}
    assert len(strings(bits=1).answers) == 3
    assert bandit(arms=5).answers == ((0,), (1,), (2,), (3,), (4,))


@pytest.mark.parametrize("little", [bandit(), strings(), strings(seed=5, prompts=3)])
def test_shares_are_probabilities_and_come_back_from_tables(little) -> None:  # type: ignore[no-untyped-def]
    share = little.shares(little.start())
    assert share.sum(axis=1) == pytest.approx(np.ones(little.prompts))
    assert little.shares(little.tables(share)) == pytest.approx(share, abs=1e-12)
    drawn = np.random.default_rng(0).dirichlet(np.ones(share.shape[1]), size=little.prompts)
    assert little.shares(little.tables(drawn)) == pytest.approx(drawn, abs=1e-12)
    by_token = [[np.exp(of.sum()) for of in row] for row in little.tokens_logp(little.start())]
    assert share == pytest.approx(np.array(by_token))


def test_after_the_last_bit_the_end_is_certain() -> None:
    little = strings()
    longest = [a for a, answer in enumerate(little.answers) if len(answer) == 4]
    assert [little.tokens_logp(little.start())[0][a][-1] for a in longest] == [0.0] * 8


@pytest.mark.parametrize("beta", [0.2, 0.5, 2.0])
def test_the_optimum_is_the_best_of_all_policies(beta: float) -> None:
    """E r − β KL is β log Z there, and less for every other policy."""
    little = strings(seed=2)
    ref, reward = little.shares(little.start())[0], little.reward_PA[0]

    def objective(p: np.ndarray) -> float:
        return float((p * (reward - beta * np.log(p / ref))).sum())

    best = optimum(little, beta)
    top = objective(little.shares(best)[0])
    assert top == pytest.approx(beta * np.log((ref * np.exp(reward / beta)).sum()))
    assert top == pytest.approx(float(best.values_PC[0, 0])), "V of the empty prefix is β log Z"
    rng = np.random.default_rng(0)
    assert all(objective(rng.dirichlet(ref * 50 + 0.1) + 1e-12) < top for _ in range(50))


def test_values_are_those_of_every_prefix() -> None:
    """V(s) = log-mean-exp over what can follow: one step of Bellman, in every context of every prompt."""
    little, beta = strings(prompts=2), 0.5
    value, logp = little.values(beta), little.logp_PCV(little.start())
    index = {context: c for c, context in enumerate(little.contexts)}
    ends = {answer: a for a, answer in enumerate(little.answers)}
    for p, (c, context) in itertools.product(range(2), enumerate(little.contexts)):
        total = 0.0
        for token in range(3):
            after = (*context, token)
            if after in ends or after in index:
                worth = little.reward_PA[p, ends[after]] if after in ends else value[p, index[after]]
                total += np.exp(logp[p, c, token] + worth / beta)
        assert value[p, c] == pytest.approx(beta * np.log(total))


def test_distance_is_the_share_that_would_have_to_move() -> None:
    little = bandit(prompts=2)
    share = little.shares(little.start())
    other = share.copy()
    other[1] += np.array([0.05, -0.05, 0.0, 0.0])
    assert distance(little, little.start(), little.tables(other)) == pytest.approx(0.05)
    assert distance(little, little.start(), little.start()) == 0.0


def test_sequences_are_known_by_their_tokens() -> None:
    little = strings(prompts=2)
    assert len(little.known) == 30
    for (p, a), index in itertools.product(((0, 3), (1, 14)), (0, 5)):
        (sequence,) = little.episode(p, a, index).sequences()
        assert little.known[sequence.tokens] == (p, a)
        assert sum(sequence.answer) == len(little.answers[a])
    assert little.episode(0, 0, 0).id != little.episode(0, 0, 1).id, "two draws are two facts"
