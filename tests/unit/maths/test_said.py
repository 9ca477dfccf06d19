"""What an answer says, by exact words.

Mutants that must be killed: an article in front taken for the letter A, a part of a word for a word, a denied
option for a named one, the shorter of two nested options, commas of thousands kept.
"""

from __future__ import annotations

import pytest

from accord.maths.said import option_named, option_said, plain, sayable, says


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  The   Nile! ", ("nile",)),
        ("86,400 s", ("86400", "s")),
        ("1,5 or 22:40", ("1,5", "or", "22:40")),
        ("−5 and 3-4", ("-5", "and", "3", "4")),
        ("It’s H2O", ("it's", "h2o")),
        ("the", ("the",)),
        ("?!", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("B", 1),
        ("**B**", 1),
        ("b", None),
        ("The answer is B, since salt dissolves.", 1),
        ("I choose (A).", 0),
        ("A tin can is not salt.", 0),
        ("A. tin", 0),
        ("B. tin", None),
        ("Tin and salt.", None),
        ("It isn't tin.", None),
        ("Tinny.", None),
        ("C", None),
        ("", None),
    ],
)
def test_the_option_that_is_said(text: str, place: int | None) -> None:
    assert option_said(text, ["tin", "salt"]) == place


def test_words_alone_name_where_letters_were_not_shown() -> None:
    assert option_named("B", ["tin", "salt"]) is None
    assert option_named("An iron age", ["iron", "iron age"]) == 1
    assert option_named("Iron, or the Iron Age", ["iron", "iron age"]) is None


def test_a_text_is_said_in_a_row() -> None:
    assert says("They ran 6 h 35 min.", "6 h 35 min")
    assert not says("6 min, 35 h", "6 h 35 min")
    assert not says("12", "1") and not says("", "x")


def test_what_can_be_asked_without_options() -> None:
    assert not sayable("Complete: the ____ barks.", "dog")
    assert not sayable("Which of the following barks?", "dog")
    assert not sayable("Which barks?", "?") and not sayable("Which barks?", "one two three four five")
