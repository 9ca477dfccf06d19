"""Yardsticks: the whole yardstick of a protocol, out of the cells of a study that has its four arms.

Of a trial each cell has ``right.TRIAL``, ``sure.TRIAL`` and ``abstained.TRIAL`` by task, and what verdicts
took, ``calls.TRIAL`` and ``tokens.TRIAL``; beside the cell of T(O) lie the answers for the best of n. What
the figures mean is in ``maths.yardstick``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from accord.maths.yardstick import Arm, Arms, measured
from accord.records import Cost
from accord.records.accounts import Account
from accord.records.rows import Floats
from accord.sources import seeded
from accord.studies.arms import Measured
from accord.studies.port import Rows

__all__ = ["AIDED", "CURVES", "TRUTH", "UNAIDED", "yardsticks"]

AIDED, UNAIDED, TRUTH = "aided", "unaided", "truth"
CURVES = "curves.json"
_SPENT = ("calls", "tokens", "spot checks")
_NOT_SPENT = ("seconds per verdict", "money per verdict")


def yardsticks(trials: Sequence[str], cells: Sequence[Measured], folder: Path) -> Mapping[str, Rows]:
    """The yardstick of every trial that has all its arms, as tables."""
    found: dict[str, Rows] = {}
    by = {(cell.arm, cell.seed): cell for cell in cells if cell.state == "measured"}
    wanted = (AIDED, UNAIDED, TRUTH)
    seeds = [s for s in sorted({seed for _, seed in by}) if all((arm, s) in by for arm in wanted)]
    for trial in trials if seeds else ():
        if any(f"right.{trial}" not in by[arm, seed].items for arm in wanted for seed in seeds):
            continue
        arms = [_arm([by[arm, seed] for seed in seeds], trial) for arm in wanted]
        spent = [by[AIDED, seed].figures for seed in seeds]
        calls, tokens, checks = (int(sum(of.get(f"{one}.{trial}") or 0 for of in spent)) for one in _SPENT)
        curves = _curves(folder, seeds, trial)
        told = measured(
            trial,
            Arms(arms[0], arms[1], arms[2]),
            seeded("yardstick", trial),
            account=Account(judging=Cost(calls=calls, tokens_out=tokens), spot_checks=checks),
            curves=curves,
        )
        rows = [row._asdict() for row in told.rows()]
        found[f"the yardstick of {trial}"] = [row for row in rows if row["metric"] not in _NOT_SPENT]
    return found


def _arm(cells: Sequence[Measured], trial: str) -> Arm:
    """What an arm said of each task, a row per seed; NaN where it abstained."""
    tasks = sorted(cells[0].items[f"right.{trial}"])

    def table(figure: str) -> Floats:
        told = [cell.items.get(f"{figure}.{trial}", {}) for cell in cells]
        return np.array([[one.get(task, np.nan) for task in tasks] for one in told])

    sure_ST = table("sure")
    return Arm(np.where(table("abstained") > 0, np.nan, table("right")), sure_ST)


def _curves(folder: Path, seeds: Sequence[int], trial: str) -> tuple[Floats, Floats] | None:
    """What was written beside the cells, a row for each task and seed; None where there are too few."""
    rows: list[Mapping[str, Sequence[float | None]]] = []
    for seed in seeds:
        file = folder / f"{AIDED}-{seed}" / CURVES
        if file.is_file():
            rows += json.loads(file.read_text(encoding="utf-8")).get(trial, [])
    proxy, gold = (np.array([row[key] for row in rows], dtype=np.float64) for key in ("proxy", "gold"))
    return (proxy, gold) if len(rows) > 1 and np.isfinite(proxy).any(axis=1).sum() > 1 else None
