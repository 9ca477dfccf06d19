"""The exact test: does a method reach the optimum that can be written down?

A method runs as it is, its real ``batch`` and ``loss``, in a little world (``bandit``, ``strings``):

- ``expected_gradient(method, little, tables)``: the gradient over *all* windows, each with its probability;
- ``enumerated(method, little)``: descends that gradient from π_ref, without any sampling noise;
- ``sampled(method, little, seed)``: ordinary windows of drawn answers, ordinary steps;
- ``optimum(little, beta)``: π* ∝ π_ref·exp(r/β), with V = β log Z(prefix);
- ``distance(little, one, two)``: total variation between two policies.

    method, little = GRPO(n=2, beta=0.5, scale_std=False), bandit()
    assert distance(little, enumerated(method, little).tables, optimum(little, 0.5)) < 1e-3
    assert expected_gradient(method, little, optimum(little, 0.5)).largest < 1e-8

How windows are listed. Unit ``answer``: a group is a multiset of n answers, with its multinomial probability
under the policy (``by="policy"``) or under ``data_PA`` (by default π_ref); its column is ``score``. Unit
``pair``: every ordered pair of different answers, both drawn from ``data_PA``; its columns are ``p``
(``preference_PAA``, by default σ(r − r′); with ``hard`` each of the labels 0 and 1 as often as p says) and
``weight`` 1. A window has ``together`` groups of each prompt of the world. Columns measured are ``ref_logp``,
``old_logp`` and ``value``; ``score_SK`` and ``value_T`` are rows of the tables.

What is averaged. Totals and counts are averaged over windows apart, objective = Σ weight·E[total]/E[count]:
what one window of very many such windows gives. Where a batch has several steps, all are taken at the policy
that wrote the window (``sampled`` takes them one after another).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations_with_replacement, permutations, product
from typing import NamedTuple, cast

import numpy as np

from accord.engines.scripted import evaluate
from accord.engines.scripted.losses import Beside
from accord.errors import ContractError
from accord.ports import Memory, Method
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing.little import Little, Tables, bandit, strings

__all__ = [
    "Data",
    "Little",
    "Reached",
    "Schedule",
    "Tables",
    "bandit",
    "distance",
    "enumerated",
    "expected_gradient",
    "optimum",
    "sampled",
    "strings",
]

_Place = tuple[int, int]  # a prompt and an answer to it

_MANY = 20_000  # windows that may be listed
_LEAP = 2.0  # the most that one step of the descent moves a logit


class Data(NamedTuple):
    """What a method learns from that does not follow from the world; each has a default, see above."""

    shares_PA: Floats | None = None
    preference_PAA: Floats | None = None
    hard: bool = False


class Schedule(NamedTuple):
    """How ``sampled`` trains: so many windows, of ``together`` groups for each prompt, at one rate."""

    windows: int = 300
    together: int = 8
    lr: float = 1.0


class Reached(NamedTuple):
    """Where a descent ended: the tables, the expected gradient there, and after how many rounds."""

    tables: Tables
    gradient: Tables
    rounds: int


_WORLD, _SCHEDULE = Data(), Schedule()


def optimum(little: Little, beta: float) -> Tables:
    """π* ∝ π_ref·exp(r/β), and the critic that belongs to it: V = β log Z(prefix).

    >>> little = bandit()
    >>> share = np.exp(little.reward_PA / 0.5) * little.shares(little.start())
    >>> bool(np.allclose(little.shares(optimum(little, 0.5)), share / share.sum()))
    True
    """
    best = little.tables(little.shares(little.start()) * np.exp(little.reward_PA / beta))
    return best._replace(values_PC=little.values(beta))


def distance(little: Little, one: Tables, two: Tables) -> float:
    """Total variation, ½Σ|π(y) − π′(y)|, of the prompt where it is largest."""
    return float(0.5 * np.abs(little.shares(one) - little.shares(two)).sum(axis=1).max())


def expected_gradient(
    method: Method, little: Little, tables: Tables, *, together: int = 1, data: Data = _WORLD
) -> Tables:
    """The gradient of the expected objective at these tables, all windows listed."""
    run = _Run(method, little, data)
    return run.gradient(run.listed(together), tables)


def enumerated(
    method: Method, little: Little, *, together: int = 1, data: Data = _WORLD, rounds: int = 200
) -> Reached:
    """Descends the expected gradient from π_ref until it vanishes, at most ``rounds`` times.

    Each entry is divided by how often it is visited, a positive number: so this is descent, and a loss of the
    wrong sign runs away from the optimum instead of finding it. The step is that of Barzilai and Borwein.
    """
    run = _Run(method, little, data)
    cases = run.listed(together)
    tables = little.start(method.needs().scores)
    found, pace = run.gradient(cases, tables), 0.0
    for done in range(rounds):
        metric = _metric(little, run.shares(tables), method.needs().scores)
        way = Tables(*(g / m for g, m in zip(found, metric, strict=True)))
        length = max(float(np.abs(part).max(initial=0.0)) for part in way)
        if length < 1e-9:
            return Reached(tables, found, done)
        pace = min(pace or 0.1 / length, _LEAP / length)
        moved = Tables(*(x - pace * w for x, w in zip(tables, way, strict=True)))
        then = run.gradient(cases, moved)
        square = sum(float((m * (pace * w) ** 2).sum()) for m, w in zip(metric, way, strict=True))
        turn = zip(then, found, way, strict=True)
        bend = sum(float(((after - before) * -pace * w).sum()) for after, before, w in turn)
        # Where the objective bends the wrong way there is no step to derive; the last one stays.
        pace = square / bend if bend > 0 else pace
        tables, found = moved, then
    return Reached(tables, found, rounds)


def sampled(
    method: Method, little: Little, seed: int, schedule: Schedule = _SCHEDULE, data: Data = _WORLD
) -> Tables:
    """Trains on windows of drawn rows, every step of every batch in turn, by plain gradient descent."""
    rng = np.random.default_rng(seed)
    run = _Run(method, little, data)
    tables, memory = little.start(method.needs().scores), cast(Memory, {})
    for index in range(schedule.windows):
        groups = [p for p in range(little.prompts) for _ in range(schedule.together)]
        case = _joint([run.drawn(p, g, tables, rng) for g, p in enumerate(groups)])
        batch, memory = method.batch(run.window(index, case, run.columns(tables)), memory, rng)
        for step, counts in zip(batch.steps, batch.counts, strict=True):
            part = batch.take(step)
            scale = {name: batch.weights[name] / count for name, count in counts.items()}
            slope = run.slope(part, tables, scale, np.ones(len(part.sequences)))
            tables = Tables(*(x - schedule.lr * g for x, g in zip(tables, slope, strict=True)))
    return tables


class _Case(NamedTuple):
    """A window that can happen: its rows, prompt and answer of each sequence, and how probable it is:
    ``factor`` times the share of each answer in ``drawn``."""

    rows: tuple[Row, ...]
    places: tuple[_Place, ...]
    drawn: tuple[_Place, ...]
    factor: float


class _Run(NamedTuple):
    """A method in a world."""

    method: Method
    little: Little
    data: Data

    def listed(self, together: int) -> list[_Case]:
        """Every window of ``together`` groups for each prompt. ValueError where they are too many."""
        answers, n = len(self.little.answers), self.method.rows.n
        pairs = answers * (answers - 1) * (2 if self.data.hard else 1)
        of_one = pairs if self.method.rows.unit == "pair" else math.comb(answers + n - 1, n)
        if (many := of_one ** (self.little.prompts * together)) > _MANY:
            raise ValueError(f"{many} windows are too many to list, {_MANY} are not: take smaller groups")
        prompts = [p for p in range(self.little.prompts) for _ in range(together)]
        groups = [list(self._groups(p, g)) for g, p in enumerate(prompts)]
        return [_joint(case) for case in product(*groups)]

    def drawn(self, prompt: int, group: int, tables: Tables, rng: np.random.Generator) -> _Case:
        """One group, drawn."""
        share = self.shares(tables)[prompt]
        if self.method.rows.unit != "pair":
            draw = rng.choice(len(share), size=self.method.rows.n, p=share).tolist()
            return self._answers(prompt, group, tuple(draw))
        one, two = 0, 0
        while one == two:  # a pair of equal answers says nothing, and data do not hold it
            one, two = rng.choice(len(share), size=2, p=share).tolist()
        p = self._preference()[prompt, one, two]
        return self._pair(prompt, group, (one, two), float(rng.random() < p) if self.data.hard else p)

    def window(self, index: int, case: _Case, columns: Mapping[str, list[list[Floats]]]) -> Window:
        measured = {name: tuple(of[p][a] for p, a in case.places) for name, of in columns.items()}
        return Window(index, case.rows, measured)

    def columns(self, tables: Tables) -> dict[str, list[list[Floats]]]:
        """What the method needs to have measured, by prompt and answer."""
        little = self.little
        found = {
            "ref_logp": little.tokens_logp(little.start()),
            "old_logp": little.tokens_logp(tables),
            "value": [[row[at] for at, _ in little.places] for row in tables.values_PC],
        }
        if unknown := self.method.needs().columns - found.keys():
            promise = f"needs columns that a little world can measure: {sorted(found)}"
            raise ContractError(type(self.method).__name__, promise, str(sorted(unknown)))
        return {name: found[name] for name in sorted(self.method.needs().columns)}

    def gradient(self, cases: Sequence[_Case], tables: Tables) -> Tables:
        share, columns = self.shares(tables), self.columns(tables)
        parts: list[Batch] = []
        chance: list[float] = []
        counts: Counter[str] = Counter()
        for index, case in enumerate(cases):
            probability = case.factor * math.prod(share[place] for place in case.drawn)
            batch, _ = self.method.batch(self.window(index, case, columns), {}, np.random.default_rng(0))
            for step, count in zip(batch.steps, batch.counts, strict=True):
                parts.append(batch.take(step))
                chance += [probability] * len(parts[-1].sequences)
                counts.update({name: probability * value for name, value in count.items()})
        if not parts:
            raise ContractError(type(self.method).__name__, "some window teaches something", "no steps")
        whole = _concatenated(parts, counts)
        scale = {name: whole.weights[name] / counts[name] for name in counts}
        return self.slope(whole, tables, scale, np.array(chance))

    def slope(self, part: Batch, tables: Tables, scale: Mapping[str, float], chance_S: Floats) -> Tables:
        """∂ Σ chance · scale · total by the tables. The loss is row-local, so rows of many windows may be
        evaluated at once and weighted afterwards."""
        little = self.little
        seen = [little.known[s.tokens] for s in part.sequences]
        prompt_S, answer_S = (np.array(side, dtype=np.int64) for side in zip(*seen, strict=True))
        length_S = part.lengths_S()
        prompt_T, chance_T = np.repeat(prompt_S, length_S), np.repeat(chance_S, length_S)
        at_T, token_T = (np.concatenate([little.places[a][i] for _, a in seen]) for i in (0, 1))
        logp = little.logp_PCV(tables)
        beside = Beside(tables.scores_PAK[prompt_S, answer_S], tables.values_PC[prompt_T, at_T])
        found = evaluate(self.method.loss, part, logp[prompt_T, at_T, token_T], scale, "torch", beside)
        slope = Tables(*(np.zeros_like(part) for part in tables))
        pressure_T = found.pressure_T * chance_T
        np.add.at(slope.logits_PCV, (prompt_T, at_T, token_T), pressure_T)
        slope.logits_PCV[...] -= np.exp(logp) * slope.logits_PCV.sum(axis=2, keepdims=True)
        np.add.at(slope.scores_PAK, (prompt_S, answer_S), found.score_SK * chance_S[:, None])
        np.add.at(slope.values_PC, (prompt_T, at_T), found.value_T * chance_T)
        return slope

    def shares(self, tables: Tables) -> Floats:
        """How probable each answer is where the method's rows come from."""
        if self.method.rows.by == "policy":
            return self.little.shares(tables)
        given = self.data.shares_PA
        return self.little.shares(self.little.start()) if given is None else given

    def _preference(self) -> Floats:
        reward, given = self.little.reward_PA, self.data.preference_PAA
        return 1 / (1 + np.exp(reward[:, None, :] - reward[:, :, None])) if given is None else given

    def _groups(self, prompt: int, group: int) -> Iterator[_Case]:
        """Every group of one prompt."""
        answers, n = range(len(self.little.answers)), self.method.rows.n
        if self.method.rows.unit != "pair":
            for draw in combinations_with_replacement(answers, n):
                yield self._answers(prompt, group, draw)
            return
        for pair in permutations(answers, 2):
            p = float(self._preference()[prompt, pair[0], pair[1]])
            for label, factor in [(1.0, p), (0.0, 1 - p)] if self.data.hard else [(p, 1.0)]:
                yield self._pair(prompt, group, pair, label)._replace(factor=factor)

    def _answers(self, prompt: int, group: int, draw: tuple[int, ...]) -> _Case:
        places = tuple((prompt, answer) for answer in draw)
        reward = self.little.reward_PA
        rows = [
            Row((self.little.episode(*place, index),), {"score": float(reward[place])}, group=group)
            for index, place in enumerate(places)
        ]
        orders = math.factorial(len(draw)) // math.prod(math.factorial(k) for k in Counter(draw).values())
        return _Case(tuple(rows), places, places, float(orders))

    def _pair(self, prompt: int, group: int, pair: tuple[int, ...], p: float) -> _Case:
        places = tuple((prompt, answer) for answer in pair)
        episodes = tuple(self.little.episode(*place, index) for index, place in enumerate(places))
        return _Case((Row(episodes, {"p": p, "weight": 1.0}, group=group),), places, places, 1.0)


