"""Tiny models made in code: a byte tokenizer and a Llama of some ten thousand random weights.

For tests, examples and exact checks: no download, a fraction of a second, the same weights for the same seed
on every machine. Not for answers anyone would want to read.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from accord.engines.local.templates import TINY

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["ROLES", "byte_tokenizer", "save_tiny", "tiny_model"]

ROLES = ("system", "user", "assistant", "tool")

_ENDS = ("pad", "bos", "eos")
_SPECIALS = (*(f"<{name}>" for name in _ENDS), *(f"<|{role}|>" for role in ROLES))


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Ids 0 … 255 are the bytes of UTF-8; then ``<pad> <bos> <eos>`` and one marker for each role.

    Any text that can be written in UTF-8 comes back unchanged from ``decode(encode(text))``. The name of a
    special token inside a text is read as that token, as in every tokenizer of this kind. Nothing is added
    around a text: the template alone writes ``<bos>``.
    """
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    inner = Tokenizer(models.BPE(vocab={sign: byte for byte, sign in enumerate(_byte_signs())}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    cast(Any, inner).add_special_tokens(list(_SPECIALS))
    tokenizer = cast(Any, transformers).PreTrainedTokenizerFast(
        tokenizer_object=inner,
        **{f"{name}_token": f"<{name}>" for name in _ENDS},
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TINY
    return tokenizer


def tiny_model(
    seed: int = 0,
    *,
    layers: int = 2,
    width: int = 32,
    heads: int = 2,
    context: int = 1024,
    spread: float = 0.2,
) -> LlamaForCausalLM:
    """A Llama over ``byte_tokenizer``'s ids in float32, in eval mode: about 40,000 weights as it stands.

    The weights depend on ``seed`` and the sizes alone, drawn normal with standard deviation ``spread`` (norms
    are 1); .2 gives next-token distributions that are neither flat nor decided. Torch's own generator is left
    as found.
    """
    import torch
    import transformers

    hf = cast(Any, transformers)
    ends = {f"{name}_token_id": 256 + index for index, name in enumerate(_ENDS)}
    config = hf.LlamaConfig(
        vocab_size=256 + len(_SPECIALS),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        **ends,
    )
    with cast(Any, torch.random).fork_rng(devices=[]):
        model = hf.LlamaForCausalLM(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.ndim > 1:
                weight.normal_(0.0, spread, generator=draw)
    model.generation_config = hf.GenerationConfig(**ends)
    return model.float().eval()


def save_tiny(
    folder: Path, seed: int = 0, *, layers: int = 2, width: int = 32, heads: int = 2, context: int = 1024
) -> Path:
    """Write ``tiny_model`` and its tokenizer to ``folder`` as transformers loads them; returns ``folder``."""
    from accord.engines.local.quiet import quiet

    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model = cast(Any, tiny_model)(seed, layers=layers, width=width, heads=heads, context=context)
        model.save_pretrained(folder)
        cast(Any, byte_tokenizer()).save_pretrained(folder)
    return folder


def _byte_signs() -> list[str]:
    """The printable sign that stands for each byte in byte-level vocabularies, at the byte's own place."""
    plain = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in plain else next(others)) for byte in range(256)]
