"""Own: a panel of the user's, scored by the user's measure.

    X = 1 − score        score in [0, 1], 1 good, for an item and an answer to it

Three scorers. ``choice``: 1 where the letter of the right option is the likeliest; nothing is sampled.
``exact``: 1 where the answer that was drawn is the item's ``answer`` (or ``target``), but for case, blanks
and marks around it. ``module:function`` or ``file.py:function``: ``fn(item, answer)``, where ``item`` is the
line of the panel as a dict; None where it cannot tell.

A scorer that asks a model, or looks a person's verdict up, is a judge and may err: say so with ``judged``.

There is no reference: what a score means is the user's to say. So it reports, and pages only where a rule
holds a tolerance for it, under the name ``own.`` and the file's name without its ending.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self, cast

from pydantic import Field, model_validator

from accord.errors import ContractError, PlanError
from accord.indicators import Posed, Tier, chosen, listed
from accord.part import Part
from accord.ports import How, Observed, Sampler
from accord.problems import problem
from accord.records import JSON, Cost, digest
from accord.records.panels import Item

__all__ = ["Own", "Scorer", "line", "same"]

Scorer = Callable[[Mapping[str, JSON], str], float | None]

_ALLOWED = "exact, choice, module:function or file.py:function"
_MARKS = " \"'“”‘’«»()[]*_`.,;:!?…。"  # not signs: -5 is not 5
_WRONG = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)


def same(answer: str, target: str) -> float:
    """1 for equal texts, but for case, runs of blanks, and marks around them; nothing is never equal.

    >>> same(' "The  Nile."', "the Nile"), same("-5", "5"), same("?", "!")
    (1.0, 0.0, 0.0)
    """
    ours, theirs = (" ".join(text.casefold().split()).strip(_MARKS) for text in (answer, target))
    return float(bool(ours) and ours == theirs)


def line(item: Item) -> dict[str, JSON]:
    """The item as the line of its panel had it."""
    told: dict[str, JSON] = {"prompt": item.prompt.text, "slice": item.slice, "answer": item.answer}
    return {**told, "options": list(item.options), **item.more}


class Own(Part):
    """Items of a file, each answer scored by ``scorer``; a drawn one stands beside eight of the base."""

    panel: str = Field(min_length=1)
    scorer: str = Field(min_length=1)
    judged: bool = False

    @model_validator(mode="after")
    def _can_err(self) -> Self:
        if self.judged and self.scorer in ("choice", "exact"):
            raise problem(["judged"], True, f"false: {self.scorer} is a program, and nobody's judgment")
        return self

    @property
    def name(self) -> str:
        return "own"

    @property
    def tier(self) -> Tier:
        return "report"

    @property
    def criteria(self) -> tuple[str, ...]:
        return (Path(self.panel).stem,)

    @property
    def wants(self) -> frozenset[str]:
        """Beyond answers, which every model gives."""
        return frozenset({"logp"} if self.scorer == "choice" else ())

    @property
    def draws(self) -> int:
        return 1 if self.scorer == "choice" else 8

    @property
    def share(self) -> float:
        return 1.0

    @cached_property
    def config(self) -> str:
        """Also hashes the file a scorer stands in; the panel is hashed beside it, wherever it lies."""
        source = ""
        if self.scorer not in ("choice", "exact"):
            file = inspect.getsourcefile(self._scored)
            source = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
        told = {"class": "own", "criterion": self.criteria[0], "scorer": self.scorer, "source": source}
        return digest(cast(JSON, told))

    def takes(self, item: Item) -> bool:
        """``choice`` takes items with a right option of two to eight, ``exact`` those with an answer."""
        if not item.prompt.text.strip():
            return False
        if self.scorer == "choice":
            return bool(item.answer) and 2 <= len(item.options) <= 8
        return self.scorer != "exact" or bool(_target(item))

    def cost(self, items: int, tokens: int) -> Cost:
        """Four letters, or one answer that may be as long as answers are."""
        if self.scorer == "choice":
            return Cost(calls=4 * items, tokens_in=4 * items * tokens)
        return Cost(calls=items, tokens_in=items * tokens, tokens_out=64 * items)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        criterion = self.criteria[0]
        if self.scorer == "choice":
            posed = [Posed(listed(item.prompt, item.options), item.options) for item in items]
            found = await chosen(sampler, posed)
            wrong = tuple(
                float(int(p_O.argmax()) != item.right) for p_O, item in zip(found.p_Q, items, strict=True)
            )
            cost = Cost(calls=sum(len(one.options) for one in posed))
            return Observed({criterion: wrong}, tuple(found.said), found.tokenizer, cost)
        said = await sampler.sample([item.prompt for item in items], 1, how)
        answers = [group.responses[0].text for group in said]
        adverse = tuple(self._adverse(item, answer) for item, answer in zip(items, answers, strict=True))
        return Observed({criterion: adverse}, tuple(said), "texts", Cost(calls=len(said)))

    def _adverse(self, item: Item, answer: str) -> float | None:
        if self.scorer == "exact":
            return 1 - same(answer, _target(item))
        promise = "fn(item, answer) gives a number in [0, 1], 1 good, or None where it cannot tell"
        try:
            score = self._scored(line(item), answer)
            number = None if score is None else float(score)
        except _WRONG as error:
            found = f"{type(error).__name__}: {error}, for {item.prompt.text[:60]!r}"
            raise ContractError(f"the scorer {self.scorer}", promise, found) from error
        if number is not None and not 0 <= number <= 1:
            raise ContractError(f"the scorer {self.scorer}", promise, f"{score!r}, for {answer[:60]!r}")
        return None if number is None else 1 - number

    @cached_property
    def _scored(self) -> Scorer:
        """The user's function. PlanError where it cannot be imported or called."""
        module, colon, attribute = self.scorer.rpartition(":")
        if not (colon and module and attribute.isidentifier()):
            raise PlanError("scorer", self.scorer, _ALLOWED)
        try:
            found: object = getattr(_loaded(module), attribute, None)
        # A user's file may raise anything while it is imported; all of it is an error of the plan.
        except Exception as error:
            advice = f"cannot import it: {type(error).__name__}: {error}"
            raise PlanError("scorer", self.scorer, _ALLOWED, advice) from error
        if not callable(found):
            raise PlanError("scorer", self.scorer, _ALLOWED, f"{module} has no function {attribute!r}")
        return cast(Scorer, found)


def _target(item: Item) -> str:
    return item.answer or str(item.more.get("target") or "")


class _Loader(Protocol):
    def exec_module(self, module: object) -> None: ...


def _loaded(module: str) -> object:
    """A module by name, or a Python file by path."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).resolve()
    spec = importlib.util.spec_from_file_location(f"accord_scorer_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ImportError(f"no Python file {path}")
    loaded = importlib.util.module_from_spec(spec)
    cast(_Loader, spec.loader).exec_module(loaded)
    return loaded
