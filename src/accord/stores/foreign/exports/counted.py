"""What a type of rows cannot say of feedback, counted by reason: nothing is dropped in silence."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from accord.records import (
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Ranked,
    Revised,
    Spread,
    Verdict,
    canonical,
)
from accord.stores.foreign.exports.given import Asked

__all__ = [
    "ACCEPTABLE",
    "SIGNED",
    "TYPES",
    "Type",
    "acceptability",
    "count_judgment",
    "count_question",
    "disagree",
]

Type = Literal["language-modelling", "prompt-only", "prompt-completion", "preference", "unpaired", "stepwise"]
TYPES: tuple[Type, ...] = (
    "preference",
    "unpaired",
    "stepwise",
    "prompt-completion",
    "prompt-only",
    "language-modelling",
)

ACCEPTABLE = ("acceptable", "unacceptable")
GOOD_ENOUGH = Instrument(options=ACCEPTABLE)
"""Of a Label question that asks whether one answer is good enough."""

RIGHT_STEP = Instrument(wording="Is this step right, given those before it?", scale=(0.0, 1.0))
"""Of a Grade question about one step, as the ask ``steps`` words it where a plan does not."""

SIGNED: frozenset[Type] = frozenset({"preference", "unpaired", "stepwise"})
"""Types whose readers know who judged and why; elsewhere such a column would belong to the prompt."""


def acceptability(asked: Asked, verdict: Verdict) -> dict[str, bool] | None:
    """Which answers are good enough, as far as a verdict says so; None where it does not."""
    match verdict:
        case Ranked(acceptable=tuple() as good):
            return {answer: answer in good for answer in asked.question.responses}
        case Labelled(tags=(tag,)) if tag in ACCEPTABLE and asked.question.instrument.options == ACCEPTABLE:
            return dict.fromkeys(asked.question.responses, tag == ACCEPTABLE[0])
        case _:
            return None


def count_judgment(asked: Asked, judgment: Judgment, type_: Type, lost: Counter[str]) -> bool:
    """Count what a row of this type leaves out of one judgment; False where nothing of it is left."""
    signed = type_ in SIGNED
    lost["confidences"] += judgment.confidence is not None
    lost["marks"] += bool(judgment.marks)
    lost["rationales"] += bool(judgment.rationale) and not signed
    lost["how it was shown, and when"] += bool(judgment.shown or judgment.rendering or judgment.times)
    if judgment.verdict is None:
        lost["abstentions"] += 1
        return False
    if type_ == "prompt-only":
        lost[f"{judgment.verdict.type} verdicts"] += 1
        return False
    lost["annotators"] += not signed
    return _count_verdict(asked, judgment.verdict, type_, lost)


def _count_verdict(asked: Asked, verdict: Verdict, type_: Type, lost: Counter[str]) -> bool:
    match verdict:
        case Ranked() if type_ in ("preference", "unpaired"):
            lost["strengths"] += verdict.strength is not None
            lost["acceptability"] += type_ == "preference" and verdict.acceptable is not None
            if type_ == "unpaired":
                lost["orders"] += len(verdict.tiers) > 1
                lost["rankings that do not say what is good enough"] += verdict.acceptable is None
            return type_ == "preference" or verdict.acceptable is not None
        case Spread() if type_ == "preference" and asked.question.asks is Kind.COMPARE:
            return True
        case Labelled() if type_ == "unpaired" and acceptability(asked, verdict) is not None:
            return True
        case Graded() if type_ == "stepwise":
            lost["what each head of an ensemble said"] += bool(verdict.heads)
            return True
        case Revised() if type_ in ("prompt-completion", "language-modelling"):
            lost["what a revised text replaces"] += bool(asked.question.responses)
            return True
        case _:
            lost[f"{verdict.type} verdicts"] += 1
            return False


def count_question(asked: Asked, type_: Type, lost: Counter[str]) -> None:
    """Count what rows leave out of a question."""
    question = asked.question
    lost["instruments"] += question.instrument not in (Instrument(), GOOD_ENOUGH, RIGHT_STEP)
    # Beside a step stand those before it, and they are in its row.
    lost["evidence"] += bool(question.evidence) and type_ != "stepwise"
    lost["questions asked again"] += question.revisits is not None
    lost["why a question was chosen"] += question.selection is not None
    lost["tokens that an answer may hold"] += asked.prompt.allowed is not None
    lost["tokens that a prompt begins in"] += asked.prompt.begun is not None


def disagree(asked: Asked) -> bool:
    """Whether two verdicts on a question differ, apart from texts, which always do.

    The order within a tier says nothing, so it makes no difference.
    """
    said: set[str] = set()
    for judgment in asked.judgments:
        match judgment.verdict:
            case Ranked(tiers=tiers, acceptable=acceptable):
                good = None if acceptable is None else sorted(acceptable)
                said.add(canonical([[sorted(tier) for tier in tiers], good]))
            case Graded(scores=scores):
                said.add(canonical(scores))
            case Labelled(tags=tags):
                said.add(canonical(sorted(tags)))
            case Spread(p=p):
                said.add(canonical(p))
            case _:
                pass
    return len(said) > 1
