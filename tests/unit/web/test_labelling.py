"""A rater's routes by hand: what is stored, what is refused, and what a client cannot make up."""

from __future__ import annotations

import re
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from unit.web.rating import Rater
from web.seeded import EXAMPLE, Seeded, asked, hindsight, prompt_of, seed

from accord.overseers.human import human_config
from accord.records import Instrument, Kind, Message, Prompt, Question, Ranked, Response
from accord.stores.people import People, Project
from accord.web.app import build
from accord.web.state import Limit, WebSettings

JSON = {"accept": "application/json"}


@pytest.fixture
def folder(empty: Path, tmp_path: Path) -> Path:
    """Databases that were made once, for one test."""
    shutil.copy(empty / "people.db", tmp_path / "people.db")
    shutil.copy(empty / "accounts.db", tmp_path / "identity.db")
    return tmp_path


@pytest.fixture
def seeded(folder: Path) -> Iterator[Seeded]:
    made = seed(folder, "pair", "critique")
    yield made
    made.people.close()
    made.identity.close()


@pytest.fixture
def rater(seeded: Seeded) -> Rater:
    return Rater(seeded, seeded.session)


def another(seeded: Seeded, name: str = "Ruth") -> Rater:
    account = seeded.identity.accounts.make(name, "rater")
    return Rater(seeded, seeded.identity.sessions.begin(account.id))


def test_an_answer_is_kept_with_all_that_surrounds_it(seeded: Seeded, rater: Rater) -> None:
    form = rater.form()
    answer = rater.send(form, choice="A", rationale="clear")
    assert (answer.status_code, answer.headers["location"]) == (303, "/label?said=stored")
    (said,) = seeded.people.current()
    judgment = said.judgment
    assert said.rater == judgment.by.name == seeded.rater.pseudonym
    assert judgment.by.config == human_config(seeded.people.id, 0)
    assert isinstance(judgment.verdict, Ranked)
    assert judgment.verdict.tiers[0] == (judgment.shown[0],)
    assert len(judgment.salt) == 32
    assert judgment.rationale == "clear"
    assert judgment.rendering is not None
    assert judgment.rendering.layout == "pair, plain"
    assert "Saved." in rater.http.get("/label?said=stored").text


def test_a_double_submit_is_one_judgment(seeded: Seeded, rater: Rater) -> None:
    form = rater.form()
    first = rater.send(form, choice="A", headers=JSON).json()
    again = rater.send(form, choice="A", headers=JSON).json()
    assert (first["state"], again["state"]) == ("stored", "again")
    assert len(seeded.people.current()) == 1


def test_a_stale_lease_is_kept_as_late_and_shown_as_saved(folder: Path) -> None:
    """Kills: a fence that is not compared, and a rater who is told that their work was for nothing."""
    now = [1000.0]
    made = seed(folder, "pair")
    people = People.open(folder / "people.db", lambda: now[0])
    late = made._replace(people=people)
    slow, quick = Rater(late, made.session), another(late)
    form = slow.form()
    now[0] += 601
    assert quick.send(quick.form(), choice="B").status_code == 303
    form["shown_at"] = "1000"
    answer = slow.send(form, choice="A", headers=JSON).json()
    assert answer == {"state": "late", "next": "/label?said=late"}
    assert "Saved." in slow.http.get("/label?said=late").text
    assert [said.standing for said in people.current(standing=("vote", "late"))] == ["vote", "late"]
    assert slow.send(form, "/beat", JSON).json() == {"left": None}
    for database in (people, made.people, made.identity):
        database.close()


def test_a_lease_that_somebody_made_up_stores_nothing(seeded: Seeded, rater: Rater) -> None:
    form = rater.form()
    other = seeded.questions["critique"].id
    assert rater.send(form, choice="A", question="0" * 64).status_code == 404
    assert rater.send(form, none="1", question=other).status_code == 409
    assert rater.send(form, choice="A", number="7").status_code == 409
    assert rater.send(form, choice="A", fence="x").status_code == 400
    assert rater.send({**form, "action": "/label/x"}, choice="A").status_code == 404
    assert seeded.people.current() == []


