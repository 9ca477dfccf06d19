"""Sources: where the rows of a window come from.

``offline`` takes answers from a file, singly or in pairs; ``rollouts`` lets the policy answer prompts and has
the answers judged. Window k is a function of (seed, k, policy, feedback): there is no cursor that a resume
could lose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, cast

import numpy as np
from pydantic import Field, model_validator

from accord.errors import PlanError, Refused
from accord.lengths import Fitted, Limits, Truncate, fitted, fitted_steps
from accord.part import Part
from accord.ports import Feedback, How, Sampler, Shape, Source
from accord.problems import problem
from accord.records import JSON, Episode, Prompt, canonical, digest
from accord.records.rows import Columns, Group, Row, Window
from accord.stepwise import in_steps
from accord.stores.foreign.prompts import Data, DataRow, read_data, write_rows
from accord.worker import Worker

if TYPE_CHECKING:
    from accord.frozen import Frozen

__all__ = ["Offline", "Rollouts", "SourcePart", "Surroundings", "gathered", "seeded", "taken"]


class Surroundings(NamedTuple):
    """What a stage hands its source: its key ``run/stage``, the seed, the method's shape, the worker.

    ``frozen``: what the stage uses of what people said, where it runs and is not only looked at.
    """

    stage: str
    seed: int
    shape: Shape
    worker: Worker
    frozen: Frozen | None = None


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


def taken(seed: int, index: int, size: int, of: int) -> list[int]:
    """Which of ``of`` items window ``index`` takes: a fresh seeded order for each pass over the data."""
    places = range(index * size, (index + 1) * size)
    orders = {p // of: seeded("order", seed, p // of).permutation(of) for p in places}
    # Across the end of a pass an item could come twice; equal draws of one prompt are one fact.
    return list(dict.fromkeys(int(orders[p // of][p % of]) for p in places))


class Offline(Part):
    """Rows with answers, as they are in a file: pairs for a method that compares, answers in steps for one
    that judges steps, else single answers.

    ``columns`` names fields of the file anew (``columns = { prompt = "question" }``; to learn the better
    answers of pairs: ``{ completion = "chosen" }``). Rows that teach nothing (identical pairs, empty answers)
    are dropped and counted, up to the share ``allow_dropped`` of the file. ``labels`` must say what labels
    are for where rows have them: to learn from the ``wanted`` alone, or as a ``column`` that a method reads.

    ``max_prompt_tokens``, ``max_answer_tokens`` and ``truncate``: see ``accord.lengths``. Under a limit rows
    carry ``cut`` (1 where the row was cut) and ``left_out`` (how many rows their window lost to its length).
    ``separator`` stands before every step but the first, and belongs to it; see ``accord.stepwise``.
    """

    data: str
    per_window: int = Field(default=32, ge=1)
    columns: dict[str, str] = {}
    labels: Literal["wanted", "column"] | None = None
    allow_dropped: float = Field(default=0.01, ge=0, le=1)
    max_prompt_tokens: int | None = Field(default=None, ge=1)
    max_answer_tokens: int | None = Field(default=None, ge=1)
    truncate: Truncate = "refuse"
    separator: str = "\n"

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, object]], folder: Path | None = None, **settings: object) -> Self:
        """The source of a list: written to a file named by its content, in ``folder`` or Accord's cache."""
        columns = cast("dict[str, str]", settings.get("columns", {}))
        return cls.model_validate({**settings, "data": str(write_rows(rows, folder, columns))})

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.truncate != "refuse" and self.max_prompt_tokens is None and self.max_answer_tokens is None:
            allowed = "max_prompt_tokens or max_answer_tokens beside it: without them nothing is too long"
            raise problem(["truncate"], self.truncate, allowed)
        return self

    def open(self, around: Surroundings) -> Source:
        if around.shape.by != "data":
            raise PlanError("name", "offline", "rollouts", "this method learns from the policy's own answers")
        data = read_data(self.data, self.columns)
        self._check(data, around.shape)
        # The share in the whole file: a small part of it may hold all of the few.
        if data.lost > self.allow_dropped:
            raise Refused(
                f"{data.told}\n  {data.lost:.1%} of the rows of the file teach nothing, more than "
                f"allow_dropped = {self.allow_dropped}: mend the file, or set source.allow_dropped"
            )
        wanted = [row for row in data.rows if self.labels != "wanted" or row.columns["label"] == 1]
        if not wanted:
            raise PlanError("labels", self.labels, "a file with rows whose label is true", data.told)
        return _Offline(self, data, wanted, around)

    def _check(self, data: Data, shape: Shape) -> None:
        """PlanError where the method cannot learn from rows of this type, or labels are left unexplained."""
        suited = {
            "pair": ("preference",),
            "answer": ("completion", "label", "text"),
            "episode": ("steps",),
        }[shape.unit]
        if data.kind not in suited:
            advice = f"this method learns from {shape.unit}s"
            if shape.unit == "answer" and data.kind == "preference":
                advice = 'to learn the better answers alone: columns = { completion = "chosen" }'
            allowed = f"rows of type {' or '.join(suited)}, not {data.kind}"
            raise PlanError("data", self.data, allowed, advice)
        if data.kind == "label" and self.labels is None:
            allowed = '"wanted" (learn from rows labelled true alone), or "column" (a method reads it)'
            raise PlanError("labels", None, allowed, f"the rows of {self.data} have labels")
        if data.kind != "label" and self.labels is not None:
            raise PlanError("labels", self.labels, "nothing", f"the rows of {self.data} have no labels")


