"""The runs this server shows: a folder of runs, read while they are written. Nothing here writes.

A client names a run by its id, which is the name of a folder right under ``--runs``, as that folder lists it.
So no id leads anywhere else, whatever characters it is made of; and a run that holds a link, where a run
holds files, is not read: what a link points at is not the run's.

What was read is kept, and each look reads on from there: a few runs whole, many in short.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from accord.errors import Unreadable
from accord.reports.document import Guarded
from accord.reports.following import Following, Seen
from accord.reports.logs import StageLog
from accord.reports.watch import Guarding, Watched, guarding, watched
from accord.stores.foreign.trackers.tail import Place, Tail
from accord.stores.segments import SEGMENTS

__all__ = ["Broken", "Look", "Shelf", "Short"]

_WHOLE, _SHORT = 8, 500  # runs that are kept as far as they were read
_BROKEN = (Unreadable, OSError, UnicodeError, RecursionError)  # what reading a bad folder comes to
_IN_SHORT = ("events", "decisions", "models")  # what says how far a run is


class Look(NamedTuple):
    """One stage of a run as it is now. ``log`` has the newest updates only; ``stages`` are the plan's."""

    view: Watched
    guard: Guarded
    log: StageLog
    stages: tuple[str, ...]
    reported: bool


class Short(NamedTuple):
    """How far a run is."""

    run: str
    plan: str
    view: Watched
    reported: bool


class Broken(NamedTuple):
    """A folder that was a run's, or is to become one, and why it cannot be read."""

    run: str
    says: str


class _Whole(Following):
    """A run of which any stage is looked at, so that nothing of an earlier one is dropped."""

    def look_at(self, name: str) -> Seen:
        self._read()
        logs = [self._log(stage) for stage in self.plan.stage]
        states = tuple((log.stage.name, log.status()) for log in logs)
        begun = [log for log in logs if log.view is not None]
        asked = next((log for log in logs if log.stage.name == name), (begun or logs[:1])[-1])
        return Seen(self.run, states, asked, self._spoken(asked), tuple(self._problems))


