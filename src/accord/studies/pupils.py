"""Pupils: models ``window`` that read digits, taught by a Method, measured exactly; for ``worlds/parity.py``.

An answer is one word, so a policy at one image is a row of probabilities: it is measured by asking for each
allowed word, and nothing is drawn to estimate it. Axes ``_I`` images, ``_K`` answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from accord.engines.local import Local
from accord.engines.local.words import save_window
from accord.methods.sft import SFT
from accord.ports import Learner, Method, Needs, Task
from accord.records.rows import Floats, Row, Window
from accord.sources import seeded
from accord.studies.lessons import shown, taught
from accord.worlds.parity import LENGTH, PIXELS, ParityDigits, images, tasks

__all__ = ["Pace", "Pupil", "Rendered", "newborn", "onehot", "parted", "pupil", "steps"]

Rendered = dict[tuple[ParityDigits, str], tuple[Row, ...]]
"""Of each image a row for every word that may be said."""
_LEAST = 1e-6  # of a soft label: what weighs less is left out, and costs nothing


class Pace(NamedTuple):
    """How often all images are shown, how many at a step, and the rate."""

    epochs: int
    at_once: int
    lr: float


class Pupil:
    """One learner and its images. Pupils of one tokenizer share ``known``: the tokens are the same."""

    def __init__(self, learner: Learner, known: Rendered) -> None:
        self.learner, self._known = learner, known

    def rows(self, config: ParityDigits, names: Sequence[str]) -> list[tuple[Row, ...]]:
        """For each image a row for every word that may be said."""
        new = [name for name in names if (config, name) not in self._known]
        sampler = self.learner.sampler()
        for name, prompt in zip(new, tasks(config, new), strict=True):
            self._known[config, name] = shown(sampler, [(prompt, word) for word in config.said])
        return [self._known[config, name] for name in names]

    def policy(self, config: ParityDigits, names: Sequence[str]) -> Floats:
        """π of each image, [I, K]."""
        rows = [row for some in self.rows(config, names) for row in some]
        found = self.learner.measure(rows, Needs(frozenset({"old_logp"})))["old_logp"]
        return np.exp(np.concatenate(found)).reshape(len(names), len(config.said))

    def show(
        self, config: ParityDigits, names: Sequence[str], target_IK: Floats, place: int, seed: int
    ) -> None:
        """One step towards these probabilities."""
        told = [
            replace(row, columns={"weight": float(weight)})
            for some, target_K in zip(self.rows(config, names), target_IK, strict=True)
            for row, weight in zip(some, target_K, strict=True)
            if weight > _LEAST
        ]
        taught(self.learner, cast(Method, SFT(rows_per_step=len(told))), Window(place, tuple(told)), seed)


def pupil(model: str | Path, lr: float, name: str, seed: int, known: Rendered) -> Pupil:
    """A model to be taught, by Adam in float32 on one core's worth of tokens."""
    engine = Local(
        adapter="full", lr=lr, precision="float32", decode="float32", device="cpu", tokens_per_pass=65_536
    )
    return Pupil(engine.learner(str(model), Task(name, seed, Needs())), known)


def newborn(folder: Path, widths: tuple[int, ...], seed: int, seen: int = PIXELS) -> Path:
    """A model ``window`` that reads the prompts of both tasks; every digit ends an answer. ``seen``: how many
    pixels of an image it is shown."""
    config = ParityDigits(seen=seen)
    return save_window(folder, config.alphabet, LENGTH, seed, ends=config.said, widths=widths)


def parted(seed: int, sizes: Sequence[int], test: int) -> tuple[list[str], list[list[str]]]:
    """Images by name: those of the test, the same in every seed, and parts of the others.

    >>> test, (one, two) = parted(0, (3, 2), 4)
    >>> len(test), len(one), len(two), len({*test, *one, *two}), test == parted(1, (3, 2), 4)[0]
    (4, 3, 2, 9, True)
    """
    order: NDArray[np.int64] = seeded("parity", "test").permutation(images())
    rest = seeded("parity", seed).permutation(order[test:])
    cuts = np.cumsum([0, *sizes])
    if cuts[-1] > len(rest):
        raise ValueError(f"{cuts[-1]} images beside {test} of the test: there are {len(rest)}")
    return _names(order[:test]), [_names(rest[a:b]) for a, b in pairwise(cuts)]


def steps(names: Sequence[str], pace: Pace, *of: str | int) -> Iterator[list[int]]:
    """Which images stand in each step: every epoch a new order, drawn for ``of``."""
    for epoch in range(pace.epochs):
        order = cast("list[int]", seeded(*of, epoch).permutation(len(names)).tolist())
        yield from (order[k : k + pace.at_once] for k in range(0, len(order), pace.at_once))


def onehot(place_I: Sequence[int], size: int) -> Floats:
    """Certain labels.

    >>> onehot([1, 0], 2).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return np.eye(size)[np.asarray(place_I, np.int64)]


def _names(order: NDArray[np.int64]) -> list[str]:
    return [str(one) for one in cast("list[int]", order.tolist())]
