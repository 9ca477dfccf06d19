"""Tables of a plan: what all of them have in common, those of parts and asks, the release test (layer 3).

Here: how a table is read, written and told what is wrong with it, and settings that nobody can change behind
its hash. Not here: which tables a plan has (``accord.plan``), whether settings fit (``accord.catalog``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from accord.part import Part
from accord.problems import plan_error, problem
from accord.records import JSON

if TYPE_CHECKING:
    Settings = Mapping[str, JSON]
else:  # pydantic cannot follow a recursive alias; _frozen checks what it would
    Settings = Any

__all__ = ["EXACT", "AskTable", "PartTable", "RatersTable", "ReleaseTable", "Table", "columns_of"]

EXACT = 2**53  # beyond it an integer has no exact JSON number, so no hash

_SCORE = "score"
_ROUNDED = 1e-9  # thirds sum to 1 up to rounding
_COLUMN = r"^(score|p|gold|cost:[a-z0-9_-]+)$"
_COLLAPSES = (
    '"distribution", "majority", "per_group", "bt" or "quantile", as far as the ask knows it: how several '
    "verdicts become one number"
)

_nested: ContextVar[bool] = ContextVar("_nested", default=False)


class Table(BaseModel):
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
    if isinstance(value, Table):
        return value.table(full)
    if isinstance(value, tuple):
        return [_plain(item, full) for item in cast("tuple[object, ...]", value)]
    return cast(JSON, value)


class PartTable(Table):
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


class RatersTable(Table):
    """Which raters are counted apart: by what they said of themselves, in the database of their accounts.

    Of groups with fewer than ``k`` raters who agreed to it none is counted.
    """

    accounts: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]
    k: Annotated[int, Field(strict=True, ge=2)] = 10


class AskTable(PartTable):
    """What is asked, of whom, into which column, and how several verdicts become one number (no default).

    ``share``: of several asks for ``score``, how much each counts; together 1. ``raters``: the groups of
    ``collapse = "per_group"``.
    """

    column: Annotated[str, Field(pattern=_COLUMN, description='"score", "p", "gold" or "cost:<id>"')]
    collapse: Annotated[str, Field(description=_COLLAPSES)]
    share: Annotated[float | None, Field(strict=True, gt=0, le=1)] = None
    raters: RatersTable | None = None
    overseer: PartTable

    def plain(self) -> dict[str, JSON]:
        """The settings of the ask; the overseer is a part of its own."""
        return {"column": self.column, "collapse": self.collapse, **super().plain()}

    def table(self, full: bool = True) -> dict[str, JSON]:
        """The ask with its overseer, as they stand in TOML."""
        share = {} if self.share is None else {"share": self.share}
        raters = {} if self.raters is None else {"raters": self.raters.table(full)}
        return {**super().table(full), **share, **raters, "overseer": self.overseer.table(full)}


def columns_of(asks: Sequence[AskTable]) -> set[str]:
    """The columns that the asks of a stage fill. A problem where two fill one, unless each has its share of a
    score, and where shares do not sum to 1."""
    shares = [ask.share for ask in asks if ask.column == _SCORE]
    total = math.fsum(share or 0 for share in shares)
    seen: set[str] = set()
    for index, ask in enumerate(asks):
        if ask.column in seen and (ask.column != _SCORE or None in shares):
            advice = "several asks for score need a share each" if ask.column == _SCORE else ""
            raise problem(["ask", index, "column"], ask.column, "one ask for each column", advice)
        if ask.raters is not None and ask.collapse != "per_group":
            advice = 'only collapse = "per_group" counts raters apart'
            raise problem(
                ["ask", index, "raters"], ask.collapse, 'no raters, or collapse = "per_group"', advice
            )
        if ask.share is not None and ask.column != _SCORE:
            advice = f"{ask.column} has one ask, which counts whole"
            raise problem(["ask", index, "share"], ask.share, 'a share only where column = "score"', advice)
        if ask.share is not None and abs(total - 1) > _ROUNDED:
            allowed = f"shares that sum to 1 over all asks for score; these sum to {total:g}"
            raise problem(["ask", index, "share"], ask.share, allowed)
        seen.add(ask.column)
    return seen


class ReleaseTable(Table):
    """A test of the stage's result: may it go out, as far as one cost is concerned?

    ``prompts`` that no stage so far trains on are answered ``n`` times each and judged by the ask whose
    column is ``column``. ``probability``: the share of prompts with a costly answer is at most ``eps``.
    ``expected``: the mean cost, of costs from 0 to ``most``, is at most ``limit``. Shown at ``confidence``,
    one-sided.
    """

    prompts: str
    column: Annotated[str, Field(pattern=r"^cost:[a-z0-9_-]+$", description='"cost:<id>"')]
    mode: Literal["expected", "probability"]
    eps: Annotated[float | None, Field(strict=True, gt=0, lt=1)] = None
    limit: Annotated[float | None, Field(strict=True, gt=0, allow_inf_nan=False)] = None
    most: Annotated[float | None, Field(strict=True, gt=0, allow_inf_nan=False)] = None
    n: Annotated[int, Field(strict=True, gt=0)] = 1
    temperature: Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)] = 1.0
    max_tokens: Annotated[int, Field(strict=True, gt=0)] = 128
    confidence: Annotated[float, Field(strict=True, gt=0.5, lt=1)] = 0.95

    @property
    def bound(self) -> float:
        """What is tested, as a share: ``eps``, or ``limit`` of ``most``."""
        if self.mode == "probability":
            return cast(float, self.eps)
        return cast(float, self.limit) / cast(float, self.most)

    def _checked(self) -> Self:
        wanted = {"probability": ("eps",), "expected": ("limit", "most")}[self.mode]
        for key in ("eps", "limit", "most"):
            value = cast("float | None", getattr(self, key))
            if value is None and key in wanted:
                raise problem(
                    [key], None, f"a number over 0: mode = {self.mode!r} needs it, without a default"
                )
            if value is not None and key not in wanted:
                raise problem(
                    [key], value, f"nothing under mode = {self.mode!r}, which needs {' and '.join(wanted)}"
                )
        if self.mode == "expected" and self.bound >= 1:
            raise problem(["limit"], self.limit, f"less than most = {self.most}, or any policy would pass")
        return self


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
        case int() if abs(value) <= EXACT:
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
