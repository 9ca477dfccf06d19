"""Overseers: who answers a Question (layer 2). ``program.py`` is the example of a leaf to follow,
``both_orders.py`` of one that is made of others.

Here: leaves and combinators, one file each; they touch nothing but their Desk. Beside this map stands what
combinators share (``Made``: names, seats and signs with what is inside; ``Said``), since none of them may
import another, and how a function that a plan names is found. Not here: what is asked and how answers become
numbers (``accord.asks``), or the bookkeeping around an answer (``accord.desk``).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self, TypeVar, cast

import numpy as np
from pydantic import AfterValidator, ConfigDict, PlainSerializer, SkipValidation, model_validator

from accord.errors import ContractError, PlanError, beneath
from accord.part import Part, named
from accord.ports import Desk, How, Overseer, Queue, Queued, Sampler, Scored, Seated
from accord.problems import problem
from accord.records import (
    JSON,
    Abstention,
    By,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Response,
    Spread,
    Verdict,
    digest,
)
from accord.records.rows import Group, Text

__all__ = [
    "Inner",
    "Made",
    "Said",
    "function",
    "generator",
    "inside",
    "remade",
    "shares",
    "silent",
    "source",
    "unordered",
]

_P = TypeVar("_P", bound=Part)
_DEEPEST = 8  # what the desk bears
_TABLE = 'a table that names an overseer, as inner = { name = "program", fn = "reward.py:right" }'


def _an_overseer(value: object) -> object:
    if not _judges(value):
        raise problem([], type(value).__name__, _TABLE)
    return value


def _judges(value: object) -> bool:
    return isinstance(value, Part) and callable(getattr(value, "judge", None))


Inner = Annotated[Overseer, SkipValidation, AfterValidator(_an_overseer), PlainSerializer(named)]


def inside(overseer: object, depth: int = 0) -> Iterator[tuple[Overseer, int]]:
    """It, and every overseer that it is made of, each with how deep it lies."""
    yield cast(Overseer, overseer), depth
    for ones in _held(overseer).values():
        for one in ones:
            yield from inside(one, depth + 1)


def _held(overseer: object) -> dict[str, tuple[Overseer, ...]]:
    """The overseers among the settings of a part, by the name of the setting."""
    found: dict[str, tuple[Overseer, ...]] = {}
    for name in type(overseer).model_fields if isinstance(overseer, Part) else ():
        value: object = getattr(overseer, name)
        several = cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,))
        if ones := tuple(cast(Overseer, one) for one in several if _judges(one)):
            found[name] = ones
    return found


def remade(overseer: _P, change: Callable[[Overseer], Overseer], **settings: object) -> _P:
    """A copy with each overseer that is directly inside changed, and other settings; nothing is checked."""
    changed: dict[str, object] = {}
    for name, ones in _held(overseer).items():
        several = isinstance(getattr(overseer, name), tuple)
        made: list[Overseer] = []
        for index, one in enumerate(ones):
            with beneath(f"{name}[{index}]" if several else name):
                made.append(change(one))
        changed[name] = tuple(made) if several else made[0]
    copied = overseer.model_copy(update={**changed, **settings})
    vars(copied).pop("config", None)  # the hash of the one it was copied from
    return copied


class Made(Part, ABC):
    """An overseer made of others: it names their models and queues, seats them, and signs with their hashes.

    Its ``config`` covers theirs, so that of a seated one covers the weights.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    @model_validator(mode="after")
    def _not_too_deep(self) -> Self:
        depth = 1 + max(depth for _, depth in inside(self))
        if depth > _DEEPEST:
            raise problem(list(_held(self))[:1], depth, f"overseers nested {_DEEPEST} deep at most")
        return self

    @property
    @abstractmethod
    def answers(self) -> frozenset[Kind]: ...

    @abstractmethod
    async def judge(self, question: Question, desk: Desk) -> Judgment: ...

    @cached_property
    def config(self) -> str:
        """The class, every setting, and the hashes of the overseers inside."""
        inner = _held(self)
        fields = cast(JSON, self.model_dump(mode="json", exclude=set(inner)))
        parts: dict[str, JSON] = {name: [one.config for one in ones] for name, ones in inner.items()}
        kind = f"{type(self).__module__}:{type(self).__qualname__}"
        return digest({"class": kind, "fields": fields, "inside": parts})

    @property
    def models(self) -> tuple[str, ...]:
        """Of the overseers inside, each once."""
        return _once(m for one in _flat(self) if isinstance(one, Seated) for m in one.models)

    def seated(self, samplers: Mapping[str, Sampler]) -> Self:
        """With every overseer inside that reads with models seated."""
        return remade(self, lambda one: one.seated(samplers) if isinstance(one, Seated) else one)

    @property
    def queues(self) -> tuple[str, ...]:
        """Of the overseers inside, each once."""
        return _once(q for one in _flat(self) if isinstance(one, Queued) for q in one.queues)

    def queued(self, queues: Mapping[str, Queue]) -> Self:
        """With every overseer inside that waits for people ready to ask."""
        return remade(self, lambda one: one.queued(queues) if isinstance(one, Queued) else one)

    def signed(self, question: Question, said: Verdict | Abstention, note: str = "") -> Judgment:
        """A judgment of its own: a verdict, or the reason why there is none."""
        silent = isinstance(said, str)
        return Judgment(
            question=question.id,
            by=By(type="protocol", name=type(self).__name__, config=self.config),
            shown=question.responses,
            verdict=None if silent else said,
            abstention=said if silent else None,
            note=note,
        )

    def taken_over(self, question: Question, said: Judgment, note: str = "") -> Judgment:
        """What an overseer inside said, as its own: verdict or abstention, confidence, reasons, marks."""
        kept = {"confidence": said.confidence, "rationale": said.rationale, "marks": said.marks}
        note = "; ".join(part for part in (note, said.note.partition(" (traceback")[0]) if part)
        return self.signed(question, said.verdict or said.abstention or "error", note).model_copy(update=kept)


