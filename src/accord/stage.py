"""One stage: its parts put together, trained by the loop, its result exported and entered.

This is the only place that knows both the plan and the loop.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from accord import __version__, catalog
from accord.checkpoints import Progressing, latest, load_state
from accord.desk import FrontDesk
from accord.errors import Refused, Unreadable, beneath
from accord.feedback import Asking, StageFeedback
from accord.guard import Guard, Probing, Watch
from accord.heldout import Examiner, HeldOutSet, compared
from accord.loop import Loop, Pace
from accord.plan import AskTable, Plan, Stage
from accord.ports import Ask, Indicator, Learner, Method, Overseer, Rule, Sampler, Source, Store
from accord.progress import Progress
from accord.records import Decision, Entry, ModelRef, NotMeasured, Reading, Record, StepEvent, canonical
from accord.records.texts import Response
from accord.rules import default_rules
from accord.sources import SourcePart, Surroundings
from accord.stores.files import disk, file_sha256, make_folder, promote, write_aside
from accord.stores.foreign.prompts import read_rows
from accord.stores.runlog import LogView, RunLog, read_log
from accord.worker import Worker

__all__ = ["Acceptance", "Engine", "Place", "check_base", "check_stage", "finished", "run_stage"]


class Engine(Protocol):
    """What a plan's ``[stage.learner]`` names: it opens models to train and models to read."""

    def check(self, model: str) -> None:
        """Raises where ``model`` cannot be opened, as far as that shows without loading it."""
        ...

    def learner(self, model: str, run: str, seed: int, progress: Progress) -> Learner: ...

    def sampler(self, model: str, progress: Progress) -> Sampler: ...

    def environment(self) -> dict[str, str]: ...


