"""Withdraw everything: no byte of what was said is left in the files."""

import random
import sqlite3
import threading

import pytest
from raters import answered, comparisons, pseudonym, said

from accord.errors import Refused
from accord.records import Kind, Mark, Prompt, Question, Response, Revised
from accord.stores.people import People, posting

SECRET = "my-own-words-nobody-else-has"


def revised(people, rater):
    """That rater writes a better text, and others are asked about it."""
    prompt = Prompt.of("Say it better")
    question = Question(asks=Kind.REVISE, prompt=prompt.id, responses=())
    people.post([question], [prompt], priority=1.0)
    judgment = answered(people, rater, verdict=Revised(text=f"{SECRET} revised"))
    made = Response(prompt=prompt.id, text=f"{SECRET} revised", parents=(judgment.id,))
    other = Response(prompt=prompt.id, text="another")
    about = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=(made.id, other.id))
    people.post([about], [prompt, made, other], slots=3)
    return judgment, made, about


def test_what_was_said_is_gone_and_what_used_it_is_told(people, ann, bob):
    asked = comparisons(2)
    people.post(asked.questions, asked.records, slots=2)
    judgment, made, about = revised(people, ann)
    vote = answered(people, ann, rationale=SECRET)
    others = [answered(people, bob), answered(people, bob)]
    people.draft(ann, asked.questions[1].id, f"{SECRET} draft")
    people.used([judgment.id, vote.id, others[0].id], "export a.parquet")
    people.used([judgment.id], "export a.parquet")
    done = people.withdraw_everything(ann)
    assert set(done.judgments) == {judgment.id, vote.id}
    assert (done.records, done.drafts, done.cleared) == ((made.id,), 1, True)
    assert {(use.judgment, use.by) for use in done.uses} == {
        (judgment.id, "export a.parquet"),
        (vote.id, "export a.parquet"),
    }
    assert people.judgment(judgment.id) is None and people.judgment(vote.id) is None
    with pytest.raises(KeyError):
        people.read(made.id)
    assert [s.judgment for s in people.current()] == others
    journal = list(people.events())
    assert [event.kind for event in journal] == ["submit"] * 4 + ["withdraw"] * 2
    assert all(event.judgment is None for event in journal if event.rater == ann)
    assert people.rater(ann).votes == 0
    # What nobody can see any more is not asked; the other slots are open for others, not for her.
    answered_about = sum(vote.question == about.id for vote in people.current())
    assert people.progress().void == 3 - answered_about
    assert all((lease := people.lease(ann)) is None or lease.question != vote.question for _ in range(3))
    with pytest.raises(Refused, match="withdrawn by the person"):
        people.post([about], [made], slots=5)
    assert people.withdraw_everything(ann).judgments == ()


def test_a_withdrawn_rater_keeps_no_lease(people, ann, bob):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    lease = people.lease(ann)
    people.withdraw_everything(ann)
    assert people.submit(lease, said(people, lease), "k").state == "late"
    assert people.lease(bob) is not None


def test_what_was_made_of_withdrawn_words_does_not_come_in_later(people, ann):
    """A run still holds a text made of them, which was never posted here."""
    _, made, about = revised(people, ann)
    people.withdraw_everything(ann)
    later = made.model_copy(update={"index": 1})
    other = Response(prompt=made.prompt, text="another")
    question = about.model_copy(update={"responses": (later.id, other.id)})
    prompt = people.read(made.prompt)
    with pytest.raises(Refused, match=f"{later.id[:12]}: withdrawn by the person"):
        people.post([question], [prompt, later, other])
    back = people.ingest([question], [prompt, later, other], [])
    assert back.questions == 0
    with pytest.raises(KeyError):
        people.read(later.id)