class _Offline:
    """``notes`` are for the first screen; ``dropped`` says why how many rows teach nothing."""

    def __init__(self, config: Offline, data: Data, wanted: Sequence[DataRow], around: Surroundings) -> None:
        # A row that stands twice is one fact, and is learnt once a pass.
        self._rows = list({_fact(row): row for row in wanted}.values())
        self._config, self._around = config, around
        self.kind, self.read, self.dropped = data.kind, data.read, data.dropped
        self.repeated = len(wanted) - len(self._rows)
        self.notes = [data.told]
        if unwanted := len(data.rows) - len(wanted):
            self.notes.append(f"{unwanted:,} rows are labelled false and left out")
        if self.repeated:
            self.notes.append(f"{self.repeated:,} rows stand there twice or more and count once")

    def prompts(self) -> Sequence[Prompt]:
        return list({row.prompt.id: row.prompt for row in self._rows}.values())

    def texts(self) -> Iterable[str]:
        return (answer for row in self._rows for answer in row.answers)

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        config, pair = self._config, self._around.shape.unit == "pair"
        limits = Limits(config.max_prompt_tokens, config.max_answer_tokens, config.truncate)
        chosen = [self._rows[i] for i in taken(self._around.seed, index, config.per_window, len(self._rows))]
        fits = [self._fitted(row, policy, limits) for row in chosen]
        if all(fit.group is None for fit in fits):
            raise Refused(
                f"all {len(fits):,} rows of window {index} of {config.data} are too long, and truncate = "
                f"{config.truncate!r} leaves them out\n  set the limits or per_window higher"
            )
        there = [fit.group for fit in fits if fit.group is not None]
        told = _Told(feedback, there, steps=self.kind == "steps")
        limited = limits.prompt is not None or limits.answer is not None
        left_out = float(sum(fit.group is None for fit in fits))
        numbers: dict[str, int] = {}
        rows: list[Row] = []
        for row, fit in zip(chosen, fits, strict=True):
            if fit.group is None:
                continue
            columns = {"p": 1.0, "weight": 1.0} if pair else {}
            columns |= row.columns
            columns |= {"cut": float(fit.cut), "left_out": left_out} if limited else {}
            group = numbers.setdefault(row.prompt.id, len(numbers))
            rows += told.rows(fit.group, columns, group, row.labels)
        return Window(index, tuple(rows))

    def _fitted(self, row: DataRow, policy: Sampler, limits: Limits) -> Fitted:
        if row.labels:
            return fitted_steps(row.prompt, row.answers, policy, limits, self._config.separator)
        return fitted(row.prompt, row.answers, policy, limits)


class _Told:
    """What feedback says of the groups of a window. Where it says something, that stands before the file.

    ``steps``: the answers of a group are the steps of one, and feedback speaks of each of them.
    """

    def __init__(self, feedback: Feedback, groups: Sequence[Group], *, steps: bool = False) -> None:
        distinct = {_members(group): group for group in groups}
        self._columns = feedback(list(distinct.values()))
        known = {(step,) for members in distinct for step in members} if steps else distinct.keys()
        self._places: dict[tuple[int, tuple[str, ...]], int] = {}
        if self._columns is not None:
            if strange := set(self._columns.members) - known:
                found = f"{len(next(iter(strange)))} answers at a time"
                allowed = "questions about rows as they are in the data: answers, pairs, or single steps"
                raise PlanError("ask", found, allowed)
            filled = set(self._columns.values) - {"spread", "group"}
            if steps and filled != {"score"}:
                advice = "what is said of a step is its label, so there is one number"
                raise PlanError("ask.column", ", ".join(sorted(filled)), '"score" alone', advice)
            told = zip(self._columns.group_R.tolist(), self._columns.members, strict=True)
            self._places = {place: r for r, place in enumerate(told)}

    def rows(
        self, group: Group, columns: Mapping[str, float], number: int, labels: Sequence[bool | None] = ()
    ) -> list[Row]:
        """One row, or one for each group of raters. With ``labels`` the answers of the group are the steps of
        one; else each is an episode."""
        if self._columns is None:
            episodes = (in_steps(group, labels),) if labels else _episodes(group)
            return [Row(episodes, columns, group=number)]
        several = max(1, len(self._columns.groups))
        speak = self._graded if labels else self._said
        return [speak(self._columns, group, columns, (number * several, own)) for own in range(several)]

    def _said(
        self, told: Columns, group: Group, columns: Mapping[str, float], number: tuple[int, int]
    ) -> Row:
        first, own = number
        place = self._places.get((own, _members(group)))
        if place is None:
            unknown = dict.fromkeys(told.values, float("nan"))
            unknown |= {"group": float(own)} if told.groups else {}
            return Row(_episodes(group), {**columns, **unknown}, True, first + own)
        values = {name: float(values[place]) for name, values in told.values.items()}
        missing, parents = bool(told.missing[place]), told.parents[place]
        return Row(_episodes(group), {**columns, **values}, missing, first + own, parents)

    def _graded(
        self, told: Columns, group: Group, columns: Mapping[str, float], number: tuple[int, int]
    ) -> Row:
        """An answer in steps: the grades of its steps are their labels, and a step nobody graded has none."""
        first, own = number
        places = [self._places.get((own, (step.id,))) for step in group.responses]
        graded = [None if p is None or told.missing[p] else float(told.values["score"][p]) for p in places]
        parents = tuple(dict.fromkeys(j for p in places if p is not None for j in told.parents[p]))
        columns = {**columns, "group": float(own)} if told.groups else columns
        missing = all(grade is None for grade in graded)
        return Row((in_steps(group, graded),), columns, missing, first + own, parents)


