"""Rows of TRL's six types from feedback, standard or conversational.

| type | one row for |
|---|---|
| ``preference`` | two answers, one of them better; ``weight``: its part of the vote, ``p``: of a soft one |
| ``unpaired`` | each answer that somebody called good enough, or not |
| ``stepwise`` | each answer in steps, each graded at an end of the scale (``steps.py``; plain texts only) |
| ``prompt-completion``, ``language-modelling`` | each revised text, or demonstration |
| ``prompt-only`` | each prompt |

Beside TRL's columns, the only ones that its trainers read, stand ``annotator`` and ``rationale`` (of the
first three types), ``slice``, and the prompt's own columns: what ``accord.stores.foreign.rows`` reads back. A
row that would be read back as anything else than what was said is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from accord.errors import PlanError
from accord.maths.votes import Vote, votes_of
from accord.records import Judgment, Prompt, Ranked, Revised, Spread
from accord.stores.foreign.exports.counted import (
    SIGNED,
    Type,
    acceptability,
    count_judgment,
    count_question,
    disagree,
)
from accord.stores.foreign.exports.form import Draft, Form, annotator_of
from accord.stores.foreign.exports.given import Asked, Export, Fields, Given, asked_of, made_of
from accord.stores.foreign.exports.steps import step_rows

__all__ = ["trl_rows"]


def trl_rows(given: Given, type_: Type, conversational: bool = False) -> Export:
    """The rows of one type, and what they cannot say. PlanError: TRL has no conversational steps."""
    if type_ == "stepwise" and conversational:
        raise PlanError("--conversational", type_, "any other type", "TRL has steps as plain texts only")
    lost = Counter[str]()
    form = Form(type_, conversational, lost)
    asked = asked_of(given, lost)
    for one in asked:
        count_question(one, type_, lost)
        if type_ in SIGNED and disagree(one):
            lost["questions on which verdicts differ: rows that contradict each other"] += 1
    if type_ == "stepwise":
        rows, used = step_rows(asked, form, lost)
    elif type_ == "prompt-only":
        rows, used = _prompts(asked, form, lost), []
    else:
        rows, used = _judged(asked, form, type_, lost)
    return made_of(rows, lost, used)


def _prompts(asked: Iterable[Asked], form: Form, lost: Counter[str]) -> list[Fields]:
    prompts: dict[str, Prompt] = {}
    for one in asked:
        prompts[one.prompt.id] = one.prompt
        for judgment in one.judgments:
            count_judgment(one, judgment, "prompt-only", lost)
    return [row for prompt in prompts.values() for row in form.rows(prompt, [Draft({})])]


def _judged(
    asked: Iterable[Asked], form: Form, type_: Type, lost: Counter[str]
) -> tuple[list[Fields], list[str]]:
    rows: list[Fields] = []
    used: list[str] = []
    for one in asked:
        for judgment in one.judgments:
            if not count_judgment(one, judgment, type_, lost):
                continue
            signed = {"annotator": annotator_of(judgment.by), "rationale": judgment.rationale}
            drafts = (draft._replace(**signed) for draft in _drafts(one, judgment, type_, lost))
            made = form.rows(one.prompt, drafts)
            rows += made
            used += [judgment.id] * bool(made)
    return rows, used


# What a verdict says, row by row


def _drafts(asked: Asked, judgment: Judgment, type_: Type, lost: Counter[str]) -> Iterator[Draft]:
    if any(len(turns) > 1 for turns in asked.answers.values()):
        lost["answers of several turns"] += 1
        return
    texts = {answer: turns[0] for answer, turns in asked.answers.items()}
    match judgment.verdict:
        case Revised(text=text):
            yield Draft({"completion": text})
        case Ranked() | Spread() if type_ == "preference":
            votes = votes_of(asked.question, judgment)
            lost["rankings of more than two, now pairs"] += len(votes) > 1
            for vote in votes:
                yield from _paired(vote, texts, lost)
        case None:
            pass
        case verdict:
            for answer, good in (acceptability(asked, verdict) or {}).items():
                yield Draft({"completion": texts[answer]}, label=good)


def _paired(vote: Vote, texts: Mapping[str, str], lost: Counter[str]) -> Iterator[Draft]:
    """A row for two answers of which one is better; what is less than a whole vote says how much it is."""
    if vote.won == vote.lost:
        lost["both bad" if vote.bad else "ties"] += 1
        return
    (good, won), (bad, against) = sorted(
        [(vote.first, vote.won), (vote.second, vote.lost)], key=lambda side: -side[1]
    )
    numbers = {"weight": vote.mass} if vote.mass != 1 else {}
    if against:
        numbers["p"] = won / (won + against)
    yield Draft({"chosen": texts[good], "rejected": texts[bad]}, numbers=numbers)
