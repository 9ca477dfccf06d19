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
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord import __version__, catalog
from accord.assembly import (
    Engine,
    Place,
    assembled,
    check_evaluation,
    engine_of,
    models_asked,
    seated,
)
from accord.counted_apart import groups_now
from accord.errors import PlanError, Refused, Unreadable, beneath
from accord.feedback import StageFeedback
from accord.frozen import Frozen, check_queue
from accord.loop import Loop
from accord.maths.overuse import GOLD
from accord.plan import Plan, Stage
from accord.ports import Closing, Method, Overseer
from accord.records import (
    Decision,
    Entry,
    ModelRef,
    Prompt,
    Reading,
    Record,
    StepEvent,
    canonical,
)
from accord.release import Release, forewarned, release_prompts
from accord.sources import SourcePart, Surroundings
from accord.stores.files import disk, file_sha256, make_folder, promote, write_aside
from accord.stores.foreign.prompts import read_rows
from accord.stores.gates import KEPT, last_ruling
from accord.stores.runlog import LogView, RunLog, read_log
from accord.winrate import Contest, Umpire, asked_kind, name_of, told
from accord.withdrawn import drifted, queues_asked, still_said
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


def check_stage(plan: Plan, stage: Stage) -> list[str]:
    """Raises what would otherwise stop the stage after its start: a model or file that cannot be read.

    Says what a person should know before anything is trained.
    """
    engine = engine_of(stage)
    if stage.model is not None and not stage.model.startswith("stage:"):
        engine.check(stage.model)
    for path, model in models_asked(stage):
        with beneath(path):
            if not model.startswith("stage:"):
                engine.check(model)
    for path, url in queues_asked(stage):
        with beneath(path):
            check_queue(url)
    method = cast(Method, catalog.build("methods", stage.method))
    source = cast(SourcePart, catalog.build("sources", stage.source))
    with Worker() as worker:
        around = Surroundings(stage.name, plan.seed, method.rows, worker)
        with beneath("source"):
            source.open(around)
        check_evaluation(stage, method, around)
        said = [_release_foretold(plan, stage, worker)] if stage.release is not None else []
    if stage.guard.prompts is not None:
        with beneath("guard"):
            read_rows(stage.guard.prompts)
    if stage.held_out is not None:
        if method.needs().scores:
            advice = f"{stage.method.name} makes a reward model; [stage.eval] reads its loss on other data"
            raise PlanError("held_out", None, "a method whose model answers prompts", advice)
        if stage.ask[0].column == "p":
            advice = "of two answers of one model either may be the better: p stays at one half"
            raise PlanError("held_out", None, "a first ask that scores single answers (each)", advice)
        with beneath("held_out"):
            held_out = {row.prompt.id for row in read_rows(stage.held_out.prompts)}
        if len(held_out) < 2:
            raise Unreadable(stage.held_out.prompts, "two prompts or more: one has no interval", "1 prompt")
    _check_gold(stage, method)
    _check_versus(stage, method)
    return said


def run_stage(place: Place, acceptance: Acceptance | None, allow_drift: bool) -> Decision | None:
    """Train the stage to its end (None), or to the Decision that stops it, from where it was interrupted."""
    make_folder(place.folder)
    go_on = f"accord resume {place.folder.parent}"
    with (
        RunLog.open(place.folder, place.run) as log,
        Frozen(place.folder, place.progress, go_on, allow_drift) as frozen,
        Worker() as worker,
    ):
        place = place._replace(frozen=frozen)
        view = read_log(place.folder)
        for problem in view.problems[:3]:
            place.progress.say(f"the log of {place.run}: {problem}")
        accepted = _accepted(view, acceptance, place)
        began = time.monotonic()
        _same_environment(place, engine_of(place.stage), allow_drift)
        still_said(place, frozen, view)
        loop = assembled(place, log, view, worker)
        guard = loop.guard
        guard.decisions += [
            d for d in _decisions(view) if d.id not in {known.id for known in guard.decisions}
        ]
        for decision in accepted:
            guard.accept(decision)
        try:
            decision = loop.train()
            if decision.action != "continue":
                return decision
            if stopped := _versus(place, loop, worker, view):
                return stopped
            tested = _release_tested(place, loop, worker) if place.stage.release is not None else ()
            _enter(place, loop, time.monotonic() - began, tested)
        finally:
            if isinstance(loop.learner, Closing):
                loop.learner.close()
        return None


def _release_foretold(plan: Plan, stage: Stage, worker: Worker) -> str:
    """What the release test can say of the stage. PlanError where it cannot be held."""
    assert stage.release is not None
    if cast(Method, catalog.build("methods", stage.method)).needs().scores:
        advice = f"{stage.method.name} makes a reward model, which answers nothing"
        raise PlanError("release", None, "a method whose model answers prompts", advice)
    trained: list[Prompt] = []
    for one in plan.stage[: [known.name for known in plan.stage].index(stage.name) + 1]:
        method = cast(Method, catalog.build("methods", one.method))
        source = cast(SourcePart, catalog.build("sources", one.source))
        trained += source.open(Surroundings(one.name, plan.seed, method.rows, worker)).prompts()
    with beneath("release"):
        return forewarned(stage.release, len(release_prompts(stage.release, trained)))


