"""Windows are functions of their index; a data file that is not what it should be is named with its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.engines.scripted import Scripted
from accord.errors import AccordError, PlanError, Unreadable
from accord.ports import Feedback, Sampler, Shape
from accord.progress import Silent
from accord.records.rows import Columns, Group, Window
from accord.sources import Offline, Rollouts, Surroundings, _turn, seeded
from accord.stores.foreign.prompts import read_rows
from accord.testing import scored
from accord.worker import Worker

DATA, POLICY = Shape("answer", 1, "data"), Shape("answer", 3, "policy")
SAMPLER: Sampler = Scripted(words=tuple("abcd"), longest=3, tensors="numpy").sampler("scripted", Silent())


def silent(groups: Sequence[Group]) -> Columns | None:
    return None


def graded(groups: Sequence[Group]) -> Columns | None:
    """The number of words of answers that begin with a or b; others nobody graded."""
    texts = {r.text for group in groups for r in group.responses}
    return scored(groups, {text: float(len(text.split())) for text in texts if text[0] in "ab"})


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    rows = [{"prompt": f"question {i}", "completion": "ab"[i % 2], "truth": i} for i in range(10)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def window(part: Offline | Rollouts, worker: Worker, shape: Shape, index: int, **told: Any) -> Window:
    around = Surroundings(told.get("stage", "run/stage"), told.get("seed", 0), shape, worker)
    feedback: Feedback = told.get("feedback", silent)
    return part.open(around).window(index, SAMPLER, feedback)


def test_one_pass_takes_every_row_once_and_the_next_in_another_order(data: Path, worker: Worker) -> None:
    part = Offline(data=str(data), per_window=5)
    passes = [
        [e.prompt for i in pair for r in window(part, worker, DATA, i).rows for e in r.episodes]
        for pair in ((0, 1), (2, 3))
    ]
    for one in passes:
        assert len(one) == len(set(one)) == 10
    assert passes[0] != passes[1]


def test_a_window_depends_on_its_index_and_the_seed(data: Path, worker: Worker) -> None:
    part = Offline(data=str(data), per_window=4)
    one, again = window(part, worker, DATA, 1), window(part, worker, DATA, 1)
    assert [r.episodes[0].id for r in one.rows] == [r.episodes[0].id for r in again.rows]
    other = window(part, worker, DATA, 1, seed=1)
    assert {r.episodes[0].id for r in one.rows} != {r.episodes[0].id for r in other.rows}


def test_a_window_over_the_end_of_a_pass_holds_no_row_twice(data: Path, worker: Worker) -> None:
    for index in range(6):
        ids = [
            r.episodes[0].id for r in window(Offline(data=str(data), per_window=7), worker, DATA, index).rows
        ]
        assert len(ids) == len(set(ids))
    big = window(Offline(data=str(data), per_window=64), worker, DATA, 0)
    assert len(big.rows) == 10


@given(st.integers(0, 9), st.integers(0, 40), st.integers(1, 9), st.integers(1, 12))
def test_turns_are_fair(seed: int, index: int, size: int, of: int) -> None:
    """Over one pass of windows that divide it, every item comes exactly once."""
    chosen = _turn(seed, index, size, of)
    assert chosen == _turn(seed, index, size, of)
    assert len(chosen) == len(set(chosen)) <= min(size, of)
    assert set(chosen) <= set(range(of))
    if of % size == 0:
        per_pass = of // size
        first = index // per_pass * per_pass
        assert sorted(i for w in range(first, first + per_pass) for i in _turn(seed, w, size, of)) == list(
            range(of)
        )


def test_seeds_are_told_apart_by_their_parts() -> None:
    draws = [
        seeded(*parts).integers(2**62)
        for parts in [("a", "bc"), ("ab", "c"), ("a", "b", "c"), ("a", 1), ("a", "1")]
    ]
    assert len(set(draws)) == 4, "only 1 and '1' are one"


def test_rollouts_ask_the_policy_with_seeds_of_their_own(data: Path, worker: Worker) -> None:
    part = Rollouts(prompts=str(data), per_window=4, temperature=0.7, max_tokens=2)
    first, second = (window(part, worker, POLICY, i) for i in (0, 3))
    assert len(first.rows) == 12
    assert [r.group for r in first.rows] == [g for g in range(4) for _ in range(3)]
    assert {r.episodes[0].temperature for r in first.rows} == {0.7}
    assert all(len(r.episodes[0].tokens[0]) <= 2 for r in first.rows)
    other = window(part, worker, POLICY, 0, stage="run/another")
    ids = [{r.episodes[0].id for r in w.rows} for w in (first, second, other)]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]


def test_rows_carry_what_feedback_says_and_are_missing_where_it_is_silent(data: Path, worker: Worker) -> None:
    part = Rollouts(prompts=str(data), per_window=4)
    told = window(part, worker, POLICY, 0, feedback=graded)
    assert {r.missing for r in told.rows} == {True, False}
    for row in told.rows:
        assert row.missing == (row.columns["score"] != row.columns["score"])
    assert set(told.column("score")[[not r.missing for r in told.rows]]) <= {1.0, 2.0, 3.0}


def test_a_prompt_that_stands_twice_in_the_file_is_one_group(tmp_path: Path, worker: Worker) -> None:
    """Its draws have the same seeds: they are the same facts, and count once."""
    file = tmp_path / "twice.jsonl"
    file.write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n{"prompt": "Why?"}\n')
    for feedback in (silent, graded):
        rows = window(Rollouts(prompts=str(file), per_window=3), worker, POLICY, 0, feedback=feedback).rows
        ids = [r.episodes[0].id for r in rows]
        assert len(ids) == len(set(ids)) == 6


def test_a_source_refuses_a_method_of_the_other_kind(data: Path, worker: Worker) -> None:
    for part, shape in ((Offline(data=str(data)), POLICY), (Rollouts(prompts=str(data)), DATA)):
        with pytest.raises(PlanError, match="this method learns from"):
            part.open(Surroundings("r/s", 0, shape, worker))


def test_offline_needs_completions(tmp_path: Path, worker: Worker) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Why?", "completion": "a"}\n{"prompt": "How?"}\n')
    with pytest.raises(PlanError, match="'How\\?'"):
        Offline(data=str(file)).open(Surroundings("r/s", 0, DATA, worker))


# Data files


def rows_of(tmp_path: Path, text: str, name: str = "data.jsonl") -> Any:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    return read_rows(str(tmp_path / name))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not json", "one JSON object per line"),
        ('{"prompt": "a"', "one JSON object per line"),
        ("[1, 2]", "one JSON object per line"),
        ('"text"', "one JSON object per line"),
        ("{}", '"prompt" as text or as a list'),
        ('{"prompt": ""}', '"prompt" as text or as a list'),
        ('{"prompt": "  "}', '"prompt" as text or as a list'),
        ('{"prompt": 3}', '"prompt" as text or as a list'),
        ('{"prompt": []}', '"prompt" as text or as a list'),
        ('{"prompt": ["a"]}', 'messages as {"role", "content"}'),
        ('{"prompt": [{"role": "robot", "content": "a"}]}', 'messages as {"role", "content"}'),
        ('{"prompt": [{"role": "user"}]}', 'messages as {"role", "content"}'),
        ('{"prompt": "a", "completion": ""}', '"completion" as text'),
        ('{"prompt": "a", "completion": 1}', '"completion" as text'),
        ('{"prompt": "a", "completion": ["b"]}', '"completion" as text'),
        ('{"prompt": "a", "slice": 7}', ""),
        ('{"prompt": "a", "tweet": 1234567890123456789}', ""),
        ('{"prompt": "a \\ud800 b"}', ""),
        ('{"prompt": "a", "completion": "b \\ud800"}', ""),
        ('{"prompt": "a", "deep": ' + "[" * 5000 + "]" * 5000 + "}", ""),
    ],
)
def test_a_line_that_is_not_a_row_is_named(line: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as error:
        rows_of(tmp_path, f'{{"prompt": "fine"}}\n\n{line}\n')
    assert error.value.line == 3
    assert expected in str(error.value)
    assert "data.jsonl:3" in str(error.value)


@pytest.mark.parametrize("raw", [b"", b"\n \n\t\n"])
def test_an_empty_file_is_unreadable(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(raw)
    with pytest.raises(Unreadable, match="at least one row"):
        read_rows(str(tmp_path / "empty.jsonl"))


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.jsonl", b'{"prompt": "\xff"}\n'),
        ("a.jsonl", '{"prompt": "a"}'.encode("utf-16")),
        ("a.jsonl.gz", b"not gzip at all"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 50)[:-20]),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a"}\n' * 50)[:20] + b"\x00" * 30),
    ],
    ids=["latin-1", "utf-16", "not gzip", "cut gzip", "damaged gzip"],
)
def test_bytes_that_are_no_text_are_unreadable(name: str, raw: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(Unreadable, match="UTF-8 text"):
        read_rows(str(tmp_path / name))


def test_a_byte_order_mark_is_named(tmp_path: Path) -> None:
    """Windows editors write one; nothing shows it."""
    with pytest.raises(Unreadable, match="BOM") as error:
        rows_of(tmp_path, '\ufeff{"prompt": "a"}\n')
    assert error.value.line == 1


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four"
    rows = rows_of(tmp_path, json.dumps({"prompt": text}, ensure_ascii=False) + '\r\n{"prompt": "b"}')
    assert [row.prompt.text for row in rows] == [text, "b"]


def test_every_script_comes_through(tmp_path: Path) -> None:
    text = "Grüße, 世界, \U0001f600, \u202eright to left, e\u0301"
    file = tmp_path / "ünïcode 😀.jsonl.gz"
    file.write_bytes(
        gzip.compress(json.dumps({"prompt": text, "completion": text}, ensure_ascii=False).encode())
    )
    (row,) = read_rows(str(file))
    assert (row.prompt.text, row.completion) == (text, text)


def test_other_fields_stay_with_the_prompt(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, '{"prompt": "a", "answer": 4, "notes": {"x": [1, null]}, "slice": "maths"}')
    assert (row.prompt.columns, row.prompt.slice) == ({"answer": 4, "notes": {"x": [1, None]}}, "maths")
    assert row.completion is None


def test_messages_come_through(tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    (row,) = rows_of(tmp_path, json.dumps({"prompt": talk}))
    assert [m.model_dump() for m in row.prompt.messages] == talk


def test_parts_divide_the_file_by_prompt_alone(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    lines = [json.dumps({"prompt": f"question {i}", "k": k}) for i in range(200) for k in range(2)]
    file.write_text("\n".join(lines))
    parts = {p: {r.prompt.text for r in read_rows(f"{file}:{p}")} for p in ("train", "held_out", "probe")}
    assert sum(map(len, parts.values())) == 200, "both rows of a prompt are in one part"
    assert set().union(*parts.values()) == {f"question {i}" for i in range(200)}
    assert 110 < len(parts["train"]) < 170
    file.write_text("\n".join(reversed(lines)))
    assert {r.prompt.text for r in read_rows(f"{file}:train")} == parts["train"]


def test_an_empty_part_says_which(tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"prompt": "a"}')
    empty = [p for p in ("train", "held_out", "probe") if p not in _parts(file)]
    for part in empty:
        with pytest.raises(Unreadable, match=part):
            read_rows(f"{file}:{part}")
    assert len(empty) == 2


def _parts(file: Path) -> list[str]:
    from accord.stores.foreign.prompts import part_of

    return [part_of(row.prompt) for row in read_rows(str(file))]


def test_no_such_file_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="short-questions"):
        read_rows("short-question")
    with pytest.raises(AccordError):
        read_rows(str(tmp_path))
