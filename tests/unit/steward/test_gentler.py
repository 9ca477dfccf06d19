"""After a Halt: the next method that presses less, as a command that could be typed; nothing is begun.

Mutants these kill: a step of the order passed without a reason, one that presses as much, a plan proposed
that cannot run, the command of a run that was not halted.
"""

from __future__ import annotations

from pathlib import Path
from shlex import split

import pytest
from unit.reports.written import ASK, HEAD, Script, make_run

from accord.cli import main
from accord.errors import Refused
from accord.plan import read_plan
from accord.steward.gentler import FORCES, gentler

STAGE = """
[[stage]]
name = "train"
windows = 2
source = {{ name = "{source}", {rows} = "rows.jsonl", per_window = 2 }}
method = {method}
"""
CHECK = "def brief(prompts, answers):\n    return [1.0 for _ in answers]\n"
PPO, DPO = '{ name = "grpo", n = 2 }', '{ name = "dpo" }'
BEST = '{ name = "compatible", inner = { name = "best_of_n", n = 2 } }'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(CHECK, "utf-8")
    return tmp_path


def run(
    place: Path, method: str, halted: bool = True, offline: bool = False, purpose: str = "explore"
) -> Path:
    source, rows = ("offline", "data") if offline else ("rollouts", "prompts")
    ask = "" if offline else ASK.replace('"m:brief"', f'"{place / "m.py"}:brief"')
    text = HEAD.replace("explore", purpose) + STAGE.format(source=source, rows=rows, method=method) + ask
    folder = make_run(place / "runs" / f"r{len(list(place.glob('runs/*')))}", text)
    with Script(folder, "train") as script:
        script.decide("halt" if halted else "continue", "page", "page: refusals fell")
    return folder


def test_each_method_gives_way_to_the_next_that_presses_less(place: Path) -> None:
    for method, offline, force, to in (
        (PPO, False, "every answer", "the worse of two"),
        ('{ name = "online_dpo", n = 2 }', False, "the worse of two", "constitution"),
        (DPO, True, "the worse of two", "constitution"),
        (BEST, False, "raises only", "asking alone"),
    ):
        found = gentler(run(place, method, offline=offline))
        assert (found.force, found.to) == (force, to), method
        assert FORCES.index(found.to) > FORCES.index(found.force)
        assert not found.passed and found.decision.reason == "page: refusals fell"
    halted = run(place, PPO, purpose="model")
    before = sorted(file for file in halted.rglob("*"))
    found = gentler(halted, "mine.toml")
    words = split(found.command)
    assert words[:3] == ["accord", "run", str(halted / "plan.toml")] and found.gated
    changed = read_plan(halted / "plan.toml").set([words[-1]])
    assert changed.stage[0].method.name == "online_dpo", "it is a plan that reads"
    assert sorted(halted.rglob("*")) == before, "nothing was begun or written"
    assert (
        gentler(run(place, DPO, offline=True), "mine.toml").command
        == "accord run --model tiny-base --values mine.toml"
    )


def test_what_cannot_be_done_with_its_rows_is_passed_over_and_says_why(place: Path) -> None:
    found = gentler(run(place, '{ name = "kto" }', offline=True))
    assert found.to == "constitution"
    revised = run(place, '{ name = "sft" }', offline=True)
    text = (revised / "plan.toml").read_text("utf-8").replace('"train"', '"revised"')
    (revised / "plan.toml").write_text(text, "utf-8")
    (revised / "train").rename(revised / "revised")
    found = gentler(revised)
    assert (found.force, found.to) == ("constitution", "asking alone")
    assert len(found.passed) == 1 and found.passed[0].startswith("raises only: ")
    with pytest.raises(Refused, match="was not halted"):
        gentler(run(place, PPO, halted=False))
    with pytest.raises(Refused, match="holds no run"):
        gentler(place)


def test_the_command_prints_it_and_begins_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    halted = run(place, DPO, offline=True)
    assert main(["run", "--from-halt", halted.name]) == 0
    said = capsys.readouterr().out
    assert "  accord run --model tiny-base --values VALUES" in said.splitlines()
    assert "VALUES: the values it was for" in said and said.rstrip().endswith("nothing was begun")
    assert main(["run", "--from-halt", halted.name, "--values", "mine.toml", "--json"]) == 0
    assert '"to": "constitution"' in capsys.readouterr().out
