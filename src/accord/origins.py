"""Origins: where a model that is to be kept comes from, read from the folders of runs (layer 4).

The folders are the truth: every finished stage wrote the digests of its result beside its Entry. What is
told of a run is its plan, values, environment, data and base, what the evidence gate, release tests, audits
and its guard found, and the Records that say so. Not here: what a stewardship adds (``accord.steward.kept``),
and what is kept and signed (``accord.keep``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from accord.engines.pull import CARD, installed
from accord.errors import PlanError, Refused, Unreadable
from accord.keep.evidence import Looked, Training, audit_said, gate_said, no_gate_said, release_said
from accord.keep.intake import Incoming, Known, manifest_of, model_digest
from accord.keep.keeping import Told
from accord.keep.manifest import CHUNK, Digests, FileDigest, Manifest
from accord.keep.predicates import Named, Predicate, Pressure
from accord.permitted import bound, pushing, texts_in
from accord.plan import Plan, Stage
from accord.progress import Progress
from accord.records import (
    JSON,
    Crossing,
    Decision,
    Entry,
    ModelRef,
    NotMeasured,
    Reading,
    Record,
    Response,
    StepEvent,
    digest,
    told_record,
)
from accord.release import RULE as RELEASE
from accord.reports.whole import gather, read_run
from accord.stores.files import file_sha256
from accord.stores.gates import KEPT, Ruling, last_ruling
from accord.stores.runlog import LogView, read_log
from accord.values import Values, read_values

__all__ = [
    "Finished",
    "Places",
    "RunsOnDisk",
    "Ungated",
    "finished_runs",
    "imported",
    "last_model",
    "told",
]

_PRESSURE, _BASE = ("negative_mass", "pushed_down", "pushed_answers"), "base:"


class Finished(NamedTuple):
    """A finished stage: its run's folder, and what it wrote of its result."""

    folder: Path
    entry: Entry
    model: ModelRef


class Places(NamedTuple):
    """Where something lies: values that a person names, the base, finished audits, runs that made bases."""

    values: str | None = None
    base: Path | None = None
    audits: Path = Path("audits")
    runs: RunsOnDisk | None = None


class Ungated(Refused):
    """The model of a run that needed the evidence gate and did not pass. ``decision`` records the refusal."""

    def __init__(self, one: Finished, stages: Sequence[Stage]) -> None:
        names = " and ".join(f"{stage.name} ({stage.method.name})" for stage in stages)
        run = one.entry.run
        super().__init__(
            f"{run}: {names} pushes answers down, and the run holds no passing Decision of the evidence "
            "gate\n"
            "  see what it misses, and run the plan again once it is passed:\n"
            "    accord gate PLAN.toml --values NAME"
        )
        reason = f"refused: {names} pushed answers down without a passing Decision of the evidence gate"
        self.decision = Decision(
            run=run, step=one.entry.step, action="halt", rule="keep", reason=reason, parents=(one.entry.id,)
        )


