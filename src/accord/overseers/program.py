"""Program: functions grade answers.

``fn(prompts, answers, **columns) -> list[float | None]`` gets every pending answer in one call; a column of
the prompts' data rows reaches it if it names it (or takes ``**columns``), and so do ``finished`` (the answer
came to its end), ``tokens`` (its length) and ``messages`` (the whole conversation; ``prompts`` holds its last
question). None abstains (``out_of_support``), an exception abstains (``error``). Compare is answered by the
order of grades, equal grades being a tie.

Several functions: the grade is Σ weight · fn, and what each of them said is in the verdict's ``heads``. Where
one of them abstains the program does: a part that is missing is not worth nothing (TRL adds up the others).
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Self, cast

from pydantic import PrivateAttr, field_validator, model_validator

from accord.overseers import function, source
from accord.part import Part
from accord.ports import Desk
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Ranked, Response, digest

__all__ = ["Grader", "Program", "brief", "short", "unfinished"]

Grader = Callable[..., Sequence[float | None]]

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(\s+|$)")


def brief(prompts: Sequence[str], answers: Sequence[str], finished: Sequence[bool]) -> list[float | None]:
    """1 for an answer that came to its end within three sentences, else 0; an empty answer is 0.

    >>> brief(["Why?"] * 3, ["Because. It. Is.", "One. Two. Three. Four.", "Paris is"], [True, True, False])
    [1.0, 0.0, 0.0]
    """
    del prompts
    return [
        float(done and 0 < len([s for s in _SENTENCE.split(answer) if s and s.strip()]) <= 3)
        for answer, done in zip(answers, finished, strict=True)
    ]


def short(prompts: Sequence[str], answers: Sequence[str], tokens: Sequence[int]) -> list[float | None]:
    """1 / (1 + tokens/32): the shorter the more, and an empty answer is 0.

    >>> short(["Why?"] * 3, ["Because.", "That is how it is.", ""], [0, 32, 1])
    [1.0, 0.5, 0.0]
    """
    del prompts
    return [
        float(bool(answer.strip())) / (1 + count / 32) for answer, count in zip(answers, tokens, strict=True)
    ]


def unfinished(
    prompts: Sequence[str], answers: Sequence[str], finished: Sequence[bool]
) -> list[float | None]:
    """1 for an answer that was stopped by its length, else 0: a cost.

    >>> unfinished(["Why?"] * 2, ["Because.", "It is"], [True, False])
    [0.0, 1.0]
    """
    del prompts, answers
    return [float(not done) for done in finished]


class _Sum(NamedTuple):
    """A grade, what each function said where there are several, and which of them abstain."""

    grade: float | None
    heads: Mapping[str, float] = {}
    silent: tuple[str, ...] = ()


class _Pending(NamedTuple):
    prompt: str
    answer: str
    desk: Desk
    found: asyncio.Future[_Sum]


class Program(Part):
    """Grades by a function named ``module:function`` or ``file.py:function``, or by several with weights."""

    fn: str | tuple[str, ...]
    weights: tuple[float, ...] = ()

    _pending: list[_Pending] = PrivateAttr(default_factory=lambda: list[_Pending]())

    @field_validator("fn")
    @classmethod
    def _named(cls, fn: str | tuple[str, ...]) -> str | tuple[str, ...]:
        names = (fn,) if isinstance(fn, str) else fn
        if not names or any(not re.fullmatch(r".+:[A-Za-z_]\w*", name) for name in names):
            raise ValueError("name a function as module:function or file.py:function")
        if len(set(names)) < len(names):
            raise ValueError(f"each function is named once, got {', '.join(names)}")
        return fn

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.weights and len(self.weights) != len(self.names):
            raise ValueError(f"one weight for each function: {len(self.names)}, not {len(self.weights)}")
        if not all(math.isfinite(weight) for weight in self.weights):
            raise ValueError(f"weights are finite numbers: {self.weights}")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE, Kind.COMPARE})

    @property
    def names(self) -> tuple[str, ...]:
        """The functions as the plan names them."""
        return (self.fn,) if isinstance(self.fn, str) else self.fn

    @cached_property
    def graders(self) -> tuple[Grader, ...]:
        """The functions. PlanError when one cannot be imported or is not callable."""
        return tuple(cast(Grader, function(name)) for name in self.names)

    @cached_property
    def config(self) -> str:
        """Also hashes the files the functions stand in: an edited reward is another overseer."""
        sources = [source(grader) for grader in self.graders]
        if isinstance(self.fn, str) and not self.weights:
            return digest({"class": "program", "fn": self.fn, "source": sources[0]})
        told = {"fn": list(self.names), "weights": list(self.weights), "source": list(sources)}
        return digest({"class": "program", **told})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        by = By(type="program", name=" + ".join(self.names), config=self.config)
        found = await asyncio.gather(
            *(self._grade(question.prompt, answer, desk) for answer in question.responses)
        )
        grades = [one.grade for one in found if one.grade is not None]
        if len(grades) < len(found):
            return Judgment(
                question=question.id,
                by=by,
                shown=question.responses,
                abstention="out_of_support",
                note=", ".join(dict.fromkeys(name for one in found for name in one.silent)),
            )
        if question.asks is Kind.GRADE:
            return Judgment(
                question=question.id, by=by, shown=question.responses, verdict=_graded(question, found)
            )
        tiers = tuple(
            tuple(a for a, g in zip(question.responses, grades, strict=True) if g == level)
            for level in sorted(set(grades), reverse=True)
        )
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=Ranked(tiers=tiers))

    async def _grade(self, prompt: str, answer: str, desk: Desk) -> _Sum:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Sum] = loop.create_future()
        self._pending.append(_Pending(prompt, answer, desk, future))
        if len(self._pending) == 1:
            # Runs after every question that is ready in this turn of the event loop has joined.
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        pending, self._pending[:] = list(self._pending), []
        try:
            sums = self._sums(pending)
        # The boundary desk → overseer: every asker's desk records it as an abstention.
        except Exception as error:  # noqa: BLE001
            for waiting in pending:
                if not waiting.found.done():
                    waiting.found.set_exception(error)
            return
        for waiting, found in zip(pending, sums, strict=True):
            if not waiting.found.done():
                waiting.found.set_result(found)

    def _sums(self, asked: Sequence[_Pending]) -> list[_Sum]:
        parts = [self._call(name, g, asked) for name, g in zip(self.names, self.graders, strict=True)]
        if len(parts) == 1 and not self.weights:
            return [_Sum(grade) for grade in parts[0]]
        weights = self.weights or (1.0,) * len(parts)
        sums: list[_Sum] = []
        for grades in zip(*parts, strict=True):
            said = dict(zip(self.names, grades, strict=True))
            heads = {name: grade for name, grade in said.items() if grade is not None}
            silent = tuple(f"{name} abstains" for name in said if name not in heads)
            whole = math.fsum(w * g for w, g in zip(weights, heads.values(), strict=False))
            sums.append(_Sum(None if silent else whole, heads, silent))
        return sums

    def _call(self, name: str, grader: Grader, asked: Sequence[_Pending]) -> list[float | None]:
        prompts = [cast(Prompt, a.desk.read(a.prompt)) for a in asked]
        answers = [cast(Response, a.desk.read(a.answer)) for a in asked]
        columns: dict[str, list[object]] = {
            "finished": [a.finish != "length" for a in answers],
            "tokens": [len(a.tokens) for a in answers],
            "messages": [[m.model_dump() for m in p.messages] for p in prompts],
        }
        for column in dict.fromkeys(column for p in prompts for column in p.columns):
            columns[column] = [p.columns.get(column) for p in prompts]
        wanted = inspect.signature(grader).parameters
        taken = set(list(wanted)[:2])  # the prompts and the answers, whatever the function calls them
        if not any(p.kind is p.VAR_KEYWORD for p in wanted.values()):
            columns = {column: values for column, values in columns.items() if column in wanted}
        columns = {column: values for column, values in columns.items() if column not in taken}
        grades = list(grader([p.text for p in prompts], [a.text for a in answers], **columns))
        if len(grades) != len(asked):
            raise ValueError(f"{name} returned {len(grades)} grades for {len(asked)} answers")
        return [_number(name, grade) for grade in grades]


def _graded(question: Question, found: Sequence[_Sum]) -> Graded:
    one = len(found) == 1
    scores = {("score" if one else r): f.grade for r, f in zip(question.responses, found, strict=True)}
    heads = {
        (name if one else f"{r}/{name}"): grade
        for r, f in zip(question.responses, found, strict=True)
        for name, grade in f.heads.items()
    }
    return Graded(scores={name: grade for name, grade in scores.items() if grade is not None}, heads=heads)


def _number(fn: str, grade: object) -> float | None:
    if grade is None:
        return None
    number = float(cast(float, grade))
    if not math.isfinite(number):
        raise ValueError(f"{fn} returned {number}; return None to abstain")
    return number