def _episodes(group: Group) -> tuple[Episode, ...]:
    return tuple(Episode.single(r, group.prompt.allowed) for r in group.responses)


def _members(group: Group) -> tuple[str, ...]:
    return tuple(response.id for response in group.responses)


def _fact(row: DataRow) -> tuple[object, ...]:
    said = {"columns": row.columns, "judged": row.judged, "labels": row.labels}
    told = canonical(cast(JSON, said))
    return row.prompt.id, row.answers, told


class Rollouts(Part):
    """The policy's own answers to prompts from a file of any type; ``columns`` names its fields anew."""

    prompts: str
    columns: dict[str, str] = {}
    per_window: int = Field(default=16, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=128, ge=1)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, object]], folder: Path | None = None, **settings: object) -> Self:
        """The source of a list, as ``Offline.of``."""
        columns = cast("dict[str, str]", settings.get("columns", {}))
        return cls.model_validate({**settings, "prompts": str(write_rows(rows, folder, columns))})

    def open(self, around: Surroundings) -> Source:
        if around.shape.by != "policy":
            raise PlanError("name", "rollouts", "offline", "this method learns from completions in a file")
        data = read_data(self.prompts, self.columns, "prompts")
        if not data.prompts:
            raise PlanError("prompts", self.prompts, "rows with a prompt", f"{data.told}: none has one")
        return _Rollouts(self, data, around)


class _Rollouts:
    """``notes`` are for the first screen."""

    def __init__(self, config: Rollouts, data: Data, around: Surroundings) -> None:
        self._config, self._prompts, self._around = config, data.prompts, around
        self.kind, self.read = data.kind, data.read
        self.notes = [f"{len(data.prompts):,} prompts in {data.read:,} rows of {Path(data.file).name}"]

    def prompts(self) -> Sequence[Prompt]:
        return self._prompts

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        chosen = taken(self._around.seed, index, self._config.per_window, len(self._prompts))
        how = How(
            f"{self._around.stage}/{self._around.seed}/window/{index}",
            self._config.temperature,
            self._config.max_tokens,
        )
        asked = [self._prompts[i] for i in chosen]
        groups = self._around.worker.run(policy.sample(asked, self._around.shape.n, how))
        return gathered(index, groups, feedback(groups))


def gathered(index: int, groups: Sequence[Group], columns: Columns | None) -> Window:
    """One row per answer; a row whose columns are missing stays in the window and says so.

    ``cut`` is 1 for an answer that was stopped by its length.
    """
    answers = {r.id: (g, group.prompt, r) for g, group in enumerate(groups) for r in group.responses}
    cut = {r.id: float(r.finish == "length") for group in groups for r in group.responses}
    rows: list[Row] = []
    if columns is None:
        for g, prompt, response in answers.values():
            episode = Episode.single(response, prompt.allowed)
            rows.append(Row((episode,), {"cut": cut[response.id]}, group=g))
        return Window(index, tuple(rows))
    several = max(1, len(columns.groups))
    for r, (members, own) in enumerate(zip(columns.members, columns.group_R.tolist(), strict=True)):
        g, prompt, _ = answers[members[0]]
        rows.append(
            Row(
                episodes=tuple(Episode.single(answers[m][2], prompt.allowed) for m in members),
                columns={
                    **{name: float(values[r]) for name, values in columns.values.items()},
                    "cut": max(cut[m] for m in members),
                },
                missing=bool(columns.missing[r]),
                group=g * several + own,  # what groups of raters say is compared within each of them
                parents=columns.parents[r],
            )
        )
    return Window(index, tuple(rows))
