"""The win rate against another model: what it was, who judged it, and what the judge had learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from accord.maths.overuse import GOLD
from accord.plan import PartTable, VersusTable
from accord.records import JSON, Episode, Graded, Judgment, Question, Ranked, Reading, Spread
from accord.reports.document import Figure, Versus
from accord.reports.logs import StageLog
from accord.reports.spent import told_part
from accord.reports.words import counted, percent
from accord.winrate import name_of

__all__ = ["told_versus", "versus_of"]

_OWN = "stage:"


def versus_of(log: StageLog) -> Versus | None:
    """What the plan's [stage.versus] came to; None where it has none."""
    table = log.stage.versus
    if table is None:
        return None
    judge, reading = _judge(log, table), _reading(log, table)
    if reading is None:
        gaps = [one.reason for one in log.not_measured if one.name == name_of(table.model)]
        why = f"was not measured: {gaps[-1]}" if gaps else "is read once training is over, and was not yet"
        return Versus(table.model, judge, f"The win rate against {table.model} {why}.")
    pairs, disagreed = _orders(log, reading)
    return Versus(
        model=table.model,
        judge=judge,
        says=f"{_said(table, reading)} {_how(table, pairs, disagreed)} {_unseen(log, reading)}",
        prompts=reading.n,
        pairs=pairs,
        disagreed=disagreed if table.ask == "compare" else None,
        rate=Figure(reading.value, reading.low, reading.high, reading.id, log.place(reading.id)),
    )


def told_versus(log: StageLog) -> str:
    """The win rate in a line; nothing where none was read."""
    table = log.stage.versus
    reading = _reading(log, table) if table else None
    if table is None or reading is None:
        return ""
    span = f"95 % interval {percent(reading.low)} to {percent(reading.high)}"
    won = f"{percent(reading.value)} of pairs won against {table.model}"
    return f"{won} ({span}; {counted(reading.n, 'prompt')}), judged by {_named(table.overseer)}"


def _reading(log: StageLog, table: VersusTable) -> Reading | None:
    found = [one for one in log.versus if one.name == name_of(table.model) and log.kept in (None, one.step)]
    return found[-1] if found else None


def _said(table: VersusTable, reading: Reading) -> str:
    span = f"95 % interval {percent(reading.low)} to {percent(reading.high)}"
    won = f"To {counted(reading.n, 'prompt')}, the result’s answers won {percent(reading.value)} of pairs "
    won += f"against those of {table.model} ({span}; ties are half)."
    if reading.low > 0.5:
        return f"{won} It wins more often than it loses."
    if reading.high < 0.5:
        return f"{won} It loses more often than it wins."
    return f"{won} That is no difference the interval can tell from one half."


def _how(table: VersusTable, pairs: int, disagreed: int) -> str:
    judged = counted(pairs, "pair")
    if table.ask == "grade":
        return f"Each answer of {judged} was graded by itself, so there was no order."
    turned = f"in {counted(disagreed, 'pair')} the first-shown or the last-shown won both times"
    return f"{judged[0].upper()}{judged[1:]} judged in both orders; {turned}, which counts as one half."


def _unseen(log: StageLog, reading: Reading) -> str:
    trained = {record.prompt for record in log.records.values() if isinstance(record, Episode)}
    if seen := len(trained & set(reading.items)):
        return f"{counted(seen, 'of these prompts was', 'of these prompts were')} also trained on."
    return "No prompt of the training windows is among them."


def _judge(log: StageLog, table: VersusTable) -> str:
    """Who judged, what its models learnt from, and whether the stage was trained on that very judge."""
    told = [f"Judged by {told_part(table.overseer)}."]
    learnt_from = [ask.overseer for ask in log.stage.ask if ask.column != GOLD]
    mine, learnt = _models(table.overseer), [m for part in learnt_from for m in _models(part)]
    told += [f"The judge {model} {_lesson(log, model)}." for model in mine]
    told += [
        f"What the stage was trained against, {model}, {_lesson(log, model)}."
        for model in dict.fromkeys(learnt)
        if model not in mine
    ]
    if table.overseer in learnt_from or set(mine) & set(learnt):
        told.append("The stage was trained on this very judge, so its verdict is not an independent one.")
    return " ".join(told)


def _lesson(log: StageLog, model: str) -> str:
    """What a model of an earlier stage learnt from, by the name of its file."""
    stage = next(stage for stage in log.plan.stage if stage.name == model.removeprefix(_OWN))
    settings = stage.source.plain()
    file = next((str(settings[key]) for key in ("data", "prompts") if key in settings), stage.source.name)
    return f"learnt by {stage.method.name} from {Path(file).name}"


def _models(table: PartTable) -> list[str]:
    """The stages whose results an overseer reads with."""
    return [text for text in _texts(table.plain()) if text.startswith(_OWN)]


def _texts(value: JSON) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case Sequence():
            for item in value:
                yield from _texts(item)
        case _:
            pass


def _named(table: PartTable) -> str:
    models = ", ".join(_models(table))
    return f"{table.name} ({models})" if models else table.name


def _orders(log: StageLog, reading: Reading) -> tuple[int, int]:
    """How many pairs were judged, and how many of them had another winner in each order."""
    found: dict[frozenset[str], list[str]] = {}
    graded = 0
    for judgment in log.judgments_under(reading):
        question = log.question(judgment.question)
        graded += isinstance(judgment.verdict, Graded)
        winner = _winner(judgment, question) if question else None
        if question and winner is not None:
            found.setdefault(frozenset(question.responses), []).append(winner)
    whole = [winners for winners in found.values() if len(winners) == 2]
    return graded // 2 + len(whole), sum(len({*winners, ""}) == 3 for winners in whole)


def _winner(judgment: Judgment, question: Question) -> str | None:
    """The answer that won, nothing for a tie; None where two answers were not compared."""
    match judgment.verdict:
        case Ranked(tiers=tiers):
            return tiers[0][0] if len(tiers) > 1 else ""
        case Spread(p=p):
            first, second = (p[response] for response in question.responses)
            return "" if first == second else question.responses[int(second > first)]
        case _:
            return None
