"""Filling a labelling database: a model answers prompts, and the asks of a plan's stage make questions of it.

The pages that people see call no model, so whatever is to be judged is made here beforehand. Prompts are
drawn one after another, each with the arm and the propensity of its draw on its questions. Answers are
drawn from the plan's seed and the prompt: broken off and repeated, the command goes on where it was, and what
stands in the database is neither answered nor asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from accord import catalog
from accord.assembly import engine_of
from accord.errors import PlanError
from accord.maths.selection import draws
from accord.overseers import inside
from accord.overseers.human import Human
from accord.plan import Plan, Stage
from accord.ports import Ask, How, Quoting
from accord.progress import Progress
from accord.records import Prompt, Question, Response, Selection
from accord.records.rows import Group
from accord.sources import Rollouts
from accord.stores.foreign.prompts import read_rows
from accord.stores.people import People
from accord.worker import Worker

__all__ = ["Filled", "Wanted", "asked_of_people", "fill"]

_AT_ONCE = 8  # prompts between two postings: what was drawn is in the database before more is
_RANDOM = {"random": 1.0}
_SPARE = 64  # prompts beyond four for each question: some make none


class Wanted(NamedTuple):
    """How much, and how it is drawn; without ``prompts`` those of the stage's source are meant."""

    questions: int
    prompts: str | None = None
    answers: int = 2
    temperature: float = 1.0
    max_tokens: int = 128


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
            sampler = engine_of(stage).sampler(plan.model, progress)
            progress.begin(f"{plan.model} answers prompts", float(wanted.questions - there))
            with Worker() as worker:
                while left and there + posted < wanted.questions:
                    missing = wanted.questions - there - posted
                    some = left[: min(_AT_ONCE, -(-missing // _made_of(left[0], puts, wanted.answers)))]
                    left = left[len(some) :]
                    groups = worker.run(sampler.sample(some, wanted.answers, how))
                    new = sum(_posted(people, put, groups, selections) for put in puts)
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


def _posted(people: People, put: _Put, groups: Sequence[Group], selections: dict[str, Selection]) -> int:
    answers = [response for group in groups for response in group.responses]
    answers += put.ask.quoted(groups) if isinstance(put.ask, Quoting) else []
    questions = [q for q in put.ask.questions(groups) if not _same(q, answers)]
    chosen = [q.model_copy(update={"selection": selections[q.prompt]}) for q in questions]
    people.post(chosen, [*(group.prompt for group in groups), *answers], put.slots)
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
