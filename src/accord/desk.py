"""The desk: the only thing an overseer touches. Looks before it asks, records who said what, commits once.

A judgment of the same question by the same overseer config is repeated from the record, in a resume, in a
replay and in later runs; so nobody is asked, or billed, twice. Abstentions that a second try may mend
(``timeout, unreachable, budget, error``) are repeated within their own run only.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

from accord.ports import How, Overseer, Sampler, Store
from accord.records import By, Cost, Judgment, Prompt, Question, Record, Response

__all__ = ["FrontDesk"]

_DEEPEST = 8
_OWN_RUN_ONLY = frozenset({"timeout", "unreachable", "budget", "error"})


Key = tuple[str, str]  # a question's id, an overseer's config


class _Asked(NamedTuple):
    """What one judgment led to: everything in it becomes visible and durable together, or not at all."""

    judgment: Judgment
    drafts: tuple[Record, ...]


class FrontDesk:
    """Holds the texts of a run and its judgments. ``write`` takes records, ``commit`` makes them durable.

    No judgment is returned before it is durable; judgments that finish in one turn of the event loop share
    one commit.
    """

    def __init__(
        self,
        write: Callable[[Iterable[Record]], None],
        commit: Callable[[], None],
        earlier: Store | None = None,
    ) -> None:
        self._write, self._commit = write, commit
        self._earlier = earlier
        self._durable: asyncio.Future[None] | None = None
        self._held: dict[str, Record] = {}
        self._judged: dict[Key, Judgment] = {}
        self._open: dict[Key, asyncio.Future[_Asked]] = {}
        self._waits: dict[Key, list[Key]] = {}
        self._settling: dict[Key, _Asked] = {}  # judged, and not yet on disk
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
        known = self.known(key)
        if known is not None:
            self.reused += 1
            return known
        self._held[question.id] = question
        asked = self._settling[key] = await self.judged(overseer, question)
        try:
            self._write([question, *asked.drafts, asked.judgment])
            await self._on_disk()
        finally:
            self._settling.pop(key, None)
        self.hold([*asked.drafts, asked.judgment])
        return asked.judgment

    async def judged(self, overseer: Overseer, question: Question, above: _Seat | None = None) -> _Asked:
        """A judgment with what it led to. Who asks what is being asked already waits for that one answer."""
        key = (question.id, overseer.config)
        if key in self._settling:
            return self._settling[key]
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
            durable.set_result(None)
        # Whatever went wrong, every judgment that waits for it must fail with it instead of waiting on.
        except Exception as error:  # noqa: BLE001
            durable.set_exception(error)

    def known(self, key: Key) -> Judgment | None:
        if key in self._judged:
            return self._judged[key]
        if self._earlier is None:
            return None
        question, config = key
        for record in self._earlier.find("judgment", parent=question):
            judgment = cast(Judgment, record)
            if judgment.by.config == config and judgment.abstention not in _OWN_RUN_ONLY:
                self._held[judgment.id] = self._judged[key] = judgment
                return judgment
        return None


class _Seat:
    """The desk as one overseer sees it while it works on one question; reads what those above it drafted."""

    def __init__(self, front: FrontDesk, question: Question, key: Key, above: _Seat | None) -> None:
        self._front, self._question, self._above = front, question, above
        self.key = key
        self.depth: int = above.depth + 1 if above else 1
        self.drafts: dict[str, Record] = {}
        self.parents: list[str] = []
        self.spent = Cost()
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
            self.drafts[question.id] = question
            asked = await self._front.judged(overseer, question, self)
            self.drafts.update({record.id: record for record in (*asked.drafts, asked.judgment)})
            judgment = asked.judgment
        self.parents.append(judgment.id)
        return judgment

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        # The number of this turn is part of the key: two turns on one prompt are two draws.
        key, self._turns = f"say/{self._question.id}/{self._turns}", self._turns + 1
        how = how._replace(key=key) if how else How(key)
        response = (await sampler.sample([prompt], 1, how))[0].responses[0]
        response = response.model_copy(update={"parents": (*response.parents, self._question.id)})
        self.drafts[prompt.id] = prompt
        self.drafts[response.id] = response
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
    parents = (question.id, *dict.fromkeys(seat.parents))
    done = judgment.model_dump() | {"parents": parents, "cost": (judgment.cost + seat.spent).model_dump()}
    return _Asked(Judgment.model_validate(done), tuple(seat.drafts.values()))


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
