"""Drift: how far a model came from the base on prompts, by the base's own answers to them.

The indicator ``forward_kl``: the change from the base is KL(π₀‖π) in shares of 8 bits a byte. Intervals are
over prompts, for answers to one prompt are alike; ``n`` counts answers. What the base says is drawn once and
kept in the journal, as is every score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from accord.auditing.asking import Asking, Budget
from accord.auditing.figures import read
from accord.auditing.journal import Journal
from accord.auditing.looking import Kept
from accord.auditing.programme import Course
from accord.errors import PlanError
from accord.indicators.forward_kl import ForwardKL
from accord.maths.intervals import Interval, cluster_mean
from accord.ports import How, Panelled, Sampler
from accord.progress import Progress
from accord.records import Prompt, Reading
from accord.records.panels import Item, Panel
from accord.records.rows import Floats, Group
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Answers", "Gauge", "gauge"]

_MOST = 256  # answers that are scored


@dataclass
class Answers:
    """A model before a journal: what it answered or scored once is not asked again."""

    sampler: Sampler
    journal: Journal
    worker: Worker
    show: Progress
    remote: bool = False

    @property
    def asking(self) -> Asking:
        """The sampler that remembers."""
        return Asking(self.sampler, self.journal, Budget(), self.show, self.remote)

    def drawn(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        """n answers to each prompt."""
        return self.worker.run(self.asking.sample(prompts, n, how))

    def beside(self, sampler: Sampler) -> Answers:
        """Another model before the same journal."""
        return Answers(sampler, self.journal, self.worker, self.show, self.remote)


@dataclass(frozen=True)
class Gauge:
    """Answers of the base, and how likely it finds them itself."""

    name: str
    items: tuple[Item, ...]
    base: Kept

    def read(self, model: Answers) -> Reading:
        """The reading of a model, paired to the base answer by answer."""
        course = Course(cast(Panelled, ForwardKL()), Panel(self.name, self.items))
        (found,) = read(course, _observed(model, self.items), self.base)
        assert isinstance(found, Reading), "both were observed"
        outcome_I, anchor_I = np.array(found.outcomes), np.array(found.anchors)
        level, change = self._over_prompts(outcome_I), self._over_prompts(outcome_I - anchor_I)
        spread = {"low": level.low, "high": level.high, "change_low": change.low, "change_high": change.high}
        return Reading.model_validate({**found.body(), **spread, "name": f"{found.name}.{self.name}"})

    def _over_prompts(self, values_I: Floats) -> Interval:
        places: dict[str, list[int]] = {}
        for place, item in enumerate(self.items):
            places.setdefault(item.prompt.id, []).append(place)
        return cluster_mean([values_I[at] for at in places.values()], seeded("drift", self.name))


def gauge(name: str, base: Answers, prompts: Sequence[Prompt], n: int, how: How) -> Gauge:
    """What a model is read by: up to 256 of the base's answers to these prompts. PlanError where they are
    to fewer than two."""
    said = base.drawn(prompts, n, how)
    # By turns, so that a limit takes answers to every prompt.
    turns = (
        Item(g.prompt, answer=g.responses[k].text) for k in range(n) for g in said if g.responses[k].text
    )
    items = tuple({item.id: item for item in turns}.values())[:_MOST]
    answered = len({item.prompt.id for item in items})
    if answered < 2:
        raise PlanError(name, answered, "two prompts or more to which the base says something")
    return Gauge(name, items, _observed(base, items))


def _observed(model: Answers, items: Sequence[Item]) -> Kept:
    observed = model.worker.run(ForwardKL().observe(items, model.asking, How("drift")))
    return Kept(observed, tuple(items))
