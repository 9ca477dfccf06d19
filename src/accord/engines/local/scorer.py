"""Reward models: transformers' sequence classifiers with k score heads, and the sampler that only scores.

``accord.json`` beside the weights holds what the numbers need: for each head the ``shift`` that makes the
answers last trained on average 0 (comparisons leave it free; 0 where a score is a log-odds), and the spread
between the shifted heads that one answer in a hundred of them, or one step of an answer, was over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import numpy as np
import torch
from torch import nn

from accord.engines.local.forward import Answers, Forward
from accord.engines.local.micro import passes
from accord.errors import ContractError, Unreadable
from accord.ports import How, Scored
from accord.records import Episode, Prompt, Response
from accord.records.rows import Group, Text

if TYPE_CHECKING:
    from accord.engines.local.models import Opened

__all__ = ["LocalScorer", "ScoreCard", "SeenScores", "add_scores", "is_scorer"]

_CARD = "accord.json"
_SEEN = 1000
_SCORED_TOKENS = 4096


class ScoreCard(NamedTuple):
    """What goes with the weights of a reward model."""

    shift: tuple[float, ...]
    spread_limit: float | None = None

    def write(self, folder: Path) -> None:
        """Beside the weights."""
        (folder / _CARD).write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path, heads: int) -> Self:
        """That of a folder; without one (a classifier of another tool) nothing is shifted or limited."""
        file = folder / _CARD
        if not file.is_file():
            return cls((0.0,) * heads)
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            limit = told["spread_limit"]
            card = cls(tuple(map(float, told["shift"])), None if limit is None else float(limit))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreadable(file, '"shift" and "spread_limit"', str(error)) from error
        if len(card.shift) != heads:
            raise Unreadable(file, f"a shift for each of {heads} heads", f"{len(card.shift)}")
        return card


class SeenScores:
    """What the heads said of the last answers that were trained on, or of the last steps of answers.

    ``anchored``: the scores were read token by token, where their zero means something.
    """

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.anchored = False

    def add(self, out: Answers) -> None:
        """Those of one micro-batch after its backward pass, if its loss read scores."""
        steps = out.taught_TK
        self.anchored |= steps is not None
        read = out.seen_SK if steps is None else steps
        if read is None:
            return
        found = cast("list[list[float]]", cast(Any, read.detach().double()).tolist())
        self.keep([row for row in found if all(map(math.isfinite, row))])

    def keep(self, rows: Sequence[list[float]]) -> None:
        """As the last ones that were seen."""
        self.rows = [*self.rows, *rows][-_SEEN:]

    def card(self, heads: int) -> ScoreCard:
        """Of what was seen; without an update nothing is known."""
        if not self.rows:
            return ScoreCard((0.0,) * heads)
        score = np.array(self.rows)
        shift = np.zeros(heads) if self.anchored else score.mean(0)
        limit = float(np.quantile((score - shift).std(1, ddof=1), 0.99)) if heads > 1 else None
        return ScoreCard(tuple(float(mean) for mean in shift), limit)


def is_scorer(folder: str | Path) -> bool:
    """Whether the folder holds a sequence classifier."""
    file = Path(folder) / "config.json"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        names = cast("list[object]", told.get("architectures") or [])
    except (OSError, ValueError, AttributeError):
        return False
    return any(str(name).endswith("ForSequenceClassification") for name in names)


def add_scores(model: nn.Module, heads: int, seed: int) -> None:
    """Score heads of standard deviation 1/√(d+1), different from each other, float32."""
    width = int(cast(Any, model).config.hidden_size)
    made = nn.Linear(width, heads, bias=False)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.weight.copy_(torch.randn(heads, width, generator=draw) / math.sqrt(width + 1))
    cast(Any, model).score = made.to(next(model.parameters()).device)


class LocalScorer:
    """A reward model as a Sampler that can nothing but score."""

    can = frozenset({"score"})

    def __init__(self, opened: Opened, policy: str, forward: Forward) -> None:
        self.policy = policy
        self._opened, self._forward = opened, forward
        heads = int(cast(Any, opened.model).score.weight.shape[0])
        self.card = ScoreCard.read(opened.folder, heads)

    @property
    def spread_limit(self) -> float | None:
        """Over this standard deviation between heads an answer is unlike those it was trained on."""
        return self.card.spread_limit

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self._opened.encoded(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        raise ContractError(
            "the caller of a reward model",
            "asks it to score",
            f"{n} answers to {len(prompts)} prompts, {how}",
        )

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        if want != self.can:
            raise ContractError("the caller of a reward model", "asks for score", f"{sorted(want)}")
        sequences = [Episode.single(self._mine(text)).sequences()[0] for text in texts]
        found: dict[int, Scored] = {}
        for group in passes(sequences, _SCORED_TOKENS, self._forward.share):
            with torch.no_grad():
                out = self._forward.answers([sequences[i] for i in group])
                scores = out.score_SK.double().cpu().numpy() - np.array(self.card.shift)
            for i, row in zip(group, scores, strict=True):
                found[i] = Scored({"score": row}, self._opened.tokenizer_digest)
        return [found[i] for i in range(len(texts))]

    def _mine(self, text: Text) -> Response:
        """The answer in this model's own tokens; one that was cut off gets no end."""
        response = text.response
        if response.tokenizer == self._opened.tokenizer_digest and response.tokens:
            return response
        return self._opened.encoded(text.prompt, response.text, response.finish != "length")
