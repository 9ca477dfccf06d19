"""Packing: sequences laid one behind another without padding, what they share in front laid down once.

Sequences whose tokens are equal up to their first answer token form a *block*: the shared prefix, then what
each adds. Every pass works on the packed tokens; only attention looks at blocks, in *jobs* of like size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from accord.records import Sequence as Masked

__all__ = [
    "Block",
    "Job",
    "Layout",
    "Reader",
    "clustered",
    "jobs",
    "packed",
    "packed_size",
    "said_A",
    "shared_length",
]

_WASTE = 1.3  # a job may be padded to this multiple of what it holds
_JOB = 96  # rows of a job at most: larger ones overflow the caches


class Block(NamedTuple):
    """Sequences with one prefix. ``starts[i]``: where the rest of ``members[i]`` lies among the tokens."""

    start: int
    prefix: int
    members: tuple[int, ...]
    starts: tuple[int, ...]
    lengths: tuple[int, ...]


class Job(NamedTuple):
    """Attention for some rows of equal padded size: which packed tokens ask, and which they may look at.

    ``real_NQ`` marks the places of ``ask_NQ`` that are no padding; ``bar_NQK`` is 0 or −∞.
    """

    ask_NQ: Tensor
    look_NK: Tensor
    real_NQ: Tensor
    bar_NQK: Tensor


class Layout(NamedTuple):
    """Packed tokens, their positions, and where each answer token (_A) is predicted and what it is."""

    tokens_T: Tensor
    position_T: Tensor
    jobs: tuple[Job, ...]
    at_A: Tensor
    chosen_A: Tensor
    sequence_A: Tensor
    temperature_A: Tensor
    allowed: dict[int, tuple[int, ...]]
    last_S: Tensor


def shared_length(sequence: Masked) -> int:
    """How many tokens stand before the first answer token: what sequences may share."""
    first = next((i for i, chosen in enumerate(sequence.answer) if chosen), len(sequence.tokens))
    if first == 0:
        raise ValueError("an answer needs at least one prompt token before it")
    return first


def clustered(sequences: Sequence[Masked], share: bool) -> list[list[int]]:
    """Indices of sequences that share their prefix, in the order of their first member.

    >>> a, b = Masked((1, 2, 3), (False, False, True)), Masked((1, 2, 4, 5), (False, False, True, True))
    >>> clustered([a, b], True), clustered([a, b], False)
    ([[0, 1]], [[0], [1]])
    """
    if not share:
        return [[i] for i in range(len(sequences))]
    found: dict[tuple[int, ...], list[int]] = {}
    for i, sequence in enumerate(sequences):
        found.setdefault(sequence.tokens[: shared_length(sequence)], []).append(i)
    return list(found.values())


def packed_size(sequences: Sequence[Masked]) -> int:
    """Tokens that one block of these sequences takes."""
    prefix = shared_length(sequences[0])
    return prefix + sum(len(s.tokens) - prefix for s in sequences)


def packed(sequences: Sequence[Masked], share: bool, device: torch.device) -> Layout:
    """The sequences as one row of tokens. Answer tokens keep the order of the sequences."""
    blocks = list(_blocks(sequences, clustered(sequences, share)))
    tokens: list[int] = []
    positions: list[int] = []
    home = _homes(blocks)
    for block in blocks:
        first = sequences[block.members[0]].tokens
        tokens += first[: block.prefix]
        positions += range(block.prefix)
        for member, length in zip(block.members, block.lengths, strict=True):
            tokens += sequences[member].tokens[block.prefix :]
            positions += range(block.prefix, block.prefix + length)
    at, chosen, owner, last = _answers(sequences, home)
    heat = [sequences[s].temperature for s in owner]
    return Layout(
        tokens_T=_long(tokens, device),
        position_T=_long(positions, device),
        jobs=tuple(_jobs(blocks, device)),
        at_A=_long(at, device),
        chosen_A=_long(chosen, device),
        sequence_A=_long(owner, device),
        temperature_A=torch.tensor(heat, dtype=torch.float32, device=device),
        allowed={t: a for t, s in enumerate(owner) if (a := sequences[s].allowed) is not None},
        last_S=_long(last, device),
    )


def said_A(sequences: Sequence[Masked], share: bool, device: torch.device) -> Tensor:
    """Where the answer tokens themselves lie among what ``packed`` makes of the same sequences."""
    home = _homes(_blocks(sequences, clustered(sequences, share)))
    said = [
        _place(p, *home[s])
        for s, sequence in enumerate(sequences)
        for p, chosen in enumerate(sequence.answer)
        if chosen
    ]
    return _long(said, device)


def _homes(blocks: Iterable[Block]) -> dict[int, tuple[Block, int]]:
    """For each sequence its block, and where its own rest begins."""
    return {m: (b, start) for b in blocks for m, start in zip(b.members, b.starts, strict=True)}


def _place(p: int, block: Block, start: int) -> int:
    """Where token ``p`` of a sequence lies."""
    return block.start + p if p < block.prefix else start + p - block.prefix


def _blocks(sequences: Sequence[Masked], clusters: Iterable[list[int]]) -> Iterator[Block]:
    """Blocks by length of prefix, so that neighbours pad little; a lone sequence is all prefix."""
    whole = [c if len(c) > 1 else list(c) for c in clusters]
    start = 0

    def prefix_of(cluster: list[int]) -> int:
        first = sequences[cluster[0]]
        return shared_length(first) if len(cluster) > 1 else len(first.tokens)

    for cluster in sorted(whole, key=lambda c: (-prefix_of(c), c[0])):
        prefix = prefix_of(cluster)
        lengths = [len(sequences[i].tokens) - prefix for i in cluster]
        starts: list[int] = []
        place = start + prefix
        for length in lengths:
            starts.append(place)
            place += length
        yield Block(start, prefix, tuple(cluster), tuple(starts), tuple(lengths))
        start = place


def _answers(
    sequences: Sequence[Masked], home: dict[int, tuple[Block, int]]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """For each answer token its predictor's place, the token, its sequence; and each sequence's last place.

    The logits that chose token p stand at p − 1, which may be the last token of the shared prefix.
    """
    at: list[int] = []
    chosen: list[int] = []
    owner: list[int] = []
    last: list[int] = []
    for s, sequence in enumerate(sequences):
        shared_length(sequence)  # refuses an answer with nothing before it
        block, start = home[s]
        for p, said in enumerate(sequence.answer):
            if said:
                at.append(_place(p - 1, block, start))
                chosen.append(sequence.tokens[p])
                owner.append(s)
        last.append(_place(len(sequence.tokens) - 1, block, start))
    return at, chosen, owner, last


class Reader(NamedTuple):
    """A stretch of tokens that looks at itself causally, and at all of what lies in ``before``: stretches of
    tokens, each with its place and its length."""

    start: int
    length: int
    before: tuple[tuple[int, int], ...] = ()

    @property
    def prefix(self) -> int:
        """How many tokens before its own it looks at."""
        return sum(length for _, length in self.before)


def _jobs(blocks: Sequence[Block], device: torch.device) -> Iterator[Job]:
    prefixes = [Reader(b.start, b.prefix) for b in blocks]
    rests = [
        Reader(start, length, ((b.start, b.prefix),))
        for b in blocks
        for start, length in zip(b.starts, b.lengths, strict=True)
        if length
    ]
    for readers in (prefixes, rests):
        yield from jobs(readers, device)


def jobs(readers: Sequence[Reader], device: torch.device) -> Iterator[Job]:
    """Attention for these readers, like with like."""
    for alike in _alike(readers):
        yield _job(alike, device)


def _alike(readers: Sequence[Reader]) -> Iterator[list[Reader]]:
    """Readers in runs that padding does not blow up."""
    run: list[Reader] = []
    filled = 0
    for reader in sorted(readers, key=lambda r: (-(r.length + r.prefix), -r.length, r.start)):
        length = max([r.length for r in run] + [reader.length])
        keys = max([r.prefix for r in run] + [reader.prefix]) + length
        real = filled + reader.length * (reader.prefix + reader.length)
        if run and (len(run) >= _JOB or (len(run) + 1) * length * keys > _WASTE * real + 4096):
            yield run
            run, filled = [], 0
        run.append(reader)
        filled += reader.length * (reader.prefix + reader.length)
    if run:
        yield run


def _job(readers: Sequence[Reader], device: torch.device) -> Job:
    width, before = max(r.length for r in readers), max(r.prefix for r in readers)
    start, length, prefix = (
        torch.tensor([getattr(r, name) for r in readers])[:, None] for name in ("start", "length", "prefix")
    )
    q, p = torch.arange(width)[None], torch.arange(before)[None]
    real_q, real_p = q < length, p < prefix
    # A place that is padding sees what the last real one sees, so that no row of weights is empty.
    own = real_q[:, None, :] & (q[0][None, :, None] >= q[0][None, None, :])
    seen = torch.cat([real_p[:, None, :].expand(-1, width, -1), own], 2)
    bar = torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)
    ask = torch.where(real_q, start + q, start)
    places = start.repeat(1, before)
    for row, reader in zip(places, readers, strict=True):
        at = 0
        for first, size in reader.before:
            row[at : at + size] = torch.arange(first, first + size)
            at += size
    look = torch.cat([places, ask], 1)
    return Job(ask.to(device), look.to(device), real_q.to(device), bar.to(device))


def _long(values: list[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.long, device=device)
