"""A file of judgments comes in whole or not at all, once, and never brings back what was withdrawn."""

from __future__ import annotations

import pytest

from accord.errors import Refused
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Record, Response, Revised
from accord.stores.people import Ingested, People, Voice

ADA, BOB = "r-00000000000a", "r-00000000000b"
WHY = Prompt.of("Why?")
TEXT = Response(prompt=WHY.id, text="A")
ASKED = Question(asks=Kind.GRADE, prompt=WHY.id, responses=(TEXT.id,))
FREE = Question(asks=Kind.REVISE, prompt=WHY.id, responses=())
TEXTS: list[Record] = [WHY, TEXT]


def voice(rater: str = ADA, score: float = 1.0, standing: str = "vote", question: Question = ASKED) -> Voice:
    verdict = Graded(scores={"score": score}) if question is ASKED else Revised(text="Mine.")
    by = By(type="person", name=f"data:{rater}", config="c")
    judgment = Judgment(question=question.id, by=by, verdict=verdict, salt=f"{rater} {score} {standing}")
    return Voice(judgment, rater, standing, 5.0)  # type: ignore[arg-type]


def test_what_a_file_says_stands_and_is_asked_of_nobody(people: People) -> None:
    said = [voice(), voice(BOB, 0.0, "late"), voice(BOB, 0.5, "adjudicated")]
    assert people.ingest([ASKED, FREE], TEXTS, said) == Ingested(2, 3, 0, 0)
    assert people.questions() == [ASKED, FREE] and people.read(TEXT.id) == TEXT
    standing = people.current(standing=("vote", "late", "adjudicated"))
    assert [(s.judgment, s.rater, s.standing, s.slot, s.at) for s in standing] == [
        (v.judgment, v.rater, v.standing, None, 5.0) for v in said
    ]
    assert people.lease(ADA) is None and people.progress().open == 0
    assert people.rater(ADA).votes == 1 and people.rater(BOB).late == 1


def test_it_comes_in_once(people: People) -> None:
    assert people.ingest([ASKED], TEXTS, [voice()]).judgments == 1
    assert people.ingest([ASKED], TEXTS, [voice(), voice(BOB)]) == Ingested(1, 1, 1, 0)
    assert len(people.current()) == 2 and len(list(people.events())) == 2


def test_all_of_it_or_nothing(people: People) -> None:
    bad = voice()._replace(judgment=voice().judgment.model_copy(update={"verdict": Revised(text="x")}))
    for said, records, why in (
        ([voice(BOB), bad], TEXTS, "is not answered by a revised verdict"),
        ([voice(BOB), voice("Ada")], TEXTS, "is no pseudonym"),
        ([voice(BOB)], [WHY], "named by a question, and not there"),
    ):
        with pytest.raises(Refused, match=why):
            people.ingest([ASKED], records, said)
        assert people.questions() == [] and list(people.events()) == []


def test_what_was_withdrawn_stays_away(people: People) -> None:
    said = [voice(), voice(BOB), voice(ADA, question=FREE)]
    people.ingest([ASKED, FREE], TEXTS, said)
    mine = Response(prompt=WHY.id, text="Mine.", parents=(said[2].judgment.id,))
    about = Question(asks=Kind.GRADE, prompt=WHY.id, responses=(mine.id,))
    of_mine = voice(BOB)._replace(judgment=voice(BOB).judgment.model_copy(update={"question": about.id}))
    people.ingest([about], [WHY, mine], [of_mine])
    people.used([said[0].judgment.id], "export x")
    gone = people.withdraw_everything(ADA)
    assert {use.by for use in gone.uses} == {"export x"} and mine.id in gone.records
    back = people.ingest([ASKED, FREE, about], [*TEXTS, mine], [*said, of_mine])
    assert back == Ingested(2, 0, 1, 3)
    assert [s.rater for s in people.current() if s.question != about.id] == [BOB]
    with pytest.raises(KeyError):
        people.read(mine.id)


def test_rebuilding_keeps_it(people: People) -> None:
    people.ingest([ASKED], TEXTS, [voice(), voice(BOB, 0.0, "late"), voice(BOB, 0.5, "adjudicated")])
    before = people.current(standing=("vote", "late", "adjudicated"))
    people.rebuild()
    assert people.current(standing=("vote", "late", "adjudicated")) == before
    assert people.rater(ADA).votes == 1
