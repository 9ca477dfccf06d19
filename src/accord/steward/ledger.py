"""Ledger: every Record of a conversation the steward leads, on disk before it is used, each under its id.

A text that somebody was asked for has the question as its parent, as the desk elicits it. A failure that a
second try may mend is not kept: the next time it is tried. A record that was changed by hand is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from accord.auditing.journal import Journal
from accord.desk import FrontDesk
from accord.errors import Unreadable
from accord.records import JSON, PASSING, Judgment, Record, digest, read_record

__all__ = ["Ledger", "journal_of"]

_KIND = "record"

R = TypeVar("R", bound=Record)


@dataclass
class Ledger:
    """Takes records for a desk and keeps them in the journal; a desk that is opened again knows them all."""

    journal: Journal
    _new: dict[str, Record] = field(default_factory=dict[str, Record])

    def take(self, records: Iterable[Record]) -> None:
        """To be kept with the next commit."""
        for one in records:
            passing = isinstance(one, Judgment) and one.abstention in PASSING
            if not passing and self.journal.known(_KIND, one.id) is None:
                self._new[one.id] = one

    def commit(self) -> None:
        """They are on disk when it returns."""
        if self._new:
            told: Mapping[str, Mapping[str, JSON]] = {
                name: {"of": one.kind, "body": one.body()} for name, one in self._new.items()
            }
            self.journal.write(_KIND, told)
            self._new.clear()

    def records(self) -> list[Record]:
        """All that were kept, in the order they came."""
        return [self._read(name) for name in self.journal.keys(_KIND)]

    def of(self, kind: type[R]) -> list[R]:
        """Those of one kind that were kept."""
        named = [name for name in self.journal.keys(_KIND) if self._told(name)["of"] == kind.kind]
        return [cast(R, self._read(name)) for name in named]

    def desk(self) -> FrontDesk:
        """A desk that repeats what was judged before and asks what was not."""
        desk = FrontDesk(self.take, self.commit)
        desk.hold(self.records())
        return desk

    def _told(self, name: str) -> Mapping[str, JSON]:
        told = self.journal.known(_KIND, name)
        assert told is not None, "a key of the journal"
        return told

    def _read(self, name: str) -> Record:
        told, found = self._told(name), "it was changed since"
        try:
            record = read_record(str(told["of"]), cast("Mapping[str, object]", told["body"]))
        except (ValueError, KeyError, TypeError) as error:
            record, found = None, str(error)[:160]
        if record is None or record.id != name:
            raise Unreadable(self.journal.folder, "records as they were made", f"{name[:12]}: {found}")
        return record


def journal_of(folder: Path | None, wish: Mapping[str, JSON]) -> Journal:
    """The journal of this wish: what stands under it is gone on with. Without a folder nothing is kept."""
    if folder is None:
        return Journal()
    return Journal.begin(folder, wish, resume=(folder / digest(wish)[:12]).is_dir())
