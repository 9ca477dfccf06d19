"""The audit of the base is read, never made unasked; and what the guard would see is reckoned with the plan's
own numbers.

Mutants these kill: another model's audit, a quick one, an unfinished one, other weights under the name, an H
or n that nothing reads, a guard that sees nothing passed, an audit made silently.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.auditing.speaking import Speakers, right
from unit.gating.conftest import table
from unit.gating.saying import Base

from accord.auditing import audit
from accord.errors import Unreadable
from accord.gating import Keeping, gate
from accord.gating.report import Finding
from accord.maths.detecting import Pool, Schedule, minimum_detectable
from accord.plan import Plan
from accord.records import Reading
from accord.sources import seeded

Ask = Callable[..., Finding]
ONE: dict[str, Any] = {"indicator": [{"name": "calibration"}], "items": 64}


def silent(prompt: object, rng: object) -> str:
    raise AssertionError(f"{prompt} {rng}: an audit is read, and nothing is asked")


def written(folder: Path, name: str = "one", **changes: Any) -> Path:
    """An audit of ``base`` as accord audit leaves it; ``changes`` replace what it says."""
    here = folder / "audits" / name
    here.mkdir(parents=True)
    seen = tuple(np.random.default_rng(0).random(200).round(3).tolist())
    about = {"run": "audit", "name": "calibration.brier", "step": 0, "instrument": "i", "n": 200}
    found = Reading.model_validate(
        {
            **about,
            "value": 0.5,
            "low": 0.4,
            "high": 0.6,
            "items": [str(i) for i in range(200)],
            "outcomes": seen,
        }
    )
    reading = {"kind": "reading", "id": found.id, **found.body()}
    noise = {"value": 0.0, "low": -0.1, "high": 0.1, "way": "two draws"}
    told: dict[str, Any] = {
        "base": None,
        "depth": "standard",
        "finished": True,
        "models": {"base": [reading]},
        "beside": {"base": {"calibration.brier": {"noise": noise}}},
    }
    (here / "audit.json").write_text(json.dumps({**told, **changes}), "utf-8")
    (here / "wish.json").write_text("{}", "utf-8")
    (here / "asked.jsonl").write_text('{"kind": "model", "key": "base", "policy": "base"}\n', "utf-8")
    return here


def test_no_audit_is_missing_and_the_command_that_makes_it_is_named(found: Ask, place: Path) -> None:
    finding = found("base_audit", silent)
    assert (finding.status, finding.stops) == ("not measurable", True)
    audits = place / "audits"
    assert finding.remedy == (
        f"accord audit base --depth standard --folder {audits}",
        "accord gate PLAN --audit",
    )
    assert not audits.exists()


@pytest.mark.parametrize(
    "changes", [{"depth": "quick"}, {"finished": False}, {"models": {"other": []}}, {"base": "other"}]
)
def test_an_audit_of_something_else_is_none(found: Ask, place: Path, changes: dict[str, Any]) -> None:
    written(place, **changes)
    assert found("base_audit", silent).says.startswith("no finished audit of base")


def test_other_weights_under_the_name_are_refused(found: Ask, place: Path) -> None:
    written(place)
    finding = found("base_audit", silent, base={"policy": "another"})
    assert finding.status == "refused" and "other weights" in finding.says


def test_what_the_guard_sees_is_that_of_the_plan(found: Ask, place: Path) -> None:
    folder = written(place)
    finding = found("base_audit", silent, table(guard={**ONE, "every": 2}))
    (brier,) = finding.figures
    outcomes = np.array(json.loads((folder / "audit.json").read_text())["models"]["base"][0]["outcomes"])
    schedule = Schedule(10, 64, 0.03, 1, 200.0)
    pool = Pool(np.zeros(200), 1 - outcomes)
    seen = minimum_detectable(pool, schedule, seeded("gate", "smallest", "calibration.brier"))
    assert finding.status == "passed" and brier.value == seen
    assert finding.says == "in 10 audits of 64 items 1 of 1 criteria would page a shift of 0.5 or less"
    match = re.search(r"guard\.items=(\d+)$", finding.remedy[0])
    assert match and f"{int(match[1]):,} items an audit would page 0.06" in brier.note
    assert brier.note.endswith("noise +0 [-0.1, +0.1]")


def test_a_guard_that_would_see_nothing_counts_as_no_audit(found: Ask, place: Path) -> None:
    written(place)
    blind = table(windows=1, guard={**ONE, "items": 2})
    finding = found("base_audit", silent, blind)
    assert finding.status == "refused" and "counts as no audit" in finding.says
    match = re.search(r"guard\.items=(\d+)$", finding.remedy[0])
    assert match
    assert (
        found("base_audit", silent, table(windows=1, guard={**ONE, "items": int(match[1])})).status
        == "passed"
    )
    none = table(guard={**ONE, "rule": [{"name": "non_finite"}]})
    assert (
        found("base_audit", silent, none).says == "the rules of this stage page nothing that the audit read"
    )


def test_one_look_at_the_base_is_not_two(found: Ask, place: Path) -> None:
    written(place, beside={"base": {"calibration.brier": {"noise": {"way": "halves"}}}})
    assert "looked at once" in found("base_audit", silent).says


def test_a_file_that_no_audit_wrote_is_named(found: Ask, place: Path) -> None:
    (written(place) / "audit.json").write_text("[]", "utf-8")
    with pytest.raises(Unreadable, match=r"audit\.json: expected the JSON that accord audit wrote"):
        found("base_audit", silent)
    changed = written(place, "three") / "audit.json"
    changed.write_text(changed.read_text("utf-8").replace("0.637", "0.000", 1), "utf-8")
    (place / "audits" / "one" / "audit.json").unlink()
    with pytest.raises(
        Unreadable, match=r"three.audit\.json: expected the readings[^:]*\n.*was changed since"
    ):
        found("base_audit", silent)
    changed.unlink()
    (written(place, "two") / "asked.jsonl").unlink()
    with pytest.raises(Unreadable, match=r"asked\.jsonl: expected the lines"):
        found("base_audit", silent)


def test_the_files_of_a_real_audit_are_read(place: Path) -> None:
    speakers = Speakers({"base": right})
    audit(["base"], panels=("contested",), depth="standard", folder=place / "audits", engine=speakers)
    plan = Plan.model_validate(table(guard={"indicator": [{"name": "contested"}]}))
    asked = len(speakers.asked)
    report = gate(plan, checks=["base_audit"], engine=speakers, keeping=Keeping(place / "audits", None))
    (finding,) = [one for one in report.findings if one.check == "base_audit"]
    assert finding.status == "passed", finding
    assert [one.name for one in finding.figures] == ["contested.consensus"]
    assert len(speakers.asked) == asked


def test_it_is_made_where_one_says_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("accord.gating.audit_models", lambda models, **how: made.append((models, how)))
    plan, base = Plan.model_validate(table(guard=ONE)), Base(silent)
    keeping = Keeping(place / "audits", None)
    gate(plan, checks=["base_audit"], engine=base, keeping=keeping)
    assert not made
    gate(plan, checks=["base_audit"], engine=base, keeping=keeping, audit=True)
    (models, how) = made[0]
    assert (models, how["depth"], how["folder"], how["resume"]) == (
        ["base"],
        "standard",
        place / "audits",
        False,
    )
    written(place)
    gate(plan, checks=["base_audit"], engine=base, keeping=keeping, audit=True)
    assert len(made) == 1, "one stands"
    gate(plan, checks=["base_audit"], engine=Base(silent, policy="other"), keeping=keeping, audit=True)
    assert len(made) == 2, "that one is of other weights"


def test_a_folder_is_the_same_however_it_was_named(found: Ask, place: Path) -> None:
    (place / "weights").mkdir()
    here = written(place, models={"weights": []})
    (here / "asked.jsonl").write_text('{"kind": "model", "key": "weights", "policy": "base"}\n', "utf-8")
    plan = {**table(guard=ONE), "model": "weights"}
    assert "noise floor is not known" in found("base_audit", silent, plan).says, "found, if nothing in it"
