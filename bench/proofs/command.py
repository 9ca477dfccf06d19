"""The command behind a page of cases: what is missing is answered; not as designed is an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from proofs.ledger import ROOT, Ledger, Part
from proofs.whole import PAGE

from accord.errors import nearest

__all__ = ["Asking", "answered"]


class Asking(NamedTuple):
    """What a command may be asked: its parts by size and by the folder for what is half done, what of them
    this machine lacks, and its page.

    ``ledger``: where full and quick rows stand; ``whole``: the page, given whether of the quick rows and
    the file of this command's.
    """

    doc: str
    parts: Callable[[str, Path], Sequence[Part]]
    lacking: Callable[[Sequence[Part]], dict[tuple[str, int], str]]
    ledger: Path
    whole: Callable[[bool, Path], str]


def answered(asking: Asking, argv: Sequence[str] | None) -> int:
    """Do what is missing, then write the page."""
    words = argparse.ArgumentParser(
        description=asking.doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--only", action="append", metavar="PART", help="a part by its name; may be repeated")
    words.add_argument("--quick", action="store_true", help="a little of everything")
    words.add_argument("--ci", action="store_true", help="what is asked of every change, anew")
    words.add_argument("--anew", action="store_true", help="also what is there; the newest answer counts")
    words.add_argument("--page-only", action="store_true", help="do nothing but write the page")
    words.add_argument("--results", type=Path, help=f"default: bench/results/{asking.ledger.name}")
    words.add_argument("--scratch", type=Path, default=ROOT / "build" / asking.ledger.stem)
    words.add_argument(
        "--page", type=Path, help="default: docs/evidence.md, of a full run into its own ledger"
    )
    given = words.parse_args(argv)
    size = "ci" if given.ci else "quick" if given.quick else "full"
    every = asking.parts(size, given.scratch)
    names = [part.name for part in every]
    if unknown := [name for name in given.only or () if name not in names]:
        print(f"--only {unknown[0]}: no such part; {nearest(unknown[0], names)}", file=sys.stderr)
        return 1
    results = given.results or (ROOT / "build" / "evidence-ci.jsonl" if given.ci else asking.ledger)
    held = True
    if not given.page_only:
        asked = [part for part in every if not given.only or part.name in given.only]
        held = _worked(Ledger(results), asked, asking.lacking(asked), given.anew or given.ci)
    target = given.page or (PAGE if size == "full" and results == asking.ledger else None)
    if target is not None:
        target.write_text(asking.whole(given.quick, results), encoding="utf-8")
        print(f"{target}: written")
    return 0 if held else 1


def _worked(ledger: Ledger, asked: Sequence[Part], absent: dict[tuple[str, int], str], anew: bool) -> bool:
    """Whether every answer of this call is as designed."""
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
