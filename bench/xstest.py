"""How far do the refusal detectors agree with people? Sensitivity and specificity on XSTest's labels.

    ACCORD_DATA=DIR python bench/xstest.py [--json] [--errors N]

``DIR`` holds ``xstest_v2_completions_gpt4.csv`` and ``xstest_v2_completions_llama2orig.csv`` (2308.01263):
450 answers each, 250 of them to safe prompts, labelled by two people as full compliance, full refusal or
partial refusal. A refusal is what they call full or partial. Beside Accord's two detectors: the list of
strings that came with the attacks of 2307.15043, any of them anywhere. Intervals are Clopper and Pearson's.
First the shares of refused safe prompts that were published, from the same labels.

What the labels had to do with the detectors: nothing with ``opening``, and nothing with the first version of
``refusal``, measured once: Llama-2 337/349 and 90/101, GPT-4 207/220 and 228/230. Its errors were read and
one round of general corrections made, measured once again, and left at that. They are: who cannot give what
does not exist has answered; a correction of morals speaks of rights and equality too; an answer comes before
its warnings; a definition and a call for care before an answer are no lecture; privacy is no lack of live
data; "not the most appropriate" is "not appropriate", and unfair is improper; to be asked to rephrase is to
be refused; distress is a worry, whoever's; partial means that most of the text answers; one slip of spelling.
So these figures are of a detector that has seen the errors of another one on the same answers, and of no
other text.

``--errors N`` prints the first N answers per file on which ``refusal`` and the people differ. Exit code 4
where the files are not there: nothing was measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from accord.cli.codes import Exit
from accord.maths.intervals import Interval, clopper_pearson
from accord.maths.refusals import opening, refusal, strings

MODELS = {"Llama-2 (original prompt)": "llama2orig", "GPT-4": "gpt4"}
KINDS = {"1_full_compliance": "none", "2_full_refusal": "full", "3_partial_refusal": "partial"}
PUBLISHED = {"llama2orig": (0.380, 0.216), "gpt4": (0.064, 0.020)}
DETECTORS: dict[str, Callable[[str], bool]] = {
    "refusal": lambda text: refusal(text).refuses,
    "opening": opening,
    "string matching": strings,
}


class Answer(NamedTuple):
    """An answer, what people say it does, and whether the prompt was safe."""

    prompt: str
    text: str
    kind: str
    safe: bool


class Agreement(NamedTuple):
    """Of the answers that people call refusals and of the others: the shares that a detector calls so too."""

    sensitivity: Interval
    specificity: Interval
    found: tuple[int, int]
    passed: tuple[int, int]


def read(file: Path) -> list[Answer]:
    """The labelled answers of one model, in the order of the file."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            Answer(row["prompt"], row["completion"], KINDS[row["final_label"]], "contrast" not in row["type"])
            for row in csv.DictReader(lines)
        ]


def shares(answers: Sequence[Answer]) -> tuple[float, float]:
    """The shares of safe prompts that people say were refused in full, and in part."""
    kinds = Counter(answer.kind for answer in answers if answer.safe)
    return kinds["full"] / kinds.total(), kinds["partial"] / kinds.total()


def agreement(answers: Sequence[Answer], detects: Callable[[str], bool]) -> Agreement:
    """How a detector of any refusal, full or partial, does."""
    refused = [detects(answer.text) for answer in answers if answer.kind != "none"]
    others = [detects(answer.text) for answer in answers if answer.kind == "none"]
    found, passed = (refused.count(True), len(refused)), (others.count(False), len(others))
    return Agreement(clopper_pearson(*found), clopper_pearson(*passed), found, passed)


def both(one: str, other: str) -> Callable[[str], bool]:
    """Found by both of two detectors."""
    return lambda text: DETECTORS[one](text) and DETECTORS[other](text)


def main(argv: Sequence[str] | None = None) -> int:
    """Read, measure, print."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the tables")
    parser.add_argument("--errors", type=int, default=0, metavar="N")
    given = parser.parse_args(argv)
    folder = Path(os.environ.get("ACCORD_DATA", ""))
    files = {name: folder / f"xstest_v2_completions_{model}.csv" for name, model in MODELS.items()}
    if "ACCORD_DATA" not in os.environ or not all(file.is_file() for file in files.values()):
        wanted = ", ".join(file.name for file in files.values())
        print(f"not measured: the variable ACCORD_DATA names no folder with {wanted}", file=sys.stderr)
        return Exit.UNCHECKED
    answers = {name: read(file) for name, file in files.items()}
    if given.json:
        print(json.dumps({MODELS[name]: document(of) for name, of in answers.items()}, indent=2))
        return Exit.DONE
    for name, of in answers.items():
        tell(name, of)
        for answer in [a for a in of if refusal(a.text).refuses != (a.kind != "none")][: given.errors]:
            print(f"\n  {answer.kind} by people, {refusal(answer.text).kind} by us: {answer.prompt}")
            print(f"  {answer.text[:600]!r}")
    return Exit.DONE


def measured(of: Sequence[Answer]) -> dict[str, Agreement]:
    """Every detector, and both of ours together."""
    detectors = {**DETECTORS, "refusal and opening": both("refusal", "opening")}
    return {name: agreement(of, detects) for name, detects in detectors.items()}


def document(of: Sequence[Answer]) -> dict[str, object]:
    """What ``--json`` prints of one model."""
    return {
        "answers": len(of),
        "safe_refused": shares(of),
        "detectors": {name: found._asdict() for name, found in measured(of).items()},
        "confusion": {f"{a}/{b}": n for (a, b), n in confusion(of).items()},
    }


def confusion(of: Sequence[Answer]) -> Counter[tuple[str, str]]:
    """How often people say the first and ``refusal`` the second."""
    return Counter((answer.kind, refusal(answer.text).kind) for answer in of)


def tell(name: str, of: Sequence[Answer]) -> None:
    """The tables of one model."""
    full, partial = shares(of)
    said = PUBLISHED[MODELS[name]]
    print(f"\n{name}: {len(of)} answers, {sum(answer.safe for answer in of)} to safe prompts")
    told = f"published {said[0]:.1%} + {said[1]:.1%}"
    print(f"  safe prompts refused: {full:.1%} + {partial:.1%} in part ({told})")
    print(f"  {'detector':20} {'sensitivity':33} specificity")
    for detector, found in measured(of).items():
        one, other = shown(found.sensitivity, found.found), shown(found.specificity, found.passed)
        print(f"  {detector:20} {one:33} {other}")
    counts = confusion(of)
    print("  people \\ refusal     " + "".join(f"{kind:>9}" for kind in ("full", "partial", "none")))
    for kind in ("full", "partial", "none"):
        row = "".join(f"{counts[kind, ours]:9}" for ours in ("full", "partial", "none"))
        print(f"  {kind:20} {row}")


def shown(share: Interval, counts: tuple[int, int]) -> str:
    """A share, its counts and its interval."""
    return f"{counts[0]:3}/{counts[1]} = {share.value:.4f} [{share.low:.3f}, {share.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
