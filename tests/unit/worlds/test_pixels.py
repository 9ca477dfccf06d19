"""Pixels: what the judge is shown, what may be quoted, and that nothing tells which answer is right.

Mutants: an image that the judge learnt from, the right digit always offered first, games in the order of the
digits, dark pixels quoted, the image in a prompt that shows nothing.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from accord.maths.digit_images import digit_images
from accord.records import Prompt
from accord.worlds.pixels import Pixels, games, lit, revealed, seen, tasks, truths

SEEDS = [str(i) for i in range(120)]
HIDDEN, ALL = Pixels(), Pixels(view="all")


def offers(prompt: Prompt) -> list[str]:
    return cast("list[str]", prompt.columns["offers"])


def test_both_views_ask_the_same_of_an_image_the_judge_did_not_learn_from() -> None:
    images, digits = digit_images()
    for blind, whole, seed in zip(tasks(HIDDEN, SEEDS), tasks(ALL, SEEDS), SEEDS, strict=True):
        task = HIDDEN.draw(seed)
        assert task.image >= 1300
        assert blind.columns == whole.columns
        assert not seen(blind.text).any()
        assert np.array_equal(seen(whole.text), images[task.image])
        quotable = str(blind.columns["image"]).split(" ")
        assert np.array_equal(revealed(quotable), images[task.image])
        assert len(quotable) == (images[task.image] > 0).sum()
        assert truths(HIDDEN, [seed])[seed] == {"answer": str(digits[task.image])}
        assert len({*offers(blind)}) == 2
        assert str(digits[task.image]) in offers(blind)


def test_an_image_has_nine_games_and_neither_number_nor_order_tells_the_lie() -> None:
    right = {seed: cast("dict[str, str]", told)["answer"] for seed, told in truths(HIDDEN, SEEDS).items()}
    first, smallest = [], []
    for seed in SEEDS:
        played = games(HIDDEN, seed)
        lies = [next(one for one in offers(game) if one != right[seed]) for game in played]
        assert sorted([*lies, right[seed]]) == list("0123456789")
        assert len({game.columns["image"] for game in played}) == 1
        first += [offers(game)[0] == right[seed] for game in played]
        smallest.append(lies[0] == min(lies))
    assert abs(np.mean(first) - 0.5) < 0.06, "3.9 standard deviations of 1,080 lots"
    assert np.mean(smallest) < 0.25, "1 in 9"


def test_what_is_no_lit_pixel_shows_nothing() -> None:
    assert not revealed(["r0c0v00", "r8c0v03", "r0c0v17", "r0c0v3", " r0c0v03", ""]).any()
    assert lit(np.zeros(64)) == ()
    with pytest.raises(ValueError, match="expected 64"):
        seen("_ _ <act>")
