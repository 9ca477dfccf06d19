"""Three faces of progress, and what a result looks like."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from accord.cli import show
from accord.progress import Silent


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_lines_come_at_most_every_two_seconds(clock: Clock) -> None:
    out = io.StringIO()
    lines = show.Lines(out, every=2.0, clock=clock)
    lines.begin("sampling", 10)
    for _ in range(10):
        clock.now += 0.5
        lines.advance(1)
    assert out.getvalue().splitlines() == [
        "sampling 0 %",
        "sampling 40 % · 3 s left",
        "sampling 80 % · 1 s left",
    ]


def test_a_line_holds_share_time_left_and_the_last_note(clock: Clock) -> None:
    out = io.StringIO()
    lines = show.Lines(out, every=0, clock=clock)
    lines.begin("training", 4)
    clock.now += 60
    lines.advance(1, "loss 2.1")
    clock.now += 60
    lines.advance(1)
    lines.advance(2)
    assert out.getvalue().splitlines() == [
        "training 0 %",
        "training 25 % · 3 min 0 s left · loss 2.1",
        "training 50 % · 2 min 0 s left · loss 2.1",
        "training 100 % · loss 2.1",
    ]


def test_a_new_phase_starts_from_nothing_and_a_closed_one_is_silent(clock: Clock) -> None:
    out = io.StringIO()
    lines = show.Lines(out, every=0, clock=clock)
    lines.begin("one", 2)
    lines.advance(1, "note")
    lines.begin("two")
    lines.advance(5)
    lines.end()
    lines.advance(1)
    assert out.getvalue().splitlines() == ["one 0 %", "one 50 % · 0 s left · note", "two", "two"]


def test_what_is_said_is_never_held_back(clock: Clock) -> None:
    out = io.StringIO()
    lines = show.Lines(out, clock=clock)
    lines.begin("one")
    lines.say("[bold]as it is")
    lines.say("again")
    assert out.getvalue().splitlines() == ["one", "[bold]as it is", "again"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_face_fits_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with show.Screen(quiet=True).working() as progress:
        assert isinstance(progress, Silent)
    with show.Screen().working() as progress:
        assert isinstance(progress, show.Lines)
    monkeypatch.setattr("sys.stderr", Terminal())
    with show.Screen().working() as progress:
        assert isinstance(progress, show.Bar)
    with show.Screen(quiet=True).working() as progress:
        assert isinstance(progress, Silent)


def test_the_bar_shows_phase_note_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    with show.Bar() as bar:
        bar.begin("sampling [x]", 4)
        bar.advance(1, "25 of 100")
        bar._bars.refresh()
        bar.say("a line [that] stays")
        bar.begin("training")
        bar.advance()
        bar.end()
        bar.end()
        bar.advance()
    said = terminal.getvalue()
    assert "sampling [x]" in said
    assert " 25%" in said
    assert "25 of 100" in said
    assert "a line [that] stays\n" in said


def test_a_phase_that_ends_leaves_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    bar = show.Bar()
    bar._bars.live.console = Console(file=io.StringIO())
    bar.begin("a", 1)
    bar.begin("b", 1)
    assert [task.description for task in bar._bars.tasks] == ["b"]
    bar.end()
    assert bar._bars.tasks == []


def test_nothing_printed_inside_reaches_stdout_under_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = show.Screen(json=True)
    with screen.working():
        sys.stdout.write("noise\n")
    screen.give({"a": (1, float("inf")), "b": {"c": None}, "ö": "ü"}, ["lines"])
    said = capsys.readouterr()
    assert (
        said.out
        == '{\n  "a": [\n    1,\n    "Infinity"\n  ],\n  "b": {\n    "c": null\n  },\n  "ö": "ü"\n}\n'
    )
    assert said.err == "noise\n"
    with pytest.raises(RuntimeError), screen.working():
        raise RuntimeError
    sys.stdout.write("after\n")
    assert capsys.readouterr().out == "after\n"


def test_a_table_without_rows_is_empty() -> None:
    assert show.table([]) == []
    assert show.table([{"a": None, "b": 1.0}, {"b": "x", "c": 2}]) == ["a  b  c", "   1", "   x  2"]
