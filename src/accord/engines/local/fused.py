"""Fused: linear layers that read the same input as one product, in the dtype that computing is done in.

In the dtype of the parameters nothing is copied: they become views of the fused tensor. In another dtype the
parameters stay the masters, and ``refresh`` casts them after each update.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

__all__ = ["Fused"]


class Fused:
    """``weight`` [Σ out, in] of the layers one under another; ``up``·``down`` is their adapters' share."""

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype) -> None:
        self._layers = list(layers)
        self._bases = [cast(nn.Linear, getattr(layer, "base_layer", layer)) for layer in layers]
        self._dtype = dtype
        self._viewed = all(base.weight.dtype == dtype for base in self._bases)
        self.full = any(base.weight.requires_grad for base in self._bases)
        lows = [cast(Any, layer) for layer in layers if hasattr(layer, "lora_A")]
        self._pairs: list[tuple[nn.Parameter, nn.Parameter, float]] = [
            (low.lora_A["default"].weight, low.lora_B["default"].weight, float(low.scaling["default"]))
            for low in lows
        ]
        if self._pairs and len(self._pairs) != len(layers):
            raise ValueError("either all layers of a product have an adapter or none")
        self.adapters = len(self._pairs)
        self.trained: list[nn.Parameter] = [p for down, up, _ in self._pairs for p in (down, up)]
        if self.full:
            self.trained = [*(cast(nn.Parameter, base.weight) for base in self._bases), *self._biases()]
        self._outs = [base.weight.shape[0] for base in self._bases]
        self._ranks = [down.shape[0] for down, _, _ in self._pairs]
        self.bias: Tensor | None = None
        self.down: Tensor = torch.empty(0)
        self.up: Tensor = torch.empty(0)
        if self._viewed and len(self._bases) > 1:
            self.weight = torch.cat([base.weight.detach() for base in self._bases])
            for base, part in zip(self._bases, _cut(self.weight, self._outs), strict=True):
                base.weight.data = part
        else:
            self.weight = self._bases[0].weight.detach() if self._viewed else self._cast()
        self.refresh()

    def refresh(self, whole: bool = False) -> None:
        """Take over what the trained parameters are now; with ``whole`` also those that stand still."""
        with torch.no_grad():
            if not self._viewed and (self.full or whole):
                self.weight = self._cast()
            if biases := self._biases():
                self.bias = torch.cat([bias.detach() for bias in biases]).to(self._dtype)
            if self._pairs:
                self.down = torch.cat([down.detach() for down, _, _ in self._pairs]).to(self._dtype)
                ups = [scale * up.detach() for _, up, scale in self._pairs]
                self.up = cast(Tensor, cast(Any, torch).block_diag(*ups)).to(self._dtype)

    def merged(self, dtype: torch.dtype) -> Tensor:
        """The masters with their adapters added in, then cast."""
        with torch.no_grad():
            parts: list[Tensor] = []
            for i, base in enumerate(self._bases):
                weight = base.weight.detach()
                if self._pairs:
                    down, up, scale = self._pairs[i]
                    weight = torch.addmm(weight, up.detach(), down.detach(), alpha=scale)
                parts.append(weight)
            return (torch.cat(parts) if len(parts) > 1 else parts[0]).to(dtype)

    def adapter_grads(self, x_TI: Tensor, low_TR: Tensor, g_TO: Tensor, low_grad: Tensor) -> Iterator[Tensor]:
        """For each layer the gradients of its ``A`` and ``B``, float32."""
        at = out = 0
        for (down, up, scale), rank, width in zip(self._pairs, self._ranks, self._outs, strict=True):
            yield (low_grad[:, at : at + rank].t() @ x_TI).to(down.dtype)
            yield (g_TO[:, out : out + width].t() @ low_TR[:, at : at + rank]).to(up.dtype).mul_(scale)
            at, out = at + rank, out + width

    def weight_grads(self, x_TI: Tensor, g_TO: Tensor) -> Iterator[Tensor]:
        """Gradients of the weights, then of the biases, in the dtype of the masters."""
        whole = (g_TO.t() @ x_TI).to(self._bases[0].weight.dtype)
        yield from _cut(whole, self._outs)
        if self._biases():
            yield from _cut(g_TO.sum(0, dtype=self._bases[0].weight.dtype), self._outs)

    def _biases(self) -> list[nn.Parameter]:
        return [base.bias for base in self._bases if cast(object, base.bias) is not None]

    def _cast(self) -> Tensor:
        return torch.cat([base.weight.detach() for base in self._bases]).to(self._dtype)


def _cut(whole: Tensor, outs: list[int]) -> tuple[Tensor, ...]:
    return cast("tuple[Tensor, ...]", cast(Any, whole).split(outs))
