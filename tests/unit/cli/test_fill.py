"""``accord label --fill`` before a model answers: which stage asks, how much, and what is said afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main
from accord.filling import Filled

HUMAN = '{ name = "human", queue = "labels.db" }'
STAGE = """
[[stage]]
name = "{name}"
windows = 1
source = {{ name = "labelled", queue = "labels.db" }}
method = {{ name = "dpo" }}
[[stage.ask]]
name = "pairs"
column = "p"
collapse = "distribution"
wording = "{wording}"
overseer = {overseer}
"""


@pytest.fixture
def filling(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What ``fill`` was called with; nothing is answered."""
    calls: list[Any] = []

    def fill(plan: Any, stage: Any, wanted: Any, progress: Any) -> Filled:
        calls.append((plan, stage.name, wanted))
        return Filled("labels.db", 38, 2)

    monkeypatch.setattr("accord.filling.fill", fill)
    return calls


def written(*stages: tuple[str, str, str]) -> None:
    head = 'name = "p"\npurpose = "explore"\nmodel = "m"\n'
    text = "".join(STAGE.format(name=n, wording=w, overseer=o) for n, w, o in stages)
    Path("p.toml").write_text(head + text)


def test_stages_that_ask_the_same_are_filled_at_once(
    filling: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    program = '{ name = "program", fn = "accord.overseers.program:brief" }'
    written(("warm", "", program), ("rm", "Which?", HUMAN), ("dpo", "Which?", HUMAN))
    assert main(["label", "--fill", "p.toml", "--set", "seed=3"]) == 0
    plan, stage, wanted = filling[0]
    assert (plan.seed, stage) == (3, "rm")
    assert wanted == (40, None, 2, 1.0, 128, ())
    told = capsys.readouterr().out
    assert "38 questions posted to labels.db, 2 were there" in told
    for onward in (
        "accord label labels.db --terminal",
        "accord serve --store labels.db",
        "accord run p.toml",
    ):
        assert onward in told


def test_what_is_wanted_is_what_was_said(filling: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    written(("rm", "Which?", HUMAN), ("dpo", "Which one?", HUMAN))
    many = ["--questions", "7", "--prompts", "q.jsonl", "--answers", "4"]
    how = ["--temperature", "0.5", "--max-tokens", "9", "--stage", "dpo", "--json"]
    heads = ["--reward-model", "rm", "--reward-model", "other"]
    assert main(["label", "--fill", "p.toml", *many, *how, *heads]) == 0
    assert filling[0][1:] == ("dpo", (7, "q.jsonl", 4, 0.5, 9, ("rm", "other")))
    told = json.loads(capsys.readouterr().out)
    assert (told["store"], told["posted"], told["there"], told["stage"]) == ("labels.db", 38, 2, "dpo")


def test_stages_that_ask_differently_are_told_apart(
    filling: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    written(("rm", "Which?", HUMAN), ("dpo", "Which one?", HUMAN))
    assert main(["label", "--fill", "p.toml"]) == 1
    assert "rm, dpo" in capsys.readouterr().err
    assert main(["label", "--fill", "p.toml", "--stage", "dqo"]) == 1
    assert "dpo" in capsys.readouterr().err
    assert filling == []
