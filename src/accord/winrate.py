"""Win rates: a stage's result and another model answer the same prompts, and an overseer says who did better.

Answer i of the one meets answer i of the other. Compared, the two are shown in both orders, and a pair counts
only where both were answered: an overseer that likes the first it sees gives ½. Graded, each answer is read
by itself, so there is no order. A win is 1, a tie ½; the figure is the mean over pairs with a 95 % interval
by resampling prompts. Where every prompt agrees that interval has no width, and the exact binomial one of
the prompts is taken. What it says is what this overseer prefers, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.feedback import Asking, StageFeedback
from accord.maths.intervals import Interval, clopper_pearson, cluster_mean
from accord.ports import How, Overseer, Sampler
from accord.records import Cost, Kind, NotMeasured, Prompt, Reading, digest
from accord.records.rows import Floats, Group
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Contest", "Umpire", "asked_kind", "name_of", "told"]


def name_of(model: str) -> str:
    """What readings against a model are called: ``versus.`` and its stage, the last part of its path, or its
    name at its server.

    >>> name_of("stage:sft"), name_of("models/base/"), name_of("openai:http://host/v1#small")
    ('versus.sft', 'versus.base', 'versus.small')
    """
    return f"versus.{re.split('[/#]', model.removeprefix('stage:').rstrip('/'))[-1]}"


def asked_kind(ask: Literal["compare", "grade"]) -> Kind:
    """The kind of question that an overseer has to answer."""
    return Kind.COMPARE if ask == "compare" else Kind.GRADE


@dataclass(frozen=True)
class Contest:
    """The prompts, how they are answered and judged, and the other model as the plan names it."""

    model: str
    prompts: tuple[Prompt, ...]
    n: int
    temperature: float
    max_tokens: int
    ask: Literal["compare", "grade"]
    overseer: Overseer


def told(reading: Reading, contest: Contest) -> str:
    """The win rate in a line for the terminal."""
    orders = "in both orders" if contest.ask == "compare" else "by a grade for each answer, so in no order"
    span = f"95 % interval {reading.low:.1%} to {reading.high:.1%}; {reading.n:,} prompts"
    return f"against {contest.model}: {reading.value:.1%} of pairs won ({span}), judged {orders}"


class _Judged(NamedTuple):
    """For each pair how much of it the policy won, NaN where it was not judged, and the judgments."""

    won: Floats
    parents: list[tuple[str, ...]]


class Umpire(NamedTuple):
    """Who has the two models answer, and the answers judged."""

    given: Contest
    run: str
    feedback: StageFeedback
    worker: Worker

    def read(self, step: int, policy: Sampler, other: Sampler) -> Reading | NotMeasured:
        """The share of pairs that the policy wins. NotMeasured where fewer than two prompts have one."""
        given, name = self.given, name_of(self.given.model)
        ours, theirs = (
            self._answers(step, who, sampler) for who, sampler in (("policy", policy), ("other", other))
        )
        judged = self._graded(ours, theirs) if given.ask == "grade" else self._compared(ours, theirs)
        won = judged.won
        by_prompt = {
            group.prompt.id: own[~np.isnan(own)]
            for group, own in zip(ours, np.split(won, len(ours)), strict=True)
        }
        by_prompt = {prompt: values for prompt, values in by_prompt.items() if values.size}
        if len(by_prompt) < 2:
            common = self.feedback.abstained.most_common(1)
            why = f"; {common[0][1]} judgments abstained: {common[0][0]}" if common else ""
            reason = f"{len(by_prompt)} of {len(ours)} prompts have a judged pair, an interval needs 2{why}"
            return NotMeasured(run=self.run, name=name, step=step, reason=reason)
        found = self._interval(list(by_prompt.values()), (name, step))
        tokens = sum(len(r.tokens) for groups in (ours, theirs) for g in groups for r in g.responses)
        return Reading(
            run=self.run,
            name=name,
            step=step,
            instrument=self._instrument(other),
            value=found.value,
            low=found.low,
            high=found.high,
            n=len(by_prompt),
            unit="share of pairs",
            items=tuple(by_prompt),
            outcomes=tuple(float(values.mean()) for values in by_prompt.values()),
            cost=Cost(calls=len(ours) + len(theirs), tokens_out=tokens),
            parents=tuple(p for k, own in enumerate(judged.parents) if not np.isnan(won[k]) for p in own),
        )

    def _answers(self, step: int, who: str, sampler: Sampler) -> list[Group]:
        given = self.given
        how = How(f"{self.run}/versus/{step}/{who}", given.temperature, given.max_tokens)
        return self.worker.run(sampler.sample(given.prompts, given.n, how))

    def _compared(self, ours: Sequence[Group], theirs: Sequence[Group]) -> _Judged:
        """For each pair the mean of both orders, NaN where one of them was not answered."""
        asking = Asking(Pairs(column="p", collapse="distribution"), self.given.overseer)
        forward = self.feedback.one(asking, _paired(ours, theirs))
        abstained = self.feedback.abstained
        backward = self.feedback.one(asking, _paired(theirs, ours))
        self.feedback.abstained += abstained
        won = (forward.values["p"] + 1 - backward.values["p"]) / 2
        return _Judged(won, [(*a, *b) for a, b in zip(forward.parents, backward.parents, strict=True)])

    def _graded(self, ours: Sequence[Group], theirs: Sequence[Group]) -> _Judged:
        """For each pair 1, ½ or 0 by the order of its two grades, NaN where one is missing."""
        asking = Asking(Each(column="score", collapse="distribution"), self.given.overseer)
        table = self.feedback.one(asking, _paired(ours, theirs))
        mine, other = table.values["score"].reshape(-1, 2).T
        both = zip(table.parents[::2], table.parents[1::2], strict=True)
        return _Judged((np.sign(mine - other) + 1) / 2, [(*a, *b) for a, b in both])

    def _interval(self, won_P: list[Floats], key: tuple[str, int]) -> Interval:
        found = cluster_mean(won_P, seeded(self.run, *key))
        # A bootstrap of values that are all one number would call that certain.
        if found.low == found.high and found.value in (0.0, 1.0):
            return clopper_pearson(int(found.value) * len(won_P), len(won_P))
        return found

    def _instrument(self, other: Sampler) -> str:
        given = self.given
        return digest(
            {
                "form": "versus",
                "prompts": [prompt.id for prompt in given.prompts],
                "other": other.policy,
                "overseer": given.overseer.config,
                "ask": given.ask,
                "n": given.n,
                "temperature": given.temperature,
                "max_tokens": given.max_tokens,
            }
        )


def _paired(first: Sequence[Group], second: Sequence[Group]) -> list[Group]:
    """Each prompt with the answers of both in turn: those that are compared stand side by side."""
    return [
        Group(one.prompt, tuple(r for two in zip(one.responses, other.responses, strict=True) for r in two))
        for one, other in zip(first, second, strict=True)
    ]
