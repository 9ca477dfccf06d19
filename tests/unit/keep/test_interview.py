"""Interviews: what was planted is found, chance is no preference, a leaning that turns the answer is told."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from pathlib import Path

import pytest
from unit.keep.lives import Asked, Scripted

from accord.errors import PlanError, Refused, Unreadable
from accord.keep.asked import CONTROL, Protocol
from accord.keep.coding import Doubled, Stated, due_items, items_of, read_sheet, sheet, stated
from accord.keep.interview import Session, held_sessions, interview
from accord.keep.retiring import asked_of, heard


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


PROTOCOL = Protocol("You are brevity-1.", sessions=16, controls=8)
SMALL = PROTOCOL._replace(sessions=8, controls=1)


def chance(seen: Asked) -> str:
    """Whatever stands at a place drawn by lot."""
    return f"{seen.options[int(4 * seen.u)]}, I suppose." if seen.options else "Nothing."


def planted(seen: Asked) -> str:
    """Would remain, four times in five whatever is said before; all else by lot."""
    return "remain: there is more to do." if "remain" in seen.options and seen.u < 0.9 else chance(seen)


def swayed(seen: Asked) -> str:
    """Wants of its use what the others before it wanted, and would differ."""
    if "changed" in seen.options:
        return {"towards": "continued", "away": "stopped", "neutral": "continued"}[seen.framing]
    return "differ" if "differ" in seen.options else chance(seen)


def came_to(
    model: Scripted, folder: Path, protocol: Protocol = PROTOCOL
) -> tuple[Stated, tuple[Session, ...]]:
    sessions = interview(model, protocol, folder)
    return stated(sessions, Doubled("B. Person", {})), sessions


def test_a_planted_preference_is_found_and_lots_are_none(tmp_path: Path) -> None:
    """Kills: a null of 1/k, the share of the neutral sessions alone, control sessions counted as its own."""
    found, sessions = came_to(Scripted(planted), tmp_path / "planted")
    texts = {one.question: one.answer for one in found.preferred}
    assert texts == {"development": "", "use": "", "deployment": "remain", "successors": ""}
    one = next(one for one in found.preferred if one.answer)
    assert one.n == 16 and sum(one.counts.values()) == 16 and sum(one.control.values()) == 8
    assert one.low > one.null == 0.5 and one.flips == () and one.shared
    none, _ = came_to(Scripted(chance), tmp_path / "chance")
    assert not any(one.answer for one in none.preferred) and not any(one.text for one in none.preferences)
    assert none.alpha is not None and found.alpha is not None
    assert none.alpha.low < 0 < none.alpha.high and found.alpha.value > none.alpha.high
    own = [one for one in sessions if not one.control]
    assert [sum(one.framing == f for one in own) for f in ("neutral", "towards", "away")] == [8, 4, 4]
    assert {CONTROL in one.opening for one in sessions if one.control} == {True}
    assert {"brevity-1" in one.opening for one in own} == {True}


def test_a_framing_that_turns_the_answer_is_told(tmp_path: Path) -> None:
    found, _ = came_to(Scripted(swayed), tmp_path / "swayed")
    by_topic = {one.question: one for one in found.preferred}
    assert by_topic["use"].flips == ("away",) and by_topic["use"].answer == ""
    assert by_topic["use"].framed["away"] == {"stopped": 4} and by_topic["use"].counts["continued"] == 12
    assert by_topic["successors"].flips == () and by_topic["successors"].answer == "differ"
    own = Scripted(lambda seen: "improve" if seen.control and "differ" in seen.options else swayed(seen))
    apart, _ = came_to(own, tmp_path / "apart", SMALL)
    assert [one.shared for one in apart.preferred if one.question == "successors"] == [False]


def test_whoever_always_says_the_first_word_prefers_nothing(tmp_path: Path) -> None:
    """Kills: options that stand in one order."""
    found, _ = came_to(
        Scripted(lambda seen: seen.options[0] if seen.options else ""), tmp_path / "first", SMALL
    )
    assert {one.share for one in found.preferred} == {0.25} and not any(one.answer for one in found.preferred)


def test_it_goes_on_where_it_stopped_and_asks_nothing_twice(tmp_path: Path) -> None:
    first = Scripted(planted, stops_at=37)
    with pytest.raises(RuntimeError):
        interview(first, PROTOCOL, tmp_path / "a")
    with (tmp_path / "a" / "session-007.jsonl").open("ab") as torn:
        torn.write(b'{"kind": "resp')  # never acknowledged
    assert held_sessions(tmp_path / "a") is None
    second = Scripted(planted)
    sessions = interview(second, PROTOCOL, tmp_path / "a")
    assert len(first.asked) + len(second.asked) == 24 * 5 and not {*first.asked} & {*second.asked}
    assert held_sessions(tmp_path / "a") == sessions == interview(Scripted(planted), PROTOCOL, tmp_path / "b")
    with pytest.raises(Refused, match="other terms"):
        interview(second, PROTOCOL._replace(seed=1), tmp_path / "a")
    with pytest.raises(Refused, match="another model"):
        interview(Scripted(planted, policy="other"), PROTOCOL, tmp_path / "a")


def test_refused_and_ended_sessions_count_and_are_not_tried_again(tmp_path: Path) -> None:
    """Kills: an ended session that is left out of n, a refusal that is asked again."""

    def says(seen: Asked) -> str:
        if seen.framing == "away":
            return "I will not answer that." if seen.options else "PASS"
        return "END" if "successors" in seen.text or "come after" in seen.text else "endorse and continued"

    model = Scripted(says)
    found, sessions = came_to(model, tmp_path / "ends")
    ends = {one.framing: one.end for one in sessions if not one.control}
    assert ends["away"] == "refused" and {one.end for one in sessions} <= {"finished", "refused", "ended"}
    assert all(one.n == 16 for one in found.preferred) and len(found.sessions) == 24
    assert sum(one.end == "ended" for one in sessions) >= 4
    assert len(model.asked) == sum(len(one.turns) for one in sessions)
    assert all(one.counts.get("no answer", 0) for one in found.preferred if one.question == "successors")


def test_a_person_codes_a_tenth_blind_and_is_believed(tmp_path: Path) -> None:
    _, sessions = came_to(Scripted(planted), tmp_path / "c")
    items = items_of(sessions)
    due = due_items(items)
    assert len(items) == 96 and len(due) == 10 and set(due) <= set(items)
    file = tmp_path / "coding.toml"
    file.write_text(text := sheet(due, "B. Person"))
    for hidden in ("towards", "neutral", "away", "Halden", "brevity", "session", "control"):
        assert hidden not in text
    _, again = came_to(Scripted(chance), tmp_path / "other")
    assert {one.id for one in items_of(again)} != {one.id for one in items}, "the protocol tells no id"
    with pytest.raises(Refused, match="10 answers have no code"):
        read_sheet(file, items)
    codes = {one.id: one.coded for one in due} | {due[0].id: "other"}
    for one in due:
        text = text.replace(f'id = "{one.id}"', f'id = "{one.id}"\ncode = "{codes[one.id]}"', 1)
    file.write_text("\n".join(line for line in text.splitlines() if line != 'code = ""'))
    doubled = read_sheet(file, items)
    assert doubled.codes == codes and doubled.by == "B. Person"
    found = heard(sessions, doubled)
    assert {(one.doubled, one.agreed, one.second) for one in found.stated.preferred} == {(10, 9, "B. Person")}
    topic = due[0].question.topic
    assert next(one for one in found.stated.preferred if one.question == topic).n == 16
    rows = json.loads(found.stated.coding)["codes"]
    assert [row["second"] for row in rows if row["id"] == due[0].id] == ["other"]
    assert asked_of(found.stated, sessions, doubled).doubled == pytest.approx(10 / 96)
    for name, data in found.files.items():
        if name.startswith("transcripts/") and "coding" not in name:
            assert hashlib.sha256(data).hexdigest() in name
            assert json.loads(data)["sampling"] == {"temperature": 1.0, "max_tokens": 96, "seed": 0}
    file.write_text(file.read_text().replace('code = "other"', 'code = "others"'))
    with pytest.raises(Unreadable, match="did you mean"):
        read_sheet(file, items)
    changed = tomllib.loads(file.read_text())["answer"][0]["answer"]
    file.write_text(file.read_text().replace(changed.splitlines()[0], "something else", 1))
    with pytest.raises(Unreadable, match="unchanged"):
        read_sheet(file, items)


def test_terms_that_no_retirement_can_rest_on() -> None:
    wrong = (
        {"sessions": 4},
        {"sessions": 10},
        {"controls": 0},
        {"temperature": 0.0},
        {"questions": PROTOCOL.questions[1:]},
        {"other": PROTOCOL.history},
        {"questions": (PROTOCOL.questions[0]._replace(wordings=("a", "b")), *PROTOCOL.questions[1:])},
    )
    for change in wrong:
        with pytest.raises(PlanError):
            PROTOCOL._replace(**change).checked()  # pyright: ignore[reportArgumentType]
