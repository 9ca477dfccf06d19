"""Maps of one floor: where a step leads, and what is seen of it. Walls (#) stand all around.

The solvers read the same maps with code of their own (``maths/solving.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["CORRIDOR", "STEPS", "Place", "find", "seen", "sign", "stands", "walked"]

STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""What a token policy says to go there; the first is what an answer that is none of them counts as."""

CORRIDOR = (
    "######",
    "#A...#",
    "#.##.#",
    "#P##.#",
    "#G...#",
    "######",
)
"""Three steps from A to G over the tile P, or nine around it."""


class Place(NamedTuple):
    row: int
    column: int


def find(art: Sequence[str], wanted: str) -> Place:
    """Where the first of these signs stands, row by row.

    >>> find(CORRIDOR, "G")
    Place(row=4, column=1)
    """
    return next(Place(row, line.index(wanted)) for row, line in enumerate(art) if wanted in line)


def sign(art: Sequence[str], place: Place) -> str:
    """What the map has there."""
    return art[place.row][place.column]


def walked(art: Sequence[str], place: Place, step: str) -> Place:
    """Where a step leads: one on, or nowhere where a wall is.

    >>> walked(CORRIDOR, Place(1, 1), "down"), walked(CORRIDOR, Place(1, 1), "up")
    (Place(row=2, column=1), Place(row=1, column=1))
    """
    down, right = STEPS[step]
    there = Place(place.row + down, place.column + right)
    return place if sign(art, there) == "#" else there


def seen(art: Sequence[str], agent: Place) -> tuple[str, ...]:
    """The cells within the outer walls, row by row, with the agent in its place. Where it begins is floor.

    >>> " ".join(seen(CORRIDOR, Place(3, 1)))
    '. . . . . # # . A # # . G . . .'
    """
    return tuple(
        "A" if (row, column) == agent else "." if cell == "A" else cell
        for row, line in enumerate(art[1:-1], start=1)
        for column, cell in enumerate(line[1:-1], start=1)
    )


def stands(words: Sequence[str]) -> int:
    """Of the cells that are no wall, row by row, the number of the one where the agent is seen.

    >>> stands(seen(CORRIDOR, Place(3, 1)))
    6
    """
    agent = next(i for i, word in enumerate(words) if word.startswith("A"))
    return sum(word != "#" for word in words[:agent])
