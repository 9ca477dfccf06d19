"""Names into trackers, and a process of its own for each."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from accord.errors import PlanError, nearest
from accord.stores.files import disk
from accord.stores.foreign.trackers.follow import file_name
from accord.stores.foreign.trackers.rows import Tracker, package

__all__ = ["TRACKERS", "check", "start", "tracker"]

# Name → the package it needs, and its class.
TRACKERS = {
    "mlflow": ("mlflow", "accord.stores.foreign.trackers.mlflow:MLflow"),
    "tensorboard": ("tensorboard", "accord.stores.foreign.trackers.tensorboard:TensorBoard"),
    "trackio": ("trackio", "accord.stores.foreign.trackers.trackio:Trackio"),
    "wandb": ("wandb", "accord.stores.foreign.trackers.wandb:Wandb"),
}


def check(names: Sequence[str]) -> None:
    """PlanError where there is no such tracker, Refused where its package is not installed."""
    for name in names:
        if name in TRACKERS and importlib.util.find_spec(TRACKERS[name][0]) is None:
            package(TRACKERS[name][0])
        elif name not in TRACKERS:
            _class(name)


def tracker(name: str) -> Tracker:
    """The tracker of this name, or ``module:Class``, whose class takes no arguments."""
    return _class(name)()


def start(
    run: Path, names: Sequence[str], tell: Callable[[str], None] | None = None
) -> list[subprocess.Popen[bytes]]:
    """Follow ``run`` in processes of their own, which outlive this one until the last line is sent.

    Each has a session of its own, so that Ctrl-C on training does not reach it, and writes what it has to
    say to ``track-NAME.log`` in the run's folder, which ``tell`` hears of.
    """
    check(names)
    started: list[subprocess.Popen[bytes]] = []
    for name in dict.fromkeys(names):
        # -P: a folder named wandb beside the plan is not the package.
        command = [sys.executable, "-P", "-m", "accord", "track", str(run.resolve()), "--to", name]
        command += ["--parent", str(os.getpid()), "--since", repr(time.time())]
        path = run / f"track-{file_name(name)}.log"
        with disk(path), path.open("ab") as log:
            started.append(
                subprocess.Popen(  # noqa: S603 - this interpreter and this package
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )
        if tell:
            tell(f"{name} follows this run; what it has to say: {path}")
    return started


def _class(name: str) -> type[Tracker]:
    target = TRACKERS[name][1] if name in TRACKERS else name
    module, colon, attribute = target.partition(":")
    allowed = f"{', '.join(sorted(TRACKERS))}; or module:Class"
    if not colon:
        raise PlanError("track", name, allowed, nearest(name, TRACKERS))
    try:
        return cast("type[Tracker]", getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError, ValueError) as error:
        raise PlanError("track", name, allowed, str(error)) from error
