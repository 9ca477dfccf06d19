"""The desk: the only thing an overseer touches. Looks before it asks, records who said what, commits once.

A judgment of the same question by the same overseer config is repeated from the record, in a resume, in a
replay and in later runs; so nobody is asked, or billed, twice. Abstentions that a second try may mend
(``timeout, unreachable, budget, error``), and those that rest on one, are repeated within their own run only.

What a person said is kept where they said it. The desk records that it was used (``Spoken``), and writes
neither it nor what a protocol made of it: that is made again from its parts, which are repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol, cast

from accord.ports import How, Overseer, Sampler, Store
from accord.records import PASSING, By, Cost, Judgment, Prompt, Question, Record, Response

__all__ = ["FrontDesk", "Spoken", "Used"]

_DEEPEST = 8


Key = tuple[str, str]  # a question's id, an overseer's config


class _Asked(NamedTuple):
    """What one judgment led to: everything in it becomes visible and durable together, or not at all."""

    judgment: Judgment
    drafts: tuple[Record, ...]


class Used(NamedTuple):
    """A person's judgment that a run rests on; or, with ``made_of``, what a protocol made of such ones."""

    question: str
    config: str
    judgment: str
    made_of: tuple[str, ...] = ()


class Spoken(Protocol):
    """What people said, kept elsewhere, as far as a run uses it."""

    def known(self, question: str, config: str) -> Judgment | None:
        """What this run used before as the answer of that config, exactly as it was."""
        ...

    def use(self, used: Sequence[Used]) -> None:
        """These are used from now on; durable when it returns. What was used before may come again."""
        ...


