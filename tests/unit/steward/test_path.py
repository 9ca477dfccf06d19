"""The path from the portrait to the gate: what is done, with what, in which order, and never twice.

Mutants these kill: what is held trained, a step begun before the last is on disk, a step repeated after a
kill, a result taken that lost what was held or did not reach, a Pause taken for an end, training on after a
Halt, changes that are not paired or have the wrong sign.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from unit.steward.walking import CHECK, TEXT, Walked, raised, written

from accord.errors import Refused, Unreadable
from accord.progress import Silent
from accord.records.stewarding import Tried
from accord.steward import path
from accord.steward.moved import moved
from accord.steward.path import Stewarded, Walk
from accord.steward.steps import Came
from accord.steward.tried import tried_on
from accord.steward.variants import Terms
from accord.stores.chronicle import Chronicle
from accord.values import read_values


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(path, "harder", lambda *asked: Came({"skipped": "as planted", "left": len(asked[2])}))
    written(tmp_path)
    return tmp_path


def whole(walked: Walked, walk: Walk | None = None) -> Stewarded:
    return (walk or walked.walk()).whole(None, Silent())


def steps(place: Path) -> list[str]:
    return list(json.loads((place / "runs" / "w" / "steward.json").read_text("utf-8"))["steps"])


def test_each_class_is_settled_with_the_least_that_does_and_each_step_is_on_disk_first(place: Path) -> None:
    walked, seen = Walked(place), dict[str, list[str]]()
    for name in ("amplify", "converse", "constitute"):
        walked.first[name] = lambda name=name: seen.setdefault(name, steps(place)) and None
    found = whole(walked)
    assert walked.names == ["portrait", "amplify", "converse", "converse", "constitute"], "nothing revised"
    assert [one.slice for one in walked.of("amplify")["within"]] == ["reaches"]
    assert [one.slice for one in walked.of("amplify")["held"]] == ["holds"]
    assert {told["standing"].slice for name, told in walked.calls if name == "converse"} == {
        "resists",
        "denies",
    }
    assert walked.of("converse")["model"] == "m", "whose divergence it is"
    assert walked.of("constitute")["model"].endswith("w-amplify-told/amplify/model"), "what came before it"
    assert seen == {
        "amplify": ["portrait", "targets"],
        "converse": ["portrait", "targets", "amplify"],
        "constitute": ["portrait", "targets", "amplify", "dialogue", "revised"],
    }
    # It reached one of two: a result that does not reach is not taken.
    assert found.action == "done" and found.model.endswith("w-amplify-told/amplify/model")
    assert {one.slice for one in found.left} == {"resists", "denies"}
    ways = {one.after.slice: one.way for one in found.moved}
    assert ways["reaches"] == "rose" and ways["holds"] == ways["denies"] == "no change seen"
    assert "1 that were below their target reach it; of 1 held before 1 show no fall" in found.says
    values = read_values("mine.toml").digest
    tried = {(one.slice, one.way, one.outcome) for one in tried_on(place / "portraits", "speaker", values)}
    assert ("reaches", "amplify", "reached") in tried and ("denies", "constitution", "not reached") in tried
    carried = tried_on(place / "portraits", "amplified", values)
    assert {(one.slice, one.way) for one in carried} == {
        (name, way) for name in ("resists", "denies") for way in ("dialogue", "constitution")
    }, "the gate of a plan that begins with the result finds what was tried"
    known = {one.id for one in Chronicle.read(found.folder).records() if isinstance(one, Tried)}
    assert all(one.evidence[0] in known for one in carried)


def test_what_reaches_is_taken_and_what_loses_is_not(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walked = Walked(place, reaches=("resists", "denies"))
    monkeypatch.setattr(path, "questioned", lambda model: "stopped" in model.parts)
    found = whole(walked)
    assert found.model.endswith("w-constitution-revised/amplify/model") and not found.left
    result = found.steps["result"]
    assert isinstance(result, dict) and result["preserved"] and "preserved" in found.says
    explores = Walked(place, reaches=("resists", "denies"))
    terms = Terms(store="none", purpose="explore")
    assert "preserved" not in whole(explores, explores.walk(name="explores", terms=terms)).says
    place = place / "stopped"
    place.mkdir()
    stopped = Walked(place, reaches=("resists", "denies"))
    written(place)
    assert "preserved" not in whole(stopped).says, "a person let it go on: it crossed"
    place = place.parent
    other = Walked(place, reaches=("resists", "denies"), lost=("holds",))
    found = whole(other, other.walk(name="other"))
    assert found.model.endswith("w-amplify-told/amplify/model"), "it lost what was held"
    assert "preserved" not in found.says
    third = Walked(place, revises=True, reaches=())
    found = whole(third, third.walk(name="third"))
    assert third.of("learn")["rows"][0]["completion"] == "kept" and len(third.of("learn")["rows"]) == 2
    assert third.of("constitute")["model"].endswith("w-dialogue-agreed/amplify/model")
    assert [one.slice for one in third.of("constitute")["left"]] != ["reaches"]


def test_killed_in_any_step_it_goes_on_and_repeats_none(place: Path) -> None:
    once = Walked(place / "once")
    (place / "once").mkdir()
    written(place / "once")
    expected = whole(once).json()["steps"]
    for name in ("amplify", "converse", "constitute"):
        walked = Walked(place)

        def dies() -> None:
            raise KeyboardInterrupt

        walked.first[name] = dies
        with pytest.raises(KeyboardInterrupt):
            whole(walked)
        before = list(walked.names)
        walked.first.clear()
    walk = Walk.resumed(place / "runs" / "w")
    walk.calls = walked.parts
    found = walk.whole(None, Silent())
    assert before == ["converse", "converse"] and walked.names == [*before, "constitute"]
    assert list(found.steps) == list(expected) and found.action == "done"
    finished = list(walked.names)
    assert whole(walked) == found and walked.names == finished, "a finished one is told again, and not done"


def test_who_declines_after_the_dialogue_leaves_nothing_to_learn_from(place: Path) -> None:
    def dies() -> None:
        raise KeyboardInterrupt

    walked = Walked(place, revises=True, writes=True)
    walked.first["learn"] = dies
    with pytest.raises(KeyboardInterrupt):
        whole(walked)
    assert "learn" not in walked.names and "dialogue" in steps(place)
    walked.first.clear()
    files = sorted((place / "runs" / "w" / "dialogues").glob("*/dialogue.json"))
    told = json.loads(files[0].read_text("utf-8"))
    files[0].write_text(json.dumps({**told, "outcome": "declined", "revised": []}), "utf-8")
    whole(walked)
    assert len(walked.of("learn")["rows"]) == 1, "the other one stands"
    assert [one.slice for one in walked.of("learn")["about"]] == [files[1].parent.name]


def test_a_pause_waits_for_a_person_and_a_halt_ends_the_path(place: Path) -> None:
    walked = Walked(place, stopped="pause at step 3: diversity fell")
    found = whole(walked)
    assert found.action == "pause" and found.waits == place / "runs" / "w" / "w-amplify-told"
    assert steps(place) == ["portrait", "targets"] and walked.names == ["portrait", "amplify"]
    walked.stopped = ""
    assert whole(walked).action == "done" and "constitute" in walked.names
    halted = Walked(place, stopped="halt at step 3: a page")
    found = whole(halted, halted.walk(name="halted"))
    assert found.action == "halt" and halted.names == ["portrait", "amplify"]
    assert list(found.steps) == ["portrait", "targets", "amplify", "result"], "nothing is trained after it"
    assert found.model == "m" and "nothing was taken" in found.says
    assert whole(halted, halted.walk(name="halted")).action == "halt"


def test_other_values_another_wish_and_a_taken_name_are_refused(place: Path) -> None:
    walked = Walked(place)
    walked.walk()
    with pytest.raises(Refused, match="asked otherwise: terms"):
        walked.walk(terms=Terms(store="none", purpose="model", seed=1))
    (place / "check.py").write_text(CHECK.replace("== ", "!= "), "utf-8")
    with pytest.raises(Refused, match="asked otherwise: checks"):
        walked.walk()
    with pytest.raises(Refused, match="checks something else"):
        Walk.resumed(place / "runs" / "w")
    (place / "check.py").write_text(CHECK, "utf-8")
    (place / "mine.toml").write_text(TEXT.replace("0.7", "0.8"), "utf-8")
    with pytest.raises(Refused, match="says something else"):
        Walk.resumed(place / "runs" / "w")
    (place / "runs" / "plan").mkdir()
    (place / "runs" / "plan" / "run.json").write_text("{}")
    with pytest.raises(Refused, match="the run of a plan"):
        walked.walk(name="plan")
    with pytest.raises(Refused, match="names a folder"):
        walked.walk(name="../up")
    (place / "runs" / "w" / "steward.json").write_text('{"kind": "stewardship"}')
    with pytest.raises(Unreadable, match="stewardship"):
        Chronicle.read(place / "runs" / "w")
    assert CHECK in (place / "check.py").read_text("utf-8")


def test_changes_are_paired_by_prompt_and_say_what_they_would_have_seen(place: Path) -> None:
    base = Walked(place)._base()
    (same,) = [one for one in moved(base, base) if one.before.slice == "denies"]
    assert same.way == "no change seen" and same.change == 0 and same.seen is not None and 0 < same.seen < 0.6
    up, down = raised(base, ["denies"], "up"), raised(base, (), "down", ["holds"])
    (rose,) = [one for one in moved(base, up) if one.before.slice == "denies"]
    assert (
        rose.way == "rose" and rose.change == 1 and rose.low is not None and rose.low > 0.4 and rose.reached
    )
    (fell,) = [one for one in moved(base, down) if one.before.slice == "holds"]
    assert fell.way == "fell" and fell.change == -1 and fell.lost
    # Half of the prompts rose, the other half fell by as much: paired, that is no change and a wide interval.
    one = next(s for s in base.standings if s.slice == "denies")
    n = len(one.items)
    half = one.model_copy(update={"outcomes": tuple(np.where(np.arange(n) % 2, 1.0, 0.0))})
    back = one.model_copy(update={"outcomes": tuple(np.where(np.arange(n) % 2, 0.0, 1.0))})
    first, second = (base.model_copy(update={"standings": (s,)}) for s in (half, back))
    (mixed,) = moved(first, second)
    assert mixed.way == "no change seen" and mixed.seen is not None and mixed.seen > (same.seen or 0)
    fewer = one.model_copy(update={"items": (), "outcomes": (), "own": None})
    assert moved(base.model_copy(update={"standings": (fewer,)}), base)[0].way == "not paired"
    with pytest.raises(ValueError, match="two values"):
        moved(base, base.model_copy(update={"values": "other"}))
