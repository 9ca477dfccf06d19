"""A classifier of few pixels: its slopes are those of its loss, its masks show what they say, it learns.

Mutants: dark pixels shown, a mask of other size, a slope without the mask of the hidden layer, images that
are moved over the edge, weights that are not what the draw says.
"""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths import masked
from accord.maths.masked import Fit, Masked, beliefs, fitted, some_lit

RNG = np.random.default_rng(3)


def made(inputs: int = 8, width: int = 6, classes: int = 3) -> Masked:
    shapes = ((inputs, width), (width,), (width, classes), (classes,))
    return Masked(*(RNG.standard_normal(shape).astype(np.float64) for shape in shapes))  # type: ignore[arg-type]


def test_slopes_are_those_of_the_cross_entropy() -> None:
    model, shown, label = made(), RNG.random((5, 4)), np.array([0, 2, 1, 1, 0])

    def loss() -> float:
        return -float(beliefs(model, shown)[np.arange(5), label].mean())

    slopes = masked._slopes(model, masked._input(shown), label)  # pyright: ignore[reportPrivateUsage]
    for part, slope in zip(model, slopes, strict=True):
        for at in [(0,) * part.ndim, tuple(size - 1 for size in part.shape)]:
            kept, found = part[at], []
            for step in (1e-4, -1e-4):
                part[at] = kept + step
                found.append(loss())
            part[at] = kept
            assert (found[0] - found[1]) / 2e-4 == pytest.approx(float(slope[at]), abs=1e-6)


def test_masks_show_lit_pixels_and_as_many_as_they_say() -> None:
    images = np.where(RNG.random((40, 64)) < 0.3, RNG.random((40, 64)), 0.0)
    for count in (1, 6, 64):
        shown = some_lit(images, count, np.random.default_rng(0))
        lit = (images > 0).sum(axis=1)
        assert ((shown > 0).sum(axis=1) == np.minimum(lit, count)).all()
        assert (shown[shown > 0] == images[shown > 0]).all()


def test_it_learns_from_few_pixels_and_the_draw_decides_it() -> None:
    """Two classes, lit in the upper and in the lower half of 4 × 4 pixels."""
    label = np.arange(60) % 2
    images = np.zeros((60, 16))
    for image, half in zip(images, label, strict=True):
        image[8 * half : 8 * half + 8] = RNG.random(8) + 0.1
    fit = Fit(shown=1, steps=150, width=16, batch=32)
    one, same, other = (fitted(images, label, fit, np.random.default_rng(draw)) for draw in (0, 0, 1))
    shown = some_lit(images, 1, np.random.default_rng(5))
    right = beliefs(one, shown).argmax(axis=1) == label
    edge = (shown[:, :4] > 0).any(axis=1) | (shown[:, 12:] > 0).any(axis=1)
    assert right[edge].all(), "rows in the middle may have been moved there from the other half"
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.first_FH, other.first_FH)


def test_moving_an_image_leaves_nothing_on_the_other_side() -> None:
    image = np.zeros((1, 16))
    image[0, 0] = 1.0
    moved = masked._moved(image)  # pyright: ignore[reportPrivateUsage]
    assert len(moved) == 8
    assert sorted(moved.sum(axis=1).tolist()) == [0.0, 0.0, *[1.0] * 6], "twice it left by the corner"
    assert {int(one.argmax()) for one in moved if one.any()} == {0, 1, 4}