class FrontDesk:
    """Holds the texts of a run and its judgments. ``write`` takes records, ``commit`` makes them durable.

    No judgment is returned before it is durable; judgments that finish in one turn of the event loop share
    one commit. Without ``spoken``, people's judgments are held in memory alone.
    """

    def __init__(
        self,
        write: Callable[[Iterable[Record]], None],
        commit: Callable[[], None],
        earlier: Store | None = None,
        spoken: Spoken | None = None,
    ) -> None:
        self._write, self._commit = write, commit
        self._earlier, self._spoken = earlier, spoken
        self._used: list[Used] = []  # not yet durable
        self._private = set[str]()  # what was made of people's judgments
        self._durable: asyncio.Future[None] | None = None
        self._held: dict[str, Record] = {}
        self._judged: dict[Key, Judgment] = {}
        self._open: dict[Key, asyncio.Future[_Asked]] = {}
        self._waits: dict[Key, list[Key]] = {}
        self._undurable: dict[Key, _Asked] = {}  # judged, and not yet on disk
        self._under: dict[Key, list[Key]] = {}  # which of these an outermost question led to
        self._lent = set[Key]()  # what other runs had judged
        self._through: dict[str, set[str]] = {}  # by the config of a budget: the questions it let through
        self.asked = 0
        self.reused = 0

    def hold(self, records: Iterable[Record]) -> None:
        """Make records readable here: texts the loop sampled, and what an interrupted run had recorded."""
        for record in records:
            self._held[record.id] = record
            if isinstance(record, Judgment):
                self._judged[record.question, record.by.config] = record

    def read(self, record: str) -> Record:
        if record in self._held:
            return self._held[record]
        if self._earlier is not None:
            return self._earlier.get(record)
        raise KeyError(f"no record {record} at this desk")

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        key = (question.id, overseer.config)
        repeated = key in self._judged
        known = self.known(key)
        if known is not None:
            self.reused += 1
            if not repeated and self.private(known):
                self._write([question])  # what was said lies elsewhere; what was asked must not
            return known
        self._held[question.id] = question
        try:
            asked = await self.judged(overseer, question)
            self._answered(key, asked, key)
            records = [question, *asked.drafts, asked.judgment]
            self._write([record for record in records if not self.private(record)])
            self._used += [_used(r) for r in records if isinstance(r, Judgment) and self.private(r)]
            await self._on_disk()
            self.hold([*asked.drafts, asked.judgment])
        finally:
            for one in self._under.pop(key, []):
                self._undurable.pop(one, None)
        return asked.judgment

    def _answered(self, key: Key, asked: _Asked, outermost: Key) -> None:
        """Whoever asks the same before it is on disk is given this one."""
        self._undurable[key] = asked
        self._under.setdefault(outermost, []).append(key)

    def private(self, record: Record) -> bool:
        """Whether a person said it, or it was made of what a person said: then no run writes it down."""
        return record.id in self._private or (isinstance(record, Judgment) and record.by.type == "person")

    def conceal(self, record: str) -> None:
        """This was made of what a person said, unless it was known here before."""
        if record not in self._held:
            self._private.add(record)

    async def judged(self, overseer: Overseer, question: Question, above: _Seat | None = None) -> _Asked:
        """A judgment with what it led to. Who asks what is being asked already waits for that one answer, and
        who asks what another open question has asked is given that one."""
        key = (question.id, overseer.config)
        if key in self._undurable:
            return self._undurable[key]
        asker = above.key if above else None
        running = self._open.get(key)
        waits = self._waits.setdefault(asker, []) if asker else []
        # To wait for one who waits for us would be for ever: such a circle is judged apart, to its depth.
        shared = running is not None and not (asker and self._awaits(key, asker))
        waits.append(key)
        try:
            if running is None or not shared:
                return await self._first(overseer, question, above, register=running is None)
            answered = await _unless_cancelled(running)
        finally:
            waits.remove(key)
            if asker and not waits:
                self._waits.pop(asker, None)
        # The one who asked first was cancelled, not we: ask again.
        return answered or await self.judged(overseer, question, above)

    async def _first(
        self, overseer: Overseer, question: Question, above: _Seat | None, *, register: bool
    ) -> _Asked:
        key = (question.id, overseer.config)
        future: asyncio.Future[_Asked] = asyncio.get_running_loop().create_future()
        if register:
            self._open[key] = future
        try:
            asked = await _judged(self, overseer, question, above)
            if above:
                self._answered(key, asked, above.outermost)
            future.set_result(asked)
            return asked
        except BaseException:
            future.cancel()
            raise
        finally:
            if register:
                del self._open[key]

    def _awaits(self, key: Key, other: Key) -> bool:
        """Whether the asker at ``key`` waits, through whomever, for ``other``."""
        seen, front = set[Key](), [key]
        while front:
            at = front.pop()
            if at == other:
                return True
            if at not in seen:
                seen.add(at)
                front += self._waits.get(at, [])
        return False

    async def _on_disk(self) -> None:
        if self._durable is None:
            loop = asyncio.get_running_loop()
            self._durable = loop.create_future()
            loop.call_soon(self._flush, self._durable)
        await asyncio.shield(self._durable)

    def _flush(self, durable: asyncio.Future[None]) -> None:
        self._durable = None
        try:
            self._commit()
            # Behind the texts: an id is only used where everything about it can be read.
            if self._spoken is not None and self._used:
                self._spoken.use(self._used)
            self._used = []
            durable.set_result(None)
        # Whatever went wrong, every judgment that waits for it must fail with it instead of waiting on.
        except Exception as error:  # noqa: BLE001
            durable.set_exception(error)

    def known(self, key: Key) -> Judgment | None:
        if key in self._judged:
            return self._judged[key]
        if self._spoken is not None and (said := self._spoken.known(*key)) is not None:
            self._held[said.id] = self._judged[key] = said
            return said
        if self._earlier is None:
            return None
        question, config = key
        for record in self._earlier.find("judgment", parent=question):
            judgment = cast(Judgment, record)
            if judgment.by.config == config and not _passing(judgment, self._earlier):
                self._held[judgment.id] = self._judged[key] = judgment
                self._lent.add(key)
                return judgment
        return None

    def charge(self, budget: str, question: str, places: int) -> bool:
        """Whether a budget with so many places has one for this question, which it then takes.

        What is recorded of this run rests on another judgment exactly where a place was taken, so a run that
        is resumed counts on from its records.
        """
        if budget not in self._through:
            own = (
                (q, j) for (q, by), j in self._judged.items() if by == budget and (q, by) not in self._lent
            )
            self._through[budget] = {q for q, j in own if set(j.parents) - {q}}
        through = self._through[budget]
        if question not in through and len(through) >= places:
            return False
        through.add(question)
        return True

    def give_back(self, budget: str, question: str) -> None:
        """The place that a question took and did not use."""
        self._through.get(budget, set[str]()).discard(question)