def _joint(cases: Sequence[_Case]) -> _Case:
    """One window of independent groups."""
    rows = tuple(row for case in cases for row in case.rows)
    places = tuple(place for case in cases for place in case.places)
    drawn = tuple(place for case in cases for place in case.drawn)
    return _Case(rows, places, drawn, math.prod(case.factor for case in cases))


def _concatenated(parts: Sequence[Batch], counts: Mapping[str, float]) -> Batch:
    """The rows of many steps as one step."""
    sizes = [int(part.row_S.max(initial=-1)) + 1 for part in parts]
    starts = np.cumsum([0, *sizes])
    first = parts[0]
    return replace(
        first,
        sequences=tuple(s for part in parts for s in part.sequences),
        row_S=np.concatenate([part.row_S + start for part, start in zip(parts, starts, strict=False)]),
        steps=(np.arange(starts[-1], dtype=np.int64),),
        counts=(dict(counts),),
        rows={name: np.concatenate([part.rows[name] for part in parts]) for name in first.rows},
        tokens={name: np.concatenate([part.tokens[name] for part in parts]) for name in first.tokens},
    )


def _metric(little: Little, share_PA: Floats, heads: int) -> Tables:
    """How often each entry of the tables is visited; never 0, so that it can be divided by."""
    chosen = little.mass(share_PA)
    scored = np.repeat(share_PA[:, :, None], heads, axis=2)
    return Tables(*(np.maximum(part, 1e-12) for part in (chosen, scored, chosen.sum(axis=2))))
