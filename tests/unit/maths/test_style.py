"""Words of content and of style: every sign of a text lies in a piece, and numbers and names are content."""

from __future__ import annotations

import pytest

from accord.maths.style import pieces


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("However, I'm sure.", []),
        ("Iron melts at 1538 °C.", ["Iron", "melts", "1538", "C"]),
        ("Sure!\n\n1. Salt", ["1", "Salt"]),
        ("Der Fluss", ["Der", "Fluss"]),
        ("", []),
    ],
)
def test_content(text: str, content: list[str]) -> None:
    found, start = [], 0
    for piece in pieces(text):
        found += [text[start : piece.end].strip()] if piece.content else []
        start = piece.end
    assert found == content
    assert start == len(text)
