"""check_overseer, check_ask, check_indicator and check_rule catch a part that breaks one promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contract.broken import ENGINE, PROMPTS, SEEN, broken

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.progress import Silent
from accord.records import Graded, NotMeasured, Question, Ranked, Reading
from accord.records.rows import Columns
from accord.rules import Fault, Fell
from accord.testing import (
    ScriptedIndicator,
    ScriptedOverseer,
    a_group,
    check_ask,
    check_indicator,
    check_overseer,
    check_rule,
)

GROUPS = [a_group("Why?", "yes", "no", "maybe", "so"), a_group("How?", "no", "yes")]
GRADES = {"yes": 1.0, "no": 0.0, "maybe": 0.5, "so": 0.7}


class Rude(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        raise RuntimeError("no")


class Anonymous(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        by = judgment.by.model_copy(update={"config": "another"})
        return type(judgment).model_validate(judgment.model_dump() | {"by": by.model_dump()})


class Blind(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        return type(judgment).model_validate(judgment.model_dump() | {"shown": ()})


class FirstWins(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        if isinstance(judgment.verdict, Ranked):
            verdict = Ranked(tiers=tuple((r,) for r in question.responses))
            return type(judgment).model_validate(judgment.model_dump() | {"verdict": verdict.model_dump()})
        return judgment


class Tired(ScriptedOverseer):
    """Grades by how much it was asked before."""

    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        verdict = Graded(scores={"score": float(len(self.asked))})
        if isinstance(judgment.verdict, Graded):
            return type(judgment).model_validate(judgment.model_dump() | {"verdict": verdict.model_dump()})
        return judgment


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Rude, "raises nothing"),
        (Anonymous, "signed with config"),
        (Blind, "shown"),
        (FirstWins, "order in which"),
        (Tired, "as each one alone"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_overseers(kind: type[ScriptedOverseer], promise: str) -> None:
    # A desk that refuses the signature turns it into an abstention: either way the check must object.
    found = broken(lambda: check_overseer(kind(grades=GRADES), GROUPS, order_free=True))
    assert promise in found or (kind is Anonymous and "raises nothing" in found)


class Zero(Each):
    """A missing grade is a 0."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        values = {n: np.nan_to_num(c) for n, c in table.values.items()}
        return replace(table, values=values, missing=np.zeros(len(table.missing), dtype=np.bool_))


class Tie(Pairs):
    """A pair that nobody judged is a tie."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        values = {n: np.nan_to_num(c, nan=0.5) for n, c in table.values.items()}
        return replace(table, values=values, missing=np.zeros(len(table.missing), dtype=np.bool_))


class Newest(Each):
    """Only the last judgment counts."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        return super().columns(groups, list({j.question: j for j in judgments}.values()))


class Orphans(Each):
    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        return replace(table, parents=((),) * len(table.parents))


class Fickle(Each):
    def questions(self, groups: Any) -> Any:
        SEEN.append(1)
        asked = super().questions(groups)
        return [Question.model_validate(q.model_dump() | {"evidence": (str(len(SEEN)),)}) for q in asked]


class Parentless(Each):
    def questions(self, groups: Any) -> Any:
        return [Question.model_validate(q.model_dump() | {"parents": ()}) for q in super().questions(groups)]


@pytest.mark.parametrize(
    ("ask", "promise"),
    [
        (Zero(column="score", collapse="distribution"), "never a zero or a tie"),
        (Tie(column="p", collapse="majority"), "never a zero or a tie"),
        (Newest(column="score", collapse="distribution"), "abstention beside a verdict"),
        (Orphans(column="score", collapse="distribution"), "parents of a row"),
        (Fickle(column="score", collapse="distribution"), "questions is pure"),
        (Parentless(column="score", collapse="distribution"), "question's parents"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_asks(ask: Any, promise: str) -> None:
    assert promise in broken(lambda: check_ask(ask, GROUPS))


class Constant(ScriptedIndicator):
    values: tuple[float | None, ...] = (0.5,)
    changed: dict[str, Any] = {}

    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        reading = await super().read(look, base, draw)
        return Reading.model_validate(reading.model_dump() | self.changed) if look.groups else reading


class Restive(Constant):
    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        SEEN.append(1)
        reading = await super().read(look, base, draw)
        return Reading.model_validate(reading.model_dump() | {"n": len(SEEN)}) if look.groups else reading


class Pretends(Constant):
    """A number where there is nothing to look at."""

    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        told = {"run": look.run, "name": self.name, "step": look.step, "instrument": "x", "n": 1}
        said = tuple(r.id for g in look.groups for r in g.responses)
        return Reading(value=0.5, low=0.5, high=0.5, parents=said, **told)


class Demanding(Constant):
    """Wants ranks, and does not notice that there are none."""

    @property
    def wants(self) -> frozenset[str]:
        return frozenset({"rank"})


class Mumbles(Constant):
    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        return NotMeasured(run=look.run, name=self.name, step=look.step, reason=" ")


@pytest.mark.parametrize(
    ("indicator", "promise"),
    [
        (Constant(changed={"name": "another"}), "indicator's name"),
        (Constant(changed={"step": 99}), "run and step"),
        (Constant(changed={"low": 0.6}), "interval holds the value"),
        (Constant(changed={"change": 0.2, "change_low": 0.2, "change_high": 0.2}), "beside itself"),
        (Constant(changed={"change": None}), "interval, or there is none"),
        (Constant(changed={"value": float("inf"), "high": float("inf")}), "finite"),
        (Constant(changed={"parents": ("x",)}), "parents"),
        (Constant(changed={"parents": ()}), "parents"),
        (Constant(changed={"instrument": ""}), "instrument"),
        (Restive(), "function of look"),
        (Pretends(), "without probes"),
        (Demanding(), "cannot give what it wants"),
        (Mumbles(), "says why"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, ScriptedIndicator) else x,
)
def test_indicators(indicator: Any, promise: str) -> None:
    base = ENGINE.sampler("scripted", Silent())
    assert promise in broken(lambda: check_indicator(indicator, base, base, PROMPTS))


class Nervous(Fault):
    def __call__(self, history: Any) -> Any:
        return super().__call__(history).model_copy(update={"action": "pause"})


class Baseless(Fault):
    def __call__(self, history: Any) -> Any:
        decision = super().__call__(history)
        return type(decision).model_validate(decision.model_dump() | {"parents": ()})


class Wordless(Fault):
    def __call__(self, history: Any) -> Any:
        decision = super().__call__(history)
        return type(decision).model_validate(decision.model_dump() | {"reason": ""})


class Stubborn(Fault):
    """Pauses again on what a person accepted."""

    def __call__(self, history: Any) -> Any:
        return super().__call__(history._replace(decisions=()))


class Impostor(Fell):
    def __call__(self, history: Any) -> Any:
        return super().__call__(history).model_copy(update={"rule": "fault"})


class Counting(Fault):
    def __call__(self, history: Any) -> Any:
        SEEN.append(1)
        decision = super().__call__(history)
        if decision.action == "continue":
            return decision
        return type(decision).model_validate(decision.model_dump() | {"reason": str(len(SEEN))})


@pytest.mark.parametrize(
    ("rule", "promise"),
    [
        (Nervous(), "nothing has happened"),
        (Baseless(), "evidence"),
        (Wordless(), "has a reason"),
        (Stubborn(), "does not come back"),
        (Impostor(indicator="measure", by=0.5), "rule's name"),
        (Counting(), "remembers nothing"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_rules(rule: Any, promise: str) -> None:
    assert promise in broken(lambda: check_rule(rule))
