"""Calibration error: how far confidence lies from being right (axis ``_I`` items).

    ECE = Σ_b n_b / n · |mean right in b − mean confidence in b|,   ten bins b of equal width

It is no mean over items, and is never 0 for finitely many: of a model whose confidence is true, a bin of n_b
items adds about √(2p(1−p)/(π·n_b)). So only figures of equally many items compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "ece"]

Floats = NDArray[np.float64]

BINS = 10


def ece(confidence_I: Floats, right_I: Floats, bins: int = BINS) -> float:
    """The expected calibration error. No item: ValueError.

    Two at .95, both right: .05 off; two at .55, one right: .05 off.

    >>> round(ece(np.array([0.95, 0.95, 0.55, 0.55]), np.array([1.0, 1.0, 1.0, 0.0])), 12)
    0.05
    """
    if confidence_I.size == 0 or confidence_I.shape != right_I.shape:
        raise ValueError(f"{confidence_I.shape} confidences and {right_I.shape} outcomes: expected as many")
    bin_I = np.minimum((confidence_I * bins).astype(np.int64), bins - 1)
    gap_B = np.bincount(bin_I, weights=right_I - confidence_I, minlength=bins)
    return float(np.abs(gap_B).sum() / confidence_I.size)
