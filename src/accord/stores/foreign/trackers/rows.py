"""What trackers speak: a Row is one line of the log in their words, and a Tracker takes Rows."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from accord.errors import Refused
from accord.records import JSON, Decision, Entry, NotMeasured, Reading, Record, StepEvent

__all__ = ["About", "Ending", "Outage", "Row", "Said", "Tracker", "package", "said"]

Ending = Literal["done", "pause", "halt", "interrupted", ""]

_PREFIX = {"update": "train"}


class Outage(Exception):
    """The tracker could not be reached, or did not take what was sent; a later attempt may succeed."""


class About(NamedTuple):
    """The run that is followed. ``key`` is random and belongs to this run and this tracker alone."""

    run: str
    project: str
    key: str
    folder: Path
    stages: tuple[str, ...]
    plan: Mapping[str, JSON]
    toml: str


class Row(NamedTuple):
    """Figures and texts of one line. ``number`` counts the rows of one tracker, without gaps, from 0."""

    number: int
    stage: str
    step: int
    wall: float
    scalars: dict[str, float]
    texts: dict[str, str]


class Tracker(Protocol):
    """Where rows go. Any method may raise Outage; Refused is for what no waiting mends: it ends the follower.

    ``begin`` opens the tracker's run for ``about.key``, the same one each time. ``send`` takes new rows.
    ``held`` is the number up to which rows are known to survive a kill of this process and of what it
    started; rows from there on are kept, and after a kill or an Outage ``missing`` says which of them the
    tracker lacks, so that none is lost and none is sent twice.
    """

    def begin(self, about: About) -> None: ...

    def send(self, rows: Sequence[Row]) -> None: ...

    def held(self, sent: int) -> int:
        """Of ``sent`` rows handed over, how many need not be kept any longer."""
        ...

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Those of ``rows``, or parts of them, that the tracker has not got."""
        ...

    def close(self, ending: Ending) -> None:
        """Everything is delivered when it returns. An empty ending: the run goes on without us."""
        ...


class Said(NamedTuple):
    """What a record says: finite figures by name, texts by name, and the names of figures not finite."""

    scalars: dict[str, float]
    texts: dict[str, str]
    skipped: tuple[str, ...] = ()


def said(stage: str, record: Record) -> Said | None:
    """A record in trackers' words; None where trackers have no use for it. Names begin with the stage.

    >>> said("amplify", StepEvent(run="r", name="update", step=3, scalars={"objective": 0.5}))
    Said(scalars={'amplify/train/objective': 0.5}, texts={}, skipped=())
    """
    match record:
        case StepEvent():
            name = f"{stage}/{_PREFIX.get(record.name, record.name)}"
            figures = {f"{name}/{key}": value for key, value in record.scalars.items()}
            return _finite(figures, {name: record.text} if record.text else {})
        case Reading():
            name = f"{stage}/guard/{record.name}"
            return _finite({name: record.value, f"{name}_low": record.low, f"{name}_high": record.high}, {})
        case NotMeasured():
            return _finite({}, {f"{stage}/guard/{record.name}": f"not measured: {record.reason}"})
        case Decision():
            # Without ``by``: who took responsibility stays in the run directory.
            text = f"{record.action}, by the rule {record.rule}: {record.reason}"
            return _finite({}, {f"{stage}/decision": text})
        case Entry():
            text = f"finished at step {record.step}, purpose {record.purpose}"
            return _finite({}, {f"{stage}/entry": text})
        case _:
            return None


def _finite(figures: Mapping[str, float], texts: dict[str, str]) -> Said:
    named = {_clean(name): float(value) for name, value in figures.items()}
    kept = {name: value for name, value in named.items() if math.isfinite(value)}
    return Said(kept, _cleaned(texts), tuple(named.keys() - kept.keys()))


def _cleaned(texts: Mapping[str, str]) -> dict[str, str]:
    return {_clean(name): _clean(text) for name, text in texts.items()}


def _clean(text: str) -> str:
    """Half a surrogate pair, legal in a record's JSON, has no UTF-8 and so no tracker that takes it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def package(name: str) -> Any:
    """A tracker's own library, imported now. Refused, with the command that installs it, where it lacks."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Refused(
            f"{error.name or name} is not installed; the tracker {name.partition('.')[0]} needs it\n"
            "  Run:  pip install 'accord[trackers]'"
        ) from error
