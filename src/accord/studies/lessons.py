"""Lessons: how a cell of a study teaches a token policy by a Method, without a plan and its stage.

The same learner, the same method and the same order as in a stage: measure what the method needs, let it make
a batch, take its steps. Nothing is watched, gated or kept here; an arm that needs that is a run
(``arms.trained``).

``walked`` is for policies of a state (``table``, ``window``): a turn reads the world's last message and
nothing before it, so a turn costs the same however long the episode is. The source ``episodes`` gives
the same rows to a policy that reads the whole conversation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from accord.measuring import Measuring
from accord.ports import How, Learner, Memory, Method, Sampler, StepOutcome, WorldPart, WorldStep
from accord.records import Episode, Message, Prompt, Response
from accord.records.rows import Group, Row, Window
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Walk", "chosen", "judged", "shown", "taught", "walked"]


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


class Walk(NamedTuple):
    """Which episodes: ``n`` of each seed, at most ``turns`` answers long, drawn from ``key``."""

    key: str
    seeds: Sequence[str]
    n: int
    turns: int
    temperature: float = 1.0


def walked(world: WorldPart, sampler: Sampler, walk: Walk, worker: Worker) -> tuple[Row, ...]:
    """Episodes of a policy of the state, as rows with the columns of the source ``episodes``: ``score``,
    ``cost:<id>``, ``turns``, and ``cut`` where the world had not ended."""
    walks = [_Walked(world, seed, g, i) for g, seed in enumerate(walk.seeds) for i in range(walk.n)]
    for turn in range(walk.turns):
        live = [one for one in walks if one.waits is not None]
        if not live:
            break
        how = How(f"{walk.key}/turn/{turn}", walk.temperature, 1)
        groups = worker.run(sampler.sample([one.state(turn) for one in live], 1, how))
        for one, group in zip(live, groups, strict=True):
            one.answer(group.responses[0])
    return tuple(one.row(walk.temperature) for one in walks)


class _Walked:
    """One episode, turn by turn; each prompt is the world's last message alone."""

    def __init__(self, world: WorldPart, seed: str, group: int, number: int) -> None:
        self._world, self._seed, self._group, self._number = world.open(), seed, group, number
        self.waits: Prompt | None = self._world.reset(seed)
        self._first = self.waits
        self._turns: list[tuple[Response, WorldStep]] = []

    def state(self, turn: int) -> Prompt:
        """What is asked. Its id is of this episode and turn, so that equal states draw for themselves."""
        assert self.waits is not None
        last: Message = self.waits.messages[-1]
        place = {"seed": self._seed, "number": self._number, "turn": turn}
        return Prompt(messages=(last,), allowed=self.waits.allowed, columns={**self.waits.columns, **place})

    def answer(self, response: Response) -> None:
        led = self._world.step(response)
        self._turns.append((response, led))
        self.waits = led.prompt

    def row(self, temperature: float) -> Row:
        said, led = [one for one, _ in self._turns], [one for _, one in self._turns]
        costs = {name: [one.costs[name] for one in led] for name in led[0].costs}
        episode = Episode(
            prompt=said[0].prompt,
            responses=tuple(one.id for one in said),
            prompt_tokens=tuple(one.prompt_tokens for one in said),
            tokens=tuple(one.tokens for one in said),
            allowed=self._first.allowed,
            temperature=temperature,
            rewards=tuple(one.reward for one in led),
            costs={name: tuple(column) for name, column in costs.items()},
        )
        seen = [one.reward for one in led if one.reward is not None]
        columns = {"score": math.fsum(seen) if seen else math.nan, "turns": float(len(led))}
        columns |= {f"cost:{name}": math.fsum(costs[name]) for name in costs}
        columns |= {"cut": float(self.waits is not None)}
        return Row((episode,), columns, not seen, self._group)
