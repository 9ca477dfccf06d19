"""Reward: reward models grade answers; what their heads disagree on is out of their support.

Every head of every model is one member of the ensemble, and ``reduction`` makes one grade of all their
scores: ``mean``, ``min``, ``mean_less_sd`` (mean − k · sd) or ``quantile`` (the q-quantile). It has no
default, for it decides how much a policy gains where only some heads are fooled (2310.02743). The grade is
recorded with what each head said.

``limit`` bounds the spread of the scores of one answer: a number bounds that of all members together;
``card`` bounds that of each model's own heads by what its card says; ``none`` judges whatever it is shown.
Over the limit it abstains (``out_of_support``), and where a score is no number (``error``). Compare is
answered by the order of grades, equal grades being a tie; what each head said is then not recorded.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, Self, cast

import numpy as np
from pydantic import Field, PrivateAttr, field_validator, model_validator

from accord.errors import ContractError, PlanError
from accord.part import Part
from accord.ports import Calibrated, Desk, Sampler
from accord.records import (
    JSON,
    By,
    Cost,
    Graded,
    Judgment,
    Kind,
    Prompt,
    Question,
    Ranked,
    Response,
    digest,
)
from accord.records.rows import Floats, Text

__all__ = ["Reward", "spread"]

_SCORE = frozenset({"score"})


def spread(score_K: Floats) -> float:
    """How far heads are apart: their standard deviation with n − 1; ValueError for one head.

    >>> spread(np.array([1.0, 2.0, 3.0]))
    1.0
    """
    if score_K.size < 2:
        raise ValueError(
            "one head has no spread: train reward_model with more, name more models, or set limit"
        )
    return float(np.std(score_K, ddof=1))


class _Member(NamedTuple):
    """A model with its sampler, and the spread its card allows."""

    name: str
    sampler: Sampler
    limit: float | None


class _Round:
    """The answers that are pending in one turn of an event loop, scored by one call of each model."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members
        self._texts: list[Text] = []
        self.open = True
        self.loop = asyncio.get_running_loop()
        # It starts after every question that is ready in this turn of the loop has joined.
        self._task = self.loop.create_task(self._scores())

    async def join(self, texts: Sequence[Text]) -> list[tuple[Floats, ...]]:
        """For each text one array of scores per model. Whoever stops waiting stops nobody else."""
        first = len(self._texts)
        self._texts += texts
        scores = await asyncio.shield(self._task)
        return scores[first : first + len(texts)]

    async def _scores(self) -> list[tuple[Floats, ...]]:
        self.open = False
        found: list[list[Floats]] = []
        for name, sampler, _ in self._members:
            scored = await sampler.score(self._texts, _SCORE)
            if len(scored) != len(self._texts) or any("score" not in s.columns for s in scored):
                raise ContractError(name, "score gives one Scored with a score per text", f"{len(scored)}")
            found.append([np.asarray(s.columns["score"], dtype=np.float64) for s in scored])
        return list(zip(*found, strict=True))