class Place(NamedTuple):
    """Where a stage runs: its folder, its plan, the model it starts from, and what stands around it."""

    folder: Path
    plan: Plan
    stage: Stage
    start: str
    progress: Progress
    store: Store | None

    @property
    def run(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"


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
    cast(Engine, catalog.build("engines", stage.learner)).check(plan.model)


def check_stage(plan: Plan, stage: Stage) -> None:
    """Raises what would otherwise stop the stage after its start: a model or file that cannot be read."""
    engine = cast(Engine, catalog.build("engines", stage.learner))
    if stage.model is not None and not stage.model.startswith("stage:"):
        engine.check(stage.model)
    method = cast(Method, catalog.build("methods", stage.method))
    source = cast(SourcePart, catalog.build("sources", stage.source))
    with Worker() as worker, beneath("source"):
        source.open(Surroundings(stage.name, plan.seed, method.rows, worker))
    if stage.guard.prompts is not None:
        with beneath("guard"):
            read_rows(stage.guard.prompts)
    if stage.held_out is not None:
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
        loop = _assemble(place, log, view, worker, allow_drift)
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


def _assemble(place: Place, log: RunLog, view: LogView, worker: Worker, allow_drift: bool) -> Loop:
    """Everything the loop needs, as the plan names it, in the state of the newest checkpoint."""
    stage, plan, run = place.stage, place.plan, place.run
    engine = cast(Engine, catalog.build("engines", stage.learner))
    _same_environment(place, engine, allow_drift)
    method = cast(Method, catalog.build("methods", stage.method))
    learner = engine.learner(place.start, run, plan.seed, place.progress)
    newest = latest(place.folder / "checkpoints")
    state = load_state(newest, learner) if newest else Progressing()
    recorder = _Recorder(log, state)
    asking = [_asking(table) for table in stage.ask]
    desk = FrontDesk(recorder.write, log.commit, place.store)
    desk.hold(r for kind in ("prompt", "response", "question", "judgment") for r in view.records(kind))
    feedback = StageFeedback(asking, desk, worker, recorder.write)
    source = cast(SourcePart, catalog.build("sources", stage.source))
    opened = source.open(Surroundings(run, plan.seed, method.rows, worker))
    guard = Guard(_watch(place, opened, engine), recorder.commit, worker)
    if state.guard:
        guard.restore(state.guard)
    held_out = _held_out(stage, asking)

    def examine(step: int) -> Reading | NotMeasured:
        assert held_out is not None
        found = Examiner(held_out, run, feedback, worker).hold(step, learner.sampler())
        before = [r for r in guard.readings if isinstance(r, Reading) and r.name == held_out.name]
        return compared(found, before[0]) if before and isinstance(found, Reading) else found

    pace = Pace(
        windows=stage.windows,
        audit_every=stage.guard.every,
        save_every=stage.checkpoint.every,
        keep=stage.checkpoint.keep,
        window_worth=float(source.per_window * method.rows.n),
    )
    total = _announce(place, learner, method, pace, held_out, _looking(guard.watch))
    place.progress.advance(total * state.window / pace.windows)
    return Loop(
        run=run,
        seed=plan.seed,
        pace=pace,
        source=opened,
        feedback=feedback,
        method=method,
        learner=learner,
        guard=guard,
        state=state,
        checkpoints=place.folder / "checkpoints",
        commit=recorder.commit,
        examine=examine if held_out else None,
        progress=place.progress,
    )


def _asking(table: AskTable) -> Asking:
    ask = cast(Ask, catalog.build("asks", table))
    return Asking(ask, cast(Overseer, catalog.build("overseers", table.overseer)))


class _Recorder:
    """Writes records under the step the loop is at, and by names that a repeated step writes again."""

    def __init__(self, log: RunLog, state: Progressing) -> None:
        self._log, self._state = log, state

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._log.write(record, step=self._state.step, name=_name(record))

    def commit(self, records: Iterable[Record], step: int) -> None:
        for record in records:
            self._log.write(record, step=step, name=_name(record))
        self._log.commit()


def _name(record: Record) -> str:
    match record:
        case StepEvent():
            return f"{record.name}/{record.window}" if record.name != "fault" else f"fault/{record.id[:16]}"
        case Reading():
            return record.name
        case Response() if record.seed:
            return record.seed
        case _:
            return record.id


def _watch(place: Place, source: Source, engine: Engine) -> Watch:
    table = place.stage.guard
    prompts = tuple(source.prompts())
    if table.prompts is not None:
        prompts = tuple(row.prompt for row in read_rows(table.prompts))
    rules = default_rules()
    if table.rule is not None:
        rules = tuple(cast(Rule, catalog.build("rules", rule)) for rule in table.rule)
    indicators = tuple(cast(Indicator, catalog.build("indicators", part)) for part in table.indicator)
    base = engine.sampler(place.plan.model, place.progress)
    for indicator in indicators:
        if not indicator.wants <= base.can:
            lacking = sorted(indicator.wants - base.can)
            raise Refused(
                f"the indicator {indicator.name} needs {lacking}, which {place.plan.model} cannot give"
            )
    distinct = tuple({prompt.id: prompt for prompt in prompts}.values())
    probing = Probing(distinct, table.probes, table.answers, table.temperature, table.max_tokens)
    return Watch(place.run, indicators, rules, probing, base)


def _held_out(stage: Stage, asking: list[Asking]) -> HeldOutSet | None:
    table = stage.held_out
    if table is None:
        return None
    prompts = {row.prompt.id: row.prompt for row in read_rows(table.prompts)}
    name = f"held_out.{stage.ask[0].column}"
    return HeldOutSet(tuple(prompts.values()), table.n, table.temperature, table.max_tokens, asking[0], name)


def _announce(
    place: Place, learner: Learner, method: Method, pace: Pace, held_out: HeldOutSet | None, looking: int
) -> float:
    """Begin the progress bar; its total, in units of about one answer, sampled or learnt from."""
    guard = place.stage.guard
    audits = 1 + -(-pace.windows // pace.audit_every)
    total = (audits + 1) * guard.probes * guard.answers + pace.windows * pace.window_worth
    if method.rows.by == "policy":
        total += pace.windows * pace.window_worth
    if held_out is not None:
        total += 2 * len(held_out.prompts) * held_out.n
    place.progress.begin(place.stage.name, total)
    for note in cast("list[str]", getattr(learner, "notes", [])):
        place.progress.say(note)
    place.progress.say(f"the guard looks {audits} times and reads at most {looking:,} tokens each time")
    return total


def _looking(watch: Watch) -> int:
    """Tokens that the indicators read in one audit if every answer is as long as it may be."""
    probing = watch.probing
    asked = max(len(watch.base.encode(prompt, "").prompt_tokens) for prompt in probing.prompts)
    costs = [i.cost(probing.probes, probing.answers, asked + probing.max_tokens) for i in watch.indicators]
    return sum(cost.tokens_in for cost in costs)


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
    """Export the result, name its bytes, and enter the stage as finished."""
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
    last = tuple(r.id for r in loop.guard.readings if r.step == loop.state.step)
    entry = Entry(
        run=place.run,
        stage=place.stage.name,
        step=loop.state.step,
        purpose=place.plan.purpose,
        model=model.id,
        seconds=seconds,
        parents=(model.id, *last),
    )
    loop.commit([model, entry], loop.state.step)
