"""The port of a study: what its class must have to be run, kept, ruled on and told.

A study is a frozen Part whose settings are the TOML of its name. It says what it asks, opens what the arms of
a seed share, and does one arm; how cells are kept and gone on with (``running.py``, ``arms.py``), what their
figures come to (``outcome.py``), whether the bar is met (``bars.py``) and how it is told (``findings.py``) is
the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable

from accord.progress import Progress, Silent
from accord.studies.arms import Cell, Items, Measured
from accord.studies.bars import Bar

__all__ = ["Across", "Doing", "Form", "Further", "Protocolled", "Rows", "Setting", "Study"]

Doing = Callable[[Cell], Measured]

# The measured cells of one seed, by arm → figures that need several of them, by arm. Pure.
Across = Callable[[Mapping[str, Measured]], Mapping[str, Items]]

# The rows of a table, and tables of all cells that a study makes beside its figures, by title; the folder is
# that of the cells.
Rows = Sequence[Mapping[str, str]]
Further = Callable[[Sequence[Measured], Path], Mapping[str, Rows]]


class Setting(NamedTuple):
    """What a person may say of a study. ``folder``: where its cells lie, once it is known."""

    folder: Path
    seeds: int
    arms: tuple[str, ...]
    model: str | None = None
    quick: bool = False
    progress: Progress = Silent()
    clock: Callable[[], float] = time.monotonic


class Form(NamedTuple):
    """How a study is told. ``tables``: titles and the figures below them, where ``gold.*`` is every figure
    that begins so; what is in none of them stands in findings.json. Without tables all figures are shown.

    ``shares``: figures whose tasks are shares (``gold`` is also ``gold.x``): 0 in all of N is at most 3/N.
    ``against``: the arm that all others are set against, paired, in the figures ``paired``. ``drawn``: the
    figure of the chart. ``across``: figures of a seed that need more than one arm of it. ``further``: tables
    of their own, below the others.
    """

    tables: Mapping[str, tuple[str, ...]] = {}
    shares: frozenset[str] = frozenset()
    against: str = ""
    paired: tuple[str, ...] = ()
    drawn: str = ""
    across: Across | None = None
    further: Further | None = None


class Study(Protocol):
    """A frozen Part: ``config`` is the hash of its settings, and names the folder of its runs."""

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
        """The arms of ``--quick``, which has one seed and no verdict, and takes seconds."""
        ...

    @property
    def models(self) -> bool:
        """Whether it can be asked of a model that a person names."""
        ...

    @property
    def form(self) -> Form: ...

    def bar(self, model: str | None) -> Bar:
        """What must be shown, and with how many seeds; set before the first run."""
        ...

    def opened(self, at: Setting, seed: int) -> AbstractContextManager[Doing]:
        """What the arms of one seed share, and how each of them is done.

        Nothing that can fail is done on opening: a fault in a cell is a result, one here ends the study.
        What is drawn depends on the seed and the arm alone, so that a cell is the same alone and among
        others.
        """
        ...


@runtime_checkable
class Protocolled(Protocol):
    """Beside Study: it can be asked of a protocol that a person names, ``--protocol module:Class``."""

    def with_protocol(self, name: str) -> Self:
        """The same study of that protocol, whose name and code are among its settings. PlanError where it is
        none, or breaks a law."""
        ...
