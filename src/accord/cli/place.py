"""Where a command works: the run folder that an interrupt or a fault names, the plan it is given, and where
module:function is looked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from accord.errors import Unreadable, nearest

if TYPE_CHECKING:
    from accord.plan import Plan

__all__ = ["Place", "look_here", "run_folder", "written_plan"]


@dataclass
class Place:
    """One per command; a command that makes a run says where before it starts."""

    run: Path | None = None
    _runs: Path | None = None
    _before: frozenset[str] = field(default_factory=frozenset[str])

    def begins_in(self, runs: Path, name: str | None = None) -> None:
        """A run is about to be made under ``runs``, or gone on with, as ``name`` where one was chosen."""
        self.run = runs / name if name else None
        self._runs, self._before = runs, frozenset(_folders(runs))

    def folder(self) -> Path | None:
        """The folder of this command's run, as far as it exists."""
        if self.run or not self._runs:
            return self.run if self.run and self.run.is_dir() else None
        new = [self._runs / name for name in _folders(self._runs) if name not in self._before]
        return max(new, key=lambda folder: folder.stat().st_mtime, default=None)


def look_here() -> None:
    """``module:function`` may lie in this folder; what is installed comes first."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def run_folder(run: Path, runs: Path) -> Path:
    """The folder that ``run`` names: a path, or a run under ``runs``. Unreadable where there is none."""
    places = (run, runs / run)
    # A folder here that only bears the run's name does not hide the run.
    for folder in (*(p for p in places if (p / "run.json").is_file()), *(p for p in places if p.is_dir())):
        return folder
    known = _folders(runs)
    advice = nearest(str(run), known) or (f"runs here: {', '.join(sorted(known)[-5:])}" if known else "")
    raise Unreadable(run, f"a run's folder, or the name of one in {runs}", advice)


def _folders(runs: Path) -> list[str]:
    return [path.name for path in runs.iterdir() if path.is_dir()] if runs.is_dir() else []


def written_plan(file: Path) -> tuple[Plan, list[str]]:
    """The plan in a file; where there is none, the one of that name that ships with Accord; what to say."""
    from accord.plan import read_plan, shipped_plans

    shipped = shipped_plans()
    if not file.exists() and file.name == str(file) and file.stem in shipped:
        return read_plan(shipped[file.stem]), [f"no {file} here: the one that ships with Accord is run"]
    return read_plan(file), []
