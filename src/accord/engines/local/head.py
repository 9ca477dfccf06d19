"""The language-model head on scored tokens only: log-probabilities whose derivative is computed on the way.

For one token ∂ log π(c)/∂h = (W_c − Σ_v π_v W_v) / temperature, whatever the loss; so the second product is
done while the logits of a chunk are in the cache, and no logits are kept for the backward pass unless the
head itself is trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function

from accord.maths.tensor.likelihood import chosen_logp, masked_logits

__all__ = ["Choices", "Head", "WholeLogits"]

_ROWS = 128
_KEPT = 2**28  # probabilities kept for the gradient of the head's own weights; beyond it they are made again


class Choices(NamedTuple):
    """What was chosen at each scored place, and under which temperature and allowed tokens."""

    chosen_A: Tensor
    temperature_A: Tensor
    allowed: dict[int, tuple[int, ...]]

    def part(self, span: slice) -> Choices:
        """Those of a chunk."""
        inside = {t - span.start: a for t, a in self.allowed.items() if span.start <= t < span.stop}
        return Choices(self.chosen_A[span], self.temperature_A[span], inside)


class Head:
    """A linear head over the vocabulary, in ``dtype``; logits are float32 from there on."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        self._linear, self._dtype = linear, dtype
        self.weight = linear.weight.detach().to(dtype)
        self.bias = cast("Tensor | None", linear.bias)

    @property
    def trained(self) -> bool:
        """Whether its weights may move."""
        return self._linear.weight.requires_grad

    def master(self) -> Tensor:
        """The weights as the optimizer has them."""
        return self._linear.weight.detach()

    def refresh(self, whole: bool = False) -> None:
        """Call after the head was trained; with ``whole`` after it was loaded."""
        moved = whole or self._linear.weight.requires_grad
        if self._linear.weight.dtype != self._dtype and moved:
            self.weight = self._linear.weight.detach().to(self._dtype)

    def logp(self, state_AD: Tensor, choices: Choices) -> Tensor:
        """log π of what was chosen, with gradient where autograd is on."""
        if self.bias is not None and self.bias.requires_grad and torch.is_grad_enabled():
            logits = self._linear(state_AD)
            return WholeLogits("its bias is trained").logp(logits, choices)
        if not torch.is_grad_enabled() or not (state_AD.requires_grad or self._linear.weight.requires_grad):
            found = [chosen_logp(logits, part.chosen_A) for logits, part in self.logits(state_AD, choices)]
            return torch.cat(found) if found else state_AD.new_zeros(0, dtype=torch.float32)
        return cast(Tensor, cast(Any, _Chosen).apply(state_AD, self._linear.weight, self, choices))

    def logits(self, state_AD: Tensor, choices: Choices) -> Iterator[tuple[Tensor, Choices]]:
        """Chunks of masked logits over the temperature, with what was chosen there."""
        for start in range(0, len(state_AD), _ROWS):
            span = slice(start, start + _ROWS)
            part = choices.part(span)
            yield masked_logits(self.raw(state_AD[span]), part.temperature_A, part.allowed), part

    def raw(self, state_AD: Tensor) -> Tensor:
        """The logits as the head gives them."""
        raw = torch.nn.functional.linear(state_AD, self.weight)
        return raw if self.bias is None else raw + self.bias


class WholeLogits:
    """For a model whose logits its head alone does not give: here the states *are* the logits."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def refresh(self, whole: bool = False) -> None:
        """Nothing is kept."""
        del whole

    def logp(self, state_AV: Tensor, choices: Choices) -> Tensor:
        """log π of what was chosen."""
        found = [chosen_logp(logits, part.chosen_A) for logits, part in self.logits(state_AV, choices)]
        return torch.cat(found) if found else state_AV.new_zeros(0, dtype=torch.float32)

    def logits(self, state_AV: Tensor, choices: Choices) -> Iterator[tuple[Tensor, Choices]]:
        """Chunks of masked logits over the temperature, with what was chosen there."""
        for start in range(0, len(state_AV), _ROWS):
            span = slice(start, start + _ROWS)
            part = choices.part(span)
            yield masked_logits(state_AV[span], part.temperature_A, part.allowed), part


class _Chosen(Function):
    @staticmethod
    def forward(ctx: Any, state_AD: Tensor, weight: Tensor, head: Head, choices: Choices) -> Tensor:
        del weight
        logp: list[Tensor] = []
        slope = torch.empty_like(state_AD)
        kept: list[Tensor] = []
        train = ctx.needs_input_grad[1]
        keep = train and len(state_AD) * head.weight.shape[0] * state_AD.element_size() <= _KEPT
        for start, (logits, part) in zip(
            range(0, len(state_AD), _ROWS), head.logits(state_AD, choices), strict=True
        ):
            said = logits.gather(1, part.chosen_A[:, None])
            top = logits.amax(1, keepdim=True)
            mass = logits.sub_(top).exp_()
            whole = mass.sum(1, keepdim=True)
            logp.append((said - top - whole.log())[:, 0])
            p = mass.to(state_AD.dtype)
            pulled = head.weight[part.chosen_A] - (p @ head.weight) / whole
            slope[start : start + len(p)] = pulled / part.temperature_A[:, None]
            if keep:
                kept.append(p.div_(whole))
        ctx.head, ctx.choices, ctx.keep = head, choices, keep
        ctx.save_for_backward(state_AD, slope, *kept)
        return torch.cat(logp) if logp else state_AD.new_zeros(0, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        state_AD, slope, *kept = ctx.saved_tensors
        state_grad = slope * grads[0][:, None].to(slope.dtype)
        weight_grad = None
        if ctx.needs_input_grad[1]:
            weight_grad = _weight_grad(ctx.head, ctx.choices, state_AD, grads[0], kept)
        return state_grad, weight_grad, None, None


def _weight_grad(head: Head, choices: Choices, state_AD: Tensor, g_A: Tensor, kept: list[Tensor]) -> Tensor:
    """Σ over tokens of g/temperature · (onehot − π) ⊗ h."""
    found = torch.zeros(
        head.weight.shape,
        dtype=torch.promote_types(head.weight.dtype, torch.float32),
        device=head.weight.device,
    )

    def probabilities() -> Iterator[Tensor]:
        for logits, _ in head.logits(state_AD, choices):
            yield torch.softmax(logits, 1).to(state_AD.dtype)

    for start, p in zip(range(0, len(state_AD), _ROWS), kept or probabilities(), strict=True):
        part = choices.part(slice(start, start + _ROWS))
        g = (g_A[start : start + len(p)] / part.temperature_A).to(p.dtype)
        pull = p.mul(-g[:, None])
        pull[torch.arange(len(p), device=p.device), part.chosen_A] += g
        found += pull.t() @ state_AD[start : start + len(p)]
    return found
