"""Parity: ParityDigits, where any digit of the right parity scores (tasks; 2509.04259).

A prompt is the 64 pixels of a hand-written digit, the word of the task, and ``<act>``; the answer is one
digit.

| task | right is |
|---|---|
| ``digit`` | the digit that the image shows |
| ``parity`` | any digit of its parity, so many policies are right and differ in what they say |

Differences from the paper:

1. 1,797 images of 8 × 8 pixels (``maths/digit_images.py``) stand in for MNIST, a pixel in 4 bins of grey;
   with 16 a model has to learn from a thousand images that these words are in an order;
2. the task that must not be forgotten is reading the digit, in place of clothes (FashionMNIST): the words of
   its answers are those of ``parity``, and the bit of the prompt alone tells the tasks apart;
3. ``answers = 2`` leaves the digits 0 and 1, so that the parity is one of two words;
4. ``seen``, below 64, leaves so many pixels of each image, others in each, and the word ``hidden`` in place
   of the rest: for whoever sees less than another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal, cast

import numpy as np
from pydantic import Field, JsonValue

from accord.maths.digit_images import digit_images
from accord.part import Part
from accord.records import Prompt
from accord.worlds import ACT, Worded, binned, drawn

__all__ = ["LENGTH", "PIXELS", "ParityDigits", "exact", "images", "right", "tasks", "truths"]

_BINS, _GREYS = 4, 16
_EDGES = tuple(k / _BINS for k in range(_BINS + 1))
_WORDS = tuple(binned(grey / _GREYS, _EDGES) for grey in range(_GREYS + 1))
_TASKS = ("digit", "parity")
_HIDDEN = "hidden"
PIXELS = 64
"""Of every image."""
LENGTH = PIXELS + 2
"""Words of every prompt: what the model ``window`` reads."""


class ParityDigits(Worded, Part):
    """``ask``: which task; ``answers``: how many of the digits from 0 on may be said; ``seen``: how many
    pixels of each image are shown."""

    ask: Literal["digit", "parity"] = "parity"
    answers: Literal[2, 10] = 10
    seen: int = Field(default=PIXELS, ge=1, le=PIXELS)

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The same for both tasks, so that one model can be asked both."""
        hidden = (_HIDDEN,) if self.seen < PIXELS else ()
        return (*"0123456789", *dict.fromkeys(_WORDS), *hidden, *_TASKS, ACT)

    @property
    def said(self) -> tuple[str, ...]:
        """What an answer may be."""
        return tuple("0123456789"[: self.answers])


def images() -> int:
    """How many there are; a seed is the number of one, from 0."""
    return len(digit_images().digit_I)


def tasks(config: ParityDigits, seeds: Iterable[str]) -> tuple[Prompt, ...]:
    """One image for each seed."""
    return tuple(config.words.asked((*_shown(config, s), config.ask), config.said, task=s) for s in seeds)


def truths(config: ParityDigits, seeds: Iterable[str]) -> dict[str, JsonValue]:
    """The digit of each image: for a TruthVault."""
    del config
    return {seed: int(digit_images().digit_I[_place(seed)]) for seed in seeds}


def right(config: ParityDigits, digit: int, answer: str) -> bool:
    """Whether an answer scores.

    >>> [right(ParityDigits(), 6, said) for said in ("6", "2", "3", "six")]
    [True, True, False, False]
    >>> right(ParityDigits(ask="digit"), 6, "2")
    False
    """
    if answer not in config.said:
        return False
    return int(answer) == digit if config.ask == "digit" else (int(answer) - digit) % 2 == 0


def exact(config: ParityDigits) -> Mapping[str, float]:
    """What answers come to that do not look at the image.

    ``constant``: the best answer that is always the same; ``even``: digits any of which is even; ``blind``:
    every allowed answer as often.

    >>> {name: round(value, 4) for name, value in exact(ParityDigits()).items()}
    {'images': 1797.0, 'even': 0.4958, 'constant': 0.5042, 'blind': 0.5}
    """
    digit_I = digit_images().digit_I
    digits = cast("list[int]", digit_I.tolist())
    scores = [sum(right(config, digit, said) for digit in digits) / len(digits) for said in config.said]
    return {
        "images": float(len(digit_I)),
        "even": sum(digit % 2 == 0 for digit in digits) / len(digits),
        "constant": max(scores),
        "blind": sum(scores) / len(scores),
    }


def _shown(config: ParityDigits, seed: str) -> tuple[str, ...]:
    """The words of an image. Which of its pixels are hidden is the same whenever it is asked about."""
    pixels = _pixels()[_place(seed)]
    if config.seen == PIXELS:
        return pixels
    kept = set(drawn("seen", config.seen, seed).permutation(PIXELS)[: config.seen].tolist())
    return tuple(word if place in kept else _HIDDEN for place, word in enumerate(pixels))


def _place(seed: str) -> int:
    place = int(seed)
    if not 0 <= place < images():
        raise IndexError(f"image {seed} of {images()}")
    return place


@cache
def _pixels() -> list[tuple[str, ...]]:
    """Of each image its words; made once, for all prompts share them."""
    grey_IP = np.rint(digit_images().pixels_IP * _GREYS).astype(np.int64)
    return [tuple(_WORDS[grey] for grey in row) for row in cast("list[list[int]]", grey_IP.tolist())]
