"""A TRL config in YAML, read as settings of a plan: what means the same is mapped, the rest is listed.

The plan trains as ``trl <method> --config run.yaml`` would: a key that the file leaves out counts with TRL's
own default, and each such default is listed as one. Nothing is dropped silently; a key stands in ``mapped``
or, with the reason, in ``left``. The words are in ``trl_keys.py``, what they become in
``trl_settings.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import PlanError, Unreadable, nearest
from accord.records import JSON
from accord.stores.foreign.trl_keys import ALIASES, FIXED, OWN, REASONS, TRANSLATED
from accord.stores.foreign.trl_settings import Left, Mapped, Work, translate

__all__ = ["Left", "Mapped", "Translation", "read_trl"]

_VERSION = "TRL 1.16"


class Translation(NamedTuple):
    """What a config says. ``settings`` go by paths under the stage; ``steps`` or ``epochs`` is None.

    ``rise``: the share of all steps that warm up, where the config says it so.
    """

    method: str
    model: str | None
    data: str | None
    name: str | None
    reward_models: tuple[str, ...]
    seed: int
    steps: int | None
    epochs: float | None
    rise: float
    settings: Mapping[str, JSON]
    mapped: tuple[Mapped, ...]
    left: tuple[Left, ...]


def read_trl(file: Path, method: str | None = None, *, held_out: bool = False) -> Translation:
    """The config in ``file``, for ``method`` where the file does not show which it is for.

    ``held_out``: the plan will have held-out rows, so that keys about evaluation have a meaning.
    """
    values = {ALIASES.get(key, key): value for key, value in _loaded(file).items()}
    if method is not None and method not in OWN:
        raise PlanError("--method", method, ", ".join(OWN), nearest(method, OWN))
    method = method or _method_of(values, file)
    work = Work(values, method, held_out)
    translate(work)
    _others(work)
    return Translation(
        method=cast(str, work.facts.get("method", method)),
        model=cast("str | None", work.facts.get("model")),
        data=cast("str | None", work.facts.get("data")),
        name=cast("str | None", work.facts.get("name")),
        reward_models=tuple(cast("list[str]", work.facts.get("reward_models", []))),
        seed=cast(int, work.facts.get("seed", 0)),
        steps=cast("int | None", work.facts.get("steps")),
        epochs=cast("float | None", work.facts.get("epochs")),
        rise=cast(float, work.facts.get("rise", 0.0)),
        settings=work.settings,
        mapped=tuple(work.mapped),
        left=tuple(work.left),
    )


def _loaded(file: Path) -> dict[str, JSON]:
    """The keys of the file. Unreadable where it is no YAML, no mapping, or says a key twice."""
    import yaml

    try:
        text = file.read_text(encoding="utf-8-sig")
        compose: Callable[..., object] = vars(yaml)["compose"]  # which the package gives no types
        root = compose(text, Loader=yaml.SafeLoader)
        found: object = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(file, "a TRL config in YAML", str(error)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise Unreadable(file, "a TRL config in YAML", str(getattr(error, "problem", error)), line) from error
    if not isinstance(found, dict) or not isinstance(root, yaml.MappingNode):
        raise Unreadable(file, "keys and values in YAML", type(cast(object, found)).__name__)
    seen: set[str] = set()
    for key, _ in cast("Sequence[tuple[yaml.ScalarNode, object]]", root.value):
        if str(key.value) in seen:
            # YAML would take the last one and say nothing.
            raise Unreadable(file, "each key once", f"{key.value} again", key.start_mark.line + 1)
        seen.add(str(key.value))
    return {str(key): _plain(value) for key, value in cast("dict[object, object]", found).items()}


def _plain(value: object) -> JSON:
    """YAML knows dates and sets; a config has no use for them, so they are shown as text."""
    match value:
        case bool() | int() | float() | str() | None:
            return value
        case list():
            return [_plain(item) for item in cast("list[object]", value)]
        case dict():
            return {str(key): _plain(item) for key, item in cast("dict[object, object]", value).items()}
        case _:
            return str(value)


def _method_of(values: Mapping[str, JSON], file: Path) -> str:
    """The one method whose config has all the keys that some configs have and others not."""
    telling = [key for key in values if any(key in own for own in OWN.values())]
    fit = [method for method, own in OWN.items() if telling and all(key in own for key in telling)]
    if len(fit) == 1:
        return fit[0]
    found = f"{file} does not show which: " + (
        f"its keys fit {', '.join(fit)}"
        if fit
        else f"{', '.join(telling) or 'none of its keys'} belong to no one"
    )
    raise PlanError("--method", None, ", ".join(OWN), found)


def _others(work: Work) -> None:
    """Whatever is not said yet: equal to what Accord always does, or without a counterpart."""
    for key, value in work.values.items():
        if work.done(key):
            continue
        if (fixed := FIXED.get(key)) is not None:
            same = any(
                value == one and isinstance(value, bool) == isinstance(one, bool) for one in fixed.same
            )
            if same:
                work.always(key)
            else:
                work.left.append(Left(key, value, fixed.reason))
        elif key in TRANSLATED:
            work.left.append(Left(key, value, f"{work.method} does not read it"))
        else:
            known = [*TRANSLATED, *FIXED, *REASONS]
            unknown = f"no key of {_VERSION}. {nearest(key, known)}".strip()
            work.left.append(Left(key, value, REASONS.get(key, unknown)))
    for key, fixed in FIXED.items():
        if fixed.by_default is not None and key not in work.values and work.get(fixed.where) is True:
            work.left.append(Left(key, cast(JSON, fixed.by_default), f"{fixed.reason} (it is TRL's default)"))
