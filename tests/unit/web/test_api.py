"""The API for programs: the same judgment as by the page, once for each key, never by another's lease."""

from __future__ import annotations

from typing import Any

import pytest

from accord.records import Judgment, Kind, Message, Prompt, Question, Ranked, Response


def turn(program: Any) -> Any:
    answer = program.post("/api/lease")
    assert answer.status_code == 200, answer.text
    return answer.json()


def body(got: Any, key: str = "key-0001", **fields: str) -> dict[str, Any]:
    said = {"choice": "A", "shown_at": repr(got["question"]["shown_at"]), **fields}
    return {"lease": got["lease"], "key": key, "fields": said, "salt": "0" * 32}


def stored(site: Any) -> Judgment:
    (said,) = site.people.current()
    return said.judgment


def test_a_program_answers_as_its_person(site: Any) -> None:
    site.asked()
    program = site.program("Ann", "rater", "label")
    got = turn(program)
    site.now += 5
    receipt = program.post("/api/submit", json=body(got)).json()
    judgment = stored(site)
    assert receipt == {"state": "stored", "judgment": judgment.id}
    assert (judgment.by.type, judgment.by.name) == ("person", site.account("Ann", "rater").pseudonym)
    assert isinstance(judgment.verdict, Ranked)
    better = got["question"]["answers"][0]
    assert (better["letter"], judgment.verdict.tiers[0]) == ("A", (better["response"],))
    assert judgment.times is not None
    assert judgment.times.submitted - judgment.times.shown == 5
    assert turn(program) == {"lease": None, "question": None}


