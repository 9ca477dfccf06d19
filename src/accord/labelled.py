"""``labelled``: rows from a labelling database, of questions whose slots have all closed.

What is taken is settled once, before the first window, and frozen in ``judgments.lock``: the questions, in
the order they were posted, and the judgments that stood then. Later votes and amendments wait for the next
run. Questions are put as the stage's asks build them; only those that were put to people in these very words
are taken, so nobody is asked anything new. Repeats of a question (``revisits``) are for measuring raters, and
teach nothing.

Answers are learnt as the policy's own tokens, where it drew them, else encoded anew from their text. A text
that a person wrote (``takes = "revised"``, or an answer made of one) reaches rows and checkpoints as tokens,
for it is what is learnt; as text it is written nowhere in the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, cast, runtime_checkable

from pydantic import Field

from accord.desk import Used
from accord.errors import ContractError, PlanError, Refused, Unreadable, beneath
from accord.feedback import Asking
from accord.frozen import Frozen, check_queue, opened
from accord.overseers import inside
from accord.overseers.human import Human
from accord.part import Part
from accord.ports import Closing, Feedback, Queue, Sampler, Source
from accord.records import Episode, Judgment, Prompt, Question, Ranked, Record, Response, Revised
from accord.records.rows import Group, Row, Window
from accord.sources import Surroundings, taken
from accord.stores.foreign.prompts import part_of

__all__ = ["Labelled", "Settling"]

Takes = Literal["verdicts", "revised", "acceptable"]
_UNITS = {"verdicts": ("pair", "answer"), "revised": ("answer",), "acceptable": ("answer",)}


class Said(Protocol):
    """A judgment that stands, of one slot; None for the slot of one that belongs to none."""

    @property
    def judgment(self) -> Judgment: ...

    @property
    def question(self) -> str: ...

    @property
    def slot(self) -> int | None: ...


@runtime_checkable
class Database(Protocol):
    """Beside Queue: what was asked can be read back, and what stands."""

    def questions(self) -> list[Question]: ...

    def read(self, record: str) -> Record: ...

    def current(self, question: str | None = None) -> Sequence[Said]: ...


@runtime_checkable
class Settling(Protocol):
    """Beside Source: what it trains on is settled, once, before the first window."""

    def settle(self, asking: Sequence[Asking], feedback: Feedback) -> None:
        """PlanError where nothing that people said fits the asks."""
        ...


class Labelled(Part):
    """``queue``: a labelling database by path or URL. ``takes``: what is learnt of what people said there.

    ``verdicts``: the stage's asks make columns of them. ``revised``: the texts that people wrote, as answers.
    ``acceptable``: answers with a ``label``, the share of raters who called them acceptable. ``part``: a cut
    by the prompt's text, as in files (``train``, ``held_out``, …).
    """

    queue: str = Field(min_length=1)
    takes: Takes = "verdicts"
    part: Literal["train", "held_out", "probe"] | None = None
    per_window: int = Field(default=32, ge=1)

    @property
    def queues(self) -> tuple[str, ...]:
        """The database, as ports.Queued names them."""
        return (self.queue,)

    def open(self, around: Surroundings) -> Source:
        if around.shape.by != "data":
            raise PlanError(
                "name", "labelled", "rollouts", "this method learns from the policy's own answers"
            )
        if around.shape.unit not in _UNITS[self.takes]:
            fitting = " or ".join(takes for takes, units in _UNITS.items() if around.shape.unit in units)
            allowed = fitting or "no labelling database: this method learns from steps"
            raise PlanError("takes", self.takes, allowed, f"this method learns from {around.shape.unit}s")
        return _Labelled(self, around)


class _Fact(NamedTuple):
    """One row before it is encoded: a prompt, answers in the order of the row, and what was said of it.

    ``raters``: which group of raters said it, of how many that are counted apart.
    """

    prompt: Prompt
    answers: tuple[Response, ...]
    columns: dict[str, float]
    parents: tuple[str, ...] = ()
    missing: bool = False
    raters: tuple[int, int] = (0, 1)


class _Labelled:
    """Satisfies Source, Telling and Settling. ``notes`` are for the first screen."""

    def __init__(self, config: Labelled, around: Surroundings) -> None:
        self._config, self._around = config, around
        self._frozen = around.frozen
        self._database = _database(config.queue, around)
        self.notes: list[str] = []
        every = [q for q in self._database.questions() if q.revisits is None]
        self._known = {q.id: q for q in every if self._within(q)}
        frozen = around.frozen.rows(around.stage) if around.frozen is not None else None
        self._slots: dict[str, int] = {}
        if frozen is None:
            self._slots = _complete(self._database, self._known, around)
            if not self._slots:
                found = f"{len(self._known):,} questions, none of them answered in all its slots"
                advice = "accord label and accord serve have them answered"
                raise Refused(f"{config.queue}: nothing to learn from yet: {found}\n  {advice}")
        self._questions = self._there(tuple(self._slots) if frozen is None else frozen)
        self._prompts = {q.prompt: cast(Prompt, self._database.read(q.prompt)) for q in self._questions}
        if around.frozen is None and isinstance(self._database, Closing):
            self._database.close()  # looked at, and not trained on

    def prompts(self) -> Sequence[Prompt]:
        return list(self._prompts.values())

    def settle(self, asking: Sequence[Asking], feedback: Feedback) -> None:
        assert self._frozen is not None, "only a stage settles a source"
        for question in self._questions:
            self._frozen.secret |= {a for a in question.responses if self._of_a_person(a)}
        if (rows := self._frozen.rows(self._around.stage)) is None:
            rows = self._first(self._frozen, asking, feedback)
        self._questions = [self._known[row] for row in rows]
        self._prompts = {q.prompt: self._prompts[q.prompt] for q in self._questions}
        self._look_for_texts(self._frozen)
        there = f"{len(self._known):,} questions of {_name(self._config.queue)}"
        self.notes.append(f"{len(rows):,} of the {there}: answered in all their slots, with a verdict")

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        chosen = taken(self._around.seed, index, self._config.per_window, len(self._questions))
        numbers: dict[str, int] = {}
        rows: list[Row] = []
        for fact in self._facts([self._questions[i] for i in chosen], feedback):
            said = [_encoded(fact.prompt, answer, policy) for answer in fact.answers]
            episodes = tuple(Episode.single(response, fact.prompt.allowed) for response in said)
            own, several = fact.raters
            group = numbers.setdefault(fact.prompt.id, len(numbers)) * several + own
            rows.append(Row(episodes, fact.columns, fact.missing, group, fact.parents))
        return Window(index, tuple(rows))

    # What is taken

    def _first(self, frozen: Frozen, asking: Sequence[Asking], feedback: Feedback) -> tuple[str, ...]:
        """Freeze what there is now; the questions of which something can be learnt."""
        takes = self._config.takes
        if (takes == "verdicts") != bool(asking):
            wants = "no ask" if asking else "an [[stage.ask]] that makes columns of what people said"
            raise PlanError("ask", len(asking) or None, wants, f"source.takes = {takes!r}")
        for index, one in enumerate(asking):
            with beneath(f"ask[{index}]"):
                self._questions = self._put(one)
        mine = {question.id for question in self._questions}
        standing = [s for s in self._database.current() if s.slot is not None and s.question in mine]
        frozen.use([Used(s.question, s.judgment.by.config, s.judgment.id) for s in standing])
        facts = {q.id: self._facts([q], feedback) for q in self._questions}
        rows = tuple(q for q, found in facts.items() if any(not fact.missing for fact in found))
        if not rows:
            found = f"{len(mine):,} complete questions of {self._config.queue} say nothing of that kind"
            raise PlanError("source.takes", takes, "what people were asked there, and answered", found)
        frozen.freeze(self._around.stage, rows)
        return rows

    def _put(self, asking: Asking) -> list[Question]:
        """The questions that an ask puts in the same words, to no more slots than they have. PlanError where
        that is none."""
        there = {question.id for question in self._questions}
        worded = [
            q
            for q in self._questions
            if (put := [one.id for one in asking.ask.questions([self._group(q)])]) and there.issuperset(put)
        ]
        if not worded:
            first = self._questions[0]
            put = first.instrument.model_dump(mode="json", exclude_defaults=True)
            advice = f"the first one there: {first.asks.value}, {put or 'in no words of its own'}"
            raise PlanError("", None, f"questions that stand in {self._config.queue}, word for word", advice)
        here = [one for one, _ in inside(asking.overseer) if isinstance(one, Human)]
        seats = 1 + max((one.slot for one in here if one.waits_at == self._database.id), default=-1)
        most = max(self._slots[q.id] for q in worded)
        if seats > most:
            allowed = f"slots 0 to {most - 1}, the ones that were answered"
            raise PlanError("overseer.slot", seats - 1, allowed)
        if 0 < seats < most:
            self.notes.append(f"some questions have {most} slots, and the ask reads {seats} of them")
        return [q for q in worded if self._slots[q.id] >= seats]

    def _look_for_texts(self, frozen: Frozen) -> None:
        """Rows whose answers were withdrawn: Refused, or dropped where that is allowed."""
        gone = [q for q in self._questions if not frozen.dropped(q.id) and self._gone(q)]
        if gone and not frozen.drift:
            told = "\n".join(f"  question {q.id[:12]}: the text of an answer was withdrawn" for q in gone)
            raise Refused(
                f"{self._around.stage} trains on texts that people have withdrawn\n{told}\n"
                "  accord resume RUN --allow-drift goes on without these rows (the report will say so)"
            )
        frozen.drop(q.id for q in gone)

    # What it says

    def _facts(self, questions: Sequence[Question], feedback: Feedback) -> list[_Fact]:
        match self._config.takes:
            case "verdicts":
                return self._judged(questions, feedback)
            case "revised":
                return [fact for question in questions for fact in self._revised(question)]
            case "acceptable":
                return [fact for question in questions for fact in self._acceptable(question)]

    def _judged(self, questions: Sequence[Question], feedback: Feedback) -> list[_Fact]:
        """One fact per row of the asks' columns, and a missing one for each question whose texts are gone."""
        groups = [self._group(question) for question in questions if not self._gone(question)]
        columns = feedback(groups)
        assert columns is not None, "settled: verdicts need an ask"
        answers = {r.id: (group.prompt, r) for group in groups for r in group.responses}
        unit = 2 if self._around.shape.unit == "pair" else 1
        if columns.members and len(columns.members[0]) != unit:
            found = f"{len(columns.members[0])} answers at a time"
            raise PlanError("ask", found, f"an ask about {'pairs of answers' if unit == 2 else 'answers'}")
        facts = [
            _Fact(
                answers[members[0]][0],
                tuple(answers[member][1] for member in members),
                {name: float(values[row]) for name, values in columns.values.items()},
                columns.parents[row],
                bool(columns.missing[row]),
                (int(columns.group_R[row]), max(1, len(columns.groups))),
            )
            for row, members in enumerate(columns.members)
        ]
        nothing = dict.fromkeys(columns.values, float("nan"))
        return facts + [self._blank(q, nothing, unit) for q in questions if self._gone(q)]

    def _revised(self, question: Question) -> list[_Fact]:
        """The texts that people wrote to a question; where nobody did, or they are gone, a missing row."""
        prompt = self._prompts[question.prompt]
        found = [
            _Fact(prompt, (Response(prompt=prompt.id, text=j.verdict.text, finish="data"),), {}, (j.id,))
            for j in self._said(question)
            if isinstance(j.verdict, Revised)
        ]
        return found or [self._blank(question, {}, 1)]

    def _acceptable(self, question: Question) -> list[_Fact]:
        """Each answer with the share of raters who found it acceptable; missing where nobody said."""
        nothing = {"label": float("nan"), "weight": 0.0}
        if self._gone(question):
            return [self._blank(question, nothing, 1)]
        ranked = [(j.id, j.verdict) for j in self._said(question) if isinstance(j.verdict, Ranked)]
        votes = [(judgment, v.acceptable) for judgment, v in ranked if v.acceptable is not None]
        group, parents = self._group(question), tuple(judgment for judgment, _ in votes)
        return [
            _Fact(group.prompt, (response,), self._share(response, [v for _, v in votes]), parents, not votes)
            for response in group.responses
        ]

    @staticmethod
    def _share(response: Response, votes: Sequence[tuple[str, ...]]) -> dict[str, float]:
        share = sum(response.id in vote for vote in votes) / len(votes) if votes else float("nan")
        return {"label": share, "weight": float(len(votes))}

    def _blank(self, question: Question, columns: dict[str, float], answers: int) -> _Fact:
        prompt = self._prompts[question.prompt]
        return _Fact(
            prompt, (Response(prompt=prompt.id, text="", finish="data"),) * answers, columns, (), True
        )

    def _said(self, question: Question) -> list[Judgment]:
        assert self._frozen is not None, "settled before it is read"
        return self._frozen.of(question.id)

    # What is in the database

    def _there(self, frozen: Sequence[str]) -> list[Question]:
        """Unreadable where what was trained on is not in the database, or no longer in this part of it."""
        if lacking := [q for q in frozen if q not in self._known]:
            expected = f"the {len(frozen):,} questions that {self._around.stage} trains on"
            found = f"{len(lacking):,} of them are not there, {lacking[0][:12]} among them"
            raise Unreadable(_name(self._config.queue), expected, found)
        return [self._known[q] for q in frozen]

    def _within(self, question: Question) -> bool:
        part = self._config.part
        return part is None or part_of(cast(Prompt, self._database.read(question.prompt))) == part

    def _group(self, question: Question) -> Group:
        answers = [cast(Response, self._database.read(answer)) for answer in question.responses]
        return Group(self._prompts[question.prompt], tuple(answers))

    def _gone(self, question: Question) -> bool:
        """Whether the text of an answer was withdrawn."""
        try:
            self._group(question)
        except KeyError:
            return True
        return False

    def _of_a_person(self, answer: str) -> bool:
        """Whether a person wrote this answer: then a judgment of this database is among its parents."""
        try:
            parents = self._database.read(answer).parents
        except KeyError:
            return True
        for parent in parents:
            try:
                self._database.judgment(parent)
            except KeyError:
                continue
            return True
        return False


