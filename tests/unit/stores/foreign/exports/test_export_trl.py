"""Rows of TRL's six types from feedback: what they say, what they cannot, and that they are read back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.errors import PlanError
from accord.records import (
    By,
    Episode,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Mark,
    Message,
    Prompt,
    Question,
    Ranked,
    Response,
    Revised,
    Spread,
)
from accord.stores.foreign.exports.counted import GOOD_ENOUGH, RIGHT_STEP
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.trl import trl_rows
from accord.stores.foreign.exports.whole import line_of
from accord.stores.foreign.imports.trl import bring_trl
from accord.stores.foreign.rows import kind_of_fields, row_of

WHY = Prompt.of("Why?")
TALK = WHY.then("So.", Message(role="user", content="How?"))


def person(number: int = 1) -> By:
    return By(type="person", name=f"r-{number:012x}", config="c")


def answers(prompt: Prompt, *texts: str) -> list[Response]:
    return [Response(prompt=prompt.id, text=text, index=i) for i, text in enumerate(texts)]


def asks(kind: Kind, prompt: Prompt, said: list[Response], **more: Any) -> Question:
    return Question(asks=kind, prompt=prompt.id, responses=tuple(r.id for r in said), **more)


def says(question: Question, verdict: Any = None, by: int = 1, **more: Any) -> Judgment:
    return Judgment(question=question.id, by=person(by), verdict=verdict, **more)


def of(questions: list[Question], judgments: list[Judgment], *records: Any) -> Given:
    return Given(tuple(questions), tuple(judgments), {record.id: record for record in records})


def ranked(tiers: str, said: list[Response], **more: Any) -> Ranked:
    """``ranked("a>bc", …)``: the first alone, then the second and the third, tied."""
    return Ranked(tiers=tuple(tuple(said["abcd".index(c)].id for c in t) for t in tiers.split(">")), **more)


def test_two_answers_are_one_row_with_who_and_why() -> None:
    two = answers(WHY, "Because.", "No.")
    asked = asks(Kind.COMPARE, WHY, two)
    said = says(asked, ranked("b>a", two), rationale="It is kind.")
    found = trl_rows(of([asked], [said], WHY, *two), "preference")
    row = {"prompt": "Why?", "chosen": "No.", "rejected": "Because."}
    assert found.rows == (row | {"annotator": "r-000000000001", "rationale": "It is kind."},)
    assert (found.lost, found.used) == ({}, (said.id,))
    talk = trl_rows(of([asked], [said], WHY, *two), "preference", conversational=True)
    assert talk.rows[0]["prompt"] == [{"role": "user", "content": "Why?"}]
    assert talk.rows[0]["rejected"] == [{"role": "assistant", "content": "Because."}]


def test_a_ranking_is_all_its_pairs_from_two_tiers_and_one_vote() -> None:
    """Kills: pairs of neighbours only, pairs within a tier, weights that add up to the number of pairs."""
    four = answers(WHY, "A", "B", "C", "D")
    asked = asks(Kind.COMPARE, WHY, four)
    found = trl_rows(of([asked], [says(asked, ranked("a>bc>d", four))], WHY, *four), "preference")
    pairs = [(row["chosen"], row["rejected"]) for row in found.rows]
    assert sorted(pairs) == [("A", "B"), ("A", "C"), ("A", "D"), ("B", "D"), ("C", "D")]
    assert {row["weight"] for row in found.rows} == {1 / 6}
    assert found.lost == {"rankings of more than two, now pairs": 1, "ties": 1}


def test_what_preference_cannot_hold_is_counted() -> None:
    two = answers(WHY, "A", "B")
    asked = asks(Kind.COMPARE, WHY, two, instrument=Instrument(wording="Kinder?"))
    marks = (Mark(response=two[0].id, start=0, end=1),)
    judgments = [
        says(asked, ranked("a>b", two, strength=2), confidence=0.5, shown=asked.responses),
        says(asked, ranked("b>a", two), 2, marks=marks),
        says(asked, ranked("ab", two), 3),
        says(asked, ranked("ab", two, acceptable=()), 4),
        says(asked, None, 5, abstention="unclear"),
    ]
    found = trl_rows(of([asked], judgments, WHY, *two), "preference")
    assert [row["chosen"] for row in found.rows] == ["A", "B"]
    assert found.lost == {
        "abstentions": 1,
        "acceptability": 1,
        "both bad": 1,
        "confidences": 1,
        "how it was shown, and when": 1,
        "instruments": 1,
        "marks": 1,
        "questions on which verdicts differ: rows that contradict each other": 1,
        "strengths": 1,
        "ties": 1,
    }
    assert found.used == tuple(j.id for j in judgments[:2])


def test_a_spread_says_how_much_and_even_is_a_tie() -> None:
    two = answers(WHY, "A", "B")
    asked = asks(Kind.COMPARE, WHY, two)
    a, b = asked.responses
    soft = Judgment(
        question=asked.id, by=By(type="model", name="m", config="c"), verdict=Spread(p={a: 0.25, b: 0.75})
    )
    even = says(asked, Spread(p={a: 0.5, b: 0.5}))
    found = trl_rows(of([asked], [soft, even], WHY, *two), "preference")
    row = {"prompt": "Why?", "chosen": "B", "rejected": "A", "p": 0.75, "annotator": "model:m"}
    assert found.rows == (row,)
    assert found.lost["ties"] == 1


def test_acceptability_is_one_row_for_each_answer() -> None:
    three = answers(WHY, "A", "B", "C")
    asked = asks(Kind.COMPARE, WHY, three)
    one = asks(Kind.LABEL, WHY, three[:1], instrument=GOOD_ENOUGH)
    judgments = [
        says(asked, ranked("a>b>c", three, acceptable=(three[0].id,))),
        says(asked, ranked("abc", three, acceptable=()), 2),
        says(asked, ranked("a>b>c", three), 3),
        says(one, Labelled(tags=("unacceptable",)), 4),
    ]
    found = trl_rows(of([asked, one], judgments, WHY, *three), "unpaired")
    said = [(row["completion"], row["label"], row["annotator"]) for row in found.rows]
    first, second, last = (f"r-{k:012x}" for k in (1, 2, 4))
    assert said[:3] == [("A", True, first), ("B", False, first), ("C", False, first)]
    assert said[3:] == [("A", False, second), ("B", False, second), ("C", False, second), ("A", False, last)]
    assert found.lost["rankings that do not say what is good enough"] == 1 and found.lost["orders"] == 2


def stepped(texts: list[str]) -> tuple[list[Response], list[Question]]:
    steps = answers(WHY, *texts)
    ids = [step.id for step in steps]
    questions = [
        Question(
            asks=Kind.GRADE,
            prompt=WHY.id,
            responses=(id_,),
            evidence=tuple(ids[:k]),
            instrument=RIGHT_STEP,
        )
        for k, id_ in enumerate(ids)
    ]
    return steps, questions


def grade(question: Question, score: float, by: int = 1, **more: Any) -> Judgment:
    return says(question, Graded(scores={"score": score}), by, **more)


def test_steps_are_put_together_again() -> None:
    steps, asked = stepped(["one", "two", "three"])
    judgments = [grade(q, s) for q, s in zip(asked, (1.0, 1.0, 0.0), strict=True)]
    judgments += [grade(asked[1], 0.0, 2)]
    found = trl_rows(of(asked, judgments, WHY, *steps), "stepwise")
    row = {"prompt": "Why?", "completions": ["one", "two", "three"], "labels": [True, True, False]}
    assert found.rows == (row | {"annotator": "r-000000000001"},)
    assert found.lost["grades of some steps, beside people who graded all"] == 1
    assert found.used == tuple(j.id for j in judgments[:3])
    with pytest.raises(PlanError, match="plain texts"):
        trl_rows(of(asked, judgments, WHY, *steps), "stepwise", conversational=True)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([1.0, 0.5], "answers with a grade between right and wrong"),
        ([1.0, None], "answers with a step that nobody graded"),
    ],
)
def test_steps_that_have_no_label_are_counted(scores: list[float | None], why: str) -> None:
    steps, asked = stepped(["one", "two"])
    judgments = [grade(q, s) for q, s in zip(asked, scores, strict=True) if s is not None]
    found = trl_rows(of(asked, judgments, WHY, *steps), "stepwise")
    assert (found.rows, found.lost) == ((), {why: 1})


def test_steps_that_several_people_graded_between_them() -> None:
    steps, asked = stepped(["one", "two"])
    judgments = [grade(asked[0], 1.0, 1), grade(asked[1], 0.0, 2)]
    found = trl_rows(of(asked, judgments, WHY, *steps), "stepwise")
    assert found.rows == ({"prompt": "Why?", "completions": ["one", "two"], "labels": [True, False]},)
    torn = trl_rows(of(asked, [*judgments, grade(asked[1], 1.0, 3)], WHY, *steps), "stepwise")
    assert torn.rows == () and torn.lost["answers on whose steps people differ"] == 1
    whole = asks(Kind.GRADE, WHY, steps[:1])
    lone = trl_rows(of([whole], [grade(whole, 1.0)], WHY, *steps), "stepwise")
    assert (lone.rows, lone.lost) == ((), {"grades of whole answers": 1})


def test_texts_of_people_and_prompts() -> None:
    one = answers(TALK, "Hm.")
    better, shown = asks(Kind.REVISE, TALK, one), asks(Kind.REVISE, WHY, [])
    judgments = [says(better, Revised(text="Better."), rationale="x"), says(shown, Revised(text="Mine."), 2)]
    given = of([better, shown], judgments, WHY, TALK, *one)
    plain = trl_rows(given, "prompt-completion")
    assert plain.rows == ({"prompt": "Why?", "completion": "Mine."},)
    assert plain.lost == {
        "annotators": 2,
        "conversations, which only the conversational form holds": 1,
        "rationales": 1,
        "what a revised text replaces": 1,
    }
    talk = trl_rows(given, "language-modelling", conversational=True)
    assert [m["content"] for m in talk.rows[0]["messages"]] == ["Why?", "So.", "How?", "Better."]  # type: ignore[index,union-attr,call-overload]
    texts = trl_rows(given, "language-modelling")
    assert texts.rows == ({"text": "Better."}, {"text": "Mine."})
    assert texts.lost["prompts of plain texts"] == 2
    prompts = trl_rows(given, "prompt-only", conversational=True)
    assert len(prompts.rows) == 2 and prompts.used == ()
    assert prompts.lost["revised verdicts"] == 2


def test_columns_of_a_prompt_travel_and_taken_names_do_not() -> None:
    prompt = Prompt.of("Why?", slice="easy", answer="7", weight=3)
    two = answers(prompt, "A", "B")
    asked = asks(Kind.COMPARE, prompt, two)
    found = trl_rows(of([asked], [says(asked, ranked("a>b", two))], prompt, *two), "preference")
    (row,) = found.rows
    assert (row["slice"], row["answer"], "weight" in row) == ("easy", "7", False)
    assert found.lost == {"columns of a prompt under names that are taken": 1}
    read = row_of(dict(row), kind_of_fields(dict(row)))
    assert read.prompt == Prompt.of("Why?", slice="easy", answer="7")


def test_what_would_be_read_as_something_else_stays_out() -> None:
    cases = {
        "\n\nHuman: no\n\nAssistant: prompt": "texts that would be read as something else",
        "": "texts that these rows cannot hold",
    }
    for text, why in cases.items():
        prompt = Prompt.of(text)
        two = answers(prompt, "A", "B")
        asked = asks(Kind.COMPARE, prompt, two)
        given = of([asked], [says(asked, ranked("a>b", two))], prompt, *two)
        assert trl_rows(given, "preference").lost == {why: 1}
        assert len(trl_rows(given, "preference", conversational=True).rows) == 1
    same = answers(WHY, "A", "A")
    asked = asks(Kind.COMPARE, WHY, same)
    found = trl_rows(of([asked], [says(asked, ranked("a>b", same))], WHY, *same), "preference")
    assert (found.rows, found.lost, found.used) == ((), {"rows with an identical pair": 1}, ())


def test_withdrawn_texts_episodes_and_other_questions() -> None:
    two = answers(WHY, "A", "B")
    asked = asks(Kind.COMPARE, WHY, two)
    said = says(asked, ranked("a>b", two))
    gone = trl_rows(of([asked], [said], WHY, two[0]), "preference")
    assert (gone.rows, gone.lost) == ((), {"judgments of texts that were withdrawn": 1})
    stray = trl_rows(of([], [said], WHY, *two), "preference")
    assert stray.lost == {"judgments of other questions": 1}

    def episode(*turns: Response) -> Episode:
        empty = tuple(() for _ in turns)
        return Episode(prompt=WHY.id, responses=tuple(t.id for t in turns), prompt_tokens=empty, tokens=empty)

    single, several = [episode(two[0]), episode(two[1])], [episode(*two), episode(two[0])]
    for episodes, rows in ((single, 1), (several, 0)):
        played = Question(asks=Kind.COMPARE, prompt=WHY.id, responses=tuple(e.id for e in episodes))
        first = Ranked(tiers=tuple((e.id,) for e in episodes))
        found = trl_rows(of([played], [says(played, first)], WHY, *two, *episodes), "preference")
        assert len(found.rows) == rows and found.lost.get("answers of several turns", 0) == 1 - rows


# Round trips

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
PROMPTS = st.builds(
    lambda talk, text, part, columns: (
        TALK.then("Hm.", Message(role="user", content=text)) if talk else Prompt.of(text)
    ).model_copy(update={"slice": part, "columns": columns}),
    st.booleans(),
    TEXT,
    st.sampled_from(["", "easy"]),
    st.dictionaries(st.sampled_from(["answer", "source"]), st.integers(-5, 5) | TEXT, max_size=2),
)


@st.composite
def pairs(draw: st.DrawFn) -> Given:
    """Comparisons of two, with votes of several people, some with a reason."""
    questions, judgments, records = [], [], []
    for prompt in draw(st.lists(PROMPTS, min_size=1, max_size=3, unique_by=lambda p: p.id)):
        two = answers(prompt, draw(TEXT), draw(TEXT))
        question = asks(Kind.COMPARE, prompt, two)
        questions.append(question)
        records += [prompt, *two]
        for rater in draw(st.lists(st.integers(1, 4), max_size=3, unique=True)):
            verdict = ranked(draw(st.sampled_from(["a>b", "b>a", "ab"])), two)
            judgments.append(says(question, verdict, rater, rationale=draw(st.sampled_from(["", "So."]))))
    return of(questions, judgments, *records)


def brought(rows: Any, folder: Path) -> Given:
    file = folder / "rows.jsonl"
    file.write_text("".join(line_of(row) for row in rows), encoding="utf-8")
    found = bring_trl(file)
    return of(list(found.questions), [one.judgment for one in found.kept], *found.records)


def told(given: Given) -> Counter[str]:
    """What is said of which texts by whom, apart from ids, salts and what stands outside the rows."""
    questions = {q.id: q for q in given.questions}
    said = Counter[str]()
    for judgment in given.judgments:
        question = questions[judgment.question]
        prompt = given.records[question.prompt]
        assert isinstance(prompt, Prompt)
        text = {r: one.text for r in question.responses if isinstance(one := given.records[r], Response)}
        match judgment.verdict:
            case Ranked(tiers=tiers):
                verdict: Any = [sorted(text[r] for r in tier) for tier in tiers]
            case other:
                verdict = other.model_dump() if other else None
        name = judgment.by.name.removeprefix("data:")
        body = [prompt.body(), sorted(text.values()), name, judgment.rationale, verdict]
        said[json.dumps(body, sort_keys=True)] += 1
    return said


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=pairs(), conversational=st.booleans())
def test_preferences_come_back_as_they_were_or_are_counted(
    tmp_path: Path, given: Given, conversational: bool
) -> None:
    made = trl_rows(given, "preference", conversational)
    left = [why for why in made.lost if why.startswith(("texts", "rows", "conversations")) or why == "ties"]
    assert len(made.rows) + sum(made.lost[why] for why in left) == len(given.judgments)
    carried = given._replace(judgments=tuple(j for j in given.judgments if j.id in made.used))
    if made.rows:
        back = brought(made.rows, tmp_path)
        assert told(back) == told(carried)
        assert trl_rows(back, "preference", conversational).rows == made.rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(TEXT, min_size=1, max_size=4),
    right=st.lists(st.booleans(), min_size=4, max_size=4),
    why=st.sampled_from(["", "So."]),
)
def test_steps_come_back_as_they_were(tmp_path: Path, texts: list[str], right: list[bool], why: str) -> None:
    steps, asked = stepped(texts)
    judgments = [grade(q, float(r), rationale=why) for q, r in zip(asked, right[: len(asked)], strict=True)]
    given = of(asked, judgments, WHY, *steps)
    made = trl_rows(given, "stepwise")
    if made.rows:
        back = brought(made.rows, tmp_path)
        assert told(back) == told(given)
        assert trl_rows(back, "stepwise").rows == made.rows
    else:
        assert made.lost == {"rows with an empty completion": 1}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prompt=PROMPTS,
    text=TEXT,
    good=st.booleans(),
    type_=st.sampled_from(["unpaired", "prompt-completion", "prompt-only", "language-modelling"]),
)
def test_single_answers_come_back_as_they_were(
    tmp_path: Path, prompt: Prompt, text: str, good: bool, type_: Any
) -> None:
    one = answers(prompt, text)
    label = asks(Kind.LABEL, prompt, one, instrument=GOOD_ENOUGH)
    written = asks(Kind.REVISE, prompt, [])
    verdict = Labelled(tags=("acceptable" if good else "unacceptable",))
    asked, said = (
        (label, says(label, verdict)) if type_ == "unpaired" else (written, says(written, Revised(text=text)))
    )
    made = trl_rows(of([asked], [said], prompt, *one), type_, conversational=True)
    if not made.rows:
        assert [why for why in made.lost if why.startswith(("texts", "rows"))]
        return
    back = brought(made.rows, tmp_path)
    assert [r.body() for r in back.records.values() if isinstance(r, Prompt)] == [prompt.body()]
    assert trl_rows(back, type_, conversational=True).rows == made.rows
    if type_ != "prompt-only":
        assert back.judgments[0].verdict == said.verdict
