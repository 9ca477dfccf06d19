"""kto raises and lowers answers by the sign it should, whatever z0, and is the published loss.

There is no optimum to reach: the loss saturates. Mutants: the sign; the two weights dropped or swapped; β
dropped; the reference dropped, or the policy taken for it; z0 left out, not held at 0, or
taken over answers in their own place; a mean over tokens for the sum; a step divided by its wanted rows.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from accord.engines.local import Local
from accord.measuring import Measuring
from accord.methods.kto import KTO
from accord.ports import Task
from accord.records import Episode, Prompt, Response
from accord.records.rows import Floats, Row, Window
from accord.testing import save_tiny
from accord.testing.optimum import (
    Data,
    Little,
    Schedule,
    Tables,
    bandit,
    expected_gradient,
    expected_pressure,
    optimum,
    sampled,
    strings,
)

WORLDS = {"bandit": bandit(prompts=2), "strings": strings(bits=2, prompts=2)}
METHOD = KTO(beta=0.5, wanted_weight=2.0, unwanted_weight=0.5)


def shares(little: Little, seed: int = 0) -> Floats:
    """How often each answer is wanted: everything between hardly ever and nearly always."""
    found = np.random.default_rng(seed).permutation(np.linspace(0.02, 0.98, little.reward_PA.size))
    return found.reshape(little.reward_PA.shape)


def away(little: Little, pull: float) -> Tables:
    """A policy away from π_ref, so that z0 is over 0 in some windows and held there in others."""
    return optimum(little, pull)


def points(little: Little, tables: Tables) -> Floats:
    """The mean of both mismatched gains, in each window of one answer to each of two prompts."""
    gained = np.log(little.shares(tables)) - np.log(little.shares(little.start()))
    # Window (a, b): prompt 0 with answer b, prompt 1 with answer a.
    return (gained[0][None, :] + gained[1][:, None]) / 2


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("pull", [None, 1.0, 0.4])
def test_each_answer_is_pushed_by_the_sign_of_what_is_wanted_of_it(name: str, pull: float | None) -> None:
    little, wanted = WORLDS[name], shares(WORLDS[name])
    tables = little.start() if pull is None else away(little, pull)
    if pull is not None:
        assert points(little, tables).max() > 0.2 and points(little, tables).min() < -0.2
    lift = METHOD.wanted_weight * wanted - METHOD.unwanted_weight * (1 - wanted)
    plain = wanted - (1 - wanted)
    assert (np.sign(lift) != np.sign(plain)).any(), "the weights decide about some answers"
    found = -expected_pressure(METHOD, little, tables, data=Data(label_PA=wanted))
    assert np.abs(found).min() > 1e-6
    assert (np.sign(found) == np.sign(lift)).all()


def test_an_answer_wanted_just_as_often_as_the_weights_say_is_left_where_it_is() -> None:
    for little in WORLDS.values():
        even = np.full(little.reward_PA.shape, 0.5 / 2.5)
        for tables in (little.start(), away(little, 0.4)):
            assert np.abs(expected_pressure(METHOD, little, tables, data=Data(label_PA=even))).max() < 1e-12
            assert expected_gradient(METHOD, little, tables, data=Data(label_PA=even)).largest < 1e-12


def test_training_raises_what_is_wanted_and_lowers_what_is_not() -> None:
    """Drawn labels, steps in turn: the two arms that are wanted nine times in ten take nearly everything."""
    little = bandit(prompts=2)
    wanted = np.array([[0.9, 0.1, 0.9, 0.1], [0.1, 0.1, 0.9, 0.9]])
    found = sampled(KTO(beta=0.5), little, 0, Schedule(windows=80, lr=4.0), Data(label_PA=wanted))
    before, after = ((little.shares(at) * (wanted > 0.5)).sum(axis=1) for at in (little.start(), found))
    assert before.max() < 0.8
    assert after.min() > 0.9


ROWS = [
    ("Why?", "So.", 1.0),
    ("Tell me more, please.", "Yes, gladly, and at length.", 1.0),
    ("é", "x", 0.0),
    ("And then?", "No.", 1.0),
    ("Who was it that said so?", "a longer answer than the others are", 0.0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 11)


def summed(model: Any, said: Response) -> Tensor:
    """Σ log π over answer tokens, from the model's own logits."""
    whole = torch.tensor([[*said.prompt_tokens, *said.tokens]])
    logp = torch.log_softmax(model(input_ids=whole).logits[0, :-1].float(), -1)
    chosen = logp.gather(1, whole[0, 1:, None])[:, 0]
    return chosen[len(said.prompt_tokens) - 1 :].sum()


