"""One stage: checked, trained by the loop to its end or to a decision, its result exported and entered.

Its parts are put together in ``accord.assembly``; these two are the only places that know the plan and the
loop.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from pathlib import Path
from typing import NamedTuple, cast

from accord import __version__, catalog
from accord.assembly import Engine, Place, assembled, check_evaluation, engine_of, models_asked
from accord.errors import PlanError, Refused, Unreadable, beneath
from accord.loop import Loop
from accord.plan import Plan, Stage
from accord.ports import Method
from accord.records import Decision, Entry, ModelRef, canonical
from accord.sources import SourcePart, Surroundings
from accord.stores.files import disk, file_sha256, make_folder, promote, write_aside
from accord.stores.foreign.prompts import read_rows
from accord.stores.runlog import LogView, RunLog, read_log
from accord.worker import Worker

__all__ = ["Acceptance", "Engine", "Place", "check_base", "check_stage", "finished", "run_stage"]


class Acceptance(NamedTuple):
    """A person lets a paused run go on."""

    decision: str
    by: str
    reason: str


def finished(folder: Path) -> bool:
    """Whether the stage in this folder wrote its Entry; then its model stands beside it."""
    return (folder / "model").is_dir() and folder.is_dir() and bool(read_log(folder).records("entry"))


def check_base(plan: Plan, stage: Stage) -> None:
    """Raises where the stage's engine cannot open the plan's base, which the guard reads."""
    engine_of(stage).check(plan.model)


def check_stage(plan: Plan, stage: Stage) -> None:
    """Raises what would otherwise stop the stage after its start: a model or file that cannot be read."""
    engine = engine_of(stage)
    if stage.model is not None and not stage.model.startswith("stage:"):
        engine.check(stage.model)
    for path, model in models_asked(stage):
        with beneath(path):
            if not model.startswith("stage:"):
                engine.check(model)
    method = cast(Method, catalog.build("methods", stage.method))
    source = cast(SourcePart, catalog.build("sources", stage.source))
    with Worker() as worker:
        around = Surroundings(stage.name, plan.seed, method.rows, worker)
        with beneath("source"):
            source.open(around)
        check_evaluation(stage, method, around)
    if stage.guard.prompts is not None:
        with beneath("guard"):
            read_rows(stage.guard.prompts)
    if stage.held_out is not None:
        if method.needs().scores:
            advice = f"{stage.method.name} makes a reward model; [stage.eval] reads its loss on other data"
            raise PlanError("held_out", None, "a method whose model answers prompts", advice)
        with beneath("held_out"):
            held_out = {row.prompt.id for row in read_rows(stage.held_out.prompts)}
        if len(held_out) < 2:
            raise Unreadable(stage.held_out.prompts, "two prompts or more: one has no interval", "1 prompt")


def run_stage(place: Place, acceptance: Acceptance | None, allow_drift: bool) -> Decision | None:
    """Train the stage to its end (None), or to the Decision that stops it, from where it was interrupted."""
    make_folder(place.folder)
    with RunLog.open(place.folder, place.run) as log, Worker() as worker:
        view = read_log(place.folder)
        for problem in view.problems[:3]:
            place.progress.say(f"the log of {place.run}: {problem}")
        accepted = _accepted(view, acceptance, place)
        began = time.monotonic()
        _same_environment(place, engine_of(place.stage), allow_drift)
        loop = assembled(place, log, view, worker)
        guard = loop.guard
        guard.decisions += [
            d for d in _decisions(view) if d.id not in {known.id for known in guard.decisions}
        ]
        for decision in accepted:
            guard.accept(decision)
        decision = loop.train()
        if decision.action != "continue":
            return decision
        _enter(place, loop, time.monotonic() - began)
        return None


def _decisions(view: LogView) -> list[Decision]:
    return cast("list[Decision]", view.records("decision"))


def _accepted(view: LogView, acceptance: Acceptance | None, place: Place) -> list[Decision]:
    """The records of a person's acceptance. Refused while a Pause waits for one, and after a Halt."""
    decisions = _decisions(view)
    answered = {d.accepts for d in decisions}
    waiting = [d for d in decisions if d.action != "continue" and d.id not in answered]
    for decision in waiting:
        if decision.action == "halt":
            raise Refused(
                f"{place.run} was halted at step {decision.step} by rule {decision.rule}: {decision.reason}\n"
                "  a Halt ends a run; begin a new one with a new plan"
            )
    if acceptance is None:
        if waiting:
            reasons = "\n".join(f"  step {d.step}, rule {d.rule}: {d.reason}" for d in waiting)
            ids = ",".join(d.id[:12] for d in waiting)
            raise Refused(
                f"{place.run} is paused\n{reasons}\n  a person may let it go on: "
                f"accord resume {place.folder.parent} --accept {ids} --by NAME --reason TEXT"
            )
        return []
    named = acceptance.decision.split(",")
    matches = {name: [d for d in waiting if name and d.id.startswith(name)] for name in named}
    if any(len(found) != 1 for found in matches.values()) or len(named) != len(waiting):
        known = ",".join(d.id[:12] for d in waiting) or "nothing"
        raise Refused(f"--accept {acceptance.decision}: what waits to be accepted in {place.run}: {known}")
    return [
        Decision(
            run=place.run,
            step=found[0].step,
            action="continue",
            rule="acceptance",
            reason=acceptance.reason,
            by=acceptance.by,
            accepts=found[0].id,
            parents=(found[0].id,),
        )
        for found in matches.values()
    ]


