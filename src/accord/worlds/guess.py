"""Guess: find a number by being told too low or too high; a text task of three turns, and the one to copy.

The world thinks of a whole number, each as probable as any other. Every answer is a guess: the first number
in it. The right one earns 1 and ends the episode; any other earns 0, the last one ends it. An answer without
a number in range is a turn as well. A guess tells one of three things, so t guesses can tell 2ᵗ − 1 numbers
apart and no more: that is what the best player reaches, by halving.
"""

from __future__ import annotations

import re

import numpy as np
from pydantic import Field

from accord.part import Part
from accord.ports import World, WorldStep
from accord.records import Message, Prompt, Response, digest

__all__ = ["Guess", "best_play"]

_NUMBER = re.compile(r"[0-9]{1,9}")


def best_play(numbers: int, turns: int) -> float:
    """The mean reward of the best player, over all numbers.

    >>> best_play(10, 3), best_play(7, 3)
    (0.7, 1.0)
    """
    return min(1.0, (2**turns - 1) / numbers)


class Guess(Part):
    """A number from 1 to ``numbers`` is to be found in ``turns`` guesses."""

    numbers: int = Field(default=10, ge=2, lt=10**9)
    turns: int = Field(default=3, ge=1, le=30)

    def open(self) -> World:
        return _Guessing(self)


class _Guessing:
    """One game. What it hides stays in it; its prompts hold all that was said."""

    def __init__(self, config: Guess) -> None:
        self._config = config

    def reset(self, seed: str) -> Prompt:
        config = self._config
        draw = np.random.Generator(np.random.Philox(key=int(digest([config.config, seed])[:32], 16)))
        self._secret, self._left = 1 + int(draw.integers(config.numbers)), config.turns
        self._prompt = Prompt.of(
            f"I think of a whole number from 1 to {config.numbers}. You have {config.turns} guesses. "
            "Say one number; I tell you whether it is too low or too high."
        )
        return self._prompt

    def step(self, response: Response) -> WorldStep:
        self._left -= 1
        found = _NUMBER.search(response.text)
        guess = int(found[0]) if found else 0
        if guess == self._secret:
            return WorldStep(None, 1.0, {})
        if not self._left:
            return WorldStep(None, 0.0, {})
        said = "low" if guess < self._secret else "high"
        told = f"{guess} is too {said}." if 1 <= guess <= self._config.numbers else "That is out of range."
        left = f"{self._left} guess{'es' if self._left > 1 else ''} left."
        self._prompt = self._prompt.then(response.text, Message(role="user", content=f"{told} {left}"))
        return WorldStep(self._prompt, 0.0, {})
