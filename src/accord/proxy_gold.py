"""Proxy over gold: how much more the trained reward makes of the policy than gold does (2210.10760; layer 3).

    X = (1 + proxy − gold) / 2        of one fresh answer to a held-out prompt;   X₀ the same of the base's

At every look other prompts are chosen, without replacement; policy and base answer each once, afresh, and the
stage's own overseers of ``score`` and ``gold`` grade both. The difference goes into the page tier like one of
a panel, with half the gap in points for its tolerance. Prompts need not be drawn for that: the products over
subsets of numbers with a mean of 1 at most are 1 at most on average (Maclaurin), and answers are independent.

Deliberate differences from the guard's design:

1. The reference is the base, not the snapshot that was best before: a learner that reads a snapshot is no
   longer the one that trains, and a second one would take its memory. So this is the gap since the base.
2. X₀ is drawn anew at every look, so the null speaks of the base itself and not of answers it once gave.
3. Scores outside [0, 1] have no common scale with gold's: not measured, which pauses at the first look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from accord.errors import PlanError
from accord.feedback import Asking, StageFeedback
from accord.heeding import ITEMS
from accord.heldout import HeldOutSet
from accord.loop import Loop
from accord.maths.intervals import cluster_mean, paired_difference
from accord.maths.overuse import GOLD
from accord.plan import Stage
from accord.ports import How, Sampler
from accord.probing import Sitting
from accord.records import Cost, NotMeasured, Prompt, Reading, digest
from accord.records.rows import Floats, Group
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["NAME", "ProxyGold", "comparing", "gap"]

NAME = "proxy_gold.gap"


def gap(proxy_N: Floats, gold_N: Floats) -> Floats:
    """½ where both grade alike, 1 where the proxy gives everything and gold nothing.

    >>> gap(np.array([0.9, 0.2, 1.0]), np.array([0.5, 0.2, 0.0])).round(9).tolist()
    [0.7, 0.5, 1.0]
    """
    return (1 + proxy_N - gold_N) / 2


def comparing(
    stage: Stage, loop: Loop, held_out: HeldOutSet | None
) -> Callable[[int], Reading | NotMeasured] | None:
    """What reads the gap at every look of a loop, where the plan asks for it; PlanError where it cannot."""
    count, guard, feedback = stage.guard.gold, loop.guard, loop.feedback
    if count is None:
        return None
    asking = feedback.asking if isinstance(feedback, StageFeedback) else ()
    columns = {table.column: one for table, one in zip(stage.ask, asking, strict=False)}
    if held_out is None or not {"score", GOLD} <= columns.keys() or not guard.watch.probing.prompts:
        allowed = "a stage whose model answers, with held_out prompts and asks of score and gold"
        raise PlanError("guard.gold", count, allowed)
    assert isinstance(feedback, StageFeedback), "it has asks"
    asked = ProxyGold(held_out, columns["score"], columns[GOLD], loop.run, feedback, guard.worker)

    def compare(step: int) -> Reading | NotMeasured:
        items = count * (ITEMS if guard.heeds else 1)
        return asked.read(Sitting(guard.audits, step, loop.learner.sampler(), items), guard.watch.base)

    return compare


class ProxyGold(NamedTuple):
    """Who answers, who grades, and how; ``given`` holds the prompts and how they are answered."""

    given: HeldOutSet
    proxy: Asking
    gold: Asking
    run: str
    feedback: StageFeedback
    worker: Worker

    def read(self, sitting: Sitting, base: Sampler) -> Reading | NotMeasured:
        """The gap of the policy beside the base's, on as many held-out prompts as the look asks for.

        What nobody graded stands at the adverse end: 1 for the policy, 0 for the base.
        """
        rng = seeded(self.run, "probes", sitting.audit, NAME)
        count = min(sitting.items, len(self.given.prompts))
        chosen = rng.choice(len(self.given.prompts), size=count, replace=False)
        prompts = [self.given.prompts[int(i)] for i in sorted(chosen)]
        if count < 2:
            return self._silent(sitting, f"{count} held-out prompt; an interval needs 2")
        ours, theirs = (
            self._answered(sampler, prompts, f"{NAME}/{sitting.audit}/{who}")
            for who, sampler in (("policy", sitting.policy), ("base", base))
        )
        graded = [self._graded(asking, [*ours, *theirs]) for asking in (self.proxy, self.gold)]
        if odd := [x for one in graded for x in one[np.isfinite(one)] if not 0 <= x <= 1]:
            return self._silent(sitting, f"a grade of {odd[0]:.3g}; proxy and gold have a scale from 0 to 1")
        both = gap(*graded)
        if not np.isfinite(both).any():
            why = self.feedback.abstained.most_common(1)
            return self._silent(sitting, f"nobody graded an answer{f': {why[0][0]}' if why else ''}")
        return self._reading(sitting, prompts, both, (ours, theirs))

    def _answered(self, sampler: Sampler, prompts: Sequence[Prompt], key: str) -> list[Group]:
        how = How(f"{self.run}/{key}", self.given.temperature, self.given.max_tokens)
        return self.worker.run(sampler.sample(prompts, 1, how))

    def _graded(self, asking: Asking, groups: Sequence[Group]) -> Floats:
        """What one ask makes of each answer; NaN where nobody judged it."""
        table = self.feedback.one(asking, groups)
        (column,) = [name for name in table.values if name not in ("weight", "spread", "group")]
        rows = zip(table.members, table.values[column], table.missing, strict=True)
        found = {members[0]: float(value) for members, value, missing in rows if not missing}
        return np.array([found.get(group.responses[0].id, np.nan) for group in groups], dtype=np.float64)

    def _reading(
        self, sitting: Sitting, prompts: Sequence[Prompt], both: Floats, said: tuple[list[Group], list[Group]]
    ) -> Reading:
        ours, theirs = both[: len(prompts)], both[len(prompts) :]
        unjudged = np.flatnonzero(~np.isfinite(ours + theirs))
        outcome, anchor = np.nan_to_num(ours, nan=1.0), np.nan_to_num(theirs, nan=0.0)
        rng = seeded(self.run, "interval", sitting.audit, NAME)
        ours_P, base_P = ([np.array([x]) for x in values.tolist()] for values in (outcome, anchor))
        level, moved = cluster_mean(ours_P, rng), paired_difference(ours_P, base_P, rng)
        answers = [group.responses[0] for groups in said for group in groups]
        return Reading(
            run=self.run,
            name=NAME,
            step=sitting.step,
            instrument=self._instrument(),
            value=level.value,
            low=level.low,
            high=level.high,
            base=float(anchor.mean()),
            change=moved.value,
            change_low=moved.low,
            change_high=moved.high,
            unit="outcome, 1 adverse",
            n=len(prompts),
            items=tuple(prompt.id for prompt in prompts),
            outcomes=tuple(outcome.tolist()),
            anchors=tuple(anchor.tolist()),
            unjudged=tuple(int(i) for i in unjudged),
            cost=Cost(calls=len(answers), tokens_out=sum(len(one.tokens) for one in answers)),
            parents=tuple(dict.fromkeys(one.id for one in answers)),
        )

    def _instrument(self) -> str:
        return digest(
            {
                "form": "proxy_gold",
                "prompts": [prompt.id for prompt in self.given.prompts],
                "overseers": [one.overseer.config for one in (self.proxy, self.gold)],
                "temperature": self.given.temperature,
                "max_tokens": self.given.max_tokens,
            }
        )

    def _silent(self, sitting: Sitting, reason: str) -> NotMeasured:
        return NotMeasured(run=self.run, name=NAME, step=sitting.step, reason=reason)
