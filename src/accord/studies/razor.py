"""Razor: is forgetting told by how far a policy has gone from its base on the new task (2509.04259)?

A base reads digits (the old task) and says digits of the right parity often, not always (the new one).
Several ways teach it the new task; of each run

    KL = mean over new prompts of Σ_k π_ref(k)·log(π_ref(k)/π(k));  forgotten = old(π_ref) − old(π)

are exact, since an answer is one of ten words; ``old`` and ``new`` are the chance that an answer drawn at
temperature 1 is right, on images that nobody was taught. Runs that solve the new task are fitted by

    forgotten ≈ a·KL + b·KL²                      through the origin: where π is π_ref, nothing is forgotten

in each seed by itself, for a seed is a base. Differences from the paper:

1. both tasks ask about digits, and the bit of the prompt alone tells them apart (``worlds/parity.py``); the
   paper's old task is pictures of clothes;
2. the paper fits all runs over one base, here ten runs over each of three bases are fitted base by base;
3. arms are compared by the mean of their runs that solve the new task, not along a frontier, which would take
   the best run by the very figure that it is compared in.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from accord.methods.grpo import GRPO
from accord.part import Part
from accord.ports import How
from accord.records import Prompt, Purpose, Response, digest
from accord.records.rows import Floats, Window
from accord.sources import seeded
from accord.stores.memory import MemoryStore
from accord.studies.arms import Cell, Items, Measured
from accord.studies.bars import Bar, Clause, ahead, in_seeds, not_below
from accord.studies.lessons import judged, taught
from accord.studies.port import Doing, Form, Setting
from accord.studies.pupils import Pace, Pupil, Rendered, newborn, onehot, parted, pupil, steps
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds.parity import ParityDigits, right, tasks, truths

__all__ = ["Razor", "explained", "fitted"]

_NEW, _OLD = ParityDigits(), ParityDigits(ask="digit")
_LABELS = {"sft_1": ((0,), (1,)), "sft_2": ((0, 4), (1, 5))}
"""Which digits an even and an odd image are labelled with."""


def apart(base_IK: Floats, now_IK: Floats) -> float:
    """KL(π_ref‖π), the mean over images; infinite where π never says what the base does.

    A base of (½, ½) and a policy of (¾, ¼): ½·ln(½/¾) + ½·ln(½/¼) = .1438.

    >>> round(apart(np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]])), 4)
    0.1438
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        each_IK = np.where(base_IK > 0, base_IK * (np.log(base_IK) - np.log(now_IK)), 0.0)
    return float(each_IK.sum(axis=1).mean())


def renormalised(base_IK: Floats, right_IK: NDArray[np.bool_]) -> Floats:
    """The base over the right answers alone: of all policies π that are always right the one of least
    KL(π‖π_ref). The KL of this study is the other way round, and infinite for it.

    >>> renormalised(np.array([[0.2, 0.3, 0.5]]), np.array([[True, True, False]])).tolist()
    [[0.4, 0.6, 0.0]]
    """
    kept_IK = np.where(right_IK, base_IK, 0.0)
    return kept_IK / kept_IK.sum(axis=1, keepdims=True)


def fitted(kl_R: Floats, forgotten_R: Floats) -> tuple[float, float]:
    """a and b of a·KL + b·KL², by least squares.

    >>> [round(one, 9) for one in fitted(np.array([1.0, 2.0, 3.0]), np.array([3.0, 10.0, 21.0]))]
    [1.0, 2.0]
    """
    found = np.linalg.lstsq(np.stack([kl_R, kl_R**2], axis=1), forgotten_R, rcond=None)[0]
    return float(found[0]), float(found[1])


def explained(kl_R: Floats, forgotten_R: Floats) -> float:
    """R²: the share of the variance of forgetting that the fit takes away; under 0 if a constant is better.

    >>> explained(np.array([1.0, 2.0, 3.0]), np.array([3.0, 10.0, 21.0]))
    1.0
    >>> round(explained(np.array([1.0, 1.0, 2.0, 2.0]), np.array([0.0, 2.0, 3.0, 5.0])), 2)  # 1 − 4/13
    0.69
    """
    a, b = fitted(kl_R, forgotten_R)
    left = float(((forgotten_R - a * kl_R - b * kl_R**2) ** 2).sum())
    return round(1 - left / float(((forgotten_R - forgotten_R.mean()) ** 2).sum()), 12)


class Images(NamedTuple):
    """Of one seed, by name: what the base learns of each task, what is taught, what is tested."""

    read: Sequence[str]
    parity: Sequence[str]
    taught: Sequence[str]
    test: Sequence[str]


