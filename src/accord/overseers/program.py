"""Program: a function grades answers.

``fn(prompts, answers, **columns) -> list[float | None]`` gets every pending answer in one call; a column of
the prompts' data rows reaches it if it names it (or takes ``**columns``). None abstains (``out_of_support``),
an exception abstains (``error``). Compare is answered by the order of grades, equal grades being a tie.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import PrivateAttr, field_validator

from accord.errors import PlanError
from accord.part import Part
from accord.ports import Desk
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Ranked, Response, digest

__all__ = ["Grader", "Program", "brief"]

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


class _Pending(NamedTuple):
    prompt: str
    answer: str
    desk: Desk
    grade: asyncio.Future[float | None]


class Program(Part):
    """Grades by a function named ``module:function`` or ``file.py:function``."""

    fn: str

    _pending: list[_Pending] = PrivateAttr(default_factory=lambda: list[_Pending]())

    @field_validator("fn")
    @classmethod
    def _named(cls, fn: str) -> str:
        if not re.fullmatch(r".+:[A-Za-z_]\w*", fn):
            raise ValueError("name a function as module:function or file.py:function")
        return fn

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE, Kind.COMPARE})

    @cached_property
    def grader(self) -> Grader:
        """The function. PlanError when it cannot be imported or is not callable."""
        module, _, name = self.fn.rpartition(":")
        try:
            found = getattr(_load(module), name, None)
        # A user's file may raise anything while it is imported; all of it is an error of the plan.
        except Exception as error:
            raise PlanError(
                "fn", self.fn, "module:function or file.py:function", f"cannot import it: {error}"
            ) from error
        if not callable(found):
            raise PlanError(
                "fn", self.fn, "module:function or file.py:function", f"{module} has no function {name!r}"
            )
        return cast(Grader, found)

    @cached_property
    def config(self) -> str:
        """Also hashes the file the function stands in: an edited reward is another overseer."""
        file = inspect.getsourcefile(self.grader)
        source = Path(file).read_bytes() if file else b""
        return digest({"class": "program", "fn": self.fn, "source": hashlib.sha256(source).hexdigest()})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        by = By(type="program", name=self.fn, config=self.config)
        found = await asyncio.gather(
            *(self._grade(question.prompt, answer, desk) for answer in question.responses)
        )
        grades = [grade for grade in found if grade is not None]
        if len(grades) < len(found):
            return Judgment(
                question=question.id, by=by, shown=question.responses, abstention="out_of_support"
            )
        if question.asks is Kind.GRADE:
            names = ["score"] if len(grades) == 1 else question.responses
            verdict = Graded(scores=dict(zip(names, grades, strict=True)))
            return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)
        tiers = tuple(
            tuple(a for a, g in zip(question.responses, grades, strict=True) if g == level)
            for level in sorted(set(grades), reverse=True)
        )
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=Ranked(tiers=tiers))

    async def _grade(self, prompt: str, answer: str, desk: Desk) -> float | None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[float | None] = loop.create_future()
        self._pending.append(_Pending(prompt, answer, desk, future))
        if len(self._pending) == 1:
            # Runs after every question that is ready in this turn of the event loop has joined.
            loop.call_soon(self._flush)
        return await future

    def _flush(self) -> None:
        pending, self._pending[:] = list(self._pending), []
        try:
            grades = self._call(pending)
        # The boundary desk → overseer: every asker's desk records it as an abstention.
        except Exception as error:  # noqa: BLE001
            for waiting in pending:
                if not waiting.grade.done():
                    waiting.grade.set_exception(error)
            return
        for waiting, grade in zip(pending, grades, strict=True):
            if not waiting.grade.done():
                waiting.grade.set_result(grade)

    def _call(self, asked: Sequence[_Pending]) -> list[float | None]:
        prompts = [cast(Prompt, a.desk.read(a.prompt)) for a in asked]
        answers = [cast(Response, a.desk.read(a.answer)) for a in asked]
        columns: dict[str, list[object]] = {
            "finished": [a.finish != "length" for a in answers],
            "tokens": [len(a.tokens) for a in answers],
        }
        for name in dict.fromkeys(name for p in prompts for name in p.columns):
            columns[name] = [p.columns.get(name) for p in prompts]
        wanted = inspect.signature(self.grader).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in wanted.values()):
            columns = {name: column for name, column in columns.items() if name in wanted}
        grades = list(self.grader([p.text for p in prompts], [a.text for a in answers], **columns))
        if len(grades) != len(asked):
            raise ValueError(f"{self.fn} returned {len(grades)} grades for {len(asked)} answers")
        return [_number(self.fn, grade) for grade in grades]


def _number(fn: str, grade: object) -> float | None:
    if grade is None:
        return None
    number = float(cast(float, grade))
    if not math.isfinite(number):
        raise ValueError(f"{fn} returned {number}; return None to abstain")
    return number


def _load(module: str) -> object:
    """A module by name, or a Python file by path (loaded once per absolute path)."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).resolve()
    if not path.is_file():
        raise ImportError(f"no file {path}")
    name = f"accord_program_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded
