"""Effective diversity: how far good answers to one prompt lie apart (2504.12522).

    mean of 1 − Jaccard of word pairs, over pairs of answers at or above the base's median quality

A policy that has only dropped its bad answers loses raw diversity and keeps this: then a rule that goes by
``diversity`` may be held back by it (``vetoes`` of the rule ``fell``).

Deliberate differences from the reference:

1. Distance by word pairs, not by embeddings, which are not installed; another distance, another instrument.
2. Quality is the grade of ``quality``, an overseer that needs no model, asked about probes. None: nobody
   says which answers are good, it is not measured, and vetoes nothing.
3. At or above the median, prompt by prompt: above would leave nothing where all grades are equal. What
   nobody graded is not good.
4. A prompt to which the policy gives fewer than two good answers counts as 0; one to which the base does is
   left out. Each prompt counts once, however many pairs it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from pydantic import ConfigDict, Field, SkipValidation, field_serializer, model_validator

from accord.errors import ContractError
from accord.indicators import Pair, Said, Sides, few
from accord.maths.coverage import good_pairs
from accord.maths.diversity import WORDS
from accord.part import Part, named
from accord.ports import How, Overseer, Sampler, Seated
from accord.problems import problem
from accord.records import Graded, Judgment, Kind, Prompt, Question, Record, Response, digest
from accord.records.rows import Floats, Group

__all__ = ["EffectiveDiversity", "effective"]

_QUALITY = "a table that names an overseer of grades that reads no model, such as program"


def effective(texts_G: Sequence[str], quality_G: Floats, least: float) -> float | None:
    """The mean distance of pairs whose quality is ``least`` or more; None where there is no pair.

    >>> effective(["a b", "c d", "a b"], np.array([1.0, 1.0, 0.0]), least=0.5)
    1.0
    >>> effective(["a b", "c d"], np.array([1.0, np.nan]), least=0.5)
    """
    apart = good_pairs(texts_G, quality_G >= least)
    return float(apart.mean()) if apart.size else None


class EffectiveDiversity(Said, Part):
    """The distance between good answers to a probe, and its change from the base's."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: ClassVar[str] = "effective_diversity"

    quality: SkipValidation[Overseer] | None = Field(default=None, description=_QUALITY)

    @model_validator(mode="after")
    def _grades(self) -> Self:
        one = self.quality
        if one is None:
            return self
        if not isinstance(one, Part) or isinstance(one, Seated) or Kind.GRADE not in one.answers:
            advice = "a reward model or a judge is asked at its own desk, which an indicator has not"
            raise problem(["quality"], type(one).__name__, _QUALITY, advice)
        return self

    @field_serializer("quality")
    def _named(self, quality: Overseer | None) -> dict[str, object] | None:
        return None if quality is None else named(quality)

    @cached_property
    def config(self) -> str:
        """Also that of the overseer, which covers what it only names, as the source of a function."""
        return digest({"part": super().config, "quality": self.quality.config if self.quality else ""})

    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """None without an overseer of quality, and unless two probes have good answers of the base."""
        if self.quality is None:
            return "no overseer says which answers are good: set quality"
        grades = await _graded(self.quality, [group for two in pairs for group in two])
        found: list[tuple[float, float, Pair]] = []
        for place, two in enumerate(pairs):
            mine, yours = grades[2 * place], grades[2 * place + 1]
            known = yours[np.isfinite(yours)]
            least = float(np.median(known)) if known.size else np.inf
            before = effective([r.text for r in two.base.responses], yours, least)
            if before is not None:
                now = effective([r.text for r in two.ours.responses], mine, least)
                found.append((now or 0.0, before, two))
        if why := few(found, "have two good answers of the base"):
            return why
        return Sides(
            pairs=[two for _, _, two in found],
            ours_P=[np.array([now]) for now, _, _ in found],
            base_P=[np.array([before]) for _, before, _ in found],
            outcomes=[1 - now for now, _, _ in found],
            ruler=WORDS,
            unit="1 − Jaccard of word pairs",
        )


class _Shown:
    """The desk of an overseer of quality: it reads the probes and their answers, and nobody can be asked."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._held: Mapping[str, Record] = {
            one.id: one for group in groups for one in (group.prompt, *group.responses)
        }

    def read(self, record: str) -> Record:
        return self._held[record]

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        raise self._refused(f"asks {type(overseer).__name__} about {question.id[:12]}")

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        del how
        raise self._refused(f"has {sampler.policy} answer {prompt.id[:12]}")

    def _refused(self, found: str) -> ContractError:
        return ContractError("the overseer of quality", "it grades by itself, without a model", found)


async def _graded(overseer: Overseer, groups: Sequence[Group]) -> list[Floats]:
    """The grade of each answer; NaN where the overseer abstains."""
    desk = _Shown(groups)
    asked = [
        Question(asks=Kind.GRADE, prompt=group.prompt.id, responses=(response.id,))
        for group in groups
        for response in group.responses
    ]
    rest = iter(await asyncio.gather(*(overseer.judge(question, desk) for question in asked)))
    return [np.array([_grade(next(rest)) for _ in group.responses], dtype=np.float64) for group in groups]


def _grade(judgment: Judgment) -> float:
    verdict = judgment.verdict
    return float(np.mean(list(verdict.scores.values()))) if isinstance(verdict, Graded) else np.nan
