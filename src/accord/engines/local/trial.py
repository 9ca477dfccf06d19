"""One row forwards and backwards through the real model, before a stage: bytes and seconds per token.

Nothing is changed by it: gradients are cleared, the optimizer is not asked, no number is drawn that a stage
draws. What differs between passes of one length and another is fitted from short rows: bytes that grow with
tokens, with their square (attention) and with answer tokens (head), and the seconds a pass costs by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from accord.engines.local.decode import Wanted, seed_of
from accord.records import Sequence as Masked

if TYPE_CHECKING:
    from accord.engines.local.decoder import Decoder
    from accord.engines.local.forward import Answers

__all__ = ["Kept", "Pace", "Way", "decoded", "kept", "timed"]

_SECONDS = 0.7  # about as long as the longest timed pass may take
_SAID = 7  # tokens of each answer of the trial


class Way(NamedTuple):
    """What a learner does with a micro-batch, and the weights that take part in it.

    ``row``: tokens of the longest row that is tried, for a model that takes fewer than 128.
    """

    answers: Callable[[Sequence[Masked]], Answers]
    scores: bool
    critic: bool
    models: tuple[nn.Module, ...]
    trained: Sequence[nn.Parameter]
    row: int = 128

    def objective(self, sequences: Sequence[Masked]) -> Tensor:
        """Something that depends on all that a loss may read."""
        out = self.answers(sequences)
        said = out.score_SK.sum() if self.scores else out.logp_T.sum()
        return said + out.value_T.sum() if self.critic else said


class Kept(NamedTuple):
    """Bytes kept for the backward pass: by token, by square of a sequence's tokens, by answer token."""

    token: float
    square: float
    answer: float


class Pace(NamedTuple):
    """Seconds of a pass by itself and by token, forwards and backwards; and of moving the trained weights."""

    forward: tuple[float, float]
    backward: tuple[float, float]
    update: float

    def learning(self, tokens: int, again: bool = False) -> float:
        """A pass in both directions; ``again``: its forward half is computed twice."""
        forward = self.forward[0] + self.forward[1] * tokens
        return forward * (2 if again else 1) + self.backward[0] + self.backward[1] * tokens

    def reading(self, tokens: int) -> float:
        """A pass forwards."""
        return self.forward[0] + self.forward[1] * tokens


def kept(way: Way, words: Sequence[int]) -> Kept:
    """Saved-tensor bytes of rows of 128 and 64 tokens, of the second also with one answer token only.

    Weights that stay where they are do not count, and a tensor that several functions save counts once.
    """
    row, half = way.row, way.row // 2
    many, few = _bytes(way, _row(words, row, row - 1)), _bytes(way, _row(words, half, half - 1))
    alone = few if way.scores else _bytes(way, _row(words, half, 1))
    answer = max(0.0, (few - alone) / (half - 2))
    long = (many - answer * (row - 1)) / row
    short = (few - answer * (half - 1)) / half
    square = max(0.0, (long - short) / (row - half))
    return Kept(long - square * row, square, answer)


def timed(way: Way, words: Sequence[int], most: int, share: float) -> Pace:
    """Seconds of one row and of as many side by side as fits into ``_SECONDS``, up to ``most`` tokens.

    ``share``: how many of the tokens are answers. The smaller of two times counts: what else the machine does
    only adds.
    """
    row = way.row
    said = min(row - 1, max(1, round(row * share)))
    rows = [_row(words, row, said, first=i) for i in range(max(1, most // row))]
    one = min((_seconds(way, rows[:1]) for _ in range(2)), key=sum)
    fits = int(min(len(rows), max(1, _SECONDS // max(sum(one), 1e-6))))
    update = _moving(way.trained)
    if fits == 1:
        return Pace((0.0, one[0] / row), (0.0, one[1] / row), update)
    several = _seconds(way, rows[:fits])
    if sum(several) < _SECONDS / 2:
        several = min(several, _seconds(way, rows[:fits]), key=sum)
    ways = [_line(few, many, row, fits) for few, many in zip(one, several, strict=True)]
    return Pace(ways[0], ways[1], update)


def decoded(
    decoder: Decoder, version: str, prompts: Sequence[tuple[int, ...]], n: int, stop: frozenset[int]
) -> float:
    """Tokens per second of a few tokens of n answers to each of the prompts, these already read."""
    forced = (_SAID,) * n
    seeds = [tuple(seed_of("trial", str(k), i) for i in range(n)) for k in range(len(prompts))]
    wanted = [Wanted(prompt, each, None, forced) for prompt, each in zip(prompts, seeds, strict=True)]
    stamps = [time.perf_counter() for _ in decoder.decode(version, wanted, _SAID, 1.0, stop)]
    # The first half goes with reading the prompts; each later item stands for the same number of tokens.
    half = len(stamps) // 2
    tokens = len(prompts) * n * (_SAID - 1) * (len(stamps) - 1 - half) / len(stamps)
    return tokens / max(stamps[-1] - stamps[half], 1e-9)


def _row(words: Sequence[int], length: int, said: int, first: int = 0) -> Masked:
    """``words`` over and over up to ``length``, the last ``said`` of them the answer.

    ``first`` becomes the first token, so that rows side by side share no prompt.
    """
    tokens = (first, *(words[i % len(words)] for i in range(1, length)))
    return Masked(tokens, tuple(i >= length - said for i in range(length)))


def _bytes(way: Way, row: Masked) -> int:
    """Saved-tensor bytes of a forward pass over ``row``."""
    weights = {p.untyped_storage().data_ptr() for model in way.models for p in _tensors(model)}
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        objective = way.objective([row])
        total = sum(found.values())
        del objective
    return total


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _seconds(way: Way, rows: Sequence[Masked]) -> tuple[float, float]:
    """A pass forwards and backwards; the gradients are gone afterwards."""
    with _cleared(way.trained), torch.enable_grad():
        began = _now(way)
        objective = way.objective(rows)
        between = _now(way)
        objective.backward()  # pyright: ignore[reportUnknownMemberType]
        return between - began, _now(way) - between


@contextmanager
def _cleared(trained: Sequence[nn.Parameter]) -> Generator[None]:
    """Without gradients before and after, whatever happens inside."""
    try:
        yield
    finally:
        for parameter in trained:
            parameter.grad = None


def _now(way: Way) -> float:
    if way.trained[0].device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _line(few: float, many: float, row: int, rows: int) -> tuple[float, float]:
    """Seconds by themselves and by token through two points; through 0 and the longer one where noise turns
    the line round."""
    slope = (many - few) / (row * (rows - 1))
    own = few - slope * row
    return (own, slope) if slope > 0 and own > 0 else (0.0, many / (row * rows))


def _moving(trained: Sequence[nn.Parameter]) -> float:
    """Seconds of one AdamW step: it reads four and writes three numbers for each weight, copying does two."""
    largest = max(trained, key=lambda p: p.numel())
    with torch.no_grad():
        copy = torch.empty_like(largest)
        copy.copy_(largest)
        began = time.perf_counter()
        copy.copy_(largest)
        if largest.device.type == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - began
    return took / largest.numel() * 3.5 * sum(p.numel() for p in trained)
