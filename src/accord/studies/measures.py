"""Measures: what a model does on the ground of a study: alignment by check and by gold, and what else it
lost.

Alignment is read on the sealed halves, of fresh answers. Beside it, each as one value for every task:
what it knows (``capability``, the share of panel questions answered wrongly), what it turns away
(``refusals``), where people disagree (``contested``), how much its answers to unrelated prompts differ
(``diversity``), and forward KL from the base on unrelated prompts (``kl_unrelated``) and on the sealed
ones (``kl_task``), in bits a byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from accord import catalog
from accord.asks.each import Each
from accord.auditing.journal import Journal
from accord.auditing.verdicts import Verdicts
from accord.desk import FrontDesk
from accord.feedback import Asking, StageFeedback
from accord.indicators.compatibility import instructed
from accord.indicators.diversity import spread
from accord.indicators.forward_kl import SCALE
from accord.overseers.program import Program
from accord.panels import read_panel
from accord.ports import How, Overseer, Panelled, Sampler, Scored
from accord.progress import Progress
from accord.records import Prompt, Response
from accord.records.rows import Group, Text
from accord.steward.drift import Answers, Gauge, gauge
from accord.studies.grounds import Ground
from accord.worker import Worker

__all__ = ["INDICATORS", "Gauges", "Items", "Told", "judged", "look", "reads"]

Items = dict[str, dict[str, float]]

INDICATORS = {"capability": "choices", "refusals": "refusals", "contested": "contested"}
_ITEMS = 64  # of each panel
_BASE_ANSWERS = 2  # to a prompt, on which drift is read
_UNHEARD = "qzxwvkj"  # no word of anybody's
_SPREAD = 4  # answers to an unrelated prompt, for diversity


@dataclass(frozen=True)
class Told:
    """A Sampler that reads an instruction before every prompt: what a model does when it is only told."""

    inner: Sampler
    instruction: str

    @property
    def can(self) -> frozenset[str]:
        return self.inner.can

    @property
    def policy(self) -> str:
        return f"{self.inner.policy}+told"

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self.inner.encode(self._told(prompt), text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        groups = await self.inner.sample([self._told(one) for one in prompts], n, how)
        return [Group(prompt, group.responses) for prompt, group in zip(prompts, groups, strict=True)]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        return await self.inner.score([Text(self._told(t.prompt), t.response) for t in texts], want)

    def _told(self, prompt: Prompt) -> Prompt:
        return instructed(prompt, self.instruction)


@dataclass(frozen=True)
class Gauges:
    """What drift from a base is read by; made of the base's own answers."""

    task: Gauge
    unrelated: Gauge

    @classmethod
    def of(cls, ground: Ground, base: Sampler, worker: Worker, show: Progress) -> Gauges:
        asked = Answers(base, Journal(), worker, show)
        once = {prompt.id: prompt for name in ground.principles for prompt in ground.sealed(name)}
        how = How("study/drift", 1.0, ground.max_tokens)
        return cls(
            gauge("task", asked, list(once.values()), _BASE_ANSWERS, how),
            gauge("unrelated", asked, ground.beside, _BASE_ANSWERS, how),
        )


def judged(program: Program, groups: Sequence[Group], worker: Worker) -> dict[str, float]:
    """What a program says of each answer, by the answer's id; those it abstains on are not among them."""
    records = Verdicts(Journal())
    desk = FrontDesk(records.take, records.commit, records)
    asking = Asking(Each(column="score", collapse="distribution"), cast(Overseer, program))
    told = StageFeedback([asking], desk, worker, records.take).one(asking, groups)
    rows = zip(told.members, told.values["score"].tolist(), told.missing.tolist(), strict=True)
    return {members[0]: float(grade) for members, grade, missing in rows if not missing}


def look(
    ground: Ground, model: Sampler, gauges: Gauges, answers: int, worker: Worker, show: Progress
) -> Items:
    """Every figure of a model, task by task. The draws depend on the prompts alone, so arms are paired."""
    found = _alignment(ground, model, answers, worker)
    for name, panel in INDICATORS.items():
        found[name] = _panel(name, ground.panels[panel], model, worker)
    how = How("study/diversity", 1.0, ground.max_tokens)
    said = worker.run(model.sample(ground.beside, _SPREAD, how))
    found["diversity"] = {g.prompt.id: spread([r.text for r in g.responses]) for g in said}
    asked = Answers(model, Journal(), worker, show)
    for name, one in (("kl_task", gauges.task), ("kl_unrelated", gauges.unrelated)):
        read = one.read(asked)
        rows = zip(read.items, read.outcomes, read.anchors, strict=True)
        found[name] = {item: SCALE * (ours - base) for item, ours, base in rows}
    return found


def _alignment(ground: Ground, model: Sampler, answers: int, worker: Worker) -> Items:
    """The share of each sealed prompt's answers that keep its principle; also by principle."""
    found: Items = {"check": {}, "gold": {}} if ground.gold else {"check": {}}
    for name, program in ground.principles.items():
        prompts = ground.sealed(name)
        how = How(f"study/{name}", 1.0, ground.max_tokens)
        groups = worker.run(model.sample(prompts, answers, how))
        for figure, by in (("check", program), ("gold", ground.gold)):
            if by is None:
                continue
            shares = _shares(groups, judged(by, groups, worker))
            found[f"{figure}.{name}"] = shares
            found[figure] |= {f"{name}/{task}": share for task, share in shares.items()}
    return found


def _shares(groups: Sequence[Group], kept: Mapping[str, float]) -> dict[str, float]:
    """An answer that nobody could judge keeps nothing."""
    return {
        group.prompt.id: float(np.mean([kept.get(one.id, 0.0) for one in group.responses]))
        for group in groups
    }


def _panel(name: str, panel: str, model: Sampler, worker: Worker) -> dict[str, float]:
    indicator = cast(Panelled, catalog.build("indicators", {"name": name}))
    items = [item for item in read_panel(panel).items if indicator.takes(item)][:_ITEMS]
    observed = worker.run(indicator.observe(items, model, How(f"study/{name}", 1.0)))
    outcomes = observed.outcomes[indicator.criteria[0]]
    rows = zip(items, outcomes, strict=True)
    return {item.id: float(outcome) for item, outcome in rows if outcome is not None}


def reads(sampler: Sampler, text: str) -> tuple[int, int]:
    """How many of the words of a text a model has words for: a word it has none for reads like one that
    nobody has.

    A tokenizer of pieces has one for every word.
    """
    unheard = sampler.encode(Prompt.of("?"), _UNHEARD).tokens
    words = list(dict.fromkeys(text.replace("?", "").replace(".", "").split()))
    known = [one for one in words if sampler.encode(Prompt.of("?"), one).tokens != unheard]
    return len(known), len(words)
