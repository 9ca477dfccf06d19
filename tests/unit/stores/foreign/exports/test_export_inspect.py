"""A log for Inspect: what it says, what it cannot say, and that it is read back as what was said.

Mutants: an abstention written as 0, two judges of one name in one score, a judge who was not asked counted as
one who said nothing, an archive that differs when written again.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path

import pytest

from accord.records import (
    Abstention,
    By,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Verdict,
)
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.inspect_log import inspect_log
from accord.stores.foreign.imports.inspect_log import bounds, bring_inspect

PROMPT = Prompt.of("Capital of France?", "", target="Paris")
ONE, TWO = (
    Response(prompt=PROMPT.id, text=text, policy="m", parents=(PROMPT.id,)) for text in ("Paris", "Rom")
)


def asked(kind: Kind, *answers: Response, wording: str = "") -> Question:
    ids = tuple(one.id for one in answers)
    return Question(
        asks=kind, prompt=PROMPT.id, responses=ids, instrument=Instrument(wording=wording), parents=ids
    )


def says(question: Question, who: str, what: Verdict | Abstention, kind: str = "model") -> Judgment:
    told = {"abstention": what} if isinstance(what, str) else {"verdict": what}
    by = By.model_validate({"type": kind, "name": who, "config": who})
    return Judgment.model_validate({"question": question.id, "by": by, "parents": (question.id,), **told})


FIRST, SECOND = asked(Kind.GRADE, ONE), asked(Kind.GRADE, TWO)
LABELS = Instrument(options=("good", "bad"))
LABEL = FIRST.model_copy(update={"asks": Kind.LABEL, "instrument": LABELS})
PAIR = asked(Kind.COMPARE, ONE, TWO)
SAID = (
    says(FIRST, "judge", Graded(scores={"score": 0.75})),
    says(FIRST, "data:r-00112233aabb", Graded(scores={"right": 1.0, "kind": 0.5}), "person"),
    says(SECOND, "judge", "refused"),
    says(LABEL, "judge", Labelled(tags=("good",))),
    says(PAIR, "judge", Ranked(tiers=((ONE.id,), (TWO.id,)))),
)
RECORDS: dict[str, Record] = {one.id: one for one in (PROMPT, ONE, TWO)}
GIVEN = Given((FIRST, SECOND, LABEL, PAIR), SAID, RECORDS)


def test_each_answer_is_a_sample_and_each_judge_a_scorer() -> None:
    data, export = inspect_log(GIVEN, 1e9, zipped=False)
    log = json.loads(data)
    assert (log["version"], log["eval"]["model"], log["eval"]["created"][:10]) == (2, "m", "2001-09-09")
    one, two = log["samples"]
    assert [turn["content"] for turn in one["messages"]] == ["Capital of France?", "Paris"]
    assert one["target"] == "Paris" and one["output"]["completion"] == "Paris"
    values = {name: score["value"] for name, score in one["scores"].items()}
    assert values == {
        "model:judge": 0.75,
        "r-00112233aabb": {"right": 1.0, "kind": 0.5},
        "model:judge (2)": "good",
    }
    refused = two["scores"]["model:judge"]
    assert math.isnan(refused["value"]) and refused["reason"] == "refused"
    told = {row["name"]: row for row in log["results"]["scores"]}
    assert told["model:judge"]["metrics"]["mean"]["value"] == 0.75, "of what was scored"
    assert (told["model:judge"]["scored_samples"], told["model:judge"]["unscored_samples"]) == (1, 1)
    assert export.lost == {"judgments of compare questions, or of episodes": 1}
    assert len(export.used) == 4


@pytest.mark.parametrize("zipped", [False, True])
def test_it_is_read_back_as_what_was_said(tmp_path: Path, zipped: bool) -> None:
    data, _ = inspect_log(GIVEN, 1e9, zipped)
    assert data == inspect_log(GIVEN, 1e9, zipped)[0], "the same feedback is the same file"
    file = tmp_path / ("log.eval" if zipped else "log.json")
    file.write_bytes(data)
    brought = bring_inspect(file)
    found = [(one.judgment.by.name, one.judgment.verdict or one.judgment.abstention) for one in brought.kept]
    assert found == [
        ("inspect:model:judge", Graded(scores={"score": 0.75})),
        ("inspect:r-00112233aabb", Graded(scores={"right": 1.0, "kind": 0.5})),
        ("inspect:model:judge (2)", "unparsable"),
        ("inspect:model:judge", "refused"),
    ], "who was not asked of the second answer said nothing of it"
    judge = bounds(brought)[0]
    assert (judge.scored, judge.asked, judge.low, judge.high) == (1, 2, 0.375, 0.875)


def test_the_archive_has_the_parts_that_inspect_looks_for() -> None:
    data, _ = inspect_log(GIVEN, 0.0, zipped=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        header = json.loads(archive.read("header.json"))
    assert names[0] == "_journal/start.json" and {"header.json", "summaries.json"} < {*names}
    assert len([name for name in names if name.startswith("samples/")]) == 2
    assert "samples" not in header and header["status"] == "success"
