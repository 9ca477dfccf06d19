"""LoRA by peft: added from a seed, switched off for the reference, merged for decoding and export."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["adapter", "add_lora", "merged"]


def add_lora(model: PreTrainedModel, rank: int, alpha: int, seed: int) -> None:
    """Adapters on every linear layer of the body, from a seeded start; everything else stands still."""
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    body = {id(module) for module in model.base_model.modules()}
    modules = cast("Iterable[tuple[str, object]]", model.named_modules())
    # GPT-2 and its kin have transformers' Conv1D: a linear layer whose weights lie transposed.
    found = {name: m for name, m in modules if isinstance(m, (torch.nn.Linear, Conv1D)) and id(m) in body}
    lora = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=list(found),
        fan_in_fan_out=any(isinstance(m, Conv1D) for m in found.values()),
    )
    with cast(Any, torch.random).fork_rng(devices=[]):
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
        inject_adapter_in_model(lora, model)  # pyright: ignore[reportArgumentType]
    model.requires_grad_(False)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.requires_grad_(True)


@contextmanager
def adapter(model: PreTrainedModel, on: bool) -> Generator[None]:
    """With ``on`` false the model is the reference it started from, where it has adapters."""
    if on:
        yield
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [m for m in model.modules() if isinstance(m, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def merged(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights by the names of the plain model, adapters added in; the model itself is untouched."""
    from peft.tuners.lora import LoraLayer

    weights: dict[str, torch.Tensor] = {}
    added: dict[str, torch.Tensor] = {}
    for name, module in cast("Iterable[tuple[str, object]]", model.named_modules()):
        if isinstance(module, LoraLayer):
            layer = cast(Any, module)
            added[f"{name}.weight"] = layer.get_delta_weight("default").detach()
    for name, tensor in model.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        value = tensor.detach()
        weights[plain] = value + added[plain].to(value.dtype) if plain in added else value
    return weights
