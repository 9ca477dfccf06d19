"""Assembly: the parts that a stage names, built and put together into a Loop, in the state they were left in.

Here: opening models, sources, overseers and the guard, and what the first screen says of them. Not here: when
a stage begins, what it leaves behind, and who may let it go on (``accord.stage``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from accord import catalog
from accord.ahead import foretold
from accord.checkpoints import Progressing, latest, load_state
from accord.counted_apart import ask_of
from accord.desk import FrontDesk
from accord.engines.openai_http import Reaching
from accord.errors import PlanError, beneath
from accord.evaluation import Criterion, Evaluator
from accord.feedback import Asking, StageFeedback
from accord.frozen import Frozen
from accord.guard import Guard, Watch
from accord.heeding import ITEMS, LOOKS
from accord.heldout import Examiner, HeldOutSet, compared
from accord.labelled import Settling
from accord.loop import Loop, Pace
from accord.measuring import Measuring, rendering, shared_tokenizer
from accord.plan import PartTable, Plan, Stage
from accord.ports import (
    Learner,
    Method,
    Overseer,
    Sampler,
    Seated,
    Source,
    Store,
    Task,
)
from accord.progress import Progress
from accord.proxy_gold import comparing
from accord.records import Message, NotMeasured, Reading, Record
from accord.snapshots import keeping
from accord.sources import SourcePart, Surroundings
from accord.stores.foreign.prompts import read_rows
from accord.stores.runlog import LogView, RunLog, name_of
from accord.watching import Watched, looking, watching, watching_updates
from accord.withdrawn import leave_withdrawn
from accord.worker import Worker

__all__ = ["Engine", "Place", "assembled", "check_evaluation", "engine_of", "models_asked", "seated"]


class Engine(Protocol):
    """What a plan's ``[stage.learner]`` names: it opens models to train and models to read."""

    def check(self, model: str) -> None:
        """Raises where ``model`` cannot be opened, as far as that shows without loading it."""
        ...

    def learner(self, model: str, task: Task) -> Learner: ...

    def sampler(self, model: str, progress: Progress) -> Sampler: ...

    def environment(self) -> dict[str, str]: ...


