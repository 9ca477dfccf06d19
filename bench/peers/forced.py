"""Forced lengths for transformers' ``generate``: row i ends with its lengths[i]-th token, not before."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor


class Forced(LogitsProcessor):
    """Changes the logits in place: the columns of the ends each step, and whole rows only where they end."""

    def __init__(self, lengths: list[int], end: int, stops: list[int]) -> None:
        self._lengths, self._end, self._stops = torch.tensor(lengths), end, stops
        self._before: int | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._before is None:
            self._before = input_ids.shape[1]
        drawn = input_ids.shape[1] - self._before
        scores[:, self._stops] = -torch.inf
        last = torch.nonzero(self._lengths == drawn + 1)[:, 0]
        if len(last):
            scores[last] = -torch.inf
            scores[last, self._end] = 0.0
        return scores
