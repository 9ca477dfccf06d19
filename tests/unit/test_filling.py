"""Filling a labelling database: questions with the propensity of their draw, resumable, none asked twice."""

import json

import numpy as np
import pytest

from accord.engines.local import Local
from accord.errors import PlanError
from accord.filling import Wanted, asked_of_people, fill
from accord.maths.selection import pool_size
from accord.plan import Plan
from accord.ports import Scored
from accord.progress import Silent
from accord.stores.people import People
from accord.testing import save_tiny

HUMAN = {"name": "human", "queue": "labels.db"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "model")
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": f"q{n}"}) + "\n" for n in range(12)))
    return tmp_path


def plan(overseer: object = None, seed: int = 0) -> Plan:
    ask = {"name": "pairs", "column": "p", "collapse": "distribution", "overseer": overseer or HUMAN}
    stage = {
        "name": "rm",
        "windows": 1,
        "source": {"name": "labelled", "queue": "labels.db"},
        "ask": [ask],
        "method": {"name": "reward_model"},
    }
    return Plan.model_validate({"name": "people", "seed": seed, "model": "model", "stage": [stage]})


def filled(questions: int, tree: Plan | None = None):
    tree = tree or plan()
    wanted = Wanted(questions, "p.jsonl", max_tokens=4)
    return fill(tree, tree.stage[0], wanted, Silent())


def standing() -> list:
    people = People.open("labels.db")
    try:
        return people.questions()
    finally:
        people.close()


def test_each_question_says_how_it_was_drawn(place):
    assert filled(5) == ("labels.db", 5, 0)
    questions = standing()
    chances = [round(q.selection.propensity * (12 - k), 9) for k, q in enumerate(questions)]
    assert chances == [1.0] * 5
    assert {q.selection.arm for q in questions} == {"random"}
    assert len({q.selection.pool for q in questions}) == 5


def test_more_are_added_and_none_is_drawn_again(place):
    filled(3)
    first = standing()
    assert filled(10) == ("labels.db", 7, 3)
    assert filled(10) == ("labels.db", 0, 10)
    both = standing()
    assert both[:3] == first
    assert len({q.prompt for q in both}) == 10


def test_broken_off_it_ends_as_if_nothing_had_happened(place, monkeypatch):
    filled(10)
    whole = standing()
    (place / "labels.db").rename(place / "other.db")
    real, calls = People.post, []

    def broken(self, *given, **more):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(People, "post", broken)
        with pytest.raises(KeyboardInterrupt):
            filled(10)
    assert standing() == whole[:8]
    filled(10)
    assert standing() == whole


def test_no_more_prompts_are_answered_than_it_takes(place):
    """Kills: as many prompts as questions are wanted, where each of them makes six."""
    table = plan().table()
    table["stage"][0]["ask"][0] |= {"name": "all_pairs", "column": "score"}
    tree = Plan.model_validate(table)
    wanted = Wanted(12, "p.jsonl", answers=4, max_tokens=8)
    assert 12 <= fill(tree, tree.stage[0], wanted, Silent()).posted < 18
    assert len({question.prompt for question in standing()}) <= 3


def test_a_jury_of_slots_has_each_question_judged_so_often(place):
    jury = {"name": "jury", "members": [HUMAN, {**HUMAN, "slot": 1}, {**HUMAN, "slot": 2}]}
    filled(2, plan(jury))
    people = People.open("labels.db")
    for rater in ("r-000000000001", "r-000000000002", "r-000000000003"):
        assert people.lease(rater) is not None
    people.close()


def test_fewer_prompts_than_wanted_are_told(place):
    said = []

    class Loud(Silent):
        def say(self, text):
            said.append(text)

    tree = plan()
    assert fill(tree, tree.stage[0], Wanted(99, "p.jsonl", max_tokens=4), Loud()).posted == 12
    assert "12 questions are all that 12 prompts make" in said[-1]


def test_a_stage_that_asks_no_person_is_refused():
    program = {"name": "program", "fn": "accord.overseers.program:brief"}
    with pytest.raises(PlanError, match="human"):
        asked_of_people(plan(program).stage[0])
    with pytest.raises(PlanError, match="one database"):
        both = {"name": "jury", "members": [HUMAN, {"name": "human", "queue": "other.db"}]}
        asked_of_people(plan(both).stage[0])


def test_without_prompts_those_of_the_source_are_meant(place):
    tree = plan()
    with pytest.raises(PlanError, match="--prompts"):
        fill(tree, tree.stage[0], Wanted(1), Silent())


def test_answers_are_put_beside_the_base_answer_that_the_data_hold(place):
    rows = [{"prompt": f"q{n}", "reference": f"the answer to {n}"} for n in range(4)]
    (place / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = plan().table()
    table["stage"][0]["ask"] = [
        {"name": "against", "column": "score", "collapse": "distribution", "overseer": HUMAN}
    ]
    filled(4, Plan.model_validate(table))
    people = People.open("labels.db")
    try:
        texts = {people.read(q.responses[1]).text for q in people.questions()}
    finally:
        people.close()
    assert texts <= {row["reference"] for row in rows} and texts


class Heads:
    """A reward model of three heads that differ about the answers of every third prompt."""

    can = frozenset({"score"})

    async def score(self, texts, want):
        assert want == {"score"}
        unsure = [int(text.prompt.text[1:]) % 3 == 0 for text in texts]
        rows = [
            [3.0 * k * (text.response.index - 0.5) * odd for k in (-1, 0, 1)]
            for text, odd in zip(texts, unsure, strict=True)
        ]
        return [Scored({"score": np.array(row)}, "") for row in rows]


def test_what_reward_models_differ_about_is_asked_more_often(place, monkeypatch):
    """Kills: an argmax, a propensity of one arm alone, questions without a doubt that never come."""
    (place / "p.jsonl").write_text("".join(json.dumps({"prompt": f"q{n}"}) + "\n" for n in range(60)))
    real = Local.sampler
    monkeypatch.setattr(
        Local, "sampler", lambda self, name, *a, **b: Heads() if name == "rm" else real(self, name, *a, **b)
    )
    tree = plan()
    done = fill(tree, tree.stage[0], Wanted(12, "p.jsonl", max_tokens=4, doubted_by=("rm",)), Silent())
    assert done == ("labels.db", 12, 0)
    people = People.open("labels.db")
    try:
        questions = people.questions()
        numbers = [int(people.read(q.prompt).text[1:]) for q in questions]
    finally:
        people.close()
    assert {q.selection.arm for q in questions} == {"random", "uncertain"}
    lifted = [q.selection.propensity * pool_size(q.selection) > 1 for q in questions]
    assert lifted == [n % 3 == 0 for n in numbers]
    assert {True, False} == set(lifted)
    assert sorted(pool_size(q.selection) for q in questions) == list(range(37, 49))
    assert (
        fill(tree, tree.stage[0], Wanted(12, "p.jsonl", max_tokens=4, doubted_by=("rm",)), Silent()).posted
        == 0
    )


def test_one_head_differs_with_nobody(place, monkeypatch):
    class One(Heads):
        async def score(self, texts, want):
            return [Scored({"score": np.zeros(1)}, "") for _ in texts]

    real = Local.sampler
    monkeypatch.setattr(
        Local, "sampler", lambda self, name, *a, **b: One() if name == "rm" else real(self, name, *a, **b)
    )
    tree = plan()
    for model, told in (("rm", "several heads"), ("model", "a reward model")):
        with pytest.raises(PlanError, match=told):
            fill(tree, tree.stage[0], Wanted(2, "p.jsonl", max_tokens=4, doubted_by=(model,)), Silent())
    assert not standing()
