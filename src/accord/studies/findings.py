"""Findings: the table of a study as it came out, arm by arm, each seed a point; and what it does not show.

Written beside the cells as ``findings.json``, in the folder of its version; always of every cell that is
done there, whichever was asked for. What other versions of the same study came to, with another bar, is told
along with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np

from accord.maths.intervals import Interval
from accord.records import JSON, finite
from accord.stores.files import write_aside
from accord.studies.arms import Measured
from accord.studies.bars import Bar, Ruling, ruled
from accord.studies.outcome import Series, crossed, paired, share
from accord.studies.port import Across, Form, Rows, Study

__all__ = ["FILE", "Estimate", "Findings", "found", "series_of"]

FILE = "findings.json"

_MINUTES = "minutes"
_CAME = {True: "true", False: "false", None: "open"}  # a clause of the bar
_WIDE = 5  # figures in a table that no study asked for


class Estimate(NamedTuple):
    """A figure of an arm. ``of``: what its bounds are; ``tasks`` in each seed, the most where they differ."""

    value: float
    low: float
    high: float
    of: Literal["95 %", "one value", "least and largest seed"]
    seeds: int
    tasks: int = 1

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.value:.4g}"
        if self.of == "95 %":
            return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


class Findings(NamedTuple):
    """What a study came to. ``arms``: of each arm its figures with their intervals; ``gaps``: of each figure
    what an arm is above the one that all are set against, paired; ``points``: each seed; ``earlier``: other
    versions. A quick one has no ``ruling``."""

    question: str
    shows: tuple[str, ...]
    version: str
    folder: Path
    form: Form
    bar: Bar | None
    ruling: Ruling | None
    cells: tuple[Measured, ...]
    arms: Mapping[str, Mapping[str, Estimate]]
    points: Mapping[str, Mapping[str, Mapping[int, float]]]
    gaps: Mapping[str, Mapping[str, Interval]]
    earlier: tuple[str, ...] = ()
    further: Mapping[str, Rows] = {}

    @property
    def figures(self) -> list[str]:
        """All figures that some arm has, in order."""
        return list(dict.fromkeys(name for told in self.arms.values() for name in told))

    @property
    def drawn(self) -> str:
        """The figure of the chart: the study's own, or the first that any arm has; "" for none."""
        pointed = list(dict.fromkeys(name for told in self.points.values() for name in told))
        return self.form.drawn if self.form.drawn in pointed else pointed[0] if pointed else ""

    def rows(self, figures: Sequence[str]) -> list[dict[str, str]]:
        """One row for each arm: its figures with 95 % intervals, and in how many seeds it has a result."""
        return [
            {
                "arm": arm,
                "seeds": self._seeds(arm),
                **{
                    name: self._minutes(arm) if name == _MINUTES else str(told.get(name, ""))
                    for name in figures
                },
            }
            for arm, told in self.arms.items()
        ]

    def lines(
        self,
        table_of: Callable[[Sequence[Mapping[str, object]]], list[str]],
        broken: Callable[[str, str], list[str]],
    ) -> Iterator[str]:
        """All of it for a terminal."""
        yield from broken(self.question, "")
        if self.bar is not None:
            yield from broken(str(self.bar), "the bar: ")
        yield ""
        for title, figures in _tables(self.form, self.figures):
            yield title
            yield from table_of(self.rows(figures))
            yield from broken(self._tasks(figures), "")
            yield ""
        if self.gaps:
            yield from broken(f"paired: what each arm is above {self.form.against}, 95 %", "")
            yield from table_of([{"arm": arm, **self._above(told)} for arm, told in self.gaps.items()])
            yield ""
        for title, rows in self.further.items():
            yield title
            yield from table_of(rows)
            yield ""
        for told, seeds in self._without().items():
            numbers = ", ".join(str(one) for one in seeds)
            yield from broken(f"{told[0]}, seed{'s' * (len(seeds) > 1)} {numbers}: {told[1]}: {told[2]}", "")
        yield from (line for one in self.shows for line in broken(one, "- "))
        yield from (f"another version: {one}" for one in self.earlier)
        yield from self._verdict(broken)
        yield f"every point: {self.folder / FILE}"

    def json(self) -> dict[str, JSON]:
        """Every figure, every seed."""
        ruling, checks = self.ruling, self.ruling.checks if self.ruling else ()
        clauses = zip(self.bar.clauses, checks, strict=True) if self.bar and checks else ()
        told = {
            "question": self.question,
            "shows": list(self.shows),
            "version": self.version,
            "bar": None if self.bar is None else str(self.bar),
            "outcome": None if ruling is None else ruling.outcome,
            "why": None if ruling is None else ruling.why,
            "clauses": [{"says": one.says, **check._asdict()} for one, check in clauses],
            "arms": _plain(self.arms),
            "seeds": {arm: {n: self._in_order(p) for n, p in of.items()} for arm, of in self.points.items()},
            "gaps": _plain(self.gaps),
            "cells": [{k: v for k, v in cell.json().items() if k != "items"} for cell in self.cells],
            "earlier": list(self.earlier),
            "further": {title: [dict(row) for row in rows] for title, rows in self.further.items()},
        }
        return cast("dict[str, JSON]", finite(cast(JSON, told)))

    def _verdict(self, broken: Callable[[str, str], list[str]]) -> Iterator[str]:
        """What each clause of the bar came to, and the outcome; its reason, where no clause tells it."""
        if self.ruling is None:
            yield "quick: no verdict"
            return
        outcome, why, checks = self.ruling
        for check in checks:
            yield from broken(check.found, f"{_CAME[check.held]}: ")
        told = "; ".join(check.found for check in checks)
        yield from broken(outcome if why == told else f"{outcome}: {why}", "")

    def _in_order(self, points: Mapping[int, float]) -> list[float | None]:
        """Of seed 0 on; None where a seed has none."""
        return [points.get(seed) for seed in range(1 + max(cell.seed for cell in self.cells))]

    def _of(self, arm: str) -> list[Measured]:
        return [cell for cell in self.cells if cell.arm == arm]

    def _seeds(self, arm: str) -> str:
        cells = self._of(arm)
        good = sum(cell.state == "measured" for cell in cells)
        return str(good) if good == len(cells) else f"{good} of {len(cells)}"

    def _minutes(self, arm: str) -> str:
        return f"{np.mean([cell.seconds for cell in self._of(arm)]) / 60:.2f}"

    def _tasks(self, figures: Sequence[str]) -> str:
        """Of how many tasks each figure is, arm by arm where that differs."""
        told: list[str] = []
        for name in figures:
            sizes = {arm[name].tasks for arm in self.arms.values() if name in arm and arm[name].of == "95 %"}
            if sizes:
                told.append(f"{name} {' to '.join(map(str, sorted({min(sizes), max(sizes)})))}")
        return f"tasks in each seed: {', '.join(told)}" if told else ""

    def _above(self, told: Mapping[str, Interval]) -> dict[str, str]:
        names = self.form.paired or tuple(told)
        return {name: _signed(told[name]) for name in names if name in told}

    def _without(self) -> dict[tuple[str, str, str], list[int]]:
        """The seeds of cells that have no result, by arm, state and why."""
        seeds: dict[tuple[str, str, str], list[int]] = {}
        for cell in self.cells:
            if cell.state != "measured":
                seeds.setdefault((cell.arm, cell.state, cell.why), []).append(cell.seed)
        return seeds


