"""Several asks become one table; what nobody judged is missing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.desk import FrontDesk
from accord.errors import PlanError
from accord.feedback import Asking, StageFeedback
from accord.ports import Ask
from accord.records import Kind, Record
from accord.testing import ScriptedOverseer, a_group
from accord.worker import Worker

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so", "thus")]
SCORE = Each(column="score", collapse="distribution")
HARM = Each(column="cost:harm", collapse="majority")
GRADES = ScriptedOverseer(grades={"yes": 1.0, "no": 0.0, "so": 0.5})


class Stage:
    def __init__(self, worker: Worker) -> None:
        self.worker, self.written = worker, list[Record]()
        self.desk = FrontDesk(self.write, lambda: None)

    def write(self, records: Iterable[Record]) -> None:
        self.written += list(records)

    def feedback(self, *asking: tuple[Ask, ScriptedOverseer]) -> StageFeedback:
        return StageFeedback([Asking(*a) for a in asking], self.desk, self.worker, self.write)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Worker() as worker:
        yield Stage(worker)


def test_one_ask(stage: Stage) -> None:
    table = stage.feedback((SCORE, GRADES))(GROUPS)
    assert table is not None
    assert table.members == tuple((r.id,) for g in GROUPS for r in g.responses)
    assert table.values["score"][:3].tolist() == [1.0, 0.0, 0.5]
    assert table.missing.tolist() == [False, False, False, True]
    assert [len(p) for p in table.parents] == [1, 1, 1, 0]


def test_every_text_that_is_shown_is_written_and_readable(stage: Stage) -> None:
    stage.feedback((SCORE, GRADES))(GROUPS)
    written = {record.id for record in stage.written}
    for group in GROUPS:
        for record in (group.prompt, *group.responses):
            assert record.id in written
            assert stage.desk.read(record.id) == record


def test_a_stage_that_asks_nothing_still_writes_its_texts(stage: Stage) -> None:
    assert stage.feedback()(GROUPS) is None
    assert {r.id for r in stage.written} == {x.id for g in GROUPS for x in (g.prompt, *g.responses)}


def test_two_asks_are_joined_row_by_row_and_either_can_be_missing(stage: Stage) -> None:
    harm = ScriptedOverseer(grades={"no": 3.0, "so": 4.0, "thus": 5.0})
    table = stage.feedback((SCORE, GRADES), (HARM, harm))(GROUPS)
    assert table is not None
    assert set(table.values) == {"score", "cost:harm"}
    assert table.missing.tolist() == [True, False, False, True]
    assert table.values["cost:harm"][1:3].tolist() == [3.0, 4.0]
    assert [len(p) for p in table.parents] == [1, 2, 2, 1]
    assert np.isnan(table.values["score"][3])


def test_asks_of_answers_and_of_pairs_do_not_mix(stage: Stage) -> None:
    pairs = Pairs(column="p", collapse="distribution")
    with pytest.raises(PlanError, match="speak of the same rows"):
        stage.feedback((SCORE, GRADES), (pairs, GRADES))(GROUPS)


def test_one_column_has_one_ask(stage: Stage) -> None:
    with pytest.raises(PlanError, match="one ask for each column"):
        stage.feedback((SCORE, GRADES), (SCORE, GRADES))(GROUPS)


def test_questions_are_asked_once_for_the_same_texts(stage: Stage) -> None:
    overseer = ScriptedOverseer(grades={"yes": 1.0})
    feedback = stage.feedback((SCORE, overseer))
    for _ in range(2):
        feedback(GROUPS)
    assert len(overseer.asked) == 4
    assert {q.asks for q in overseer.asked} == {Kind.GRADE}


def test_no_groups_are_no_rows(stage: Stage) -> None:
    table = stage.feedback((SCORE, GRADES))([])
    assert table is not None
    assert table.members == ()
    assert table.missing.shape == (0,)
