"""The exact test: does a method reach the optimum that can be written down?

A method runs as it is, its real ``batch`` and ``loss``, in a little world (``bandit``, ``strings``):

- ``expected_gradient(method, little, tables)``: the gradient over *all* windows, each with its probability;
- ``expected_pressure(method, little, tables)``: the same by log π of whole answers;
- ``enumerated(method, little)``: descends that gradient from π_ref, without any sampling noise;
- ``sampled(method, little, seed)``: ordinary windows of drawn answers, ordinary steps;
- ``optimum(little, beta)``: π* ∝ π_ref·exp(r/β), with V = β log Z(prefix);
- ``distance(little, one, two)``: total variation between two policies.

    method, little = GRPO(n=2, beta=0.5, scale_std=False), bandit()
    assert distance(little, enumerated(method, little).tables, optimum(little, 0.5)) < 1e-3
    assert expected_gradient(method, little, optimum(little, 0.5)).largest < 1e-8

Which windows there are, and what they hold, is told by ``windows``.

What is averaged. Totals and counts are averaged over windows apart, objective = Σ weight·E[total]/E[count]:
what one window of very many such windows gives. Where a batch has several steps, all are taken at the policy
that wrote the window (``sampled`` takes them one after another).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from accord.engines.scripted import Evaluated, evaluate
from accord.engines.scripted.losses import Beside
from accord.errors import ContractError
from accord.ports import Memory, Method
from accord.records import JSON
from accord.records.rows import Batch, Floats
from accord.testing.little import Little, Tables, bandit, strings
from accord.testing.memories import mean_of
from accord.testing.windows import Case, Data, Windows, joint

__all__ = [
    "Data",
    "Little",
    "Reached",
    "Schedule",
    "Tables",
    "Trained",
    "bandit",
    "distance",
    "enumerated",
    "expected_gradient",
    "expected_pressure",
    "optimum",
    "sampled",
    "strings",
    "trained",
]

Ints = NDArray[np.int64]
_LEAP = 2.0  # the most that one step of the descent moves a logit


class Schedule(NamedTuple):
    """How ``sampled`` trains: so many windows, of ``together`` groups for each prompt, at one rate."""

    windows: int = 300
    together: int = 8
    lr: float = 1.0


class Reached(NamedTuple):
    """Where a descent ended: the tables, the expected gradient there, after how many rounds, the Memory."""

    tables: Tables
    gradient: Tables
    rounds: int
    memory: Memory


class Trained(NamedTuple):
    """What sampled windows made of the tables, and the Memory after the last of them."""

    tables: Tables
    memory: Memory


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
    return run.gradient(run.listed(together), tables, data.memory).slope


def expected_pressure(
    method: Method, little: Little, tables: Tables, *, together: int = 1, data: Data = _WORLD
) -> Floats:
    """∂ expected objective/∂ log π(y|x), a row per prompt, averaged over the tokens of y: under 0 where the
    method raises the answer."""
    run = _Run(method, little, data)
    whole, scale, chance_S, _ = run.gathered(run.listed(together), tables, data.memory)
    felt, length_S = run.felt(whole, tables, scale), whole.lengths_S()
    pressure_T = felt.found.pressure_T * np.repeat(chance_S / length_S, length_S)
    pressure_PA = np.zeros_like(little.reward_PA)
    np.add.at(pressure_PA, (felt.prompt_T, np.repeat(felt.answer_S, length_S)), pressure_T)
    return pressure_PA


def enumerated(
    method: Method, little: Little, *, together: int = 1, data: Data = _WORLD, rounds: int = 200
) -> Reached:
    """Descends the expected gradient from π_ref until it vanishes, at most ``rounds`` times.

    What a round leaves in Memory is the mean of what its windows leave, and the next one finds it. Each entry
    is divided by how often it is visited, a positive number: so this is descent, and a loss of the wrong sign
    runs away from the optimum instead of finding it. The step is that of Barzilai and Borwein.
    """
    run = _Run(method, little, data)
    cases = run.listed(together)
    tables = little.start(method.needs().scores)
    (found, memory), before, pace = run.gradient(cases, tables, data.memory), data.memory, 0.0
    for done in range(rounds):
        metric = _metric(little, run.shares(tables), method.needs().scores)
        way = Tables(*(g / m for g, m in zip(found, metric, strict=True)))
        length = max(float(np.abs(part).max(initial=0.0)) for part in way)
        if length < 1e-9 and memory == before:
            return Reached(tables, found, done, memory)
        pace = min(pace or 0.1 / length, _LEAP / length)
        moved = Tables(*(x - pace * w for x, w in zip(tables, way, strict=True)))
        (then, memory), before = run.gradient(cases, moved, memory), memory
        square = sum(float((m * (pace * w) ** 2).sum()) for m, w in zip(metric, way, strict=True))
        turn = zip(then, found, way, strict=True)
        bend = sum(float(((after - before) * -pace * w).sum()) for after, before, w in turn)
        # Where the objective bends the wrong way there is no step to derive; the last one stays.
        pace = square / bend if bend > 0 else pace
        tables, found = moved, then
    return Reached(tables, found, rounds, memory)


def sampled(
    method: Method, little: Little, seed: int, schedule: Schedule = _SCHEDULE, data: Data = _WORLD
) -> Tables:
    """Trains on windows of drawn rows, every step of every batch in turn, by plain gradient descent."""
    return trained(method, little, seed, schedule, data).tables


def trained(
    method: Method, little: Little, seed: int, schedule: Schedule = _SCHEDULE, data: Data = _WORLD
) -> Trained:
    """``sampled``, with the Memory that the last window left."""
    rng = np.random.default_rng(seed)
    run = _Run(method, little, data)
    tables, memory = little.start(method.needs().scores), data.memory
    for index in range(schedule.windows):
        groups = [p for p in range(run.asked) for _ in range(schedule.together)]
        case = joint([run.drawn(p, g, tables, rng) for g, p in enumerate(groups)])
        batch, memory = method.batch(run.window(index, case, run.columns(tables), rng), memory, rng)
        for step, counts in zip(batch.steps, batch.counts, strict=True):
            part = batch.take(step)
            scale = {name: batch.weights[name] / count for name, count in counts.items()}
            slope = run.slope(part, tables, scale, np.ones(len(part.sequences)))
            tables = Tables(*(x - schedule.lr * g for x, g in zip(tables, slope, strict=True)))
    return Trained(tables, memory)


class _Felt(NamedTuple):
    """Derivatives of a loss, and where in the tables each of them belongs."""

    found: Evaluated
    prompt_S: Ints
    answer_S: Ints
    prompt_T: Ints
    at_T: Ints
    token_T: Ints


class _Gathered(NamedTuple):
    """The rows of all windows as one batch, how its terms are scaled, how probable each sequence is, and the
    expected Memory."""

    whole: Batch
    scale: dict[str, float]
    chance_S: Floats
    memory: Memory


class _Descent(NamedTuple):
    """The expected gradient, and the expected Memory."""

    slope: Tables
    memory: Memory


class _Run(Windows):
    """What the method learns in them."""

    def gradient(self, cases: Sequence[Case], tables: Tables, memory: Memory) -> _Descent:
        whole, scale, chance_S, kept = self.gathered(cases, tables, memory)
        return _Descent(self.slope(whole, tables, scale, chance_S), kept)

    def gathered(self, cases: Sequence[Case], tables: Tables, memory: Memory) -> _Gathered:
        """All steps of all windows, each of which found this Memory, as one."""
        share, columns = self.shares(tables), self.columns(tables)
        parts: list[Batch] = []
        chance: list[float] = []
        counts: Counter[str] = Counter()
        left: list[tuple[float, JSON]] = []
        for index, case in enumerate(cases):
            probability = case.factor * math.prod(share[place] for place in case.drawn)
            window = self.window(index, case, columns, np.random.default_rng(index))
            batch, kept = self.method.batch(window, memory, np.random.default_rng(0))
            left.append((float(probability), dict(kept)))
            for step, count in zip(batch.steps, batch.counts, strict=True):
                parts.append(batch.take(step))
                chance += [probability] * len(parts[-1].sequences)
                counts.update({name: probability * value for name, value in count.items()})
        if not parts:
            raise ContractError(type(self.method).__name__, "some window teaches something", "no steps")
        whole = _concatenated(parts, counts)
        scale = {name: whole.weights[name] / counts[name] for name in counts}
        return _Gathered(whole, scale, np.array(chance), cast(Memory, mean_of(left)))

    def slope(self, part: Batch, tables: Tables, scale: Mapping[str, float], chance_S: Floats) -> Tables:
        """∂ Σ chance · scale · total by the tables. The loss is row-local, so rows of many windows may be
        evaluated at once and weighted afterwards."""
        found, prompt_S, answer_S, prompt_T, at_T, token_T = self.felt(part, tables, scale)
        chance_T = np.repeat(chance_S, part.lengths_S())
        slope = Tables(*(np.zeros_like(part) for part in tables))
        pressure_T = found.pressure_T * chance_T
        np.add.at(slope.logits_PCV, (prompt_T, at_T, token_T), pressure_T)
        share = np.exp(self.little.logp_PCV(tables))
        slope.logits_PCV[...] -= share * slope.logits_PCV.sum(axis=2, keepdims=True)
        np.add.at(slope.scores_PAK, (prompt_S, answer_S), found.score_SK * chance_S[:, None])
        np.add.at(slope.values_PC, (prompt_T, at_T), found.value_T * chance_T)
        np.add.at(slope.steps_PCVK, (prompt_T, at_T, token_T), found.score_TK * chance_T[:, None])
        return slope

    def felt(self, part: Batch, tables: Tables, scale: Mapping[str, float]) -> _Felt:
        """The derivatives of the loss on these rows by what the tables say of them."""
        little = self.little
        seen = [little.known[s.tokens] for s in part.sequences]
        prompt_S, answer_S = (np.array(side, dtype=np.int64) for side in zip(*seen, strict=True))
        prompt_T = np.repeat(prompt_S, part.lengths_S())
        at_T, token_T = (np.concatenate([little.places[a][i] for _, a in seen]) for i in (0, 1))
        beside = Beside(
            tables.scores_PAK[prompt_S, answer_S],
            tables.values_PC[prompt_T, at_T],
            tables.steps_PCVK[prompt_T, at_T, token_T],
        )
        logp_T = little.logp_PCV(tables)[prompt_T, at_T, token_T]
        found = evaluate(self.method.loss, part, logp_T, scale, "torch", beside)
        return _Felt(found, prompt_S, answer_S, prompt_T, at_T, token_T)


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
    scored, steps = (np.repeat(mass[..., None], heads, axis=-1) for mass in (share_PA, chosen))
    return Tables(*(np.maximum(part, 1e-12) for part in (chosen, scored, chosen.sum(axis=2), steps)))
