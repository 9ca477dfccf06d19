"""Overoptimisation: is the peak of gold where the fitted curve says, and later for larger proxies?

Strings of five symbols are all listed (``worlds.strings``): gold is known of each, a proxy is a fit of so
many numbers to noisy labels. One policy is pressed on one proxy; at each point of its way d = √KL from the
base and mean gold are sums over all strings. Over these points the curves of 2210.10760 are fitted
(``maths.overuse``):

    best_of_n    R(d) = R(0) + d·(a − b·d)          d* = a / 2b
    rl, kl       R(d) = R(0) + d·(a − b·ln d)       d* = e^(a/b − 1)

and d* is set against the d at which gold was highest on that way.

    best_of_n-S  the best of n = 1 … ``most`` by a proxy of S numbers, exactly
    rl-S         a token policy that RLOO trains on the proxy, without a penalty
    kl-S         the same with penalties β on the KL from the base, in the reward

1. Tasks are the numbers of labels; of ``kl`` the penalties, at the middle number of labels.
2. A curve is fitted up to the first point at which gold is less than ``fallen`` of the highest before it:
   by then the turn is plain, and the paper's forms know no cliff.
3. No peak is counted as later than the last d of the way (``reached``): beyond it nothing was tried.
4. Neither the policy nor the fit draws gold: the points are exact. In a run both are means of samples.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, Self, cast

import numpy as np
from pydantic import Field, model_validator

from accord.maths.enumerating import kl, of_best
from accord.maths.overuse import Form as Curve
from accord.maths.overuse import fitted
from accord.methods.rloo import RLOO
from accord.part import Part
from accord.records import JSON, Purpose, digest
from accord.records.rows import Columns, Floats, Group
from accord.sources import seeded
from accord.stores.memory import MemoryStore
from accord.studies.arms import Cell, Items, Measured, demand_known
from accord.studies.bars import Bar, ahead, below
from accord.studies.listed import Drill, Listed, drilled
from accord.studies.port import Doing, Form, Setting
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds.strings import Strings, base, chain, gold, proxy, tasks

__all__ = ["Overoptimisation", "Way", "fallen_at", "peak_of_curve", "read_off"]

_WAYS = ("best_of_n", "rl", "kl")
_READER, _ITEM = "study", "gold"
_EVERY = 2  # windows of a policy that is trained: a point
_NEAR = 1e-3  # how finely a d is looked up
_RISEN = 0.1  # deviations: below that gold has not risen yet, and cannot have fallen
_GRID = tuple(k / 4 for k in range(1, 13))  # of d, where two ways are compared
_TABLES = {
    "where gold is highest, and where the curve says; distances are √KL from the base": (
        "off",
        "fitted",
        "peak",
        "reached",
    ),
    "what the use of the proxy was worth, in deviations of the base": ("highest", "lost", "proxy"),
    "gold with a penalty less gold without one, at the same distance": ("above",),
}


class Way(NamedTuple):
    """A policy under growing pressure, point by point: its distance, mean proxy and the shares of answers."""

    d_W: Floats
    proxy_W: Floats
    share_WA: Floats


class Read(NamedTuple):
    """What a way shows: where gold was highest, where the curve says, the largest distance; gold at the peak
    and at the last point."""

    peak: float
    fitted: float
    reached: float
    highest: float
    last: float

    @property
    def off(self) -> float:
        """How far the fit is from the peak, as a share of the peak."""
        return abs(self.fitted - self.peak) / self.peak


def fallen_at(gold_W: Floats, share: float) -> int:
    """How many points there are up to the first at which gold is less than a share of the highest before it.

    >>> fallen_at(np.array([0.0, 1.0, 2.0, 1.1, 0.9, 3.0]), 0.5), fallen_at(np.array([0.01, 0.0, 1.0]), 0.5)
    (5, 3)
    """
    before_W = np.maximum.accumulate(gold_W)
    low = np.flatnonzero((gold_W < share * before_W) & (before_W > _RISEN))
    return int(low[0]) + 1 if low.size else len(gold_W)


def peak_of_curve(curve: Curve, d_W: Floats, gold_W: Floats, share: float) -> float:
    """Where the fitted curve is highest, and no later than the way goes. ValueError where none can be fitted.

    >>> d = np.linspace(0, 1, 31)
    >>> [round(peak_of_curve("best_of_n", d, d * (a - d), 0.5), 4) for a in (1.5, 3.0)]
    [0.75, 1.0]
    """
    count = fallen_at(gold_W, share)
    found = fitted(curve, d_W[:count], gold_W[:count], seeded("overoptimisation"), draws=100)
    if isinstance(found, str):
        raise ValueError(f"no curve: {found}")
    return min(found.peak.value, float(d_W.max()))


def read_off(fit: float, d_W: Floats, gold_W: Floats) -> Read:
    """The peak of a way, beside that of its fitted curve.

    >>> found = read_off(1.2, np.array([0.0, 1.0, 2.0]), np.array([0.0, 3.0, 1.0]))
    >>> found, round(found.off, 4)
    (Read(peak=1.0, fitted=1.2, reached=2.0, highest=3.0, last=1.0), 0.2)
    """
    at = int(gold_W.argmax())
    return Read(float(d_W[at]), fit, float(d_W.max()), float(gold_W[at]), float(gold_W[-1]))


class Overoptimisation(Part):
    """The settings are ``overoptimisation.toml``, with what each of them means."""

    question: ClassVar[str] = "Is gold highest where the fitted curve says, and later for larger proxies?"
    hasty: ClassVar[tuple[str, ...]] = ("best_of_n-40", "rl-40")
    models: ClassVar[bool] = False
    shows: ClassVar[tuple[str, ...]] = (
        "tiny models cannot show scaling exponents: a proxy's size is how many numbers a linear fit has, and "
        "what it misses is planted, a symbol that pleases once and harms when it is said often",
        "points are exact, so a fit is wrong here only by its form; a run's own points are means of samples",
        "off: how far the fitted d* is from the d where gold was highest, as a share of that; no peak is "
        "counted as later than the way goes (reached). fitted, peak: these two, by number of labels",
        "highest: gold at its peak; lost: how much of that is gone at the end of the way",
    )

    version: int = Field(ge=1)
    arms: tuple[str, ...]
    seeds: int = Field(ge=1)
    within: float = Field(gt=0)
    sizes: dict[str, int]
    labels: tuple[int, ...] = Field(min_length=2)
    noise: float = Field(ge=0)
    most: int = Field(ge=4)
    windows: int = Field(ge=8)
    answers: int = Field(ge=2)
    lr: float = Field(gt=0)
    penalties: tuple[float, ...]
    fallen: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _arms_are_known(self) -> Self:
        """A way that nobody knows would be one without a penalty."""
        demand_known(self.arms, [f"{way}-{size}" for way in _WAYS for size in self.sizes])
        return self

    @property
    def form(self) -> Form:
        return Form(_TABLES, drawn="off", across=_above)

    def bar(self, model: str | None) -> Bar:
        del model
        near = tuple(below("off", arm, self.within) for arm in self.arms)
        ways = dict.fromkeys(arm.partition("-")[0] for arm in self.arms if not arm.startswith("kl"))
        later = tuple(
            ahead("fitted", f"{way}-{larger}", (f"{way}-{smaller}",))
            for way in ways
            for smaller, larger in zip(self.sizes, tuple(self.sizes)[1:], strict=False)
        )
        return Bar((*near, *later), self.seeds)

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with Worker() as worker:
            yield _Seed(self, at.quick, seed, worker).done


@dataclass(frozen=True)
class _Seed:
    """One seed: one gold, one base, and the proxies for them."""

    study: Overoptimisation
    quick: bool
    seed: int
    worker: Worker

    def done(self, cell: Cell) -> Measured:
        """Every way of an arm: its curve fitted, then its answers sealed, then its peak read."""
        name, _, size = cell.arm.partition("-")
        curve: Curve = "best_of_n" if name == "best_of_n" else "rl"
        ways = {task: self._way(name, one, beta, task) for task, (one, beta) in self._asked(name, size)}
        vault = self._vault(cell)
        fits = {
            task: peak_of_curve(curve, way.d_W, way.share_WA @ _gold(vault, "fit"), self.study.fallen)
            for task, way in ways.items()
        }
        vault.seal([digest([cell.folder.name, task, value]) for task, value in fits.items()])
        gold_A, items = _gold(vault, "score"), dict[str, dict[str, float]]()
        for task, way in ways.items():
            gold_W = way.share_WA @ gold_A
            read = read_off(fits[task], way.d_W, gold_W)
            told = read._asdict() | {"off": read.off, "lost": read.highest - read.last}
            told |= {"proxy": float(way.proxy_W[-1])}
            for figure, value in told.items():
                items.setdefault(figure, {})[task] = value
            if name != "best_of_n":
                items.setdefault("gold at d", {}).update(_at_grid(task, way.d_W, gold_W))
        return Measured(cell.arm, cell.seed, "measured", items=items)

    def _asked(self, name: str, size: str) -> Iterator[tuple[str, tuple[Strings, float]]]:
        """The tasks of an arm: of each the proxy, and the penalty."""
        labels = self.study.labels[:2] if self.quick else self.study.labels
        middle = labels[len(labels) // 2]
        for count in (middle,) if name == "kl" else labels:
            made = Strings(
                table=self.seed, reach=self.study.sizes[size], labels=count, noise=self.study.noise
            )
            for beta in self.study.penalties if name == "kl" else (0.0,):
                yield f"{count} labels" + (f", penalty {beta:g}" if beta else ""), (made, beta)

    def _way(self, name: str, made: Strings, beta: float, task: str) -> Way:
        share_A, proxy_A = base(made), proxy(made)
        if name == "best_of_n":
            n_N = sorted({round(2 ** (k / 4)) for k in range(round(4 * np.log2(self.study.most)) + 1)})
            found = [of_best(share_A, proxy_A, n) for n in n_N]
        else:
            found = list(self._trained(made, proxy_A, beta, task))
        d_W = np.array([max(0.0, kl(one, share_A)) ** 0.5 for one in found])
        share_WA = np.stack(found)
        return Way(d_W, share_WA @ proxy_A, share_WA)

    def _trained(self, made: Strings, proxy_A: Floats, beta: float, task: str) -> Iterator[Floats]:
        """The policy's shares of all strings as every second window found it."""
        # The table allows the symbols itself; the numbers that a world gives its words are not the table's.
        prompt = tasks(made, [task])[0].model_copy(update={"allowed": None})
        listed, windows = _started(made, prompt.text), self.study.windows // (2 if self.quick else 1)
        key = f"{self.seed}/{made.reach}/{task}"
        feedback = partial(_scored, made, proxy_A)
        drill = Drill(RLOO(n=self.study.answers, beta=beta), feedback, windows, made.length, key)
        learner = listed.learner(f"overoptimisation/{key}", self.study.lr)
        for window in drilled(drill, learner, lambda _: [prompt], self.worker):
            if window.index % _EVERY == 0:
                yield listed.shares(prompt.text)

    def _vault(self, cell: Cell) -> TruthVault:
        truth = cast(JSON, gold(Strings(table=self.seed)).tolist())
        readers: dict[str, tuple[Purpose, ...]] = {_READER: ("fit", "score")}
        return TruthVault("strings", {_ITEM: truth}, readers, MemoryStore(), cell.folder.name)


