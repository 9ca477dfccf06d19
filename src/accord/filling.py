"""Filling a labelling database: a model answers prompts, and the asks of a plan's stage make questions of it.

The pages that people see call no model, so whatever is to be judged is made here beforehand. Prompts are
drawn one after another, each with the arm and the propensity of its draw on its questions. Answers are
drawn from the plan's seed and the prompt: broken off and repeated, the command goes on where it was, and what
stands in the database is neither answered nor asked again.

With reward models that help to choose (``doubting.py``) four times as many prompts are answered, and
questions are drawn from all that these make; they are posted at once, so what is broken off posts none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

from accord import catalog
from accord.assembly import engine_of
from accord.doubting import Doubts
from accord.errors import PlanError
from accord.maths.selection import draws
from accord.overseers import inside
from accord.overseers.human import Human
from accord.plan import Plan, Stage
from accord.ports import Ask, How, Quoting
from accord.progress import Progress
from accord.records import Prompt, Question, Record, Response, Selection
from accord.records.rows import Group
from accord.sources import Rollouts
from accord.stores.foreign.prompts import read_rows
from accord.stores.people import People
from accord.worker import Worker

__all__ = ["Filled", "Wanted", "asked_of_people", "fill"]

_AT_ONCE = 8  # prompts between two postings: what was drawn is in the database before more is
_POOL = 4  # questions to choose from, for each that is chosen
_RANDOM = {"random": 1.0}
_SPARE = 64  # prompts beyond four for each question: some make none


class Wanted(NamedTuple):
    """How much, and how it is drawn; without ``prompts`` those of the stage's source are meant.

    ``doubted_by``: reward models; what their heads differ about is asked more often.
    """

    questions: int
    prompts: str | None = None
    answers: int = 2
    temperature: float = 1.0
    max_tokens: int = 128
    doubted_by: tuple[str, ...] = ()


class Filled(NamedTuple):
    """What became of it: where the questions stand, how many are new, and how many stood there before."""

    queue: str
    posted: int
    there: int


class _Put(NamedTuple):
    """One ask of a stage that people answer: the database, and how many of them judge each question."""

    ask: Ask
    queue: str
    slots: int


class _Made(NamedTuple):
    """A question that an ask made, with the texts it names."""

    put: _Put
    question: Question
    records: tuple[Record, ...]


_Choose = Callable[[Sequence[Question], Sequence[Record], int], dict[str, Selection]]
"""Which of these questions are asked, at most so many, and how each came: by its id."""


def asked_of_people(stage: Stage) -> list[_Put]:
    """The stage's asks that people answer. PlanError where there is none, or two databases are meant."""
    found: list[_Put] = []
    queues: set[str] = set()
    for table in stage.ask:
        seats = [
            one for one, _ in inside(catalog.build("overseers", table.overseer)) if isinstance(one, Human)
        ]
        queues |= {one.queue for one in seats}
        if seats:
            ask = cast(Ask, catalog.build("asks", table))
            found.append(_Put(ask, seats[0].queue, 1 + max(one.slot for one in seats)))
    if len(queues) != 1:
        allowed = 'an ask whose overseer is people: { name = "human", queue = "labels.db" }'
        raise PlanError(
            f"stage.{stage.name}.ask", sorted(queues), allowed, "one database is filled at a time"
        )
    return found


