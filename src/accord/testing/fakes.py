"""Parts that say what they were told to say: an overseer, an indicator, a method without torch, a world."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, PrivateAttr

from accord.maths.batches import likelihood_batch
from accord.part import Part
from accord.ports import Desk, Draw, Look, Memory, Needs, Out, Sampler, Shape, WorldStep
from accord.records import (
    By,
    Cost,
    Graded,
    Judgment,
    Kind,
    Message,
    NotMeasured,
    Prompt,
    Question,
    Ranked,
    Reading,
    Response,
)
from accord.records.rows import Batch, Row, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PlainLikelihood", "ScriptedIndicator", "ScriptedOverseer", "ScriptedWorld"]

_HALF = math.log(0.5)


class ScriptedOverseer(Part):
    """Grades answers by their text, and ranks by these grades; a text without a grade is out of its support.

    ``asked`` lists the questions that really reached it, in order.
    """

    grades: dict[str, float]

    _asked: list[Question] = PrivateAttr(default_factory=list[Question])

    @property
    def asked(self) -> list[Question]:
        return self._asked

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE, Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        self._asked.append(question)
        by = By(type="program", name="scripted", config=self.config)
        texts = {answer: cast(Response, desk.read(answer)).text for answer in question.responses}
        if not texts.keys() <= {a for a, text in texts.items() if text in self.grades}:
            shown = question.responses
            return Judgment(question=question.id, by=by, shown=shown, abstention="out_of_support")
        grades = {answer: self.grades[text] for answer, text in texts.items()}
        verdict = Graded(scores={"score": grades[question.responses[0]]})
        if question.asks is Kind.COMPARE:
            levels = sorted(set(grades.values()), reverse=True)
            verdict = Ranked(tiers=tuple(tuple(a for a in grades if grades[a] == level) for level in levels))
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)


class ScriptedIndicator(Part):
    """Reads ``values[audit]`` (the last one from then on); None is what it could not measure.

    It raises in the audits listed in ``raises``.
    """

    values: tuple[float | None, ...] = Field(min_length=1)
    raises: tuple[int, ...] = ()
    called: str = "scripted"

    @property
    def name(self) -> str:
        return self.called

    @property
    def tier(self) -> Literal["page", "warning", "report"]:
        return "report"

    @property
    def wants(self) -> frozenset[str]:
        return frozenset()

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:
        """It only looks at the clock."""
        del probes, answers, tokens
        return Cost()

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        del base
        if draw.audit in self.raises:
            raise RuntimeError(f"told to raise in audit {draw.audit}")
        now, first = self.values[min(draw.audit, len(self.values) - 1)], self.values[0]
        if now is None or not look.groups:
            reason = "told to say nothing" if now is None else "no probes"
            return NotMeasured(run=look.run, name=self.name, step=look.step, reason=reason)
        change = None if first is None else now - first
        told = {"run": look.run, "name": self.name, "step": look.step, "instrument": self.config}
        spread = {"value": now, "low": now, "high": now, "base": first, "n": len(look.groups)}
        moved = {"change": change, "change_low": change, "change_high": change}
        said = tuple(r.id for group in look.groups for r in group.responses)
        return Reading.model_validate(told | spread | moved | {"parents": said})


class PlainLikelihood(Part):
    """−Σ log π over answers at or over ``threshold``; the loss is arithmetic, so it runs without torch.

    With ``by = "data"`` it takes single answers from a file, and all of them. ``likely`` is a figure beside
    the loss, of weight 0: the share of answer tokens more probable than one half.
    """

    by: Literal["policy", "data"] = "policy"
    threshold: float = 0.5
    n: int = Field(default=4, ge=1)
    rows_per_step: int = Field(default=8, ge=1)
    epochs: int = Field(default=1, ge=1)
    likely: bool = False

    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n if self.by == "policy" else 1, self.by)

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs()

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        """``windows`` in the memory counts the windows that were seen."""
        keep = [row for row in window.rows if not row.missing and self._wanted(row)]
        scalars = {"rows": float(len(window.rows)), "accepted": float(len(keep))}
        batch = likelihood_batch(keep, self.epochs, self.rows_per_step, rng, scalars)
        if self.likely:
            counts = tuple({**count, "likely": count["nll"]} for count in batch.counts)
            batch = replace(batch, counts=counts, weights={**batch.weights, "likely": 0.0})
        seen = cast(float, memory.get("windows", 0)) + 1
        return batch, {**memory, "windows": seen}

    def _wanted(self, row: Row) -> bool:
        return self.by == "data" or row.columns["score"] >= self.threshold

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        terms = {"nll": -out.logp_T.sum()}
        return terms | {"likely": (out.logp_T > _HALF).sum()} if "likely" in batch.weights else terms


class ScriptedWorld:
    """A conversation: turn k says ``lines[k]`` and rewards the answer ``wanted[k]`` with 1; an answer that is
    not wanted costs 1 ``wrong``. Every prompt repeats all that was said before."""

    def __init__(self, lines: tuple[str, ...], wanted: tuple[str, ...]) -> None:
        self._lines, self._wanted = lines, wanted
        self._messages: tuple[Message, ...] = ()
        self._turn = 0

    def reset(self, seed: str) -> Prompt:
        self._turn = 0
        self._messages = (Message(role="user", content=f"{self._lines[0]} ({seed})"),)
        return Prompt(messages=self._messages)

    def step(self, response: Response) -> WorldStep:
        right = response.text == self._wanted[self._turn]
        self._turn += 1
        costs = {"wrong": float(not right)}
        if self._turn == len(self._lines):
            return WorldStep(None, float(right), costs)
        said = Message(role="assistant", content=response.text)
        self._messages = (*self._messages, said, Message(role="user", content=self._lines[self._turn]))
        return WorldStep(Prompt(messages=self._messages), float(right), costs)
