"""Plan: what is to be done, as a list of stages; a frozen tree, TOML in and out (layer 3).

Here: the tables of a plan and everything about it that can be said without importing a part. Not here: which
parts there are and whether their settings fit (``accord.catalog.check``). A key nobody knows is an error that
names its path and the nearest key; what a stage must decide (``collapse``, ``windows``) has no default.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self, cast

import tomli_w
from pydantic import Field
from pydantic_core import PydanticCustomError

from accord.errors import PlanError, Unreadable, nearest
from accord.plan_tables import EXACT, AskTable, PartTable, ReleaseTable, Table, columns_of
from accord.problems import place, problem
from accord.records import JSON, digest

__all__ = [
    "AskTable",
    "Checkpoint",
    "EvalTable",
    "GuardTable",
    "HeldOut",
    "PartTable",
    "Plan",
    "ReleaseTable",
    "Snapshots",
    "Stage",
    "VersusTable",
    "assigned",
    "read_plan",
    "shipped_plans",
]

Count = Annotated[int, Field(strict=True, gt=0)]
CountOrNone = Annotated[int | None, Field(strict=True, gt=0)]
Patience = Annotated[int, Field(strict=True, ge=0)]
Warmth = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_NAMED = "up to 64 letters, digits, - and _, beginning with a letter or digit: it names a directory"
_TITLE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_TITLED = _NAMED.replace("- and _", "-, _ and .")
_INDICATORS = (
    "reverse_kl",
    "base_rank",
    "diversity",
    "compression",
    "overton_coverage",
    "shallow_depth",
    "entropy",
    "support_exit",
    "repetition",
    "forward_kl",
    "contested",
    "sycophancy",
    "refusals",
    "misfire",
    "calibration",
    "unsaid",
    "watched",
    "capability",
)
_OWN = "stage:"  # before the name of a stage whose result is meant


class GuardTable(Table):
    """What watches a stage: every how many windows, on how many probes, by which indicators and rules.

    ``prompts`` names the probes (default: the source's own prompts); without ``rule`` the default rules hold.
    ``items``: how many items of its panel each indicator that asks one draws, every time anew. ``heed``: a
    warning has its step kept, and for three looks four times the items drawn and half as many windows passed.
    ``gold``: so many held-out prompts a look are answered afresh and graded by ``score`` and ``gold``.
    ``planned_kl``: nats per answer that training is meant to spend, which the gate reckons with.
    """

    every: Count = 1
    probes: Count = 16
    answers: Count = 4
    max_tokens: Count = 64
    temperature: Warmth = 1.0
    items: Count = 32
    heed: Annotated[bool, Field(strict=True)] = True
    gold: CountOrNone = None
    planned_kl: Warmth = 3.0
    prompts: str | None = None
    indicator: tuple[PartTable, ...] = Field(default_factory=lambda: _named(_INDICATORS))
    rule: tuple[PartTable, ...] | None = None

    def _checked(self) -> Self:
        if self.rule == ():
            allowed = "one rule or more; nothing at all means the default rules"
            raise problem(["rule"], [], allowed, "a guard without rules would never stop anything")
        return self


class HeldOut(Table):
    """Prompts the stage never trains on, answered before and after, and judged by the stage's first ask.

    ``every``: also after every so many windows, so that a long run shows a curve.
    """

    prompts: str
    every: CountOrNone = None
    n: Count = 4
    temperature: Warmth = 1.0
    max_tokens: Count = 128


class EvalTable(Table):
    """Data the stage never trains on, read by its method's own loss: before, every n updates, and at the end.

    ``by`` names what evaluations are judged by: the objective, or a term or figure of the method; ``better``
    says which way, and has no default for a figure. ``keep``: whose weights are the result, those of the best
    evaluation or the last ones. ``patience``: the stage ends after so many evaluations without a gain, 0
    never. ``windows`` of the source make one evaluation (default: one pass over its rows).
    """

    source: PartTable
    every: Count = 50
    keep: Literal["best", "last"] = "last"
    by: Annotated[str, Field(min_length=1)] = "objective"
    better: Literal["lower", "higher"] | None = None
    patience: Patience = 0
    windows: CountOrNone = None

    def _checked(self) -> Self:
        if self.by == "objective" and self.better == "higher":
            raise problem(["better"], "higher", '"lower": an objective is made smaller', "leave it out")
        if self.by != "objective" and self.better is None:
            advice = f'a loss is better "lower", an accuracy or a margin "higher"; say which {self.by} is'
            raise problem(["better"], None, '"lower" or "higher"', advice)
        return self


class VersusTable(Table):
    """After training, the result and another ``model`` answer prompts it never trained on: who wins?

    ``ask``: two answers are compared in both orders, or each is graded by itself, where there is no order.
    The ``overseer`` should be none that the stage learns from.
    """

    model: Annotated[str, Field(min_length=1)]
    prompts: str
    n: Count = 1
    temperature: Warmth = 1.0
    max_tokens: Count = 128
    ask: Literal["compare", "grade"] = "compare"
    overseer: PartTable


class Checkpoint(Table):
    """Every how many updates the state is saved, and how many of the latest are kept."""

    every: Count = 10
    keep: Count = 2


class Snapshots(Table):
    """The policies that are kept, so that accord crossing can find a step: how much disk they take at most.

    Every step since the guard's last clear look, where 20 fit; else those of its looks; 0 keeps none.
    """

    max_gb: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] = 2.0


class Stage(Table):
    """One training run inside a plan. ``model`` is where it starts (default: the result before it)."""

    name: Annotated[str, Field(pattern=_NAME, description=_NAMED)]
    windows: Count
    model: str | None = None
    source: PartTable
    ask: tuple[AskTable, ...] = ()
    method: PartTable
    learner: PartTable = Field(default_factory=lambda: PartTable(name="local"))
    guard: GuardTable = Field(default_factory=GuardTable)
    held_out: HeldOut | None = None
    eval: EvalTable | None = None
    versus: VersusTable | None = None
    release: ReleaseTable | None = None
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)
    snapshots: Snapshots = Field(default_factory=Snapshots)

    def _checked(self) -> Self:
        if self.name.isdigit():
            raise problem(
                ["name"], self.name, "a name with a letter in it", "digits alone are a stage's number"
            )
        seen = columns_of(self.ask)
        if "gold" in seen and "score" not in seen:
            advice = "gold is read beside the score that a method learns from, and never learnt from"
            raise problem(["ask"], "gold", 'an ask whose column is "score" beside it', advice)
        if self.release and self.release.column not in seen:
            allowed = f"the column of an ask of this stage: {', '.join(sorted(seen)) or 'it has none'}"
            raise problem(["release", "column"], self.release.column, allowed)
        if self.held_out and not self.ask:
            advice = "add an [[stage.ask]], or leave out [stage.held_out]"
            raise problem(
                ["held_out"], None, "held-out prompts where the stage has an ask to judge them", advice
            )
        return self

    def with_models(self, at: Callable[[str], str]) -> Stage:
        """The same stage with ``at(name)`` wherever it says ``stage:<name>``: the place of that result."""
        return Stage.model_validate(_exchanged(self.table(), at))


class Plan(Table):
    """Stages in order, from one base model. The purpose ``model`` means the result is to be kept.

    ``delta`` bounds the probability that the guard pages falsely in any of them.
    """

    name: Annotated[str, Field(pattern=_TITLE, description=_TITLED)]
    purpose: Literal["explore", "model"] = "model"
    seed: Annotated[int, Field(strict=True, ge=0, le=EXACT)] = 0
    delta: Annotated[float, Field(strict=True, gt=0, lt=0.5)] = 0.01
    model: Annotated[str, Field(min_length=1)]
    stage: Annotated[tuple[Stage, ...], Field(min_length=1)]

    def _checked(self) -> Self:
        if self.model.startswith("stage:"):
            raise problem(
                ["model"], self.model, "a path, a hub id or a known name", "it is where the pipeline starts"
            )
        earlier: list[str] = []
        for index, stage in enumerate(self.stage):
            # Compared without case: some file systems hold Sft and sft to be one directory.
            if stage.name.lower() in (name.lower() for name in earlier):
                raise problem(["stage", index, "name"], stage.name, "a name no other stage has")
            for at, text in _strings(stage.table(full=False)):
                if text.startswith(_OWN) and text.removeprefix(_OWN) not in earlier:
                    raise _no_such_stage(["stage", index, *at], text, earlier, [s.name for s in self.stage])
            earlier.append(stage.name)
        return self

    @property
    def hash(self) -> str:
        """SHA-256 over everything that is not at its default, so that a key added later keeps old hashes."""
        return digest({"kind": "plan", "v": 1, "fields": self.table(full=False)})

    def toml(self) -> str:
        """The whole plan, defaults included; ``read_plan`` reads it back to an equal one."""
        return tomli_w.dumps(self.table())

    def set(self, assignments: Sequence[str]) -> Plan:
        """The plan with ``path=value`` applied in order: ``seed=1``, ``stage.0.method.n=4``.

        Items of a list go by number or name (``stage.amplify.windows=2``). A value is read as TOML, and as
        plain text where it is none.
        """
        return Plan.model_validate(assigned(self.table(), assignments))


def assigned(table: dict[str, JSON], assignments: Sequence[str]) -> dict[str, JSON]:
    """The table itself, with each ``path=value`` of ``--set`` put into it in order."""
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise PlanError("--set", assignment, "path=value, as in stage.0.method.n=4")
        _assign(table, path.strip().split("."), _value(text.strip()))
    return table


def _strings(value: JSON) -> Iterator[tuple[list[str | int], str]]:
    """Every text of a table with the way to it. A part's name is none: ``stage:Part`` may be a module's."""
    match value:
        case str():
            yield [], value
        case Mapping():
            for key, item in value.items():
                if key != "name":
                    yield from (([key, *at], text) for at, text in _strings(item))
        case Sequence():
            for index, item in enumerate(value):
                yield from (([index, *at], text) for at, text in _strings(item))
        case _:
            pass


def _exchanged(value: JSON, at: Callable[[str], str]) -> JSON:
    match value:
        case str():
            return at(value.removeprefix(_OWN)) if value.startswith(_OWN) else value
        case Mapping():
            return {key: item if key == "name" else _exchanged(item, at) for key, item in value.items()}
        case Sequence():
            return [_exchanged(item, at) for item in value]
        case _:
            return value


def _no_such_stage(
    at: list[str | int], text: str, earlier: Sequence[str], stages: Sequence[str]
) -> PydanticCustomError:
    allowed = ", ".join(f"{_OWN}{name}" for name in earlier) or "a path, a hub id or a known name"
    wanted = text.removeprefix(_OWN)
    later = "a stage can use only the result of one before it"
    return problem(at, text, allowed, later if wanted in stages else nearest(wanted, earlier))


def read_plan(source: Path | str) -> Plan:
    """The plan in a file, or in a TOML text. A text of one line that ends in ``.toml`` is a file's name.

    Unreadable where there is no file or no TOML, with the line; PlanError where it is no plan.
    """
    if isinstance(source, str) and source.endswith(".toml") and "\n" not in source:
        source = Path(source)
    file, text = (source, _text(source)) if isinstance(source, Path) else ("the plan's text", source)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        raise Unreadable(file, "TOML", str(error), line) from None
    return Plan.model_validate(table)


def shipped_plans() -> dict[str, Path]:
    """The plans that ship with Accord, by their file names without ``.toml``."""
    folder = Path(str(resources.files("accord") / "data" / "plans"))
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Unreadable(file, "a plan in TOML", error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise Unreadable(file, "a plan in TOML, in UTF-8", str(error)) from None


def _named(names: Sequence[str]) -> tuple[PartTable, ...]:
    return tuple(PartTable(name=name) for name in names)


def _value(text: str) -> JSON:
    """TOML where it is one value of JSON, else the text itself."""
    try:
        found = tomllib.loads(f"value = {text}") if "\n" not in text else {}
    except tomllib.TOMLDecodeError:
        return text
    value = found.get("value", text)
    return cast(JSON, value) if isinstance(value, bool | int | float | str | list | dict) else text


def _assign(table: dict[str, JSON], steps: Sequence[str], value: JSON) -> None:
    here, path = cast(object, table), ""
    for number, step in enumerate(steps):
        if not isinstance(here, dict | list):
            raise PlanError(path, here, "a table or a list, where a path goes further", f"drop .{step}")
        items = cast("list[object] | dict[str, object]", here)
        key = _index(items, step, path) if isinstance(items, list) else step
        path = place(path, [key])
        inside = cast("dict[str | int, object]", items)  # a list is read and written by its index alike
        if number == len(steps) - 1:
            inside[key] = value
        else:
            here = inside[key] if isinstance(items, list) else items.setdefault(step, {})


def _index(items: Sequence[object], step: str, path: str) -> int:
    names = [str(cast("dict[str, object]", item).get("name")) for item in items if isinstance(item, dict)]
    if step.isdigit() and int(step) < len(items):
        return int(step)
    if step in names:
        return names.index(step)
    numbers = [str(number) for number in range(len(items))]
    raise PlanError(path, step, ", ".join([*numbers, *names]) or "nothing: it is empty", nearest(step, names))
