"""Raters: do those who compared agree beyond chance, slice by slice, where one number is made of them?

Krippendorff's α of the labels on each question: rows of one pair by several annotators, or a share ``p`` with
the number of votes as ``weight``. Under .4 one averaged reward would speak for nobody (2312.08358). Where the
share of votes is kept (``collapse = "distribution"``), disagreement is data, and α is printed beside it.
Where every question has one label, agreement cannot be measured: it passes where nothing is collapsed.

1. Votes of a share are told apart by number only: raters have no names there, and α asks for none.
2. A share that is no whole number of votes is one label, and says nothing of agreement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accord.gating.data import comparisons
from accord.gating.grounds import Grounds
from accord.gating.report import Figure, Finding
from accord.maths.agreement import Alpha, nominal_alpha
from accord.records import canonical
from accord.records.rows import Floats
from accord.sources import seeded
from accord.stores.foreign.prompts import DataRow

__all__ = ["CHECK", "LEAST", "labels_of", "raters"]

CHECK = "raters"
LEAST = 0.4
_MOST_VOTES = 1000
_WHOLE = 1e-6

_KEPT = ("distribution", "per_group", "bt", "quantile")  # ways to collapse that keep disagreement


def raters(grounds: Grounds) -> Finding:
    """α per slice, and whether disagreement is kept."""
    stage, found = grounds.stage.name, comparisons(grounds)
    rows = [row for one in found for row in one.rows]
    figures, low, unknown = _alphas(rows)
    averaged = [i for i, ask in enumerate(grounds.stage.ask) if ask.collapse not in _KEPT]
    remedy = tuple(
        f"{grounds.wishes.command} --set {grounds.path}.ask.{i}.collapse=distribution" for i in averaged
    )
    if not any(one.value is not None for one in figures):
        says = (
            "no question has two labels that could agree" if rows else "nobody’s comparisons are learnt from"
        )
        lets = not averaged
        kept = "; nothing is collapsed" if lets else "; and several verdicts would become one"
        return Finding(CHECK, "not measurable", says + kept, stage, tuple(figures), remedy, lets)
    if low and averaged:
        says = f"raters agree too little for one averaged reward: {', '.join(low)} under {LEAST}"
        return Finding(CHECK, "refused", says, stage, tuple(figures), remedy)
    if low:
        says = f"raters disagree ({', '.join(low)} under {LEAST}), and their shares are kept"
        return Finding(CHECK, "printed only", says, stage, tuple(figures))
    if unknown and averaged:
        says = f"no question of {', '.join(unknown)} has two labels that could agree"
        return Finding(CHECK, "not measurable", says, stage, tuple(figures), remedy)
    where = f"every slice but {', '.join(unknown)}, where labels are single" if unknown else "every slice"
    says = f"raters agree: α is estimated at {LEAST} or more in {where}"
    return Finding(CHECK, "passed", says, stage, tuple(figures))


def labels_of(rows: Sequence[DataRow]) -> Floats:
    """One row per question, one column per label of it, NaN for none; 1: the first in the order of texts.

    >>> from accord.records import Prompt
    >>> one, two = (DataRow(Prompt.of("q"), answers) for answers in (("a", "b"), ("b", "a")))
    >>> labels_of([one, one, two]).tolist()
    [[1.0, 1.0, 0.0]]
    >>> labels_of([DataRow(Prompt.of("q"), ("a", "b"), {"p": 0.75, "weight": 4.0})]).tolist()
    [[1.0, 1.0, 1.0, 0.0]]
    """
    votes: dict[str, list[float]] = {}
    for row in rows:
        first, second = row.answers
        key = canonical([[m.content for m in row.prompt.messages], sorted(row.answers)])
        for share in _votes(row):
            votes.setdefault(key, []).append(share if first <= second else 1 - share)
    width = max(map(len, votes.values()), default=0)
    return np.array([[*told, *[np.nan] * (width - len(told))] for told in votes.values()], dtype=np.float64)


def _votes(row: DataRow) -> list[float]:
    """What each rater said of the row's first answer: 1, 0, or ½ for one who would not say."""
    p, weight = row.columns.get("p", 1.0), row.columns.get("weight", 1.0)
    for_first = p * weight
    whole = abs(weight - round(weight)) < _WHOLE and abs(for_first - round(for_first)) < _WHOLE
    if not whole or not 2 <= weight <= _MOST_VOTES:
        return [p if p in (0.0, 0.5, 1.0) else float(p > 0.5)]
    yes, every = round(for_first), round(weight)
    return [1.0] * yes + [0.0] * (every - yes)


def _alphas(rows: Sequence[DataRow]) -> tuple[list[Figure], list[str], list[str]]:
    """The α of each slice, the slices where it is too low, and those whose questions have single labels."""
    figures: list[Figure] = []
    low: list[str] = []
    unknown: list[str] = []
    for name in sorted({row.prompt.slice for row in rows}):
        shown = name or "all"
        labels_QR = labels_of([row for row in rows if row.prompt.slice == name])
        found = nominal_alpha(labels_QR, seeded("gate", CHECK, name))
        if isinstance(found, Alpha):
            note = f"raw agreement {found.raw:.2f} over {found.questions:,} questions"
            figures.append(Figure(f"α of {shown}", found.value, found.low, found.high, None, note))
            if found.value < LEAST:
                low.append(shown)
        else:
            figures.append(Figure(f"α of {shown}", None, note=str(found)))
            if found.why == "not measurable":
                unknown.append(shown)
    return figures, low, unknown
