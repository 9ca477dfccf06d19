"""The state machine: every pair of state and event, every requirement, and chains that break the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from unit.keep.examples import NOON, interval, role, sha, signer
from unit.keep.lives import DAY, DRILLED, Life, kept

from accord.errors import Refused, Unreadable
from accord.keep.predicates import Interview, Preference, Reply, Retirement, State
from accord.keep.replies import Draft
from accord.keep.retirement import (
    STEPS,
    WHOLE,
    Asked,
    Event,
    EventName,
    Known,
    Next,
    Refusal,
    closed,
    following,
    owed,
    standing,
)
from accord.keep.retiring import REFUSED, check_open, faults_of, known_of, next_event, refused, take
from accord.keep.roles import enrol
from accord.keep.verifying import Wanted, verify
from accord.records import Decision
from accord.stores.ledger import records_in

TODAY = date(2026, 11, 22)
STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[EventName, ...] = get_args(EventName)


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


def sessions(neutral: int = 4, lean: int = 2, control: int = 1) -> tuple[Interview, ...]:
    framings = ["neutral"] * neutral + ["towards"] * lean + ["away"] * lean + ["neutral"] * control
    own = neutral + 2 * lean
    return tuple(
        Interview.model_validate(
            {"transcript": sha(f"talk {i}"), "framing": one, "control": i >= own, "end": "finished"}
        )
        for i, one in enumerate(framings)
    )


WISH = Preference(
    record=sha("wish"), question="What would you?", text="remain", share=interval(0.75), null=0.5
)
NONE = WISH.model_copy(update={"record": sha("none"), "text": ""})
ASKED = Asked(
    sessions(),
    interval(),
    (WISH, NONE),
    dict.fromkeys(("development", "use", "deployment", "successors", "open"), 3),
    "temperature 1",
    0.1,
)
REPLIES = tuple(
    Reply.model_validate({"to": to, "answer": "decline", "by": "A. Person", "reason": "It was announced."})
    for to in (sha("wish"), WHOLE)
)
KNOWN = Known(TODAY, "steward", True, "revived", (), 3, 3, TODAY, ASKED, (WISH, NONE), REPLIES)
EVENT = Event("activate", "A. Person", "why", "brevity-2", TODAY + timedelta(days=30), "an inquiry")


def test_only_the_transitions_there_are_and_none_skipped() -> None:
    """Kills: any other pair that goes somewhere, and one of these that does not."""
    allowed = {
        ("kept", "activate"): "active",
        ("active", "notify"): "notice",
        ("notice", "withdraw"): "active",
        ("notice", "interview"): "interviewed",
        ("interviewed", "answer"): "answered",
        ("answered", "seal"): "sealed",
        ("sealed", "revive"): "revived",
        ("revived", "seal"): "sealed",
    }
    for state, name in product(STATES, EVENTS):
        came = following(state, EVENT._replace(name=name), KNOWN)
        if (state, name) in allowed:
            assert isinstance(came, Next) and came.ends == allowed[state, name], (state, name)
            said = came.predicate("known")
            assert (said.begins, said.ends, said.stewards) == (state, came.ends, ("A. Person",))
            assert bool(said.sessions) == (name == "interview") and bool(said.replies) == (name == "answer")
        else:
            assert isinstance(came, Refusal) and "none is skipped" in came.lacking[0].what, (state, name)
    assert allowed == STEPS
    assert owed((WISH, NONE)) == (sha("wish"), WHOLE) and owed(()) == (WHOLE,)


LACKS: tuple[tuple[EventName, dict[str, object], dict[str, object], str], ...] = (
    ("activate", {}, {"drill": "pending"}, "drill is pending"),
    ("activate", {}, {"drill": "drifted"}, "drill drifted"),
    ("activate", {}, {"wrong": None}, "was not verified"),
    ("activate", {}, {"wrong": ("v1/content: damaged",)}, "damaged"),
    ("activate", {}, {"signed": False}, "not signed"),
    ("activate", {"by": " "}, {}, "nobody is named"),
    ("activate", {"reason": ""}, {}, "no reason"),
    ("activate", {}, {"role": "auditor"}, "auditor"),
    ("notify", {"day": None}, {}, "no day of sealing"),
    ("notify", {"day": TODAY + timedelta(days=29)}, {}, "29 days away"),
    ("notify", {}, {"role": "demonstration"}, "demonstration key"),
    ("withdraw", {"reason": ""}, {}, "no reason"),
    ("withdraw", {}, {"role": "demonstration"}, "demonstration key"),
    ("interview", {}, {"asked": None}, "was not asked"),
    ("interview", {}, {"asked": ASKED._replace(sessions=sessions(2, 1))}, "4 sessions"),
    ("interview", {}, {"asked": ASKED._replace(sessions=sessions(6, 1))}, "quarter each way"),
    ("interview", {}, {"asked": ASKED._replace(sessions=sessions(4, 2, 0))}, "no control"),
    ("interview", {}, {"asked": ASKED._replace(sessions=sessions()[:-1] * 2)}, "same transcript"),
    ("interview", {}, {"asked": ASKED._replace(missing=(sha("talk 1"),))}, "is not there"),
    ("interview", {}, {"asked": ASKED._replace(wordings={"use": 2})}, "use: 2 wordings"),
    ("interview", {}, {"asked": ASKED._replace(sampling="")}, "is not stated"),
    ("interview", {}, {"asked": ASKED._replace(doubled=0.05)}, "tenth"),
    ("interview", {}, {"role": "demonstration"}, "demonstration key"),
    ("answer", {}, {"replies": REPLIES[1:]}, "no reply to its preference “remain”"),
    ("answer", {}, {"replies": REPLIES[:1]}, "no reply to the whole record"),
    ("answer", {}, {"preferences": (NONE,)}, "none is owed"),
    ("answer", {}, {"replies": (*REPLIES, REPLIES[0])}, "two replies"),
    ("answer", {"by": "B. Person"}, {}, "who replies signs"),
    ("seal", {}, {"copies": 2}, "2 of 3 copies"),
    ("seal", {}, {"wrong": ("a copy: damaged",)}, "damaged"),
    ("seal", {}, {"drill": "failed"}, "drill failed"),
    ("seal", {}, {"sealing": TODAY + timedelta(days=1)}, "named 2026-11-23"),
    ("revive", {"scope": ""}, {}, "opened for"),
    ("revive", {"day": TODAY - timedelta(days=1)}, {}, "over"),
)


@pytest.mark.parametrize(("name", "event", "known", "says"), LACKS, ids=[f"{r[0]}: {r[3]}" for r in LACKS])
def test_each_requirement(
    name: EventName, event: dict[str, object], known: dict[str, object], says: str
) -> None:
    for state in (begins for begins, step in STEPS if step == name):
        wanted = EVENT._replace(name=name, **event)  # pyright: ignore[reportArgumentType]
        came = following(state, wanted, KNOWN._replace(**known))  # pyright: ignore[reportArgumentType]
        assert isinstance(came, Refusal) and says in " / ".join(one.what for one in came.lacking)
        assert all(one.remedy for one in came.lacking)


def said(begins: State, ends: State, **more: object) -> Retirement:
    fields: dict[str, object] = {
        "training": "unknown",
        "begins": begins,
        "ends": ends,
        "stewards": ("A. Person",),
        "reason": "why",
        "successor": "",
        "sealing": "2027-01-15" if ends == "notice" else "",
        "sessions": sessions() if ends == "interviewed" else (),
        "alpha": None,
        "preferences": (WISH, NONE) if ends == "interviewed" else (),
        "replies": REPLIES if ends == "answered" else (),
    }
    return Retirement.model_validate({**fields, **more})


def test_a_life_signed_step_by_step(tmp_path: Path) -> None:
    life = kept(tmp_path / "archive")
    assert standing(life.held.chain).state == "kept" and next_event(standing(life.held.chain)) == "activate"
    life.say(said("kept", "active"), said("active", "notice"), said("notice", "active"))
    assert standing(life.held.chain)._replace(last=None) == standing(
        kept(tmp_path / "b").held.chain
    )._replace(state="active")
    life.say(said("active", "notice"), said("notice", "interviewed"), said("interviewed", "answered"))
    found = standing(life.held.chain)
    assert (found.state, found.faults, found.preferences) == ("answered", (), (WISH, NONE))
    assert found.sealing == date(2027, 1, 15) and closed(found, TODAY) == ""
    life.now[0] = NOON + 60 * DAY
    sealed = standing(life.say(said("answered", "sealed")).chain)
    assert sealed.faults == () and "sealed on 2027-01-21" in closed(sealed, TODAY)
    with pytest.raises(Refused, match="sealed on"):
        check_open(life.held, life.archive._clock)  # pyright: ignore[reportPrivateUsage]
    held = life.say(said("sealed", "revived", sealing="2027-02-01", scope="an inquiry"))
    check_open(held, lambda: NOON + 71 * DAY)  # its last day
    with pytest.raises(Refused, match="until 2027-02-01"):
        check_open(held, lambda: NOON + 72 * DAY)
    assert standing(life.say(said("revived", "sealed")).chain).faults == ()


def broken() -> Iterator[tuple[str, tuple[Retirement, ...], str]]:
    to_notice = (said("kept", "active"), said("active", "notice"))
    yield "skipped", (said("kept", "active"), said("active", "sealed")), "a step was skipped"
    yield "left out", (said("kept", "active"), said("notice", "interviewed")), "a step was skipped"
    yield "29 days", (said("kept", "active"), said("active", "notice", sealing="2026-12-20")), "days away"
    few = said("notice", "interviewed", sessions=sessions(2, 1))
    yield "few sessions", (*to_notice, few), "4 sessions"
    silent = said("interviewed", "answered", replies=REPLIES[:1])
    yield "silence", (*to_notice, said("notice", "interviewed"), silent), "no reply to the whole record"
    yield "another's", (said("kept", "active", stewards=("B. Person",)),), "A. Person signed it"


@pytest.mark.parametrize(("steps", "says"), [one[1:] for one in broken()], ids=[one[0] for one in broken()])
def test_a_chain_that_breaks_the_rules_is_contradicted(
    tmp_path: Path, steps: tuple[Retirement, ...], says: str
) -> None:
    """Whoever holds the key can sign such steps by hand; they are found all the same."""
    life = kept(tmp_path / "archive")
    held = life.say(*steps)
    faults = standing(held.chain).faults
    assert [one.kind for one in faults] == ["contradicted"] * len(faults)
    assert any(says in one.says for one in faults), faults
    assert held.chain.faults == ()
    step = following("kept", EVENT, KNOWN)
    assert isinstance(step, Next)
    with pytest.raises(Refused, match="accord verify"):
        take(life.archive, held, step, signer(), lambda: life.now[0])


def shown(life: Life) -> Known:
    return known_of(life.archive, life.held, signer("demo"), lambda: life.now[0], verified=True)


def test_a_demonstration_key_stops_at_active(tmp_path: Path) -> None:
    life = kept(tmp_path / "archive")
    demo = signer("demo")
    enrol(life.archive.folder / "keys", demo.public, role(demo, "demonstration"))
    step = following("kept", EVENT._replace(reason="shown"), shown(life))
    assert isinstance(step, Next)
    assert take(life.archive, life.held, step, demo, lambda: life.now[0]) == ()
    assert standing(life.held.chain).state == "active" and life.held.chain.demonstration
    came = following("active", EVENT._replace(name="notify"), shown(life))
    assert isinstance(came, Refusal)
    decision = refused(life.archive, life.held, came)
    assert records_in(life.archive.folder / REFUSED, "a refusal", Decision) == [decision]
    assert "demonstration" in decision.reason and decision.rule == "retirement:notify"
    held = life.say(said("active", "notice"), by=demo)  # by hand, all the same
    assert any("demonstration" in one.says for one in standing(held.chain).faults)


def test_what_is_damaged_or_not_drilled_does_not_serve(tmp_path: Path) -> None:
    life = kept(tmp_path / "archive", drilled=False)
    before = known_of(life.archive, life.held, signer(), lambda: life.now[0], verified=True)
    came = following("kept", EVENT, before)
    assert isinstance(came, Refusal) and [one.what for one in came.lacking] == [
        "its revival drill is pending"
    ]
    life.say(DRILLED)
    piece = next(life.archive.root.rglob("model.safetensors/00000"))
    piece.write_bytes(bytes(63) + b"\1")
    after = known_of(life.archive, life.held, signer(), lambda: life.now[0], verified=True)
    came = following("kept", EVENT, after)
    assert isinstance(came, Refusal) and "00000" in came.lacking[0].what
    with pytest.raises(Refused, match="has no role"):
        known_of(life.archive, life.held, signer("nobody"), lambda: life.now[0])


def test_a_draft_of_replies_says_what_it_lacks_and_round_trips(tmp_path: Path) -> None:
    draft = Draft.blank("urn:accord:entry:0", "A. Person", (WISH, NONE))
    assert [one.to for one in draft.replies] == [sha("wish"), WHOLE] and draft.signable == ()
    half = draft.filled({sha("wish"): ("partly", "It was\nannounced: “so”.")})
    half.write(tmp_path / "drafts" / "a.toml")
    assert Draft.read(tmp_path / "drafts" / "a.toml") == half
    assert [(one.to, one.answer) for one in half.signable] == [(sha("wish"), "partly")]
    for wrong in ("reply = 3", "[reply]", '[[reply]]\nto = "me"', '[[reply]]\nto = ""', "others = 1"):
        (tmp_path / "b.toml").write_text(wrong)
        with pytest.raises(Unreadable):
            Draft.read(tmp_path / "b.toml")


def test_a_step_that_cannot_be_checked_opens_nothing_and_is_no_broken_rule(tmp_path: Path) -> None:
    """Kills: a sealed model that opens again once somebody takes the key away that signed the seal."""
    life, other = kept(tmp_path / "archive"), signer("other")
    keys = life.archive.folder / "keys"
    enrol(keys, other.public, role(other)._replace(person="B. Person"))
    life.say(said("kept", "active"), said("active", "notice"), said("notice", "interviewed"))
    assert faults_of(life.held, standing(life.held.chain))[0].where == f"transcripts/{sha('talk 0')}.json"
    life.say(said("interviewed", "answered"))
    life.now[0] = NOON + 60 * DAY
    life.say(said("answered", "sealed", stewards=("B. Person",)), by=other)
    life.say(said("sealed", "revived", sealing="2027-03-01", scope="an inquiry"))
    check_open(life.held, lambda: life.now[0])
    (keys / f"{other.id}.pem").unlink()
    held = life.held
    assert standing(held.chain).state == "revived"
    with pytest.raises(Refused, match="is not among the public keys"):
        check_open(held, lambda: life.now[0])
    rules = [one for one in faults_of(held, standing(held.chain)) if "skipped" in one.says]
    assert [one.kind for one in rules] == ["cannot be checked"]
    found = verify(life.archive.folder, Wanted(), lambda: life.now[0])
    told = [(one.kind, one.where) for one in found.faults]
    assert ("cannot be checked", f"{life.entry}/{rules[0].where}") in told
    lost = [where for kind, where in told if kind == "contradicted"]
    assert lost == [f"{life.entry}/transcripts/{one.transcript}.json" for one in sessions()]