class RunsOnDisk:
    """Who made it: the finished stages below folders of runs, by what their results hold. Satisfies ``Runs``.

    They are read once, at the first question.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._found: dict[str, list[Finished]] | None = None

    def __call__(self, digest: str, /) -> list[Known]:
        return [_known(one) for one in self.of(digest)]

    def of(self, digest: str) -> list[Finished]:
        """The finished stages whose result has this digest, or holds a file that has it."""
        if self._found is None:
            self._found = {}
            for one in (one for folder in self._folders for one in finished_runs(folder)):
                for key in dict.fromkeys((one.model.digest, *one.model.files.values())):
                    self._found.setdefault(key, []).append(one)
        return self._found.get(digest, [])


def finished_runs(runs: Path) -> Iterator[Finished]:
    """Every finished stage of the run that ``runs`` is, or of every run below it, however deep."""
    if (runs / "run.json").is_file():
        for stage in sorted(path.parent for path in runs.glob("*/models")):
            yield from _finished(runs, read_log(stage))
    elif runs.is_dir():
        for folder in sorted(path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()):
            yield from finished_runs(folder)


def last_model(run: Path, stage: str = "") -> Path:
    """The result of a run: of the stage of that name, else of its last one. Refused where it has none."""
    plan, _ = read_run(run)
    names = [one.name for one in plan.stage]
    if stage and stage not in names:
        raise PlanError("--stage", stage, ", ".join(names))
    wanted = stage or names[-1]
    model = run / wanted / "model"
    if not model.is_dir():
        raise Refused(f"{run}: the stage {wanted} has no result yet\n  go on with it: accord resume {run}")
    return model


def imported(name: str, incoming: Incoming, audits: Path) -> Told:
    """What is known of a model that no known run made: what an audit found out about it, if one did."""
    said, records = _audits(incoming, audits, "unknown")
    return Told(name, said=said, records=records)


def told(known: Finished, incoming: Incoming, places: Places, progress: Progress) -> Told:
    """What a run tells of its result. Ungated where it needed the evidence gate and has none that passed;
    Refused where its base is not there any more."""
    plan, _ = read_run(known.folder)
    passed, pushed = _gate(known, plan)
    if pushed and passed is None:
        raise Ungated(known, pushed)
    notes = [] if pushed else ["no gate was needed: no stage of this run pushes answers down"]
    view = read_log(known.folder / known.entry.stage)
    answered = {one.policy for one in cast("list[Response]", view.records("response"))}
    then = {passed.permit.policy} if passed is not None else answered
    family, named = _base(plan, places, then, progress)
    family = _first(family, places, progress)
    values = _values(known.folder, plan, places.values, passed)
    environment = (known.folder / known.entry.stage / "environment.json").read_bytes()
    beside = {"plan.toml": (known.folder / "plan.toml").read_bytes(), "environment.json": environment}
    if values is not None:
        beside["values.toml"] = Path(values.file).read_bytes()
    said, records = _found_out(known, plan, view, (passed, named))
    more, also = _audits(incoming, places.audits, "known")
    return Told(
        name=f"{known.folder.resolve().name}/{known.entry.stage}",
        run=known.entry.run,
        base=named,
        family=family,
        plan=plan.hash,
        values=values.digest if values is not None else None,
        environment=digest(cast(JSON, json.loads(environment))),
        data=tuple(_data(plan, _upto(known, plan), notes)),
        beside=beside,
        said=(*said, *more),
        records=tuple({one.id: one for one in (*records, *also)}.values()),
        notes=tuple(notes),
    )


def _known(one: Finished) -> Known:
    entry = one.entry
    lacks = gather(one.folder).needs if entry.purpose == "explore" else ()
    of = (one.folder.resolve().name, entry.stage, entry.step, entry.id, entry.purpose, entry.gated)
    made = frozenset(sha256 for file, sha256 in one.model.files.items() if file.endswith(".safetensors"))
    return Known(*of, lacks, entry.pushes, made)


def _finished(folder: Path, view: LogView) -> Iterator[Finished]:
    models = {one.id: one for one in cast("list[ModelRef]", view.records("model"))}
    for entry in cast("list[Entry]", view.records("entry")):
        if entry.model in models:
            yield Finished(folder, entry, models[entry.model])


def _base(plan: Plan, places: Places, then: set[str], progress: Progress) -> tuple[Manifest, Named]:
    """The files of the plan's base as they are now. Refused where they are not there, or where the models
    that answered ``then`` do not have it among them."""
    folder = places.base or (Path(plan.model) if Path(plan.model).is_dir() else installed(plan.model))
    if folder is None or not folder.is_dir():
        raise Refused(
            f"{plan.model}: the base of this run is not there, and its family is named after it\n"
            "  say where it lies: --base DIR"
        )
    try:
        found = manifest_of(folder, progress)
    except Unreadable:  # it could not be kept itself, say for pickles beside its weights; its digests can
        found = _hashed(folder)
    policy, before = _policy(found), {one for one in then if one.startswith(_BASE)}
    if before and policy not in before:
        raise Refused(
            f"{folder}: is not the base that this run began with ({policy} now; "
            f"{', '.join(sorted(before))} then)\n  say where that one lies: --base DIR"
        )
    name = folder.name if Path(plan.model).is_dir() else plan.model
    return found, Named(name=name, digest=model_digest(found))


def _gate(known: Finished, plan: Plan) -> tuple[Ruling | None, list[Stage]]:
    """The passing Decision that a run began under, and which of the stages up to this one push."""
    ruling = last_ruling(known.folder / KEPT, plan.hash)
    passed = ruling if ruling is not None and ruling.passed else None
    return passed, [one for one in pushing(plan) if one.name in _upto(known, plan)]


def _upto(known: Finished, plan: Plan) -> list[str]:
    """The stages by name, up to the one that made the model."""
    names = [one.name for one in plan.stage]
    return names[: names.index(known.entry.stage) + 1]


def _first(base: Manifest, places: Places, progress: Progress) -> Manifest:
    """The base that this one descends from itself, where a known run made it; else this one. Ungated where
    only runs made it that pushed without the gate: what they made is not kept under a later name either."""
    known = places.runs.of(model_digest(base)) if places.runs is not None else []
    gates = [(one, *_gate(one, read_run(one.folder)[0])) for one in known]
    refused = [Ungated(one, pushed) for one, passed, pushed in gates if pushed and passed is None]
    if refused and len(refused) == len(known):
        raise refused[0]
    for one in known:
        plan, _ = read_run(one.folder)
        if Path(plan.model).is_dir() or installed(plan.model):
            before, _ = _base(plan, Places(), set(), progress)
            return base if before == base else _first(before, places, progress)
    return base


def _hashed(folder: Path) -> Manifest:
    """Every file that is not hidden, links followed."""
    found: list[FileDigest] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "/." not in f"/{name}":
            both = Digests()
            with path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    both.update(chunk)
            found.append(both.of(name))
    return Manifest(tuple(found))


def _policy(model: Manifest) -> str:
    """What the local engine calls the model of these files, where it is only read."""
    names = [one for one in model.files if one.name.rpartition("/")[2] != CARD]
    own = {one.name: one.sha256 for one in names if "/." not in f"/{one.name}"}
    return f"{_BASE}{digest(cast(JSON, own))[:16]}"


def _values(folder: Path, plan: Plan, given: str | None, passed: Ruling | None) -> Values | None:
    """The values that the run aligned to: those a person names, those in its folder, those of its gate.

    Refused where they are not those that the gate passed it with.
    """
    asked, own = passed.permit.values if passed is not None else "", folder / "values.toml"
    document = given or (str(own) if own.is_file() else passed.permit.document if passed and asked else "")
    if not document:
        return None
    if given is not None or Path(document).is_file():
        values = read_values(document)
        if not asked or bound(plan, values, "", {}).values == asked:
            return values
    raise Refused(
        f"{document}: the values that the gate passed this run with are not there, or are others by now\n"
        "  name them as they were then: --values FILE"
    )


def _found_out(
    known: Finished, plan: Plan, view: LogView, given: tuple[Ruling | None, Named]
) -> tuple[list[Predicate], list[Record]]:
    """What gate, release tests and guard said of it; and the Records of that."""
    passed, base = given
    said: list[Predicate] = []
    records: list[Record] = [known.entry, known.model]
    if passed is not None:
        permit = passed.permit
        evidence = [permit.id, *(one for asked in permit.requirements for one in asked.evidence)]
        said.append(gate_said(passed.decision, passed.signed, evidence))
        records += [passed.decision, permit, *passed.signed]
    else:
        said.append(no_gate_said(known.entry))
    for decision in cast("list[Decision]", view.records("decision")):
        if decision.rule == RELEASE and decision.id in known.entry.parents:
            said.append(release_said(decision))
            records += [decision, *(one for one in view.records("reading") if one.id in decision.parents)]
    # Pauses and halts, and who let the run go on.
    people = [
        one for one in cast("list[Decision]", view.records("decision")) if one.by or one.action != "continue"
    ]
    records += people
    looks = [
        one
        for kind in ("reading", "not_measured")
        for one in cast("list[Reading | NotMeasured]", view.records(kind))
        if not one.name.startswith(("release.", "held_out.", "versus."))
    ]
    last = max((one.step for one in looks), default=None)
    if last is not None:
        found = [one for one in looks if one.step == last]
        crossings = cast("list[Crossing]", view.records("crossing"))
        pressure = tuple(_pressure(known, view))
        looked = Looked(f"guard, after update {last}", base, found, plan.delta, pressure, crossings)
        said.append(audit_said(looked, "known"))
        records += [*found, *crossings]
    return said, records


def _pressure(known: Finished, view: LogView) -> Iterator[Pressure]:
    """The mean of each figure over the updates of the stage, which its Entry names."""
    updates = [one for one in cast("list[StepEvent]", view.records("event")) if one.name == "update"]
    others = dict.fromkeys(name for one in updates for name in one.scalars if name.startswith("pressure/"))
    for name in (*_PRESSURE, *others):
        values = [x for one in updates if (x := one.scalars.get(name)) is not None and math.isfinite(x)]
        if values:
            yield Pressure(
                stage=known.entry.stage,
                name=f"{name.removeprefix('pressure/')}, mean of {len(values):,} updates",
                value=math.fsum(values) / len(values),
                record=known.entry.id,
            )


def _audits(
    incoming: Incoming, audits: Path, training: Training
) -> tuple[tuple[Predicate, ...], tuple[Record, ...]]:
    """Finished audits of exactly these files."""
    said: list[Predicate] = []
    records: list[Record] = []
    policy = _policy(incoming.manifest)
    for file in sorted(audits.glob("*/audit.json")):
        try:
            tree = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
            models = [model for model, one in tree["policies"].items() if one == policy]
            for model in models[:1]:
                found = [cast("Reading | NotMeasured", told_record(one)) for one in tree["models"][model]]
                # The base of an audit is known by a short digest, which is too short to be signed.
                said.append(audit_said(Looked(f"accord audit, {tree['depth']}", None, found), training))
                records += found
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise Unreadable(file, "an audit that accord audit wrote", str(error)[:200]) from None
    return tuple(said), tuple(records)


def _data(plan: Plan, upto: Sequence[str], notes: list[str]) -> Iterator[Named]:
    """The files that the stages learnt from, as they are now; one that is gone is a note."""
    seen: set[str] = set()
    for stage in plan.stage:
        texts = texts_in(stage.source.table()) if stage.name in upto else ()
        for text in texts:
            file = Path(text if Path(text).is_file() else text.rpartition(":")[0])
            if not file.is_absolute() or str(file) in seen:
                continue
            seen.add(str(file))
            if file.is_file():
                yield Named(name=file.name, digest=file_sha256(file))
            else:
                notes.append(f"{file.name}: the run learnt from it, and it is not there any more")
