"""The scripted engine: a table of probabilities in place of a network. The public fake, and exact.

The model is a row of logits over a few words and the end for each context (all tokens before it), so samples,
scores and gradients are what a hand can work out, and a whole stage takes milliseconds. ``table.py`` is the
model, ``sampler.py`` and ``learner.py`` the two ports, ``losses.py`` the derivative of a method's loss.

The learner is plain gradient descent in float64. Only the loss of a method may need more than numpy:

- ``tensors = "torch"`` (default) hands the method torch tensors, as every engine does; torch gives
  ∂objective/∂log π, the table does the rest. It runs every method.
- ``tensors = "numpy"`` hands it numpy arrays and takes the same derivative by central differences. It runs
  a method whose loss is arithmetic alone, without torch; the losses of ``sft`` and ``best_of_n`` are not.

Not for answers anyone would want to read.
"""

from __future__ import annotations

import math
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from accord.engines.scripted.learner import Pace, ScriptedLearner
from accord.engines.scripted.losses import Evaluated, evaluate
from accord.engines.scripted.sampler import ScriptedSampler
from accord.engines.scripted.table import Start, Table
from accord.errors import PlanError
from accord.part import Part
from accord.ports import Learner, Sampler, Task
from accord.progress import Progress
from accord.records import digest

__all__ = ["Evaluated", "Scripted", "ScriptedLearner", "ScriptedSampler", "Table", "evaluate"]


class Scripted(Part):
    """A tabular model. A plan names it by ``model = "scripted"``, or by the folder of an exported table.

    Answers are ``shortest`` to ``longest`` words and the end. ``p`` gives the probabilities of the first word
    by the text of the prompt; every other row starts equal, or normal with deviation ``spread``, drawn from
    its context alone. ``sees = "last"``: a row is for the last message and what is said of this answer, so
    the table is a policy of a world's state; ``words`` are then the world's alphabet, whose tokens they have,
    and an answer whose ``allowed`` tokens leave out the end is over with its ``longest``-th word.
    """

    words: tuple[str, ...] = ("yes", "no", "maybe")
    shortest: int = Field(default=1, ge=0)
    longest: int = Field(default=1, ge=1)
    p: dict[str, tuple[float, ...]] = {}
    spread: float = Field(default=0.0, ge=0)
    sees: Literal["all", "last"] = "all"
    lr: float = Field(default=0.5, gt=0)
    tensors: Literal["torch", "numpy"] = "torch"

    @model_validator(mode="after")
    def _can_speak(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} is over longest {self.longest}")
        if (
            not self.words
            or len(set(self.words)) < len(self.words)
            or any(len(w.split()) != 1 for w in self.words)
        ):
            raise ValueError(
                f"words are one or more, all different, none empty or with a blank: {self.words}"
            )
        for text, p in self.p.items():
            if len(p) != len(self.words) or min(p) < 0 or not math.isclose(sum(p), 1, abs_tol=1e-9):
                raise ValueError(f"p[{text!r}] is not one probability for each of {self.words}: {p}")
        return self

    def check(self, model: str) -> None:
        """PlanError or Unreadable where ``model`` is neither "scripted" nor an exported table."""
        self._open(model)

    def learner(self, model: str, task: Task) -> Learner:
        """A learner that starts from ``model``. Nothing in it is drawn, so the seed changes nothing."""
        if task.needs.scores or task.needs.critic:
            raise PlanError(
                "learner", "scripted", "local", "a table of probabilities has no score heads and no critic"
            )
        return ScriptedLearner(self._open(model), model, Pace(task.run, self.lr, self.tensors), task.progress)

    def sampler(self, model: str, progress: Progress) -> Sampler:
        """A table that is only read; its policy name is the digest of its rows."""
        table = self._open(model)
        return ScriptedSampler(table, f"base:{digest(table.written())[:16]}", progress=progress)

    def environment(self) -> dict[str, str]:
        """What must be equal for a run to resume to the bit."""
        return {"engine": "scripted", "numpy": np.__version__}

    def _open(self, model: str) -> Table:
        start = Start(self.words, self.shortest, self.longest, self.p, self.spread, self.sees)
        return Table.open(start, model)
