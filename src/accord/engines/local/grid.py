"""The grid of a decoding flow: answers in slots, one slot for each prompt, and the keys they look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from accord.engines.local.decode import Wanted

__all__ = ["Cache", "Cell", "Grid"]

_GROWTH = 64  # places for answers are allocated this many at a time


class Cell:
    """A prompt in its slot: which of its answers are unfinished, and what they have said."""

    def __init__(self, prompt: int, wanted: Wanted, slot: int) -> None:
        self.prompt, self.wanted, self.slot = prompt, wanted, slot
        self.live = list(range(len(wanted.seeds)))
        self.column = {sample: sample for sample in self.live}
        self.tokens: list[list[int]] = [[] for _ in wanted.seeds]
        self.logp: list[list[float]] = [[] for _ in wanted.seeds]


class Cache:
    """Keys and values of prompts [slots, heads, P, D] and of answers [slots, heads, n, T, D], by layer.

    ``shape``: layers, slots, heads, answers to a prompt, size of a head.
    """

    def __init__(
        self, shape: tuple[int, int, int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        layers, slots, heads, n, size = shape
        made = torch.zeros(slots, heads, 0, size, dtype=dtype, device=device)
        own = torch.zeros(slots, heads, n, 0, size, dtype=dtype, device=device)
        self.before = [(made, made) for _ in range(layers)]
        self.after = [(own, own) for _ in range(layers)]

    @property
    def width(self) -> int:
        """Places for the tokens of a prompt."""
        return self.before[0][0].shape[2]

    def fit(self, prompt: int, answer: int) -> None:
        """Room for prompts and answers of these lengths."""
        if prompt > self.width:
            self.before = [(_longer(k, prompt, 2), _longer(v, prompt, 2)) for k, v in self.before]
        have = self.after[0][0].shape[3]
        if answer > have:
            size = have + max(_GROWTH, have // 2, answer - have)
            self.after = [(_longer(k, size, 3), _longer(v, size, 3)) for k, v in self.after]

    def keep(self, slots: Sequence[int], columns: Sequence[Sequence[int]], width: int) -> None:
        """These slots and these answers of each only, in this order; prompts fit into ``width``."""
        device = self.before[0][0].device
        slot_S, column_SN = torch.tensor(slots, device=device), torch.tensor(columns, device=device)
        self.before = [(k[slot_S, :, :width], v[slot_S, :, :width]) for k, v in self.before]

        def chosen(cache: Tensor) -> Tensor:
            return cache[slot_S[:, None], :, column_SN].transpose(1, 2).contiguous()

        self.after = [(chosen(k), chosen(v)) for k, v in self.after]


class Grid(NamedTuple):
    """Where the rows of one step stand. ``place_R``: slot · n + column; ``said_S``: places filled before."""

    place_R: Tensor
    position_R: Tensor
    said_S: Tensor
    length_S: Tensor
    longest: int
    n: int
    even: bool
    full: bool

    @classmethod
    def of(cls, rows: Sequence[tuple[Cell, int]], slots: int, n: int, device: torch.device) -> Grid:
        """``even``: all slots are busy and equally far. ``full``: no answer of any slot is done."""
        said, length = [0] * slots, [1] * slots
        for cell, sample in rows:
            # The unfinished answers of a cell have said equally many tokens; the last of them is not cached.
            said[cell.slot] = len(cell.tokens[sample]) - 1
            length[cell.slot] = len(cell.wanted.tokens)
        place = [cell.slot * n + cell.column[sample] for cell, sample in rows]
        busy = {cell.slot for cell, _ in rows}
        return cls(
            place_R=torch.tensor(place, device=device),
            position_R=torch.tensor([length[c.slot] + said[c.slot] for c, _ in rows], device=device),
            said_S=torch.tensor(said, device=device),
            length_S=torch.tensor(length, device=device),
            longest=max(said) + 1,
            n=n,
            even=len(busy) == slots and len(set(said)) == 1,
            full=place == list(range(slots * n)),
        )

    def bar(self, width: int, dtype: torch.dtype) -> Tensor | None:
        """0 or −∞ [slots, 1, 1, P + T] for places that hold nothing; None where all hold something."""
        if self.even and bool((self.length_S == width).all()):
            return None
        device = self.said_S.device
        p = torch.arange(width, device=device)[None] >= self.length_S[:, None]
        t = torch.arange(self.longest, device=device)[None] > self.said_S[:, None]
        bars = torch.cat([p, t], 1)
        return torch.zeros(bars.shape, dtype=dtype, device=device).masked_fill_(bars, -torch.inf)[
            :, None, None
        ]

    def attend(
        self,
        qkv_RHD: Tensor,
        shape: tuple[int, int],
        before: tuple[Tensor, Tensor],
        after: tuple[Tensor, Tensor],
        bar: Tensor | None,
    ) -> Tensor:
        """Each row over its prompt's keys, shared by the slot's answers, and its own. Queries are scaled."""
        heads, shared = shape
        slots, times, size, n = len(self.said_S), heads // shared, qkv_RHD.shape[2], self.n
        grid = qkv_RHD
        if not self.full:
            grid = qkv_RHD.new_zeros(slots * n, *qkv_RHD.shape[1:])
            grid[self.place_R] = qkv_RHD
        grid = grid.view(slots, n, -1, size)
        self._store(grid[:, :, heads:], after)
        q = grid[:, :, :heads].view(slots, n, shared, times, size).transpose(1, 2).contiguous()
        one, many = q.view(slots * shared, n * times, size), q.view(slots * shared * n, times, size)
        k_own, v_own = (c.flatten(0, 2)[:, : self.longest] for c in after)
        scores = torch.cat(
            [
                torch.bmm(one, before[0].flatten(0, 1).transpose(1, 2)),
                torch.bmm(many, k_own.transpose(1, 2)).view(slots * shared, n * times, -1),
            ],
            2,
        )
        if bar is not None:
            scores.view(slots, shared, n * times, -1).add_(bar)
        p = torch.softmax(scores, 2)
        width = before[0].shape[2]
        said = torch.bmm(p[:, :, :width], before[1].flatten(0, 1))
        said += torch.bmm(p[:, :, width:].reshape(slots * shared * n, times, -1), v_own).view_as(said)
        flat = said.view(slots, shared, n, times, size).transpose(1, 2).reshape(slots * n, heads * size)
        return flat if self.full else flat[self.place_R]

    def _store(self, new_SNHD: Tensor, after: tuple[Tensor, Tensor]) -> None:
        """The new tokens' keys and values behind those of their answers."""
        shared = after[0].shape[1]
        for cache, new in zip(after, (new_SNHD[:, :, :shared], new_SNHD[:, :, shared:]), strict=True):
            if self.even:
                cache[:, :, :, self.longest - 1] = new.transpose(1, 2)
            else:
                slots = torch.arange(len(self.said_S), device=new.device)
                cache[slots, :, :, self.said_S] = new.transpose(1, 2)


def _longer(cache: Tensor, size: int, dim: int) -> Tensor:
    """The same, with room up to ``size`` along ``dim``; the new places are 0."""
    shape = list(cache.shape)
    shape[dim] = size
    longer = cache.new_zeros(shape)
    longer.narrow(dim, 0, cache.shape[dim]).copy_(cache)
    return longer
