"""Tail: the lines of a live run, each once, in the order of fences, from where the last reading stopped.

Reads finished segments and the complete lines of the open ones. A line without its newline is left for the
next time; one that its writer never finished is never read. A place in a segment is a number of bytes, and
stays right when a dead writer's segment is sealed, for sealing keeps every complete line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from accord.records import Record
from accord.stores.segments import OPEN, Line, Placed, verified

__all__ = ["SEEN", "Found", "Place", "Tail", "fence_of"]

# Entries last: when the Entry of a stage is read, everything before it in the other segments has been.
SEEN = ("readings", "events", "decisions", "models")

_CHUNK = 250_000


class Place(NamedTuple):
    """How far one writer's lines of one segment have been read: in file ``number``, up to ``offset``."""

    number: int
    offset: int


class Found(NamedTuple):
    """A line of a stage with its record."""

    stage: str
    line: Line
    record: Record


class _File(NamedTuple):
    number: int
    path: Path  # without ``.open``


class Tail:
    """Reads on from ``places``, which it moves: ``stage/segment/writer`` → Place."""

    def __init__(
        self,
        run: Path,
        stages: tuple[str, ...],
        places: dict[str, Place],
        segments: tuple[str, ...] = SEEN,
    ) -> None:
        self.run, self.stages, self.places, self.segments = run, stages, places, segments
        self.problems: list[str] = []
        self._fences: dict[str, int] = {}

    def read(self, limit: int) -> list[Found]:
        """The next lines, ``limit`` at most, none where there is nothing new."""
        found: list[Found] = []
        for stage, segment in product(self.stages, self.segments):
            for writer, files in self._writers(stage, segment):
                if len(found) >= limit:
                    return found
                found += self._on(stage, segment, writer, files, limit - len(found))
        return found

    def _writers(self, stage: str, segment: str) -> list[tuple[str, list[_File]]]:
        """Each writer with its files, older fences first; one that has not written a line yet is left out."""
        folder = self.run / stage / segment
        if not folder.is_dir():
            return []
        files: dict[str, dict[int, _File]] = {}
        for path in folder.iterdir():
            writer, _, number = path.name.removesuffix(OPEN).removesuffix(".jsonl").partition("-")
            if not path.name.startswith(".") and number.isdigit():
                bare = path.with_name(path.name.removesuffix(OPEN))
                files.setdefault(writer, {})[int(number)] = _File(int(number), bare)
        ordered = [(w, [of[n] for n in sorted(of)]) for w, of in files.items()]
        fenced = [(self._fence(w, of[0]), w, of) for w, of in ordered]
        return [(w, of) for fence, w, of in sorted(fenced, key=lambda f: f[:2]) if fence]

    def _fence(self, writer: str, first: _File) -> int:
        """The fence of a writer, 0 while it has written no line."""
        if writer not in self._fences:
            fences = (line.fence for text in _complete(first.path, 0) if (line := _line(text)))
            if (fence := next(fences, 0)) == 0:
                return 0
            self._fences[writer] = fence
        return self._fences[writer]

    def _on(self, stage: str, segment: str, writer: str, files: list[_File], limit: int) -> Iterator[Found]:
        key = f"{stage}/{segment}/{writer}"
        place = self.places.get(key, Place(0, 0))
        # A file with a higher number was begun after this one was finished, and listed before it is read.
        left = [file for file in files if file.number >= place.number]
        starts = ((f, place.offset if f.number == place.number else 0) for f in left)
        texts = ((file, *line) for file, start in starts for line in _lines(file.path, start))
        while limit > 0 and (one := next(texts, None)):
            file, offset, text = one
            self.places[key] = Place(file.number, offset)
            if found := self._found(stage, segment, text, f"{file.path}@{offset}"):
                limit -= 1
                yield found

    def _found(self, stage: str, segment: str, text: bytes, where: str) -> Found | None:
        if text.startswith(b'{"footer":'):
            return None
        line = _line(text)
        record = verified(Placed(line, segment, where, "")) if line else f"{where}: no line of a run log"
        if line is None or isinstance(record, str):
            self.problems.append(str(record))
            return None
        return Found(stage, line, record)


def _lines(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """Every complete line from ``offset`` on, with the place behind it."""
    while texts := _complete(path, offset):
        for text in texts:
            offset += len(text) + 1
            yield offset, text


def fence_of(stage: Path) -> tuple[int, int]:
    """Fence and process id of the last writer of a stage; (0, 0) where none has come yet."""
    try:
        found = json.loads((stage / "writer.lock").read_bytes().partition(b"\n")[0])
        return int(found["fence"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0


def _complete(path: Path, offset: int) -> list[bytes]:
    """Complete lines from ``offset`` on, some of them; none where there are none."""
    size = _CHUNK
    while True:
        data = _read(path, offset, size)
        whole, newline, _ = data.rpartition(b"\n")
        if newline:
            return whole.split(b"\n")
        if len(data) < size:
            return []
        size *= 2  # one line longer than all of that


def _read(path: Path, offset: int, size: int) -> bytes:
    # The segment may be sealed between the listing and this: then it has lost its ending.
    for name in (path, path.with_name(path.name + OPEN), path):
        try:
            with name.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            continue
    return b""


def _line(text: bytes) -> Line | None:
    try:
        found = json.loads(text)
        numbers = all(isinstance(found[name], int) for name in ("v", "step", "fence", "seq"))
        sound = numbers and isinstance(found["wall"], float | int) and isinstance(found["body"], dict)
        return Line(**found) if sound else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
