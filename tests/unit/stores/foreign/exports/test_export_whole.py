"""The lossless file comes back bit for bit; the sheet is text to every spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.errors import Unreadable
from accord.records import (
    By,
    Critiqued,
    Example,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Mark,
    Point,
    Prompt,
    Question,
    Ranked,
    Rendering,
    Response,
    Revised,
    Selection,
    Spread,
    Times,
)
from accord.stores.foreign.cells import cell
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.sheet import HEAD, sheet
from accord.stores.foreign.exports.whole import FORMAT, Kept, line_of, whole
from accord.stores.foreign.imports.whole import bring_whole

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
RATER = "r-0123456789ab"
NUMBER = st.floats(0, 1, allow_nan=False)


@st.composite
def everything(draw: st.DrawFn) -> tuple[Given, list[Kept]]:
    prompt = Prompt.of(draw(TEXT), slice=draw(TEXT), source=draw(TEXT))
    texts = [Response(prompt=prompt.id, text=draw(TEXT), index=i, logp=(-draw(NUMBER),)) for i in range(2)]
    a, b = (text.id for text in texts)
    mark = Mark(response=a, start=draw(st.integers(0, 5)), end=9, tag=draw(TEXT))
    verdicts: dict[Kind, Any] = {
        Kind.COMPARE: st.sampled_from(
            [
                Ranked(tiers=((a,), (b,)), strength=3),
                Ranked(tiers=((a, b),), acceptable=()),
                Spread(p={a: 0.1, b: 0.9}),
            ]
        ),
        Kind.GRADE: st.builds(lambda x: Graded(scores={"x": x}, heads={"h": -x}), NUMBER),
        Kind.CRITIQUE: st.builds(lambda t: Critiqued(points=(Point(mark=mark, severity=2, text=t),)), TEXT),
        Kind.REVISE: st.builds(lambda t: Revised(text=t), TEXT),
        Kind.LABEL: st.builds(lambda t: Labelled(tags=(t,)), TEXT),
    }
    questions, kept = [], []
    for kind in draw(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=3, unique=True)):
        question = Question(
            asks=kind,
            prompt=prompt.id,
            responses=(a, b) if kind is Kind.COMPARE else (a,),
            instrument=Instrument(
                wording=draw(TEXT), examples=(Example(prompt="p", responses=("r",), verdict="v"),)
            ),
            selection=Selection(
                arm="random", propensity=0.2, selector="s 1", pool="p", seed=draw(st.integers(0, 9))
            ),
            asked_for=draw(TEXT),
        )
        questions.append(question)
        said = draw(st.none() | verdicts[kind])
        judgment = Judgment(
            question=question.id,
            by=By(type="person", name=RATER, config="c"),
            shown=question.responses,
            verdict=said,
            abstention=None if said else "distressing",
            confidence=draw(st.none() | NUMBER),
            rationale=draw(TEXT),
            marks=(mark,),
            rendering=Rendering(layout="pair", hidden=("votes",), digest="d"),
            times=Times(shown=draw(NUMBER), submitted=1.7e9 + 0.1, active=draw(NUMBER)),
            consent="1",
            salt=draw(TEXT),
        )
        stands = draw(st.sampled_from(["vote", "late", "adjudicated"]))
        kept.append(Kept(judgment, RATER, stands, draw(st.none() | st.floats(0, 2e9))))
    records = {record.id: record for record in (prompt, *texts)}
    return Given(tuple(questions), tuple(one.judgment for one in kept), records), kept


def written(rows: Any, folder: Path) -> Path:
    file = folder / "all.jsonl"
    file.write_text("".join(line_of(row) for row in rows), encoding="utf-8")
    return file


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(all_of_it=everything())
def test_everything_comes_back_bit_for_bit(tmp_path: Path, all_of_it: tuple[Given, list[Kept]]) -> None:
    given, kept = all_of_it
    made = whole(given, kept)
    back = bring_whole(written(made.rows, tmp_path))
    assert made.lost == {}
    assert [q.body() for q in back.questions] == [q.body() for q in given.questions]
    assert [q.id for q in back.questions] == [q.id for q in given.questions]
    assert back.kept == tuple(kept)
    assert [one.judgment.id for one in back.kept] == [one.judgment.id for one in kept]
    named = {q.prompt for q in given.questions} | {r for q in given.questions for r in q.responses}
    assert {r.id: r for r in back.records} == {k: r for k, r in given.records.items() if k in named}
    again = Given(back.questions, tuple(one.judgment for one in back.kept), {r.id: r for r in back.records})
    assert whole(again, back.kept).rows == made.rows


def test_a_number_that_json_lacks_keeps_its_id(tmp_path: Path) -> None:
    """Python reads NaN in a file of rows, and such a column stands with its prompt."""
    prompt = Prompt(messages=Prompt.of("Why?").messages, columns={"a": float("nan"), "b": [float("-inf")]})
    question = Question(asks=Kind.REVISE, prompt=prompt.id, responses=())
    made = whole(Given((question,), (), {prompt.id: prompt}), [])
    (back,) = bring_whole(written(made.rows, tmp_path)).records
    assert (back.id, back.body()["columns"]) == (prompt.id, {"a": "NaN", "b": ["-Infinity"]})


def lines() -> list[dict[str, Any]]:
    prompt = Prompt.of("Why?")
    text = Response(prompt=prompt.id, text="A")
    question = Question(asks=Kind.GRADE, prompt=prompt.id, responses=(text.id,))
    judgment = Judgment(
        question=question.id, by=By(type="person", name=RATER, config=""), verdict=Graded(scores={"x": 1})
    )
    given = Given((question,), (judgment,), {r.id: r for r in (prompt, text)})
    return json.loads(json.dumps(whole(given, [Kept(judgment, RATER)]).rows))


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, {"v": 2}, r"all\.jsonl:1: expected .*in the first line"),
        (1, {"body": {"messages": [], "slice": "x"}}, r":2: expected id: that of the body"),
        (2, {"body": {"text": "A"}}, r":3: expected body\.prompt: as this version"),
        (2, {"kind": "nonsense"}, r":3: expected kind, body"),
        (4, {"rater": "Ada"}, r":5: expected rater: a pseudonym"),
        (4, {"stands": "gone"}, r":5: expected stands: vote, late, adjudicated"),
        (4, {"at": "noon"}, r":5: expected at: seconds"),
    ],
)
def test_what_was_changed_is_refused_with_line_and_field(
    tmp_path: Path, line: int, change: dict[str, Any], message: str
) -> None:
    rows = lines()
    rows[line] |= change
    with pytest.raises(Unreadable, match=message):
        bring_whole(written(rows, tmp_path))


def test_a_bad_line_may_be_rejected_alone(tmp_path: Path) -> None:
    rows = lines()
    rows[4]["rater"] = "Ada"
    found = bring_whole(written(rows, tmp_path), rejecting=True)
    assert (len(found.questions), found.kept, [r.line for r in found.rejects]) == (1, (), [5])
    rows = lines()
    del rows[3]  # a judgment whose question is not there
    with pytest.raises(Unreadable, match=r":4: expected body\.question"):
        bring_whole(written(rows, tmp_path))
    with pytest.raises(Unreadable, match="first line"):
        bring_whole(written([], tmp_path))
    assert FORMAT == {"accord": "feedback", "v": 1}


def test_texts_that_are_gone_are_counted() -> None:
    prompt = Prompt.of("Why?")
    question = Question(asks=Kind.GRADE, prompt=prompt.id, responses=("f" * 64,))
    made = whole(Given((question,), (), {prompt.id: prompt}), [])
    assert (len(made.rows), made.lost) == (3, {"texts that were withdrawn": 1})


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_a_formula(sign: str) -> None:
    assert cell(f"{sign}1") == f"'{sign}1" and cell(f"1{sign}") == f"1{sign}"
    evil = f'{sign}HYPERLINK("http://x";A1)'
    prompt = Prompt.of(evil)
    texts = [Response(prompt=prompt.id, text=evil, index=i) for i in range(2)]
    a, b = (text.id for text in texts)
    question = Question(
        asks=Kind.COMPARE, prompt=prompt.id, responses=(a, b), instrument=Instrument(wording=evil)
    )
    free = Question(asks=Kind.REVISE, prompt=prompt.id, responses=())
    by = By(type="person", name=f"{sign}r", config="")
    judgments = (
        Judgment(
            question=question.id, by=by, verdict=Ranked(tiers=((b,), (a,)), strength=-2), rationale=evil
        ),
        Judgment(question=free.id, by=by, verdict=Revised(text=evil)),
    )
    records = {record.id: record for record in (prompt, *texts)}
    text, made = sheet(Given((question, free), judgments, records))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == HEAD and len(rows) == 3 and len(made.used) == 2
    assert not [one for row in rows for one in row if one.startswith(("=", "+", "-", "@", "\t", "\r"))]
    first = dict(zip(HEAD, rows[1], strict=True))
    assert (first["verdict"], first["strength"], first["rationale"]) == ("B > A", "B by 2", f"'{evil}")
    assert dict(zip(HEAD, rows[2], strict=True))["verdict"] == f"'{evil}"
