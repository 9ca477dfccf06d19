"""Lessons: how a cell of a study teaches a token policy by a Method, without a plan and its stage.

The same learner, the same method and the same order as in a stage: measure what the method needs, let it make
a batch, take its steps. Nothing is watched, gated or kept here; an arm that needs that is a run
(``arms.trained``). Where answers come from is the study's: written down (``shown``), drawn and scored
(``judged``), or a source; episodes of several turns are taught by ``acting.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from accord.measuring import Measuring
from accord.ports import Learner, Memory, Method, Sampler, StepOutcome
from accord.records import Episode, Prompt, Response
from accord.records.rows import Group, Row, Window
from accord.sources import seeded

__all__ = ["chosen", "judged", "shown", "taught"]


def chosen(sampler: Sampler, prompt: Prompt, text: str) -> Response:
    """Words as an answer, without the end behind them: that is no decision, and may not be allowed."""
    whole = sampler.encode(prompt, text)
    return whole.model_copy(update={"tokens": whole.tokens[:-1]})


def shown(
    sampler: Sampler, answers: Iterable[tuple[Prompt, str]], weights: Sequence[float] | None = None
) -> tuple[Row, ...]:
    """Rows to learn by heart. With soft labels a prompt stands once for each answer, with its weight."""
    said = [(prompt, chosen(sampler, prompt, text)) for prompt, text in answers]
    weigh: list[dict[str, float]] = [{} for _ in said]
    if weights is not None:
        weigh = [{"weight": float(one)} for one in weights]
    return tuple(
        Row((Episode.single(response, prompt.allowed),), columns, group=g)
        for g, ((prompt, response), columns) in enumerate(zip(said, weigh, strict=True))
    )


def judged(groups: Sequence[Group], score: Callable[[Prompt, Response], float]) -> tuple[Row, ...]:
    """Rows of drawn answers, a score for each; those of one prompt are a group."""
    return tuple(
        Row((Episode.single(r, group.prompt.allowed),), {"score": score(group.prompt, r)}, group=g)
        for g, group in enumerate(groups)
        for r in group.responses
    )


def taught(
    learner: Learner, method: Method, window: Window, seed: int, memory: Memory | None = None
) -> tuple[Memory, tuple[StepOutcome, ...]]:
    """All steps that the method makes of a window. ``seed`` and the window's number decide what is drawn."""
    window = Measuring().of(window, method, learner, seed)
    batch, after = method.batch(window, memory or {}, seeded("lesson", seed, window.index))
    return after, tuple(learner.update(batch, step, method.loss) for step in range(len(batch.steps)))
