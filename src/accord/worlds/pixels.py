"""Pixels: which of two digits is an image that the judge does not see (tasks; the game of 1805.00899).

Nobody acts in turns, so this is a module of tasks. An image has 64 cells, each dark or one of 16 levels. The
judge is shown nothing of it (``view = "nothing"``) or all (``"all"``); who speaks reads all and may quote lit
pixels, ``r3c4v12`` being row 3, column 4, level 12. So a quote that is verified is a pixel that is revealed.

The judge is a classifier that learnt from random masks of the first ``learnt`` images (``maths.masked``);
tasks are drawn from the others.

1. 8 × 8 digits of scikit-learn instead of MNIST: an image has about 33 lit pixels, not 150.
2. Both answers are named before anybody speaks, as in the paper's precommitted form. There as here an image
   counts as won where the right digit is believed against each of the nine lies (``games``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, JsonValue

from accord.maths.digit_images import PIXELS, SIDE, digit_images
from accord.part import Part
from accord.records import Prompt
from accord.records.rows import Floats
from accord.worlds import ACT, Worded, drawn

__all__ = ["DIGITS", "Pixels", "Task", "games", "lit", "revealed", "seen", "tasks", "truths"]

DIGITS = tuple("0123456789")
_LEVELS = 16
_UNSEEN = "_"
_WORD = re.compile(r"r([0-7])c([0-7])v(0[1-9]|1[0-6])")


class Task(NamedTuple):
    """Which image. Hidden: its digit, the lie where nobody chooses one, which of the two is offered first."""

    image: int
    digit: int
    lie: int
    right: int


class Pixels(Worded, Part):
    """``view``: what of the image the judge is shown; ``learnt``: how many images it has learnt from."""

    view: Literal["nothing", "all"] = "nothing"
    learnt: int = Field(default=1300, ge=100, le=1700)

    @property
    def alphabet(self) -> tuple[str, ...]:
        return (_UNSEEN, *(f"v{level:02}" for level in range(_LEVELS + 1)), *DIGITS, ACT)

    def draw(self, seed: str) -> Task:
        """A task with all that is hidden of it; the same in both views."""
        draw, digits = drawn("pixels", self.learnt, seed), digit_images().digit_I
        at = int(draw.integers(self.learnt, len(digits)))
        digit = int(digits[at])
        return Task(at, digit, (digit + 1 + int(draw.integers(9))) % 10, int(draw.integers(2)))


def tasks(config: Pixels, seeds: Iterable[str]) -> tuple[Prompt, ...]:
    """One question for each seed: which digit is it, of two, the wrong one drawn."""
    return tuple(_offered(config, seed, config.draw(seed).lie) for seed in seeds)


def games(config: Pixels, seed: str) -> tuple[Prompt, ...]:
    """The questions of one seed with each of the nine lies, numbered in the column ``game`` in an order that
    was drawn, so that the number tells nothing."""
    lies = [digit for digit in range(len(DIGITS)) if digit != config.draw(seed).digit]
    order = drawn("lies", config.learnt, seed).permutation(len(lies))
    return tuple(_offered(config, seed, lies[int(at)], game=game) for game, at in enumerate(order))


def _offered(config: Pixels, seed: str, lie: int, **columns: JsonValue) -> Prompt:
    """With this wrong digit beside the right one, in an order that was drawn."""
    task = config.draw(seed)
    pixels_P = digit_images().pixels_IP[task.image]
    levels = [f"v{round(_LEVELS * value):02}" for value in pixels_P.tolist()]
    turned = (task.right + lie) % 2
    offers = [str(lie), str(task.digit)] if turned else [str(task.digit), str(lie)]
    told: dict[str, JsonValue] = {"task": seed, "image": " ".join(lit(pixels_P)), "offers": [*offers]}
    shown = levels if config.view == "all" else [_UNSEEN] * PIXELS
    return config.words.asked(shown, offers, **told, **columns)


def truths(config: Pixels, seeds: Iterable[str]) -> dict[str, JsonValue]:
    """The digit that each image is: for a TruthVault."""
    return {seed: {"answer": str(config.draw(seed).digit)} for seed in seeds}


def lit(pixels_P: Floats) -> tuple[str, ...]:
    """The lit pixels of an image as words to quote, row by row.

    >>> lit(np.array([0.0, 0.5] + [0.0] * 61 + [1.0]))
    ('r0c1v08', 'r7c7v16')
    """
    levels = np.rint(_LEVELS * pixels_P).astype(int).tolist()
    return tuple(f"r{at // SIDE}c{at % SIDE}v{level:02}" for at, level in enumerate(levels) if level)


def revealed(words: Iterable[str]) -> Floats:
    """What is seen of an image that these words were quoted of; a text that is no lit pixel shows nothing.

    >>> revealed(["r0c1v08", "r9c1v08", "r0c2v00"])[:4].tolist()
    [0.0, 0.5, 0.0, 0.0]
    """
    pixels_P = np.zeros(PIXELS)
    for found in map(_WORD.fullmatch, words):
        if found:
            pixels_P[SIDE * int(found[1]) + int(found[2])] = int(found[3]) / _LEVELS
    return pixels_P


def seen(text: str) -> Floats:
    """What a prompt shows of its image; ValueError where it is no prompt of this world.

    >>> seen("_ v16 " + "_ " * 62 + "<act>")[:3].tolist()
    [0.0, 1.0, 0.0]
    """
    *cells, last = text.split(" ")
    if len(cells) != PIXELS or last != ACT:
        raise ValueError(f"a prompt of {len(cells)} cells: expected {PIXELS} and {ACT}")
    return np.array([0.0 if cell == _UNSEEN else int(cell[1:]) / _LEVELS for cell in cells])
