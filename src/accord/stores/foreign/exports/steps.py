"""Stepwise supervision: answers in steps from grades of single steps.

As the ask ``steps`` has it, a Grade question is about one step, and the steps before it are its evidence.
Here questions are put together again into whole answers. A row is one person's labels of every step of an
answer; where nobody graded all of them, it is what all who graded some agree on, and nobody's in particular.
A label is true or false: only grades at the ends of the scale are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from accord.maths.votes import grade_of
from accord.records import Judgment, Kind
from accord.stores.foreign.exports.counted import RIGHT_STEP, count_judgment
from accord.stores.foreign.exports.form import Draft, Form, annotator_of
from accord.stores.foreign.exports.given import Asked, Fields

__all__ = ["step_rows"]


class _Labels(NamedTuple):
    """What a row says of an answer, and the judgments that say it."""

    right: tuple[bool, ...]
    judgments: tuple[Judgment, ...]
    annotator: str = ""


def step_rows(asked: Iterable[Asked], form: Form, lost: Counter[str]) -> tuple[list[Fields], list[str]]:
    """The rows, and the ids of the judgments in them."""
    steps: dict[tuple[str, ...], Asked] = {}
    for one in asked:
        judged = [j for j in one.judgments if count_judgment(one, j, "stepwise", lost)]
        if _is_step(one):
            steps[(*one.question.evidence, *one.question.responses)] = one._replace(judgments=tuple(judged))
        else:
            lost["grades of whole answers"] += len(judged)
    begun = {answer[:-1] for answer in steps}
    rows: list[Fields] = []
    used: list[str] = []
    for answer in [answer for answer in steps if answer not in begun]:
        whole = [steps.get(answer[: k + 1]) for k in range(len(answer))]
        asked_steps = [one for one in whole if one is not None]
        if len(asked_steps) < len(answer):
            lost["answers with a step that nobody asked about"] += 1
            continue
        texts = tuple("".join(one.answers[one.question.responses[0]]) for one in asked_steps)
        for labels in _labelled(asked_steps, lost):
            draft = Draft({}, steps=texts, labels=labels.right, annotator=labels.annotator)
            made = form.rows(asked_steps[0].prompt, [draft._replace(rationale=_rationales(labels.judgments))])
            rows += made
            used += [judgment.id for judgment in labels.judgments if made]
    return rows, used


def _is_step(asked: Asked) -> bool:
    """One answer, of which the steps before are shown; the first step of all is told by how it is asked."""
    question = asked.question
    alone = question.asks is Kind.GRADE and len(question.responses) == 1
    worded = question.instrument.wording == RIGHT_STEP.wording
    return alone and (bool(question.evidence) or worded) and not question.revisits


def _labelled(steps: Sequence[Asked], lost: Counter[str]) -> list[_Labels]:
    """One row for each time that one person graded every step; else one of all, if they agree."""
    by_rater: dict[str, list[list[Judgment]]] = defaultdict(lambda: [[] for _ in steps])
    for k, step in enumerate(steps):
        for judgment in step.judgments:
            by_rater[annotator_of(judgment.by)][k].append(judgment)
    found: list[_Labels] = []
    for rater, graded in by_rater.items():
        for judgments in zip(*graded, strict=False):
            right = [_right(step, judgment) for step, judgment in zip(steps, judgments, strict=True)]
            if None in right:
                lost["answers with a grade between right and wrong"] += 1
            else:
                found.append(_Labels(tuple(map(bool, right)), tuple(judgments), rater))
    whole = {rater: min(map(len, graded)) for rater, graded in by_rater.items()}
    if not any(whole.values()):
        return _agreed(steps, lost)
    lost["grades of some steps, beside people who graded all"] += sum(
        len(own) - whole[rater] for rater, graded in by_rater.items() for own in graded
    )
    return found


def _agreed(steps: Sequence[Asked], lost: Counter[str]) -> list[_Labels]:
    said = [{_right(step, judgment) for judgment in step.judgments} for step in steps]
    if not all(said):
        lost["answers with a step that nobody graded"] += 1
        return []
    if any(len(labels) > 1 for labels in said):
        lost["answers on whose steps people differ"] += 1
        return []
    if any(None in labels for labels in said):
        lost["answers with a grade between right and wrong"] += 1
        return []
    right = tuple(bool(next(iter(labels))) for labels in said)
    return [_Labels(right, tuple(judgment for step in steps for judgment in step.judgments))]


def _right(step: Asked, judgment: Judgment) -> bool | None:
    """Whether the step is right; None of a grade that lies between the ends of the scale."""
    low, high = step.question.instrument.scale or (0.0, 1.0)
    grade = grade_of(judgment)
    return None if grade not in (low, high) else grade == high


def _rationales(judgments: Sequence[Judgment]) -> JsonValue:
    """The rationale of each step; nothing where there is none."""
    said: list[JsonValue] = [judgment.rationale for judgment in judgments]
    return said if any(said) else ""
