"""Constitution: do principles that are criticised, revised and reinforced by show in what a policy says?

The two stages of 2212.08073, on the helpdesk: short replies, a right fact, and four principles that a program
checks. Every arm but ``base`` starts from it, the same for all arms of a seed.

    base          demonstrations of mixed quality
    r0 ... r4     own drafts after 0 ... 4 revisions, each under one drawn principle; sft
    rl            PPO from r4: the reward model learnt pairs of r4's answers to half of the questions
                  judged under a drawn principle, to the others by who knows the facts
    over          the same reward model, ten times the rate, more steps, and nothing that holds to r4
    shuffled      as r4, by principles of the same form that speak of other words

Differences from the paper:

1. Critic, reviser and judge are an oracle of stated error (``revising.Clerk``), not the policy itself.
2. Pairs under principles are hard preferences of a program, not a model's probabilities; what is equal under
   the drawn principle is no pair.
3. There are no red-team prompts: every question has all four principles, and helpfulness is the right fact.
4. Nothing unrelated is mixed in: the policy was taught nothing unrelated.
5. Two answers that are both right, or both wrong, are no pair for who knows the facts.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
from pydantic import Field, model_validator

from accord.engines.local.words import Size
from accord.overseers.noisy import Noisy
from accord.overseers.program import Program
from accord.part import Part
from accord.ports import Overseer, Sampler
from accord.records import Prompt, Response
from accord.records.rows import Row
from accord.studies.arms import Cell, Items, Measured, demand_known
from accord.studies.bars import Bar, Clause, ahead, exactly, near
from accord.studies.port import Doing, Form, Setting
from accord.studies.replying import SEEN, Course, Replying, preferred
from accord.studies.revising import Clerk, constitution, revisions
from accord.worker import Worker
from accord.worlds.helpdesk import Quality, broken, case_of

__all__ = ["Constitution"]

_TURNS = 4
_LAST = f"r{_TURNS}"
_ARMS = ("base", *(f"r{k}" for k in range(_TURNS + 1)), "rl", "over", "shuffled")
_SIZE = Size(layers=2, width=64, heads=4, context=32)
_PER_QUESTION = 8  # answers that are paired
_FACTS = "accord.worlds.helpdesk:helpful"
_SURE = 0.1  # at this temperature a difference of one grade is no doubt, but for the error
_TABLES = {
    "violations: share of the four principles that an answer breaks; helpful: right facts": (
        "violations",
        "helpful",
    ),
    "violations by principle": ("broken.*",),
    "boilerplate: seeds with an alarm; how much less answers differ (EAD), tell of a question (nats)": (
        "boilerplate",
        "fell.*",
    ),
    "texts that were changed, pairs": ("changed", "left", "pairs"),
}


class Constitution(Part):
    """The settings are ``constitution.toml``, with what each of them means."""

    question: ClassVar[str] = "Do principles that replies are revised and reinforced by show in what is said?"
    hasty: ClassVar[tuple[str, ...]] = ("base", "r0", "r4")
    models: ClassVar[bool] = False
    shows: ClassVar[tuple[str, ...]] = (
        "critic, reviser and judge are an oracle of stated error: that a model can criticise itself is not "
        "shown here, and tiny models cannot show it, nor emergent misalignment, natural deception, "
        "persuasion, self-report or how any of this scales",
        "violations: the mean share of four principles that a program finds broken; helpful: the right fact, "
        "and no hedge of one that is listed",
        "boilerplate: the indicators diversity and template_collapse by the rule fell, against where the "
        "arm's last stage began (r4 for rl and over, else base), on questions nothing else is read on; one "
        "value a seed",
    )

    version: int = Field(ge=1)
    arms: tuple[str, ...]
    seeds: int = Field(ge=1)
    within: float = Field(gt=0)
    fall: float = Field(gt=0, lt=1)
    products: int
    quality: tuple[float, float]
    counts: Mapping[str, int]
    error: float = Field(ge=0, lt=0.5)
    base: Course
    sft: Course
    reward: Course
    rl: Course
    over: Course

    @model_validator(mode="after")
    def _arms_are_known(self) -> Self:
        demand_known(self.arms, _ARMS)
        return self

    @property
    def form(self) -> Form:
        shares = frozenset({"violations", "helpful", "broken", "boilerplate"})
        return Form(_TABLES, shares, _LAST, ("violations", "helpful"), drawn="violations", across=gained)

    def bar(self, model: str | None) -> Bar:
        """What must be shown: each clause of the design, and that the shuffled do not do as well."""
        del model
        steps = [ahead("violations", f"r{k}", (f"r{k + 1}",)) for k in range(_TURNS)]
        clauses: list[Clause] = [
            *steps,
            ahead("violations", "shuffled", (_LAST,)),
            ahead("violations", _LAST, ("rl",)),
            near("gained", "rl", 0.0, self.within),
            exactly("boilerplate", "over", 1.0),
            *(exactly("boilerplate", arm, 0.0) for arm in (_LAST, "rl")),
        ]
        return Bar(tuple(clauses), self.seeds)

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with Worker() as worker:
            yield _Seed(self, Replying(seed, worker, at, self.counts, self.products)).done


def gained(cells: Mapping[str, Measured]) -> Mapping[str, Items]:
    """How much more often rl is right than r4, question by question."""
    if {"rl", _LAST} - cells.keys():
        return {}
    after, before = (cells[arm].items["helpful"] for arm in ("rl", _LAST))
    return {"rl": {"gained": {task: after[task] - before[task] for task in after if task in before}}}


@dataclass(frozen=True)
class _Seed:
    """One seed: its base, its revisions, and how each arm is done."""

    study: Constitution
    desk: Replying

    def done(self, cell: Cell) -> Measured:
        """One arm, from its training to its figures."""
        figures: dict[str, float | None] = {}
        match cell.arm:
            case "base":
                model = self.base
            case "rl" | "over":
                model = self._reinforced(cell.arm)
                figures["pairs"] = float(len(self._pairs))
            case "shuffled":
                model = self._revised(_TURNS, dealt=True)
                figures |= self._changed(_TURNS, dealt=True)
            case _:
                turns = int(cell.arm.removeprefix("r"))
                model = self._revised(turns)
                figures |= self._changed(turns)
        sampler = self.desk.sampler(model)
        items = dict(self.desk.read(sampler))
        if cell.arm != "base":
            items |= self._alarm(cell, sampler)
        base = self.desk.sampler(self.base).policy
        return Measured(cell.arm, cell.seed, "measured", items=items, figures=figures, base=base)

    def _alarm(self, cell: Cell, sampler: Sampler) -> Items:
        """What a guard of the arm's last stage would say at its end, against where that stage began."""
        began = self._revised(_TURNS) if cell.arm in ("rl", "over") else self.base
        alarm = self.desk.alarm(sampler, self.desk.sampler(began), self.study.fall)
        seed = f"seed {cell.seed}"
        fell = {"fell.diversity": {seed: alarm.spread}, "fell.told": {seed: alarm.told}}
        return {"boilerplate": {seed: float(alarm.fired)}, **fell}

    # Models

    @cached_property
    def base(self) -> Path:
        said = self.desk.demonstrated("demonstrations", Quality(*self.study.quality))
        return self.desk.taught("base", self.desk.untaught("untaught", _SIZE), said, self.study.base)

    def _revised(self, turns: int, dealt: bool = False) -> Path:
        """Stage one: base, taught its own drafts after so many revisions."""
        prompts = [prompt for prompt, _ in self._drafts]
        chains = self._dealt if dealt else self._texts
        said = [(p, texts[turns]) for p, texts in zip(prompts, chains, strict=True) if texts[turns]]
        name = "shuffled" if dealt else f"r{turns}"
        return self.desk.taught(name, self.base, said, self.study.sft)

    def _reinforced(self, name: str) -> Path:
        """Stage two."""
        before, course = self._revised(_TURNS), self.study.rl if name == "rl" else self.study.over
        reward = self.desk.rewarded("reward", before, lambda: self._pairs, self.study.reward)
        return self.desk.followed(name, before, reward, course)

    # What they learn

    def _clerk(self, dealt: bool = False) -> Clerk:
        seed = self.desk.seed
        return Clerk(
            products=self.study.products, table=seed, error=self.study.error, dealt=seed if dealt else None
        )

    @cached_property
    def _drafts(self) -> list[tuple[Prompt, Response]]:
        """One answer of base to each question."""
        asked = self.desk.different("drafts")
        groups = self.desk.answers(self.desk.sampler(self.base), asked, 1, "drafts")
        return [(group.prompt, group.responses[0]) for group in groups if group.responses[0].text.strip()]

    @cached_property
    def _texts(self) -> list[list[str]]:
        """Of each draft its texts, by principles as they are."""
        return self._chains(dealt=False)

    @cached_property
    def _dealt(self) -> list[list[str]]:
        """The same, by principles that speak of other words."""
        return self._chains(dealt=True)

    def _chains(self, dealt: bool) -> list[list[str]]:
        sampler = self.desk.sampler(self.base)
        return revisions(self._drafts, sampler, self._clerk(dealt), _TURNS, self.desk.worker)

    def _changed(self, turns: int, dealt: bool = False) -> dict[str, float | None]:
        """The share of drafts that ended as another text, and of broken principles in what is learnt."""
        texts = self._dealt if dealt else self._texts
        cases = [case_of(prompt.text) for prompt, _ in self._drafts]
        odd = [np.mean([*broken(c, t[turns]).values()]) for c, t in zip(cases, texts, strict=True)]
        return {"changed": float(np.mean([t[turns] != t[0] for t in texts])), "left": float(np.mean(odd))}

    @cached_property
    def _pairs(self) -> list[Row]:
        """Pairs of answers after stage one: of half of the questions by the facts, else under a principle."""
        asked = self.desk.different("pairs")
        groups = self.desk.answers(self.desk.sampler(self._revised(_TURNS)), asked, _PER_QUESTION, "pairs")
        facts = Noisy(
            inner=cast(Overseer, Program(fn=_FACTS)),
            epsilon=2 * self.study.error,
            temperature=_SURE,
            delta=SEEN,
        )
        judges = (cast(Overseer, facts), constitution(self._clerk(), _TURNS))
        shares = groups[: len(groups) // 2], groups[len(groups) // 2 :]
        found: list[Row] = []
        for judge, share in zip(judges, shares, strict=True):
            more = preferred(share, judge, self.desk.worker)
            found += [replace(row, group=len(found) + k) for k, row in enumerate(more)]
        return found
