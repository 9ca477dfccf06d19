"""What a stage takes of memory and time, told before its first update; what does not fit is refused.

Memory is what the process holds now plus what is still to come: gradients and moments, what passes keep for
their backward half, copies to decode from, keys of answers, a second model for the reference. Bytes per
token and seconds come from ``trial.py``, sizes from the models as they stand. What learning, answering
and reading take is added up although they take turns: each has threads of its own, and the allocator keeps
for a thread most of what it gave back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from accord.engines.local.layout import clustered, packed_size, shared_length
from accord.engines.local.micro import micro_batches, passes
from accord.engines.local.trial import Kept, Pace
from accord.errors import Refused
from accord.ports import Ahead, Drawing
from accord.progress import duration
from accord.records import Sequence as Masked

__all__ = ["Estimate", "Sizes", "Work", "estimated", "parts", "refusal", "seconds", "size"]

_SIDE_BY_SIDE = 96  # answers of one flow; see llama_decode.py
_HEAD_ROWS = 128  # answer tokens whose logits exist at a time; see head.py
_HEAD_KEPT = 2**28  # bytes of probabilities that head.py keeps for its own gradient
_SCORED = 4096  # tokens of a pass that only reads; see sampler.py
_LONGER = 1.5  # caches of answers grow by half


class Sizes(NamedTuple):
    """The models of a stage as they stand, and what each thing to come takes for one of its units.

    Bytes: ``held`` by part, what the process has now; ``second``, a second model for the reference;
    ``copies``, the decode copies that are still to be made; ``renewed``, what making the policy's anew takes
    beside it; ``keys``, keys and values of one token; ``state``, what stands between layers for one token.
    ``trained`` counts weights; ``flows``, answers are drawn in so many threads; ``narrow``: passes compute in
    bfloat16.
    """

    held: Mapping[str, int]
    trained: int
    second: int
    copies: int
    renewed: int
    keys: int
    state: int
    layers: int
    width: int
    vocabulary: int
    flows: int
    head_trained: bool
    narrow: bool
    full: bool


class Work(NamedTuple):
    """The passes of a stage: its first window and batch, how they are cut, which columns are measured.

    ``again``: layers are computed a second time in the backward pass.
    """

    ahead: Ahead
    budget: int
    share: bool
    columns: frozenset[str]
    again: bool = False

    def steps(self) -> list[list[_Pass]]:
        """The passes of each optimizer step."""
        found: list[list[_Pass]] = []
        for step in self.ahead.batch.steps:
            part = self.ahead.batch.take(step)
            cut = micro_batches(part, self.budget, self.share)
            found.append([_Pass.of(part.take(rows).sequences, self.share) for rows in cut])
        return found

    def read(self) -> list[_Pass]:
        """The passes that measure one column."""
        rows = self.ahead.window.rows
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        cut = passes(sequences, self.budget, self.share)
        return [_Pass.of([sequences[i] for i in group], self.share) for group in cut]


class _Pass(NamedTuple):
    tokens: int
    squares: int
    answers: int

    @classmethod
    def of(cls, sequences: Sequence[Masked], share: bool) -> _Pass:
        answers = sum(sum(s.answer) for s in sequences)
        if not sequences:
            return cls(0, 0, 0)
        if not share:
            longest = max(len(s.tokens) for s in sequences)
            return cls(len(sequences) * longest, len(sequences) * longest**2, answers)
        tokens = squares = 0
        for cluster in clustered(sequences, True):
            members = [sequences[i] for i in cluster]
            tokens += packed_size(members)
            squares += _squares(members)
        return cls(tokens, squares, answers)


def _squares(members: Sequence[Masked]) -> int:
    """Pairs of tokens of which one may look at the other, both halves of the triangle."""
    if len(members) == 1:
        return len(members[0].tokens) ** 2
    prefix = shared_length(members[0])
    rests = [len(s.tokens) - prefix for s in members]
    return prefix**2 + sum(rest * (prefix + rest) for rest in rests)


class Estimate(NamedTuple):
    """``parts`` add up to ``peak``, bytes; ``seconds`` for the whole stage; ``told`` for a person."""

    parts: Mapping[str, int]
    peak: int
    seconds: float
    told: tuple[str, ...]


def parts(sizes: Sizes, kept: Kept, work: Work) -> dict[str, int]:
    """Bytes by what they are for, at the fullest moment."""
    found = dict(sizes.held)
    steps = work.steps()
    every = [one for step in steps for one in step]
    if every:
        most = max(every, key=lambda one: _kept(sizes, kept, one, work.again))
        found["activations"] = round(_kept(sizes, kept, most, work.again) + _passing(sizes, kept, most))
        gradients = 4 * sizes.trained
        if max(len(step) for step in steps) == 1:
            # The only pass of a step gives up what it kept while gradients come.
            gradients = max(gradients - found["activations"], round(gradients / max(1, sizes.layers)))
        found["gradients"] = gradients
        found["moments of the optimizer"] = 8 * sizes.trained
    if "ref_logp" in work.columns and sizes.second:
        found["reference model"] = sizes.second
    if work.ahead.drawings:
        found["copies to decode from"] = sizes.copies + sizes.renewed
        found["keys of answers"] = max(_keys(sizes, d) for d in work.ahead.drawings)
    if work.ahead.read:
        found["what the guard reads"] = _read(sizes, kept, work)
    return found


def _kept(sizes: Sizes, kept: Kept, one: _Pass, again: bool) -> float:
    body = kept.token * one.tokens + kept.square * one.squares
    if again:
        body = body / sizes.layers + sizes.state * one.tokens
    probabilities = sizes.vocabulary * (2 if sizes.narrow else 4) if sizes.head_trained else 0
    head = (kept.answer - probabilities) * one.answers
    if probabilities * one.answers <= _HEAD_KEPT:
        head += probabilities * one.answers
    return body + max(0.0, head)


def _passing(sizes: Sizes, kept: Kept, one: _Pass) -> float:
    """What exists for moments: the gradients of a layer's activations, the logits of some answer tokens."""
    layer = (kept.token * one.tokens + kept.square * one.squares) / max(1, sizes.layers)
    logits = 3 * 4 * min(one.answers, _HEAD_ROWS) * sizes.vocabulary
    head = 4 * sizes.vocabulary * sizes.width if sizes.head_trained else 0
    return layer + logits + head


