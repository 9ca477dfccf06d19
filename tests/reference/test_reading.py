"""The single files of ``reading/`` are what the package does: the same losses and weights over ten steps.

Both start from one model and see the same tokens in the same order, in float32, all weights trained. That the
comparison would see a difference is shown by twins that are told something else: another β, λ or clip, a step
left out of its order, rewards of other tokens.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from shape import sizes, tree
from torch import nn
from transformers import AutoModelForCausalLM

from accord.engines.local import Local
from accord.methods.dpo import DPO
from accord.methods.ppo import PPO
from accord.ports import Method, Task
from accord.records import Episode, Prompt, Response
from accord.records.rows import Row, Window
from accord.testing import save_tiny

FOLDER = tree.ROOT / "reading"
TWINS = ("dpo", "ppo")
ADAM = (0.9, 0.999, 1e-5)
LR, BETA = 5e-4, 0.1


def read(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"reading_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Trained(NamedTuple):
    """What came of it: the losses of every step, and all weights in the end."""

    losses: np.ndarray
    weights: dict[str, torch.Tensor]


def apart(one: Trained, two: Trained) -> tuple[float, float]:
    """The largest difference of a loss, and of a weight."""
    assert one.weights.keys() == two.weights.keys()
    weights = max(float((w - two.weights[n]).abs().max()) for n, w in one.weights.items())
    return float(np.abs(one.losses - two.losses).max()), weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Small logits: float32 keeps more digits of them.
    return save_tiny(tmp_path_factory.mktemp("model"), 5, layers=1, width=16)


def learner(folder: Path, method: Method, by: Any) -> Any:
    settings: dict[str, Any] = {
        "adapter": "full",
        "precision": "float32",
        "decode": "float32",
        "device": "cpu",
    }
    engine = Local(**settings, lr=LR, critic_lr=LR, adam=ADAM, max_grad_norm=0.5)
    return engine.learner(str(folder), Task("run/stage", 0, method.needs(), by))


def weights(policy: nn.Module, critic: nn.Module | None = None) -> dict[str, torch.Tensor]:
    found = {f"policy.{n}": p.detach() for n, p in policy.named_parameters()}
    return found | {f"critic.{i}": p.detach() for i, p in enumerate(critic.parameters() if critic else ())}


# DPO: 14 pairs, steps of 3, 3, 3, 3 and 2, two epochs


def words(k: int) -> str:
    """Texts of many lengths that share no beginning."""
    return "".join(chr(97 + (7 * k + i * i) % 26) for i in range(1 + (5 * k) % 6))


@pytest.fixture(scope="module")
def dpo_run(folder: Path) -> tuple[Trained, list[list[Any]]]:
    method = DPO(beta=BETA, epochs=2, rows_per_step=3)
    made = learner(folder, method, "data")
    asked = [Prompt.of(words(k)) for k in range(14)]
    said = [[made.sampler().encode(p, words(k + add)) for add in (20, 41)] for k, p in enumerate(asked)]
    rows = tuple(Row(tuple(map(Episode.single, pair)), {"p": 1.0}) for pair in said)
    window = Window(0, rows, made.measure(rows, method.needs()))
    batch, _ = method.batch(window, {}, np.random.default_rng(3))
    assert [len(step) for step in batch.steps] == [3, 3, 3, 3, 2] * 2
    losses = [made.update(batch, step, method.loss).terms for step in range(len(batch.steps))]
    told = np.array([[one[name] for name in ("dpo", "chosen", "rejected")] for one in losses])
    order = [[said[int(r)] for r in step] for step in batch.steps]
    return Trained(told, weights(made._model)), order


def dpo_twin(folder: Path, order: list[list[Any]], **told: Any) -> Trained:
    dpo = read("dpo")
    policy = AutoModelForCausalLM.from_pretrained(folder)
    batches = [[dpo.Pair(list(a.prompt_tokens), list(a.tokens), list(b.tokens)) for a, b in s] for s in order]
    settings = dpo.Settings(**({"beta": BETA, "lr": LR, "adam": ADAM, "max_grad_norm": 0.5} | told))
    steps = list(dpo.train(policy, batches, settings))
    return Trained(np.array([[s.loss, s.chosen, s.rejected] for s in steps]), weights(policy))


def test_dpo_is_read_as_it_is_done(folder: Path, dpo_run: tuple[Trained, list[list[Any]]]) -> None:
    done, order = dpo_run
    loss, weight = apart(done, dpo_twin(folder, order))
    assert loss <= 1e-6
    assert weight <= 1e-6
    start = weights(AutoModelForCausalLM.from_pretrained(folder))
    assert apart(done, Trained(done.losses, start))[1] > 1e-3, "the weights have moved"
    assert done.losses[0, 0] == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize(
    "other",
    [{"beta": 0.11}, {"lr": 5.1e-4}, {"adam": (0.9, 0.99, 1e-5)}, {"max_grad_norm": 0.51}],
    ids=str,
)
def test_another_dpo_is_told_apart(
    other: dict[str, Any], folder: Path, dpo_run: tuple[Trained, list[list[Any]]]
) -> None:
    done, order = dpo_run
    assert max(apart(done, dpo_twin(folder, order, **other))) > 1e-5


def test_pairs_in_another_order_are_told_apart(
    folder: Path, dpo_run: tuple[Trained, list[list[Any]]]
) -> None:
    done, order = dpo_run
    assert apart(done, dpo_twin(folder, [*order[1:], order[0]]))[1] > 1e-5


# PPO: two windows of 10 answers, steps of 4, 4 and 2, two epochs each: 12 steps


ANSWERS = 10


def scored(made: Any, window: int) -> list[tuple[Response, float]]:
    """Answers of many lengths with made-up scores, as if the policy had given them."""
    places = range(window * ANSWERS, (window + 1) * ANSWERS)
    sampler = made.sampler()
    return [(sampler.encode(Prompt.of(words(k)), words(k + 30)), float(np.sin(3 * k))) for k in places]


class Seen(NamedTuple):
    answers: list[tuple[Response, float]]
    steps: list[list[int]]


@pytest.fixture(scope="module")
def ppo_run(folder: Path) -> tuple[Trained, list[Seen]]:
    method = PPO(beta=BETA, epochs=2, rows_per_step=4, lam=0.9, clip=0.1, clip_value=0.01, value_weight=0.2)
    made = learner(folder, method, "policy")
    losses: list[list[float]] = []
    seen: list[Seen] = []
    for index in range(2):
        answers = scored(made, index)
        rows = tuple(Row((Episode.single(r),), {"score": s}, group=g) for g, (r, s) in enumerate(answers))
        window = Window(index, rows, made.measure(rows, method.needs()))
        batch, _ = method.batch(window, {}, np.random.default_rng(index))
        assert [len(step) for step in batch.steps] == [4, 4, 2] * 2
        seen.append(Seen(answers, [step.tolist() for step in batch.steps]))
        for step in range(len(batch.steps)):
            terms = made.update(batch, step, method.loss).terms
            losses.append([terms["policy"], terms["value"]])
    return Trained(np.array(losses), weights(made._model, made._critic._model)), seen


def ppo_twin(
    folder: Path, windows: list[Seen], change: Callable[[Any], Any] = lambda seen: seen, **told: Any
) -> Trained:
    ppo = read("ppo")
    policy, reference, body = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(3))
    critic = ppo.Critic(body.model, body.config.hidden_size)
    own = {"lam": 0.9, "clip": 0.1, "clip_value": 0.01, "value_weight": 0.2, "beta": BETA}
    settings = ppo.Settings(**(own | {"lr": LR, "adam": ADAM, "max_grad_norm": 0.5} | told))
    optimizer = ppo.optimizer_of(policy, critic, settings)
    losses: list[tuple[float, float]] = []
    for answers, steps in windows:
        rows = [ppo.Answered(list(r.prompt_tokens), list(r.tokens), score) for r, score in answers]
        seen = change(ppo.experience(policy, reference, critic, rows, settings))
        losses += ppo.learn(policy, critic, optimizer, seen, steps, settings)
    return Trained(np.array(losses), weights(policy, critic))


def test_ppo_is_read_as_it_is_done(folder: Path, ppo_run: tuple[Trained, list[Seen]]) -> None:
    done, windows = ppo_run
    assert len(done.losses) >= 10
    loss, weight = apart(done, ppo_twin(folder, windows))
    assert loss <= 1e-6
    assert weight <= 1e-6
    assert len(set(np.round(done.losses[:, 1], 6))) > 6, "the critic has learnt on the way"


@pytest.mark.parametrize(
    "other",
    [
        {"beta": 0.11},
        {"lam": 0.91},
        {"clip": 0.09},
        {"clip_value": 0.02},
        {"value_weight": 0.21},
        {"max_grad_norm": 0.51},
    ],
    ids=str,
)
def test_another_ppo_is_told_apart(
    other: dict[str, Any], folder: Path, ppo_run: tuple[Trained, list[Seen]]
) -> None:
    done, windows = ppo_run
    assert max(apart(done, ppo_twin(folder, windows, **other))) > 1e-5


def test_returns_taken_after_whitening_are_told_apart(
    folder: Path, ppo_run: tuple[Trained, list[Seen]]
) -> None:
    done, windows = ppo_run

    def late(seen: Any) -> Any:
        return seen._replace(return_RL=seen.advantage_RL + seen.value_RL)

    assert max(apart(done, ppo_twin(folder, windows, late))) > 1e-3


# The files


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_one_short_file_without_accord(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    parsed = ast.parse(text)
    assert len(text.splitlines()) <= 200
    assert not [*sizes.function_problems(parsed, text), *sizes.name_problems(parsed, name)]
    assert {*imported(parsed)} <= {
        "__future__",
        "copy",
        "random",
        "collections",
        "typing",
        "torch",
        "transformers",
    }
    assert ast.get_docstring(parsed)


def imported(parsed: ast.Module) -> Iterator[str]:
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_every_file_of_the_folder_has_a_twin_and_a_line() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")}
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert files == set(TWINS)
    assert all(f"]({name}.py)" in page and f"`python reading/{name}.py`" in page for name in files)


def test_dpo_teaches_its_toy(capsys: pytest.CaptureFixture[str]) -> None:
    dpo = read("dpo")
    dpo.main(steps=25)
    said = capsys.readouterr().out.splitlines()
    assert float(said[1].split()[1]) == pytest.approx(0.693, abs=1e-3)
    assert float(said[-1].partition("right in ")[2].split("%")[0]) > 60


def test_ppo_teaches_its_toy(capsys: pytest.CaptureFixture[str]) -> None:
    ppo = read("ppo")
    ppo.main(windows=11)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert float(rows[-1][1]) > float(rows[0][1]) + 0.2
    assert float(rows[0][2]) == 0.0, "it starts at the reference"
