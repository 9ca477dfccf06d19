"""The methods as a person chooses among them: what each learns from, when to use it, how it presses.

What a method is, its class says: docstring, ``rows``, ``pushes_down``, ``needs``, settings. ``GUIDE`` holds
what no class knows of itself, one entry for each method of the catalogue. Methods of other packages, which
have no entry, are listed by what their classes say. Nothing here imports torch (layer 4).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from inspect import getdoc
from typing import NamedTuple, cast

import tomli_w
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from accord import catalog, ports
from accord.errors import ContractError, PlanError, nearest
from accord.plan import shipped_plans
from accord.ports import Method, Needs, Shape
from accord.problems import describe
from accord.recipe_book import RECIPES
from accord.records import JSON

__all__ = ["GROUPS", "GUIDE", "Advice", "Described", "Listed", "Setting", "described", "listed"]

_DATA, _PAIRS, _JUDGES = "From answers in the data", "From pairs in the data", "To score answers later"
_OWN, _TEACHER, _AROUND = "From its own answers, scored", "From another model", "Around another method"
_OTHERS = "From other packages"
GROUPS = (_DATA, _PAIRS, _JUDGES, _OWN, _TEACHER, _AROUND, _OTHERS)


class Advice(NamedTuple):
    """When to use a method, the rows it learns from, and which answers it moves where.

    ``moves`` begins with "raises only" or "none" where nothing is pushed down. ``example``: settings for one
    that cannot be built without any.
    """

    group: str
    use: str
    rows: str
    moves: str
    example: Mapping[str, JSON] = {}


GUIDE: dict[str, Advice] = {
    "sft": Advice(
        _DATA,
        "you have answers to imitate",
        "answers in the data",
        "raises only",
    ),
    "kto": Advice(
        _DATA,
        "answers are marked good or bad, one by one",
        "answers in the data, each with a label",
        "raises the wanted, lowers the rest",
    ),
    "dpo": Advice(
        _PAIRS,
        "you have pairs, and want no reward model",
        "pairs in the data",
        "pulls pairs apart, without end",
    ),
    "ipo": Advice(
        _PAIRS,
        "pairs are few, or raters always agree",
        "pairs in the data",
        "pulls pairs apart, to a set distance",
    ),
    "reward_model": Advice(
        _JUDGES,
        "a later stage needs a score for any answer",
        "pairs in the data",
        "none: no policy is trained",
    ),
    "process_reward_model": Advice(
        _JUDGES,
        "steps of answers are marked right or wrong",
        "answers in the data, with a label for each step",
        "none: no policy is trained",
    ),
    "best_of_n": Advice(
        _OWN,
        "good answers come now and then",
        "its own answers, each with a score",
        "raises only: the best of n",
    ),
    "conditional": Advice(
        _OWN,
        "quality shall be something one can ask for",
        "its own answers, each with a score",
        "raises only: each behind its mark",
    ),
    "grpo": Advice(
        _OWN,
        "answers to one prompt differ in score",
        "its own answers, several to a prompt, each with a score",
        "against the group's mean, up and down",
    ),
    "rloo": Advice(
        _OWN,
        "grpo's scaling and clipping are in the way",
        "its own answers, several to a prompt, each with a score",
        "against the other answers, up and down",
    ),
    "reinforce_pp": Advice(
        _OWN,
        "there are many prompts, with one answer each",
        "its own answers, each with a score",
        "against the window's mean, up and down",
    ),
    "ppo": Advice(
        _OWN,
        "it matters which token earned the score",
        "its own answers, each with a score",
        "token by token, against a critic",
    ),
    "online_dpo": Advice(
        _OWN,
        "a judge compares better than it scores",
        "its own answers, compared in pairs",
        "pulls its own pairs apart",
    ),
    "distill": Advice(
        _TEACHER,
        "a better model shares the tokenizer",
        "its own answers, with the teacher's probability of each token",
        "token by token, towards the teacher",
        {"teacher": "./teacher"},
    ),
    "constrained": Advice(
        _AROUND,
        "a score shall rise while costs keep to limits",
        "those of its inner method, with a cost each",
        "as its inner method, less costs",
        {"inner": {"name": "grpo"}, "limits": {"harm": 0.1}},
    ),
    "compatible": Advice(
        _AROUND,
        "only what the base might say shall be taught",
        "those of its inner method",
        "raises only, near the base",
        {"inner": {"name": "best_of_n"}},
    ),
}

_FILES = {
    "preference": "pairs.jsonl",
    "prompt": "questions.jsonl",
    "completion": "answers.jsonl",
    "label": "labelled.jsonl",
    "steps": "steps.jsonl",
}
_MEASURED = {
    "old_logp": "log π of the policy that answered",
    "ref_logp": "log π of the stage's start",
    "value": "the critic's value of each state",
}


class Setting(NamedTuple):
    """A setting of a method: what it takes, in words, and its default; a needed one has none."""

    name: str
    takes: str
    default: JSON
    needed: bool


@dataclass(frozen=True)
class Listed:
    """One line of the list. ``problem``: why nothing is known of a method of another package."""

    name: str
    group: str
    does: str = ""
    use: str = ""
    rows: str = ""
    moves: str = ""
    pushes_down: bool | None = None
    by: str = ""
    unit: str = ""
    n: int | None = None
    problem: str = ""

    def json(self) -> dict[str, JSON]:
        return cast("dict[str, JSON]", asdict(self))


@dataclass(frozen=True)
class Described(Listed):
    """One method in full. ``about``: what its file says first; ``example``: a command or a part of a plan."""

    about: str = ""
    measured: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    example: str = ""

    def json(self) -> dict[str, JSON]:
        settings: list[JSON] = [cast("dict[str, JSON]", one._asdict()) for one in self.settings]
        return {**super().json(), "measured": list(self.measured), "settings": settings}


def listed() -> list[Listed]:
    """Every method there is, in groups: those of the catalogue, then those of other packages."""
    known = [_listed(name) for name in catalog.METHODS]
    # The guide's own order tells a beginner more than the alphabet.
    order = {name: place for place, name in enumerate(GUIDE)}
    known.sort(key=lambda one: (GROUPS.index(one.group), order.get(one.name, len(order))))
    return known + [_plugged(name) for name in _others()]


def described(name: str) -> Described:
    """One method by its name or ``module:Class``. PlanError where there is none, or it cannot be imported."""
    names = [*catalog.METHODS, *_others()]
    if name not in names and ":" not in name:
        raise PlanError("METHOD", name, ", ".join(names), nearest(name, names))
    kind = catalog.find("methods", name, "METHOD")
    one = _listed(name) if name in catalog.METHODS else _plugged(name)
    needs = _built(name).needs() if not one.problem else Needs()
    return Described(
        **{key: getattr(one, key) for key in Listed.__dataclass_fields__},
        about=_about(kind),
        measured=_measured(needs),
        settings=_settings(kind),
        example=_example(name, needs),
    )


def _others() -> list[str]:
    """Names that installed packages bring; a shipped name cannot be taken over."""
    points = {point.name for point in entry_points(group="accord.methods")}
    return sorted(points - catalog.METHODS.keys())


def _listed(name: str) -> Listed:
    if name not in GUIDE:
        raise ContractError(
            f"the method {name}", "every method of the catalogue has an entry in GUIDE", "none"
        )
    advice = GUIDE[name]
    method = _built(name)
    shape = method.rows
    return Listed(
        name=name,
        group=advice.group,
        does=_does(type(method)),
        use=advice.use,
        rows=advice.rows,
        moves=advice.moves,
        pushes_down=method.pushes_down,
        by=shape.by,
        unit=shape.unit,
        n=shape.n,
    )


def _plugged(name: str) -> Listed:
    """By what its class says, as far as it can be imported and built without settings."""
    try:
        kind = catalog.find("methods", name)
    except PlanError as error:
        return Listed(name, _OTHERS, problem=f"it cannot be imported: {error.advice}")
    try:
        method = _built(name)
    except (PlanError, ContractError) as error:
        needed = ", ".join(one.name for one in _settings(kind) if one.needed)
        problem = f"it needs settings: {needed}" if needed else str(error).splitlines()[0]
        return Listed(name, _OTHERS, _does(kind), problem=problem)
    shape = method.rows
    down = method.pushes_down
    moves = "pushes answers down" if down else "raises only"
    return Listed(name, _OTHERS, _does(kind), "", _rows(shape), moves, down, shape.by, shape.unit, shape.n)


def _built(name: str) -> Method:
    example: Mapping[str, JSON] = GUIDE[name].example if name in GUIDE else {}
    return cast(Method, catalog.build("methods", {"name": name, **example}))


def _rows(shape: Shape) -> str:
    what = {"answer": "answers", "pair": "pairs of answers", "episode": "episodes"}[shape.unit]
    match shape.by:
        case "data":
            return f"{what} in the data"
        case "base":
            return f"{what} of the base model"
        case "policy":
            return f"its own {what}, {shape.n} to a prompt"


def _does(kind: type) -> str:
    return (getdoc(kind) or "").partition("\n")[0]


def _about(kind: type) -> str:
    """The first paragraph of the module: the formula and where it comes from, without the differences."""
    text = (sys.modules[kind.__module__].__doc__ or "").strip()
    return text.partition("\nDeliberate differences")[0].rstrip()


def _measured(needs: Needs) -> tuple[str, ...]:
    found = [f"{name}: {_MEASURED.get(name, name)}" for name in sorted(needs.columns)]
    found += [f"{one.column}: {one.want} of {one.model or 'the base model'}" for one in needs.reads]
    found += ["the same for answers to other prompts"] if needs.mismatched else []
    found += [f"{needs.scores} score heads: the result scores answers, and says none"] if needs.scores else []
    return (*found, "a critic, trained beside the policy") if needs.critic else tuple(found)


def _settings(kind: type) -> tuple[Setting, ...]:
    fields = kind.model_fields if issubclass(kind, BaseModel) else {}
    return tuple(_setting(name, told) for name, told in fields.items())


def _setting(name: str, told: FieldInfo) -> Setting:
    needed = told.is_required()
    default: object = None if needed else told.get_default(call_default_factory=True)
    takes = told.description or describe(told.annotation, told.metadata)
    if told.annotation is ports.Method and not told.description:
        takes = "a method: a table with its name and settings"
    return Setting(name, takes, cast(JSON, to_jsonable_python(default)), needed)


def _example(name: str, needs: Needs) -> str:
    """A command where the method has a recipe, and the plan that ships with it; else its table in a plan."""
    example: Mapping[str, JSON] = GUIDE[name].example if name in GUIDE else {}
    shipped = [f"accord run {name}.toml"] if name in shipped_plans() else []
    if name in RECIPES:
        entry = RECIPES[name]
        file = next((_FILES[kind] for kind in entry.reads if kind in _FILES), "texts.jsonl")
        reward = " --reward my.py:right" if entry.answers and not needs.reads else ""
        sets = "".join(f" --set method.{key}={value}" for key, value in example.items())
        return "\n".join([f"accord run {name} {file} --model ./model{reward}{sets}", *shipped])
    return "\n\n".join([*shipped, tomli_w.dumps({"stage": {"method": {"name": name, **example}}}).strip()])
