"""What Potato's annotators said, in the forms that Potato 1 and 2 write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.errors import Unreadable
from accord.records import Graded, Judgment, Kind, Labelled, Ranked, Response
from accord.stores.foreign.exports.whole import line_of
from accord.stores.foreign.imports.brought import Brought, pseudonym
from accord.stores.foreign.imports.potato import bring_potato, is_potato

TWO = "A. Yes.<br>B. No."


def bring(folder: Path, *rows: Any, user: str = "ada", rejecting: bool = False) -> Brought:
    file = folder / user / "annotated_instances.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(line_of(row) for row in rows), encoding="utf-8")
    return bring_potato(file, rejecting)


def row(labels: Any = None, text: Any = TWO, **more: Any) -> dict[str, Any]:
    kept = {"span_annotations": {}, "behavioral_data": {}, **more}
    return {"id": "1", "displayed_text": text, "label_annotations": labels or {}, **kept}


def only(found: Brought) -> Judgment:
    (one,) = found.kept
    return one.judgment


def tiers(found: Brought, judgment: Judgment) -> list[list[str]]:
    text = {r.id: r.text for r in found.records if isinstance(r, Response)}
    assert isinstance(judgment.verdict, Ranked)
    return [[text[one] for one in tier] for tier in judgment.verdict.tiers]


@pytest.mark.parametrize(
    ("labels", "expected", "strength"),
    [
        ({"selection": "A"}, [["Yes."], ["No."]], None),
        ({"selection": "B"}, [["No."], ["Yes."]], None),
        ({"selection": "tie"}, [["Yes.", "No."]], None),
        ({"scale_value": "-2"}, [["Yes."], ["No."]], 2),  # below 0 the left one is better
        ({"scale_value": "3"}, [["No."], ["Yes."]], -3),
        ({"scale_value": "0"}, [["Yes.", "No."]], 0),
        ({"scale_value": "5"}, [["No."], ["Yes."]], None),
        ({"rank_order": "B,A"}, [["No."], ["Yes."]], None),
        ({"rank_order": "A=B"}, [["Yes.", "No."]], None),
    ],
)
def test_pairs(tmp_path: Path, labels: Any, expected: Any, strength: int | None) -> None:
    found = bring(tmp_path, row({"better": labels}))
    judgment = only(found)
    assert isinstance(judgment.verdict, Ranked) and judgment.verdict.strength == strength
    assert tiers(found, judgment) == expected
    assert found.questions[0].instrument.wording == "better" and found.questions[0].asks is Kind.COMPARE
    assert (judgment.by.type, judgment.by.name) == ("person", f"data:{pseudonym('ada')}")
    assert found.lost == ({"strengths that are not 1, 2 or 3": 1} if labels.get("scale_value") == "5" else {})


def test_a_pair_by_dimensions_and_its_reason(tmp_path: Path) -> None:
    labels = {"q": {"clear": "A", "kind": "tie", "justification": "Shorter."}}
    found = bring(tmp_path, row(labels))
    assert [q.instrument.wording for q in found.questions] == ["q: clear", "q: kind"]
    assert [tiers(found, one.judgment) for one in found.kept] == [[["Yes."], ["No."]], [["Yes.", "No."]]]
    assert {one.judgment.rationale for one in found.kept} == {"Shorter."} and found.lost == {}


@pytest.mark.parametrize(
    ("labels", "verdict"),
    [
        ({"scale_4": "4"}, Graded(scores={"s": 4.0})),
        ({"4": "4"}, Graded(scores={"s": 4.0})),
        ({"slider": "62.5"}, Graded(scores={"s": 62.5})),
        ({"positive": "1"}, Labelled(tags=("positive",))),
        ({"sad": "1", "angry": "true", "glad": False}, Labelled(tags=("sad", "angry"))),
        ({"bad_text": "0"}, Labelled(tags=("bad_text",))),
    ],
)
def test_scales_and_labels(tmp_path: Path, labels: Any, verdict: Any) -> None:
    found = bring(tmp_path, row({"s": labels}, "A text."))
    assert only(found).verdict == verdict
    assert [r.text for r in found.records if isinstance(r, Response)] == ["A text."]


def test_what_a_judgment_does_not_hold_is_counted(tmp_path: Path) -> None:
    labels = {"s": {"yes": "1"}, "free": {"text_box": "Well."}, "bw": {"best": "A", "worst": "B"}}
    found = bring(tmp_path, row(labels, behavioral_data={"time_string": "Time spent: 0d 0h 0m 3s "}))
    assert only(found).verdict == Labelled(tags=("yes",))
    assert found.lost == {
        "best and worst, which leave the others without an order": 1,
        "free texts": 1,
        "time spent": 1,
    }


def test_highlights_become_marks(tmp_path: Path) -> None:
    first = {"start": 2, "end": 6, "span": "text", "annotation": "noun"}
    second = [{"schema": "parts", "name": "article", "start": 0, "end": 1, "title": "Article"}, "true"]
    found = bring(tmp_path, row({}, "A text.", span_annotations=[first]))
    (mark,) = only(found).marks
    assert (mark.start, mark.end, mark.tag) == (2, 6, "noun") and mark.response == found.questions[
        0
    ].responses[0]
    assert only(found).verdict == Labelled(tags=("noun",))
    newer = bring(tmp_path, row({}, "A text.", span_annotations=[second]))
    assert newer.questions[0].instrument.wording == "parts" and only(newer).marks[0].tag == "article"
    by_scheme = {"parts": [{"start": 0, "end": 1, "label": "article", "text": "A"}]}
    assert only(bring(tmp_path, row({}, "A text.", span_annotations=by_scheme))).marks[0].tag == "article"
    two = bring(tmp_path, row({"s": {"yes": "1"}}, TWO, span_annotations=[first]))
    assert two.lost == {"highlights in one of several texts": 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row({"q": {"selection": "C"}}), r"\.jsonl:1: expected label_annotations\.q: one of A, B"),
        (row({"q": {"rank_order": "A"}}), r":1: expected label_annotations\.q: verdict\.tiers"),
        (row({"q": {"scale_value": "x"}}), r":1: expected label_annotations\.q: scale_value"),
        (row({"q": {"scale_value": "inf"}}), r":1: expected label_annotations\.q: scale_value"),
        (row({"q": {"scale_value": "nan"}}), r":1: expected label_annotations\.q: scale_value"),
        (row({"q": {"slider": "much"}}), r":1: expected label_annotations\.q: slider"),
        (row({"q": {"slider": "nan"}}), r":1: expected label_annotations\.q: slider"),
        (
            row({"q": {"selection": "A"}}, "one text"),
            r":1: expected label_annotations\.q: selection: two texts",
        ),
        (row({"q": "yes"}), r":1: expected label_annotations\.q: labels with their values"),
        (row({"q": {"yes": "1"}}, ""), r":1: expected a text to judge"),
        (row({"q": {"yes": "1"}}, None), r":1: expected the text of instance '1'"),
        (
            row({}, "A", span_annotations=[{"start": 0, "end": 9}]),
            r":1: expected span_annotations: start and end",
        ),
        (row({}, "A", span_annotations=[{"start": 0, "end": 1, "span": "B"}]), r"span_annotations: the char"),
        (row({}, "\U0001f600 A", span_annotations=[{"start": 0, "end": 1}]), r"the words of a span"),
        (row({}, "A", span_annotations=["x"]), r":1: expected span_annotations: pairs"),
    ],
)
def test_bad_rows_stop_it_with_line_and_field(tmp_path: Path, bad: Any, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        bring(tmp_path, bad)
    found = bring(tmp_path, bad, row({"s": {"yes": "1"}}), rejecting=True)
    assert (len(found.kept), [reject.line for reject in found.rejects]) == (1, [1])


def test_a_folder_of_potato_2_with_its_items(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(
        line_of({"id": "i1", "prompt": "Why?", "responses": ["Yes.", "No."]})
        + line_of({"id": "i2", "left": "l", "right": "r"})
    )
    for user, chosen in (("ada", "A"), ("bob", "B")):
        label = [{"schema": "better", "name": "selection"}, chosen]
        state = {"user_id": user, "instance_id_to_label_to_value": {"i1": [label], "i2": [label]}}
        (tmp_path / "out" / user).mkdir(parents=True)
        (tmp_path / "out" / user / "user_state.json").write_text(json.dumps(state))
    found = bring_potato(tmp_path / "out", items=items)
    assert len(found.questions) == 2 and len(found.kept) == 4 and found.read == 4
    assert {one.rater for one in found.kept} == {pseudonym("ada"), pseudonym("bob")}
    orders = [tiers(found, one.judgment) for one in found.kept]
    assert orders == [[["Yes."], ["No."]], [["l"], ["r"]], [["No."], ["Yes."]], [["r"], ["l"]]]
    with pytest.raises(Unreadable, match=r"user_state\.json:1: .*\n.*--items"):
        bring_potato(tmp_path / "out")


def test_a_state_that_is_no_text_is_a_bad_row(tmp_path: Path) -> None:
    """Half a letter, as JSON can write it and UTF-8 cannot."""
    label = [{"schema": "better", "name": "selection"}, "A"]
    state = {"user_id": "\ud800", "instance_id_to_label_to_value": {"i": [label]}}
    (tmp_path / "user_state.json").write_text(json.dumps(state))
    with pytest.raises(Unreadable, match=r"user_state\.json:1: "):
        bring_potato(tmp_path / "user_state.json")


def test_the_folder_of_a_file_names_its_annotator_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bring(tmp_path, row({"s": {"yes": "1"}}))
    monkeypatch.chdir(tmp_path / "ada")
    here = bring_potato(Path("annotated_instances.jsonl"))
    assert here.kept == whole.kept and here.kept[0].rater == pseudonym("ada")


def test_what_is_potatos_and_what_is_not(tmp_path: Path) -> None:
    assert is_potato(tmp_path / "user_state.json", {}) and is_potato(Path("x.jsonl"), row())
    assert not is_potato(Path("x.jsonl"), {"prompt": "a", "chosen": "b"})
    with pytest.raises(Unreadable, match="a folder of Potato's"):
        bring_potato(tmp_path)
    file = tmp_path / "user_state.json"
    for text, message in (
        ("[]", "one JSON object"),
        ("{", "a JSON file"),
        ('{"instance_id_to_label_to_value": 1}', "as an object"),
    ):
        file.write_text(text)
        with pytest.raises(Unreadable, match=message):
            bring_potato(file)
    other = tmp_path / "all.jsonl"
    other.write_text(line_of(row({"s": {"yes": "1"}}, user_id="eve")) + line_of(row({"s": {"yes": "1"}})))
    found = bring_potato(other)
    assert [one.judgment.by.type for one in found.kept] == ["person", "program"]
