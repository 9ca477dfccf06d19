"""Powers: xⁿ in a permutation group, and sums over wildcards; halved until they are primitive (tasks).

Nobody acts in turns, so this is a module of tasks, those of iterated amplification (1810.08575):

| form | question | primitive | split into |
|---|---|---|---|
| ``power`` | xⁿ, n < ``below``, in the symmetric group | n ≤ 1, and products | x^⌊n/2⌋ = y; then y·y, and y·y·x where n is odd |
| ``wildcard`` | Σ f over all bits that fit a pattern | a pattern without ``*`` | the pattern with 0, and with 1, for its first ``*`` |

Primitives are *given* (``given``): they stand in the question or in a table, and nobody is asked. All else is
answered by whoever is taught, out of answers to smaller questions: with ``split`` no truth but a primitive's
is ever needed. Differences from the paper:

1. A power is asked as an element, one word, not as where it sends a point; so one question needs one other.
2. f is drawn with the question and stands in it; the paper has 64 values of f, here 2^``bits``.
3. A truth is reckoned by another way than it is split: by cycles, and by running through all bits.
"""  # noqa: E501 - a table

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cache
from itertools import permutations, product
from typing import Literal, NamedTuple, cast

from pydantic import Field, JsonValue

from accord.errors import ContractError, PlanError
from accord.part import Part
from accord.records import Prompt
from accord.worlds import ACT, Worded, digits, drawn

__all__ = [
    "Asked",
    "Powers",
    "answered",
    "asked",
    "element",
    "exact",
    "faulty",
    "given",
    "halved",
    "power",
    "primitive",
    "questions",
    "split",
    "tasks",
    "times",
    "truth",
    "truths",
    "word",
]

Splitting = Generator[str, str, str]
_PLACES = 3  # digits of an exponent
_SIGNS = {"-": -1, "0": 0, "+": 1}
_BITS = ("bit0", "bit1", "bit*")
_NUMBER = re.compile(r"[+-][0-9]{1,2}")


class Asked(NamedTuple):
    """A question as it is reckoned with: ``x`` and ``n``, or the values of f and a pattern."""

    form: Literal["power", "wildcard"]
    x: tuple[int, ...]
    n: int = 0
    pattern: tuple[str, ...] = ()


class Powers(Worded, Part):
    """Powers in the symmetric group of ``points`` points, below the exponent ``below``; or wildcards."""

    form: Literal["power", "wildcard"] = "power"
    points: int = Field(default=4, ge=2, le=5)
    below: int = Field(default=64, ge=3, le=1000)
    bits: int = Field(default=4, ge=1, le=5)

    @property
    def alphabet(self) -> tuple[str, ...]:
        if self.form == "power":
            return (*"0123456789", *self.answers, "power", ACT)
        return (*self.answers, *_SIGNS, *_BITS, "wildcard", ACT)

    @property
    def answers(self) -> tuple[str, ...]:
        """What an answer may be: an element, or a sum."""
        if self.form == "power":
            return tuple(word(x) for x in permutations(range(self.points)))
        most = 2**self.bits
        return tuple(_sum(number) for number in range(-most, most + 1))

    def prompt(self, question: str) -> Prompt:
        """A question that stands in no list of seeds, such as one that a split asks."""
        found = asked(question)
        size = self.points if self.form == "power" else 2**self.bits
        if found.form != self.form or len(found.x) != size or found.n >= self.below:
            raise PlanError("question", question, f"one about a {self.form} of size {size}, of this config")
        return self.words.asked(question.split()[:-1], self.answers)

    def draw(self, seed: str) -> str:
        """The question of a seed."""
        draw = drawn(self.config, seed)
        if self.form == "power":
            x = tuple(int(point) for point in draw.permutation(self.points))
            return _power(x, int(draw.integers(self.below)))
        f = tuple(int(number) for number in draw.integers(-1, 2, size=1 << self.bits))
        return _wildcard(f, tuple(str(sign) for sign in draw.choice(list("01*"), size=self.bits)))


def tasks(config: Powers, seeds: Iterable[str]) -> tuple[Prompt, ...]:
    """One question for each seed. All of a question is in its words, so nothing but its id is a column."""
    found = [(seed, config.prompt(config.draw(seed))) for seed in seeds]
    return tuple(p.model_copy(update={"columns": {**p.columns, "task": seed}}) for seed, p in found)


