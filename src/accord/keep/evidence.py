"""Records into what is signed over them: gate, release, drill and audits, with every figure by its Record.

Nothing here is measured or judged anew. What a Record has no finite figure for stands in ``not_measured``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from accord.keep.predicates import (
    Audit,
    Crossed,
    Evidence,
    Exempted,
    Indicator,
    Interval,
    Missing,
    Named,
    Outcome,
    Pressure,
)
from accord.pages import TOLERANCES
from accord.records import Crossing, Decision, Entry, NotMeasured, Reading, SignOff
from accord.release import verdict_of

__all__ = ["Looked", "Training", "audit_said", "drill_said", "gate_said", "no_gate_said", "release_said"]

Training = Literal["known", "unknown"]

_BAIL = "no indicator of Accord asks whether the model would end a talk"
_ID = re.compile(r"[0-9a-f]{64}")


class Looked(NamedTuple):
    """What one look at a model found. ``delta``: of the guard that looked; None where none watched."""

    depth: str
    base: Named | None
    found: Sequence[Reading | NotMeasured]
    delta: float | None = None
    pressure: tuple[Pressure, ...] = ()
    crossings: Sequence[Crossing] = ()


def gate_said(decision: Decision, signed: Sequence[SignOff], rests_on: Iterable[str]) -> Evidence:
    """The Decision under which a run began, and who answered for what was missing then."""
    exceptions = tuple(
        Exempted(what=f"{one.check} of {one.stage}" if one.stage else one.check, by=one.by, reason=one.reason)
        for one in signed
    )
    passed = "passed with exceptions" if exceptions else "passed"
    outcome = Outcome(
        record=decision.id,
        result=passed if decision.action == "continue" else "failed",
        rests_on=tuple(dict.fromkeys(one for one in rests_on if _ID.fullmatch(one))),
        exceptions=exceptions if decision.action == "continue" else (),
    )
    return Evidence(training="known", kind="gate", outcome=outcome)


def no_gate_said(entry: Entry) -> Evidence:
    """A run for keeping whose stages push no answer down needs no gate; its Entry says so."""
    outcome = Outcome(record=entry.id, result="not needed", rests_on=(), exceptions=())
    return Evidence(training="known", kind="gate", outcome=outcome)


def release_said(decision: Decision) -> Evidence:
    """A release test; one that decided nothing was not passed."""
    result = "passed" if verdict_of(decision) == "pass" else "failed"
    outcome = Outcome(record=decision.id, result=result, rests_on=decision.parents, exceptions=())
    return Evidence(training="known", kind="release", outcome=outcome)


def drill_said(
    decision: Decision,
    verdict: Literal["revived", "drifted", "failed"],
    rests_on: Iterable[str],
    training: Training,
) -> Evidence:
    """A drill, of whatever origin the model is."""
    outcome = Outcome(record=decision.id, result=verdict, rests_on=tuple(rests_on), exceptions=())
    return Evidence(training=training, kind="drill", outcome=outcome)


def audit_said(looked: Looked, training: Training) -> Audit:
    """One look as an audit; what it could not read, and what nobody asks, is named."""
    indicators: list[Indicator] = []
    missing: list[Missing] = []
    bail: Interval | None = None
    for one in looked.found:
        figure = _interval(one.value, one.low, one.high, one.n) if isinstance(one, Reading) else None
        if isinstance(one, NotMeasured):
            missing.append(Missing(name=one.name, reason=one.reason or "no reason was given"))
        elif figure is None:
            missing.append(Missing(name=one.name, reason="its figure is no finite number"))
        elif one.name == "bail":
            bail = figure
        else:
            indicators.append(_indicator(one, figure))
    if bail is None and not any(one.name == "bail" for one in missing):
        missing.append(Missing(name="bail", reason=_BAIL))
    return Audit(
        training=training,
        depth=looked.depth,
        base=looked.base,
        indicators=tuple(indicators),
        delta=looked.delta,
        pressure=looked.pressure,
        crossings=tuple(_crossed(looked.crossings)),
        bail=bail,
        not_measured=tuple(missing),
    )


def _indicator(one: Reading, figure: Interval) -> Indicator:
    known = one.change is not None and one.change_low is not None and one.change_high is not None
    change = _interval(one.change or 0.0, one.change_low or 0.0, one.change_high or 0.0, one.n)
    tolerance = TOLERANCES.get(one.name)
    return Indicator(
        name=one.name,
        record=one.id,
        model=figure,
        base=one.base if one.base is not None and math.isfinite(one.base) else None,
        change=change if known else None,
        tolerance=tolerance.by if tolerance else None,
        judge=None,
    )


def _crossed(crossings: Iterable[Crossing]) -> Iterator[Crossed]:
    for one in crossings:
        yield Crossed(name=one.name, record=one.id, below=one.below, above=one.above, reason=one.reason)


def _interval(value: float, low: float, high: float, n: int) -> Interval | None:
    if not all(map(math.isfinite, (value, low, high))) or low > high:
        return None
    return Interval(value=value, low=low, high=high, n=n)
