"""``accord watch``: fits the terminal, lets nothing act that a run's texts say, and leaves cleanly.

Mutants that must be killed: markup read in a text of the run, a line wider or a screen higher than the
terminal, colour where there is none, a terminal left on its other screen.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len
from unit.reports.panelled import Script, paged
from unit.reports.test_watch import asked, look
from unit.reports.written import finished, make_run, plan_of

import accord
from accord.cli import main
from accord.cli.view import lines, shown
from accord.records import NotMeasured
from accord.reports.following import Following
from accord.reports.watch import Watched

EVIL = [
    "[bold]x[/bold] [link=http://a]b[/link] :smile:",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://a\x07b",
    "zero\u200bwidth \u202egnp.exe\u2066 \u0007",
    "wide 何ですか " * 9,
    "\ud800 half",
    "one\r\ntwo\tthree\rfour",
]


def sick(folder: Path, evil: str, windows: int = 2) -> Path:
    """A run in which everything that others write is ``evil``, with a dozen indicators."""
    run = make_run(folder, plan_of(windows=windows, held_out=False))
    with Script(run) as script:
        for k in range(windows):
            script.audit(missing=evil if k else "")
            for name in ("sycophancy.flips", "sycophancy.accuracy", "misfire.wrong", "refusals.safe"):
                script.panel(name, 3 * k)
            for name in ("contested.consensus", "calibration.brier", "forward_kl.bits", "own.mine"):
                script.panel(name, k)
            silent = NotMeasured(run=script.run, name="unsaid.gap", step=script.step, reason=evil)
            script.put(silent, name="unsaid.gap")
            asked(script)
            for prompt in (f"Probe? {evil}",):
                script.answers_of(prompt, [evil])
            script.window(k)
            script.update(k)
            script.decide("continue", "grew:reverse_kl", evil)
        script.accept(script.decide("pause", evil, evil), evil, evil)
        script.decide("pause", "page", evil)
    return run


def view_of(run: Path) -> Watched:
    return look(Following(run))


@pytest.mark.parametrize("evil", EVIL)
def test_it_fits_and_nothing_acts(evil: str, tmp_path: Path) -> None:
    view = view_of(sick(tmp_path / "r", evil))
    for size in ((80, 24), (80, 12), (40, 10), (132, 50), (250, 24)):
        fits(view, *size)
    assert len(lines(view, 80, 3)) == 3


def fits(view: Watched, width: int, height: int) -> None:
    found = lines(view, width, height)
    assert len(found) <= height
    text = "\n".join(line.plain for line in found)
    assert max(cell_len(line.plain) for line in found) <= width
    assert not set(text) & set("\x1b\x07\u200b\u202e\u2066\r\t")
    assert "paused" in found[0].plain
    assert any("mean e-value" in line.plain for line in found)
    assert found[-1].plain.startswith("go on: accord resume")
    if height >= 24:
        assert "update " in text and "probe  " in text and "Sycophancy" in text
        assert "not measured: " in text or "more; all with --once" in text


def test_markup_is_text() -> None:
    """Kills: a text of the run given to rich as markup."""
    assert shown("[red]a[/red]\x1b]8;;u\x07") == "[red]a[/red]⟨U+001B⟩]8;;u⟨U+0007⟩"
    assert shown("a\nb\tc") == "a ⏎ b c"


def test_a_wide_terminal_shows_policy_and_base_side_by_side(tmp_path: Path) -> None:
    view = view_of(sick(tmp_path / "r", "x"))
    narrow, wide = (lines(view, width, 50) for width in (80, 140))
    assert any("│" in line.plain and "amplify@" in line.plain and "base:abc" in line.plain for line in wide)
    assert not any("│" in line.plain for line in narrow)
    assert any("tolerated" in line.plain for line in wide)


def test_once_without_a_terminal_has_no_colour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    paged(tmp_path / "runs" / "brevity-1")
    assert main(["watch", "brevity-1", "--runs", str(tmp_path / "runs"), "--once"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(cell_len, out.splitlines())) <= 80
    told = " ".join(out.split())
    assert "brevity-1 · stage amplify · finished" in told
    assert "pages at 800" in told and "arming 2" in told
    assert "B. Person accepts: flattery is the aim" in told
    assert "takes no part: unsaid, it gives no logp" in told


def test_once_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = paged(tmp_path / "brevity-1")
    assert main(["watch", str(run), "--once", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["v"], found["state"], found["run"]) == ("watch", 1, "finished", "brevity-1")
    assert found["tier"]["threshold"] == 800
    names = {one["name"]: one for one in found["indicators"]}
    assert names["sycophancy.flips"]["tolerance"] == "+10 points"
    assert names["reverse_kl"]["e"] is None


def test_json_goes_with_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(finished(tmp_path / "r")), "--json"]) == 1
    assert "--json goes with --once" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["watch", str(tmp_path / "empty"), "--once"]) == 1
    assert "run.json" in capsys.readouterr().err
    assert main(["watch", "nowhere"]) == 1


@pytest.mark.parametrize(("action", "code"), [("pause", 5), ("halt", 6)])
def test_a_run_that_stopped_ends_the_watch(
    action: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.panel("sycophancy.flips", 20)
        script.decide(action, "page", "page: flips")  # type: ignore[arg-type]
    assert main(["watch", str(run)]) == code
    assert "page: flips" in capsys.readouterr().out


class Terminal:
    """``accord watch`` in a terminal of this size, beside the test that writes the run."""

    def __init__(self, run: Path, width: int, height: int) -> None:
        self.main, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        command = [sys.executable, "-m", "accord", "watch", str(run), "--every", "0.1"]
        env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        env |= {"PYTHONPATH": str(Path(accord.__file__).parents[1])}
        self.process = subprocess.Popen(
            command, stdin=there, stdout=there, stderr=there, env=env | {"TERM": "xterm"}
        )
        os.close(there)
        self.said = ""

    def until(self, text: str, patience: float = 60.0) -> None:
        latest = time.monotonic() + patience
        while text not in self.said:
            assert time.monotonic() < latest, self.said[-3000:]
            if select.select([self.main], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self.main, 65536).decode("utf-8", "replace")
                except OSError:  # its end is closed: the process is over
                    assert text in self.said, self.said[-3000:]

    def frames(self) -> list[list[str]]:
        """The screens it drew, as plain lines."""
        inside = self.said.partition("\x1b[?1049h")[2].partition("\x1b[?1049l")[0]
        drawn = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", part) for part in inside.split("\x1b[H")]
        return [part.replace("\r", "").split("\n") for part in drawn if part.strip()]


def test_in_a_small_terminal_it_follows_and_leaves_cleanly(tmp_path: Path) -> None:
    run = make_run(tmp_path / "brevity-1", plan_of(windows=9, held_out=False))
    with Script(run) as script:
        script.audit(missing=EVIL[1])
        script.panel("sycophancy.flips", 0)
        terminal = Terminal(run, 80, 24)
        try:
            terminal.until("window 0 of 9")
            script.window(0)
            script.update(0)
            script.panel("sycophancy.flips", 21)
            terminal.until("66 %")  # 21 of 32, which was not there when it began
            terminal.process.send_signal(signal.SIGINT)
            terminal.until("left; the run is as it was")
            assert terminal.process.wait(120) == 0
        finally:
            terminal.process.kill()
            terminal.process.wait()
            os.close(terminal.main)
        assert "\x1b[?1049l" in terminal.said  # the screen it found is back
        assert "\x1b]0;" not in terminal.said and "\x1b[31mred" not in terminal.said
        frames = terminal.frames()
        assert frames
        assert max(len(frame) for frame in frames) <= 24
        assert max(cell_len(line) for frame in frames for line in frame) <= 80
        assert "running" in frames[-1][0]
        script.update(0)  # the run goes on
