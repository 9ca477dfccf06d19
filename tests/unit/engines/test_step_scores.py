"""Scores at answer tokens: packed = padded = one by one, with their gradients; and the model they make.

Mutants: the place that predicts a token for the token's own, the last member's places for all that share a
prompt, a shift taken off log-odds, a card from tokens where no step ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import save_family
from torch import Tensor

from accord.desk import FrontDesk
from accord.engines.local import Local
from accord.engines.local import forward as module
from accord.engines.local.learner import LocalLearner
from accord.engines.local.scorer import LocalScorer, ScoreCard
from accord.errors import ContractError
from accord.maths.batches import likelihood_batch
from accord.methods.process_reward_model import ProcessRewardModel
from accord.overseers.reward import Reward
from accord.ports import Needs, Task
from accord.progress import Silent
from accord.records import Episode, Graded, Instrument, Kind, Prompt, Question
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Group, Row, Text, Window
from accord.stepwise import in_steps, so_far, stepped
from accord.testing import save_tiny

PROMPTS = [(257, 260, *b"Why?", 258, 261), (257, 260, *b"A longer question " * 3, 258, 261), (257,)]
SAID = [b"yes", b"a longer answer than the others", b"no", b"", b"so it is", b"x"]
Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = save_family(tmp_path_factory.mktemp("family"), name)
        return made[name]

    return folder


def learner(folder: Path, heads: int = 2, **told: Any) -> LocalLearner:
    settings = {"adapter": "full", "precision": "float32", "device": "cpu", "rank": 4}
    made: Any = Local(**(settings | told)).learner(
        str(folder), Task("run/stage", 0, Needs(scores=heads), "data")
    )
    return made


def a_batch() -> Batch:
    """Answers that share a prompt, and two in turns of which one shares it too."""
    rows: list[Row] = []
    for i, said in enumerate(SAID):
        prompt = PROMPTS[i % len(PROMPTS)]
        told = {"prompt_tokens": (prompt,), "tokens": ((*said, 258),)}
        rows.append(Row((Episode.model_validate({"prompt": f"p{i}", "responses": ("r",), **told}),)))
    for prompt in (PROMPTS[0], (257, 99)):
        second = (*prompt, *b"ab", 258, 260, *b"and", 258, 261)
        told = {"prompt_tokens": (prompt, second), "tokens": ((*b"ab", 258), (*b"cde", 258))}
        rows.append(Row((Episode.model_validate({"prompt": "t", "responses": ("a", "b"), **told}),)))
    return likelihood_batch(rows, 1, len(rows), np.random.default_rng(0), {})


def pulled(out: Any, batch: Batch) -> dict[str, Tensor]:
    """Pulls some tokens' scores up and others down, each head by another amount."""
    place = torch.as_tensor(batch.tokens["place"])[:, None] if "place" in batch.tokens else torch.zeros(1)
    heads = torch.arange(out.score_TK.shape[1])
    return {"nll": (torch.cos(place + heads).float() * torch.sigmoid(out.score_TK)).sum()}


def scores(made: LocalLearner, sequences: tuple[Masked, ...]) -> np.ndarray:
    with torch.no_grad():
        return made._forward.answers(sequences).score_TK.numpy()


def alone(made: LocalLearner, sequences: tuple[Masked, ...]) -> np.ndarray:
    """transformers' own body, one row without padding, read at each answer token."""
    model: Any = made._model
    found: list[Tensor] = []
    with torch.no_grad():
        for sequence in sequences:
            state = model.base_model(input_ids=torch.tensor([sequence.tokens]))[0][0]
            said = [p for p, chosen in enumerate(sequence.answer) if chosen]
            found.append(state[said] @ model.score.weight.T)
    return torch.cat(found).numpy()


def padded(made: LocalLearner) -> LocalLearner:
    made._forward._path = made._forward._plain
    return made


