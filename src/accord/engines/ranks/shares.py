"""Who takes what: shares of about equal work, the same on every rank without a word between them.

They depend on the rows alone. A rank's own state must not enter, such as which way its forward pass takes:
ranks that cut differently would leave rows out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from accord.engines.local.layout import clustered, shared_length
from accord.records import Sequence as Masked

__all__ = ["Piece", "balanced", "shares"]

_SLACK = 1.25  # rather this much too large than a prompt read twice


class Piece(NamedTuple):
    """What stays together: its size in tokens, and its members."""

    size: int
    members: tuple[int, ...]


def balanced(pieces: Sequence[Piece], ranks: int) -> list[list[int]]:
    """The members that each rank takes: largest piece first, to whoever has least. Some may get none.

    >>> balanced([Piece(3, (0,)), Piece(9, (1, 2)), Piece(4, (3,)), Piece(1, (4,))], 2)
    [[1, 2], [0, 3, 4]]
    >>> balanced([Piece(3, (0,))], 2)
    [[0], []]
    """
    load = [0] * ranks
    found: list[list[int]] = [[] for _ in range(ranks)]
    for piece in sorted(pieces, key=lambda p: (-p.size, p.members)):
        rank = load.index(min(load))
        load[rank] += piece.size
        found[rank] += piece.members
    return [sorted(members) for members in found]


def shares(rows: Sequence[Sequence[Masked]], ranks: int) -> list[list[int]]:
    """The rows that each rank takes, each row given by its sequences.

    Rows with one prompt stay together, for it is read once; unless they are much more than a fair share.

    >>> def row(prompt, said):
    ...     return [Masked((*prompt, *said), (False,) * len(prompt) + (True,) * len(said))]
    >>> shares([row((1, 2), (3,)), row((5,), (6,)), row((1, 2), (4,)), row((5,), (7,))], 2)
    [[0, 2], [1, 3]]
    >>> shares([row((1, 2), (9, 9, 9)) for _ in range(4)], 2)
    [[0, 1], [2, 3]]
    """
    clusters = clustered([row[0] for row in rows], True)
    whole = [_piece(rows, cluster) for cluster in clusters]
    fair = sum(piece.size for piece in whole) / ranks
    return balanced([part for piece in whole for part in _cut(rows, piece, fair)], ranks)


def _piece(rows: Sequence[Sequence[Masked]], members: Sequence[int]) -> Piece:
    """Rows behind one prompt, which counts once."""
    prefix = shared_length(rows[members[0]][0])
    said = sum(len(s.tokens) - min(prefix, shared_length(s)) for member in members for s in rows[member])
    return Piece(prefix + said, tuple(members))


def _cut(rows: Sequence[Sequence[Masked]], piece: Piece, fair: float) -> list[Piece]:
    if piece.size <= _SLACK * fair:
        return [piece]
    prefix = shared_length(rows[piece.members[0]][0])
    most = prefix + (piece.size - prefix) / math.ceil(piece.size / fair)
    found: list[Piece] = []
    for member in piece.members:
        grown = _piece(rows, [*found[-1].members, member]) if found else None
        if grown is None or grown.size > most:
            found.append(_piece(rows, [member]))
        else:
            found[-1] = grown
    return found