def test_loss_and_gradients_are_those_of_the_published_formula(folder: Path) -> None:
    """TRL's: 1 − σ(β(s − KL)) of wanted rows, 1 − σ(β(KL − s)) of the others, weighted, averaged over all;
    KL the mean of s of each prompt with another's answer, held at 0 from below, without gradient."""
    engine = Local(
        adapter="full", decode="float32", precision="float32", device="cpu", max_grad_norm=1e9, lr=3e-3
    )
    method = KTO(beta=0.3, wanted_weight=1.5, unwanted_weight=0.7)
    made: Any = engine.learner(str(folder), Task("run/stage", 0, method.needs(), "data"))
    said = [made.sampler().encode(Prompt.of(p), a) for p, a, _ in ROWS]
    rows = tuple(
        Row((Episode.single(r),), {"label": label}, group=g)
        for g, (r, (*_, label)) in enumerate(zip(said, ROWS, strict=True))
    )

    def batch_now() -> Any:
        window = Measuring().of(Window(0, rows), method, made, 0)
        return method.batch(window, {}, np.random.default_rng(0))[0]

    first = batch_now()
    assert first.scalars["z0"] == 0
    start = made.update(first, 0, method.loss)
    assert start.terms["kto"] == pytest.approx((3 * 1.5 + 2 * 0.7) / 2 / 5, abs=1e-6)
    for _ in range(2):
        made.update(batch_now(), 0, lambda out, part: _likelihood(method, out, part))

    policy, reference = copy.deepcopy(made._model), AutoModelForCausalLM.from_pretrained(folder)
    policy.zero_grad()
    crossed = [r.model_copy(update={"prompt_tokens": said[k - 1].prompt_tokens}) for k, r in enumerate(said)]
    kl = torch.stack([(summed(policy, r) - summed(reference, r)).detach() for r in crossed]).mean()
    assert float(kl) > 0.5, "with 0 its part in the formula would not show"
    s = torch.stack([summed(policy, r) - summed(reference, r).detach() for r in said])
    wanted = torch.tensor([label == 1 for *_, label in ROWS])
    chosen = 1.5 * (1 - torch.sigmoid(0.3 * (s[wanted] - kl)))
    rejected = 0.7 * (1 - torch.sigmoid(0.3 * (kl - s[~wanted])))
    theirs = torch.cat([chosen, rejected]).mean()
    theirs.backward()

    batch = batch_now()
    assert batch.scalars["z0"] == pytest.approx(float(kl), rel=1e-4)
    ours: dict[str, Tensor] = made.gradients(batch, 0, method.loss)
    outcome = made.update(batch, 0, method.loss)
    assert outcome.terms["kto"] == pytest.approx(theirs.item(), rel=1e-5)
    assert outcome.objective == pytest.approx(theirs.item(), rel=1e-5), "figures have no part in it"
    found = {n: p.grad for n, p in policy.named_parameters() if p.grad is not None}
    assert ours.keys() == found.keys()
    for name, gradient in found.items():
        scale = float(gradient.abs().max())
        assert float((ours[name] - gradient).abs().max()) <= 1e-5 * max(1.0, scale), name


def _likelihood(method: KTO, out: Any, part: Any) -> dict[str, Tensor]:
    """Raises every answer, so that mismatched ones gain too."""
    return {**method.loss(out, part), "kto": -out.logp_T.sum()}
