"""Is it the same computation? Loss and every gradient of one float32 step, relative, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LIMIT", "compared", "read"]

LIMIT = 1e-4


def compared(
    loss: tuple[float, float],
    ours: Mapping[str, NDArray[np.float64]],
    theirs: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """How far the two are apart; ``passed`` where nothing is farther than the limit.

    A tensor's distance is ‖ours − theirs‖ / ‖theirs‖. One whose norm is under 1e-6 of the whole gradient's is
    held against that instead, as is one that is zero: rounding is all there is in it.
    """
    apart = sorted(set(ours) ^ set(theirs))
    whole = math.sqrt(sum(float(np.sum(g**2)) for g in theirs.values()))
    gaps: dict[str, float] = {}
    squares = 0.0
    for name in sorted(set(ours) & set(theirs)):
        if ours[name].shape != theirs[name].shape:
            apart.append(name)
            continue
        gap = float(np.linalg.norm(ours[name] - theirs[name]))
        squares += gap**2
        gaps[name] = _relative(gap, max(float(np.linalg.norm(theirs[name])), 1e-6 * whole))
    worst = sorted(gaps, key=lambda name: -gaps[name])[:3]
    found = {
        "loss": list(loss),
        "loss_gap": _relative(abs(loss[0] - loss[1]), abs(loss[1])),
        "gradient_gap": _relative(math.sqrt(squares), whole),
        "worst": {name: gaps[name] for name in worst},
        "tensors": len(gaps),
        "unmatched": apart,
        "limit": LIMIT,
    }
    figures = [found["loss_gap"], found["gradient_gap"], *gaps.values()]
    # Written so that a figure which is no number fails too.
    return {**found, "passed": bool(gaps) and not apart and all(f <= LIMIT for f in figures)}


def read(file: Path) -> dict[str, NDArray[np.float64]]:
    """The tensors of a safetensors file, in float64."""
    from safetensors.numpy import load_file

    return {name: tensor.astype(np.float64) for name, tensor in load_file(file).items()}


def _relative(gap: float, size: float) -> float:
    return gap / size if size > 0 else (0.0 if gap == 0 else math.inf)
