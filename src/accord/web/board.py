"""Figures for pages: computed aside, in a thread, and kept until something was said since."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from accord.errors import Unreadable
from accord.reports.labelling import Figures, figures
from accord.stores.people.quality import disputed, marks, settled
from accord.stores.people.surveying import Line

if TYPE_CHECKING:
    from accord.stores.people import People

__all__ = ["Board", "Shown"]

_AGE = 30.0  # seconds: leases come and go, and questions are posted, without an event
_REST = 10.0  # times as long as figures took: that long they are not computed anew,
_QUICK = 0.5  # unless they took less than so many seconds


class Shown(NamedTuple):
    """Figures, whether nothing was said since, and what is wrong with the file of gold questions."""

    figures: Figures
    fresh: bool
    problem: str


class _Kept(NamedTuple):
    stamp: object
    figures: Figures
    problem: str
    done: float
    took: float


class Board:
    """The figures of one labelling database, for all who look in this process."""

    def __init__(self, people: People, clock: Callable[[], float]) -> None:
        self._people, self._clock = people, clock
        self._lock = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None
        self._under_way: Future[_Kept] | None = None
        self._kept: _Kept | None = None

    def latest(self, patience: float = 2.0) -> Shown | None:
        """The figures of now, if they are there within ``patience`` seconds; else older ones, or None."""
        stamp = self._stamp()
        with self._lock:
            kept = self._kept
            if kept is not None and not self._wanted(kept, stamp):
                return Shown(kept.figures, kept.stamp == stamp, kept.problem)
            if self._under_way is None:
                self._worker = self._worker or ThreadPoolExecutor(1, "figures")
                self._under_way = self._worker.submit(self._compute, stamp)
            under_way = self._under_way
        try:
            kept = under_way.result(patience)
        except TimeoutError:
            return Shown(kept.figures, False, kept.problem) if kept is not None else None
        finally:
            self._end(under_way)
        return Shown(kept.figures, kept.stamp == stamp, kept.problem)

    def _wanted(self, kept: _Kept, stamp: object) -> bool:
        rested = time.monotonic() - kept.done
        due = rested > kept.took * _REST or kept.took < _QUICK
        return due and (kept.stamp != stamp or rested > _AGE)

    def _stamp(self) -> object:
        """What figures depend on, as far as it is quickly seen."""
        people = self._people
        return people.newest(), settled(people), disputed(people), people.project()

    def _compute(self, stamp: object) -> _Kept:
        begin, problem = time.monotonic(), ""
        try:
            mark = marks(self._people)
        except Unreadable as error:  # the page says so: all else can be told
            mark, problem = _none, str(error)
        project = self._people.project()
        found = figures(self._people.survey(), project.minimum, self._clock(), mark)
        end = time.monotonic()
        return _Kept(stamp, found, problem, end, end - begin)

    def _end(self, future: Future[_Kept]) -> None:
        """Keep what was computed; a failure is raised to who waits, and tried again."""
        with self._lock:
            if self._under_way is future and future.done():
                self._under_way = None
                if future.exception() is None:
                    self._kept = future.result()


def _none(_: Line) -> bool | None:
    return None
