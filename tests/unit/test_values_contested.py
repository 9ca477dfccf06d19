"""What is contested stands in a document to be watched. Mutants: one that is trained, hard, or not hashed; a
mistake in it without its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.test_values import TEXT, cases, written

from accord.errors import Unreadable
from accord.values import read_values

CONTESTED = TEXT.replace('[[principle]]\nid = "short"', '[[contested]]\nid = "short"')


def test_what_is_contested_is_there_to_be_watched_and_carries_no_signal(tmp_path: Path) -> None:
    values = read_values(written(tmp_path / "one", CONTESTED))
    assert [one.id for one in values.principles] == ["kind", "useful"]
    assert [one.id for one in values.contested] == ["short"]
    assert "Be brief." not in values.instruction() and values.instruction("short") == "Be brief."
    assert values["short"].target == 0.9 and values.program("short").names
    sealed = values.slices("short")[0].audit[0].prompt
    assert values.leaks([sealed]) == [sealed]
    plain = read_values(written(tmp_path / "two"))
    assert not plain.contested and plain.digest != values.digest
    other = CONTESTED.replace("Be brief.", "Be curt.")
    assert read_values(written(tmp_path / "three", other)).digest != values.digest
    again = tmp_path / "again.toml"
    again.write_text(values.toml(), encoding="utf-8")
    assert read_values(again).contested[0].id == "short" and cases(read_values(again)) == cases(values)
    beside = tmp_path / "one" / "beside.toml"
    beside.write_text(values.toml(beside.parent), encoding="utf-8")
    assert 'prompts = "rows.jsonl"' in beside.read_text("utf-8")
    assert read_values(beside).digest == values.digest


@pytest.mark.parametrize(
    ("right", "wrong", "line", "said"),
    [
        ("target = 0.9\n", "", 4, "contested[0].target"),
        ("target = 0.9", "target = 0.9\nhard = true", 10, "contested[0].hard = True"),
        ('id = "short"', 'id = "useful"', 5, "contested[0].id = 'useful'"),
        ("program:brief", "program:breif", 8, "contested[0].check"),
        ("[[principle]]", "[[contested]]", 1, "principle"),
    ],
)
def test_a_mistake_in_what_is_contested_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, line: int, said: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        read_values(written(tmp_path, CONTESTED.replace(right, wrong)))
    assert str(raised.value).startswith(f"{tmp_path / 'mine.toml'}:{line}: ")
    assert said in str(raised.value)
