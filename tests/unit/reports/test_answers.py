"""Leafing through the answers of a stage. Kills: a filter that is not asked, an answer that is shown twice,
its newest step in place of its first, a line that is shown although it is not what its id says."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.reports.written import Script, make_run

from accord.records import Prompt
from accord.reports import answers
from accord.reports.answers import Leaf, Wanted, leaf_of


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Updates 0, 1, 2 with two prompts each; the first answer of each approved, one abstained upon."""
    run = make_run(tmp_path_factory.mktemp("answers") / "r")
    with Script(run) as script:
        for k in range(3):
            script.window(k, (f"Short {k}.", f"LONG Straße {k} and"))
            script.update(k)
        prompt = Prompt.of("What is the odd one?", slice="train")
        script.put(prompt)
        odd, repeated = script.answers(prompt, ["An odd answer", "A second"], "odd")
        script.judge(odd, None, "timeout")
        script.update(3)
        script.put(repeated)  # it stands in the log again, a step later
        base = repeated.model_copy(update={"policy": "base:0", "text": "As the base says"})
        given = repeated.model_copy(update={"policy": "", "text": "As the file says"})
        script.put(base, given)
    return run / "amplify"


def texts(leaf: Leaf) -> list[str]:
    return [one.response.text for one in leaf.answers]


def look(stage: Path, **wanted: object) -> Leaf:
    return leaf_of(stage, Wanted(**wanted), 1, 100)  # type: ignore[arg-type]


def test_the_newest_first_each_once_with_what_was_said(stage: Path) -> None:
    leaf = look(stage)
    assert leaf.found == 3 * 4 + 2
    assert [one.step for one in leaf.answers] == [3, 3, *[2] * 4, *[1] * 4, *[0] * 4]
    assert (leaf.unread, leaf.broken, leaf.pages) == (0, 0, 1)
    first = leaf.answers[-1]
    assert first.prompt is not None
    assert first.prompt.text == "Question 0.0?"
    assert first.verdicts == (("brief", "score 1"),)
    assert texts(look(stage, first=1, last=1)) == [one.response.text for one in leaf.answers[6:10]]


def test_texts_grades_and_abstentions(stage: Path) -> None:
    assert texts(look(stage, text="strasse 2")) == ["LONG Straße 2 and"] * 2
    assert texts(look(stage, text="odd one?")) == ["A second", "An odd answer"]
    assert look(stage, text="no such thing").found == 0
    assert {text[:4] for text in texts(look(stage, low=0.5))} == {"Shor"}
    assert {text[:4] for text in texts(look(stage, low=-1.0, high=0.5))} == {"LONG"}
    assert look(stage, low=0.1, high=0.9).found == 0
    assert texts(look(stage, verdict="abstained")) == ["An odd answer"]
    assert look(stage, verdict="abstained").answers[0].verdicts == (("brief", "abstained, timeout"),)
    assert texts(look(stage, verdict="none")) == ["A second"]
    assert look(stage, verdict="given").found == 12


def test_whose_they_are(stage: Path) -> None:
    assert texts(look(stage, whose="base")) == ["As the base says"]
    assert texts(look(stage, whose="data")) == ["As the file says"]
    assert look(stage, whose="all").found == 16


def test_pages(stage: Path) -> None:
    every = texts(look(stage))
    assert texts(leaf_of(stage, Wanted(), 2, 5)) == every[5:10]
    last = leaf_of(stage, Wanted(), 99, 5)
    assert (last.number, last.pages, texts(last)) == (3, 3, every[10:])
    assert leaf_of(stage, Wanted(), -4, 5).number == 1
    assert leaf_of(stage / "nowhere", Wanted(), 1, 5) == Leaf((), 1, 1, 0, 0, 0)


def test_what_is_not_what_its_id_says_is_counted_not_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.window(0)
    (file,) = (run / "amplify" / "episodes").iterdir()
    found = file.read_text(encoding="utf-8")
    file.write_text(found.replace('"text":"Yes."', '"text":"No.."') + "{not a line\n" + "[" * 90_000 + "\n")
    leaf = leaf_of(run / "amplify", Wanted(), 1, 10)
    assert (leaf.found, leaf.broken) == (4, 2)
    assert set(texts(leaf)) == {"Yes, and then again yes and"}


def test_a_long_log_says_what_was_left_out(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST", 0)
    leaf = look(stage)
    assert leaf.found == 0
    assert leaf.unread == sum(
        file.stat().st_size for part in ("episodes", "judgments") for file in (stage / part).iterdir()
    )
