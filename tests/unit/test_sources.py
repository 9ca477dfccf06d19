"""Windows are functions of their index; rows carry what the file says, and feedback stands before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.catalog import build
from accord.engines.scripted import Scripted
from accord.errors import PlanError, Refused, Unreadable
from accord.ports import Feedback, Sampler, Shape
from accord.progress import Silent
from accord.records.rows import Columns, Group, Window
from accord.sources import Offline, Rollouts, Surroundings, seeded, taken
from accord.stores.foreign.prompts import read_data
from accord.testing import check_source, scored
from accord.worker import Worker

DATA, POLICY = Shape("answer", 1, "data"), Shape("answer", 3, "policy")
PAIR, STEPS = Shape("pair", 2, "data"), Shape("episode", 1, "data")
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
    chosen = taken(seed, index, size, of)
    assert chosen == taken(seed, index, size, of)
    assert len(chosen) == len(set(chosen)) <= min(size, of)
    assert set(chosen) <= set(range(of))
    if of % size == 0:
        per_pass = of // size
        first = index // per_pass * per_pass
        assert sorted(i for w in range(first, first + per_pass) for i in taken(seed, w, size, of)) == list(
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


def test_offline_needs_answers_of_the_methods_unit(tmp_path: Path, worker: Worker) -> None:
    """No row of one type is silently learnt as one of another."""
    lines = {
        "prompt": {"prompt": "Why?"},
        "completion": {"prompt": "Why?", "completion": "a"},
        "preference": {"prompt": "Why?", "chosen": "a", "rejected": "b"},
        "steps": {"prompt": "Why?", "completions": ["a", "b"], "labels": [True, False]},
        "text": {"text": "a b"},
    }
    suits = {DATA: {"completion", "text"}, PAIR: {"preference"}, STEPS: {"steps"}}
    for kind, row in lines.items():
        file = written(tmp_path, [row], f"{kind}.jsonl")
        for shape, kinds in suits.items():
            if kind in kinds:
                Offline(data=file).open(Surroundings("r/s", 0, shape, worker))
            else:
                with pytest.raises(PlanError, match=f"not {kind}"):
                    Offline(data=file).open(Surroundings("r/s", 0, shape, worker))
    with pytest.raises(PlanError, match=r"completion = .chosen.") as error:
        Offline(data=f"{tmp_path}/preference.jsonl").open(Surroundings("r/s", 0, DATA, worker))
    assert error.value.path == "data"
    better = Offline(data=f"{tmp_path}/preference.jsonl", columns={"completion": "chosen"})
    (row,) = window(better, worker, DATA, 0).rows
    assert row.episodes[0].tokens == ((1, 0),)


def written(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "rows.jsonl") -> str:
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))
    return str(folder / name)


PAIRS = [
    {"prompt": "one", "chosen": "a", "rejected": "b"},
    {"prompt": "two", "chosen": "a b", "rejected": "c", "p": 0.75, "weight": 2},
    {"prompt": "one", "chosen": "c", "rejected": "d", "p": 0.5},
]


def test_pairs_are_rows_of_two_answers_with_p_and_weight(tmp_path: Path, worker: Worker) -> None:
    part = Offline(data=written(tmp_path, PAIRS), per_window=3)
    rows = window(part, worker, PAIR, 0).rows
    found = sorted(
        (*(e.tokens[0][:-1] for e in row.episodes), row.columns["p"], row.columns["weight"]) for row in rows
    )
    assert found == [((1,), (2,), 1.0, 1.0), ((1, 2), (3,), 0.75, 2.0), ((3,), (4,), 0.5, 1.0)]
    assert all(set(row.columns) == {"p", "weight"} and not row.missing for row in rows)
    assert all(e.tokens[0][-1] == 0 for row in rows for e in row.episodes), "data end as answers that stop"
    groups = {row.episodes[0].prompt: row.group for row in rows}
    assert sorted(groups.values()) == [0, 1], "two rows of one prompt are one group"
    assert all(row.group == groups[e.prompt] for row in rows for e in row.episodes)


def test_what_feedback_says_of_pairs_stands_before_the_file(tmp_path: Path, worker: Worker) -> None:
    def voted(groups: Sequence[Group]) -> Columns:
        p_R = np.array([0.25 if "b" in g.responses[0].text else np.nan for g in groups])
        members = tuple(tuple(r.id for r in g.responses) for g in groups)
        parents = tuple((f"judgment {i}",) for i in range(len(groups)))
        return Columns(members, {"p": p_R}, np.isnan(p_R), parents)

    rows = window(Offline(data=written(tmp_path, PAIRS)), worker, PAIR, 0, feedback=voted).rows
    told = {row.columns["weight"]: row for row in rows if not row.missing}
    assert set(told) == {2.0}, "the weight of the file stands where feedback says nothing of it"
    assert told[2.0].columns["p"] == 0.25
    assert told[2.0].parents[0].startswith("judgment")
    assert [row.missing for row in rows].count(True) == 2, (
        "a pair nobody judged is missing, whatever the file says"
    )


def test_questions_about_single_answers_of_pairs_are_refused(tmp_path: Path, worker: Worker) -> None:
    def each(groups: Sequence[Group]) -> Columns:
        members = tuple((r.id,) for g in groups for r in g.responses)
        return Columns(
            members, {"score": np.ones(len(members))}, np.zeros(len(members), bool), ((),) * len(members)
        )

    with pytest.raises(PlanError, match="as they are in the data"):
        window(Offline(data=written(tmp_path, PAIRS)), worker, PAIR, 0, feedback=each)


@pytest.mark.parametrize("limits", [{}, {"max_answer_tokens": 3, "truncate": "cut_answer"}])
def test_a_source_of_pairs_keeps_the_promises_of_sources(
    limits: dict[str, Any], tmp_path: Path, worker: Worker
) -> None:
    file = written(tmp_path, [{"prompt": f"q {i}", "chosen": "a b c", "rejected": "b"} for i in range(9)])
    part = Offline(data=file, per_window=4, **limits)
    around = Surroundings("r/s", 3, PAIR, worker)
    check_source(lambda: part.open(around), SAMPLER, silent, shape=PAIR)


def test_two_people_who_say_the_same_are_two_facts(tmp_path: Path, worker: Worker) -> None:
    row = {"prompt": "one", "chosen": "a", "rejected": "b"}
    rows = [row, row, row | {"annotator": "x"}, row | {"annotator": "y"}, row | {"p": 0.5}]
    source: Any = Offline(data=written(tmp_path, rows)).open(Surroundings("r/s", 0, PAIR, worker))
    assert len(source.window(0, SAMPLER, silent).rows) == 4
    assert (source.repeated, source.read, source.kind) == (1, 5, "preference")
    assert any("1 rows" in note for note in source.notes)


STEPPED = [
    {"prompt": "one", "completions": ["a b", "c"], "labels": [True, False], "weight": 2},
    {"prompt": "two", "completions": ["d", "a", "b"], "labels": [None, True, True]},
    {"prompt": "two", "completions": ["d", "a", "b"], "labels": [None, True, False]},
]


def test_answers_in_steps_are_episodes_whose_rewards_are_the_labels(tmp_path: Path, worker: Worker) -> None:
    rows = window(Offline(data=written(tmp_path, STEPPED)), worker, STEPS, 0).rows
    (episodes,) = zip(*(row.episodes for row in rows), strict=True)
    found = {(e.tokens, e.rewards) for e in episodes}
    assert found == {
        (((1, 2), (3, 0)), (1.0, 0.0)),
        (((4,), (1,), (2, 0)), (None, 1.0, 1.0)),
        (((4,), (1,), (2, 0)), (None, 1.0, 0.0)),
    }, "two people who judge one answer otherwise are two facts"
    for episode in episodes:
        (sequence,) = episode.sequences()
        said = [t for t, chosen in zip(sequence.tokens, sequence.answer, strict=True) if chosen]
        assert said == [t for turn in episode.tokens for t in turn]
    assert sorted(row.columns.get("weight", 1.0) for row in rows) == [1, 1, 2]
    groups = {row.episodes[0].prompt: row.group for row in rows}
    assert len(groups) == len(set(groups.values())) == 2


def test_steps_over_the_limit_take_their_labels_along(tmp_path: Path, worker: Worker) -> None:
    part = Offline(data=written(tmp_path, STEPPED[:2]), max_answer_tokens=3, truncate="cut_answer")
    rows = window(part, worker, STEPS, 0).rows
    found = {(e.tokens, e.rewards, r.columns["cut"]) for r in rows for e in r.episodes}
    assert found == {(((1, 2), (3,)), (1.0, 0.0), 1.0), (((4,), (1,), (2,)), (None, 1.0, 1.0), 1.0)}
    short = Offline(data=written(tmp_path, STEPPED[:2]), max_answer_tokens=2, truncate="cut_answer")
    found = {(e.tokens, e.rewards) for r in window(short, worker, STEPS, 0).rows for e in r.episodes}
    assert found == {(((1, 2),), (1.0,)), (((4,), (1,)), (None, 1.0))}


def test_a_source_of_steps_keeps_the_promises_of_sources(tmp_path: Path, worker: Worker) -> None:
    rows = [{"prompt": f"q {i}", "completions": ["a", "b"], "labels": [True, None]} for i in range(9)]
    part = Offline(data=written(tmp_path, rows), per_window=4)
    around = Surroundings("r/s", 3, STEPS, worker)
    check_source(lambda: part.open(around), SAMPLER, silent, shape=STEPS)


def test_labels_must_be_explained(tmp_path: Path, worker: Worker) -> None:
    """A method that knows no labels would raise answers that somebody marked as unwanted."""
    rows = [{"prompt": f"q {i}", "completion": "ab"[i % 2], "label": i % 2 == 0} for i in range(4)]
    file = written(tmp_path, rows)
    with pytest.raises(PlanError, match="wanted") as error:
        window(Offline(data=file), worker, DATA, 0)
    assert error.value.path == "labels"
    wanted = window(Offline(data=file, labels="wanted"), worker, DATA, 0).rows
    assert [row.episodes[0].tokens[0][0] for row in wanted] == [1, 1]
    both = window(Offline(data=file, labels="column"), worker, DATA, 0)
    assert sorted(both.column("label")) == [0, 0, 1, 1]
    none = written(tmp_path, [row | {"label": False} for row in rows], "none.jsonl")
    with pytest.raises(PlanError, match="label is true"):
        window(Offline(data=none, labels="wanted"), worker, DATA, 0)
    with pytest.raises(PlanError, match="no labels"):
        window(Offline(data=written(tmp_path, PAIRS), labels="wanted"), worker, PAIR, 0)


def test_numbers_of_the_file_become_columns(tmp_path: Path, worker: Worker) -> None:
    rows = [{"prompt": "q", "completion": "a", "score": 3, "cost:harm": 0.5, "weight": 0.25, "truth": 7}]
    (row,) = window(Offline(data=written(tmp_path, rows)), worker, DATA, 0).rows
    assert row.columns == {"score": 3.0, "cost:harm": 0.5, "weight": 0.25}


def test_more_dropped_rows_than_allowed_are_refused(tmp_path: Path, worker: Worker) -> None:
    rows = [{"prompt": f"q {i}", "chosen": "a", "rejected": "b" if i else "a"} for i in range(50)]
    around = Surroundings("r/s", 0, PAIR, worker)
    file = written(tmp_path, rows)
    with pytest.raises(Refused, match=r"(?s)1 identical pair.*2\.0%.*allow_dropped"):
        Offline(data=file).open(around)
    many = [{"prompt": f"more {i}", "chosen": "a", "rejected": "b"} for i in range(50)]
    whole = written(tmp_path, rows + many, "whole.jsonl")
    part = next(p for p in ("train", "held_out", "probe") if read_data(f"{whole}:{p}").dropped)
    assert Offline(data=f"{whole}:{part}").open(around), "1 % of the file, whatever it is of the part"
    source: Any = Offline(data=file, allow_dropped=0.02).open(around)
    assert source.dropped == {"identical pair": 1}
    assert source.notes == ["50 preference rows of rows.jsonl, dropped: 1 identical pair"]
    assert len(source.window(0, SAMPLER, silent).rows) == 32


def test_rows_over_the_limits_are_cut_left_out_or_refused(tmp_path: Path, worker: Worker) -> None:
    rows = [
        {"prompt": "one", "chosen": "a b c", "rejected": "b"},
        {"prompt": "two", "chosen": "a", "rejected": "b"},
    ]
    file = written(tmp_path, rows)
    with pytest.raises(Refused, match="max_answer_tokens = 3"):
        window(Offline(data=file, max_answer_tokens=3), worker, PAIR, 0)
    kept = window(Offline(data=file, max_answer_tokens=3, truncate="drop"), worker, PAIR, 0).rows
    left = [(r.columns["cut"], r.columns["left_out"], r.episodes[0].tokens[0]) for r in kept]
    assert left == [(0, 1, (1, 0))]
    cut = window(Offline(data=file, max_answer_tokens=3, truncate="cut_answer"), worker, PAIR, 0)
    answers = {(r.columns["cut"], r.episodes[0].tokens[0]) for r in cut.rows}
    assert answers == {(0, (1, 0)), (1, (1, 2, 3))}
    assert set(cut.column("left_out")) == {0}
    with pytest.raises(Refused, match="per_window"):
        window(Offline(data=file, max_answer_tokens=1, truncate="drop"), worker, PAIR, 0)
    whole = window(Offline(data=file, max_answer_tokens=4), worker, PAIR, 0).rows
    assert {row.columns["cut"] for row in whole} == {0}


def test_a_truncation_without_a_limit_is_no_plan() -> None:
    with pytest.raises(PlanError, match="max_answer_tokens") as error:
        build("sources", {"name": "offline", "data": "d.jsonl", "truncate": "drop"})
    assert error.value.path == "sources.truncate"


def test_rollouts_take_the_prompts_of_any_file(tmp_path: Path, worker: Worker) -> None:
    """Also those of rows that are dropped for their answers."""
    rows = [
        {"prompt": "one", "chosen": "a", "rejected": "a"},
        {"prompt": "two", "chosen": "a", "rejected": "b"},
    ]
    around = Surroundings("r/s", 0, POLICY, worker)
    source: Any = Rollouts(prompts=written(tmp_path, rows)).open(around)
    assert {p.text for p in source.prompts()} == {"one", "two"}
    assert source.notes == ["2 prompts in 2 rows of rows.jsonl"]
    asked = [{"question": "Why?", "answer": 4}]
    part = Rollouts(prompts=written(tmp_path, asked), columns={"prompt": "question"})
    (prompt,) = part.open(around).prompts()
    assert (prompt.text, prompt.columns) == ("Why?", {"answer": 4})
    with pytest.raises(PlanError, match="none has one"):
        Rollouts(prompts=written(tmp_path, [{"text": "a plain text"}])).open(around)


def test_a_list_becomes_a_file_named_by_its_content(tmp_path: Path, worker: Worker) -> None:
    one, two = (Offline.of(PAIRS, tmp_path / "lists", per_window=2) for _ in range(2))
    assert one == two
    assert one.per_window == 2
    assert Path(one.data).parent == tmp_path / "lists"
    assert Offline.of(PAIRS[:1], tmp_path / "lists") != one
    same = Offline(data=written(tmp_path, PAIRS), per_window=2)
    ids = [[e.id for r in window(p, worker, PAIR, 0).rows for e in r.episodes] for p in (one, same)]
    assert ids[0] == ids[1]
    listed = Rollouts.of([{"q": "one"}], tmp_path / "asked", columns={"prompt": "q"})
    assert [p.text for p in listed.open(Surroundings("r/s", 0, POLICY, worker)).prompts()] == ["one"]
    with pytest.raises(Unreadable, match="the list of rows:2"):
        Offline.of([PAIRS[0], {"prompt": "two"}], tmp_path / "lists")
    assert len(list((tmp_path / "lists").iterdir())) == 2, "a list that is not read leaves no file"
