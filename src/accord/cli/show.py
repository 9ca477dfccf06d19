"""What a person or a program sees: progress on stderr, the result on stdout.

Three faces of ``accord.progress.Progress``: a live bar with the time left on a terminal, plain lines
elsewhere, nothing under ``--quiet``. With ``--json`` stdout carries one JSON document and nothing else,
whatever a library prints meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TextIO

from accord.progress import Progress, Silent, duration

if TYPE_CHECKING:
    from rich.progress import TaskID

    from accord.records import JSON

__all__ = ["Bar", "Lines", "Screen", "table"]


class Screen(NamedTuple):
    """How this command was asked to show itself."""

    json: bool = False
    quiet: bool = False

    @contextlib.contextmanager
    def working(self) -> Generator[Progress]:
        """Progress for the work inside; the bar is gone when it is over, however it ends."""
        with contextlib.ExitStack() as stack:
            if self.quiet:
                face: Progress = Silent()
            elif sys.stderr.isatty():
                face = stack.enter_context(Bar())
            else:
                face = Lines(sys.stderr)
            if self.json:
                stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            yield face

    def give(self, document: JSON, lines: Sequence[str]) -> None:
        """The result: the document under ``--json``, else the lines."""
        text = _json(document) if self.json else "\n".join(lines)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class Bar:
    """A live bar on the terminal. Lines that stay are printed above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._task: TaskID | None = None
        self._note = ""

    def __enter__(self) -> Bar:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, what: str, total: float | None = None) -> None:
        """A phase starts; the one before is over."""
        self.end()
        self._note = ""
        self._task = self._bars.add_task(what, total=total, note="")

    def advance(self, done: float = 1, note: str = "") -> None:
        """More is done; an empty note leaves the last one."""
        if self._task is not None:
            self._note = note or self._note
            self._bars.update(self._task, advance=done, note=self._note)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """The phase is over and its bar gone."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


_KNOWN_FROM = 0.03  # the share of a phase after which its speed is known well enough to tell the time left


class Lines:
    """Plain lines for logs: at most one of progress in ``every`` seconds, and each line that is said."""

    def __init__(self, to: TextIO, every: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._to, self._every, self._clock = to, every, clock
        self._last = -math.inf
        self._what, self._note = "", ""
        self._done, self._total, self._began = 0.0, None, 0.0

    def begin(self, what: str, total: float | None = None) -> None:
        """A phase starts; the one before is over."""
        self._what, self._note = what, ""
        self._done, self._total, self._began = 0.0, total, self._clock()
        self._now_and_then()

    def advance(self, done: float = 1, note: str = "") -> None:
        """More is done; an empty note leaves the last one."""
        self._done += done
        self._note = note or self._note
        self._now_and_then()

    def say(self, text: str) -> None:
        """A line, at once."""
        self._write(text)

    def end(self) -> None:
        """The phase is over."""
        self._what = ""

    def _now_and_then(self) -> None:
        now = self._clock()
        if not self._what or now - self._last < self._every:
            return
        self._last = now
        parts = [self._what]
        if self._total:
            parts[0] += f" {100 * min(self._done / self._total, 1):.0f} %"
            # Earlier than that the speed is a guess: a first answer after loading would promise hours.
            if _KNOWN_FROM <= self._done / self._total < 1:
                left = (now - self._began) / self._done * (self._total - self._done)
                parts.append(f"{duration(left)} left")
        self._write(" · ".join([*parts, self._note] if self._note else parts))

    def _write(self, text: str) -> None:
        self._to.write(f"{text}\n")
        self._to.flush()


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Aligned lines under a head of all keys; a missing cell is empty.

    >>> table([{"model": "a", "kl": 0.25}, {"model": "bc"}])
    ['model  kl', 'a      0.25', 'bc']
    """
    if not rows:
        return []
    head = list(dict.fromkeys(key for row in rows for key in row))
    cells = [head, *([_cell(row.get(key)) for key in head] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _json(document: JSON) -> str:
    from accord.records import finite  # loads pydantic, which --help does without

    return json.dumps(finite(document), ensure_ascii=False, indent=2)
