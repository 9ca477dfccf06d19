"""What a guard is told to see, to bear and to halt on stands in the plan.

Mutants these kill: a default that nobody wrote down, a tolerance that nothing reads, too much δ spent.
"""

from __future__ import annotations

from typing import Any

from unit.steward.test_requirements import PLAN

from accord.plan import Plan, read_plan
from accord.steward.guarded import guarded, stated


def test_what_a_guard_bears_is_written_down_and_read() -> None:
    plan = read_plan(PLAN)
    assert "no rule stands in its plan" in guarded(plan, plan.stage).lacks[0]
    full = stated(plan, plan.stage)
    assert guarded(full, full.stage).lacks == () and full.hash != plan.hash
    assert "δ 0.01, halts at a page on calibration" in guarded(full, full.stage).says
    table = plan.table()
    bare: Any = table["stage"]
    bare[0]["guard"]["indicator"] = [{"name": "diversity"}]
    other = stated(Plan.model_validate(table), Plan.model_validate(table).stage)
    assert "no indicator of its guard reads" in guarded(other, other.stage).lacks[0]

    def lacks(rules: list[dict[str, Any]]) -> tuple[str, ...]:
        table = plan.table()
        stage: Any = table["stage"]
        stage[0]["guard"]["rule"] = rules
        other = Plan.model_validate(table)
        return guarded(other, other.stage).lacks

    page = {"name": "page", "delta": 0.01, "tolerances": {"calibration.brier": {"by": 0.03}}}
    assert lacks([page]) == ()
    assert "no rule page" in lacks([{"name": "fault"}])[0]
    assert "does not say delta and tolerances" in lacks([{"name": "page"}])[0]
    unread = {**page, "tolerances": {"refusals.safe": {"by": 0.05}}}
    assert "no indicator of its guard reads" in lacks([unread])[0]
    assert "spend δ 0.02; the plan has 0.01" in lacks([{**page, "delta": 0.02}])[0]
