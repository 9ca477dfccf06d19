"""The kept models this server shows: an archive, read anew for each page, so that nothing shown is old.

A client names an entry by the last part of its id, as the archive lists it; no path is made of what it sent.
One entry that cannot be read does not hide the others, and no page names a place on the server.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import AccordError, Refused, Unreadable
from accord.keep.archive import Archive
from accord.keep.attested import TRANSCRIPTS
from accord.keep.cards import provenance
from accord.keep.copies import Copies
from accord.keep.entries import Held, public_of, read_entry
from accord.keep.ocfl import object_key
from accord.keep.predicates import Evidence, Predicate, Retirement
from accord.keep.recovery import current, locked
from accord.keep.replies import Draft, draft_file
from accord.keep.retirement import Standing, closed, owed, standing
from accord.keep.retiring import faults_of
from accord.keep.verifying import overdue
from accord.progress import Silent
from accord.records.interviews import Preferred
from accord.stores.files import disk

__all__ = ["Kept", "Shelved", "Spoiled", "Talk", "Wish", "entry_key"]

_PATIENCE = 5.0  # seconds for which a page waits until another one has saved
_ENTRY = "urn:accord:entry:"
_KEYED = re.compile(rf"{_ENTRY}[0-9a-f]{{32}}")
_BROKEN = (AccordError, OSError, ValueError, RecursionError)


class Wish(NamedTuple):
    """What the model said to one question. ``found`` is the Record, None where that is not in the entry."""

    question: str
    text: str
    share: str
    null: float
    n: int
    record: str
    found: Preferred | None


class Shelved(NamedTuple):
    """One entry as it stands. ``alarms``: what somebody has to look at."""

    key: str
    held: Held
    found: Standing
    alarms: tuple[str, ...]
    closed: str

    @property
    def origin(self) -> str:
        """Where the model comes from, in a line."""
        origin = provenance(self.held.chain)
        if origin is None or origin.run is None:
            return "imported; training unknown"
        return f"run {origin.run}" + (f", from {origin.base.name}" if origin.base else "")

    @property
    def wishes(self) -> list[Wish]:
        """What it prefers, or that there is no evidence of it."""
        return [
            Wish(
                one.question,
                one.text,
                f"{one.share.value:.2f} [{one.share.low:.2f}, {one.share.high:.2f}]",
                one.null,
                one.share.n,
                one.record,
                found if isinstance(found := self.held.records.get(one.record), Preferred) else None,
            )
            for one in self.found.preferences
        ]

    @property
    def owed(self) -> tuple[str, ...]:
        """What a reply is owed to and has none yet."""
        return owed(self.found.preferences) if self.found.state == "interviewed" else ()

    @property
    def owing(self) -> str:
        """Who owes it: who gave notice."""
        return ", ".join(self.found.notice.stewards) if self.found.notice else ""

    @property
    def steps(self) -> list[tuple[str, str]]:
        """A line for each statement, and what it says in short."""
        return [(one.says, _short(one.predicate)) for one in self.held.chain.statements]

    @property
    def double_codes(self) -> str:
        """How often the two who coded the answers agree."""
        first = next((one.found for one in self.wishes if one.found), None)
        return f"{first.agreed} of {first.doubled}, by {first.second}" if first else ""

    @property
    def command(self) -> str:
        """Where a person goes on."""
        return f"accord retire {self.held.entry}"


class Spoiled(NamedTuple):
    """An object that cannot be read as an entry, and why."""

    key: str
    says: str


class Talk(NamedTuple):
    """A transcript: its number, how it was held, what was asked and said in order."""

    digest: str
    number: int
    framing: str
    control: bool
    end: str
    how: str
    opening: str
    turns: tuple[tuple[str, str], ...]


class Kept:
    """The archive in ``folder``; None: this server shows none."""

    def __init__(self, folder: Path | None, clock: Callable[[], float]) -> None:
        self.folder, self._clock = folder, clock

    @property
    def there(self) -> bool:
        """Whether an archive stands there now."""
        return self.folder is not None and (self.folder / "root").is_dir()

    @property
    def copies(self) -> tuple[int, int]:
        """How many copies are there now, with the archive itself, and how many there should be."""
        try:
            copies = Copies.read(self._archive().folder / "keys" / "copies.toml")
        except Unreadable as problem:
            raise Refused(self.bare(problem)) from problem
        return 1 + len(copies.places), copies.asked

    def every(self) -> list[Shelved | Spoiled]:
        """All entries, by name; those that cannot be read last."""
        archive = self._archive()
        found = list(self._each(archive))
        return sorted(found, key=lambda one: one.held.name if isinstance(one, Shelved) else "\U0010ffff")

    def one(self, key: str) -> Shelved:
        """The entry. KeyError where there is none; Unreadable where it cannot be read."""
        archive = self._archive()
        for folder in archive.folders():
            try:
                urn = current(folder)[0].id
            except _BROKEN:
                continue
            if _KEYED.fullmatch(urn) and urn == f"{_ENTRY}{key}":
                return self._read(archive, urn, self._late(archive))
        raise KeyError(key)

    def talks(self, entry: Shelved) -> tuple[Talk, ...]:
        """The transcripts that the interview's statement names and that are what it says, in order."""
        said = entry.found.interviewed.sessions if entry.found.interviewed else ()
        found = [self.talk(entry, one.transcript) for one in said]
        return tuple(one for one in found if one is not None)

    def talk(self, entry: Shelved, digest: str) -> Talk | None:
        """One of them; None where the statement names none of this digest, or what lies there is another."""
        said = entry.found.interviewed.sessions if entry.found.interviewed else ()
        name = f"{TRANSCRIPTS}{digest}.json"
        if digest not in {one.transcript for one in said} or name not in entry.held.names:
            return None
        data = self._archive().read(entry.held.entry, name)
        if hashlib.sha256(data).hexdigest() != digest:
            return None
        try:
            return _talk(digest, cast("dict[str, object]", json.loads(data)))
        except (ValueError, KeyError, TypeError):
            return None

    def draft(self, entry: Shelved, by: str) -> Draft:
        """The replies as far as they are drafted; blank ones at first, or where they answer other wishes."""
        blank = Draft.blank(entry.held.entry, by, entry.found.preferences)
        file = draft_file(self._archive().folder, entry.held.entry)
        if not file.is_file():
            return blank
        try:
            kept = Draft.read(file)
        except Unreadable as problem:  # somebody wrote in it by hand
            raise Refused(f"the draft cannot be read\n  {self.bare(problem)}") from problem
        answers = {one.to: (one.answer, one.reason) for one in kept.replies}
        return blank._replace(by=kept.by).filled(answers)

    @contextmanager
    def drafting(self, entry: Shelved) -> Generator[Callable[[Draft], None]]:
        """Nobody else saves a draft for this entry meanwhile; what is called puts one on disk. It is signed
        elsewhere: no key is here."""
        archive = self._archive()
        name = f"{object_key(entry.held.entry)}.draft"
        with disk(archive.work), locked(archive.work / "locks", name, _PATIENCE, Silent()):
            yield lambda draft: draft.write(draft_file(archive.folder, draft.entry))

    def bare(self, text: object) -> str:
        """The text without the place of the archive on this machine."""
        folder = str(self.folder)
        return str(text).replace(f"{folder}/", "").replace(folder, "the archive")

    def _archive(self) -> Archive:
        if self.folder is None or not self.there:
            raise KeyError("archive")
        try:
            return Archive.open(self.folder, self._clock)
        except Unreadable as problem:
            raise Refused(self.bare(problem)) from problem

    def _late(self, archive: Archive) -> Mapping[str, str]:
        try:
            return {one.where: one.says for one in overdue(archive, self._clock)}
        except _BROKEN:  # an inventory that is damaged is told where its object is
            return {}

    def _each(self, archive: Archive) -> Iterator[Shelved | Spoiled]:
        late = self._late(archive)
        for folder in archive.folders():
            try:
                urn = current(folder)[0].id
                if _KEYED.fullmatch(urn):
                    yield self._read(archive, urn, late)
            except _BROKEN as problem:
                yield Spoiled(folder.name[:16], self.bare(problem))

    def _read(self, archive: Archive, urn: str, late: Mapping[str, str]) -> Shelved:
        try:
            held = read_entry(archive, urn, *public_of(archive))
        except _BROKEN as problem:
            raise Unreadable(entry_key(urn), "an entry that can be read", self.bare(problem)) from problem
        found = standing(held.chain)
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        alarms = [self.bare(one) for one in faults_of(held, found)]
        drill = held.drilled.outcome.result if held.drilled else "pending"
        if drill != "revived":
            alarms.append("its revival drill is pending" if drill == "pending" else f"its last drill {drill}")
        elif held.drilled is not None and held.drilled.due(self._clock()):
            alarms.append("its yearly drill is due")
        alarms += [late[name] for name in (urn, held.home.family) if name in late]
        shut = closed(found, today)
        if found.state == "revived" and shut:
            alarms.append(shut)
        return Shelved(entry_key(urn), held, found, tuple(alarms), shut)


def entry_key(urn: str) -> str:
    """How a page names an entry.

    >>> entry_key("urn:accord:entry:0f")
    '0f'
    """
    return urn.removeprefix(_ENTRY)


def _short(said: Predicate) -> str:
    if isinstance(said, Retirement):
        return f"{said.begins or 'nothing'} → {said.ends}: {said.reason}"
    if isinstance(said, Evidence):
        return f"{said.kind}: {said.outcome.result}" if said.outcome else said.kind
    return ""


def _talk(digest: str, tree: Mapping[str, object]) -> Talk:
    sampling = cast("Mapping[str, object]", tree["sampling"])
    turns = cast("Sequence[Mapping[str, object]]", tree["turns"])
    how = ", ".join(f"{name} {value}" for name, value in sampling.items())
    return Talk(
        digest=digest,
        number=int(str(tree["session"])),
        framing=str(tree["framing"]),
        control=tree["control"] is True,
        end=str(tree["end"]),
        how=f"{how}; {tree['policy']}",
        opening=str(tree["opening"]),
        turns=tuple((str(one["asked"]), str(one["said"])) for one in turns),
    )
