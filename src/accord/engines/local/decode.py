"""Sampling: each prompt is read once, its answers are drawn side by side, finished rows leave the batch.

Sample i of a prompt draws its uniforms from (key, prompt id, i) alone, one per token, and picks by inverse
transform; so a row's draws do not depend on what it is batched with (its logits may, in the last bits).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from accord.engines.local.picking import Picker

__all__ = ["Drawn", "Wanted", "decode", "seed_of", "uniforms"]


_ROWS_TOGETHER = 96


class Wanted(NamedTuple):
    """One prompt: its tokens, how many answers, and the seed of each."""

    tokens: tuple[int, ...]
    seeds: tuple[str, ...]
    allowed: tuple[int, ...] | None = None
    lengths: tuple[int, ...] | None = None  # answers of given lengths, for measurements: no token ends them

    def ends(self, sample: int, token: int, said: int, most: int, stop: frozenset[int]) -> bool:
        """Whether an answer is over with this token, its ``said``-th."""
        if self.lengths is not None:
            return said >= self.lengths[sample]
        return token in stop or said >= most


class Drawn(NamedTuple):
    """One answer: which prompt and sample, its tokens with their log-probabilities, whether it stopped."""

    prompt: int
    sample: int
    tokens: tuple[int, ...]
    logp: tuple[float, ...]
    stopped: bool


def seed_of(key: str, prompt: str, index: int) -> str:
    """The seed of one sample, 128 bits in hexadecimal."""
    return hashlib.sha256(f"{key}\n{prompt}\n{index}".encode()).hexdigest()[:32]


def uniforms(wanted: Wanted, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """What sample s draws for its token t, from its seed alone."""
    return np.stack(
        [np.random.Generator(np.random.Philox(key=int(s, 16))).random(count) for s in wanted.seeds]
    )


class _Rows:
    """The unfinished rows of a batch."""

    def __init__(self, wanted: list[Wanted], max_tokens: int) -> None:
        self.place = [(p, i) for p, w in enumerate(wanted) for i in range(len(w.seeds))]
        self.uniform = np.concatenate([uniforms(w, max_tokens) for w in wanted])
        self.tokens: list[list[int]] = [[] for _ in self.place]
        self.logp: list[list[float]] = [[] for _ in self.place]
        self.live = np.arange(len(self.place))


def decode(
    model: PreTrainedModel, wanted: list[Wanted], max_tokens: int, temperature: float, stop: frozenset[int]
) -> Iterator[list[Drawn]]:
    """Answers as they finish, one list per decoding step (often empty, so that a caller can breathe).

    Prompts of like length go together, so that little is padded.
    """
    order = sorted(range(len(wanted)), key=lambda p: (-len(wanted[p].tokens), p))
    size = max(1, _ROWS_TOGETHER // max(len(w.seeds) for w in wanted))
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        for done in _together(model, [wanted[p] for p in batch], max_tokens, temperature, stop):
            yield [drawn._replace(prompt=batch[drawn.prompt]) for drawn in done]


@torch.inference_mode()
def _together(
    model: PreTrainedModel, wanted: list[Wanted], max_tokens: int, temperature: float, stop: frozenset[int]
) -> Iterator[list[Drawn]]:
    rows = _Rows(wanted, max_tokens)
    mask, cache, logits = _prefill(model, wanted)
    picker = Picker(logits.shape[1])
    for t in range(max_tokens):
        allowed = {
            k: a for k, r in enumerate(rows.live) if (a := wanted[rows.place[r][0]].allowed) is not None
        }
        uniform = torch.as_tensor(rows.uniform[rows.live, t], device=logits.device)
        token, logp = picker.pick(logits, uniform, temperature, allowed)
        done: list[Drawn] = []
        keep: list[int] = []
        drawn = zip(rows.live.tolist(), _ints(token), _floats(logp), strict=True)
        for k, (row, word, lp) in enumerate(drawn):
            rows.tokens[row].append(word)
            rows.logp[row].append(lp)
            prompt, sample = rows.place[row]
            if wanted[prompt].ends(sample, word, t + 1, max_tokens, stop):
                said, measured = tuple(rows.tokens[row]), tuple(rows.logp[row])
                done.append(Drawn(prompt, sample, said, measured, word in stop))
            else:
                keep.append(k)
        yield done
        if not keep:
            return
        if len(keep) < len(rows.live):
            index = torch.tensor(keep, device=token.device)
            token, mask = token[index], mask[index]
            cache.batch_select_indices(index)
            rows.live = rows.live[keep]
        mask = torch.cat([mask, mask.new_ones(len(keep), 1)], 1)
        logits = _step(model, token[:, None], mask, cache)


def _prefill(model: PreTrainedModel, wanted: list[Wanted]) -> tuple[Tensor, DynamicCache, Tensor]:
    """Read each prompt once, padded on the left, and give every answer its copy of the cache."""
    width = max(len(w.tokens) for w in wanted)
    tokens = torch.zeros(len(wanted), width, dtype=torch.long)
    mask = torch.zeros(len(wanted), width, dtype=torch.long)
    for i, w in enumerate(wanted):
        tokens[i, width - len(w.tokens) :] = torch.tensor(w.tokens)
        mask[i, width - len(w.tokens) :] = 1
    tokens, mask = tokens.to(model.device), mask.to(model.device)
    cache = DynamicCache()
    logits = _step(model, tokens, mask, cache)
    repeat = torch.tensor([i for i, w in enumerate(wanted) for _ in w.seeds], device=model.device)
    cache.batch_select_indices(repeat)
    return mask[repeat], cache, logits[repeat]


def _step(model: PreTrainedModel, tokens: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
    position = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    out = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=position,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return cast(Tensor, out.logits)[:, -1]


def _ints(values: Tensor) -> list[int]:
    return cast("list[int]", values.tolist())  # pyright: ignore[reportUnknownMemberType]


def _floats(values: Tensor) -> list[float]:
    return cast("list[float]", values.tolist())  # pyright: ignore[reportUnknownMemberType]
