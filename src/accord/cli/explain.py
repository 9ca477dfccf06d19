"""``accord explain``: what looks wrong in a run, what it means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import run_folder
from accord.cli.runs import RUNS, Json, Runs
from accord.cli.show import Screen

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.reports.explained import Explained, Traced
    from accord.reports.symptoms import Finding

__all__ = ["EXAMPLES", "explain"]

EXAMPLES = {
    "explain": """
      accord explain brevity-1
      accord explain runs/brevity-1/amplify
      accord explain brevity-1 --json > findings.json
      accord explain brevity-1 --trace
    """,
}
_INDENT = 10


def explain(
    which: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's or a stage's folder, or a run's name in --runs.")
    ],
    runs: Runs = RUNS,
    trace: Annotated[
        bool,
        typer.Option("--trace", help="Instead: walk one figure of each stage back to judgments and prompts."),
    ] = False,
    json: Json = False,
) -> int:
    """Turn the log of a run into plain advice.

    A loss of 0, groups that score alike, windows that are clipped away, chosen and rejected answers that both
    fall, a negative KL, and more: what was seen, what it means, what to do. It reads, and changes nothing.
    """
    from accord.reports.explained import explain as explained
    from accord.reports.explained import traced

    if trace:
        walks = traced(run_folder(which, runs))
        Screen(json).give({"stages": [walk.json() for walk in walks]}, list(_walked(walks, terminal())))
        return Exit.DONE
    stages = explained(run_folder(which, runs))
    rows: list[JSON] = [one.json() for one in stages]
    lines = [line for one in stages for line in _lines(one, terminal())]
    Screen(json).give(
        {"stages": rows}, lines[:-1] or ["no stage of this run has begun: there is nothing to explain"]
    )
    return Exit.DONE


def _walked(walks: Sequence[Traced], width: int) -> Iterator[str]:
    for walk in walks:
        yield from broken(f"{walk.run}, stage {walk.stage}:", width)
        for one in walk.steps:
            yield from broken(f"{one.kind} {one.record[:12]}: {one.says}", width, "  ")
            if one.text:
                yield from broken(one.text, width, "    ")


def _lines(one: Explained, width: int) -> Iterator[str]:
    from accord.reports.words import counted

    updates, windows = counted(one.updates, "update"), counted(one.windows, "window")
    checked = ", ".join(one.checked)
    if one.state in ("paused", "halted", "interrupted", "imported"):
        yield from broken(f"{one.run}, stage {one.stage}: {one.says}", width)
        yield ""
    if one.findings:
        yield from broken(f"{one.run}, stage {one.stage}: {updates} in {windows} by {one.method}", width)
        yield ""
        for finding in one.findings:
            yield from _found(finding, width)
            yield ""
        yield from broken(f"checked: {checked}", width)
    else:
        yield from broken(
            f"nothing unusual found in {updates} of stage {one.stage} (checked: {checked or 'nothing'})",
            width,
        )
    if one.problems:
        problems = counted(len(one.problems), "problem")
        yield from broken(f"the log is incomplete or was changed ({problems}, see accord report)", width)
    if one.unread:
        yield from broken(f"not looked at, for want of figures: {', '.join(one.unread)}", width)
    yield ""


def _found(finding: Finding, width: int) -> Iterator[str]:
    from accord.reports.symptoms import LEVELS

    yield from broken(f"{finding.title} ({finding.check})", width)
    told = {
        "level": f"{finding.level}: {LEVELS[finding.level]}",
        "seen": finding.seen,
        "means": finding.means,
        "do": "",
        "limits": finding.limit,
    }
    for label, text in told.items():
        head = f"  {label}".ljust(_INDENT)
        for number, line in enumerate(finding.do if label == "do" else (text,)):
            yield from broken(line, width, " " * len(head) if number else head)
