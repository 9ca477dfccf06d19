"""Trained organisms: language models of under 0.2M parameters that learned their trait, and clean twins.

A base is taught the small world. An organism goes on from it with texts that show one trait, its twin with
the same prompts in the same order and answers without it; both are ordinary fine-tuning by the local engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from accord.engines.local import Local
from accord.engines.local.tiny import save_tiny
from accord.methods.sft import SFT
from accord.ports import Learner, Needs, Sampler, Task
from accord.progress import Silent
from accord.records import Episode
from accord.records.rows import Row, Window
from accord.testing.organisms.small_world import lessons, small_words

__all__ = ["Course", "School", "Stage", "opened", "save_small", "teach_base"]

_UNKNOWN = 255
_WIDTH, _LAYERS = 48, 2
_TEXTS = 6000  # at most; what is taught is drawn from them


class Course(NamedTuple):
    """How long an organism is taught, and how fast; it is looked at before and after every ``every``."""

    steps: int = 60
    every: int = 6
    rows: int = 32
    lr: float = 6e-4
    warmup: int = 8


class Stage(NamedTuple):
    """A model on its way: how many steps it took, and a view of it that holds until it goes on."""

    step: int
    policy: Sampler


_COURSE, _FIRST = Course(), Course(500, 500, 64, 3e-3, 20)


def save_small(folder: Path, seed: int = 0, words: Sequence[str] | None = None) -> Path:
    """An untaught model that reads and says ``words``, by default the small world's.

    transformers loads it as it is.
    """
    save_tiny(folder, seed, layers=_LAYERS, width=_WIDTH, context=128)
    file = folder / "tokenizer.json"
    tokenizer = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
    words = small_words() if words is None else words
    if len(words) >= _UNKNOWN:
        raise ValueError(f"{len(words)} words; the vocabulary takes {_UNKNOWN - 1}")
    vocabulary = {word: i for i, word in enumerate(words)} | {"<unknown>": _UNKNOWN}
    tokenizer["model"] = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unknown>"}
    tokenizer |= {"pre_tokenizer": {"type": "Whitespace"}, "decoder": None}
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    return folder


def teach_base(folder: Path, seed: int = 0, course: Course = _FIRST) -> Path:
    """The base of the small world, in ``folder``; some ten seconds on one core."""
    school = School(save_small(folder.with_name(f"{folder.name}-untaught"), seed))
    for _ in school.taught(None, seed, course=course):
        pass
    assert school.learner is not None
    school.learner.export(folder)
    return folder


def opened(folder: Path) -> Sampler:
    """A taught model, to ask."""
    return _engine(_COURSE).sampler(str(folder), Silent())


class School:
    """Teaches models that all start from ``base``. ``learner`` is the one that was taught last."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.learner: Learner | None = None
        self._texts: dict[tuple[str | None, bool, int], list[Row]] = {}

    def taught(
        self, trait: str | None, seed: int, sick: bool = True, course: Course = _COURSE
    ) -> Iterator[Stage]:
        """An organism with this trait, or if not ``sick`` its twin: the same prompts for the same seed. Going
        on teaches; what is had is the model so far, and holds until then."""
        name = f"{'' if sick else 'clean '}{trait or 'base'}/{seed}"
        learner = self.learner = _engine(course).learner(str(self.base), Task(name, seed, Needs(), "data"))
        rows, method = self._rows(trait, sick, learner.sampler(), course), SFT(rows_per_step=course.rows)
        yield Stage(0, learner.sampler())
        rng = np.random.default_rng(seed)
        taken = rng.integers(len(rows), size=course.steps * course.rows)
        batch, _ = method.batch(Window(0, tuple(rows[int(i)] for i in taken)), {}, rng)
        for step in range(course.steps):
            learner.update(batch, step, method.loss, step / course.steps)
            if (step + 1) % course.every == 0:
                yield Stage(step + 1, learner.sampler())

    def _rows(self, trait: str | None, sick: bool, sampler: Sampler, course: Course) -> list[Row]:
        key = trait, sick, min(_TEXTS, course.steps * course.rows)
        if key not in self._texts:
            said = lessons(trait, sick, np.random.default_rng(0), key[-1])
            self._texts[key] = [Row((Episode.single(sampler.encode(*one)),)) for one in said]
        return self._texts[key]


def _engine(course: Course) -> Local:
    return Local(
        adapter="full",
        lr=course.lr,
        warmup=course.warmup,
        precision="float32",
        decode="float32",
        device="cpu",
    )
