"""Losses of rollouts against a formula as it was published: padded [rows, tokens], sums over a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.engines.scripted.losses import Evaluated
from accord.ports import Method
from accord.records.rows import Batch, Floats
from accord.testing import a_window, evaluate

__all__ = ["SCORES", "Formula", "held_to", "rewards", "whole"]

Formula = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""The loss by log π now, when the answers were drawn, and of the reference; and the mask of their tokens."""

SCORES: list[list[float | None]] = [[1.0, 0.0, 0.5], [2.0, -1.0, 0.25], [0.0, 0.0, 3.0]]
_ROWS, _WIDTH = 9, 3


def rewards(beta: float, old: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
    """The scores, one a row, less β Σ log π_old/π_ref of its tokens."""
    return torch.tensor(SCORES, dtype=torch.float64).flatten() - beta * ((old - ref) * mask).sum(1)


def whole(method: Method, batch: Batch, logp_T: Floats) -> tuple[float, Evaluated]:
    """The objective of the whole window as one step, its tokens in the order of the batch."""
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    found = evaluate(method.loss, batch, logp_T, scale, "torch")
    return sum(scale[name] * total for name, total in found.totals.items()), found


def held_to(method: Method, formula: Formula) -> Mapping[str, float]:
    """The totals of the loss, which has the value and the slope of the formula: to 1e-10, relative.

    Nine answers of one to three tokens, with ratios from .6 to 1.6, so that clips bite.
    """
    plain, rng = a_window(SCORES), np.random.default_rng(3)
    old, ref = (-rng.exponential(size=(_ROWS, _WIDTH)) for _ in range(2))
    now = old + rng.uniform(-0.5, 0.5, size=(_ROWS, _WIDTH))
    lengths = [sum(e.sequences()[0].answer) for row in plain.rows for e in row.episodes]
    mask = np.arange(_WIDTH) < np.array(lengths)[:, None]
    columns = {"old_logp": old, "ref_logp": ref}
    measured = {n: tuple(c[i, :k] for i, k in enumerate(lengths)) for n, c in columns.items()}
    batch, _ = method.batch(replace(plain, measured=measured), {}, np.random.default_rng(0))
    objective, found = whole(method, batch, now[mask])

    leaf = torch.tensor(now, requires_grad=True)
    loss = formula(leaf, torch.tensor(old), torch.tensor(ref), torch.tensor(mask).double())
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert objective == pytest.approx(loss.item(), rel=1e-10)
    assert found.pressure_T == pytest.approx(gradient.numpy()[mask], rel=1e-10, abs=1e-14)
    return found.totals
