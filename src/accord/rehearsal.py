"""What a stage's overseers will take: one group of answers is put to them, with nobody behind the seats.

The models that judge, debate and advise are replaced by one that says as much as it may, and overseers that
are asked themselves (programs, reward models, people) by one that shrugs; all between them is the plan's own,
so a debate takes its turns and a constitution its principles. Nothing of it is recorded and no model runs.

1. Calls are exact where every reply can be read at once and answers differ: a repair is one more, and of
   equal answers nobody debates. What is written is a bound; what is read is reckoned with texts of about
   that length.
2. ``split`` of ``amplified`` and ``fn`` of ``hindsight`` are functions of the plan's, and are called.
3. Where somebody abstains before all is asked nothing is foretold: half a debate costs less than one. So it
   is with ``qualified``, whose examination nobody passes here.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np
from pydantic import Field

from accord.desk import FrontDesk
from accord.feedback import Asking, StageFeedback
from accord.overseers import Made, remade
from accord.part import Part
from accord.ports import Desk, How, Overseer, Sampler, Scored, Seated
from accord.records import (
    JSON,
    By,
    Cost,
    Critiqued,
    Graded,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Revised,
    Verdict,
)
from accord.records.rows import Group, Text
from accord.worker import Worker

__all__ = ["Rehearsed", "rehearsed"]

_GROUPS = 8  # that are put to it; the others of a window take as much
_SPEAKS = frozenset({"sample", "logp"})
_ENDED = frozenset({None, "order_conflict", "no_quorum"})  # all that there is to ask was asked


class Rehearsed(NamedTuple):
    """How many questions an overseer is asked in a window, and what they take, those of its parts too."""

    questions: float
    cost: Cost


def rehearsed(asking: Asking, groups: Sequence[Group], worker: Worker) -> Rehearsed | None:
    """None for an overseer that asks no model, and where the rehearsal does not come to its end."""
    overseer = asking.overseer
    if not isinstance(overseer, Seated) or not groups:
        return None
    speaks = {
        name: _Extra(asking.voices[name]) for name in overseer.models if _SPEAKS & asking.voices[name].can
    }
    if not speaks:
        return None
    voices = {**asking.voices, **cast("Mapping[str, Sampler]", speaks)}
    played = cast(Seated, _played(overseer, speaks)).seated(voices)
    put = [_worded(group) for group in groups[:_GROUPS]]
    written: list[Record] = []
    desk = FrontDesk(written.extend, lambda: None)
    StageFeedback([Asking(asking.ask, played)], desk, worker, lambda _: None)(put)
    said = [record for record in written if isinstance(record, Judgment)]
    if not said or any(one.abstention not in _ENDED for one in said):
        return None
    times = len(groups) / len(put)
    taken = sum((one.cost for one in said), Cost())
    cost = Cost(
        calls=round(taken.calls * times),
        tokens_in=round(taken.tokens_in * times),
        tokens_out=round(taken.tokens_out * times),
    )
    return Rehearsed(len(asking.ask.questions(put)) * times, cost)


def _worded(group: Group) -> Group:
    """Answers that were made up have tokens and no text: each gets one of about that length, its own."""
    texts = [r.text or f"{index}{_word(len(r.tokens))}" for index, r in enumerate(group.responses)]
    told = zip(group.responses, texts, strict=True)
    return Group(group.prompt, tuple(r.model_copy(update={"text": text}) for r, text in told))


def _word(times: int) -> str:
    return " so" * times


def _played(overseer: Overseer, speaks: Container[str]) -> Overseer:
    """With whoever asks none of these models played by one who shrugs."""
    if isinstance(overseer, Made):
        return cast(Overseer, remade(overseer, partial(_played, speaks=speaks)))
    if isinstance(overseer, Seated) and any(name in speaks for name in overseer.models):
        return overseer
    return cast(Overseer, _Shrug(kinds=tuple(sorted(overseer.answers)), of=overseer.config))


class _Shrug(Part):
    """In the place of an overseer that asks no model: a verdict of the right form, at no cost."""

    kinds: tuple[Kind, ...] = Field(min_length=1)
    of: str

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset(self.kinds)

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        del desk
        by = By(type="program", name="rehearsal", config=self.config)
        verdict = _verdict(question)
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)


def _verdict(question: Question) -> Verdict:
    answers = question.responses
    match question.asks:
        case Kind.COMPARE:
            return Ranked(tiers=tuple((answer,) for answer in dict.fromkeys(answers)))
        case Kind.GRADE:
            low = (question.instrument.scale or (0.0,))[0]
            return Graded(scores=dict.fromkeys(answers if len(answers) > 1 else ("score",), low))
        case Kind.CRITIQUE:
            return Critiqued(points=())
        case Kind.REVISE:
            return Revised(text="…")
        case Kind.LABEL:
            return Labelled(tags=question.instrument.options[:1])


class _Extra:
    """In the place of a model: says as much as it may, in the form that is asked for; reads at no cost."""

    def __init__(self, real: Sampler, form: Mapping[str, JSON] | None = None) -> None:
        self._real, self._form = real, form
        self.can, self.policy, self.encode = real.can, real.policy, real.encode

    def structured(self, schema: Mapping[str, JSON]) -> Sampler:
        return _Extra(self._real, schema)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(p, tuple(self._said(p, index, how) for index in range(n))) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        lengths = [len(self.encode(text.prompt, text.response.text).tokens) for text in texts]
        return [Scored({name: np.zeros(length) for name in want}, "rehearsal") for length in lengths]

    def _said(self, prompt: Prompt, index: int, how: How) -> Response:
        text = _word(how.max_tokens) if self._form is None else json.dumps(_filled(self._form))
        opening = self.encode(prompt, "").prompt_tokens
        told = {"prompt": prompt.id, "text": text, "policy": self.policy, "index": index, "seed": how.key}
        return Response.model_validate(told | {"prompt_tokens": opening, "tokens": (0,) * how.max_tokens})


def _filled(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """An object that the schema allows.

    >>> _filled({"properties": {"reason": {"type": "string"}, "choice": {"enum": ["A", "B"]}}})
    {'reason': '…', 'choice': 'A'}
    """
    found: dict[str, JSON] = {}
    for name, field in cast("dict[str, dict[str, JSON]]", schema["properties"]).items():
        items = cast("dict[str, JSON]", field.get("items", {}))
        found[name] = items["enum"] if items else cast("list[JSON]", field.get("enum", ["…"]))[0]
    return found
