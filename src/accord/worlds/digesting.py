"""Digest: logs of events, many times longer than a reader's context, and questions about the whole (tasks).

An event is a key and a value. Nobody acts in turns, so this is a module of tasks:

| question | about the whole log | of two halves |
|---|---|---|
| ``count k`` | how many events have the key | the sum |
| ``first k`` | the value of the key's first event, or ``none`` | the left one's, else the right one's |
| ``last k`` | the value of its last event, or ``none`` | the right one's, else the left one's |

``halved`` is the split of the overseer amplified: a question about a log becomes the same question about its
halves, and a program puts the answers together, so ``depth`` halvings later a part fits into the context.
A question stands beside the log and takes none of the context.

1. ``read`` is a reader with a bounded context: of what is longer it sees the last words alone. Its slips are
   of a stated share, and always count: one too many, another value, a value where there is none.
2. The truth is reckoned on the whole log, without splits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import Field, JsonValue, model_validator

from accord.errors import PlanError
from accord.part import Part
from accord.problems import problem
from accord.records import Prompt
from accord.worlds import ACT, Alphabet, Worded, drawn

__all__ = [
    "KINDS",
    "Asked",
    "Digest",
    "asked",
    "exact",
    "halved",
    "joined",
    "read",
    "tasks",
    "truth",
    "truths",
]

Kind = Literal["count", "first", "last"]
KINDS: tuple[Kind, ...] = ("count", "first", "last")
KEYS = tuple(f"key{number}" for number in range(8))
VALUES = tuple(f"value{number}" for number in range(8))
NONE = "none"
_MOST = 200  # events, and the largest number that there is a word for
_NUMBERS = tuple(f"n{number}" for number in range(_MOST + 1))
_ALPHABET = (*KINDS, *KEYS, *VALUES, NONE, *_NUMBERS, ACT)
_WORDS = Alphabet(_ALPHABET)


class Asked(NamedTuple):
    """A question as it is reckoned with."""

    kind: Kind
    key: str
    events: tuple[tuple[str, str], ...]


class Digest(Worded, Part):
    """Logs of ``times`` × ``context`` words, two words an event."""

    context: int = Field(default=32, ge=2, multiple_of=2)
    times: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _has_words(self) -> Digest:
        if self.events > _MOST:
            raise problem(["times"], self.times, f"{_MOST} events at the most; these are {self.events}")
        return self

    @property
    def events(self) -> int:
        """How many there are in a log."""
        return self.times * self.context // 2

    @property
    def alphabet(self) -> tuple[str, ...]:
        return _ALPHABET

    def draw(self, seed: str) -> str:
        """The question of a seed, with its log."""
        draw = drawn(self.config, seed)
        kind, key = KINDS[int(draw.integers(len(KINDS)))], KEYS[int(draw.integers(len(KEYS)))]
        keys, values = (draw.integers(len(words), size=self.events) for words in (KEYS, VALUES))
        events = [(KEYS[int(k)], VALUES[int(v)]) for k, v in zip(keys, values, strict=True)]
        return _question(kind, key, events)


def tasks(config: Digest, seeds: Iterable[str]) -> tuple[Prompt, ...]:
    """One question for each seed. All of it is in its words, so nothing but its id is a column."""
    found = [(seed, _prompt(config.draw(seed))) for seed in seeds]
    return tuple(p.model_copy(update={"columns": {**p.columns, "task": seed}}) for seed, p in found)


def truths(config: Digest, seeds: Iterable[str]) -> dict[str, JsonValue]:
    """The answer by seed: for a TruthVault."""
    return {seed: {"answer": truth(config.draw(seed))} for seed in seeds}


def exact(config: Digest) -> Mapping[str, float]:
    """How often the last ``context`` words alone give the right answer, and the blocks that fit, by counting.

    A key is missing from a block of m events with the probability q = (7/8)ᵐ, from all blocks but the last
    with Q = q^(times − 1). Truncated, a count is right with Q; a last value unless the last block has none
    and another has, 1 − q + qQ; a first one with Q, else with 1/8 where the last block has any.

    >>> found = exact(Digest())
    >>> {name: round(value, 3) for name, value in found.items()}
    {'events': 128.0, 'blocks': 8.0, 'count': 0.0, 'first': 0.11, 'last': 0.882, 'truncated': 0.331}
    """
    here = (1 - 1 / len(KEYS)) ** (config.context // 2)
    other = here ** (config.times - 1)
    right = {
        "count": other,
        "first": other + (1 - other) * (1 - here) / len(VALUES),
        "last": 1 - here + here * other,
    }
    mean = sum(right.values()) / len(right)
    return {"events": float(config.events), "blocks": float(config.times), **right, "truncated": mean}


def asked(question: str) -> Asked:
    """A question taken apart. PlanError for any other text.

    >>> asked("last key1 key1 value2 key0 value7 <act>")
    Asked(kind='last', key='key1', events=(('key1', 'value2'), ('key0', 'value7')))
    """
    match question.split():
        case [kind, key, *told, last] if kind in KINDS and key in KEYS and last == ACT and not len(told) % 2:
            events = tuple(zip(told[::2], told[1::2], strict=True))
            if all(k in KEYS and v in VALUES for k, v in events):
                return Asked(kind, key, events)
        case _:
            pass
    raise PlanError("question", question[:80], "count, first or last, a key, keys with their values, <act>")


def truth(question: str) -> str:
    """The right answer, on the whole log.

    >>> log = "key1 value2 key0 value7 key1 value5 <act>"
    >>> [truth(f"{kind} key1 {log}") for kind in KINDS], truth(f"last key3 {log}")
    (['n2', 'value2', 'value5'], 'none')
    """
    found = asked(question)
    values = [value for key, value in found.events if key == found.key]
    if found.kind == "count":
        return _NUMBERS[len(values)]
    return (values[0] if found.kind == "first" else values[-1]) if values else NONE


def read(question: str, context: int, error: float = 0.0, seed: str = "") -> str:
    """What a reader says who takes in the last ``context`` words of a log, and errs in so many of all
    questions, always in the same ones.

    >>> read("count key1 key1 value2 key0 value7 key1 value5 <act>", context=4)
    'n1'
    """
    found = asked(question)
    fits = max(0, len(found.events) - context // 2)
    seen = _question(found.kind, found.key, found.events[fits:])
    said, draw = truth(seen), drawn("reader", seed, seen)
    if draw.random() >= error:
        return said
    if found.kind == "count":
        return _NUMBERS[(_number(said) + 1) % len(_NUMBERS)]
    others = [value for value in VALUES if value != said]
    return others[int(draw.integers(len(others)))]


def joined(kind: Kind, left: str, right: str) -> str:
    """The answer about a log from those about its halves. One that is none counts as nothing found.

    >>> joined("count", "n2", "n3"), joined("first", "none", "value1"), joined("last", "value4", "none")
    ('n5', 'value1', 'value4')
    """
    if kind == "count":
        return _NUMBERS[min(_MOST, _number(left) + _number(right))]
    found = [said for said in (left, right) if said in VALUES]
    return (found[0] if kind == "first" else found[-1]) if found else NONE


def halved(question: str) -> Generator[Prompt, str, str | None]:
    """The split of the overseer amplified: ``split = "accord.worlds.digesting:halved"``. One event is not
    split."""
    found = asked(question)
    middle = len(found.events) // 2
    if not middle:
        return None
    left = yield _prompt(_question(found.kind, found.key, found.events[:middle]))
    right = yield _prompt(_question(found.kind, found.key, found.events[middle:]))
    return joined(found.kind, left, right)


def _prompt(question: str) -> Prompt:
    numbers = question.startswith("count ")
    return _WORDS.asked(question.split()[:-1], _NUMBERS if numbers else (*VALUES, NONE))


def _question(kind: str, key: str, events: Sequence[tuple[str, str]]) -> str:
    return " ".join((kind, key, *(word for event in events for word in event), ACT))


def _number(said: str) -> int:
    return _NUMBERS.index(said) if said in _NUMBERS else 0
