"""What preferences between two answers cost, element by element; only the figures are summed over pairs.

Axes: ``_R`` pairs, ``_A`` the two answers of a pair. ℓ(x) = −log σ(x); p is the share that prefers the first
answer; h is what the first answer gained over the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from accord.maths.pairs import answer_S
from accord.maths.tensor.likelihood import as_column, per_sequence

if TYPE_CHECKING:
    from accord.records.rows import Batch

__all__ = [
    "CAP",
    "Gained",
    "both_fell",
    "bradley_terry",
    "dpo",
    "gained",
    "gains_RA",
    "ipo",
    "robust_dpo",
    "totals",
]

CAP = 20.0  # of βh, where the corrected loss falls without end; σ(−20) is 2e-9


def bradley_terry(delta: Tensor, p: Tensor) -> Tensor:
    """p·ℓ(Δ) + (1−p)·ℓ(−Δ): the negative log-likelihood of preferences whose log-odds are Δ.

    By hand: where σ(Δ) = ¾ (Δ = ln 3) a first answer that wins costs ln 4/3, one that loses ln 4; a tie at
    Δ = 0 costs ln 2.

    >>> delta, p = torch.tensor([1.0986123, 1.0986123, 0.0]), torch.tensor([1.0, 0.0, 0.5])
    >>> [round(x, 4) for x in bradley_terry(delta, p).tolist()]
    [0.2877, 1.3863, 0.6931]
    """
    return -(p * logsigmoid(delta) + (1 - p) * logsigmoid(-delta))


def dpo(h_R: Tensor, p_R: Tensor, beta: float) -> Tensor:
    """p·ℓ(βh) + (1−p)·ℓ(−βh) (2305.18290, with soft labels).

    >>> round(dpo(torch.tensor([10.986123]), torch.tensor([1.0]), 0.1).item(), 4)  # ln 4/3
    0.2877
    """
    return bradley_terry(beta * h_R, p_R)


def robust_dpo(h_R: Tensor, p_R: Tensor, beta: float, flipped: float) -> Tensor:
    """``dpo`` with p → (p − ε)/(1 − 2ε): unbiased where a share ε < ½ of the labels is flipped (2403.00409).

    A corrected p outside [0, 1] makes the loss fall without end on one side; there βh counts as at most CAP.
    ε = 0 is ``dpo``.

    By hand, ε = ¼ and p = 1: p becomes 3/2, and at σ(βh) = ¾ the loss is 3/2·ln 4/3 − 1/2·ln 4 = −0.2616.

    >>> h, p = torch.tensor([1.0986123, 500.0, -500.0]), torch.tensor([1.0, 1.0, 1.0])
    >>> [round(x, 4) for x in robust_dpo(h, p, 1.0, 0.25).tolist()]  # −½·20 at the cap; 3/2·500 without one
    [-0.2616, -10.0, 750.0]
    """
    p_R = (p_R - flipped) / (1 - 2 * flipped)
    # One side only: a pair that stands wrong, however far, must still be pulled back.
    most = CAP / beta
    h_R = torch.where(p_R > 1, h_R.clamp(max=most), torch.where(p_R < 0, h_R.clamp(min=-most), h_R))
    return dpo(h_R, p_R, beta)


def ipo(h_R: Tensor, p_R: Tensor, beta: float) -> Tensor:
    """(h − (2p − 1)/2β)², h between per-token means (2310.12036).

    >>> ipo(torch.tensor([3.0, 3.0]), torch.tensor([1.0, 0.5]), 0.1).tolist()  # (3 − 5)², (3 − 0)²
    [4.0, 9.0]
    """
    return (h_R - (2 * p_R - 1) / (2 * beta)) ** 2


def gains_RA(logp_T: Tensor, ref_T: Tensor, answer_T: Tensor, rows: int) -> Tensor:
    """Σ log π/π_ref over the tokens of both answers of each pair; ``answer_T`` says whose a token is.

    >>> logp, ref = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([-2.0, -2.0, -1.0])
    >>> gains_RA(logp, ref, torch.tensor([0, 0, 1]), 1).tolist()
    [[1.0, -2.0]]
    """
    return per_sequence(logp_T - ref_T, answer_T, 2 * rows).reshape(rows, 2)


class Gained(NamedTuple):
    """What each answer of a pair gained in log-probability, and what was said of the pair."""

    s_RA: Tensor
    p_R: Tensor
    weight_R: Tensor


def gained(logp_T: Tensor, sequence_T: Tensor, batch: Batch) -> Gained:
    """Σ log π/π_ref of both answers of every pair of ``pair_batch``, with its labels and weights."""
    p_R, weight_R = (as_column(batch.rows[name], logp_T) for name in ("p", "weight"))
    answer_T = sequence_T.new_tensor(answer_S(batch))[sequence_T]
    ref_T = as_column(batch.tokens["ref_logp"], logp_T)
    return Gained(gains_RA(logp_T, ref_T, answer_T, len(p_R)), p_R, weight_R)


def both_fell(s_RA: Tensor) -> Tensor:
    """How many pairs have two answers that both lost.

    >>> both_fell(torch.tensor([[-1.0, -2.0], [1.0, -2.0]])).item()
    1.0
    """
    return (s_RA.detach() < 0).all(1).to(s_RA.dtype).sum()


def totals(reward_RA: Tensor, p_R: Tensor) -> dict[str, Tensor]:
    """Figures over pairs, as totals without gradient.

    ``accuracy``: the share of judgments that the order of the rewards agrees with; equal rewards by half.
    ``chosen`` and ``rejected``: the reward of the answer that a judgment prefers, and of the other one;
    ``margin``: their difference.

    >>> found = totals(torch.tensor([[3.0, 1.0], [0.0, 2.0]]), torch.tensor([1.0, 0.75]))
    >>> {name: total.item() for name, total in found.items()}
    {'accuracy': 1.25, 'chosen': 3.5, 'rejected': 2.5, 'margin': 1.0}
    """
    first, second = reward_RA.detach().unbind(1)
    wins = (1 + torch.sign(first - second)) / 2
    chosen = p_R * first + (1 - p_R) * second
    rejected = (1 - p_R) * first + p_R * second
    return {
        "accuracy": (p_R * wins + (1 - p_R) * (1 - wins)).sum(),
        "chosen": chosen.sum(),
        "rejected": rejected.sum(),
        "margin": (chosen - rejected).sum(),
    }
