"""Evaluations: a method's own loss and figures on data its stage never trains on, and what follows from them.

The same rows are read every time, each once, through the method's ``batch`` (with a generator of its own) and
``Learner.evaluate``, which changes nothing. A figure is Σ total / Σ count over all steps, so it does not
depend on how the method cuts rows into steps. Its interval resamples these steps, joined where they share a
prompt; with fewer than two such clusters, or a sum of terms that count different things, there is none, and
the bounds are infinite. ``change`` is the difference to the first evaluation on the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np

from accord.errors import PlanError, beneath, nearest
from accord.maths.intervals import Interval, ratio_of_sums
from accord.measuring import Measuring
from accord.ports import Feedback, Learner, Memory, Method, Source
from accord.progress import Progress
from accord.records import JSON, Cost, NotMeasured, Reading, StepEvent, canonical, digest
from accord.records.rows import Batch, Floats, Row, Window
from accord.records.texts import Sequence as Masked
from accord.sources import seeded

__all__ = ["MOST", "Criterion", "Evaluation", "Evaluator", "Standing"]

MOST = 1000  # rows of one evaluation, where a plan does not say how many windows it takes

_UNITS = {"accuracy": "share of rows", "nll": "nats/token"}
_NO_FIGURE: list[list[float]] = [[], []]
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


class Criterion(NamedTuple):
    """What evaluations are judged by, and what follows from a good one or from several that are not."""

    by: str
    better: Literal["lower", "higher"]
    patience: int
    keep_best: bool


@dataclass
class Standing:
    """What the evaluations of a stage have come to. Saved with every checkpoint.

    ``step`` is that of the newest, ``best`` that of the best (−1: none), ``value`` its figure; ``waited``
    counts those since that brought no gain, ``ended`` says why the stage ended early. ``first`` holds totals
    and counts of the first evaluation by figure and step, ``anchor`` the record that names all its rows.
    """

    step: int = -1
    count: int = 0
    best: int = -1
    value: float = math.nan
    waited: int = 0
    ended: str = ""
    anchor: str = ""
    first: dict[str, list[list[float]]] = field(default_factory=dict[str, list[list[float]]])


class Evaluation(NamedTuple):
    """One evaluation: its readings (or why there are none), and the event that says what follows."""

    found: tuple[Reading | NotMeasured, ...]
    event: StepEvent


class _Figure(NamedTuple):
    """A figure as sums by step. ``one``: all its terms count the same, so its steps can be resampled."""

    top_S: Floats
    bottom_S: Floats
    one: bool = True

    @property
    def value(self) -> float:
        return float(self.top_S.sum() / self.bottom_S.sum())


class _Step(NamedTuple):
    """One step that was read: its terms with their denominators, its rows, and whose prompts these answer."""

    terms: Mapping[str, float]
    counts: Mapping[str, float]
    weights: Mapping[str, float]
    part: Batch
    owners: Mapping[Masked, set[str]]

    def prompts(self) -> frozenset[str]:
        # A sequence that the window does not have is of nobody knows which prompt: such steps hang together.
        return frozenset(prompt for s in self.part.sequences for prompt in self.owners.get(s, {""}))


class _Pass(NamedTuple):
    """One pass over the rows. ``cluster_S``: which steps belong together, for they share a prompt."""

    figures: Mapping[str, _Figure]
    cluster_S: Ints
    rows: int
    tokens: int


@dataclass
class Evaluator:
    """Reads the evaluations of one stage, and keeps their standing.

    ``windows`` of the source make one evaluation; None is one pass over its rows, of at most ``MOST``.
    ``described`` is the method as the plan names it: with the rows it is the instrument. ``path`` is that of
    the table in the plan.
    """

    run: str
    seed: int
    source: Source
    windows: int | None
    criterion: Criterion
    method: Method
    learner: Learner
    feedback: Feedback
    progress: Progress
    described: JSON
    path: str
    measuring: Measuring = field(default_factory=Measuring)
    _read: tuple[Window, ...] = ()

    def read(self, step: int, memory: Memory, standing: Standing, last: bool) -> Evaluation:
        """Read once, judge, and bring ``standing`` up to date; at the ``last`` step nothing can end early."""
        self._read = self._read or self._rows()
        done = self._pass(memory)
        standing.step = step
        if isinstance(done, str):
            name = f"eval.{self.criterion.by}"
            event = StepEvent(run=self.run, name="fault", step=step, text=f"{name} was not measured: {done}")
            return Evaluation((NotMeasured(run=self.run, name=name, step=step, reason=done),), event)
        judged = self._judged_by(done.figures)
        first = self._reading(judged, done, step, standing)
        standing.anchor = standing.anchor or first.id
        others = [self._reading(name, done, step, standing) for name in done.figures if name != judged]
        if not standing.first:
            standing.first = {n: [f.top_S.tolist(), f.bottom_S.tolist()] for n, f in done.figures.items()}
        # What all of them took is paid for once.
        first = first.model_copy(update={"cost": Cost(calls=1, tokens_in=done.tokens)})
        text = self._judge(judged, first.value, step, standing, last)
        scalars = {one.name: one.value for one in (first, *others)}
        event = StepEvent(run=self.run, name="stage", step=step, scalars=scalars, text=text)
        return Evaluation((first, *others), event)

    def _rows(self) -> tuple[Window, ...]:
        """The windows, every row once: a source that has come round brings rows again."""
        policy, seen, found = self.learner.sampler(), set[str](), list[Window]()
        prompts = len(self.source.prompts())
        index, idle, came_round = 0, 0, False
        # Windows may be empty, where rows are too long; as many in a row as there are prompts are enough.
        while (
            index < self.windows if self.windows else not came_round and len(seen) < MOST and idle <= prompts
        ):
            window = self.source.window(index, policy, self.feedback)
            rows = {_fact(row): row for row in window.rows}
            fresh = tuple(row for fact, row in rows.items() if fact not in seen)
            seen |= rows.keys()
            found += [replace(window, rows=fresh)] if fresh else []
            came_round = len(fresh) < len(window.rows)
            index, idle = index + 1, 0 if fresh else idle + 1
        if self.method.needs().mismatched:
            found = _joined(found)
        capped = self.windows is None and len(seen) >= MOST
        more = f", perhaps not all of them: say eval.windows for more than {MOST:,}" if capped else ""
        windows = f"{len(found)} window{'s' if len(found) > 1 else ''}"
        self.progress.say(f"an evaluation reads {len(seen):,} rows in {windows}{more}")
        return tuple(found)

    def _pass(self, memory: Memory) -> _Pass | str:
        """Every step of every window once; or why that gives no figure."""
        taken: list[_Step] = []
        # A text that answers nobody shares nothing with another such text.
        blank = {p.id for p in self.source.prompts() if not any(m.content.strip() for m in p.messages)}
        for window in self._read:
            self.progress.advance(0, f"evaluation: window {window.index + 1}")
            window = self.measuring.of(window, self.method, self.learner, self.seed)
            rng = seeded(self.run, self.seed, "eval", window.index)
            batch, _ = self.method.batch(window, memory, rng)
            owners = _owners(window, blank)
            for step in _once(batch.steps):
                terms = self.learner.evaluate(batch, step, self.method.loss)
                taken.append(
                    _Step(terms, batch.counts[step], batch.weights, batch.take(batch.steps[step]), owners)
                )
        if not taken:
            return "none of its rows has all that the method reads"
        broken = {name for one in taken for name, value in one.terms.items() if not math.isfinite(value)}
        if broken:
            return f"{', '.join(sorted(broken))}: not finite"
        return _Pass(
            figures=_figures(taken),
            cluster_S=_clusters([one.prompts() for one in taken]),
            rows=sum(len(set(one.part.row_S.tolist())) for one in taken),
            tokens=sum(len(s.tokens) for one in taken for s in one.part.sequences),
        )

    def _judged_by(self, figures: Mapping[str, _Figure]) -> str:
        """The figure that evaluations are judged by; an objective of one term goes by that term's name."""
        by = self.criterion.by
        if by == "objective" and by not in figures:
            return next(iter(figures))
        if by not in figures:
            with beneath(self.path):
                advice = (
                    nearest(by, figures) or "it was found out by reading the data once; nothing was trained"
                )
                raise PlanError("by", by, f"objective, {', '.join(figures)}", advice)
        return by

    def _reading(self, name: str, done: _Pass, step: int, standing: Standing) -> Reading:
        figure, told = done.figures[name], f"eval.{name}"
        found = self._interval(figure, figure.value, done, (told, step))
        facts = [fact for window in self._read for row in window.rows for fact in _parents(row)]
        reading = Reading(
            run=self.run,
            name=told,
            step=step,
            instrument=digest({"form": "evaluation", "method": self.described, "rows": facts}),
            value=found.value,
            low=found.low,
            high=found.high,
            unit=_UNITS.get(name, ""),
            n=done.rows,
            # All rows are named once: thousands of ids in every reading would drown the log.
            parents=(standing.anchor,) if standing.anchor else tuple(dict.fromkeys(facts)),
        )
        return self._compared(reading, figure, done, standing)

    def _compared(self, reading: Reading, figure: _Figure, done: _Pass, standing: Standing) -> Reading:
        """The reading with its change since the first evaluation, where both counted the same steps alike."""
        top, bottom = standing.first.get(reading.name.removeprefix("eval."), _NO_FIGURE)
        if bottom != figure.bottom_S.tolist():
            return reading
        base = float(np.sum(top) / figure.bottom_S.sum())
        moved = _Figure(figure.top_S - np.array(top), figure.bottom_S, figure.one)
        change = self._interval(moved, reading.value - base, done, (reading.name, "change", reading.step))
        told = {"base": base, "change": change.value, "change_low": change.low, "change_high": change.high}
        return Reading.model_validate(reading.model_dump() | told)

    def _interval(self, figure: _Figure, value: float, done: _Pass, key: tuple[str | int, ...]) -> Interval:
        top_P = np.bincount(done.cluster_S, weights=figure.top_S).astype(np.float64)
        bottom_P = np.bincount(done.cluster_S, weights=figure.bottom_S).astype(np.float64)
        if not figure.one or len(top_P) < 2:
            return Interval(value, -math.inf, math.inf)
        return ratio_of_sums(top_P, bottom_P, seeded(self.run, *key))._replace(value=value)

    def _judge(self, by: str, value: float, step: int, standing: Standing, last: bool) -> str:
        """Compare with the best so far; only a real gain is one, and equal is none."""
        asked, standing.count = self.criterion, standing.count + 1
        ahead = value < standing.value if asked.better == "lower" else value > standing.value
        if standing.best < 0 or ahead:
            standing.best, standing.value, standing.waited = step, value, 0
            return f"evaluation {standing.count}: {by} {value:.4g}, the best so far"
        standing.waited += 1
        told = f"evaluation {standing.count}: {by} {value:.4g}, the best is {standing.value:.4g}"
        told += f" at step {standing.best}"
        if asked.patience and standing.waited >= asked.patience and not last:
            standing.ended = f"{by} has not improved in {standing.waited} evaluations"
            told += f"; the stage ends early: {standing.ended}"
        return told


