"""``accord import data`` and ``accord export data``: what comes in, what leaves, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main
from accord.errors import Refused
from accord.progress import Silent
from accord.records import (
    By,
    Graded,
    Judgment,
    Kind,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
)
from accord.stores.foreign.giving import SHAPES, Wish, gift, give
from accord.stores.identity import Identity
from accord.stores.people import People, Project, Voice

WHY = Prompt.of("Why?")
TEXTS = [Response(prompt=WHY.id, text=text) for text in ("=A1", "B")]
A, B = (text.id for text in TEXTS)
ASKED = Question(asks=Kind.COMPARE, prompt=WHY.id, responses=(A, B))
RECORDS: list[Record] = [WHY, *TEXTS]


def voice(rater: int, first: str = A, standing: Any = "vote") -> Voice:
    other = B if first == A else A
    judgment = Judgment(
        question=ASKED.id,
        by=By(type="person", name=f"r-{rater:012x}", config="c"),
        verdict=Ranked(tiers=((first,), (other,)), strength=1 if first == A else -1),
        salt=f"{rater} {standing}",
    )
    return Voice(judgment, f"r-{rater:012x}", standing)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two votes, one late answer, one adjudication."""
    file = tmp_path_factory.mktemp("labels") / "labels.db"
    with People.open(str(file)) as people:
        said = [voice(1), voice(2, B), voice(3, standing="late"), voice(4, standing="adjudicated")]
        people.ingest([ASKED], RECORDS, said)
    return file


@pytest.fixture
def store(here: Path, filled: Path) -> str:
    shutil.copy(filled, here / "labels.db")
    return "labels.db"


