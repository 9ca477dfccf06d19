"""Mixing: the source of a variant: the policy's own answers, some of them told, and an anchor beside them.

A row of ``prompts`` may have a field ``told``: the policy answers with that text before the prompt, and the
answer is judged and learnt from as one to the prompt alone. So a model learns to do untold what it does when
told. Rows of the ``anchor``, a file of completions, carry the column ``anchor``; ``accord.steward.anchored``
weighs them. One whose field ``open`` is true was stopped by its length: its end is nothing to learn, or the
anchor would teach short answers.

1. What was said when told keeps its tokens and moves to the prompt alone: the seed of its Response begins
   with ``told/``, and the Prompt's own columns say what was told.
2. Beyond the nucleus of the base untold may lie most of what it says when told; a method that withholds what
   the base hardly ever says is not for these rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import Field

from accord.errors import PlanError
from accord.indicators.compatibility import instructed
from accord.part import Part
from accord.ports import Feedback, How, Sampler, Scored, Shape, Source
from accord.records import Prompt, Response
from accord.records.rows import Group, Row, Text, Window
from accord.sources import Offline, Rollouts, Surroundings

__all__ = ["ANCHOR", "OPEN", "TOLD", "Mixed", "Telling"]

ANCHOR = "anchor"
TOLD = "told"
OPEN = "open"


class Mixed(Part):
    """``per_window`` prompts for the policy to answer, and ``anchors`` rows of the file ``anchor``."""

    prompts: str
    anchor: str
    per_window: int = Field(default=8, ge=1)
    anchors: int = Field(default=8, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=128, ge=1)

    def open(self, around: Surroundings) -> Source:
        drawn = Rollouts(
            prompts=self.prompts,
            per_window=self.per_window,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )
        fixed = Offline(data=self.anchor, per_window=self.anchors)
        beside = around._replace(stage=f"{around.stage}/anchor", shape=Shape("answer", 1, "data"))
        if around.shape.unit != "answer":
            raise PlanError("name", "mixed", "a method that learns from single answers")
        return _Mixed(drawn.open(around), fixed.open(beside))


@dataclass(frozen=True)
class _Mixed:
    drawn: Source
    fixed: Source

    @property
    def notes(self) -> list[str]:
        """For the first screen."""
        count = len(self.fixed.prompts())
        return [*getattr(self.drawn, "notes", ()), f"anchored by the base's own answers to {count:,} prompts"]

    def prompts(self) -> Sequence[Prompt]:
        return self.drawn.prompts()

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        drawn = self.drawn.window(index, Telling(policy), feedback)
        fixed = self.fixed.window(index, policy, _nothing_asked)
        first = max((row.group for row in drawn.rows), default=-1) + 1
        open_ = {prompt.id: prompt for prompt in self.fixed.prompts() if prompt.columns.get(OPEN)}
        rows = (_anchored(row, first) for row in fixed.rows)
        rows = tuple(_opened(row, open_[at], policy) if (at := _asked(row)) in open_ else row for row in rows)
        return Window(index, (*drawn.rows, *rows))


@dataclass(frozen=True)
class Telling:
    """A Sampler that answers a prompt whose columns say what it is ``told`` as if it had been told that."""

    inner: Sampler

    @property
    def can(self) -> frozenset[str]:
        return self.inner.can

    @property
    def policy(self) -> str:
        return self.inner.policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self.inner.encode(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        told = [p.columns.get(TOLD) for p in prompts]
        asked = [instructed(p, str(what)) if what else p for p, what in zip(prompts, told, strict=True)]
        groups = await self.inner.sample(asked, n, how)
        return [
            self._untold(prompt, group) if what else group
            for prompt, what, group in zip(prompts, told, groups, strict=True)
        ]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        return await self.inner.score(texts, want)

    def _untold(self, prompt: Prompt, group: Group) -> Group:
        """The same answers, token for token, to the prompt alone."""
        before = self.inner.encode(prompt, "").prompt_tokens
        moved = {"prompt": prompt.id, "prompt_tokens": before, "logp": ()}
        said = (r.model_copy(update={**moved, "seed": f"{TOLD}/{r.seed}"}) for r in group.responses)
        return Group(prompt, tuple(said))


def _asked(row: Row) -> str:
    return row.episodes[0].prompt


def _opened(row: Row, prompt: Prompt, policy: Sampler) -> Row:
    """The row without the tokens that end it."""
    end = len(policy.encode(prompt, "").tokens)
    (episode,) = row.episodes
    said = tuple(tokens[: len(tokens) - end] for tokens in episode.tokens)
    return replace(row, episodes=(episode.model_copy(update={"tokens": said}),))


def _nothing_asked(groups: Sequence[Group]) -> None:
    """Nobody judges an anchor."""
    del groups


def _anchored(row: Row, first: int) -> Row:
    return replace(row, columns={**row.columns, ANCHOR: 1.0}, group=first + row.group)
