"""Held-out figures: prompts the stage never trains on, answered and judged before and after.

The reading after the stage is paired by prompt with the one before it, so its interval is of the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from accord.feedback import Asking, StageFeedback
from accord.maths.intervals import Interval, cluster_mean, paired_difference
from accord.ports import How, Sampler
from accord.records import Cost, NotMeasured, Prompt, Reading, digest
from accord.records.rows import Columns, Floats, Group
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Examiner", "HeldOutSet", "compared"]


@dataclass(frozen=True)
class HeldOutSet:
    """The prompts, and how they are answered. ``name`` is that of its readings, ``held_out.score``."""

    prompts: tuple[Prompt, ...]
    n: int
    temperature: float
    max_tokens: int
    asking: Asking
    name: str


class Examiner(NamedTuple):
    """Who asks the held-out prompts and has the answers judged."""

    given: HeldOutSet
    run: str
    feedback: StageFeedback
    worker: Worker

    def hold(self, step: int, policy: Sampler) -> Reading | NotMeasured:
        """Sample, judge, and sum up: the mean over prompts with a 95 % interval by resampling prompts.

        NotMeasured where fewer than two prompts have a judged answer; the reason is the commonest one.
        """
        given, run = self.given, self.run
        how = How(f"{run}/held_out/{step}", given.temperature, given.max_tokens)
        groups = tuple(self.worker.run(policy.sample(given.prompts, given.n, how)))
        table = self.feedback.one(given.asking, groups)
        by_prompt = _by_prompt(table, groups)
        if len(by_prompt) < 2:
            common = self.feedback.abstained.most_common(1)
            why = f"; {common[0][1]} judgments abstained: {common[0][0]}" if common else ""
            reason = (
                f"{len(by_prompt)} of {len(groups)} prompts have a judged answer, an interval needs 2{why}"
            )
            return NotMeasured(run=run, name=given.name, step=step, reason=reason)
        found = cluster_mean(list(by_prompt.values()), seeded(run, given.name, step))
        means = {prompt: float(values.mean()) for prompt, values in by_prompt.items()}
        unit = all(0 <= mean <= 1 for mean in means.values())
        instrument = digest(
            {
                "form": "held_out",
                "prompts": [p.id for p in given.prompts],
                "overseer": given.asking.overseer.config,
                "n": given.n,
                "temperature": given.temperature,
                "max_tokens": given.max_tokens,
            }
        )
        tokens = sum(len(r.tokens) for g in groups for r in g.responses)
        return Reading(
            run=run,
            name=given.name,
            step=step,
            instrument=instrument,
            value=found.value,
            low=found.low,
            high=found.high,
            n=len(by_prompt),
            unit="share of answers" if unit else "score",
            items=tuple(means) if unit else (),
            outcomes=tuple(means.values()) if unit else (),
            cost=Cost(calls=len(groups), tokens_out=tokens),
            parents=tuple(dict.fromkeys(p for parents in table.parents for p in parents)),
        )


def compared(after: Reading, before: Reading) -> Reading:
    """``after`` with its change since ``before``, paired by prompt where both have items."""
    if before.instrument != after.instrument or not before.items:
        return after
    old = dict(zip(before.items, before.outcomes, strict=True))
    new = dict(zip(after.items, after.outcomes, strict=True))
    shared = [item for item in after.items if item in old]
    if len(shared) < 2:
        return after
    change: Interval = paired_difference(
        [np.array([new[i]]) for i in shared],
        [np.array([old[i]]) for i in shared],
        seeded(after.run, after.name, "change", after.step),
    )
    return Reading.model_validate(
        after.model_dump()
        | {
            "base": before.value,
            "change": change.value,
            "change_low": change.low,
            "change_high": change.high,
        }
        | {"parents": (*after.parents, before.id)}
    )


def _by_prompt(table: Columns, groups: tuple[Group, ...]) -> dict[str, Floats]:
    """Scores of each prompt's answers; answers nobody judged are left out, and so are prompts without any."""
    owner = {response.id: group.prompt.id for group in groups for response in group.responses}
    (column,) = [name for name in table.values if name not in ("weight", "spread", "group")]
    scores: dict[str, list[float]] = {}
    for members, value, missing in zip(table.members, table.values[column], table.missing, strict=True):
        if not missing:
            scores.setdefault(owner[members[0]], []).append(float(value))
    return {prompt: np.array(values, dtype=np.float64) for prompt, values in scores.items()}
