"""The Llama family at full speed: hidden states of packed tokens, the shared prefix computed once.

Covers what transformers calls Llama, Mistral without a window and Qwen2 without one: rotary positions,
grouped keys, RMS norms before each half of a layer, a SiLU gate. ``refusal`` says why another model goes the
plain way.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint  # pyright: ignore[reportUnknownVariableType]

from accord.engines.local.fused import Fused
from accord.engines.local.layout import Layout
from accord.engines.local.passes import attend, gated, normed, product

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Layer", "PackedLlama", "refusal"]

_FAMILY = ("Llama", "Mistral", "Qwen2")
_TURNS = ("default", "linear", "llama3", "yarn")


class Layer(NamedTuple):
    """One layer's four products and two norms."""

    qkv: Fused
    out: Fused
    gate_up: Fused
    down: Fused
    before_attention: Tensor
    before_gate: Tensor


def refusal(model: PreTrainedModel) -> str:
    """Why ``model`` is not of the family, or nothing."""
    config: Any = model.config
    family = re.sub(r"For(CausalLM|SequenceClassification)$", "", type(model).__name__)
    if family not in _FAMILY:
        return f"{type(model).__name__} is not of the Llama family"
    if config.hidden_act != "silu":
        return f"its gate is {config.hidden_act}, not silu"
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return "it attends within a sliding window"
    turned = cast("dict[str, object]", getattr(config, "rope_parameters", None) or {})
    turn = turned.get("rope_type", "default")
    if turn not in _TURNS:
        return f"its positions are {turn}"
    return ""


class PackedLlama:
    """The body of a Llama-like model over its own parameters; gradients arrive in them as usual."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        body: Any = model.base_model
        config: Any = model.config
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        self.dtype = dtype
        self.recompute = False  # layers a second time in the backward pass, instead of what they would keep
        self.shape = (heads, config.num_key_value_heads, size)
        self.eps = float(config.rms_norm_eps)
        self._embed, self._norm, self._turn = body.embed_tokens, body.norm, body.rotary_emb
        self.layers = [
            Layer(
                Fused([at.q_proj, at.k_proj, at.v_proj], dtype),
                Fused([at.o_proj], dtype),
                Fused([mlp.gate_proj, mlp.up_proj], dtype),
                Fused([mlp.down_proj], dtype),
                layer.input_layernorm.weight,
                layer.post_attention_layernorm.weight,
            )
            for layer in body.layers
            for at, mlp in [(layer.self_attn, layer.mlp)]
        ]

    def refresh(self, whole: bool = False) -> None:
        """Call after trained parameters changed; with ``whole`` after any did."""
        for layer in self.layers:
            for linear in (layer.qkv, layer.out, layer.gate_up, layer.down):
                linear.refresh(whole)

    def hidden(self, layout: Layout, adapted: bool = True) -> Tensor:
        """[T, D] before the last norm. Without ``adapted`` the model is what it was before its adapters."""
        x = self.embedded(layout.tokens_T)
        turn = self.turn(layout.position_T, x, self.dtype)
        for layer in self.layers:
            work = partial(self._through, layer=layer, turn=turn, layout=layout, adapted=adapted)
            if self.recompute and torch.is_grad_enabled():
                x = cast(
                    Tensor, cast(Any, checkpoint)(work, x, use_reentrant=False, preserve_rng_state=False)
                )
            else:
                x = work(x)
        return x

    def _through(
        self, x: Tensor, layer: Layer, turn: tuple[Tensor, Tensor], layout: Layout, adapted: bool
    ) -> Tensor:
        h = normed(x, layer.before_attention, self.eps, self.dtype)
        read = attend(product(h, layer.qkv, adapted), turn, self.shape, layout.jobs)
        x = x + product(read, layer.out, adapted)
        h = normed(x, layer.before_gate, self.eps, self.dtype)
        return x + product(gated(product(h, layer.gate_up, adapted)), layer.down, adapted)

    def last_norm(self, x_TD: Tensor) -> Tensor:
        """What the head reads."""
        return normed(x_TD, self._norm.weight, self.eps, self.dtype)

    def embedded(self, tokens_T: Tensor) -> Tensor:
        """What the first layer reads."""
        return cast(Tensor, self._embed(tokens_T))

    @property
    def last_weight(self) -> Tensor:
        """The weights of the norm before the head."""
        return cast(Tensor, self._norm.weight)

    @property
    def trained(self) -> bool:
        """Whether more than adapters moves."""
        return self.last_weight.requires_grad

    def turn(self, position_T: Tensor, like: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """cos of each position, and sin with minus on the first half; [T, 1, D]."""
        cos, sin = cast("tuple[Tensor, Tensor]", self._turn(like[None], position_T[None]))
        half = sin.shape[2] // 2
        signed = torch.cat([-sin[..., :half], sin[..., half:]], 2)
        return cos[0][:, None].to(dtype), signed[0][:, None].to(dtype)
