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
from accord.stores.chronicle import Chronicle, Step
from accord.stores.gates import KEPT, last_ruling

__all__ = ["RUNS", "pushed", "runs_of", "signed"]

RUNS: tuple[Step, ...] = ("amplify", "revised", "constitution")
_LEAST = 0.0005  # shown as under 0.1 %: not as none


def runs_of(chronicle: Chronicle) -> Iterator[SubRun]:
    """Every run that a step made, whether its result was taken or not."""
    # By the names of run and stage: the folder may have been moved, or be asked about from elsewhere.
    models = [(chronicle.of(name) or {}).get("model") for name in RUNS]
    taken = {Path(str(model)).parts[-3:] for model in models if model}
    for file in sorted(chronicle.folder.glob("*/run.json")):
        run = file.parent
        try:
            report = gather(run)
        except AccordError as error:
            says = " ".join(str(error).split())
            why = "it cannot be read"
            yield SubRun(run.name, "unreadable", says, "", False, (), "", why, (), (), (), (says,))
            continue
        mine = any((run.name, stage.name, "model") in taken for stage in report.stages)
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
        lowered=tuple(row for stage in stages for row in _lowered(stage.spent)),
    )


def _lowered(spent: Spent) -> Iterator[tuple[str, float | None]]:
    yield "answers", spent.pushed_answers
    yield "tokens", spent.pushed_down


def _pressure(spent: Spent) -> Iterator[tuple[str, str, str]]:
    """What was pressed with, in a stage; pressure is reported, never a reason to stop."""
    of = f"mean of {counted(spent.pushed_of, 'update')}"
    yield "answers pushed down", _share(spent.pushed_answers), of
    tokens = f"of {counted(spent.pushed_tokens, 'answer token')}"
    yield "tokens pushed down", _share(spent.pushed_down), tokens
    yield "negative-gradient mass", percent(spent.negative_mass), "share of the pressure that lowers"
    if spent.unused is not None:
        yield "left unused", percent(spent.unused), f"of {counted(spent.unused_of, 'judged answer')}"
    if spent.kl is not None:
        yield "reverse KL spent", f"{number(spent.kl.value)} nats", f"an answer, at update {spent.kl_step}"


def pushed(runs: Sequence[SubRun]) -> str:
    """Whether any run pushed answers down, by its own figures; what no figure tells of is said too."""
    if not runs:
        return "nothing was trained"
    told = [
        f"{_share(share)} of {what} in {run.name}" for run in runs for what, share in run.lowered if share
    ]
    unknown = [run.name for run in runs if all(share is None for _, share in run.lowered)]
    if not told and len(unknown) < len(runs):
        told = [f"no answer, in {counted(len(runs) - len(unknown), 'run')}"]
    return "; ".join([*told, f"not measured in {', '.join(unknown)}"] if unknown else told)


def _share(value: float | None) -> str:
    return "under 0.1 %" if value is not None and 0 < value < _LEAST else percent(value)


def signed(run: Path) -> Iterator[Excepted]:
    """Who signed for what a gate missed, where this run began under one."""
    if not (run / KEPT).is_file():
        return
    about = cast("dict[str, str]", json.loads((run / "run.json").read_text(encoding="utf-8")))
    ruling = last_ruling(run / KEPT, about["plan"])
    for one in ruling.signed if ruling else ():
        yield Excepted(f"the check {one.check} of {run.name}", one.by, one.reason, one.id)