def test_what_is_posted_while_it_is_withdrawn_goes_too(people_url, ann):
    with People.open(people_url) as people, People.open(people_url) as other:
        prompt = Prompt.of("Say it better")
        question = Question(asks=Kind.REVISE, prompt=prompt.id, responses=())
        people.post([question], [prompt])
        judgment = answered(people, ann, verdict=Revised(text=SECRET))
        made = Response(prompt=prompt.id, text=SECRET, parents=(judgment.id,))
        about = Question(asks=Kind.GRADE, prompt=prompt.id, responses=(made.id,))
        withdraws = threading.Thread(target=other.withdraw_everything, args=[ann])
        with people._database.writing() as connection:
            posting.post(connection, posting.Posting((about,), (prompt, made)))
            withdraws.start()
            withdraws.join(0.3)
        withdraws.join()
        with pytest.raises(KeyError):
            people.read(made.id)
        assert people.progress().void == 1


def test_no_byte_of_it_is_left_in_the_files(people_file):
    """Long and short texts of many raters side by side, so that pages are split, merged and freed."""
    draw = random.Random(7)
    with People.open(people_file) as people, People.open(people_file) as other:
        asked = comparisons(60)
        people.post(asked.questions, asked.records, slots=4)
        raters = [pseudonym(number) for number in range(4)]
        salts = []
        for turn in range(160):
            words = f"{SECRET}-{turn} " * draw.choice([1, 5, 40, 300])
            mine = turn % 4 == 0
            fields = {"rationale": words if mine else "w" * len(words)}
            judgment = answered(people, raters[turn % 4], **fields)
            if mine:
                salts.append(judgment.salt)
                people.draft(raters[0], judgment.question, words)
            if turn % 7 == 0:
                (people if turn % 2 else other).undo(raters[turn % 4])
        revised(people, raters[0])
        assert found(people_file, [SECRET, salts[0]])
        done = people.withdraw_everything(raters[0])
        assert done.cleared and len(done.judgments) >= 40
        assert found(people_file, [SECRET, *salts]) == []
        assert found(people_file, ["www"]) == [people_file]


def found(path, words):
    """The files of a database that hold one of these."""
    files = [f for f in path.parent.glob(path.name + "*") if any(w.encode() in f.read_bytes() for w in words)]
    return sorted(files)


def test_what_a_reader_keeps_from_being_cleared_is_cleared_at_the_next_opening(people_file, ann, monkeypatch):
    monkeypatch.setattr("accord.stores.people.people._TIDYING", 0.1)
    with People.open(people_file) as people:
        asked = comparisons(1)
        people.post(asked.questions, asked.records)
        answered(people, ann, rationale=SECRET)
        reader = sqlite3.connect(people_file)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM judgment_event").fetchall()
        assert not people.withdraw_everything(ann).cleared
        assert found(people_file, [SECRET])
        reader.close()
        with People.open(people_file):
            assert found(people_file, [SECRET]) == []


def test_one_who_tidies_takes_nobody_elses_mark_away(people_file, ann, bob, monkeypatch):
    """Kills: a withdrawal that finds nothing to tidy, for another one has just tidied and says so."""
    with People.open(people_file) as people, People.open(people_file) as other:
        asked = comparisons(2)
        people.post(asked.questions, asked.records)
        answered(people, ann, rationale="mine")
        answered(people, bob, rationale=SECRET)
        truncate, tidy = people._database.truncate, other._tidy
        monkeypatch.setattr(other, "_tidy", lambda: False)  # it comes to that only when the first one is done

        def meanwhile():
            done = truncate()
            other.withdraw_everything(bob)
            return done

        monkeypatch.setattr(people._database, "truncate", meanwhile)
        assert people.withdraw_everything(ann).cleared
        assert found(people_file, [SECRET])
        assert tidy()
        assert found(people_file, [SECRET]) == []


def test_marks_and_answers_that_were_shown_go_too(people_file, ann, bob):
    """A critique that was shown to others as evidence is a record made of the judgment: itself."""
    with People.open(people_file) as people:
        asked = comparisons(1)
        people.post(asked.questions, asked.records)
        response = asked.questions[0].responses[0]
        judgment = answered(people, ann, marks=(Mark(response=response, start=0, end=3, tag=SECRET),))
        shown = asked.questions[0].model_copy(update={"evidence": (judgment.id,)})
        people.post([shown], [judgment])
        assert people.withdraw_everything(ann).records == (judgment.id,)
        assert people.lease(bob).question == asked.questions[0].id
        assert people.progress().void == 1
        assert found(people_file, [SECRET]) == []
