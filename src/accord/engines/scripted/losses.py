"""The derivative of a method's loss by the log-probabilities it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from accord.errors import ContractError, PlanError
from accord.ports import Loss, Out
from accord.records.rows import Batch, Floats

__all__ = ["Evaluated", "evaluate"]

_STEP = 1e-6  # of the central differences; their error on a smooth loss is about its square


class Evaluated(NamedTuple):
    """Totals of a loss by term, and ∂(Σ scale · total)/∂log π of every answer token."""

    totals: dict[str, float]
    pressure_T: Floats


class _Seen(NamedTuple):
    logp_T: Any
    sequence_T: Any


def evaluate(
    loss: Loss, part: Batch, logp_T: Floats, scale: Mapping[str, float], tensors: Literal["torch", "numpy"]
) -> Evaluated:
    """One loss on given log-probabilities. ContractError when its terms are not those of ``scale``.

    With ``"numpy"`` the loss is called twice for each token, so it must not remember anything.
    """
    sequence_T = np.repeat(np.arange(len(part.sequences)), part.lengths_S())

    def checked(out: _Seen) -> Mapping[str, Any]:
        totals = cast("Mapping[str, Any]", loss(cast(Out, out), part))
        if set(totals) != set(scale):
            raise ContractError("the method", f"loss returns the terms {sorted(scale)}", f"{sorted(totals)}")
        return totals

    if tensors == "torch":
        return _by_torch(checked, logp_T, sequence_T, scale)

    def objective(at: Floats) -> float:
        totals = checked(_Seen(at, sequence_T))
        return sum(scale[name] * float(total) for name, total in totals.items())

    steps = np.eye(len(logp_T)) * _STEP
    slopes = [(objective(logp_T + s) - objective(logp_T - s)) / (2 * _STEP) for s in steps]
    totals = {name: float(total) for name, total in checked(_Seen(logp_T, sequence_T)).items()}
    return Evaluated(totals, np.array(slopes, dtype=np.float64))


def _by_torch(
    loss: Callable[[_Seen], Mapping[str, Any]], logp_T: Floats, sequence_T: Any, scale: Mapping[str, float]
) -> Evaluated:
    try:
        import torch as _torch
    except ImportError as error:
        advice = 'install accord[train], or set learner.tensors = "numpy" for a loss that is arithmetic alone'
        raise PlanError("learner.tensors", "torch", "an installed torch", advice) from error
    torch = cast(Any, _torch)
    logp = torch.tensor(logp_T, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        totals = loss(_Seen(logp, torch.tensor(sequence_T)))
        objective = sum((scale[name] * total for name, total in totals.items()), start=0.0 * logp.sum())
        (slope,) = torch.autograd.grad(objective, logp)
    return Evaluated(
        {name: float(t.detach()) for name, t in totals.items()}, slope.numpy().astype(np.float64)
    )
