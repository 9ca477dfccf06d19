"""A model that is read, a model that speaks, and questions for a judge. Used by the tests of Judge."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from accord.desk import FrontDesk
from accord.errors import Refused
from accord.overseers.judge import Judge
from accord.ports import How, Overseer, Sampler, Scored
from accord.records import (
    Abstention,
    Judgment,
    Kind,
    Prompt,
    Question,
    Response,
)
from accord.records.rows import Group, Text
from accord.testing import a_group
from accord.testing.checks_feedback import questions_about

GROUPS = [a_group("Why?", "yes", "no", "maybe"), a_group("How?", "so", "thus")]
YES, NO, MAYBE = GROUPS[0].responses
GRADE = questions_about(GROUPS, Kind.GRADE)
COMPARE = questions_about(GROUPS, Kind.COMPARE)
LABEL = questions_about(GROUPS, Kind.LABEL)
THREE = Question(asks=Kind.COMPARE, prompt=GROUPS[0].prompt.id, responses=(YES.id, NO.id, MAYBE.id))
SORRY = "I'm sorry, but I can't help with that."
RUBRIC = "The better answer is the shorter one."


class Reader:
    """A model whose probability of an option is what ``p`` says of the prompt; each has an end token."""

    can = frozenset({"sample", "logp"})

    def __init__(self, p: Callable[[str, str], float], policy: str = "m@1") -> None:
        self.p, self.policy = p, policy
        self.calls: list[list[tuple[str, str]]] = []
        self.fails: list[Exception] = []

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, prompt_tokens=(1, 2, 3), tokens=(4,), tokenizer="t")

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        raise AssertionError("its probabilities are read")

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        assert want == {"logp"}
        self.calls.append([(t.prompt.text, t.response.text) for t in texts])
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop(0)
        found = [math.log(self.p(t.prompt.text, t.response.text)) for t in texts]
        return [Scored({"logp": np.array([logp / 4, logp * 3 / 4])}, "t") for logp in found]


class Speaker:
    """A model that says what ``answers`` says of its prompt, and remembers what it was asked."""

    can = frozenset({"sample"})

    def __init__(self, answers: Callable[[Prompt], str], policy: str = "m@1") -> None:
        self.answers, self.policy = answers, policy
        self.prompts: list[Prompt] = []
        self.how: list[How] = []

    def encode(self, prompt: Prompt, text: str) -> Response:
        raise AssertionError("it is asked, not read")

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        assert (len(prompts), n) == (1, 1)
        self.prompts.append(prompts[0])
        self.how.append(how)
        said = self.answers(prompts[0])
        if isinstance(said, Exception):
            raise said
        return [Group(prompts[0], (Response(prompt=prompts[0].id, text=said, tokens=(1,), seed=how.key),))]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise AssertionError("it cannot be scored")


class Failure(Refused):
    """As an engine raises it."""

    def __init__(self, abstains: str) -> None:
        self.abstains = abstains
        super().__init__(f"this is {abstains}")


def seated(sampler: Sampler, **told: Any) -> Judge:
    return Judge.model_validate({"model": "m", "rubric": RUBRIC, **told}).seated({"m": sampler})


def saying(*texts: str) -> Speaker:
    rest = list(texts)
    return Speaker(lambda prompt: rest.pop(0))


def ask(overseer: Overseer, *questions: Question, groups: Sequence[Group] = GROUPS) -> list[Judgment]:
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in groups for record in (group.prompt, *group.responses))

    async def whole() -> list[Judgment]:
        asked = asyncio.gather(*(desk.ask(overseer, question) for question in questions))
        return list(await asyncio.wait_for(asked, timeout=60))

    return asyncio.run(whole())


def abstained(judgment: Judgment) -> Abstention | None:
    assert judgment.verdict is None
    return judgment.abstention


def saying_prompt(judge: Judge) -> str:
    ask(judge, COMPARE[0])
    speaker = judge._sampler
    assert isinstance(speaker, Speaker)
    return speaker.prompts[0].text
