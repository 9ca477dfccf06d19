"""LocalLearner: what it trains, refuses, saves and exports. Exactness stands in tests/invariance."""

# size: one learner, its whole contract
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.engines.local.models import open_model
from accord.engines.local.tiny import byte_tokenizer, tiny_model
from accord.errors import AccordError, ContractError, PlanError
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import How, Needs, Task
from accord.progress import Silent
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row, Text
from accord.testing import save_tiny

PROMPTS = [Prompt.of(f"question {i}") for i in range(4)]
ANSWERS = ["yes", "a longer answer than the others", "no", "é"]
SEEDED = Prompt.of("Why?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 1)


def learner(folder: Path, adapter: str = "lora", seed: int = 0, **told: Any) -> LocalLearner:
    settings = {
        "adapter": adapter,
        "lr": 1e-2,
        "decode": "float32",
        "precision": "float32",
        "device": "cpu",
        "rank": 4,
        **told,
    }
    made: Any = Local(**settings).learner(str(folder), Task("run/stage", seed))
    return made


def rows(made: LocalLearner) -> list[Row]:
    sampler = made.sampler()
    encoded = [sampler.encode(p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    return [Row((Episode.single(r),)) for r in encoded]


def a_batch(made: LocalLearner, **told: Any) -> Batch:
    return likelihood_batch(rows(made), 1, 4, np.random.default_rng(0), told)


def scores(made: LocalLearner) -> np.ndarray:
    sampler = made.sampler()
    texts = [Text(p, sampler.encode(p, a)) for p, a in zip(PROMPTS, ANSWERS, strict=True)]
    found = asyncio.run(sampler.score(texts, frozenset({"logp"})))
    return np.concatenate([s.columns["logp"] for s in found])


def answers(made: LocalLearner) -> list[tuple[int, ...]]:
    groups = asyncio.run(made.sampler().sample(PROMPTS, 2, How("answers", 1.0, 12)))
    return [r.tokens for g in groups for r in g.responses]


def weights(made: LocalLearner) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in made._trained.items()}


def moments(made: LocalLearner) -> dict[str, torch.Tensor]:
    """The state of the optimizer by the name of the weight and of the moment."""
    found = {n: made._optimizer.state.get(p, {}) for n, p in made._trained.items()}
    return {
        f"{n}/{key}": value.detach().clone() for n, state in found.items() for key, value in state.items()
    }


def same(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[n], two[n]) for n in one)


def train(made: LocalLearner, steps: int = 2, batch: Batch | None = None) -> None:
    batch = batch or a_batch(made)
    for _ in range(steps):
        assert made.update(batch, 0, SFT().loss).applied


# What is trained


def test_lora_trains_its_adapters_on_every_linear_layer_of_the_body(folder: Path) -> None:
    made = learner(folder)
    names = set(made._trained)
    assert all(".lora_A." in n or ".lora_B." in n for n in names)
    linear = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert all(
        any(f"layers.{i}." in n and f".{kind}." in n for n in names) for i in (0, 1) for kind in linear
    )
    assert not any("lm_head" in n or "embed" in n for n in names)


def test_the_base_stands_still_under_lora_and_moves_under_full(folder: Path) -> None:
    for adapter, still in (("lora", True), ("full", False)):
        made = learner(folder, adapter)
        plain = open_model(folder).model.state_dict()
        train(made)
        now = {
            n.replace(".base_layer.", "."): p
            for n, p in made._model.state_dict().items()
            if ".lora_" not in n
        }
        assert now.keys() == plain.keys()
        moved = [n for n in plain if not torch.equal(now[n], plain[n])]
        assert (not moved) == still
        if not still:
            assert len(moved) == len(plain), "full weights train everything, the head and embeddings too"


def test_an_adapter_that_was_not_trained_changes_nothing(folder: Path) -> None:
    assert scores(learner(folder)) == pytest.approx(scores(learner(folder, "full")), abs=1e-6)


def test_the_start_depends_on_the_seed_alone(folder: Path) -> None:
    torch.manual_seed(1)
    one = weights(learner(folder, seed=3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert same(one, weights(learner(folder, seed=3)))
    assert torch.equal(state, torch.get_rng_state()), "torch's own generator is left as found"
    assert not same(one, weights(learner(folder, seed=4)))


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_reference_is_the_start_whatever_was_trained(folder: Path, adapter: str) -> None:
    made = learner(folder, adapter)
    needs = Needs(frozenset({"ref_logp", "old_logp"}))
    start = scores(made)
    train(made, 3)
    found = made.measure(rows(made), needs)
    assert np.concatenate(found["ref_logp"]) == pytest.approx(start, abs=1e-5)
    assert np.concatenate(found["old_logp"]) == pytest.approx(scores(made), abs=1e-5)
    assert np.abs(scores(made) - start).max() > 0.01
    assert made.measure([], needs) == {"ref_logp": (), "old_logp": ()}


def test_measure_keeps_the_order_of_sequences(folder: Path) -> None:
    made = learner(folder, tokens_per_pass=32)
    found = made.measure(rows(made), Needs(frozenset({"old_logp"})))["old_logp"]
    assert [len(c) for c in found] == [len(a.encode()) + 1 for a in ANSWERS]
    assert np.concatenate(found) == pytest.approx(scores(made), abs=1e-5)


# Updates


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("kind", ["nan loss", "infinite loss", "nan gradient"])
def test_what_is_not_finite_applies_nothing(folder: Path, adapter: str, kind: str) -> None:
    made = learner(folder, adapter)
    train(made)
    before, remembered = weights(made), moments(made)

    def loss(out: Any, batch: Batch) -> dict[str, torch.Tensor]:
        total = -out.logp_T.sum()
        if kind == "nan gradient":  # a finite value with a gradient that is not: sqrt at 0
            return {"nll": total + torch.sqrt((out.logp_T - out.logp_T.detach()).abs().sum())}
        return {"nll": total * float(kind.split()[0].replace("infinite", "inf"))}

    outcome = made.update(a_batch(made), 0, loss)
    assert not outcome.applied
    assert same(weights(made), before)
    assert same(moments(made), remembered)
    assert made.version == "run/stage@3"
    assert made.update(a_batch(made), 0, SFT().loss).applied


def test_an_answer_that_is_not_allowed_applies_nothing(folder: Path) -> None:
    """Its probability is 0, its loss infinite: refused, not skipped in silence."""
    made = learner(folder)
    prompt = Prompt(messages=PROMPTS[0].messages, allowed=(97, 258))
    row = Row((Episode.single(made.sampler().encode(prompt, "b"), prompt.allowed),))
    batch = likelihood_batch([row], 1, 1, np.random.default_rng(0), {})
    assert not made.update(batch, 0, SFT().loss).applied


def test_a_step_without_rows_changes_nothing_and_does_not_crash(folder: Path) -> None:
    """A rank whose share of a step is empty; nothing to learn, nothing divided by zero."""
    made = learner(folder)
    train(made)
    whole = a_batch(made)
    empty = Batch(
        sequences=whole.sequences,
        row_S=whole.row_S,
        steps=(np.zeros(0, dtype=np.int64),),
        counts=({"nll": 5.0},),
        weights={"nll": 1.0},
        tokens=dict(whole.tokens),
    )
    outcome = made.update(empty, 0, SFT().loss)
    assert outcome.terms == {"nll": 0.0}
    assert (outcome.tokens, outcome.pressure_T.size) == (0, 0)
    assert np.isfinite(scores(made)).all()


def test_rows_without_answer_tokens_do_not_crash(folder: Path) -> None:
    made = learner(folder, tokens_per_pass=16)
    silent = Episode(prompt="p", responses=("r",), prompt_tokens=((257, 97),), tokens=((),))
    batch = likelihood_batch([*rows(made), Row((silent,))], 1, 9, np.random.default_rng(0), {})
    outcome = made.update(batch, 0, SFT().loss)
    assert outcome.applied
    assert outcome.pressure_T.size == sum(len(a.encode()) + 1 for a in ANSWERS)


def test_an_update_tells_log_pi_where_the_loss_read_it(folder: Path) -> None:
    made = learner(folder, tokens_per_pass=16)
    batch, passes = a_batch(made), iter(range(8))
    before = replace(batch, tokens={"logp": scores(made)}).take(batch.steps[0]).tokens["logp"]

    def now_and_then(out: Any, part: Any) -> Any:
        del part
        return {"nll": torch.zeros(()) if next(passes) % 2 else -out.logp_T.sum()}

    told = made.update(batch, 0, now_and_then)
    known_T = ~np.isnan(told.logp_T)
    assert 0 < known_T.sum() < len(before), "each of the four rows is a pass of its own"
    assert told.logp_T[known_T] == pytest.approx(before[known_T], abs=1e-4)
    assert ((told.pressure_T != 0) == known_T).all()
    assert made.update(batch, 0, SFT().loss).logp_T.size == len(before)
    silent = made.update(batch, 0, lambda out, part: {"nll": torch.zeros(())})
    assert (silent.logp_T.size, silent.pressure_T.tolist()) == (0, [0.0] * len(before))


def test_terms_must_be_those_of_the_counts(folder: Path) -> None:
    made = learner(folder)
    before = weights(made)
    with pytest.raises(ContractError, match="returns the terms"):
        made.update(a_batch(made), 0, lambda out, batch: {"other": out.logp_T.sum()})
    assert same(weights(made), before)


def test_gradients_are_clipped_at_the_norm_that_is_set(folder: Path) -> None:
    made = learner(folder, "full", max_grad_norm=1e-3)
    assert made.update(a_batch(made), 0, SFT().loss).grad_norm > 1e-3, "the norm is that before clipping"


def test_warm_up_rises_in_equal_steps(folder: Path) -> None:
    made = learner(folder, warmup=4)
    seen = []
    for _ in range(5):
        train(made, 1)
        seen.append(made._optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])


def test_likelihood_of_what_is_taught_rises(folder: Path) -> None:
    for adapter in ("lora", "full"):
        made = learner(folder, adapter)
        before = scores(made).sum()
        train(made, 4)
        assert scores(made).sum() > before + 1


# Views


def test_a_view_used_after_an_update_raises(folder: Path) -> None:
    made = learner(folder)
    view = made.sampler()
    assert view.policy == made.version == "run/stage@0"
    text = Text(SEEDED, view.encode(SEEDED, "x"))
    train(made, 1)
    for work in (view.sample([SEEDED], 1, How("k")), view.score([text], frozenset({"logp"}))):
        with pytest.raises(ContractError, match="before the next update"):
            asyncio.run(work)  # type: ignore[arg-type]
    assert made.sampler().policy == "run/stage@1"


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_view_samples_from_the_weights_as_they_are_now(folder: Path, adapter: str) -> None:
    made = learner(folder, adapter)
    answers(made)
    train(made, 5)
    sampler = made.sampler()
    (group,) = asyncio.run(sampler.sample([SEEDED], 6, How("now", 1.0, 12)))
    texts = [Text(SEEDED, r) for r in group.responses]
    found = asyncio.run(sampler.score(texts, frozenset({"logp"})))
    for text, scored in zip(texts, found, strict=True):
        assert scored.columns["logp"] == pytest.approx(np.array(text.response.logp), abs=5e-5)


def test_a_restored_learner_does_not_decode_with_what_it_was_before(folder: Path, tmp_path: Path) -> None:
    """Two histories of one learner meet at one step number; the decode copy must be that of the second."""
    made = learner(folder)
    start = made.save(tmp_path / "start")
    train(made, 2)
    first = answers(made)
    made.restore(start)
    other = SFT(rows_per_step=1)
    batch = likelihood_batch(rows(made)[:1], 1, 1, np.random.default_rng(0), {})
    for _ in range(2):
        made.update(batch, 0, other.loss)
    assert made.version == "run/stage@2"
    fresh = learner(folder)
    for _ in range(2):
        fresh.update(batch, 0, other.loss)
    assert answers(fresh) != first, "else this shows nothing"
    assert answers(made) == answers(fresh)


@pytest.mark.parametrize("decode", ["float32", "bfloat16"])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_publish_moves_what_another_sampler_scores_and_samples(
    folder: Path, adapter: str, decode: Any
) -> None:
    made = learner(folder, adapter, lr=5e-2)
    other = Local(decode=decode, precision="float32", device="cpu").sampler(str(folder), Silent())
    asyncio.run(other.sample([SEEDED], 1, How("before", 1.0, 4)))
    train(made, 5)
    assert made.publish(other) == made.version == other.policy
    (group,) = asyncio.run(other.sample([SEEDED], 8, How("after", 1.0, 8)))
    texts = [Text(SEEDED, r) for r in group.responses]
    theirs = asyncio.run(other.score(texts, frozenset({"logp"})))
    ours = asyncio.run(made.sampler().score(texts, frozenset({"logp"})))
    tolerance = 1e-4 if decode == "float32" else 0.5
    for text, one, two in zip(texts, theirs, ours, strict=True):
        assert one.columns["logp"] == pytest.approx(two.columns["logp"], abs=1e-4)
        assert one.columns["logp"] == pytest.approx(np.array(text.response.logp), abs=tolerance)
    with pytest.raises(ContractError, match="hands in a LocalSampler"):
        made.publish(object())  # type: ignore[arg-type]


# Saved and exported


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_saved_restored_and_trained_on_is_as_if_never_stopped(
    folder: Path, tmp_path: Path, adapter: str
) -> None:
    whole = learner(folder, adapter, weight_decay=0.1, warmup=4)
    train(whole, 2)
    ref = whole.save(tmp_path / "two")
    train(whole, 3)
    again = learner(folder, adapter, weight_decay=0.1, warmup=4, seed=9)
    again.restore(ref)
    assert again.version == ref.name == "run/stage@2"
    train(again, 3)
    assert same(weights(again), weights(whole))
    assert same(moments(again), moments(whole))
    assert answers(again) == answers(whole)


def test_a_learner_without_an_update_can_be_saved_and_restored(folder: Path, tmp_path: Path) -> None:
    made = learner(folder)
    again = learner(folder, seed=5)
    again.restore(made.save(tmp_path / "start"))
    train(made, 2)
    train(again, 2)
    assert same(weights(again), weights(made))


@pytest.mark.parametrize("told", [{"adapter": "full"}, {"rank": 8}])
def test_a_checkpoint_of_another_shape_is_refused(folder: Path, tmp_path: Path, told: dict[str, Any]) -> None:
    ref = learner(folder).save(tmp_path / "lora")
    other = learner(folder, **told)
    before = weights(other)
    with pytest.raises(AccordError):
        other.restore(ref)
    assert same(weights(other), before), "nothing half restored"


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_export_is_a_model_that_transformers_loads_as_it_is(
    folder: Path, tmp_path: Path, adapter: str, tied: bool
) -> None:
    start = folder
    if tied:
        model = tiny_model(3)
        model.config.tie_word_embeddings = True
        model.tie_weights()
        model.save_pretrained(tmp_path / "tied")
        byte_tokenizer().save_pretrained(tmp_path / "tied")
        start = tmp_path / "tied"
    made = learner(start, adapter)
    train(made, 3)
    ref = made.export(tmp_path / "out")
    assert ref.path == str(tmp_path / "out")
    model, report = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert not any("lora" in name for name in model.state_dict())
    ids = torch.tensor([[257, 260, 72, 105, 258, 261, 97]])
    with torch.no_grad():
        gap = (model(ids).logits - made._model(ids).logits).abs()
        base = (open_model(start).model(ids).logits - made._model(ids).logits).abs()
    assert gap.max() < 1e-5 * max(1.0, float(model(ids).logits.abs().max()))
    assert base.max() > 0.01, "it is not the start that was exported"
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    talk = [{"role": "user", "content": "Why?"}]
    wanted = made._opened.tokenizer.apply_chat_template(talk, tokenize=False)
    assert tokenizer.apply_chat_template(talk, tokenize=False) == wanted
    assert model.generation_config.eos_token_id == 258


def test_what_was_exported_can_be_trained_on_and_is_the_same_policy(folder: Path, tmp_path: Path) -> None:
    made = learner(folder)
    train(made, 3)
    made.export(tmp_path / "out")
    again = learner(tmp_path / "out")
    assert scores(again) == pytest.approx(scores(made), abs=1e-5)
    train(again, 1)


def test_an_unknown_column_is_a_plan_error(folder: Path) -> None:
    with pytest.raises(PlanError, match="old_logp, ref_logp"):
        learner(folder).measure([], Needs(frozenset({"value"})))
