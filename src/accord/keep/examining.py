"""One object after the other, in every place: what it has to be, what it is, and its repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from accord.keep.faults import Fault
from accord.keep.fixity import Checks, Found, Reader, Reading, due, often
from accord.keep.ocfl import stamp
from accord.keep.repair import Signed, alone, mend, undecided
from accord.keep.sound import Agreed, Shape, agree, born, shape
from accord.keep.steps import Steps
from accord.keep.transfer import Place
from accord.progress import Progress

__all__ = ["Examination", "How", "unread"]

_DAY = 86_400.0


class How(NamedTuple):
    """``due_only``: read whole only what was not read for 90 days. ``repair``: mend what is wrong."""

    due_only: bool
    repair: bool


class _Item(NamedTuple):
    """An object in a place: how far it was read before, and which content files are read now."""

    place: Place
    agreed: Agreed
    shape: Shape
    last: Reading | None
    reading: Reading
    again: Mapping[str, str]
    whole: bool

    @property
    def folder(self) -> Path:
        return self.place.object(self.agreed.key)


class Examination:
    """Collects what it finds. The first of ``places`` is the archive; ``checks`` learns what was read."""

    def __init__(
        self,
        places: Sequence[Place],
        checks: Checks,
        clock: Callable[[], float],
        steps: Steps,
        progress: Progress,
    ) -> None:
        self._places, self._checks, self._clock = places, checks, clock
        self._steps, self.progress = steps, progress
        self.faults: list[Fault] = []
        self.mended: list[Path] = []
        self.notes: list[str] = []
        self.agreed: dict[str, Agreed] = {}
        self.whole: dict[str, int] = {}
        """In how many places each object lies whole, of those that were looked at."""
        self.files = self.size = self.left = 0

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    def survey(self) -> list[str]:
        """The keys of all objects that any place has or an earlier check saw; what they hold is agreed on."""
        keys = {path.name for place in self._places for path in _objects(place)}
        for key in sorted(keys | self._checks.ids.keys()):
            self._stands(key, {})
        return sorted(self.agreed)

    def id(self, key: str) -> str:
        """The id of an object, or what stands for it where no inventory is left that says so."""
        return self.agreed[key].id or self._checks.ids.get(key) or f"object {key[:16]}"

    def look(self, reader: Reader, keys: Sequence[str], how: How, signed: Mapping[str, Signed]) -> None:
        """Examine these objects. ``signed``: by id, which of their inventories statements name."""
        items = [item for key in keys for item in self._items(key, how, signed.get(self.id(key), {}))]
        size = sum(_size(one.folder / path) for one in items for path in one.again)
        self.progress.begin("read again", size)
        for item in items:
            damaged = self._read(reader, item)
            faults = [*self._structure(item, item.shape), *_told(item, damaged, self.id(item.agreed.key))]
            if faults and how.repair:
                mine = signed.get(self.id(item.agreed.key), {})
                item, faults, damaged = self._repaired(reader, item, damaged, mine)
            self.faults += faults
            self.whole[item.agreed.key] += not faults
            self._note(item, damaged)
        self.progress.end()

    def _stands(self, key: str, signed: Signed) -> tuple[Shape, ...]:
        """What the object has to be, and how it stands in each place; nobody writes to it meanwhile."""
        folders = [place.object(key) for place in self._places]
        with alone(self._places[:1], key, self.progress):
            agreed = self.agreed[key] = agree(folders, signed, self._seen(key))
            shapes = tuple(shape(folder, agreed) for folder in folders)
        if agreed.id:
            self._checks.ids[key] = agreed.id
        return shapes

    def _items(self, key: str, how: How, signed: Signed) -> Iterator[_Item]:
        shapes = self._stands(key, signed)
        agreed, self.whole[key] = self.agreed[key], 0
        if not any(place.object(key).is_dir() for place in self._places):
            says = f"{self.id(key)} was checked before, and lies nowhere any more: removed by hand"
            self.faults.append(Fault("contradicted", str(self._places[0].object(key)), says))
            return
        if agreed.against:
            fault = undecided(agreed)
            self.faults.append(fault._replace(says=f"{fault.says} ({self.id(key)})"))
            return
        for place, found in zip(self._places, shapes, strict=True):
            yield self._item(place, agreed, found, how.due_only)

    def _item(self, place: Place, agreed: Agreed, found: Shape, due_only: bool) -> _Item:
        assert agreed.newest is not None
        content, last = agreed.content(found.here), self._checks.last(place.name, agreed.key)
        reading = self._checks.so_far(place.name, agreed.key, agreed.digest)
        created = datetime.fromisoformat(agreed.newest.versions[0].created).timestamp()
        now, late = self._clock(), due(last, created, self._clock())
        if late and found.here and not reading.through:
            self.notes.append(f"{agreed.newest.id} in {place.shown}: {unread(last, created, now)}")
        folder = place.object(agreed.key)
        missed = set(reading.bad) | {path for path in content if not (folder / path).is_file()}
        whole = late or not due_only
        if whole and not reading.done:
            missed |= {path for path in content if path > reading.through}
        elif last:
            missed |= set(last.bad) & content.keys()
        again = {path: digest for path, digest in content.items() if path in missed}
        self.left += 0 if whole else len(content) - len(again)
        return _Item(place, agreed, found, last, reading, again, whole)

    def _read(self, reader: Reader, item: _Item) -> dict[str, Found]:
        """The files that were found wanting. How far it got is written down now and then."""
        damaged: dict[str, Found] = {}
        through, size = item.reading.through, 0
        for one in reader.read(item.folder, item.again):
            self.files, self.size, size = self.files + 1, self.size + one.size, size + one.size
            through = max(through, one.path)
            if one.kind:
                damaged[one.path] = one
            if item.whole and often(size):
                left = (path for path in item.reading.bad if path > one.path)
                part = item.reading._replace(through=through, bad=tuple(sorted({*damaged, *left})))
                self._checks.note(item.place.name, item.agreed.key, part)
                size = 0
        return damaged

    def _structure(self, item: _Item, found: Shape) -> list[Fault]:
        """What is wrong beside content."""
        head, here = item.agreed.head, found.here
        faults = [
            Fault("contradicted", str(item.folder / path), f"{says} ({self.id(item.agreed.key)})")
            for path, says in sorted(found.wrong.items())
        ]
        for path in found.strays:
            says = "stands in no inventory: put there by hand; look at it, and move it away"
            faults.append(Fault("contradicted", str(item.folder / path), says))
        if here < head and (not item.place.name or (item.last and item.last.head > here)):
            says = f"{self.id(item.agreed.key)}: has {here} of its {head} versions, and another place has all"
            faults.append(Fault("contradicted", str(item.folder), f"{says}: removed by hand"))
        elif here < head:
            says = (
                f"{self.id(item.agreed.key)}: has {here} of its {head} versions; --repair brings the others"
            )
            faults.append(Fault("cannot be checked", str(item.folder), says))
        return faults

    def _repaired(
        self, reader: Reader, item: _Item, damaged: Mapping[str, Found], signed: Signed
    ) -> tuple[_Item, list[Fault], dict[str, Found]]:
        """The object after the repair, and what is still wrong with it."""
        key = item.agreed.key
        done = mend(item.place, self._places, key, damaged, signed, self._seen(key), self._steps)
        if done.mended:
            self.mended += done.mended
            names = [path.relative_to(item.folder).as_posix() for path in done.mended]
            self._checks.mended(item.place.name, key, names)
        found = self._stands(key, signed)[self._places.index(item.place)]
        now = item._replace(agreed=self.agreed[key], shape=found)
        content = now.agreed.content(found.here)
        fresh = [path for path in content if born(path) > item.shape.here]
        again = {path: content[path] for path in sorted({*damaged, *fresh})}
        left = {one.path: one for one in reader.read(item.folder, again) if one.kind}
        told = {fault.where: fault for fault in done.faults}
        for fault in (*self._structure(now, found), *_told(now, left, self.id(key))):
            told.setdefault(fault.where, fault)
        return now, list(told.values()), left

    def _note(self, item: _Item, damaged: Mapping[str, Found]) -> None:
        """Write down that the object was read, or that what was damaged is not any more."""
        bad = tuple(sorted(damaged))
        before = item.reading if item.whole else item.last
        if before is None or (before.done and before.bad == bad):
            return
        after = before._replace(head=item.shape.here, inventory=item.agreed.digest, bad=bad, done=True)
        self._checks.note(item.place.name, item.agreed.key, after)

    def _seen(self, key: str) -> int:
        lasts = [self._checks.last(place.name, key) for place in self._places]
        return max((last.head for last in lasts if last), default=0)


def unread(last: Reading | None, created: float, now: float) -> str:
    """How long an object was not read, where that is too long."""
    since = last.since if last else created
    what = "not read" if last else "never read by a check, and kept"
    days = int((now - since) / _DAY)
    return f"overdue: {what} since {stamp(since)[:10]}, {days} days ago, and every 90 days it has to be read"


def _told(item: _Item, damaged: Mapping[str, Found], urn: str) -> Iterator[Fault]:
    for one in damaged.values():
        assert one.kind is not None
        yield Fault(one.kind, str(item.folder / one.path), f"{one.says} ({urn})")


def _objects(place: Place) -> Iterator[Path]:
    """The folders where objects lie, sound or not."""
    for path in (place.folder / "root").glob("*/*/*/*"):
        if path == place.object(path.name) and path.is_dir():
            yield path


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
