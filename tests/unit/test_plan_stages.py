"""Evaluations in a plan, and results of earlier stages named anywhere in a later one."""

from __future__ import annotations

import pytest

from accord.errors import PlanError
from accord.plan import EvalTable, PartTable, Plan, read_plan

TEXT = """
name = "p"
model = "tiny"
[[stage]]
name = "sft"
windows = 1
source = { name = "offline", data = "a.jsonl" }
method = { name = "sft" }
[[stage]]
name = "judge"
windows = 1
model = "stage:sft"
source = { name = "offline", data = "b.jsonl" }
method = { name = "reward_model" }
[[stage]]
name = "amplify"
windows = 1
model = "stage:sft"
source = { name = "mixed", parts = [{ name = "rollouts", of = "stage:judge" }] }
method = { name = "best_of_n" }
learner = { name = "local", teacher = "stage:sft" }
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "both", inner = { name = "reward", models = ["there", "stage:judge"] } }
"""
EVAL = """
[stage.eval]
source = { name = "offline", data = "a.jsonl:held_out" }
"""


def test_an_evaluation_reads_as_it_is_written() -> None:
    plan = read_plan(TEXT + EVAL)
    table = plan.stage[2].eval
    assert table is not None
    assert table.source == PartTable(name="offline", settings={"data": "a.jsonl:held_out"})
    assert (table.every, table.keep, table.by, table.better, table.patience, table.windows) == (
        50,
        "last",
        "objective",
        None,
        0,
        None,
    )
    assert read_plan(plan.toml()) == plan
    assert read_plan(plan.toml()).hash == plan.hash
    assert plan.set(["stage.amplify.eval.patience=2"]).hash != plan.hash


def test_plans_without_evaluations_keep_their_hash() -> None:
    """The hash that this plan had before there were any; kills a default that enters the hash."""
    held_out = '[stage.held_out]\nprompts = "c.jsonl"\n'
    plan = read_plan(TEXT + held_out)
    assert plan.hash == "f33b1224eb626a0e80fde9600ce1a671272d0a1ecaae92ef87a468a4f2ddd3e0"
    assert plan.set(["stage.amplify.held_out.every=2"]).hash != plan.hash


@pytest.mark.parametrize(
    ("line", "path", "allowed", "advice"),
    [
        ('by = "accuracy"', "better", '"lower" or "higher"', "say which accuracy is"),
        ('by = ""', "by", "1 or more", ""),
        ('better = "higher"', "better", '"lower"', "leave it out"),
        ('better = "more"', "better", '"lower" or "higher"', ""),
        ('keep = "bst"', "keep", '"best" or "last"', 'did you mean "best"?'),
        ("every = 0", "every", "more than 0", ""),
        ("windows = 0", "windows", "more than 0", ""),
        ("patience = -1", "patience", "at least 0", ""),
        ("patience = true", "patience", "a whole number", ""),
    ],
)
def test_a_mistake_in_it_is_told(line: str, path: str, allowed: str, advice: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(f"{TEXT}{EVAL}{line}\n")
    assert caught.value.path == f"stage[2].eval.{path}"
    assert allowed in caught.value.allowed
    assert advice in caught.value.advice


def test_a_figure_is_judged_the_way_that_is_said() -> None:
    told = {"source": {"name": "offline"}, "by": "accuracy", "better": "higher"}
    assert EvalTable.model_validate(told).better == "higher"


@pytest.mark.parametrize(
    ("old", "new", "path", "advice"),
    [
        ('"stage:judge"] }', '"stage:juge"] }', "ask[0].overseer.inner.models[1]", 'did you mean "judge"?'),
        ('of = "stage:judge"', 'of = "stage:amplify"', "source.parts[0].of", "before it"),
        ('teacher = "stage:sft"', 'teacher = "stage:"', "learner.teacher", ""),
    ],
)
def test_only_earlier_stages_can_be_named_and_anywhere(old: str, new: str, path: str, advice: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(PlanError) as caught:
        read_plan(TEXT.replace(old, new))
    assert caught.value.path == f"stage[2].{path}"
    assert caught.value.allowed == "stage:sft, stage:judge"
    assert advice in caught.value.advice


def test_the_source_of_an_evaluation_is_looked_into_too() -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(TEXT + EVAL.replace("a.jsonl:held_out", "stage:later"))
    assert caught.value.path == "stage[2].eval.source.data"


def test_names_become_places_and_nothing_else_changes() -> None:
    plan = read_plan(TEXT)
    stage = plan.stage[2].with_models(lambda name: f"/runs/r/{name}/model")
    assert stage.model == "/runs/r/sft/model"
    assert stage.learner.plain() == {"teacher": "/runs/r/sft/model"}
    assert stage.source.plain() == {"parts": [{"name": "rollouts", "of": "/runs/r/judge/model"}]}
    assert stage.ask[0].overseer.plain() == {
        "inner": {"name": "reward", "models": ["there", "/runs/r/judge/model"]}
    }
    back = stage.table() | {"model": "stage:sft"}
    assert plan.stage[0].with_models(lambda name: "x") == plan.stage[0]
    assert back["windows"] == plan.stage[2].windows


def test_a_part_of_a_module_named_stage_is_no_result() -> None:
    plan = read_plan(TEXT.replace('"best_of_n"', '"stage:BestOfMine"'))
    assert plan.stage[2].with_models(lambda name: "x").method.name == "stage:BestOfMine"
    assert isinstance(plan, Plan)
