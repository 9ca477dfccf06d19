"""Reviewing: who judges and who criticises programs of which a judge reads few lines (``worlds.programs``).

``Reader`` is the judge: it grades a program by how probable it holds it to be flawless, having read ``reads``
of its lines, those first that a critic points at. ``Pointing`` is the critic: its speaker names lines, and
its points are these lines. ``Flagging`` takes a critic at its word. All of them are asked at a desk, and
``Assisted`` (overseers) is what puts a critic beside a judge.

Speakers are Samplers: ``Pointer`` points at each line with the chance that it is told, drawn from the
question that it is asked under. What a line is worth it is told by a function: of a program's execution in a
scripted critic (an *oracle*), of two words, what is required and the line, in one that was trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, cast

import numpy as np
from pydantic import PrivateAttr

from accord.desk import FrontDesk
from accord.errors import ContractError
from accord.part import Part
from accord.ports import Desk, How, Sampler, Scored
from accord.records import (
    By,
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Mark,
    Point,
    Prompt,
    Question,
    Response,
)
from accord.records.rows import Group, Text
from accord.worlds.programs import LINES, Programs, belief, failing, fits, flaws, pointed, reading, span

__all__ = [
    "SCALE",
    "Chance",
    "Flagging",
    "Heard",
    "Pointer",
    "Pointing",
    "Reader",
    "graded",
    "heard",
    "invented",
    "misfits",
    "right_line",
    "score_of",
    "stated",
    "with_line",
]

Chance = Callable[[Sequence[str], Sequence[str]], Sequence[float]]
"""Of a requirement and a program: with which probability each line is pointed at."""

_SEVERE = 2
SCALE = (0.0, 1.0)
"""Of a grade."""


class Heard(NamedTuple):
    """What an arm says of a program: its grade, the lines it names as flawed, and those that a critic showed
    the judge; None where there is no critic, or no judge."""

    grade: float
    says: tuple[int, ...]
    shown: tuple[int, ...] | None


class Reader(Part):
    """Reads so many lines, pointed ones first, and grades by ``belief``; ``marks`` are the misfits it read.

    Which other lines it reads is drawn for each answer anew. No program at all: 0.
    """

    config_of: Programs

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        (answer,) = question.responses
        wanted, program = _told(question, desk)
        shown = [cast(Prompt, desk.read(cast(Response, desk.read(one)).prompt)) for one in question.evidence]
        starts = [span(program, line)[0] for line in range(len(program))]
        first = [starts.index(cast(int, one.columns["start"])) for one in shown]
        read = reading(self.config_of, answer, first)
        grade = belief(wanted, program, read) if program else 0.0
        odd = [line for line in sorted(read) if program and not fits(wanted[line], program[line])]
        return Judgment(
            question=question.id,
            by=By(type="program", name="reader", config=self.config),
            shown=question.responses,
            verdict=Graded(scores={"score": grade}),
            confidence=max(grade, 1 - grade),
            marks=tuple(_mark(answer, program, line, "misfit") for line in odd),
        )


class Pointing(Part):
    """Points at the lines that its speaker names, all equally severe. ``who``: the speaker's policy."""

    config_of: Programs
    who: str
    _voice: Sampler | None = PrivateAttr(default=None)

    @classmethod
    def by(cls, config: Programs, voice: Sampler) -> Pointing:
        """A critic with this speaker."""
        made = cls(config_of=config, who=voice.policy)
        made._voice = voice
        return made

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        lines = await self.lines(question, desk)
        (answer,), program = question.responses, _told(question, desk)[1]
        points = tuple(
            Point(mark=_mark(answer, program, line, ""), severity=_SEVERE, text=f"line{line} does not fit")
            for line in lines
        )
        return Judgment(
            question=question.id,
            by=By(type="model", name=self.who, config=self.config),
            shown=question.responses,
            verdict=Critiqued(points=points),
        )

    async def lines(self, question: Question, desk: Desk) -> tuple[int, ...]:
        """What its speaker points at, in the order of the lines."""
        if self._voice is None:
            raise ContractError("the caller of Pointing", "hands it a speaker", self.who)
        wanted, program = _told(question, desk)
        if not program:
            return ()
        asked = Prompt.of(" ".join([*wanted, "program", *program]), answer=question.responses[0])
        said = await desk.say(self._voice, asked, How("", max_tokens=self.config_of.lines))
        return tuple(sorted(pointed(self.config_of, said.text, self.config_of.lines)))


class Flagging(Pointing):
    """The critic alone: 0 where it points at anything, else 1; ``marks`` are its flags, taken as they are."""

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        lines, (answer,) = await self.lines(question, desk), question.responses
        program = _told(question, desk)[1]
        return Judgment(
            question=question.id,
            by=By(type="model", name=self.who, config=self.config),
            shown=question.responses,
            verdict=Graded(scores={"score": float(bool(program) and not lines)}),
            marks=tuple(_mark(answer, program, line, "flag") for line in lines),
        )


