"""Micro-batches: which rows go through the model together, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accord.engines.local.forward import budgeted
from accord.engines.local.layout import clustered, shared_length

if TYPE_CHECKING:
    from accord.records import Sequence as Masked
    from accord.records.rows import Batch

__all__ = ["micro_batches", "passes"]


def micro_batches(part: Batch, budget: int, share: bool) -> list[list[int]]:
    """Rows in groups; a row's sequences stay together, and so do rows with one prompt where it is shared."""
    rows: dict[int, list[int]] = {}
    for s, row in enumerate(part.row_S):
        rows.setdefault(int(row), []).append(s)
    if not share:
        order = list(rows)
        sizes = [sum(len(part.sequences[s].tokens) for s in rows[r]) for r in order]
        return [[order[i] for i in group] for group in budgeted(sizes, budget)]
    return _shared([(r, [part.sequences[s] for s in rows[r]]) for r in rows], budget)


def passes(sequences: Sequence[Masked], budget: int, share: bool) -> list[list[int]]:
    """The same for sequences that are only read."""
    if not share:
        return list(budgeted([len(s.tokens) for s in sequences], budget))
    return _shared([(i, [s]) for i, s in enumerate(sequences)], budget)


def _shared(rows: Sequence[tuple[int, Sequence[Masked]]], budget: int) -> list[list[int]]:
    """Clusters of one prompt, largest first, cut only where one alone is over the budget."""
    clusters = [[rows[i] for i in c] for c in clustered([parts[0] for _, parts in rows], True)]
    pieces: list[tuple[int, list[int]]] = []
    for cluster in clusters:
        first = cluster[0][1][0]
        prefix = first.tokens[: shared_length(first)]
        size, piece = len(prefix), list[int]()
        for row, parts in cluster:
            more = sum(_added(s, prefix) for s in parts)
            if piece and size + more > budget:
                pieces.append((size, piece))
                size, piece = len(prefix), []
            size, piece = size + more, [*piece, row]
        pieces.append((size, piece))
    return _filled(sorted(pieces, key=lambda p: (-p[0], p[1])), budget)


def _added(sequence: Masked, prefix: tuple[int, ...]) -> int:
    """Tokens that a sequence adds to a pass that holds ``prefix`` already."""
    shares = sequence.tokens[: shared_length(sequence)] == prefix
    return len(sequence.tokens) - (len(prefix) if shares else 0)


def _filled(pieces: Sequence[tuple[int, list[int]]], budget: int) -> list[list[int]]:
    """Pieces into as few passes as fit, of about equal size: two even passes beat a full and a tiny one."""
    total = sum(size for size, _ in pieces)
    share = total / max(1, -(-total // budget))
    groups: list[list[int]] = []
    filled = 0.0
    for size, rows in pieces:
        if not groups or filled + size > budget or filled >= share:
            groups.append([])
            filled = 0.0
        groups[-1] += rows
        filled += size
    return groups
