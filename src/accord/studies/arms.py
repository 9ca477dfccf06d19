"""Arms: one arm under one seed is one folder, which a study that was broken off finds again.

``<study>/<version>/<arm>-<seed>/``: a run like any other where the arm trains (``accord report`` shows
it), and ``measured.json``, written once the cell was measured. A cell with that file is done: also one
that crashed, was stopped by its guard, is not possible on this base, found no solution, or is void, since
a truth was read in it that nobody declared. Whoever removes the folder has it done again. A figure that is
no number is a crash: it would be a word on reading it again.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

import numpy as np

from accord.errors import ContractError, Refused, Unreadable, nearest
from accord.pipeline import resume, run
from accord.plan import Plan
from accord.problems import problem
from accord.progress import Progress
from accord.records import JSON, Decision, StepEvent, finite
from accord.stage import finished
from accord.stores.files import make_folder, write_aside
from accord.stores.runlog import read_log
from accord.vault import Undeclared

__all__ = [
    "FILE",
    "Cell",
    "Items",
    "Measured",
    "Ran",
    "State",
    "demand_known",
    "impossible",
    "measured",
    "read_cell",
    "trained",
    "unsolved",
]

State = Literal["measured", "stopped", "crashed", "not possible here", "no solution found", "void"]

# Of each figure its tasks by name. A figure of which a seed has one value has one task.
Items = Mapping[str, Mapping[str, float]]

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
    """What a cell came to. ``items``: what has an interval; ``figures``: what it took, as a whole.

    ``base``: what it was done on, as an id that other weights do not have; "" where nothing was given. The
    arms of a seed have one base. ``seconds``: of the call that finished it.
    """

    arm: str
    seed: int
    state: State
    why: str = ""
    items: Items = {}
    figures: Mapping[str, float | None] = {}
    seconds: float = 0.0
    base: str = ""

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


def demand_known(arms: Iterable[str], known: Sequence[str]) -> None:
    """For a validator of settings: an arm that nobody knows is a problem, or it might be done as another."""
    for arm in arms:
        if arm not in known:
            raise problem(["arms"], arm, ", ".join(known), nearest(arm, known))


def measured(cell: Cell, do: Callable[[Cell], Measured], clock: Callable[[], float]) -> Measured:
    """What the cell came to: as it stands, or done now. A crash is a result, and is kept with its trace."""
    file = cell.folder / FILE
    if file.is_file():
        return read_cell(cell)
    began = clock()
    try:
        found = do(cell)
        _sound(cell, found)
    except Undeclared as error:
        found = Measured(cell.arm, cell.seed, "void", " ".join(str(error).split())[:400])
    except _CRASHES as error:
        make_folder(cell.folder)
        write_aside(cell.folder / "crash.txt", traceback.format_exc())
        found = Measured(cell.arm, cell.seed, "crashed", f"{type(error).__name__}: {error}"[:400])
    if not found.seconds:
        found = found._replace(seconds=clock() - began)
    make_folder(cell.folder)
    write_aside(file, json.dumps(found.json(), ensure_ascii=False, indent=1))
    return found


def impossible(cell: Cell, why: str) -> Measured:
    """An arm that this base does not allow; never a made-up result."""
    return Measured(cell.arm, cell.seed, "not possible here", why)


def unsolved(cell: Cell, why: str) -> Measured:
    """An arm that searched and says itself that it has no solution; never the best of what failed."""
    return Measured(cell.arm, cell.seed, "no solution found", why)


def read_cell(cell: Cell) -> Measured:
    """What a cell that is done came to. Unreadable where that is not what stands there."""
    file, expected = cell.folder / FILE, f"what a study measured of {cell.arm}, seed {cell.seed}"
    try:
        found = Measured(**json.loads(file.read_text(encoding="utf-8")))
        _sound(cell, found)
    except (OSError, ValueError, TypeError, AttributeError, ContractError) as error:
        says = " ".join(str(error).split())[:200]
        raise Unreadable(file, expected, f"{says}; remove {cell.folder} to have it done again") from None
    return found


def _sound(cell: Cell, found: Measured) -> None:
    """ContractError where it is another cell's, or has a figure that is no number."""
    promise = "a cell gives its own arm and seed, and where it is measured figures that are numbers"
    if (found.arm, found.seed) != (cell.arm, cell.seed) or found.state not in get_args(State):
        raise ContractError(cell.folder.name, promise, f"{found.arm}, seed {found.seed}: {found.state}")
    rows = [*found.items.items(), ("figures", {k: v for k, v in found.figures.items() if v is not None})]
    for name, tasks in rows:
        for task, value in tasks.items():
            if isinstance(value, str) or not math.isfinite(value):
                raise ContractError(cell.folder.name, promise, f"{name} of {task}: {value}")
    if found.state == "measured" and not any(found.items.values()):
        raise ContractError(cell.folder.name, promise, "no figure")


def trained(cell: Cell, plan: Plan, progress: Progress) -> Ran:
    """The run of a cell, begun or gone on with. Refused where another plan stands in its folder."""
    folder, stage = cell.folder, cell.folder / plan.stage[-1].name
    if (folder / "run.json").is_file():
        if _plan_of(folder / "run.json") != plan.hash:
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
    )


def _plan_of(file: Path) -> str:
    """The hash of the plan that a run is of."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["plan"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(file, "the head of a run", str(error)[:200]) from None


def _stopped(stage: Path) -> str:
    """Why the guard stopped it, where nobody let it go on."""
    if not stage.is_dir():
        return ""
    decisions = cast("list[Decision]", read_log(stage).records("decision"))
    answered = {one.accepts for one in decisions}
    waiting = [one for one in decisions if one.action != "continue" and one.id not in answered]
    return f"{waiting[0].action} at step {waiting[0].step}: {waiting[0].reason}" if waiting else ""
