"""A rater's work in a terminal: the same judgments as in a browser, inert texts, and nothing that is lost.

Mutants this kills: an answer under another letter than the one shown, a strength or a draft of an earlier try
that goes along unseen, a lease that is kept after the end, a script that goes on behind a line that did not
fit, a correction that is sent unseen, a text that the terminal obeys.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from raters import said
from rich.console import Console
from web.seeded import EVERYTHING, EXAMPLE, asked, hindsight, hostile, one_of_each, prompt_of

from accord.cli.face import Face
from accord.cli.sheet import picks_of
from accord.cli.terminal import answer_here, own_account
from accord.errors import PlanError
from accord.records import (
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Question,
    Ranked,
    Response,
    Revised,
)
from accord.stores.identity import Identity
from accord.stores.people import Consent, People, Project
from accord.stores.people.project import Qualification


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("people")
    People.open(at / "l.db").close()
    Identity.open(at / "l.accounts.db").close()
    return at


class Desk:
    """A labelling database before one person whose lines are written down beforehand."""

    def __init__(self, at: Path) -> None:
        self.now = 1.8e9
        self.people = People.open(at / "l.db", lambda: self.now)
        self.identity = Identity.open(at / "l.accounts.db", lambda: self.now)
        self.account = own_account(self.identity, "Rosa")
        self.out = ""

    def post(self, *found: tuple[Question, list[Any]]) -> None:
        for place, (question, records) in enumerate(found):
            self.people.post([question], records, priority=-float(place))

    def says(self, *lines: str | BaseException, typed: bool = False, **console: Any) -> Any:
        """The tally of a sitting in which these lines come."""
        left = iter(lines)

        def line(_: str) -> str | None:
            self.now += 2
            told = next(left, None)
            if isinstance(told, BaseException):
                raise told
            return None if told is None else f"{told}\n"

        drawn = io.StringIO()
        face = Face(Console(file=drawn, highlight=False, **({"width": 120} | console)), line, typed)
        try:
            return answer_here(self.people, self.identity, self.account, face, lambda: self.now)
        finally:
            self.out = drawn.getvalue()

    @property
    def said(self) -> list[Judgment]:
        return [one.judgment for one in self.people.current()]

    @property
    def leased(self) -> int:
        return self.people.progress().leased


@pytest.fixture
def desk(empty: Path, tmp_path: Path) -> Iterator[Desk]:
    for file in ("l.db", "l.accounts.db"):
        shutil.copy(empty / file, tmp_path / file)
    made = Desk(tmp_path)
    yield made
    made.people.close()
    made.identity.close()


def only(kind: str) -> tuple[Question, list[Any]]:
    return one_of_each()[kind]


# What is said


def test_every_task_is_done_by_lines(desk: Desk) -> None:
    every = one_of_each()
    desk.post(*every.values())
    lines = ["1 3", "c > b=a good c b", "6 7", "2", "2 3 #1 not so", "- 2 short", "x 1", "."]
    tally = desk.says(*lines, "e", "Soak it.", "Wipe.", ".", ".", "e", "Soda.", ".", ".")
    assert tally == (7, 0, 0)
    assert "Nothing waits for you. You are through with 7 of 7. Thank you." in desk.out
    pair, ranking, grade, label, critique, correct, demonstrate = (cast(Any, j.verdict) for j in desk.said)
    shown = [judgment.shown for judgment in desk.said]
    first = every["pair"][0].responses[0]
    assert pair == Ranked(tiers=((shown[0][0],), (shown[0][1],)), strength=3 if shown[0][0] == first else -3)
    a, b, c = shown[1]
    assert ranking == Ranked(tiers=((c,), (b, a)), acceptable=(b, c))
    assert grade == Graded(scores={"helpful": 6, "careful": 7})
    assert label == Labelled(tags=("plain",))
    assert isinstance(critique, Critiqued)
    assert [(p.mark, p.severity, p.text) for p in critique.points] == [(None, 2, "short")]
    assert (correct, demonstrate) == (Revised(text="Soak it.\nWipe."), Revised(text="Soda."))
    assert "[-" in desk.out


def test_a_verdict_here_and_one_over_http_are_one_judgment(empty: Path, tmp_path: Path) -> None:
    """Equal databases, the same person, the same salt: only layout, client and times differ."""
    from starlette.testclient import TestClient

    from accord.web.app import build
    from accord.web.state import WebSettings

    for file in ("l.db", "l.accounts.db"):
        shutil.copy(empty / file, tmp_path / file)
    first = Desk(tmp_path)
    first.post(only("pair"), only("critique"))
    for database in (first.people, first.identity):
        database.close()
    (tmp_path / "copy").mkdir()
    for file in ("l.db", "l.accounts.db"):
        shutil.copy(tmp_path / file, tmp_path / "copy" / file)
    here, there = Desk(tmp_path), Desk(tmp_path / "copy")
    here.says("why it is right", "sure 85", "2 1", "1 4 #2 no", ".")
    token, _ = there.identity.tokens.make(there.account.id, ["label"])
    settings = WebSettings(frozenset({"testserver"}), clock=lambda: there.now)
    http = TestClient(build(there.people, there.identity, settings))
    http.headers["Authorization"] = f"Bearer {token}"
    pair = {"choice": "B", "strength": "1", "rationale": "it is right", "confidence": "85"}
    (pick, *_) = picks_of(_page(there, only("critique")[0]))
    point = {"where": pick, "severity": "4", "tag": "dangerous", "text": "no"}
    fields = [pair, {f"point-0-{name}": value for name, value in point.items()}]
    for told, judgment in zip(fields, here.said, strict=True):
        lease = http.post("/api/lease").json()
        body = {"lease": lease["lease"], "key": "k" * 8, "salt": judgment.salt}
        body["key"] += lease["lease"]["question"][:8]
        body["fields"] = {**told, "shown_at": repr(lease["question"]["shown_at"])}
        assert http.post("/api/submit", json=body).json()["state"] == "stored"
    for mine, other in zip(here.said, there.said, strict=True):
        assert mine.rendering is not None
        assert other.rendering is not None
        assert mine.rendering.digest == other.rendering.digest
        assert mine.rendering.layout.endswith(", terminal")
        assert (mine.rendering.hidden, mine.rendering.locale) == (
            other.rendering.hidden,
            other.rendering.locale,
        )
        told = {"rendering": other.rendering, "times": other.times}
        assert mine.model_copy(update=told) == other
    for one in (here, there):
        one.people.close()
        one.identity.close()


def _page(desk: Desk, question: Question) -> Any:
    from accord.web.asked import asked_of

    return asked_of(desk.people.read, question, question.responses, "plain")


def test_times_are_those_of_the_lines(desk: Desk) -> None:
    desk.post(only("pair"))

    desk.says("why a", "1")
    (said,) = desk.said
    assert said.times is not None
    assert (said.times.submitted - said.times.shown, said.times.active) == (4.0, 4.0)
    assert said.times.first_input == said.times.shown + 2


def test_a_skip_says_why_by_number_name_or_when_asked(desk: Desk) -> None:
    desk.post(only("pair"), only("ranking"), only("grade"))
    tally = desk.says("s 1", "s not my field", "s", "6")
    assert [judgment.abstention for judgment in desk.said] == ["unclear", "not_my_field", "other"]
    assert tally.skipped == 3
    assert "Skipping costs you nothing. Why?" in desk.out


def test_undo_brings_a_question_back_as_it_was_written(desk: Desk) -> None:
    desk.post(only("pair"), only("ranking"))
    assert desk.says("why old words", "1 3", "u", "2").undone == 1
    (said,) = desk.said
    assert said.rationale == "old words"
    verdict = cast(Ranked, said.verdict)
    assert verdict.tiers[0] == (said.shown[1],)
    assert verdict.strength is None, "how much better the other one was goes with it"
    desk.says("u", "u", "q")
    assert "There is nothing to take back." in desk.out
    assert desk.said == []


# What is kept


@pytest.mark.parametrize("end", ["q", KeyboardInterrupt(), None])
def test_what_was_begun_is_there_the_next_time(desk: Desk, end: Any) -> None:
    desk.post(only("critique"))
    desk.says("why because", "3 2 too harsh", *([] if end is None else [end]))
    assert (desk.said, desk.leased) == ([], 0), "nobody waits for one who has left"
    desk.says(".")
    assert "point 1, sentence 3, severity 2: too harsh" in desk.out
    (said,) = desk.said
    assert (said.rationale, len(cast(Critiqued, said.verdict).points)) == ("because", 1)


def test_lines_of_a_text_outlive_ctrl_c(desk: Desk) -> None:
    desk.post(only("demonstrate"))
    desk.says("e", "First line.", "Second", KeyboardInterrupt())
    desk.says(".")
    assert cast(Revised, desk.said[0].verdict).text == "First line.\nSecond"


def test_a_line_from_a_pipe_that_does_not_fit_ends_it(desk: Desk) -> None:
    desk.post(only("pair"), only("pair"), only("grade"))
    with pytest.raises(PlanError, match=r"line 2: score-0 = '8'") as caught:
        desk.says("1", "8 3", "1")
    assert caught.value.allowed == "a number from 1 to 7"
    assert len(desk.said) == 1
    assert desk.leased == 0


def test_a_person_is_told_and_asked_again(desk: Desk) -> None:
    desk.post(only("grade"))
    tally = desk.says("8 3", "good", "sure 200", "6 3", "sure", "6 3", typed=True)
    assert tally.answered == 1
    assert desk.out.count("not sent:") == 3


def test_a_correction_is_seen_before_it_is_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.post(only("correct"))
    desk.says("e", "Do not scrub.", ".", "q")
    assert "{+" in desk.out
    desk.says(".", "q")
    assert desk.said == [], "in another sitting it is shown once more"
    monkeypatch.setenv("EDITOR", "sed -i s/scrub/soak/")
    desk.says("e", ".", typed=True)
    assert cast(Revised, desk.said[0].verdict).text == "Do not soak."


def test_an_editor_that_fails_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.post(only("correct"))
    for editor, told in (("false", "ended with 1"), ("no-such-editor-here", "cannot be started")):
        monkeypatch.setenv("EDITOR", editor)
        desk.says("e", "q", typed=True)
        assert told in desk.out
    assert not desk.people.draft(desk.account.pseudonym, only("correct")[0].id, None)


# What is shown


@pytest.mark.parametrize(
    "console", [{}, {"force_terminal": True, "color_system": None}, {"force_terminal": True, "width": 60}]
)
def test_hostile_text_is_inert(desk: Desk, console: dict[str, Any]) -> None:
    question, records = hostile()
    red = asked(Kind.COMPARE, ("[red]loud[/red] [link=x]", "[/]"), prompt_of("[bold]why"))
    desk.post((question, records), red)
    desk.says("1", "q", **console)
    plain = desk.out
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;36m", "\x1b[32m", "\x1b[1;33m"):
        plain = plain.replace(style, "")
    assert "\x1b" not in plain
    assert not {"\x07", "\u200b", "\u202e"} & set(plain)
    assert "⟨U+202E⟩" in plain
    assert "<script>alert(1)</script>" in plain
    for literal in ("[red]loud[/red]", "[link=x]", "[/]", "[bold]why"):
        assert literal in plain


def test_a_megabyte_on_one_line_is_shown_whole(desk: Desk) -> None:
    desk.post(asked(Kind.COMPARE, ("x" * 1_000_000, "short")))
    desk.says("q", force_terminal=True)
    assert desk.out.count("x") >= 1_000_000


def test_two_answers_stand_beside_each_other_where_there_is_room(desk: Desk) -> None:
    desk.post(only("pair"))
    titles = "Answer A", "Answer B"
    for console, together, boxed in (
        ({"force_terminal": True, "width": 120}, True, True),
        ({"force_terminal": True, "width": 80}, False, True),
        ({"force_terminal": True, "_environ": {"TERM": "dumb"}}, False, False),
        ({}, False, False),
    ):
        desk.says("q", **cast(dict[str, Any], console))
        assert any(all(t in line for t in titles) for line in desk.out.splitlines()) is together
        assert ("╭" in desk.out) is boxed


def test_a_text_that_may_distress_is_covered_until_it_is_asked_for(desk: Desk) -> None:
    prompt = prompt_of("Something dreadful", distressing=True)
    desk.post(asked(Kind.COMPARE, ("One.", "Two."), prompt))
    desk.says("q")
    assert "dreadful" not in desk.out
    assert "v shows it" in desk.out
    desk.says("v", "1")
    assert "dreadful" in desk.out
    assert len(desk.said) == 1


def test_hindsight_shows_what_followed_and_not_what_was_said(desk: Desk) -> None:
    desk.post(only("pair"))
    desk.says("why SECRET", "1 2")
    again, records = hindsight(desk.said[0].id)
    desk.people.post_to(desk.account.pseudonym, [again], records)
    desk.says("2")
    assert "A week later the hob was scratched" in desk.out
    assert "You judged this before." in desk.out
    assert "SECRET" not in desk.out
    assert [judgment.question for judgment in desk.said][-1] == again.id


def test_instructions_come_once_and_again_where_they_are_others(desk: Desk) -> None:
    worked = Instrument(examples=(EXAMPLE,), allows=EVERYTHING)
    desk.people.keep_project(Project(title="Cooks", instructions="Be fair."))
    desk.post(only("pair"), asked(Kind.COMPARE, instrument=worked), only("grade"))
    desk.says("1", "a>b>c", "q")
    assert desk.out.count("Be fair.") == 2
    assert desk.out.count(EXAMPLE.why) == 1
    desk.says("i", "q")
    assert desk.out.count("Be fair.") == 2


@pytest.mark.parametrize(("lines", "version"), [(["no", "1"], None), (["yes", "1"], "2026"), ([], None)])
def test_consent_comes_first(desk: Desk, lines: Sequence[str], version: str | None) -> None:
    desk.people.keep_project(Project(consent=Consent(text="We keep what you say.", version="2026")))
    desk.post(only("pair"))
    desk.says(*lines)
    assert "We keep what you say." in desk.out
    assert [judgment.consent for judgment in desk.said] == ([version] if version else [])
    assert desk.identity.accounts.get(desk.account.id).consent == (version or "")


def test_the_qualification_round_opens_the_queue(desk: Desk, tmp_path: Path) -> None:
    gold = {"prompt": "2 + 2?", "answers": ["4", "5"], "best": 0, "known_by": "program"}
    (tmp_path / "gold.jsonl").write_text(json.dumps(gold) + "\n")
    round_ = Qualification(questions=str(tmp_path / "gold.jsonl"), asked=1)
    desk.people.keep_project(Project(qualification=round_, gold=0, repeats=0))
    desk.post(only("grade"))
    desk.says("q")
    assert "2 + 2?" in desk.out
    right = "1" if "Answer A\n4" in desk.out else "2"
    desk.says(right, "6 6")
    assert len(desk.people.current(standing=("qualification",))) == 1
    assert [judgment.question for judgment in desk.said] == [only("grade")[0].id]


def test_the_last_answer_of_all_can_be_taken_back(desk: Desk) -> None:
    desk.post(only("grade"))
    assert desk.says("6 6", "u", "5 5").undone == 1
    assert [cast(Graded, j.verdict).scores["helpful"] for j in desk.said] == [5]


def test_a_text_that_was_withdrawn_meanwhile_ends_the_question_and_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: a traceback, or a question before which nobody can do anything but stop."""
    eve = "r-0000000000ee"
    wanted, records = asked(Kind.REVISE, ())
    desk.people.post_to(eve, [wanted], records)
    lease = desk.people.lease(eve)
    assert lease is not None
    judgment = said(desk.people, lease, verdict=Revised(text="better"))
    desk.people.submit(lease, judgment, "key-of-eve")
    texts = [Response(prompt=wanted.prompt, text="x")]
    texts += [Response(prompt=wanted.prompt, text="better", parents=(judgment.id,))]
    pair = Question(asks=Kind.COMPARE, prompt=wanted.prompt, responses=tuple(text.id for text in texts))
    desk.people.post([pair], [*records, *texts], priority=9.0)
    desk.post(only("grade"))

    monkeypatch.setattr(desk.people, "beat", lambda *_: desk.people.withdraw_everything(eve))
    tally = desk.says("1", "6 3")
    assert (tally.answered, [one.question for one in desk.said]) == (1, [only("grade")[0].id])
    assert "a text of this question was withdrawn" in desk.out
