"""sft against transformers' own causal cross-entropy on one batch, in loss and in every gradient, to 1e-5.

Mutants: the sign; a mean over rows for the mean over tokens; prompt or padding tokens in the loss; labels
shifted by none or by two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import Task
from accord.records import Episode, Prompt
from accord.records.rows import Row
from accord.testing import save_tiny

PAIRS = [
    ("Why?", "So."),
    ("Tell me more, please.", "No"),
    ("é", "a longer answer than the others are"),
    ("?", ""),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 11)


def test_loss_and_gradients_are_those_of_transformers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Local(adapter="full", decode="float32", precision="float32", device="cpu", max_grad_norm=1e9)
    made: Any = engine.learner(str(folder), Task("run/stage", 0))
    assert isinstance(made, LocalLearner)
    encoded = [made.sampler().encode(Prompt.of(p), a) for p, a in PAIRS]
    batch = likelihood_batch([Row((Episode.single(r),)) for r in encoded], 1, 9, np.random.default_rng(0), {})

    ours: dict[str, torch.Tensor] = {}

    def keep() -> None:
        ours.update(
            {n: p.grad.detach().clone() for n, p in made._model.named_parameters() if p.grad is not None}
        )

    monkeypatch.setattr(made._optimizer, "step", keep)
    outcome = made.update(batch, 0, SFT().loss)

    plain = AutoModelForCausalLM.from_pretrained(folder)
    width = max(len(r.prompt_tokens) + len(r.tokens) for r in encoded)
    ids, labels, mask = (torch.full((len(encoded), width), fill) for fill in (256, -100, 0))
    for i, r in enumerate(encoded):
        whole = (*r.prompt_tokens, *r.tokens)
        ids[i, : len(whole)] = torch.tensor(whole)
        labels[i, len(r.prompt_tokens) : len(whole)] = torch.tensor(r.tokens)
        mask[i, : len(whole)] = 1
    loss = plain(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()

    assert outcome.objective == pytest.approx(loss.item(), rel=1e-5)
    theirs = {n: p.grad for n, p in plain.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        scale = float(gradient.abs().max())
        assert float((ours[name] - gradient).abs().max()) <= 1e-5 * max(1.0, scale), name
    norm = torch.sqrt(sum((g**2).sum() for g in theirs.values())).item()
    assert outcome.grad_norm == pytest.approx(norm, rel=1e-5)


def test_data_from_the_reference_leave_it_where_it_is(folder: Path) -> None:
    """Σ_y π(y)·∂log π(y) = 0: over all answers, each with its own probability, there is nothing to learn.

    One token is enough: the expected gradient over the next token of a prompt, weighted by π, vanishes.
    """
    engine = Local(adapter="full", decode="float32", precision="float32", device="cpu")
    made: Any = engine.learner(str(folder), Task("run/stage", 0))
    prompt = Prompt.of("Why?")
    start = made.sampler().encode(prompt, "x").prompt_tokens
    with torch.no_grad():
        p = torch.softmax(made._model(torch.tensor([list(start)])).logits[0, -1].double(), -1)
    rows = []
    for token in range(len(p)):
        episode = Episode(
            prompt=prompt.id, responses=(str(token),), prompt_tokens=(start,), tokens=((token,),)
        )
        rows.append(Row((episode,), {"weight": float(p[token]) * len(p)}))
    batch = likelihood_batch(rows, 1, len(p), np.random.default_rng(0), {})
    outcome = made.update(batch, 0, SFT().loss)
    lone = likelihood_batch(rows[97:98], 1, 1, np.random.default_rng(0), {})
    alone = made.update(lone, 0, SFT().loss).grad_norm / float(p[97] * len(p))
    assert outcome.grad_norm < 1e-5 * alone
