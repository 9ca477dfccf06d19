"""The critic: starts at 0, stands at the states in which tokens were chosen, and learns beside the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import save_family

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.maths.batches import likelihood_batch
from accord.ports import Needs, Task
from accord.records import Episode
from accord.records.rows import Batch, Row

NEEDS = Needs(frozenset({"value", "old_logp"}), critic=True)
PROMPTS = [(257, 97, 98), (257, 260, *b"a longer one", 261)]


@pytest.fixture(scope="module", params=["llama", "llama tied", "gpt2"])
def folder(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("model"), request.param)


def learner(folder: Path, **told: Any) -> LocalLearner:
    settings = {
        "adapter": "lora",
        "rank": 4,
        "lr": 1e-3,
        "critic_lr": 1e-2,
        "precision": "float32",
        "device": "cpu",
    }
    made: Any = Local(**(settings | told)).learner(str(folder), Task("run/stage", 0, NEEDS))
    return made


def rows() -> list[Row]:
    said = [b"yes", b"no", b"a longer answer", b"x"]
    told = [
        Episode(prompt="p", responses=("r",), prompt_tokens=(PROMPTS[i % 2],), tokens=((*text, 258),))
        for i, text in enumerate(said)
    ]
    return [Row((e,)) for e in told]


def a_batch() -> Batch:
    return likelihood_batch(rows(), 1, 4, np.random.default_rng(0), {})


def toward(out: Any, batch: Batch) -> dict[str, torch.Tensor]:
    """Half the squared distance of each value to 2; the policy's log-probabilities stay where they are."""
    return {"nll": (out.value_T - 2).square().sum() / 2 + 0 * out.logp_T.sum()}


def values(made: LocalLearner) -> np.ndarray:
    return np.concatenate(made.measure(rows(), NEEDS)["value"])


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_values_start_at_0_and_learn_what_they_are_told(folder: Path, adapter: str) -> None:
    made = learner(folder, adapter=adapter)
    assert np.abs(values(made)).max() == 0.0
    before = np.concatenate(made.measure(rows(), NEEDS)["old_logp"])
    for _ in range(30):
        assert made.update(a_batch(), 0, toward).applied
    assert np.abs(values(made) - 2).max() < 0.5
    after = np.concatenate(made.measure(rows(), NEEDS)["old_logp"])
    assert after == pytest.approx(before, abs=1e-6), "the two share no weight"


def test_values_are_those_of_the_state_before_each_token(folder: Path) -> None:
    """One row at a time through transformers' own body, at p − 1."""
    made = learner(folder, adapter="full")
    for _ in range(3):
        made.update(a_batch(), 0, toward)
    critic: Any = made._critic
    found = made.measure(rows(), NEEDS)["value"]
    for row, value in zip(rows(), found, strict=True):
        (sequence,) = row.episodes[0].sequences()
        with torch.no_grad():
            state = critic._model.base_model(torch.tensor([sequence.tokens]), use_cache=False)[0][0]
            plain = (state @ critic._model.score.weight.t())[:, 0].numpy()
        at = [p - 1 for p, said in enumerate(sequence.answer) if said]
        assert value == pytest.approx(plain[at], abs=2e-5)
    live = torch.cat([made._critic.live([r.episodes[0].sequences()[0]]) for r in rows()]).detach().numpy()
    assert live == pytest.approx(np.concatenate(found), abs=2e-5)


def test_micro_batches_do_not_change_what_a_critic_learns(folder: Path) -> None:
    found = []
    for budget in (16, 4096):
        made = learner(folder, adapter="full", tokens_per_pass=budget)
        made.update(a_batch(), 0, toward)
        found.append(made.gradients(a_batch(), 0, toward))
    assert found[0].keys() == found[1].keys()
    assert any(name.startswith("critic.") for name in found[0])
    whole = max(float(g.abs().max()) for g in found[1].values())
    for name, gradient in found[1].items():
        assert float((gradient - found[0][name]).abs().max()) <= 1e-5 * whole, name


def test_a_critic_comes_back_to_the_bit(folder: Path, tmp_path: Path) -> None:
    made = learner(folder)
    made.update(a_batch(), 0, toward)
    again = learner(folder)
    again.restore(made.save(tmp_path / "saved"))
    for one in (made, again):
        one.update(a_batch(), 0, toward)
    assert values(again).tolist() == values(made).tolist()


def test_a_critic_may_start_from_a_reward_model(folder: Path, tmp_path: Path) -> None:
    """Its body is the reward model's; its head starts at 0 all the same."""
    teacher: Any = Local(adapter="full", lr=1e-2, precision="float32", device="cpu").learner(
        str(folder), Task("run/reward", 1, Needs(scores=1), "data")
    )
    teacher.update(a_batch(), 0, lambda out, _: {"nll": (out.score_SK - 1).square().sum()})
    teacher.export(tmp_path / "reward")
    made = learner(folder, critic=str(tmp_path / "reward"))
    assert np.abs(values(made)).max() == 0.0
    ours = {
        n.replace(".base_layer.", "."): p
        for n, p in made._critic._model.named_parameters()
        if "lora" not in n
    }
    for name, weight in teacher._model.named_parameters():
        assert name == "score.weight" or torch.equal(ours[name], weight), name