def _read(sizes: Sizes, kept: Kept, work: Work) -> int:
    """What a pass that only reads takes: two layers, and some tokens' logits in four forms."""
    tokens = min(work.ahead.read, _SCORED)
    layer = kept.token * tokens / max(1, sizes.layers)
    return round(2 * layer + 4 * 4 * min(tokens, _HEAD_ROWS) * sizes.vocabulary)


def _keys(sizes: Sizes, drawing: Drawing) -> int:
    """Bytes of keys and values of prompts and answers that are drawn side by side, and of their logits."""
    flows = min(sizes.flows, drawing.prompts)
    slots = flows * min(-(-drawing.prompts // flows), max(1, _SIDE_BY_SIDE // drawing.n))
    rows = slots * drawing.n
    longest = drawing.max_tokens * _LONGER
    return round(sizes.keys * (slots * drawing.asked + rows * longest) + 3 * 4 * rows * sizes.vocabulary)


def seconds(pace: Pace, decoding: float, work: Work, bodies: int) -> dict[str, float]:
    """Seconds of a stage by what they go to. ``decoding``: tokens per second; ``bodies``: 2 with a critic."""
    ahead = work.ahead
    learning = sum(
        pace.update + sum(pace.learning(one.tokens, work.again) for one in step) for step in work.steps()
    )
    reading = sum(pace.reading(one.tokens) for one in work.read()) / bodies * len(work.columns)
    asked = sum(d.times * d.prompts * d.asked for d in ahead.drawings)
    said = sum(d.times * d.prompts * d.n * d.max_tokens for d in ahead.drawings)
    drawing = pace.forward[1] * asked / bodies + (said / decoding if said else 0.0)
    return {
        "learning": ahead.windows * learning,
        "measuring": ahead.windows * reading + pace.forward[1] * _looked(work) / bodies,
        "answering": drawing,
    }


def _looked(work: Work) -> float:
    """Tokens that the guard's reading computes, where answers to one prompt share it."""
    for guard in (d for d in work.ahead.drawings if not d.by_source and work.share):
        return work.ahead.read * (guard.asked / guard.n + guard.max_tokens) / (guard.asked + guard.max_tokens)
    return work.ahead.read


def estimated(sizes: Sizes, kept: Kept, work: Work, room: int, times: Mapping[str, float]) -> Estimate:
    """The estimate with its lines."""
    found = parts(sizes, kept, work)
    peak = sum(found.values())
    largest = sorted(found.items(), key=lambda part: -part[1])
    shown = ", ".join(f"{name} {size(count)}" for name, count in largest if count >= 0.01 * peak)
    told = [f"memory: about {size(peak)} at the most, of {size(room)} there are: {shown}"]
    if work.again:
        told.append(
            "layers are computed a second time in the backward pass, because memory would not do else"
        )
    whole = sum(times.values())
    spent = ", ".join(f"{name} {duration(took)}" for name, took in times.items() if took >= 0.01 * whole)
    long = "; answers taken as long as they may be" if work.ahead.drawings else ""
    told.append(f"time: about {duration(whole)} ({spent}{long}), what overseers take not counted")
    return Estimate(found, peak, whole, tuple(told))


def refusal(sizes: Sizes, kept: Kept, work: Work, room: int) -> Refused:
    """Why a stage does not fit, and which settings save how much."""
    found = parts(sizes, kept, work)
    peak = sum(found.values())
    lines = [f"this stage would take about {size(peak)} of memory, and it can have {size(room)}"]
    lines += [f"  {name}: {size(count)}" for name, count in sorted(found.items(), key=lambda p: -p[1])]
    helps = [(setting, peak - total) for setting, total in _smaller(sizes, kept, work, room)]
    worth = [(setting, saved) for setting, saved in helps if saved >= 0.01 * peak]
    lines.append("  what helps:" if worth else "  no setting helps; take a smaller model or a larger machine")
    for setting, saved in sorted(worth, key=lambda one: -one[1]):
        enough = ", enough by itself" if peak - saved <= room else ""
        lines.append(f"    {setting} saves {size(saved)}{enough}")
    return Refused("\n".join(lines))


def _smaller(sizes: Sizes, kept: Kept, work: Work, room: int) -> Iterator[tuple[str, int]]:
    """Settings that could be other ones, and what the stage would take with each."""

    def total(work: Work, sizes: Sizes = sizes, kept: Kept = kept) -> int:
        return sum(parts(sizes, kept, work).values())

    budget = work.budget
    while budget >= 32 and total(work._replace(budget=budget)) > room:
        budget //= 2
    if budget < work.budget:
        yield f"learner.tokens_per_pass = {budget}", total(work._replace(budget=budget))
    if sizes.full:
        few = sizes._replace(trained=sizes.trained // 50, second=0, head_trained=False)
        yield 'learner.adapter = "lora"', total(work, few)
    if work.share and not sizes.narrow:  # outside the family passes compute in the dtype of the weights
        # What stands between layers stays float32, all else takes half.
        stays = 2 * sizes.state
        half = Kept(stays + max(0.0, kept.token - stays) / 2, kept.square / 2, kept.answer / 2)
        yield 'learner.precision = "bfloat16"', total(work, sizes, half)
    rows = work.ahead.window.rows
    if len(rows) > 1:
        yield "half of source.per_window", total(work._replace(ahead=_halved(work.ahead)))
    if any(d.by_source for d in work.ahead.drawings):
        yield "half of source.max_tokens", total(work._replace(ahead=_shortened(work.ahead)))


def _halved(ahead: Ahead) -> Ahead:
    """With every second row of the window."""
    batch = ahead.batch
    stay = set(range(0, int(batch.row_S.max(initial=-1)) + 1, 2))
    steps = tuple(np.array([r for r in step if int(r) in stay], dtype=np.int64) for step in batch.steps)
    drawings = tuple(d._replace(prompts=max(1, d.prompts // 2)) if d.by_source else d for d in ahead.drawings)
    return ahead._replace(batch=replace(batch, steps=steps), drawings=drawings)


def _shortened(ahead: Ahead) -> Ahead:
    """With answers half as long."""
    drawings = tuple(
        d._replace(max_tokens=max(1, d.max_tokens // 2)) if d.by_source else d for d in ahead.drawings
    )
    batch = replace(ahead.batch, sequences=tuple(_half(s) for s in ahead.batch.sequences), tokens={})
    return ahead._replace(batch=batch, drawings=drawings)


def _half(sequence: Masked) -> Masked:
    """The first half of its answer."""
    said, most = 0, sum(sequence.answer) // 2
    keep: list[bool] = []
    for chosen in sequence.answer:
        said += chosen
        keep.append(not chosen or said <= most)
    tokens = tuple(t for t, stays in zip(sequence.tokens, keep, strict=True) if stays)
    answer = tuple(a for a, stays in zip(sequence.answer, keep, strict=True) if stays)
    return sequence._replace(tokens=tokens, answer=answer)


def size(count: float) -> str:
    """Bytes people can read.

    >>> size(3 << 20), size(5 << 30)
    ('3 MiB', '5.0 GiB')
    """
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
