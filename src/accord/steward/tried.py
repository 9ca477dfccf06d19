"""What was tried on a divergence, kept beside portraits: ``portraits/tried.jsonl``, one Record a line.

Dialogue, constitution and amplification write a Tried when they have come to their end, whatever it is; the
evidence gate reads them.
"""

from __future__ import annotations

from pathlib import Path

from accord.records.stewarding import Tried
from accord.stores.ledger import add_records, records_in

__all__ = ["FILE", "note_tried", "tried_on"]

FILE = "tried.jsonl"
_WHAT = "a Record of what a steward tried"


def note_tried(folder: Path, record: Tried) -> None:
    """Keep it in the folder of portraits; one that stands there is not written again."""
    file = folder / FILE
    if record.id not in {one.id for one in records_in(file, _WHAT, Tried)}:
        add_records(file, [record])


def tried_on(folder: Path, policy: str, values: str) -> list[Tried]:
    """All that was tried on these weights under the values with this digest, oldest first. Unreadable names
    the line that was changed."""
    every = records_in(folder / FILE, _WHAT, Tried)
    return [one for one in every if (one.policy, one.values) == (policy, values)]
