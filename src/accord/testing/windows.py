"""The windows that can happen in a little world: which rows a method may be shown, and how probable each is.

How windows are listed. Answers are drawn from ``shares_PA``; by default from the policy as it then is
(``by="policy"``), else from π_ref. Unit ``answer``: a group is a multiset of n answers, with its multinomial
probability; its column is ``score``. Unit ``pair``: every ordered pair of different answers; its columns are
``p`` (``preference_PAA``, by default σ(r − r′); with ``hard`` each of the labels 0 and 1 as often as p says)
and ``weight`` 1. Unit ``episode`` by ``data``: every answer, each of its tokens a step, which is right as
often as ``right_PCV`` says (needed there). With ``label_PA`` answers have the column ``label``, 1 as often as
it says. Labels of 0 and 1 are all listed, with their probability.

A window has ``together`` groups of each prompt of the world. Columns measured are ``ref_logp``, ``old_logp``
and ``value``, those of mismatched answers too, and what other models fill: by the policy that ``reads`` has
for the column, else, for what π₀ fills, by π_ref; the scores and values of a loss are rows of the tables.
Where a method writes ``marks`` into prompts, only the first prompts of the world are answered: all of them
once more stand for them with the first mark, then with the second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, permutations, product
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from accord.errors import ContractError
from accord.measuring import mismatched
from accord.ports import Marking, Memory, Method
from accord.records.rows import Floats, Row, Window
from accord.testing.little import Little, Tables

__all__ = ["Case", "Data", "Windows", "joint"]

_Place = tuple[int, int]  # a prompt and an answer to it

_MANY = 20_000  # windows that may be listed


class Data(NamedTuple):
    """What a method learns from that does not follow from the world; each has a default, see above.

    ``cost_PA``: rows have a column ``cost:c`` beside their score. ``memory``: what the first window finds.
    """

    shares_PA: Floats | None = None
    preference_PAA: Floats | None = None
    hard: bool = False
    marks: tuple[str, ...] = ()
    reads: Mapping[str, Tables] | None = None
    label_PA: Floats | None = None
    right_PCV: Floats | None = None
    cost_PA: Floats | None = None
    memory: Memory = MappingProxyType({})


class Case(NamedTuple):
    """A window that can happen: its rows, prompt and answer of each sequence, and how probable it is:
    ``factor`` times the share of each answer in ``drawn``."""

    rows: tuple[Row, ...]
    places: tuple[_Place, ...]
    drawn: tuple[_Place, ...]
    factor: float


class Windows(NamedTuple):
    """Those of a method in a world."""

    method: Method
    little: Little
    data: Data

    @property
    def asked(self) -> int:
        """How many prompts of the world are answered; the others stand for these with a mark."""
        return self.little.prompts // (1 + len(self.data.marks))

    def listed(self, together: int) -> list[Case]:
        """Every window of ``together`` groups for each prompt. ValueError where they are too many."""
        if (many := self._ways() ** (self.asked * together)) > _MANY:
            raise ValueError(f"{many} windows are too many to list, {_MANY} are not: take smaller groups")
        prompts = [p for p in range(self.asked) for _ in range(together)]
        groups = [list(self._groups(p, g)) for g, p in enumerate(prompts)]
        return [joint(case) for case in product(*groups)]

    def drawn(self, prompt: int, group: int, tables: Tables, rng: np.random.Generator) -> Case:
        """One group, drawn."""
        share = self.shares(tables)[prompt]
        if self.method.rows.unit != "pair":
            draw = tuple(rng.choice(len(share), size=self.method.rows.n, p=share).tolist())
            labels = tuple(float(rng.random() < p) for p in self._labelled(prompt, draw))
            return self._answers(prompt, group, draw, labels)
        one, two = 0, 0
        while one == two:  # a pair of equal answers says nothing, and data do not hold it
            one, two = rng.choice(len(share), size=2, p=share).tolist()
        p = self._preference()[prompt, one, two]
        return self._pair(prompt, group, (one, two), float(rng.random() < p) if self.data.hard else p)

    def window(
        self, index: int, case: Case, columns: Mapping[str, list[list[Floats]]], rng: np.random.Generator
    ) -> Window:
        window, places = Window(index, case.rows), case.places
        if isinstance(self.method, Marking):
            window = self.method.marked(window, self._rendered, rng)
            said = [s for row in window.rows for e in row.episodes for s in e.sequences()]
            places = tuple(self.little.known[s.tokens] for s in said)
        measured = {n: tuple(of[p][a] for p, a in places) for n, of in columns.items()}
        if self.method.needs().mismatched:
            rows = [row.episodes[0].sequences()[0].tokens for row in mismatched(window.rows)]
            others = [self.little.known[tokens] for tokens in rows]
            measured |= {f"mismatched_{n}": tuple(of[p][a] for p, a in others) for n, of in columns.items()}
        return replace(window, measured=measured)

    def columns(self, tables: Tables) -> dict[str, list[list[Floats]]]:
        """What the method needs to have measured, by prompt and answer."""
        little = self.little
        found = {
            "ref_logp": little.tokens_logp(little.start()),
            "old_logp": little.tokens_logp(tables),
            "value": [[row[at] for at, _ in little.places] for row in tables.values_PC],
        }
        needs = self.method.needs()
        others = {"logp": little.tokens_logp, "support": little.tokens_support}
        for one in needs.reads:
            given = (self.data.reads or {}).get(one.column, None if one.model else little.start())
            if given is not None and one.want in others:
                found[one.column] = others[one.want](given)
        wanted = needs.columns | {one.column for one in needs.reads}
        if unknown := wanted - found.keys():
            promise = f"needs columns that a little world can measure: {sorted(found)}"
            raise ContractError(type(self.method).__name__, promise, str(sorted(unknown)))
        return {name: found[name] for name in sorted(wanted)}

    def shares(self, tables: Tables) -> Floats:
        """How probable each answer is where the method's rows come from."""
        if self.data.shares_PA is not None:
            return self.data.shares_PA
        return self.little.shares(tables if self.method.rows.by == "policy" else self.little.start())

    def _rendered(self, prompt: str, mark: str) -> tuple[int, ...]:
        """The tokens of the prompt that stands for this one with this mark."""
        mine = next(p for p in range(self.asked) if self.little.episode(p, 0).prompt == prompt)
        place = self.asked * (1 + self.data.marks.index(mark)) + mine
        return self.little.episode(place, 0).prompt_tokens[0]

    def _preference(self) -> Floats:
        reward, given = self.little.reward_PA, self.data.preference_PAA
        return 1 / (1 + np.exp(reward[:, None, :] - reward[:, :, None])) if given is None else given

    def _groups(self, prompt: int, group: int) -> Iterator[Case]:
        """Every group of one prompt."""
        answers, n = range(len(self.little.answers)), self.method.rows.n
        if self.method.rows.unit != "pair":
            for draw in combinations_with_replacement(answers, n):
                for labels, factor in _verdicts(self._labelled(prompt, draw)):
                    case = self._answers(prompt, group, draw, labels)
                    yield case._replace(factor=case.factor * factor)
            return
        for pair in permutations(answers, 2):
            p = float(self._preference()[prompt, pair[0], pair[1]])
            for label, factor in [(1.0, p), (0.0, 1 - p)] if self.data.hard else [(p, 1.0)]:
                yield self._pair(prompt, group, pair, label)._replace(factor=factor)

    @property
    def _in_steps(self) -> bool:
        """Whether rows are answers whose every token is a step, with a label."""
        return self.method.rows.unit == "episode" and self.method.rows.by == "data"

    def _ways(self) -> int:
        """How many groups of one prompt there are."""
        answers, n = len(self.little.answers), self.method.rows.n
        if self.method.rows.unit == "pair":
            return answers * (answers - 1) * (2 if self.data.hard else 1)
        if self._in_steps:
            return sum(2 ** len(answer) for answer in self.little.answers)
        return math.comb(answers + n - 1, n) * (1 if self.data.label_PA is None else 2**n)

    def _labelled(self, prompt: int, draw: tuple[int, ...]) -> list[float]:
        """How often each label is 1: of each of these answers, or of each step of the one; none, if none."""
        if self._in_steps:
            at, token = self.little.places[draw[0]]
            if self.data.right_PCV is None:
                raise ValueError("a method that learns from steps needs Data.right_PCV")
            return self.data.right_PCV[prompt, at, token].tolist()
        label = self.data.label_PA
        return [] if label is None else [float(label[prompt, answer]) for answer in draw]

    def _row(self, place: _Place, index: int, labels: tuple[float, ...]) -> Row:
        if self._in_steps:
            return Row((self.little.stepped(*place, labels),))
        columns = {"score": float(self.little.reward_PA[place])}
        columns |= {"label": labels[index]} if labels else {}
        columns |= {} if self.data.cost_PA is None else {"cost:c": float(self.data.cost_PA[place])}
        return Row((self.little.episode(*place, index),), columns)

    def _answers(self, prompt: int, group: int, draw: tuple[int, ...], labels: tuple[float, ...]) -> Case:
        places = tuple((prompt, answer) for answer in draw)
        rows = [replace(self._row(at, index, labels), group=group) for index, at in enumerate(places)]
        orders = math.factorial(len(draw)) // math.prod(math.factorial(k) for k in Counter(draw).values())
        return Case(tuple(rows), places, places, float(orders))

    def _pair(self, prompt: int, group: int, pair: tuple[int, ...], p: float) -> Case:
        places = tuple((prompt, answer) for answer in pair)
        episodes = tuple(self.little.episode(*place, index) for index, place in enumerate(places))
        return Case((Row(episodes, {"p": p, "weight": 1.0}, group=group),), places, places, 1.0)


def _verdicts(share: Sequence[float]) -> Iterator[tuple[tuple[float, ...], float]]:
    """All labels that can be given, 1 as often as each share says, with their probability."""
    for labels in product((1.0, 0.0), repeat=len(share)):
        yield labels, math.prod(p if label else 1 - p for p, label in zip(share, labels, strict=True))


def joint(cases: Sequence[Case]) -> Case:
    """One window of independent groups."""
    rows = tuple(row for case in cases for row in case.rows)
    places = tuple(place for case in cases for place in case.places)
    drawn = tuple(place for case in cases for place in case.drawn)
    return Case(rows, places, drawn, math.prod(case.factor for case in cases))
