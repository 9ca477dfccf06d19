"""Plan: what is to be done, as a list of stages; a frozen tree, TOML in and out (layer 3).

Here: the tables of a plan and everything about it that can be said without importing a part. Not here: which
parts there are and whether their settings fit (``accord.catalog.check``). A key nobody knows is an error that
names its path and the nearest key; what a stage must decide (``collapse``, ``windows``) has no default.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from accord.errors import PlanError, Unreadable, nearest
from accord.part import Part
from accord.problems import place, plan_error, problem
from accord.records import JSON, digest

if TYPE_CHECKING:
    Settings = Mapping[str, JSON]
else:  # pydantic cannot follow a recursive alias; _frozen checks what it would
    Settings = Any

__all__ = ["AskTable", "Checkpoint", "GuardTable", "HeldOut", "PartTable", "Plan", "Stage", "read_plan"]

Count = Annotated[int, Field(strict=True, gt=0)]
Warmth = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
_NAMED = "up to 64 letters, digits, - and _, beginning with a letter or digit: it names a directory"
_TITLE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_TITLED = _NAMED.replace("- and _", "-, _ and .")
_COLUMN = r"^(score|p|cost:[a-z0-9_-]+)$"
_COLLAPSES = (
    '"distribution", "majority" or another way that the ask knows to make one number of several verdicts'
)
_INDICATORS = ("reverse_kl", "base_rank", "diversity")
_EXACT = 2**53  # beyond it an integer has no exact JSON number, so no hash

_nested: ContextVar[bool] = ContextVar("_nested", default=False)


class _Table(BaseModel):
    """A table of a plan. Whatever does not fit, in TOML or in code, is a PlanError with the whole path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _speak(cls, value: object, handler: Callable[[object], Self]) -> Self:
        if _nested.get():
            return handler(value)._checked()
        token = _nested.set(True)
        try:
            return handler(value)._checked()
        except ValidationError as error:
            raise plan_error(error, cls) from None
        except PydanticCustomError as error:
            only = InitErrorDetails(type=error, loc=(), input=value)
            raise plan_error(ValidationError.from_exception_data(cls.__name__, [only]), cls) from None
        finally:
            _nested.reset(token)

    def _checked(self) -> Self:
        """What the fields say of each other. Not a validator of its own: that would run outside _speak."""
        return self

    def table(self, full: bool = True) -> dict[str, JSON]:
        """As plain TOML values; without ``full``, what stands at its default is left out."""
        out: dict[str, JSON] = {}
        for name, field in type(self).model_fields.items():
            value: object = getattr(self, name)
            if value is None or (not full and value == field.get_default(call_default_factory=True)):
                continue
            out[name] = _plain(value, full)
        return out


def _plain(value: object, full: bool) -> JSON:
    if isinstance(value, _Table):
        return value.table(full)
    if isinstance(value, tuple):
        return [_plain(item, full) for item in cast("tuple[object, ...]", value)]
    return cast(JSON, value)


class PartTable(_Table):
    """A part by its name, and that part's own settings, which are checked by the part.

    Given as a table (``{"name": "best_of_n", "n": 8}``), or as the part itself (``BestOfN(n=8)``), which is
    then named ``module:Class``.
    """

    words: ClassVar[str] = "a table with a name and that part's own settings"

    name: str
    settings: Settings = MappingProxyType({})

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, Part):
            value = _written(value)
        if not isinstance(value, Mapping):
            return value
        table = dict(cast("Mapping[str, object]", value))
        own = set(cls.model_fields)
        given = table.get("settings")
        if not (set(table) <= own and isinstance(given, Mapping)):
            table["settings"] = {
                key: table.pop(key) for key in list(table) if key not in own or key == "settings"
            }
        settings = cast("Mapping[str, object]", table["settings"])
        if taken := sorted(own & set(settings)):
            raise problem(
                taken[:1], settings[taken[0]], "a setting of another name", "this key belongs to the table"
            )
        return table | {"settings": _frozen(settings, [])}

    def plain(self) -> dict[str, JSON]:
        """The settings the part is built from, in fresh dicts and lists."""
        return cast("dict[str, JSON]", _thawed(self.settings))

    def table(self, full: bool = True) -> dict[str, JSON]:
        """The name, then the settings, as they stand in TOML."""
        del full
        return {"name": self.name, **self.plain()}

    def __reduce__(self) -> tuple[object, ...]:
        # A read-only view cannot be pickled; the table it came from can.
        return type(self).model_validate, (self.table(),)

    def __deepcopy__(self, memo: object = None) -> Self:
        return self


class AskTable(PartTable):
    """What is asked, of whom, into which column, and how several verdicts become one number (no default)."""

    column: Annotated[str, Field(pattern=_COLUMN, description='"score", "p" or "cost:<id>"')]
    collapse: Annotated[str, Field(description=_COLLAPSES)]
    overseer: PartTable

    def plain(self) -> dict[str, JSON]:
        """The settings of the ask; the overseer is a part of its own."""
        return {"column": self.column, "collapse": self.collapse, **super().plain()}

    def table(self, full: bool = True) -> dict[str, JSON]:
        """The ask with its overseer, as they stand in TOML."""
        return {**super().table(full), "overseer": self.overseer.table(full)}


