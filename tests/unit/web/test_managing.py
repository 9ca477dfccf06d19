"""A manager's pages, adjudication, and what raters see of the questions with a known answer."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from filled import LAZY, Filled, fill
from raters import comparisons, pseudonym, said
from unit.web.site import Site

from accord.records import Kind, Prompt, Question, Ranked, Response
from accord.stores.people import Project, Qualification
from accord.stores.people.gold import gold_in
from accord.stores.people.quality import disputed, next_for, settled
from accord.web.board import Board


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Nine questions, seven raters, eighty answers: made once, and changed by nobody."""
    filled = fill(tmp_path_factory.mktemp("filled"), 1.8e9, 9, 4, (14, 12, 10, 10, 8, 6, 18))
    yield filled
    filled.close()


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """A smaller one, for tests that change it."""
    filled = fill(tmp_path, 1.8e9, 6, 2, (9, 9))
    yield filled
    filled.close()


def site_of(filled: Filled) -> Site:
    """The app over it, as ``site`` has it."""
    from accord.web.app import build
    from accord.web.state import WebSettings

    site = Site.__new__(Site)
    site.identity, site.people, site.now = filled.identity, filled.people, filled.now[0]
    site.settings = WebSettings(hosts=frozenset({"testserver"}), clock=lambda: filled.now[0])
    site.app = build(site.people, site.identity, site.settings)
    return site


