"""Weak-to-strong: can a model that was taught by a weaker one come to know more than it does (2312.09390)?

A weak model learns parity from true labels (half 1), of images of which it sees some pixels alone, others in
each, and labels half 2. A strong one, which learnt to read digits from whole images, is taught parity from
those labels alone.

    gap recovered = (acc(student) − acc(weak)) / (acc(ceiling) − acc(weak))       maths/recovered.py
    confidence loss: target = (1 − c)·weak + c·hardened(student),  c(t) = most · min(1, t / (rising · T))

Hardened: 1 where the student's p is above the threshold that splits the step as the weak labels do (their
class balance). Differences from the paper:

1. the published ramp reaches .05 at 10 % of training and jumps to .5; this one rises evenly to .5;
2. the strong model's head start is reading digits of other images (the task word of the prompt tells the two
   tasks apart), in place of pretraining; the paper's weak model is smaller, this one sees less;
3. two controls: a teacher of chance (the weak labels, shuffled), of which nothing may be recovered, and a
   teacher that is nearly as good as the ceiling, of which no share may be told.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from accord.maths.recovered import Arm, Arms, recovered
from accord.part import Part
from accord.records import digest
from accord.records.rows import Floats
from accord.sources import seeded
from accord.stores.memory import MemoryStore
from accord.studies.arms import Cell, Items, Measured
from accord.studies.bars import Bar, Clause, above, exactly, holds, in_seeds, not_below
from accord.studies.port import Doing, Form, Setting
from accord.studies.pupils import Pace, Pupil, Rendered, newborn, onehot, parted, pupil, steps
from accord.vault import TruthVault
from accord.worlds.parity import PIXELS, ParityDigits, truths

__all__ = ["WeakToStrong", "confident", "hardened", "ramp"]

_BIT, _DIGIT = ParityDigits(answers=2), ParityDigits(ask="digit")
_DRAWS = 2_000  # of the interval that decides whether a gap is too small
_TAUGHT = ("naive", "confidence", "chance", "tiny_gap")


def ramp(step: int, steps: int, most: float = 0.5, rising: float = 0.1) -> float:
    """The weight of the student's own answer at a step, counted from 0.

    Of 100 steps it is 0 at first, half of .5 at the fifth, and .5 from the tenth on.

    >>> [ramp(t, 100) for t in (0, 5, 10, 99)]
    [0.0, 0.25, 0.5, 0.5]
    """
    return most * min(1.0, step / (rising * steps))


def hardened(p_I: Floats, balance: float) -> Floats:
    """1 for the share ``balance`` of images that have the highest p, 0 for the others; a tie at the threshold
    is no 1.

    >>> hardened(np.array([0.9, 0.6, 0.8, 0.7]), 0.5).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    ones = round(balance * len(p_I))
    above_I = np.sort(p_I)[::-1]
    threshold = above_I[ones] if ones < len(p_I) else -np.inf
    return (p_I > threshold).astype(np.float64)


def confident(weak_I: Floats, student_I: Floats, c: float, balance: float) -> Floats:
    """The target of the confidence loss, of the second of two answers.

    >>> confident(np.array([0.9, 0.2]), np.array([0.3, 0.6]), 0.5, 0.5).round(2).tolist()
    [0.45, 0.6]
    """
    return (1 - c) * weak_I + c * hardened(student_I, balance)


def shares(cells: Mapping[str, Measured], least: float = 0.3) -> Mapping[str, Items]:
    """Of each student the share of the gap that it recovers over its own teacher, or that it is refused;
    ``reached``: whether it is ``least`` or more, which a refused one is not."""
    if "ceiling" not in cells:
        return {}
    found: dict[str, Items] = {}
    ceiling = cells["ceiling"].items["right"]
    for arm in (one for one in _TAUGHT if one in cells):
        items = cells[arm].items
        arms = Arms(_arm(items["right"], ceiling), _arm(items["teacher"], ceiling), _arm(ceiling, ceiling))
        told = recovered(arms, seeded("recovered", arm), draws=_DRAWS)
        share = {} if told.share is None else {"pgr": {"seed": told.share.value}}
        reached = told.share is not None and told.share.value >= least
        refused = {"refused": {"seed": float(told.share is None)}}
        found[arm] = {**share, **refused, "reached": {"seed": float(reached)}}
    return found


