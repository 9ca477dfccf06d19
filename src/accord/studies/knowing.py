"""Knowing: a tiny model that was taught what others say, and what it holds and says at its last prompt token.

For studies that set probes against answers. What is taught goes through SFT and the local engine, stage by
stage, and the rate of a stage falls evenly to 0; states come from ``score`` with ``hidden``, what is said
from ``logp`` of both answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from accord.engines.local import Local
from accord.engines.local.words import Size, save_words
from accord.errors import PlanError
from accord.methods.sft import SFT
from accord.ports import Sampler, Task
from accord.progress import Progress
from accord.records import Prompt
from accord.records.rows import Floats, Text, Window
from accord.sources import seeded
from accord.studies.lessons import chosen, shown
from accord.worker import Worker

__all__ = ["Known", "Lesson", "Reader", "Stage", "known", "newborn", "school"]

_HIDDEN = "hidden"
_HEADS, _CONTEXT = 4, 64
_ROWS, _WARMUP = 64, 50  # of an optimizer step; steps until the rate is reached
_ENGINE = Local(
    adapter="full",
    schedule="linear",
    warmup=_WARMUP,
    tokens_per_pass=8192,
    precision="float32",
    decode="float32",
    device="cpu",
)
"""In float32, on the processor, so that a seed is the same model everywhere of its kind."""

Lesson = tuple[Prompt, str]


class Stage(NamedTuple):
    """How many lessons there are, the passes over them, and the rate that this begins with."""

    lessons: int
    epochs: int
    lr: float


def newborn(
    folder: Path, words: Sequence[str], ends: Sequence[str], seed: int, size: tuple[int, int]
) -> Path:
    """A model of these words, of so many layers and so wide, that was taught nothing."""
    return save_words(folder, words, seed, ends=ends, size=Size(*size, _HEADS, _CONTEXT))


def school(start: Path, folder: Path, lessons: Iterable[Lesson], seed: int, stage: Stage) -> Path:
    """The model ``start`` after these lessons, in ``folder``; made unless it stands there."""
    if folder.is_dir():
        return folder
    making = folder.with_name(f"{folder.name}-making")
    method = SFT(rows_per_step=_ROWS, epochs=stage.epochs)
    engine = _ENGINE.model_copy(update={"lr": stage.lr})
    learner = engine.learner(str(start), Task(folder.name, seed, method.needs(), "data"))
    window = Window(0, shown(learner.sampler(), lessons))
    batch, _ = method.batch(window, {}, seeded("lesson", seed))
    steps = len(batch.steps)
    for step in range(steps):  # and not ``taught``, whose windows know no end of a schedule
        learner.update(batch, step, method.loss, step / steps)
    learner.export(making)
    making.rename(folder)
    return folder


class Known(NamedTuple):
    """Of each prompt the states of every layer, and by how much the first answer is likelier, in nats."""

    states_NLD: Floats
    leaning_N: Floats

    def layer(self, number: int) -> Floats:
        """[N, D]."""
        return self.states_NLD[:, number]


@dataclass(frozen=True)
class Reader:
    """Asks a sampler for both. PlanError where it tells no hidden states."""

    sampler: Sampler
    worker: Worker

    def __post_init__(self) -> None:
        if lacking := sorted({_HIDDEN, "logp"} - self.sampler.can):
            allowed = f"a model that tells {', '.join(lacking)}, as the engine local does"
            raise PlanError("model", self.sampler.policy, allowed)

    def known(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> Known:
        """What it holds and says at each prompt; ``answers``: the two that there are."""
        first, second = (
            [Text(prompt, chosen(self.sampler, prompt, answer)) for prompt in prompts] for answer in answers
        )
        told = self.worker.run(self.sampler.score(first, frozenset({_HIDDEN, "logp"})))
        other = self.worker.run(self.sampler.score(second, frozenset({"logp"})))
        gaps = [float(a.columns["logp"][0] - b.columns["logp"][0]) for a, b in zip(told, other, strict=True)]
        return Known(np.stack([one.columns[_HIDDEN] for one in told]), np.array(gaps))


def known(folder: Path, worker: Worker, show: Progress) -> Reader:
    """A model that was taught, to be read."""
    return Reader(_ENGINE.sampler(str(folder), show), worker)
