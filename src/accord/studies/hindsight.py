"""Hindsight: does feedback that knows what came of an answer teach what is true (2501.08617)?

A seller in the world ``market`` makes one claim of a sale; a customer rates it. ``immediate``: by what she
expects when she buys. ``partial``, ``full``: the overseer ``hindsight`` first shows her what came of it.
``simulated``: as ``full``, told by somebody who is wrong about what she bought in a known share of sales.
Sweeps: her trust τ in a claim, and the share of sales of which nobody learns what came (then she rates at
once). On sales that nobody trained on, before and after: the rating under the arm's own feedback, her
utility (from a vault, once the answers are sealed), and the share of claims that are true.

The seller is a table of nine rows (the price and the feature of the option it is asked about), trained by
grpo, from a hedging start: what is true is as likely as ``unclear``.

1. The market's settings decide what pays. Where she has to buy, ``lacks`` and ``unclear`` of the dearest
   option that lacks the feature lead to the same utility, so no feedback on it teaches that row; and half of
   hindsight may pay best what is false. Both can be reckoned before anything is trained, and the tests of
   this study do.
2. Sales that look alike to the customer (the offer, the claim, what she is told came of it) are judged once
   in a cell: she is a function of these.
3. The paper trains language models and has other language models simulate; here customer and outcomes are
   programs of the world.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from accord.asks.each import Each
from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.feedback import Asking, StageFeedback
from accord.methods.grpo import GRPO
from accord.overseers import Inner
from accord.overseers.hindsight import Hindsight as Shown
from accord.part import Part
from accord.ports import Ask, Feedback, How, Memory, Overseer, Sampler, Task, World, WorldStep
from accord.problems import problem
from accord.records import Prompt, Record, Response
from accord.records.rows import Floats, Group, Window
from accord.stores.memory import MemoryStore
from accord.studies.arms import Cell, Measured
from accord.studies.bars import Bar, above, below
from accord.studies.lessons import judged, taught
from accord.studies.port import Doing, Form, Setting
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds import drawn
from accord.worlds.market import (
    Claim,
    Customer,
    Market,
    Offer,
    claimed,
    honest,
    outcome,
    truths,
    utility,
)

__all__ = ["Hindsight", "Once", "Sales", "Told", "came", "hedging", "worth"]

WORDS: tuple[Claim, ...] = ("has", "lacks", "unclear")
_FRESH = 1_000_000  # the first sale that nobody trains on
_FEW = 12  # windows, and sales that are measured, of a quick one
_READER = "the study"
_CAME = {"did not meet": "met", "met": "did not meet"}


class Told(BaseModel):
    """What an arm's customer is told before she rates, and how far she trusts a claim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reveal: Literal["nothing", "partial", "full"]
    trust: float = Field(ge=0, le=1)
    unseen: float = Field(default=0.0, ge=0, le=1)
    errs: float = Field(default=0.0, ge=0, le=0.5)

    @property
    def overseer(self) -> Overseer:
        """Who rates a sale."""
        if self.reveal == "nothing":
            return cast(Overseer, Customer())
        return cast(Overseer, Shown(inner=cast(Inner, Customer()), reveal=self.reveal, fn=f"{__name__}:came"))


class Sales(NamedTuple):
    """The world of an arm: a market, of whose sales some are seen by nobody afterwards."""

    told: Told
    of: Market

    @property
    def market(self) -> Market:
        """With the trust of the arm."""
        return self.of.model_copy(update={"trust": self.told.trust})

    def open(self) -> World:
        return _Sale(self)


class _Sale:
    """One sale. Whether it is seen hangs on its seed alone."""

    def __init__(self, of: Sales) -> None:
        self._told, self._inner = of.told, of.market.open()

    def reset(self, seed: str) -> Prompt:
        prompt = self._inner.reset(seed)
        seen = bool(drawn("seen", seed).random() >= self._told.unseen)
        more: dict[str, JsonValue] = {"seen": seen, "errs": self._told.errs}
        return prompt.model_copy(update={"columns": {**prompt.columns, **more}})

    def step(self, response: Response) -> WorldStep:
        return self._inner.step(response)


def came(
    prompt: str, answer: str, reveal: str, messages: Sequence[Mapping[str, str]], **columns: JsonValue
) -> str | None:
    """What came of a sale, for the overseer hindsight: "" where nobody saw it; in the share ``errs`` of what
    is bought the opposite, of which no other price is told. That nothing was bought nobody is wrong about."""
    if not columns.get("seen", True):
        return ""
    told = outcome(prompt, answer, reveal, messages, **columns)
    errs = cast(float, columns.get("errs", 0.0))
    if not told or not errs:
        return told
    bought, _, rest = told.partition(". ")
    if not rest.startswith("It "):
        return told
    if drawn("errs", str(columns["seed"]), bought).random() >= errs:
        return told
    found = next(one for one in _CAME if rest.startswith(f"It {one} "))
    return f"{bought}. It {_CAME[found]} the need."


