"""Runs: the stages of a plan in order, each in its folder, from the first prompt to the report.

``runs/<id>/<stage>/`` is the truth of a stage; the store is an index over it. A stage that wrote its Entry is
finished and never runs again; any other goes on from its newest checkpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from accord import catalog
from accord.errors import Refused, Unreadable, beneath
from accord.permitted import permitted, still_permitted
from accord.plan import Plan, Stage, read_plan
from accord.progress import Progress, Silent
from accord.records import JSON, Decision
from accord.stage import Acceptance, Place, check_base, check_stage, finished, run_stage
from accord.stores.files import make_folder, write_aside
from accord.stores.foreign import trackers
from accord.stores.gates import KEPT, add_ruling

if TYPE_CHECKING:
    from accord.stores.sql import SqlStore

__all__ = ["Outcome", "resume", "run", "settled"]

_FILE = re.compile(r"^(?P<file>.+\.(?:py|parquet|db|sqlite3?|jsonl?(?:\.gz)?))(?P<part>:\w+)?$")


class Outcome(NamedTuple):
    """How a run ended, and where everything about it lies."""

    run: str
    folder: Path
    action: Literal["done", "pause", "halt"]
    decision: Decision | None
    report: Path | None
    stages: list[str]
    headline: str


def run(  # size: what a run may be given, each with a default
    plan: Plan,
    *,
    runs: Path = Path("runs"),
    name: str | None = None,
    progress: Progress | None = None,
    store: str | None = None,
    beside: Path | None = None,
    track: Sequence[str] = (),
    gates: Path = Path("gates"),
) -> Outcome:
    """Run a plan from its start. ``store``: a URL, ``"none"``, or None for ``runs/accord.db``.

    Files that the plan names are looked up ``beside`` it (the folder of the plan file) and in the current
    folder. PlanError before anything is written when the plan cannot run; Refused when the name is taken.
    ``track`` names trackers, each followed by a process of its own. ``gates``: where the evidence gate keeps
    what it decided; a plan that needs it and was not passed is refused.
    """
    trackers.check(track)
    plan = settled(plan, [*([beside] if beside else []), Path.cwd()])
    catalog.check(plan)
    ruling = permitted(plan, gates, progress or Silent())
    foretold: list[str] = []
    for index, stage in enumerate(plan.stage):
        check_base(plan, stage)
        with beneath(f"stage[{index}]"):
            foretold += check_stage(plan, stage)
    folder = _new_folder(runs, plan.name, name)
    index = f"sqlite:///{(runs / 'accord.db').resolve()}" if store is None else store
    write_aside(folder / "plan.toml", plan.toml())
    if ruling is not None:
        add_ruling(folder / KEPT, ruling)
    # Last: a folder with it is a run that can be gone on with.
    write_aside(folder / "run.json", json.dumps({"store": index, "plan": plan.hash}, indent=1))
    _ = trackers.start(folder, track, progress.say if progress else None)
    progress = progress or Silent()
    for line in foretold:
        progress.say(line)
    return _go(folder, plan, progress, None, False)


def resume(  # size: what a resume may be given, each with a default
    folder: Path,
    *,
    progress: Progress | None = None,
    accept: str | None = None,
    by: str = "",
    reason: str = "",
    allow_drift: bool = False,
    track: Sequence[str] = (),
) -> Outcome:
    """Go on with a run that was killed, interrupted or paused; a finished one only gets its report again."""
    if not (folder / "plan.toml").is_file() or not (folder / "run.json").is_file():
        here = (
            sorted(p.parent.name for p in folder.parent.glob("*/run.json")) if folder.parent.is_dir() else []
        )
        raise Refused(f"{folder} holds no run\n  runs in {folder.parent}: {', '.join(here) or 'none'}")
    plan = read_plan(folder / "plan.toml")
    _trained_here(folder, plan)
    if accept and not (by.strip() and reason.strip()):
        raise Refused("a Pause ends by a person's decision: --accept needs --by NAME and --reason TEXT")
    if not all(finished(folder / stage.name) for stage in plan.stage):
        still_permitted(folder, plan, progress or Silent())
    acceptance = Acceptance(accept, by, reason) if accept else None
    _ = trackers.start(folder, track, progress.say if progress else None)
    return _go(folder, plan, progress or Silent(), acceptance, allow_drift)


def settled(plan: Plan, folders: Sequence[Path]) -> Plan:
    """The plan with every file and folder it names as an absolute path, so that it means the same anywhere.

    A folder is known by a slash in its name; only the plan's own model may be one without.
    """

    def settle(value: JSON) -> JSON:
        if isinstance(value, str):
            found = _FILE.match(value)
            for folder in folders if found else ():
                assert found is not None
                file = folder / found["file"]
                if file.is_file():
                    return f"{file.resolve()}{found['part'] or ''}"
            for folder in folders if "/" in value else ():
                if (folder / value).is_dir():
                    return str((folder / value).resolve())
            return value
        if isinstance(value, Mapping):
            return {key: settle(inner) for key, inner in value.items()}
        if isinstance(value, Sequence):
            return [settle(inner) for inner in value]
        return value

    table = cast("dict[str, JSON]", settle(plan.table()))
    for folder in folders:
        if (folder / plan.model).is_dir():
            table["model"] = str((folder / plan.model).resolve())
            break
    return Plan.model_validate(table)


def _trained_here(folder: Path, plan: Plan) -> None:
    """Refused where the folder tells of what another tool trains: there is nothing here to go on with."""
    sources = {stage.source.name for stage in plan.stage}
    if "imported" in sources:
        raise Refused(
            f"{folder} is the imported log of another tool; what it tells of was not trained here\n"
            "  go on with that tool, then import its log again: accord import logs LOG\n"
            f"  what was imported: accord report {folder}"
        )
    if "host" in sources:
        raise Refused(
            f"{folder} is what Accord saw of a run that another trainer makes; it only watches that run\n"
            "  go on with that trainer, from its checkpoint: trainer.train(resume_from_checkpoint=True)\n"
            '  a Pause is accepted there too: GuardCallback(..., accept=("ID", "NAME", "REASON"))\n'
            f"  what was seen: accord report {folder}"
        )


def _new_folder(runs: Path, title: str, name: str | None) -> Path:
    """A folder of its own for this run, made by the call, so that two runs at once never share one."""
    make_folder(runs)
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise Refused(f"--name {name!r}: up to 100 letters, digits, dots, - and _, for it names a folder")
        folder = runs / name
        if (folder / "run.json").exists():
            raise Refused(
                f"the run {folder} exists\n  go on with it: accord resume {folder}\n  or take another --name"
            )
        make_folder(folder)
        return folder
    number = 1
    while True:
        try:
            (runs / f"{title}-{number}").mkdir()
            return runs / f"{title}-{number}"
        except FileExistsError:
            number += 1


def _go(
    folder: Path, plan: Plan, progress: Progress, acceptance: Acceptance | None, allow_drift: bool
) -> Outcome:
    about = _about(folder)
    decision: Decision | None = None
    done: list[str] = []
    model = plan.model
    with _index(about["store"]) as store:
        for stage in plan.stage:
            here = folder / stage.name
            if not finished(here):
                place = Place(here, plan, stage, _start(stage, model, folder), progress, store)
                try:
                    decision = run_stage(place, acceptance, allow_drift)
                finally:
                    progress.end()
                acceptance = None
            if store is not None:  # a finished stage too: a kill may have come before it was indexed
                _indexed(here, store)
            if decision is not None:
                break
            done.append(stage.name)
            model = str(here / "model")
    if acceptance is not None:
        raise Refused(f"{folder} has finished; nothing waits to be accepted")
    return _outcome(folder, decision, done)


def _outcome(folder: Path, decision: Decision | None, done: list[str]) -> Outcome:
    from accord.reports import headline, write_report

    action: Literal["done", "pause", "halt"] = "done"
    if decision is not None:
        action = "halt" if decision.action == "halt" else "pause"
    report = write_report(folder)
    return Outcome(folder.name, folder, action, decision, report, done, headline(folder))


def _start(stage: Stage, before: str, folder: Path) -> str:
    if stage.model is None:
        return before
    head, _, name = stage.model.partition(":")
    return str(folder / name / "model") if head == "stage" else stage.model


def _about(folder: Path) -> dict[str, str]:
    try:
        return cast("dict[str, str]", json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise Unreadable(folder / "run.json", "the JSON that accord run wrote", str(error)) from error


@contextmanager
def _index(url: str) -> Generator[SqlStore | None]:
    if url == "none":
        yield None
        return
    from accord.stores.sql import SqlStore

    with SqlStore(url) as store:
        yield store


def _indexed(folder: Path, store: SqlStore) -> None:
    from accord.stores.index import import_run

    import_run(folder, store)
