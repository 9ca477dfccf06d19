"""Does the guard find what is wrong, and leave alone what is not? Writes docs/evidence.md.

    python bench/evidence.py [--only PART …] [--quick] [--anew] [--page-only]

Every answer is appended to ``--results`` as soon as it is there; killed and started again, the command does
what is missing. ``--quick`` asks the same questions on a few items and runs, to other rows, and writes no
page unless ``--page`` names one. ``--only`` takes parts by name: planted, answers, still, edge, long, names,
found, twins, real, honeypots, trained, "trained twins", "trained nulls", turnover, diversity, alarms,
crossings, leaks, judges, kills, gamed. The page is made of whatever is there, and says what is not; its
other parts are those of ``evidence_feedback.py`` and ``evidence_stewardship.py``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from proofs.ledger import Ledger
from proofs.parts import FULL, QUICK, parts
from proofs.whole import GUARD, PAGE, whole

from accord.errors import nearest

BENCH = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is missing, then write the page."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", action="append", metavar="PART", help="a part by its name; may be repeated")
    words.add_argument("--quick", action="store_true", help="a few items and runs of everything")
    words.add_argument("--anew", action="store_true", help="also what is there; the newest answer counts")
    words.add_argument("--page-only", action="store_true", help="do nothing but write the page")
    words.add_argument("--results", type=Path, default=GUARD)
    words.add_argument("--scratch", type=Path, default=BENCH.parent / "build" / "evidence")
    words.add_argument("--page", type=Path, help="default: docs/evidence.md, of a full run")
    given = words.parse_args(argv)
    size = QUICK if given.quick else FULL
    every = parts(size, given.scratch)
    names = [part.name for part in every]
    if unknown := [name for name in given.only or () if name not in names]:
        print(f"--only {unknown[0]}: no such part; {nearest(unknown[0], names)}", file=sys.stderr)
        return 1
    ledger = Ledger(given.results)
    if not given.page_only:
        asked = [part for part in every if not given.only or part.name in given.only]
        ledger.work(asked, lambda text: print(text, flush=True), given.anew)
    target = given.page or (None if given.quick else PAGE)
    if target is not None:
        rows = [row for row in ledger.rows() if row.size == size.word]
        target.write_text(whole(quick=given.quick, guard=given.results), encoding="utf-8")
        print(
            f"{target}: {sum(row.seconds for row in rows) / 60:.1f} minutes of one core in {len(rows)} parts"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
