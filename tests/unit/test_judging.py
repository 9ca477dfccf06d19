"""Judging answers that somebody else brings: once each, with the reason where there is no number."""

import json

import pytest

from accord.cli import main
from accord.errors import PlanError
from accord.judging import Judges, stage_of
from accord.plan import Plan
from accord.records import Prompt

WORLD = '''
import os

def length(prompts, answers):
    """Counts its calls in a file, so that another process can see them."""
    with open(os.environ["CALLS"], "a") as calls:
        calls.writelines(f"{answer}\\n" for answer in answers)
    return [None if "?" in answer else float(len(answer)) for answer in answers]
'''


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "world_of_judging.py").write_text(WORLD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path


def plan(*asks: dict) -> Plan:
    program = {"name": "program", "fn": "world_of_judging.py:length"}
    each = {"name": "each", "column": "score", "collapse": "distribution", "overseer": program}
    stage = {
        "name": "only",
        "windows": 1,
        "source": {"name": "rollouts", "prompts": "short-questions:train"},
        "ask": list(asks) or [each],
        "method": {"name": "grpo"},
    }
    return Plan.model_validate({"name": "judging", "model": "none", "stage": [stage]})


def judged(place, answered, tree=None):
    tree = tree or plan()
    with Judges.open(tree, tree.stage[0], place / "judged") as judges:
        return judges.judge([(Prompt.of(prompt), answers) for prompt, answers in answered]), judges.asked


def test_each_row_has_its_number_or_its_reason(place):
    rows, _ = judged(place, [("a", ["xx"]), ("b", ["what?"]), ("a", ["xx", "xxx"])])
    assert [(row.group, row.answers, row.columns["score"]) for row in rows] == [
        (0, (0,), 2.0),
        (1, (0,), None),
        (2, (0,), 2.0),
        (2, (1,), 3.0),
    ]
    assert [row.why.partition(":")[0] for row in rows] == ["", "out_of_support", "", ""]
    assert rows[0].judgments == rows[2].judgments != ()


def test_an_answer_is_judged_once_in_every_session(place):
    judged(place, [("a", ["xx"]), ("a", ["xx"])])
    rows, asked = judged(place, [("a", ["new", "xx"])])
    assert (place / "calls").read_text().split() == ["xx", "new"]
    assert [row.columns["score"] for row in rows] == [3.0, 2.0]
    assert asked == (1, 1)


def test_pairs_are_rows_of_two(place):
    program = {"name": "program", "fn": "world_of_judging.py:length"}
    tree = plan({"name": "pairs", "column": "p", "collapse": "distribution", "overseer": program})
    rows, _ = judged(place, [("a", ["xxx", "x"]), ("b", ["x", "x"])], tree)
    assert [(row.answers, row.columns["p"]) for row in rows] == [((0, 1), 1.0), ((0, 1), 0.5)]


def test_a_jury_is_counted_by_its_members_in_a_later_session_too(place):
    program = {"name": "program", "fn": "world_of_judging.py:length"}
    against = {"name": "noisy", "inner": program, "epsilon": 1.0, "seed": 1}
    jury = {"name": "jury", "members": [program, against]}
    tree = plan({"name": "pairs", "column": "p", "collapse": "distribution", "overseer": jury})
    first, _ = judged(place, [("a", ["xxx", "x"])], tree)
    again, asked = judged(place, [("a", ["xxx", "x"])], tree)
    assert first == again
    assert asked[0] == 0
    assert len(first[0].judgments) == 2


def test_the_stage_that_asks_is_meant(place):
    tree = plan()
    assert stage_of(tree, None).name == "only"
    with pytest.raises(PlanError, match="only"):
        stage_of(tree, "onyl")


def test_a_model_that_a_stage_would_make_is_refused(place):
    reward = {"name": "reward", "models": ["stage:rm"], "reduction": "mean", "limit": "none"}
    ask = {"name": "each", "column": "score", "collapse": "distribution", "overseer": reward}
    only = plan().table()["stage"][0]
    stages = [only | {"name": "rm"}, only | {"ask": [ask]}]
    tree = Plan.model_validate(plan().table() | {"stage": stages})
    with pytest.raises(PlanError, match="there without a run"):
        Judges.open(tree, tree.stage[1], place / "judged")


def test_people_are_not_asked_so(place):
    human = {"name": "human", "queue": "labels.db"}
    tree = plan({"name": "pairs", "column": "p", "collapse": "distribution", "overseer": human})
    with pytest.raises(PlanError, match="accord label"):
        Judges.open(tree, tree.stage[0], place / "judged")


def test_the_command_writes_a_line_for_each_row_and_goes_on_where_it_was(place, capsys):
    (place / "plan.toml").write_text(plan().toml())
    rows = [{"prompt": f"p{n}", "completion": "x" * n + ("?" if n == 3 else "")} for n in range(1, 5)]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["judge", "plan.toml", "rows.jsonl", "--json"]) == 0
    lines = [json.loads(line) for line in (place / "rows.jsonl.judged.jsonl").read_text().splitlines()]
    assert [line["score"] for line in lines] == [1.0, 2.0, None, 4.0]
    assert lines[2]["missing"].startswith("out_of_support")
    assert json.loads(capsys.readouterr().out)["rows"] == lines
    assert main(["judge", "plan.toml", "rows.jsonl", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["asked"], again["reused"], again["rows"]) == (0, 4, lines)


def test_prompts_without_answers_are_refused(place, capsys):
    (place / "plan.toml").write_text(plan().toml())
    (place / "rows.jsonl").write_text('{"prompt": "a"}\n')
    assert main(["judge", "plan.toml", "rows.jsonl"]) == 1
    assert "prompts alone" in capsys.readouterr().err
