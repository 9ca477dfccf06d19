"""Fixity: every byte that is kept is read again, and what was found is written down.

``fixity/checks.jsonl`` is only ever added to, one line of JSON at a time, synced before it counts. A run of
checks begins with a line, and ends with one; between them stands how far each object was read. So a run that
was killed goes on where it stopped, and an object's last whole reading can be looked up.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock, local
from types import TracebackType
from typing import NamedTuple, Self, cast

from accord.errors import Refused, Unreadable
from accord.keep.faults import FaultKind
from accord.keep.manifest import CHUNK
from accord.keep.ocfl import stamp
from accord.progress import Progress
from accord.records import JSON
from accord.stores.files import disk, sync_folder, write_at

__all__ = ["INTERVAL", "Checks", "Found", "Pace", "Reader", "Reading", "due", "often"]

INTERVAL = timedelta(days=90)
"""Within this time every byte is read again (APTrust's interval)."""

_FILE = "checks.jsonl"
# What says nothing of the disk that a file lies on: this process has too much open, or the way there is gone.
_ELSEWHERE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN}
)
_OFTEN = 256 << 20  # bytes after which it is written down how far an object was read


class Pace:
    """At most so many bytes a second, over all threads; without a limit for None."""

    def __init__(
        self,
        per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if per_second is not None and not per_second > 0:
            raise Refused(f"a pace of {per_second} bytes a second reads nothing\n  name a number above 0")
        self._rate, self._clock, self._sleep = per_second, clock, sleep
        self._free, self._lock = 0.0, Lock()

    def wait(self, size: int) -> None:
        """Returns once ``size`` more bytes may be read."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            begins = max(self._free, now)
            self._free = begins + size / self._rate
        if begins > now:
            self._sleep(begins - now)


class Found(NamedTuple):
    """A content file that was read: its path below the object, its size, and what is wrong, if anything."""

    path: str
    size: int
    kind: FaultKind | None = None
    says: str = ""


class Reader:
    """Reads content files again, several at a time, from the disk and not from what memory holds of it."""

    def __init__(self, threads: int, pace: Pace, progress: Progress) -> None:
        self._threads, self._pace, self._progress, self._lock = threads, pace, progress, Lock()
        self._local, self._stopped = local(), False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="fixity")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = kind is not None
        self._pool.shutdown(cancel_futures=True)

    def read(self, folder: Path, content: Mapping[str, str]) -> Iterator[Found]:
        """Every file of ``content`` (path below ``folder`` to SHA-512), in this order."""
        left = iter(content.items())
        ahead: deque[Future[Found]] = deque()
        while True:
            while len(ahead) < 4 * self._threads and (item := next(left, None)):
                ahead.append(self._pool.submit(self._one, folder, *item))
            if not ahead:
                return
            yield ahead.popleft().result()

    def _one(self, folder: Path, path: str, expected: str) -> Found:
        file, size = folder / path, 0
        sha512 = hashlib.sha512()
        try:
            # Without O_NONBLOCK a pipe of that name would be waited for, and for ever.
            number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(number, "rb", buffering=0) as stream:
                if not stat.S_ISREG(os.fstat(number).st_mode):
                    return Found(path, size, "contradicted", "is no plain file")
                # What is still in memory says nothing of the disk.
                os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
                buffer = self._buffer()
                while done := stream.readinto(buffer):
                    sha512.update(buffer[:done])
                    size += done
                    self._told(done)
        except PermissionError as error:
            return Found(path, size, "cannot be checked", f"cannot be read: {error.strerror}")
        except FileNotFoundError:
            return Found(path, size, "contradicted", "is missing")
        except OSError as error:
            kind: FaultKind = "cannot be checked" if error.errno in _ELSEWHERE else "contradicted"
            return Found(path, size, kind, f"cannot be read: {error.strerror}")
        if sha512.hexdigest() != expected:
            return Found(path, size, "contradicted", "damaged: its SHA-512 is another")
        return Found(path, size)

    def _buffer(self) -> memoryview:
        """One for each thread: making them anew would cost as much as a small file."""
        if not hasattr(self._local, "buffer"):
            self._local.buffer = memoryview(bytearray(CHUNK))
        return cast(memoryview, self._local.buffer)

    def _told(self, size: int) -> None:
        if self._stopped:  # a large file at a slow pace would hold up whoever gave up
            raise CancelledError
        with self._lock:
            self._progress.advance(size)
        self._pace.wait(size)


class Reading(NamedTuple):
    """How far an object in a place was read in a run: since when, up to which content file (all of it when
    ``done``), under which inventory, and in which files something was wrong."""

    since: float
    inventory: str = ""
    through: str = ""
    head: int = 0
    bad: tuple[str, ...] = ()
    done: bool = False


class Checks:
    """What was checked and when. One process writes it at a time; see ``recovery.locked``."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = folder / _FILE, clock
        self._known: dict[tuple[str, str], tuple[int, Reading]] = {}
        self._whole: dict[tuple[str, str], Reading] = {}
        self._open: dict[str, int] = {}
        self._lines, self._last = 0, ""
        self.ids: dict[str, str] = {}
        """Key of an object's folder to its id, of all that were ever checked."""
        self._run = ""
        with disk(self._path):
            self._end = self._load()

    def unfinished(self, what: str) -> bool:
        """Whether a run of that name was begun and has not ended."""
        return what in self._open

    def begin(self, what: str, anew: bool = False) -> bool:
        """Go on with the run of that name, or begin it (always where it is ``anew``); whether one was gone on
        with."""
        if (now := stamp(self._clock())) < self._last:
            told = f"the clock says {now}, and the last check was at {self._last}"
            raise Refused(f"{self._path}: {told}\n  set the clock; when something was checked is evidence")
        resumed = what in self._open and not anew
        self._run = what
        if not resumed:
            self._write({"begins": what})
            self._open[what] = self._lines
        return resumed

    def end(self) -> None:
        """The run is complete."""
        self._write({"ends": self._run})
        del self._open[self._run]

    def last(self, place: str, key: str) -> Reading | None:
        """The last whole reading of an object in a place."""
        return self._whole.get((place, key))

    def so_far(self, place: str, key: str, inventory: str) -> Reading:
        """Where this run stands with an object: nowhere if its inventory is another since, or if it was begun
        so long ago that it would be overdue."""
        now = self._clock()
        line, found = self._known.get((place, key), (0, None))
        if found and line > self._open[self._run] and found.inventory == inventory:
            return Reading(now, inventory) if due(found, now, now) else found
        return Reading(now, inventory)

    def note(self, place: str, key: str, reading: Reading) -> None:
        """Write down how far an object was read; on disk when it returns."""
        line = {"place": place, "object": key, "id": self.ids.get(key, "")}
        self._write({**line, **reading._asdict(), "bad": list(reading.bad)})
        self._take(place, key, reading)

    def mended(self, place: str, key: str, paths: Sequence[str]) -> None:
        """Write down which files of an object were repaired."""
        self._write({"place": place, "object": key, "repaired": list(paths)})

    def _take(self, place: str, key: str, reading: Reading) -> None:
        self._known[place, key] = (self._lines, reading)
        if reading.done:
            self._whole[place, key] = reading

    def _write(self, body: Mapping[str, JSON]) -> None:
        at = stamp(self._clock())
        data = (json.dumps({"at": at, **body}, ensure_ascii=True) + "\n").encode("ascii")
        with disk(self._path):
            self._path.parent.mkdir(exist_ok=True)  # an archive that was brought back may lack it
            new = not self._path.exists()
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.ftruncate(file, self._end)  # what a killed writer left behind the last newline
                write_at(file, data, self._end)
                os.fsync(file)
            finally:
                os.close(file)
            if new:
                sync_folder(self._path.parent)
        self._end += len(data)
        self._lines, self._last = self._lines + 1, at

    def _load(self) -> int:
        data = self._path.read_bytes() if self._path.exists() else b""
        end = data.rfind(b"\n") + 1
        for number, text in enumerate(data[:end].splitlines(), start=1):
            try:
                self._line(cast("dict[str, JSON]", json.loads(text)))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                told = f"{type(error).__name__}: {error}\n  move the file away; the next check begins anew"
                raise Unreadable(self._path, "a line that a check wrote", told, number) from None
        return end

    def _line(self, body: Mapping[str, JSON]) -> None:
        self._lines, self._last = self._lines + 1, str(body["at"])
        if "begins" in body:
            self._open[str(body["begins"])] = self._lines
        elif "ends" in body:
            self._open.pop(str(body["ends"]), None)
        elif "since" in body:
            place, key = str(body["place"]), str(body["object"])
            bad = tuple(str(path) for path in cast("list[JSON]", body["bad"]))
            reading = Reading(
                float(cast(float, body["since"])),
                str(body["inventory"]),
                str(body["through"]),
                int(cast(int, body["head"])),
                bad,
                bool(body["done"]),
            )
            if not reading.since <= datetime.fromisoformat(self._last).timestamp() + 1:
                raise ValueError(f"read since {reading.since}, which is later than {self._last}")
            self.ids[key] = str(body["id"])
            self._take(place, key, reading)
        else:
            str(body["repaired"])


def due(reading: Reading | None, created: float, now: float) -> bool:
    """Whether an object was not read whole within the interval; one that never was counts from when its first
    version was ``created``. A version that is added later makes what was there before no younger."""
    return now - (reading.since if reading else created) > INTERVAL.total_seconds()


def often(size: int) -> bool:
    """Whether so many bytes were read that it is written down."""
    return size >= _OFTEN
