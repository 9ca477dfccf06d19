"""The win rate in a report: who judged, what the judge had learnt from, and what two orders said."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.plan import Plan, read_plan
from accord.records import By, Judgment, Prompt, Question, Ranked, Reading, Record, Response
from accord.records.feedback import Kind
from accord.reports.charts import draw_versus
from accord.reports.document import Figure, Versus
from accord.reports.logs import StageLog
from accord.reports.versus import _orders, versus_of

PLAN = """
name = "p"
model = "base"
[[stage]]
name = "sft"
windows = 1
source = {{ name = "offline", data = "/data/hh.jsonl.gz:train" }}
method = {{ name = "sft" }}
[[stage]]
name = "reward"
windows = 1
source = {{ name = "offline", data = "/data/hh.jsonl.gz:train_a" }}
method = {{ name = "reward_model" }}
[[stage]]
name = "judge"
windows = 1
source = {{ name = "offline", data = "/data/hh.jsonl.gz:train_b" }}
method = {{ name = "reward_model" }}
[[stage]]
name = "ppo"
model = "stage:sft"
windows = 1
source = {{ name = "rollouts", prompts = "/data/hh.jsonl.gz:train" }}
method = {{ name = "ppo" }}
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = {{ name = "reward", models = ["stage:reward"], reduction = "mean" }}
[stage.versus]
model = "stage:sft"
prompts = "/data/hh.jsonl.gz:held_out"
overseer = {{ name = "reward", models = ["{judge}"], reduction = "mean" }}
"""


def log_of(plan: Plan, folder: Path) -> StageLog:
    return StageLog(folder, folder / "ppo", plan, plan.stage[-1], None)


def test_the_judge_is_named_with_what_it_learnt_from(tmp_path: Path) -> None:
    found = versus_of(log_of(read_plan(PLAN.format(judge="stage:judge")), tmp_path))
    assert found is not None
    assert "The judge stage:judge learnt by reward_model from hh.jsonl.gz:train_b." in found.judge
    assert "trained against, stage:reward, learnt by reward_model from hh.jsonl.gz:train_a." in found.judge
    assert "very judge" not in found.judge
    assert found.says == "The win rate against stage:sft is read once training is over, and was not yet."


def test_a_judge_that_the_stage_was_trained_on_is_called_so(tmp_path: Path) -> None:
    found = versus_of(log_of(read_plan(PLAN.format(judge="stage:reward")), tmp_path))
    assert found is not None
    assert "The stage was trained on this very judge" in found.judge


def test_a_judge_that_also_gives_gold_was_not_learnt_from(tmp_path: Path) -> None:
    text = PLAN.format(judge="stage:judge")
    ask = text[text.index("[[stage.ask]]") : text.index("[stage.versus]")]
    gold = ask.replace('"score"', '"gold"').replace("stage:reward", "stage:judge")
    found = versus_of(log_of(read_plan(text.replace(ask, ask + gold)), tmp_path))
    assert found is not None
    assert "very judge" not in found.judge


def test_a_stage_without_a_contest_says_nothing(tmp_path: Path) -> None:
    plan = read_plan(PLAN.format(judge="stage:judge"))
    assert versus_of(StageLog(tmp_path, tmp_path / "sft", plan, plan.stage[0], None)) is None


class Written(StageLog):
    """A stage whose records are given."""

    @property
    def given(self) -> dict[str, Record]:
        return vars(self).setdefault("records", {})


def test_orders_that_disagree_are_counted(tmp_path: Path) -> None:
    """Three pairs: agreed, turned, and turned into a tie, which is no disagreement of winners."""
    log = Written(tmp_path, tmp_path, read_plan(PLAN.format(judge="stage:judge")), None, None)  # type: ignore[arg-type]
    prompt = Prompt.of("Why?")
    judged: list[str] = []
    for k, winners in enumerate((("a", "a"), ("a", "b"), ("a", ""))):
        a, b = (
            Response(prompt=prompt.id, text=text, seed=f"{text}{k}", parents=(prompt.id,)) for text in "ab"
        )
        for shown, winner in zip(((a, b), (b, a)), winners, strict=True):
            ids = tuple(one.id for one in shown)
            question = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=ids)
            best = next((one.id for one in shown if one.text == winner), None)
            tiers = (ids,) if best is None else ((best,), tuple(r for r in ids if r != best))
            by = By(type="model", name="m", config="c")
            judgment = Judgment(question=question.id, by=by, verdict=Ranked(tiers=tiers))
            log.given.update({question.id: question, judgment.id: judgment})
            judged.append(judgment.id)
    reading = Reading(
        run="r/s",
        name="versus.sft",
        step=1,
        instrument="i",
        value=0.5,
        low=0,
        high=1,
        n=3,
        parents=tuple(judged),
    )
    assert _orders(log, reading) == (3, 1)


@pytest.mark.parametrize(("low", "high"), [(0.4, 0.9), (0.6, 0.8), (0.1, 0.3)])
def test_the_chart_says_the_rate_and_draws_the_lead(low: float, high: float) -> None:
    rate = Figure((low + high) / 2, low, high, "a" * 64)
    drawn = draw_versus(Versus("stage:sft", "", "", prompts=20, rate=rate))
    assert drawn is not None
    assert f"pairs won against stage:sft: {(low + high) * 50:.0f} %" in drawn.svg
    assert "one half is even" in drawn.svg
    assert drawn.rows[0][0] == "stage:sft"
    assert draw_versus(Versus("stage:sft", "", "")) is None
