"""Killed at random moments and resumed, a run comes out as if nothing had happened (``bench/kill.py``)."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from e2e.sameness import differences
from safetensors.numpy import load_file, save_file


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = Path(__file__).parents[2] / "bench" / "kill.py"
    spec = importlib.util.spec_from_file_location("bench_kill", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_three_killed_runs_come_out_the_same(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    code = bench.main(["--runs", "3", "--seed", "3", "--json"])
    table = json.loads(capsys.readouterr().out)
    assert [killed["differences"] for killed in table["killed"]] == [[]] * 3
    assert (code, table["same"]) == (0, 3)
    assert all(killed["kills"] for killed in table["killed"]), "every one of them was killed"
    assert [killed["recorded_asked_again"] for killed in table["killed"]] == [0] * 3


@pytest.fixture
def copy(whole: Path, place: Path) -> Path:
    return Path(shutil.copytree(whole.parent, place / "runs")) / whole.name


def _turn_a_bit(run: Path) -> None:
    file = run / "imitate" / "model" / "model.safetensors"
    tensors = load_file(file)
    name = sorted(tensors)[0]
    raw = bytearray(tensors[name].tobytes())
    raw[0] ^= 1
    tensors[name] = type(tensors[name])(tensors[name].shape, tensors[name].dtype, bytes(raw))
    save_file(tensors, file, metadata={"format": "pt"})


def _lose_a_reading(run: Path) -> None:
    (segment,) = (run / "amplify" / "readings").iterdir()
    shutil.rmtree(segment.parent)


def _change_a_figure(run: Path) -> None:
    report = json.loads((run / "report.json").read_text("utf-8"))
    report["stages"][0]["result"]["after"]["value"] += 1e-9
    (run / "report.json").write_text(json.dumps(report), "utf-8")


def _forget_the_index(run: Path) -> None:
    from accord.stores.sql import SqlStore

    (run.parent / "accord.db").unlink()
    SqlStore(f"sqlite:///{run.parent}/accord.db").close()


@pytest.mark.parametrize("change", [_turn_a_bit, _lose_a_reading, _change_a_figure, _forget_the_index])
def test_what_is_not_the_same_is_told(change: Callable[[Path], None], whole: Path, copy: Path) -> None:
    assert differences(whole, copy) == []
    change(copy)
    assert differences(whole, copy)


def test_a_recorded_judgment_asked_again_is_counted(bench: ModuleType, tmp_path: Path) -> None:
    one, two, three = ("p", "a"), ("p", "b"), ("q", "c")
    note = tmp_path / "graded"
    note.write_text("".join(json.dumps(pair) + "\n" for pair in (two, three, three, one)), "utf-8")
    killed = bench.Killed()
    bench._count(killed, note, Counter([one]), Counter([one, two]))
    # two is new on disk; three was graded and lost, twice; one was on disk before and was asked again.
    assert (killed.asked, killed.asked_again, killed.recorded_asked_again) == (4, 3, 1)
