"""Columns: what is told of every answer token, given the states that predict them. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from accord.engines.local.head import Choices, Head, WholeLogits

if TYPE_CHECKING:
    from accord.engines.local.forward import Read

__all__ = ["columns", "told"]

_ROWS = 16  # as many rows of logits as a processor's cache holds while they are gone through several times


def columns(read: Read, head: Head | WholeLogits, want: frozenset[str]) -> dict[str, Tensor]:
    """``logp``, ``rank``, ``entropy``, ``support`` of every answer token, in order, as float64.

    Tokens that follow the same text are told from one distribution, which is computed once.
    """
    choices, count = read.choices, len(read.at_A)
    alike = not choices.allowed and bool((choices.temperature_A == choices.temperature_A[:1]).all())
    places, row_A = read.at_A, torch.arange(count, device=read.at_A.device)
    if alike:
        places, row_A = cast("tuple[Tensor, Tensor]", cast(Any, torch).unique(places, return_inverse=True))
    order_A = row_A.argsort()
    row_A, chosen_A = row_A[order_A], choices.chosen_A[order_A]
    once = Choices(choices.chosen_A[: len(places)], choices.temperature_A[: len(places)], choices.allowed)
    found: dict[str, list[Tensor]] = {name: [] for name in want}
    start = 0
    for logits, _ in head.logits(read.states(places), once):
        most = _ROWS if logits.device.type == "cpu" else len(logits)
        for at in range(0, len(logits), most):
            few = logits[at : at + most]
            inside = (row_A >= start) & (row_A < start + len(few))
            for name, column in told(few, row_A[inside] - start, chosen_A[inside], want).items():
                found[name].append(column)
            start += len(few)
    back = order_A.argsort()
    return {
        name: torch.cat(parts).double()[back] if parts else torch.zeros(0) for name, parts in found.items()
    }


def told(logits: Tensor, rows: Tensor, chosen: Tensor, want: frozenset[str]) -> dict[str, Tensor]:
    """What is wanted of each token, chosen from the row of logits that ``rows`` names.

    The second of ln 1, ln 3 has probability ¾ and rank 0; the entropy of ¼ and ¾ is .5623 nats.

    >>> logits = torch.tensor([[0.0, 1.0986]])
    >>> found = told(logits, torch.tensor([0]), torch.tensor([1]), frozenset({"logp", "rank", "entropy"}))
    >>> {name: round(column.item(), 4) for name, column in sorted(found.items())}
    {'entropy': 0.5623, 'logp': -0.2877, 'rank': 0}
    """
    picked, whole = logits[rows, chosen], torch.logsumexp(logits, 1)
    found: dict[str, Tensor] = {}
    if "logp" in want:
        found["logp"] = picked - whole[rows]
    each = _each(rows, len(logits))
    if "rank" in want:
        found["rank"] = (each(logits) > picked[:, None]).sum(1)
    if want & {"entropy", "support"}:
        p = torch.exp(logits - whole[:, None])
        if "entropy" in want:
            found["entropy"] = torch.xlogy(p, p).sum(1).neg()[rows]
        if "support" in want:
            # In the nucleus of .95 unless the more probable tokens already hold that much.
            above = torch.where(each(logits) > picked[:, None], each(p), 0).sum(1)
            found["support"] = (above < 0.95).double()
    return found


def _each(rows: Tensor, count: int) -> Callable[[Tensor], Tensor]:
    """The rows of a table, without a copy where each is asked for once and in order."""
    if len(rows) == count and bool((rows == torch.arange(count, device=rows.device)).all()):
        return lambda table: table
    return lambda table: table[rows]
