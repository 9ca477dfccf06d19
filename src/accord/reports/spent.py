"""What a stage took: answers and judgments, pressure, nats of KL, and the price of a gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from accord.plan import PartTable
from accord.records import Cost, Episode, Question, Response, StepEvent, account
from accord.reports.document import Figure, Result, Spent, Trained
from accord.reports.logs import StageLog
from accord.reports.released import released_prompts
from accord.reports.words import number

__all__ = ["spent_by", "told_part", "told_settings", "trained_of"]


def trained_of(log: StageLog) -> Trained:
    """What was trained and what it took, counted over the log: each answer and judgment once."""
    stage = log.stage
    total = account(log.records.values())
    updates = log.updates()
    spans = log.spans()
    return Trained(
        start=_start(log),
        method=_method(stage.method),
        source=told_part(stage.source),
        asked=tuple(
            f"{told_part(ask.overseer)}; asked: {ask.name}, into {ask.column}, joined by {ask.collapse}"
            for ask in stage.ask
        ),
        learner=told_part(stage.learner),
        windows=len(log.windows()),
        windows_planned=stage.windows,
        updates=len(updates),
        refused=sum(event.scalars.get("applied", 1.0) != 1.0 for event in updates),
        answers=_answers(log),
        answer_tokens=total.answer_tokens,
        judgments=total.judgments,
        abstentions=total.abstentions,
        judging=_cost(total.judging),
        measuring=_cost(total.measuring),
        seconds=math.fsum(spans),
        starts=len(spans),
    )


def spent_by(log: StageLog, result: Result) -> Spent:
    """Pressure (report only) and the last KL, with its price in held-out gain where there is one."""
    updates = [event for event in log.updates() if event.scalars.get("applied", 1.0) == 1.0]
    windows = log.windows()
    tokens = sum(event.scalars.get("answer_tokens", 0.0) for event in updates)
    pushed = math.fsum(
        event.scalars.get("pushed_down", 0.0) * event.scalars.get("answer_tokens", 0.0) for event in updates
    )
    counted = [event.scalars for event in windows if "accepted" in event.scalars]
    rows = sum(scalars.get("rows", 0.0) - scalars.get("missing", 0.0) for scalars in counted)
    used = sum(scalars["accepted"] for scalars in counted)
    readings = [one for one in log.readings if one.name == "reverse_kl" and one.step > 0]
    readings = [one for one in readings if log.kept in (None, one.step)] or readings
    last = readings[-1] if readings else None
    kl = Figure(last.value, last.low, last.high, last.id, log.place(last.id)) if last else None
    price, says = _price(log, kl, result)
    return Spent(
        pushed_down=pushed / tokens if tokens else None,
        pushed_tokens=int(tokens),
        pushed_answers=_mean(updates, "pushed_answers"),
        negative_mass=_mean(updates, "negative_mass"),
        pushed_of=sum("pushed_answers" in event.scalars for event in updates),
        unused=1 - used / rows if rows else None,
        unused_of=int(rows),
        kl=kl,
        kl_step=last.step if last else 0,
        price=price,
        price_says=says,
    )


def _mean(events: Sequence[StepEvent], name: str) -> float | None:
    """Over the events that have the figure."""
    values = [event.scalars[name] for event in events if name in event.scalars]
    return math.fsum(values) / len(values) if values else None


def told_part(table: PartTable) -> str:
    """A part of the plan in words: its name and the settings the plan gives it."""
    settings = told_settings(table.plain())
    return f"{table.name} ({settings})" if settings else table.name


def told_settings(settings: Mapping[str, object]) -> str:
    """Settings as ``name = value``, tables as their names."""
    return ", ".join(f"{key} = {_told_value(value)}" for key, value in settings.items())


def _told_value(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number(value, 6)
        case _:
            return str(value)


def _method(table: PartTable) -> str:
    """The shipped methods in a sentence, others by name and settings."""
    settings = table.plain()
    match table.name:
        case "best_of_n":
            n, threshold = settings.get("n", 8), settings.get("threshold")
            kept = "the best of them is" if threshold is None else f"those that score {threshold} or more are"
            return (
                f"Best-of-n distillation: the model answers each prompt {n} times, {kept} made more likely, "
                f"nothing is pushed down [{told_part(table)}]"
            )
        case "sft":
            return (
                "Supervised fine-tuning: the answers of the data are made more likely, nothing is pushed "
                f"down [{told_part(table)}]"
            )
        case _:
            return told_part(table)


def _start(log: StageLog) -> str:
    stages = [stage.name for stage in log.plan.stage]
    before = stages.index(log.stage.name) - 1
    if log.stage.model is not None:
        return log.stage.model
    return f"stage:{stages[before]}" if before >= 0 else log.plan.model


def _answers(log: StageLog) -> dict[str, int]:
    """Answers by use: offered to the method (in an episode), evaluated, held out, or judged in vain."""
    records = list(log.records.values())
    trained = {response for one in records if isinstance(one, Episode) for response in one.responses}
    asked = {response for one in records if isinstance(one, Question) for response in one.responses}
    held_out = {question.prompt for question in log.questions_under(log.held_out)}
    against = log.questions_under(log.versus)
    contested = {response for question in against for response in question.responses}
    evaluated = {parent for reading in log.evaluations for parent in reading.parents}
    counts = {"training": 0, "held out": 0, "probes": 0, "unfinished window": 0}
    counts |= {"evaluation": 0} if evaluated else {}
    released = released_prompts(log)
    counts |= {"release test": 0} if released else {}
    counts |= {"win rate": 0} if against else {}
    for record in records:
        if not isinstance(record, Response):
            continue
        if record.id in trained:
            counts["training"] += 1
        elif record.id in evaluated:
            counts["evaluation"] += 1
        elif record.id in contested:
            counts["win rate"] += 1
        elif record.id not in asked:
            counts["probes"] += 1
        elif record.prompt in released:
            counts["release test"] += 1
        else:
            counts["held out" if record.prompt in held_out else "unfinished window"] += 1
    return counts


def _cost(cost: Cost) -> dict[str, float]:
    """The parts of a cost that are not zero."""
    return {name: value for name, value in cost.model_dump().items() if value}


def _price(log: StageLog, kl: Figure | None, result: Result) -> tuple[Figure | None, str]:
    """Nats per point of gain. Its interval is made of the corners of both, so it is wider than 95 %."""
    if kl is None:
        return None, "No KL was measured after training, so no price is stated."
    if not log.from_base:
        return (
            None,
            "KL is measured from the base of all stages, the gain within this one; no price is stated.",
        )
    change = result.change
    if change is None or not result.share:
        return None, "There is no paired gain in points, so no price is stated."
    if result.verdict != "improved" or change.low is None or change.high is None:
        return None, "There is no gain that the interval can tell from zero, so no price is stated."
    if kl.low is None or kl.high is None:
        return None, "The KL has no interval, so no price is stated."
    corners = [nats / (100 * gain) for nats in (kl.low, kl.high) for gain in (change.low, change.high)]
    price = Figure(kl.value / (100 * change.value), min(corners), max(corners), kl.record, kl.place)
    return price, (
        "The range joins the ends of both intervals. KL is read on the guard’s probes, the gain on held-out "
        "prompts."
    )