def fill(plan: Plan, stage: Stage, wanted: Wanted, progress: Progress) -> Filled:
    """Have the plan's model answer, and post the questions. Interrupted, what was posted stays."""
    puts = asked_of_people(stage)
    how = How(f"fill/{plan.seed}", wanted.temperature, wanted.max_tokens)
    prompts = {row.prompt.id: row.prompt for row in read_rows(_prompts(stage, wanted))}
    # Drawing is quadratic; the first draws are the same, however many follow.
    drawn = draws(sorted(prompts), {}, _RANDOM, _SPARE + 4 * wanted.questions, plan.seed)
    selections = {one.question: one.selection for one in drawn}
    people = People.open(puts[0].queue)
    try:
        asked = {question.prompt for question in people.questions()}
        there = sum(question.prompt in prompts for question in people.questions())
        posted, left = 0, [prompts[one.question] for one in drawn if one.question not in asked]
        if there < wanted.questions and left:
            engine = engine_of(stage)
            sampler = engine.sampler(plan.model, progress)
            made_of = _made_of(left[0], puts, wanted.answers)
            choose: _Choose = _as_drawn(selections)
            if wanted.doubted_by:
                choose = Doubts.opened(
                    wanted.doubted_by, partial(engine.sampler, progress=progress), plan.seed
                )
            progress.begin(f"{plan.model} answers prompts", float(wanted.questions - there))
            with Worker() as worker:
                while left and there + posted < wanted.questions:
                    missing = wanted.questions - there - posted
                    most = _POOL * missing if wanted.doubted_by else min(_AT_ONCE * made_of, missing)
                    some = left[: -(-most // made_of)]
                    left = left[len(some) :]
                    groups = worker.run(sampler.sample(some, wanted.answers, how))
                    new = _posted(
                        people, [one for put in puts for one in _made(put, groups)], choose, missing
                    )
                    posted += new
                    progress.advance(new)
            progress.end()
    finally:
        people.close()
    if there + posted < wanted.questions:
        told = f"{there + posted:,} questions are all that {len(drawn):,} prompts make"
        progress.say(f"{told}; name more --prompts for {wanted.questions:,}")
    return Filled(puts[0].queue, posted, there)


def _made_of(prompt: Prompt, puts: Sequence[_Put], answers: int) -> int:
    """How many questions a prompt makes at most: all of them are posted, or none."""
    said = (Response(prompt=prompt.id, text=str(i), finish="data", index=i) for i in range(answers))
    group = Group(prompt, tuple(said))
    return max(1, sum(len(put.ask.questions([group])) for put in puts))


def _made(put: _Put, groups: Sequence[Group]) -> list[_Made]:
    prompts = {group.prompt.id: group.prompt for group in groups}
    answers = [response for group in groups for response in group.responses]
    answers += put.ask.quoted(groups) if isinstance(put.ask, Quoting) else []
    texts = {answer.id: answer for answer in answers}
    return [
        _Made(put, q, (prompts[q.prompt], *(texts[one] for one in (*q.responses, *q.evidence))))
        for q in put.ask.questions(groups)
        if not _same(q, answers)
    ]


def _as_drawn(selections: Mapping[str, Selection]) -> _Choose:
    """All of them, as their prompts were drawn."""

    def choose(questions: Sequence[Question], _: Sequence[Record], __: int) -> dict[str, Selection]:
        return {question.id: selections[question.prompt] for question in questions}

    return choose


def _posted(people: People, made: Sequence[_Made], choose: _Choose, missing: int) -> int:
    """How many of them were asked."""
    records = [record for one in made for record in one.records]
    chosen = choose([one.question for one in made], records, missing)
    for put in dict.fromkeys(one.put for one in made):
        mine = [one for one in made if one.put is put and one.question.id in chosen]
        questions = [q.model_copy(update={"selection": chosen[q.id]}) for q in (one.question for one in mine)]
        people.post(questions, [record for one in mine for record in one.records], put.slots)
    return len(chosen)


def _same(question: Question, answers: Sequence[Response]) -> bool:
    """Whether there is nothing to judge: all its answers are one text."""
    texts = {answer.id: answer.text.strip() for answer in answers}
    said = [texts[one] for one in question.responses]
    return len(said) > 1 and len(set(said)) == 1


def _prompts(stage: Stage, wanted: Wanted) -> str:
    source = catalog.build("sources", stage.source)
    if wanted.prompts is None and not isinstance(source, Rollouts):
        allowed = "a file of prompts, or the name of a set that ships with Accord"
        raise PlanError("--prompts", None, allowed, f"the source {stage.source.name} has none to answer")
    return wanted.prompts or cast(Rollouts, source).prompts
