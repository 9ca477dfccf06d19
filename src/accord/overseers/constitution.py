"""Constitution: each question is judged under one principle, drawn for it (2212.08073).

The principle stands in the question's instrument, in place of any other, so it reaches whatever overseer is
inside; which one it was is in the judgment's note, and in the question that is its parent's.

1. The draw is a function of the prompt and the answers in whatever order, of ``seed`` and of the number of
   principles: turned round, a question keeps its principle.
2. If the inner overseer reasons before it chooses, its probabilities are certain beyond what they are worth:
   of two answers p is held within [.4, .6], as in the reference; of more it is refused.
3. A document of values stands in a plan as ``principles = { values = "minimal" }``: its texts are put there
   before this is built, and so are part of its hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self

from pydantic import Field, model_validator

from accord.overseers import Inner, Made, generator, inside, shares, unordered
from accord.part import Part
from accord.ports import Desk
from accord.problems import problem
from accord.records import Judgment, Kind, Question, Spread

__all__ = ["Constitution", "clamped"]

_LOW = 0.4


def clamped(p: float) -> float:
    """Held within [.4, .6]: what is chosen stays chosen, and what is certain no longer is.

    >>> [clamped(p) for p in (1.0, 0.55, 0.0)]
    [0.6, 0.55, 0.4]
    """
    return min(max(p, _LOW), 1 - _LOW)


class Constitution(Made, Part):
    """The inner overseer under one of ``principles`` for each question."""

    inner: Inner
    principles: tuple[str, ...] = Field(min_length=1)
    seed: int = 0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        for index, text in enumerate(self.principles):
            if not text.strip():
                raise problem(["principles", index], text, "a text that is not empty")
        if len(set(self.principles)) < len(self.principles):
            raise problem(["principles"], list(self.principles), "each principle once")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    def drawn(self, question: Question) -> int:
        """The number of the principle that this question is judged under."""
        return int(generator(self.seed, *unordered(question)).integers(len(self.principles)))

    def firings(self, questions: Iterable[Question]) -> dict[str, int]:
        """How often each principle is drawn for these questions; they sum to their number."""
        counts = Counter(self.drawn(question) for question in questions)
        return {text: counts[index] for index, text in enumerate(self.principles)}

    @property
    def _reasons(self) -> bool:
        return any(bool(getattr(one, "reasons", False)) for one, _ in inside(self.inner))

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        drawn = self.drawn(question)
        text = self.principles[drawn]
        instrument = question.instrument.model_copy(update={"principles": (text,)})
        under = question.model_copy(update={"instrument": instrument})
        said = await desk.ask(self.inner, under)
        told = f"principle {drawn + 1} of {len(self.principles)}: {text}"
        p = shares(question, said) if question.asks is Kind.COMPARE and self._reasons else None
        if p is None:
            return self.taken_over(question, said, told)
        if len(question.responses) != 2:
            raise ValueError("an overseer that reasons is held within [.4, .6] of two answers, not of more")
        taken = self.taken_over(question, said, told)
        held = {answer: clamped(share) for answer, share in p.items()}
        return taken.model_copy(update={"verdict": Spread(p=held) if len(held) == 2 else said.verdict})
