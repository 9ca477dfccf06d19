"""Picking tokens: inverse transform with one uniform per row, and the log-probability of what was picked."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["Picker"]

_BLOCK = 1024


class Picker:
    """Sums go block by block, so the vocabulary is read few times. Holds the buffer they are made in."""

    def __init__(self, vocabulary: int) -> None:
        self._words = vocabulary
        self._blocks = -(-vocabulary // _BLOCK)
        self._buffer = torch.zeros(0, self._blocks * _BLOCK)

    def pick(
        self, logits_RV: Tensor, uniform_R: Tensor, temperature: float, allowed: Mapping[int, tuple[int, ...]]
    ) -> tuple[Tensor, Tensor]:
        """One token for each row, and log π of it at this temperature and within ``allowed``.

        A token of probability 0 is never picked, whatever the uniform in [0, 1).
        """
        rows = len(logits_RV)
        if len(self._buffer) < rows or self._buffer.device != logits_RV.device:
            self._buffer = torch.zeros(rows, self._blocks * _BLOCK, device=logits_RV.device)
        mass = self._buffer[:rows]
        words = mass[:, : self._words]
        words.copy_(logits_RV)
        for row, tokens in allowed.items():
            kept = words[row, list(tokens)]
            words[row] = -torch.inf
            words[row, list(tokens)] = kept
        if temperature != 1:
            words.div_(temperature)
        words.sub_(words.amax(1, keepdim=True)).exp_()
        blocks = mass.view(rows, self._blocks, _BLOCK)
        upto = blocks.sum(2).cumsum(1)
        whole = upto[:, -1]
        level = _below(uniform_R.to(whole.dtype) * whole, whole)
        block = torch.searchsorted(upto, level[:, None], right=True)[:, 0].clamp_(max=self._blocks - 1)
        at = torch.arange(rows, device=mass.device)
        inner = blocks[at, block].cumsum(1)
        # Within the block, whatever rounding did to the sums before it.
        rest = level - (upto[at, block] - inner[:, -1])
        rest = _below(rest.clamp_(min=0), inner[:, -1])
        token = block * _BLOCK + torch.searchsorted(inner, rest[:, None], right=True)[:, 0]
        token = token.clamp_(max=self._words - 1)
        return token, mass[at, token].log() - whole.log()


def _below(level: Tensor, whole: Tensor) -> Tensor:
    """Strictly under the whole mass: with ``right=True`` the search then ends on a token that has some."""
    return torch.minimum(level, whole * (1 - 2**-22))
