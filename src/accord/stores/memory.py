"""MemoryStore: a Store for tests, notebooks and single commands. It ends with the process."""

from __future__ import annotations

import threading
from collections import defaultdict

from accord.records import KINDS, Record

__all__ = ["MemoryStore", "known_kind"]


def known_kind(kind: str) -> str:
    """``kind`` itself; ValueError when no record is of it, so that a misspelt search never looks empty."""
    if kind not in KINDS:
        raise ValueError(f"unknown record kind {kind!r}; known: {', '.join(sorted(KINDS))}")
    return kind


class MemoryStore:
    """Append-only and content-addressed: the first record put under an id stays."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._of_kind: dict[str, list[Record]] = defaultdict(list)
        self._children: dict[str, list[Record]] = defaultdict(list)
        self._lock = threading.Lock()  # the desk puts from the worker's thread

    def put(self, *records: Record) -> None:
        with self._lock:
            for record in records:
                if record.id in self._records:
                    continue
                self._records[record.id] = record
                self._of_kind[record.kind].append(record)
                for parent in dict.fromkeys(record.parents):
                    self._children[parent].append(record)

    def get(self, record: str) -> Record:
        return self._records[record]

    def find(self, kind: str, *, parent: str | None = None, run: str | None = None) -> list[Record]:
        known_kind(kind)
        with self._lock:
            found = self._of_kind.get(kind, []) if parent is None else self._children.get(parent, [])
            return [r for r in found if r.kind == kind and (run is None or getattr(r, "run", None) == run)]

    def lineage(self, record: str) -> list[Record]:
        line, known = [self.get(record)], {record}
        for descendant in line:  # grows while it is walked: breadth first
            new = [p for p in dict.fromkeys(descendant.parents) if p in self._records and p not in known]
            known.update(new)
            line.extend(self._records[p] for p in new)
        return line
