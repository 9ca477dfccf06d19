"""What looks wrong in a run, in plain words: the log of a stage → findings, most serious first. Only reads.

``diagnoses.py`` and ``learning.py`` hold the checks, ``symptoms.py`` the limits they go by.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from accord.errors import Unreadable
from accord.plan import read_plan
from accord.records import JSON, Episode, Response
from accord.reports import diagnoses, learning
from accord.reports.document import State, Walked, plain
from accord.reports.logs import StageLog, open_stage
from accord.reports.symptoms import LEVELS, LIMITS, Check, Figure, Finding, Told, Unread, mean
from accord.reports.trace import trace_of
from accord.stores.segments import is_stage

__all__ = ["CHECKS", "Explained", "Traced", "examined", "explain", "told_of", "traced"]

CHECKS: Mapping[str, Check] = {**diagnoses.CHECKS, **learning.CHECKS}


@dataclass(frozen=True)
class Explained:
    """One stage. ``checked``: the checks that looked; ``unread``: those that could not, and why.

    ``state`` and ``says``: how far it came. ``problems``: why the log may not be all there was.
    """

    run: str
    stage: str
    method: str
    state: State
    says: str
    updates: int
    windows: int
    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    unread: Mapping[str, str]
    problems: tuple[str, ...] = ()

    def json(self) -> dict[str, JSON]:
        """With the limits that all checks go by."""
        limits: dict[str, JSON] = {n: {"value": one.value, "says": one.says} for n, one in LIMITS.items()}
        return {**cast("dict[str, JSON]", plain(self)), "limits": limits}


@dataclass(frozen=True)
class Traced:
    """A figure of one stage walked back to a prompt, with what people said on the way: for a screen only."""

    run: str
    stage: str
    steps: tuple[Walked, ...]

    def json(self) -> dict[str, JSON]:
        """As plain values."""
        return cast("dict[str, JSON]", plain(self))


def explain(folder: Path) -> list[Explained]:
    """Every stage of a run that has begun, or the one stage of a stage's folder.

    Unreadable where ``folder`` is neither.
    """
    return [examined(log) for log in _begun(folder, places=False)]


def traced(folder: Path) -> list[Traced]:
    """A figure of each of these stages, walked back; people's judgments are looked up where they are kept."""
    logs = _begun(folder, places=True)
    return [Traced(log.run.name, log.stage.name, trace_of(log, aloud=True)) for log in logs]


def _begun(folder: Path, *, places: bool) -> list[StageLog]:
    run, only = folder, ""
    if not (folder / "run.json").is_file() and is_stage(folder):
        run, only = folder.absolute().parent, folder.absolute().name
    file = next((at / "plan.toml" for at in (run, folder) if (at / "plan.toml").is_file()), None)
    if file is None:
        raise Unreadable(folder, "the folder of a run or of a stage", "no plan.toml in it")
    plan = read_plan(file)
    logs = [open_stage(run, plan, stage, places) for stage in plan.stage if only in ("", stage.name)]
    if not logs:
        raise Unreadable(folder, f"a stage of {plan.name}: {', '.join(s.name for s in plan.stage)}", only)
    return [log for log in logs if log.view is not None]


def examined(log: StageLog) -> Explained:
    """Every check, once."""
    told, status = told_of(log), log.status()
    found = {name: check(told) for name, check in CHECKS.items()}
    order = list(LEVELS)
    findings = [one for one in found.values() if isinstance(one, Finding)]
    findings.sort(key=lambda one: order.index(one.level))
    unread = {name: one.why for name, one in found.items() if isinstance(one, Unread)}
    return Explained(
        run=log.run.resolve().name,
        stage=log.stage.name,
        method=told.method,
        state=status.state,
        says=status.says,
        updates=len(told.updates),
        windows=len(told.windows),
        findings=tuple(findings),
        checked=tuple(name for name in CHECKS if name not in unread),
        unread=unread,
        problems=tuple(log.view.problems) if log.view else (),
    )


def told_of(log: StageLog) -> Told:
    """What the checks read of a stage's log."""
    cut, length, own = _answered(log)
    table = log.stage.eval
    return Told(
        method=log.stage.method.name,
        windows=log.windows(),
        updates=log.updates(),
        readings=log.readings,
        cut=cut,
        length=length,
        own=own,
        better=(table.better if table else None) or "lower",
        abstained=dict(Counter(one.abstention for one in log.judgments if one.abstention).most_common()),
    )


def _answered(log: StageLog) -> tuple[list[Figure], list[Figure], bool]:
    """The share of cut answers and their mean length, window by window; whether the policy wrote them.

    An answer that an earlier run recorded may stand in no log of this one: then only its length is known.
    """
    number = {event.step: event.window + 1 for event in reversed(log.windows())}
    lengths: dict[int, list[float]] = defaultdict(list)
    cuts: dict[int, list[float]] = defaultdict(list)
    own = False
    for line in log.view.find("episode") if log.view else ():
        episode = cast(Episode, line.record)
        if line.step not in number:
            continue
        lengths[number[line.step]].append(sum(len(said) for said in episode.tokens))
        last: Response | None = log.response(episode.responses[-1])
        if last is not None:
            cuts[number[line.step]].append(float(last.finish == "length"))
            own = own or last.policy != "data"
    shares, means = ([Figure(w, mean(v)) for w, v in sorted(of.items())] for of in (cuts, lengths))
    if not lengths:  # an import has figures of answers, and no answers
        shares, means = ([*_scalar(log, name)] for name in ("cut_share", "answer_length"))
        own = bool(means)
    return shares, means, own


def _scalar(log: StageLog, name: str) -> Iterator[Figure]:
    for event in log.windows():
        if math.isfinite(value := event.scalars.get(name, math.nan)):
            yield Figure(event.window + 1, value)