class Said:
    """A Sampler that says one text: what a function or a file tells becomes a Response as any other."""

    can = frozenset({"sample"})

    def __init__(self, text: str, policy: str) -> None:
        self._text, self.policy = text, policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, finish="data", policy=self.policy, parents=(prompt.id,))

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        del how
        return [Group(prompt, (self.encode(prompt, self._text),) * n) for prompt in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError("the caller of a text", "only has it said", f"{len(texts)} texts, {sorted(want)}")


def _flat(overseer: Made) -> Iterator[Overseer]:
    for ones in _held(overseer).values():
        yield from ones


def _once(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def shares(question: Question, said: Judgment) -> dict[str, float] | None:
    """What a verdict gives to each option, summing to 1; None for an abstention, or where options are not.

    A tie for the best place shares it; of labels, each that applies gets its part, and "" all if none does.
    """
    match said.verdict:
        case Spread(p=p):
            return dict(p)
        case Ranked(tiers=(best, *_)):
            part = dict.fromkeys(question.responses, 0.0)
            for one in best:
                part[one] += 1 / len(best)
            return part
        case Labelled(tags=tags):
            applying = tuple(dict.fromkeys(tags)) or ("",)
            return dict.fromkeys(applying, 1 / len(applying))
        case _:
            return None


def silent(said: Iterable[Judgment]) -> Judgment | None:
    """An abstention among these; of two reasons the first by the alphabet: their order cannot show."""
    return min((j for j in said if j.abstention), key=lambda j: str(j.abstention), default=None)


def unordered(question: Question) -> list[JSON]:
    """What a draw may depend on: the prompt and the answers, whatever order they are listed in."""
    return [question.prompt, *sorted(question.responses)]


def generator(*seed: JSON) -> np.random.Generator:
    """A generator that is a function of the seed alone."""
    return np.random.Generator(np.random.Philox(key=int(digest(list(seed))[:32], 16)))


def function(name: str) -> Callable[..., object]:
    """The function behind ``module:function`` or ``file.py:function``. PlanError when it is none."""
    module, _, attribute = name.rpartition(":")
    try:
        found = getattr(_load(module), attribute, None)
    # A user's file may raise anything while it is imported; all of it is an error of the plan.
    except Exception as error:
        advice = f"cannot import it: {error}"
        raise PlanError("fn", name, "module:function or file.py:function", advice) from error
    if not callable(found):
        advice = f"{module} has no function {attribute!r}"
        raise PlanError("fn", name, "module:function or file.py:function", advice)
    return found


def source(found: Callable[..., object]) -> str:
    """The hash of the file that a function stands in: an edited one is another."""
    file = inspect.getsourcefile(found)
    return hashlib.sha256(Path(file).read_bytes() if file else b"").hexdigest()


def _load(module: str) -> object:
    """A module by name, or a Python file by path (loaded once per absolute path)."""
    if not module.endswith(".py"):
        return importlib.import_module(module)
    path = Path(module).resolve()
    if not path.is_file():
        raise ImportError(f"no file {path}")
    name = f"accord_program_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded
