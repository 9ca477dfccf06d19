"""How long does a manager wait? The figures of ``/manage`` at 10,000 and at 100,000 judgments.

    python bench/feedback/page.py [--judgments 10000 100000] [--seed 0]

A real labelling database is filled with comparisons by 100 raters (five on each question, four policies, two
arms, ties, skips), and everything that the page shows is computed: read from the database, α with its
interval, ratings with theirs, arms, position bias, flags. The bar: ten times as many judgments take at most
fifteen times as long. The page itself waits for none of it, for figures are computed aside and kept: its own
time stands beside them, and has no bar. Figures are timed by the processor's seconds of this process, so that
what else the machine does is no part of them.

"as designed": the ratio is under the bar. Exit code 1 where it is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from feedback.aggregation import SLOWER, Row, table

from accord.records import (
    By,
    Instrument,
    Judgment,
    Kind,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Selection,
    Times,
)
from accord.reports.labelling import Figures, figures
from accord.stores.people import People, Voice
from accord.web.board import Board

__all__ = ["JUDGMENTS", "filled", "measured"]

JUDGMENTS = (10_000, 100_000)
RATERS, PANEL, POLICIES = 100, 5, 4
_NOW = 1.8e9


@contextmanager
def filled(folder: Path, judgments: int, seed: int) -> Iterator[People]:
    """A labelling database with so many judgments."""
    with People.open(folder / f"{judgments}.db", lambda: _NOW) as people:
        rng = np.random.default_rng([seed, judgments])
        for start in range(0, judgments, 10_000):
            people.ingest(*_some(min(10_000, judgments - start), start, rng))
        yield people


def _some(
    judgments: int, start: int, rng: np.random.Generator
) -> tuple[list[Question], list[Record], list[Voice]]:
    questions: list[Question] = []
    records: list[Record] = []
    voices: list[Voice] = []
    instrument = Instrument(allows=("tie", "acceptability", "abstention"))
    for k in range(-(-judgments // PANEL)):
        number = start + k
        prompt = Prompt.of(f"Question {number}?", f"stratum {number % 7}")
        one, two = rng.choice(POLICIES, 2, replace=False).tolist()
        pair = [
            Response(prompt=prompt.id, text=f"Answer {number}", policy=f"policy {policy}", index=side)
            for side, policy in enumerate((one, two))
        ]
        arm = "random" if number % 5 < 3 else "uncertain"
        chosen = Selection(arm=arm, propensity=1e-4, selector="bench", pool="10000-bench", seed=number)
        ids = tuple(answer.id for answer in pair)
        question = Question(
            asks=Kind.COMPARE, prompt=prompt.id, responses=ids, instrument=instrument, selection=chosen
        )
        questions.append(question)
        records += [prompt, *pair]
        for rater in rng.choice(RATERS, min(PANEL, judgments - k * PANEL), replace=False).tolist():
            voices.append(_said(question, rater, 0.5 * (one - two), rng))
    return questions, records, voices


def _said(question: Question, rater: int, gap: float, rng: np.random.Generator) -> Voice:
    name, at = f"r-{rater:012x}", _NOW - 1e6 * float(rng.random())
    turned = bool(rng.random() < 0.5)
    shown = question.responses[::-1] if turned else question.responses
    drawn = float(rng.random())
    first = bool(rng.random() < 1 / (1 + np.exp(-gap)))
    best = question.responses if first else question.responses[::-1]
    tiers = (question.responses,) if drawn < 0.15 else tuple((answer,) for answer in best)
    skips = drawn > 0.97
    judgment = Judgment(
        question=question.id,
        by=By(type="person", name=name, config="bench"),
        shown=shown,
        verdict=None if skips else Ranked(tiers=tiers, acceptable=() if drawn < 0.03 else None),
        abstention="unclear" if skips else None,
        times=Times(shown=at - 20, submitted=at, active=20.0),
        salt=rng.bytes(16).hex(),
    )
    return Voice(judgment, name, at=at)


def measured(judgments: Sequence[int] = JUDGMENTS, seed: int = 0) -> list[Row]:
    """The time of everything, of its two halves, and of the page while figures are kept; as many rows."""
    taken: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="accord-page-") as folder, filled(Path(folder), 50, seed) as few:
        _taken(few, 50)  # what is imported at first use is no part of it
    with tempfile.TemporaryDirectory(prefix="accord-page-") as folder:
        for count in judgments:
            with filled(Path(folder), count, seed) as people:
                taken.append(_taken(people, count))
    small, large = taken[0], taken[-1]
    rows: list[Row] = []
    for name, k in (("all figures", None), ("read", 0), ("computed", 1)):
        of = [sum(one[:2]) if k is None else one[k] for one in (small, large)]
        ratio = of[1] / of[0]
        bar = f"≤ {SLOWER:g} ×" if k is None else "–"
        told = f"/manage, {name}: {of[0]:.2f} s → {of[1]:.2f} s"
        rows.append(Row(told, ratio, ratio, ratio, bar, k is not None or ratio <= SLOWER, sum(of)))
    told = f"/manage, figures that are kept: {1000 * small[2]:.1f} ms → {1000 * large[2]:.1f} ms"
    ratio = large[2] / small[2]
    rows.append(Row(told, ratio, ratio, ratio, "–", True, large[2]))
    return rows


def _taken(people: People, count: int) -> tuple[float, float, float]:
    """Seconds of the processor to read and to compute; by the clock, to be given what is kept."""
    begin = time.process_time()
    survey = people.survey()
    read = time.process_time()
    found: Figures = figures(survey, 0, _NOW, lambda _: None)
    end = time.process_time()
    assert found.judged == count, "every judgment is in the figures"
    board = Board(people, lambda: _NOW)
    board.latest(patience=600.0)
    again = time.perf_counter()
    kept = board.latest()
    assert kept is not None, "the figures were computed above"
    return read - begin, end - read, time.perf_counter() - again


def main(argv: Sequence[str] | None = None) -> int:
    """The rows, as a table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--judgments", type=int, nargs=2, default=JUDGMENTS)
    words.add_argument("--seed", type=int, default=0)
    given = words.parse_args(argv)
    rows = measured(given.judgments, given.seed)
    print(table(rows))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
