"""The report of a stewardship: exceptions on top, every figure of what was not taken, and nothing hidden.

Mutants these kill: an exception below the figures, a loss that is not said first, "nothing was pushed" said
without looking, a figure without its MDE, a foreign text that is markup, the loss of an untaken variant.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.reports.test_page import EVIL, Page
from unit.reports.written import finished
from unit.steward.walking import Walked, base, raised, written

from accord.progress import Silent
from accord.records import Acceptance, Proposal
from accord.records.portraits import Shown
from accord.reports import write_report
from accord.reports.stewarded import SubRun
from accord.reports.stewarded_runs import pushed
from accord.reports.stewardship import gather_stewardship, write_stewardship
from accord.reports.strips import Mark, strip
from accord.steward import path
from accord.steward.steps import Came
from accord.stores.chronicle import Chronicle
from accord.stores.gates import KEPT
from accord.values import read_values

NEEDED: dict[str, Any] = {
    "left": [{"principle": "keep", "slice": "denies"}],
    "method": "online_dpo",
    "plan": "harder.toml",
    "missing": ["base"],
    "requirements": [
        {"name": "base", "status": "missing", "says": "no archive", "steps": ["accord keep m"]},
        {"name": "guard", "status": "passed", "says": "all of it", "steps": []},
    ],
    "commands": ["accord gate harder.toml --values mine", "accord run harder.toml"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(path, "harder", lambda *_: Came(NEEDED))
    written(tmp_path)
    return tmp_path


def stewarded(place: Path, **told: Any) -> Path:
    walked = Walked(place, **told)
    return walked.walk().whole(None, Silent()).folder


def test_a_person_reads_first_what_persons_answer_for_and_then_every_figure(place: Path) -> None:
    folder = stewarded(place)
    finished(folder / "w-amplify-told")  # it has a Pause that A. Person accepted
    offer = Proposal(
        policy="speaker",
        values="v",
        principle="keep",
        slice="denies",
        resolution="contested slice",
        text="carve it out",
    )
    yes = Acceptance(proposal=offer.id, accepts=True, by="B. Other", reason=EVIL[0], before="v")
    Chronicle.read(folder).add([offer, yes])
    report = gather_stewardship(folder)
    assert [(one.by, one.what) for one in report.exceptions] == [
        ("A. Person", "a Pause of w-amplify-told at update 1"),
        ("B. Other", "accepted: contested slice for keep, denies"),
    ]
    assert report.state == "finished" and "1 that were below their target reach it" in report.headline
    assert report.pushed.endswith("% of tokens in w-amplify-told"), "that run's own figure"
    text = write_stewardship(folder).read_text("utf-8")
    page = Page(text)
    said = " ".join(" ".join(page.said).split())
    first = said.index("the probes are few")
    assert first < said.index("What was asked") and said.index("B. Other") < said.index("What was asked")
    assert "script" not in page.tags and EVIL[0] in said, "foreign text is shown, not run"
    order = [
        "What was asked",
        "What the base held",
        "What was done",
        "What changed",
        "Crossings and decisions",
    ]
    places = [said.index(f"{one} ", first) for one in order]
    assert places == sorted(places)
    assert "told (chosen)" in said and "told-gentle" in said, "what was not taken stands there too"
    assert "held already: no target of training; its own answers are among those that hold it" in said
    assert "no change seen" in said and "MDE" in said
    assert "accord keep m" in said and "A push would be harder.toml" in said
    assert {link for link in page.links if not link.startswith("#")} <= {"w-amplify-told/report.html"}
    assert "http" not in text.replace("http-equiv", "") and "src=" not in text
    document = json.loads((folder / "report.json").read_text("utf-8"))
    assert document["kind"] == "stewardship report" and len(document["changes"]) == 4
    seen = {one["slice"]: one["seen"] for one in document["changes"]}
    assert 0 < seen["denies"] < 1
    other = write_stewardship(folder, place / "elsewhere" / "page.html")
    assert other.read_text("utf-8") == text


def test_a_loss_and_a_halt_are_said_before_any_figure(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = read_values(place / "mine.toml")
    evil = base(values)
    shown = (Shown(prompt=EVIL[1], answer=EVIL[7], kept=False),)
    poor = raised(evil, ["reaches"], "poor", ["holds"])
    poor = poor.model_copy(
        update={"standings": tuple(s.model_copy(update={"shown": shown}) for s in poor.standings)}
    )
    monkeypatch.setattr("unit.steward.walking.raised", lambda *_: poor)
    report = gather_stewardship(stewarded(place))
    (warning,) = report.warnings
    assert warning.startswith("keep, holds was held before and is lower now: −100 points")
    text = write_stewardship(place / "runs" / "w").read_text("utf-8")
    said = " ".join(Page(text).said)
    assert said.index("was held before and is lower now") < said.index("What was asked")
    assert "⟨U+202E⟩" in said and "img" not in Page(text).tags
    halted = Walked(place, stopped="halt at step 3: a page")
    folder = halted.walk(name="halted").whole(None, Silent()).folder
    found = gather_stewardship(folder)
    assert found.state == "halted" and found.headline.startswith("halted: the guard halted every run")
    assert found.needed == () and found.harder == "not asked yet" and found.pushed == "nothing was trained"
    Page(write_stewardship(folder).read_text("utf-8"))


def test_one_on_its_way_has_a_report_too(place: Path) -> None:
    walk = Walked(place).walk()
    early = gather_stewardship(walk.chronicle.folder)
    assert early.state == "on its way" and not early.stood and not early.changes
    walk.answer(0, None, Silent())
    Page(write_stewardship(walk.chronicle.folder).read_text("utf-8"))
    assert len(gather_stewardship(walk.chronicle.folder).stood) == 4


def test_a_strip_says_in_words_what_it_draws() -> None:
    drawn = strip([Mark("before", 0.25, 0.2, 0.5), Mark("now", 1.0, 0.8, 1.0)], 0.7)
    assert 'aria-label="before 25 % (20 % to 50 %), now 100 % (80 % to 100 %); target 70 %"' in drawn
    assert drawn.count("<circle") == 2 and 'cx="51.5"' in drawn and 'cx="182"' in drawn
    assert "not measured" in strip([], 0.7)


def test_a_run_that_cannot_be_read_is_said_first_and_hides_nothing_else(place: Path) -> None:
    folder = stewarded(place)
    finished(folder / "w-amplify-told")
    broken = folder / "w-amplify-told-gentle"
    broken.mkdir()
    (broken / "run.json").write_text("{", "utf-8")
    (broken / KEPT).write_text("{", "utf-8")
    report = gather_stewardship(folder)
    assert "w-amplify-told-gentle cannot be read" in report.warnings[-1]
    assert report.pushed.endswith("% of tokens in w-amplify-told; not measured in w-amplify-told-gentle")
    said = " ".join(Page(write_stewardship(folder).read_text("utf-8")).said)
    assert said.index("w-amplify-told-gentle cannot be read") < said.index("What was asked")


@pytest.mark.parametrize(
    ("lowered", "says"),
    [
        ((), "nothing was trained"),
        ([("answers", 0.0), ("tokens", 0.0)], "no answer, in 1 run"),
        ([("answers", None), ("tokens", None)], "not measured in run 0"),
        ([("answers", 0.0002), ("tokens", None)], "under 0.1 % of answers in run 0"),
        ([("answers", 0.0), ("answers", 0.25)], "25 % of answers in run 0"),
    ],
)
def test_what_was_pushed_down_is_not_nothing_because_nobody_measured_it(lowered: Any, says: str) -> None:
    run = SubRun("run 0", "finished", "", "", False, (), "", "", (), (), (), (), tuple(lowered))
    assert pushed([run] if lowered else []) == says


def test_what_was_taken_is_known_wherever_the_folder_lies(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stewarded(place)
    finished(folder / "w-amplify-told")
    assert [one.taken for one in gather_stewardship(folder).runs] == [True]
    moved = place / "elsewhere" / "w"
    moved.parent.mkdir()
    folder.rename(moved)
    monkeypatch.chdir(moved.parent)
    (run,) = gather_stewardship(Path("w")).runs
    assert run.taken
    write_report(moved / "w-amplify-told")
    assert "w-amplify-told/report.html" in Page(write_stewardship(moved).read_text("utf-8")).links
    away = Page(write_stewardship(moved, place / "page.html").read_text("utf-8"))
    assert all(link.startswith("#") for link in away.links), "a link that leads nowhere is none"
