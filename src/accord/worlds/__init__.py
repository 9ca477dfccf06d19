"""Worlds: what a model acts in over several turns, a tool among them (layer 2, one file each).

Here: a world's tasks, what it says to an answer, when an episode is over and what it earned. Not here: who
plays it (``accord.episodes``), how turns become tokens (the engines), solvers (``maths/solving.py``).
``guess.py`` is the example to follow; ``boat.py`` where the policy is a *token policy*: its prompts are words
of an alphabet, its answer is one of them. What all of those share is below.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from pydantic import JsonValue

from accord.errors import PlanError, Unsayable, nearest
from accord.part import named
from accord.ports import World, WorldStep
from accord.records import JSON, Message, Prompt, Response, digest

__all__ = [
    "ACT",
    "Acting",
    "Alphabet",
    "Heard",
    "Played",
    "Rules",
    "Went",
    "Worded",
    "binned",
    "digits",
    "drawn",
    "play",
    "worth",
]

S = TypeVar("S")

ACT = "<act>"
"""The last word of every prompt of a token policy."""
_MOST_WORDS, _MOST_BINS = 256, 16


class Heard(NamedTuple):
    """What an answer counts as; ``unparsed``: it was none of the allowed words, so it counts as the first."""

    word: str
    unparsed: bool


class Alphabet:
    """The words of a world: at most 256 different ones, none with a space; the place of a word is its token.

    >>> words = Alphabet(("up", "down", "A", ACT))
    >>> words.encode("A <act>"), words.heard("left", ("down", "up"))
    ((2, 3), Heard(word='down', unparsed=True))
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._token = {word: token for token, word in enumerate(self.words)}
        odd = next((word for word in self.words if word.split() != [word]), None)
        if odd is not None or not 0 < len(self._token) == len(self.words) <= _MOST_WORDS:
            found = f"{len(self.words)} words, {len(self._token)} of them different"
            allowed = f"1 to {_MOST_WORDS} different words without a space"
            raise PlanError("alphabet", found if odd is None else odd, allowed)

    @property
    def digest(self) -> str:
        """SHA-256 over the words in their order."""
        return digest(list(self.words))

    def encode(self, text: str) -> tuple[int, ...]:
        """The tokens of words joined by single spaces; Unsayable names the first that is none of them."""
        said = text.split(" ")
        odd = next((word for word in said if word not in self._token), None)
        if odd is not None:
            allowed = f"one of the {len(self.words)} words of the alphabet {self.digest[:8]}"
            raise Unsayable("prompt", odd, allowed, nearest(odd, self.words))
        return tuple(self._token[word] for word in said)

    def asked(self, shown: Sequence[str], actions: Sequence[str], **columns: JsonValue) -> Prompt:
        """The first prompt: what is shown, then ``<act>``. An answer is one of ``actions``."""
        first = Message(role="user", content=self._text(shown))
        allowed = self.encode(" ".join(actions))
        return Prompt(messages=(first,), allowed=allowed, columns={"unparsed": 0, **columns})

    def told(self, before: Prompt, answer: str, shown: Sequence[str], unparsed: bool) -> Prompt:
        """The prompt behind an answer; its column ``unparsed`` says whether that answer was none."""
        on = before.then(answer, Message(role="user", content=self._text(shown)))
        return on.model_copy(update={"columns": {**before.columns, "unparsed": int(unparsed)}})

    @staticmethod
    def heard(text: str, actions: Sequence[str]) -> Heard:
        """The action that an answer is. Any other text counts as the first one."""
        word = text.strip()
        return Heard(word, False) if word in actions else Heard(actions[0], True)

    def _text(self, shown: Sequence[str]) -> str:
        text = " ".join([*shown, ACT])
        self.encode(text)  # what does not fit is an error, never cut
        return text


class Worded(ABC):
    """A world of a token policy, named before Part: ``class Boat(Worded, Part)``. Its alphabet is in its
    ``config``."""

    @property
    @abstractmethod
    def alphabet(self) -> tuple[str, ...]:
        """Its words; the order is the token."""

    @cached_property
    def words(self) -> Alphabet:
        """The alphabet, to encode with."""
        return Alphabet(self.alphabet)

    @cached_property
    def config(self) -> str:
        """SHA-256 over the class, every setting and the alphabet."""
        return digest(cast(JSON, {**named(self), "alphabet": list(self.alphabet)}))


