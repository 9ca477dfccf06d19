"""How a command ends that cannot go on: one message, one code, no traceback, and where to go on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from accord.cli import main
from accord.errors import ContractError, PlanError, Refused, Unreadable


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (
            PlanError("stage[0].method.n", 0, "at least 2", "raise it"),
            1,
            "stage[0].method.n = 0\n  allowed: at least 2",
        ),
        (Unreadable("data.jsonl", "JSON", "'{'", 3), 1, "data.jsonl:3: expected JSON"),
        (ContractError("X", "the promise", "else"), 1, "X broke its contract"),
        (Refused("the gate is not passed"), 2, "the gate is not passed"),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/x"),
            1,
            "No space left on device: runs/x\n  free",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "runs/x"),
            1,
            "Read-only file system: runs/x\n  choose",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs/x"),
            1,
            "Permission denied: runs/x\n  choose",
        ),
        (KeyboardInterrupt(), 130, "interrupted; nothing acknowledged is lost; run the same command again"),
        (
            ZeroDivisionError("division by zero"),
            1,
            "this is a bug in accord: ZeroDivisionError: division by zero",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "x"),
            1,
            "this is a bug in accord: FileNotFoundError",
        ),
        (
            ModuleNotFoundError("No", name="torch"),
            2,
            "torch is not installed; training and local models need it",
        ),
        (ModuleNotFoundError("No", name="peft.x"), 2, "Run:  pip install 'accord[train]'"),
        (ModuleNotFoundError("No module", name="numpy"), 1, "this is a bug in accord: ModuleNotFoundError"),
        (SystemExit(4), 4, ""),
    ],
)
def test_each_error_has_its_message_and_code(
    error: BaseException, code: int, says: str, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake("accord.pipeline.run", error)
    assert main(["run", "plan.toml", "--json"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert "Traceback" not in said.err


def test_a_bug_leaves_its_traceback_in_the_run(
    fake: Any, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    fake("accord.pipeline.run", ValueError("odd\nthing"), then=lambda: Path("runs/x-2").mkdir())
    assert main(["run", "plan.toml"]) == 1
    said = capsys.readouterr().err
    assert "this is a bug in accord: ValueError: odd thing\n" in said
    kept = Path(said.rpartition("the traceback is in ")[2].strip())
    assert kept.parent.samefile("runs/x-2")
    assert "ValueError: odd" in kept.read_text()


def test_a_bug_without_a_run_goes_to_the_temporary_folder(
    fake: Any, capsys: pytest.CaptureFixture[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("accord.doctor.examine", ValueError(""))
    assert main(["doctor"]) == 1
    assert "ValueError: no message" in capsys.readouterr().err
    assert [path.suffix for path in (here / "temporary").glob("traceback-*")] == [".txt"]
    monkeypatch.setattr("tempfile.tempdir", str(here / "gone"))
    assert main(["doctor"]) == 1
    assert "could not be written anywhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], "No such command"),
        (["run"], "--model is missing"),
        (["run", "plan.toml", "--sett", "a=b"], "No such option"),
        (["run", "plan.txt"], "does not end in .toml"),
        (["audit"], "Missing argument"),
        (["audit", "m", "--answers", "0"], "--answers"),
        (["audit", "m", "--max-tokens", "0"], "--max-tokens"),
        (["run", "none.toml"], "none.toml: expected a plan in TOML"),
        (["run", "plan.toml", "--set", "stage.a.windws=2"], 'did you mean "windows"?'),
    ],
)
def test_a_wrong_line_is_an_error_that_says_what_is_wrong(
    arguments: list[str], says: str, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake("accord.pipeline.run", None)
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""
    assert calls == []


def test_windows_is_told_that_it_is_not_supported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["doctor"]) == 1
    assert "Windows is not supported" in capsys.readouterr().err


# Interrupts


def test_an_interrupt_names_the_run_to_go_on_with(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def begun() -> None:
        Path("runs/x-2").mkdir()
        Path("runs/x-2/run.json").touch()

    fake("accord.pipeline.run", KeyboardInterrupt(), then=lambda: Path("runs/x-2").mkdir())
    assert main(["run", "plan.toml"]) == 130
    assert "run the same command again" in capsys.readouterr().err, "nothing yet to go on with"
    Path("runs/x-2").rmdir()
    fake("accord.pipeline.run", KeyboardInterrupt(), then=begun)
    assert main(["run", "plan.toml"]) == 130
    assert capsys.readouterr().err == (
        "accord: interrupted; nothing acknowledged is lost; go on with: accord resume runs/x-2\n"
    )
    Path("runs/x-1/run.json").touch()
    fake("accord.pipeline.resume", KeyboardInterrupt())
    assert main(["resume", "x-1"]) == 130
    assert "accord resume runs/x-1\n" in capsys.readouterr().err


def test_ctrl_c_in_a_real_process(here: Path) -> None:
    code = """
        import pathlib, sys, time, types
        from accord.cli import main
        def run(plan, *, runs, **rest):
            (runs / "x-9").mkdir()
            (runs / "x-9" / "run.json").touch()
            time.sleep(60)
        sys.modules["accord.pipeline"] = types.ModuleType("accord.pipeline")
        sys.modules["accord.pipeline"].run = run
        sys.exit(main(["run", "plan.toml", "--json"]))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (here / "runs/x-9/run.json").exists() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("go on with: accord resume runs/x-9\n")
    assert "Traceback" not in err


def test_a_reader_that_leaves_early_makes_no_noise(here: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "accord", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(write)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
