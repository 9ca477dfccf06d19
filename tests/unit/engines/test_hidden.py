"""Hidden states by ``score``, against transformers' own ``output_hidden_states`` of one unpadded prompt.

Mutants: the answer's last token for the prompt's, the last place of the padded row, one layer too few, the
order of the passes for that of the texts, the state before the last norm for the last row.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local, hidden
from accord.engines.local.hidden import hidden_states
from accord.engines.local.models import open_model
from accord.engines.local.words import save_window
from accord.engines.scripted import Scripted
from accord.errors import ContractError
from accord.methods.sft import SFT
from accord.ports import How, Task
from accord.progress import Silent
from accord.records import Episode, Prompt
from accord.records.rows import Row, Text, Window
from accord.testing import save_tiny

PROMPTS = [Prompt.of(text) for text in ("Why?", "Tell me a much longer story, please.", "é", "Why not?")]
HIDDEN = frozenset({"hidden"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1, layers=3)


@pytest.fixture(scope="module")
def sampler(folder: Path) -> Any:
    return Local(device="cpu", precision="float32").sampler(str(folder), Silent())


def plainly(model: Any, tokens: tuple[int, ...]) -> np.ndarray:
    with torch.no_grad():
        layers = model(torch.tensor([list(tokens)]), output_hidden_states=True).hidden_states
    return torch.stack([layer[0, -1] for layer in layers]).double().numpy()


@pytest.mark.parametrize("tokens", [4096, 16])
def test_they_are_those_of_transformers(
    folder: Path, sampler: Any, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden, "_TOKENS", tokens)
    groups = asyncio.run(sampler.sample(PROMPTS, 2, How("states", 1.0, 6)))
    texts = [Text(g.prompt, r) for g in groups for r in g.responses]
    model = open_model(folder).model
    for text, scored in zip(texts, asyncio.run(sampler.score(texts, HIDDEN)), strict=True):
        plain = plainly(model, text.response.prompt_tokens)
        assert set(scored.columns) == HIDDEN and scored.tokenizer == text.response.tokenizer
        assert scored.columns["hidden"].shape == plain.shape == (4, 32)
        assert np.abs(scored.columns["hidden"] - plain).max() <= 1e-4
    # The last row is what the head reads: it gives the model's own logits.
    states = asyncio.run(sampler.score(texts[:1], HIDDEN))[0].columns["hidden"]
    with torch.no_grad():
        logits = model(torch.tensor([list(texts[0].response.prompt_tokens)])).logits[0, -1]
        mine = model.get_output_embeddings()(torch.tensor(states[-1]).float())
    assert float((mine - logits).abs().max()) <= 1e-4


def test_an_answer_does_not_change_them_and_other_columns_stand_beside(sampler: Any) -> None:
    prompt = PROMPTS[1]
    texts = [Text(prompt, sampler.encode(prompt, said)) for said in ("yes", "no, never")]
    both = asyncio.run(sampler.score(texts, HIDDEN | {"logp", "rank"}))
    assert np.array_equal(both[0].columns["hidden"], both[1].columns["hidden"])
    plain = asyncio.run(sampler.score(texts, frozenset({"logp", "rank"})))
    for one, other in zip(both, plain, strict=True):
        assert set(one.columns) == {"hidden", "logp", "rank"}
        assert np.abs(one.columns["logp"] - other.columns["logp"]).max() <= 1e-9


def test_a_view_reads_the_weights_of_its_version(folder: Path) -> None:
    engine = Local(adapter="lora", device="cpu", precision="float32", lr=1e-2)
    learner = engine.learner(str(folder), Task("run/stage", 0))
    view = learner.sampler()
    text = Text(PROMPTS[0], view.encode(PROMPTS[0], "yes"))
    before = asyncio.run(view.score([text], HIDDEN))[0].columns["hidden"]
    row, method = Row((Episode.single(text.response),)), SFT()
    batch, _ = method.batch(Window(0, (row,)), {}, np.random.default_rng(0))
    for _ in range(2):  # an adapter's first step moves one half of it, which the other keeps silent
        learner.update(batch, 0, method.loss)
    with pytest.raises(ContractError, match="before the next update"):
        asyncio.run(view.score([text], HIDDEN))
    after = asyncio.run(learner.sampler().score([text], HIDDEN))[0].columns["hidden"]
    assert np.array_equal(before[0], after[0]), "the embedding has no adapter"
    assert np.abs(before[1:] - after[1:]).max() > 1e-4


def test_who_cannot_tell_them_says_so(folder: Path, tmp_path: Path) -> None:
    scripted: Any = Scripted(words=("a", "b"), tensors="numpy").sampler("scripted", Silent())
    assert "hidden" not in scripted.can
    text = Text(PROMPTS[0], scripted.encode(PROMPTS[0], "a"))
    with pytest.raises(ContractError, match="hidden"):
        asyncio.run(scripted.score([text], HIDDEN))
    with pytest.raises(ValueError, match="without a token"):
        hidden_states(open_model(folder).model, [(1, 2), ()])
    window = save_window(tmp_path, ("a", "b"), 2, widths=(4,))
    with pytest.raises(ContractError, match="states of its layers"):
        hidden_states(open_model(window).model, [(0, 1)])
