"""Sources: where the rows of a window come from.

``offline`` takes completions from a file, ``rollouts`` lets the policy answer prompts and has the answers
judged. Window k is a function of (seed, k, policy, feedback): there is no cursor that a resume could lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from pydantic import Field

from accord.errors import PlanError
from accord.part import Part
from accord.ports import Feedback, How, Sampler, Shape, Source
from accord.records import Episode, Prompt, digest
from accord.records.rows import Columns, Group, Row, Window
from accord.stores.foreign.prompts import DataRow, read_rows
from accord.worker import Worker

__all__ = ["Offline", "Rollouts", "SourcePart", "Surroundings", "seeded"]


class Surroundings(NamedTuple):
    """What a stage hands its source: its key ``run/stage``, the seed, the method's shape, the worker."""

    stage: str
    seed: int
    shape: Shape
    worker: Worker


class SourcePart(Protocol):
    """The config of a source; ``open`` reads its files and gives the port ``Source``."""

    @property
    def per_window(self) -> int:
        """Prompts a window takes, for the progress bar."""
        ...

    def open(self, around: Surroundings) -> Source: ...


def seeded(*parts: str | int) -> np.random.Generator:
    """A generator derived from what is drawn for, and from nothing else."""
    return np.random.Generator(np.random.Philox(key=int(digest([str(p) for p in parts])[:32], 16)))


def _turn(seed: int, index: int, size: int, of: int) -> list[int]:
    """Which of ``of`` items window ``index`` takes: a fresh seeded order for each pass over the data."""
    places = range(index * size, (index + 1) * size)
    orders = {p // of: seeded("order", seed, p // of).permutation(of) for p in places}
    # Across the end of a pass an item could come twice; equal draws of one prompt are one fact.
    return list(dict.fromkeys(int(orders[p // of][p % of]) for p in places))


class Offline(Part):
    """Rows of prompt and completion, as they are in a file."""

    data: str
    per_window: int = Field(default=32, ge=1)

    def open(self, around: Surroundings) -> Source:
        # A row that stands twice is one fact, and is learnt once a pass.
        rows = list({(row.prompt.id, row.completion): row for row in read_rows(self.data)}.values())
        for row in rows:
            if row.completion is None:
                raise PlanError(
                    "data",
                    self.data,
                    "rows that all have a completion",
                    f"missing after {row.prompt.text!r}",
                )
        if around.shape.by != "data":
            raise PlanError("name", "offline", "rollouts", "this method learns from the policy's own answers")
        return _Offline(self, rows, around)


class _Offline:
    def __init__(self, config: Offline, rows: Sequence[DataRow], around: Surroundings) -> None:
        self._config, self._rows, self._around = config, rows, around

    def prompts(self) -> Sequence[Prompt]:
        return [row.prompt for row in self._rows]

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        chosen = _turn(self._around.seed, index, self._config.per_window, len(self._rows))
        groups = [
            Group(row.prompt, (policy.encode(row.prompt, row.completion or ""),))
            for row in map(self._rows.__getitem__, chosen)
        ]
        return _window(index, groups, feedback(groups))


class Rollouts(Part):
    """The policy's own answers to prompts from a file."""

    prompts: str
    per_window: int = Field(default=16, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=128, ge=1)

    def open(self, around: Surroundings) -> Source:
        if around.shape.by != "policy":
            raise PlanError("name", "rollouts", "offline", "this method learns from completions in a file")
        prompts = {row.prompt.id: row.prompt for row in read_rows(self.prompts)}
        return _Rollouts(self, list(prompts.values()), around)


class _Rollouts:
    def __init__(self, config: Rollouts, prompts: Sequence[Prompt], around: Surroundings) -> None:
        self._config, self._prompts, self._around = config, prompts, around

    def prompts(self) -> Sequence[Prompt]:
        return self._prompts

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        chosen = _turn(self._around.seed, index, self._config.per_window, len(self._prompts))
        how = How(
            f"{self._around.stage}/{self._around.seed}/window/{index}",
            self._config.temperature,
            self._config.max_tokens,
        )
        asked = [self._prompts[i] for i in chosen]
        groups = self._around.worker.run(policy.sample(asked, self._around.shape.n, how))
        return _window(index, groups, feedback(groups))


def _window(index: int, groups: Sequence[Group], columns: Columns | None) -> Window:
    """One row per answer; a row whose columns are missing stays in the window and says so."""
    answers = {r.id: (g, group.prompt, r) for g, group in enumerate(groups) for r in group.responses}
    rows: list[Row] = []
    if columns is None:
        for g, prompt, response in answers.values():
            rows.append(Row((Episode.single(response, prompt.allowed),), group=g))
        return Window(index, tuple(rows))
    for r, members in enumerate(columns.members):
        g, prompt, _ = answers[members[0]]
        rows.append(
            Row(
                episodes=tuple(Episode.single(answers[m][2], prompt.allowed) for m in members),
                columns={name: float(values[r]) for name, values in columns.values.items()},
                missing=bool(columns.missing[r]),
                group=g,
                parents=columns.parents[r],
            )
        )
    return Window(index, tuple(rows))
