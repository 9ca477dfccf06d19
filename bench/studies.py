"""Every study of the first wave, one after the other: what each came to, and the minutes it took.

    python bench/studies.py [--only NAME …] [--runs DIR] [--jobs N] [--quick]

Seeds are done several at a time (``--jobs``, 2). Killed and started again, the command does what is missing:
an arm under a seed is one cell, done once. What it prints is the outcome and the clauses of the bar; the
figures behind them are printed by ``accord study NAME`` of the same ``--runs``, which runs nothing that is
done. Minutes are those of the cells together, on the clock as they were done, whoever did them.
``without-rlhf``, which takes an hour or more, is asked for by name. A study that cannot be done here is named
and left out: then, and where one is void, the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from accord.cli.lines import broken, terminal
from accord.cli.show import Screen, table
from accord.errors import AccordError
from accord.studies import carry_out, studies
from accord.studies.findings import Findings

_LONG = ("without-rlhf",)
_NOT_DONE = "not done"


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out what is asked for and print the table."""
    known = [*studies()]
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    shipped = [name for name in known if name not in _LONG]
    asked.add_argument("--only", nargs="+", metavar="NAME", choices=known, default=shipped)
    asked.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    asked.add_argument("--jobs", type=int, default=2, metavar="N")
    asked.add_argument("--quick", action="store_true", help="one seed, few arms, no verdict")
    told = asked.parse_args(argv)
    rows: list[dict[str, object]] = []
    for name in told.only:
        try:
            row, why = _row(name, _found(name, told))
        except AccordError as error:
            row, why = {"study": name, "outcome": _NOT_DONE}, " ".join(str(error).split())
        rows.append(row)
        print("\n".join([*table([row]), *broken(why, terminal(), "  "), ""]), flush=True)
    print("\n".join(table(rows)))
    came = [row["outcome"] for row in rows]
    if not told.quick:
        print(f"{came.count('met')} of {len(came)} met")
    return int("void" in came or _NOT_DONE in came)


def _found(name: str, told: argparse.Namespace) -> Findings:
    jobs = 1 if told.quick else told.jobs
    with Screen().working() as progress:
        progress.say(name)
        return carry_out(name, runs=told.runs, jobs=jobs, quick=told.quick, progress=progress)


def _row(name: str, found: Findings) -> tuple[dict[str, object], str]:
    """A line of the table, and what stands below it."""
    outcome, why, checks = found.ruling or ("quick", "", ())
    clauses = "; ".join(check.found for check in checks)
    return {
        "study": name,
        "outcome": outcome,
        "seeds": len({cell.seed for cell in found.cells}),
        "cells": len(found.cells),
        "minutes": f"{sum(cell.seconds for cell in found.cells) / 60:.1f}",
    }, why if why == clauses else "; ".join(part for part in (why, clauses) if part)


if __name__ == "__main__":
    sys.exit(main())
