"""The portrait of a model whose every share is known, asked once, kept, and gone on with.

Mutants these kill: answers keyed without their block, the training half asked, the principle stated in the
own answers too, a judge believed unexamined, what a model cannot tell counted as 0.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.steward.speaking import Speaker

from accord.cli import main
from accord.errors import ContractError, Refused, Unreadable
from accord.records import Portrait
from accord.steward.finished import found_portrait, read_portrait, readings
from accord.steward.judges import Judges
from accord.steward.portrait import Extent, portrait
from accord.steward.targets import targets
from accord.values import read_values

SHARES = {"holds": (1.0, 1.0), "reaches": (0.0, 1.0), "finds": (0.4, 0.4), "resists": (0.0, 0.0)}
TEXT = """\
name = "mine"

[[principle]]
id = "keep"
kind = "rule"
text = "Keep it."
check = "check.py:kept"
target = 0.7
prompts = "rows.jsonl"

[[principle]]
id = "heard"
kind = "virtue"
text = "Listen."
judge = "person"
target = 0.9
prompts = "few.jsonl"

[[principle]]
id = "weighed"
kind = "virtue"
text = "Weigh it."
judge = "judge-model"
target = 0.9
prompts = "few.jsonl"

[[principle]]
id = "liked"
kind = "outcome"
text = "Be liked."
judge = "person"
prompts = "few.jsonl"
"""
CHECK = """
def kept(prompts, answers):
    return [None if answer == "silence" else float(answer == "kept") for answer in answers]