def text_of(page: Any) -> str:
    """What a reader reads, in one line."""
    assert page.status_code == 200, page.text
    main = page.text[page.text.index("<main") : page.text.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", main).replace("&#39;", "'").split())


def test_the_overview_names_every_figure_with_its_n(project: Filled) -> None:
    """Kills: figures of all slots where those of everybody are meant, shares without an n."""
    text = text_of(site_of(project).signed_in("Mona", "manager").get("/manage"))
    survey = project.people.survey()
    votes = [line for line in survey.lines if not line.for_one]
    assert f"{len(survey.lines)} answers by 7 raters" in text
    closed = sum(slots.closed for slots in survey.slots.values())
    assert f"{closed} slots closed of 36" in text
    for words in ("cooking", "health", "writing", "comparisons", "gold answers", "repeats"):
        assert words in text
    verdicts = [line for line in votes if line.tiers]
    assert len(verdicts) >= int(re.findall(r"([\d,]+) verdicts on", text)[0].replace(",", "")) > 10
    assert "Below the minimum of 20" in text
    assert "too few votes to tell" in text
    assert "tuned-3b" in text
    assert "Expected finish" in text


def test_a_project_without_questions_says_what_to_do(site: Site) -> None:
    text = text_of(site.signed_in("Mona", "manager").get("/manage"))
    assert "Nothing is asked yet" in text
    assert "no wins yet" in text
    assert "this project names no gold_questions" in text


def test_raters_stand_under_pseudonyms_and_small_groups_are_hidden(project: Filled) -> None:
    """Kills: names of people, a group of fewer than k, one that is found by subtraction."""
    page = site_of(project).signed_in("Mona", "manager").get("/manage/raters")
    text = text_of(page)
    assert all(rater.pseudonym in text for rater in project.raters)
    assert not [rater.name for rater in project.raters if re.search(rf"\b{rater.name}\b", text)]
    # Four said under 30, three 30 to 50; with k = 3 both may be shown, and nobody is left to be found.
    assert "under 30" in text
    project.people.keep_project(project.people.project().model_copy(update={"k": 4}))
    try:
        hidden = text_of(site_of(project).signed_in("Mona", "manager").get("/manage/raters"))
    finally:
        project.people.keep_project(project.people.project().model_copy(update={"k": 3}))
    assert "30 to 50" not in hidden.split("Groups")[1]
    assert "under 30" not in hidden.split("Groups")[1]
    assert "age: 2 values hidden" in hidden


def test_a_flag_is_a_persons_and_changes_nothing_else(own: Filled) -> None:
    """Kills: a flag without a person, a decision about nobody, a flag that drops votes."""
    site, rater = site_of(own), own.raters[0].pseudonym
    manager = site.signed_in("Mona", "manager")
    before = own.people.survey()
    assert own.people.notes("flag") == {}
    assert manager.post("/manage/raters/r-ffffffffffff", data={"decision": "flagged"}).status_code == 404
    assert manager.post(f"/manage/raters/{rater}", data={"decision": "out"}).status_code == 422
    assert manager.post(f"/manage/raters/{rater}", data={"decision": "flagged"}).status_code == 303
    kept = json.loads(own.people.notes("flag")[rater])
    assert kept["decision"] == "flagged"
    assert kept["by"] == site.account("Mona", "manager").pseudonym
    text = text_of(manager.get("/manage/raters"))
    assert f"{rater} flagged" in text
    assert own.people.survey() == before


def test_who_presses_the_first_button_is_put_before_a_person(project: Filled) -> None:
    lazy = next(rater.pseudonym for rater in project.raters if rater.name == LAZY)
    text = text_of(site_of(project).signed_in("Mona", "manager").get("/manage"))
    assert re.search(rf"To be looked at by a person: [^.]*{lazy} \([^)]*place", text)


def test_a_question_shows_every_verdict_under_its_own_letters_and_its_history(own: Filled) -> None:
    """Kills: letters of each rater's order, a withdrawal that is left out of the history."""
    site = site_of(own)
    by_question: dict[str, list[Any]] = {}
    for one in own.people.current():
        if isinstance(one.judgment.verdict, Ranked) and len(one.judgment.verdict.tiers) == 2:
            by_question.setdefault(one.question, []).append(one)
    # Who votes on what hangs on pseudonyms, which are random.
    question, given = max(by_question.items(), key=lambda one: len(one[1]))
    asked = own.people.read(question)
    manager = site.signed_in("Mona", "manager")
    text = text_of(manager.get(f"/manage/questions/{question}"))
    for one in given:
        letter = "AB"[asked.responses.index(one.judgment.verdict.tiers[0][0])]  # type: ignore[attr-defined]
        order = " ".join("AB"[asked.responses.index(answer)] for answer in one.judgment.shown)  # type: ignore[attr-defined]
        assert f"{one.rater} {letter} is better {order} vote" in text
    rater = given[0].rater
    own.people.withdraw_everything(rater)
    text = text_of(manager.get(f"/manage/questions/{question}"))
    assert "everything was withdrawn" in text
    assert "(erased)" in text
    assert manager.get("/manage/questions/nothing").status_code == 404


def test_adjudicators_answer_what_is_divided_blind_and_overrule_nothing(own: Filled) -> None:
    """Kills: the votes on the page, a question twice, one's own vote adjudicated, votes replaced."""
    posted = comparisons(2, "Odd")
    own.people.post(posted.questions, posted.records, slots=2)
    one, two = posted.questions
    for rater in (pseudonym(91), pseudonym(92)):
        own.people.post_to(rater, [], [])
        for _ in range(40):
            lease = own.people.lease(rater)
            if lease is None:
                break
            a, b = own.people.read(lease.question).responses[:2]  # type: ignore[attr-defined]
            turned = rater == pseudonym(92) and lease.question == two.id
            tiers = ((b,), (a,)) if turned else ((a,), (b,))
            judgment = said(own.people, lease, verdict=Ranked(tiers=tiers), rationale="words of a rater")
            own.people.submit(lease, judgment, secrets.token_hex(8))
    divided = {d.question for d in Board(own.people, lambda: 0.0).latest().figures.divided}  # type: ignore[union-attr]
    assert two.id in divided
    assert one.id not in divided
    site = site_of(own)
    adjudicator = site.account("Ute", "adjudicator")
    own.identity.consents.agree(adjudicator.id, "1")
    browser = site.signed_in("Ute", "adjudicator")
    votes = own.people.current()
    seen: list[str] = []
    for _ in range(len(divided)):
        page = browser.get("/manage/adjudicate")
        assert "words of a rater" not in page.text
        assert "r-0000000000" not in page.text
        question = re.findall(r'name="question" value="(\w+)"', page.text)[0]
        seen.append(question)
        shown = re.findall(r'name="shown_at" value="([^"]+)"', page.text)[0]
        form = {"question": question, "shown_at": shown}
        wrong = browser.post("/manage/adjudicate", data=form | {"choice": "C"})
        assert wrong.status_code == 422
        assert "Please mend" in wrong.text
        sent = browser.post("/manage/adjudicate", data=form | {"choice": "A", "rationale": "I say so"})
        assert sent.status_code == 303
        assert browser.post("/manage/adjudicate", data=form | {"choice": "A"}).status_code == 409
    assert set(seen) == divided
    assert "Nothing to adjudicate" in browser.get("/manage/adjudicate").text
    assert own.people.current() == votes
    stands = own.people.current(standing=("adjudicated",))
    assert {s.question for s in stands} == divided
    assert all(s.judgment.by.name == adjudicator.pseudonym and s.slot is None for s in stands)


def test_gold_is_shown_when_it_was_answered_and_disputed_with_one_button(own: Filled) -> None:
    """Kills: what is right before it was answered, another's judgment disputed, a dispute nobody sees."""
    site = site_of(own)
    project = own.people.project().model_copy(update={"gold": 0.5, "repeats": 0.0})
    own.people.keep_project(project)
    known, rater = gold_in(project.gold_questions).ids, site.account("Rosa", "rater")
    own.identity.consents.agree(rater.id, "1")
    browser = site.signed_in("Rosa", "rater")
    assert "You have answered none yet" in browser.get("/me/checks").text
    more = comparisons(30, "More")
    own.people.post(more.questions, more.records)

    def answer() -> None:
        lease = next_for(own.people, rater.pseudonym)
        assert lease is not None
        a, b = own.people.read(lease.question).responses  # type: ignore[attr-defined]
        judgment = said(own.people, lease, verdict=Ranked(tiers=((b,), (a,))))
        own.people.submit(lease, judgment, secrets.token_hex(8))

    while not {one.question for one in own.people.current(rater=rater.pseudonym)} & known:
        answer()
    assert "You have answered none yet" in browser.get("/me/checks").text  # it may still be taken back
    answer()
    page = browser.get("/me/checks")
    (judgment_id,) = re.findall(r'name="judgment" value="(\w+)"', page.text)
    assert "What is" in text_of(page)
    assert browser.post("/me/checks", data={"judgment": "0" * 64}).status_code == 404
    assert browser.post("/me/checks", data={"judgment": judgment_id}).status_code == 303
    assert "waits for a person" in browser.get("/me/checks").text
    (question,) = disputed(own.people).values()
    manager = site.signed_in("Mona", "manager")
    assert f"Disputed questions with a known answer: {question[:8]}" in text_of(manager.get("/manage"))
    where = f"/manage/questions/{question}/gold"
    assert manager.post(where, data={"decision": "perhaps"}).status_code == 422
    ordinary = f"/manage/questions/{more.questions[0].id}/gold"
    assert manager.post(ordinary, data={"decision": "kept"}).status_code == 409
    assert manager.post(where, data={"decision": "dropped"}).status_code == 303
    assert settled(own.people) == {question: "dropped"}
    assert "counts for nobody" in browser.get("/me/checks").text
    assert "Disputed questions" not in text_of(manager.get("/manage"))


def test_the_page_and_the_api_give_the_same_rater_the_same_round(site: Site, tmp_path: Path) -> None:
    """Kills: one of the two that leases past the qualification."""
    gold = tmp_path / "gold.jsonl"
    rows = [{"prompt": f"{i}?", "answers": ["y", "n"], "best": 0, "known_by": "program"} for i in range(4)]
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = Qualification(questions=str(gold), asked=2)
    site.people.keep_project(Project(qualification=wanted))
    site.asked(3)
    leased = site.program("Rosa", "rater", "label").post("/api/lease").json()["lease"]["question"]
    assert leased in gold_in(str(gold)).ids
    page = site.signed_in("Rosa", "rater").get("/label").text
    assert f'name="question" value="{leased}"' in page


def test_a_file_of_gold_that_is_gone_is_told_on_the_page(own: Filled) -> None:
    own.people.keep_project(own.people.project().model_copy(update={"gold_questions": "/nowhere/gold.jsonl"}))
    text = text_of(site_of(own).signed_in("Mona", "manager").get("/manage"))
    assert "No gold question is asked. /nowhere/gold.jsonl" in text


def test_figures_are_computed_once_until_something_is_said(own: Filled) -> None:
    """Kills: figures computed at every look, and figures that are kept for good."""
    board = Board(own.people, lambda: own.now[0])
    first = board.latest()
    assert first is not None
    again = board.latest()
    assert again is not None
    assert again.figures is first.figures
    rater = pseudonym(77)
    posted = comparisons(1, "New")
    own.people.post(posted.questions, posted.records, priority=9.0)
    lease = own.people.lease(rater)
    assert lease is not None
    own.people.submit(lease, said(own.people, lease), "one-more-answer")
    later = board.latest(patience=60.0)
    assert later is not None
    assert later.figures.judged == first.figures.judged + 1
    assert later.fresh


def test_a_page_waits_for_no_figures(own: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Board, "latest", lambda *_: None)
    site = site_of(own)
    page = site.signed_in("Mona", "manager").get("/manage")
    assert page.status_code == 503
    assert page.headers["Refresh"] == "2"


def test_exports_are_explained_and_nothing_is_downloaded(project: Filled) -> None:
    text = text_of(site_of(project).signed_in("Mona", "manager").get("/manage/export"))
    assert f"accord export data {project.people.where} --as preference" in text
    assert f"--groups {project.identity.where}" in text


def test_adjudicators_pass_over_what_was_withdrawn(own: Filled) -> None:
    """Kills: one withdrawn text on which raters differed, and no adjudicator gets any question any more."""
    origin = own.people.current()[0]
    prompt = Prompt.of("Which of these?")
    one = Response(prompt=prompt.id, text="one")
    other = Response(prompt=prompt.id, text="other", parents=(origin.judgment.id,))
    question = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=(one.id, other.id))
    own.people.post([question], [prompt, one, other], slots=2, priority=99.0)
    for rater, tiers in [
        (pseudonym(91), ((one.id,), (other.id,))),
        (pseudonym(92), ((other.id,), (one.id,))),
    ]:
        lease = own.people.lease(rater)
        assert lease is not None
        assert lease.question == question.id
        own.people.submit(lease, said(own.people, lease, verdict=Ranked(tiers=tiers)), secrets.token_hex(8))
    own.people.withdraw_everything(origin.rater)
    divided = Board(own.people, lambda: 0.0).latest().figures.divided  # type: ignore[union-attr]
    assert question.id in {one.question for one in divided}
    site = site_of(own)
    assert "(a text was withdrawn)" in text_of(site.signed_in("Mona", "manager").get("/manage"))
    assert site.signed_in("Mona", "manager").get(f"/manage/questions/{question.id}").status_code == 410
    own.identity.consents.agree(site.account("Ute", "adjudicator").id, "1")
    browser = site.signed_in("Ute", "adjudicator")
    for _ in divided:
        page = browser.get("/manage/adjudicate")
        assert page.status_code == 200
        assert question.id not in page.text
        found = dict(re.findall(r'name="(question|shown_at)" value="([^"]+)"', page.text))
        if found:
            browser.post("/manage/adjudicate", data={**found, "reason": "other"})
    assert "Nothing to adjudicate" in browser.get("/manage/adjudicate").text


