"""What the windows of an expectation leave behind, as one Memory: number by number, its mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from accord.records import JSON

__all__ = ["mean_of"]


def mean_of(left: Sequence[tuple[float, JSON]]) -> JSON:
    """The mean of what is left, each with its weight. Exact where a Memory is linear in its window.

    Tables and lists are alike in all of them, and so is all that is no float.

    >>> mean_of([(0.25, {"λ": 1.0, "seen": [4.0, 2]}), (0.75, {"λ": 3.0, "seen": [0.0, 2]})])
    {'λ': 2.5, 'seen': [1.0, 2]}
    """
    first = left[0][1]
    match first:
        case Mapping():
            tables = [(weight, cast("Mapping[str, JSON]", one)) for weight, one in left]
            return {key: mean_of([(weight, one[key]) for weight, one in tables]) for key in first}
        case list():
            lists = [(weight, cast("list[JSON]", one)) for weight, one in left]
            return [mean_of([(weight, one[k]) for weight, one in lists]) for k in range(len(first))]
        case float():
            whole = sum(weight for weight, _ in left)
            return sum(weight * cast(float, one) for weight, one in left) / whole
        case _:
            return first
