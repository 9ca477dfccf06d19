"""LocalSampler: a transformers model that answers and scores, as one version of its weights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from accord.engines.local.decode import Drawn, Wanted, seed_of
from accord.engines.local.forward import Forward
from accord.engines.local.hidden import HIDDEN, hidden_states
from accord.engines.local.micro import passes
from accord.errors import ContractError
from accord.ports import How, Scored
from accord.progress import Progress, Silent
from accord.records import Episode, Prompt, Response
from accord.records import Sequence as Masked
from accord.records.rows import Floats, Group, Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from accord.engines.local.decoder import Decoder
    from accord.engines.local.models import Opened
    from accord.engines.local.reference import ReferenceCache

__all__ = ["LocalSampler"]

_SCORED_TOKENS = 4096
_KEPT = frozenset({"logp"})


class LocalSampler:
    """Answers by the ``decoder``, scores by ``forward``. ``forced``: answers of set lengths, for benchmarks.

    ``current`` tells the version of the weights now; once it differs from ``policy`` this view raises.
    ``standing``, for weights that never move: log-probabilities on disk; what stands there is not computed.
    """

    can = frozenset({"sample", "logp", "rank", "entropy", "support", HIDDEN})

    def __init__(
        self,
        opened: Opened,
        policy: str,
        forward: Forward,
        *,
        decoder: Decoder,
        current: Callable[[], str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.policy = policy
        self._opened = opened
        self._decoder = decoder
        self.forced: Mapping[tuple[str, int], int] | None = None
        self._current = current or (lambda: policy)
        self._progress = progress or Silent()
        self._forward = forward
        self.standing: ReferenceCache | None = None

    @property
    def model(self) -> PreTrainedModel:
        """The model that answers, as it was opened."""
        return self._opened.model

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self._opened.encoded(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        self._fresh()
        if how.temperature <= 0 or how.max_tokens < 1 or n < 1:
            raise ContractError(
                "the caller of LocalSampler", "temperature > 0, max_tokens ≥ 1, n ≥ 1", f"{how}, n={n}"
            )
        wanted = [
            Wanted(
                self._opened.render(p),
                tuple(seed_of(how.key, p.id, i) for i in range(n)),
                p.allowed,
                tuple(self.forced[p.id, i] for i in range(n)) if self.forced else None,
            )
            for p in prompts
        ]
        found: dict[tuple[int, int], Drawn] = {}
        batches = self._decoder.decode(
            self.policy, wanted, how.max_tokens, how.temperature, self._opened.stop
        )
        for done in batches:
            for drawn in done:
                found[drawn.prompt, drawn.sample] = drawn
            if done:
                self._progress.advance(len(done))
            await asyncio.sleep(0)  # lets overseers answer, and a cancelled run stop between two tokens
        return [
            Group(prompt, tuple(self._response(prompt, wanted[p], found[p, i], i, how) for i in range(n)))
            for p, prompt in enumerate(prompts)
        ]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        self._fresh()
        if not want <= self.can - {"sample"}:
            raise ContractError(
                "the caller of LocalSampler", f"asks for {sorted(self.can)}", f"{sorted(want)}"
            )
        sequences = [self._sequence(text) for text in texts]
        if HIDDEN in want:
            return await self._with_states(texts, sequences, want - {HIDDEN})
        if self.standing is None or want != _KEPT:
            found = await self._measured(sequences, want)
            return [Scored(columns, self._opened.tokenizer_digest) for columns in found]
        new = await self._measured(self.standing.lacking(sequences), want)
        logp_S = self.standing.fill(sequences, lambda _: [columns["logp"] for columns in new])
        return [Scored({"logp": logp_T}, self._opened.tokenizer_digest) for logp_T in logp_S]

    async def _with_states(
        self, texts: Sequence[Text], sequences: Sequence[Masked], others: frozenset[str]
    ) -> list[Scored]:
        """``hidden``, and what else is wanted. Of an answer cut into tokens anew the prompt is anew too."""
        asked = [sequence.tokens[: sequence.answer.index(True)] for sequence in sequences]
        states = hidden_states(self._opened.model, asked)
        told = (
            await self.score(texts, others)
            if others
            else [Scored({}, self._opened.tokenizer_digest)] * len(asked)
        )
        return [Scored({**t.columns, HIDDEN: s}, t.tokenizer) for t, s in zip(told, states, strict=True)]

    async def _measured(self, sequences: Sequence[Masked], want: frozenset[str]) -> list[dict[str, Floats]]:
        columns: dict[int, dict[str, Floats]] = {}
        for group in passes(sequences, _SCORED_TOKENS, self._forward.share):
            part = [sequences[i] for i in group]
            measured = {name: c.cpu().numpy() for name, c in self._forward.scored(part, want).items()}
            cuts = np.cumsum([sum(s.answer) for s in part])[:-1]
            split = {name: np.split(column, cuts) for name, column in measured.items()}
            for k, i in enumerate(group):
                columns[i] = {name: parts[k] for name, parts in split.items()}
            await asyncio.sleep(0)
        return [columns[i] for i in range(len(sequences))]

    def load(self, weights: dict[str, torch.Tensor], version: str) -> None:
        """Take over another model's weights; what ``Learner.publish`` calls."""
        self._opened.model.load_state_dict(weights)
        self.standing = None
        self._forward.refresh(whole=True)
        self._decoder.forget()
        self.policy = version
        self._current = lambda: version

    def _fresh(self) -> None:
        now = self._current()
        if now != self.policy:
            raise ContractError(
                "the caller of a sampler view", f"uses {self.policy} before the next update", now
            )

    def _response(self, prompt: Prompt, wanted: Wanted, drawn: Drawn, index: int, how: How) -> Response:
        return Response(
            prompt=prompt.id,
            text=self._opened.text(drawn.tokens),
            prompt_tokens=wanted.tokens,
            tokens=drawn.tokens,
            finish="stop" if drawn.stopped else "length",
            policy=self.policy,
            seed=wanted.seeds[index],
            index=index,
            temperature=how.temperature,
            tokenizer=self._opened.tokenizer_digest,
            template=self._opened.template_digest,
            logp=drawn.logp,
            parents=(prompt.id,),
        )

    def _sequence(self, text: Text) -> Masked:
        response = text.response
        if response.tokenizer != self._opened.tokenizer_digest or not response.tokens:
            encoded = self._opened.encoded(text.prompt, response.text, response.finish != "length")
            response = encoded.model_copy(update={"temperature": response.temperature})
        return Episode.single(response, text.prompt.allowed).sequences()[0]