class _Short(Following):
    """A run without its readings: they are most of what a whole look reads."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self._tail = Tail(run, tuple(stage.name for stage in self.plan.stage), dict[str, Place](), _IN_SHORT)


_F = TypeVar("_F", bound=Following)


class _Kept(Generic[_F]):
    """A follower, what its guard came to, and a lock: two people may look at one run at once."""

    def __init__(self, follower: _F) -> None:
        self.follower, self.lock = follower, Lock()
        self.guarding: Guarding | None = None


class _Box(Generic[_F]):
    """The followers that were asked for last. A run made anew under an old name is another run."""

    def __init__(self, make: Callable[[Path], _F], most: int) -> None:
        self._make, self._most, self._lock = make, most, Lock()
        self._kept: OrderedDict[tuple[str, int, int], _Kept[_F]] = OrderedDict()

    def of(self, folder: Path) -> _Kept[_F]:
        try:
            about = (folder / "run.json").stat()
        except OSError as error:
            raise Unreadable(folder.name, "a run's folder", "it has no run.json") from error
        key = folder.name, about.st_ino, about.st_mtime_ns
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = _Kept(self._make(folder))
        with self._lock:
            kept = self._kept.setdefault(key, made)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return kept


class Shelf:
    """The runs under one folder. ``folder`` None: this server shows none."""

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        self.folder, self._clock = folder, clock
        self._whole, self._short = _Box(_Whole, _WHOLE), _Box(_Short, _SHORT)

    def names(self) -> list[str]:
        """Ids of all runs, the one begun last first."""
        begun = {name: _begun(path) for name, path in self._folders()}
        return sorted(begun, key=lambda name: (-begun[name], name))

    def find(self, run: str) -> Path:
        """The folder of a run. KeyError where the folder of runs lists no such run."""
        for name, path in self._folders():
            if name == run:
                return path
        raise KeyError(run)

    def short(self, run: str) -> Short | Broken:
        """How far a run is, or why that cannot be told; one bad run does not hide the others."""
        folder = self.find(run)
        try:
            _refuse_links(folder, ())
            kept = self._short.of(folder)
            with kept.lock:
                _refuse_links(folder, _names(kept.follower))
                seen = kept.follower.look()
                kept.guarding = guarding(seen, kept.guarding)
                view = self._view(seen, kept.guarding)
            return Short(run, kept.follower.plan.name, view, _reported(folder))
        except _BROKEN as problem:
            return Broken(run, _bare(str(problem), folder))

    def look(self, run: str, stage: str = "") -> Look:
        """A stage, or the one at work. KeyError: there is no such run, or stage; Unreadable: a broken run."""
        folder = self.find(run)
        try:
            _refuse_links(folder, ())
            kept = self._whole.of(folder)
            names = _names(kept.follower)
            if stage and stage not in names:
                raise KeyError(stage)
            with kept.lock:
                _refuse_links(folder, names)
                seen = kept.follower.look_at(stage)
                kept.guarding = guarding(seen, kept.guarding)
                view = self._view(seen, kept.guarding)
                return Look(view, kept.guarding.guard, seen.log, names, _reported(folder))
        except _BROKEN as problem:
            raise Unreadable(run, "a run that can be read", _bare(str(problem), folder)) from problem

    def report(self, run: str, most: int) -> bytes:
        """The page of a run's report. KeyError: no such run, or none was written; Unreadable: too large."""
        file = self.find(run) / "report.html"
        try:
            with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
                data = opened.read(most + 1)
        except OSError as error:
            raise KeyError("report.html") from error
        if len(data) > most:
            raise Unreadable(f"{run}/report.html", f"at most {most:,} bytes", "it is larger")
        return data

    def _view(self, seen: Seen, guard: Guarding) -> Watched:
        """Commands name the run as it is named here: where it lies on the server is nobody's business."""
        problems = tuple(_bare(problem, seen.run) for problem in seen.problems)
        bare = seen._replace(run=Path(seen.run.name), problems=problems)
        return watched(bare, guard.guard, self._clock())

    def _folders(self) -> Iterator[tuple[str, Path]]:
        """Each folder that holds a run, is no link, and is not hidden."""
        if self.folder is None or not self.folder.is_dir():
            return
        with os.scandir(self.folder) as entries:
            for entry in entries:
                path = self.folder / entry.name
                hidden = entry.name.startswith(".")
                if not hidden and entry.is_dir(follow_symlinks=False) and os.path.lexists(path / "run.json"):
                    yield entry.name, path


def _names(follower: Following) -> tuple[str, ...]:
    return tuple(stage.name for stage in follower.plan.stage)


def _begun(folder: Path) -> float:
    try:
        return (folder / "run.json").lstat().st_mtime
    except OSError:
        return 0.0


def _reported(folder: Path) -> bool:
    report = folder / "report.html"
    return report.is_file() and not report.is_symlink()


def _bare(text: str, folder: Path) -> str:
    """The text without the place of the run on this machine."""
    return text.replace(f"{folder}/", "").replace(str(folder), folder.name)


def _refuse_links(folder: Path, stages: tuple[str, ...]) -> None:
    """Unreadable where anything that is read of these stages, or of the run itself, is a link."""
    read = [folder / name for name in ("run.json", "plan.toml")]
    for stage in stages:
        parts = [folder / stage, folder / stage / "writer.lock"]
        parts += [folder / stage / segment for segment in SEGMENTS]
        read = [*read, *parts]
    inside = (path for part in read if part.parent != folder for path in _linked(part))
    for path in chain((path for path in read if path.is_symlink()), inside):
        raise Unreadable(path.relative_to(folder), "a file or folder of the run", "a link")


def _linked(segment: Path) -> list[Path]:
    if segment.is_symlink() or not segment.is_dir():
        return []
    try:
        with os.scandir(segment) as entries:
            return [segment / entry.name for entry in entries if entry.is_symlink()]
    except OSError:
        return []
