"""``accord run`` without a method: what it asks for, prints, ends with, and goes on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.steward.walking import Walked, written

from accord.cli import main
from accord.steward import path
from accord.steward.steps import Calls, Came

RUN = ["run", "--model", "m", "--values", "mine.toml", "--name", "w", "--effort", "quick"]


@pytest.fixture
def walked(here: Path, monkeypatch: pytest.MonkeyPatch) -> Walked:
    found = Walked(here)
    monkeypatch.setattr(Calls, "real", lambda: found.parts)
    monkeypatch.setattr(path, "checked", lambda *_: None)
    monkeypatch.setattr(path, "harder", lambda *_: Came({"skipped": "nothing is left", "left": []}))
    written(here)
    return found


def test_four_answers_in_order_and_the_report(walked: Walked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--set", "seed=3", "--set", "effort.windows=5", "--set", "learner.adapter=full"]) == 0
    told = capsys.readouterr()
    places = [told.out.index(f"\n{number} · ") for number in (1, 2, 3, 4)]
    assert places == sorted(places)
    assert "told (chosen)" in told.out and "told-gentle" in told.out
    assert "not trained: held already: keep, holds" in told.out
    assert (
        f"report: {Path('runs/w/report.html').absolute()}" in told.out
        and Path("runs/w/report.html").is_file()
    )
    assert f"accord resume {Path('runs/w').absolute()}" in told.err
    given = walked.of("amplify")
    assert given["effort"].windows == 5 and given["terms"].seed == 3 and given["terms"].purpose == "model"
    assert given["terms"].engine["adapter"] == "full"
    calls = len(walked.calls)
    assert main(["resume", "w", "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["action"] == "done" and len(walked.calls) == calls, "nothing is done twice"
    assert main(["report", "w", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "stewardship report"


def test_a_pause_and_a_halt_have_their_codes_and_say_what_comes_next(
    walked: Walked, capsys: pytest.CaptureFixture[str]
) -> None:
    walked.stopped = "pause at step 3: fell"
    assert main(RUN) == 5
    waits = Path("runs/w/w-amplify-told").absolute()
    assert f"  accord resume {waits} --accept DECISION --by NAME" in capsys.readouterr().out
    assert main(["resume", "w", "--accept", "x", "--by", "A", "--reason", "b"]) == 1
    assert "a run inside it" in capsys.readouterr().err
    walked.stopped = "halt at step 3: a page"
    assert main(["resume", "w"]) == 6
    assert f"accord run --from-halt {Path('runs/w').absolute()}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run"], "--model is missing"),
        (["run", "--model", "m"], "--values is missing"),
        ([*RUN, "--steps", "3"], "--steps goes with a method"),
        (["run", "plan.toml", "--values", "mine.toml"], "--values goes without a plan"),
        ([*RUN[:-1], "huge"], "quick, full"),
        ([*RUN, "--set", "efort.windows=3"], "effort"),
        ([*RUN, "--set", "effort.windows=0"], "windows"),
        ([*RUN, "--set", "judges.who=me"], "judges.questions, judges.people"),
        ([*RUN, "--set", "unrelated=nowhere.jsonl"], "nowhere.jsonl"),
        ([*RUN, "--set", "learner.name=locl"], "local"),
        (["run", "--model", "m", "--values", "nowhere"], "minimal"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(
    walked: Walked, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not walked.calls and not Path("runs/w").exists()