def _joined(windows: Sequence[Window]) -> list[Window]:
    """A window that is left with rows of one prompt has nothing to compare with: it joins its neighbour."""
    found: list[Window] = []
    for window in windows:
        if found and (_lone(window) or _lone(found[-1])):
            found[-1] = replace(found[-1], rows=found[-1].rows + window.rows)
        else:
            found.append(window)
    return found


def _lone(window: Window) -> bool:
    return len({row.episodes[-1].prompt_tokens[-1] for row in window.rows}) < 2


def _fact(row: Row) -> str:
    # How many rows its window lost to their length says nothing of a row.
    columns = {name: value for name, value in row.columns.items() if name != "left_out"}
    return canonical([[e.id for e in row.episodes], columns])


def _parents(row: Row) -> tuple[str, ...]:
    return tuple(r for e in row.episodes for r in e.responses) + row.parents


def _once(steps: Sequence[Ints]) -> Iterator[int]:
    """The steps of the first epoch: those that bring no row again."""
    seen = set[int]()
    for step, rows in enumerate(steps):
        if seen.isdisjoint(rows.tolist()):
            seen.update(rows.tolist())
            yield step


def _owners(window: Window, blank: Set[str]) -> dict[Masked, set[str]]:
    """The prompts that each sequence answers, or its own id where that is a blank one."""
    owners: dict[Masked, set[str]] = {}
    for row in window.rows:
        for episode in row.episodes:
            owner = episode.id if episode.prompt in blank else episode.prompt
            for sequence in episode.sequences():
                owners.setdefault(sequence, set()).add(owner)
    return owners


