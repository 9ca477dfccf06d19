"""A multilayer perceptron over the last tokens, as a language model of transformers: the model ``window``.

For prompts of one fixed length. Logits of a place depend on the ``length`` tokens up to it and on where in
this window each of them stands; what stands before the first token counts as the padding. Importing this
file makes transformers know the type ``accord_window``; ``models.py`` does so before it loads a model.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast

__all__ = ["WindowConfig", "WindowModel"]


class WindowConfig(PretrainedConfig):
    """``length`` tokens of ``embed`` numbers each are read together; then layers of these ``widths``."""

    model_type = "accord_window"

    def __init__(
        self,
        vocab_size: int = 8,
        length: int = 1,
        embed: int = 8,
        widths: tuple[int, ...] = (8,),
        **others: Any,
    ) -> None:
        self.vocab_size, self.length, self.embed = vocab_size, length, embed
        self.widths = list(widths)
        self.hidden_size = self.widths[-1]
        super().__init__(**others)


class WindowModel(PreTrainedModel, GenerationMixin):
    """Embeddings of the window side by side, layers with ReLU between, a head over the vocabulary."""

    config_class = WindowConfig
    _no_split_modules = []

    def __init__(self, config: WindowConfig) -> None:
        super().__init__(config)  # pyright: ignore[reportUnknownMemberType]
        sizes = [config.length * config.embed, *config.widths]
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embed)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.lm_head = nn.Linear(config.widths[-1], config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def states(self, window_BL: Tensor) -> Tensor:
        """What the head reads of each window of exactly ``length`` tokens."""
        x = self.embed_tokens(window_BL).flatten(1)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x

    def windows(self, tokens_BT: Tensor, last: int) -> Tensor:
        """The windows of the last so many places, [B·last, length]."""
        length, pad = cast(Any, self.config).length, cast(Any, self.config).pad_token_id
        before = tokens_BT.new_full((len(tokens_BT), length - 1), pad)
        seen = torch.cat([before, tokens_BT], 1).unfold(1, length, 1)
        return seen[:, -last:].flatten(0, 1)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        logits_to_keep: int = 0,
        **others: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of every place, or of the last ``logits_to_keep``. What went before is kept as tokens."""
        del others
        new, tokens = input_ids.shape[1], input_ids
        if past_key_values is not None:
            kept = tokens[:, None, :, None].double()
            tokens = past_key_values.update(kept, kept, 0)[0][:, 0, :, 0].long()
        if attention_mask is not None:
            tokens = tokens.masked_fill(attention_mask == 0, cast(Any, self.config).pad_token_id)
        last = min(logits_to_keep or new, new)
        logits = self.lm_head(self.states(self.windows(tokens, last)))
        return CausalLMOutputWithPast(
            logits=logits.view(len(tokens), last, -1), past_key_values=past_key_values
        )


cast(Any, AutoConfig).register("accord_window", WindowConfig, exist_ok=True)
cast(Any, AutoModelForCausalLM).register(WindowConfig, WindowModel, exist_ok=True)
