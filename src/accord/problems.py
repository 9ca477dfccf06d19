"""What pydantic found wrong, said as a PlanError: path in the plan, value, what is allowed (layer 1)."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, NamedTuple, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from accord.errors import PlanError, nearest

__all__ = ["describe", "place", "plan_error", "problem"]

Step = str | int

_KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
}


def place(path: str, steps: Sequence[Step]) -> str:
    """A path as people write it.

    >>> place("stage[0]", ["ask", 1, "collapse"])
    'stage[0].ask[1].collapse'
    """
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def problem(at: Sequence[Step], value: object, allowed: str, advice: str = "") -> PydanticCustomError:
    """An error for a validator to raise, in the terms of a PlanError; ``at`` goes on from its own path."""
    return PydanticCustomError(
        "plan", "{allowed}", {"at": list(at), "value": value, "allowed": allowed, "advice": advice}
    )


def plan_error(error: ValidationError, model: type[BaseModel], path: str = "") -> PlanError:
    """The problem to mend first: an unknown key before a missing one, which it often explains."""
    found = error.errors(include_url=False)
    places = [e["loc"] for e in found]
    # A list with one bad item is also reported as too short; the item says more.
    found = [e for e in found if not any(p != e["loc"] and p[: len(e["loc"])] == e["loc"] for p in places)]
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    told = _told(first, model, path)
    if len(found) == 1:
        return told
    count = f"(one of {len(found)} problems; the others follow once this is mended)"
    return PlanError(told.path, told.value, told.allowed, f"{told.advice} {count}".strip())


def _told(error: ErrorDetails, model: type[BaseModel], path: str) -> PlanError:
    spot = _walk(model, error["loc"])
    where = place(path, spot.steps)
    context = cast("Mapping[str, object]", error.get("ctx", {}))
    match error["type"]:
        case "plan":
            at = cast("list[Step]", context["at"])
            return PlanError(
                place(where, at), context["value"], str(context["allowed"]), str(context["advice"])
            )
        case "extra_forbidden":
            known = sorted(spot.owner.model_fields)
            advice = nearest(str(error["loc"][-1]), known) or "there is no such key here; leave it out"
            return PlanError(where, error["input"], ", ".join(known) or "no settings at all", advice)
        case "missing":
            return PlanError(where, None, _allowed(error, spot), "it is missing and has no default; write it")
        case "literal_error" | "enum":
            return PlanError(where, error["input"], _allowed(error, spot), _guess(error, spot))
        case _:
            return PlanError(where, error["input"], _allowed(error, spot))


def _guess(error: ErrorDetails, spot: _Spot) -> str:
    options = [str(o) for o in get_args(_bare(spot.field.annotation))] if spot.field else []
    return nearest(str(error["input"]), options)


def _allowed(error: ErrorDetails, spot: _Spot) -> str:
    kind = error["type"]
    if kind in ("value_error", "assertion_error"):
        return error["msg"].partition(", ")[2] or error["msg"]
    if kind in ("string_pattern_mismatch", "missing") and spot.field and spot.field.description:
        return spot.field.description
    if spot.field:
        return describe(spot.field.annotation, spot.field.metadata)
    return _KINDS.get(kind.partition("_")[0], error["msg"])


def describe(annotation: object, metadata: Sequence[object] = ()) -> str:
    """What a setting of this type takes, in words.

    >>> describe(Literal["answer", "pair"]), describe(int | None)
    ('"answer" or "pair"', 'a whole number, or leave it out')
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe(args[0], [*args[1:], *metadata])
    if origin is Literal:
        return _either([f'"{a}"' if isinstance(a, str) else str(a) for a in args])
    if origin in (Union, types.UnionType):
        kinds = [describe(a, metadata) for a in args if a is not types.NoneType]
        return _either(kinds) + (", or leave it out" if len(kinds) < len(args) else "")
    if origin in (list, tuple, set, frozenset):
        inner = describe(args[0]) if args else "values"
        return f"a list{_bounds(metadata)}; each item: {inner}"
    return _class_words(origin or annotation) + _bounds(metadata)


def _class_words(kind: object) -> str:
    if not isinstance(kind, type):
        return str(kind)
    if issubclass(kind, Enum):
        return _either([f'"{member.value}"' for member in kind.__members__.values()])
    if issubclass(kind, BaseModel):
        return str(getattr(kind, "words", "")) or f"a table with {', '.join(kind.model_fields)}"
    return "a table" if issubclass(kind, Mapping) else _KINDS.get(kind.__name__, kind.__name__)


def _bounds(metadata: Sequence[object]) -> str:
    words = {
        "gt": "more than {}",
        "ge": "at least {}",
        "lt": "less than {}",
        "le": "at most {}",
        "min_length": "{} or more",
        "max_length": "{} at most",
        "pattern": "of the form {}",
    }
    found = [
        text.format(value)
        for item in metadata
        for name, text in words.items()
        if (value := getattr(item, name, None)) is not None
    ]
    return ", " + ", ".join(found) if found else ""


def _either(options: Sequence[str]) -> str:
    return " or ".join([", ".join(options[:-1]), options[-1]] if len(options) > 1 else options)


class _Spot(NamedTuple):
    """Where an error's path leads: its steps without pydantic's labels, the model it ends in, the field."""

    steps: tuple[Step, ...]
    owner: type[BaseModel]
    field: FieldInfo | None


def _walk(model: type[BaseModel], loc: Sequence[Step]) -> _Spot:
    owner, here, field = model, cast(object, model), cast("FieldInfo | None", None)
    steps: list[Step] = []
    for number, step in enumerate(loc):
        here = _bare(here)
        last = number == len(loc) - 1
        if isinstance(here, type) and issubclass(here, BaseModel):
            steps.append(step)
            owner, field = here, here.model_fields.get(str(step))
            here = field.annotation if field else None
        elif get_origin(here) in (Union, types.UnionType) and isinstance(step, str):
            # pydantic names the member of a union it tried; a plan has no such key.
            members = [m for m in get_args(here) if getattr(_bare(m), "__name__", "") == step]
            here = members[0] if members else None
        else:
            steps.append(step)
            args = get_args(here)
            here = args[1] if isinstance(step, str) and len(args) == 2 else args[0] if args else None
            field = FieldInfo(annotation=cast("type", here)) if last and here is not None else None
    return _Spot(tuple(steps), owner, field)


def _bare(annotation: object) -> object:
    """The type without Annotated and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [a for a in get_args(annotation) if a is not types.NoneType]
        return _bare(members[0]) if len(members) == 1 else annotation
    return annotation
