"""Every study of the first wave, one after the other: what each came to, and the minutes it took.

    python bench/studies.py [--only NAME …] [--runs DIR] [--jobs N] [--quick]

Seeds are done several at a time (``--jobs``, 2). Killed and started again, the command does what is missing:
an arm under a seed is one cell, done once. The table is that of docs/studies/README.md; what stands behind a
row is printed by ``accord study NAME`` of the same ``--runs``, which runs nothing that is done. Minutes are
those of the cells together, as they were measured when they were done, whoever did them. ``without-rlhf``,
which takes hours, is asked for by name. Exit code 1 where a study is void.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from accord.cli.show import Screen, table
from accord.studies import carry_out, studies
from accord.studies.findings import Findings

_HOURS = ("without-rlhf",)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out what is asked for and print the table."""
    names = [name for name in studies() if name not in _HOURS]
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--only", nargs="+", metavar="NAME", choices=[*studies()], default=names)
    asked.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    asked.add_argument("--jobs", type=int, default=2, metavar="N")
    asked.add_argument("--quick", action="store_true", help="one seed, few arms, no verdict")
    told = asked.parse_args(argv)
    rows: list[dict[str, object]] = []
    void = False
    for name in told.only:
        with Screen(False, False).working() as progress:
            progress.say(name)
            found = carry_out(
                name, runs=told.runs, jobs=1 if told.quick else told.jobs, quick=told.quick, progress=progress
            )
        rows.append(_row(name, found))
        void = void or (found.ruling is not None and found.ruling.outcome == "void")
        print("\n".join(table(rows[-1:])), flush=True)
    print("\n".join(["", *table(rows)]))
    met = sum(row["outcome"] == "met" for row in rows)
    if not told.quick:
        print(f"{met} of {len(rows)} met")
    return int(void)


def _row(name: str, found: Findings) -> dict[str, object]:
    minutes = sum(cell.seconds for cell in found.cells) / 60
    seeds = {cell.seed for cell in found.cells}
    return {
        "study": name,
        "outcome": "quick" if found.ruling is None else found.ruling.outcome,
        "seeds": len(seeds),
        "cells": len(found.cells),
        "minutes": f"{minutes:.1f}",
        "why": "" if found.ruling is None else found.ruling.why,
    }


if __name__ == "__main__":
    sys.exit(main())
