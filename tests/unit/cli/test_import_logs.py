"""``accord import logs``: every key on the screen, the notes above them, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main

STATES = Path(__file__).parents[1] / "stores" / "foreign" / "trl_states"


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_what_became_of_each_key_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "logs", str(STATES / "kto.json"), "--name", "first"]) == 0
    said = out(capsys).splitlines()
    assert said[0] == "IMPORTED into runs/first; imports never page, because nobody drew the probes"
    assert said[2] == "stage kto: 3 logged steps of kto, by TRL (kto.json, json)"
    assert any(line.split() == ["kl", "z0", "3", "alias"] for line in said)
    assert any(line.split()[:2] == ["logps/chosen", "3"] for line in said[said.index("not mapped:") :])
    assert said[-2:] == ["accord report runs/first", "accord explain runs/first"]
    assert main(["explain", "first"]) == 0
    assert out(capsys).startswith(
        "first, stage kto: imported: 3 logged steps, up to update 6; imports never page"
    )
    assert main(["report", "first"]) == 0


def test_machines_get_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "logs", str(STATES / "sft.json"), str(STATES / "dpo.json"), "--json"]) == 0
    document: dict[str, Any] = json.loads(out(capsys))
    assert (document["run"], list(document["stages"])) == ("sft-1", ["sft", "dpo"])
    assert document["pages"].startswith("none: imports never page")
    assert {"key": "loss", "name": "objective", "rule": "alias", "rows": 3} in document["stages"]["sft"][
        "mapped"
    ]


def test_an_untested_tool_says_so_and_a_key_of_two_names_is_decided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("o.jsonl").write_text('{"step": 1, "train/actor_lr": 0.1, "kl_loss": 1, "train/reward": NaN}\n')
    assert main(["import", "logs", "o.jsonl"]) == 1
    said = capsys.readouterr().err
    assert "kl_token and objective" in said and "--map kl_loss=kl_token" in said
    assert main(["import", "logs", "o.jsonl", "--map", "kl_loss=kl_token"]) == 0
    said = out(capsys)
    assert "by OpenRLHF, untested against a live run (o.jsonl, jsonl)" in said
    assert "  train/reward is not finite in 1 row; it stays so" in said
    assert main(["import", "logs", "o.jsonl", "--map", "kl_loss"]) == 1
    assert "KEY=NAME" in capsys.readouterr().err


def test_an_imported_run_cannot_be_run_or_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "logs", str(STATES / "sft.json"), "--name", "x"]) == 0
    assert main(["run", "runs/x/plan.toml"]) == 1
    assert "imported" in capsys.readouterr().err
    assert main(["resume", "x"]) == 2
    assert "imported log of another tool" in capsys.readouterr().err


def test_what_cannot_be_read_is_said_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "logs", "none.jsonl"]) == 1
    assert capsys.readouterr().err.startswith("accord: none.jsonl: expected a log that can be read")
    assert not list(Path("runs").glob("none*"))
