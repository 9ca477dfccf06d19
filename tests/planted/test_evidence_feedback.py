"""A quick subset of ``make evidence-feedback``, by the same code, and the page that two ledgers share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import evidence_feedback
import pytest
from proofs import tested as tests_of
from proofs.feedback_page import CASES, half
from proofs.feedback_parts import CI, FULL, QUICK, TESTED, parts
from proofs.ledger import ROOT, Part, Row
from proofs.whole import whole

DESIGN = 9  # rows of "what must be shown"; the pages and the market come on top


def row(part: str, seed: int = 0, size: str = "full", **figures: Any) -> Row:
    return Row(part, seed, size, "", 1.0, {"held": True, **figures})


def raters(part: str, seed: int = 0, **more: Any) -> Row:
    figures = {"database": "sqlite", "raters": 200, "seconds": 60.0, "submits": 2900, "idle_median": 2.0}
    figures |= {
        "median": 3.0,
        "p99": 80.0,
        "times": 40.0,
        "leased_twice": 0,
        "lost": 0,
        "load": 8.5,
        "cores": 2,
    }
    return row(part, seed, **(figures | more))


def outcomes(rows: list[Row]) -> dict[str, str]:
    """What the first table of the page says, by the first words of the case."""
    table = half(rows, parts(FULL)).partition("|---|---|---|\n")[2].partition("\n\n")[0]
    return {
        line.split(" | ")[0][2:20]: line.split(" | ")[2].removesuffix(" |") for line in table.splitlines()
    }


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Row], str]:
    """The quick command, its rows and its page."""
    here = tmp_path_factory.mktemp("evidence")
    files = ["--results", str(here / "r.jsonl"), "--page", str(here / "p.md")]
    assert evidence_feedback.main(["--quick", *files]) == 0
    rows = [Row(**json.loads(line)) for line in (here / "r.jsonl").read_text().splitlines()]
    before = (here / "r.jsonl").read_bytes()
    assert evidence_feedback.main(["--quick", *files]) == 0, (
        "all is there, and nothing is wrong with this call"
    )
    assert (here / "r.jsonl").read_bytes() == before, "what was answered is not asked again"
    return rows, (here / "p.md").read_text()


def test_the_quick_command_answers_with_the_same_code(answered: tuple[list[Row], str]) -> None:
    rows, told = answered
    by: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        by.setdefault(one.part, []).append(one.figures)
    assert set(by) == {part.name for part in parts(QUICK) if part.seeds}
    assert [f["row"] for f in by["proved by tests"]] == list(TESTED)
    assert all(f["held"] and not f["absent"] for f in by["proved by tests"])
    covered = [*by["ratings cover"][0]["rows"], *by["alphas cover"][0]["rows"]]
    assert len(covered) == 10 and all(0 <= one["low"] <= one["value"] <= one["high"] <= 1 for one in covered)
    mass = {one["name"]: one["value"] for one in by["minority"][0]["rows"]}
    assert abs(mass["9:1, minority's mass over its true one, distribution, labels"] - 1) < 0.3
    assert mass["9:1, minority's mass over its true one, majority, labels"] < 0.1
    assert [one["bar"] for one in by["agreement page"][0]["rows"]] == ["≤ 15 ×", "–", "–", "–"]
    (load,) = by["raters"]
    assert load["submits"] > 0 and (load["leased_twice"], load["lost"]) == (0, 0)
    assert load["load"] >= 0 and f"{load['load']:.1f} on {load['cores']}" in told
    (planted,) = by["planted choice"]
    assert planted["shift"]["low"] > 0.05 and planted["refused"]
    assert "These are the quick rows" in told
    assert planted["refused"] in told


def test_a_figure_that_is_not_as_designed_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {"a": True, "b": False}
    some = [Part(n, (0,), "quick", lambda _, n=n: {"held": held[n]}) for n in held]
    monkeypatch.setattr(evidence_feedback, "parts", lambda size: some)
    words = ["--quick", "--results", str(tmp_path / "r.jsonl")]
    assert evidence_feedback.main([*words, "--only", "a"]) == 0
    assert evidence_feedback.main(words) == 1
    assert "b 0: not as designed" in capsys.readouterr().err
    assert evidence_feedback.main(words) == 0, "nothing was asked in this call"
    assert evidence_feedback.main([*words, "--only", "c"]) == 1


def test_every_row_of_the_design_is_on_a_page_of_nothing() -> None:
    told = outcomes([])
    assert len(told) == len(CASES) == DESIGN + 2
    assert all("not run" in said and "as designed" not in said for said in told.values())
    assert "0/" not in half([], parts(FULL))


def test_every_part_is_of_some_row() -> None:
    named = {name for case in CASES for name in (*case.parts, case.short) if name}
    assert named | {"proved by tests"} == {part.name for part in parts(FULL)}
    assert {name for case in CASES for name in case.tests} == set(TESTED)
    assert {part.name for part in parts(CI) if part.seeds} == {"raters, 60 s", "kills in a submit"}


def test_a_short_form_is_marked_and_is_no_verdict() -> None:
    short = outcomes([raters("raters, 60 s"), raters("raters, 60 s", 1)])["200 raters, 2–6 s "]
    assert short == "not run; its short form (`raters, 60 s`, p99 not judged): as designed"
    half_of_it = outcomes([raters("raters"), raters("raters, 60 s")])["200 raters, 2–6 s "]
    assert half_of_it == "as designed, 1 still to run"
    wrong = outcomes([raters("raters"), raters("raters", 1, held=False)])["200 raters, 2–6 s "]
    assert wrong == "**differs** in 1 of 2"
    text = half([raters("raters, 60 s")], parts(FULL))
    assert (
        "| sqlite, short form | 200, 60 s | 2,900 | 0 | 0 | 2.0 ms | 3.0 ms | 80.0 ms | 40.0 | 8.5 on 2 |"
        in text
    )


def test_tests_that_were_skipped_or_failed_are_told() -> None:
    name = list(TESTED).index("withdrawal")
    passed = row("proved by tests", name, row="withdrawal", tests=2, failed=[], skipped={})
    assert outcomes([passed])["withdrawal after s"] == "tests: 2 of 2 passed"
    skipped = row("proved by tests", name, row="withdrawal", tests=2, failed=["x"], skipped={"y": "no disk"})
    said = outcomes([skipped])["withdrawal after s"]
    assert said == "tests: 0 of 2 passed; **failed**: x; skipped: y (no disk)"


def test_tests_that_are_named_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = [test for named in TESTED.values() for test in named]
    assert all(tests_of.is_there(test) for test in tests)
    assert not tests_of.is_there("tests/planted/test_evidence_feedback.py::test_nothing_of_the_kind")
    # By the real way, once: what passed, failed and was skipped is counted.
    some = "import pytest\ndef test_a(): ...\ndef test_b(): assert 0\n"
    (tmp_path / "test_some.py").write_text(some + "@pytest.mark.skip('why')\ndef test_c(): ...\n")
    monkeypatch.setattr(tests_of, "ROOT", tmp_path)
    found = tests_of.tested({"some": ("test_some.py",)}, 0, really=True)
    assert (found["held"], found["tests"], found["failed"], found["skipped"]) == (
        False,
        3,
        ["test_b"],
        {"test_c": "why"},
    )


def test_either_ledger_leaves_the_other_half_of_the_page_alone(tmp_path: Path) -> None:
    guard, feedback = tmp_path / "g.jsonl", tmp_path / "f.jsonl"
    feedback.write_text(json.dumps(raters("raters, 60 s")._asdict()) + "\n")
    leaks = row("leaks", leaked=8, code=3, reason="a leak")
    guard.write_text(json.dumps(leaks._asdict()) + "\n")
    both = whole(guard=guard, feedback=feedback)
    assert "8 items among the training prompts" in both and "sqlite, short form" in both
    assert both.count("\n# ") + both.startswith("# ") == 1
    feedback.unlink()
    alone = whole(guard=guard, feedback=feedback)
    head = "## Feedback and the people who give it"
    assert alone.partition(head)[0] == both.partition(head)[0]
    assert "8 items" not in whole(quick=True, guard=guard, feedback=feedback), "rows of another size"


def test_the_page_in_the_documentation_is_of_both_ledgers() -> None:
    told = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert "## 1 · Planted values are recovered" in told
    assert all(f"| {case.title} |" in told for case in CASES)
