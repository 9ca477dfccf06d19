"""What labels of single answers and of their steps cost, element by element; figures are elementwise too.

Axes: ``_R`` answers, ``_E`` labelled steps. p is the share that calls an answer wanted, or a step right: 1 or
0 where a single person did.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

__all__ = ["Stakes", "agreement", "cross_entropy", "kto"]


class Stakes(NamedTuple):
    """β, and how much a wanted and an unwanted answer weigh."""

    beta: float
    wanted: float
    unwanted: float


def kto(s_R: Tensor, z0_R: Tensor, p_R: Tensor, stakes: Stakes) -> Tensor:
    """p·λ_D·(1 − σ(x)) + (1−p)·λ_U·(1 − σ(−x)), x = β(s − z0) (2402.01306, with shares as labels).

    By hand: β(s − z0) = ½·(3 − 1)·ln 3 = ln 3, so σ(x) = ¾. Wanted at λ_D = 2 it costs 2·¼, unwanted at
    λ_U = 4 it costs 4·¾; half of each where raters are divided.

    >>> import math
    >>> s, z0 = torch.full((3,), 3 * math.log(3)), torch.full((3,), math.log(3))
    >>> [round(x, 4) for x in kto(s, z0, torch.tensor([1.0, 0.0, 0.5]), Stakes(0.5, 2.0, 4.0)).tolist()]
    [0.5, 3.0, 1.75]
    """
    x_R = stakes.beta * (s_R - z0_R)
    # 1 − σ(x) = σ(−x), which does not lose its digits where σ(x) is near 1.
    return p_R * stakes.wanted * torch.sigmoid(-x_R) + (1 - p_R) * stakes.unwanted * torch.sigmoid(x_R)


def cross_entropy(logit: Tensor, p: Tensor) -> Tensor:
    """−p·log σ(r) − (1−p)·log(1 − σ(r)): what it costs to have said r as the log-odds.

    By hand: at r = ln 3, σ = ¾; a step that is right costs ln 4/3, one that is wrong ln 4.

    >>> logit = torch.full((2,), 1.0986123)
    >>> [round(x, 4) for x in cross_entropy(logit, torch.tensor([1.0, 0.0])).tolist()]
    [0.2877, 1.3863]
    """
    return -(p * logsigmoid(logit) + (1 - p) * logsigmoid(-logit))


def agreement(x: Tensor, p: Tensor) -> Tensor:
    """The share of labels that the sign of x agrees with; x = 0 agrees by half. Without gradient.

    >>> agreement(torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1.0, 0.75, 1.0])).tolist()
    [1.0, 0.25, 0.5]
    """
    over = (1 + torch.sign(x.detach())) / 2
    return p * over + (1 - p) * (1 - over)
