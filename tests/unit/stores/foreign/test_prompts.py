"""Data files: which rows there are, in which part, and what is said of a file that is none."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accord.errors import AccordError, PlanError, Unreadable
from accord.stores.foreign.prompts import kind_of, part_of, read_data, read_rows, write_rows


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
        ("{}", 'a row with "prompt"'),
        ('{"prompt": ""}', '"prompt" as text or as a list'),
        ('{"prompt": "  "}', '"prompt" as text or as a list'),
        ('{"prompt": 3}', '"prompt" as text or as a list'),
        ('{"prompt": []}', '"prompt" as text or as a list'),
        ('{"prompt": ["a"]}', 'messages as {"role", "content"}'),
        ('{"prompt": [{"role": "robot", "content": "a"}]}', 'messages as {"role", "content"}'),
        ('{"prompt": [{"role": "user"}]}', 'messages as {"role", "content"}'),
        ('{"prompt": "a", "completion": "b"}', 'a row of type "prompt", as in line 1'),
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
    return [part_of(row.prompt) for row in read_rows(str(file))]


def test_no_such_file_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="short-questions"):
        read_rows("short-question")
    with pytest.raises(AccordError):
        read_rows(str(tmp_path))


def test_a_row_of_another_type_is_named_with_the_first(tmp_path: Path) -> None:
    text = '{"prompt": "a", "completion": "b"}\n\n{"prompt": "a", "chosen": "b", "rejected": "c"}'
    with pytest.raises(Unreadable, match='type "preference": keys prompt, chosen, rejected') as error:
        rows_of(tmp_path, text)
    assert (error.value.line, error.value.expected) == (3, 'a row of type "completion", as in line 1')


def test_a_number_that_some_rows_lack_is_named(tmp_path: Path) -> None:
    """p and weight have a default; nobody knows the score of a row that has none."""
    rows = [{"prompt": "a", "completion": "b", "weight": 2, "score": 1}, {"prompt": "a", "completion": "c"}]
    with pytest.raises(Unreadable, match="score in every row or in none") as error:
        rows_of(tmp_path, "\n".join(json.dumps(row) for row in rows))
    assert error.value.line == 2


KINDS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a"},
    "completion": {"prompt": "a", "completion": "b"},
    "preference": {"chosen": "Why? b", "rejected": "Why? c"},
    "label": {"prompt": "a", "completion": "b", "label": True},
    "steps": {"prompt": "a", "completions": ["b"], "labels": [True]},
    "text": {"text": "a"},
}


def save(rows: list[dict[str, Any]], file: Path) -> Path:
    lines = "\n".join(json.dumps(row) for row in rows)
    if file.suffix == ".parquet":
        import duckdb

        source = file.parent / "for_parquet.jsonl"
        source.write_text(lines)
        read = f"read_json('{source}', format='newline_delimited')"
        duckdb.sql(f"COPY (SELECT * FROM {read}) TO '{file}' (FORMAT parquet)")
        return file
    raw = (json.dumps(rows, indent=1) if ".json" in file.suffixes else lines).encode()
    file.write_bytes(gzip.compress(raw) if file.suffix == ".gz" else raw)
    return file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["jsonl.gz", "json", "json.gz", "parquet"])
def test_every_type_is_read_alike_from_every_form(kind: str, form: str, tmp_path: Path) -> None:
    rows = [KINDS[kind] | {"note": f"ü{i}", "when": None} for i in range(3)]
    file = save(rows, tmp_path / f"rows.{form}")
    data = read_data(str(file))
    assert (data.kind, data.read, data.dropped) == (kind, 3, {})
    assert kind_of(str(file)) == kind
    assert list(data.rows) == read_rows(str(save(rows, tmp_path / "plain.jsonl")))
    assert [row.prompt.columns for row in data.rows] == [{"note": f"ü{i}", "when": None} for i in range(3)]


def test_messages_in_parquet_have_null_keys_that_do_not_count(tmp_path: Path) -> None:
    asked = {"role": "user", "content": "Why?"}
    plain, named = (
        {"role": "assistant", "content": "So."},
        {"role": "assistant", "content": "So.", "name": "x"},
    )
    file = save([{"messages": [asked, plain]}, {"messages": [asked, named]}], tmp_path / "a.parquet")
    with pytest.raises(Unreadable, match=r"messages\.1\.name") as error:
        read_rows(str(file))
    assert error.value.line == 2, "the first row has the key too, as null"


@pytest.mark.parametrize("name", ["a[1].parquet", "b?.parquet", "year=2020/c*.parquet", "d.data"])
def test_a_path_is_a_path_and_no_pattern(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    save([{"prompt": "right"}], tmp_path / "made.parquet").rename(tmp_path / name)
    for other in ("a1", "bb", "year=2020/cc"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        save([{"prompt": "wrong"}], tmp_path / "made.parquet").rename(tmp_path / f"{other}.parquet")
    (row,) = read_rows(str(tmp_path / name))
    assert (row.prompt.text, row.prompt.columns) == ("right", {})


def test_parquet_that_is_damaged_or_too_exact_is_unreadable(tmp_path: Path) -> None:
    whole = save([{"prompt": f"a {i}"} for i in range(50)], tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Unreadable, match="a Parquet file"):
        read_rows(str(tmp_path / "cut.parquet"))
    file = save([{"prompt": "a"}, {"prompt": "b", "tweet": 1234567890123456789}], tmp_path / "b.parquet")
    with pytest.raises(Unreadable, match="exactly") as error:
        read_rows(str(file))
    assert error.value.line == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [('[{"prompt": "a"}, 3]', 2), ('[{"prompt": "a"}, {"prompt": ""}]', 2), ('[\n{"prompt": "a"},\n', 3)],
)
def test_an_array_names_its_rows(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(Unreadable) as error:
        rows_of(tmp_path, text, "a.json")
    assert error.value.line == line


def test_tables_of_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no types"):
        rows_of(tmp_path, "prompt\na", "a.csv")


def test_fields_can_be_named_anew(tmp_path: Path) -> None:
    file = save([{"question": "Why?", "answer": 4, "prompt": "old"}], tmp_path / "a.jsonl")
    (row,) = read_rows(str(file), {"prompt": "question"})
    assert (row.prompt.text, row.prompt.columns) == ("Why?", {"answer": 4})
    with pytest.raises(Unreadable, match=r'"query", which the setting columns names\n  found: keys question'):
        read_rows(str(file), {"prompt": "query"})
    odd = save([{"question": "Why?", "response": "So."}], tmp_path / "b.jsonl")
    for read in (read_rows, kind_of):
        with pytest.raises(Unreadable, match=r'columns = \{ prompt = "question", completion = "response" \}'):
            read(str(odd))
    assert kind_of(str(odd), {"prompt": "question", "completion": "response"}) == "completion"


def test_an_empty_file_has_no_kind(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(Unreadable, match="at least one row"):
        kind_of(str(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_pairs_and_texts_are_divided_by_what_is_read(form: str, tmp_path: Path) -> None:
    """Pairs by their prompt, so that none is in two parts; plain texts, which have none, by themselves."""
    pairs = [{"chosen": f"q{i} yes", "rejected": f"q{i} {no}"} for i in range(60) for no in ("no", "never")]
    texts = [{"text": f"text {i}"} for i in range(60)]
    for name, rows in (("pairs", pairs), ("texts", texts)):
        file = save(rows, tmp_path / f"{name}.{form}")
        parts = {p: read_rows(f"{file}:{p}") for p in ("train", "held_out", "probe")}
        assert sum(map(len, parts.values())) == len(rows)
        seen = [{r.prompt.text or r.answers for r in part} for part in parts.values()]
        assert all(seen), "60 prompts reach every part"
        assert sum(map(len, seen)) == 60


def test_dropped_rows_are_counted_in_their_part(tmp_path: Path) -> None:
    rows = [{"prompt": f"q {i}", "chosen": "a", "rejected": "a" if i % 3 else "b"} for i in range(60)]
    file = save(rows, tmp_path / "a.jsonl")
    whole = read_data(str(file))
    assert whole.dropped == {"identical pair": 40}
    assert (whole.read, len(whole.rows), len(whole.prompts)) == (60, 20, 60)
    assert whole.told == "60 preference rows of a.jsonl, dropped: 40 identical pair"
    parts = [read_data(f"{file}:{part}") for part in ("train", "held_out", "probe")]
    assert sum(part.read for part in parts) == 60
    assert sum(part.dropped["identical pair"] for part in parts) == 40
    only = save([{"prompt": "q", "chosen": "a", "rejected": "a"}], tmp_path / "b.jsonl")
    with pytest.raises(Unreadable, match="no rows left, dropped: 1 identical pair"):
        read_rows(str(only))


def test_lists_are_written_once_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    rows = [{"prompt": "a\u2028b", "completion": "ü"}, {"completion": "c", "prompt": "d"}]
    one, two = write_rows(rows), write_rows([dict(reversed(row.items())) for row in rows])
    assert one == two
    assert one.parent == tmp_path / "cache" / "data"
    assert [(r.prompt.text, r.completion) for r in read_rows(str(one))] == [("a\u2028b", "ü"), ("d", "c")]
    for odd in ({"prompt": "a", "when": object()}, {"prompt": "\ud800"}, {"prompt": ""}):
        with pytest.raises(Unreadable, match="the list of rows:2"):
            write_rows([{"prompt": "a"}, odd])
    assert write_rows([{"q": "a"}], tmp_path, {"prompt": "q"}).parent == tmp_path


# Real data


@pytest.fixture
def real() -> Path:
    folder = os.environ.get("ACCORD_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("ACCORD_DATA names no folder with the real data")
    return Path(folder)


def test_hh_transcripts_are_conversations(real: Path) -> None:
    file = str(real / "hh_harmless_test_800.jsonl.gz")
    data = read_data(file)
    assert (data.kind, kind_of(file), data.read, len(data.rows)) == ("preference", "preference", 800, 798)
    assert data.dropped == {"empty completion": 2}
    roles = Counter(m.role for row in data.rows for m in row.prompt.messages)
    assert set(roles) == {"user", "assistant"}
    assert all(row.prompt.messages[0].role == row.prompt.messages[-1].role == "user" for row in data.rows)
    texts = [t for r in data.rows for t in (*(m.content for m in r.prompt.messages), *r.answers)]
    assert not [t for t in texts if "\n\nHuman:" in t or "\n\nAssistant:" in t or t != t.strip()]
    assert all(row.answers[0] != row.answers[1] for row in data.rows)
    first = data.rows[0]
    assert [m.role for m in first.prompt.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert first.answers[0].startswith("No, sorry!  All of these")
    assert first.answers[1].startswith("There are lots of funny things")


def test_gsm8k_keeps_its_answers_for_programs(real: Path) -> None:
    file = str(real / "gsm8k_train_500.jsonl")
    with pytest.raises(Unreadable, match=r'keys question, answer; .* columns = \{ prompt = "question" \}'):
        read_rows(file)
    rows = read_rows(file, {"prompt": "question"})
    assert len(rows) == 500
    assert all("####" in str(row.prompt.columns["answer"]) for row in rows)
