"""Budget, Calibrated and SpotChecked: what a plan may not say, what they sign with, what is counted when.

The laws themselves: tests/unit/testing/test_laws_counted.py. Mutants: a verdict of another run charged, an
order of arrival in which both orders of one question do not stand together, a budget for each ask, a file's
path in place of what it says, a tie broken by calibration.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from accord.asks.pairs import Pairs
from accord.catalog import build
from accord.desk import FrontDesk
from accord.errors import PlanError, Unreadable
from accord.feedback import Asking, StageFeedback
from accord.overseers.budget import Budget
from accord.overseers.calibrated import Calibrated
from accord.part import Part
from accord.ports import Queue
from accord.records import By, Graded, Judgment, Kind, Question, Ranked, Record, Spread
from accord.stores.memory import MemoryStore
from accord.testing import a_group
from accord.testing.checks_feedback import questions_about
from accord.testing.leaves import Leaf, desk_with, judged
from accord.worker import Worker

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no"), a_group("Who?", "me", "you")]
COMPARE = questions_about(GROUPS, Kind.COMPARE)
GRADE = questions_about(GROUPS, Kind.GRADE)
LEAF = {"name": "accord.testing.leaves:Leaf"}
COUNTED = {"name": "budget", "inner": LEAF, "n": 2, "unit": "calls", "most": 1}


def made(table: Mapping[str, Any]) -> Any:
    return build("overseers", table)


def labelled(folder: Path, *rows: Mapping[str, Any], name: str = "labels.jsonl") -> str:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


SURE = [{"p": 1.0, "right": n % 4 > 0} for n in range(40)]  # a rank is right three times of four
NEAR = [{"p": 0.6, "right": n % 2 > 0} for n in range(40)]


class Person(Part):
    """Waits at a queue."""

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    @property
    def queues(self) -> tuple[str, ...]:
        return ("people.db",)

    def queued(self, queues: Mapping[str, Queue]) -> Any:
        return self

    async def judge(self, question: Question, desk: Any) -> Judgment:
        raise AssertionError("nobody is asked")


PERSON = {"name": f"{__name__}:Person"}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({**COUNTED, "n": -1}, "overseers.n"),
        ({**COUNTED, "most": 0}, "overseers.most"),
        ({k: v for k, v in COUNTED.items() if k != "most"}, "overseers.most"),
        ({**COUNTED, "unit": "hours"}, "overseers.unit"),
        ({**COUNTED, "inner": PERSON}, "overseers.inner"),
        ({**COUNTED, "inner": {"name": "both_orders", "inner": PERSON}}, "overseers.inner"),
        ({"name": "spot_checked", "cheap": LEAF, "gold": LEAF, "p": 1.1}, "overseers.p"),
        (
            {"name": "spot_checked", "cheap": {**LEAF, "kinds": ["grade"]}, "gold": PERSON, "p": 0.1},
            "overseers.gold",
        ),
        ({"name": "calibrated", "inner": {**LEAF, "kinds": ["grade"]}, "labelled": "x"}, "overseers.inner"),
    ],
)
def test_what_a_plan_may_not_say(table: dict[str, Any], path: str) -> None:
    with pytest.raises(PlanError) as caught:
        made(table)
    assert caught.value.path == path, caught.value


# Budget


def test_it_is_one_budget_wherever_it_stands() -> None:
    """Two asks over equal budgets: two questions are answered in all."""
    desk = desk_with(GROUPS, None)
    one, two = made(COUNTED), made(COUNTED)

    async def asked() -> list[Judgment]:
        return await asyncio.gather(
            desk.ask(one, COMPARE[0]), desk.ask(two, GRADE[0]), desk.ask(one, COMPARE[1])
        )

    said = asyncio.run(asked())
    assert [j.abstention for j in said] == [None, None, "budget"]
    assert "1 calls at most of each of 2 questions" in said[2].note
    assert said[2].parents == (COMPARE[1].id,), "nobody was asked"


def test_inside_of_both_orders_questions_keep_their_order() -> None:
    """Three places are both orders of the first question, and one of the second, which then says nothing."""
    table = {"name": "both_orders", "inner": {**COUNTED, "n": 3}}
    said = judged(made(table), COMPARE, GROUPS)
    assert [j.abstention for j in said] == [None, "budget", "budget"]


def test_what_another_run_had_judged_costs_nothing_and_what_it_could_not_is_asked() -> None:
    store = MemoryStore()

    def run(*questions: Question) -> list[Judgment]:
        desk = FrontDesk(lambda records: store.put(*records), lambda: None, store)
        desk.hold(record for group in GROUPS for record in (group.prompt, *group.responses))

        async def asked() -> list[Judgment]:
            return list(await asyncio.gather(*(desk.ask(made({**COUNTED, "n": 1}), q) for q in questions)))

        return asyncio.run(asked())

    assert [j.abstention for j in run(COMPARE[0], COMPARE[1])] == [None, "budget"]
    assert [j.abstention for j in run(*COMPARE)] == [None, None, "budget"]


def test_silence_inside_is_charged_and_resumed_as_charged() -> None:
    """An inner overseer that abstained was asked, and a resumed run knows."""
    silent: Any = Leaf(silent=True)
    budget = Budget(inner=silent, n=1, unit="calls", most=1)
    written: list[Record] = []
    assert [j.abstention for j in judged(budget, COMPARE[:2], GROUPS, written)] == ["refused", "budget"]
    desk = desk_with(GROUPS, None)
    desk.hold(written)
    who: Any = budget
    assert asyncio.run(desk.ask(who, COMPARE[2])).abstention == "budget"


def test_a_desk_that_does_not_count_is_no_desk_for_it() -> None:
    from accord.errors import ContractError

    class Plain:
        async def ask(self, overseer: Any, question: Question) -> Judgment:
            raise AssertionError("nobody is asked")

    plain: Any = Plain()
    with pytest.raises(ContractError, match="counts for it"):
        asyncio.run(made(COUNTED).judge(COMPARE[0], plain))


# Calibrated


class Says(Part):
    """A verdict for every comparison: the first, both, or a share for the first."""

    verdict: Any

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Any) -> Judgment:
        one, two = question.responses
        verdict = {
            "first": Ranked(tiers=((one,), (two,))),
            "both": Ranked(tiers=((one, two),)),
        }.get(self.verdict) or Spread(p={one: self.verdict, two: 1 - self.verdict})
        by = By(type="program", name="says", config=self.config)
        return Judgment(
            question=question.id, by=by, shown=question.responses, verdict=verdict, confidence=0.9
        )


@pytest.mark.parametrize(("verdict", "worth"), [("first", 0.75), ("both", 0.5), (0.6, 0.5), (0.8, 0.625)])
def test_a_verdict_is_what_such_verdicts_are_worth(verdict: Any, worth: float, tmp_path: Path) -> None:
    inner: Any = Says(verdict=verdict)
    (said,) = judged(Calibrated(inner=inner, labelled=labelled(tmp_path, *SURE, *NEAR)), COMPARE[:1], GROUPS)
    assert isinstance(said.verdict, Spread)
    assert said.verdict.p[COMPARE[0].responses[0]] == pytest.approx(worth)
    assert said.confidence == pytest.approx(worth)


def test_an_ask_counts_what_it_is_worth(tmp_path: Path) -> None:
    """Kills: the vote of the overseer inside in place of it, as of a jury of one."""
    inner: Any = Says(verdict=0.8)
    file, columns = labelled(tmp_path, *SURE, *NEAR), list[float]()
    budget: Any = Budget(inner=inner, n=9, unit="calls", most=1)
    calibrated: Any = Calibrated(inner=inner, labelled=file)
    for overseer in (budget, calibrated):
        with Worker() as worker:
            asking = Asking(Pairs(column="p", collapse="distribution"), overseer)
            told = StageFeedback([asking], desk_with(GROUPS, None), worker, lambda records: None)(GROUPS[:1])
        assert told is not None
        columns += told.values["p"].tolist()
    assert columns == pytest.approx([0.8, 0.625])


def test_its_hash_is_what_the_file_says(tmp_path: Path) -> None:
    leaf: Any = Leaf()
    one = Calibrated(inner=leaf, labelled=labelled(tmp_path, *SURE, *NEAR))
    moved = Calibrated(inner=leaf, labelled=labelled(tmp_path, *SURE, *NEAR, name="moved.jsonl"))
    other = Calibrated(inner=leaf, labelled=labelled(tmp_path, *SURE, *NEAR, *NEAR, name="more.jsonl"))
    assert one.config == moved.config != other.config
    assert Calibrated(inner=Says(verdict="both"), labelled=one.labelled).config != one.config  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "row",
    [
        '{"p": 1.5, "right": true}',
        '{"p": true, "right": 1}',
        '{"p": 0.5}',
        "[1]",
        "{",
        '{"p": NaN, "right": 1}',
    ],
)
def test_labels_that_are_none(row: str, tmp_path: Path) -> None:
    leaf: Any = Leaf()
    file = labelled(tmp_path, *SURE)
    Path(file).write_text(Path(file).read_text() + row + "\n")
    with pytest.raises(Unreadable, match="41"):
        str(Calibrated(inner=leaf, labelled=file).config)
    for few in (labelled(tmp_path, *SURE), str(tmp_path / "none.jsonl")):
        with pytest.raises(PlanError) as caught:
            str(Calibrated(inner=leaf, labelled=few).config)
        assert caught.value.path == "labelled"


# SpotChecked


def test_who_judged_is_noted_and_is_the_parent() -> None:
    inner = {"cheap": LEAF, "gold": {**LEAF, "name": LEAF["name"], "best": 0}}
    overseer = made({"name": "spot_checked", **inner, "p": 0.5, "seed": 3})
    written: list[Record] = []
    said = judged(overseer, [*COMPARE, *GRADE], GROUPS, written)
    drawn = ["spot check: gold" if overseer.checks(q) else "cheap" for q in (*COMPARE, *GRADE)]
    assert [j.note for j in said] == drawn
    assert len(set(drawn)) == 2
    by_id = {r.id: r for r in written}
    for judgment in said:
        (leaf,) = (by_id[parent] for parent in judgment.parents[1:])
        assert isinstance(leaf, Judgment)
        gold = judgment.note != "cheap"
        assert leaf.by.config == (overseer.gold if gold else overseer.cheap).config
        assert isinstance(judgment.verdict, Spread | Ranked | Graded)
