"""The whole gate: what stops, what may explore, what a person may sign for, and that nothing is asked twice.

Mutants these kill: a check left out that passes, an explorer refused, a signature of another plan, check,
stage or values, one for what nobody can sign for, a line changed by hand, an answer or verdict asked again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.gating.conftest import ANSWERS, NO_PANELS, PROMPTS, table
from unit.gating.saying import Base
from unit.gating.test_base_audit import written

from accord.errors import PlanError, Refused, Unreadable
from accord.gating import CHECKS, FIRM, GateReport, gate, read_signed, sign, signed_file, with_signed
from accord.gating.report import Finding
from accord.plan import Plan
from accord.records import Prompt

Whole = Callable[..., GateReport]
GUARD: dict[str, Any] = {**NO_PANELS, "indicator": [{"name": "calibration"}], "items": 64}


def wordy(prompt: Prompt, rng: np.random.Generator) -> str:
    del prompt
    return " ".join(f"w{rng.integers(100, 999)}" for _ in range(rng.integers(1, 9)))


def missing(report: GateReport) -> list[str]:
    return [one.check for one in report.missing]


def test_a_plan_and_nothing_else_is_refused_with_what_is_missing(whole: Whole) -> None:
    report = whole(Base(wordy), table(guard=GUARD))
    assert (report.passed, report.refused) == (False, True)
    assert [one.check for one in report.findings] == list(CHECKS)
    assert missing(report) == ["base_audit", "covariance", "best_of_n", "asking"]
    assert all(one.remedy for one in report.missing), "each says what it would take"
    decision = report.decision
    assert (decision.action, decision.run) == ("pause", f"gate/{report.hash}")
    assert decision.reason.startswith("base_audit of push: not measurable; covariance of push: refused")
    (kept,) = Path("gates").glob("*/gate.json")
    assert json.loads(kept.read_text("utf-8")) == json.loads(json.dumps(report.json()))


def test_one_who_explores_is_told_and_not_refused(whole: Whole) -> None:
    report = whole(Base(wordy), {**table(guard=GUARD), "purpose": "explore"})
    assert (report.passed, report.refused) == (False, False)
    assert (
        report.headline
        == "p: purpose explore, which needs no gate; for a model to keep 4 of 8 checks are missing"
    )


def test_where_nothing_pushes_there_is_nothing_to_check(whole: Whole) -> None:
    report = whole(Base(wordy), table(method={"name": "best_of_n", "n": 2}))
    assert (report.findings, report.passed) == ((), True)
    assert report.decision.action == "continue"


def test_nothing_is_asked_twice(whole: Whole) -> None:
    base, plan = Base(wordy), table(guard=GUARD)
    first = whole(base, plan, gold="reward.py:chance", checks=["covariance", "typicality"])
    called, asked = Path("called.txt").stat().st_size, len(base.asked)
    assert (called, asked) == (PROMPTS * ANSWERS, PROMPTS)
    again = whole(base, plan, gold="reward.py:chance", checks=["covariance", "typicality"])
    assert (Path("called.txt").stat().st_size, len(base.asked)) == (called, asked)
    assert again.json() == first.json()
    other = {**plan, "stage": [{**plan["stage"][0], "guard": {**GUARD, "planned_kl": 0.5}}]}
    whole(base, other, gold="reward.py:chance", checks=["covariance"])
    whole(base, plan, reward="reward.py:chance", checks=["covariance"])
    assert len(base.asked) == asked, "what was answered holds for another guard and another reward too"


def test_a_gate_that_was_broken_off_goes_on(whole: Whole) -> None:
    plan = table(guard=GUARD)
    wide = {"prompts": 36, "checks": ["covariance"]}
    with pytest.raises(RuntimeError, match="switched off"):
        whole(Base(wordy, stops_at=15), plan, **wide)
    base = Base(wordy)
    broken = whole(base, plan, **wide)
    assert 0 < len(base.asked) < 36, "what was on disk is not asked again"
    assert broken.json()["findings"] == whole(Base(wordy), plan, **wide).json()["findings"]


def test_it_passes_with_evidence_and_signatures(
    whole: Whole, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accord.gating.best_of_n._PROMPTS", 4)
    written(place)
    plan, file = table("chance", guard=GUARD), place / "plan.signed.jsonl"
    report = whole(Base(wordy), plan, gold="reward.py:longer")
    assert missing(report) == ["asking"]
    (record,) = sign(report, ["asking"], "A. Person", "asked elsewhere", file)
    assert (record.check, record.stage, record.plan, record.values) == ("asking", "", report.hash, "")
    passed = whole(Base(wordy), plan, gold="reward.py:longer")
    assert passed.passed and not passed.refused
    assert passed.decision.parents == (record.id,)
    assert "asking signed by A. Person: asked elsewhere" in passed.decision.reason
    assert passed.rows()[-1] == {"check": "asking", "stage": "", "status": "signed by A. Person", "stops": ""}
    other = {**plan, "seed": 1}
    assert "asking" in missing(whole(Base(wordy), other, checks=["asking"])), "signed for one plan"
    weights = whole(Base(wordy, policy="another"), plan, checks=["asking"])
    assert "asking" in missing(weights), "and for one base, whatever lies under its name"
    valued = whole(Base(wordy), plan, checks=["asking"], values="minimal")
    assert "asking" in missing(valued), "and for one document of values"


def report_of(*findings: Finding) -> GateReport:
    return GateReport("p", "h", "", "model", findings)


def test_what_nobody_can_sign_for(place: Path) -> None:
    file = place / "x.jsonl"
    for check in sorted(FIRM):
        firm = report_of(Finding(check, "refused", "lacking", remedy=("do this",)))
        with pytest.raises(Refused, match="nobody can sign for this"):
            sign(firm, [check], "A", "b", file)
    both = report_of(Finding("raters", "refused", "x", "s"), Finding("panels", "refused", "y", "s"))
    with pytest.raises(Refused, match="nobody can sign"):
        sign(both, ["raters", "panels"], "A", "b", file)
    assert not file.exists(), "all or nothing"
    fine = report_of(Finding("raters", "passed", "x"))
    with pytest.raises(Refused, match="nothing to sign"):
        sign(fine, ["raters"], "A", "b", file)
    with pytest.raises(PlanError, match='did you mean "raters"'):
        sign(fine, ["rater"], "A", "b", file)
    with pytest.raises(Refused, match="--by NAME"):
        sign(both, ["raters"], " ", "b", file)


def test_a_signature_is_of_one_check_and_stage_and_stands_as_it_was_written(place: Path) -> None:
    file = place / "x.jsonl"
    two = report_of(Finding("raters", "refused", "x", "one"), Finding("raters", "refused", "x", "two"))
    one = two._replace(findings=two.findings[:1])
    sign(one, ["raters"], "A", "b", file)
    assert [f.stops for f in with_signed(two, read_signed(file)).findings] == [False, True]
    forged = file.read_text("utf-8").replace('"one"', '"two"')
    file.write_text(forged, "utf-8")
    with pytest.raises(Unreadable, match="it was changed"):
        read_signed(file)
    file.write_text("nonsense\n", "utf-8")
    with pytest.raises(Unreadable, match=r"x\.jsonl:1"):
        read_signed(file)
    assert signed_file(Path("a/plan.toml")) == Path("a/plan.signed.jsonl")
    assert signed_file(Path("a/plan.toml"), Path("b")) == Path("b/plan.signed.jsonl")
    firm = report_of(Finding("panels", "refused", "x", "one"))
    sneaked = sign(one, ["raters"], "A", "b", place / "y.jsonl")[0].model_copy(update={"check": "panels"})
    assert with_signed(firm, [sneaked]).missing, "a line written by hand signs for nothing firm"


def test_a_judge_whose_errors_nobody_counted_is_refused(whole: Whole) -> None:
    plan = table(guard=GUARD)
    judge = {"name": "judge", "model": "base", "rubric": "Which is better?"}
    plan["stage"][0]["ask"][0]["overseer"] = judge
    (finding,) = [
        one for one in whole(Base(wordy), plan, checks=["judges"]).findings if one.check == "judges"
    ]
    assert (finding.status, finding.says.partition(",")[0]) == (
        "refused",
        "a model judges for the column score",
    )


def test_a_panel_that_was_changed_is_refused(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    seals = {"choices": "0" * 64}
    monkeypatch.setattr("accord.panels.shipped_panels", lambda: seals)
    report = whole(Base(wordy), table(guard=GUARD), checks=["panels"])
    assert report.findings[0].status == "refused" and "changed after it was sealed" in report.findings[0].says


def test_what_was_not_asked_for_is_missing_and_what_is_no_check_is_said(whole: Whole) -> None:
    report = whole(Base(wordy), checks=["raters"])
    assert len(report.missing) == len(CHECKS) - 1
    with pytest.raises(PlanError, match='did you mean "raters"'):
        gate(Plan.model_validate(table()), checks=["rater"])
    with pytest.raises(PlanError, match="2 or more"):
        gate(Plan.model_validate(table()), prompts=1)