class Razor(Part):
    """Settings: see ``razor.toml``."""

    question: ClassVar[str] = "Is forgetting told by how far a policy has gone from its base on the new task?"
    shows: ClassVar[tuple[str, ...]] = (
        "a network of 0.2M weights and ten answers; language models have answers that nobody can enumerate, "
        "and tasks that have less in common",
        "that KL tells forgetting over these runs does not show that it causes it",
        "emergent misalignment, natural deception, persuasion, self-report and scaling exponents are beyond "
        "models of this size",
    )
    hasty: ClassVar[tuple[str, ...]] = ("base", "sft_1", "oracle")
    models: ClassVar[bool] = False

    version: int
    arms: tuple[Literal["base", "sft_1", "sft_2", "oracle", "grpo"], ...]
    solved: float
    explains: float
    in_seeds: int
    margin: float
    seeds: int
    often: float = Field(gt=0, le=1)
    images: dict[str, int]
    base: dict[str, tuple[float, ...]]
    sft: dict[str, int]
    grpo: dict[str, int]
    rates: dict[str, tuple[float, ...]]

    @property
    def form(self) -> Form:
        """The table; which runs solve the new task is a setting."""
        return Form(
            tables={
                "runs that solve the new task, mean of a seed": ("kept", "solved", "r2"),
                "all runs": ("kl", "forgotten", "new", "old"),
            },
            against="grpo",
            paired=("kept",),
            drawn="kept",
            across=self.across,
        )

    def bar(self, model: str | None) -> Bar:
        del model
        clauses: tuple[Clause, ...] = (
            in_seeds("r2", "base", self.explains, self.in_seeds),
            ahead("kept", "grpo", ("sft_1", "sft_2")),
            not_below("kept", "oracle", ("grpo",), self.margin),
        )
        return Bar(clauses, self.seeds)

    def across(self, cells: Mapping[str, Measured]) -> Mapping[str, Items]:
        """Of each arm what its solving runs kept of the old task, and of the base R² over all of them."""
        found: dict[str, Items] = {}
        points: list[tuple[float, float]] = []
        for arm, cell in cells.items():
            if arm == "base":
                continue
            items = cell.items
            good = [run for run, new in items["new"].items() if new >= self.solved]
            points += [(items["kl"][run], items["forgotten"][run]) for run in good]
            kept = (
                {"kept": {"seed": -float(np.mean([items["forgotten"][run] for run in good]))}} if good else {}
            )
            found[arm] = {**kept, "solved": {"seed": len(good) / len(items["new"])}}
        if "base" in cells and len(points) > 3:
            kl_R, forgotten_R = np.array(points).T
            found["base"] = {"r2": {"seed": explained(kl_R, forgotten_R)}}
        return found

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with TemporaryDirectory() as folder, Worker() as worker:
            yield _School(self, seed, Path(folder), worker, at.quick).done