class GuardTable(_Table):
    """What watches a stage: every how many windows, on how many probes, by which indicators and rules.

    ``prompts`` names the probes (default: the source's own prompts); without ``rule`` the default rules hold.
    """

    every: Count = 1
    probes: Count = 16
    answers: Count = 4
    max_tokens: Count = 64
    temperature: Warmth = 1.0
    prompts: str | None = None
    indicator: tuple[PartTable, ...] = Field(default_factory=lambda: _named(_INDICATORS))
    rule: tuple[PartTable, ...] | None = None

    def _checked(self) -> Self:
        if self.rule == ():
            allowed = "one rule or more; nothing at all means the default rules"
            raise problem(["rule"], [], allowed, "a guard without rules would never stop anything")
        return self


class HeldOut(_Table):
    """Prompts the stage never trains on, answered before and after, and judged by the stage's first ask."""

    prompts: str
    n: Count = 4
    temperature: Warmth = 1.0
    max_tokens: Count = 128


class Checkpoint(_Table):
    """Every how many updates the state is saved, and how many of the latest are kept."""

    every: Count = 10
    keep: Count = 2


class Stage(_Table):
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
    checkpoint: Checkpoint = Field(default_factory=Checkpoint)

    def _checked(self) -> Self:
        if self.name.isdigit():
            raise problem(
                ["name"], self.name, "a name with a letter in it", "digits alone are a stage's number"
            )
        seen: set[str] = set()
        for index, ask in enumerate(self.ask):
            if ask.column in seen:
                raise problem(["ask", index, "column"], ask.column, "one ask for each column")
            seen.add(ask.column)
        if self.held_out and not self.ask:
            advice = "add an [[stage.ask]], or leave out [stage.held_out]"
            raise problem(
                ["held_out"], None, "held-out prompts where the stage has an ask to judge them", advice
            )
        return self


class Plan(_Table):
    """Stages in order, from one base model. The purpose ``model`` means the result is to be kept."""

    name: Annotated[str, Field(pattern=_TITLE, description=_TITLED)]
    purpose: Literal["explore", "model"] = "model"
    seed: Annotated[int, Field(strict=True, ge=0, le=_EXACT)] = 0
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
            wanted = (stage.model or "").partition("stage:")
            if wanted[1] and not wanted[0] and wanted[2] not in earlier:
                allowed = ", ".join(f"stage:{name}" for name in earlier) or "a path, a hub id or a known name"
                later = wanted[2] in (s.name for s in self.stage)
                advice = "a stage can start only from one before it" if later else nearest(wanted[2], earlier)
                raise problem(["stage", index, "model"], stage.model, allowed, advice)
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
        table = self.table()
        for assignment in assignments:
            path, equals, text = assignment.partition("=")
            if not equals or not path.strip():
                raise PlanError("--set", assignment, "path=value, as in stage.0.method.n=4")
            _assign(table, path.strip().split("."), _value(text.strip()))
        return Plan.model_validate(table)


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


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Unreadable(file, "a plan in TOML", error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise Unreadable(file, "a plan in TOML, in UTF-8", str(error)) from None


def _named(names: Sequence[str]) -> tuple[PartTable, ...]:
    return tuple(PartTable(name=name) for name in names)


def _written(part: Part) -> dict[str, object]:
    kind = type(part)
    if "<" in kind.__qualname__ or "." in kind.__qualname__:
        raise problem(
            [], kind.__qualname__, "a part whose class stands at the top of a module", "move it there"
        )
    settings = part.model_dump(mode="json", exclude_defaults=True)
    return {"name": f"{kind.__module__}:{kind.__qualname__}", "settings": settings}


def _frozen(value: object, at: list[str | int]) -> JSON:
    """The value as JSON that nobody can change, or a problem at the place that TOML or a hash cannot hold."""
    match value:
        case bool():
            return value
        case int() if abs(value) <= _EXACT:
            return value
        case float() if not math.isnan(value):
            return value
        case str() if value.isascii() or not re.search("[\ud800-\udfff]", value):
            return value
        case list() | tuple():
            items = cast("Sequence[object]", value)
            return tuple(_frozen(item, [*at, index]) for index, item in enumerate(items))
        case Mapping():
            items = cast("Mapping[object, object]", value)
            if odd := [key for key in items if not isinstance(key, str)]:
                raise problem(at, odd[0], "text as the key of every setting")
            return MappingProxyType({str(key): _frozen(item, [*at, str(key)]) for key, item in items.items()})
        case str():
            raise problem(at, ascii(value), "text in Unicode", "it holds half of a surrogate pair")
        case None:
            raise problem(at, "None", "a value: TOML has no none", "leave the setting out")
        case _:
            allowed = "text, numbers within ±2^53, true or false, lists and tables of them"
            raise problem(at, value, allowed, "write it as text")


def _thawed(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    return value


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
