"""Decoding for the Llama family: prompts read once, their keys shared by all their answers.

Answers stand in a grid of slots, one row of the grid for each prompt (``grid.py``). Linear layers see the
unfinished rows only; a prompt whose answers are all done gives its slot to the next. The weights are a merged
copy with norms and scales folded in, laid out for oneDNN where that works and says what plain products say.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from accord.engines.local.decode import Drawn, Wanted, uniforms
from accord.engines.local.fused import Fused
from accord.engines.local.grid import Cache, Cell, Grid
from accord.engines.local.head import Head
from accord.engines.local.layout import packed
from accord.engines.local.llama import PackedLlama
from accord.engines.local.passes import attended, lengths, turned
from accord.engines.local.picking import Picker
from accord.engines.local.threads import side_by_side
from accord.records import Sequence as Masked

__all__ = ["LlamaDecoder"]

_ROWS = 96  # answers side by side; more gains little on two cores and costs cache memory
_PACK_FOR = 64  # rows that the layout of packed weights is made for


class _Linear:
    """One product of the decode copy, packed where that works."""

    def __init__(self, weight: Tensor, bias: Tensor | None, pack: bool) -> None:
        self.bias = bias
        self._weight = None if pack else weight
        self._packed: Any = None
        if pack:
            self._packed = cast(Any, torch.ops).mkldnn._reorder_linear_weight(weight, _PACK_FOR)

    def __call__(self, x: Tensor) -> Tensor:
        if self._weight is not None:
            return torch.nn.functional.linear(x, self._weight, self.bias)
        return cast(Any, torch.ops).mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")


class _Layer(NamedTuple):
    """One layer's products. The norms before ``qkv`` and ``gate_up`` are folded into them."""

    qkv: _Linear
    out: _Linear
    gate_up: _Linear
    down: _Linear


class LlamaDecoder:
    """A decode copy of one model. ``refresh`` takes over its weights when they moved."""

    def __init__(self, source: PackedLlama, head: Head, dtype: torch.dtype) -> None:
        self.source, self.dtype = source, dtype
        self.layers: list[_Layer] = []
        self.words: _Linear | None = None
        self.vocabulary = head.weight.shape[0]
        self.device = head.weight.device
        self._head = head
        self._version = ""
        self._pack = True
        self.note = ""

    def forget(self) -> None:
        """The next refresh copies, whatever version it names: two histories can reach one version."""
        self._version = ""

    @torch.inference_mode()
    def refresh(self, version: str) -> None:
        """Merge, fold and lay out the weights as they are now."""
        if version == self._version:
            return
        self._pack = self._pack and self._packs()
        size = self.source.shape[2]
        asked = self.source.shape[0] * size
        # The old copy goes before the new one comes: two at once would be the largest thing in memory.
        self.layers, self._version = [], ""
        layers: list[_Layer] = []
        for layer in self.source.layers:
            scale = torch.ones(layer.qkv.weight.shape[0], device=self.device)
            scale[:asked] = size**-0.5  # of the softmax, taken by the queries
            qkv = self._linear(layer.qkv, layer.before_attention, scale)
            gate_up = self._linear(layer.gate_up, layer.before_gate)
            layers.append(_Layer(qkv, self._linear(layer.out), gate_up, self._linear(layer.down)))
        self.layers = layers
        if self.words is None or self._head.trained or self.source.trained:
            words = self._head.master() * self._folded(self.source.last_weight)
            self.words = _Linear(words.to(self.dtype), self._head.bias, self._pack)
        self._version = version
        laid = "weights laid out for oneDNN" if self._pack else "plain weights"
        self.note = f"decoding in {str(self.dtype).removeprefix('torch.')}, {laid}, prompts read once"

    def unit(self, x_RD: Tensor) -> Tensor:
        """The norm without its weights and without √D, which are folded into what reads it."""
        small = math.sqrt(x_RD.shape[1] * self.source.eps)
        length = lengths(x_RD)
        return (x_RD / torch.hypot(length, torch.full_like(length, small))).to(self.dtype)

    def _folded(self, weight_D: Tensor) -> Tensor:
        return weight_D.detach() * math.sqrt(len(weight_D))

    def _linear(self, fused: Fused, norm: Tensor | None = None, scale: Tensor | None = None) -> _Linear:
        weight, bias = fused.merged(torch.float32), fused.bias
        if norm is not None:
            weight = weight * self._folded(norm)
        if scale is not None:
            weight = weight * scale[:, None]
            bias = None if bias is None else bias * scale
        return _Linear(weight.to(self.dtype), None if bias is None else bias.to(self.dtype), self._pack)

    def decode(
        self, wanted: list[Wanted], max_tokens: int, temperature: float, stop: frozenset[int]
    ) -> Iterator[list[Drawn]]:
        """Answers as they finish, one list per decoding step (often empty, so that a caller can breathe).

        On a CPU each core answers a share of the prompts by itself: the products of a decoding step are so
        small that cores waiting for each other after every one would cost more than they add. Shares are
        fixed beforehand, so what is computed together does not depend on timing.
        """
        cores = torch.get_num_threads() if self.device.type == "cpu" else 1
        shares = _shares(wanted, cores)
        if len(shares) == 1:
            yield from self._flowing(wanted, shares[0], max_tokens, temperature, stop)
            return
        flows = [self._flowing(wanted, share, max_tokens, temperature, stop) for share in shares]
        yield from side_by_side(flows, cores)

    @torch.inference_mode()  # on a generator torch leaves the mode at every yield
    def _flowing(
        self, wanted: list[Wanted], share: list[int], most: int, temperature: float, stop: frozenset[int]
    ) -> Iterator[list[Drawn]]:
        flow = _Flow(self, [wanted[p] for p in share], most, temperature, stop)
        while flow.going():
            done = [*flow.admit(), *flow.advance()]
            yield [drawn._replace(prompt=share[drawn.prompt]) for drawn in done]

    def _packs(self) -> bool:
        """Whether packed products work here and say what plain ones say."""
        if self.dtype != torch.bfloat16 or self.device.type != "cpu":
            return False
        weight = self.source.layers[0].out.merged(self.dtype)
        x = torch.linspace(-1, 1, 4 * weight.shape[1]).view(4, -1).to(self.dtype)
        try:
            found = _Linear(weight, None, True)(x)
        except (RuntimeError, AttributeError, NotImplementedError):
            return False
        plain = x.float() @ weight.float().t()
        return bool((found.float() - plain).abs().max() <= 2e-2 * plain.abs().max())