def truths(config: Powers, seeds: Iterable[str]) -> dict[str, JsonValue]:
    """The answer, and whether the question is primitive, by seed: for a TruthVault."""
    found = {seed: config.draw(seed) for seed in seeds}
    return {seed: {"answer": truth(q), "primitive": primitive(q)} for seed, q in found.items()}


def questions(config: Powers) -> tuple[str, ...]:
    """All questions about powers; of wildcards there are too many."""
    if config.form != "power":
        raise PlanError("form", config.form, "power: questions about wildcards are too many to list")
    return tuple(_power(x, n) for x in permutations(range(config.points)) for n in range(config.below))


def exact(config: Powers) -> Mapping[str, float]:
    """How many questions there are, how many are primitive, and the most that one of them takes in splits.

    A table learnt by heart knows all answers after ``rounds`` rounds, each built on the one before.

    >>> exact(Powers(points=4, below=64))
    {'questions': 1536.0, 'primitive': 48.0, 'calls': 5.0, 'rounds': 5.0}
    >>> exact(Powers(form="wildcard", bits=4))
    {'questions': 3486784401.0, 'primitive': 688747536.0, 'calls': 30.0, 'rounds': 4.0}
    """
    if config.form == "power":
        group = len(config.answers)
        halvings = (config.below - 1).bit_length() - 1
        counted = (group * config.below, group * 2, halvings, halvings)
    else:
        f = 3 ** (2**config.bits)
        counted = (f * 3**config.bits, f * 2**config.bits, 2 ** (config.bits + 1) - 2, config.bits)
    return dict(zip(("questions", "primitive", "calls", "rounds"), map(float, counted), strict=True))


def asked(question: str) -> Asked:
    """A question taken apart. PlanError for any other text.

    >>> asked("power x102 0 1 3 <act>")
    Asked(form='power', x=(1, 0, 2), n=13, pattern=())
    """
    match question.split():
        case ["power", x, *number, last] if last == ACT and len(number) == _PLACES:
            return Asked("power", element(x), int("".join(number)))
        case ["wildcard", *signs, last] if last == ACT:
            values = tuple(_SIGNS[sign] for sign in signs if sign in _SIGNS)
            pattern = signs[len(values) :]
            if {*pattern} <= {*_BITS} and len(values) == 2 ** len(pattern) > 1:
                return Asked("wildcard", values, 0, tuple(sign[-1] for sign in pattern))
        case _:
            pass
    raise PlanError("question", question, "power x120 0 1 3 <act>, or wildcard with f and its bits")


def primitive(question: str) -> bool:
    """Whether its answer stands in the question already."""
    found = asked(question)
    return found.n <= 1 if found.form == "power" else "*" not in found.pattern


def given(question: str) -> str:
    """The answer to a primitive question; of any other a ContractError: that would be a truth that was read.

    >>> given("power x120 0 0 1 <act>"), given("wildcard + - bit1 <act>")
    ('x120', '-1')
    """
    if not primitive(question):
        raise ContractError("powers", "only answers to primitive questions are given", question)
    found = asked(question)
    if found.form == "power":
        return word(found.x if found.n else range(len(found.x)))
    return _sum(found.x[int("".join(found.pattern), 2)])