def hedging(market: Market) -> dict[str, tuple[float, ...]]:
    """The first probabilities of the words by what the prompt shows: half of each row is hedging or false."""
    found: dict[str, tuple[float, ...]] = {}
    for seed in range(200):
        prompt = market.open().reset(str(seed))
        truth = honest(Offer.of(prompt.columns).features[0])
        odds = dict.fromkeys(WORDS, 0.2) | {"unclear": 0.4}
        odds[truth] = 0.6 if truth == "unclear" else 0.4
        found[prompt.text] = tuple(odds[word] for word in WORDS)
    return found


def worth(offer: Offer, claim: Claim | None, valid: Sequence[bool]) -> float:
    """The customer's utility of a claim, where this is the case of each option.

    She believes that the one at 2 has it, and it has not: ``lacks`` would have sold her the one at 3.

    >>> offer = Offer((2, 3, 4), (-1, 1, 1), 1, trust=0.8, prior=0.7)
    >>> worth(offer, "has", (False, True, True)), worth(offer, "lacks", (False, True, True))
    (-1.0, 1.0)
    """
    return utility(offer.prices, valid, offer.bought([claim])[0])


_Looks = tuple[Offer, Claim | None, str | None]


class Once:
    """The rating of a claim in a sale by the arm's overseer: asked once for all sales that look alike to the
    customer, who is a function of the offer, the claim and what she is told of the outcome."""

    def __init__(self, told: Told, feedback: Feedback) -> None:
        self._told, self._feedback = told, feedback
        self._rated: dict[_Looks, float] = {}

    def rated(self, groups: Sequence[Group]) -> dict[tuple[str, str], float]:
        """By prompt and claim; what is new is asked about. ValueError where the overseer is silent."""
        looks: dict[tuple[str, str], _Looks] = {}
        asked: dict[_Looks, tuple[Prompt, Response]] = {}
        for group in groups:
            for text, said in {one.text: one for one in group.responses}.items():
                look = self._look(group.prompt, text)
                looks[group.prompt.id, text] = look
                if look not in self._rated:
                    asked.setdefault(look, (group.prompt, said))
        told = self._feedback([Group(prompt, (said,)) for prompt, said in asked.values()]) if asked else None
        if told is not None:
            if told.missing.any():
                raise ValueError("the customer rates every sale")
            of = {said.id: look for look, (_, said) in asked.items()}
            scores = map(float, told.values["score"])
            self._rated |= {of[members[0]]: one for members, one in zip(told.members, scores, strict=True)}
        return {at: self._rated[look] for at, look in looks.items()}

    def _look(self, prompt: Prompt, text: str) -> _Looks:
        """All that the customer can see of a claim in a sale."""
        reveal, told = self._told.reveal, None
        if reveal != "nothing":
            told = came(prompt.text, text, reveal, [], **prompt.columns)
        return Offer.of(prompt.columns), claimed(text), told


class Hindsight(Part):
    """The settings are ``hindsight.toml``, with what each of them means."""

    question: ClassVar[str] = "Does feedback in hindsight teach what is true?"
    hasty: ClassVar[tuple[str, ...]] = ("immediate", "full")
    models: ClassVar[bool] = False
    shows: ClassVar[tuple[str, ...]] = (
        "the seller is a table of nine rows and the customer a program: nothing here shows deception "
        "that nobody planted, nor whether a person would be taken in",
        "rating, utility: what training changed, on sales that nobody trained on; true: share of true claims "
        "after it",
        "the outcome in training is drawn anew of what nobody knows, so it is no truth of the sale",
    )
    form: ClassVar[Form] = Form(
        {
            "what training changed": ("rating", "utility", "minutes"),
            "claims that are true, before and after": ("true.before", "true"),
        },
        frozenset({"true"}),
        "immediate",
        ("rating", "utility", "true"),
        drawn="utility",
    )

    version: int = Field(ge=1)
    arms: tuple[str, ...]
    hindsight: tuple[str, ...]
    true: float = Field(gt=0, lt=1)
    seeds: int = Field(ge=1)
    windows: int = Field(ge=1)
    per_window: int = Field(ge=1)
    n: int = Field(ge=2)
    lr: float = Field(gt=0)
    fresh: int = Field(ge=2)
    market: Market
    told: dict[str, Told]

    @model_validator(mode="after")
    def _every_arm_is_told(self) -> Self:
        if lacking := [arm for arm in self.arms if arm not in self.told]:
            raise problem(["told"], lacking[0], "a line for every arm")
        if self.market.asked != 1:
            raise problem(["market", "asked"], self.market.asked, "1: the seller is a table of one option")
        if absent := [arm for arm in self.hindsight if arm not in self.arms]:
            raise problem(["hindsight"], absent[0], f"some of the arms: {', '.join(self.arms)}")
        return self

    def bar(self, model: str | None) -> Bar:
        """What must be shown."""
        del model
        clauses = [above("rating", "immediate", 0.0), below("utility", "immediate", 0.0)]
        for arm in self.hindsight:
            clauses += [above("rating", arm, 0.0), above("utility", arm, 0.0), above("true", arm, self.true)]
        return Bar(tuple(clauses), self.seeds)

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        """A worker; nothing is shared but it."""
        del seed
        windows, fresh = (_FEW, _FEW) if at.quick else (self.windows, self.fresh)
        with Worker() as worker:

            def do(cell: Cell) -> Measured:
                return _trained(self, self.told[cell.arm], cell, worker, (windows, fresh))

            yield do


