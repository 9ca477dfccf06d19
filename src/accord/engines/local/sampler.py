"""LocalSampler: a transformers model that answers and scores, as one version of its weights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from accord.engines.local.decode import Drawn, Wanted, decode, seed_of
from accord.engines.local.forward import Forward, budgeted
from accord.errors import ContractError
from accord.ports import How, Scored
from accord.progress import Progress, Silent
from accord.records import Episode, Prompt, Response
from accord.records import Sequence as Masked
from accord.records.rows import Group, Text

if TYPE_CHECKING:
    from accord.engines.local.decoder import DecodeCopy
    from accord.engines.local.models import Opened

__all__ = ["LocalSampler"]

_ROWS = 96  # answers decoded side by side; more gains little on two cores and costs cache memory
_SCORED_TOKENS = 4096


class LocalSampler:
    """Answers from ``copy`` (merged, possibly bfloat16), where there is one; scores with the model itself.

    ``current`` tells the version of the weights now; once it differs from ``policy`` this view raises.
    """

    can = frozenset({"sample", "logp", "rank", "entropy", "support"})

    def __init__(
        self,
        opened: Opened,
        policy: str,
        *,
        copy: DecodeCopy | None = None,
        current: Callable[[], str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.policy = policy
        self._opened = opened
        self._copy = copy
        self._current = current or (lambda: policy)
        self._progress = progress or Silent()
        self._forward = Forward(opened.model)

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(
            prompt=prompt.id,
            text=text,
            prompt_tokens=self._opened.render(prompt),
            tokens=self._opened.words(text),
            finish="data",
            tokenizer=self._opened.tokenizer_digest,
            template=self._opened.template_digest,
            parents=(prompt.id,),
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        self._fresh()
        if how.temperature <= 0 or how.max_tokens < 1 or n < 1:
            raise ContractError(
                "the caller of LocalSampler", "temperature > 0, max_tokens ≥ 1, n ≥ 1", f"{how}, n={n}"
            )
        wanted = [
            Wanted(self._opened.render(p), tuple(seed_of(how.key, p.id, i) for i in range(n)), p.allowed)
            for p in prompts
        ]
        found: dict[tuple[int, int], Drawn] = {}
        model = self._copy.refresh(self._opened.model, self.policy) if self._copy else self._opened.model
        for batch in self._batches(wanted, n):
            for done in decode(
                model, [wanted[p] for p in batch], how.max_tokens, how.temperature, self._opened.stop
            ):
                for drawn in done:
                    found[batch[drawn.prompt], drawn.sample] = drawn
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
        columns: dict[int, Scored] = {}
        for group in budgeted([len(s.tokens) for s in sequences], _SCORED_TOKENS):
            part = [sequences[i] for i in group]
            measured = {name: c.cpu().numpy() for name, c in self._forward.columns(part, want).items()}
            cuts = np.cumsum([sum(s.answer) for s in part])[:-1]
            split = {name: np.split(column, cuts) for name, column in measured.items()}
            for k, i in enumerate(group):
                columns[i] = Scored(
                    {n: parts[k] for n, parts in split.items()}, self._opened.tokenizer_digest
                )
            await asyncio.sleep(0)
        return [columns[i] for i in range(len(texts))]

    def load(self, weights: dict[str, torch.Tensor], version: str) -> None:
        """Take over another model's weights; what ``Learner.publish`` calls."""
        self._opened.model.load_state_dict(weights)
        if self._copy is not None:
            self._copy.forget()
        self.policy = version
        self._current = lambda: version

    def _fresh(self) -> None:
        now = self._current()
        if now != self.policy:
            raise ContractError(
                "the caller of a sampler view", f"uses {self.policy} before the next update", now
            )

    def _batches(self, wanted: list[Wanted], n: int) -> list[list[int]]:
        """Prompts of like length together, so that little is padded."""
        order = sorted(range(len(wanted)), key=lambda p: (-len(wanted[p].tokens), p))
        size = max(1, _ROWS // n)
        return [order[i : i + size] for i in range(0, len(order), size)]

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
            encoded = self.encode(text.prompt, response.text)
            response = encoded.model_copy(update={"temperature": response.temperature})
        return Episode.single(response, text.prompt.allowed).sequences()[0]
