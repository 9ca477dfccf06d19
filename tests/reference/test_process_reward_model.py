"""process_reward_model learns the log-odds of each step, given the question and the steps so far.

Mutants: the sign; the step before or after taken for the step; the score of the answer's end for every step;
labels turned round; unlabelled steps counted, or read as wrong; a mean over answers for one over steps.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.methods.process_reward_model import ProcessRewardModel
from accord.ports import Task
from accord.records import Prompt
from accord.records.rows import Floats, Group, Row, Window
from accord.stepwise import in_steps, stepped
from accord.testing import save_tiny
from accord.testing.optimum import Data, Little, bandit, enumerated, expected_gradient, strings


def right(little: Little) -> Floats:
    return np.random.default_rng(3).uniform(0.05, 0.95, little.reference_PCV.shape)


@pytest.mark.parametrize(
    "little", [bandit(), bandit(1, prompts=2), strings(bits=2)], ids=["arms", "prompts", "bits"]
)
def test_every_head_says_the_log_odds_of_every_step(little: Little) -> None:
    p_PCV = right(little)
    method = ProcessRewardModel(heads=2, bootstrap=False)
    found = enumerated(method, little, data=Data(right_PCV=p_PCV))
    said = np.isfinite(little.reference_PCV)
    for head in range(2):
        assert found.tables.steps_PCVK[said, head] == pytest.approx(
            np.log(p_PCV / (1 - p_PCV))[said], abs=1e-6
        )
    assert not found.tables.steps_PCVK[~said].any()
    assert not found.tables.scores_PAK.any(), "nothing is read at the end of an answer"


def test_the_log_odds_are_where_it_has_nothing_more_to_teach() -> None:
    little = strings()
    p_PCV = right(little)
    known = little.start(1)._replace(steps_PCVK=np.log(p_PCV / (1 - p_PCV))[..., None])
    assert expected_gradient(ProcessRewardModel(), little, known, data=Data(right_PCV=p_PCV)).largest < 1e-12
    other = Data(right_PCV=1 - p_PCV)
    assert expected_gradient(ProcessRewardModel(), little, known, data=other).largest > 1e-2


ANSWERS = [
    ("What is 2 + 2 + 2?", ["2 + 2 = 4", "4 + 2 = 6"], [True, True]),
    ("And 3 + 3?", ["3 + 3 = 7"], [False]),
    (
        "And 1 + 2 + 3 + 4?",
        ["1 + 2 = 3", "so much for that", "3 + 3 = 5", "5 + 4 = 9"],
        [True, None, False, True],
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 11)


def learner(folder: Path, method: ProcessRewardModel) -> LocalLearner:
    engine = Local(adapter="full", precision="float32", device="cpu", max_grad_norm=1e9, lr=3e-3)
    made: Any = engine.learner(str(folder), Task("run/stage", 0, method.needs(), "data"))
    return made


def rows(made: LocalLearner) -> tuple[Row, ...]:
    found: list[Row] = []
    for text, steps, labels in ANSWERS:
        prompt = Prompt.of(text)
        said = stepped(prompt, steps, made.sampler())
        found.append(Row((in_steps(Group(prompt, said), labels),)))
    return tuple(found)


def test_loss_and_gradients_are_those_of_torch_s_cross_entropy(folder: Path) -> None:
    """On the states of transformers' own body, read at each labelled step's last token, one row at a time."""
    method = ProcessRewardModel()
    made = learner(folder, method)
    window = Window(0, rows(made))
    batch, _ = method.batch(window, {}, np.random.default_rng(0))
    assert made.update(batch, 0, method.loss).applied
    model: Any = copy.deepcopy(made._model)
    model.zero_grad()
    logits: list[Tensor] = []
    for row in window.rows:
        (sequence,), (episode,) = row.episodes[0].sequences(), row.episodes
        state = model.base_model(input_ids=torch.tensor([sequence.tokens]))[0][0]
        ends = [
            len(asked) + len(said) - 1
            for asked, said in zip(episode.prompt_tokens, episode.tokens, strict=True)
        ]
        labelled = [end for end, label in zip(ends, episode.rewards, strict=True) if label is not None]
        logits.append(model.score(state[labelled])[:, 0])
    truth = torch.tensor([float(x) for *_, labels in ANSWERS for x in labels if x is not None])
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(torch.cat(logits), truth)
    theirs.backward()
    assert len(truth) == 6

    ours = made.gradients(batch, 0, method.loss)
    outcome = made.update(batch, 0, method.loss)
    assert outcome.objective == pytest.approx(theirs.item(), rel=1e-5)
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert ours.keys() == found.keys()
    for name, gradient in found.items():
        scale = float(gradient.abs().max())
        assert float((ours[name] - gradient).abs().max()) <= 1e-5 * max(1.0, scale), name
