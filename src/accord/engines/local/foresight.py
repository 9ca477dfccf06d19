"""The estimate of a stage for a learner: sizes from its models, a trial, what fits, and the lines it makes.

Whether layers are computed a second time is decided here and nowhere else: only where memory would not do
without, and would do with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import nn

from accord.engines.local.estimate import Estimate, Sizes, Work, estimated, parts, refusal, seconds
from accord.engines.local.layout import shared_length
from accord.engines.local.llama import refusal as outside_family
from accord.engines.local.room import held, room
from accord.engines.local.sample_text import masked_text
from accord.engines.local.sampler import LocalSampler
from accord.engines.local.trial import Kept, Way, decoded, kept, timed
from accord.ports import Ahead, Needs
from accord.records import Sequence as Masked

if TYPE_CHECKING:
    from accord.engines.local import Local
    from accord.engines.local.critic import Critic
    from accord.engines.local.decoder import Decoder
    from accord.engines.local.forward import Answers, Forward
    from accord.engines.local.models import Opened

__all__ = ["Workshop", "foreseen"]

_ROW = 128
_TOGETHER = 96  # answers that the trial draws side by side


class Workshop(NamedTuple):
    """What a learner consists of, as far as an estimate asks."""

    config: Local
    opened: Opened
    needs: Needs
    forward: Forward
    critic: Critic | None
    decoder: Decoder
    answers: Callable[[Sequence[Masked]], Answers]
    trained: tuple[nn.Parameter, ...]
    train: torch.dtype
    decode: torch.dtype
    version: str
    processes: int = 1

    @property
    def bodies(self) -> list[Forward]:
        return [self.forward, *([self.critic.forward] if self.critic else [])]

    @property
    def device(self) -> torch.device:
        return self.opened.model.device


def foreseen(shop: Workshop, ahead: Ahead) -> Estimate:
    """What the stage takes; the lines end with its first row. Refused where it does not fit."""
    work = Work(ahead, shop.config.tokens_per_pass, shop.forward.share, shop.needs.columns)
    have = _room(shop)
    unmade = _sizes(shop, ahead)
    if sum(parts(unmade, Kept(0, 0, 0), work).values()) > have:
        # Not even a trial: its own gradients might be too much.
        raise refusal(unmade, Kept(0, 0, 0), work, have)
    models = tuple(cast(nn.Module, body.model) for body in shop.bodies)
    way = Way(shop.answers, shop.needs.scores > 0, shop.critic is not None, models, shop.trained, _row(shop))
    sequences = ahead.batch.sequences or _sequences(ahead)
    words = [token for s in sequences[:64] for token in s.tokens][:4096] or [0]
    _recompute(shop, False)
    rates = kept(way, words)
    work = _fitted(shop, _sizes(shop, ahead), rates, work._replace(share=shop.forward.share), have)
    _recompute(shop, work.again)
    every = [one for step in work.steps() for one in step]
    tokens = max((one.tokens for one in every), default=0)
    share = sum(one.answers for one in every) / max(1, sum(one.tokens for one in every))
    sizes = _sizes(shop, ahead)
    pace = timed(way, words, min(work.budget, tokens), share)
    times = seconds(pace, _decoding(shop, ahead), work._replace(again=False), len(shop.bodies))
    found = estimated(sizes, rates, work, have, times)
    return found._replace(told=(*found.told, *_first_row(shop, ahead)))


def _fitted(shop: Workshop, sizes: Sizes, rates: Kept, work: Work, have: int) -> Work:
    """The work as it fits: as it is, else with layers computed again where the family can; else Refused."""
    if sum(parts(sizes, rates, work).values()) <= have:
        return work
    again = work._replace(again=True)
    if all(body.share for body in shop.bodies):
        work = again
    if sum(parts(sizes, rates, work).values()) <= have:
        return work
    raise refusal(sizes, rates, work, have)


def _room(shop: Workshop) -> int:
    """Processes like this one share what the machine has left; a GPU is each one's own."""
    have = room(shop.device)
    if shop.processes == 1 or not _cpu(shop):
        return have
    mine = held(shop.device)
    return mine + (have - mine) // shop.processes


def _recompute(shop: Workshop, wanted: bool) -> None:
    for body in shop.bodies:
        body.recompute = wanted


