"""The demonstration: one small real model on the path of a steward, from nothing to a report.

The values are ``brevity``, which ship: the model holds one of them, keeps one now and then, and hardly ever
does what the third asks. A demonstration that was interrupted goes on; otherwise it begins anew. What it
comes to is kept under a key that says of all it signs that it is a demonstration.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from accord.engines.pull import installed, pull
from accord.keep.archive import Archive
from accord.keep.keys import Signer, load_key, make_key, public_key
from accord.keep.roles import Role, Roles, enrol
from accord.plan import PartTable, Plan, read_plan, shipped_plans
from accord.progress import Progress, Silent
from accord.steward.effort import Effort
from accord.steward.path import Walk
from accord.steward.variants import Terms
from accord.stores.chronicle import Chronicle, is_stewardship

__all__ = ["EFFORT", "MODEL", "NAME", "begun", "shipped_plan", "signer"]

MODEL, NAME = "smollm2-135m-instruct", "demo"
EFFORT = Effort(samples=16, told=1, windows=2, variants=1, items=12, max_tokens=64)


def shipped_plan(name: str) -> Plan:
    """A plan that ships with Accord, by its file name without ``.toml``."""
    return read_plan(shipped_plans()[name])


def begun(*, runs: Path = Path("runs"), fresh: bool = False, progress: Progress | None = None) -> Walk:
    """The demonstration that was interrupted, or a new one; the model is pulled if it is not here.

    ``fresh``: an unfinished one is left where it is.
    """
    show = progress or Silent()
    if installed(MODEL) is None:
        pull(MODEL, progress=show)
    made = [folder for folder in runs.glob(f"{NAME}-*") if is_stewardship(folder)]
    open_ = [] if fresh else [folder for folder in made if not _ended(Chronicle.read(folder))]
    if open_:
        last = max(open_, key=lambda folder: folder.stat().st_mtime)
        show.say(f"going on with {last}, which was interrupted (accord demo --fresh starts over)")
        return Walk.resumed(last)
    learner = PartTable.model_validate({"name": "local", "adapter": "lora", "rank": 16, "lr": 3e-4})
    guard = {"items": 16, "probes": 8, "answers": 2}
    return Walk.begin(
        MODEL,
        "brevity",
        runs=runs,
        name=_free(runs),
        effort=EFFORT,
        terms=Terms(purpose="model", learner=learner, guard=guard),
        portraits=runs / "portraits",
    )


def signer(archive: Path) -> Signer:
    """The demonstration's key, and the archive that knows it; both are made where they are not there."""
    file = archive.with_name(f"{NAME}.key")
    public = file.with_name(f"{file.name}.pem")
    pair = public_key(public) if file.exists() else make_key(file, public, None)
    if not (archive / "root").is_dir():
        Archive.make(archive, time.time)
    now = datetime.now(UTC)
    if Roles.read(archive / "keys").at(pair.id, now) is None:
        enrol(archive / "keys", pair, Role(pair.id, "Demonstration", "demonstration", now.date(), None))
    return load_key(file, None)


def _ended(found: Chronicle) -> bool:
    """Whether every question is answered, or the guard halted a step."""
    halted = any(isinstance(step, dict) and step.get("halted") for step in found.steps.values())
    return halted or found.of("gate") is not None


def _free(runs: Path) -> str:
    number = 1
    while (runs / f"{NAME}-{number}").exists():
        number += 1
    return f"{NAME}-{number}"
