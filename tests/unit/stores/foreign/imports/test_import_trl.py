"""Rows of TRL's types as judgments: who is said to have judged, and bad rows with line and field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from accord.errors import Unreadable
from accord.records import Graded, Kind, Labelled, Ranked, Response, Revised, Spread
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.trl import trl_rows
from accord.stores.foreign.exports.whole import line_of
from accord.stores.foreign.imports.brought import Brought, pseudonym, reject_lines
from accord.stores.foreign.imports.trl import bring_trl

PAIR = {"prompt": "Why?", "chosen": "A", "rejected": "B"}


def bring(folder: Path, *rows: Any, rejecting: bool = False) -> Brought:
    file = folder / "rows.jsonl"
    file.write_text("".join(row if isinstance(row, str) else line_of(row) for row in rows), encoding="utf-8")
    return bring_trl(file, rejecting)


def texts(found: Brought, ids: Any) -> list[str]:
    known = {r.id: r.text for r in found.records if isinstance(r, Response)}
    return [known[one] for one in ids]


def test_a_row_that_names_nobody_is_no_person(tmp_path: Path) -> None:
    found = bring(tmp_path, PAIR)
    (one,) = found.kept
    assert one.judgment.by.type == "program" and one.judgment.by.name.startswith("data:")
    assert one.rater == pseudonym(f"program:{one.judgment.by.name}") != pseudonym("Ada")


@pytest.mark.parametrize(
    ("annotator", "type_", "name"),
    [
        ("r-00112233aabb", "person", "data:r-00112233aabb"),
        ("Ada", "person", f"data:{pseudonym('Ada')}"),
        (7, "person", f"data:{pseudonym('7')}"),
        ("model:gpt-4", "model", "gpt-4"),
        ("program:data:12", "program", "data:12"),
        ("person:Ada", "person", f"data:{pseudonym('person:Ada')}"),
    ],
)
def test_who_judged_is_what_the_row_says(tmp_path: Path, annotator: Any, type_: str, name: str) -> None:
    (one,) = bring(tmp_path, PAIR | {"annotator": annotator}).kept
    assert (one.judgment.by.type, one.judgment.by.name) == (type_, name)
    assert "Ada" not in one.judgment.model_dump_json()


def test_two_who_differ_answered_one_question(tmp_path: Path) -> None:
    """Kills: the chosen answer first, which would make them two questions and give the answer away."""
    other = {"prompt": "Why?", "chosen": "B", "rejected": "A"}
    found = bring(tmp_path, PAIR | {"annotator": "a"}, other | {"annotator": "b"}, PAIR | {"annotator": "b"})
    assert len(found.questions) == 1 and len(found.kept) == 3
    assert len({one.judgment.id for one in found.kept}) == 3
    tiers = [one.judgment.verdict.tiers for one in found.kept if isinstance(one.judgment.verdict, Ranked)]
    assert [texts(found, (t[0][0], t[1][0])) for t in tiers] == [["A", "B"], ["B", "A"], ["A", "B"]]
    assert found == bring(
        tmp_path, PAIR | {"annotator": "a"}, other | {"annotator": "b"}, PAIR | {"annotator": "b"}
    )


def test_the_six_types(tmp_path: Path) -> None:
    soft = bring(tmp_path, PAIR | {"p": 0.75, "weight": 4, "group": "g", "rationale": "So."})
    (one,) = soft.kept
    assert isinstance(one.judgment.verdict, Spread) and sorted(one.judgment.verdict.p.values()) == [
        0.25,
        0.75,
    ]
    assert (one.judgment.rationale, soft.lost) == ("So.", {"columns group": 1, "weights": 1})
    label = bring(tmp_path, {"prompt": "Why?", "completion": "A", "label": False})
    assert label.kept[0].judgment.verdict == Labelled(tags=("unacceptable",))
    steps = {
        "prompt": "Why?",
        "completions": ["x", "x", "y"],
        "labels": [True, None, False],
        "rationale": ["1", "", "3"],
    }
    found = bring(tmp_path, steps)
    assert [texts(found, q.evidence) for q in found.questions] == [[], ["x"], ["x", "x"]]
    said = [(j.judgment.verdict, j.judgment.rationale) for j in found.kept]
    assert said == [(Graded(scores={"score": 1.0}), "1"), (Graded(scores={"score": 0.0}), "3")]
    words = bring(tmp_path, {"prompt": "Why?", "completion": "A"})
    assert words.questions[0].asks is Kind.REVISE and words.kept[0].judgment.verdict == Revised(text="A")
    scored = bring(tmp_path, {"prompt": "Why?", "completion": "A", "score": 2, "cost:harm": 1})
    assert scored.kept[0].judgment.verdict == Graded(scores={"score": 2.0}) and scored.lost == {"costs": 1}
    talk = bring(
        tmp_path, {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "A"}]}
    )
    assert talk.kept[0].judgment.verdict == Revised(text="A")
    bare = bring(tmp_path, {"prompt": "Why?"})
    assert (bare.kept, [q.responses for q in bare.questions]) == ((), [()])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (PAIR | {"annotator": ["Ada"]}, r'rows\.jsonl:2: expected "annotator" as text'),
        (PAIR | {"rationale": 3}, r':2: expected "rationale" as text'),
        (PAIR | {"weight": -1}, r':2: expected "weight" as a number of 0 or more'),
        ({"prompt": "Why?", "completion": "A"}, r':2: expected a row of type "preference", as in line 1'),
        ("{broken\n", r":2: expected one JSON object per line"),
        ("[1]\n", r":2: expected one JSON object per line"),
    ],
)
def test_a_bad_row_stops_it_or_is_rejected(tmp_path: Path, bad: Any, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        bring(tmp_path, PAIR, bad, PAIR | {"annotator": "b"})
    found = bring(tmp_path, PAIR, bad, PAIR | {"annotator": "b"}, rejecting=True)
    assert (len(found.kept), found.read, [reject.line for reject in found.rejects]) == (2, 3, [2])
    (line,) = reject_lines(found.rejects).splitlines()
    assert json.loads(line)["row"] == (bad if isinstance(bad, dict) else None)


def test_a_bad_row_leaves_nothing_behind(tmp_path: Path) -> None:
    """Kills: the texts of a row that was rejected for what stands at its end."""
    found = bring(
        tmp_path, PAIR, {"prompt": "Else?", "chosen": "x", "rejected": "y", "rationale": 1}, rejecting=True
    )
    assert "Else?" not in str(found.records) and len(found.questions) == 1


def test_nothing_left_is_no_import(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"at least one row of TRL's types\n.*1 of 1 rows rejected"):
        bring(tmp_path, {"question": "?"}, rejecting=True)
    with pytest.raises(Unreadable, match="1 rows dropped: identical pair"):
        bring(tmp_path, PAIR | {"rejected": "A"})
    with pytest.raises(Unreadable, match="No such file"):
        bring_trl(tmp_path / "none.jsonl")


def test_real_pairs_come_back_equal(tmp_path: Path) -> None:
    folder = Path(os.environ.get("ACCORD_DATA", ""))
    file = folder / "hh_harmless_test_800.jsonl.gz"
    if "ACCORD_DATA" not in os.environ or not file.is_file():
        pytest.skip("ACCORD_DATA names no folder with the real data")
    first = bring_trl(file)
    assert (first.read, len(first.kept), first.lost) == (800, 798, {"rows dropped: empty completion": 2})

    def said(found: Brought) -> list[Any]:
        return [(j.judgment.question, j.judgment.by, j.judgment.verdict) for j in found.kept]

    given = Given(first.questions, tuple(j.judgment for j in first.kept), {r.id: r for r in first.records})
    made = trl_rows(given, "preference", conversational=True)
    assert len(made.rows) == 798 and len(made.used) == 798 and made.lost == {}
    again = bring(tmp_path, *made.rows)
    assert (again.questions, again.records, said(again)) == (first.questions, first.records, said(first))
    plain = trl_rows(given, "preference")
    talks = plain.lost["conversations, which only the conversational form holds"]
    assert len(plain.rows) + talks == 798 and len(plain.rows) > 0