class _Store(Queue, Database, Protocol):
    """What a labelling database is."""


def _database(url: str, around: Surroundings) -> _Store:
    """The stage's own connection where it runs, else one of this source alone."""
    check_queue(url)
    queue = around.frozen.queue(url).database if around.frozen is not None else opened(url)
    if not isinstance(queue, Database):
        raise ContractError(type(queue).__name__, "a labelling database can be read back", url)
    return cast(_Store, queue)


def _complete(database: _Store, known: Mapping[str, Question], around: Surroundings) -> dict[str, int]:
    """The questions whose every slot has an answer, in the order they were posted, each with how many it has.

    A slot is the last where there is none behind it.
    """
    slots: dict[str, set[int]] = {}
    for said in database.current():
        if said.slot is not None:
            slots.setdefault(said.question, set()).add(said.slot)
    answered = [q for q in known if q in slots and slots[q] == set(range(len(slots[q])))]

    async def ends() -> list[bool]:
        return list(await asyncio.gather(*(_ends(database, q, len(slots[q])) for q in answered)))

    found = around.worker.run(ends())
    return {q: len(slots[q]) for q, ended in zip(answered, found, strict=True) if ended}


async def _ends(database: _Store, question: str, slot: int) -> bool:
    try:
        await database.answer(question, slot, 0.0)
    except KeyError:
        return True
    return False


def _name(url: str) -> str:
    """A database's name without the folders or the account before it."""
    return url.rpartition("/")[2].rpartition("@")[2]


def _encoded(prompt: Prompt, answer: Response, policy: Sampler) -> Response:
    """The answer in the policy's tokens: as it was drawn, where this tokenizer and template drew it."""
    said = policy.encode(prompt, answer.text)
    same = (said.tokenizer, said.prompt_tokens) == (answer.tokenizer, answer.prompt_tokens)
    return answer if same and answer.tokens else said
