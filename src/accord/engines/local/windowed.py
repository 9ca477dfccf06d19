"""Passes over the model ``window``: the windows before answer tokens, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from accord.engines.local.adapters import adapter
from accord.engines.local.forward import Read
from accord.engines.local.head import Choices, Head
from accord.engines.local.window import WindowModel
from accord.records import Sequence as Masked

__all__ = ["Windows"]


class Windows:
    """The model ``window``: places that predict answer tokens are computed, and no others."""

    share = False

    @classmethod
    def of(cls, model: PreTrainedModel) -> Self | None:
        """None for any other model."""
        return cls(model) if isinstance(model, WindowModel) else None

    def __init__(self, model: WindowModel) -> None:
        self._model = model
        self.head = Head(cast(nn.Linear, model.get_output_embeddings()), model.dtype)

    def read(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        device, size = self._model.device, cast(Any, self._model.config)
        before = (size.pad_token_id,) * (size.length - 1)
        at = [(i, p) for i, s in enumerate(sequences) for p, chosen in enumerate(s.answer) if chosen]
        if any(p == 0 for _, p in at):
            raise ValueError("an answer needs at least one prompt token before it")
        padded = [before + s.tokens for s in sequences]
        # Answers to one prompt read one window, which is computed once.
        place: dict[tuple[int, ...], int] = {}
        at_A = [place.setdefault(padded[i][p - 1 : p - 1 + size.length], len(place)) for i, p in at]
        chosen = torch.tensor([sequences[i].tokens[p] for i, p in at], dtype=torch.long)
        heat = torch.tensor([sequences[i].temperature for i, _ in at], dtype=torch.float32)
        allowed = {t: a for t, (i, _) in enumerate(at) if (a := sequences[i].allowed) is not None}
        read = torch.tensor(list(place), dtype=torch.long).view(len(place), size.length)
        with adapter(self._model, adapted):
            states = self._model.states(read.to(device))
        return Read(
            state_TD=states,
            normed=_as_they_are,
            at_A=torch.tensor(at_A, dtype=torch.long, device=device),
            sequence_A=torch.tensor([i for i, _ in at], dtype=torch.long, device=device),
            last_S=torch.zeros(0, dtype=torch.long, device=device),  # it has no score heads
            choices=Choices(chosen.to(device), heat.to(device), allowed),
            said=lambda: torch.zeros(0, dtype=torch.long, device=device),
        )

    def scored(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        return self.read(sequences, adapted)

    def refresh(self, whole: bool) -> None:
        self.head.refresh(whole)


def _as_they_are(rows: Tensor) -> Tensor:
    return rows
