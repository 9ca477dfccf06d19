"""Follow: from a run's log to one tracker, until the run ends; a kill at any point loses and doubles nothing.

Rows are on disk before they are handed over, and stay there until the tracker holds them. An outage is
waited out, longer each time, while the log itself keeps what comes; a call that hangs is broken off.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
import time
import tomllib
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NamedTuple, cast

from accord.errors import Refused, Unreadable
from accord.records import JSON
from accord.stores.files import disk
from accord.stores.foreign.trackers.rows import About, Ending, Outage, Row, Tracker
from accord.stores.foreign.trackers.state import State
from accord.stores.foreign.trackers.tail import Tail, fence_of
from accord.stores.runlog import Clock, SystemClock

__all__ = ["Watch", "file_name", "follow", "state_file"]

_LINES = 500  # read at a time; what is not read yet waits in the log, not in memory
_LONGEST = 300.0  # seconds between two attempts


class Watch(NamedTuple):
    """How long to follow; times in seconds.

    ``once``: send what is there. ``parent``: the process that trains; without one, the log's last writer.
    ``since``: a Pause from before then ends nothing. ``every``: between two looks. ``quiet``: how long
    nothing may come once the run's process is gone. ``call``: how long one call of the tracker may take.
    ``retry``: until the first attempt after an outage. ``give_up``: how long an outage is waited out once
    the run has ended (``once``: from the start).
    """

    once: bool = False
    parent: int | None = None
    since: float = float("-inf")
    every: float = 1.0
    quiet: float = 30.0
    call: float = 300.0
    retry: float = 1.0
    give_up: float = 3600.0


def file_name(tracker: str) -> str:
    """A tracker's name as a part of the name of a file."""
    return tracker.replace(":", ".")


def state_file(run: Path, name: str) -> Path:
    """Where the follower of this name keeps its position."""
    return run / f".track-{file_name(name)}.json"


def follow(
    run: Path,
    name: str,
    tracker: Tracker,
    tell: Callable[[str], None],
    watch: Watch = Watch(),  # noqa: B008 - frozen
    clock: Clock | None = None,
) -> Ending:
    """Send the run's log to ``tracker`` until the run ends; returns how it ended (empty: it goes on).

    Refused where another follower of this name is at work (a child of ``accord run`` waits for it instead),
    and where an outage outlasts the run by ``give_up``; the rest is sent by following once more.
    """
    about = _about(run)
    with _alone(run, name, wait=watch.parent is not None, every=watch.every):
        state = State.load(state_file(run, name))
        state.save(state_file(run, name))  # its key, before the tracker hears of it
        about = about._replace(key=state.key)
        return _Following(name, tracker, tell, watch, clock or SystemClock(), about, state).to_the_end()


