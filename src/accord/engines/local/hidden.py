"""Hidden states: what every layer holds at the last token of a prompt, before anything is answered.

Row 0 is the embedding, row k what layer k adds to it, the last one behind the last norm, which is what the
head reads: the rows of transformers' own ``output_hidden_states``. Padded on the right and read causally, so
no padding reaches a real token. A model that keeps no states, as ``window``, is a ContractError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from accord.engines.local.forward import budgeted
from accord.errors import ContractError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from accord.records.rows import Floats

__all__ = ["HIDDEN", "hidden_states"]

HIDDEN = "hidden"
_TOKENS = 4096  # of one pass, padding included


@torch.inference_mode()
def hidden_states(model: PreTrainedModel, prompts: Sequence[tuple[int, ...]]) -> list[Floats]:
    """For each prompt, given as tokens, one row per layer: [layers + 1, width], float64."""
    if not all(prompts):
        raise ValueError("a prompt without a token has no last one")
    found: dict[int, Floats] = {}
    for group in budgeted([len(tokens) for tokens in prompts], _TOKENS):
        lengths = [len(prompts[i]) for i in group]
        tokens_SL = torch.zeros(len(group), max(lengths), dtype=torch.long)
        for row, i in enumerate(group):
            tokens_SL[row, : lengths[row]] = torch.tensor(prompts[i])
        body = cast(Any, model.base_model)
        read = body(input_ids=tokens_SL.to(model.device), use_cache=False, output_hidden_states=True)
        if read.hidden_states is None:
            raise ContractError(type(model).__name__, "a model tells the states of its layers", "none")
        layers = cast("tuple[Tensor, ...]", read.hidden_states)
        last = torch.tensor(lengths, device=layers[0].device) - 1
        rows = torch.arange(len(group), device=last.device)
        states_SKD = torch.stack([layer[rows, last] for layer in layers], 1).double().cpu().numpy()
        found |= {i: np.ascontiguousarray(states_KD) for i, states_KD in zip(group, states_SKD, strict=True)}
    return [found[i] for i in range(len(prompts))]
