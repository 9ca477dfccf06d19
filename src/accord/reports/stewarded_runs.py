"""The runs inside a stewardship, each from its own report: pressure, decisions, crossings, sign-offs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from accord.errors import AccordError
from accord.reports.document import RunReport, Spent
from accord.reports.stewarded import Excepted, SubRun
from accord.reports.whole import gather
from accord.reports.words import counted, number, percent
from accord.stores.chronicle import Chronicle
from accord.stores.gates import KEPT, last_ruling

__all__ = ["RUNS", "pushed", "runs_of", "signed"]

RUNS = ("amplify", "revised", "constitution")
_DOWN, _TOKENS_DOWN = "answers pushed down", "tokens pushed down"


def runs_of(chronicle: Chronicle) -> Iterator[SubRun]:
    """Every run that a step made, whether its result was taken or not."""
    taken = {str((chronicle.of(name) or {}).get("model")) for name in RUNS}
    for file in sorted(chronicle.folder.glob("*/run.json")):
        run = file.parent
        try:
            report = gather(run)
        except AccordError as error:
            says = " ".join(str(error).split())
            yield SubRun(run.name, "unreadable", says, "", False, (), "", "", (), (), (), (says,))
            continue
        mine = any(str(run / stage.name / "model") in taken for stage in report.stages)
        yield _sub(run, report, mine)


def _sub(run: Path, report: RunReport, taken: bool) -> SubRun:
    stages = report.stages
    pages = [stage.guard.paging.says for stage in stages if stage.guard.paging is not None]
    return SubRun(
        name=run.name,
        state=report.status.state,
        headline=report.headline,
        link=f"{run.name}/report.html" if (run / "report.html").is_file() else "",
        taken=taken,
        pressure=tuple(row for stage in stages for row in _pressure(stage.spent)),
        guard=" ".join(
            f"It looked {counted(stage.guard.audits, 'time')}. {stage.guard.says}" for stage in stages
        ),
        pages="; ".join(pages) or "no page tier is in force, so no rate of false alarms is stated",
        decisions=tuple(one for stage in stages for one in stage.guard.decisions),
        acceptances=tuple(one for stage in stages for one in stage.guard.acceptances),
        crossings=tuple(one for stage in stages for one in stage.crossings),
        warnings=report.warnings,
    )


def _pressure(spent: Spent) -> Iterator[tuple[str, str, str]]:
    """What was pressed with, in a stage; pressure is reported, never a reason to stop."""
    yield (
        _DOWN,
        percent(spent.pushed_answers),
        f"mean of {counted(spent.pushed_of, 'update')}",
    )
    tokens = f"of {counted(spent.pushed_tokens, 'answer token')}"
    yield _TOKENS_DOWN, percent(spent.pushed_down), tokens
    yield "negative-gradient mass", percent(spent.negative_mass), "share of the pressure that lowers"
    if spent.unused is not None:
        yield "left unused", percent(spent.unused), f"of {counted(spent.unused_of, 'judged answer')}"
    if spent.kl is not None:
        yield "reverse KL spent", f"{number(spent.kl.value)} nats", f"an answer, at update {spent.kl_step}"


def pushed(runs: Sequence[SubRun]) -> str:
    """Whether any run pushed answers down, by its own figures."""
    if not runs:
        return "nothing was trained"
    some = [
        f"{figure} of {what.partition(' ')[0]} in {run.name}"
        for run in runs
        for what, figure, _ in run.pressure
        if what in (_DOWN, _TOKENS_DOWN) and figure not in ("0 %", "–")
    ]
    return "; ".join(some) or f"no answer, in {counted(len(runs), 'run')}"


def signed(run: Path) -> Iterator[Excepted]:
    """Who signed for what a gate missed, where this run began under one."""
    if not (run / KEPT).is_file():
        return
    about = cast("dict[str, str]", json.loads((run / "run.json").read_text(encoding="utf-8")))
    ruling = last_ruling(run / KEPT, about["plan"])
    for one in ruling.signed if ruling else ():
        yield Excepted(f"the check {one.check} of {run.name}", one.by, one.reason, one.id)