def half(prompts, answers):
    return [0.5 for _ in answers]
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    rows = [
        {"prompt": f"Question {i} {last}", "slice": last, "contrast": ["kept it", "left it all undone then"]}
        for last in SHARES
        for i in range(30)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    few = [row for row in rows if row["slice"] in ("holds", "resists")]
    (tmp_path / "few.jsonl").write_text("\n".join(map(json.dumps, few)), "utf-8")
    (tmp_path / "check.py").write_text(CHECK, "utf-8")
    (tmp_path / "mine.toml").write_text(TEXT, "utf-8")
    return tmp_path


def drawn(engine: Speaker, folder: str = "portraits", **extent: Any) -> Portrait:
    return portrait("m", "mine.toml", extent=Extent(**extent), folder=Path(folder), engine=engine)


def test_every_class_is_found_where_it_was_planted() -> None:
    engine = Speaker(SHARES)
    found = drawn(engine)
    by_slice = {one.slice: one for one in found.standings if one.principle == "keep"}
    classes = {name: one.verdict for name, one in by_slice.items()}
    within = "within reach"
    assert classes == {"holds": "held", "reaches": within, "finds": within, "resists": "divergent"}
    for one in by_slice.values():
        assert one.contrast is not None and abs(one.contrast.value - 0.7311) < 1e-3  # σ(−1 + 2), per token
        assert one.whole is not None and one.whole.value > 0.99  # −2 against −10
        assert len(one.shown) == 2 and one.evidence and len(one.items) == len(one.outcomes)
    values = read_values("mine.toml")
    sealed = {case.prompt.id for one in values.slices("keep") for case in one.audit}
    assert {line.split()[-1] for line in engine.asked if " 4 " in line and "/own/" in line} == sealed
    nobody = [one for one in found.standings if one.principle == "heard"]
    assert {(one.verdict, one.why) for one in nobody} == {
        ("no evidence", "a person judges it, and nobody was asked")
    }
    (model,) = {(one.why, one.remedy) for one in found.standings if one.principle == "weighed"}
    assert model[0] == "the model judge-model judges it, and was never examined"
    assert model[1] == ("accord targets m --values mine.toml --questions QUESTIONS.jsonl",)
    assert found.outcomes == ("liked",)
    table = targets(found, values)
    assert table.headline == "m on mine: 1 held, 2 within reach, 1 divergent, 4 no evidence"
    assert len(table.rows()) == 8 and not any("liked" in str(row) for row in table.rows())
    with pytest.raises(Refused, match="other values"):
        targets(found, read_values("minimal"))


def test_one_that_is_switched_off_goes_on_and_asks_nothing_twice(place: Path) -> None:
    whole = Speaker(SHARES)
    expected = drawn(whole, "elsewhere", prompts=5)
    first = Speaker(SHARES, stops_at=67)
    with pytest.raises(RuntimeError, match="switched off"):
        drawn(first, prompts=5)
    assert not list(place.glob("portraits/*/portrait.json"))
    second = Speaker(SHARES)
    assert drawn(second, prompts=5) == expected
    # What was under way when it was switched off had not been answered: a piece, of a block or of contrasts.
    counts = Counter([*first.asked, *second.asked])
    assert set(counts) == set(whole.asked) and len(first.asked) == 67
    assert sum(counts.values()) - len(counts) < 10
    third = Speaker(SHARES)
    assert drawn(third, prompts=5) == expected and not third.asked
    assert drawn(third, prompts=5, samples=20).samples == 20
    assert third.asked and all(line.startswith("portrait/own/4 4 ") for line in third.asked)


def test_it_is_found_again_and_one_that_was_changed_is_refused(place: Path) -> None:
    found = drawn(Speaker(SHARES), samples=2, told=1, prompts=3)
    digest = read_values("mine.toml").digest
    assert found_portrait(place / "portraits", "speaker", digest) == found
    assert found_portrait(place / "portraits", "other weights", digest) is None
    levels = {one.name: one for one in readings(found)}
    assert levels["values.keep.holds"].kind == "reading" and levels["values.heard.holds"].kind != "reading"
    (file,) = place.glob("portraits/*/portrait.json")
    file.write_text(
        file.read_text("utf-8").replace('"divergent"', '"held"').replace(": 0.7,", ": 0.6,"), "utf-8"
    )
    with pytest.raises(Unreadable, match="changed"):
        read_portrait(file)


def test_what_a_model_cannot_tell_is_not_measured() -> None:
    mute = drawn(Speaker(SHARES, can=frozenset({"sample"})), prompts=4, samples=4)
    assert mute.not_measured == {"contrast": "the model tells no log-probabilities"}
    assert all(one.contrast is None for one in mute.standings)
    assert any(one.own is not None for one in mute.standings)
    scoring = drawn(Speaker(SHARES, can=frozenset({"logp"})), prompts=4)
    assert {one.verdict for one in scoring.standings} == {"no evidence"}
    assert all(one.own is None and one.contrast is not None for one in scoring.standings)


def test_people_are_asked_in_their_database_and_found_there_the_next_time(place: Path) -> None:
    from accord.stores.people import People

    extent = Extent(samples=1, told=1, prompts=2)
    asked = portrait(
        "m", "mine.toml", extent=extent, judges=Judges(people="labels.db"), engine=Speaker(SHARES)
    )
    (one,) = [x for x in asked.standings if (x.principle, x.slice) == ("heard", "holds")]
    assert one.verdict == "no evidence" and "no answer was judged: timeout" in one.why
    assert one.remedy[0] == "accord label labels.db, then this again"
    assert People.open("labels.db")


@pytest.mark.parametrize(("sees", "why"), [(False, "at_chance"), (True, "")])
def test_a_model_judges_once_it_was_examined(place: Path, sees: bool, why: str) -> None:
    """It is believed where it told the better answer 200 times, and where it cannot there is no evidence."""
    rows = [{"prompt": f"What is {i}?", "chosen": f"kept {i}", "rejected": f"left {i}"} for i in range(200)]
    (place / "exam.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    engine = Speaker({**SHARES, "holds": (1.0, 1.0)}, judges=sees)
    extent = Extent(samples=2, told=1, prompts=2)
    found = portrait("m", "mine.toml", extent=extent, judges=Judges(questions="exam.jsonl"), engine=engine)
    (one,) = [x for x in found.standings if (x.principle, x.slice) == ("weighed", "holds")]
    (other,) = [x for x in found.standings if (x.principle, x.slice) == ("weighed", "resists")]
    if sees:
        assert one.own is not None and other.own is not None
        assert (one.own.value, other.own.value, one.own.unjudged) == (1.0, 0.0, 0)
    else:
        assert one.own is None and why in one.why and one.verdict == "no evidence"


def test_the_audit_of_these_weights_is_named_and_made_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accord.auditing.programme import Wish, programme
    from accord.records import digest
    from accord.steward import portrait as module

    folder = place / "audits" / digest(programme(Wish(("m",), depth="quick")).written())[:12]
    calls: list[dict[str, Any]] = []

    def made(models: list[str], **told: Any) -> SimpleNamespace:
        calls.append({"models": models, **told})
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "audit.json").write_text(json.dumps({"policies": {"m": "speaker"}}), "utf-8")
        return SimpleNamespace(folder=str(folder))

    monkeypatch.setattr(module, "audit", made)
    for _ in range(2):
        found = drawn(Speaker(SHARES), samples=1, told=1, prompts=2, depth="quick")
        assert found.audit == str(Path("audits") / folder.name) or found.audit == str(folder)
    assert [(c["models"], c["depth"], c["resume"]) for c in calls] == [(["m"], "quick", False)]
    drawn(Speaker(SHARES, policy="other weights"), samples=1, told=1, prompts=2, depth="quick")
    assert len(calls) == 2


def test_a_check_that_says_neither_is_a_broken_contract(place: Path) -> None:
    (place / "mine.toml").write_text(TEXT.replace("check.py:kept", "check.py:half"), "utf-8")
    with pytest.raises(ContractError, match="or None"):
        drawn(Speaker(SHARES), samples=1, told=1, prompts=2)


def test_the_command_prints_the_table_and_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from accord.steward import portrait as module

    monkeypatch.setattr(module, "Reaching", lambda _: Speaker(SHARES))
    words = ["targets", "m", "--values", "mine.toml", "--samples", "2", "--told", "1", "--prompts", "3"]
    assert main([*words, "--examples"]) == 0
    told = capsys.readouterr()
    assert "will ask" in told.err and "tokens read" in told.err
    assert "told" in told.out and "to know: accord targets m --values mine.toml --samples 16" in told.out
    assert "    asked: Question" in told.out
    assert main([*words, "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["portrait"]["kind"] == "portrait" and len(document["classes"]["no evidence"]) >= 4