class Place(NamedTuple):
    """Where a stage runs: its folder, its plan, the model it starts from, and what stands around it.

    ``frozen``: what people said, as far as it uses it; without it nobody can be asked.
    """

    folder: Path
    plan: Plan
    stage: Stage
    start: str
    progress: Progress
    store: Store | None
    frozen: Frozen | None = None

    @property
    def run(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def path(self) -> str:
        """Where the stage stands in the plan."""
        return f"stage[{[stage.name for stage in self.plan.stage].index(self.stage.name)}]"

    def result(self, stage: str) -> str:
        """The model that an earlier stage of this run left, whatever folder one stands in."""
        return str((self.folder.parent / stage / "model").resolve())

    def model(self, name: str) -> str:
        """A model as the plan names it, as an engine opens it."""
        return self.result(name.removeprefix("stage:")) if name.startswith("stage:") else name

    def located(self) -> Stage:
        """The stage with the results of earlier ones by their folders."""
        return self.stage.with_models(self.result)


def engine_of(stage: Stage) -> Engine:
    """The engine of a stage as its plan names it; models behind a server it reaches too."""
    return Reaching(cast(Engine, catalog.build("engines", stage.learner)))


def models_asked(stage: Stage) -> Iterator[tuple[str, str]]:
    """The models that a stage's overseers and method read, each with the place in the stage that names it."""
    method = cast(Method, catalog.build("methods", stage.method))
    yield from (("method", one.model) for one in method.needs().reads if one.model)
    judging = [(f"ask[{index}].overseer", table.overseer) for index, table in enumerate(stage.ask)]
    if stage.versus is not None:
        yield "versus.model", stage.versus.model
        judging.append(("versus.overseer", stage.versus.overseer))
    for path, table in judging:
        overseer = catalog.build("overseers", table)
        if isinstance(overseer, Seated):
            yield from ((path, model) for model in overseer.models)


def check_evaluation(stage: Stage, method: Method, around: Surroundings) -> None:
    """Raises where the evaluations that the plan asks for cannot be: wrong method, no such data."""
    if stage.eval is None:
        return
    if method.rows.by != "data":
        advice = f"{stage.method.name} does not; [stage.held_out] has fresh answers judged instead"
        raise PlanError(
            "eval", None, "a method that learns from data, whose loss can be read on other data", advice
        )
    with beneath("eval.source"):
        cast(SourcePart, catalog.build("sources", stage.eval.source)).open(around)


def assembled(place: Place, log: RunLog, view: LogView, worker: Worker) -> Loop:
    """Everything the loop needs, as the plan names it, in the state of the newest checkpoint."""
    stage, plan, run = place.located(), place.plan, place.run
    engine = engine_of(stage)
    method = cast(Method, catalog.build("methods", stage.method))
    learner = engine.learner(
        place.start, Task(run, plan.seed, method.needs(), method.rows.by, place.progress)
    )
    newest = latest(place.folder / "checkpoints")
    state = load_state(newest, learner) if newest else Progressing()
    leave_withdrawn(place, view, state)
    recorder = _Recorder(log, state, place.frozen)
    asking = _asking(place, engine)
    desk = FrontDesk(recorder.write, log.commit, place.store, place.frozen)
    desk.hold(r for kind in ("prompt", "response", "question", "judgment") for r in view.records(kind))
    feedback = StageFeedback(asking, desk, worker, recorder.write)
    around = Surroundings(run, plan.seed, method.rows, worker, place.frozen)
    source = cast(SourcePart, catalog.build("sources", stage.source))
    with beneath(place.path):
        opened = _settled(source.open(around), feedback)
    watched = Watched(run, plan, stage)
    if method.needs().scores:
        watch = watching_updates(watched, learner.sampler())
    else:
        base = engine.sampler(plan.model, place.progress)
        watch = watching(watched, opened, base, place.progress)
    guard = Guard(watch, recorder.commit, worker)
    if state.guard:
        guard.restore(state.guard)
    readers = _readers(place, method, engine, learner, watch.base)
    loop = Loop(
        run=run,
        seed=plan.seed,
        pace=_pace(stage, float(source.per_window * method.rows.n)),
        source=opened,
        feedback=feedback,
        method=method,
        learner=learner,
        guard=guard,
        state=state,
        checkpoints=place.folder / "checkpoints",
        commit=recorder.commit,
        examine=None,
        progress=place.progress,
        measuring=Measuring(readers, worker, rendering(learner, opened.prompts())),
    )
    held_out = _held_out(stage, asking)
    total = _total(stage, loop, held_out)
    place.progress.begin(place.stage.name, total)
    _announce(place, loop)
    _keep_policies(place, loop)
    if not state.guard:  # nothing was ever saved: a resumed stage was told at its start
        _foretell(place, loop, asking, held_out)
    if held_out is not None:
        loop.examine = _examine(Examiner(held_out, run, feedback, worker), loop)
    with beneath(place.path):
        loop.compare = comparing(place.stage, loop, held_out)
    loop.evaluator = _evaluator(place, stage, loop, around._replace(stage=f"{run}/eval"))
    place.progress.advance(total * state.window / stage.windows)
    return loop


def _asking(place: Place, engine: Engine) -> list[Asking]:
    """The asks with their overseers; models that these read with are opened once each, and handed over.

    Such an overseer keeps the names of its plan: what its judgments are known by is the weights themselves,
    wherever they lie. Every other one is built with the folders in place of ``stage:`` names.
    """
    opened: dict[str, Sampler] = {}
    found: list[Asking] = []
    for index, (written, table) in enumerate(zip(place.stage.ask, place.located().ask, strict=True)):
        with beneath(f"{place.path}.ask[{index}].overseer"):
            overseer = seated(place, engine, (written.overseer, table.overseer), opened)
        with beneath(f"{place.path}.ask[{index}]"):
            found.append(Asking(ask_of(table), overseer, table.share, opened))
    return found


def _settled(source: Source, feedback: StageFeedback) -> Source:
    """The source, once it knows what it trains on of what people have said so far."""
    if isinstance(source, Settling):
        source.settle(feedback.asking, feedback)
    return source


def seated(
    place: Place, engine: Engine, tables: tuple[PartTable, PartTable], opened: dict[str, Sampler]
) -> Overseer:
    """The overseer of a table as the plan has it, and as it is with folders; ``opened`` holds its models."""
    written, located = tables
    overseer = catalog.build("overseers", written)
    if isinstance(overseer, Seated):
        for model in overseer.models:
            opened[model] = opened.get(model) or engine.sampler(place.model(model), place.progress)
        ready = overseer.seated(opened)
    else:
        ready = cast(Overseer, catalog.build("overseers", located))
    return place.frozen.ready(ready) if place.frozen is not None else ready


class _Recorder:
    """Writes records, but no texts of people, under the step the loop is at, and by names that a repeated
    step writes again."""

    def __init__(self, log: RunLog, state: Progressing, frozen: Frozen | None) -> None:
        self._log, self._state = log, state
        self._secret = frozen.secret if frozen is not None else frozenset[str]()

    def write(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.id in self._secret:
                continue
            self._log.write(record, step=self._state.step, name=name_of(record))

    def commit(self, records: Iterable[Record], step: int) -> None:
        for record in records:
            self._log.write(record, step=step, name=name_of(record))
        self._log.commit()


def _readers(
    place: Place, method: Method, engine: Engine, learner: Learner, base: Sampler
) -> dict[str, Sampler]:
    """The models beside the policy that fill a method's columns; the base is the one the guard reads."""
    found: dict[str, Sampler] = {}
    for one in method.needs().reads:
        if one.model not in found:
            found[one.model] = engine.sampler(one.model, place.progress) if one.model else base
        with beneath(place.path):
            shared_tokenizer(one, found[one.model], learner.sampler())
    return found


def _held_out(stage: Stage, asking: Sequence[Asking]) -> HeldOutSet | None:
    table = stage.held_out
    if table is None:
        return None
    prompts = {row.prompt.id: row.prompt for row in read_rows(table.prompts)}
    name = f"held_out.{stage.ask[0].column}"
    return HeldOutSet(tuple(prompts.values()), table.n, table.temperature, table.max_tokens, asking[0], name)


def _examine(examiner: Examiner, loop: Loop) -> Callable[[int], Reading | NotMeasured]:
    """The held-out figure at a step, with its change since the first one."""

    def examine(step: int) -> Reading | NotMeasured:
        found = examiner.hold(step, loop.learner.sampler())
        name = examiner.given.name
        before = [r for r in loop.guard.readings if isinstance(r, Reading) and r.name == name]
        return compared(found, before[0]) if before and isinstance(found, Reading) else found

    return examine


def _evaluator(place: Place, stage: Stage, loop: Loop, around: Surroundings) -> Evaluator | None:
    table = stage.eval
    if table is None:
        return None
    with beneath(f"{place.path}.eval.source"):
        source = cast(SourcePart, catalog.build("sources", table.source)).open(around)
        source = _settled(source, cast(StageFeedback, loop.feedback))
    _say_of_data(place.progress, source)
    asked = _questions(source)
    if seen := len(asked & _questions(loop.source)):
        place.progress.say(
            f"{seen:,} of the {len(asked):,} prompts of the evaluation are also trained on, so its figures "
            "are not of unseen data"
        )
    return Evaluator(
        run=place.run,
        seed=place.plan.seed,
        source=source,
        windows=table.windows,
        criterion=Criterion(table.by, table.better or "lower", table.patience, table.keep == "best"),
        method=loop.method,
        learner=loop.learner,
        feedback=loop.feedback,
        progress=place.progress,
        described=place.stage.method.table(),
        path=f"{place.path}.eval",
        measuring=replace(loop.measuring, rendered=rendering(loop.learner, source.prompts())),
    )


def _questions(source: Source) -> set[tuple[Message, ...]]:
    """What is asked, whatever else stands beside it in the data; a blank prompt asks nothing."""
    return {p.messages for p in source.prompts() if any(m.content.strip() for m in p.messages)}


def _pace(stage: Stage, window_worth: float) -> Pace:
    return Pace(
        windows=stage.windows,
        audit_every=stage.guard.every,
        save_every=stage.checkpoint.every,
        keep=stage.checkpoint.keep,
        window_worth=window_worth,
        examine_every=stage.held_out.every if stage.held_out else None,
        evaluate_every=stage.eval.every if stage.eval else 1,
    )


def _total(stage: Stage, loop: Loop, held_out: HeldOutSet | None) -> float:
    """The length of the progress bar, in units of about one answer, sampled or learnt from."""
    guard, pace = stage.guard, loop.pace
    total = pace.windows * pace.window_worth
    if loop.guard.watch.probing.prompts:
        total += (_audits(pace) + 1) * guard.probes * guard.answers
    if loop.method.rows.by == "policy":
        total += pace.windows * pace.window_worth
    if held_out is not None:
        between = (pace.windows - 1) // pace.examine_every if pace.examine_every else 0
        total += (2 + between) * len(held_out.prompts) * held_out.n
    return total


def _audits(pace: Pace) -> int:
    return 1 + -(-pace.windows // pace.audit_every)


def _announce(place: Place, loop: Loop) -> None:
    """What the first screen says of the data, the learner and the guard."""
    say, watch = place.progress.say, loop.guard.watch
    _say_of_data(place.progress, loop.source)
    for note in cast("list[str]", getattr(loop.learner, "notes", [])):
        say(note)
    if watch.probing.prompts:
        each = f"reads at most {looking(watch):,} tokens each time"
        say(f"the guard looks {_audits(loop.pace)} times and {each}{_closer(watch, place.stage.guard.gold)}")
    else:
        say("a reward model answers no probes: the guard watches its updates and windows, and no indicator")


def _closer(watch: Watch, gold: int | None) -> str:
    """What else a look asks, and what a warning adds to that."""
    told = f", and has gold and score grade {2 * gold} held-out answers" if gold else ""
    if not (watch.heed and (watch.panelled or gold)):
        return told
    return f"{told}; after a warning twice as often, {LOOKS} times, with {ITEMS} times the items"


def _keep_policies(place: Place, loop: Loop) -> None:
    """Snapshots as far as they fit, from where the stage goes on; the first screen says which."""
    keeper, told = keeping(place.folder, place.stage.snapshots, loop.learner, loop.guard)
    keeper.begin(loop.state.step)
    loop.snapshot = keeper.take
    if told:
        place.progress.say(told)


def _foretell(place: Place, loop: Loop, asking: Sequence[Asking], held_out: HeldOutSet | None) -> None:
    """What the first screen says of memory, time, calls and the first row."""
    place.progress.advance(0, "estimating memory and time")
    for line in foretold(loop, asking, held_out, _audits(loop.pace)):
        place.progress.say(line)


def _say_of_data(progress: Progress, source: Source) -> None:
    """What a source says of its data, or else which rows it left out; both are beyond the port."""
    notes = cast("Sequence[str]", getattr(source, "notes", ()))
    dropped = cast("Mapping[str, int]", getattr(source, "dropped", {}))
    if not notes and any(dropped.values()):
        notes = ["rows left out: " + ", ".join(f"{count:,} {why}" for why, count in dropped.items() if count)]
    for note in notes:
        progress.say(note)