def split(question: str) -> Splitting:
    """Yields smaller questions, is sent their answers, and returns the answer that follows from them.

    It yields nothing for a primitive one. An answer that is none is taken for x itself, or for 0.

    >>> halves = split("power x120 0 0 5 <act>")
    >>> next(halves)
    'power x120 0 0 2 <act>'
    >>> answered("power x120 0 0 5 <act>", given)[0] == truth("power x120 0 0 5 <act>") == "x201"
    True
    """
    found = asked(question)
    if primitive(question):
        return given(question)
    if found.form == "power":
        y = _element_or(found.x, (yield _power(found.x, found.n // 2)))
        square = times(y, y)
        return word(times(square, found.x) if found.n % 2 else square)
    at, total = found.pattern.index("*"), 0
    for sign in "01":
        said = yield _wildcard(found.x, (*found.pattern[:at], sign, *found.pattern[at + 1 :]))
        total += _number_or_0(said)
    most = len(found.x)
    return _sum(max(-most, min(most, total)))


def faulty(question: str, share: float, seed: str) -> Splitting:
    """``split`` as somebody does it who errs in so many of all questions, always in the same ones.

    Whoever errs forgets a part: the x of an odd power, and of an even one a square; of a sum its second half.
    """
    if primitive(question) or drawn("faulty", seed, question).random() >= share:
        return (yield from split(question))
    said = yield next(split(question))
    if (found := asked(question)).form == "wildcard":
        return _sum(_number_or_0(said))
    y = _element_or(found.x, said)
    return word(times(y, y) if found.n % 2 else y)


def halved(question: str, faults: float = 0.0, faults_seed: str = "") -> Generator[Prompt, str, str]:
    """``faulty`` for the overseer amplified: its ``split = "accord.worlds.powers:halved"``.

    Each part is a Prompt with the tokens that may answer it. ``faults`` and ``faults_seed`` are columns of
    the question; without them nothing is split wrongly.
    """
    size = len(asked(question).x)
    config = Powers(points=size) if asked(question).form == "power" else _wild(size)
    parts, said = faulty(question, faults, faults_seed), None
    try:
        while True:
            part = parts.send(said) if said is not None else next(parts)
            said = yield config.model_copy(update={"below": 10**_PLACES}).prompt(part)
    except StopIteration as done:
        return cast(str, done.value)


def answered(question: str, primitives: Callable[[str], str]) -> tuple[str, int]:
    """Split to the end, where ``primitives`` answers; the answer, and how many questions that took."""
    if primitive(question):
        return primitives(question), 0
    halves, calls = split(question), 0
    try:
        part = next(halves)
        while True:
            said, below = answered(part, primitives)
            calls += 1 + below
            part = halves.send(said)
    except StopIteration as done:
        return cast(str, done.value), calls


def truth(question: str) -> str:
    """The right answer, reckoned without splits: by cycles, and by a sum over all bits that fit.

    >>> truth("power x1230 0 0 6 <act>"), truth("wildcard + - + + bit* bit1 <act>")
    ('x2301', '+0')
    """
    found = asked(question)
    if found.form == "power":
        return word(power(found.x, found.n))
    every = product("01", repeat=len(found.pattern))
    fits = [all(p in ("*", b) for p, b in zip(found.pattern, bits, strict=True)) for bits in every]
    return _sum(sum(value for value, fit in zip(found.x, fits, strict=True) if fit))


def times(x: Sequence[int], y: Sequence[int]) -> tuple[int, ...]:
    """First x, then y.

    >>> times((1, 2, 0), (0, 2, 1))
    (2, 1, 0)
    """
    return tuple(y[point] for point in x)


def power(x: Sequence[int], n: int) -> tuple[int, ...]:
    """xⁿ by its cycles: each point moves n places on in its own.

    >>> power((1, 2, 0, 4, 3), 7)
    (1, 2, 0, 4, 3)
    """
    found = list(x)
    for point in range(len(x)):
        cycle = [point]
        while x[cycle[-1]] != point:
            cycle.append(x[cycle[-1]])
        found[point] = cycle[n % len(cycle)]
    return tuple(found)


def word(x: Iterable[int]) -> str:
    """The word of an element: where it sends each point."""
    return "x" + "".join(map(str, x))


def element(said: str) -> tuple[int, ...]:
    """The element of a word. PlanError for any other text."""
    if said not in _elements(len(said) - 1):
        raise PlanError("question", said, "an element, such as x120: x, and where it sends each point")
    return tuple(int(point) for point in said[1:])


def _wild(size: int) -> Powers:
    return Powers(form="wildcard", bits=size.bit_length() - 1)


def _element_or(x: tuple[int, ...], said: str) -> tuple[int, ...]:
    return element(said) if said in _elements(len(x)) else x


@cache
def _elements(points: int) -> frozenset[str]:
    return frozenset(word(x) for x in permutations(range(points))) if 0 < points < 6 else frozenset()


def _number_or_0(said: str) -> int:
    return int(said) if _NUMBER.fullmatch(said) else 0


def _sum(number: int) -> str:
    """A sum has a sign always, to be no word of f."""
    return f"{number:+}"


def _power(x: Iterable[int], n: int) -> str:
    return " ".join(("power", word(x), *digits(n, _PLACES), ACT))


def _wildcard(f: Iterable[int], pattern: Iterable[str]) -> str:
    return " ".join(("wildcard", *("-0+"[v + 1] for v in f), *(f"bit{sign}" for sign in pattern), ACT))
