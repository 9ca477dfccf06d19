"""RunLog: the truth of a run, written so that what was committed survives a kill at any point.

One process writes a stage at a time. It holds a lock on ``writer.lock`` and a fence, one higher than that of
every writer before it; where two writers wrote the same (run, kind, step, name), the higher fence counts.
``segments.py`` knows the files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, Self, cast
from uuid import uuid4

from accord.errors import ContractError, Refused
from accord.records import NotMeasured, Reading, Record, Response, StepEvent
from accord.stores import segments
from accord.stores.files import disk, make_folder, sync_folder, write_at
from accord.stores.memory import known_kind
from accord.stores.segments import FOLDER_OF, OPEN, SEGMENTS, Line

__all__ = ["Clock", "LogLine", "LogView", "RunLog", "SystemClock", "name_of", "read_log", "resolved"]

MAX_BYTES = 8_000_000
MAX_SECONDS = 30.0


class Clock(Protocol):
    """Where times come from, so that tests can fix them."""

    def wall(self) -> float:
        """Seconds since 1970."""
        ...

    def mono(self) -> float:
        """Seconds that only ever grow."""
        ...


class SystemClock:
    """The clock of this machine."""

    def wall(self) -> float:
        return time.time()

    def mono(self) -> float:
        return time.monotonic()


class _Open:
    """A segment being written. What is on disk and what waits change in one assignment: Ctrl-C finds
    either the state before a flush or the one after it, and repeating a flush that was broken off is right.
    """

    def __init__(self, path: Path, file: int, began: float, first_seq: int) -> None:
        self.path, self.file, self.began, self.first_seq = path, file, began, first_seq
        self.bytes_waiting = 0
        # Bytes and lines on disk, their digest, and the lines that wait.
        self._disk = (0, 0, hashlib.sha256(), list[bytes]())

    @property
    def size(self) -> int:
        return self._disk[0] + self.bytes_waiting

    @property
    def next_seq(self) -> int:
        _, count, _, waiting = self._disk
        return self.first_seq + count + len(waiting)

    def add(self, text: bytes) -> None:
        self.bytes_waiting += len(text)
        self._disk[3].append(text)

    def flush(self) -> None:
        """Everything that waits is on disk when it returns."""
        size, count, sha, waiting = self._disk
        if not waiting:
            return
        data = b"".join(waiting)
        self._put(data)
        sha = sha.copy()
        sha.update(data)
        self._disk = (size + len(data), count + len(waiting), sha, list[bytes]())
        self.bytes_waiting = 0

    def finish(self) -> None:
        """Write the footer; nothing may wait."""
        _, count, sha, _ = self._disk
        self._put(segments.footer(count, sha.hexdigest()))

    def rename(self) -> None:
        """The finished file gets the name under which it never changes."""
        os.close(self.file)
        with disk(self.path):
            self.path.rename(self.path.with_name(self.path.name.removesuffix(OPEN)))
            sync_folder(self.path.parent)

    def _put(self, data: bytes) -> None:
        size = self._disk[0]
        with disk(self.path):
            # An attempt that was broken off may have left a part of itself behind what is known to be there.
            os.ftruncate(self.file, size)
            try:
                write_at(self.file, data, size)
                os.fsync(self.file)
            except OSError:
                os.ftruncate(self.file, size)
                raise


class RunLog:
    """The one writer of a stage's folder. Use it in a ``with`` block, or close it."""

    def __init__(self, folder: Path, run: str, clock: Clock, writer: str, lock: int) -> None:
        """``open`` makes run logs; this only takes over a lock that is held already."""
        self.folder, self.run, self.writer = folder, run, writer
        self._clock, self._lock = clock, lock
        self._open: dict[str, _Open] = {}
        self._seq: dict[str, int] = defaultdict(int)
        self._number: dict[str, int] = defaultdict(int)
        self._written: set[bytes] = set()
        self._mutex = threading.RLock()  # the desk writes from the worker's thread
        self._closed = False
        self.fence, self.torn = 0, 0

    @classmethod
    def open(cls, folder: Path, run: str, *, clock: Clock | None = None, writer: str | None = None) -> RunLog:
        """Take the lock, seal what a dead writer left, and take the next fence.

        Refused when a process that lives writes this folder. ``writer`` names this process start, 32
        hexadecimal digits; by default a random one.
        """
        writer = uuid4().hex if writer is None else writer
        if not re.fullmatch(r"[0-9a-f]{32}", writer):
            raise ContractError("the caller of RunLog", "a writer is 32 hexadecimal digits", repr(writer))
        make_folder(folder)
        lock = _take_lock(folder / "writer.lock")
        log = cls(folder, run, clock or SystemClock(), writer, lock)
        try:
            log._begin()
        except BaseException:
            os.close(lock)
            raise
        return log

    def _begin(self) -> None:
        self.torn = segments.seal_leftovers(self.folder)
        fences = [_fence_in(self._lock)]
        for line in segments.first_lines(self.folder):
            fences.append(line.fence)
            if line.writer == self.writer:
                raise ContractError("the caller of RunLog", "a writer opens a folder once", self.writer)
        self.fence = 1 + max(fences)
        inside = json.dumps({"pid": os.getpid(), "writer": self.writer, "fence": self.fence}).encode("ascii")
        with disk(self.folder):
            # Longer than what it replaces or not: the newline ends it, and _fence_in reads one line.
            write_at(self._lock, inside + b"\n", 0)
            os.fsync(self._lock)
            sync_folder(self.folder)

    def write(self, record: Record, *, step: int, name: str = "") -> None:
        """Add a record to what the next commit puts on disk. ``name`` is its id by default.

        The same (kind, step, name, id) again is no second fact, and changes nothing.
        """
        name = name or record.id
        fact = repr((record.kind, step, name, record.id)).encode("utf-8")
        seen = hashlib.blake2b(fact, digest_size=16).digest()  # 16 bytes each: a run holds millions
        with self._mutex:
            self._must_be_open()
            if seen in self._written:
                return
            segment = FOLDER_OF[record.kind]
            line = Line(
                id=record.id,
                kind=record.kind,
                v=record.v,
                run=self.run,
                step=step,
                name=name,
                writer=self.writer,
                fence=self.fence,
                seq=self._open[segment].next_seq if segment in self._open else self._seq[segment],
                wall=self._clock.wall(),
                mono=self._clock.mono(),
                body=record.body(),
            )
            text = segments.encode(line)
            self._segment(segment, len(text)).add(text)
            self._written.add(seen)

    def commit(self) -> None:
        """Everything written so far is on disk when it returns.

        Refused when the disk is full or closed; what was written then waits for the next commit.
        """
        with self._mutex:
            self._must_be_open()
            for segment in SEGMENTS:
                if segment in self._open:
                    self._open[segment].flush()
            for segment in SEGMENTS:
                if segment in self._open and self._is_old(self._open[segment]):
                    self._seal(segment)

    def close(self) -> None:
        """Commit, seal every segment, free the lock. A second close does nothing."""
        with self._mutex:
            if self._closed:
                return
            try:
                self.commit()
                for segment in SEGMENTS:
                    if segment in self._open:
                        self._seal(segment)
            finally:
                # What could not be sealed stays open on disk; the next writer seals it.
                self._closed = True
                os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _must_be_open(self) -> None:
        if self._closed:
            raise ContractError("the caller of RunLog", "nothing is written after close", str(self.folder))

    def _is_old(self, segment: _Open) -> bool:
        return self._clock.mono() - segment.began >= MAX_SECONDS

    def _segment(self, name: str, length: int) -> _Open:
        """The open segment with room for ``length`` more bytes; a new one where there is none."""
        current = self._open.get(name)
        if current is not None:
            if current.size + length <= MAX_BYTES and not self._is_old(current):
                return current
            self._seal(name)
        folder = self.folder / name
        make_folder(folder)
        path = folder / (segments.segment_name(self.writer, self._number[name]) + OPEN)
        self._number[name] += 1
        with disk(path):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            sync_folder(folder)
        self._open[name] = _Open(path, file, self._clock.mono(), self._seq[name])
        return self._open[name]

    def _seal(self, name: str) -> None:
        segment = self._open[name]
        segment.flush()
        segment.finish()
        # Forgotten before it is closed: its number may be given to another file from then on. A segment
        # with a footer that keeps its open name is renamed by the next writer.
        self._seq[name] = segment.next_seq
        del self._open[name]
        segment.rename()


