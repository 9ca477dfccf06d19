"""Asks of a stage in its plan: several of them for one score have a share each, which sum to 1."""

from __future__ import annotations

import pytest

from accord.errors import PlanError
from accord.plan import read_plan

ASK = """
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "program", fn = "accord.overseers.program:brief" }
"""
TEXT = """
name = "brevity"
model = "smollm2-135m-instruct"
[[stage]]
name = "amplify"
windows = 5
source = { name = "rollouts", prompts = "short-questions" }
method = { name = "best_of_n", n = 8 }
"""


def failing(text: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        read_plan(text)
    return caught.value


def asks(*told: tuple[str, str]) -> str:
    """A plan with these asks, each of a column and with what else it says."""
    return TEXT + "".join(ASK.replace('"score"', f'"{column}"\n{more}') for column, more in told)


def test_several_asks_for_the_score_have_a_share_each() -> None:
    plan = read_plan(asks(("score", "share = 0.75"), ("cost:harm", ""), ("score", "share = 0.25")))
    assert [ask.share for ask in plan.stage[0].ask] == [0.75, None, 0.25]
    assert [ask.plain() for ask in plan.stage[0].ask if "share" in ask.plain()] == [], "no setting of the ask"
    assert read_plan(plan.toml()) == plan
    assert read_plan(plan.toml()).hash == plan.hash
    assert plan.hash != plan.set(["stage.0.ask.0.share=0.25", "stage.0.ask.2.share=0.75"]).hash
    thirds = read_plan(asks(*[("score", "share = 0.3333333333333333")] * 3))
    assert len(thirds.stage[0].ask) == 3


@pytest.mark.parametrize(
    ("told", "path", "value", "words"),
    [
        ([("score", ""), ("score", "share = 0.5")], "ask[1].column", "score", "a share each"),
        ([("score", "share = 0.5"), ("score", "share = 0.6")], "ask[0].share", 0.5, "sum to 1.1"),
        ([("score", "share = 0.5")], "ask[0].share", 0.5, "sum to 0.5"),
        ([("cost:harm", "share = 1.0")], "ask[0].share", 1.0, "cost:harm has one ask"),
        ([("cost:harm", ""), ("cost:harm", "")], "ask[1].column", "cost:harm", "one ask for each column"),
        ([("score", "share = 0.0"), ("score", "share = 1.0")], "ask[0].share", 0.0, "more than 0"),
        ([("score", "share = '1'")], "ask[0].share", "1", "a number"),
    ],
)
def test_shares_that_do_not_add_up(told: list[tuple[str, str]], path: str, value: object, words: str) -> None:
    error = failing(asks(*told))
    assert (error.path, error.value) == (f"stage[0].{path}", value)
    assert words in f"{error.allowed} {error.advice}"
