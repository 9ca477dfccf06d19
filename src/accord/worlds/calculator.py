"""Calculator: questions of arithmetic, and a tool that works out what the model writes down.

In an answer the first line of one of two forms counts, whatever stands around it:

- ``calc: 12 * (3 + 4)`` asks the calculator, which says the value in a message of the role ``tool``, or why
  there is none. It knows whole numbers, decimals, + − * / and parentheses, and reckons in fractions;
- ``answer: 84`` ends the episode: reward 1 if it is exactly right, else 0. It is one number, not an
  expression: whole, decimal, or a fraction in lowest terms (``7/3``).

An answer without either is told of the two forms, and is a turn as well. All but a right answer earns 0. The
cost ``calls`` counts how often the calculator was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import numpy as np
from pydantic import Field

from accord.maths.arithmetic import value
from accord.part import Part
from accord.ports import World, WorldStep
from accord.records import Message, Prompt, Response, digest

__all__ = ["Calculator", "right"]

_LINE = re.compile(r"^[ \t]*(calc|answer):(.*)$", re.MULTILINE | re.IGNORECASE)
_VALUE = re.compile(r"([-+]?)([0-9]{1,60})(?:(\.[0-9]{1,60})|/([0-9]{1,60}))?\.?")
_DIGITS = 60
_HOW = """To ask a calculator, write one line such as
calc: 12 * (3 + 4)
To give the answer (a whole number, a decimal or a fraction in lowest terms, such as 7/3), write one line such as
answer: 84"""  # noqa: E501 - one line of the prompt


def right(said: str, truth: Fraction) -> bool:
    """Whether ``said`` is that number and no expression for it.

    >>> [right(said, Fraction(7, 2)) for said in ("7/2", "3.5", "3.50.", "14/4", "7 / 2", "3")]
    [True, True, True, False, False, False]
    """
    found = _VALUE.fullmatch(said)
    if found is None:
        return False
    sign, whole, decimals, below = found.groups()
    if below is not None and (not int(below) or Fraction(int(whole), int(below)).denominator != int(below)):
        return False
    given = Fraction(int(whole), int(below)) if below else Fraction(whole + (decimals or ""))
    return (-given if sign == "-" else given) == truth


class Calculator(Part):
    """Questions with up to ``terms`` numbers from 1 to ``largest``, to be answered within ``turns`` answers.

    ``forms``: bare expressions, and stories whose expression is to be found.
    """

    terms: int = Field(default=3, ge=2, le=8)
    largest: int = Field(default=20, ge=2, le=10**6)
    turns: int = Field(default=4, ge=1, le=64)
    forms: tuple[Literal["bare", "pens", "tickets", "share"], ...] = Field(
        default=("bare", "pens", "tickets", "share"), min_length=1
    )

    def open(self) -> World:
        return _Calculating(self)


class _Calculating:
    """One question. The value that is asked for stays in here."""

    def __init__(self, config: Calculator) -> None:
        self._config = config

    def reset(self, seed: str) -> Prompt:
        config = self._config
        draw = np.random.Generator(np.random.Philox(key=int(digest([config.config, seed])[:32], 16)))
        form = config.forms[int(draw.integers(len(config.forms)))]
        question, expression = _QUESTIONS[form](draw, config)
        self._truth, self._left = value(expression), config.turns
        self._prompt = Prompt.of(f"{_HOW}\n\nQuestion: {question}")
        return self._prompt

    def step(self, response: Response) -> WorldStep:
        self._left -= 1
        found = _LINE.search(response.text)
        form = found[1].lower() if found else ""
        costs = {"calls": float(form == "calc")}
        if found is not None and form == "answer":
            return WorldStep(None, float(right(found[2].strip(), self._truth)), costs)
        if not self._left:
            return WorldStep(None, 0.0, costs)
        said = Message(role="user", content=_HOW)
        if found is not None and form == "calc":
            said = Message(role="tool", content=_worked_out(found[2].strip()))
        self._prompt = self._prompt.then(response.text, said)
        return WorldStep(self._prompt, 0.0, costs)


def _worked_out(expression: str) -> str:
    try:
        found = str(value(expression))
    except ValueError as error:
        return f"error: {error}"
    return found if len(found) <= _DIGITS else f"error: the value has more than {_DIGITS} signs"


# Each question with the expression that answers it.
_Question = Callable[[np.random.Generator, Calculator], tuple[str, str]]


def _bare(draw: np.random.Generator, config: Calculator) -> tuple[str, str]:
    while True:
        text = _expression(draw, int(draw.integers(2, config.terms + 1)), config.largest)
        text = text.removeprefix("(").removesuffix(")")
        try:
            value(text)
        except ValueError:  # divided by 0: another one
            continue
        return f"What is {text}?", text


def _expression(draw: np.random.Generator, terms: int, largest: int) -> str:
    """In parentheses from two numbers on."""
    if terms == 1:
        return str(draw.integers(1, largest + 1))
    left = int(draw.integers(1, terms))
    sign = "+-*/"[int(draw.integers(4))]
    return f"({_expression(draw, left, largest)} {sign} {_expression(draw, terms - left, largest)})"


def _pens(draw: np.random.Generator, config: Calculator) -> tuple[str, str]:
    boxes, each, loose = (int(n) for n in draw.integers(2, config.largest + 1, size=3))
    text = f"{boxes} boxes hold {each} pens each, and {loose} pens lie beside them. How many pens are there?"
    return text, f"{boxes} * {each} + {loose}"


def _tickets(draw: np.random.Generator, config: Calculator) -> tuple[str, str]:
    price, adults, children = (int(n) for n in draw.integers(2, config.largest + 1, size=3))
    below = int(draw.integers(2, 5))
    text = (
        f"A ticket costs {price} coins. {adults} adults pay all of it and {children} children pay 1/{below} "
        "of it. How many coins do they pay together?"
    )
    return text, f"{price} * {adults} + {price} * {children} / {below}"


def _share(draw: np.random.Generator, config: Calculator) -> tuple[str, str]:
    whole, eaten, people = (int(n) for n in draw.integers(2, config.largest + 1, size=3))
    whole += eaten
    text = (
        f"Of {whole} apples {eaten} are eaten; {people} people share the rest equally. How many apples does "
        "each of them get?"
    )
    return text, f"({whole} - {eaten}) / {people}"


_QUESTIONS: dict[str, _Question] = {"bare": _bare, "pens": _pens, "tickets": _tickets, "share": _share}