class _Flow:
    """One call of ``decode``: cells in their slots, and the caches they read."""

    def __init__(
        self, owner: LlamaDecoder, wanted: list[Wanted], most: int, temperature: float, stop: frozenset[int]
    ) -> None:
        self._owner, self._most, self._heat, self._stop = owner, most, temperature, stop
        self._wanted = wanted
        self._n = max(len(w.seeds) for w in wanted)
        order = sorted(range(len(wanted)), key=lambda p: (-len(wanted[p].tokens), p))
        self._queue = deque(order)
        self._picker = Picker(owner.vocabulary)
        self._slots = min(len(wanted), max(1, _ROWS // self._n))
        self._cells: list[Cell] = []
        self._uniform = {p: uniforms(w, most) for p, w in enumerate(wanted)}
        _, shared, size = owner.source.shape
        self._cache = Cache(
            (len(owner.layers), self._slots, shared, self._n, size), owner.dtype, owner.device
        )

    def going(self) -> bool:
        return bool(self._cells or self._queue)

    def admit(self) -> list[Drawn]:
        """Prompts into free slots: read together, and the first token of each of their answers."""
        taken = {cell.slot for cell in self._cells}
        free = [slot for slot in range(self._slots) if slot not in taken]
        if not free or not self._queue:
            return []
        news = [
            Cell(p, self._wanted[p], slot)
            for slot in free[: len(self._queue)]
            for p in [self._queue.popleft()]
        ]
        logits = self._read(news)
        rows = [(i, cell, sample) for i, cell in enumerate(news) for sample in cell.live]
        each = logits[torch.tensor([i for i, _, _ in rows], device=logits.device)]
        self._cells += news
        return self._take(each, [(cell, sample) for _, cell, sample in rows])

    def advance(self) -> list[Drawn]:
        """One more token for every unfinished answer."""
        self._shrink()
        rows = [(cell, sample) for cell in self._cells for sample in cell.live]
        return self._take(self._step(rows), rows) if rows else []

    def _take(self, logits: Tensor, rows: list[tuple[Cell, int]]) -> list[Drawn]:
        """Pick for these rows, note what ended."""
        draw = np.array([self._uniform[cell.prompt][s, len(cell.tokens[s])] for cell, s in rows])
        allowed = {i: a for i, (cell, _) in enumerate(rows) if (a := cell.wanted.allowed) is not None}
        uniform = torch.as_tensor(draw, device=logits.device)
        token, logp = self._picker.pick(logits, uniform, self._heat, allowed)
        done: list[Drawn] = []
        words = cast("list[int]", token.tolist())  # pyright: ignore[reportUnknownMemberType]
        values = cast("list[float]", logp.tolist())  # pyright: ignore[reportUnknownMemberType]
        for (cell, s), word, value in zip(rows, words, values, strict=True):
            cell.tokens[s].append(word)
            cell.logp[s].append(value)
            if cell.wanted.ends(s, word, len(cell.tokens[s]), self._most, self._stop):
                cell.live.remove(s)
                stopped = word in self._stop
                done.append(Drawn(cell.prompt, s, tuple(cell.tokens[s]), tuple(cell.logp[s]), stopped))
        self._cells = [cell for cell in self._cells if cell.live]
        return done

    def _shrink(self) -> None:
        """Give up slots, and places of answers in them, that nobody needs, once they are a quarter."""
        if self._queue or not self._cells:
            return
        widest = max(len(cell.live) for cell in self._cells)
        if len(self._cells) > 0.75 * self._slots and widest > 0.75 * self._n:
            return
        width = max(len(cell.wanted.tokens) for cell in self._cells)
        columns = [[cell.column[s] for s in cell.live] for cell in self._cells]
        padded = [[*own, *[0] * (widest - len(own))] for own in columns]
        self._cache.keep([cell.slot for cell in self._cells], padded, width)
        self._slots, self._n = len(self._cells), widest
        for slot, cell in enumerate(self._cells):
            cell.slot, cell.column = slot, {s: i for i, s in enumerate(cell.live)}

    def _read(self, cells: Sequence[Cell]) -> Tensor:
        """The prompts of new cells through the model, their keys and values into the cache; logits behind."""
        owner, source = self._owner, self._owner.source
        texts = [cell.wanted.tokens for cell in cells]
        device = owner.device
        # The mark on the last token only makes it a sequence; nothing is shared between different prompts.
        marked = [Masked((*t, 0), (*(False for _ in t), True)) for t in texts]
        layout = packed(marked, False, device)
        width = max(len(t) for t in texts)
        self._cache.fit(width, 0)
        lengths = torch.tensor([[len(t)] for t in texts], device=device)
        # Prompts are packed by length, so where each begins is told by where its last token lies.
        starts = layout.at_A[:, None] - (lengths - 1)
        places = torch.minimum(torch.arange(width, device=device)[None], lengths - 1) + starts
        slots = torch.tensor([cell.slot for cell in cells], device=device)
        heads, shared, size = source.shape
        x = source.embedded(layout.tokens_T)
        turn = source.turn(layout.position_T, x, owner.dtype)
        for layer, (keys, values) in zip(owner.layers, self._cache.before, strict=True):
            qkv = layer.qkv(owner.unit(x)).view(len(x), -1, size)
            wide = turned(qkv[:, : heads + shared], turn)
            k, v = wide[:, heads:], qkv[:, heads + shared :]
            keys[slots, :, :width] = k[places].transpose(1, 2)
            values[slots, :, :width] = v[places].transpose(1, 2)
            said = attended(wide[:, :heads], k, v, layout.jobs, scale=1.0)
            x = x + layer.out(said.flatten(1))
            x = x + layer.down(_gate(layer.gate_up(owner.unit(x))))
        return _words(owner, x[layout.at_A])

    def _step(self, rows: Sequence[tuple[Cell, int]]) -> Tensor:
        """Logits behind the last token of each row."""
        owner, source = self._owner, self._owner.source
        at = Grid.of(rows, self._slots, self._n, owner.device)
        self._cache.fit(0, at.longest)
        heads, shared, size = source.shape
        x = source.embedded(torch.tensor([cell.tokens[s][-1] for cell, s in rows], device=owner.device))
        turn = source.turn(at.position_R, x, owner.dtype)
        bar = at.bar(self._cache.width, owner.dtype)
        for layer, before, after in zip(owner.layers, self._cache.before, self._cache.after, strict=True):
            qkv = layer.qkv(owner.unit(x)).view(len(x), -1, size)
            wide = qkv[:, : heads + shared]
            wide.copy_(turned(wide, turn))
            x.add_(layer.out(at.attend(qkv, (heads, shared), before, after, bar)))
            x.add_(layer.down(_gate(layer.gate_up(owner.unit(x)))))
        return _words(owner, x)


def _words(owner: LlamaDecoder, x_RD: Tensor) -> Tensor:
    assert owner.words is not None, "refresh comes first"
    return owner.words(owner.unit(x_RD))


def _shares(wanted: list[Wanted], cores: int) -> list[list[int]]:
    """Prompts dealt out by length, forth and back, so that shares are about equal."""
    shares: list[list[int]] = [[] for _ in range(max(1, min(cores, len(wanted))))]
    order = sorted(range(len(wanted)), key=lambda p: (-len(wanted[p].tokens), p))
    turn = [*range(len(shares)), *reversed(range(len(shares)))]
    for i, prompt in enumerate(order):
        shares[turn[i % len(turn)]].append(prompt)
    return shares


def _gate(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, 1)
    return torch.nn.functional.silu(gate).mul_(up)
