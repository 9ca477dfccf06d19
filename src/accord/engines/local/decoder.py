"""The decode copy: the policy's weights merged into one plain model, in bfloat16 where the processor has it.

Deterministic per machine: the processor's flags decide, not a timing, so a resumed run takes the same path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["DecodeCopy", "decode_dtype", "merged"]


def decode_dtype(wanted: Literal["auto", "float32", "bfloat16"], device: torch.device) -> torch.dtype:
    """float32 or bfloat16; ``auto`` takes bfloat16 where the hardware multiplies it natively."""
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return torch.float32
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


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


class DecodeCopy:
    """A second model that only decodes. ``refresh`` copies the learner's weights into it when they moved."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self.model = cast("PreTrainedModel", cast(Any, copy.deepcopy(model)).to(dtype).eval())
        self.model.requires_grad_(False)
        self._version = ""

    def forget(self) -> None:
        """The next refresh copies, whatever version it names: two histories can reach one version."""
        self._version = ""

    def refresh(self, source: PreTrainedModel, version: str) -> PreTrainedModel:
        if version != self._version:
            with torch.no_grad():
                fresh = merged(source)
                for name, tensor in self.model.state_dict().items():
                    tensor.copy_(fresh[name])
            self._version = version
        return self.model
