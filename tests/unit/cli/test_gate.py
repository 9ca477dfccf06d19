"""``accord gate``: exit codes, the lines that are to be pasted, one document for machines, sign-offs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from accord.cli import main

PLAN = """
name = "x"
model = "scripted"
[[stage]]
name = "a"
windows = 5
source = { name = "rollouts", prompts = "asked.jsonl" }
method = { name = "grpo" }
learner = { name = "scripted" }
[[stage.ask]]
name = "each"
column = "score"
collapse = "majority"
overseer = { name = "program", fn = "accord.overseers.program:short" }
"""


@pytest.fixture(autouse=True)
def plan(here: Path) -> Path:
    (here / "asked.jsonl").write_text("\n".join(json.dumps({"prompt": f"{i}?"}) for i in range(4)), "utf-8")
    (here / "plan.toml").write_text(PLAN, "utf-8")
    return here / "plan.toml"


def test_a_refusal_says_what_it_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "plan.toml", "--check", "raters", "--quiet"]) == 2
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "x: refused: 5 of 5 are missing: targets, preflight, guard, base, retirement"
    command = next(line for line in said if "collapse" in line and "to pass: " in line).partition(": ")[2]
    assert command == "accord gate plan.toml --set stage.a.ask.0.collapse=distribution"
    words = shlex.split(command)[1:]
    assert main([*words, "--check", "raters", "--json", "--quiet"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert [one["stops"] for one in document["findings"] if one["check"] == "raters"] == [False]
    assert document["decision"]["rule"] == "gate"


def test_one_who_explores_is_not_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gate", "plan.toml", "--set", 'purpose="explore"', "--check", "raters", "--quiet"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("x: purpose explore, which needs no gate; ")


def test_where_nothing_pushes_it_passes(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan.write_text(PLAN.replace('"grpo"', '"best_of_n", n = 2'), "utf-8")
    assert main(["gate", "plan.toml", "--quiet"]) == 0
    assert "there is nothing to check" in capsys.readouterr().out


def test_a_person_signs_beside_the_plan(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["gate", "plan.toml", "--check", "raters", "--quiet", "--json"]
    signed = [*ask, "--exception", "raters", "--by", "A. Person", "--reason", "one rater, me"]
    assert main(signed) == 2, "the others still stop it"
    findings = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert not findings["raters"]["stops"]
    (line,) = (here / "plan.signed.jsonl").read_text("utf-8").splitlines()
    record = json.loads(line)
    assert (record["kind"], record["by"], record["reason"]) == ("sign_off", "A. Person", "one rater, me")
    assert main(ask) == 2
    again = {one["check"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert again["raters"]["signed"]["id"] == record["id"]
    assert main([*signed, "--folder", "elsewhere"]) == 2
    assert (here / "elsewhere" / "plan.signed.jsonl").is_file()


def test_an_exception_needs_a_person_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "plan.toml", "--exception", "raters", "--by", "A"]) == 1
    assert "--reason is missing" in capsys.readouterr().err
    firm = ["--exception", "base_audit", "--by", "A", "--reason", "late"]
    assert main(["gate", "plan.toml", "--check", "base_audit", "--quiet", *firm]) == 2
    said = capsys.readouterr().err
    assert "nobody can sign for this" in said and "accord audit scripted --depth standard" in said


def test_a_plan_that_ships_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["gate", "dpo.toml", "--check", "panels", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (panels,) = [one for one in found["findings"] if one["check"] == "panels"]
    assert (found["plan"], panels["status"]) == ("dpo", "passed")
    assert not Path("gates/decisions.jsonl").exists(), "one who explores needs no Decision"
