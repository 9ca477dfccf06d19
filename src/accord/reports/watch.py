"""Watch: a stage at work → what a person looking at it sees. Pure; ``following.py`` reads, ``cli`` draws.

Everything here is a plain dataclass, so ``accord watch --once --json`` prints it as it is. Texts are those of
the run, unescaped: whoever shows them makes them visible first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from shlex import quote
from statistics import median
from typing import NamedTuple, cast

from accord.records import JSON, StepEvent
from accord.reports.document import Decided, Guarded, Measured, Paging, State, Status, plain
from accord.reports.following import Beside, Seen
from accord.reports.logs import StageLog
from accord.reports.transcripts import told_prompt
from accord.reports.watched import guard_of
from accord.reports.whole import STATEMENT
from accord.reports.words import signed
from accord.stores.runlog import LogLine

__all__ = ["Guarding", "Indicated", "Pace", "Spoken", "Tiered", "Watched", "guarding", "watched"]

_RECENT = 10  # windows, and updates, that times and pressure are taken over
_SHOWN = 8  # decisions
# Figures of updates that say what was pushed against, and what they are called.
_PRESSURE = {
    "pushed_down": "tokens pushed down",
    "pushed_answers": "answers pushed down",
    "negative_mass": "negative mass",
}


@dataclass(frozen=True)
class Pace:
    """How far the stage is, and how fast. None: too little was written to tell.

    ``left``: seconds to the end of the stage, ``silent``: since the last line was written.
    """

    window: int
    windows: int
    update: int
    update_seconds: float | None
    window_seconds: float | None
    left: float | None
    silent: float | None


@dataclass(frozen=True)
class Indicated:
    """One indicator, or one criterion of a panel, at its newest audit; ``why`` it was not measured there.

    ``e``: the e-value so far, None outside the page tier. ``acts``: what a rule does beyond which change.
    """

    name: str
    title: str
    unit: str
    share: bool
    step: int
    value: float | None
    base: float | None
    change: float | None
    low: float | None
    high: float | None
    tolerance: str
    beyond: bool
    e: float | None
    unjudged: float
    acts: str
    why: str


@dataclass(frozen=True)
class Tiered:
    """The page tier: the mean e-value pages at the threshold."""

    mean: float
    highest: float
    threshold: float
    delta: float
    spent: float
    pipeline: float
    arming: int
    audits: int
    indicators: Mapping[str, float]
    left: Mapping[str, str]
    judged: Mapping[str, str]


@dataclass(frozen=True)
class Spoken:
    """One probe as the policy and the base answered it."""

    step: int
    prompt: str
    policy: str
    base: str


@dataclass(frozen=True)
class Watched:
    """A run at work, or as it ended. ``over``: nothing more comes by itself."""

    run: str
    name: str
    state: State
    says: str
    over: bool
    stage: str
    stages: Mapping[str, str]
    pace: Pace
    figures: Mapping[str, float]
    pressure: Mapping[str, float]
    tier: Tiered | None
    indicators: tuple[Indicated, ...]
    spoken: Spoken | None
    decisions: tuple[Decided, ...]
    command: str
    problems: tuple[str, ...]
    statement: str

    def json(self) -> dict[str, JSON]:
        """As JSON: no infinities, no half surrogate pairs; those are written as text."""
        return {"kind": "watch", "v": 1, **cast("dict[str, JSON]", plain(self))}


class Guarding(NamedTuple):
    """What the guard measured and decided, and of how much of the log: computed again only when that grew."""

    basis: tuple[str, int, int, int]
    guard: Guarded


def guarding(seen: Seen, before: Guarding | None = None) -> Guarding:
    """``before`` itself, where no reading and no decision has come since."""
    log = seen.log
    basis = (log.stage.name, len(log.readings), len(log.not_measured), len(log.decisions))
    return before if before and before.basis == basis else Guarding(basis, guard_of(log, detects=False))


def watched(seen: Seen, guard: Guarded, now: float) -> Watched:
    """What is to be seen; ``now`` in seconds since 1970."""
    log = seen.log
    state = _state(seen)
    order = {one.id: place for place, one in enumerate(log.decisions)}
    decided = sorted((*guard.decisions, *guard.acceptances), key=lambda one: order[one.record])
    return Watched(
        run=seen.run.resolve().name,
        name=log.plan.name,
        state=state.state,
        says=state.says,
        over=state.state in ("finished", "paused", "halted", "imported"),
        stage=log.stage.name,
        stages={name: status.state for name, status in seen.states},
        pace=_pace(log, now, state.state == "running"),
        figures=_figures(log),
        pressure=_pressure(log),
        tier=_tier(guard.paging) if guard.paging and guard.paging.armings else None,
        indicators=tuple(sorted((_indicated(one) for one in guard.indicators), key=_worst_first)),
        spoken=_spoken(seen.beside) if seen.beside else None,
        decisions=tuple(decided[-_SHOWN:]),
        command=_command(seen, state),
        problems=seen.problems,
        statement=STATEMENT,
    )


def _state(seen: Seen) -> Status:
    """The run's: that of its stage at work, but for one that ended while others are still to come."""
    states = dict(seen.states)
    own = states[seen.log.stage.name]
    rest = [name for name, status in seen.states if status.state == "not begun"]
    if own.state != "finished" or not rest:
        return own
    return Status("interrupted", f"stage {seen.log.stage.name} is finished; {rest[0]} has not begun")


