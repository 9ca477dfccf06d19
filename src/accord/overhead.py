"""Overhead: what watching costs beside training; ``accord bench watch`` prints it (layer 4, with ``bench``).

The step is the GRPO step of the engine's benchmark: four questions, eight answers of 48 tokens each, drawn
and learnt from. Beside it the guard, as a plan without a ``[stage.guard]`` has it, looks at the same
learner's policy. Only ratios within one run mean anything.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, cast

from accord.bench import (
    CASES,
    GROUP,
    drawn,
    graded,
    learnt,
    machine,
    open_case,
    questions,
    some,
    standing_model,
)
from accord.engines.local import Local
from accord.guard import Guard
from accord.plan import GuardTable, PartTable, Plan, Stage
from accord.ports import Source
from accord.progress import Progress, Silent
from accord.records import JSON, Prompt, Record, StepEvent
from accord.watching import Watched, watching
from accord.worker import Worker

if TYPE_CHECKING:
    from accord.engines.local.sampler import LocalSampler

__all__ = ["Overhead", "overhead"]

_GROUPS, _ANSWER = 4, 48


class Overhead(NamedTuple):
    """Median seconds: of a step, of what the guard does between audits, of an audit after the first.

    ``audit``: its items are ones that the base was asked before, as most are in a long run and all in the
    next run from this base; ``new``: none of them is. ``first``: the base's answers are drawn, too.
    """

    step: float
    between: float
    audit: float
    new: float
    first: float

    @property
    def ratios(self) -> dict[str, float]:
        """As shares of a step."""
        timed = {"between": self.between, "audit": self.audit, "new": self.new}
        return {f"{name}_share": seconds / self.step for name, seconds in timed.items()}


def overhead(
    model: str | None = None, *, rounds: int = 3, progress: Progress | None = None
) -> dict[str, JSON]:
    """Steps and audits in turns, ``rounds`` of each kind; the first set things up and are not counted."""
    show, before = progress or Silent(), machine()
    with standing_model(model) as (name, place), Worker() as worker:
        method, learner = open_case(CASES["grpo"], place)
        asked = [Prompt.of(text) for text in questions()]
        guard = _guard(place, asked, worker)
        show.begin(f"watching {name}", 4 * rounds + 4)
        steps: list[float] = []
        between: list[float] = []
        audits: list[float] = []
        news: list[float] = []
        for k in range(rounds + 1):
            for spent in (news, audits):
                show.advance(0, f"step {k}")
                began = time.perf_counter()
                lengths = [(prompt, [_ANSWER] * GROUP) for prompt in some(asked, k, _GROUPS)]
                learnt(method, learner, graded(drawn(learner.sampler(), lengths, f"bench/{k}")), k)
                steps.append(time.perf_counter() - began)
                show.advance(1, f"audit {k}")
                began = time.perf_counter()
                guard.note(_event(k))
                between.append(time.perf_counter() - began)
                guard.audits = k  # the same items twice: the second time the base has answered them
                began = time.perf_counter()
                guard.audit(k, learner.sampler())
                spent.append(time.perf_counter() - began)
                show.advance(1)
        show.end()
    middle = statistics.median
    found = Overhead(middle(steps[2:]), middle(between[2:]), middle(audits[1:]), middle(news[1:]), news[0])
    told = cast("dict[str, JSON]", {**found._asdict(), **found.ratios})
    return {"model": name, "rounds": rounds, **told, "environment": before}


def _guard(model: str, prompts: list[Prompt], worker: Worker) -> Guard:
    stage = Stage(
        name="watch",
        windows=1,
        source=PartTable(name="rollouts"),
        method=PartTable(name="grpo"),
        guard=GuardTable(),
    )
    plan = Plan(name="watch", purpose="explore", model=model, stage=(stage,))
    base = cast("LocalSampler", Local().sampler(model, Silent()))
    base.standing = None  # what an earlier run was told would make items known that are new here
    watch = watching(Watched("bench/watch", plan, stage), cast(Source, _Asked(prompts)), base, Silent())
    return Guard(watch, _unwritten, worker)


def _unwritten(records: Iterable[Record], step: int) -> None:
    """Nothing is kept: what a disk takes is not what is measured."""
    del records, step


class _Asked:
    """Nothing but prompts, of which the guard takes its probes."""

    def __init__(self, prompts: list[Prompt]) -> None:
        self._prompts = prompts

    def prompts(self) -> list[Prompt]:
        return self._prompts


def _event(step: int) -> StepEvent:
    scalars = {"objective": 0.1, "grad_norm": 1.0, "applied": 1.0, "tokens": 1e3, "k3": 0.01}
    return StepEvent(run="bench/watch", name="update", step=step, window=step, scalars=scalars)
