"""What token policies share: words, what an answer counts as, and the id of a world that knows its words."""

from __future__ import annotations

import pytest

from accord.errors import PlanError, Unsayable
from accord.part import Part
from accord.records import Prompt
from accord.worlds import ACT, Alphabet, Worded, binned, digits, drawn


class Spoken(Worded, Part):
    """A world by its words alone."""

    more: bool = False

    @property
    def alphabet(self) -> tuple[str, ...]:
        return WORDS["more" if self.more else "few"]


WORDS = {"few": ("a", "b", ACT), "more": ("a", "b", "c", ACT)}


@pytest.mark.parametrize("words", [(), ("a", "a"), ("a", "a b"), ("a", ""), tuple(map(str, range(257)))])
def test_an_alphabet_is_256_different_words_at_most(words: tuple[str, ...]) -> None:
    with pytest.raises(PlanError, match="alphabet"):
        Alphabet(words)
    assert len(Alphabet(tuple(map(str, range(256)))).words) == 256


def test_what_is_no_word_is_an_error_that_names_it() -> None:
    words = Alphabet(WORDS["few"])
    for text in ("a c", "a  b", "", " a"):
        with pytest.raises(Unsayable, match="alphabet"):
            words.encode(text)
    with pytest.raises(Unsayable, match="'c'"):
        words.asked(("a", "c"), ("a",))
    with pytest.raises(Unsayable, match="'c'"):
        words.told(Prompt.of("a"), "a", ("c",), unparsed=False)
    with pytest.raises(PlanError, match="3 digits"):
        digits(1000, 3)
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(PlanError, match="from 0"):
            binned(value, (0.0, 1.0))
    with pytest.raises(PlanError, match="edges"):
        binned(0.5, [i / 17 for i in range(18)])


def test_the_id_of_a_world_knows_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Spoken().config
    assert before != Spoken(more=True).config
    assert before == Spoken().config
    monkeypatch.setitem(WORDS, "few", ("b", "a", ACT))
    assert before != Spoken().config, "another order is another alphabet"
    assert drawn("a", 1).random() == drawn("a", 1).random() != drawn("a", 2).random()
