"""``accord track``: a run's figures to a live tracker; ``accord run --track`` starts it as a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.place import look_here, run_folder
from accord.cli.runs import RUNS, Quiet, Runs
from accord.cli.show import Screen

__all__ = ["EXAMPLES", "track"]

EXAMPLES = {
    "track": """
      accord track brevity-1 --to tensorboard
      accord track runs/brevity-1 --to wandb --once
    """,
}


def track(  # size: a parameter is an option here
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    to: Annotated[
        str,
        typer.Option("--to", metavar="NAME", help="tensorboard, wandb, mlflow, trackio; module:Class."),
    ],
    once: Annotated[bool, typer.Option("--once", help="Send what is there; do not wait for more.")] = False,
    runs: Runs = RUNS,
    quiet: Quiet = False,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
    since: Annotated[float | None, typer.Option("--since", hidden=True)] = None,
) -> int:
    """Send a run's figures to a tracker until the run ends, from where the last time stopped.

    Figures, decisions and the plan are sent; prompts, answers and the names of people are not. Where to is
    the tracker's own affair: its environment variables and logins hold.
    """
    from accord.stores.foreign import trackers

    folder = run_folder(which, runs)
    if ":" in to:
        look_here()
    trackers.check([to])
    if parent is not None:
        os.nice(10)  # training comes first
    watch = trackers.Watch(once=once, parent=parent, since=float("-inf") if since is None else since)
    screen = Screen(json=False, quiet=quiet)
    with screen.working() as progress:
        ending = trackers.follow(folder, to, trackers.tracker(to), progress.say, watch)
    screen.give(None, [f"{folder}: {to} has everything; {ending or 'the run goes on'}"])
    return Exit.DONE