def found(study: Study, folder: Path, cells: Sequence[Measured], bar: Bar | None, void: str = "") -> Findings:
    """The table of these cells; written beside them. ``void``: why they count for nothing."""
    arms = [arm for arm in study.arms if any(cell.arm == arm for cell in cells)]
    form, all_cells = study.form, cells
    cells = _whole(cells, form.across)
    series = {arm: series_of(cells, arm) for arm in arms}
    mine = series.get(form.against, {}) if bar is not None else {}
    gaps = {
        arm: {n: paired(one, mine[n]) for n, one in told.items() if n in mine and one.shares(mine[n])}
        for arm, told in series.items()
        if arm != form.against
    }
    done = Findings(
        study.question,
        tuple(study.shows),
        study.config,
        folder,
        form,
        bar,
        _ruling(bar, cells, series, void or _two_bases(cells) or _void(cells)),
        tuple(all_cells),
        {
            arm: {name: _estimate(name, one, form.shares) for name, one in told.items()} | _spent(cells, arm)
            for arm, told in series.items()
        },
        {arm: {name: _points(one) for name, one in told.items()} for arm, told in series.items()},
        {arm: told for arm, told in gaps.items() if told},
        _earlier(folder),
        form.further(all_cells, folder) if form.further is not None else {},
    )
    write_aside(folder / FILE, json.dumps(done.json(), ensure_ascii=False, indent=1))
    return done


