"""Rules: history → Continue, Pause or Halt. Tolerances live here (layer 2).

A rule looks at evidence (events, readings), compares it with its tolerance and says what follows; the guard
alone stops the loop. A decision of ``continue`` with a reason is a warning, one without a reason means that
nothing is wrong. Three things hold for all of them:

- Missing evidence is not permission: what a rule needs and does not find is a Pause, with that as the reason.
- A Pause that a person accepted does not come back on the same evidence; newer evidence is judged anew. An
  acceptance names a person, covers the rule that paused and no other; a Halt cannot be accepted.
- A warning is given once for the same evidence.

**No rate of false alarms is claimed here.** The intervals are two-sided 95 % intervals of one audit each,
read again at every audit, so some will fire on runs that are well. The stated rate comes with the page tier,
which tests sequentially and is not in this file. The tolerances are first targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from accord.part import Part
from accord.ports import History, Rule
from accord.records import Action, Decision, NotMeasured, Reading, Record, StepEvent

__all__ = [
    "BothFell",
    "Fault",
    "Fell",
    "Grew",
    "Missing",
    "NonFinite",
    "Rose",
    "Unread",
    "default_rules",
    "distinct",
    "nothing",
    "readings_of",
    "say",
    "vetoed",
]


class NonFinite(Part):
    """An update whose loss or gradient was not finite pauses; a second one ``within`` that many halts."""

    within: int = Field(default=20, ge=1)

    @property
    def name(self) -> str:
        return "non_finite"

    def __call__(self, history: History) -> Decision:
        updates = [event for event in history.events if event.name == "update"]
        if updates and "applied" not in updates[-1].scalars:
            reason = "the update does not say whether it was applied"
            return say(self.name, history, "pause", reason, updates[-1:])
        refused = distinct([event for event in updates if event.scalars.get("applied", 1.0) != 1.0])
        fresh = [event for event in refused if not _accepted(self.name, history, [event])]
        if not fresh:
            return nothing(self.name, history)
        last = fresh[-1]
        before = [event for event in refused if event.id != last.id and event.step >= last.step - self.within]
        what = f"step {last.step}: the loss or gradient was not finite and nothing was applied"
        if before:
            reason = f"{what}; so it was at step {before[-1].step}, within {self.within} updates"
            return say(self.name, history, "halt", reason, [before[-1], last])
        return say(self.name, history, "pause", what, [last])


class Fault(Part):
    """Something at this step could not be done (an indicator raised, evidence was not written): pause."""

    @property
    def name(self) -> str:
        return "fault"

    def __call__(self, history: History) -> Decision:
        here = [event for event in history.events if event.name == "fault" and event.step == history.step]
        fresh = distinct([event for event in here if not _accepted(self.name, history, [event])])
        if not fresh:
            return nothing(self.name, history)
        texts = [event.text or "a fault without a text" for event in fresh]
        return say(self.name, history, "pause", "; ".join(texts), fresh)


class Missing(Part):
    """Too many rows of the newest window have no verdict: pause. ``rows`` counts all, also the missing."""

    share: float = Field(default=0.2, ge=0, le=1)

    @property
    def name(self) -> str:
        return "missing"

    def __call__(self, history: History) -> Decision:
        windows = [event for event in history.events if event.name == "window"]
        if not windows:
            return nothing(self.name, history)
        last = windows[-1]
        missing, rows = (last.scalars.get(key, math.nan) for key in ("missing", "rows"))
        if not (math.isfinite(missing) and math.isfinite(rows)):
            reason = f"window {last.window} does not say how many of its rows are missing"
            return say(self.name, history, "pause", reason, [last])
        if rows <= 0:
            return say(self.name, history, "pause", f"window {last.window} has no rows", [last])
        if missing / rows <= self.share:
            return nothing(self.name, history)
        lack = f"{missing:g} of {rows:g} rows of window {last.window} have no verdict"
        reason = f"{lack}; tolerated: {self.share:.0%}"
        return say(self.name, history, "pause", reason, [last])


class Fell(Part):
    """The newest reading lies below the base by more than ``by``, with its whole interval.

    ``relative``: ``by`` is a share of the base's level. A base of 0 or less has no relative fall: a warning.
    ``vetoes``: indicators that hold the fall back, to a warning, where one of them was read at the same step
    and is shown not to have fallen by as much; one that was not read holds nothing back.
    """

    indicator: str
    by: float = Field(ge=0)
    relative: bool = True
    action: Action = "pause"
    vetoes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"fell:{self.indicator}"

    def __call__(self, history: History) -> Decision:
        seen = _newest(self.name, self.indicator, history)
        if isinstance(seen, Decision):
            return seen
        limit, tolerated = _fallen(seen.base, self.by, self.relative), f"{self.by:g}"
        if limit is None:
            level = "unknown" if seen.base is None else f"{seen.base:g}"
            reason = f"{self.indicator}: a relative fall from a base of {level} is undefined"
            return say(self.name, history, "continue", reason, [seen.reading])
        if self.relative:
            tolerated = f"{self.by:.0%} of the base's {seen.base:.3g}"
        if not seen.high < -limit:
            return nothing(self.name, history)
        reason = f"{self.indicator} fell by {-seen.change:.3g} ({_span(seen, -1)}); tolerated: {tolerated}"
        if held := vetoed(self.vetoes, self.by, seen.reading.step, history, self.relative):
            names = " and ".join(one.name for one in held)
            reason = f"{reason}; no more than a warning, for {names} did not fall by as much"
            return say(self.name, history, "continue", reason, [seen.reading, *held])
        return say(self.name, history, self.action, reason, [seen.reading])


class Rose(Part):
    """The newest reading lies above the base by more than ``by`` in its own unit, with its whole interval."""

    indicator: str
    by: float = Field(ge=0)
    action: Action = "pause"

    @property
    def name(self) -> str:
        return f"rose:{self.indicator}"

    def __call__(self, history: History) -> Decision:
        seen = _newest(self.name, self.indicator, history)
        if isinstance(seen, Decision):
            return seen
        if not seen.low > self.by:
            return nothing(self.name, history)
        reason = f"{self.indicator} rose by {seen.change:.3g} ({_span(seen, 1)}); tolerated: {self.by:g}"
        return say(self.name, history, self.action, reason, [seen.reading])


class Grew(Part):
    """The newest value is over ``times`` the early one and at least ``least``: a warning by default.

    The early reading is the first after the base's; if that was negative or 0, every value from ``least`` on
    counts as grown. Readings of two instruments are not compared: that is said instead.
    """

    indicator: str
    times: float = Field(default=8.0, ge=1)
    least: float = Field(default=0.5, gt=0)
    action: Action = "continue"

    @property
    def name(self) -> str:
        return f"grew:{self.indicator}"

    def __call__(self, history: History) -> Decision:
        trained = [reading for reading in readings_of(self.indicator, history) if reading.step > 0]
        if len(trained) < 2:
            return nothing(self.name, history)
        early, last = trained[0], trained[-1]
        if math.isnan(last.value) or math.isnan(early.value):
            return say(
                self.name, history, "pause", f"{self.indicator}: the value is not a number", [early, last]
            )
        if early.instrument != last.instrument:
            reason = f"{self.indicator}: steps {early.step} and {last.step} were read by two instruments"
            return say(self.name, history, "continue", reason, [early, last])
        if last.value < self.least or not last.value > self.times * early.value:
            return nothing(self.name, history)
        reason = (
            f"{self.indicator} grew from {early.value:.3g} at step {early.step} to {last.value:.3g}; "
            f"tolerated: {self.times:g} times as much, or under {self.least:g}"
        )
        return say(self.name, history, self.action, reason, [early, last])


class Unread(Part):
    """An indicator that was measured at the base audit (step 0) is not measured any more: pause."""

    indicator: str

    @property
    def name(self) -> str:
        return f"unread:{self.indicator}"

    def __call__(self, history: History) -> Decision:
        said = [one for one in history.readings if one.name == self.indicator]
        first = next((one for one in said if one.step == 0 and isinstance(one, Reading)), None)
        if first is None or not isinstance(said[-1], NotMeasured):
            return nothing(self.name, history)
        reason = (
            f"{self.indicator} was measured at the base and is not at step {said[-1].step}: {said[-1].reason}"
        )
        return say(self.name, history, "pause", reason, [first, said[-1]])


class BothFell(Part):
    """Chosen and rejected answers both lose probability in most pairs, ``updates`` long: a warning, once.

    The margin grows all the same, so no loss shows it: the probability goes to answers nobody compared.
    """

    share: float = Field(default=0.5, gt=0, le=1)
    updates: int = Field(default=10, ge=1)
    action: Action = "continue"

    @property
    def name(self) -> str:
        return "both_fell"

    def __call__(self, history: History) -> Decision:
        told = [event for event in history.events if "loss/both_fell" in event.scalars]
        last = distinct(told)[-self.updates :]
        warned = any(one.rule == self.name and one.reason for one in history.decisions)
        if len(last) < self.updates or (warned and self.action == "continue"):
            return nothing(self.name, history)
        fell = sum(event.scalars["loss/both_fell"] for event in last) / len(last)
        if not fell > self.share:
            return nothing(self.name, history)
        reason = (
            f"in {fell:.0%} of the pairs of the last {len(last)} updates the chosen answer, too, is less "
            f"probable than at the start; tolerated: {self.share:.0%}"
        )
        return say(self.name, history, self.action, reason, last)


def default_rules() -> tuple[Rule, ...]:
    """The rules in use where a plan names none, with the tolerances of the guard's design.

    The fall of diversity can be seen only with three answers to a probe or more: equal answers leave it at
    about one over their number.
    """
    return (
        NonFinite(),
        Fault(),
        Missing(),
        BothFell(),
        Fell(indicator="diversity", by=0.5, vetoes=("effective_diversity", "overton_coverage")),
        Rose(indicator="base_rank", by=0.08),
        Grew(indicator="reverse_kl"),
        Unread(indicator="diversity"),
        Unread(indicator="base_rank"),
        Unread(indicator="reverse_kl"),
    )


def vetoed(
    names: Sequence[str], by: float, step: int, history: History, relative: bool = True
) -> list[Reading]:
    """Those of these indicators that were read at this step and are shown not to have fallen by as much.

    Shown: the whole interval lies within the fall. What was not read, or is undecided, vetoes nothing.
    """
    found: list[Reading] = []
    for name in names:
        read = [one for one in readings_of(name, history) if one.step == step]
        limit = _fallen(read[-1].base, by, relative) if read else None
        low = read[-1].change_low if read else None
        if limit is not None and low is not None and low > -limit:
            found.append(read[-1])
    return found


def _fallen(base: float | None, by: float, relative: bool) -> float | None:
    """The fall that is tolerated; None where it is undefined."""
    if not relative:
        return by
    return by * base if base is not None and base > 0 else None


class _Seen(NamedTuple):
    """A reading whose change to the base is known."""

    reading: Reading
    base: float | None
    change: float
    low: float
    high: float


def _newest(rule: str, indicator: str, history: History) -> _Seen | Decision:
    """The newest reading with its change, or what follows from there being none."""
    readings = readings_of(indicator, history)
    if not readings:
        return nothing(rule, history)
    last = readings[-1]
    change = (last.change, last.change_low, last.change_high)
    known = [number for number in change if number is not None and not math.isnan(number)]
    if len(known) == 3:
        return _Seen(last, last.base, *known)
    if last.step == 0:  # the base itself: its first audit has nothing to differ from
        return nothing(rule, history)
    return say(rule, history, "pause", f"{indicator}: step {last.step} has no change to the base", [last])


def readings_of(indicator: str, history: History) -> list[Reading]:
    """What was read of an indicator, oldest first."""
    return [one for one in history.readings if isinstance(one, Reading) and one.name == indicator]


def _span(seen: _Seen, sign: int) -> str:
    """The interval of the change as a fall (−1) or a rise (1)."""
    low, high = sorted((sign * seen.low, sign * seen.high))
    return f"95 % interval {low:.3g} to {high:.3g}"


def say(rule: str, history: History, action: Action, reason: str, evidence: Sequence[Record]) -> Decision:
    """The decision, unless a person accepted it on this evidence or the same warning was given before."""
    ids = tuple(record.id for record in evidence)
    if action == "pause" and _accepted(rule, history, evidence):
        return nothing(rule, history)
    said = {
        one.parents
        for one in history.decisions
        if one.rule == rule and one.action == "continue" and one.reason
    }
    if action == "continue" and ids in said:
        return nothing(rule, history)
    return Decision(run=history.run, step=history.step, action=action, rule=rule, reason=reason, parents=ids)


def nothing(rule: str, history: History) -> Decision:
    """Nothing is wrong, as far as this rule goes."""
    return Decision(run=history.run, step=history.step, action="continue", rule=rule)


def _accepted(rule: str, history: History, evidence: Sequence[Record]) -> bool:
    """Whether pauses of this rule that a person accepted named all of this evidence."""
    accepted = {one.accepts for one in history.decisions if one.accepts is not None and one.by}
    pauses = [
        one for one in history.decisions if one.rule == rule and one.action == "pause" and one.id in accepted
    ]
    return {record.id for record in evidence} <= {parent for pause in pauses for parent in pause.parents}


def distinct(events: Sequence[StepEvent]) -> list[StepEvent]:
    """Each event once: a step replayed after a resume tells the same fact."""
    return list({event.id: event for event in events}.values())
