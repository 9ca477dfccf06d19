"""Forward passes over masked sequences: the hidden states of answer tokens, then the head on those alone.

Sequences are padded on the right and read causally, so padding cannot reach a real token and no attention
mask is needed. The head runs on scored positions only; the first use compares it with the model's own logits
and falls back to them where they differ (some models scale or cap logits after the head).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from accord.maths.tensor.likelihood import chosen_logp, masked_logits
from accord.records import Sequence as Masked

__all__ = ["Answers", "Forward", "budgeted"]

_HEAD_ROWS = 1024  # logits of so many tokens at a time: 200 MB at 49k words


class Answers(NamedTuple):
    """Log-probabilities of the answer tokens of some sequences: satisfies the port ``Out``."""

    logp_T: Tensor
    sequence_T: Tensor


class _Places(NamedTuple):
    """Where the answer tokens of padded sequences stand, and what was chosen there."""

    tokens_SL: Tensor
    at_T: Tensor
    chosen_T: Tensor
    sequence_T: Tensor
    temperature_T: Tensor
    allowed: dict[int, tuple[int, ...]]


def budgeted(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in groups, longest first, whose padded size (count × longest) stays within the budget.

    >>> list(budgeted([3, 9, 4, 2], 10))
    [[1], [2, 0], [3]]
    """
    group: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if group and (len(group) + 1) * longest > budget:
            yield group
            group = []
        if not group:
            longest = max(1, lengths[index])
        group.append(index)
    if group:
        yield group


class Forward:
    """Passes through one model. ``note`` says which head path was taken and why, once it is known."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.note = ""
        self._head_alone: bool | None = None

    def answers(self, sequences: Sequence[Masked]) -> Answers:
        """log π of every answer token, with gradient where autograd is on."""
        places = self._places(sequences)
        logp = [chosen_logp(logits, chosen) for logits, chosen, _ in self._logits(places)]
        empty = torch.zeros(0, device=places.tokens_SL.device)
        return Answers(torch.cat(logp) if logp else empty, places.sequence_T)

    @torch.inference_mode()
    def columns(self, sequences: Sequence[Masked], want: frozenset[str]) -> dict[str, Tensor]:
        """``logp``, ``rank``, ``entropy``, ``support`` of every answer token, in order."""
        parts: dict[str, list[Tensor]] = {name: [] for name in want}
        for logits, chosen, _ in self._logits(self._places(sequences)):
            picked = logits.gather(1, chosen[:, None])
            for name in want:
                parts[name].append(_column(name, logits, chosen, picked))
        return {name: torch.cat(found).double() if found else torch.zeros(0) for name, found in parts.items()}

    def _places(self, sequences: Sequence[Masked]) -> _Places:
        device = self.model.device
        width = max(len(s.tokens) for s in sequences)
        tokens = torch.zeros(len(sequences), width, dtype=torch.long)
        for i, s in enumerate(sequences):
            tokens[i, : len(s.tokens)] = torch.tensor(s.tokens)
        # The logits that chose token p stand at p − 1; a token with nothing before it cannot be scored.
        at = [(i, p) for i, s in enumerate(sequences) for p, chosen in enumerate(s.answer) if chosen]
        if any(p == 0 for _, p in at):
            raise ValueError("an answer needs at least one prompt token before it")
        allowed = {t: a for t, (i, _) in enumerate(at) if (a := sequences[i].allowed) is not None}
        place = torch.tensor(at, dtype=torch.long).reshape(-1, 2)
        heat = torch.tensor([s.temperature for s in sequences], dtype=torch.float32)
        return _Places(
            tokens_SL=tokens.to(device),
            at_T=(place[:, 0] * width + place[:, 1] - 1).to(device),
            chosen_T=tokens[place[:, 0], place[:, 1]].to(device),
            sequence_T=place[:, 0].to(device),
            temperature_T=heat[place[:, 0]].to(device),
            allowed=allowed,
        )

    def _logits(self, places: _Places) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Chunks of (masked float32 logits, chosen tokens, their sequences)."""
        if self._head_alone is None:
            self._check_head(places.tokens_SL[:1, :16])
        if self._head_alone:
            hidden = self._hidden(places.tokens_SL).flatten(0, 1)[places.at_T]
        else:
            hidden = _all_logits(self.model, places.tokens_SL).flatten(0, 1)[places.at_T]
        for start in range(0, len(places.at_T), _HEAD_ROWS):
            span = slice(start, start + _HEAD_ROWS)
            logits = self._head(hidden[span]) if self._head_alone else hidden[span]
            allowed = {t - start: a for t, a in places.allowed.items() if start <= t < start + _HEAD_ROWS}
            masked = masked_logits(logits, places.temperature_T[span], allowed)
            yield masked, places.chosen_T[span], places.sequence_T[span]

    def _hidden(self, tokens_SL: Tensor) -> Tensor:
        return cast(Tensor, self.model.base_model(input_ids=tokens_SL, use_cache=False)[0])

    def _head(self, hidden: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.model).get_output_embeddings()(hidden))

    @torch.no_grad()
    def _check_head(self, tokens_SL: Tensor) -> None:
        whole = _all_logits(self.model, tokens_SL)
        if cast(Any, self.model).get_output_embeddings() is None or self.model.base_model is self.model:
            self._head_alone, self.note = False, "logits of every position: the model has no separate head"
            return
        alone = self._head(self._hidden(tokens_SL))
        scale = float(whole.abs().max()) + 1e-12
        gap = float((alone - whole).abs().max()) / scale if alone.shape == whole.shape else float("inf")
        self._head_alone = gap <= 1e-4 or (whole.dtype != torch.float32 and gap <= 2e-2)
        self.note = (
            "head on scored tokens only"
            if self._head_alone
            else f"logits of every position: the head alone differs by {gap:.1e} relative"
        )


def _all_logits(model: PreTrainedModel, tokens_SL: Tensor) -> Tensor:
    return cast(Tensor, model(input_ids=tokens_SL, use_cache=False).logits)


def _column(name: str, logits: Tensor, chosen: Tensor, picked: Tensor) -> Tensor:
    if name == "logp":
        return chosen_logp(logits, chosen)
    if name == "rank":
        return (logits > picked).sum(1)
    p = torch.softmax(logits, 1)
    if name == "entropy":
        return torch.xlogy(p, p).sum(1).neg()
    if name == "support":
        # In the nucleus of .95 unless the more probable tokens already hold that much.
        return (torch.where(logits > picked, p, 0).sum(1) < 0.95).double()
    raise KeyError(name)