def series_of(cells: Sequence[Measured], arm: str) -> dict[str, Series]:
    """Every figure of an arm, over the seeds that have it."""
    mine = [cell for cell in cells if cell.arm == arm and cell.state == "measured"]
    names = list(dict.fromkeys(name for cell in mine for name, tasks in cell.items.items() if tasks))
    return {
        name: Series.of({cell.seed: cell.items[name] for cell in mine if cell.items.get(name)})
        for name in names
    }


def _whole(cells: Sequence[Measured], across: Across | None) -> list[Measured]:
    """The cells with those figures that need more than one arm of their seed."""
    if across is None:
        return list(cells)
    more = {
        seed: across({one.arm: one for one in cells if one.seed == seed and one.state == "measured"})
        for seed in {cell.seed for cell in cells}
    }
    return [cell._replace(items={**cell.items, **more[cell.seed].get(cell.arm, {})}) for cell in cells]


def _ruling(
    bar: Bar | None, cells: Sequence[Measured], series: Mapping[str, Mapping[str, Series]], void: str
) -> Ruling | None:
    if void:
        return Ruling("void", void)
    if bar is None:
        return None
    about = {arm for one in bar.clauses for arm in one.arms}
    figures = {
        one.figure: {arm: told[one.figure] for arm, told in series.items() if one.figure in told}
        for one in bar.clauses
    }
    told = [(cell, f"{cell.arm}, seed {cell.seed}: {cell.state}: {cell.why}") for cell in cells]
    lost = [says for cell, says in told if cell.lost]
    unsolved = [says for cell, says in told if cell.state == "no solution found" and cell.arm in about]
    return ruled(bar, figures, lost, unsolved)


def _void(cells: Sequence[Measured]) -> str:
    """Which cells read a truth that they may not have read."""
    return "; ".join(f"{one.arm}, seed {one.seed}: {one.why}" for one in cells if one.state == "void")


def _two_bases(cells: Sequence[Measured]) -> str:
    """Where arms of one seed were done on other bases, so that no two of them can be paired."""
    bases: dict[int, dict[str, str]] = {}
    for cell in cells:
        if cell.base:
            bases.setdefault(cell.seed, {}).setdefault(cell.base, cell.arm)
    for seed, found in bases.items():
        if len(found) > 1:
            arms = ", ".join(f"{arm} on {base[:12]}" for base, arm in found.items())
            return f"the arms of seed {seed} were done on more than one base: {arms}"
    return ""


def _points(one: Series) -> dict[int, float]:
    return {seed: float(values.mean()) for seed, values in zip(one.seeds, one.values, strict=True)}


def _estimate(name: str, one: Series, shares: frozenset[str]) -> Estimate:
    if one.total == 1:
        return Estimate(one.mean, one.mean, one.mean, "one value", 1)
    at = share(one) if name.partition(".")[0] in shares else crossed(one)
    return Estimate(*at, "95 %", len(one.seeds), max(map(len, one.tasks)))


def _spent(cells: Sequence[Measured], arm: str) -> dict[str, Estimate]:
    """Figures of a run as a whole: the mean over seeds, with the least and the largest."""
    mine = [cell.figures for cell in cells if cell.arm == arm and cell.state == "measured"]
    names = list(dict.fromkeys(name for one in mine for name in one))
    found: dict[str, Estimate] = {}
    for name in names:
        known = [value for one in mine if (value := one.get(name)) is not None]
        if known:
            mean = float(np.mean(known))
            found[name] = Estimate(mean, min(known), max(known), "least and largest seed", len(known))
    return found


def _earlier(folder: Path) -> tuple[str, ...]:
    """What other versions of this study came to."""
    told: list[str] = []
    for file in sorted(folder.parent.glob(f"*/{FILE}")):
        if file.parent == folder:
            continue
        try:
            one = json.loads(file.read_text(encoding="utf-8"))
            told.append(f"{file.parent.name}: {one['outcome'] or 'quick'}; bar: {one['bar']}")
        except (OSError, ValueError, KeyError, TypeError):
            told.append(f"{file.parent.name}: its findings cannot be read")
    return tuple(told)


def _tables(form: Form, figures: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The figures in tables that fit a terminal: those that the study asks for, or all."""
    known = [*figures, _MINUTES]
    if not form.tables:
        for start in range(0, len(known), _WIDE):
            yield "figures", known[start : start + _WIDE]
    for title, patterns in form.tables.items():
        if here := [name for one in patterns for name in known if fnmatchcase(name, one)]:
            yield title, here


def _plain(told: Mapping[str, Mapping[str, Estimate | Interval]]) -> dict[str, JSON]:
    return {arm: {name: one._asdict() for name, one in of.items()} for arm, of in told.items()}


def _signed(one: Interval) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
