"""Input that cannot be used: one clear message, its exit code, no traceback, nothing left to trip over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import Ended, accord
from e2e.tiny_runs import tiny_plan, write_files, write_plan


def source(prompts: Path | str) -> dict[str, Any]:
    return {"name": "rollouts", "prompts": str(prompts), "per_window": 4, "max_tokens": 10}


def nothing_left(place: Path) -> None:
    """No run was begun, and what stands of the runs folder holds nothing."""
    runs = place / "runs"
    assert not runs.exists() or list(runs.iterdir()) == []


def test_a_missing_model(run: Callable[..., Ended], said: Callable[..., Ended], place: Path) -> None:
    said(run(tiny_plan() | {"model": "./nowhere"}), 1, "./nowhere")
    nothing_left(place)
    second = tiny_plan()
    second["stage"][1]["model"] = "smollm2-135m-instuct"
    said(run(second), 1, "smollm2-135m-instuct", 'did you mean "smollm2-135m-instruct"?')
    nothing_left(place)


def test_a_truncated_model(
    run: Callable[..., Ended], said: Callable[..., Ended], files: Path, place: Path
) -> None:
    broken = place / "broken"
    shutil.copytree(files / "tiny", broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    said(run(tiny_plan() | {"model": str(broken)}), 1, "model.safetensors", "bytes")
    nothing_left(place)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"windws": 2}, ["stage[0].windws", 'did you mean "windows"?']),
        ({"method": {"name": "best_of_m"}}, ["stage[0].method", "best_of_m", 'did you mean "best_of_n"?']),
        ({"method": {"name": "best_of_n", "m": 3}}, ["stage[0].method.m", "n"]),
        ({"source": {"name": "rollouts", "prompts": "ask.jsonl", "tokens": 9}}, ["stage[0].source.tokens"]),
        ({"windows": 0}, ["stage[0].windows", "0"]),
        ({"held_out": {"prompts": "held-out.jsonl"}}, ["held-out.jsonl"]),
    ],
)
def test_a_plan_with_a_typo(
    wrong: dict[str, Any], told: list[str], run: Callable[..., Ended], said: Callable[..., Ended], place: Path
) -> None:
    said(run(tiny_plan(**wrong)), 1, *told)
    nothing_left(place)


def test_a_plan_that_is_no_toml(said: Callable[..., Ended], files: Path, place: Path) -> None:
    (place / "plan.toml").write_text('name = "tiny"\n\n[[stage]\n', encoding="utf-8")
    said(accord("run", place / "plan.toml", at=files), 1, "plan.toml:3", "TOML")
    said(accord("run", place / "none.toml", at=files), 1, "none.toml", "No such file")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"prompt": "a"}\n{"prompt": "b"\n', ["asked.jsonl:2", "one JSON object per line"]),
        ('{"prompt": "a"}\n\n["b"]\n', ["asked.jsonl:3", "one JSON object per line"]),
        ('{"prompt": "a"}\n{"promt": "b"}\n', ["asked.jsonl:2", '"prompt"']),
        ("", ["asked.jsonl", "no rows"]),
        ("\n \n", ["asked.jsonl", "no rows"]),
    ],
)
@pytest.mark.parametrize("where", ["source", "held_out", "guard"])
def test_data_that_cannot_be_read(
    text: str, told: list[str], where: str, run: Callable[..., Ended], said: Callable[..., Ended], place: Path
) -> None:
    data = place / "asked.jsonl"
    data.write_text(text, encoding="utf-8")
    plan = tiny_plan()
    plan["stage"][0][where] |= {"prompts": str(data)}
    said(run(plan), 1, *told)
    nothing_left(place)


def test_data_of_bytes_that_are_no_text(
    run: Callable[..., Ended], said: Callable[..., Ended], place: Path
) -> None:
    data = place / "asked.jsonl"
    data.write_bytes(b'{"prompt": "caf\xe9"}\n')
    said(run(tiny_plan(source=source(data))), 1, "asked.jsonl", "UTF-8")
    nothing_left(place)


def test_one_held_out_prompt_is_said_before_the_start(
    run: Callable[..., Ended], said: Callable[..., Ended], place: Path
) -> None:
    data = place / "few.jsonl"
    data.write_text('{"prompt": "only this"}\n', encoding="utf-8")
    said(
        run(tiny_plan(held_out={"prompts": str(data), "n": 2, "max_tokens": 4})),
        1,
        "few.jsonl",
        "two prompts",
    )
    nothing_left(place)


def test_a_reward_that_is_not_there(
    run: Callable[..., Ended], said: Callable[..., Ended], place: Path
) -> None:
    plan = tiny_plan()
    plan["stage"][0]["ask"][0]["overseer"]["fn"] = "reward.py:largest_letters"
    said(run(plan), 1, "reward.py", "largest_letters")
    nothing_left(place)


def test_a_reward_that_raises_is_missing_evidence(
    run: Callable[..., Ended], files: Path, place: Path
) -> None:
    (place / "sick.py").write_text("def grade(prompts, answers):\n    raise OSError(0)\n", "utf-8")
    plan = tiny_plan(only=True)
    del plan["stage"][0]["held_out"]
    plan["stage"][0]["ask"][0]["overseer"]["fn"] = "sick.py:grade"
    paused = run(plan)
    assert paused.code == 5, paused
    assert "12 of 12 rows of window 0 have no verdict" in paused.out
    assert "Traceback" not in paused.out + paused.err


def test_a_second_run_starts_clean_where_the_first_one_failed(
    run: Callable[..., Ended], said: Callable[..., Ended], files: Path, place: Path
) -> None:
    said(run(tiny_plan() | {"model": "./nowhere"}), 1, "./nowhere")
    done = run(tiny_plan(only=True, windows=1))
    assert done.code == 0, done
    taken = said(run(tiny_plan(only=True, windows=1)), 2, "exists", f"accord resume {place}/runs/tiny")
    assert "--name" in taken.err
    unknown = said(accord("resume", "tny", "--runs", place / "runs", at=files), 1, "tny")
    assert 'did you mean "tiny"?' in unknown.err
    said(accord("resume", place, at=files), 2, "holds no run")


def test_unicode_in_paths_and_prompts(place: Path) -> None:
    here = write_files(place / "流れ und Größe 🙂")
    write_plan(here / "plan.toml", tiny_plan(only=True, windows=1))
    runs = place / "läufe mit leer"
    done = accord("run", here / "plan.toml", "--runs", runs, "--json", at=place)
    assert done.code == 0, done
    told = json.loads(done.out)
    assert told["folder"] == f"{runs}/tiny-1"
    again = accord("resume", runs / "tiny-1", "--json", at=place)
    assert again.code == 0 and json.loads(again.out)["headline"] == told["headline"]
    logs = (runs / "tiny-1/amplify/episodes").iterdir()
    assert any("何ですか" in file.read_text("utf-8") for file in logs)
    assert "流れ und Größe 🙂" in (runs / "tiny-1/report.html").read_text("utf-8")
