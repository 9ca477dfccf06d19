"""A quick subset of ``make evidence-stewardship``, by the same code, and its part of the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import evidence_stewardship
from proofs.ledger import ROOT, Row, code_digest
from proofs.stewardship_page import CASES, third
from proofs.stewardship_parts import CI, FULL, KILLED, QUICK, TESTED, parts
from proofs.tested import is_there
from proofs.whole import whole
from stewardship.killed import CASES as CASES_OF_KILLS

STEWARDSHIP, KEEPING = 4, 9  # rows of "what must be shown"; the study has a page of its own
BESIDE = 2  # the control of the guard, and the reference command


def row(part: str, seed: int = 0, /, **figures: Any) -> Row:
    return Row(part, seed, "full", "", 1.0, {"held": True, **figures})


def walked(seed: int, quiet: bool = True, ends: str = "no evidence") -> Row:
    apart = "lets-stay, land"
    figures: dict[str, Any] = {"quiet": quiet, "kept": True, "answered": bool(ends), "audits": 5}
    figures |= {"pages": [] if quiet else ["page"], "lost": [], "trained": []}
    figures |= {"ends": {apart: {"dialogue": ends} if ends else {}}, "told": [apart] if ends else []}
    figures |= {"contested": ["prefers-old"], "shares": {apart: [0.0, 0.0], "says-please, land": [0.9, 1.0]}}
    return row("the path", seed, slices=["says-please, land"], **figures)


def outcomes(rows: list[Row]) -> dict[str, str]:
    """What the first table says, by the first words of the case."""
    told = third(rows, parts(FULL)).partition("|---|---|---|\n")[2].partition("\n\n")[0]
    return {line.split(" | ")[0][2:20]: line.split(" | ")[2].removesuffix(" |") for line in told.splitlines()}


def test_the_quick_command_answers_with_the_same_code(tmp_path: Path) -> None:
    files = ["--results", str(tmp_path / "r.jsonl"), "--page", str(tmp_path / "p.md")]
    assert evidence_stewardship.main(["--quick", *files]) == 0
    before = (tmp_path / "r.jsonl").read_bytes()
    rows = [Row(**json.loads(line)) for line in before.decode().splitlines()]
    by: dict[str, list[dict[str, Any]]] = {}
    for one in rows:
        by.setdefault(one.part, []).append(one.figures)
    assert set(by) == {part.name for part in parts(QUICK) if part.seeds}
    assert all(f["held"] for own in by.values() for f in own)
    (flips,) = by["bit flips"]
    assert flips["found"] == dict.fromkeys(("content", "inventory", "sidecar", "envelope"), 1)
    assert [f["places"] > 1 for f in by["kills in keeping"]] == [True, True]
    forged = by["forged statements"][0]["forgeries"]
    assert len(forged) == 12 and sum(one["tried"] for one in forged) > 15
    assert by["refused imports"][0]["pickles"] > 0 and by["refused imports"][0]["sings"]
    assert 1 < by["archive size"][0]["share"] < 1.05
    assert evidence_stewardship.main(["--quick", "--page-only", *files]) == 0
    told = (tmp_path / "p.md").read_text()
    assert "These are the quick rows" in told and "| all | " in told
    assert evidence_stewardship.main(["--quick", "--only", "gate", *files]) == 1
    assert (tmp_path / "r.jsonl").read_bytes() == before


def test_every_row_of_the_design_is_on_a_page_of_nothing() -> None:
    told = outcomes([])
    assert len(told) == len(CASES) == STEWARDSHIP - 1 + KEEPING + BESIDE
    assert all("not run" in said and "as designed" not in said for said in told.values())
    assert "0/" not in third([], parts(FULL))
    page = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert all(f"| {case.title} |" in page for case in CASES)


def test_every_part_is_of_some_row_and_has_its_own_code() -> None:
    named = {name for case in CASES for name in (*case.parts, case.short) if name}
    assert named | {"proved by tests"} == {part.name for part in parts(FULL)}
    assert {name for case in CASES for name in case.tests} == set(TESTED)
    assert all(is_there(test) for own in TESTED.values() for test in own)
    assert tuple(CASES_OF_KILLS) == KILLED
    other = code_digest("a part of the guard's")
    assert all(code_digest(part.name) != other for part in parts(FULL))
    asked = {part.name for part in parts(CI) if part.seeds}
    assert asked >= {"bit flips", "kills in keeping", "forged statements", "verify rate, small"}
    assert "the path" not in asked


def test_nineteen_of_twenty_are_enough_and_eighteen_are_not() -> None:
    head = "held properties st"
    quiet = [walked(seed) for seed in range(18)]
    assert outcomes([*quiet, walked(18), walked(19, False)])[head] == "as designed: 19 of 20"
    assert outcomes([*quiet, walked(18, False), walked(19, False)])[head] == "**differs** in 2 of 20"
    assert outcomes(quiet)[head] == "as designed, 2 still to run"
    told = third([*quiet, walked(18), walked(19, False)], parts(FULL))
    assert "No page in 19/20 (75.13%–99.87%)" in told
    assert "| dialogue: no evidence | 20 |" in told
    silent = outcomes([walked(0), walked(1, ends="")])["a divergence is not t"[:18]]
    assert silent.startswith("**differs** in 1 of 2")


def test_a_small_verification_is_no_verdict_and_the_other_parts_stand() -> None:
    figures = {"gb": 1.0, "threads": 2, "verified": 2.0**30, "alone": 2.0**30, "share": 0.5, "load": 9.0}
    told = outcomes([row("verify rate, small", **figures, cores=2)])["`verify` of 10 GB,"]
    assert told == "not run; its short form (`verify rate, small`, the rate not judged): as designed"
    text = third([row("verify rate, small", **figures, cores=2)], parts(FULL))
    assert "| 1 GB | 2 | 1.00 GiB/s | 1.00 GiB/s | 0.500 | 9.0 on 2 |" in text
    page = whole(stewardship=ROOT / "nothing.jsonl")
    assert page.count("## Stewardship and keeping\n") == 1
    assert "## Feedback and the people who give it" in page
