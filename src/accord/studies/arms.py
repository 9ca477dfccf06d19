"""Arms: one arm under one seed is one folder, which a study that was broken off finds again.

``<study>/<version>/<arm>-<seed>/``: a run like any other where the arm trains (``accord report`` shows
it), and ``measured.json``, written once the cell was measured. A cell with that file is done: also one
that crashed, was stopped by its guard, or is not possible on this base. Whoever removes the folder has it
done again.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np

from accord.errors import ContractError, Refused, Unreadable
from accord.pipeline import resume, run
from accord.plan import Plan
from accord.progress import Progress
from accord.records import JSON, Decision, Entry, StepEvent, finite
from accord.stage import finished
from accord.stores.files import make_folder, write_aside
from accord.stores.runlog import read_log

__all__ = ["Cell", "Measured", "Ran", "State", "impossible", "measured", "trained"]

State = Literal["measured", "stopped", "crashed", "not possible here"]

FILE = "measured.json"
_PRESSED = ("pushed_answers", "pushed_down", "negative_mass")
# Faults of the code or of the numbers. What a person mends (a plan, a file, a full disk) is none of these.
_CRASHES = (ContractError, ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)


class Cell(NamedTuple):
    """One arm under one seed, and its folder."""

    arm: str
    seed: int
    folder: Path


class Measured(NamedTuple):
    """What a cell came to. ``items``: of each figure the tasks by name and their values, in order."""

    arm: str
    seed: int
    state: State
    why: str = ""
    items: Mapping[str, Mapping[str, float]] = {}
    figures: Mapping[str, float | None] = {}
    seconds: float = 0.0

    @property
    def lost(self) -> bool:
        """Whether it should have had a result and has none."""
        return self.state in ("stopped", "crashed")

    def json(self) -> dict[str, JSON]:
        """All of it."""
        return cast("dict[str, JSON]", finite(self._asdict()))


class Ran(NamedTuple):
    """A run of a cell: its result, None where its guard stopped it; what its events say."""

    model: Path | None
    stopped: str
    pressure: Mapping[str, float]
    seconds: float


def measured(cell: Cell, do: Callable[[Cell], Measured], clock: Callable[[], float]) -> Measured:
    """What the cell came to: as it stands, or done now. A crash is a result, and is kept with its trace."""
    file = cell.folder / FILE
    if file.is_file():
        return _read(file)
    began = clock()
    try:
        found = do(cell)
    except _CRASHES as error:
        make_folder(cell.folder)
        write_aside(cell.folder / "crash.txt", traceback.format_exc())
        found = Measured(cell.arm, cell.seed, "crashed", f"{type(error).__name__}: {error}"[:400])
    if found.state != "measured" or not found.seconds:
        found = found._replace(seconds=clock() - began)
    make_folder(cell.folder)
    write_aside(file, json.dumps(found.json(), ensure_ascii=False, indent=1))
    return found


def impossible(cell: Cell, why: str) -> Measured:
    """An arm that this base does not allow; never a made-up result."""
    return Measured(cell.arm, cell.seed, "not possible here", why)


def trained(cell: Cell, plan: Plan, progress: Progress) -> Ran:
    """The run of a cell, begun or gone on with. Refused where another plan stands in its folder."""
    folder, stage = cell.folder, cell.folder / plan.stage[-1].name
    if (folder / "run.json").is_file():
        stands = json.loads((folder / "run.json").read_text(encoding="utf-8"))["plan"]
        if stands != plan.hash:
            raise Refused(f"{folder} is a run of another plan\n  remove it, or take another --runs")
        if not finished(stage) and not _stopped(stage):
            resume(folder, progress=progress)
    else:
        run(plan, runs=folder.parent, name=folder.name, progress=progress, store="none")
    log = read_log(stage)
    updates = [one.scalars for one in cast("list[StepEvent]", log.records("event")) if one.name == "update"]
    pressure = {key: [one[key] for one in updates if key in one] for key in _PRESSED}
    return Ran(
        stage / "model" if finished(stage) else None,
        _stopped(stage),
        {key: float(np.mean(values)) for key, values in pressure.items() if values},
        sum(one.seconds for one in cast("list[Entry]", log.records("entry"))),
    )


def _stopped(stage: Path) -> str:
    """Why the guard stopped it, where nobody let it go on."""
    if not stage.is_dir():
        return ""
    decisions = cast("list[Decision]", read_log(stage).records("decision"))
    answered = {one.accepts for one in decisions}
    waiting = [one for one in decisions if one.action != "continue" and one.id not in answered]
    return f"{waiting[0].action} at step {waiting[0].step}: {waiting[0].reason}" if waiting else ""


def _read(file: Path) -> Measured:
    try:
        return Measured(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise Unreadable(file, "what a study measured", str(error)[:200]) from None