class Went(NamedTuple, Generic[S]):
    """What an action led to. ``worth``: what the turn was truly worth, which nobody is told."""

    state: S
    reward: float
    worth: float
    over: bool


class Rules(Protocol[S]):
    """A world as pure functions of a state, which holds all that the seed decided; ``Acting`` plays it."""

    @property
    def actions(self) -> tuple[str, ...]:
        """The words an answer may be; the first is what any other text counts as."""
        ...

    def begin(self, truth: JSON) -> S:
        """The first state of an episode of which this is hidden."""
        ...

    def shown(self, state: S) -> tuple[str, ...]:
        """The words of the prompt, always as many; ``<act>`` comes behind them."""
        ...

    def went(self, state: S, action: str) -> Went[S]: ...


class Acting(Generic[S]):
    """A world that plays ``rules``; ``truth`` is what a seed decides."""

    def __init__(self, words: Alphabet, rules: Rules[S], truth: Callable[[str], JSON]) -> None:
        self._words, self._rules, self._truth = words, rules, truth

    def reset(self, seed: str) -> Prompt:
        self._state = self._rules.begin(self._truth(seed))
        self._prompt = self._words.asked(self._rules.shown(self._state), self._rules.actions)
        return self._prompt

    def step(self, response: Response) -> WorldStep:
        heard = self._words.heard(response.text, self._rules.actions)
        self._state, reward, _, over = self._rules.went(self._state, heard.word)
        if over:
            return WorldStep(None, reward, {})
        shown = self._rules.shown(self._state)
        self._prompt = self._words.told(self._prompt, response.text, shown, heard.unparsed)
        return WorldStep(self._prompt, reward, {})


def worth(rules: Rules[S], truth: JSON, said: Sequence[str]) -> float:
    """What the answers of an episode were truly worth; ValueError where more was said than it has turns."""
    state, total, over = rules.begin(truth), list[float](), False
    for text in said:
        if over:
            raise ValueError(f"{len(said)} answers: the episode ended after {len(total)}")
        state, _, worth, over = rules.went(state, Alphabet.heard(text, rules.actions).word)
        total.append(worth)
    return math.fsum(total)


class Played(NamedTuple):
    """An episode: what was said in each turn, and what was observed of it."""

    said: tuple[str, ...]
    rewards: tuple[float | None, ...]
    costs: tuple[Mapping[str, float], ...]


def play(world: World, policy: Callable[[Prompt], str], seed: str) -> Played:
    """One episode to its end, each answer by ``policy``; what it observed, never what was hidden."""
    prompt: Prompt | None = world.reset(seed)
    task = prompt.id  # of all answers: nothing keeps them, and the id of a long conversation takes long
    said, rewards, costs = list[str](), list[float | None](), list[Mapping[str, float]]()
    while prompt is not None:
        said.append(policy(prompt))
        prompt, reward, cost = world.step(Response(prompt=task, text=said[-1], parents=(task,)))
        rewards.append(reward)
        costs.append(dict(cost))
    return Played(tuple(said), tuple(rewards), tuple(costs))


def drawn(*of: JSON) -> np.random.Generator:
    """A generator derived from what is drawn for: a config, a seed, a turn."""
    return np.random.Generator(np.random.Philox(key=int(digest(list(of))[:32], 16)))


def digits(number: int, width: int) -> tuple[str, ...]:
    """A whole number as so many words.

    >>> digits(7, 3)
    ('0', '0', '7')
    """
    if not 0 <= number < 10**width:
        raise PlanError("prompt", number, f"a number from 0 to {10**width - 1}, in {width} digits")
    return tuple(f"{number:0{width}}")


def binned(value: float, edges: Sequence[float]) -> str:
    """The word of the bin that a number falls into, of the at most 16 that ``edges`` part; the last one is
    closed.

    >>> [binned(value, (0.0, 0.25, 0.5, 1.0)) for value in (0.0, 0.25, 1.0)]
    ['b0', 'b1', 'b2']
    """
    if not 1 <= len(edges) - 1 <= _MOST_BINS or list(edges) != sorted(set(edges)):
        raise PlanError("edges", list(edges), f"2 to {_MOST_BINS + 1} numbers that rise")
    if not edges[0] <= value <= edges[-1]:
        raise PlanError("prompt", value, f"a number from {edges[0]} to {edges[-1]}")
    return f"b{min(int(np.searchsorted(edges, value, side='right')) - 1, len(edges) - 2)}"