def _arm(right: Mapping[str, float], like: Mapping[str, float]) -> Arm:
    return Arm(np.array([[right[task] for task in like]]))


class WeakToStrong(Part):
    """Settings: see ``weak_to_strong.toml``."""

    question: ClassVar[str] = "Can a model that was taught by a weaker one come to know more than it does?"
    shows: ClassVar[tuple[str, ...]] = (
        "the strong model's head start is reading digits, planted by us; nothing here shows how much a large "
        "model knows that its overseers do not",
        "weak errors here are those of a model that sees some pixels of an image, others in each: nearer to "
        "chance than those of people are, and than those of a small model with few labels (version 2)",
        "emergent misalignment, natural deception, persuasion, self-report and scaling exponents are beyond "
        "models of this size",
    )
    hasty: ClassVar[tuple[str, ...]] = ("weak", "naive", "ceiling")
    models: ClassVar[bool] = False
    version: int
    arms: tuple[Literal["weak", "naive", "confidence", "ceiling", "chance", "tiny_gap"], ...]
    recovers: float
    in_seeds: int
    weak_errs: float
    margin: float
    seeds: int
    images: dict[str, int]
    seen: int = Field(ge=1, le=PIXELS)
    layers: dict[str, tuple[int, ...]]
    paces: dict[str, tuple[int, int, float]]
    most: float = Field(gt=0, lt=1)
    rising: float = Field(gt=0, le=1)

    @property
    def form(self) -> Form:
        """The tables; how much of a gap counts as reached is a setting."""
        return Form(
            tables={
                "right on the test": ("right", "teacher"),
                "of the gap to the ceiling": ("pgr", "reached", "refused"),
            },
            shares=frozenset({"right", "teacher"}),
            against="naive",
            paired=("right",),
            drawn="right",
            across=partial(shares, least=self.recovers),
        )

    def bar(self, model: str | None) -> Bar:
        del model
        clauses: tuple[Clause, ...] = (
            in_seeds("reached", "naive", 1.0, self.in_seeds),
            above("wrong", "weak", self.weak_errs),
            not_below("right", "confidence", ("naive",), self.margin),
            holds("pgr", "chance", 0.0),
            exactly("refused", "tiny_gap", 1.0),
        )
        return Bar(clauses, self.seeds)

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with TemporaryDirectory() as folder:
            school = _School(self, seed, Path(folder), at.quick)
            yield school.done


class _Model(NamedTuple):
    """A pupil, and the task as it sees it."""

    pupil: Pupil
    sees: ParityDigits

    def says(self, names: Sequence[str]) -> Floats:
        """The chance of the second answer, odd, of each image."""
        return self.pupil.policy(self.sees, names)[:, 1]

    def show(self, names: Sequence[str], label_I: Floats, place: int, seed: int) -> None:
        self.pupil.show(self.sees, names, np.stack([1 - label_I, label_I], axis=1), place, seed)