def _same_environment(place: Place, engine: Engine, allow_drift: bool) -> None:
    """A run resumes to the bit on the same kind of machine, threads and versions; otherwise it asks."""
    now = {"accord": __version__, "python": platform.python_version(), **engine.environment()}
    file = place.folder / "environment.json"
    if not file.exists():
        write_aside(place.folder / "plan.toml", place.plan.toml())
        write_aside(file, canonical(now))
        return
    then = cast("dict[str, str]", json.loads(file.read_text(encoding="utf-8")))
    changed = [
        f"{k}: {then.get(k)} → {now.get(k)}"
        for k in sorted(then.keys() | now.keys())
        if then.get(k) != now.get(k)
    ]
    if changed and not allow_drift:
        raise Refused(
            f"{place.run} began in another environment, so it cannot go on to the bit:\n  "
            + "\n  ".join(changed)
            + "\n  restore it, or go on under --allow-drift (the report will say so)"
        )
    if changed:
        text = "resumed in another environment: " + "; ".join(changed)
        write_aside(place.folder / "drift.txt", text + "\n")
        place.progress.say(text)


def _enter(place: Place, loop: Loop, seconds: float) -> None:
    """Export the result, which the learner holds once training is over, name its bytes, enter the stage."""
    final, work = place.folder / "model", place.folder / ".work-model"
    if not final.exists():
        place.progress.advance(0, "writing the model")
        with disk(place.folder):
            shutil.rmtree(work, ignore_errors=True)
            loop.learner.export(work)
            promote(work, final)
    files = {str(p.relative_to(final)): file_sha256(p) for p in sorted(final.rglob("*")) if p.is_file()}
    whole = hashlib.sha256(canonical(files).encode()).hexdigest()
    model = ModelRef(
        name=loop.learner.version, path=str(final), digest=whole, files=files, base=place.plan.model
    )
    last = tuple(r.id for r in loop.guard.readings if r.step == loop.kept)
    entry = Entry(
        run=place.run,
        stage=place.stage.name,
        step=loop.state.step,
        purpose=place.plan.purpose,
        model=model.id,
        kept=loop.kept if loop.kept != loop.state.step else None,
        seconds=seconds,
        parents=(model.id, *last),
    )
    loop.commit([model, entry], loop.state.step)