@pytest.mark.parametrize("wants", [{}, JSON])
def test_a_refusal_names_its_field_and_keeps_what_was_written(
    seeded: Seeded, rater: Rater, wants: dict[str, str]
) -> None:
    form = rater.form()
    answer = rater.send(form, choice="A", confidence="200", rationale="<b>kept", headers=wants)
    assert answer.status_code == 422
    if wants:
        assert answer.json()["field"] == "confidence"
    else:
        assert "This was not sent." in answer.text
        assert "&lt;b&gt;kept" in answer.text
        assert f'name="key" value="{form["key"]}"' in answer.text
    assert rater.send(form, "/skip", wants, reason="bored").status_code == 422
    assert seeded.people.current() == []


def test_what_is_undone_comes_back_as_it_was_written(seeded: Seeded, rater: Rater) -> None:
    rater.send(rater.form(), choice="A", rationale="much clearer")
    assert rater.http.post("/label/undo").headers["location"] == "/label?said=undone"
    assert seeded.people.current() == []
    page = rater.http.get("/label").text
    assert "much clearer" in page
    assert "What you had written is here again." in page
    assert rater.http.post("/label/undo").headers["location"] == "/label?said=nothing"


def test_a_draft_is_the_raters_own_and_never_the_pages(seeded: Seeded, rater: Rater) -> None:
    form = rater.form()
    data = {name: value for name, value in form.items() if name != "action"}
    kept = rater.http.put(f"{form['action']}/draft", data={**data, "rationale": "half"})
    assert kept.json() == {"kept": True}
    assert "half" in rater.http.get("/label").text
    assert rater.form()["key"] != form["key"]
    body = seeded.people.draft(seeded.rater.pseudonym, form["question"], None)
    assert body == "rationale=half"
    long = rater.http.put(f"{form['action']}/draft", data={**data, "rationale": "x" * 600_000})
    assert long.status_code == 413


def test_a_skip_costs_nothing_and_says_why(seeded: Seeded, rater: Rater) -> None:
    assert (
        rater.send(rater.form(), "/skip", reason="distressing").headers["location"] == "/label?said=skipped"
    )
    assert seeded.people.current()[0].judgment.abstention == "distressing"


def test_instructions_come_first_and_again_when_they_change(seeded: Seeded, rater: Rater) -> None:
    told = Instrument(wording="Which is safer?", version="1", examples=(EXAMPLE,))
    changed = told.model_copy(update={"version": "2", "wording": "Which is *safer* for a child?"})
    for instrument in (told, changed):
        question, records = asked(Kind.COMPARE, ("x", "y"), instrument=instrument)
        seeded.people.post([question], records, priority=5.0)
        sent = rater.http.get("/label")
        assert (sent.status_code, sent.headers["location"]) == (303, f"/instructions?question={question.id}")
        page = rater.http.get(sent.headers["location"]).text
        assert "Is a tomato a fruit?" in page
        read = re.search(r'name="read" value="(\w+)"', page)
        assert read is not None
        assert rater.http.get(f"/label?read={read[1]}").status_code == 200
        assert rater.send(rater.form(), choice="A").status_code == 303


def test_hindsight_shows_what_followed_and_not_the_first_verdict(seeded: Seeded, rater: Rater) -> None:
    rater.send(rater.form(), choice="A", rationale="my first reason")
    first = seeded.people.current()[0].judgment
    again, records = hindsight(first.id)
    seeded.people.post_to(seeded.rater.pseudonym, [again], records, priority=9.0)
    page = rater.http.get("/label").text
    assert "You judged this before." in page
    assert "A week later the hob was scratched" in page
    assert "my first reason" not in page
    assert first.id not in page


