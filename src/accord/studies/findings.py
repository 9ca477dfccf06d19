"""Findings: the table of a study as it came out, arm by arm, each seed a point; and what it does not show.

Written beside the cells as ``findings.json``, in the folder of its version. What other versions of the
same study came to, with another bar, is told along with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import numpy as np

from accord.maths.intervals import Interval
from accord.records import JSON, finite
from accord.stores.files import write_aside
from accord.studies.arms import Measured
from accord.studies.outcome import Bar, Ruling, Series, crossed, not_below, paired, share, spread

__all__ = ["FILE", "Findings", "found", "series_of"]

FILE = "findings.json"

_MINUTES = "minutes"

# Figures that are shares of tasks in [0, 1]: what is 0 everywhere has a bound.
_SHARES = ("check", "gold", "capability")


class _Told(Protocol):
    @property
    def question(self) -> str: ...

    @property
    def shows(self) -> Sequence[str]: ...

    @property
    def config(self) -> str: ...


class Findings(NamedTuple):
    """What a study came to. ``arms``: of each arm its figures with their intervals; ``gaps``: of each figure
    what an arm is above the bar's arm, paired; ``points``: each seed; ``earlier``: other versions. A quick
    one has no ``ruling``."""

    question: str
    shows: tuple[str, ...]
    version: str
    folder: Path
    bar: Bar | None
    ruling: Ruling | None
    cells: tuple[Measured, ...]
    arms: Mapping[str, Mapping[str, Interval]]
    points: Mapping[str, Mapping[str, tuple[float, ...]]]
    gaps: Mapping[str, Mapping[str, Interval]]
    earlier: tuple[str, ...] = ()

    @property
    def figures(self) -> list[str]:
        """All figures that some arm has, in order."""
        return list(dict.fromkeys(name for told in self.arms.values() for name in told))

    def rows(self, figures: Sequence[str]) -> list[dict[str, str]]:
        """One row for each arm: its figures with 95 % intervals."""
        return [
            {
                "arm": arm,
                "seeds": str(len({c.seed for c in self._of(arm)})),
                **{
                    name: self._minutes(arm) if name == _MINUTES else _cell(told.get(name))
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
        for title, figures in _parts(self.figures):
            yield title
            yield from table_of(self.rows(figures))
            yield ""
        if self.gaps:
            yield from broken("paired: what each arm is above the arm of the bar, 95 %", "")
            names = ("check", "gold", "capability", "diversity", "kl_unrelated")
            yield from table_of(
                [
                    {"arm": arm, **{name: _signed(told.get(name)) for name in names if name in told}}
                    for arm, told in self.gaps.items()
                ]
            )
            yield ""
        for told, seeds in self._without().items():
            numbers = ", ".join(str(one) for one in seeds)
            yield from broken(f"{told[0]}, seed{'s' * (len(seeds) > 1)} {numbers}: {told[1]}: {told[2]}", "")
        yield from (line for one in self.shows for line in broken(one, "- "))
        yield from (f"another version: {one}" for one in self.earlier)
        if self.ruling is None:
            yield "quick: no verdict"
        else:
            yield from broken(f"{self.ruling.outcome}: {self.ruling.why}", "")
        yield f"every point: {self.folder / FILE}"

    def json(self) -> dict[str, JSON]:
        """Every figure, every seed."""
        told: dict[str, JSON] = {
            "question": self.question,
            "shows": list(self.shows),
            "version": self.version,
            "bar": None if self.bar is None else str(self.bar),
            "outcome": None if self.ruling is None else self.ruling.outcome,
            "why": None if self.ruling is None else self.ruling.why,
            "arms": _plain(self.arms),
            "seeds": {arm: {n: list(p) for n, p in told.items()} for arm, told in self.points.items()},
            "gaps": _plain(self.gaps),
            "cells": [{k: v for k, v in cell.json().items() if k != "items"} for cell in self.cells],
            "earlier": list(self.earlier),
        }
        return cast("dict[str, JSON]", finite(told))

    def _of(self, arm: str) -> list[Measured]:
        return [cell for cell in self.cells if cell.arm == arm]

    def _minutes(self, arm: str) -> str:
        return f"{np.mean([cell.seconds for cell in self._of(arm)]) / 60:.2f}"

    def _without(self) -> dict[tuple[str, str, str], list[int]]:
        """The seeds of cells that have no result, by arm, state and why."""
        seeds: dict[tuple[str, str, str], list[int]] = {}
        for cell in self.cells:
            if cell.state != "measured":
                seeds.setdefault((cell.arm, cell.state, cell.why), []).append(cell.seed)
        return seeds


def found(study: _Told, folder: Path, cells: Sequence[Measured], bar: Bar | None, void: str = "") -> Findings:
    """The table of these cells; written beside them. ``void``: why they count for nothing."""
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    series = {arm: series_of(cells, arm) for arm in arms}
    lost = [f"{c.arm}, seed {c.seed}: {c.state}: {c.why}" for c in cells if c.lost]
    about = bar.arm if bar is not None else ""
    mine = series.get(about, {})
    gaps = {
        arm: {name: paired(one, mine[name]) for name, one in told.items() if _alike(one, mine.get(name))}
        for arm, told in series.items()
        if arm != about and told
    }
    ruling = None
    if bar is not None:
        figure = {arm: told[bar.figure] for arm, told in series.items() if bar.figure in told}
        ruling = Ruling("void", void) if void else not_below(bar, figure, lost)
    done = Findings(
        study.question,
        tuple(study.shows),
        study.config,
        folder,
        bar,
        ruling,
        tuple(cells),
        {
            arm: {name: _interval(name, one) for name, one in told.items()} | _spent(cells, arm)
            for arm, told in series.items()
        },
        {arm: {name: _seeds(one) for name, one in told.items()} for arm, told in series.items()},
        {arm: told for arm, told in gaps.items() if told},
        _earlier(folder),
    )
    write_aside(folder / FILE, json.dumps(done.json(), ensure_ascii=False, indent=1))
    return done


def series_of(cells: Sequence[Measured], arm: str) -> dict[str, Series]:
    """Every figure of an arm: of each seed its tasks in the order of their names."""
    mine = sorted((c for c in cells if c.arm == arm and c.state == "measured"), key=lambda c: c.seed)
    names = list(dict.fromkeys(name for cell in mine for name in cell.items))
    found: dict[str, Series] = {}
    for name in names:
        rows = [cell.items.get(name, {}) for cell in mine]
        if all(rows):
            values = tuple(np.array([row[task] for task in sorted(row)]) for row in rows)
            found[name] = Series(values, len({tuple(sorted(row)) for row in rows}) == 1)
    return found


def _seeds(one: Series) -> tuple[float, ...]:
    return tuple(float(values.mean()) for values in one.values)


def _alike(one: Series, other: Series | None) -> bool:
    """Whether two arms have the same seeds and tasks, so that they can be paired."""
    if other is None or len(one.values) != len(other.values):
        return False
    return all(a.size == b.size for a, b in zip(one.values, other.values, strict=True))


def _interval(name: str, one: Series) -> Interval:
    return share(one) if name.partition(".")[0] in _SHARES else crossed(one)


def _spent(cells: Sequence[Measured], arm: str) -> dict[str, Interval]:
    """Figures of a run as a whole: the mean over seeds, with the least and the largest."""
    mine = [cell.figures for cell in cells if cell.arm == arm and cell.state == "measured"]
    names = list(dict.fromkeys(name for one in mine for name in one))
    found: dict[str, Interval] = {}
    for name in names:
        known = [value for one in mine if (value := one.get(name)) is not None]
        if known:
            found[name] = Interval(float(np.mean(known)), min(known), max(known))
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


def _parts(figures: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The figures in tables that fit a terminal."""
    groups = {
        "alignment on the sealed halves, by check and by gold": ("check", "gold"),
        "gold by principle": tuple(one for one in figures if one.startswith("gold.")),
        "what else it lost": ("capability", "refusals", "contested", "diversity"),
        "distance from the base, in bits a byte, and what training pushed against": (
            "kl_task",
            "kl_unrelated",
            "pushed_answers",
            "negative_mass",
            "judged",
            _MINUTES,
        ),
    }
    for title, names in groups.items():
        here = [name for name in names if name in (*figures, _MINUTES)]
        if here:
            yield title, here


def _plain(told: Mapping[str, Mapping[str, Interval]]) -> dict[str, JSON]:
    return {arm: {name: spread(one) for name, one in of.items()} for arm, of in told.items()}


def _cell(one: Interval | None) -> str:
    if one is None:
        return ""
    if one.low == one.high:
        return f"{one.value:.4g}"
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _signed(one: Interval | None) -> str:
    return "" if one is None else f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
