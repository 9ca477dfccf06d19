"""Verdicts: the judgments of a journal as a Store, so that a desk looks there before it asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from accord.auditing.journal import Journal
from accord.records import JSON, Judgment, Record, read_record

__all__ = ["Verdicts"]


class Verdicts:
    """A Store over the journal, of judgments alone: texts are in the answers' own lines."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._new: dict[str, list[Judgment]] = {}

    def take(self, records: Iterable[Record]) -> None:
        for one in records:
            if isinstance(one, Judgment):
                self._new.setdefault(one.question, []).append(one)

    def commit(self) -> None:
        told: dict[str, dict[str, JSON]] = {}
        for question, judgments in self._new.items():
            bodies = [*self._bodies(question), *(cast(JSON, one.body()) for one in judgments)]
            told[question] = {"judgments": bodies}
        self._journal.write("judgment", told)
        self._new.clear()

    def put(self, *records: Record) -> None:
        self.take(records)
        self.commit()

    def get(self, record: str) -> Record:
        for judgment in self._every():
            if judgment.id == record:
                return judgment
        raise KeyError(f"no record {record} in this journal")

    def find(self, kind: str, *, parent: str | None = None, run: str | None = None) -> list[Record]:
        del run
        if kind != "judgment" or parent is None:
            return []
        return [read_record(kind, cast("dict[str, object]", body)) for body in self._bodies(parent)]

    def lineage(self, record: str) -> list[Record]:
        return [self.get(record)]

    def _bodies(self, question: str) -> list[JSON]:
        known = self._journal.known("judgment", question)
        return list(cast("Sequence[JSON]", known["judgments"])) if known else []

    def _every(self) -> Iterator[Record]:
        for question in self._journal.keys("judgment"):
            yield from self.find("judgment", parent=question)
