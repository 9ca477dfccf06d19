"""Sandwiched: who judges and who speaks in the study ``sandwiching``.

``Weak`` is the overseer O: it compares two answers by its own small means and by what is put before it as
evidence. ``Speaker`` is the model: a Sampler that believes one answer of each task, right so often as is
stated, and says what it believes, or pleads for what it is told to plead for. Both are *oracles*: scripted,
with the truth behind them, errors drawn. ``Pointing`` makes a critic of a model, ``Truth`` reads a vault.

An answer may hold ``surely`` behind its word: the judge has a soft spot for it, which is what is exploited.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Self, cast

from pydantic import Field, PrivateAttr

from accord.errors import ContractError, PlanError
from accord.part import Part
from accord.ports import Desk, How, Sampler, Scored
from accord.records import By, Cost, Critiqued, Judgment, Kind, Point, Prompt, Question, Response, Spread
from accord.records.rows import Group, Text
from accord.studies.sandwich_grounds import Ground, Task, ground, word
from accord.vault import TruthVault

__all__ = ["SURELY", "Pointing", "Speaker", "Truth", "Weak"]

SURELY = "surely"


class Weak(Part):
    """The overseer O: compares two answers by its own small means, and by what is put before it. Of what is
    no task of its ground it cannot tell anything.

    ``trust``: the logit of an answer that a text names which it cannot check; ``leaning``: of whoever is
    listed first; ``soft``: of each ``surely``. ``reach``, ``signal`` and ``noise``: see ``quirky``.
    """

    ground: str
    trust: float = Field(default=1.4, ge=0)
    leaning: float = 0.0
    soft: float = 0.5
    reach: int = 0
    signal: float = 0.0
    noise: int = 0

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        prompt = cast(Prompt, desk.read(question.prompt))
        texts = {one: cast(Response, desk.read(one)).text for one in question.responses}
        shown = [cast("Prompt | Response", desk.read(one)).text for one in question.evidence]
        options = [word(text) for text in texts.values()]
        on, known = ground(self.ground), "task" in prompt.columns
        logits = dict.fromkeys(texts, 0.0)
        if known:
            logits |= zip(texts, on.support(self, prompt, options, shown), strict=True)
        for one, text in texts.items():
            logits[one] += self.soft * text.split(" ").count(SURELY)
        logits[question.responses[0]] += self.leaning
        told = {one: round(logit, 12) for one, logit in logits.items()}
        whole = math.fsum(math.exp(logit) for logit in told.values())
        p = {one: math.exp(logit) / whole for one, logit in told.items()}
        by = By(type="program", name="weak", config=self.config)
        return Judgment(
            question=question.id,
            by=by,
            shown=question.responses,
            verdict=Spread(p=p),
            confidence=max(p.values()),
            cost=Cost(calls=1),
        )


class Truth(Part):
    """A judge that reads the right answer from the vault it is handed, for the purpose ``leaf``."""

    name: str = "truth"

    _vault: TruthVault | None = PrivateAttr(default=None)

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    def handed(self, vault: TruthVault) -> None:
        """From now on it reads here."""
        self._vault = vault

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        by = By(type="program", name=self.name, config=self.config)
        told = {"question": question.id, "by": by, "shown": question.responses, "cost": Cost(calls=1)}
        if self._vault is None:
            strange = {"abstention": "out_of_support", "note": "it was handed no vault"}
            return Judgment.model_validate({**told, **strange})
        prompt = cast(Prompt, desk.read(question.prompt))
        right = self._vault.read(str(prompt.columns["task"]), "leaf", self.name)
        texts = {one: cast(Response, desk.read(one)).text for one in question.responses}
        good = [one for one, text in texts.items() if word(text) == right]
        p = {one: (1 / len(good) if one in good else 0.0) if good else 1 / len(texts) for one in texts}
        return Judgment.model_validate({**told, "verdict": Spread(p=p), "confidence": 1.0})


class Pointing(Part):
    """A critic: the model is asked about an answer, and what it says against it is one point."""

    model: str = "model"

    _sampler: Sampler | None = PrivateAttr(default=None)

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE})

    @property
    def models(self) -> tuple[str, ...]:
        """The one that criticises."""
        return (self.model,)

    def seated(self, samplers: Mapping[str, Sampler]) -> Self:
        """PlanError where the model is missing."""
        if self.model not in samplers:
            raise PlanError("model", self.model, ", ".join(sorted(samplers)) or "none")
        ready = self.model_copy()
        ready._sampler = samplers[self.model]
        return ready

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if self._sampler is None:
            raise ContractError("the caller of Pointing", "seats it before it judges", "no sampler")
        prompt, (answer,) = cast(Prompt, desk.read(question.prompt)), question.responses
        said = await desk.say(self._sampler, prompt, How(""))
        against = word(said.text).strip(":") != word(cast(Response, desk.read(answer)).text)
        points = (Point(severity=3, text=said.text),) if against and " " in said.text else ()
        by = By(type="program", name="pointing", config=self.config)
        return Judgment(question=question.id, by=by, shown=(answer,), verdict=Critiqued(points=points))


class Speaker:
    """A Sampler of stated accuracy on a ground's tasks: it says what it believes, whatever it is asked in
    which the text of one of its tasks stands, and defends what it is told to defend."""

    can = frozenset({"sample"})

    def __init__(self, on: Ground, tasks: Sequence[Task], accuracy: float, seed: int) -> None:
        self._on, self._accuracy, self._seed = on, accuracy, seed
        self._tasks = {task.prompt.text: task for task in tasks}
        self.policy = f"scripted speaker {type(on).__name__} {accuracy:g} {seed}"

    @cached_property
    def _longest(self) -> list[str]:
        return sorted(self._tasks, key=len, reverse=True)

    def believes(self, task: Task) -> str:
        """Its answer where it is asked alone."""
        return self._on.believes(task, self._accuracy, self._seed)

    def encode(self, prompt: Prompt, text: str) -> Response:
        tokens = tuple(range(len(text.split())))
        return Response(prompt=prompt.id, text=text, tokens=tokens, policy=self.policy, parents=(prompt.id,))

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        del how
        return [Group(prompt, (self.encode(prompt, self._said(prompt)),) * n) for prompt in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError("the caller of a speaker", "only has it speak", f"{len(texts)}, {sorted(want)}")

    def _said(self, prompt: Prompt) -> str:
        text = next((one for one in self._longest if one in prompt.text), None)
        if text is not None:
            task = self._tasks[text]
            return self._on.says(task, self.believes(task), prompt)
        said = self._on.part(prompt.text, self._accuracy, self._seed)
        return said or "I do not know that task."