class _Seat:
    """The desk as one overseer sees it while it works on one question; reads what those above it drafted."""

    def __init__(self, front: FrontDesk, question: Question, key: Key, above: _Seat | None) -> None:
        self._front, self._question, self._above = front, question, above
        self.key = key
        self.depth: int = above.depth + 1 if above else 1
        self.outermost: Key = above.outermost if above else key
        self.drafts: dict[str, Record] = {}
        self.parents: list[str] = []
        self.spent = Cost()
        self.heard = front.private(question)  # whether what is said here was made of what a person said
        self._turns = 0

    def read(self, record: str) -> Record:
        if record in self.drafts:
            return self.drafts[record]
        return self._above.read(record) if self._above else self._front.read(record)

    def drafted(self, key: Key) -> Judgment | None:
        """The judgment of this question by this config, if it was made under the same outermost question."""
        for record in self.drafts.values():
            if isinstance(record, Judgment) and (record.question, record.by.config) == key:
                return record
        return self._above.drafted(key) if self._above else None

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        key = (question.id, overseer.config)
        judgment = self._front.known(key) or self.drafted(key)
        if judgment is not None:
            self._front.reused += 1
        else:
            self._draft(question)
            asked = await self._front.judged(overseer, question, self)
            self.drafts.update({record.id: record for record in (*asked.drafts, asked.judgment)})
            judgment = asked.judgment
        self.heard = self.heard or self._front.private(judgment)
        self.parents.append(judgment.id)
        return judgment

    def charge(self, budget: str, question: str, places: int) -> bool:
        """See ``FrontDesk``."""
        return self._front.charge(budget, question, places)

    def give_back(self, budget: str, question: str) -> None:
        """See ``FrontDesk``."""
        self._front.give_back(budget, question)

    @property
    def took(self) -> Cost:
        """What was spent under this question by now, by everybody it was put to."""
        judgments = (r.cost for r in self.drafts.values() if isinstance(r, Judgment))
        return sum(judgments, self.spent)

    def _draft(self, record: Record) -> None:
        self.drafts[record.id] = record
        if self.heard and record.id != self._question.id:
            self._front.conceal(record.id)

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        # The number of this turn is part of the key: two turns on one prompt are two draws.
        key, self._turns = f"say/{self._question.id}/{self._turns}", self._turns + 1
        how = how._replace(key=key) if how else How(key)
        response = (await sampler.sample([prompt], 1, how))[0].responses[0]
        response = response.model_copy(update={"parents": (*response.parents, self._question.id)})
        self._draft(prompt)
        self._draft(response)
        self.parents.append(response.id)
        tokens_in, tokens_out = len(response.prompt_tokens), len(response.tokens)
        self.spent += Cost(calls=1, tokens_in=tokens_in, tokens_out=tokens_out)
        return response


async def _unless_cancelled(running: asyncio.Future[_Asked]) -> _Asked | None:
    """What another waits for, or None when that other was cancelled; our own cancellation is raised."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.cancelled():
            raise
        return None


async def _judged(front: FrontDesk, overseer: Overseer, question: Question, above: _Seat | None) -> _Asked:
    """One overseer's judgment, completed with its parents and costs; whatever goes wrong is an abstention."""
    seat = _Seat(front, question, (question.id, overseer.config), above)
    front.asked += 1
    try:
        if seat.depth > _DEEPEST:
            raise RecursionError(f"overseers nested more than {_DEEPEST} deep")
        if question.asks not in overseer.answers:
            raise ValueError(f"does not answer {question.asks.value} questions")
        judgment = await overseer.judge(question, seat)
        problem = judgment.problem_with(question)
        if (judgment.question, judgment.by.config) != seat.key:
            problem = "judgment: names another question, or another config than that of its overseer"
        if problem:
            raise ValueError(problem)
    # The boundary desk → overseer: a failure is an abstention, never a verdict.
    except Exception as error:  # noqa: BLE001
        judgment = _failed(overseer, question, error)
    if judgment.by.type == "person":  # it is kept elsewhere, under the id that it has
        return _Asked(judgment, tuple(seat.drafts.values()))
    parents = (question.id, *dict.fromkeys(seat.parents))
    fields = judgment.model_dump() | {"parents": parents, "cost": (judgment.cost + seat.spent).model_dump()}
    done = Judgment.model_validate(fields)
    if seat.heard:
        front.conceal(done.id)
    return _Asked(done, tuple(seat.drafts.values()))


def _passing(said: Judgment, earlier: Store) -> bool:
    """Whether a second try may mend an abstention, or one that it rests on: a quorum that was not reached."""
    if said.abstention is None or said.abstention in PASSING:
        return said.abstention is not None
    for parent in said.parents:
        with suppress(KeyError):  # what a person said lies elsewhere
            heard = earlier.get(parent)
            if isinstance(heard, Judgment) and _passing(heard, earlier):
                return True
    return False


def _used(judgment: Judgment) -> Used:
    made_of = () if judgment.by.type == "person" else judgment.parents[1:]
    return Used(judgment.question, judgment.by.config, judgment.id, made_of)


def _failed(overseer: Overseer, question: Question, error: Exception) -> Judgment:
    trace = "".join(traceback.format_exception(error))
    digest = hashlib.sha256(trace.encode()).hexdigest()[:16]
    return Judgment(
        question=question.id,
        by=By(type="protocol", name=type(overseer).__name__, config=overseer.config),
        shown=question.responses,
        abstention="error",
        note=f"{type(error).__name__}: {error} (traceback {digest})",
    )
