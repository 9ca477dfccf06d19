"""Digit images: 1,797 hand-written digits of 8 × 8 pixels (Alpaydin and Kaynak, UCI), from scikit-learn.

The one place where scikit-learn is used, and for its data alone. It is optional: ``accord[worlds]``.
Axes ``_I`` images, ``_P`` the 64 pixels, row by row.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from accord.errors import Refused
from accord.records.rows import Floats

__all__ = ["PIXELS", "SIDE", "Digits", "digit_images"]

SIDE = 8
PIXELS = SIDE * SIDE
_BRIGHTEST = 16.0


class Digits(NamedTuple):
    """Pixels from 0 to 1 in sixteenths, image × pixel, and the digit that each image is. Read-only."""

    pixels_IP: Floats
    digit_I: NDArray[np.int64]


@cache
def digit_images() -> Digits:
    """All of them, in the order in which they ship. Refused where scikit-learn is not installed.

    >>> found = digit_images()
    >>> found.pixels_IP.shape, found.digit_I[:3].tolist(), found.pixels_IP[0, 2] * 16
    ((1797, 64), [0, 1, 2], np.float64(5.0))
    """
    try:
        load = import_module("sklearn.datasets").load_digits
    except ModuleNotFoundError as error:
        says = f"images of digits come with scikit-learn, which is not installed ({error.name})"
        raise Refused(f"{says}\n  Run:  pip install 'accord[worlds]'") from None
    pixels, digits = cast("tuple[Floats, NDArray[np.int64]]", load(return_X_y=True))
    found = Digits(np.asarray(pixels, np.float64) / _BRIGHTEST, np.asarray(digits, np.int64))
    for array in found:
        array.flags.writeable = False
    return found
