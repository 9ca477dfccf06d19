"""Numbers as people read them, and foreign text that cannot hide anything."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.progress import duration
from accord.reports.words import Scale, number, percent, points, signed, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("x\u202egnp.exe\u202c", "x⟨U+202E⟩gnp.exe⟨U+202C⟩"),
        ("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"),
        ("\x1b[31mred\x00", "⟨U+001B⟩[31mred⟨U+0000⟩"),
        ("\ufeffa\u00ad\u3164\U000e0041", "⟨U+FEFF⟩a⟨U+00AD⟩⟨U+3164⟩⟨U+E0041⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("one\r\ntwo\tthree", "one\ntwo\tthree"),
        ("one\rtwo", "one⟨U+000D⟩two"),
        ("naïve 日本語\u3000שלום 🙂", "naïve 日本語\u3000שלום 🙂"),
        ("e" + "\u0301" * 4, "e" + "\u0301" * 4),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 4 + "⟨U+0301⟩"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    left = {unicodedata.category(c) for c in visible(text) if c not in "\n\t"}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (12.345, "12.3"),
        (-0.00051, "−0.00051"),
        (999.6, "1,000"),
        (4321.0, "4,321"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_signs_are_on_both_sides_of_zero() -> None:
    assert [signed(v) for v in (0.5, -0.5, 0.0)] == ["+0.5", "−0.5", "0"]
    assert [points(v) for v in (0.123, -0.0123, 0.0, 0.0004)] == ["+12", "−1.2", "0", "0"]


def test_certainty_is_never_rounded_to() -> None:
    assert percent(0.9996) == "99.96 %"
    assert percent(1.0) == "100 %"
    assert percent(-0.25) == "−25 %"
    assert percent(math.nan) == "not a number"


def test_a_scale_writes_levels_and_changes() -> None:
    share, nats = Scale(True), Scale(False)
    assert (share.level(0.24), share.change(0.37)) == ("24 %", "+37 points")
    assert share.change_span(0.27, 0.46) == "+27 to +46"
    assert (nats.level(1.234), nats.change(-1.0), nats.span(None, 1.0)) == ("1.23", "−1", "no interval")


def test_times() -> None:
    assert [duration(s) for s in (0.4, 59.6, 3599, 3600)] == ["0 s", "1 min 0 s", "59 min 59 s", "1 h 0 min"]