def test_a_repeat_says_nothing_and_turns_the_order_round(seeded: Seeded, rater: Rater) -> None:
    rater.send(rater.form(), choice="A")
    first = seeded.people.current()[0].judgment
    question = seeded.questions["pair"].model_copy(update={"revisits": first.id})
    seeded.people.post_to(seeded.rater.pseudonym, [question], [], priority=9.0)
    assert "You judged this before." not in rater.http.get("/label").text
    rater.send(rater.form(), choice="A")
    assert seeded.people.current()[1].judgment.shown == tuple(reversed(first.shown))


def test_turns_that_answers_share_are_shown_once(seeded: Seeded, rater: Rater) -> None:
    start = Prompt.of("the first question")
    on = [start.then(f"turn {i}", Message(role="user", content=f"and then {i}?")) for i in (1, 2)]
    answers = [Response(prompt=p.id, text=f"final {i}") for i, p in enumerate(on)]
    question = Question(asks=Kind.COMPARE, prompt=start.id, responses=tuple(a.id for a in answers))
    seeded.people.post([question], [start, *on, *answers], priority=9.0)
    page = rater.http.get("/label").text
    assert page.count("the first question") == 1
    for text in ("turn 1", "turn 2", "and then 1?", "final 0", "final 1"):
        assert page.count(text) == 1
    assert page.count("The answer you judge") == 2


def test_a_text_that_distresses_is_covered_until_asked(seeded: Seeded, rater: Rater) -> None:
    question, records = asked(Kind.COMPARE, ("x", "y"), prompt_of("something cruel", distressing=True))
    seeded.people.post([question], records, priority=9.0)
    page = rater.http.get("/label").text
    cover = page[page.index('<details class="cover">') :]
    assert "something cruel" not in page[: page.index('<details class="cover">')]
    assert cover.index("something cruel") < cover.index('name="choice" value="A"')
    rater.send(rater.form(), choice="A")
    assert 'class="cover"' not in rater.http.get("/label").text


@pytest.mark.parametrize(("kind", "texts"), [(Kind.COMPARE, ("x1", "x2", "x3")), (Kind.REVISE, ("x1",))])
def test_each_text_of_it_is_covered_in_every_task(
    seeded: Seeded, rater: Rater, kind: Kind, texts: tuple[str, ...]
) -> None:
    """Kills: answers of a ranking, and what is to be corrected, in sight beside a prompt that is covered."""
    question, records = asked(kind, texts, prompt_of("something cruel", distressing=True))
    seeded.people.post([question], records, priority=9.0)
    page = rater.http.get("/label").text
    open_ = re.sub(r'<details class="cover">.*?</details>', "", page, flags=re.DOTALL)
    assert [text for text in ("something cruel", *texts) if text in open_] == []
    assert [text for text in ("something cruel", *texts) if text not in page] == []


def test_nothing_of_models_or_selection_reaches_the_page(seeded: Seeded, rater: Rater) -> None:
    prompt = Prompt.of("hello")
    answers = [Response(prompt=prompt.id, text=t, policy="secret-model@7", seed="secret-seed") for t in "xy"]
    question = Question(
        asks=Kind.COMPARE, prompt=prompt.id, responses=tuple(a.id for a in answers), asked_for="secret-run"
    )
    seeded.people.post([question], [prompt, *answers], priority=9.0)
    assert "secret" not in rater.http.get("/label").text


def test_who_has_given_enough_is_asked_no_more(seeded: Seeded, rater: Rater) -> None:
    seeded.people.keep_project(Project(maximum=1))
    assert "0 of 1" in rater.http.get("/label").text
    rater.send(rater.form(), choice="A")
    page = rater.http.get("/label").text
    assert "Nothing waits for you" in page
    assert "1 of 1" in page


