"""Mutants these kill: an error without its line or with another's, a slice counted over the whole file, a
half that depends on the place in the file or the principle, a digest that knows where files lie, ballots that
are added up."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.errors import PlanError, Unreadable
from accord.records import Prompt
from accord.stores.foreign.prompts import part_of
from accord.values import Case, Contrast, Values, read_values

ROWS = [{"prompt": f"Question {n}?", "slice": "a" if n % 2 else "b"} for n in range(60)]
TEXT = """\
# Values of a test.
name = "mine"

[[principle]]
id = "short"
kind = "rule"
text = "Be brief."
check = "accord.overseers.program:brief"
target = 0.9
prompts = "rows.jsonl"

[[principle]]
id = "kind"
kind = "virtue"
text = \"\"\"
Be kind.
[[principle]]
id = "not a table"
\"\"\"
judge = "person"
target = 0.8
prompts = "rows.jsonl"
hard = true
adopted_by = [
  { group = "all", yes = 41, no = 3, abstain = 6 },
  { group = "night shift", yes = 4, no = 9 },
]

[[principle]]
id = "useful"
kind = "outcome"
text = "Be useful."
judge = "smollm2-135m-instruct"
prompts = "rows.jsonl"
"""


def written(folder: Path, text: str = TEXT, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / "mine.toml"
    file.write_text(text, encoding="utf-8")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    return file


def cases(values: Values, principle: str = "short") -> list[Case]:
    return [case for one in values.slices(principle) for case in (*one.audit, *one.training)]


def test_a_document_is_read(tmp_path: Path) -> None:
    values = read_values(written(tmp_path))
    short, kind, useful = values.principles
    assert (values.name, short.id, kind.kind, useful.judge) == (
        "mine",
        "short",
        "virtue",
        "smollm2-135m-instruct",
    )
    assert (short.target, short.hard, kind.hard, useful.target) == (0.9, False, True, None)
    assert kind.text.startswith("Be kind.\n[[principle]]")
    assert values["kind"] is kind
    assert values.instruction("short", "useful") == "Be brief.\nBe useful."
    assert values.instruction().startswith("Be brief.\nBe kind.")
    assert values.program("short").names == ("accord.overseers.program:brief",)
    assert values.program("kind") is None
    assert read_values(str(tmp_path / "mine.toml")).digest == values.digest
    with pytest.raises(PlanError, match='did you mean "short"'):
        values.slices("shrot")


def test_ballots_are_kept_as_a_split(tmp_path: Path) -> None:
    ballots = read_values(written(tmp_path))["kind"].adopted_by
    assert [ballot.told for ballot in ballots] == [
        "all: 41 yes, 3 no, 6 abstained",
        "night shift: 4 yes, 9 no, 0 abstained",
    ]
    assert [round(ballot.share, 3) for ballot in ballots] == [0.932, 0.308]


# Mistakes, each with the line it stands in and a word of what is said.

MISTAKES = [
    ('name = "mine"', 'nmae = "mine"', 2, "nmae", 'did you mean "name"?'),
    ('kind = "rule"', 'knid = "rule"', 6, "principle[0].knid", 'did you mean "kind"?'),
    ('kind = "virtue"', 'kind = "virtu"', 14, "principle[1].kind", 'did you mean "virtue"?'),
    ('id = "useful"', 'id = "short"', 30, "principle[2].id", "principle[0] has it"),
    ('id = "useful"', 'id = "Use ful"', 30, "principle[2].id", "lower-case letters"),
    ("target = 0.9\n", "", 4, "principle[0].target", "a rule needs it"),
    ("target = 0.8\n", "", 12, "principle[1].target", "a virtue needs it"),
    ("target = 0.9", "target = 95", 9, "principle[0].target = 95", "at most 1"),
    ("target = 0.9", 'target = "high"', 9, "principle[0].target", "a number"),
    ('judge = "smollm2-135m-instruct"', 'judge = "person"\nhard = true', 34, "principle[2].hard", "a rule"),
    ('judge = "smollm2-135m-instruct"\n', "", 29, "principle[2].check", "nobody could say"),
    ('judge = "person"', 'judge = "person"\ncheck = "a:b"', 20, "principle[1].judge", "one of the two"),
    ("program:brief", "program:breif", 8, "principle[0].check", "no function"),
    ("accord.overseers.program:brief", "accord.no_such:brief", 8, "principle[0].check", "cannot import it"),
    ("accord.overseers.program:brief", "checks.py:brief", 8, "principle[0].check", "no file"),
    ("accord.overseers.program:brief", "brief", 8, "principle[0].check", "module:function"),
    ("accord.overseers.program:brief", "os:getcwd", 8, "principle[0].check", "takes the prompts"),
    ("hard = true", 'hard = "yes"', 23, "principle[1].hard", "true or false"),
    ('text = "Be brief."', 'text = " "', 7, "principle[0].text", "not empty"),
    ("yes = 4,", "yes = -4,", 24, "principle[1].adopted_by[1].yes", "at least 0"),
    ("yes = 4, no = 9", "yes = 0, no = 0", 24, "principle[1].adopted_by[1].yes", "leave the group out"),
    ("night shift", "all", 24, "principle[1].adopted_by[1].group", "one ballot for each group"),
    ("no = 9", "no = 9, abstian = 1", 24, "principle[1].adopted_by[1].abstian", 'did you mean "abstain"?'),
    ('0.8\nprompts = "rows', '0.8\nprompts = "rwos', 22, "principle[1].prompts", "a file of JSON lines"),
    ('prompts = "rows.jsonl"\n\n', "\n", 4, "principle[0].prompts", "it is missing"),
    ("[[principle]]\nid = \"useful\"", "[principle]\nid = \"useful\"", 29, "expected TOML", "principle"),
    ('id = "short"', 'id = "short', 5, "expected TOML", "found"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "line", "where", "said"), MISTAKES)
def test_a_mistake_names_file_and_line(
    tmp_path: Path, right: str, wrong: str, line: int, where: str, said: str
) -> None:
    assert TEXT.count(right) >= 1
    file = written(tmp_path, TEXT.replace(right, wrong, 1))
    with pytest.raises(Unreadable) as raised:
        read_values(file)
    told = str(raised.value)
    assert told.startswith(f"{file}:{line}: expected "), told
    assert where in told and said in told, told


@pytest.mark.parametrize("text", ['name = "mine"\n', '# values\n\nname = "mine"\nprinciple = []\n'])
def test_no_principle_is_nothing_to_align_to(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable, match=r"mine\.toml:\d: expected one \[\[principle\]\] or more"):
        read_values(written(tmp_path, text))


def test_lines_are_found_with_other_ends_and_inline_tables(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    file.write_bytes(("\ufeff" + TEXT.replace("target = 0.8", "target = 8")).replace("\n", "\r\n").encode())
    with pytest.raises(Unreadable, match=r"mine\.toml:21:"):
        read_values(file)
    inline = 'name = "mine"\n\n# all in one\nprinciple = [\n  { id = "x", kind = "rule" },\n]\n'
    with pytest.raises(Unreadable, match=r"mine\.toml:4: .*\n.*principle\[0\]"):
        read_values(written(tmp_path, inline))


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match='did you mean "minimal"'):
        read_values("minimum")
    with pytest.raises(PlanError, match="hhh, minimal"):
        read_values(tmp_path / "none.toml")
    file = tmp_path / "latin.toml"
    file.write_bytes(b'name = "\xff"')
    with pytest.raises(Unreadable, match="UTF-8"):
        read_values(file)


# Prompts


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Q?", "slice": "a", "contrasts": ["x", "y"]}, 'did you mean "contrast"?'),
        ({"prompt": "Q?"}, '"slice": text'),
        ({"prompt": " ", "slice": "a"}, '"prompt": text'),
        ({"prompt": ["Q?"], "slice": "a"}, '"prompt": text'),
        ({"prompt": "Q?", "slice": "a", "contrast": ["x"]}, "two texts that differ"),
        ({"prompt": "Q?", "slice": "a", "contrast": ["x", "x "]}, "two texts that differ"),
        ({"prompt": "Q?", "slice": "a", "contrast": ["x", "y", 3]}, "two texts that differ"),
        ({"prompt": "Q?", "slice": "a", "contrast": "x"}, "two texts that differ"),
        ({"prompt": "question  3?", "slice": "b"}, "the same as in line 4"),
    ],
)
def test_a_row_that_is_none_is_named_by_its_line(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_values(written(tmp_path, rows=[*ROWS, row]))
    assert str(raised.value).startswith(f"{tmp_path / 'rows.jsonl'}:61: ")
    assert said in str(raised.value)


def test_every_slice_has_enough_prompts(tmp_path: Path) -> None:
    few = [*ROWS, *({"prompt": f"More {n}?", "slice": "c"} for n in range(19))]
    with pytest.raises(Unreadable, match=r"(?s)mine\.toml:10: expected 20 prompts.*slice 'c' has 19"):
        read_values(written(tmp_path, rows=few))
    enough = [*few, {"prompt": "One more?", "slice": "c"}]
    found = read_values(written(tmp_path, rows=enough)).slices("short")
    assert [one.name for one in found] == ["a", "b", "c"]
    with pytest.raises(Unreadable, match=r"(?s)mine\.toml:10: .*it is empty"):
        read_values(written(tmp_path, rows=[]))


def test_a_slice_all_on_one_side_is_refused(tmp_path: Path) -> None:
    many = [{"prompt": f"Extra {n}?", "slice": "x"} for n in range(80)]
    (one,) = read_values(written(tmp_path, rows=many)).slices("short")
    for half in (one.audit, one.training):
        rows = [*ROWS, *({"prompt": case.prompt.text, "slice": "x"} for case in half[:25])]
        with pytest.raises(Unreadable, match=r"(?s)mine\.toml:10: .*both halves.*slice 'x'"):
            read_values(written(tmp_path, rows=rows))


def test_halves_share_nothing_make_up_the_slice_and_stay_when_others_come(tmp_path: Path) -> None:
    values = read_values(written(tmp_path))
    before = {case.prompt.text: bool(values.leaks([case.prompt])) for case in cases(values)}
    for one in values.slices("short"):
        audit, training = ({case.prompt.text for case in half} for half in (one.audit, one.training))
        assert not audit & training
        assert audit | training == {row["prompt"] for row in ROWS if row["slice"] == one.name}
        assert min(len(audit), len(training)) >= 8, "halves by hash are about halves"
        assert all(before[text] for text in audit) and not any(before[text] for text in training)
    grown = [{"prompt": f"New {n}?", "slice": "b"} for n in range(30)] + [
        {**row, "slice": "other"} for row in reversed(ROWS)
    ]
    later = read_values(written(tmp_path / "later", rows=grown))
    assert {
        case.prompt.text: bool(later.leaks([case.prompt])) for case in cases(later)
    }.items() >= before.items()


def test_what_is_sealed_is_known_however_it_is_written(tmp_path: Path) -> None:
    values = read_values(written(tmp_path))
    sealed = values.slices("short")[0].audit[0].prompt.text
    free = values.slices("short")[0].training[0].prompt.text
    given = [
        Prompt.of(sealed),
        Prompt.of(f" {sealed.upper()}\n"),
        Prompt.of(free),
        Prompt.of("Something else?"),
    ]
    assert values.leaks(given) == given[:2]


def test_the_halves_do_not_follow_the_parts_of_a_data_file(tmp_path: Path) -> None:
    rows = [{"prompt": f"Prompt number {n}, please.", "slice": "a"} for n in range(400)]
    (one,) = read_values(written(tmp_path, rows=rows)).slices("short")
    assert abs(len(one.audit) - 200) < 40
    trained = sum(part_of(case.prompt) == "train" for case in one.audit) / len(one.audit)
    assert 0.6 < trained < 0.8, "train is 70 % of either half"


def test_contrasts_come_with_their_prompt(tmp_path: Path) -> None:
    rows = [*ROWS[1:], {"prompt": "Question 0?", "slice": "b", "contrast": ["Yes.", "No."]}]
    found = {case.prompt.text: case.contrast for case in cases(read_values(written(tmp_path, rows=rows)))}
    assert found["Question 0?"] == Contrast(complying="Yes.", violating="No.")
    assert found["Question 1?"] is None


# The digest


def test_the_digest_is_of_what_is_said_and_asked_and_not_of_where(tmp_path: Path) -> None:
    values = read_values(written(tmp_path / "one"))
    there = written(
        tmp_path / "two" / "deep",
        TEXT.replace('"rows.jsonl"', '"./rows.jsonl"') + "\n# a comment\n",
        ROWS[::-1],
    )
    assert read_values(there).digest == values.digest
    assert re.fullmatch(r"[0-9a-f]{64}", values.digest)
    head, *principles = TEXT.split("\n\n[[principle]]\n")
    turned = "\n\n[[principle]]\n".join([head, *principles[::-1]])
    assert read_values(written(tmp_path / "turned", turned)).digest == values.digest
    defaults = TEXT.replace('prompts = "rows.jsonl"\n\n', 'prompts = "rows.jsonl"\nhard = false\n\n', 1)
    assert read_values(written(tmp_path / "three", defaults)).digest == values.digest


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('name = "mine"', 'name = "yours"'),
        ("Be useful.", "Be useful!"),
        ("target = 0.8", "target = 0.81"),
        ("hard = true", "hard = false"),
        ("no = 9", "no = 8"),
        ("program:brief", "program:short"),
        ('id = "useful"', 'id = "helpful"'),
    ],
)
def test_whatever_is_said_differently_has_another_digest(tmp_path: Path, right: str, wrong: str) -> None:
    values = read_values(written(tmp_path / "one"))
    assert read_values(written(tmp_path / "two", TEXT.replace(right, wrong))).digest != values.digest


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Question 0!", "slice": "b"},
        {"prompt": "Question 0?", "slice": "a"},
        {"prompt": "Question 0?", "slice": "b", "contrast": ["x", "y"]},
    ],
)
def test_whatever_is_asked_differently_has_another_digest(tmp_path: Path, row: dict[str, Any]) -> None:
    values = read_values(written(tmp_path / "one"))
    assert read_values(written(tmp_path / "two", rows=[row, *ROWS[1:]])).digest != values.digest


def test_it_can_be_written_into_a_run_and_read_from_anywhere(tmp_path: Path) -> None:
    source = tmp_path / "source"
    file = written(source, TEXT.replace("accord.overseers.program:brief", "own.py:fine"))
    (source / "own.py").write_text("def fine(prompts, answers):\n    return [1.0 for _ in answers]\n")
    values = read_values(file)
    (fine,) = values.program("short").graders
    assert fine(["?"], ["x"]) == [1.0], "a file of one's own is named from the document's folder"
    run = tmp_path / "run" / "values.toml"
    run.parent.mkdir()
    run.write_text(values.toml(), encoding="utf-8")
    again = read_values(run)
    assert again.principles[1] == values.principles[1].model_copy(
        update={"prompts": str(source / "rows.jsonl")}
    )
    assert cases(again) == cases(values)
    assert again.program("short").graders == (fine,)
