"""``accord chat``: turns that build on each other, commands, pipes, and what is no partner for a talk."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main
from accord.cli.chat import columns
from accord.testing import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_tiny(folder, seed=0, layers=1, width=16)
    yield str(folder)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Pipes lines into a chat; gives its code and what it wrote."""

    def said(lines: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        capsys.readouterr()
        code = main(["chat", *words, "--max-tokens", "4"])
        return code, *capsys.readouterr()

    return said


def test_equal_seeds_give_equal_talks(says: Any, tiny: str) -> None:
    code, first, _ = says("Hello?\n\nAnd then?\n", tiny, "--json", "--system", "Be brief.")
    assert code == 0
    told = json.loads(first)
    assert [turn["you"] for turn in told["turns"]] == ["Hello?", "And then?"]
    assert told["models"][0]["name"] == tiny
    assert {len(turn["answers"]) for turn in told["turns"]} == {1}
    assert says("Hello?\nAnd then?\n", tiny, "--json", "--system", "Be brief.")[1] == first
    assert json.loads(says("Hello?\n", tiny, "--json", "--seed", "1")[1])["turns"] != told["turns"][:1]


def test_a_turn_builds_on_those_before_it(says: Any, tiny: str, here: Path) -> None:
    lines = "Hello?\nAnd then?\n/save said.jsonl\n/reset\nHello?\n/save again.jsonl\n/save said.jsonl\n"
    code, _, err = says(lines, tiny, "--beside", tiny, "--system", "Be brief.")
    assert code == 0
    rows = [json.loads(line) for line in Path("said.jsonl").read_text("utf-8").splitlines()]
    assert [row["model"] for row in rows] == [tiny, f"{tiny} (2)"]
    for row in rows:
        assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant", "user", "assistant"]
        assert [m["content"] for m in row["messages"]][0:2] == ["Be brief.", "Hello?"]
    (again, _) = [json.loads(line) for line in Path("again.jsonl").read_text("utf-8").splitlines()]
    assert len(again["messages"]) == 3
    assert "said.jsonl is there already" in err
    assert "a new conversation" in err


def test_an_answer_is_one_to_all_that_was_said(says: Any, tiny: str) -> None:
    """The mutant that forgets earlier turns answers the second line as if it were alone."""

    def prompts(lines: str) -> int:
        from accord.engines.local.sampler import LocalSampler

        seen: list[int] = []
        whole = LocalSampler.sample

        async def sample(self: Any, prompts: Any, n: int, how: Any) -> Any:
            seen.append(len(prompts[0].messages))
            return await whole(self, prompts, n, how)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(LocalSampler, "sample", sample)
            assert says(lines, tiny)[0] == 0
        return seen[-1]

    assert prompts("Hello?\n") == 1
    assert prompts("Hello?\nAnd then?\nAnd then?\n") == 5
    assert prompts("Hello?\nAnd then?\n/reset\nHello?\n") == 1


def test_commands_end_or_are_explained(says: Any, tiny: str) -> None:
    code, out, err = says("/help\n/quit\nHello?\n", tiny)
    assert (code, out) == (0, "")
    assert "/save FILE" in err
    told = json.loads(says("//slashed\n/reset\n", tiny, "--json")[1])
    assert [turn["you"] for turn in told["turns"]] == ["/slashed"]
    assert says("", tiny)[:2] == (0, "")


def test_once_says_one_thing(says: Any, tiny: str) -> None:
    code, out, _ = says("not read\n", tiny, "--once", "Hello?", "--beside", tiny)
    assert code == 0
    assert out.count(f"{tiny}: ") == 1 and out.count(f"{tiny} (2): ") == 1
    assert out.splitlines()[0].startswith(f"{tiny}: ")


def test_ctrl_c_while_a_line_is_waited_for_ends_it(says: Any, tiny: str, monkeypatch: Any) -> None:
    class Stdin(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("io.StringIO", Stdin)
    code, out, err = says("", tiny)
    assert (code, out) == (0, "")
    assert "Traceback" not in err


def test_what_cannot_be_talked_to(says: Any, tiny: str, here: Path) -> None:
    code, _, err = says("", "no-such-model")
    assert code == 1 and "no-such-model" in err
    code, _, err = says("", tiny, "--beside", "base")
    assert code == 2 and "is no run" in err
    unfinished = here / "runs" / "x-1"
    (unfinished / "run.json").write_text("{}")
    (unfinished / "plan.toml").write_text(Path("plan.toml").read_text())
    for which in ("x-1", "runs/x-1"):
        code, _, err = says("", which)
        assert code == 2 and "accord resume runs/x-1" in err


def test_a_folder_that_cannot_be_written_does_not_end_the_talk(says: Any, tiny: str) -> None:
    code, out, err = says("/save nowhere/x.jsonl\nHello?\n", tiny, "--json")
    assert code == 0 and "cannot be written" in err
    assert len(json.loads(out)["turns"]) == 1


def test_two_columns_where_there_is_room() -> None:
    texts = [("left", "yes " * 20), ("right", "何" * 30 + "\nso")]
    wide = columns(texts, 80)
    assert wide[0] == "left" + " " * 35 + "│ right"
    assert all(line[38:41] == " │ " for line in wide)
    assert wide[-1].endswith("│ so") and wide[2].startswith("yes yes")
    assert columns(texts, 79)[0].startswith("left: yes")
    assert columns(texts[:1], 80) == ["yes " * 20]
    assert columns([("a", "")], 80) == [""]