def _pace(log: StageLog, now: float, running: bool) -> Pace:
    lines = log.view.find("event") if log.view else []
    windows, updates = _named(lines, "window"), _named(lines, "update")
    per_window = _typical(windows)
    last = max((line.wall for line in (log.view.lines if log.view else ())), default=None)
    left = None
    if per_window is not None and running:
        todo = (log.stage.windows - len(windows) + 1) * per_window
        left = max(0.0, todo - max(0.0, now - windows[-1].wall))
    return Pace(
        window=len(windows),
        windows=log.stage.windows,
        update=max((line.step for line in updates), default=0),
        update_seconds=_typical(updates, together=True),
        window_seconds=per_window,
        left=left,
        silent=None if last is None else max(0.0, now - last),
    )


def _named(lines: Sequence[LogLine], name: str) -> list[LogLine]:
    """Events of this name, in the order of writing."""
    found = [line for line in lines if isinstance(line.record, StepEvent) and line.record.name == name]
    return sorted(found, key=lambda line: (line.fence, line.seq))


def _typical(lines: Sequence[LogLine], together: bool = False) -> float | None:
    """The median time between neighbours of one process; ``together``: of one window only."""
    gaps = [
        later.wall - line.wall
        for line, later in pairwise(lines[-_RECENT - 1 :])
        if line.writer == later.writer and (not together or _window(line) == _window(later))
    ]
    return median(gaps) if gaps else None


def _window(line: LogLine) -> int:
    return line.record.window if isinstance(line.record, StepEvent) else -1


def _figures(log: StageLog) -> dict[str, float]:
    """Of the newest update and window, where they have them."""
    found: dict[str, float] = {}
    for events, names in (
        (log.updates(), ("objective", "grad_norm")),
        (log.windows(), ("score", "gold", "d")),
    ):
        scalars = events[-1].scalars if events else {}
        found |= {name: scalars[name] for name in names if name in scalars}
    return found


def _pressure(log: StageLog) -> dict[str, float]:
    """Means over the newest updates, by their own names where this file knows none."""
    recent = [event.scalars for event in log.updates()[-_RECENT:]]
    others = dict.fromkeys(key for scalars in recent for key in scalars if key.startswith("pressure/"))
    found: dict[str, float] = {}
    for name in (*_PRESSURE, *others):
        values = [v for scalars in recent if math.isfinite(v := scalars.get(name, math.nan))]
        if values:
            found[_PRESSURE.get(name, name.removeprefix("pressure/"))] = math.fsum(values) / len(values)
    unused = [event.scalars["unused"] for event in log.windows()[-_RECENT:] if "unused" in event.scalars]
    if unused:
        found["answers left unused"] = math.fsum(unused) / len(unused)
    return found


def _tier(paging: Paging) -> Tiered:
    last = paging.armings[-1]
    return Tiered(
        mean=last.mean[-1],
        highest=max(last.mean),
        threshold=last.threshold,
        delta=paging.delta,
        spent=paging.spent,
        pipeline=paging.pipeline,
        arming=last.number + 1,
        audits=len(last.steps),
        indicators={name: e[-1] for name, e in last.indicators.items()},
        left=dict(paging.left),
        judged=dict(paging.judged),
    )


def _indicated(one: Measured) -> Indicated:
    last = one.readings[-1] if one.readings else None
    gap = one.missing[-1] if one.missing else None
    paged = one.paged
    silent = gap is not None and (last is None or gap.step > last.step)
    change = last.change if last else None
    limit = paged.tolerated if paged else None
    acts = "; ".join(f"{b.action} beyond {signed(b.at[-1][1])}" for b in one.bindings if b.at and not paged)
    return Indicated(
        name=one.name,
        title=one.title,
        unit=one.unit,
        share=one.share,
        step=gap.step if gap and silent else last.step if last else 0,
        value=last.value if last else None,
        base=last.base if last else None,
        change=change,
        low=last.change_low if last else None,
        high=last.change_high if last else None,
        tolerance=paged.tolerance if paged else "",
        beyond=limit is not None and change is not None and change > limit,
        e=paged.e if paged else None,
        unjudged=paged.unjudged if paged else 0.0,
        acts=acts,
        why=gap.reason if gap and silent else "",
    )


def _worst_first(one: Indicated) -> tuple[int, float, str]:
    """The page tier first, by its e-values; then what was not measured; then the others."""
    if one.e is not None and not one.why:
        return 0, -one.e, one.name
    return (1 if one.why else 2), 0.0, one.name


def _spoken(beside: Beside) -> Spoken:
    return Spoken(beside.step, told_prompt(beside.prompt), beside.policy.text, beside.base.text)


def _command(seen: Seen, state: Status) -> str:
    here = quote(str(seen.run))
    if state.state == "paused":
        return f"accord resume {here} --accept {state.record[:12]} --by NAME --reason TEXT"
    return f"accord resume {here}" if state.state == "interrupted" else ""
