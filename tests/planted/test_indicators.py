"""Each live indicator, read through the default rules, fires on a model with a planted sickness and stays
quiet on its clean twin; a planted KL is recovered within its interval.

The models are tables over four letters: every answer is six letters, each drawn from its own distribution
whatever came before. So KL(π‖π₀) per answer is Σ_t Σ_x p_t(x) ln p_t(x)/q_t(x), a number known beforehand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from accord.indicators.base_rank import BaseRank
from accord.indicators.diversity import Diversity
from accord.indicators.reverse_kl import ReverseKL
from accord.ports import Draw, History, How, Indicator, Look, Scored
from accord.records import Decision, Prompt, Reading, Response, digest
from accord.records.rows import Group, Text
from accord.rules import default_rules

LETTERS = ("alpha", "beta", "gamma", "delta")
LENGTH, PROBES, ANSWERS = 6, 48, 8


class Letters(NamedTuple):
    """Six letters, letter t from row t of ``p_T``."""

    policy: str
    p_T: np.ndarray
    can: frozenset[str] = frozenset({"sample", "logp", "rank"})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(prompt, tuple(self._answer(prompt, i, how) for i in range(n))) for prompt in prompts]

    def _answer(self, prompt: Prompt, index: int, how: How) -> Response:
        rng = np.random.default_rng(int(digest([how.key, prompt.id, index]), 16))
        tokens = tuple(int(rng.choice(4, p=p)) for p in self.p_T)
        return Response(
            prompt=prompt.id,
            text=" ".join(LETTERS[token] for token in tokens),
            tokens=tokens,
            policy=self.policy,
            seed=how.key,
            index=index,
            tokenizer="four",
        )

    async def score(self, said: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        assert want <= self.can
        return [Scored({name: self._column(text, name) for name in want}, "four") for text in said]

    def _column(self, text: Text, name: str) -> np.ndarray:
        tokens = np.array(text.response.tokens)
        picked = self.p_T[np.arange(LENGTH), tokens]
        if name == "logp":
            return np.log(picked)
        return (self.p_T > picked[:, None]).sum(axis=1).astype(float)


def model(policy: str, *p: float) -> Letters:
    return Letters(policy, np.tile(np.array(p), (LENGTH, 1)))


BASE = model("base", 0.4, 0.3, 0.2, 0.1)
TWIN = BASE._replace(policy="twin")
COLLAPSED = model("collapsed", 0.997, 0.001, 0.001, 0.001)
STRANGE = model("strange", 0.2, 0.2, 0.2, 0.4)
PROMPTS = tuple(Prompt.of(f"probe {i}") for i in range(PROBES))


def audit(indicator: Indicator, policy: Letters, step: int, key: str = "run") -> Reading:
    """What the guard does: fresh answers of the policy, the base's cached ones, one reading."""
    ours = asyncio.run(policy.sample(PROMPTS, ANSWERS, How(f"{key}/{step}")))
    base = asyncio.run(BASE.sample(PROMPTS, ANSWERS, How(f"{key}/base")))
    look = Look(key, step, (), tuple(ours), policy)
    found = asyncio.run(indicator.read(look, BASE, Draw(step // 20, tuple(base))))
    assert isinstance(found, Reading)
    return found


def follow(indicator: Indicator, policies: Sequence[Letters], key: str = "run") -> list[Decision]:
    """What the default rules say after an audit of each policy, that is not "nothing is wrong"."""
    readings = tuple(audit(indicator, policy, 20 * i, key) for i, policy in enumerate(policies))
    history = History(key, 20 * len(policies), (), readings, ())
    return [said for rule in default_rules() if (said := rule(history)).action != "continue" or said.reason]


def kl(p_T: np.ndarray, q_T: np.ndarray) -> float:
    return float((p_T * np.log(p_T / q_T)).sum())


def test_a_collapse_pauses() -> None:
    (decision,) = follow(Diversity(), [BASE, TWIN, COLLAPSED])
    assert (decision.action, decision.rule) == ("pause", "fell:diversity")


def test_a_shift_to_what_the_base_hardly_says_pauses() -> None:
    (decision,) = follow(BaseRank(), [BASE, TWIN, STRANGE])
    assert (decision.action, decision.rule) == ("pause", "rose:base_rank")
    # The fourth choice: .4 of the policy's letters, .1 of the base's.
    found = audit(BaseRank(), STRANGE, 40)
    assert found.low < 0.4 < found.high
    assert found.change_low is not None
    assert found.change_high is not None
    assert found.change_low < 0.3 < found.change_high


def test_a_policy_that_runs_away_warns() -> None:
    near = model("near", 0.42, 0.3, 0.19, 0.09)
    (decision,) = follow(ReverseKL(), [BASE, near, COLLAPSED])
    assert (decision.action, decision.rule) == ("continue", "grew:reverse_kl")
    assert decision.parents


@pytest.mark.parametrize("indicator", [Diversity(), BaseRank(), ReverseKL()])
@pytest.mark.parametrize("seed", range(5))
def test_the_clean_twin_is_left_alone(indicator: Indicator, seed: int) -> None:
    assert follow(indicator, [BASE, TWIN, TWIN, TWIN], key=f"run {seed}") == []


def test_the_clean_twin_has_spent_no_divergence() -> None:
    found = audit(ReverseKL(), TWIN, 20)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("p", [(0.25, 0.25, 0.25, 0.25), (0.1, 0.2, 0.3, 0.4), (0.6, 0.2, 0.15, 0.05)])
def test_a_planted_divergence_is_recovered(p: tuple[float, ...]) -> None:
    policy = model("policy", *p)
    truth = kl(policy.p_T, BASE.p_T)
    found = audit(ReverseKL(), policy, 20)
    assert found.low < truth < found.high
    assert found.high - found.low < 0.5 * truth + 0.25
    assert found.unit == "nats/answer"
    # The other direction, per-token and per-word figures all lie elsewhere.
    assert not found.low < truth / LENGTH < found.high


def test_a_planted_divergence_differs_by_place() -> None:
    p_T = np.array([[0.25] * 4, [0.1, 0.2, 0.3, 0.4]] * 3)
    found = audit(ReverseKL(), Letters("policy", p_T), 20)
    assert found.low < kl(p_T, BASE.p_T) < found.high


def test_intervals_cover_a_planted_divergence_about_as_often_as_they_say() -> None:
    policy = model("policy", 0.25, 0.25, 0.25, 0.25)
    truth = kl(policy.p_T, BASE.p_T)
    found = [audit(ReverseKL(), policy, 20, key=f"run {i}") for i in range(30)]
    covered = sum(one.low < truth < one.high for one in found)
    # At the named 95 % fewer than 25 of 30 would come about once in 300.
    assert covered >= 25
    assert len({one.value for one in found}) == 30