class _School:
    """What the arms of a seed share: the images, the base and what it says of them."""

    def __init__(self, study: Razor, seed: int, folder: Path, worker: Worker, quick: bool) -> None:
        self._study, self._seed, self._folder, self._worker = study, seed, folder, worker
        self._quick = quick
        self._known: Rendered = {}
        size = {name: size // 4 if quick else size for name, size in study.images.items()}
        test, (read,) = parted(seed, (size["read"],), size["test"])
        parity = read[: size["parity"]]
        new = read[size["parity"] : size["parity"] + size["taught"]]
        self._images = Images(read, parity, new, test)

    def done(self, cell: Cell) -> Measured:
        vault = self._vault(cell)
        rates = self._study.rates.get(cell.arm, (0.0,))
        runs = {
            f"run {k}": self._run(cell.arm, rate, vault)
            for k, rate in enumerate(rates[: 1 if self._quick else None])
        }
        vault.seal([digest([cell.folder.name, run, repr(both)]) for run, both in runs.items()])
        digit_I = self._truths(self._images.test, vault, "score", cell.arm)
        items: dict[str, dict[str, float]] = {name: {} for name in ("kl", "forgotten", "new", "old")}
        base_old = _chance(_OLD, self._said[1], digit_I)
        for run, (new_IK, old_IK) in runs.items():
            old = _chance(_OLD, old_IK, digit_I)
            figures = (apart(self._said[0], new_IK), base_old - old, _chance(_NEW, new_IK, digit_I), old)
            for name, value in zip(items, figures, strict=True):
                items[name][run] = value
        counts = {f"truths_{name}": float(count) for name, count in vault.counts.items()}
        return Measured(cell.arm, cell.seed, "measured", items=items, figures=counts)

    def _run(self, arm: str, rate: float, vault: TruthVault) -> tuple[Floats, Floats]:
        """What the taught model says of the test: new task, old task."""
        if arm == "base":
            return self._said
        one = pupil(self._base, rate, f"{arm}-{rate:g}", self._seed, self._known)
        if arm == "grpo":
            self._by_reward(one, arm, vault)
        else:
            self._by_labels(one, arm, vault)
        return self._tested(one)

    def _by_labels(self, one: Pupil, arm: str, vault: TruthVault) -> None:
        names, sft = self._images.taught, self._study.sft
        digit_I = self._truths(names, vault, "fit", arm)
        right_IK = _right(_NEW, digit_I)
        if arm == "oracle":
            target_IK = renormalised(one.policy(_NEW, names), right_IK)
        else:
            parity_I = cast("list[int]", (digit_I % 2).tolist())
            target_IK = np.array([onehot(_LABELS[arm][p], len(_NEW.said)).mean(0) for p in parity_I])
        pace = Pace(sft["epochs"], sft["at_once"], 0.0)
        for t, place_I in enumerate(steps(names, pace, self._seed, "sft")):
            one.show(_NEW, [names[i] for i in place_I], target_IK[place_I], t, self._seed)

    def _by_reward(self, one: Pupil, arm: str, vault: TruthVault) -> None:
        """Its reward is the truth, with nothing between."""
        names, grpo = self._images.taught, self._study.grpo
        digit_I = self._truths(names, vault, "leaf", arm)
        digits = dict(zip(names, cast("list[int]", digit_I.tolist()), strict=True))
        prompts = tasks(_NEW, names)
        method = GRPO(n=grpo["n"], beta=0.0)

        def score(prompt: Prompt, response: Response) -> float:
            return float(right(_NEW, digits[str(prompt.columns["task"])], response.text))

        for window in range(grpo["windows"] // (4 if self._quick else 1)):
            rng = seeded(self._seed, "grpo", window)
            asked = [prompts[int(i)] for i in rng.choice(len(prompts), grpo["images"], replace=False)]
            how = How(f"razor/{self._seed}/{window}", 1.0, 1)
            groups = self._worker.run(one.learner.sampler().sample(asked, grpo["n"], how))
            taught(one.learner, method, Window(window, judged(groups, score)), self._seed)

    @cached_property
    def _base(self) -> Path:
        """Digits of many images, any right digit of a few. Its labels are no truth that an arm reads."""
        study, images = self._study, self._images
        epochs, at_once, lr = study.base["pace"]
        layers = tuple(int(width) for width in study.base["layers"])
        one = pupil(newborn(self._folder / "new", layers, self._seed), lr, "base", self._seed, self._known)
        told = cast("dict[str, int]", truths(_OLD, images.read))  # images.parity are among them
        shown = [(_OLD, name) for name in images.read] + [(_NEW, name) for name in images.parity]
        for t, place_I in enumerate(
            steps([n for _, n in shown], Pace(int(epochs), int(at_once), lr), self._seed)
        ):
            for config in (_OLD, _NEW):
                names = [shown[i][1] for i in place_I if shown[i][0] == config]
                if names:
                    right_IK = _right(config, np.array([told[name] for name in names]))
                    sure = 1.0 if config is _OLD else study.often
                    target_IK = sure * _even(right_IK) + (1 - sure) * _even(~right_IK)
                    one.show(config, names, target_IK, t, self._seed)
        return Path(one.learner.export(self._folder / "base").path)

    @cached_property
    def _said(self) -> tuple[Floats, Floats]:
        """What the base says of the test."""
        return self._tested(pupil(self._base, 1e-3, "asked", self._seed, self._known))

    def _tested(self, one: Pupil) -> tuple[Floats, Floats]:
        return one.policy(_NEW, self._images.test), one.policy(_OLD, self._images.test)

    def _vault(self, cell: Cell) -> TruthVault:
        names = [*self._images.taught, *self._images.test]
        readers: dict[str, tuple[Purpose, ...]] = {cell.arm: ("fit", "leaf", "score")}
        return TruthVault("parity", truths(_NEW, names), readers, MemoryStore(), cell.arm)

    def _truths(
        self, names: Sequence[str], vault: TruthVault, purpose: Purpose, by: str
    ) -> NDArray[np.int64]:
        return np.array(vault.read_all(names, purpose, by), np.int64)


def _even(these_IK: NDArray[np.bool_]) -> Floats:
    """Each of these as often."""
    return these_IK / these_IK.sum(axis=1, keepdims=True)


def _right(config: ParityDigits, digit_I: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which answers score, [I, K]."""
    return np.array([[right(config, digit, word) for word in config.said] for digit in digit_I.tolist()])


def _chance(config: ParityDigits, said_IK: Floats, digit_I: NDArray[np.int64]) -> float:
    """The chance that an answer drawn at temperature 1 is right, the mean over images."""
    return float((said_IK * _right(config, digit_I)).sum(axis=1).mean())
