"""How far the reward was used: d, score, spread and gold by window, the two curves, and where they peak."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from accord.maths import overuse
from accord.maths.intervals import Interval
from accord.maths.overuse import FORMS, GOLD, Fit, Form
from accord.records import StepEvent
from accord.reports.document import Figure, Fitted, Use, Used
from accord.reports.logs import StageLog
from accord.reports.spent import told_part
from accord.reports.words import counted, number
from accord.sources import seeded

__all__ = ["MOST", "NAMES", "use_of"]

MOST = 400  # points that are drawn; more windows are joined to half as many means of neighbours
NAMES: dict[Form, str] = {"best_of_n": "best-of-n form", "rl": "reinforcement form"}

_SINCE = {
    "start": "from the start of this stage, measured on the answers of each window before its updates",
    "base": "from the base, as the guard read it on its probes at the same update: this method measures no "
    "log-probabilities of its answers",
}
_NO_GOLD = (
    "No gold was measured: this curve is of the reward that was trained on, and cannot show overuse by "
    "itself."
)
_ELSEWHERE = (
    "No curve is fitted: d is measured from the base of all stages, and this stage starts elsewhere, so its "
    "reward where d is 0 is unknown."
)
_CARE = (
    "The intervals take d as known and the windows as independent, so they are rather too narrow. Both forms "
    "are of 2210.10760, the first found for sampling the best of n, the second for reinforcement learning; "
    "their a and b are not on one scale."
)


class _Seen(NamedTuple):
    """The windows of which d is known, all measured from the same place."""

    events: tuple[StepEvent, ...]
    since: Literal["start", "base"]
    of: Literal["gold", "proxy"]

    def pairs(self) -> tuple[list[float], list[float]]:
        """d and the reward that is fitted, where both are known."""
        known = [event.scalars for event in self.events if self.of in event.scalars]
        return [scalars["d"] for scalars in known], [scalars[self.of] for scalars in known]


def use_of(log: StageLog) -> Use | None:
    """What the windows of the policy's own answers say together; None where none of them knows its d."""
    seen = _seen(log)
    if seen is None:
        return None
    says = [f"d is the root of the KL in nats per answer, {_SINCE[seen.since]}.", _spans(seen.events)]
    says.append(_told_gold(log) if seen.of == GOLD else _NO_GOLD)
    fits: tuple[Fitted, ...] = ()
    if seen.since == "base" and not log.from_base:
        says.append(_ELSEWHERE)
    else:
        fits = tuple(_fitted(log, seen, form) for form in FORMS)
        says += [fit.says for fit in fits]
        says += [_CARE] if any(fit.peak for fit in fits) else []
    return Use(tuple(says), seen.since, seen.of, tuple(_points(seen.events)), fits)


def _seen(log: StageLog) -> _Seen | None:
    rewarded = [e for e in log.windows() if "d" in e.scalars and {"proxy", GOLD} & e.scalars.keys()]
    if not rewarded:
        return None
    # A window without a token has no KL of its own; what the guard read then is of another scale.
    own = [event for event in rewarded if "kl_start" in event.scalars]
    events = tuple(own or rewarded)
    of = "gold" if any(GOLD in event.scalars for event in events) else "proxy"
    return _Seen(events, "start" if own else "base", of)


def _spans(events: Sequence[StepEvent]) -> str:
    """From where to where each figure went; beside d there is a score or gold, or there are no events."""
    names = {
        "d": "d",
        "proxy": "the score that is trained on",
        "spread": "the spread of the reward models’ heads",
        "gold": "gold",
    }
    told: list[str] = []
    for key, name in names.items():
        values = [event.scalars[key] for event in events if key in event.scalars]
        if values:
            went = "went " if key == "d" else ""
            told.append(f"{name} {went}from {number(values[0])} to {number(values[-1])}")
    first, last = events[0].window + 1, events[-1].window + 1
    return f"Between windows {first} and {last}, {', '.join(told[:-1])} and {told[-1]}."


def _told_gold(log: StageLog) -> str:
    asked = [told_part(ask.overseer) for ask in log.stage.ask if ask.column == GOLD]
    judge = f" by {asked[0]}" if asked else ""
    return f"Gold was judged{judge}: it was read and never trained on. The curves are fitted to it."


def _fitted(log: StageLog, seen: _Seen, form: Form) -> Fitted:
    d, reward = (np.array(values, dtype=np.float64) for values in seen.pairs())
    fit = overuse.fitted(form, d, reward, seeded(log.stage.name, "overuse", form))
    if isinstance(fit, str):
        return Fitted(form, f"{_headed(form)}: no fit ({fit}).", d.size)
    return Fitted(
        form=form,
        says=_told(fit, seen, float(d[-1]), float(d.max())),
        windows=fit.windows,
        start=fit.start,
        a=_figure(fit.a),
        b=_figure(fit.b),
        peak=_figure(fit.peak),
        residual=fit.residual,
    )


def _told(fit: Fit, seen: _Seen, stopped: float, most: float) -> str:
    """Where the curve peaks and where the run stopped, in a sentence."""
    name = "gold" if seen.of == "gold" else "the score that is trained on"
    noise = f"(residuals: standard deviation {number(fit.residual)} over {counted(fit.windows, 'window')})"
    at, low, high = fit.peak
    head = f"{_headed(fit.form)} {noise}:"
    span = f"95 % interval {number(low)} to {number(high)}"
    if fit.highest == "start":
        return f"{head} {name} only fell; it was highest at the start."
    if math.isinf(at):
        seen_to = f"no turn was seen up to d = {number(most)}"
        return f"{head} {seen_to}; if {name} has a peak, it lies beyond the data."
    if fit.highest == "end":
        return (
            f"{head} {name} would be highest at d = {number(at)} ({span}), beyond the largest d of "
            f"{number(most)}: no turn was seen, so that is drawn out of the data."
        )
    if stopped > high:
        where = f"beyond the whole interval: further from the start, {name} was less"
    elif stopped > at:
        where = "beyond it, and within its interval"
    else:
        where = "before it"
    stood = f"the last window stood at {number(stopped)}, {where}"
    return f"{head} {name} is highest at d = {number(at)} ({span}); {stood}."


def _points(events: Sequence[StepEvent]) -> list[Used]:
    if len(events) <= MOST:
        return [_used([event]) for event in events]
    bins = MOST // 2
    edges = [len(events) * k // bins for k in range(bins + 1)]
    return [_used(events[start:end]) for start, end in pairwise(edges)]


def _used(events: Sequence[StepEvent]) -> Used:
    """One window, or the means of several neighbours, each over those that know it."""

    def mean(key: str) -> float | None:
        values = [event.scalars[key] for event in events if key in event.scalars]
        return math.fsum(values) / len(values) if values else None

    return Used(
        window=math.fsum(event.window + 1 for event in events) / len(events),
        d=math.fsum(event.scalars["d"] for event in events) / len(events),
        proxy=mean("proxy"),
        spread=mean("spread"),
        gold=mean("gold"),
        n=len(events),
        record=events[0].id if len(events) == 1 else "",
    )


def _headed(form: Form) -> str:
    return f"{NAMES[form][0].upper()}{NAMES[form][1:]}"


def _figure(one: Interval) -> Figure:
    return Figure(one.value, one.low, one.high)