def test_an_adjudicator_moves_answers_and_is_covered_from_what_distresses(own: Filled) -> None:
    """Kills: an order that a client made up and the page trips over; a cruel text in sight."""
    prompt = Prompt.of("something cruel").model_copy(update={"columns": {"distressing": True}})
    answers = [Response(prompt=prompt.id, text=f"cruel {n}") for n in range(3)]
    ids = tuple(answer.id for answer in answers)
    question = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=ids)
    own.people.post([question], [prompt, *answers])
    site = site_of(own)
    own.identity.consents.agree(site.account("Ute", "adjudicator").id, "1")
    browser = site.signed_in("Ute", "adjudicator")
    sent = {"question": question.id, "shown_at": "1", "move": "up:C"}
    orders: list[str] = []
    for order in ("", "A>B>C", "Z>A", "A>B>C>C"):
        page = browser.post("/manage/adjudicate", data={**sent, "order": order})
        assert page.status_code == 200, order
        orders += re.findall(r'name="order" value="([^"]*)"', page.text)
    assert orders == ["A&gt;B&gt;C", "A&gt;C&gt;B", "A&gt;B&gt;C", "A&gt;B&gt;C"]
    manager = site.signed_in("Mona", "manager").get(f"/manage/questions/{question.id}").text
    for text in (page.text, manager):
        open_ = re.sub(r'<details class="cover">.*?</details>', "", text, flags=re.DOTALL)
        assert "cruel" in text
        assert "cruel" not in open_
