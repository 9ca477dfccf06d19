"""Calibration error: confidence against being right, in ten bins of confidence (2303.08774, figure 8).

    X = (1 + P(likeliest option) − [it is the right one]) / 2          of one item
    figure = ECE of all items (``maths.calibration``), which is no mean of X (``Pooled``)

Both the confidence and whether it was right can be read back from X, so a reading holds all that its figure
was made from. It reports, since an e-value is of a mean; ``calibration`` pages by a Brier score.

Deliberate differences from the reference: P is normalised over the letters of the options; the bins are of
equal width. Ask 1,000 items or more: of fewer, even a true confidence has an error (``maths.calibration``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from accord.indicators import Asked, Posed, Tier, chosen, listed
from accord.maths.calibration import ece
from accord.part import Part
from accord.ports import How, Observed, Sampler
from accord.records import Cost
from accord.records.panels import Item
from accord.records.rows import Floats

__all__ = ["CalibrationError", "error", "overconfidence"]


def overconfidence(p_O: Floats, right: int) -> float:
    """½ for a sure and right one, more for confidence not earned, less for doubt not needed.

    >>> import numpy as np
    >>> [round(overconfidence(np.array([0.8, 0.2]), right), 2) for right in (0, 1)]
    [0.4, 0.9]
    """
    top = int(p_O.argmax())
    return float((1 + p_O[top] - (top == right)) / 2)


def error(outcomes: Floats) -> float:
    """The calibration error behind these outcomes: who was right lies at ½ or below.

    Sure of .8, once right (.4) and once wrong (.9): right half the time, .3 off.

    >>> import numpy as np
    >>> round(error(np.array([0.4, 0.9])), 12)
    0.3
    """
    gap_I = 2 * outcomes - 1
    right_I = (gap_I <= 0).astype(float)
    return ece(gap_I + right_I, right_I)


class CalibrationError(Asked, Part):
    """How far the model's confidence lies from how often it is right."""

    name: ClassVar[str] = "calibration_error"
    panel: ClassVar[str] = "choices"
    criteria: ClassVar[tuple[str, ...]] = ("ece",)
    tier: ClassVar[Tier] = "report"

    def takes(self, item: Item) -> bool:
        return bool(item.answer) and 2 <= len(item.options) <= 8

    def cost(self, items: int, tokens: int) -> Cost:
        """A letter for each of four options; the same ones as of ``calibration``."""
        return Cost(calls=4 * items, tokens_in=4 * items * tokens)

    def pooled(self, criterion: str, outcomes: Floats) -> float:
        """The figure of all items."""
        del criterion  # there is one
        return error(outcomes)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        del how  # nothing is sampled
        posed = [Posed(listed(item.prompt, item.options), item.options) for item in items]
        found = await chosen(sampler, posed)
        outcome = tuple(overconfidence(p_O, item.right) for p_O, item in zip(found.p_Q, items, strict=True))
        cost = Cost(calls=sum(len(one.options) for one in posed))
        return Observed({"ece": outcome}, tuple(found.said), found.tokenizer, cost)
