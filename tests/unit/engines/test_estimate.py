"""The estimate before a stage: what it measures, adds up, refuses and leaves as it was.

Mutants: attention's square forgotten, a stored weight counted as kept, gradients left behind, layers
recomputed without need or not at all, a refusal whose remedies do not save what they say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES, save_family

from accord.engines.local import Local, estimate, foresight, head, llama_decode, sampler
from accord.engines.local.estimate import Sizes, Work, parts, refusal, seconds, size
from accord.engines.local.foresight import Workshop
from accord.engines.local.learner import LocalLearner
from accord.engines.local.trial import Kept, Pace, Way, kept, timed
from accord.errors import Refused
from accord.methods.grpo import GRPO
from accord.methods.sft import SFT
from accord.ports import Ahead, Drawing, How, Needs, Task
from accord.records import Episode, Prompt
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Row, Window
from accord.testing import save_tiny

NOTHING = Needs()
WORDS = [5 + i * 7 % 250 for i in range(300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1, layers=4)


def learner(folder: Path, needs: Needs = NOTHING, **told: Any) -> LocalLearner:
    settings = {"lr": 1e-2, "decode": "float32", "precision": "float32", "device": "cpu", "rank": 4, **told}
    made: Any = Local(**settings).learner(str(folder), Task("run/stage", 0, needs))
    return made


def way(made: LocalLearner, scores: bool = False) -> Way:
    models = (made._model, *([made._critic._model] if made._critic else []))
    return Way(made._answers, scores, made._critic is not None, models, tuple(made._trained.values()))


def an_ahead(made: LocalLearner, rows: int = 4, drawn: int = 0) -> Ahead:
    """``rows`` answers from data, or with ``drawn`` as many answers of that length to one prompt."""
    sampler = made.sampler()
    texts = ["yes, " * (i + 2) for i in range(rows)]
    answers = [sampler.encode(Prompt.of(f"Why {0 if drawn else i}?"), t) for i, t in enumerate(texts)]
    if drawn:
        answers = [a.model_copy(update={"tokens": (60 + i,) * drawn}) for i, a in enumerate(answers)]
    found = [Row((Episode.single(a),), {"score": float(i)}) for i, a in enumerate(answers)]
    method: Any = GRPO(n=rows, beta=0) if drawn else SFT(rows_per_step=2)
    window = Window(0, tuple(found))
    batch, _ = method.batch(window, {}, np.random.default_rng(0))
    drawing = Drawing(3, 1, rows, 10, drawn, True)
    return Ahead(window, batch, 3, (drawing,) if drawn else (), 0, ())


def bytes_kept(made: LocalLearner, tokens: int, said: int, scores: bool = False) -> int:
    """What autograd keeps of one row, summed by storage, without the parameters."""
    row = Masked(tuple(WORDS[:tokens]), tuple(i >= tokens - said for i in range(tokens)))
    own = {p.untyped_storage().data_ptr() for p in made._model.parameters()}
    found: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        out = made._answers([row])
        total = out.score_SK.sum() if scores else out.logp_T.sum()
    del total
    return sum(count for at, count in found.items() if at not in own)


# What is kept


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_what_is_kept_is_told_for_other_lengths_too(folder: Path, adapter: str) -> None:
    made = learner(folder, adapter=adapter)
    rates = kept(way(made), WORDS)
    assert rates.token > 0
    assert rates.square > 0, "attention keeps the weights of every pair of tokens"
    assert rates.answer > 0, "the head keeps a state and a slope for each answer token"
    for tokens, said in ((96, 40), (200, 150)):
        told = rates.token * tokens + rates.square * tokens**2 + rates.answer * said
        assert told == pytest.approx(bytes_kept(made, tokens, said), rel=0.02)


def test_weights_that_autograd_holds_on_to_are_not_kept_by_a_pass(tmp_path: Path) -> None:
    made = learner(save_family(tmp_path / "model", "qwen3"))  # plain linear layers, which save their weights
    rates = kept(way(made), WORDS)
    told = rates.token * 200 + rates.square * 200**2 + rates.answer * 150
    assert told == pytest.approx(bytes_kept(made, 200, 150), rel=0.02)


def test_a_reward_model_keeps_nothing_for_answer_tokens(folder: Path) -> None:
    made = learner(folder, Needs(scores=2))
    rates = kept(way(made, scores=True), WORDS)
    assert rates.answer == 0
    told = rates.token * 96 + rates.square * 96**2
    assert told == pytest.approx(bytes_kept(made, 96, 40, scores=True), rel=0.02)


def test_a_critic_counts_with_the_policy(folder: Path) -> None:
    alone = kept(way(learner(folder)), WORDS)
    both = kept(way(learner(folder, Needs(critic=True))), WORDS)
    assert both.token > 1.8 * alone.token


# Nothing changes


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_trial_changes_nothing(folder: Path, adapter: str) -> None:
    made, other = learner(folder, adapter=adapter), learner(folder, adapter=adapter)
    before = {name: p.detach().clone() for name, p in made._trained.items()}
    told = made.foresee(an_ahead(made, drawn=12))
    assert told[0].startswith("memory: about")
    assert made.version == "run/stage@0"
    assert not made._optimizer.state
    assert all(p.grad is None for p in made._model.parameters())
    assert all(torch.equal(p, before[name]) for name, p in made._trained.items())
    ahead, prompts, how = an_ahead(made), [Prompt.of("Why?")], How("key", 1.0, 8)
    for one in (made, other):
        one.update(ahead.batch, 0, SFT().loss)
    assert all(torch.equal(p, other._trained[name]) for name, p in made._trained.items())
    drawn = [asyncio.run(one.sampler().sample(prompts, 2, how)) for one in (made, other)]
    assert [r.tokens for r in drawn[0][0].responses] == [r.tokens for r in drawn[1][0].responses]


def test_gradients_go_also_when_a_pass_fails(folder: Path) -> None:
    made = learner(folder)
    broken = way(made)._replace(critic=True)  # a value that nobody computes
    with pytest.raises(Exception, match="critic"):
        timed(broken, WORDS, 128, 0.5)
    assert all(p.grad is None for p in made._model.parameters())


# Models outside the fast family


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_another_family_is_estimated_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    family, told = FAMILIES[name]
    few = {"n_positions": 64} if name == "gpt2" else {}  # fewer than the row that is tried has elsewhere
    monkeypatch.setitem(FAMILIES, name, (family, {**told, **few}))
    made = learner(save_family(tmp_path / "model", name), precision="bfloat16")
    with_room(monkeypatch, 1 << 40)
    assert made.foresee(an_ahead(made, rows=2, drawn=8))[0].startswith("memory: about")
    with_room(monkeypatch, 1000)
    with pytest.raises(Refused) as refused:
        made.foresee(an_ahead(made, rows=2, drawn=8))
    assert "precision" not in str(refused.value), "padded rows compute in the dtype of the weights"
    assert not made._forward.recompute


# Layers computed again


@pytest.mark.parametrize("needs", [Needs(), Needs(critic=True)])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_layers_computed_again_give_the_same_gradients(folder: Path, adapter: str, needs: Needs) -> None:
    made = learner(folder, needs, adapter=adapter)
    batch = an_ahead(made).batch
    for parameter in made._trained.values():  # B of LoRA is 0 at the start, and with it the gradient of A
        parameter.data.add_(torch.linspace(-0.1, 0.1, parameter.numel()).view_as(parameter))
    made._refresh()

    def loss(out: Any, part: Batch) -> Mapping[str, torch.Tensor]:
        more = out.value_T.square().sum() if needs.critic else 0.0
        return {"nll": -out.logp_T.sum() + more}

    plain = made.gradients(batch, 0, loss)
    keeps = bytes_kept(made, 96, 40)
    for body in (made._forward, *([made._critic.forward] if made._critic else [])):
        body.recompute = True
    again = made.gradients(batch, 0, loss)
    assert bytes_kept(made, 96, 40) < keeps / 2
    assert plain.keys() == again.keys()
    assert all(grad.abs().max() > 0 for name, grad in plain.items() if name.endswith("B.default.weight"))
    for name, grad in plain.items():
        assert torch.equal(grad, again[name]), name


def with_room(monkeypatch: pytest.MonkeyPatch, total: int) -> None:
    monkeypatch.setattr(foresight, "held", lambda device: 0)
    monkeypatch.setattr(foresight, "room", lambda device: total)


def need(made: LocalLearner, ahead: Ahead, again: bool) -> int:
    """Bytes that the stage takes by the estimate's own sum, where the process holds nothing else."""
    shop = workshop(made)
    work = Work(ahead, made._config.tokens_per_pass, True, frozenset(), again)
    return sum(parts(foresight._sizes(shop, ahead), kept(way(made), WORDS), work).values())


