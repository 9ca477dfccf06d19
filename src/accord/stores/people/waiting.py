"""Runs that wait for people: any number of questions at the cost of one small query per tick."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from accord.records import Judgment
from accord.stores.database import Database
from accord.stores.people import journal

__all__ = ["Watch"]

_TICK = 0.25  # seconds


class Watch:
    """Follows the journal from event ``start`` on, for all who wait in this process."""

    def __init__(self, database: Database, start: int) -> None:
        self._database, self._read_to = database, start
        self._last: dict[tuple[str, int], int] = {}
        self._withdrawn = start
        self._looked = 0.0
        self._lock = threading.Lock()  # loops of several threads may wait

    async def said(
        self, question: str, slot: int, clock: Callable[[], float], deadline: float | None
    ) -> Judgment | None:
        """What stands in a slot once something does; None when ``deadline`` seconds are over by the clock, or
        the slot cannot be filled any more."""
        began = clock()
        while True:
            seen = self._newest(question, slot)
            with self._database.reading() as connection:
                answer = journal.answer(connection, question, slot)
            if answer.said or not answer.possible:
                return answer.said
            while self._newest(question, slot) == seen:
                left = _TICK if deadline is None else deadline - (clock() - began)
                if left <= 0:
                    return None
                await asyncio.sleep(min(_TICK, left))

    def _newest(self, question: str, slot: int) -> int:
        """The newest event that may matter to a slot; whoever asks first in a tick looks for all."""
        with self._lock:
            if time.monotonic() - self._looked >= _TICK:
                with self._database.reading() as connection:
                    found = journal.changes(connection, self._read_to)
                for asked, number, seq in found:
                    self._read_to = seq
                    if number is None:
                        self._withdrawn = seq
                    else:
                        self._last[asked, number] = seq
                self._looked = time.monotonic()
            return max(self._last.get((question, slot), 0), self._withdrawn)
