"""The demonstration: one small real model, one checkable virtue, from nothing to a report.

It runs the shipped plan ``brevity``. A demonstration that was interrupted goes on; otherwise it begins anew.
"""

from __future__ import annotations

from pathlib import Path

from accord.engines.pull import installed, pull
from accord.pipeline import Outcome, resume, run
from accord.plan import Plan, read_plan, shipped_plans
from accord.progress import Progress, Silent
from accord.stage import finished

__all__ = ["demo", "shipped_plan"]


def shipped_plan(name: str) -> Plan:
    """A plan that ships with Accord, by its file name without ``.toml``."""
    return read_plan(shipped_plans()[name])


def demo(*, runs: Path = Path("runs"), fresh: bool = False, progress: Progress | None = None) -> Outcome:
    """Pull the model if it is not here, then run the plan. ``fresh``: leave an unfinished run where it is."""
    show = progress or Silent()
    plan = shipped_plan("brevity")
    if installed(plan.model) is None:
        pull(plan.model, progress=show)
    unfinished = [] if fresh else _unfinished(runs, plan)
    if unfinished:
        show.say(f"going on with {unfinished[-1]}, which was interrupted (accord demo --fresh starts over)")
        return resume(unfinished[-1], progress=show)
    return run(plan, runs=runs, progress=show)


def _unfinished(runs: Path, plan: Plan) -> list[Path]:
    """Runs of this very plan that were killed or interrupted, oldest first."""
    found = [file.parent for file in runs.glob(f"{plan.name}-*/run.json")]
    same = [
        f for f in found if (f / "plan.toml").is_file() and read_plan(f / "plan.toml").stage == plan.stage
    ]
    begun = [folder for folder in same if not all(finished(folder / stage.name) for stage in plan.stage)]
    return sorted(begun, key=lambda folder: folder.stat().st_mtime)
