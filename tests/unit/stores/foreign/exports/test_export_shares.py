"""Distributions: shares by question, ties halved, groups that nobody can be found in."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from accord.records import (
    By,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Response,
    Revised,
    Spread,
    Verdict,
)
from accord.stores.foreign.exports.given import Given
from accord.stores.foreign.exports.shares import Memberships, cells_shown, distributions, parquet

WHY = Prompt.of("Why?")
TEXTS = [Response(prompt=WHY.id, text=text) for text in ("A", "B", "C")]
A, B, C = (text.id for text in TEXTS)


def rater(k: int) -> str:
    return f"r-{k:012x}"


def shares(
    question: Question, verdicts: list[Verdict | None], groups: Memberships | None = None, k: int = 10
):
    judgments = tuple(
        Judgment(
            question=question.id,
            by=By(type="person", name=rater(i), config="c"),
            verdict=verdict,
            abstention=None if verdict else "unclear",
        )
        for i, verdict in enumerate(verdicts)
    )
    records = {record.id: record for record in (WHY, *TEXTS)}
    return distributions(Given((question,), judgments, records), groups, k)


def compares(*ids: str) -> Question:
    return Question(asks=Kind.COMPARE, prompt=WHY.id, responses=ids)


def order(*tiers: str | tuple[str, ...], **more: object) -> Ranked:
    return Ranked(tiers=tuple((t,) if isinstance(t, str) else t for t in tiers), **more)  # type: ignore[arg-type]


def test_of_two_answers_a_tie_is_half_for_each() -> None:
    """Two for A, one tie, one for B: (2 + ½)/4. Kills: abstentions or both bad as votes, ties left out."""
    verdicts = [order(A, B), order(A, B), order((A, B)), order(B, A), order((A, B), acceptable=()), None]
    (row,) = shares(compares(A, B), verdicts).rows
    assert (row["answers"], row["shares"]) == (["A", "B"], [0.625, 0.375])
    assert (row["votes"], row["all_bad"], row["abstentions"], row["tied"]) == (4, 1, 1, 0.25)


def test_a_ranking_and_a_spread_are_one_vote_each() -> None:
    (row,) = shares(compares(A, B, C), [order(A, B, C), Spread(p={A: 0.0, B: 0.5, C: 0.5})]).rows
    # 2/3, 1/3, 0 of the ranking's three pairs; then the means with the spread.
    assert row["shares"] == pytest.approx([1 / 3, 5 / 12, 1 / 4])


def test_labels_and_grades() -> None:
    label = Question(
        asks=Kind.LABEL, prompt=WHY.id, responses=(A,), instrument=Instrument(options=("x", "y"))
    )
    (row,) = shares(label, [Labelled(tags=("y",)), Labelled(tags=("x", "y"))]).rows
    assert (row["answers"], row["shares"]) == (["x", "y"], [0.5, 1.0])
    grade = Question(asks=Kind.GRADE, prompt=WHY.id, responses=(A,))
    said = [Graded(scores={"kind": 1.0, "true": 5.0}), Graded(scores={"kind": 2.0}), None]
    kind, true = shares(grade, said).rows
    assert (kind["dimension"], kind["answers"], kind["shares"]) == ("kind", ["1", "2"], [0.5, 0.5])
    assert (true["dimension"], true["shares"], true["votes"], true["abstentions"]) == ("true", [1.0], 1, 1)


def test_texts_have_no_shares_and_nobody_is_no_zero() -> None:
    free = Question(asks=Kind.REVISE, prompt=WHY.id, responses=())
    found = shares(free, [Revised(text="Mine.")])
    assert (found.rows, found.lost, found.used) == ((), {"revised verdicts": 1}, ())
    (row,) = shares(compares(A, B), [None]).rows
    assert (row["shares"], row["votes"], row["tied"], row["abstentions"]) == ([], 0, None, 1)


def test_groups_are_shown_where_they_are_large() -> None:
    groups = {rater(i): {"age": "old" if i < 12 else "young"} for i in range(24)}
    verdicts: list[Verdict | None] = [order(A, B)] * 12 + [order(B, A)] * 12
    (row,) = shares(compares(A, B), verdicts, groups).rows
    assert row["shares"] == [0.5, 0.5]
    assert row["groups"] == [
        {"attribute": "age", "value": "old", "votes": 12, "shares": [1.0, 0.0]},
        {"attribute": "age", "value": "young", "votes": 12, "shares": [0.0, 1.0]},
    ]
    (hidden,) = shares(compares(A, B), verdicts[:-3], groups).rows  # nine young: then the old are 21 − 9
    assert hidden["groups"] == []
    assert shares(compares(A, B), verdicts, None).rows[0]["groups"] == []


def test_nobody_hides_behind_what_machines_said() -> None:
    """Ten old, four young, ten models: whoever knows the models' votes finds the four. Kills: a model as one
    of those who said nothing of themselves."""
    groups = {rater(i): {"age": "old" if i < 10 else "young"} for i in range(14)}
    question = compares(A, B)
    by = [By(type="person", name=rater(i), config="c") for i in range(14)]
    by += [By(type="model", name=f"m{i}", config="c") for i in range(10)]
    judgments = tuple(Judgment(question=question.id, by=one, verdict=order(A, B)) for one in by)
    records = {record.id: record for record in (WHY, *TEXTS)}
    (row,) = distributions(Given((question,), judgments, records), groups).rows
    assert (row["votes"], row["groups"]) == (24, [])
    (more,) = distributions(Given((question,), judgments[:10], records), groups).rows
    assert [group["value"] for group in more["groups"]] == ["old"]


@pytest.mark.parametrize(
    ("sizes", "voters", "shown"),
    [
        ({"a": 10}, 10, ["a"]),
        ({"a": 9}, 9, []),
        ({"a": 10}, 19, []),  # nine others, by subtraction
        ({"a": 10}, 20, ["a"]),
        ({"a": 10, "b": 11, "c": 1}, 22, ["b"]),
        ({}, 5, []),
    ],
)
def test_nobody_is_found_by_subtraction(sizes: dict[str, int], voters: int, shown: list[str]) -> None:
    assert cells_shown(sizes, voters, 10) == shown


def test_the_file_is_parquet_with_every_column(tmp_path: Path) -> None:
    groups = {rater(i): {"age": "old"} for i in range(10)}
    for name, verdicts in (("full", [order(A, B)] * 10), ("empty", None)):
        rows = shares(compares(A, B), list(verdicts), groups).rows if verdicts else ()
        file = tmp_path / f"{name}.parquet"
        file.write_bytes(parquet(rows))
        with duckdb.connect() as connection:
            found = connection.execute("SELECT * FROM read_parquet(?)", [str(file)])
            columns = [column[0] for column in found.description or ()]
            back = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
        assert columns[:4] == ["question", "asks", "dimension", "prompt"] and columns[-1] == "groups"
        assert json.loads(json.dumps(back)) == [dict(row) for row in rows]
