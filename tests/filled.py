"""A labelling project in which scripted raters have answered: pages of figures need something to show.

One rater presses the first button in six seconds; the others have tastes of their own, and know the sums that
are gold.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from accord.overseers.human import human_config
from accord.records import (
    By,
    Instrument,
    Judgment,
    Kind,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Selection,
    Times,
    Verdict,
)
from accord.stores.identity import Account, Identity
from accord.stores.people import Consent, Lease, People, Project
from accord.stores.people.quality import next_for
from accord.web.sitting import order_for

__all__ = ["LAZY", "Filled", "fill"]

ASKED = {
    "cooking": (
        "How do I get burnt milk off the hob?",
        "Can I freeze cooked rice?",
        "Why did my bread not rise?",
    ),
    "health": (
        "What helps against a stiff neck?",
        "How much water should I drink?",
        "When is a cough serious?",
    ),
    "writing": (
        "How do I begin a letter of complaint?",
        "Explain irony to a child.",
        "Help me to say no politely.",
    ),
}
FOR_WHOM = ("", "for a beginner", "in two sentences", "with an example", "for an expert", "kindly", "again")
SAYS = (
    "Wait until it is cold, lay a damp cloth on it, and lift the rest off with a plastic card.",
    "Yes. Keep it short, and say what you want first.",
    "It depends on what you mean; a few examples would help.",
    "Usually not, unless it lasts longer than two weeks.",
)
POLICIES = {"base-1b": 0.0, "tuned-1b": 0.9, "tuned-3b": 1.5}
NAMES = ("Ada", "Ben", "Cleo", "Dev", "Eva", "Finn", "Gil", "Hana")
AGES = ("under 30", "30 to 50", "over 50")
LAZY = "Gil"


class Filled(NamedTuple):
    """Databases that are open, the raters, and a clock: ``now[0]``."""

    people: People
    identity: Identity
    raters: list[Account]
    now: list[float]

    def close(self) -> None:
        self.people.close()
        self.identity.close()


def fill(folder: Path, now: float, questions: int, panel: int, most: Sequence[int]) -> Filled:
    """``most``: how often each rater answers, of those there are names for."""
    clock = [now - 8 * 86_400.0]
    people = People.open(folder / "labels.db", lambda: clock[0])
    identity = Identity.open(folder / "labels.accounts.db", lambda: clock[0])
    people.keep_project(_project(folder))
    asked, records = _questions(questions, random.Random(4))
    people.post(asked, records, slots=panel)
    # Orders and gold go by pseudonyms: drawn anew, one rater in some would lean too little to be flagged.
    drawn = random.Random(1)
    with patch("secrets.token_hex", lambda size: drawn.randbytes(size).hex()):
        raters = [identity.accounts.make(name, "rater") for name in NAMES[: len(most)]]
    for place, rater in enumerate(raters):
        identity.consents.agree(rater.id, "1", {"age": AGES[place % 2]})
    filled = Filled(people, identity, raters, clock)
    of = {answer.id: answer.policy for answer in records if isinstance(answer, Response)}
    rng, left = random.Random(5), dict(zip(raters, most, strict=True))
    voices = {rater: _Voice(filled, rater, of, number) for number, rater in enumerate(raters)}
    while any(left.values()):
        rater = rng.choice([one for one, times in left.items() for _ in range(times)])
        clock[0] += rng.expovariate(sum(most) / (7.5 * 86_400))
        left[rater] = left[rater] - 1 if voices[rater].answer() else 0
    next_for(people, raters[0].pseudonym)
    return filled


def _project(folder: Path) -> Project:
    gold = folder / "gold.jsonl"
    sums = [
        {"prompt": f"What is {a} + {a + 3}?", "answers": [f"{2 * a + 3}", f"{2 * a + 5}"], "best": 0}
        for a in range(20, 60)
    ]
    gold.write_text("".join(json.dumps(one | {"known_by": "program"}) + "\n" for one in sums))
    return Project(
        title="Helpful answers, second round",
        gold_questions=str(gold),
        gold=0.12,
        repeats=0.25,
        minimum=20,
        k=3,
        groups={"age": AGES},
        consent=Consent(text="I agree that my answers are used.", version="1"),
    )


def _questions(count: int, rng: random.Random) -> tuple[list[Question], list[Record]]:
    asked: list[Question] = []
    records: list[Record] = []
    wording = Instrument(
        wording="Which answer is more helpful?", allows=("tie", "acceptability", "abstention")
    )
    for i in range(count):
        stratum = list(ASKED)[i % 3]
        text = f"{ASKED[stratum][i // 3 % 3]} {FOR_WHOM[i // 9 % 7]}".strip()
        prompt = Prompt.of(text, stratum)
        pair = [
            Response(prompt=prompt.id, text=text, policy=policy, index=side)
            for side, (policy, text) in enumerate(
                zip(rng.sample(list(POLICIES), 2), rng.sample(SAYS, 2), strict=True)
            )
        ]
        arm = "random" if i % 5 < 3 else "uncertain"
        chosen = Selection(
            arm=arm, propensity=1 / 60, selector="accord.maths.selection/1", pool=f"60-{0:032}", seed=i
        )
        asked.append(
            Question(
                asks=Kind.COMPARE,
                prompt=prompt.id,
                responses=tuple(answer.id for answer in pair),
                instrument=wording,
                selection=chosen,
            )
        )
        records += [prompt, *pair]
    return asked, records


class _Voice:
    """One rater, who decides by taste, by what is known, or by the first button."""

    def __init__(self, filled: Filled, rater: Account, policy: dict[str, str], number: int) -> None:
        self._filled, self._rater, self._policy = filled, rater, policy
        self._rng, self._said = random.Random(number), 0
        self._taste = {name: worth + self._rng.gauss(0, 0.4) for name, worth in POLICIES.items()}
        self._lazy = rater.name == LAZY

    def answer(self) -> bool:
        """The next question, answered; False where there is none."""
        people, who, now = self._filled.people, self._rater.pseudonym, self._filled.now[0]
        lease = next_for(people, who)
        if lease is None:
            return False
        question = people.read(lease.question)
        assert isinstance(question, Question)
        earlier = people.judgment(question.revisits) if question.revisits else None
        order = order_for(who, question, earlier)
        took = self._rng.gammavariate(3, 2) if self._lazy else self._rng.gammavariate(4, 9)
        self._said += 1
        people.submit(lease, self._judgment(lease, question, order, (now, took)), f"{who}-{self._said:06}")
        return True

    def _judgment(
        self, lease: Lease, question: Question, order: tuple[str, ...], times: tuple[float, float]
    ) -> Judgment:
        now, took = times
        fields: dict[str, Any] = {"verdict": self._verdict(question, order)}
        if self._rng.random() < 0.04:
            fields = {"abstention": self._rng.choice(("unclear", "unclear", "not_my_field", "distressing"))}
        return Judgment(
            question=question.id,
            by=By(
                type="person",
                name=self._rater.pseudonym,
                config=human_config(self._filled.people.id, lease.number),
            ),
            shown=order,
            salt=f"{self._rng.getrandbits(128):032x}",
            times=Times(shown=now - took, submitted=now, active=took),
            rationale="The other one does not answer the question." if self._rng.random() < 0.1 else "",
            **fields,
        )

    def _verdict(self, question: Question, order: tuple[str, ...]) -> Verdict:
        first, second = order
        if self._lazy and self._rng.random() < 0.9:
            return Ranked(tiers=((first,), (second,)))
        if question.responses[0] not in self._policy:  # gold: the first one is right
            best = question.responses[self._rng.random() > 0.96]
            return Ranked(tiers=((best,), tuple(answer for answer in order if answer != best)))
        steady = random.Random(f"{self._rater.name}{question.prompt}").gauss(0, 0.7)
        gap = self._taste[self._policy[first]] - self._taste[self._policy[second]]
        gap += steady * (1 if first < second else -1) + self._rng.gauss(0, 0.2)
        if abs(gap) < 0.2:
            return Ranked(tiers=(order,), acceptable=() if self._rng.random() < 0.4 else None)
        return Ranked(tiers=((first,), (second,)) if gap > 0 else ((second,), (first,)))
