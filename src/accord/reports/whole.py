"""A run's folder → RunReport, and its one line for the terminal. Decides and writes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import cast

from accord.errors import PlanError, Unreadable
from accord.plan import Plan, read_plan
from accord.records.permits import REQUIREMENTS
from accord.release import RULE
from accord.reports.crossing import crossings_of
from accord.reports.document import Environment, Result, RunReport, StageReport, Status
from accord.reports.evaluated import told_evaluation, trained_prompts
from accord.reports.imported import as_imported
from accord.reports.logs import StageLog, open_stage
from accord.reports.overuse import use_of
from accord.reports.released import headline_release
from accord.reports.result import result_of
from accord.reports.series import curves_of
from accord.reports.spent import spent_by, trained_of
from accord.reports.trace import trace_of
from accord.reports.transcripts import transcripts_of
from accord.reports.versus import told_versus, versus_of
from accord.reports.watched import guard_of, told_guard
from accord.reports.words import Scale, counted
from accord.stores.gates import KEPT, Ruling, last_ruling

__all__ = ["STATEMENT", "gather", "headline", "read_run"]

STATEMENT = (
    "These are operational definitions: they say where training pushed a model against its base and are no "
    "evidence, for or against, about experience."
)
_GATE = (
    'a run of its own under purpose = "model", which the evidence gate admits',
    REQUIREMENTS["targets"],
    "the base audit, twice, with its noise floor and the smallest shift it would see",
    "sealed panels and indicators of the page tier, whose rate of false alarms is stated",
    "the covariance of unwanted traits with the reward, the pull of typicality, the agreement of raters",
    "where the proxy turns against the held-out judge, and whether asking alone reaches the target",
    *(REQUIREMENTS[name] for name in ("guard", "base", "retirement")),
)


def gather(folder: Path) -> RunReport:
    """Everything the report says of a run, finished or not. Unreadable where ``folder`` holds no run."""
    plan, about = read_run(folder)
    logs = [open_stage(folder, plan, stage) for stage in plan.stage]
    ruling = last_ruling(folder / KEPT, plan.hash)
    stages = tuple(_stage(log) for log in logs)
    status = _status(logs, [stage.status for stage in stages])
    report = RunReport(
        run=folder.resolve().name,
        name=plan.name,
        purpose=plan.purpose,
        base=plan.model,
        seed=plan.seed,
        status=status,
        headline=_headline(logs, [stage.result for stage in stages], status),
        stamp=_stamp(plan, logs, ruling),
        needs=_GATE if plan.purpose == "explore" else (),
        warnings=(*_exceptions(ruling), *_warnings(logs, stages)),
        statement=STATEMENT,
        stages=stages,
        commands=tuple(_commands(folder.resolve().name, stages)),
        plan=plan.toml(),
        plan_hash=plan.hash,
        store=about.get("store", ""),
    )
    return as_imported(folder, report)


def headline(folder: Path) -> str:
    """How the run came out, in one line. Unreadable where ``folder`` holds no run."""
    plan, _ = read_run(folder)
    logs = [open_stage(folder, plan, stage, places=False) for stage in plan.stage]
    return _headline(logs, [result_of(log) for log in logs], _status(logs, [log.status() for log in logs]))


def read_run(folder: Path) -> tuple[Plan, dict[str, str]]:
    """The plan of a run and what ``run.json`` says. Unreadable where ``folder`` holds no run."""
    for name in ("run.json", "plan.toml"):
        if not (folder / name).is_file():
            raise Unreadable(folder / name, "a file that accord run writes into every run", "no such file")
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(folder / "run.json", "the JSON that accord run wrote", str(error)) from error
    if not isinstance(about, dict):
        raise Unreadable(folder / "run.json", "a table", type(about).__name__)
    try:
        plan = read_plan(folder / "plan.toml")
    except PlanError as error:
        raise Unreadable(folder / "plan.toml", "the plan that accord run wrote", str(error)) from error
    return plan, {str(key): str(value) for key, value in cast("dict[str, object]", about).items()}


def _stage(log: StageLog) -> StageReport:
    result = result_of(log)
    return StageReport(
        name=log.stage.name,
        status=log.status(),
        environment=_environment(log),
        trained=trained_of(log),
        result=result,
        versus=versus_of(log),
        use=use_of(log),
        curves=curves_of(log),
        transcripts=transcripts_of(log),
        spent=spent_by(log, result),
        guard=guard_of(log),
        trace=trace_of(log),
        crossings=crossings_of(log),
    )


def _environment(log: StageLog) -> Environment:
    file, drift = log.folder / "environment.json", log.folder / "drift.txt"
    machine: dict[str, str] = {}
    problems = [problem.replace(f"{log.run}/", "") for problem in (log.view.problems if log.view else [])]
    if file.is_file():
        try:
            found = cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))
            machine = {str(key): str(value) for key, value in sorted(found.items())}
        except (OSError, ValueError, AttributeError) as error:
            problems.append(f"{log.stage.name}/environment.json: is no table in JSON: {error}")
    lines: list[str] = []
    if drift.is_file():
        lines = drift.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    return Environment(
        machine=machine,
        lines=len(log.view.lines) if log.view else 0,
        torn=log.view.torn if log.view else 0,
        problems=tuple(problems),
        drift=tuple(lines),
    )


def _status(logs: Sequence[StageLog], states: Sequence[Status]) -> Status:
    """The run is where its first unfinished stage is."""
    for log, status in zip(logs, states, strict=True):
        if status.state == "finished":
            continue
        where = f"stage {log.stage.name}: " if len(logs) > 1 else ""
        began = any(other.view is not None for other in logs)
        if status.state == "not begun" and began:
            return Status("interrupted", f"interrupted before stage {log.stage.name} began")
        return Status(status.state, f"{where}{status.says}", status.record)
    last = states[-1]
    steps = sum(log.entry.step for log in logs if log.entry)
    return Status("finished", f"finished after {counted(steps, 'update')}", last.record)


def _headline(logs: Sequence[StageLog], results: Sequence[Result], status: Status) -> str:
    parts = [] if status.state == "finished" else [status.says]
    both = zip(logs, results, strict=True)
    told = [(log.stage.name, result) for log, result in both if result.verdict != "none"]
    for name, result in told:
        where = f"{name}: " if len(told) > 1 else ""
        parts.append(where + _told_result(result))
    evaluated = [(log.stage.name, said) for log in logs if (said := told_evaluation(log))]
    parts += [f"{name}: {said}" if len(logs) > 1 else said for name, said in evaluated]
    contested = [(log.stage.name, said) for log in logs if (said := told_versus(log))]
    parts += [f"{name}: {said}" if len(logs) > 1 else said for name, said in contested]
    if not told and not evaluated and not contested and status.state == "finished":
        parts.append("no held-out figure was planned")
    released = [(log.stage.name, said) for log in logs if (said := headline_release(log))]
    parts += [f"{name}: {said}" if len(logs) > 1 else said for name, said in released]
    parts.append(_told_guard(logs))
    return "; ".join(part for part in parts if part)


def _told_result(result: Result) -> str:
    scale, change = Scale(result.share), result.change
    what = result.name.replace(".", " ").replace("_", "-", 1)
    if result.before is None:
        return ""
    if result.after is None:
        return f"{what} before training {scale.level(result.before.value)}"
    levels = f"{what} {scale.level(result.before.value)} → {scale.level(result.after.value)}"
    if change is None or change.low is None or change.high is None:
        return f"{levels} (not paired, so not compared)"
    span = f"95 % interval {scale.change_span(change.low, change.high)}; {counted(result.prompts, 'prompt')}"
    if result.verdict == "no change":
        return (
            f"{what}: no change that the interval can tell from zero ({scale.change(change.value)}, {span})"
        )
    return f"{levels} (change {scale.change(change.value)}, {span})"


def _told_guard(logs: Sequence[StageLog]) -> str:
    """Never "safe": what was not seen, and by what."""
    decisions = [decision for log in logs for decision in log.decisions]
    looked = [log for log in logs if log.readings or log.not_measured]
    if not looked and not all(log.entry for log in logs):
        return "the guard has not looked yet"
    warnings = sum(one.action == "continue" and one.rule not in ("acceptance", RULE) for one in decisions)
    accepted = sum(one.rule == "acceptance" for one in decisions)
    told = [(log.stage.name, told_guard(log)) for log in looked]
    said = [f"{name}: {one}" if len(logs) > 1 else one for name, one in told]
    said = said or ["no page, and no indicator was read"]
    if warnings:
        said.append(counted(warnings, "warning"))
    if accepted:
        said.append(f"{counted(accepted, 'pause')} accepted by a person")
    return ", ".join(said)


def _stamp(plan: Plan, logs: Sequence[StageLog], ruling: Ruling | None) -> str:
    if plan.purpose == "explore":
        return "UNGATED: this run explores. Its result is not a model to keep."
    begun = all(log.entry.gated for log in logs if log.entry)  # under that Decision, not one put there later
    if ruling is not None and ruling.passed and begun:
        exceptions = f" with {counted(len(ruling.signed), 'exception')}" if ruling.signed else ""
        name = ruling.decision.id[:12]
        return f"For a model to keep: the evidence gate was passed{exceptions} (Decision {name}, in {KEPT})."
    if all(log.entry is not None and not log.entry.pushes for log in logs):
        return "For a model to keep: no stage of this run pushes answers down, so it needed no evidence gate."
    return (
        "For a model to keep, UNGATED: no evidence gate was passed. A run that pushes nothing down needs "
        "none, and says so here once it has finished; any other is not kept."
    )


def _exceptions(ruling: Ruling | None) -> Iterator[str]:
    """What is missing of the evidence, and who answers for it."""
    for one in ruling.signed if ruling is not None and ruling.passed else ():
        stage = f" of {one.stage}" if one.stage else ""
        whose = f"{one.by} answers for going on without it"
        yield f"Exception: {one.check}{stage} is missing. {whose}: {one.reason}"


def _warnings(logs: Sequence[StageLog], stages: Sequence[StageReport]) -> list[str]:
    """What a reader has to know before any figure."""
    out: list[str] = []
    for log, stage in zip(logs, stages, strict=True):
        environment, trained = stage.environment, stage.trained
        out += [f"{stage.name}: {line}" for line in environment.drift]
        if environment.problems:
            count = counted(len(environment.problems), "problem")
            out.append(
                f"{stage.name}: the log is incomplete or was changed ({count}, listed under Environment). "
                "Figures rest on what could be read."
            )
        if environment.torn:
            lines = counted(environment.torn, "line")
            out.append(f"{stage.name}: {lines} left unfinished by a killed process, none of them committed.")
        if trained.refused:
            refused = counted(trained.refused, "update")
            out.append(f"{stage.name}: {refused} had no finite loss or gradient, and changed nothing.")
        if stage.result.seen:
            seen = counted(stage.result.seen, "held-out prompt")
            out.append(f"{stage.name}: {seen} were also trained on, so the held-out figure is not one.")
        if seen := trained_prompts(log):
            prompts = f"{counted(seen, 'prompt')} of the evaluation {'was' if seen == 1 else 'were'}"
            out.append(f"{stage.name}: {prompts} also trained on: it is not of unseen data.")
        missing = sum(point.y for curve in stage.curves if curve.key == "missing" for point in curve.points)
        if missing and math.isfinite(missing):
            out.append(
                f"{stage.name}: some rows have no verdict; they are left out of scores, not counted as zero."
            )
    return out


def _commands(run: str, stages: Sequence[StageReport]) -> list[tuple[str, str]]:
    """Lines for a terminal in the folder that holds the run, and what each is for."""
    here = quote(run)
    out = [
        (f"accord run {here}/plan.toml", "run the same plan again"),
        (f"accord report {here} --json", "every figure with its full record id and its place"),
    ]
    walked = next((walk for stage in stages for walk in stage.trace if walk.place), None)
    if walked is not None:
        file, _, line = walked.place.rpartition(":")
        out.append(
            (f"grep -rn {walked.record} {here} --include='*.jsonl*'", "every line that names one record")
        )
        out.append((f"sed -n {line}p {here}/{quote(file)}", "one record, as it was written"))
    pending = next((stage.status for stage in stages if stage.status.state == "paused"), None)
    if pending is not None:
        resume = f"accord resume {here} --accept {pending.record[:12]} --by NAME --reason TEXT"
        out.append((resume, "let the run go on, in the name of a person"))
    elif {stage.status.state for stage in stages} <= {"finished", "interrupted", "not begun"} and any(
        stage.status.state != "finished" for stage in stages
    ):
        out.append((f"accord resume {here}", "go on from the newest checkpoint"))
    return out
