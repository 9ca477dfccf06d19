"""Tiny models of several families with random weights, in float32, over the byte tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from accord.engines.local.quiet import quiet
from accord.engines.local.tiny import byte_tokenizer

__all__ = ["FAST", "save_family"]

_ENDS = {"pad_token_id": 256, "bos_token_id": 257, "eos_token_id": 258}
_NAMES = {"GPT2ForCausalLM": "GPT2LMHeadModel"}
_SIZES: dict[str, Any] = {
    "vocab_size": 272,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    **_ENDS,
}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
_YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama tied": ("Llama", {"tie_word_embeddings": True}),
    "llama biased": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama wide heads": ("Llama", {"head_dim": 8, "num_key_value_heads": 1}),
    "llama 3 positions": ("Llama", {"rope_parameters": _LLAMA3}),
    "llama yarn": ("Llama", {"rope_parameters": _YARN}),
    "mistral": ("Mistral", {"sliding_window": None}),
    "mistral window": ("Mistral", {"sliding_window": 8}),
    "qwen2": ("Qwen2", {}),
    "qwen2 tied": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", {"head_dim": 4}),
    "gemma": ("Gemma", {"head_dim": 4}),
    "llama gelu": ("Llama", {"hidden_act": "gelu"}),
    "gpt2": (
        "GPT2",
        {"vocab_size": 272, "n_positions": 512, "n_embd": 16, "n_layer": 2, "n_head": 4, **_ENDS},
    ),
}
FAST = [
    "llama",
    "llama tied",
    "llama biased",
    "llama wide heads",
    "llama 3 positions",
    "llama yarn",
    "mistral",
    "qwen2",
    "qwen2 tied",
]


def save_family(folder: Path, name: str, kind: str = "ForCausalLM", spread: float = 0.3) -> Path:
    """A model of this family in ``folder``. Norms vary too, so that one left out shows."""
    family, told = FAMILIES[name]
    hf: Any = transformers
    config = getattr(hf, f"{family}Config")(**(told if family == "GPT2" else {**_SIZES, **told}))
    model = getattr(hf, _NAMES.get(family + kind, family + kind))(config)
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            shift = torch.randn(weight.shape, generator=draw) * spread
            weight.copy_(shift if weight.ndim > 1 else weight + shift)
    with quiet():
        model.save_pretrained(folder)
        tokenizer: Any = byte_tokenizer()
        tokenizer.save_pretrained(folder)
    return folder
