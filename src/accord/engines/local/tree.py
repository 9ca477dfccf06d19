"""Reading trees: texts laid out so that whatever several of them begin with is computed once.

For passes that are only read. Two chats begin with the same system message, an indicator's options with the
same question; nothing that stands behind the last predictor of an answer token is laid down at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from accord.engines.local.layout import Layout, Reader, jobs
from accord.records import Sequence as Masked

__all__ = ["treed"]

_WORTH = 8  # tokens that a shared stretch must save; attention over many short stretches costs more


class _Stretch(NamedTuple):
    """Tokens of some texts from ``first`` on, ``length`` of them, and the stretch before it if any."""

    members: tuple[int, ...]
    first: int
    length: int
    before: int


def treed(sequences: Sequence[Masked], device: torch.device) -> Layout:
    """As ``packed``, for reading what predicts answer tokens; ``last_S`` is the last place of a text that was
    laid down. Each text needs an answer token, and one before it."""
    needed = [_needed(s) for s in sequences]
    order = sorted(range(len(sequences)), key=lambda i: needed[i])
    stretches: list[_Stretch] = []
    _grow(stretches, needed, order, 0, -1)
    starts: list[int] = []
    tokens: list[int] = []
    positions: list[int] = []
    home: dict[int, int] = {}  # of each text, its last stretch
    for number, stretch in enumerate(stretches):
        starts.append(len(tokens))
        span = range(stretch.first, stretch.first + stretch.length)
        tokens += needed[stretch.members[0]][span.start : span.stop]
        positions += span
        home |= dict.fromkeys(stretch.members, number)
    readers = [
        Reader(starts[n], stretch.length, tuple(_behind(stretches, starts, stretch.before)))
        for n, stretch in enumerate(stretches)
    ]
    at: list[int] = []
    chosen: list[int] = []
    owner: list[int] = []
    last: list[int] = []
    for s, sequence in enumerate(sequences):
        places = _places(stretches, starts, home[s])
        for p, said in enumerate(sequence.answer):
            if said:
                at.append(places[p - 1])
                chosen.append(sequence.tokens[p])
                owner.append(s)
        last.append(places[-1])
    return Layout(
        tokens_T=torch.tensor(tokens, device=device),
        position_T=torch.tensor(positions, device=device),
        jobs=tuple(jobs(readers, device)),
        at_A=torch.tensor(at, device=device),
        chosen_A=torch.tensor(chosen, device=device),
        sequence_A=torch.tensor(owner, device=device),
        temperature_A=torch.tensor([sequences[s].temperature for s in owner], device=device),
        allowed={t: a for t, s in enumerate(owner) if (a := sequences[s].allowed) is not None},
        last_S=torch.tensor(last, device=device),
    )


def _needed(sequence: Masked) -> tuple[int, ...]:
    """The tokens before the last answer token: behind them nothing is asked."""
    last = max((p for p, said in enumerate(sequence.answer) if said), default=0)
    if last == 0 or sequence.answer[0]:
        raise ValueError("an answer needs at least one prompt token before it")
    return sequence.tokens[:last]


def _grow(
    found: list[_Stretch], needed: Sequence[tuple[int, ...]], group: Sequence[int], depth: int, before: int
) -> None:
    """Lay down texts that agree up to ``depth``; ``group`` is in the order of their tokens."""
    first, last = needed[group[0]], needed[group[-1]]
    common = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    length = common - depth
    alone = first == last  # in this order, all between them are the same too
    if alone or length * (len(group) - 1) >= _WORTH:
        found.append(_Stretch(tuple(group), depth, length, before))
        depth, before = common, len(found) - 1
    if not alone:
        for branch in _branches(needed, group, common):
            if len(needed[branch[0]]) > depth:
                _grow(found, needed, branch, depth, before)


def _branches(needed: Sequence[tuple[int, ...]], group: Sequence[int], common: int) -> Iterator[list[int]]:
    """The texts by what follows after ``common`` tokens."""
    branch: list[int] = []
    for i in group:
        if branch and needed[i][common : common + 1] != needed[branch[0]][common : common + 1]:
            yield branch
            branch = []
        branch.append(i)
    yield branch


def _behind(stretches: Sequence[_Stretch], starts: Sequence[int], number: int) -> Iterator[tuple[int, int]]:
    """Place and length of a stretch and of all before it."""
    while number >= 0:
        yield starts[number], stretches[number].length
        number = stretches[number].before


def _places(stretches: Sequence[_Stretch], starts: Sequence[int], number: int) -> list[int]:
    """Where the tokens of a text lie, given its last stretch."""
    way = list(_behind(stretches, starts, number))[::-1]
    return [place for start, length in way for place in range(start, start + length)]
