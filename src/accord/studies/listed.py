"""Listed: token policies whose answers can all be listed, so that what they are worth is a sum, no estimate.

A ``Listed`` policy is a table of the engine ``scripted`` with a row for each prompt and each beginning of an
answer; at each place of an answer a few words can be said, and none other. ``drilled`` trains one: windows
of its own answers, what feedback says of them, what the method makes of that, and the learner's updates.

Answers are listed in the order of counting: the last place is the fastest. Axis: ``_A`` all answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple, Self, cast

import numpy as np

from accord.engines.scripted import ScriptedLearner, Table
from accord.engines.scripted.learner import Pace
from accord.engines.scripted.table import Context, Start
from accord.ports import Feedback, How, Learner, Memory, Method
from accord.progress import Silent
from accord.records import Prompt
from accord.records.rows import Floats, Window
from accord.sources import gathered, seeded
from accord.worker import Worker

__all__ = ["Choices", "Drill", "Listed", "drilled", "shares_of"]

Choices = Sequence[Sequence[str]]
"""At each place of an answer the words that can be said there."""


def shares_of(rows_TCV: Sequence[Floats]) -> Floats:
    """The share of each answer: ``rows_TCV[t]`` has the logits at place t behind each of the beginnings.

    Of two places with two words, the first even and the second 3 to 1 behind the first word:

    >>> shares_of([np.log([[1.0, 1.0]]), np.log([[3.0, 1.0], [1.0, 1.0]])]).round(9).tolist()
    [0.375, 0.125, 0.25, 0.25]
    """
    share = np.ones(1)
    for rows_CV in rows_TCV:
        part = np.exp(rows_CV - rows_CV.max(axis=1, keepdims=True))
        share = (share[:, None] * part / part.sum(axis=1, keepdims=True)).ravel()
    return share


class _Place(NamedTuple):
    """One place of the answers to a prompt: the beginnings that lead there, and the tokens of its words."""

    contexts: tuple[Context, ...]
    tokens: list[int]


@dataclass(frozen=True, eq=False)
class Listed:
    """A table, and of each prompt's text the words at each place. Training changes the table in place."""

    table: Table
    choices: Mapping[str, Choices]
    places: Mapping[str, Sequence[_Place]]

    @classmethod
    def of(
        cls, choices: Mapping[str, Choices], chance: Callable[[str, tuple[int, ...]], Sequence[float]]
    ) -> Self:
        """``chance(text, said)``: of a prompt, and behind the words with these numbers, the shares of the
        words at the next place. All answers have one length."""
        words = tuple(dict.fromkeys(word for places in choices.values() for at in places for word in at))
        (length,) = {len(places) for places in choices.values()}
        table = Table(Start(words, length, length, {}, 0.0))
        laid = {text: _laid(table, text, places) for text, places in choices.items()}
        for text, places in laid.items():
            for place, said_B in zip(places, _beginnings(choices[text]), strict=True):
                for context, said in zip(place.contexts, said_B, strict=True):
                    row = np.full(len(words) + 1, -np.inf)
                    row[place.tokens] = np.log(np.array(chance(text, said), np.float64))
                    table.rows[context] = row
        return cls(table, choices, laid)

    def learner(self, run: str, lr: float) -> ScriptedLearner:
        """Plain gradient descent on this very table."""
        return ScriptedLearner(self.table, "scripted", Pace(run, lr, "torch"), Silent())

    def shares(self, text: str) -> Floats:
        """How probable each answer to a prompt is now."""
        rows = self.table.rows
        return shares_of(
            [np.stack([rows[c] for c in one.contexts])[:, one.tokens] for one in self.places[text]]
        )

    def copied(self) -> Self:
        """The same policy, to be trained apart."""
        return replace(self, table=self.table.copy())

    def answers(self, text: str) -> list[tuple[str, ...]]:
        """All answers to a prompt, in the order of ``shares``."""
        return list(product(*self.choices[text]))


class Drill(NamedTuple):
    """How a policy is trained. ``key``: what is drawn for; ``length``: of an answer, in tokens."""

    method: Method
    feedback: Feedback
    windows: int
    length: int
    key: str


def drilled(
    drill: Drill, learner: Learner, prompts: Callable[[int], Sequence[Prompt]], worker: Worker
) -> Iterator[Window]:
    """Trains, and hands out each window before its updates: the weights are those that answered it.

    ``prompts(k)``: what window k asks. ValueError where nobody judges what was answered.
    """
    method, memory = drill.method, cast(Memory, {})
    for index in range(drill.windows):
        how = How(f"{drill.key}/{index}", 1.0, drill.length)
        groups = worker.run(learner.sampler().sample(prompts(index), method.rows.n, how))
        columns = drill.feedback(groups)
        if columns is None:
            raise ValueError(f"nobody judges the answers of {drill.key}")
        window = gathered(index, groups, columns)
        window = replace(window, measured=learner.measure(window.rows, method.needs()))
        yield window
        batch, memory = method.batch(window, memory, seeded(drill.key, "batch", index))
        for step in range(len(batch.steps)):
            learner.update(batch, step, method.loss, index / drill.windows)


def _laid(table: Table, text: str, choices: Choices) -> list[_Place]:
    opening = table.render(Prompt.of(text))
    tokens = [[table.words(word)[0] for word in at] for at in choices]
    return [
        _Place(
            tuple((*opening, *(tokens[t][k] for t, k in enumerate(said))) for said in said_B), tokens[place]
        )
        for place, said_B in enumerate(_beginnings(choices))
    ]


def _beginnings(choices: Choices) -> list[list[tuple[int, ...]]]:
    """What can stand before each place, as numbers of words, in the order of counting.

    >>> _beginnings([["a", "b"], ["c"]])
    [[()], [(0,), (1,)]]
    """
    return [list(product(*(range(len(at)) for at in choices[:place]))) for place in range(len(choices))]
