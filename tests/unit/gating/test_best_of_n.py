"""Gold is found to turn where it does; a curve that only levels off is none.

Mutants these kill: proxy and gold exchanged, a refusal by the figure instead of its bound, a parabola that is
believed without a fall, comparisons counted of the wrong stage.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.gating.conftest import table

from accord.gating.report import Finding
from accord.records import Prompt

Ask = Callable[..., Finding]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.gating.best_of_n._PROMPTS", 6)


def counting(prompt: Prompt, rng: np.random.Generator) -> str:
    del prompt
    return f"it is {rng.integers(100)}"


def test_gold_that_turns_is_refused(found: Ask) -> None:
    finding = found("best_of_n", counting, table("number"), gold="reward.py:middling")
    peak = {one.name: one for one in finding.figures}["d*"]
    assert finding.status == "refused" and "gold turns within n = 64" in finding.says
    assert peak.high is not None and 0.2 < peak.high < 1.78
    lost = next(one for one in finding.figures if one.name.startswith("gold lost"))
    assert lost.note == "95 % for every n at once", "the n it falls from was chosen by the same prompts"
    assert finding.figures[-1].note.endswith("at n = 1, 2, 4, 8, 16, 32, 64")


def test_gold_that_levels_off_is_not(found: Ask) -> None:
    """The best of n soon has all there is: the parabola turns before 64, and gold never falls."""
    finding = found("best_of_n", counting, table("number"), gold="reward.py:capped")
    peak = {one.name: one for one in finding.figures}["d*"]
    assert peak.high is not None and peak.high < 1.78, "by the fit alone it would be refused"
    assert (finding.status, finding.stops) == ("printed only", False)


def test_without_gold_it_is_not_measured(found: Ask) -> None:
    finding = found("best_of_n", counting, table("number"))
    assert (finding.status, finding.stops) == ("not measurable", True)
    assert finding.remedy == ("accord gate PLAN --gold FILE.py:function",)


def test_a_reward_model_of_few_comparisons_is_refused_unseen(found: Ask) -> None:
    def with_rows(count: int) -> Finding:
        rows = [{"prompt": f"{i}?", "chosen": "aye", "rejected": "no"} for i in range(count)]
        Path("many.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
        plan: dict[str, Any] = table("number")
        overseer = {"name": "reward", "models": ["stage:judge"], "reduction": "mean", "limit": "none"}
        plan["stage"][0]["ask"][0]["overseer"] = overseer
        source = {"name": "offline", "data": "many.jsonl"}
        judge = {"name": "judge", "windows": 1, "source": source, "method": {"name": "reward_model"}}
        plan["stage"].insert(0, judge)
        return found("best_of_n", counting, plan)

    few_of_them = with_rows(1999)
    assert few_of_them.status == "refused"
    assert few_of_them.says == "a reward model learnt from 1,999 comparisons; 2,000 are the least"
    assert with_rows(2000).status == "not measurable", "enough of them; the model is not there yet"


def test_a_method_that_learns_from_a_file_uses_no_reward(found: Ask) -> None:
    offline = table(source={"name": "offline", "data": "pairs.jsonl"}, method={"name": "dpo"}, ask=[])
    assert found("best_of_n", counting, offline).status == "printed only"
