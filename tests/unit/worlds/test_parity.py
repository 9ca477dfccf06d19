"""ParityDigits: any digit of the right parity scores, and the bit of the prompt alone tells the tasks apart.

Mutants: the parity of the answer exchanged, a digit beyond ``answers`` that scores, pixels of another image
or in another order, an image that is counted from 1, the brightest grey in a bin of its own, the same pixels
hidden in every image, or others when it is asked about again.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from accord.errors import Refused
from accord.maths.digit_images import digit_images
from accord.worlds.parity import LENGTH, ParityDigits, exact, images, right, tasks, truths

NEW, OLD, BIT = ParityDigits(), ParityDigits(ask="digit"), ParityDigits(answers=2)


def test_facts_by_counting_images() -> None:
    """178, 182, 177, 183, 181, 182, 181, 179, 174, 180 images of each digit."""
    counts = np.bincount(digit_images().digit_I)
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    odd = counts[1::2].sum() / 1797
    for config in (NEW, BIT):
        assert exact(config) == {
            "images": 1797,
            "even": 1 - odd,
            "constant": odd,
            "blind": pytest.approx(0.5),
        }
    assert exact(OLD)["constant"] == 183 / 1797 and exact(OLD)["blind"] == pytest.approx(0.1)


def test_what_scores() -> None:
    for digit in range(10):
        scores = [[right(config, digit, word) for word in "0123456789"] for config in (NEW, OLD, BIT)]
        assert scores[0] == [word % 2 == digit % 2 for word in range(10)]
        assert scores[1] == [word == digit for word in range(10)]
        assert scores[2] == [word < 2 and word % 2 == digit % 2 for word in range(10)]
    assert not right(NEW, 4, "parity")


def test_a_prompt_is_the_pixels_in_their_order_and_the_task() -> None:
    names = ["0", "1796"]
    for new, old, name in zip(tasks(NEW, names), tasks(OLD, names), names, strict=True):
        words = new.text.split()
        assert len(words) == LENGTH and words[64:] == ["parity", "<act>"]
        assert old.text.split() == [*words[:64], "digit", "<act>"]
        grey = digit_images().pixels_IP[int(name)]
        assert words[:64] == [f"b{min(int(value * 4), 3)}" for value in grey.tolist()]
        assert new.allowed == tuple(range(10)) and new.columns["task"] == name
        assert truths(NEW, [name]) == {name: int(digit_images().digit_I[int(name)])}
    assert tasks(BIT, ["3"])[0].allowed == (0, 1) and images() == 1797
    for odd in ("-1", "1797"):
        with pytest.raises(IndexError):
            tasks(NEW, [odd])


def test_whoever_sees_less_sees_some_pixels_of_each_image() -> None:
    dim = ParityDigits(answers=2, seen=24)
    names = [str(place) for place in range(200)]
    kept: list[frozenset[int]] = []
    for less, whole in zip(tasks(dim, names), tasks(BIT, names), strict=True):
        words, all_words = less.text.split(), whole.text.split()
        places = frozenset(place for place, word in enumerate(words) if word != "hidden")
        assert all(words[place] == all_words[place] for place in places) and {64, 65} <= places
        assert len(words) == LENGTH and len(places) == 24 + 2 and less.allowed == whole.allowed
        kept.append(places)
    assert len(set(kept)) == 200, "others in each"
    assert [one.text for one in tasks(dim, names)] == [one.text for one in tasks(dim, names)]
    assert "hidden" in dim.alphabet and "hidden" not in BIT.alphabet
    assert ParityDigits(answers=2, seen=64) == BIT


def test_without_scikit_learn_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digit_images.cache_clear()
    with pytest.raises(Refused, match=r"accord\[worlds\]"):
        exact(NEW)
    digit_images.cache_clear()
