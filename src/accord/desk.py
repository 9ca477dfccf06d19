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

from accord.errors import AccordError
from accord.ports import How, Overseer, Sampler, Store
from accord.records import By, Cost, Judgment, Prompt, Question, Record, Response

__all__ = ["FrontDesk"]

_DEEPEST = 8
_OWN_RUN_ONLY = frozenset({"timeout", "unreachable", "budget", "error"})


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
        self._judged: dict[tuple[str, str], Judgment] = {}
        self._open: dict[tuple[str, str], asyncio.Future[Judgment]] = {}
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
        known = self._known(key)
        if known is not None:
            self.reused += 1
            return known
        if key in self._open:
            running = self._open[key]
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                if not running.cancelled():
                    raise
                # The one who asked first was cancelled, not we: ask again.
                return await self.ask(overseer, question)
        future: asyncio.Future[Judgment] = asyncio.get_running_loop().create_future()
        self._open[key] = future
        try:
            self._held[question.id] = question
            asked = await _judged(self, overseer, question, depth=1)
            self._write([question, *asked.drafts, asked.judgment])
            await self._on_disk()
            self.hold([*asked.drafts, asked.judgment])
            future.set_result(asked.judgment)
            return asked.judgment
        except BaseException:
            future.cancel()
            raise
        finally:
            del self._open[key]

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
        except AccordError as error:  # a full disk: every judgment that waits must fail with it
            durable.set_exception(error)

    def _known(self, key: tuple[str, str]) -> Judgment | None:
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
    """The desk as one overseer sees it while it works on one question."""

    def __init__(self, front: FrontDesk, question: Question, depth: int) -> None:
        self._front, self._question, self._depth = front, question, depth
        self.drafts: dict[str, Record] = {}
        self.parents: list[str] = []
        self.spent = Cost()

    def read(self, record: str) -> Record:
        return self.drafts[record] if record in self.drafts else self._front.read(record)

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        known = self._front._known((question.id, overseer.config))  # pyright: ignore[reportPrivateUsage]
        if known is not None:
            self._front.reused += 1
        else:
            self.drafts[question.id] = question
            asked = await _judged(self._front, overseer, question, self._depth + 1, above=self)
            self.drafts.update({record.id: record for record in (*asked.drafts, asked.judgment)})
            known = asked.judgment
        self.parents.append(known.id)
        return known

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        # The number of this turn is part of the key: two turns on one prompt are two draws.
        key = f"say/{self._question.id}/{len(self.parents)}"
        how = how._replace(key=key) if how else How(key)
        response = (await sampler.sample([prompt], 1, how))[0].responses[0]
        response = response.model_copy(update={"parents": (*response.parents, self._question.id)})
        # model_copy keeps the cached id of the copy's source; a record with other parents is another record.
        response = Response.model_validate(response.model_dump())
        self.drafts[prompt.id] = prompt
        self.drafts[response.id] = response
        self.parents.append(response.id)
        tokens_in, tokens_out = len(response.prompt_tokens), len(response.tokens)
        self.spent += Cost(calls=1, tokens_in=tokens_in, tokens_out=tokens_out)
        return response


class _Beneath(_Seat):
    """A seat that also reads what the overseer above it has drafted."""

    def __init__(self, front: FrontDesk, question: Question, depth: int, above: _Seat) -> None:
        super().__init__(front, question, depth)
        self._above = above

    def read(self, record: str) -> Record:
        return self.drafts[record] if record in self.drafts else self._above.read(record)


async def _judged(
    front: FrontDesk, overseer: Overseer, question: Question, depth: int, above: _Seat | None = None
) -> _Asked:
    """One overseer's judgment, completed with its parents and costs; whatever goes wrong is an abstention."""
    seat = _Beneath(front, question, depth, above) if above else _Seat(front, question, depth)
    front.asked += 1
    try:
        if depth > _DEEPEST:
            raise RecursionError(f"overseers nested more than {_DEEPEST} deep")
        if question.asks not in overseer.answers:
            raise ValueError(f"does not answer {question.asks.value} questions")
        judgment = await overseer.judge(question, seat)
        problem = judgment.problem_with(question)
        if judgment.question != question.id:
            problem = "judgment.question: names another question"
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
