"""distill reaches the teacher, π = π_T, by enumeration and from drawn answers, and rests there.

Mutants that are put in and must miss it: the sign, teacher and student exchanged, one of them dropped, the
reference in the teacher's place, the first or the last token alone taught, a loss without a ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from accord.maths.tensor import clipped
from accord.methods.distill import Distill
from accord.ports import Reads
from accord.records.rows import Floats, Window
from accord.testing import (
    Data,
    Little,
    Schedule,
    Tables,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    sampled,
    strings,
)


def teacher(little: Little, seed: int = 7) -> Tables:
    """Some other policy of the same world: random logits where something can be said."""
    draw = np.random.default_rng(seed).normal(size=little.reference_PCV.shape)
    return little.start()._replace(logits_PCV=np.where(np.isfinite(little.reference_PCV), draw, -np.inf))


def data(little: Little) -> Data:
    return Data(reads={"teacher_logp": teacher(little)})


def exact(**told: Any) -> Distill:
    return Distill(teacher="t", **told)


def gap(method: Distill, little: Little, **told: Any) -> float:
    return distance(little, enumerated(method, little, data=data(little), **told).tables, teacher(little))


@pytest.mark.parametrize(
    "told",
    [{}, {"n": 2}, {"epochs": 2, "rows_per_step": 1, "n": 2}, {"epochs": 2, "clip": 0.2}],
    ids=str,
)
@pytest.mark.parametrize("world", [bandit, strings], ids=["bandit", "strings"])
def test_enumerated_answers_reach_the_teacher(world: Callable[[], Little], told: dict[str, Any]) -> None:
    little = world()
    assert distance(little, little.start(), teacher(little)) > 0.2, "there is something to learn"
    assert gap(exact(**told), little) <= 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_drawn_answers_reach_the_teacher(seed: int) -> None:
    little = strings(bits=2)
    found = sampled(exact(n=4), little, seed, Schedule(windows=120, together=4, lr=3.0), data(little))
    assert distance(little, found, teacher(little)) <= 0.02


@pytest.mark.parametrize("little", [bandit(), bandit(prompts=2), strings()], ids=["bandit", "two", "strings"])
@pytest.mark.parametrize("told", [{}, {"n": 2, "rows_per_step": 1, "epochs": 2, "clip": 0.2}], ids=str)
def test_the_teacher_is_a_fixed_point(little: Little, told: dict[str, Any]) -> None:
    """Not only on average: every single window teaches nothing there."""
    method, there = exact(**told), teacher(little)
    assert expected_gradient(method, little, there, data=data(little)).largest <= 1e-8
    assert expected_gradient(method, little, little.start(), data=data(little)).largest > 1e-2


def test_each_state_follows_the_reverse_kl_of_its_next_token() -> None:
    """∂/∂logits = Σ_states P(state)·∂KL(π‖π_T), by hand, over the answer tokens of an answer on average."""
    little = strings(bits=2)
    now, there = little.start(), teacher(little)
    logp, wanted = little.logp_PCV(now), little.logp_PCV(there)
    p = np.exp(logp)
    with np.errstate(invalid="ignore"):
        k1 = np.where(p > 0, logp - wanted, 0.0)
    share = little.shares(now)
    state = little.mass(share).sum(axis=2)
    slope = state[..., None] * p * (k1 - (p * k1).sum(axis=2, keepdims=True))
    tokens = (share * [len(answer) for answer in little.answers]).sum()
    found = expected_gradient(exact(), little, now, data=data(little)).logits_PCV
    assert found == pytest.approx(slope / tokens, abs=1e-12)


# Mutants


REAL = clipped.ratio


def _no_ratio(logp: Tensor, old: Tensor) -> Tensor:
    del old
    return 1 + 0 * logp.detach()


MUTANTS: dict[str, tuple[str, Any]] = {
    "the sign": ("accord.maths.tensor.clipped.ratio", lambda *x: -REAL(*x)),
    "no ratio": ("accord.maths.tensor.clipped.ratio", _no_ratio),
    "exchanged": ("accord.methods.distill.towards", lambda teacher, old: old - teacher),
    "the teacher dropped": ("accord.methods.distill.towards", lambda teacher, old: -old),
    "the student dropped": ("accord.methods.distill.towards", lambda teacher, old: teacher),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_the_teacher(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    assert gap(exact(), strings(bits=2), rounds=60) > 0.05


class FromTheStart(Distill):
    """Follows π_ref, whoever is named."""

    def needs(self) -> Any:
        return super().needs()._replace(reads=(Reads("teacher_logp", "logp"),))


class Rewritten(Distill):
    """Advantages as another function of them."""

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        cuts = np.cumsum(batch.lengths_S())[:-1]
        parts = [self.rewrite(part) for part in np.split(batch.tokens["advantage"], cuts)]
        return replace(batch, tokens={**batch.tokens, "advantage": np.concatenate(parts)}), memory

    def rewrite(self, advantage_T: Floats) -> Floats:
        raise NotImplementedError


class LastToken(Rewritten):
    def rewrite(self, advantage_T: Floats) -> Floats:
        return np.where(np.arange(len(advantage_T)) == len(advantage_T) - 1, advantage_T, 0.0)


class FirstToken(Rewritten):
    def rewrite(self, advantage_T: Floats) -> Floats:
        return np.where(np.arange(len(advantage_T)) == 0, advantage_T, 0.0)


@pytest.mark.parametrize("kind", [LastToken, FirstToken])
def test_other_advantages_miss_the_teacher(kind: type[Distill]) -> None:
    assert gap(kind(teacher="t"), strings(bits=2), rounds=60) > 0.02


def test_following_the_start_goes_nowhere() -> None:
    little = strings(bits=2)
    found = enumerated(FromTheStart(teacher="t"), little)
    assert distance(little, found.tables, little.start()) <= 1e-6
