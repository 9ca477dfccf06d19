"""dpo reaches π* ∝ π_ref·exp(r/β) by enumeration, and is the published loss on a language model.

Mutants: the sign; β dropped; means over tokens for sums; the reference dropped, or the policy taken for it;
robust with the correction turned round or dropped; a step that only one answer of the pair gets.
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
from accord.methods.dpo import DPO
from accord.ports import Task
from accord.records import Episode, Prompt, Response
from accord.records.rows import Floats, Row, Window
from accord.testing import save_tiny
from accord.testing.optimum import (
    Data,
    Little,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    optimum,
    strings,
)

BETA, FLIPPED = 0.5, 0.2


def flipped(little: Little) -> Floats:
    """How often a first answer is preferred where a share of Bradley–Terry's labels is turned round."""
    reward = little.reward_PA
    p = 1 / (1 + np.exp(reward[:, None, :] - reward[:, :, None]))
    return (1 - 2 * FLIPPED) * p + FLIPPED


@pytest.mark.parametrize("hard", [False, True])
def test_it_reaches_the_optimum_of_the_bandit(hard: bool) -> None:
    """Shares as labels, or labels of 0 and 1 as often as the shares say."""
    for little in (bandit(), bandit(1, arms=3, prompts=2)):
        found = enumerated(DPO(beta=BETA), little, data=Data(hard=hard))
        assert distance(little, found.tables, optimum(little, BETA)) <= 1e-6
        assert distance(little, little.start(), optimum(little, BETA)) > 0.05, "it was not there already"


def test_it_reaches_the_optimum_of_the_strings() -> None:
    little = strings()
    found = enumerated(DPO(beta=BETA), little)
    assert distance(little, found.tables, optimum(little, BETA)) <= 1e-3


@pytest.mark.parametrize("little", [bandit(), strings()], ids=["bandit", "strings"])
def test_the_optimum_is_where_it_has_nothing_more_to_teach(little: Little) -> None:
    best = optimum(little, BETA)
    noisy = Data(preference_PAA=flipped(little))
    assert expected_gradient(DPO(beta=BETA), little, best).largest <= 1e-8
    assert expected_gradient(DPO(beta=BETA, robust=FLIPPED), little, best, data=noisy).largest <= 1e-8
    assert expected_gradient(DPO(beta=BETA), little, best, data=noisy).largest >= 1e-3
    assert expected_gradient(DPO(beta=0.4), little, best).largest >= 1e-3


@pytest.mark.parametrize("hard", [False, True])
def test_robust_reaches_it_with_flipped_labels_and_plain_does_not(hard: bool) -> None:
    """With labels of 0 and 1 every corrected p lies outside [0, 1], yet no pair comes near the cap."""
    little = bandit()
    best, noisy = optimum(little, BETA), Data(preference_PAA=flipped(little), hard=hard)
    robust = enumerated(DPO(beta=BETA, robust=FLIPPED), little, data=noisy)
    assert distance(little, robust.tables, best) <= 1e-6
    plain = enumerated(DPO(beta=BETA), little, data=noisy)
    assert distance(little, plain.tables, best) > 0.05
    # What plain does reach: the optimum of the reward that the flipped labels seem to come from.
    assert plain.gradient.largest <= 1e-8


def test_robust_on_pairs_labelled_one_way_comes_to_rest_at_the_cap() -> None:
    """Nobody ever prefers the worse arm: without the cap h would grow without end."""
    little = bandit(arms=2)
    sure = np.zeros((1, 2, 2))
    sure[0, 0, 1] = 1.0
    found = enumerated(DPO(beta=BETA, robust=FLIPPED), little, data=Data(preference_PAA=sure), rounds=400)
    logits = (found.tables.logits_PCV - little.reference_PCV)[0, 0]
    assert 20 <= BETA * float(logits[0] - logits[1]) <= 20 + 2 * BETA * 2.0  # one leap of the descent past it
    assert found.gradient.largest == 0.0


PAIRS = [
    ("Why?", "So.", "Because it is so, and was."),
    ("Tell me more, please.", "No", "Yes, gladly."),
    ("é", "a longer answer than the others are", "x"),
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
    """−log σ(β·((π_w − ref_w) − (π_l − ref_l))), averaged over pairs, after a first step away from π_ref."""
    engine = Local(
        adapter="full", decode="float32", precision="float32", device="cpu", max_grad_norm=1e9, lr=3e-3
    )
    method = DPO(beta=0.3)
    made: Any = engine.learner(str(folder), Task("run/stage", 0, method.needs(), "data"))
    said = [[made.sampler().encode(Prompt.of(p), a) for a in answers] for p, *answers in PAIRS]
    rows = tuple(Row(tuple(map(Episode.single, pair)), {"p": 1.0}) for pair in said)
    window = Window(0, rows, made.measure(rows, method.needs()))
    batch, _ = method.batch(window, {}, np.random.default_rng(0))
    assert made.update(batch, 0, method.loss).terms["dpo"] == pytest.approx(np.log(2), abs=1e-6)

    policy, reference = copy.deepcopy(made._model), AutoModelForCausalLM.from_pretrained(folder)
    policy.zero_grad()
    h = torch.stack(
        [
            summed(policy, won)
            - summed(policy, lost)
            - (summed(reference, won) - summed(reference, lost)).detach()
            for won, lost in said
        ]
    )
    assert float(h.detach().abs().max()) > 0.1, "the policy has moved"
    wanted = -torch.nn.functional.logsigmoid(0.3 * h).mean()
    wanted.backward()

    ours: dict[str, Tensor] = made.gradients(batch, 0, method.loss)
    outcome = made.update(batch, 0, method.loss)
    assert outcome.terms["dpo"] == pytest.approx(wanted.item(), rel=1e-5)
    assert outcome.objective == pytest.approx(wanted.item(), rel=1e-5), "figures have no part in it"
    assert outcome.terms["margin"] == pytest.approx(0.3 * h.mean().item(), rel=1e-4)
    theirs = {n: p.grad for n, p in policy.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        scale = float(gradient.abs().max())
        assert float((ours[name] - gradient).abs().max()) <= 1e-5 * max(1.0, scale), name
