"""A jury of graders: its members' grades stand one by one, whatever an ask makes of them."""

import numpy as np
import pytest

from accord.asks.each import Each
from accord.desk import FrontDesk
from accord.feedback import Asking, StageFeedback
from accord.overseers.jury import Jury
from accord.overseers.program import Program
from accord.records import Graded, Prompt, Response
from accord.records.rows import Group
from accord.worker import Worker

GRADERS = """
def one(prompts, answers):
    return [1.0] * len(answers)

def two(prompts, answers):
    return [2.0] * len(answers)

def nine(prompts, answers):
    return [9.0 if answer != "x" else None for answer in answers]

def nobody(prompts, answers):
    return [None] * len(answers)
"""


@pytest.fixture
def graders(tmp_path, monkeypatch):
    (tmp_path / "graders_of_a_jury.py").write_text(GRADERS)
    monkeypatch.chdir(tmp_path)
    return lambda *names: tuple(Program(fn=f"graders_of_a_jury.py:{name}") for name in names)


def judged(jury: Jury, collapse: str, *texts: str):
    prompt = Prompt.of("why")
    group = Group(
        prompt, tuple(Response(prompt=prompt.id, text=text, index=k) for k, text in enumerate(texts))
    )
    written = []
    with Worker() as worker:
        desk = FrontDesk(written.extend, lambda: None)
        ask = Each(column="score", collapse=collapse)
        columns = StageFeedback([Asking(ask, jury)], desk, worker, written.extend)([group])
    verdicts = [r.verdict for r in written if getattr(r, "by", None) and r.by.name == "Jury"]
    return columns, verdicts


@pytest.mark.parametrize(("collapse", "number"), [("distribution", 4.0), ("majority", 2.0)])
def test_an_ask_counts_the_members(graders, collapse, number):
    columns, (verdict,) = judged(Jury(members=graders("one", "two", "nine")), collapse, "y")
    assert columns.values["score"].tolist() == [number]
    assert len(columns.parents[0]) == 3
    assert isinstance(verdict, Graded)
    assert verdict.scores.keys() == {"score"} or len(verdict.scores) == 1
    assert sorted(verdict.heads.values()) == [1.0, 2.0, 9.0]


def test_the_order_of_members_makes_no_difference(graders):
    _, (one,) = judged(Jury(members=graders("one", "two", "nine")), "majority", "y")
    _, (other,) = judged(Jury(members=graders("nine", "one", "two")), "majority", "y")
    assert one == other


def test_a_member_without_a_grade_is_no_vote(graders):
    columns, (verdict,) = judged(Jury(members=graders("one", "two", "nine")), "distribution", "x")
    assert columns.values["score"].tolist() == [1.5]
    assert len(verdict.heads) == 2


def test_too_few_grades_are_none(graders):
    columns, (verdict,) = judged(Jury(members=graders("nobody", "nine", "one")), "distribution", "x")
    assert verdict is None
    assert np.isnan(columns.values["score"]).all()
    assert columns.missing.tolist() == [True]
