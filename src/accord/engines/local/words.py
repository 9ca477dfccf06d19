"""Models of token policies made in code: ``tiny``, a causal transformer, and ``window``, an MLP.

Both read and say the words of an alphabet, split at blanks. The id of a word is its place in the alphabet, so
``Prompt.allowed`` as ``Alphabet`` writes it holds for the model; behind the words stand ``<unknown> <end>
<pad>``. The template writes the words of the messages and an end behind every answer, nothing else.

One decision is one token. Settings for it: ``max_tokens = 1``, and the actions as ``ends``, which are ends of
answers for the model; then an answer comes to its own end, and its row does not count as cut. Without
``ends`` the same tokens are drawn, learnt and gone on from, and every row has ``cut`` 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from accord.engines.local.templates import WORDS
from accord.errors import PlanError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["Size", "save_window", "save_words"]

_BEHIND = ("<unknown>", "<end>", "<pad>")
_HEAD = 0.02  # spread of the head's weights: what is said first is close to even


class Size(NamedTuple):
    """Of a transformer: 2 × 64 has about 0.1M weights, 4 × 128 about 0.7M."""

    layers: int = 2
    width: int = 64
    heads: int = 4
    context: int = 512


_TINY = Size()


def save_words(
    folder: Path, words: Sequence[str], seed: int = 0, *, ends: Sequence[str] = (), size: Size = _TINY
) -> Path:
    """Write the model ``tiny`` over these words to ``folder``; transformers loads it as it is.

    Weights depend on the seed and the sizes alone, drawn normal with deviation 1/√(3·inputs), as
    wide as torch draws a linear layer.
    """
    import transformers

    hf = cast(Any, transformers)
    config = hf.LlamaConfig(
        vocab_size=len(words) + len(_BEHIND),
        hidden_size=size.width,
        intermediate_size=2 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=False,
        **_ids(words),
    )
    return _saved(folder, words, ends, _made(hf.LlamaForCausalLM, config, seed))


def save_window(
    folder: Path,
    words: Sequence[str],
    length: int,
    seed: int = 0,
    *,
    ends: Sequence[str] = (),
    widths: tuple[int, ...] = (256, 256),
) -> Path:
    """Write the model ``window`` over these words to ``folder``: it reads the last ``length`` tokens.

    transformers loads it once ``accord.engines.local.window`` was imported, as the local engine does. It is
    trained with ``adapter = "full"``.
    """
    from accord.engines.local.window import WindowConfig, WindowModel

    if length < 1 or not widths or min(widths) < 1:
        raise PlanError("length, widths", (length, widths), "1 or more, and one or more layers")
    size = len(words) + len(_BEHIND)
    config = WindowConfig(vocab_size=size, length=length, embed=8, widths=widths, **_ids(words))
    return _saved(folder, words, ends, _made(WindowModel, config, seed))


def _tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """Splits at blanks; the id of a word is its place. What is no word is ``<unknown>``."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    odd = [word for word in words if word.split() != [word] or word in _BEHIND]
    if odd or not words or len(set(words)) < len(words):
        allowed = f"different words without a blank, none of {' '.join(_BEHIND)}"
        raise PlanError("words", odd or list(words), allowed)
    vocabulary = {word: i for i, word in enumerate([*words, *_BEHIND])}
    inner = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=_BEHIND[0]))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    cast(Any, inner).add_special_tokens(list(_BEHIND))
    tokenizer = cast(Any, transformers).PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token=_BEHIND[0],
        eos_token=_BEHIND[1],
        pad_token=_BEHIND[2],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = WORDS
    return tokenizer


def _ids(words: Sequence[str]) -> dict[str, int | None]:
    return {"bos_token_id": None, "eos_token_id": len(words) + 1, "pad_token_id": len(words) + 2}


def _made(kind: Any, config: Any, seed: int) -> PreTrainedModel:
    """Of these sizes, weights drawn by their names' order; torch's own generator is left as found."""
    import torch

    with cast(Any, torch.random).fork_rng(devices=[]):
        model = kind(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim > 1:
                embeds = name.endswith("embed_tokens.weight")
                spread = 1.0 if embeds else 1 / math.sqrt(3 * weight.shape[1])
                weight.normal_(0.0, _HEAD if name == "lm_head.weight" else spread, generator=draw)
            elif name.endswith("bias"):
                weight.zero_()
    return model.float().eval()


def _saved(folder: Path, words: Sequence[str], ends: Sequence[str], model: Any) -> Path:
    import transformers

    from accord.engines.local.quiet import quiet

    tokenizer = cast(Any, _tokenizer(words))
    if strange := [word for word in ends if word not in words]:
        raise PlanError("ends", strange, "words of the alphabet")
    told = _ids(words)
    stops = [told["eos_token_id"], *(list(words).index(word) for word in ends)]
    model.generation_config = cast(Any, transformers).GenerationConfig(
        eos_token_id=stops, pad_token_id=told["pad_token_id"]
    )
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
