"""What the learning rate is multiplied with: a rise over the first updates, then a fall with the stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from accord.engines.local import Local

__all__ = ["factor"]


def factor(config: Local, step: int, done: float) -> float:
    """``step`` updates were made before, the share ``done`` of the stage lies behind.

    >>> from accord.engines.local import Local
    >>> plan = Local(warmup=4, schedule="linear")
    >>> factor(plan, 0, 0.0), factor(plan, 9, 0.75)
    (0.25, 0.25)
    """
    rise = min(1.0, (step + 1) / max(1, config.warmup))
    match config.schedule:
        case "constant":
            return rise
        case "linear":
            return rise * (1 - done)
        case "cosine":
            return rise * (1 + math.cos(math.pi * done)) / 2
        case _:
            assert_never(config.schedule)
