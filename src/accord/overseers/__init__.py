"""Overseers: who answers a Question (layer 2). ``program.py`` is the example of a leaf to follow,
``both_orders.py`` of one that is made of others.

Here: leaves and combinators, one file each; they touch nothing but their Desk. Beside this map stands what
they share, since none of them may import another: ``Made`` names, seats and signs with what is inside;
``Speaking`` is one whose models speak before a verdict; ``Said``, ``Keyed``, ``speaker`` are who speaks;
``rows_in`` reads their files. Not here: what is asked and how answers become numbers (``accord.asks``), or
the bookkeeping around an answer (``accord.desk``).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar, cast, get_args

import numpy as np
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    SkipValidation,
    model_validator,
)

from accord.errors import AccordError, ContractError, PlanError, Unreadable, beneath
from accord.functions import function, named_by, source
from accord.maths.talking import Talk, talk
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
    "Keyed",
    "Made",
    "Said",
    "Silent",
    "Speaking",
    "abstained",
    "function",
    "generator",
    "inside",
    "named_by",
    "reason_of",
    "remade",
    "rows_in",
    "shares",
    "silent",
    "source",
    "speaker",
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


class Speaking(Made):
    """Made of ``inner``, which judges, and of models that speak of two answers first. ``material``: columns
    of the prompt that speakers read and may quote, and the judge does not see."""

    inner: Inner
    material: tuple[str, ...] = ()
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)
    seed: int = 0

    form: ClassVar[tuple[str, ...]] = ()  # the texts in which it asks: others make it another overseer
    _voices: dict[str, Sampler] = PrivateAttr(default_factory=dict[str, Sampler])

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if Kind.COMPARE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that compares answers")
        return self

    @property
    @abstractmethod
    def speaks(self) -> Mapping[str, str]:
        """The models that speak, by the setting that names each."""

    @abstractmethod
    async def heard(self, question: Question, talk: Talk, desk: Desk) -> tuple[Question, str]:
        """Has everybody speak: the question as ``inner`` is asked it then, and a note."""

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    @property
    def models(self) -> tuple[str, ...]:
        """Those of the inner overseer, and those that speak."""
        return _once(iter((*super().models, *self.speaks.values())))

    @cached_property
    def config(self) -> str:
        """Also the form of what is asked; once seated the weights of who speaks."""
        seats: dict[str, JSON] = {name: voice.policy for name, voice in sorted(self._voices.items())}
        return digest({"made": super().config, "seats": seats, "form": [*self.form]})

    def seated(self, samplers: Mapping[str, Sampler]) -> Self:
        """PlanError where a model that speaks is missing, or cannot."""
        ready = super().seated(samplers)
        ready._voices = {name: speaker(samplers, name, path) for path, name in self.speaks.items()}
        return ready

    def named(self, question: Question) -> tuple[str, str]:
        """The answers that are called One and Two in what is said: drawn before anything is, by lot."""
        one, two = sorted(question.responses)
        turned = generator(self.seed, "answers", *unordered(question)).integers(2)
        return (two, one) if turned else (one, two)

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if len(question.responses) != 2:
            raise ValueError(f"speakers speak of two answers, not of {len(question.responses)}")
        try:
            asked, note = await self.heard(question, self._talk(question, desk), desk)
        except AccordError as error:
            return self.signed(question, abstained(error), str(error))
        return self.taken_over(question, await desk.ask(self.inner, asked), note)

    async def said(self, model: str, asked: Prompt, key: Sequence[JSON], desk: Desk) -> Response:
        """A text of this model. Another ``key`` is another draw; the question asked under decides none."""
        if model not in self._voices:
            raise ContractError(f"the caller of {type(self).__name__}", "seats it before it judges", model)
        how = How("", self.temperature, self.max_tokens)
        return await desk.say(Keyed(self._voices[model], f"talk/{digest([*key])}"), asked, how)

    def _talk(self, question: Question, desk: Desk) -> Talk:
        named, key = self.named(question), digest([self.seed, *unordered(question)])
        answers = tuple(cast(Response, desk.read(answer)) for answer in named)
        evidence = [desk.read(record) for record in question.evidence]
        return talk(key, cast(Prompt, desk.read(question.prompt)), answers, self.material, evidence)


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


class Keyed:
    """A Sampler whose draws do not hang on the question that they are asked under, but on a key."""

    def __init__(self, sampler: Sampler, key: str) -> None:
        self._sampler, self._key = sampler, key
        self.can, self.policy, self.encode, self.score = (
            sampler.can,
            sampler.policy,
            sampler.encode,
            sampler.score,
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return await self._sampler.sample(prompts, n, how._replace(key=self._key))


def _flat(overseer: Made) -> Iterator[Overseer]:
    for ones in _held(overseer).values():
        yield from ones


def _once(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def speaker(samplers: Mapping[str, Sampler], name: str, path: str = "model") -> Sampler:
    """The model of this name. PlanError where it was not opened, or cannot speak."""
    able = {one: sampler for one, sampler in samplers.items() if "sample" in sampler.can}
    if name not in able:
        known = ", ".join(sorted(able)) or "none"
        raise PlanError(path, name, f"models that were opened and can speak: {known}")
    return able[name]


class Silent(Exception):
    """Why there is no verdict, or no answer."""

    def __init__(self, abstains: Abstention, note: str) -> None:
        self.abstains: Abstention = abstains
        super().__init__(note)


def reason_of(error: Exception) -> Abstention | None:
    """The abstention that an error stands for: our own, or what a sampler's says of itself."""
    reason = getattr(error, "abstains", None)
    return reason if reason in get_args(Abstention) else None


def abstained(error: Exception) -> Abstention:
    """The abstention that an error stands for; the error itself where it stands for none."""
    if (reason := reason_of(error)) is None:
        raise error
    return reason


def rows_in(file: str, setting: str, form: str) -> Iterator[tuple[int, str, Mapping[str, object]]]:
    """The lines of a file of JSON lines: number, text, and its fields (none where it is no object).

    PlanError where the file of this ``setting`` cannot be read; Unreadable for what is no JSON.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(setting, file, f"a file of JSON lines, {form}", str(error)) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except ValueError as error:
            raise Unreadable(file, form, str(error), number) from None
        yield number, line, cast("dict[str, object]", row) if isinstance(row, dict) else {}


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
