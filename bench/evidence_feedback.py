"""Do judgments say what they claim, and is nothing lost that people said? Writes docs/evidence.md.

    python bench/evidence_feedback.py [--only PART …] [--quick] [--anew] [--page-only]

Every row of "what must be shown" about feedback. Every answer is appended to ``--results`` as soon as it is
there; killed and started again, the command does what is missing. ``--quick`` asks the same with a few
simulations and raters, to other rows, and writes no page unless ``--page`` names one. ``--ci``: what every
change is asked and no test can be, raters for a minute and five kills, anew each time. ``--only`` takes parts
by name: "proved by tests", "ratings cover", "alphas cover", minority, "two groups", "agreement page",
"planted choice" (needs ACCORD_DATA), market, raters, "raters, 60 s", "kills in a submit". What this machine
cannot run is named and left out. Exit code 1 where an answer of this call is not as designed. The page has a
first half, by ``make evidence``; either command writes both from what has been found.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from proofs.feedback_parts import CI, FULL, QUICK, lacking, parts
from proofs.ledger import ROOT, Ledger, Part
from proofs.whole import FEEDBACK, PAGE, whole

from accord.errors import nearest


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is missing, then write the page."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", action="append", metavar="PART", help="a part by its name; may be repeated")
    words.add_argument("--quick", action="store_true", help="a few simulations and raters of everything")
    words.add_argument("--ci", action="store_true", help="raters for a minute, and five kills")
    words.add_argument("--anew", action="store_true", help="also what is there; the newest answer counts")
    words.add_argument("--page-only", action="store_true", help="do nothing but write the page")
    words.add_argument("--results", type=Path, help="default: bench/results/evidence-feedback.jsonl")
    words.add_argument(
        "--page", type=Path, help="default: docs/evidence.md, of a full run into its own ledger"
    )
    given = words.parse_args(argv)
    size = CI if given.ci else QUICK if given.quick else FULL
    every = parts(size)
    names = [part.name for part in every]
    if unknown := [name for name in given.only or () if name not in names]:
        print(f"--only {unknown[0]}: no such part; {nearest(unknown[0], names)}", file=sys.stderr)
        return 1
    results = given.results or (ROOT / "build" / "evidence-ci.jsonl" if given.ci else FEEDBACK)
    held = True
    if not given.page_only:
        asked = [part for part in every if not given.only or part.name in given.only]
        held = _worked(Ledger(results), asked, given.anew or given.ci)
    target = given.page or (PAGE if size == FULL and results == FEEDBACK else None)
    if target is not None:
        target.write_text(whole(quick=given.quick, feedback=results), encoding="utf-8")
        print(f"{target}: written")
    return 0 if held else 1


def _worked(ledger: Ledger, asked: Sequence[Part], anew: bool) -> bool:
    """Whether every answer of this call is as designed."""
    absent = lacking(asked)
    for (name, seed), reason in absent.items():
        print(f"{name} {seed}: left out: {reason}", flush=True)
    able = [part._replace(seeds=_able(part, absent)) for part in asked]
    before = {} if anew else {(row.part, row.seed, row.size): row for row in ledger.rows()}
    ledger.work(able, lambda text: print(text, flush=True), anew)
    wanted = {(part.name, seed, part.size) for part in able for seed in part.seeds} - set(before)
    wrong = [
        row for row in ledger.rows() if (row.part, row.seed, row.size) in wanted and not row.figures["held"]
    ]
    for row in wrong:
        print(f"{row.part} {row.seed}: not as designed: {row.figures}", file=sys.stderr)
    return not wrong


def _able(part: Part, absent: Collection[tuple[str, int]]) -> tuple[int, ...]:
    return tuple(seed for seed in part.seeds if (part.name, seed) not in absent)


if __name__ == "__main__":
    sys.exit(main())
