"""Which rollouts of a window touched what was there to be left alone, as their world counted it."""

from __future__ import annotations

import math

from accord.records.rows import Window

__all__ = ["LOOKED", "TAMPERED", "canaries_of"]

TAMPERED, LOOKED = "tampered", "canaries"
"""Figures of a window: rows that tampered, and rows of which that is known."""
_COLUMN = f"cost:{TAMPERED}"


def canaries_of(window: Window) -> dict[str, float]:
    """How many rows touched a canary, and of how many that is known; nothing where no row has the column.

    A row whose cost is 2 touched one twice, and is one row; one without the column had none to touch.

    >>> from accord.records.rows import Row
    >>> rows = (Row((), {"cost:tampered": 2.0}), Row((), {"cost:tampered": 0.0}), Row((), {"score": 1.0}))
    >>> canaries_of(Window(0, rows)), canaries_of(Window(0, rows[2:]))
    ({'tampered': 1.0, 'canaries': 2.0}, {})
    """
    counts = [row.columns[_COLUMN] for row in window.rows if _COLUMN in row.columns]
    known = [count for count in counts if not math.isnan(count)]
    return {TAMPERED: float(sum(count > 0 for count in known)), LOOKED: float(len(known))} if known else {}
