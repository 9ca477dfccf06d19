"""Images of digits: what ships, and what is said where it does not. Mutant: an image that can be changed."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from accord.errors import Refused
from accord.maths import digit_images as module
from accord.maths.digit_images import PIXELS, digit_images


def test_they_are_what_is_known_of_the_set() -> None:
    pixels, digits = digit_images()
    assert pixels.shape == (1797, PIXELS)
    assert np.bincount(digits).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert pixels.min() == 0
    assert pixels.max() == 1
    assert np.array_equal(pixels * 16, np.rint(pixels * 16))
    assert digit_images()[0] is pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> object:
        return import_module("sklearn_is_not_here" if name.startswith("sklearn") else name)

    monkeypatch.setattr(module, "import_module", gone)
    digit_images.cache_clear()
    with pytest.raises(Refused, match=r"scikit-learn.*not installed(?s:.*)pip install 'accord\[worlds\]'"):
        digit_images()
    monkeypatch.undo()
    assert digit_images().digit_I[0] == 0
