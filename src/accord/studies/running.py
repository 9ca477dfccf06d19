"""Running: every arm under every seed, done or found done; several seeds at once where that is asked for.

Seed by seed, so that a study that is broken off has whole seeds. A seed that is complete is not opened. In
several processes each takes whole seeds; what they find is in the files of the cells, where one process
would have put it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from accord.errors import AccordError, Refused
from accord.progress import Silent
from accord.studies.arms import FILE, Cell, Measured, measured, read_cell
from accord.studies.port import Setting, Study

__all__ = ["run_cells", "standing"]

_LOOKS = 2.0  # seconds between looks at what other processes have done


def run_cells(study: Study, at: Setting, jobs: int = 1) -> None:
    """Do what is not done yet. ``jobs``: seeds at a time; above 1 each has a process of its own."""
    left = [seed for seed in range(at.seeds) if _left(at, seed)]
    if jobs > 1 and len(left) > 1:
        _apart(study, at, left, jobs)
        return
    for seed in left:
        _one(study, at, seed)


def standing(folder: Path, arms: Sequence[str]) -> list[Measured]:
    """Every cell of these arms that is done, whichever call did it: seed by seed, in the arms' order."""
    order = {arm: place for place, arm in enumerate(arms)}
    found: list[Measured] = []
    for file in folder.glob(f"*/{FILE}"):
        arm, _, seed = file.parent.name.rpartition("-")
        if arm in order and seed.isascii() and seed.isdigit():
            found.append(read_cell(Cell(arm, int(seed), file.parent)))
    return sorted(found, key=lambda one: (one.seed, order[one.arm]))


def _left(at: Setting, seed: int) -> list[Cell]:
    """The cells of a seed that are not done."""
    cells = [Cell(arm, seed, at.folder / f"{arm}-{seed}") for arm in at.arms]
    return [cell for cell in cells if not (cell.folder / FILE).is_file()]


def _one(study: Study, at: Setting, seed: int) -> None:
    with study.opened(at, seed) as do:
        for cell in _left(at, seed):
            at.progress.say(f"{cell.arm}, seed {cell.seed}")
            measured(cell, do, at.clock)


def _apart(study: Study, at: Setting, seeds: Sequence[int], jobs: int) -> None:
    spawned = multiprocessing.get_context("spawn")  # a fork of a process with threads may stand still
    left = [cell for seed in seeds for cell in _left(at, seed)]
    at.progress.begin("cells", len(left))
    with ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=spawned) as pool:
        quiet = at._replace(progress=Silent())
        waiting = {pool.submit(_alone, study, quiet, seed) for seed in seeds}
        try:
            while waiting:
                done, waiting = wait(waiting, _LOOKS, FIRST_COMPLETED)
                left = _told(at, left)
                _raised(done)
        except BrokenProcessPool:
            says = "a process that did seeds was ended from outside, perhaps for want of memory"
            raise AccordError(f"{says}\n  what it finished stands: repeat, with fewer --jobs") from None
        finally:
            pool.shutdown(cancel_futures=True)
    at.progress.end()


def _raised(done: Iterable[Future[AccordError | None]]) -> None:
    """Raises what a process was refused."""
    for one in done:
        if error := one.result():
            raise error


def _told(at: Setting, left: Sequence[Cell]) -> list[Cell]:
    """Tells which of these cells are done by now, which their files say; the others."""
    done = [cell for cell in left if (cell.folder / FILE).is_file()]
    for cell in done:
        at.progress.advance(note=f"{cell.arm}, seed {cell.seed}")
    return [cell for cell in left if cell not in done]


def _alone(study: Study, at: Setting, seed: int) -> AccordError | None:
    """What a person has to mend, if anything; in a form that passes between processes."""
    try:
        _one(study, at, seed)
    except Refused as error:
        return Refused(str(error))
    except AccordError as error:
        return AccordError(str(error))
    return None
