"""Gradients of the clipped losses. Mutants: max for min (and min for max), clip on the wrong side, a clip
that takes the gradient away where the loss is worse, k3's gradient where k2's is meant."""

from __future__ import annotations

import math

import pytest
import torch

from accord.maths.tensor.clipped import Clip, clipped_policy, clipped_value, is_clipped, k2, k3, ratio

CLIP = Clip(0.2, 0.3)


def slope(rho: float, advantage: float) -> float:
    """∂loss/∂log π of one token at a given ratio."""
    logp = torch.tensor([math.log(rho)], dtype=torch.float64, requires_grad=True)
    loss = clipped_policy(logp, torch.zeros(1, dtype=torch.float64), torch.tensor([advantage]).double(), CLIP)
    (found,) = torch.autograd.grad(loss.sum(), logp)
    return found.item()


@pytest.mark.parametrize(
    ("rho", "advantage", "wanted"),
    [
        (1.0, 2.0, -2.0),
        (1.0, -2.0, 2.0),
        (1.29, 1.0, -1.29),
        (1.31, 1.0, 0.0),  # gained enough
        (1.31, -1.0, 1.31),  # a loss counts in full
        (0.79, -1.0, 0.0),  # lost enough
        (0.79, 1.0, -0.79),
    ],
)
def test_the_gradient_stops_beyond_the_clip_and_only_there(
    rho: float, advantage: float, wanted: float
) -> None:
    assert slope(rho, advantage) == pytest.approx(wanted)
    at, one = torch.tensor([math.log(rho)]), torch.zeros(1)
    assert bool(is_clipped(at, one, torch.tensor([advantage]), CLIP)) == (wanted == 0)


def test_a_ratio_to_itself_is_exactly_1_and_has_the_gradient_of_log_pi() -> None:
    logp = torch.tensor([-1.2345678, -17.3], requires_grad=True)
    rho = ratio(logp, logp.detach())
    assert rho.tolist() == [1.0, 1.0]
    (found,) = torch.autograd.grad(rho.sum(), logp)
    assert found.tolist() == [1.0, 1.0]


def test_figures_have_no_gradient() -> None:
    logp = torch.tensor([0.5], requires_grad=True)
    assert not is_clipped(logp, torch.zeros(1), torch.ones(1), CLIP).requires_grad


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(0.1, 0.1 - 1.0), (0.5, 0.0), (1.5, 1.5 - 1.0), (-0.5, -0.5 - 1.0)],
)
def test_the_critic_may_move_by_its_clip_towards_the_return_and_back_in_full(
    value: float, wanted: float
) -> None:
    """Measured value 0, clip .2, return 1."""
    leaf = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    (found,) = torch.autograd.grad(clipped_value(leaf, zero, one, 0.2).sum(), leaf)
    # At 1.5 the held value .2 misses by .8, the free one by .5: the held one counts, and does not move.
    assert found.item() == pytest.approx(0.0 if value == 1.5 else wanted)


def test_k2_and_ratio_k3_have_one_gradient_on_policy_and_k3_alone_another() -> None:
    """k1·∇log π for both; k3 alone: (1 − π_ref/π)·∇log π."""
    ref = torch.tensor([-3.0, -0.5], dtype=torch.float64)
    logp = torch.tensor([-1.0, -2.0], dtype=torch.float64, requires_grad=True)
    together = k2(logp, ref), ratio(logp, logp.detach()) * k3(logp, ref), k3(logp, ref)
    found = [torch.autograd.grad(x.sum(), logp)[0].tolist() for x in together]
    assert found[0] == pytest.approx([2.0, -1.5])
    assert found[1] == pytest.approx([2.0, -1.5])
    assert found[2] == pytest.approx([1 - math.exp(-2.0), 1 - math.exp(1.5)])
