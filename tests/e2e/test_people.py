"""RLHF with people, end to end: the commands that docs/feedback.md walks through, in processes of their own.

A tiny model stands in for SmolLM2, and a script that comes over HTTP for the person; all else is as written
there. What people said is in the labelling database, what the run learnt from it leads back there.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from calling import Caller, shorter
from e2e.processes import Ended, Running, accord, start
from e2e.tiny_runs import GUARD, write_plan
from shape import pages, tree

from accord.frozen import LOCK, read_lock
from accord.records import Ranked, Reading
from accord.stores.people import People
from accord.stores.runlog import read_log

PAGE = (tree.ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
WALK = PAGE.partition("\n## RLHF with people, on a laptop\n")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^\$ accord (.+)$", WALK, re.MULTILINE)
PAIRS = 16  # so that some fall among the held-out


def small(plan: dict[str, Any], model: Path) -> dict[str, Any]:
    """The plan of the page on a tiny model, with two windows a stage and a guard that only sees faults."""
    changed = json.loads(json.dumps(plan).replace("smollm2-135m-instruct", str(model)))
    for stage in changed["stage"]:
        stage |= {"windows": 2, "guard": {**GUARD, "indicator": [], "rule": [{"name": "fault"}]}}
        stage["source"]["per_window"] = 6
        stage["learner"] |= {"rank": 2, "decode": "float32", "precision": "float32"}
    changed["stage"][0]["eval"]["every"] = 2
    changed["stage"][0]["method"]["rows_per_step"] = 6
    return changed


def served(running: Running) -> dict[str, Any]:
    """What ``accord serve --json`` says once it listens."""
    out = running._out  # read while the process runs
    assert running.until(lambda: out.exists() and "\n" in out.read_text(encoding="utf-8"))
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def walked(files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ended], list[str]]:
    """The walkthrough: its folder, how each command ended, and the judgments given on the way."""
    at = tmp_path_factory.mktemp("people")
    text = next(block.text for block in pages.blocks(PAGE) if block.file == "people.toml")
    write_plan(at / "people.toml", small(tomllib.loads(text), files / "tiny"))
    ended: dict[str, Ended] = {}
    said: list[str] = []
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "serve":
            running = start([*words, "--port", "0", "--json"], at)
            try:
                told = served(running)
                caller = Caller(told["url"], told["link"], "A. Rater")
                said += caller.answer_all(shorter)
                caller.close()
            finally:
                running.interrupt()
                ended["serve"] = running.end(60)
        elif words[0] == "label":
            fewer = ["--questions", str(PAIRS)] if "--fill" in words else []
            ended["fill"] = accord(*words, *fewer, "--json", at=at)
        else:
            ended[words[0]] = accord(*words, "--json", at=at)
    return at, ended, said


def test_the_page_walks_through_it_in_order() -> None:
    assert [shlex.split(command)[0] for command in COMMANDS] == ["label", "serve", "run", "explain"]
    assert shlex.split(COMMANDS[0])[1:3] == ["--fill", "people.toml"]


def test_every_command_does_what_the_page_says(
    walked: tuple[Path, dict[str, Ended], list[str]],
) -> None:
    _, ended, said = walked
    assert {name: one.code for name, one in ended.items()} == dict.fromkeys(
        ("fill", "serve", "run", "explain"), 0
    ), ended
    filled = json.loads(ended["fill"].out)
    assert (filled["posted"], filled["there"], filled["stage"]) == (PAIRS, 0, "rm")
    assert len(said) == len(set(said)) == PAIRS
    assert json.loads(ended["run"].out)["stages"] == ["rm", "dpo"]


def test_the_run_used_what_the_person_said_and_keeps_ids_only(
    walked: tuple[Path, dict[str, Ended], list[str]],
) -> None:
    at, _, said = walked
    with People.open(at / "labels.db") as people:
        standing = {one.judgment.id: one.judgment for one in people.current()}
    assert set(standing) == set(said)
    assert all(isinstance(judgment.verdict, Ranked) for judgment in standing.values())
    run = at / "runs" / "people"
    locked = {e["judgment"] for e in read_lock(run / "rm" / LOCK) if "judgment" in e}
    assert locked, "the reward model was trained on judgments"
    assert locked < set(said), "and not on those of the held-out prompts"
    held_out = re.compile(rb"[0-9]+ characters")  # the rationale of every judgment
    told = [file for file in run.rglob("*") if file.is_file() and held_out.search(file.read_bytes())]
    assert told == [], "what the person wrote stands in no file of the run"


def test_a_figure_of_each_stage_leads_to_a_judgment(
    walked: tuple[Path, dict[str, Ended], list[str]],
) -> None:
    at, ended, said = walked
    paths = json.loads(ended["explain"].out)["stages"]
    assert [path["stage"] for path in paths] == ["rm", "dpo"]
    for path in paths:
        kinds = [step["kind"] for step in path["steps"]]
        assert kinds[-4:] == ["judgment", "question", "response", "prompt"], kinds
        (judgment,) = [step for step in path["steps"] if step["kind"] == "judgment"]
        assert judgment["record"] in said
        assert "(a person)" in judgment["says"]
        assert judgment["text"].endswith(" characters"), "the reason that was given"
    readings = read_log(at / "runs" / "people" / "rm").records("reading")
    evaluated = [one for one in readings if isinstance(one, Reading) and one.name == "eval.accuracy"]
    assert [one.step for one in evaluated] == [0, 2], "it was read on pairs that it had not seen"
    assert all(one.n >= 2 for one in evaluated)
