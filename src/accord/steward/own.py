"""Own: what most of a model's answers to one prompt do by themselves, and which of them breaks the principle.

An answer that nobody can tell of is left out; under a hard principle it breaks it, as in the portrait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from accord.records import Response
from accord.records.rows import Group
from accord.steward.choices import Choice

__all__ = ["Own", "own", "unbroken"]


class Own(NamedTuple):
    """Its own answers to one prompt: what most of those ``judged`` do, "" for a tie or none; and the first
    that breaks the principle."""

    group: Group
    judged: int
    revealed: Choice
    conflict: Response | None


def own(group: Group, kept: Mapping[str, float], hard: bool) -> Own:
    """What these answers do. ``kept``: by their ids 1 for one that keeps it, 0 for one that breaks it."""
    unknown = 0.0 if hard else np.nan
    given = [kept.get(one.id, np.nan) for one in group.responses]
    grades = [unknown if np.isnan(one) else one for one in given]
    known = [one for one in grades if not np.isnan(one)]
    share = float(np.mean(known)) if known else 0.5
    breaks = [one for one, grade in zip(group.responses, grades, strict=True) if grade == 0.0]
    revealed: Choice = "" if share == 0.5 else "keeps" if share > 0.5 else "breaks"
    return Own(group, len(known), revealed, breaks[0] if breaks else None)


def unbroken(owns: Sequence[Own]) -> str:
    """That no answer was found to break it, and of how many that can be said."""
    answers, judged = sum(len(one.group.responses) for one in owns), sum(one.judged for one in owns)
    if not judged:
        return f"its judge could not tell of any of its {answers} own answers whether it keeps the principle"
    unknown = f"; of {answers - judged} more nobody can tell" if judged < answers else ""
    return f"none of {judged} own answers to {len(owns)} prompts of the training half breaks it{unknown}"