def workshop(made: LocalLearner) -> Workshop:
    caught: list[Workshop] = []
    whole = foresight.foreseen
    try:
        foresight.foreseen = lambda shop, ahead: caught.append(shop) or estimate.Estimate({}, 0, 0.0, ())
        made.foresee(an_ahead(made))
    finally:
        foresight.foreseen = whole
    return caught[0]


def test_layers_are_computed_again_only_where_memory_demands_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = learner(folder)
    ahead = an_ahead(made, rows=2, drawn=400)
    with_room(monkeypatch, 1 << 40)
    plain, again = need(made, ahead, False), need(made, ahead, True)
    assert again < plain
    with_room(monkeypatch, plain + plain // 50)
    told = made.foresee(ahead)
    assert not made._forward.recompute
    assert not any("second time" in line for line in told)
    with_room(monkeypatch, (plain + again) // 2)
    told = made.foresee(ahead)
    assert made._forward.recompute
    assert any("second time" in line for line in told)
    saved = made.save(tmp_path / "saved")
    other = learner(folder)
    other.restore(saved)
    assert other._forward.recompute, "a resumed stage has the same memory"
    with_room(monkeypatch, again // 2)
    with pytest.raises(Refused, match="this stage would take"):
        made.foresee(ahead)


# Sums

SIZES = Sizes(
    held={"masters": 1000},
    trained=100,
    second=500,
    copies=40,
    renewed=20,
    keys=2,
    state=8,
    layers=4,
    width=3,
    vocabulary=10,
    flows=1,
    head_trained=False,
    narrow=False,
    full=False,
)
RATES = Kept(token=40, square=4, answer=6)


def hand(rows: int, length: int = 6, said: int = 2, per_step: int = 2) -> Ahead:
    """Rows of different prompts, each ``length`` tokens of which the last ``said`` are the answer."""
    said_T = ((7,) * said,)
    asked_RT = [((r,) * (length - said),) for r in range(rows)]
    told = [Episode(prompt="p", responses=("r",), prompt_tokens=asked, tokens=said_T) for asked in asked_RT]
    made = [Row((episode,)) for episode in told]
    window = Window(0, tuple(made))
    batch, _ = SFT(rows_per_step=per_step).batch(window, {}, np.random.default_rng(0))
    return Ahead(window, batch, 5, (), 0, ())


def test_memory_adds_up_by_hand() -> None:
    work = Work(hand(4), 16, True, frozenset())
    # A pass holds both rows of a step: 12 tokens, 2 · 36 pairs, 4 answer tokens. For a moment there are a
    # quarter of what layers keep, and the logits of 4 tokens three times.
    body, top = 40 * 12 + 4 * 72, 6 * 4
    moment = body / 4 + 3 * 4 * 4 * 10
    found = parts(SIZES, RATES, work)
    assert found["activations"] == body + top + moment
    assert found["moments of the optimizer"] == 800
    assert found["gradients"] == 400 / 4, "the only pass of a step gives up what it kept as gradients come"
    assert found["masters"] == 1000
    assert found.keys() == {"masters", "activations", "gradients", "moments of the optimizer"}
    cut = parts(SIZES, RATES, work._replace(budget=6))
    assert cut["gradients"] == 400, "gradients of the first pass stand while the second one keeps its own"
    assert cut["activations"] == body / 2 + top / 2 + body / 8 + moment / 2 - body / 8
    again = parts(SIZES, RATES, work._replace(again=True))
    assert again["activations"] == body / 4 + 8 * 12 + top + moment


def test_the_head_keeps_probabilities_only_below_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = SIZES._replace(head_trained=True)
    rates, work = RATES._replace(answer=6 + 4 * 10), Work(hand(2), 16, True, frozenset())
    assert parts(trained, rates, work)["activations"] - parts(SIZES, RATES, work)["activations"] == (
        4 * 10 * 4 + 4 * 10 * 3  # probabilities of 4 answer tokens, and the gradient of the head
    )
    monkeypatch.setattr(estimate, "_HEAD_KEPT", 4 * 10 * 4 - 1)
    assert parts(trained, rates, work)["activations"] - parts(SIZES, RATES, work)["activations"] == 4 * 10 * 3


def test_a_shared_prompt_counts_once() -> None:
    prompt, answers = (1, 2, 3), ((4, 5), (6,))
    sequences = [Masked((*prompt, *a), (False,) * 3 + (True,) * len(a)) for a in answers]
    one = estimate._Pass.of(sequences, True)
    assert (one.tokens, one.squares, one.answers) == (6, 9 + 2 * 5 + 1 * 4, 3)
    padded = estimate._Pass.of(sequences, False)
    assert (padded.tokens, padded.squares, padded.answers) == (10, 2 * 25, 3)


def test_answers_and_the_reference_take_room_where_there_are_any() -> None:
    drawing = Drawing(times=5, prompts=3, n=2, asked=10, max_tokens=4, by_source=True)
    ahead = hand(2)._replace(drawings=(drawing, drawing._replace(prompts=1, by_source=False)))
    found = parts(SIZES, RATES, Work(ahead, 16, True, frozenset({"ref_logp"})))
    assert found["copies to decode from"] == 60
    assert found["keys of answers"] == 2 * (3 * 10 + 6 * 4 * 1.5) + 3 * 4 * 6 * 10
    assert found["reference model"] == 500
    assert "what the guard reads" not in found
    found = parts(SIZES, RATES, Work(ahead._replace(read=12), 16, True, frozenset()))
    assert found["what the guard reads"] == 2 * 40 * 12 / 4 + 16 * 12 * 10
    many = drawing._replace(prompts=1000)
    found = parts(SIZES, RATES, Work(ahead._replace(drawings=(many,)), 16, True, frozenset()))
    assert found["keys of answers"] == 2 * (48 * 10 + 96 * 4 * 1.5) + 3 * 4 * 96 * 10
    assert "reference model" not in found


def test_time_adds_up_by_hand() -> None:
    pace = Pace(forward=(1.0, 0.5), backward=(2.0, 1.0), update=3.0)
    drawing = Drawing(times=5, prompts=3, n=2, asked=10, max_tokens=4, by_source=True)
    ahead = hand(4)._replace(drawings=(drawing,), read=8)
    work = Work(ahead, 16, True, frozenset({"ref_logp", "old_logp"}))
    times = seconds(pace, 30.0, work, 1)
    assert times["learning"] == 5 * 2 * (3 + (1 + 6) + (2 + 12))  # two steps a window, one pass of 12 tokens
    assert times["measuring"] == 5 * 2 * 2 * (1 + 6) + 8 * 0.5
    assert times["answering"] == 0.5 * 5 * 3 * 10 + 5 * 3 * 2 * 4 / 30
    guard = drawing._replace(by_source=False, n=4, asked=8, max_tokens=2)
    looked = seconds(pace, 30.0, work._replace(ahead=ahead._replace(drawings=(drawing, guard), read=40)), 1)
    assert looked["measuring"] - 5 * 2 * 2 * (1 + 6) == 0.5 * 40 * (8 / 4 + 2) / (8 + 2)
    again = seconds(pace, 30.0, work._replace(again=True), 1)
    assert again["learning"] == 5 * 2 * (3 + 2 * (1 + 6) + (2 + 12))


def test_a_refusal_says_what_helps_and_by_how_much() -> None:
    drawing = Drawing(times=5, prompts=4, n=2, asked=10, max_tokens=64, by_source=True)
    ahead = hand(4, length=40, said=30, per_step=4)._replace(drawings=(drawing,))
    sizes = SIZES._replace(full=True, trained=200)
    work = Work(ahead, 256, True, frozenset({"ref_logp"}))
    peak = sum(parts(sizes, RATES, work).values())
    have = peak - 8000
    text = str(refusal(sizes, RATES, work, have))
    assert text.startswith(f"this stage would take about {size(peak)}")
    for name in ("tokens_per_pass", "adapter", "precision", "per_window", "max_tokens"):
        assert name in text
    assert 'learner.adapter = "lora" saves' in text
    smaller = dict(estimate._smaller(sizes, RATES, work, have))
    budget = next(int(s.split("=")[1]) for s in smaller if "tokens_per_pass" in s)
    assert smaller[f"learner.tokens_per_pass = {budget}"] == sum(
        parts(sizes, RATES, work._replace(budget=budget)).values()
    )
    lines = text.splitlines()
    enough = [line for line in lines if line.endswith("enough by itself")]
    assert {line.split(" saves")[0].strip() for line in enough} == {
        setting for setting, total in smaller.items() if total <= have
    }
    assert 0 < len(enough) < len(smaller)
    assert "smaller model" in str(refusal(SIZES, Kept(0, 0, 0), Work(hand(1), 16, True, frozenset()), 1000))


def test_limits_are_those_of_the_passes_they_speak_of() -> None:
    assert (estimate._HEAD_ROWS, estimate._HEAD_KEPT) == (head._ROWS, head._KEPT)
    assert estimate._SIDE_BY_SIDE == llama_decode._ROWS
    assert estimate._SCORED == sampler._SCORED_TOKENS


def test_the_method_may_have_nothing_to_learn(folder: Path) -> None:
    made = learner(folder)
    ahead = an_ahead(made, drawn=4)
    empty = replace(ahead.batch, sequences=(), row_S=np.zeros(0, np.int64), steps=(), counts=(), tokens={})
    assert made.foresee(ahead._replace(batch=empty))[0].startswith("memory")
