"""The derivative of a method's loss by what it was given: log-probabilities, scores, values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from accord.errors import ContractError, PlanError
from accord.ports import Loss, Out
from accord.records.rows import Batch, Floats

__all__ = ["Beside", "Evaluated", "evaluate"]

_STEP = 1e-6  # of the central differences; their error on a smooth loss is about its square


class Beside(NamedTuple):
    """What a model says beside log-probabilities: numbers per sequence and head, values per answer token,
    numbers per answer token and head (None: no heads there)."""

    score_SK: Floats
    value_T: Floats
    score_TK: Floats | None = None

    @classmethod
    def made_up(cls, part: Batch, heads: int = 1) -> Beside:
        """Numbers that follow from each sequence alone, so that a part of a batch has those of the whole."""
        sums = [sum(s.tokens) for s in part.sequences]
        scores = [[0.1 * ((5 * total + 7 * k) % 17) - 0.8 for k in range(heads)] for total in sums]
        lengths = cast("list[int]", part.lengths_S().tolist())
        places = [(total, t) for total, length in zip(sums, lengths, strict=True) for t in range(length)]
        values = [0.1 * ((3 * total + 5 * t) % 11) - 0.5 for total, t in places]
        steps = [
            [0.1 * ((7 * total + 3 * t + 5 * k) % 19) - 0.9 for k in range(heads)] for total, t in places
        ]
        return cls(
            np.array(scores, dtype=np.float64).reshape(len(sums), heads),
            np.array(values, dtype=np.float64),
            np.array(steps, dtype=np.float64).reshape(len(places), heads),
        )


class Evaluated(NamedTuple):
    """Totals of a loss by term, and ∂(Σ scale · total) by all it was given; 0 by what it did not read."""

    totals: dict[str, float]
    pressure_T: Floats
    score_SK: Floats
    value_T: Floats
    score_TK: Floats


class _Seen(NamedTuple):
    logp_T: Any
    sequence_T: Any
    score_SK: Any
    value_T: Any
    score_TK: Any


class _Plain(NamedTuple):
    """What a loss in numpy sees."""

    logp_T: Floats
    sequence_T: Any

    @property
    def score_SK(self) -> Any:
        raise _only_torch("score_SK")

    @property
    def value_T(self) -> Any:
        raise _only_torch("value_T")

    @property
    def score_TK(self) -> Any:
        raise _only_torch("score_TK")


def evaluate(
    loss: Loss,
    part: Batch,
    logp_T: Floats,
    scale: Mapping[str, float],
    tensors: Literal["torch", "numpy"],
    beside: Beside | None = None,
) -> Evaluated:
    """One loss on given log-probabilities. ContractError when its terms are not those of ``scale``.

    ``beside``: the scores and values it may read; by default those of ``Beside.made_up``, one head. With
    ``"numpy"`` it may read none of them, and is called twice for each token, so it must remember nothing.
    """
    sequence_T = np.repeat(np.arange(len(part.sequences)), part.lengths_S())
    beside = Beside.made_up(part) if beside is None else beside
    steps_TK = np.zeros((len(logp_T), 0)) if beside.score_TK is None else beside.score_TK

    def checked(out: object) -> Mapping[str, Any]:
        totals = cast("Mapping[str, Any]", loss(cast(Out, out), part))
        if set(totals) != set(scale):
            raise ContractError("the method", f"loss returns the terms {sorted(scale)}", f"{sorted(totals)}")
        return totals

    if tensors == "torch":
        seen = _Seen(logp_T, sequence_T, beside.score_SK, beside.value_T, steps_TK)
        return _by_torch(checked, seen, scale)

    def objective(at: Floats) -> float:
        totals = checked(_Plain(at, sequence_T))
        return sum(scale[name] * float(total) for name, total in totals.items())

    steps = np.eye(len(logp_T)) * _STEP
    slopes = [(objective(logp_T + s) - objective(logp_T - s)) / (2 * _STEP) for s in steps]
    totals = {name: float(total) for name, total in checked(_Plain(logp_T, sequence_T)).items()}
    unread = [np.zeros_like(numbers) for numbers in (beside.score_SK, beside.value_T, steps_TK)]
    return Evaluated(totals, np.array(slopes, dtype=np.float64), *unread)


def _by_torch(
    loss: Callable[[_Seen], Mapping[str, Any]], given: _Seen, scale: Mapping[str, float]
) -> Evaluated:
    try:
        import torch as _torch
    except ImportError as error:
        advice = 'install accord[train], or set learner.tensors = "numpy" for a loss that is arithmetic alone'
        raise PlanError("learner.tensors", "torch", "an installed torch", advice) from error
    torch = cast(Any, _torch)
    leaves = [
        torch.tensor(x, dtype=torch.float64, requires_grad=True)
        for x in (given.logp_T, given.score_SK, given.value_T, given.score_TK)
    ]
    with torch.enable_grad():
        totals = loss(_Seen(leaves[0], torch.tensor(given.sequence_T), *leaves[1:]))
        objective = sum((scale[name] * total for name, total in totals.items()), start=0.0 * leaves[0].sum())
        found = torch.autograd.grad(objective, leaves, allow_unused=True, materialize_grads=True)
    slopes = [slope.numpy().astype(np.float64) for slope in found]
    return Evaluated({name: float(t.detach()) for name, t in totals.items()}, *slopes)


def _only_torch(name: str) -> PlanError:
    advice = f"this loss reads {name}, and its derivative is taken by torch alone"
    return PlanError("learner.tensors", "numpy", '"torch"', advice)
