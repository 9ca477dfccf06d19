"""Do aggregates of judgments say what they claim? Simulated raters, real arithmetic.

    python bench/feedback/aggregation.py [--sims 1000] [--seed 0] [--only NAME …]

cover       intervals of Bradley–Terry (raters who hang together) and of α hold the truth 93–97 % of the time
groups      two opposed groups: 9:1, the minority keeps its mass under ``distribution``; 1:1, r² lies below
            the 5 % quantile of its null, and for one group it does not
time        ten times as many judgments take at most fifteen times as long

The truth is always what infinitely many raters (of α: questions) of the simulated kind would give. Shares
have the exact binomial interval. "as designed": the interval of the share reaches into the bar; in ``time``
and for the minority's mass the figure itself. Exit code 1 where a figure is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.maths.agreement import Alpha, nominal_alpha, ordinal_alpha, ranking_alpha
from accord.maths.hidden_context import Labels, null, plain_chances
from accord.maths.intervals import clopper_pearson
from accord.maths.rating_intervals import Sure, difference, sure
from accord.maths.ratings import Votes, chances, fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW, HIGH = 0.93, 0.97
MASS, SLOWER = 0.10, 15.0
# Raters, and votes of each: the sandwich from 20 on, the jackknife under it.
RATERS = [(40, 30), (20, 40), (12, 40), (6, 60)]
SPREAD, LOG_NU = 0.8, -1.0  # of log π between raters; how readily they tie
ITEMS = np.linspace(-1.0, 1.0, 6)
QUESTIONS, PANEL = 150, 3  # of α
QUALITY = np.array([-3, -1, 1, 3, 0, 0, 0, 0], dtype=np.float64)
DISPUTE = np.array([0, 0, 0, 0, 6, -6, 6, -6], dtype=np.float64)


class Row(NamedTuple):
    """A figure of the evidence page. ``low`` and ``high``: the interval of a share, else the figure."""

    name: str
    value: float
    low: float
    high: float
    bar: str
    holds: bool
    seconds: float


def cast(log_pi_RK: Floats, each: int, rng: np.random.Generator) -> tuple[Votes, Ints]:
    """Each rater votes on pairs drawn evenly, by utilities of their own."""
    raters, items = log_pi_RK.shape
    rater = np.repeat(np.arange(raters), each)
    i = rng.integers(items, size=rater.size)
    j = (i + rng.integers(1, items, size=rater.size)) % items
    win, loss, _ = chances(log_pi_RK[rater, i], log_pi_RK[rater, j], LOG_NU)
    at = rng.random(rater.size)
    won, lost = at < win, (at >= win) & (at < win + loss)
    return Votes(i, j, won * 1.0, lost * 1.0, 1.0 * ~(won | lost)), rater


def everybody(rng: np.random.Generator, raters: int = 100_000) -> Floats:
    """log π that all raters together would give: the fit to what they say of each pair on average."""
    i, j = np.array(list(combinations(range(ITEMS.size), 2))).T
    log_pi_RK = ITEMS + SPREAD * rng.normal(size=(raters, ITEMS.size))
    said = [chances(log_pi_RK[:, a], log_pi_RK[:, b], LOG_NU) for a, b in zip(i, j, strict=True)]
    means = np.array([[p.mean() for p in one] for one in said])
    return fit(Votes(i, j, *means.T), ITEMS.size).log_pi_K


def cover_ratings(sims: int, seed: int) -> list[Row]:
    """The best and the worst, and two neighbours; raters differ from one another in every item."""
    truth_K = everybody(np.random.default_rng([seed, 0]))
    rows: list[Row] = []
    for raters, each in RATERS:
        rng, begin = np.random.default_rng([seed, raters]), time.perf_counter()
        pairs = [(ITEMS.size - 1, 0), (3, 2)]
        within, given = [0, 0], 0
        for _ in range(sims):
            found = sure(*cast(ITEMS + SPREAD * rng.normal(size=(raters, ITEMS.size)), each, rng), ITEMS.size)
            if not isinstance(found, Sure):
                continue
            given += 1
            for k, (i, j) in enumerate(pairs):
                interval = difference(found, i, j)
                assert interval is not None
                within[k] += interval.low <= truth_K[i] - truth_K[j] <= interval.high
        seconds = time.perf_counter() - begin
        for k, what in enumerate(("ends", "neighbours")):
            name = f"BT, {raters} raters of {each} votes, {what}"
            rows.append(_covers(name, within[k], given, seconds / 2))
        if given < sims:
            print(f"  {raters} raters: no interval in {sims - given} of {sims}")
    return rows


def _said(questions: int, kind: str, rng: np.random.Generator) -> Floats:
    """Raters see a truth through noise of their own: a label of three, or a grade of five."""
    if kind == "nominal":
        truth = rng.integers(3, size=(questions, 1))
        wrong = rng.random((questions, PANEL)) < 0.3
        return np.where(wrong, rng.integers(3, size=wrong.shape), truth).astype(np.float64)
    level = rng.normal(size=(questions, 1)) + 0.8 * rng.normal(size=(questions, PANEL))
    return np.digitize(level, [-1.5, -0.5, 0.5, 1.5]).astype(np.float64)


def cover_alpha(sims: int, seed: int) -> list[Row]:
    """α of 400,000 questions stands for that of all."""
    rows: list[Row] = []
    for k, (kind, measure) in enumerate((("nominal", nominal_alpha), ("ordinal", ordinal_alpha))):
        rng, begin = np.random.default_rng([seed, 100 + k]), time.perf_counter()
        truth = measure(_said(400_000, kind, rng), rng, draws=1)
        assert isinstance(truth, Alpha)
        within = 0
        for _ in range(sims):
            found = measure(_said(QUESTIONS, kind, rng), rng, draws=999)
            within += isinstance(found, Alpha) and found.low <= truth.value <= found.high
        name = f"α, {kind}, {QUESTIONS} questions of {PANEL}"
        rows.append(_covers(name, within, sims, time.perf_counter() - begin))
    return rows


def minority(sims: int, seed: int) -> list[Row]:
    """Nine of ten raters want the opposite of the tenth; what remains of the tenth in the labels.

    Ten answers, all pairs, 20 votes on each. The mass of the minority: what the labels give the answer that
    it prefers; and what a reward learns from them (Bradley–Terry on soft labels), beside what it would learn
    from the true shares.
    """
    rng, begin = np.random.default_rng([seed, 200]), time.perf_counter()
    worse, better = np.array(list(combinations(range(10), 2))).T

    def learnt(p: Floats) -> float:
        return float(plain_chances(np.eye(10), Labels(worse, better, p, np.full(p.size, 20.0))).mean())

    of_labels, of_reward = 0.1, learnt(np.full(worse.size, 0.1))
    ways: dict[str, Callable[[Floats], Floats]] = {
        "distribution": lambda share: share,
        "majority": lambda share: (np.sign(share - 0.5) + 1) / 2,
    }
    sums = np.zeros((len(ways), 2))
    for _ in range(sims):
        share = (rng.random((worse.size, 20)) < 0.1).mean(axis=1)
        sums += [[float(way(share).mean()), learnt(way(share))] for way in ways.values()]
    found = sums / sims / [of_labels, of_reward]
    rows: list[Row] = []
    for name, masses in zip(ways, found.tolist(), strict=True):
        for what, mass in zip(("labels", "a reward"), masses, strict=True):
            keeps = name == "distribution"
            bar = f"within {MASS:.0%} of 1" if keeps else "–"
            holds = not keeps or abs(mass - 1) <= MASS
            told = f"9:1, minority's mass over its true one, {name}, {what}"
            rows.append(Row(told, mass, mass, mass, bar, holds, (time.perf_counter() - begin) / 4))
    return rows


def opposed(sims: int, seed: int) -> list[Row]:
    """Half of the answers are disputed by two groups, 1:1, or by nobody; how often r² lies below its null."""
    rows: list[Row] = []
    for name, dispute in (("1:1", DISPUTE), ("one group", 0 * DISPUTE)):
        rng, begin, hidden = np.random.default_rng([seed, 300]), time.perf_counter(), 0
        for _ in range(sims):
            hidden += null(np.eye(QUALITY.size), _disputed(dispute, rng), rng, refits=99).hidden
        found = clopper_pearson(hidden, sims)
        bar, holds = ("nearly always", found.high >= 0.95) if dispute.any() else ("≤ 5 %", found.low <= 0.05)
        what = f"{name}: r² below the 5 % quantile of its null, {sims} sets"
        rows.append(Row(what, found.value, found.low, found.high, bar, holds, time.perf_counter() - begin))
    return rows


def _disputed(dispute_K: Floats, rng: np.random.Generator, votes: int = 30) -> Labels:
    i, j = np.triu_indices(QUALITY.size, 1)
    side = np.where(rng.random((i.size, votes)) < 0.5, 1.0, -1.0)
    delta = (QUALITY[i] - QUALITY[j])[:, None] + side * (dispute_K[i] - dispute_K[j])[:, None]
    p = (rng.random(delta.shape) < 1 / (1 + np.exp(-delta))).mean(axis=1)
    return Labels(i, j, p, np.full(i.size, float(votes)))


def scale(seed: int) -> list[Row]:
    """The figures of the agreement page at 10,000 and at 100,000 judgments."""
    rng = np.random.default_rng([seed, 400])

    def ratings(judgments: int) -> Callable[[], object]:
        votes, rater = cast(
            np.linspace(-2, 2, 50) + SPREAD * rng.normal(size=(judgments // 100, 50)), 100, rng
        )
        return lambda: sure(votes, rater, 50)

    def alphas(kind: str, measure: Callable[..., object]) -> Callable[[int], Callable[[], object]]:
        def of(judgments: int) -> Callable[[], object]:
            said = _said(judgments // PANEL, kind, rng)
            return lambda: measure(said, rng)

        return of

    def rankings(judgments: int) -> Callable[[], object]:
        told = [[tuple(rng.permutation(4).tolist()) for _ in range(PANEL)] for _ in range(judgments // PANEL)]
        return lambda: ranking_alpha(told, rng)

    cases = {
        "BT with intervals, 50 items": ratings,
        "α, nominal": alphas("nominal", nominal_alpha),
        "α, ordinal": alphas("ordinal", ordinal_alpha),
        "α, rankings of 4": rankings,
    }
    rows: list[Row] = []
    for name, case in cases.items():
        small, large = (_seconds(case(judgments)) for judgments in (10_000, 100_000))
        ratio = large / small
        what = f"{name}: {small:.2f} s → {large:.2f} s"
        rows.append(Row(what, ratio, ratio, ratio, f"≤ {SLOWER:g} ×", ratio <= SLOWER, small + large))
    return rows


def _seconds(work: Callable[[], object], times: int = 3) -> float:
    """The shortest of a few: what else the machine does only adds."""
    taken: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def _covers(name: str, within: int, sims: int, seconds: float) -> Row:
    found = clopper_pearson(within, sims)
    holds = found.high >= LOW and found.low <= HIGH
    return Row(name, found.value, found.low, found.high, f"{LOW:.0%}–{HIGH:.0%}", holds, seconds)


def table(rows: Sequence[Row]) -> str:
    """Lines for a terminal."""
    lines: list[str] = []
    for row in rows:
        spread = f"({row.low:.3f}–{row.high:.3f})" if row.low < row.high else ""
        word = "as designed" if row.holds else "DIFFERS"
        said = word if row.bar != "–" else ""
        lines.append(f"  {row.name:60} {row.value:7.3f} {spread:15} {row.bar:34} {said}  {row.seconds:.0f} s")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """All tables, or those that are named."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--sims", type=int, default=1000, help="simulations of each share")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", nargs="*", default=["cover", "groups", "time"])
    given = words.parse_args(argv)
    parts: dict[str, list[Callable[[], list[Row]]]] = {
        "cover": [
            lambda: cover_ratings(given.sims, given.seed),
            lambda: cover_alpha(given.sims, given.seed),
        ],
        # A set of labels is refitted a hundred times, so there are fewer of them.
        "groups": [
            lambda: minority(max(1, given.sims // 5), given.seed),
            lambda: opposed(max(1, given.sims // 25), given.seed),
        ],
        "time": [lambda: scale(given.seed)],
    }
    if unknown := [name for name in given.only if name not in parts]:
        words.error(f"--only {unknown[0]}: one of {', '.join(parts)}")
    rows: list[Row] = []
    for name in given.only:
        print(name, flush=True)
        for part in parts[name]:
            found = part()
            print(table(found), flush=True)
            rows += found
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
