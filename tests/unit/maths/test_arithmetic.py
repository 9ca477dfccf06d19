"""Values are exact and those that Python's own fractions have; what is no expression is told in words."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.maths.arithmetic import LONGEST, value


@st.composite
def trees(draw: Any, depth: int = 3) -> tuple[str, str]:
    """An expression, and the same one in Python over Fractions."""
    if depth == 0 or draw(st.booleans()):
        number = draw(st.integers(0, 99).map(str) | st.sampled_from(["0.5", ".25", "3.10"]))
        return number, f'F("{number}")'
    (left, plain_left), (right, plain_right) = draw(trees(depth - 1)), draw(trees(depth - 1))
    sign, minus = draw(st.sampled_from("+-*/")), draw(st.sampled_from(["", "-", "+ "]))
    form = draw(st.sampled_from(["({} {} {}{})", "{}{}{}{}"]))
    return form.format(left, sign, minus, right), form.format(plain_left, sign, minus, plain_right)


@given(trees())
def test_the_value_is_what_python_finds(pair: tuple[str, str]) -> None:
    text, plain = pair
    try:
        wanted = eval(plain, {"F": Fraction})
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="divided by 0"):
            value(text)
        return
    assert value(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("10 - 4 - 3", 3),
        ("16 / 4 / 2", 2),
        ("--2", 2),
        ("-2 * -+3", 6),
        ("1/3 + 1/6", Fraction(1, 2)),
        (" 007 ", 7),
    ],
)
def test_signs_bind_and_group_as_usual(text: str, wanted: Fraction) -> None:
    assert value(text) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacking at the end"),
        ("2 +", "lacking at the end"),
        ("* 2", "lacking before '*'"),
        ("()", "lacking before '\\)'"),
        ("2 3", "'3' stands where"),
        ("(2", "not closed"),
        ("2)", "'\\)' stands where"),
        ("2 ** 3", "lacking before '\\*'"),
        ("2 ^ 3", "'\\^' is neither"),
        ("__import__('os')", "'_' is neither"),
        ("1e9", "'e' is neither"),
        ("٣ + 1", "is neither"),
        ("1 / (2 - 2)", "divided by 0"),
        ("1.2.3", "'.3' stands where"),
        ("9" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("(" * 30 + "1" + ")" * 30, "nest at most 20"),
    ],
)
def test_what_is_no_expression_is_told_in_words(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        value(text)


def test_nothing_within_the_bounds_is_too_deep_or_too_large() -> None:
    """The deepest nesting under a stack that is almost used up, and the largest product."""
    deepest = "(" * 20 + "-" * 100 + "1" + ")" * 20
    found: list[Fraction] = []

    def under(frames: int) -> None:
        if frames:
            under(frames - 1)
        else:
            found.append(value(deepest))

    under(sys.getrecursionlimit() // 2)
    assert found == [Fraction(1)]
    assert value("*".join(["9" * 99, "9" * 99])) == (10**99 - 1) ** 2