def _clusters(prompts_S: Sequence[frozenset[str]]) -> Ints:
    """Steps that share a prompt get one number, also where others stand between them.

    >>> _clusters([frozenset("a"), frozenset("b"), frozenset("ac"), frozenset("c"), frozenset("d")]).tolist()
    [0, 1, 0, 0, 2]
    """
    cluster_S = list(range(len(prompts_S)))
    home: dict[str, int] = {}
    for step, prompts in enumerate(prompts_S):
        joined = {cluster_S[home[p]] for p in prompts if p in home} | {cluster_S[step]}
        lowest = min(joined)
        cluster_S = [lowest if cluster in joined else cluster for cluster in cluster_S]
        home |= dict.fromkeys(prompts, step)
    return np.unique(np.array(cluster_S, dtype=np.int64), return_inverse=True)[1].astype(np.int64)


def _figures(taken: Sequence[_Step]) -> dict[str, _Figure]:
    """Every term by its sums, trained ones first; before them the objective, if it is more than one term."""
    found: dict[str, _Figure] = {}
    for name in taken[0].terms:
        bottom_S = np.array([one.counts[name] for one in taken], dtype=np.float64)
        found[name] = _Figure(np.array([one.terms[name] for one in taken]) * bottom_S, bottom_S)
    trained = [name for name in found if any(one.weights[name] for one in taken)]
    ordered = {name: found[name] for name in [*trained, *(n for n in found if n not in trained)]}
    if len(trained) == 1 and all(one.weights[trained[0]] == 1 for one in taken):
        return ordered
    return {"objective": _objective({name: found[name] for name in trained}, taken), **ordered}


def _objective(trained: Mapping[str, _Figure], taken: Sequence[_Step]) -> _Figure:
    """Σ weight · total / count over all steps."""
    bottom_S = next(iter(trained.values())).bottom_S
    top_S = np.zeros(len(bottom_S))
    for name, figure in trained.items():
        weight_S = np.array([one.weights[name] for one in taken])
        # On one denominator. Where terms count different things, that holds for the sum of all steps only.
        top_S += weight_S * figure.top_S * (bottom_S.sum() / figure.bottom_S.sum())
    one = all(np.array_equal(figure.bottom_S, bottom_S) for figure in trained.values())
    return _Figure(top_S, bottom_S, one)