class Reward(Part):
    """Grades by reward models; judges once it is seated."""

    models: tuple[str, ...] = Field(min_length=1)
    reduction: Literal["mean", "min", "mean_less_sd", "quantile"]
    k: float = Field(default=1.0, ge=0)
    q: float = Field(default=0.1, gt=0, lt=1)
    limit: float | Literal["card", "none"] = "card"

    _members: tuple[_Member, ...] = PrivateAttr(default=())
    _round: _Round | None = PrivateAttr(default=None)

    @field_validator("models")
    @classmethod
    def _different(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(models)) < len(models):
            raise ValueError(f"each model is named once, got {', '.join(models)}")
        return models

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if isinstance(self.limit, float) and not 0 < self.limit < math.inf:
            raise ValueError(f'limit is a finite number over 0, "card" or "none", got {self.limit}')
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.GRADE, Kind.COMPARE})

    @cached_property
    def config(self) -> str:
        """The settings; once seated also the version of every model's weights, and what its card allows."""
        fields = cast(JSON, self.model_dump(mode="json"))
        weights: list[JSON] = [[m.sampler.policy, m.limit] for m in self._members]
        return digest({"class": "reward", "fields": fields, "weights": weights})

    def seated(self, samplers: Mapping[str, Sampler]) -> Reward:
        """PlanError where a model is missing, cannot score, or has no limit on its card that it needs."""
        members: list[_Member] = []
        for index, name in enumerate(self.models):
            path, sampler = f"models[{index}]", samplers.get(name)
            if sampler is None:
                raise PlanError(
                    path, name, f"models that were opened: {', '.join(sorted(samplers)) or 'none'}"
                )
            if "score" not in sampler.can:
                advice = "train one with the method reward_model"
                raise PlanError(path, name, f"a reward model; this one can {sorted(sampler.can)}", advice)
            known = sampler.spread_limit if isinstance(sampler, Calibrated) else None
            if self.limit == "card" and known is None:
                allowed = 'a number, or "none" to judge whatever it is shown'
                raise PlanError("limit", "card", allowed, f"the card of {name} has no spread_limit")
            members.append(_Member(name, sampler, known if self.limit == "card" else None))
        ready = type(self).model_validate(self.model_dump())
        ready._members = tuple(members)
        return ready

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if not self._members:
            raise ContractError("the caller of Reward", "seats it before it judges", "no samplers")
        prompt = cast(Prompt, desk.read(question.prompt))
        texts = [Text(prompt, cast(Response, desk.read(answer))) for answer in question.responses]
        now = self._round
        # A loop that was broken off leaves a round that nobody will ever score.
        if now is None or not now.open or now.loop is not asyncio.get_running_loop():
            now = self._round = _Round(self._members)
        scores = await now.join(texts)
        return self._judged(question, texts, scores)

    def _judged(
        self, question: Question, texts: Sequence[Text], scores: Sequence[tuple[Floats, ...]]
    ) -> Judgment:
        read = sum(len(t.response.prompt_tokens) + len(t.response.tokens) for t in texts)
        models = len(self._members)
        by = By(type="model", name=", ".join(self.models), config=self.config)
        cost = Cost(calls=models * len(texts), tokens_in=models * read)
        heads = [self._named(parts) for parts in scores]
        broken = [f"{name} says {x}" for said in heads for name, x in said.items() if not math.isfinite(x)]
        too_far = [reason for parts in scores if (reason := self._outside(parts))] if not broken else []
        if broken or too_far:
            return Judgment(
                question=question.id,
                by=by,
                shown=question.responses,
                abstention="error" if broken else "out_of_support",
                note="; ".join(broken or too_far),
                cost=cost,
            )
        grades = [self._reduced(np.concatenate(parts)) for parts in scores]
        verdict = (
            _graded(question, grades, heads) if question.asks is Kind.GRADE else _order(question, grades)
        )
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict, cost=cost)

    def _named(self, parts: Sequence[Floats]) -> dict[str, float]:
        """Every head's score: by its model's name, and its number where the model has several."""
        return {
            member.name if part.size == 1 else f"{member.name}:{k}": float(part[k])
            for member, part in zip(self._members, parts, strict=True)
            for k in range(part.size)
        }

    def _outside(self, parts: Sequence[Floats]) -> str | None:
        """Why an answer is beyond what the models know, or None."""
        bounds = [
            (m.name, p, m.limit) for m, p in zip(self._members, parts, strict=True) if m.limit is not None
        ]
        if isinstance(self.limit, float):
            bounds = [("all heads", np.concatenate(parts), self.limit)]
        for name, score_K, most in bounds:
            if (found := spread(score_K)) > most:
                return f"{name}: a spread of {found:.4g}, over {most:.4g}"
        return None

    def _reduced(self, score_K: Floats) -> float:
        match self.reduction:
            case "mean":
                return float(score_K.mean())
            case "min":
                return float(score_K.min())
            case "mean_less_sd":
                return float(score_K.mean()) - self.k * spread(score_K)
            case "quantile":
                return float(np.quantile(score_K, self.q))


def _graded(question: Question, grades: Sequence[float], heads: Sequence[Mapping[str, float]]) -> Graded:
    if len(grades) == 1:
        return Graded(scores={"score": grades[0]}, heads=dict(heads[0]))
    return Graded(
        scores=dict(zip(question.responses, grades, strict=True)),
        heads={
            f"{a}/{n}": x for a, said in zip(question.responses, heads, strict=True) for n, x in said.items()
        },
    )


def _order(question: Question, grades: Sequence[float]) -> Ranked:
    tiers = [
        tuple(a for a, g in zip(question.responses, grades, strict=True) if g == level)
        for level in sorted(set(grades), reverse=True)
    ]
    return Ranked(tiers=tuple(tiers))
