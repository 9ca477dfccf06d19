"""Doubting: reward models say which pairs they are unsure of, and those are asked of people more often.

Every head of every model is a member of the ensemble, and gives a pair the chance σ(s_a − s_b) that its first
answer wins; the variance of these over the members is the pair's doubt. One question in five is drawn at
random all the same, so that what no head doubts comes too, and its propensity is exact
(``accord.maths.selection``). Questions that compare no two answers have no doubt: they come by chance alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from accord.errors import PlanError
from accord.maths.selection import draws, uncertain, weights_of
from accord.ports import Sampler
from accord.records import Kind, Prompt, Question, Record, Response, Selection
from accord.records.rows import Floats, Text
from accord.worker import Worker

__all__ = ["Doubts", "doubt"]

_SCORE = frozenset({"score"})


def doubt(score_HA: Floats, first_N: Sequence[int], second_N: Sequence[int]) -> Floats:
    """The doubt of each pair, by the places of its answers; NaN where a head gave no number.

    Two heads, scores 0 and ln 3 of the first answer, 0 of the second: chances ½ and ¾, variance 1/64.

    >>> doubt(np.array([[0.0, 0.0], [np.log(3), 0.0]]), [0], [1]).round(6).tolist()
    [0.015625]
    """
    gap_HN = score_HA[:, list(first_N)] - score_HA[:, list(second_N)]
    return uncertain(1 / (1 + np.exp(-gap_HN)))


class Doubts(NamedTuple):
    """Chooses questions. ``members``: reward models that were opened."""

    members: tuple[Sampler, ...]
    seed: int

    @classmethod
    def opened(cls, models: Sequence[str], open_model: Callable[[str], Sampler], seed: int) -> Self:
        """PlanError for a model that gives no scores."""
        members: list[Sampler] = []
        for model in models:
            sampler = open_model(model)
            if "score" not in sampler.can:
                advice = "train one with the method reward_model, with several heads"
                raise PlanError(
                    "--reward-model", model, f"a reward model; it can {sorted(sampler.can)}", advice
                )
            members.append(sampler)
        return cls(tuple(members), seed)

    def __call__(
        self, questions: Sequence[Question], records: Sequence[Record], most: int
    ) -> dict[str, Selection]:
        """At most so many of the questions, drawn without replacement, and how each came."""
        scores = {"uncertain": self._doubts(questions, records)}
        ids = [question.id for question in questions]
        return {
            one.question: one.selection
            for one in draws(ids, scores, weights_of(list(scores)), most, self.seed)
        }

    def _doubts(self, questions: Sequence[Question], records: Sequence[Record]) -> Floats:
        pairs = [
            (place, q)
            for place, q in enumerate(questions)
            if q.asks is Kind.COMPARE and len(q.responses) == 2
        ]
        found = np.full(len(questions), np.nan)
        if pairs:
            answers = {r.id: r for r in records if isinstance(r, Response)}
            prompts = {r.id: r for r in records if isinstance(r, Prompt)}
            named = list(dict.fromkeys(one for _, q in pairs for one in q.responses))
            score_HA = self._scores([Text(prompts[answers[one].prompt], answers[one]) for one in named])
            at = {one: place for place, one in enumerate(named)}
            first, second = ([at[q.responses[side]] for _, q in pairs] for side in (0, 1))
            found[[place for place, _ in pairs]] = doubt(score_HA, first, second)
        return found

    def _scores(self, texts: Sequence[Text]) -> Floats:
        """One row for each head of each model. PlanError where there is one alone, which doubts nothing."""
        rows: list[Floats] = []
        with Worker() as worker:
            for member in self.members:
                scored = worker.run(member.score(texts, _SCORE))
                rows += list(np.array([np.asarray(s.columns["score"], dtype=np.float64) for s in scored]).T)
        if len(rows) < 2:
            allowed = "several heads or several models: one alone does not differ"
            raise PlanError("--reward-model", len(rows), allowed, "train reward_model with heads = 5")
        return np.array(rows)