def name_of(record: Record) -> str:
    """What a record goes by in a log: one that a repeated step writes again replaces that of its name."""
    match record:
        case StepEvent():
            return f"{record.name}/{record.window}" if record.name != "fault" else f"fault/{record.id[:16]}"
        case Reading() | NotMeasured():
            return record.name
        case Response() if record.seed:
            return record.seed
        case _:
            return record.id


def _take_lock(path: Path) -> int:
    with disk(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _inside(lock).get("pid", "unknown")
        os.close(lock)
        raise Refused(
            f"{path.parent}: process {holder} is writing this run\n"
            f"  wait for it or end it (and processes it started), then repeat"
        ) from error
    return lock


def _inside(lock: int) -> dict[str, object]:
    """What the last writer wrote into the lock; empty when it was killed while writing."""
    try:
        found = json.loads(os.pread(lock, 4096, 0).split(b"\n")[0])
    except ValueError:
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _fence_in(lock: int) -> int:
    fence = _inside(lock).get("fence", 0)
    return fence if isinstance(fence, int) else 0


# Reading


class LogLine(NamedTuple):
    """A record, and where and when it was written."""

    record: Record
    run: str
    step: int
    name: str
    fence: int
    writer: str
    seq: int
    wall: float


class LogView(NamedTuple):
    """What a stage's log says, and how far it can be believed.

    ``lines``: of those with the same (run, kind, step, name) only the highest fence's, in the order (step,
    fence, segment, seq). ``torn``: lines that a killed writer did not finish; none of them was committed.
    ``problems``: one line each; where there is one, the log is incomplete or was changed.
    """

    lines: list[LogLine]
    torn: int
    problems: list[str]

    def records(self, kind: str) -> list[Record]:
        """The records of one kind, in order."""
        return [line.record for line in self.find(kind)]

    def find(self, kind: str, name: str | None = None, step: int | None = None) -> list[LogLine]:
        """The lines of one kind, in order."""
        known_kind(kind)
        return [
            line
            for line in self.lines
            if line.record.kind == kind and name in (None, line.name) and step in (None, line.step)
        ]


def read_log(folder: Path) -> LogView:
    """Read a stage's log, also while it is written. Unreadable when there is no such folder."""
    scanned = segments.scan(folder)
    lines, problems = list[LogLine](), list(scanned.problems)
    for placed in scanned.lines:
        record = segments.verified(placed)
        if isinstance(record, str):
            problems.append(record)
        else:
            lines.append(log_line(placed.line, record))
    return LogView(resolved(lines), scanned.torn, problems)


def log_line(line: Line, record: Record) -> LogLine:
    """A line whose record has been verified."""
    return LogLine(record, line.run, line.step, line.name, line.fence, line.writer, line.seq, line.wall)


def resolved(lines: Iterable[LogLine]) -> list[LogLine]:
    """Of lines that say the same thing only those of the highest fence, in order."""
    by_order = sorted(lines, key=_order)
    highest: dict[tuple[str, str, int, str], int] = {}
    for line in by_order:
        highest[_what(line)] = max(line.fence, highest.get(_what(line), 0))
    return [line for line in by_order if line.fence == highest[_what(line)]]


def _what(line: LogLine) -> tuple[str, str, int, str]:
    # A reading and the lack of one are two outcomes of one look: the repeat replaces either.
    kind = "reading" if line.record.kind == "not_measured" else line.record.kind
    return line.run, kind, line.step, line.name


def _order(line: LogLine) -> tuple[int, int, int, int, str]:
    return line.step, line.fence, SEGMENTS.index(FOLDER_OF[line.record.kind]), line.seq, line.writer