def _release_tested(place: Place, loop: Loop, worker: Worker) -> tuple[Record, ...]:
    """Hold the release test of the result, and write down what it came to."""
    table, feedback = place.stage.release, _feedback(loop)
    assert table is not None
    with beneath(f"{place.path}.release"):
        prompts = release_prompts(table, loop.source.prompts())
    asking = feedback.asking[[ask.column for ask in place.stage.ask].index(table.column)]
    place.progress.begin(f"{place.stage.name}: release test", float(len(prompts) * table.n))
    release = Release(table, prompts, asking, place.run, feedback, worker)
    reading, decision = release.hold(loop.kept, loop.learner.sampler())
    loop.commit([reading, decision], loop.kept)
    place.progress.say(f"release test, {decision.reason}")
    return reading, decision


def _check_gold(stage: Stage, method: Method) -> None:
    """PlanError where gold is asked of answers that are not the policy's own."""
    for index, ask in enumerate(stage.ask):
        if ask.column == GOLD and method.rows.by != "policy":
            advice = "gold tells how far the policy's own answers used the score; these stand in a file"
            allowed = "a column that the method learns from"
            raise PlanError(f"ask[{index}].column", ask.column, allowed, advice)


def _check_versus(stage: Stage, method: Method) -> None:
    """Raises where the win rate that the plan asks for cannot be read."""
    table = stage.versus
    if table is None:
        return
    if method.needs().scores:
        advice = f"{stage.method.name} makes a reward model, which answers nothing"
        raise PlanError("versus", None, "a method whose model answers prompts", advice)
    with beneath("versus.overseer"):
        overseer = cast(Overseer, catalog.build("overseers", table.overseer))
    if asked_kind(table.ask) not in overseer.answers:
        can = [ask for ask in ("compare", "grade") if asked_kind(ask) in overseer.answers]
        allowed = " or ".join(can) or f"an overseer that does one of them; {table.overseer.name} does not"
        raise PlanError("versus.ask", table.ask, allowed)
    with beneath("versus"):
        prompts = {row.prompt.id for row in read_rows(table.prompts)}
    if len(prompts) < 2:
        raise Unreadable(table.prompts, "two prompts or more: one has no interval", "1 prompt")


def _versus(place: Place, loop: Loop, worker: Worker, view: LogView) -> Decision | None:
    """Read the win rate of the result, once; the Decision where it could not be read and a rule says stop."""
    table, located = place.stage.versus, place.located()
    if table is None or located.versus is None:
        return None
    name, step = name_of(table.model), loop.kept
    read = [r for r in view.records("reading") if isinstance(r, Reading) and (r.name, r.step) == (name, step)]
    if read:
        loop.guard.readings.append(read[-1])
        return None
    engine = engine_of(located)
    with beneath(f"{place.path}.versus.overseer"):
        overseer = seated(place, engine, (table.overseer, located.versus.overseer), {})
    prompts = tuple({row.prompt.id: row.prompt for row in read_rows(table.prompts)}.values())
    place.progress.begin(f"{place.stage.name} against {table.model}", 2.0 * len(prompts) * table.n)
    contest = Contest(table.model, prompts, table.n, table.temperature, table.max_tokens, table.ask, overseer)
    other = engine.sampler(place.model(table.model), place.progress)
    umpire = Umpire(contest, place.run, _feedback(loop), worker)
    found = umpire.read(step, loop.learner.sampler(), other)
    loop.guard.readings.append(found)
    loop.commit([found], step)
    if isinstance(found, Reading):
        place.progress.say(told(found, contest))
        return None
    text = f"{found.name} was not measured: {found.reason}"
    decision = loop.guard.note(StepEvent(run=place.run, name="fault", step=step, text=text))
    return None if decision.action == "continue" else decision


def _feedback(loop: Loop) -> StageFeedback:
    assert isinstance(loop.feedback, StageFeedback), "assembled gives the loop this one"
    return loop.feedback


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
    with beneath(place.path):
        now |= groups_now(place.stage)
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
        drifted(place, "resumed in another environment: " + "; ".join(changed))


def _enter(place: Place, loop: Loop, seconds: float, tested: Sequence[Record] = ()) -> None:
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
    ruling = last_ruling(place.folder.parent / KEPT, place.plan.hash)
    passed = (ruling.decision.id,) if ruling is not None and ruling.passed else ()
    entry = Entry(
        run=place.run,
        stage=place.stage.name,
        step=loop.state.step,
        purpose=place.plan.purpose,
        model=model.id,
        kept=loop.kept if loop.kept != loop.state.step else None,
        gated=bool(passed),
        pushes=loop.method.pushes_down,
        seconds=seconds,
        parents=(model.id, *last, *(record.id for record in tested), *passed),
    )
    loop.commit([model, entry], loop.state.step)