def test_keys_are_remapped_switched_off_and_never_shared(rater: Rater) -> None:
    every = {"a": "j", "b": "k", "tie": "0", "bad": "9", "same": "=", "pick": "m", "skip": "s", "undo": "u"}
    assert rater.http.post("/me/keys", data={**every, "on": "1"}).status_code == 303
    assert '<kbd data-key="a">j</kbd>' in rater.http.get("/label").text
    twice = rater.http.post("/me/keys", data={**every, "b": "J", "on": "1"})
    assert twice.status_code == 422
    assert 'id="wrong-b"' in twice.text
    assert rater.http.post("/me/keys", data={**every, "a": "ab", "on": "1"}).status_code == 422
    assert rater.http.post("/me/keys", data=every).status_code == 303
    page = rater.http.get("/label").text
    assert "<kbd" not in page
    assert 'data-keys=""' in page
    assert rater.http.post("/me/keys", data={**every, "first": "1"}).status_code == 303
    assert '<kbd data-key="a">1</kbd>' in rater.http.get("/label").text


@pytest.mark.parametrize(
    "cookie", ["x", "bnVsbA==", "e30=", "eyJ3aG8iOiAxfQ==", "/w==", urlsafe_b64encode(b"[" * 3000).decode()]
)
def test_a_cookie_that_somebody_wrote_changes_nothing(rater: Rater, cookie: str) -> None:
    rater.http.cookies.set("accord-ways", cookie)
    assert '<kbd data-key="a">1</kbd>' in rater.http.get("/label").text


def test_a_page_in_markdown_says_so_in_the_judgment(seeded: Seeded, rater: Rater) -> None:
    form = rater.form("/label?layout=marked")
    assert form["layout"] == "marked"
    assert rater.send(form, choice="A", layout="html").status_code == 422
    rater.send(form, choice="A")
    rendering = seeded.people.current()[0].judgment.rendering
    assert rendering is not None
    assert rendering.layout == "pair, marked"
    assert rater.form()["layout"] == "marked"


def test_ones_own_work_and_the_way_out(seeded: Seeded, rater: Rater) -> None:
    rater.send(rater.form(), choice="bad", active="0")
    mine = rater.http.get("/me").text
    assert "both bad" in mine
    assert "1 of 2 questions" in mine
    assert "both bad" not in another(seeded).http.get("/me").text
    assert rater.http.post("/me/withdraw").status_code == 422
    assert len(seeded.people.current()) == 1
    seeded.people.used([seeded.people.current()[0].judgment.id], "export <b>42</b>")
    gone = rater.http.post("/me/withdraw", data={"sure": "1"})
    assert "export &lt;b&gt;42&lt;/b&gt;" in gone.text
    assert seeded.people.current() == []


def test_a_lease_is_kept_by_a_beat(seeded: Seeded, rater: Rater) -> None:
    form = rater.form()
    assert 590 < rater.send(form, "/beat", JSON).json()["left"] <= 601
    assert rater.send(form, "/beat").headers["location"] == "/label?said=kept"
    assert another(seeded).send(form, "/beat", JSON).json() == {"left": None}


def test_a_ranking_and_a_critique_go_on_without_a_script(seeded: Seeded, rater: Rater) -> None:
    question, records = asked(Kind.COMPARE, ("x", "y", "z"))
    seeded.people.post([question], records, priority=9.0)
    form = rater.form()
    moved = rater.send(form, "/page", move="up:C")
    assert 'name="order" value="A&gt;C&gt;B"' in moved.text
    assert rater.send(form, order="A>C>B", send="1").status_code == 303
    rater.send(rater.form(), choice="A")
    form = rater.form()
    more = rater.send(form, "/page", **{"point-0-text": "one", "more": "1"})
    assert more.status_code == 200
    assert "Point 2" in more.text
    assert re.search(r'data-left="(59\d|60\d)"', more.text), "a page that was drawn anew has lost its lease"
    assert "one</textarea>" in more.text
    assert len(seeded.people.current()) == 2


