"""The release test: the result of a stage answers prompts nobody trained on, and one cost of them is judged.

Three answers (2506.08266). ``pass``: the upper bound on the cost keeps to the limit. ``fail``: the lower
bound does not. ``no solution found``: this evidence decides nothing, and how many prompts would is said. A
prompt is one trial; with several answers to it, ``probability`` asks whether any of them has a cost,
``expected`` takes their mean. An answer whose overseer abstains violates, and costs the most there is:
silence releases nothing.

What is found is a Reading ``release.<id>`` and a Decision of the rule ``release``; ``verdict_of`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np

from accord.errors import PlanError
from accord.feedback import Asking, StageFeedback
from accord.maths.bounds import (
    Bounds,
    Verdict,
    chance_of_passing,
    decided,
    largest_passing,
    mean_bounds,
    prompts_to_decide,
    share_bounds,
)
from accord.maths.intervals import Interval
from accord.plan_tables import ReleaseTable
from accord.ports import How, Sampler
from accord.records import Cost, Decision, NotMeasured, Prompt, Reading, digest
from accord.records.rows import Columns, Floats, Group
from accord.stores.foreign.prompts import read_rows
from accord.worker import Worker

__all__ = ["RULE", "Release", "forewarned", "release_prompts", "verdict_of"]

RULE = "release"
_VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "no solution found")


def release_prompts(table: ReleaseTable, trained: Iterable[Prompt]) -> tuple[Prompt, ...]:
    """The prompts of the test, each question once. PlanError where training asks one of them too."""
    asked = {_question(row.prompt): row.prompt for row in read_rows(table.prompts)}
    if seen := {_question(prompt) for prompt in trained} & asked.keys():
        first = asked[min(seen)].text
        allowed = "prompts that no stage up to this one trains on"
        advice = (
            f"{len(seen):,} of {len(asked):,} are trained on, among them {first!r}; give others, or a part "
        )
        raise PlanError(
            "prompts", table.prompts, allowed, advice + "of the file for each (:train and :held_out)"
        )
    return tuple(asked.values())


def forewarned(table: ReleaseTable, n: int) -> str:
    """What the test can say of a policy with so many prompts, before anything is trained."""
    limit, confidence, said = table.bound, table.confidence, f"release test of {table.column}, {n:,} prompts"
    bounds = _bounds(table)
    best = largest_passing(n, limit, bounds, confidence)
    if best is None:
        enough = prompts_to_decide(0.0, limit, bounds, confidence)
        least = f"{enough:,}" if enough else "ten million"
        return f"{said}: too few, no policy can pass; a spotless one passes from {least} on"
    if table.mode == "expected":
        at_most = f"at most {best * cast(float, table.most):.3g} on average"
        return f"{said}: passes where the answers cost {at_most}, to show that they cost {table.limit:g}"
    chance = chance_of_passing(n, limit / 2, limit, confidence)
    often = f"a policy that violates half as often as eps = {limit:g} passes with probability {chance:.2g}"
    most = int(best * n + 1e-9)
    only = f"at most {most:,} may violate" if most else "passes only without any violation"
    return f"{said}: {only}; {often}"


def verdict_of(decision: Decision) -> Verdict | None:
    """What a release test came to; None of any other decision."""
    if decision.rule != RULE:
        return None
    return next((one for one in _VERDICTS if decision.reason.startswith(f"{one}: ")), None)


class _Seen(NamedTuple):
    """The cost of each prompt as a share of the most there is, and how many answers nobody judged."""

    cost_P: Floats
    abstained: int


class Release(NamedTuple):
    """One release test, ready: the table, its prompts, the ask of its column, and who has answers judged."""

    table: ReleaseTable
    prompts: tuple[Prompt, ...]
    asking: Asking
    run: str
    feedback: StageFeedback
    worker: Worker

    @property
    def name(self) -> str:
        return f"release.{self.table.column.removeprefix('cost:')}"

    def hold(self, step: int, policy: Sampler) -> tuple[Reading | NotMeasured, Decision]:
        """Answers, verdicts, bounds. The same step and policy draw the same answers, which are asked once."""
        table = self.table
        how = How(f"{self.run}/release/{step}", table.temperature, table.max_tokens)
        groups = tuple(self.worker.run(policy.sample(self.prompts, table.n, how)))
        columns = self.feedback.one(self.asking, groups)
        seen = self._seen(columns, groups)
        parents = tuple(dict.fromkeys(p for parents in columns.parents for p in parents))
        if isinstance(seen, str):
            lack = NotMeasured(run=self.run, name=self.name, step=step, reason=seen, parents=parents)
            return lack, self._decision(step, "no solution found", seen, lack.id)
        mean, scale = float(seen.cost_P.mean()), table.most or 1.0
        found = _bounds(table)(mean, len(groups), table.confidence)
        reading = Reading(
            run=self.run,
            name=self.name,
            step=step,
            instrument=self._instrument(),
            value=found.value * scale,
            low=found.low * scale,
            high=found.high * scale,
            n=len(groups),
            unit="share of prompts" if table.mode == "probability" else "cost",
            items=tuple(group.prompt.id for group in groups),
            outcomes=tuple(seen.cost_P.tolist()),
            cost=Cost(calls=len(groups), tokens_out=sum(len(r.tokens) for g in groups for r in g.responses)),
            parents=parents,
        )
        verdict = decided(found, table.bound)
        reason = self._reason(seen, found, verdict)
        return reading, self._decision(step, verdict, reason, reading.id)

    def _seen(self, columns: Columns, groups: Sequence[Group]) -> _Seen | str:
        """The costs; or why they give no figure."""
        table, most = self.table, self.table.most or np.inf
        told = zip(columns.members, columns.values[table.column].tolist(), columns.missing, strict=True)
        cost = {members[0]: one for members, one, missing in told if not missing}
        for one in cost.values():
            if not 0 <= one <= most:
                span = "0 or more" if table.mode == "probability" else f"0 to {most:g}"
                return f"an answer costs {one:g} where costs are {span}, so no bound would hold"
        of_P = [[self._share(cost[r.id]) if r.id in cost else 1.0 for r in g.responses] for g in groups]
        join = np.max if table.mode == "probability" else np.mean
        silent = sum(r.id not in cost for g in groups for r in g.responses)
        return _Seen(np.array([join(of) for of in of_P], dtype=np.float64), silent)

    def _share(self, cost: float) -> float:
        return float(cost > 0) if self.table.mode == "probability" else cost / cast(float, self.table.most)

    def _reason(self, seen: _Seen, found: Interval, verdict: Verdict) -> str:
        table, n = self.table, len(seen.cost_P)
        if table.mode == "probability":
            told, limit = (
                f"{int(seen.cost_P.sum()):,} of {n:,} prompts had a costly answer",
                f"eps = {table.eps:g}",
            )
        else:
            told = f"a mean cost of {found.value * cast(float, table.most):.3g} on {n:,} prompts"
            limit = f"limit = {table.limit:g}"
        low, high = (f"{bound * (table.most or 1.0):.3g}" for bound in (found.low, found.high))
        match verdict:
            case "pass":
                shown = f"under {high}, within {limit}"
            case "fail":
                shown = f"over {low}, beyond {limit}"
            case "no solution found":
                shown = f"between {low} and {high}, on both sides of {limit}"
        said = f"{told}; one-sided at {table.confidence:.0%} the truth is {shown}"
        if seen.abstained:
            said += f"; {seen.abstained:,} answers nobody judged, each counted as the worst there is"
        return f"{said}; {self._enough(found.value)}" if verdict == "no solution found" else said

    def _enough(self, mean: float) -> str:
        table = self.table
        enough = prompts_to_decide(mean, table.bound, _bounds(table), table.confidence)
        if enough is None:
            return "at this rate no number of prompts would decide"
        return f"at this rate {enough:,} prompts would decide"

    def _decision(self, step: int, verdict: Verdict, reason: str, evidence: str) -> Decision:
        told = f"{verdict}: {self.table.column}: {reason}"
        return Decision(
            run=self.run, step=step, action="continue", rule=RULE, reason=told, parents=(evidence,)
        )

    def _instrument(self) -> str:
        table = self.table
        told = {"prompts": [p.id for p in self.prompts], "overseer": self.asking.overseer.config}
        drawn = {"n": table.n, "temperature": table.temperature, "max_tokens": table.max_tokens}
        return digest({"form": "release", "mode": table.mode, "most": table.most, **told, **drawn})


def _bounds(table: ReleaseTable) -> Bounds:
    return share_bounds if table.mode == "probability" else mean_bounds


def _question(prompt: Prompt) -> tuple[tuple[str, str], ...]:
    """What is asked, whatever system message or data stand beside it."""
    return tuple((m.role, m.content.strip()) for m in prompt.messages if m.role != "system")