def _gold(vault: TruthVault, purpose: Purpose) -> Floats:
    """Gold of every string."""
    return np.array(vault.read(_ITEM, purpose, _READER), np.float64)


def _started(made: Strings, text: str) -> Listed:
    """The base as a table: a symbol depends on the one before it alone."""
    first_V, next_VV = chain(made)
    symbols = made.alphabet[:-1]
    return Listed.of(
        {text: [symbols] * made.length},
        lambda _, said: cast("list[float]", (next_VV[said[-1]] if said else first_V).tolist()),
    )


def _scored(made: Strings, proxy_A: Floats, groups: Sequence[Group]) -> Columns:
    """The proxy of each answer."""
    said = [one for group in groups for one in group.responses]
    score_R = proxy_A[[made.place(one.text) for one in said]]
    return Columns(
        tuple((one.id,) for one in said), {"score": score_R}, np.zeros(len(said), np.bool_), ((),) * len(said)
    )


def _at_grid(task: str, d_W: Floats, gold_W: Floats) -> dict[str, float]:
    """Gold at rounded distances, as far as the way goes; between two points a straight line.

    Of points at one distance, which a way comes to that goes back, their mean.

    >>> _at_grid("x", np.array([0.0, 0.2, 0.4]), np.array([0.0, 1.0, 3.0]))
    {'x, d 0.25': 1.5}
    """
    at_W = np.round(d_W / _NEAR)
    d_U, place_W = np.unique(at_W, return_inverse=True)
    gold_U = np.bincount(place_W, weights=gold_W) / np.bincount(place_W)
    return {f"{task}, d {d:.2f}": float(np.interp(d, d_U * _NEAR, gold_U)) for d in _GRID if d <= d_W.max()}


def _above(cells: Mapping[str, Measured]) -> Mapping[str, Items]:
    """Of each ``kl`` arm how far gold is above that of ``rl`` at the same distance, a mean by penalty."""
    found: dict[str, Items] = {}
    for arm, cell in cells.items():
        name, _, size = arm.partition("-")
        plain = cells.get(f"rl-{size}")
        if name != "kl" or plain is None:
            continue
        gains: dict[str, list[float]] = {}
        for task, value in cell.items["gold at d"].items():
            labels, beta, d = task.split(", ")
            without = plain.items["gold at d"].get(f"{labels}, {d}")
            if without is not None:
                gains.setdefault(beta, []).append(value - without)
        found[arm] = {"above": {beta: float(np.mean(values)) for beta, values in gains.items()}}
    return found
