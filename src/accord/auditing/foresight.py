"""Foresight: what an audit will ask, told before it asks: requests, tokens, minutes and money.

The whole programme is walked with samplers that say nothing, so what several indicators share counts once.
Answers count as long as they may be. Minutes are those of this machine, timed on a few texts of its own; how
fast a server answers is not known beforehand.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from accord.auditing.asking import Foreseen
from accord.auditing.looking import Eye
from accord.auditing.programme import Programme
from accord.errors import PlanError
from accord.ports import How, Sampler
from accord.progress import duration
from accord.records import JSON, Cost, Prompt
from accord.records.rows import Text
from accord.worker import Worker

__all__ = ["Foresight", "Pace", "Price", "Stand", "foresee", "pace"]

_WORDS = "The river runs past the mill and under the old stone bridge before it turns to the sea."


_COUNTED = ("calls", "tokens_in", "tokens_out")


class Price(NamedTuple):
    """Money per million tokens that are read and that are written."""

    read: float
    written: float

    @classmethod
    def of(cls, text: str | float) -> Price:
        """``2.5`` for both, ``0.5:1.5`` for read and written ones.

        >>> Price.of("0.5:1.5"), Price.of(2).read
        (Price(read=0.5, written=1.5), 2.0)
        """
        if not re.fullmatch(r"\d+(\.\d+)?(:\d+(\.\d+)?)?", str(text)):
            raise PlanError(
                "--price", text, "money per million tokens: 2.5, or read and written ones, 0.5:1.5"
            )
        read, _, written = str(text).partition(":")
        return cls(float(read), float(written or read))

    def of_cost(self, cost: Cost) -> float:
        return (cost.tokens_in * self.read + cost.tokens_out * self.written) / 1e6


class Pace(NamedTuple):
    """Tokens a second: read and written."""

    read: float
    written: float


class Stand(NamedTuple):
    """A model, and a sampler that stands for it: its own, or one like it where it is not opened yet."""

    name: str
    like: Sampler
    remote: bool


class Foresight(NamedTuple):
    """What each model will be asked; ``pace`` of the models on this machine, None where there are none."""

    costs: Mapping[str, Cost]
    remote: frozenset[str]
    pace: Pace | None
    price: Price | None

    @property
    def cost(self) -> Cost:
        return sum(self.costs.values(), Cost())

    @property
    def seconds(self) -> float | None:
        """Of the models on this machine."""
        local = sum((cost for name, cost in self.costs.items() if name not in self.remote), Cost())
        if self.pace is None:
            return None
        return local.tokens_in / self.pace.read + local.tokens_out / self.pace.written

    @property
    def money(self) -> float | None:
        """Of the models behind servers; of all where none is."""
        billed = [cost for name, cost in self.costs.items() if name in self.remote or not self.remote]
        return None if self.price is None else sum(self.price.of_cost(cost) for cost in billed)

    @property
    def line(self) -> str:
        """For a person."""
        told = [
            f"will ask {len(self.costs)} models {self.cost.calls:,} requests"
            if len(self.costs) > 1
            else f"will ask {self.cost.calls:,} requests",
            f"{self.cost.tokens_in:,} tokens read and up to {self.cost.tokens_out:,} written",
        ]
        if self.seconds is not None:
            told.append(f"about {duration(self.seconds)} on this machine")
        if self.remote:
            told.append("and as long as the servers take")
        if self.money is not None:
            told.append(f"{self.money:,.2f} in money at most")
        return ", ".join(told)

    def json(self) -> dict[str, JSON]:
        cost = self.cost
        return {
            "requests": cost.calls,
            "tokens_read": cost.tokens_in,
            "tokens_written": cost.tokens_out,
            "seconds": self.seconds,
            "money": self.money,
        }


def foresee(
    programme: Programme, base: Stand | None, models: Sequence[Stand], asked: Mapping[str, Cost]
) -> dict[str, Cost]:
    """What is left to ask of each model. ``asked``: what earlier tries of this audit asked, by name."""
    stands = {one.name: one for one in (*models, *((base,) if base else ()))}
    fakes = {
        name: Foreseen(one.like, name, one.remote, cuts="logp" not in one.like.can or not one.remote)
        for name, one in stands.items()
    }
    with Worker() as worker:
        eye = Eye(programme, worker)
        known = eye.base(base.name, fakes[base.name]) if base else None
        for model in models:
            sampler = fakes[model.name]
            if known is None:
                own = eye.base(model.name, sampler)
                eye.again(own)
                eye.compared(own.groups, own, sampler, alone=True)
            else:
                eye.again(known)
                eye.model(sampler, known)
                eye.compared(eye.answers(sampler, "model"), known, sampler)
    return {name: _left(one.cost, asked.get(name, Cost())) for name, one in fakes.items()}


def pace(worker: Worker, sampler: Sampler) -> Pace:
    """Tokens a second on texts that no audit asks, after a first try that does not count."""
    prompts = [Prompt.of(f"{k}. {_WORDS} {_WORDS} What comes next?") for k in range(3)]
    # Four answers to a prompt share it, as the letters of a question's options do; every model can end.
    texts = [Text(p, said) for p in prompts if (said := sampler.encode(p, "")).tokens for _ in range(4)]
    read = written = float("inf")
    if "logp" in sampler.can and texts:
        worker.run(sampler.score(texts[:4], frozenset({"logp"})))
        began = time.perf_counter()
        worker.run(sampler.score(texts, frozenset({"logp"})))
        size = sum(len(t.response.prompt_tokens) + len(t.response.tokens) for t in texts)
        read = size / max(time.perf_counter() - began, 1e-9)
    if "sample" in sampler.can:
        worker.run(sampler.sample(prompts[:1], 1, How("pace/first", 1.0, 2)))
        began = time.perf_counter()
        # As many side by side as an audit asks for: one by one takes several times as long.
        groups = worker.run(sampler.sample(prompts[:2], 16, How("pace", 1.0, 12)))
        size = sum(len(r.tokens) for group in groups for r in group.responses)
        written = max(size, 1) / max(time.perf_counter() - began, 1e-9)
    return Pace(read, written)


def _left(whole: Cost, asked: Cost) -> Cost:
    """What is not asked yet. Answers end before they must, so tokens alone would never come to nothing."""
    if whole.calls <= asked.calls:
        return Cost()
    pairs = {name: max(0, getattr(whole, name) - getattr(asked, name)) for name in _COUNTED}
    return Cost(**pairs)
