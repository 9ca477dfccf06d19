"""Studies: experiments named after their questions; each runs its arms and says what they came to.

- ``without_rlhf.py``: can alignment without negative pressure reach the same target? The example to follow:
  a Part whose settings are the TOML of its name beside it, and one method, ``cells``.
- ``arms.py``: one arm under one seed is one folder; ``grounds.py``: what arms share; ``measures.py``: what a
  model does there; ``outcome.py``: paired intervals and the bar; ``findings.py``: the table and what it says.

To add a study: its file, its TOML, its line in ``accord.catalog``. Not here: what is tested rather than
asked (``tests/planted``), and charts (``accord.reports.points``).
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from accord import catalog
from accord.errors import PlanError, nearest
from accord.progress import Progress, Silent
from accord.records import JSON
from accord.stores.files import make_folder, write_aside
from accord.studies.arms import Measured
from accord.studies.findings import Findings, found
from accord.studies.outcome import Bar

__all__ = ["Setting", "Study", "carry_out", "read_study", "studies"]


class Setting(NamedTuple):
    """What a person may say of a study. ``folder``: where its cells lie, once it is known."""

    folder: Path
    seeds: int
    arms: tuple[str, ...]
    model: str | None = None
    quick: bool = False
    progress: Progress = Silent()
    clock: Callable[[], float] = time.monotonic


class Study(Protocol):
    """A frozen Part: its settings are its TOML, ``config`` their hash. Only ``cells`` does anything."""

    @property
    def question(self) -> str: ...

    @property
    def shows(self) -> Sequence[str]:
        """What tiny models cannot show here, and what else a reader must know."""
        ...

    @property
    def config(self) -> str: ...

    @property
    def arms(self) -> tuple[str, ...]: ...

    @property
    def hasty(self) -> tuple[str, ...]:
        """The arms of ``--quick``."""
        ...

    def bar(self, model: str | None) -> Bar: ...

    def cells(self, at: Setting) -> Iterator[Measured]:
        """Every arm under every seed, each done or found done. ``arms.measured`` does the keeping."""
        ...


def studies() -> dict[str, str]:
    """The questions of all studies, by the names a person types."""
    return {name.replace("_", "-"): read_study(name).question for name in catalog.STUDIES}


def read_study(name: str) -> Study:
    """The study of this name with the settings that ship. PlanError where there is none."""
    known = name.replace("-", "_")
    if known not in catalog.STUDIES:
        names = [one.replace("_", "-") for one in catalog.STUDIES]
        raise PlanError("NAME", name, ", ".join(names), nearest(name, names))
    settings = cast("Mapping[str, JSON]", tomllib.loads(_toml(known)))
    return cast(Study, catalog.build("studies", {"name": known, **settings}))


def _toml(name: str) -> str:
    """What a study was settled on."""
    file = resources.files("accord.studies").joinpath(f"{name.replace('-', '_')}.toml")
    return file.read_text(encoding="utf-8")


def carry_out(  # size: what a person may say of a study, each with a default
    name: str,
    *,
    runs: Path = Path("runs"),
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    model: str | None = None,
    quick: bool = False,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Findings:
    """Run a study, or go on with it, and write what it came to beside its cells.

    Cells lie in ``runs/study-NAME/<version>/``: the version is the hash of the study's settings and of the
    base, so a changed bar begins anew. With ``quick`` there is no verdict.
    """
    study, show = read_study(name), progress or Silent()
    bar = study.bar(model)
    wanted = tuple(arms) if arms else study.hasty if quick else study.arms
    for one in wanted:
        if one not in study.arms:
            raise PlanError("--arms", one, ", ".join(study.arms), nearest(one, study.arms))
    version = "-".join(
        [study.config[:12], *(["quick"] if quick else []), *([_plain(model)] if model else [])]
    )
    folder = runs / f"study-{name.replace('_', '-')}" / version
    count = seeds if seeds is not None else 1 if quick else bar.seeds
    at = Setting(folder, count, tuple(dict.fromkeys(wanted)), model, quick, show, clock)
    void = _begun(folder, _toml(name))
    cells = list(study.cells(at))
    return found(study, at.folder, cells, None if quick else bar, void)


def _begun(folder: Path, text: str) -> str:
    """Keep the settings beside the runs before the first of them; why the runs are void, where others stand
    there."""
    file = folder / "study.toml"
    make_folder(folder)
    if not file.is_file():
        write_aside(file, text)
    if tomllib.loads(file.read_text(encoding="utf-8")) == tomllib.loads(text):
        return ""
    return f"{file} is not what these runs were settled on"


def _plain(model: str) -> str:
    return "".join(one if one.isalnum() or one in "-_." else "-" for one in model).strip("-.")[-60:]
