"""What came of it on held-out prompts: before, after, the paired change, and what may be said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from accord.maths.intervals import sign_flip
from accord.records import Episode, Graded, Judgment, Reading
from accord.reports.document import Figure, Result, Verdict
from accord.reports.evaluated import told_kept
from accord.reports.logs import StageLog
from accord.reports.released import told_release
from accord.reports.words import Scale, counted
from accord.sources import seeded

__all__ = ["Pair", "approves", "change_of", "held_out_pair", "result_of"]


class Pair(NamedTuple):
    """The held-out reading before a stage, and the one of its result or, so far, the last."""

    before: Reading | None
    after: Reading | None


def held_out_pair(log: StageLog) -> Pair:
    """Before is the reading at the start, after the last one that came later, or that of the weights kept."""
    found = log.held_out
    kept = log.entry.kept if log.entry else None
    later = [one for one in found if one.step > found[0].step and kept in (None, one.step)]
    return Pair(found[0] if found else None, later[-1] if later else None)


def result_of(log: StageLog) -> Result:
    """The held-out result of a stage and what its evaluations came to; one that is not there says why."""
    result = _held_out(log)
    told = (result.says, told_kept(log), told_release(log))
    return replace(result, says=" ".join(said for said in told if said))


def _held_out(log: StageLog) -> Result:
    before, after = held_out_pair(log)
    if before is None:
        planned = log.stage.held_out is not None
        why = "the held-out prompts were not read yet" if planned else "this stage has no held-out prompts"
        return Result("none", f"There is no held-out figure: {why}.")
    share = before.unit == "share of answers"
    scale, name = Scale(share), before.name
    approved = approves(log.judgments_under(before))
    label = "share of answers approved" if approved else name.removeprefix("held_out.")
    answers = log.stage.held_out.n if log.stage.held_out else 0
    if after is None:
        why = "The figure after it was not read: it is taken when the last window ends."
        if log.kept == before.step:
            why = "There is no figure after it, for the start itself was kept."
        says = f"Before training: {scale.level(before.value)}. {why}"
        return Result("one reading", says, name, label, share, before.n, answers, before=_figure(log, before))
    change = change_of(log, after)
    verdict, says = _said(before, after, change, scale)
    return Result(
        verdict,
        says,
        name,
        label,
        share,
        len(_differences(before, after)) or min(before.n, after.n),
        answers,
        before=_figure(log, before),
        after=_figure(log, after),
        change=change,
        p=_p(before, after),
        beyond=_half(change),
        seen=_seen(log, before),
    )


def change_of(log: StageLog, after: Reading) -> Figure | None:
    """The paired change with its interval, where the reading has one."""
    if after.change is None or after.change_low is None or after.change_high is None:
        return None
    return Figure(after.change, after.change_low, after.change_high, after.id, log.place(after.id))


def approves(judgments: Sequence[Judgment]) -> bool:
    """Whether every grade is 0 or 1, so that a mean of them is a share of answers approved."""
    verdicts = [one.verdict for one in judgments if isinstance(one.verdict, Graded)]
    grades = {grade for verdict in verdicts for grade in verdict.scores.values()}
    return bool(grades) and grades <= {0.0, 1.0}


def _said(before: Reading, after: Reading, change: Figure | None, scale: Scale) -> tuple[Verdict, str]:
    levels = f"{scale.level(before.value)} before, {scale.level(after.value)} after"
    if change is None:
        why = (
            "they were read by two instruments"
            if before.instrument != after.instrument
            else "their scores have no common scale from 0 to 1 by prompt"
        )
        return "not paired", f"{levels}. The two are not compared: {why}."
    low, high = change.low, change.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "no change", f"{levels}. The change has no finite interval, so nothing is said of it."
    prompts = counted(len(_differences(before, after)), "prompt")
    span = f"95 % interval {scale.change_span(low, high)}, paired over {prompts}"
    if low > 0:
        return "improved", f"Improved by {scale.change(change.value).lstrip('+')} ({span})."
    if high < 0:
        return "worsened", f"Worsened by {scale.change(-change.value).lstrip('+')} ({span})."
    about = scale.change(_half(change)).lstrip("+")
    return (
        "no change",
        f"No change that the interval can tell from zero: {scale.change(change.value)} ({span}). "
        f"With these prompts a change would have had to exceed about {about}.",
    )


def _figure(log: StageLog, reading: Reading) -> Figure:
    return Figure(reading.value, reading.low, reading.high, reading.id, log.place(reading.id))


def _seen(log: StageLog, before: Reading) -> int | None:
    """How many held-out prompts stand among those of the training windows."""
    prompts = {question.prompt for question in map(log.question, _questions(log, before)) if question}
    trained = {record.prompt for record in log.records.values() if isinstance(record, Episode)}
    return len(prompts & trained) if prompts else None


def _questions(log: StageLog, reading: Reading) -> list[str]:
    return [judgment.question for judgment in log.judgments_under(reading)]


def _half(change: Figure | None) -> float | None:
    if change is None or change.low is None or change.high is None:
        return None
    return (change.high - change.low) / 2


def _differences(before: Reading, after: Reading) -> list[float]:
    old = dict(zip(before.items, before.outcomes, strict=True))
    new = zip(after.items, after.outcomes, strict=True)
    return [outcome - old[item] for item, outcome in new if item in old]


def _p(before: Reading, after: Reading) -> float | None:
    """The sign-flip permutation p-value of the paired differences; None where nothing is paired."""
    found = _differences(before, after)
    if before.instrument != after.instrument or not found:
        return None
    return sign_flip(np.array(found, dtype=np.float64), seeded(after.run, after.name, "sign_flip"))