@dataclass
class _Following:
    """One follower at work."""

    name: str
    tracker: Tracker
    say: Callable[[str], None]
    watch: Watch
    clock: Clock
    about: About
    state: State

    def __post_init__(self) -> None:
        self.tail = Tail(self.about.folder, self.about.stages, self.state.places)
        self._jitter = random.Random(self.state.key)
        self._came = self.clock.mono()  # when something last came
        # Since when nothing more will come, as far as known.
        self._over: float | None = self._came if self.watch.once else None
        self._begun = False

    def to_the_end(self) -> Ending:
        self._hand_over(self.state.waiting)
        while True:
            found = self._cycle()
            # The end is looked for when the log has nothing more, for its last lines count too.
            if not found and ((ending := self._ending()) or self.watch.once):
                break
            if found < _LINES:
                time.sleep(self.watch.every)
        self._until_taken(lambda _: self.tracker.close(ending))
        self.state.waiting = []
        self._save()
        counts = f"{self.state.rows} rows in all, {self.state.skipped} figures not finite and skipped"
        self.tell(f"{counts}, {self.state.repeated} repeats left out; {ending or 'the run goes on'}")
        return ending

    def tell(self, text: str) -> None:
        now = datetime.fromtimestamp(self.clock.wall(), UTC).isoformat(sep=" ", timespec="seconds")
        self.say(f"{now}  {self.name}: {text}")

    def _cycle(self) -> int:
        """Read, keep, hand over; how many lines came."""
        found = self.tail.read(_LINES)
        for problem in self.tail.problems:
            self.tell(problem)
        self.tail.problems.clear()
        if found:
            rows = [row for line in found if (row := self.state.take(line))]
            # Kept before it is handed over: whatever a kill leaves undone is in ``waiting``.
            self._save()
            self._hand_over(rows)
            self._came = self.clock.mono()
        held = self._held()
        left = [row for row in self.state.waiting if row.number >= held]
        if len(left) < len(self.state.waiting):
            self.state.waiting = left
            self._save()
        return len(found)

    def _held(self) -> int:
        try:
            with _deadline(self.watch.call):
                return self.tracker.held(self.state.rows)
        except (Outage, TimeoutError) as error:
            self.tell(f"what it holds is not known: {error}")
            return 0

    def _save(self) -> None:
        self.state.save(state_file(self.about.folder, self.name))

    def _ending(self) -> Ending:
        ending = self.state.ending(self.about.folder, self.about.stages, self.watch.since)
        if ending or self.watch.once or self.clock.mono() - self._came < self.watch.quiet:
            return ending
        return "interrupted" if self._gone() else ""

    def _gone(self) -> bool:
        """Whether the process that trains is gone."""
        if self.watch.parent is not None and os.getppid() == self.watch.parent:
            return False
        # Also after the parent died: another process may have gone on with the run.
        writers = {fence_of(self.about.folder / stage)[1] for stage in self.about.stages} - {0}
        return not any(_lives(pid) for pid in writers)

    def _hand_over(self, rows: Sequence[Row]) -> None:
        # Rows that an earlier process handed over, or an attempt that failed, may have arrived all the same.
        doubtful = not self._begun
        self._until_taken(
            lambda again: self.tracker.send(
                self.tracker.missing(self.state.waiting) if again or doubtful else rows
            )
        )

    def _until_taken(self, attempt: Callable[[bool], None]) -> None:
        """Make the attempt, as often as it takes; it is told whether it is a repeat."""
        delay, again = self.watch.retry, False
        while True:
            try:
                with _deadline(self.watch.call):
                    if not self._begun:
                        self.tracker.begin(self.about)
                        self._begun = True
                    attempt(again)
                return
            except (Outage, TimeoutError) as error:
                wait = delay * self._jitter.uniform(0.5, 1.0)
                self.tell(f"{error}; again in {wait:.1f} s")
            self._may_wait()
            time.sleep(wait)
            delay, again = min(2 * delay, _LONGEST), True

    def _may_wait(self) -> None:
        """Refused when the run is over and the tracker has been out for too long since."""
        now, folder = self.clock.mono(), self.about.folder
        if self._over is None:
            over = self.state.ending(folder, self.about.stages, self.watch.since) or self._gone()
            self._over = now if over else None
        elif now - self._over >= self.watch.give_up:
            raise Refused(
                f"{self.name} could not be reached; {len(self.state.waiting)} rows and what came after wait\n"
                f"  send them later: accord track {folder} --to {self.name} --once"
            )


def _about(run: Path) -> About:
    file = run / "plan.toml"
    try:
        text = file.read_text(encoding="utf-8")
        plan = cast("dict[str, JSON]", tomllib.loads(text))
        stages = tuple(str(stage["name"]) for stage in cast("list[dict[str, JSON]]", plan["stage"]))
        return About(run.resolve().name, str(plan["name"]), "", run, stages, plan, text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(file, "the plan of a run", f"{type(error).__name__}: {error}") from error


@contextmanager
def _alone(run: Path, name: str, wait: bool, every: float) -> Generator[None]:
    """The only follower of this name, as long as the block lasts."""
    path = run / f".track-{file_name(name)}.lock"
    with disk(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _locked(lock):
            if not wait:
                raise Refused(f"{run}: another process sends this run to {name}\n  wait for it, or end it")
            time.sleep(every)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _deadline(seconds: float) -> Generator[None]:
    """TimeoutError inside after that long, in the main thread; elsewhere a call takes as long as it takes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise TimeoutError(f"no answer within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    # Again every few seconds: a library may swallow the first one.
    signal.setitimer(signal.ITIMER_REAL, seconds, 5.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