def test_the_page_and_the_api_write_one_judgment(site_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, the salt and the key apart."""
    site = site_with()
    site.asked()
    program, visitor = site.program("Ann", "rater", "label"), site.signed_in("Ann", "rater")
    got = turn(program)
    program.post("/api/submit", json=body(got, confidence="80", rationale="It says why."))
    first = stored(site)
    site.people.undo(site.account("Ann", "rater").pseudonym)
    lease = turn(program)["lease"]
    form = {name: str(lease[name]) for name in ("question", "number", "fence")}
    form |= body(got, confidence="80", rationale="It says why.")["fields"] | {"key": "key-0002"}
    assert visitor.post(f"/label/{lease['slot']}", data=form).status_code == 303
    second = stored(site)
    assert second.model_copy(update={"salt": first.salt}).id == first.id


def test_a_key_counts_once(site: Any) -> None:
    site.asked()
    program = site.program("Ann", "rater", "label")
    sent = body(turn(program))
    states = [program.post("/api/submit", json=sent).json()["state"] for _ in range(3)]
    assert states == ["stored", "again", "again"]
    assert len(site.people.current()) == 1


def test_skipping_gives_a_reason(site: Any) -> None:
    site.asked()
    program = site.program("Ann", "rater", "label")
    got = turn(program)
    sent = {**body(got), "skip": True}
    refused = program.post("/api/submit", json=sent)
    assert (refused.status_code, refused.json()["field"]) == (422, "reason")
    sent["fields"]["reason"] = "unclear"
    assert program.post("/api/submit", json=sent).json()["state"] == "stored"
    assert stored(site).abstention == "unclear"


def test_a_lease_is_another_s_or_made_up(site: Any) -> None:
    site.asked(2)
    ann, eve = (site.program(name, "rater", "label") for name in ("Ann", "Eve"))
    hers = turn(ann)
    assert eve.post("/api/submit", json=body(hers)).json()["state"] == "late", "kept, and no vote"
    assert [said.rater for said in site.people.current()] == []
    assert eve.post("/api/beat", json={"lease": hers["lease"]}).json()["until"] is None
    odd = body(hers)
    odd["lease"] = {**odd["lease"], "slot": 999_999}
    assert ann.post("/api/submit", json=odd).status_code == 409
    odd["lease"] = {**hers["lease"], "question": "f" * 64}
    assert ann.post("/api/submit", json=odd).status_code == 404
    assert ann.post("/api/submit", json=body(hers, "key-0002")).json()["state"] == "stored"


def test_beating_keeps_a_question(site: Any) -> None:
    site.asked()
    program = site.program("Ann", "rater", "label")
    got = turn(program)
    site.now += 500
    assert program.post("/api/beat", json={"lease": got["lease"]}).json() == {"until": site.now + 600}
    site.now += 601
    other = turn(site.program("Eve", "rater", "label"))
    assert other["lease"]["slot"] == got["lease"]["slot"]
    assert program.post("/api/beat", json={"lease": got["lease"]}).json() == {"until": None}


@pytest.mark.parametrize(
    "change",
    [
        {"key": "short"},
        {"key": 12345678},
        {"extra": 1},
        {"fields": "choice=A"},
        {"salt": "not hexadecimal at all, not at all"},
        {"lease": {"slot": -1, "question": "q", "number": 0, "fence": 1}},
        {"lease": {"slot": 2**80, "question": "q", "number": 0, "fence": 1}},
        {"fields": {"choice": "Q", "shown_at": "1"}},
        {"fields": {"choice": "A", "shown_at": "nan"}},
        {"fields": {"choice": "A"}},
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(site: Any, change: dict[str, Any]) -> None:
    site.asked()
    program = site.program("Ann", "rater", "label")
    answer = program.post("/api/submit", json={**body(turn(program)), **change})
    assert answer.status_code == 422, answer.text
    assert answer.json()["says"]
    assert site.people.current() == []


def test_json_says_that_it_is_json(site: Any) -> None:
    program = site.program("Ann", "rater", "label")
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        headers = {"Content-Type": kind}
        assert program.post("/api/submit", content=b"{}", headers=headers).status_code == 422


def test_a_question_stands_in_its_rater_s_order(site: Any) -> None:
    site.asked(12)
    orders = set()
    for question in site.people.questions():
        seen = [
            tuple(one["response"] for one in program.get(f"/api/question/{question.id}").json()["answers"])
            for program in (site.program("Ann", "rater", "label"),) * 2
        ]
        assert seen[0] == seen[1], "the same at every look"
        orders.add(seen[0] == question.responses)
    assert orders == {True, False}
    assert site.program("Ann", "rater", "label").get("/api/question/none").status_code == 404


def test_progress_is_counts_and_nobody_s_name(site: Any) -> None:
    site.asked(3)
    program = site.program("Ann", "rater", "label")
    program.post("/api/submit", json=body(turn(program)))
    board = site.program("Mo", "manager", "read").get("/api/progress")
    assert board.json()["slots"] == {"open": 2, "leased": 0, "closed": 1, "void": 0}
    assert site.account("Ann", "rater").pseudonym not in board.text
    assert site.program("Ann", "rater", "read").get("/api/progress").status_code == 403


def test_all_that_the_page_shows_is_in_the_question(site: Any) -> None:
    """Kills: a program that judges in hindsight without what followed, or an answer without its turns."""
    start = Prompt.of("the first question")
    on = start.then("a turn", Message(role="user", content="and then?"))
    answers = [Response(prompt=start.id, text="at once"), Response(prompt=on.id, text="later")]
    followed = Response(prompt=start.id, text="It broke\u200b after a week.")
    asked = Question(
        asks=Kind.COMPARE,
        prompt=start.id,
        responses=tuple(one.id for one in answers),
        evidence=(followed.id,),
    )
    site.people.post([asked], [start, on, *answers, followed])
    got = turn(site.program("Ann", "rater", "label"))["question"]
    assert got["evidence"] == [{"who": "", "text": "It broke\u200b after a week."}]
    assert got["hindsight"] is False
    before = {one["text"]: one["before"] for one in got["answers"]}
    assert before["at once"] == []
    assert [(one["who"], one["text"]) for one in before["later"]] == [
        ("Model", "a turn"),
        ("Person", "and then?"),
    ]