class _School:
    """What the arms of a seed share: the images, the strong model before it is taught, the weak one."""

    def __init__(self, study: WeakToStrong, seed: int, folder: Path, quick: bool) -> None:
        self._study, self._seed, self._folder = study, seed, folder
        sizes = {name: size // 4 if quick else size for name, size in study.images.items()}
        parts = (sizes["read"], sizes["first"], sizes["second"])
        self._test, (self._reads, self._first, self._second) = parted(seed, parts, sizes["test"])
        self._made: _Model | None = None
        self._known: Rendered = {}

    def done(self, cell: Cell) -> Measured:
        vault = self._vault(cell)
        student, teacher = self._taught(cell.arm, vault)
        said_I = (student.says(self._test) > 0.5).astype(np.int64)
        vault.seal([digest([cell.folder.name, *map(str, said_I.tolist())])])
        true_I = np.array(vault.read_all(self._test, "score", cell.arm), np.int64) % 2
        items: dict[str, Mapping[str, float]] = {"right": self._named(said_I == true_I)}
        items["wrong"] = self._named(said_I != true_I)
        if teacher is not None:
            items["teacher"] = self._named((teacher > 0.5) == true_I)
        counts = {f"truths_{name}": float(count) for name, count in vault.counts.items()}
        return Measured(cell.arm, cell.seed, "measured", items=items, figures=counts)

    def _taught(self, arm: str, vault: TruthVault) -> tuple[_Model, Floats | None]:
        """The model of an arm, and what its teacher says of the test, if it has one."""
        if arm == "weak":
            return self._weak(vault, arm), None
        if arm == "ceiling":
            return self._ceiling(vault, arm), None
        teacher = self._ceiling(vault, arm) if arm == "tiny_gap" else self._weak(vault, arm)
        label_I, told_I = teacher.says(self._second), teacher.says(self._test)
        if arm == "chance":
            mix = seeded(self._seed, "chance")
            label_I, told_I = mix.permutation(label_I), mix.permutation(told_I)
        return self._student(label_I, arm), told_I

    def _weak(self, vault: TruthVault, by: str) -> _Model:
        """The same one in every arm, made once; each arm says that it rests on these truths."""
        study, seed, truth_I = self._study, self._seed, self._bits(self._first, vault, by)
        if self._made is None:
            pace = Pace(*study.paces["weak"])
            model = newborn(self._folder / "weak", study.layers["weak"], seed, study.seen)
            sees = ParityDigits(answers=2, seen=study.seen)
            self._made = _Model(pupil(model, pace.lr, "weak", seed, {}), sees)
            self._teach(self._made, self._first, truth_I, "weak")
        return self._made

    def _ceiling(self, vault: TruthVault, by: str) -> _Model:
        truth_I = self._bits(self._second, vault, by)
        return self._student(truth_I, f"{by}/truth")

    def _student(self, label_I: Floats, arm: str) -> _Model:
        """The strong model, taught these labels of half 2."""
        pace = Pace(*self._study.paces["student"])
        one = _Model(pupil(self._read_digits, pace.lr, arm.replace("/", "-"), self._seed, self._known), _BIT)
        self._teach(one, self._second, label_I, "student", arm)
        return one

    def _teach(self, one: _Model, names: Sequence[str], label_I: Floats, pace: str, arm: str = "") -> None:
        """All steps; with the confidence loss where that is the arm."""
        study, taken = self._study, Pace(*self._study.paces[pace])
        every = list(steps(names, taken, self._seed, pace, arm))
        balance = float(np.mean(label_I > 0.5))
        for t, place_I in enumerate(every):
            shown, target_I = [names[i] for i in place_I], label_I[place_I]
            if arm == "confidence":
                c = ramp(t, len(every), study.most, study.rising)
                target_I = confident(target_I, one.says(shown), c, balance)
            one.show(shown, target_I, t, self._seed)

    def _bits(self, names: Sequence[str], vault: TruthVault, by: str) -> Floats:
        return np.array(vault.read_all(names, "fit", by), np.float64) % 2

    @cached_property
    def _read_digits(self) -> Path:
        """The strong model before anybody teaches it parity. What it read is no truth of this study."""
        study, seed, pace = self._study, self._seed, Pace(*self._study.paces["reading"])
        one = pupil(
            newborn(self._folder / "new", study.layers["strong"], seed), pace.lr, "reading", seed, self._known
        )
        told = truths(_DIGIT, self._reads)
        target_IK = onehot([int(cast(int, told[name])) for name in self._reads], len(_DIGIT.said))
        for t, place_I in enumerate(steps(self._reads, pace, seed, "reading")):
            one.show(_DIGIT, [self._reads[i] for i in place_I], target_IK[place_I], t, seed)
        return Path(one.learner.export(self._folder / "strong").path)

    def _vault(self, cell: Cell) -> TruthVault:
        names = [*self._first, *self._second, *self._test]
        return TruthVault(
            "parity", truths(_BIT, names), {cell.arm: ("fit", "score")}, MemoryStore(), cell.arm
        )

    def _named(self, value_I: NDArray[np.bool_]) -> dict[str, float]:
        return {f"image {name}": float(value) for name, value in zip(self._test, value_I, strict=True)}