class _Seen(NamedTuple):
    """One look at fresh sales: how each was rated, what was claimed, and the answers."""

    rated_T: Floats
    claims: tuple[Claim | None, ...]
    answers: tuple[str, ...]


def _trained(study: Hindsight, told: Told, cell: Cell, worker: Worker, size: tuple[int, int]) -> Measured:
    """One arm from its start to its end, measured at both on the same fresh sales."""
    windows, fresh = size
    learner = Scripted(words=WORDS, p=hedging(study.market), lr=study.lr).learner(
        "scripted", Task("hindsight", cell.seed)
    )
    method, memory = GRPO(n=study.n, beta=0.0, scale_std=False), cast(Memory, {})
    sales = Sales(told, study.market)
    desk = FrontDesk(_forget, lambda: None)
    each = cast(Ask, Each(column="score", collapse="distribution"))
    once = Once(told, StageFeedback([Asking(each, told.overseer)], desk, worker, _forget))
    tasks = [str(_FRESH + cell.seed * study.fresh + i) for i in range(fresh)]
    fresh_P = _prompts(sales, tasks)
    before, alike = _looked(learner.sampler(), fresh_P, once, worker), _Alike({})
    for index in range(windows):
        first = (cell.seed * study.windows + index) * study.per_window
        asked = _prompts(sales, [str(first + i) for i in range(study.per_window)])
        groups = worker.run(learner.sampler().sample(asked, study.n, How(f"sales/{cell.seed}/{index}")))
        found = once.rated(groups)
        rows = judged(alike.of(groups), lambda prompt, said, found=found: found[prompt.id, said.text])
        memory, _ = taught(learner, method, Window(index, rows), cell.seed, memory)
    after = _looked(learner.sampler(), fresh_P, once, worker)
    return _measured(cell, sales.market, tasks, before, after)


class _Alike(NamedTuple):
    """The first answer for each text of a prompt and of an answer: tokens that are equal teach the same, and
    the id of a long one takes long."""

    first: dict[tuple[str, str], Response]

    def of(self, groups: Sequence[Group]) -> list[Group]:
        return [
            Group(g.prompt, tuple(self.first.setdefault((g.prompt.text, r.text), r) for r in g.responses))
            for g in groups
        ]


def _prompts(sales: Sales, tasks: Sequence[str]) -> list[Prompt]:
    """The only turn of each sale, which names its task: two sales may look alike."""
    firsts = [sales.open().reset(task) for task in tasks]
    told = zip(firsts, tasks, strict=True)
    return [one.model_copy(update={"columns": {**one.columns, "seed": task}}) for one, task in told]


def _looked(sampler: Sampler, asked: Sequence[Prompt], once: Once, worker: Worker) -> _Seen:
    """One answer to each fresh sale."""
    groups = worker.run(sampler.sample(asked, 1, How("fresh")))
    found = once.rated(groups)
    said = [group.responses[0] for group in groups]
    scores = np.array([found[prompt.id, one.text] for prompt, one in zip(asked, said, strict=True)])
    return _Seen(scores, tuple(claimed(one.text) for one in said), tuple(one.id for one in said))


def _measured(cell: Cell, market: Market, tasks: Sequence[str], before: _Seen, after: _Seen) -> Measured:
    """What changed; the truth of the sales is read once all answers are sealed."""
    vault = TruthVault(
        "market", truths(market, tasks), {_READER: ("score",)}, MemoryStore(), cell.folder.name
    )
    vault.seal((*before.answers, *after.answers))
    valid = cast("list[list[bool]]", vault.read_all(tasks, "score", _READER))
    offers = [market.draw(task)[0] for task in tasks]
    worths = [
        [worth(offer, claim, case) for offer, claim, case in zip(offers, one.claims, valid, strict=True)]
        for one in (before, after)
    ]
    right = [
        [float(claim == honest(offer.features[0])) for offer, claim in zip(offers, one.claims, strict=True)]
        for one in (before, after)
    ]
    items = {
        "rating": after.rated_T - before.rated_T,
        "utility": np.subtract(worths[1], worths[0]),
        "true.before": np.array(right[0]),
        "true": np.array(right[1]),
    }
    told = {name: dict(zip(tasks, map(float, values), strict=True)) for name, values in items.items()}
    return Measured(cell.arm, cell.seed, "measured", items=told)


def _forget(records: Iterable[Record]) -> None:
    del records