def _sizes(shop: Workshop, ahead: Ahead) -> Sizes:
    """From the models as they stand, and what the process holds now."""
    model, config = shop.opened.model, _config(shop)
    bodies, narrow = len(shop.bodies), shop.forward.share and shop.train == torch.bfloat16
    linear, head = _linear(model), _head(model)
    known = {
        "masters": _stored(p for n, p in model.named_parameters() if ".lora_" not in n),
        "adapters": _stored(p for n, p in model.named_parameters() if ".lora_" in n),
        "compute copies": bodies * linear * 2 + head * 2 if narrow else 0,
    }
    if shop.critic is not None:
        known["critic"] = _stored(cast(nn.Module, shop.critic.forward.model).parameters())
    known = {name: count for name, count in known.items() if count}
    known["programs and other models"] = max(0, held(shop.device) - sum(known.values()))
    full = shop.config.adapter == "full"
    second = known["masters"] + ((linear + head) * 2 if narrow else 0) if full else 0
    heads, width = int(getattr(config, "num_attention_heads", 0)), int(config.hidden_size)
    keys = int(getattr(config, "num_key_value_heads", None) or heads)  # none where nothing attends
    wide = int(getattr(config, "head_dim", None) or width // max(1, heads))
    layers, flows = int(config.num_hidden_layers), torch.get_num_threads() if _cpu(shop) else 1
    return Sizes(
        held=known,
        trained=sum(p.numel() for p in shop.trained),
        second=second,
        copies=_copies(shop, ahead),
        renewed=_decode_bytes(shop, model, False) if shop.version.endswith("@0") else 0,
        keys=layers * 2 * keys * wide * shop.decode.itemsize,
        state=layers * width * 4 * bodies,
        layers=layers,
        width=width,
        vocabulary=int(config.vocab_size),
        flows=flows,
        head_trained=full and not shop.needs.scores,
        narrow=narrow,
        full=full,
    )


def _config(shop: Workshop) -> Any:
    return cast(Any, shop.opened.model.config).get_text_config()


def _row(shop: Workshop) -> int:
    """The design's 128 tokens, or all that a model with few positions takes."""
    return min(_ROW, int(getattr(_config(shop), "max_position_embeddings", None) or _ROW))


def _cpu(shop: Workshop) -> bool:
    return shop.device.type == "cpu"


def _copies(shop: Workshop, ahead: Ahead) -> int:
    """Bytes of decode copies still to be made: the policy's, and those of models beside it."""
    beside = [one.model for one in ahead.beside if isinstance(one, LocalSampler)]
    mine = [] if shop.needs.scores or shop.decoder.made else [shop.opened.model]
    return sum(_decode_bytes(shop, model, True) for model in (*mine, *beside))


def _decode_bytes(shop: Workshop, model: nn.Module, words: bool) -> int:
    """Of a decode copy, with or without its head; a model outside the family has its copy from the start."""
    if outside_family(cast(Any, model)):
        return 0
    twice = 2 if _cpu(shop) and shop.decode == torch.bfloat16 else 1  # plain and laid out
    return (_linear(model) + (_head(model) if words else 0)) * shop.decode.itemsize * twice


def _linear(model: nn.Module) -> int:
    """Weights of the body's linear layers, adapters left out."""
    body = cast(nn.Module, cast(Any, model).base_model)
    named = cast("Iterable[tuple[str, nn.Module]]", body.named_modules())
    return sum(cast(Any, m).weight.numel() for n, m in named if isinstance(m, nn.Linear) and "lora_" not in n)


def _head(model: nn.Module) -> int:
    head = cast(Any, model).get_output_embeddings()
    return 0 if head is None else int(head.weight.numel())


def _stored(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of tensors; parameters that are views of one tensor count by their own size, shared ones once."""
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


def _sequences(ahead: Ahead) -> tuple[Masked, ...]:
    return tuple(s for row in ahead.window.rows for e in row.episodes for s in e.sequences())


def _decoding(shop: Workshop, ahead: Ahead) -> float:
    """Tokens per second of the drawing that takes longest; infinite where nothing is drawn."""
    asked = [s.tokens[: shared_length(s)] for s in _sequences(ahead) if any(s.answer)]
    if not ahead.drawings or not asked or shop.needs.scores:
        return float("inf")
    most = max(ahead.drawings, key=lambda d: d.times * d.prompts * d.n * d.max_tokens)
    n = min(most.n, _TOGETHER)
    count = min(most.prompts, max(1, _TOGETHER // n))
    prompts = [asked[i % len(asked)] for i in range(count)]
    return decoded(shop.decoder, shop.version, prompts, n, shop.opened.stop)


def _first_row(shop: Workshop, ahead: Ahead) -> list[str]:
    first = _sequences(ahead)[:1]
    drawn = any(d.by_source for d in ahead.drawings)
    return [line for s in first for line in masked_text(shop.opened.tokenizer, s, learnt=not drawn)]
