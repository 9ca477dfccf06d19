"""Reward models: trained on pairs, exported, loaded by transformers and by the sampler that only scores.

Mutants: the score read at the last place of the batch instead of the row's own last token, a shift added, a
padding token that ends answers, heads that start alike.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import save_family
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.engines.local.scorer import LocalScorer, ScoreCard
from accord.engines.local.tiny import byte_tokenizer, tiny_model
from accord.errors import ContractError, PlanError, Unreadable
from accord.methods.reward_model import RewardModel
from accord.ports import Calibrated, How, Needs, Task
from accord.progress import Silent
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row, Text, Window
from accord.testing import save_tiny

METHOD = RewardModel(heads=3, bootstrap=False, epochs=6, rows_per_step=4)
GOOD, BAD = (
    ("yes", "yes, gladly", "yes.", "yes!"),
    ("no", "never, and not in the longest of lives", "no.", "ü"),
)
WANT = frozenset({"score"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1)


def learner(folder: Path, heads: int = 3, **told: Any) -> LocalLearner:
    settings = {"adapter": "lora", "rank": 4, "lr": 1e-2, "precision": "float32", "device": "cpu"}
    task = Task("run/stage", 0, Needs(scores=heads), "data")
    made: Any = Local(**(settings | told)).learner(str(folder), task)
    return made


def a_batch(made: LocalLearner) -> Batch:
    rows: list[Row] = []
    for i, (good, bad) in enumerate(zip(GOOD, BAD, strict=True)):
        prompt = Prompt.of("?" * (1 + 9 * (i % 2)))
        pair = [Episode.single(made.sampler().encode(prompt, text)) for text in (good, bad)]
        rows.append(Row(tuple(pair), {"p": 1.0}))
    batch, _ = METHOD.batch(Window(0, tuple(rows)), {}, np.random.default_rng(0))
    return batch


def scorer(folder: Path) -> LocalScorer:
    made: Any = Local(precision="float32", device="cpu").sampler(str(folder), Silent())
    assert isinstance(made, LocalScorer)
    assert isinstance(made, Calibrated)
    return made


def texts(made: Any) -> list[Text]:
    prompts = [Prompt.of("Why?"), Prompt.of("A longer question, " * 4)]
    return [Text(p, made.encode(p, answer)) for p in prompts for answer in (*GOOD, *BAD)]


def scores(made: Any, told: Sequence[Text]) -> np.ndarray:
    return np.stack([s.columns["score"] for s in asyncio.run(made.score(told, WANT))])


@pytest.fixture(scope="module", params=["lora", "full"])
def exported(
    request: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalLearner, Path]:
    made = learner(folder, adapter=request.param)
    batch = a_batch(made)
    before = made.evaluate(batch, 0, METHOD.loss)
    for step in range(len(batch.steps)):
        assert made.update(batch, step, METHOD.loss, 0.0).applied
    after = made.evaluate(batch, 0, METHOD.loss)
    assert after["preference"] < 0.5 * before["preference"]
    assert after["accuracy"] == 1.0
    out = tmp_path_factory.mktemp("export")
    made.export(out)
    return made, out


def test_what_is_exported_scores_in_transformers_as_it_does_here(exported: tuple[LocalLearner, Path]) -> None:
    """One by one, and in batches padded on either side; equal but for the shift."""
    _, out = exported
    ours = scorer(out)
    told = texts(ours)
    found = scores(ours, told) + np.array(ours.card.shift)
    model: Any
    model, report = AutoModelForSequenceClassification.from_pretrained(out, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert found.shape == (16, 3)
    assert found.std(0).min() > 0.1, "else any place would do"
    rows = [(*t.response.prompt_tokens, *t.response.tokens) for t in told]
    with torch.no_grad():
        alone = np.concatenate([model(torch.tensor([row])).logits.numpy() for row in rows])
    assert alone == pytest.approx(found, abs=2e-5)
    tokenizer: Any = AutoTokenizer.from_pretrained(out)
    for side in ("left", "right"):
        padded = tokenizer.pad({"input_ids": [list(r) for r in rows]}, padding_side=side, return_tensors="pt")
        with torch.no_grad():
            together = model(**padded).logits.numpy()
        assert together == pytest.approx(found, abs=2e-5)


def test_the_shift_makes_what_was_last_trained_on_average_0(exported: tuple[LocalLearner, Path]) -> None:
    made, out = exported
    seen = np.array(made._seen.rows)
    card = ScoreCard.read(out, 3)
    assert seen.shape == (6 * 8, 3)
    assert card.shift == pytest.approx(tuple(seen.mean(0)))
    assert card.spread_limit == pytest.approx(np.quantile((seen - seen.mean(0)).std(1, ddof=1), 0.99))
    assert scorer(out).spread_limit == card.spread_limit


def test_padding_with_the_end_of_answers_reads_the_score_at_the_end_all_the_same(tmp_path: Path) -> None:
    """As SmolLM2 and many others are saved: pad = EOS. A padding told from ids reads one too early."""
    model, tokenizer = tiny_model(3), byte_tokenizer()
    model.config.pad_token_id = tokenizer.eos_token_id
    tokenizer.pad_token = tokenizer.eos_token
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "start")
    made = learner(tmp_path / "start", adapter="full")
    made.update(a_batch(made), 0, METHOD.loss)
    made.export(tmp_path / "out")
    ours = scorer(tmp_path / "out")
    told = texts(ours)
    found = scores(ours, told) + np.array(ours.card.shift)
    plain: Any = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    again: Any = AutoTokenizer.from_pretrained(tmp_path / "out")
    rows = [[*t.response.prompt_tokens, *t.response.tokens] for t in told]
    for side in ("left", "right"):
        padded = again.pad({"input_ids": rows}, padding_side=side, return_tensors="pt")
        with torch.no_grad():
            assert plain(**padded).logits.numpy() == pytest.approx(found, abs=2e-5)
    assert made._model.config.pad_token_id == 258, "the learner's own model is as it was"
    assert made._opened.tokenizer.pad_token == "<eos>"


@pytest.mark.parametrize("name", ["llama", "llama tied", "qwen2", "gpt2", "qwen3"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_score_does_not_hang_on_what_it_is_scored_with(tmp_path: Path, name: str, adapter: str) -> None:
    """Alone, beside longer rows, beside others with its prompt, on the packed and on the padded way."""
    made = learner(save_family(tmp_path / "start", name), adapter=adapter)
    assert made.update(a_batch(made), 0, METHOD.loss).applied
    made.export(tmp_path / "out")
    ours = scorer(tmp_path / "out")
    told = texts(ours)
    together = scores(ours, told)
    assert len(np.unique(together.round(4))) > 20
    for i, text in enumerate(told):
        assert scores(ours, [text])[0] == pytest.approx(together[i], abs=2e-5)
    assert scores(ours, told[::-1])[::-1] == pytest.approx(together, abs=2e-5)
    with torch.no_grad():
        live = made._forward.answers([_masked(t) for t in told]).score_SK
    assert live.dtype == torch.float32
    assert live.numpy() - np.array(ours.card.shift) == pytest.approx(together, abs=5e-5)


def _masked(text: Text) -> Any:
    return Episode.single(text.response).sequences()[0]


def test_heads_start_small_and_unlike_each_other(folder: Path) -> None:
    weight = learner(folder, 64)._model.score.weight.detach()
    assert float(weight.std()) == pytest.approx(1 / np.sqrt(33), rel=0.05)
    assert torch.linalg.matrix_rank(weight) == 32
    assert torch.equal(weight, learner(folder, 64)._model.score.weight)


def test_an_answer_that_was_cut_off_is_scored_at_its_own_last_token(
    exported: tuple[LocalLearner, Path],
) -> None:
    ours = scorer(exported[1])
    prompt = Prompt.of("Why?")
    whole = ours.encode(prompt, "yes")
    cut = whole.model_copy(update={"tokens": whole.tokens[:-1], "finish": "length"})
    foreign = cut.model_copy(update={"tokenizer": "another", "tokens": (1, 2)})
    found = scores(ours, [Text(prompt, r) for r in (whole, cut, foreign)])
    assert found[1] == pytest.approx(found[2], abs=1e-6)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_seen_scores_go_on_after_a_restore(folder: Path, tmp_path: Path) -> None:
    made = learner(folder)
    batch = a_batch(made)
    made.update(batch, 0, METHOD.loss)
    again = learner(folder)
    again.restore(made.save(tmp_path / "saved"))
    assert again._seen.rows == made._seen.rows != []
    for one in (made, again):
        one.update(batch, 1, METHOD.loss)
    assert again._seen.card(3) == made._seen.card(3)


def test_a_reward_model_can_nothing_else(exported: tuple[LocalLearner, Path], folder: Path) -> None:
    ours = scorer(exported[1])
    assert ours.can == WANT
    for want in ({"logp"}, {"score", "logp"}, set[str]()):
        with pytest.raises(ContractError, match="asks for score"):
            asyncio.run(ours.score(texts(ours), frozenset(want)))
    with pytest.raises(ContractError, match="asks it to score"):
        asyncio.run(ours.sample([Prompt.of("Why?")], 2, How("k")))
    assert asyncio.run(ours.score([], WANT)) == []
    language: Any = Local(precision="float32", device="cpu").sampler(str(folder), Silent())
    with pytest.raises(ContractError, match="asks for"):
        asyncio.run(language.score([], WANT))


def test_a_loss_that_reads_what_was_not_asked_for_is_told_so(folder: Path) -> None:
    plain: Any = Local(precision="float32", device="cpu").learner(str(folder), Task("run/stage", 0))
    made = learner(folder)
    for read, wanted in (("score_SK", "Needs.scores"), ("value_T", "Needs.critic")):
        with pytest.raises(ContractError, match=wanted):
            plain.evaluate(a_batch(made), 0, lambda out, _, read=read: {"preference": getattr(out, read)})
    with pytest.raises(PlanError, match="columns this engine measures"):
        plain.measure([], Needs(frozenset({"value"})))


DAMAGES = {
    "no json": "{",
    "a list": "[]",
    "no shift": '{"spread_limit": 1.0}',
    "no limit": '{"shift": [0, 0, 0]}',
    "words": '{"shift": ["a", 0, 0], "spread_limit": null}',
    "too few": '{"shift": [0, 0], "spread_limit": null}',
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_card_is_unreadable_by_name(tmp_path: Path, damage: str) -> None:
    (tmp_path / "accord.json").write_text(DAMAGES[damage])
    with pytest.raises(Unreadable, match=r"accord\.json"):
        ScoreCard.read(tmp_path, 3)


def test_a_card_comes_back_as_it_was_and_a_classifier_without_one_is_not_shifted(tmp_path: Path) -> None:
    assert ScoreCard.read(tmp_path, 2) == ScoreCard((0.0, 0.0), None)
    for card in (ScoreCard((0.25, -1.5), 0.75), ScoreCard((1.0,), None)):
        card.write(tmp_path)
        assert ScoreCard.read(tmp_path, len(card.shift)) == card
        assert json.loads((tmp_path / "accord.json").read_text())["shift"] == list(card.shift)