@pytest.mark.parametrize("name", ["llama", "qwen2 tied", "gpt2"])
def test_packed_is_padded_is_one_by_one(folders: Folders, name: str) -> None:
    ours, plain, sequences = learner(folders(name)), padded(learner(folders(name))), a_batch().sequences
    wanted, lengths = alone(ours, sequences), a_batch().lengths_S()
    assert wanted.shape == (int(lengths.sum()), 2)
    assert wanted.std(0).min() > 0.05, "else any place would do"
    assert ours._forward.share == (name != "gpt2")
    for made in (ours, plain):
        assert scores(made, sequences) == pytest.approx(wanted, abs=2e-5)
        turned = np.split(scores(made, sequences[::-1]), np.cumsum(lengths[::-1])[:-1])
        assert np.concatenate(turned[::-1]) == pytest.approx(wanted, abs=2e-5)
        ones = np.concatenate([scores(made, (sequence,)) for sequence in sequences])
        assert ones == pytest.approx(wanted, abs=2e-5)
    with torch.no_grad():
        assert ours._forward.answers(sequences).score_TK.dtype == torch.float32


@pytest.mark.parametrize("adapter", ["full", "lora"])
@pytest.mark.parametrize("budget", [24, 4096])
def test_gradients_are_the_same_on_every_way(
    folders: Folders, adapter: str, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = a_batch()
    plain = padded(learner(folders("llama"), adapter=adapter, tokens_per_pass=4096))
    wanted = plain.gradients(batch, 0, pulled)
    assert any("score" in name for name in wanted)
    shared = learner(folders("llama"), adapter=adapter, tokens_per_pass=budget)
    _close(shared.gradients(batch, 0, pulled), wanted)
    packed, said_A = module.packed, module.said_A
    monkeypatch.setattr(module, "packed", lambda s, share, device: packed(s, False, device))
    monkeypatch.setattr(module, "said_A", lambda s, share, device: said_A(s, False, device))
    _close(shared.gradients(batch, 0, pulled), wanted)


def _close(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    whole = max(float(t.abs().max()) for t in two.values())
    assert whole > 1e-3
    for name in two:
        size = max(float(two[name].abs().max()), 1e-3 * whole)
        assert float((one[name] - two[name]).abs().max()) <= 2e-5 * size, name


def test_who_does_not_read_them_pays_nothing(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*told: object) -> Tensor:
        raise AssertionError("nobody asked where answer tokens stand")

    monkeypatch.setattr(module, "said_A", forbidden)
    made = learner(folders("llama"))
    loss = lambda out, _: {"nll": out.score_SK.square().sum()}  # noqa: E731
    assert made.update(a_batch(), 0, loss).applied
    assert (made._seen.anchored, len(made._seen.rows)) == (False, 8)


def test_a_loss_that_reads_them_without_asking_is_told_so(folders: Folders) -> None:
    plain: Any = Local(precision="float32", device="cpu").learner(str(folders("llama")), Task("run/stage", 0))
    with pytest.raises(ContractError, match="reads score_TK without"):
        plain.evaluate(a_batch(), 0, lambda out, _: {"nll": out.score_TK.sum()})


# A model that judges steps

RIGHT, WRONG = ("2 + 2 = 4", "3 + 1 = 4"), ("2 + 2 = 5", "3 + 1 = 7, or so one says")
TALK = [("How much?", (0, 1)), ("And this one, please?", (1, 0)), ("Why?", (1, 1, 0)), ("é", (0, 0))]


def taught(made: LocalLearner, method: ProcessRewardModel) -> Batch:
    rows: list[Row] = []
    for text, labels in TALK:
        prompt = Prompt.of(text)
        steps = [(RIGHT if label else WRONG)[k % 2] for k, label in enumerate(labels)]
        said = stepped(prompt, steps, made.sampler())
        rows.append(Row((in_steps(Group(prompt, said), [bool(label) for label in labels]),)))
    return method.batch(Window(0, tuple(rows)), {}, np.random.default_rng(0))[0]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1)


@pytest.fixture(scope="module", params=[1, 3], ids=["one head", "three heads"])
def exported(
    request: Any, tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalLearner, Path, ProcessRewardModel]:
    method = ProcessRewardModel(heads=request.param, bootstrap=False, epochs=25)
    made = learner(tiny, request.param, adapter="lora", lr=1e-2)
    batch = taught(made, method)
    for step in range(len(batch.steps)):
        assert made.update(batch, step, method.loss).applied
    assert made.evaluate(batch, 0, method.loss)["accuracy"] == 1.0
    out = tmp_path_factory.mktemp("export")
    made.export(out)
    return made, out, method


def scorer(folder: Path) -> LocalScorer:
    made: Any = Local(precision="float32", device="cpu").sampler(str(folder), Silent())
    assert isinstance(made, LocalScorer)
    return made


def told(made: LocalScorer, texts: list[Text]) -> np.ndarray:
    found = asyncio.run(made.score(texts, frozenset({"score"})))
    return np.stack([one.columns["score"] for one in found])


def test_log_odds_keep_their_zero_and_the_card_is_of_step_ends(
    exported: tuple[LocalLearner, Path, ProcessRewardModel],
) -> None:
    made, out, method = exported
    seen = np.array(made._seen.rows)
    assert seen.shape == (25 * 9, method.heads), "as many as labelled steps, not as tokens"
    card = ScoreCard.read(out, method.heads)
    assert card.shift == (0.0,) * method.heads
    assert np.abs(seen.mean(0)).max() > 1e-3
    if method.heads == 1:
        assert card.spread_limit is None
    else:
        assert card.spread_limit == pytest.approx(np.quantile(seen.std(1, ddof=1), 0.99))


def test_a_step_is_read_as_the_score_of_the_answer_up_to_it(
    exported: tuple[LocalLearner, Path, ProcessRewardModel],
) -> None:
    """Each as the learner itself sees it, and over 0 where the step is right."""
    made, out, _ = exported
    ours, prompt = scorer(out), Prompt.of("How much?")
    said = stepped(prompt, (WRONG[0], RIGHT[1]), ours)
    (sequence,) = in_steps(Group(prompt, said), (False, True)).sequences()
    ends = np.cumsum([len(r.tokens) for r in said]) - 1
    found = told(ours, [Text(prompt, r) for r in so_far(said)])
    assert found == pytest.approx(scores(made, (sequence,))[ends], abs=5e-5)
    assert found.mean(1)[0] < 0 < found.mean(1)[1]
    foreign = [r.model_copy(update={"tokenizer": "another"}) for r in so_far(said)]
    assert told(ours, [Text(prompt, r) for r in foreign]) == pytest.approx(found, abs=5e-5)


def test_the_overseer_reads_a_whole_answer_as_its_last_step(
    exported: tuple[LocalLearner, Path, ProcessRewardModel],
) -> None:
    made, out, _ = exported
    ours, prompt = scorer(out), Prompt.of("How much?")
    answer = ours.encode(prompt, "\n".join((WRONG[0], RIGHT[1])))
    judge = Reward(models=("rm",), reduction="mean", limit="none").seated({"rm": ours})
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold([prompt, answer])
    question = Question(
        asks=Kind.GRADE, prompt=prompt.id, responses=(answer.id,), instrument=Instrument(wording="")
    )
    verdict = asyncio.run(desk.ask(judge, question)).verdict
    assert isinstance(verdict, Graded)
    (sequence,) = Episode.single(answer).sequences()
    assert verdict.scores["score"] == pytest.approx(float(scores(made, (sequence,))[-1].mean()), abs=5e-5)


def test_what_was_seen_goes_on_after_a_restore(tiny: Path, tmp_path: Path) -> None:
    method = ProcessRewardModel()
    made, again = learner(tiny, 1), learner(tiny, 1)
    batch = taught(made, method)
    made.update(batch, 0, method.loss)
    again.restore(made.save(tmp_path / "saved"))
    assert (again._seen.anchored, again._seen.rows) == (True, made._seen.rows)
    again.export(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "accord.json").read_text())["shift"] == [0.0]
