"""Log-probabilities of chosen tokens, and totals over rows.

Every function here is exact under any split of its rows: nothing is averaged, totals add.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["as_column", "chosen_logp", "masked_logits", "nll_total", "per_sequence"]


def masked_logits(logits_TV: Tensor, temperature_T: Tensor, allowed: Mapping[int, tuple[int, ...]]) -> Tensor:
    """float32 logits over the temperature; −∞ outside ``allowed[t]`` for the tokens t that have such a list.

    >>> masked_logits(torch.tensor([[0.0, 2.0, 4.0]]), torch.tensor([2.0]), {0: (0, 1)}).tolist()
    [[0.0, 1.0, -inf]]
    """
    logits = logits_TV.float()
    if bool((temperature_T != 1).any()):
        logits = logits / temperature_T[:, None]
    elif allowed and logits is logits_TV:
        logits = logits.clone()
    for t, tokens in allowed.items():
        barred = torch.ones(logits.shape[1], dtype=torch.bool, device=logits.device)
        barred[list(tokens)] = False
        logits[t] = logits[t].masked_fill(barred, -torch.inf)
    return logits


def chosen_logp(logits_TV: Tensor, chosen_T: Tensor) -> Tensor:
    """log softmax(logits)[chosen], by logsumexp in the dtype of the logits.

    >>> round(chosen_logp(torch.tensor([[0.0, 0.0]]), torch.tensor([1])).item(), 4)  # ln ½
    -0.6931
    """
    return logits_TV.gather(1, chosen_T[:, None])[:, 0] - torch.logsumexp(logits_TV, dim=1)


def per_sequence(x_T: Tensor, sequence_T: Tensor, count: int) -> Tensor:
    """Σ of x over the tokens of each sequence.

    >>> per_sequence(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 1]), 2).tolist()
    [3.0, 4.0]
    """
    return torch.zeros(count, dtype=x_T.dtype, device=x_T.device).index_add(0, sequence_T, x_T)


def as_column(values: NDArray[np.float64], like: Tensor) -> Tensor:
    """A numpy column on the device and in the dtype of ``like``, without gradient."""
    return torch.as_tensor(values, device=like.device, dtype=like.dtype)


def nll_total(logp_T: Tensor, weight_T: NDArray[np.float64]) -> Tensor:
    """−Σ w · log π over answer tokens.

    >>> nll_total(torch.tensor([-1.0, -2.0]), np.array([1.0, 0.5])).item()
    2.0
    """
    return -(as_column(weight_T, logp_T) * logp_T).sum()
