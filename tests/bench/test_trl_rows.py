"""TRL reads what ``accord export data`` writes: its types, by its own functions. Needs the bench group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Ranked, Response, Revised
from accord.stores.foreign.exports.counted import RIGHT_STEP, TYPES
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.trl import trl_rows
from accord.stores.foreign.exports.whole import line_of

COLUMNS = {
    "preference": {"prompt", "chosen", "rejected"},
    "unpaired": {"prompt", "completion", "label"},
    "stepwise": {"prompt", "completions", "labels"},
    "prompt-completion": {"prompt", "completion"},
    "prompt-only": {"prompt"},
}


def feedback() -> Given:
    prompt = Prompt.of("Why?", source="a book")
    texts = [Response(prompt=prompt.id, text=text) for text in ("A", "B")]
    a, b = (text.id for text in texts)
    compared = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=(a, b))
    written = Question(asks=Kind.REVISE, prompt=prompt.id, responses=())
    steps = [
        Question(asks=Kind.GRADE, prompt=prompt.id, responses=(one,), evidence=before, instrument=RIGHT_STEP)
        for one, before in ((a, ()), (b, (a,)))
    ]
    verdicts: list[tuple[Question, Any]] = [
        (compared, Ranked(tiers=((a,), (b,)), acceptable=(a,))),
        (written, Revised(text="C")),
        (steps[0], Graded(scores={"score": 1.0})),
        (steps[1], Graded(scores={"score": 0.0})),
    ]
    by = By(type="person", name="r-0123456789ab", config="")
    said = tuple(Judgment(question=q.id, by=by, verdict=v) for q, v in verdicts)
    return Given((compared, written, *steps), said, {r.id: r for r in (prompt, *texts)})


@pytest.mark.parametrize("conversational", [False, True])
@pytest.mark.parametrize("type_", TYPES)
def test_trl_reads_each_type(type_: Any, conversational: bool, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the bench group is not installed")
    data_utils = pytest.importorskip("trl.data_utils", reason="the bench group is not installed")
    if type_ == "stepwise" and conversational:
        pytest.skip("TRL has no conversational steps")
    file = tmp_path / "rows.jsonl"
    rows = trl_rows(feedback(), type_, conversational).rows
    file.write_text("".join(line_of(row) for row in rows), encoding="utf-8")
    read = datasets.load_dataset(
        "json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [json.loads(json.dumps(row)) for row in read] == [dict(row) for row in rows] and len(read) > 0
    whole = {"messages"} if conversational else {"text"}
    assert COLUMNS.get(type_, whole) <= set(read.column_names)
    assert data_utils.is_conversational(read[0]) is conversational
    if type_ == "preference":
        assert len(data_utils.unpair_preference_dataset(read)) == 2 * len(read)
