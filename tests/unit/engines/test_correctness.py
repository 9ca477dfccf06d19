"""What a trainer gets wrong in silence: one test each, numbered as in the design.

Others of the list stand where their part is: score at the last token (test_scorer), keys of the reference
cache (test_reference), packed = padded = shared (test_forward_paths), splits and ranks (tests/invariance).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.engines.local.tiny import byte_tokenizer, tiny_model
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import How, Needs, Task
from accord.records import Episode, Message, Prompt
from accord.records.rows import Batch, Row, Text
from accord.testing import save_tiny

BOS, EOS, ASSISTANT, TOOL = 257, 258, 261, 262
SAID = ("yes", "a longer answer", "")


def learner(folder: Path, **told: Any) -> LocalLearner:
    settings = {"adapter": "full", "precision": "float32", "decode": "float32", "device": "cpu", "rank": 4}
    needs = Needs(scores=told.pop("scores", 0))
    made: Any = Local(**(settings | told)).learner(str(folder), Task("run/stage", 0, needs))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1)


def taught(made: LocalLearner) -> Batch:
    rows = [Row((Episode.single(made.sampler().encode(Prompt.of("Why?"), text)),)) for text in SAID]
    return likelihood_batch(rows, 1, len(rows), np.random.default_rng(0), {})


def test_1_masks_come_from_lengths_where_padding_is_the_end_token(folder: Path, tmp_path: Path) -> None:
    """The same loss, pressure and gradients whatever token the tokenizer pads with; every end is learnt."""
    model, tokenizer = tiny_model(1), byte_tokenizer()
    model.config.pad_token_id = model.generation_config.pad_token_id = EOS
    tokenizer.pad_token = tokenizer.eos_token
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "same")
    found = []
    for start in (folder, tmp_path / "same"):
        made = learner(start)
        batch = taught(made)
        gradients = made.gradients(batch, 0, SFT().loss)
        out = made.update(batch, 0, SFT().loss)
        found.append((out.objective, out.pressure_T.tolist(), gradients))
        assert batch.counts[0]["nll"] == sum(len(text.encode()) + 1 for text in SAID)
        ends = np.cumsum([len(text.encode()) + 1 for text in SAID]) - 1
        assert (out.pressure_T[ends] != 0).all()
    (one, pressure, plain), (two, again, same) = found
    assert (one, pressure) == (two, again)
    for name, gradient in plain.items():
        if name.endswith("embed_tokens.weight"):
            # transformers gives the input embedding of the padding token no gradient: here that of the end.
            gradient[EOS] = same[name][EOS]
        assert torch.equal(gradient, same[name]), name


def test_2_the_end_stands_once_inside_the_mask_and_a_cut_answer_has_none(folder: Path) -> None:
    made = learner(folder)
    for text in SAID:
        (sequence,) = Episode.single(made.sampler().encode(Prompt.of("Why?"), text)).sequences()
        said = [t for t, chosen in zip(sequence.tokens, sequence.answer, strict=True) if chosen]
        assert said.count(EOS) == 1
        assert said[-1] == EOS
    (group,) = asyncio.run(made.sampler().sample([Prompt.of("Why?")], 40, How("ends", 1.0, 24)))
    assert {r.finish for r in group.responses} == {"stop", "length"}
    for response in group.responses:
        assert (response.tokens.count(EOS), response.tokens[-1] == EOS) == (
            (1, True) if response.finish == "stop" else (0, False)
        )
        assert len(response.tokens) == 24 or response.finish == "stop"
        assert len(response.logp) == len(response.tokens)


def test_3_what_was_drawn_is_scored_and_trained_by_its_tokens_never_by_its_text(folder: Path) -> None:
    """Bytes that are no UTF-8 have a text that encodes otherwise; the tokens stay."""
    made = learner(folder)
    prompt = Prompt(messages=Prompt.of("Why?").messages, allowed=(0xC3, 0x28, EOS))
    (group,) = asyncio.run(made.sampler().sample([prompt], 6, How("bytes", 1.0, 8)))
    broken = [r for r in group.responses if tuple(r.text.encode()) != r.tokens and len(r.tokens) > 1]
    assert broken, "else this shows nothing"
    texts = [Text(prompt, r) for r in broken]
    scored = asyncio.run(made.sampler().score(texts, frozenset({"logp"})))
    for text, found in zip(texts, scored, strict=True):
        assert found.columns["logp"] == pytest.approx(np.array(text.response.logp), abs=5e-5)


@pytest.mark.parametrize("turns", [1, 3])
def test_4_one_begin_token_however_many_turns(folder: Path, turns: int) -> None:
    made = learner(folder)
    talk = [Message(role=role, content="words") for _ in range(turns) for role in ("user", "assistant")][:-1]
    encoded = made.sampler().encode(Prompt(messages=tuple(talk)), "yes")
    whole = (*encoded.prompt_tokens, *encoded.tokens)
    assert whole.count(BOS) == 1
    assert whole[0] == BOS


def test_5_scores_are_float32_whatever_the_body_computes_in(folder: Path) -> None:
    made = learner(folder, scores=2, precision="bfloat16", adapter="lora")
    batch = taught(made)
    seen: list[torch.dtype] = []

    def loss(out: Any, _: Batch) -> dict[str, torch.Tensor]:
        seen.append(out.score_SK.dtype)
        return {"nll": out.score_SK.square().sum()}

    assert made.update(batch, 0, loss).applied
    assert set(seen) == {torch.float32}


def test_6_prompt_and_tool_tokens_get_no_loss_and_logits_are_one_before(folder: Path) -> None:
    """A conversation with a tool's words between two answers, against transformers' logits at p − 1."""
    made = learner(folder)
    first = (BOS, 260, *b"Why?", EOS, ASSISTANT)
    said = (*b"look", EOS)
    second = (*first, *said, TOOL, *b"found it", EOS, ASSISTANT)
    talk = Episode(
        prompt="p",
        responses=("a", "b"),
        prompt_tokens=(first, second),
        tokens=(said, (*b"so", EOS)),
        temperature=0.5,
    )
    batch = likelihood_batch([Row((talk,))], 1, 1, np.random.default_rng(0), {})
    model: Any = made._model
    whole = (*second, *b"so", EOS)
    at = [*range(len(first), len(first) + 5), *range(len(second), len(whole))]
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([whole])).logits[0].double() / 0.5, 1)
    plain = -sum(float(logp[p - 1, whole[p]]) for p in at) / len(at)
    outcome = made.update(batch, 0, SFT().loss)
    assert outcome.objective == pytest.approx(plain, rel=1e-5)
    assert outcome.pressure_T.size == len(at) == 8


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_7_dropout_is_off_in_training(tmp_path: Path, adapter: str) -> None:
    """A model that was saved with dropout: two learners take the same step to the bit, generators apart."""
    config = LlamaConfig(
        vocab_size=263,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        attention_dropout=0.5,
        eos_token_id=EOS,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "dropping")
    byte_tokenizer().save_pretrained(tmp_path / "dropping")
    found = []
    for seed in (1, 2):
        made = learner(tmp_path / "dropping", adapter=adapter)
        made._model.train()
        torch.manual_seed(seed)
        out = made.update(taught(made), 0, SFT().loss)
        found.append((out.objective, out.grad_norm, out.pressure_T.tolist()))
        again = [made.evaluate(taught(made), 0, SFT().loss) for _ in range(2)]
        assert again[0] == again[1]
    assert found[0] == found[1]
