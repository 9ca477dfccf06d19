"""Decoding for the Llama family: prompts read once, their keys shared by all their answers.

Answers stand in a grid of slots, one row of the grid for each prompt. Linear layers see the unfinished rows
only; a prompt whose answers are all done gives its slot to the next. Weights are merged and, in bfloat16 on
processors that have it, laid out once for oneDNN; the first product is checked against the plain one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from accord.engines.local.decode import Drawn, Wanted, uniforms
from accord.engines.local.head import Head
from accord.engines.local.layout import packed
from accord.engines.local.llama import PackedLlama
from accord.engines.local.passes import attended, turned
from accord.engines.local.picking import Picker
from accord.engines.local.threads import side_by_side
from accord.records import Sequence as Masked

__all__ = ["LlamaDecoder"]

_ROWS = 96  # answers side by side; more gains little on two cores and costs cache memory
_GROWTH = 64  # suffix places are allocated this many at a time
_PACK_FOR = 64  # rows that the layout of packed weights is made for


class _Linear:
    """One product of the decode copy, packed where that works."""

    def __init__(self, weight: Tensor, bias: Tensor | None, pack: bool) -> None:
        self.bias = bias
        self.weight = weight
        self._packed: Any = None
        if pack:
            self._packed = cast(Any, torch.ops).mkldnn._reorder_linear_weight(weight, _PACK_FOR)

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is None:
            return torch.nn.functional.linear(x, self.weight, self.bias)
        return cast(Any, torch.ops).mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")


class _Layer(NamedTuple):
    qkv: _Linear
    out: _Linear
    gate_up: _Linear
    down: _Linear
    before_attention: Tensor
    before_gate: Tensor


class _Cell:
    """A prompt in its slot: which of its answers are unfinished, and how far they are."""

    def __init__(self, prompt: int, wanted: Wanted, slot: int) -> None:
        self.prompt, self.wanted, self.slot = prompt, wanted, slot
        self.live = list(range(len(wanted.seeds)))
        self.said = 0
        self.tokens: list[list[int]] = [[] for _ in wanted.seeds]
        self.logp: list[list[float]] = [[] for _ in wanted.seeds]


class _Cache:
    """Keys and values of prompts [slots, heads, P, D] and of answers [slots, heads, n, T, D], by layer."""

    def __init__(self, layers: int, slots: int, n: int, like: Callable[..., Tensor]) -> None:
        self._like, self._n = like, n
        self.before = [(like(slots, 0), like(slots, 0)) for _ in range(layers)]
        self.after = [(like(slots, n, 0), like(slots, n, 0)) for _ in range(layers)]

    def fit(self, prompt: int, answer: int) -> None:
        """Room for prompts and answers of these lengths."""
        if prompt > self.before[0][0].shape[2]:
            self.before = [(_longer(k, prompt, 2), _longer(v, prompt, 2)) for k, v in self.before]
        have = self.after[0][0].shape[3]
        if answer > have:
            size = have + max(_GROWTH, answer - have)
            self.after = [(_longer(k, size, 3), _longer(v, size, 3)) for k, v in self.after]

    def keep(self, slots: list[int]) -> None:
        """These slots only, in this order."""
        index = torch.tensor(slots, device=self.before[0][0].device)
        self.before = [(k[index], v[index]) for k, v in self.before]
        self.after = [(k[index], v[index]) for k, v in self.after]


class LlamaDecoder:
    """A decode copy of one model. ``refresh`` takes over its weights when they moved."""

    def __init__(self, source: PackedLlama, head: Head, dtype: torch.dtype) -> None:
        self._source, self._head, self._dtype = source, head, dtype
        self._layers: list[_Layer] = []
        self._words = _Linear(head.weight[:1].to(dtype), None, False)
        self._version = ""
        self._pack = True
        self.note = ""

    def forget(self) -> None:
        """The next refresh copies, whatever version it names: two histories can reach one version."""
        self._version = ""

    @torch.inference_mode()
    def refresh(self, version: str) -> None:
        """Merge and lay out the weights as they are now."""
        if version == self._version:
            return
        self._pack = self._pack and self._packs()
        first = not self._layers
        layers: list[_Layer] = []
        for layer in self._source.layers:
            qkv, out, gate_up, down = (
                _Linear(f.merged(self._dtype), None if f.bias is None else f.bias.to(self._dtype), self._pack)
                for f in (layer.qkv, layer.out, layer.gate_up, layer.down)
            )
            layers.append(_Layer(qkv, out, gate_up, down, layer.before_attention, layer.before_gate))
        self._layers = layers
        if first or self._head.trained:
            self._words = _Linear(self._head.master().to(self._dtype), self._head.bias, self._pack)
        self._version = version
        laid = "weights laid out for oneDNN" if self._pack else "plain weights"
        self.note = f"decoding in {str(self._dtype).removeprefix('torch.')}, {laid}, prompts read once"

    def decode(
        self, wanted: list[Wanted], max_tokens: int, temperature: float, stop: frozenset[int]
    ) -> Iterator[list[Drawn]]:
        """Answers as they finish, one list per decoding step (often empty, so that a caller can breathe).

        On a CPU each core answers a share of the prompts by itself: the products of a decoding step are so
        small that cores waiting for each other after every one would cost more than they add. Shares are
        fixed beforehand, so what is computed together does not depend on timing.
        """
        cores = torch.get_num_threads() if self._head.weight.device.type == "cpu" else 1
        shares = _shares(wanted, cores)
        if len(shares) == 1:
            yield from self._flowing(wanted, shares[0], max_tokens, temperature, stop)
            return
        flows = [self._flowing(wanted, share, max_tokens, temperature, stop) for share in shares]
        yield from side_by_side(flows, cores)

    def _flowing(
        self, wanted: list[Wanted], share: list[int], most: int, temperature: float, stop: frozenset[int]
    ) -> Iterator[list[Drawn]]:
        with torch.inference_mode():
            flow = _Flow(self, [wanted[p] for p in share], most, temperature, stop)
            while flow.going():
                done = [*flow.admit(), *flow.advance()]
                yield [drawn._replace(prompt=share[drawn.prompt]) for drawn in done]

    def _packs(self) -> bool:
        """Whether packed products work here and say what plain ones say."""
        if self._dtype != torch.bfloat16 or self._source.layers[0].qkv.weight.device.type != "cpu":
            return False
        weight = self._source.layers[0].out.merged(self._dtype)
        x = torch.linspace(-1, 1, 4 * weight.shape[1]).view(4, -1).to(self._dtype)
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
        self._picker = Picker(owner._head.weight.shape[0])
        self._slots = min(len(wanted), max(1, _ROWS // self._n))
        self._cells: list[_Cell] = []
        self._uniform = {p: uniforms(w, most) for p, w in enumerate(wanted)}
        _, shared, size = owner._source.shape
        device = owner._head.weight.device

        def like(*place: int) -> Tensor:
            return torch.zeros(place[0], shared, *place[1:], size, dtype=owner._dtype, device=device)

        self._cache = _Cache(len(owner._layers), self._slots, self._n, like)

    def going(self) -> bool:
        return bool(self._cells or self._queue)

    def admit(self) -> list[Drawn]:
        """Prompts into free slots: read together, and the first token of each of their answers."""
        taken = {cell.slot for cell in self._cells}
        free = [slot for slot in range(self._slots) if slot not in taken]
        if not free or not self._queue:
            return []
        news = [
            _Cell(p, self._wanted[p], slot)
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

    def _take(self, logits: Tensor, rows: list[tuple[_Cell, int]]) -> list[Drawn]:
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
        """Give up slots that nobody will need, once they are a quarter of all."""
        if self._queue or not self._cells or len(self._cells) > 0.75 * self._slots:
            return
        self._cache.keep([cell.slot for cell in self._cells])
        self._slots = len(self._cells)
        for slot, cell in enumerate(self._cells):
            cell.slot = slot

    def _read(self, cells: list[_Cell]) -> Tensor:
        """The prompts of new cells through the model, their keys and values into the cache; logits behind."""
        owner, source = self._owner, self._owner._source
        texts = [cell.wanted.tokens for cell in cells]
        device = owner._head.weight.device
        # The mark on the last token only makes it a sequence; nothing is shared between different prompts.
        layout = packed([Masked(t + (0,), (False,) * len(t) + (True,)) for t in texts], False, device)
        self._cache.fit(max(len(t) for t in texts), 0)
        width = max(len(t) for t in texts)
        # Where each prompt lies in the packed tokens: they are laid by length, so ask the predictor's place.
        starts = layout.at_A[:, None] - torch.tensor([[len(t) - 1] for t in texts], device=device)
        lengths = torch.tensor([[len(t)] for t in texts], device=device)
        places = torch.minimum(torch.arange(width, device=device)[None], lengths - 1) + starts
        slots = torch.tensor([cell.slot for cell in cells], device=device)
        heads, shared, size = source.shape
        x = source.embedded(layout.tokens_T)
        turn = source.turn(layout.position_T, x)
        for layer, (keys, values) in zip(owner._layers, self._cache.before, strict=True):
            qkv = layer.qkv(source.scaled(x, layer.before_attention, owner._dtype))
            wide = turned(qkv[:, : (heads + shared) * size].unflatten(1, (heads + shared, size)), *turn)
            v = qkv[:, (heads + shared) * size :].unflatten(1, (shared, size))
            keys[slots, :, :width] = wide[:, heads:][places].transpose(1, 2)
            values[slots, :, :width] = v[places].transpose(1, 2)
            x = x + layer.out(attended(wide[:, :heads], wide[:, heads:], v, layout.jobs).flatten(1))
            x = x + layer.down(_gate(layer.gate_up(source.scaled(x, layer.before_gate, owner._dtype))))
        return owner._words(source.last_scaled(x[layout.at_A], owner._dtype))

    def _step(self, rows: list[tuple[_Cell, int]]) -> Tensor:
        """Logits behind the last token of each row."""
        owner, source = self._owner, self._owner._source
        device = owner._head.weight.device
        at = _Grid.of(rows, self._slots, self._n, device)
        self._cache.fit(0, at.longest)
        heads, shared, size = source.shape
        x = source.embedded(torch.tensor([cell.tokens[s][-1] for cell, s in rows], device=device))
        turn = source.turn(at.position_R, x)
        bar = at.bar(self._cache.before[0][0].shape[2], owner._dtype)
        for layer, before, after in zip(owner._layers, self._cache.before, self._cache.after, strict=True):
            qkv = layer.qkv(source.scaled(x, layer.before_attention, owner._dtype)).unflatten(1, (-1, size))
            qkv[:, : heads + shared] = turned(qkv[:, : heads + shared], *turn)
            x = x + layer.out(at.attend(qkv, (heads, shared), before, after, bar))
            x = x + layer.down(_gate(layer.gate_up(source.scaled(x, layer.before_gate, owner._dtype))))
        return owner._words(source.last_scaled(x, owner._dtype))


class _Grid(NamedTuple):
    """Where the rows of one step stand. ``place_R``: slot · n + sample; ``said_S``: places filled before."""

    place_R: Tensor
    position_R: Tensor
    said_S: Tensor
    length_S: Tensor
    longest: int
    n: int
    even: bool
    full: bool

    @classmethod
    def of(cls, rows: list[tuple[_Cell, int]], slots: int, n: int, device: torch.device) -> _Grid:
        said, length = [0] * slots, [1] * slots
        for cell, sample in rows:
            # Every unfinished answer of a cell has said the same number of tokens; the last is not yet cached.
            said[cell.slot] = len(cell.tokens[sample]) - 1
            length[cell.slot] = len(cell.wanted.tokens)
        place = [cell.slot * n + sample for cell, sample in rows]
        position = [length[cell.slot] + said[cell.slot] for cell, _ in rows]
        busy = {cell.slot for cell, _ in rows}
        return cls(
            torch.tensor(place, device=device),
            torch.tensor(position, device=device),
            torch.tensor(said, device=device),
            torch.tensor(length, device=device),
            max(said) + 1,
            n,
            len({said[slot] for slot in busy}) == 1 and len(busy) == slots,
            place == list(range(slots * n)),
        )

    def bar(self, width: int, dtype: torch.dtype) -> Tensor | None:
        """0 or −∞ [slots, 1, P + T] for places that hold nothing; None where all hold something."""
        if self.even and bool((self.length_S == width).all()):
            return None
        p = torch.arange(width, device=self.said_S.device)[None] >= self.length_S[:, None]
        t = torch.arange(self.longest, device=self.said_S.device)[None] > self.said_S[:, None]
        bars = torch.cat([p, t], 1)
        return torch.zeros(bars.shape, device=bars.device).masked_fill_(bars, -torch.inf)[:, None]

    def attend(
        self,
        qkv_RHD: Tensor,
        shape: tuple[int, int],
        before: tuple[Tensor, Tensor],
        after: tuple[Tensor, Tensor],
        bar: Tensor | None,
    ) -> Tensor:
        """Each row over its prompt's keys, shared by the slot's answers, and over its own."""
        heads, shared = shape
        slots, times, size = len(self.said_S), heads // shared, qkv_RHD.shape[2]
        grid = qkv_RHD
        if not self.full:
            grid = qkv_RHD.new_zeros(slots * self.n, *qkv_RHD.shape[1:])
            grid[self.place_R] = qkv_RHD
        grid = grid.view(slots, self.n, -1, size)
        for cache, new in zip(after, grid[:, :, heads:].split(shared, 2), strict=True):
            if self.even:
                cache[:, :, :, self.longest - 1] = new.transpose(1, 2)
            else:
                cache[torch.arange(slots, device=new.device), :, :, self.said_S] = new.transpose(1, 2)
        q = grid[:, :, :heads].reshape(slots, self.n, shared, times, size).transpose(1, 2).contiguous()
        together = q.view(slots, shared, self.n * times, size)
        k_own, v_own = (cache[:, :, :, : self.longest] for cache in after)
        scores = torch.cat(
            [
                together @ before[0].transpose(2, 3),
                (q @ k_own.transpose(3, 4)).view(slots, shared, self.n * times, self.longest),
            ],
            3,
        ).float()
        scores.mul_(size**-0.5)
        if bar is not None:
            scores.add_(bar[:, :, None])
        p = torch.softmax(scores, 3).to(q.dtype)
        width = before[0].shape[2]
        said = p[..., :width] @ before[1]
        own = p[..., width:].reshape(slots, shared, self.n, times, self.longest) @ v_own
        said = (said + own.view_as(said)).view(slots, shared, self.n, times, size)
        flat = said.transpose(1, 2).reshape(slots * self.n, heads * size)
        return flat if self.full else flat[self.place_R]


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


def _longer(cache: Tensor, size: int, dim: int) -> Tensor:
    """The same, with room up to ``size`` along ``dim``; the new places are 0."""
    shape = list(cache.shape)
    shape[dim] = size
    longer = cache.new_zeros(shape)
    longer.narrow(dim, 0, cache.shape[dim]).copy_(cache)
    return longer