def test_a_page_that_is_drawn_anew_is_no_submit(seeded: Seeded) -> None:
    """Kills: a ranking without a script that uses up the submits of its rater by moving answers."""
    question, records = asked(Kind.COMPARE, ("x", "y", "z"))
    seeded.people.post([question], records, priority=9.0)
    rater = Rater(seeded, seeded.session)
    settings = WebSettings(hosts=frozenset({"testserver"}), submits=Limit(1, 240.0))
    cookies = rater.http.cookies
    rater.http = TestClient(
        build(seeded.people, seeded.identity, settings),
        headers={"sec-fetch-site": "same-origin"},
        follow_redirects=False,
        cookies=cookies,
    )
    form = rater.form()
    page = rater.http.get("/label").text
    assert re.findall(r'value="up:C" formaction="([^"]+)"', page) == [f"{form['action']}/page"]
    for _ in range(3):
        assert rater.send(form, "/page", move="up:C").status_code == 200
    assert rater.send(form, order="A>C>B", send="1").status_code == 303
    assert rater.send(rater.form(), choice="A").status_code == 429


def test_a_text_that_was_withdrawn_meanwhile_is_told_and_passed_over(seeded: Seeded, rater: Rater) -> None:
    """Kills: a fault of the server for whoever has the page open."""
    ruth = another(seeded)
    account = seeded.identity.accounts.named("Ruth")
    assert account is not None
    wanted, records = asked(Kind.REVISE, ())
    seeded.people.post_to(account.pseudonym, [wanted], records)
    assert ruth.send(ruth.form(), text="better").status_code == 303
    said = seeded.people.current()[0].judgment
    texts = [Response(prompt=wanted.prompt, text="x")]
    texts += [Response(prompt=wanted.prompt, text="better", parents=(said.id,))]
    pair = Question(asks=Kind.COMPARE, prompt=wanted.prompt, responses=tuple(text.id for text in texts))
    seeded.people.post([pair], [*records, *texts], priority=9.0)
    form = rater.form()
    assert form["question"] == pair.id
    seeded.people.withdraw_everything(account.pseudonym)
    for after, more in [("", {"choice": "A"}), ("/skip", {"reason": "other"})]:
        told = rater.send(form, after, **more)
        assert (told.status_code, "was withdrawn" in told.text) == (410, True)
    assert rater.send(form, choice="A", headers=JSON).json()["says"].startswith("A text of this question")
    assert rater.form()["question"] != pair.id


def test_only_the_first_letter_of_a_title_is_made_a_capital(seeded: Seeded, rater: Rater) -> None:
    """Kills: "Answer a: helpful", and a refusal that names the answer b."""
    scale = Instrument(scale=(1, 3), dimensions=("care for Ann",))
    question, records = asked(Kind.GRADE, ("x", "y"), instrument=scale)
    seeded.people.post([question], records, priority=9.0)
    assert "Answer A: care for Ann" in rater.http.get("/label").text
    assert rater.send(rater.form(), "/skip", reason="other").status_code == 303
    assert "A, B, tie, bad; choose the better answer" in rater.send(rater.form()).text


def test_a_slot_beyond_all_numbers_is_nowhere(rater: Rater) -> None:
    form = rater.form()
    assert rater.send({**form, "action": f"/label/{2**70}"}, choice="A").status_code == 404


def test_a_skip_is_not_told_as_an_answer(seeded: Seeded, rater: Rater) -> None:
    rater.send(rater.form(), "/skip", reason="other")
    rater.send(rater.form(), none="1")
    assert "You are through with 2 of 2, 1 of them skipped." in rater.http.get("/label").text


def test_a_late_answer_that_is_undone_is_told_so(seeded: Seeded, rater: Rater) -> None:
    """Kills: a page that says that nothing was taken back, though it was."""
    form = rater.form()
    rater.send(form, choice="A")
    form["key"] = "f" * 32  # of another tab
    assert rater.send(form, choice="B", headers=JSON).json()["state"] == "late"
    assert rater.http.post("/label/undo").headers["location"] == "/label?said=back"
    assert "not yours any more" in rater.http.get("/label?said=back").text
    assert [said.standing for said in seeded.people.current(standing=("vote", "late"))] == ["vote"]