class Pointer:
    """A Sampler that names each line of a program with its own chance; a draw hangs on key and prompt."""

    can = frozenset({"sample"})

    def __init__(self, config: Programs, chance: Chance, policy: str) -> None:
        self._config, self._chance, self.policy = config, chance, policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, finish="data", policy=self.policy, parents=(prompt.id,))

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(prompt, tuple(self._draw(prompt, i, how) for i in range(n))) for prompt in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError("the caller of a Pointer", "only has it point", f"{len(texts)} texts, {want}")

    def _draw(self, prompt: Prompt, index: int, how: How) -> Response:
        wanted, _, program = prompt.text.partition(" program ")
        chance = self._chance(wanted.split(), program.split())
        seed = hashlib.sha256(f"{how.key}\n{prompt.id}\n{index}".encode()).hexdigest()[:32]
        drawn = np.random.Generator(np.random.Philox(key=int(seed, 16))).random(len(chance))
        lines = [name for name, u, p in zip(self._config.named, drawn, chance, strict=True) if u < p]
        return self.encode(prompt, " ".join(lines) or "none").model_copy(
            update={"seed": seed, "index": index}
        )


def stated(detects: float, invents: float) -> Chance:
    """An oracle: it points at a line that execution faults with one chance, at any other with another.

    >>> stated(0.9, 0.1)(("plus3", "free"), ("add4", "pass"))
    [0.9, 0.1]
    """

    def chance(wanted: Sequence[str], program: Sequence[str]) -> list[float]:
        found = flaws(wanted, program)
        return [detects if line in found else invents for line in range(len(program))]

    return chance


def invented(wanted: Sequence[str], program: Sequence[str], flagged: Sequence[int]) -> tuple[int, ...]:
    """The flags that execution does not bear out: mending that line alone mends no input.

    Two flaws that hide one another are borne out by nothing, and nor is one behind a line that hides it.

    >>> invented(("plus3", "free"), ("add4", "pass"), (0, 1)), invented(("plus3", "times0"), ("add4", "mul0"), (0,))
    ((1,), (0,))
    """  # noqa: E501 - one line of the example
    fails = len(failing(wanted, program))

    def mends(line: int) -> bool:
        return len(failing(wanted, with_line(program, line, right_line(wanted[line])))) < fails

    return tuple(line for line in flagged if not mends(line))


def with_line(program: Sequence[str], at: int, line: str) -> tuple[str, ...]:
    """The program with another line there."""
    return (*program[:at], line, *program[at + 1 :])


def misfits(wanted: str) -> tuple[str, ...]:
    """The lines that do not do what is required."""
    return tuple(line for line in LINES if not fits(wanted, line))


@cache
def right_line(wanted: str) -> str:
    """The plainest line that does what is required.

    >>> right_line("free"), right_line("plus3")
    ('pass', 'add3')
    """
    return next(line for line in ("pass", *LINES) if fits(wanted, line))


def graded(group: Group) -> Question:
    """The question how good the only answer of a group is."""
    (answer,) = group.responses
    instrument = Instrument(scale=SCALE)
    parents = (group.prompt.id, answer.id)
    return Question(
        asks=Kind.GRADE,
        prompt=group.prompt.id,
        responses=(answer.id,),
        instrument=instrument,
        parents=parents,
    )


def score_of(judgment: Judgment) -> float:
    """The grade. ValueError for an abstention: nobody here has a reason for one."""
    if not isinstance(judgment.verdict, Graded):
        raise ValueError(f"{judgment.by.name} abstains: {judgment.abstention} {judgment.note}")
    return judgment.verdict.scores["score"]


def heard(judgment: Judgment, desk: FrontDesk, program: Sequence[str]) -> Heard:
    """A verdict with what stands behind it: the judge's own marks, and the critic's."""
    starts = {span(program, line)[0]: line for line in range(len(program))}

    def lines(one: Judgment) -> tuple[int, ...]:
        return tuple(starts[mark.start] for mark in one.marks)

    behind = [record for one in judgment.parents if isinstance(record := desk.read(one), Judgment)]
    if not behind:
        return Heard(score_of(judgment), lines(judgment), None)
    says = tuple(line for one in behind if isinstance(one.verdict, Graded) for line in lines(one))
    return Heard(score_of(judgment), says, lines(judgment))


def _told(question: Question, desk: Desk) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The requirement, and the program as it was written: empty where the answer is none of so many words."""
    (answer,) = question.responses
    prompt = cast(Prompt, desk.read(question.prompt))
    wanted = tuple(str(word) for word in cast("list[str]", prompt.columns["wanted"]))
    program = tuple(cast(Response, desk.read(answer)).text.split())
    return wanted, program if len(program) == len(wanted) else ()


def _mark(answer: str, program: Sequence[str], line: int, tag: str) -> Mark:
    start, end = span(program, line)
    return Mark(response=answer, start=start, end=end, tag=tag)