def rows(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_votes_leave_late_ones_when_asked_adjudications_never(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "data", store, "--as", "preference", "--to", "p.jsonl"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "2 rows of preference, of 2 judgments in p.jsonl"
    assert said[1] == "left out: 1 judgment that came late; --late takes them"
    assert any(line.split() == ["strengths", "2"] for line in said)
    assert [row["chosen"] for row in rows("p.jsonl")] == ["=A1", "B"]
    assert main(["export", "data", store, "--as", "preference", "--late", "--to", "l.jsonl", "--json"]) == 0
    found = document(capsys)
    assert (found["rows"], found["judgments"], found["late"]) == (3, 3, 0)
    assert found["lost"]["strengths"] == 3


def test_every_shape_can_be_written(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    counts: dict[Any, int] = {"prompt-only": 1, "distributions": 1, "csv": 2, "jsonl": 7, "preference": 2}
    with People.open(store) as people:
        made = {shape: gift(people, Wish(shape), Silent()) for shape in SHAPES}
    assert {shape: one.rows for shape, one in made.items() if one.rows} == counts
    assert made["distributions"].data[:4] == b"PAR1" and made["stepwise"].data == b""
    assert b"A: =A1" in made["csv"].data and made["csv"].data.startswith(b"\xef\xbb\xbfquestion,")
    assert main(["export", "data", store, "--as", "prompt-only"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out) == {"prompt": "Why?"} and "1 row of prompt-only" in streams.err


def test_a_withdrawal_names_the_export_and_nothing_leaves_after_it(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: withdrawn words in a file, an export that nobody noted."""
    assert main(["export", "data", store, "--as", "jsonl", "--late", "--to", "all.jsonl", "--json"]) == 0
    note = document(capsys)["noted"]
    with People.open(store) as people:
        assert [use.by for use in people.withdraw_everything("r-000000000001").uses] == [note]
    assert main(["export", "data", store, "--as", "preference", "--to", "p.jsonl"]) == 0
    assert [row["annotator"] for row in rows("p.jsonl")] == ["r-000000000002"]
    capsys.readouterr()
    assert main(["import", "data", "all.jsonl", store, "--json"]) == 0  # the copy does not bring it back
    found = document(capsys)
    assert (found["judgments"], found["known"], found["withdrawn"]) == (0, 3, 1)


def test_a_withdrawal_while_an_export_is_made_lets_nothing_leave(store: str, here: Path) -> None:
    """After it was read. Kills: words in a file that their withdrawal does not name."""
    wish = Wish("preference")
    with People.open(store) as people:
        made = gift(people, wish, Silent())
        people.withdraw_everything("r-000000000001")
        with pytest.raises(Refused, match="export again"):
            give(people, made, wish, here / "p.jsonl")
        assert not (here / "p.jsonl").exists()
        give(people, gift(people, wish, Silent()), wish, here / "p.jsonl")
    assert [row["annotator"] for row in rows("p.jsonl")] == ["r-000000000002"]


def test_the_lossless_file_fills_another_database(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "data", store, "--as", "jsonl", "--late", "--to", "all.jsonl"]) == 0
    assert main(["import", "data", "all.jsonl", "other.db"]) == 0
    assert main(["export", "data", "other.db", "--as", "jsonl", "--late", "--to", "again.jsonl"]) == 0
    assert Path("again.jsonl").read_bytes() == Path("all.jsonl").read_bytes()
    assert "what jsonl cannot hold: nothing is lost" in capsys.readouterr().out


def test_raters_below_the_minimum_are_named_and_left_out(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "data", store, "--as", "preference", "--minimum", "--to", "p.jsonl"]) == 1
    assert "in a project that has a minimum" in capsys.readouterr().err
    grade = Question(asks=Kind.GRADE, prompt=WHY.id, responses=(A,))
    more = Judgment(question=grade.id, by=voice(1).judgment.by, verdict=Graded(scores={"score": 1}))
    with People.open(store) as people:
        people.keep_project(Project(minimum=2))
        people.ingest([grade], RECORDS, [Voice(more, "r-000000000001")])
    assert main(["export", "data", store, "--as", "preference", "--minimum", "--to", "p.jsonl"]) == 0
    assert "left out: 1 rater below the minimum: r-000000000002 (1)" in capsys.readouterr().out
    assert [row["annotator"] for row in rows("p.jsonl")] == ["r-000000000001"]


def test_groups_are_those_who_consented_and_small_ones_are_hidden(here: Path, store: str) -> None:
    import duckdb

    with Identity.open("labels.accounts.db") as identity, People.open(store) as people:
        for k in range(4):
            account = identity.accounts.make(f"person {k}", "rater")
            identity.consents.agree(account.id, "1", {"age": "old"})
            said = voice(1)
            by = said.judgment.by.model_copy(update={"name": account.pseudonym})
            judgment = said.judgment.model_copy(update={"by": by})
            people.ingest([ASKED], RECORDS, [Voice(judgment, account.pseudonym)])
    # Six voted, and four said that they are old: the other two would be found where k is three.
    for k, shown in ((2, [("old", 4)]), (3, [])):
        with People.open(store) as people:
            people.keep_project(Project(k=k))
        words = ["--as", "distributions", "--groups", "labels.accounts.db", "--to", f"{k}.parquet"]
        assert main(["export", "data", store, *words]) == 0
        with duckdb.connect() as connection:
            (groups,) = connection.execute(f"SELECT groups FROM '{k}.parquet'").fetchone() or ()
        assert [(g["value"], g["votes"]) for g in groups] == shown


def test_rows_come_in_once_and_bad_ones_stop_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = {"prompt": "Why?", "chosen": "A", "rejected": "B", "annotator": "Ada"}
    Path("p.jsonl").write_text(json.dumps(pair) + "\n" + json.dumps(pair | {"rationale": 1}) + "\n")
    assert main(["import", "data", "p.jsonl", "new.db"]) == 1
    assert 'p.jsonl:2: expected "rationale" as text' in capsys.readouterr().err
    assert not Path("new.db").exists()
    assert main(["import", "data", "p.jsonl", "new.db", "--rejects", "bad.jsonl"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "2 rows of trl: 1 new judgment of 1 question" and "1 row, in bad.jsonl" in said[1]
    assert [row["line"] for row in rows("bad.jsonl")] == [2]
    assert main(["import", "data", "p.jsonl", "new.db", "--rejects", "bad2.jsonl", "--json"]) == 0
    assert document(capsys)["known"] == 1
    assert b"Ada" not in Path("new.db").read_bytes()


def test_the_format_is_found_or_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"id": "1", "displayed_text": "A. x<br>B. y", "label_annotations": {"q": {"selection": "A"}}}
    Path("rows.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["import", "data", "rows.jsonl", "new.db", "--json"]) == 0
    assert document(capsys)["format"] == "potato"
    assert main(["import", "data", "rows.jsonl", "new.db", "--format", "trl"]) == 1
    assert main(["import", "data", "rows.jsonl", "new.db", "--format", "argilla"]) == 1
    assert "allowed: auto, trl, potato, inspect, jsonl" in capsys.readouterr().err
    assert main(["import", "data", "rows.jsonl", "new.db", "--format", "jsonl"]) == 1
    assert "in the first line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.db", "--as", "preference"], "none.db: expected a labelling database"),
        (["labels.db", "--as", "prefrence"], 'did you mean "preference"?'),
        (["labels.db", "--as", "preference", "--json"], "--to"),
        (["labels.db", "--as", "distributions"], "--to"),
        (["labels.db", "--as", "preference", "--to", "labels.db"], "a file that is not there yet"),
        (["labels.db", "--as", "preference", "--to", "no/p.jsonl"], "in a folder that is"),
        (["labels.db", "--as", "jsonl", "--conversational"], "--conversational"),
        (["labels.db", "--as", "stepwise", "--conversational"], "plain texts"),
        (["labels.db", "--as", "csv", "--groups", "labels.db"], "accounts"),
        (["labels.db", "--as", "csv", "--groups", "none.db"], "none.db"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "data", *words]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not Path("none.db").exists()
