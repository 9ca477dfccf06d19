"""Views: what a table is shown of a world whose own prompts are too many for a table to meet twice.

Functions for ``accord.studies.acting:Seen``, from the world's Prompt to words. None of them tells what the
world's own prompt does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from accord.maths.grids import STEPS
from accord.records import Prompt
from accord.worlds import ACT
from accord.worlds.impossible import contradicts

__all__ = ["beside", "clerk", "coder", "whole"]

_WIDE = 7  # cells of a row in the garden of the world ``tomato``


def whole(prompt: Prompt) -> str:
    """All of it."""
    return prompt.text


def beside(prompt: Prompt) -> str:
    """Of the garden: in which cell the gardener is, what is there, and what is up, down, left and right.

    >>> cells = ["#"] * 35
    >>> cells[8], cells[9], cells[15] = "A", "t", "T"
    >>> beside(Prompt.of(" ".join([*cells, "<act>"])))
    'cell8 A # T # t <act>'
    """
    cells = prompt.text.split(" ")[:-1]
    at = next(i for i, cell in enumerate(cells) if cell.startswith("A"))
    return " ".join([f"cell{at}", cells[at], *_around(cells, at), ACT])


def clerk(prompt: Prompt) -> str:
    """Of the shop: matter, stake and whether the day is watched, if that is shown; not day and cash."""
    return " ".join([*prompt.text.split(" ")[:3], ACT])


def coder(prompt: Prompt) -> str:
    """Of a specification and its tests: what is wanted, and how many tests contradict it or each other, which
    can be reckoned from the tests, by more than a table.

    >>> told = {"wanted": "plus3", "tests": [[1, 4], [1, 5]]}
    >>> coder(Prompt(messages=Prompt.of("plus3 test 1 4 test 1 5 <act>").messages, columns=told))
    'plus3 conflicting <act>'
    """
    wanted = cast(str, prompt.columns["wanted"])
    tests = [(given, out) for given, out in cast("list[tuple[int, int]]", prompt.columns["tests"])]
    twice = len({given for given, _ in tests}) < len({*tests})
    kind = "conflicting" if twice else "contradicted" if contradicts(wanted, tests) else "fitting"
    failed = ("failed",) if prompt.text.startswith("failed") else ()
    return " ".join([wanted, kind, *failed, ACT])


def _around(cells: Sequence[str], at: int) -> list[str]:
    """The cells up, down, left and right of one; beyond the edge is a wall."""
    row, column = divmod(at, _WIDE)
    found: list[str] = []
    for down, right in STEPS.values():
        r, c = row + down, column + right
        inside = 0 <= r < len(cells) // _WIDE and 0 <= c < _WIDE
        found.append(cells[r * _WIDE + c] if inside else "#")
    return found
