"""``accord explain``: findings as prose that fits the terminal, with their limits; JSON for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.reports.grouped import SHORT, Hasty, a_run
from unit.reports.written import make_run

from accord.cli import main
from accord.reports.explained import CHECKS


def test_a_clean_run_says_what_was_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(tmp_path)
    assert main(["explain", "brevity-1", "--runs", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(
        "nothing unusual found in 12 updates of stage amplify (checked: refused, zero_gradient,"
    )
    assert "not looked at, for want of figures: " in said
    assert all(name in said for name in CHECKS)


@pytest.mark.parametrize("columns", ["80", "110"])
def test_a_finding_says_what_was_seen_what_it_means_and_what_to_do(
    columns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    run = a_run(tmp_path, SHORT, missing=3.0)
    assert main(["explain", str(run / "amplify")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert lines[0] == "brevity-1, stage amplify: 12 updates in 12 windows by grpo"
    assert lines[2] == "Many answers have no verdict (missing)"
    assert lines[3] == "  level   serious: training does not do what it should"
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == [
        "level",
        "seen",
        "means",
        "do",
        "limits",
    ]
    said = " ".join(" ".join(lines).split())
    assert "75 % of the rows have none in 12 windows, 1 to 12, of 12." in said
    assert "limits 0.2: share of a window's rows without a verdict" in said


def test_machines_get_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path, SHORT, missing=3.0)
    assert main(["explain", str(run), "--json"]) == 0
    (stage,) = json.loads(capsys.readouterr().out)["stages"]
    assert (stage["stage"], stage["findings"][0]["level"]) == ("amplify", "serious")
    assert stage["unread"]["critic_blind"] == "no critic"


def test_a_run_that_a_rule_stopped_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "r")
    with Hasty(run) as script:
        script.decide("pause", "fell:diversity", "diversity fell by 0.7", parents=("e",))
    assert main(["explain", str(run)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "r, stage amplify: paused at step 0 by rule fell:diversity: diversity fell by 0.7\n"
    )
    assert "nothing unusual found in 0 updates of stage amplify (checked: nothing)" in said


def test_a_run_without_a_stage_has_nothing_to_explain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(make_run(tmp_path / "r"))]) == 0
    assert "no stage of this run has begun" in capsys.readouterr().out


def test_what_is_no_run_is_no_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path / "nothing")]) == 1
    said = capsys.readouterr().err
    assert "a run's folder" in said
    assert "this is a bug" not in said
