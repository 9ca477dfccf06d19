"""Questions for people, and people who answer them without thinking long."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from accord.overseers.human import human_config
from accord.records import By, Judgment, Kind, Prompt, Question, Ranked, Record, Response
from accord.stores.people import Lease, People

__all__ = ["Posted", "answered", "comparisons", "pseudonym", "said"]


class Posted(NamedTuple):
    """Questions, and all texts that they name."""

    questions: list[Question]
    records: list[Record]


def comparisons(n: int, text: str = "Why") -> Posted:
    """n pairs of answers, each to a prompt of its own."""
    questions: list[Question] = []
    records: list[Record] = []
    for number in range(n):
        prompt = Prompt.of(f"{text} {number}?")
        pair = [Response(prompt=prompt.id, text=f"answer {side} to {number}", index=side) for side in (0, 1)]
        ids = tuple(response.id for response in pair)
        questions.append(Question(asks=Kind.COMPARE, prompt=prompt.id, responses=ids))
        records += [prompt, *pair]
    return Posted(questions, records)


def pseudonym(number: int) -> str:
    """
    >>> pseudonym(10)
    'r-00000000000a'
    """
    return f"r-{number:012x}"


def said(people: People, lease: Lease, **fields: Any) -> Judgment:
    """That rater's judgment of the leased question: the first answer is better, unless ``fields`` differ."""
    question = people.read(lease.question)
    assert isinstance(question, Question)
    own: dict[str, Any] = {
        "question": question.id,
        "by": By(type="person", name=lease.rater, config=human_config(people.id, lease.number)),
        "shown": question.responses,
        "salt": secrets.token_hex(16),
    }
    if "abstention" not in fields and "verdict" not in fields:
        own["verdict"] = Ranked(tiers=tuple((response,) for response in question.responses))
    return Judgment.model_validate(own | fields)


def answered(people: People, rater: str, key: str | None = None, **fields: Any) -> Judgment:
    """The next question of a rater, leased and judged."""
    lease = people.lease(rater)
    assert lease is not None, "nothing is left to ask"
    judgment = said(people, lease, **fields)
    assert people.submit(lease, judgment, key or secrets.token_hex(8)).state == "stored"
    return judgment
