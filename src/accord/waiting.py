"""Waiting: a queue of people as a run sees it, which tells whoever watches how far they are.

The labelling side may be restarted, or out of reach for a while: then the question is put again, and again,
with longer and longer pauses. What is told goes to the progress of the stage: a line when the wait begins, a
note whenever somebody has answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from accord.errors import Away
from accord.ports import Closing, Queue
from accord.progress import Progress
from accord.records import Judgment, Question, Record

__all__ = ["Waiting"]

T = TypeVar("T")

_TRIES = 20  # to post; whoever has posted waits for ever
_LONGEST = 15.0  # seconds between two tries


class Waiting:
    """Satisfies the port ``Queue`` over another, called ``name``. ``go_on``: how a person resumes the run.

    ``patience``: after so many seconds without an answer it is called a wait.
    """

    def __init__(
        self,
        queue: Queue,
        name: str,
        progress: Progress,
        go_on: str,
        patience: float = 1.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.database, self.name = queue, name
        self._progress, self._go_on = progress, go_on
        self._patience, self._sleep = patience, sleep
        self._asked, self._answered = set[tuple[str, int]](), set[tuple[str, int]]()
        self._unposted: dict[str, tuple[Question, Sequence[Record], int]] = {}
        self._told = False

    @property
    def id(self) -> str:
        return self.database.id

    def close(self) -> None:
        """Let go of the database, where it can be let go of."""
        if isinstance(self.database, Closing):
            self.database.close()

    def post(self, questions: Sequence[Question], records: Sequence[Record], slots: int = 1) -> None:
        """Where the database is out of reach, whoever waits for the answer posts it later."""
        try:
            self.database.post(questions, records, slots)
        except (Away, OSError):
            for one in questions:
                # The seats of a jury post one after another, in whatever order a plan lists them.
                before = self._unposted.get(one.id, (one, records, 0))[2]
                self._unposted[one.id] = (one, records, max(slots, before))

    async def answer(self, question: str, slot: int, deadline: float | None = None) -> Judgment | None:
        self._asked.add((question, slot))
        waiting = asyncio.ensure_future(self._answer(question, slot, deadline))
        try:
            done, _ = await asyncio.wait({waiting}, timeout=self._patience)
            if not done:
                self._tell()
            said = await waiting
        finally:
            waiting.cancel()
            self._answered.add((question, slot))
        if self._told:
            self._progress.advance(0, self._standing())
            self._told = len(self._answered) < len(self._asked)
        return said

    def judgment(self, judgment: str) -> Judgment | None:
        return self.database.judgment(judgment)

    async def _answer(self, question: str, slot: int, deadline: float | None) -> Judgment | None:
        if question in self._unposted:
            await self._insist(lambda: self._posted(question), _TRIES)
        return await self._insist(lambda: self.database.answer(question, slot, deadline), None)

    async def _posted(self, question: str) -> None:
        if question in self._unposted:  # another slot may have been quicker
            asked, records, slots = self._unposted[question]
            self.database.post([asked], records, slots)
            del self._unposted[question]

    async def _insist(self, work: Callable[[], Awaitable[T]], tries: int | None) -> T:
        """Again and again while the database is out of reach; the last of so many tries raises."""
        tried = 0
        while True:
            try:
                return await work()
            except (Away, OSError) as error:
                tried += 1
                if tried == tries:
                    raise
                first = str(error).splitlines()[0] if str(error) else type(error).__name__
                self._progress.advance(0, f"{self.name} is out of reach ({first}); trying again")
                await self._sleep(min(_LONGEST, 0.25 * 2**tried))

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            self._progress.say(f"{self._standing()}; Ctrl-C keeps everything, {self._go_on} goes on")
        self._progress.advance(0, self._standing())

    def _standing(self) -> str:
        answered = f"{len(self._answered):,} of {len(self._asked):,} answered"
        return f"waiting for people: {answered}, {self.name}"
