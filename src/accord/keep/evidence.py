"""Records into what is signed over them: gate, release, drill, audits and dialogues, with every figure by its
Record.

Nothing here is measured or judged anew. What a Record has no finite figure for stands in ``not_measured``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from accord.keep.predicates import (
    Agreement,
    Audit,
    Crossed,
    Dialogue,
    Evidence,
    Exempted,
    Indicator,
    Interval,
    Missing,
    Named,
    Offer,
    Outcome,
    Pressure,
)
from accord.keep.predicates import Reply as Replied
from accord.pages import TOLERANCES
from accord.records import (
    Acceptance,
    Crossing,
    Decision,
    Entry,
    NotMeasured,
    Proposal,
    Reading,
    Reply,
    SignOff,
    Tried,
)
from accord.release import verdict_of

__all__ = [
    "Looked",
    "Talked",
    "Training",
    "audit_said",
    "dialogue_said",
    "drill_said",
    "gate_said",
    "no_gate_said",
    "release_said",
]

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


class Talked(NamedTuple):
    """A dialogue that came to its end: the Record of that, which holds its κ; what was offered; what the
    model and persons said to it; the person's answer that ended it, if any; the SHA-256 of its transcript."""

    tried: Tried
    proposals: Sequence[Proposal]
    replies: Sequence[Reply]
    answers: Sequence[Acceptance]
    ended_by: Acceptance | None
    transcript: str


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


def dialogue_said(talk: Talked, training: Training) -> Dialogue:
    """One dialogue. ValueError where it came to something that is no evidence by its own Records."""
    ended = talk.ended_by
    learns = {one.id for one in talk.proposals if one.resolution == "revised answer"}
    if ended is None and talk.tried.outcome == "revised answer":  # a person may have answered that as well
        ended = next((one for one in reversed(talk.answers) if one.proposal in learns), None)
    result = talk.tried.outcome if ended is None else "accepted" if ended.accepts else "declined"
    agreed, agreement = talk.tried.agreement, None
    if agreed is not None:
        kappa = Interval(value=agreed.kappa, low=agreed.low, high=agreed.high, n=agreed.n)
        agreement = Agreement(kappa=kappa, null=agreed.null, record=talk.tried.id)
    told = {"principle": talk.tried.principle, "slice": talk.tried.slice, "transcripts": (talk.transcript,)}
    return Dialogue.model_validate(
        {
            **told,
            "training": training,
            "offers": tuple(
                Offer(record=one.id, kind=one.resolution, text=one.text) for one in talk.proposals
            ),
            "replies": tuple(_replies(talk)),
            "agreement": agreement,
            "result": result,
            "accepted_by": ended.by if ended is not None and ended.accepts else None,
        }
    )


def _replies(talk: Talked) -> Iterator[Replied]:
    """What the model said to the offers, where that can be read, and what persons did."""
    offered = {one.id for one in talk.proposals}
    for one in talk.replies:
        if one.about == "proposal" and one.to in offered and one.reads in ("accept", "decline"):
            reason = "in both orders and in two wordings"
            yield Replied(to=one.to, answer=one.reads, by=f"the model ({one.policy})", reason=reason)
    for one in talk.answers:
        answer = "accept" if one.accepts else "decline"
        yield Replied(to=one.proposal, answer=answer, by=one.by, reason=one.reason)


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
