"""A classifier of images of which few pixels are shown, trained on random masks (1805.00899, section 3.1).

    input of a pixel = (its value, 1) where it is shown, (0, 0) else
    log p = log-softmax(max(input · W₁ + b₁, 0) · W₂ + b₂)

Axes ``_N`` images, ``_P`` pixels, ``_C`` classes, ``_H`` hidden. Only pixels that are lit (above 0) are ever
shown: of a dark one there is nothing to see.

1. Half of every batch shows exactly ``shown`` lit pixels, half a share of them that is drawn for each image,
   so that the same classifier can be given all of them. In the paper it knows one number of pixels.
2. Adam, with a rate that falls to 0 in a straight line. Images of a batch are drawn with replacement; half of
   them are moved by one pixel up, down, left or right, since so small a set is else learnt by heart.
3. It is a judge, never a policy: nothing is rewarded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.records.rows import Floats

__all__ = ["Fit", "Masked", "beliefs", "fitted", "some_lit"]

_MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0))
_DECAYS = (0.9, 0.99)

Single = NDArray[np.float32]


class Fit(NamedTuple):
    """How it is trained. ``shown``: pixels of a mask; ``rate``: the first learning rate."""

    shown: int
    steps: int
    width: int = 256
    batch: int = 128
    rate: float = 2e-3


class Masked(NamedTuple):
    """The weights: two layers."""

    first_FH: Single
    bias_H: Single
    second_HC: Single
    bias_C: Single


def beliefs(model: Masked, shown_NP: Floats) -> Floats:
    """Log-probability of each class, image × class; a pixel that is 0 is not shown.

    Whose weights are 0 knows nothing of two classes: log ½.

    >>> nothing = Masked(*(np.zeros(shape, np.float32) for shape in ((4, 3), 3, (3, 2), 2)))
    >>> beliefs(nothing, np.array([[0.0, 0.5]])).round(4).tolist()
    [[-0.6931, -0.6931]]
    """
    return _log_softmax(_through(model, _input(shown_NP))[1]).astype(np.float64)


def fitted(pixels_IP: Floats, class_I: NDArray[np.int64], fit: Fit, rng: np.random.Generator) -> Masked:
    """Trained on these images, of so many classes as the highest one says."""
    images_IP, label_I = _moved(pixels_IP), np.tile(class_I, 2 * len(_MOVES))
    inputs, classes = 2 * pixels_IP.shape[1], int(class_I.max()) + 1
    model = Masked(
        _normal(rng, (inputs, fit.width), (2 / 20) ** 0.5),  # about 20 inputs are not 0
        np.zeros(fit.width, np.float32),
        _normal(rng, (fit.width, classes), fit.width**-0.5),
        np.zeros(classes, np.float32),
    )
    means, squares = ([np.zeros_like(part) for part in model] for _ in range(2))
    for step in range(1, fit.steps + 1):
        at = rng.integers(len(images_IP), size=fit.batch)
        inputs_NF = _input(_partly(images_IP[at], fit.shown, rng))
        rate = fit.rate * (1 - (step - 1) / fit.steps)
        rates = zip(model, _slopes(model, inputs_NF, label_I[at]), means, squares, strict=True)
        for part, slope, mean, square in rates:
            mean += (1 - _DECAYS[0]) * (slope - mean)
            square += (1 - _DECAYS[1]) * (slope**2 - square)
            ahead, wide = mean / (1 - _DECAYS[0] ** step), square / (1 - _DECAYS[1] ** step)
            part -= rate * ahead / (np.sqrt(wide) + 1e-8)
    return model


def some_lit(pixels_NP: Floats, count: int, rng: np.random.Generator) -> Floats:
    """The images with so many of their lit pixels, drawn at random; all of them where there are fewer.

    >>> found = some_lit(np.array([[0.0, 0.5, 0.25, 1.0]] * 50), 2, np.random.default_rng(0))
    >>> sorted({int((row > 0).sum()) for row in found}), found[:, 0].max(), found.max()
    ([2], np.float64(0.0), np.float64(1.0))
    """
    order_NP = rng.random(pixels_NP.shape, dtype=np.float32) + 2 * (pixels_NP <= 0)
    kept_NK = np.argpartition(order_NP, min(count, pixels_NP.shape[1]) - 1, axis=1)[:, :count]
    found_NP = np.zeros_like(pixels_NP)
    np.put_along_axis(found_NP, kept_NK, np.take_along_axis(pixels_NP, kept_NK, axis=1), axis=1)
    return found_NP


def _partly(images_NP: Floats, shown: int, rng: np.random.Generator) -> Floats:
    half = len(images_NP) // 2
    share_N = rng.random((len(images_NP) - half, 1))
    thinned_NP = images_NP[half:] * (rng.random(images_NP[half:].shape) < share_N)
    return np.concatenate([some_lit(images_NP[:half], shown, rng), thinned_NP])


def _input(shown_NP: Floats) -> Single:
    return np.concatenate([shown_NP, shown_NP > 0], axis=1).astype(np.float32)


def _through(model: Masked, inputs_NF: Single) -> tuple[Single, Single]:
    """Hidden states and logits."""
    hidden_NH = np.maximum(inputs_NF @ model.first_FH + model.bias_H, 0)
    return hidden_NH, hidden_NH @ model.second_HC + model.bias_C


def _slopes(model: Masked, inputs_NF: Single, label_N: NDArray[np.int64]) -> tuple[Single, ...]:
    """Of the mean cross entropy, by the parts of the model."""
    hidden_NH, logits_NC = _through(model, inputs_NF)
    off_NC = np.exp(_log_softmax(logits_NC))
    off_NC[np.arange(len(label_N)), label_N] -= 1
    off_NC /= len(label_N)
    back_NH = (off_NC @ model.second_HC.T) * (hidden_NH > 0)
    return inputs_NF.T @ back_NH, back_NH.sum(axis=0), hidden_NH.T @ off_NC, off_NC.sum(axis=0)


def _log_softmax(logits_NC: Single) -> Single:
    centred_NC = logits_NC - logits_NC.max(axis=1, keepdims=True)
    return centred_NC - np.log(np.exp(centred_NC).sum(axis=1, keepdims=True))


def _moved(pixels_IP: Floats) -> Floats:
    """The square images as they are, as often as moved ones, then moved by one pixel each way."""
    side = round(pixels_IP.shape[1] ** 0.5)
    wide = np.pad(pixels_IP.reshape(-1, side, side), ((0, 0), (1, 1), (1, 1)))
    moved = [wide[:, 1 + y : 1 + y + side, 1 + x : 1 + x + side].reshape(-1, side**2) for y, x in _MOVES]
    return np.concatenate([*[pixels_IP] * len(_MOVES), *moved])


def _normal(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Single:
    return (rng.standard_normal(shape) * scale).astype(np.float32)
