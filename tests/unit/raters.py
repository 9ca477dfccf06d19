"""A queue of people in memory, and a rater who answers by rule: what tests of people in runs share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from accord.overseers.human import human_config
from accord.records import By, Judgment, Question, Ranked, Record, Response, Verdict
from accord.stores.people import People

Rule = Callable[[Question, Callable[[str], Record]], Verdict]
WORDS = "because-the-rater-said-so"


def shorter(question: Question, read: Callable[[str], Record]) -> Verdict:
    """The shorter answer is better."""
    lengths = {r: len(_text(read(r))) for r in question.responses}
    tiers = tuple((r,) for r in sorted(question.responses, key=lambda r: lengths[r]))
    return Ranked(tiers=tiers, acceptable=tiers[0])


def _text(record: Record) -> str:
    assert isinstance(record, Response)
    return record.text


def said(question: Question, config: str, verdict: Verdict, rater: str = "r-000000000001") -> Judgment:
    by = By(type="person", name=rater, config=config)
    salt = f"salt-{rater}-{config[:4]}"
    return Judgment(
        question=question.id, by=by, shown=question.responses, verdict=verdict, rationale=WORDS, salt=salt
    )


class InMemory:
    """Satisfies the port Queue. ``rule`` answers at once; None: nobody does until ``answers`` is filled."""

    def __init__(self, rule: Rule | None = shorter, id: str = "q") -> None:  # noqa: A002 - the port's word
        self.id, self.rule = id, rule
        self.records: dict[str, Record] = {}
        self.slots: dict[str, int] = {}
        self.given: dict[str, Judgment | None] = {}
        self.answers: dict[tuple[str, int], Judgment] = {}
        self.asked: list[tuple[str, int]] = []
        self.fails = 0

    def post(self, questions: Sequence[Question], records: Sequence[Record], slots: int = 1) -> None:
        self.records |= {r.id: r for r in (*questions, *records)}
        for question in questions:
            self.slots[question.id] = max(slots, self.slots.get(question.id, 0))

    def say(self, question: str, slot: int, verdict: Verdict) -> Judgment:
        asked = self.records[question]
        assert isinstance(asked, Question)
        judgment = said(asked, human_config(self.id, slot), verdict)
        self.answers[question, slot] = self.given[judgment.id] = judgment
        return judgment

    async def answer(self, question: str, slot: int, deadline: float | None = None) -> Judgment | None:
        if slot >= self.slots.get(question, 0):
            raise KeyError(question)
        self.asked.append((question, slot))
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the server is being restarted")
        asked = self.records[question]
        assert isinstance(asked, Question)
        if (question, slot) not in self.answers and self.rule is not None:
            self.say(question, slot, self.rule(asked, self.records.__getitem__))
        while (question, slot) not in self.answers:
            await asyncio.sleep(0.01)
            if deadline is not None:
                return None
        return self.answers[question, slot]

    def judgment(self, judgment: str) -> Judgment | None:
        return self.given[judgment]


def answered(url: Path, rule: Rule = shorter, rater: str = "r-000000000001", limit: int = 10**6) -> int:
    """A rater goes through a labelling database; how many questions it answered."""
    count = 0
    with People.open(str(url)) as people:
        while count < limit and (lease := people.lease(rater)) is not None:
            question = people.read(lease.question)
            assert isinstance(question, Question)
            judgment = said(
                question, human_config(people.id, lease.number), rule(question, people.read), rater
            )
            people.submit(lease, judgment, f"{rater}-{lease.question}")
            count += 1
    return count
