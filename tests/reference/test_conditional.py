"""conditional reaches π(y|q) = π_ref(y)·P(q|y)/P(q), and without a mark it stays π_ref.

P(q|y) is listed here over all ordered draws of a window, with bands of its own making. The world's first
prompt is answered; its further prompts, with the same π_ref, are those with a mark. Mutants that miss it:
marks turned round, bands within the group instead of the window, ties to the upper or lower end, marks that
are not written, unmarked rows picked by their score, rows of windows without bands that stay unmarked.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

from accord.methods import conditional
from accord.methods.conditional import Conditional
from accord.records.rows import Floats, Row, Window
from accord.testing import (
    Data,
    Little,
    Schedule,
    Tables,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    sampled,
    strings,
)

MARKS = ("low", "middle", "high")
TRACE = 1e-7


def marked_world(little: Little, marks: Sequence[str] = MARKS) -> Little:
    """The world's prompts, and all of them once more for each mark."""
    times = 1 + len(marks)
    reference = np.tile(little.reference_PCV, (times, 1, 1))
    return replace(little, reference_PCV=reference, reward_PA=np.tile(little.reward_PA, (times, 1)))


def tied() -> Little:
    """A bandit two of whose four arms are worth the same."""
    return replace(bandit(2), reward_PA=np.array([[0.5, -1.0, 0.5, 2.0]]))


def band(score: float, among: Sequence[float], count: int) -> int | None:
    """Where the middle of a score's equals stands, as a share of all; None where all are equal."""
    if len(set(among)) < 2:
        return None
    middle = Fraction(sum(x < score for x in among)) + Fraction(sum(x == score for x in among), 2)
    return int(count * middle / len(among))


def bayes(little: Little, draws: int, count: int) -> Floats:
    """π_ref, then for each band π_ref(y)·P(q|y)/P(q): all windows of so many draws."""
    share, reward = little.shares(little.start())[0], little.reward_PA[0]
    mass = np.zeros((count, len(share)))
    for answers in itertools.product(range(len(share)), repeat=draws):
        chance, among = float(np.prod(share[list(answers)])), [float(reward[a]) for a in answers]
        for answer in answers:
            found = band(float(reward[answer]), among, count)
            if found is not None:
                mass[found, answer] += chance
    return np.vstack([share, normalised(mass)])


def normalised(mass: Floats) -> Floats:
    """Each row over its sum; a row of nothing is NaN."""
    with np.errstate(invalid="ignore"):
        return mass / mass.sum(axis=1, keepdims=True)


def exact(**told: Any) -> Conditional:
    return Conditional(**{"marks": MARKS, "unmarked": 0.0, "n": 3, **told})


def gap(method: Conditional, little: Little, wanted: Floats, **told: Any) -> float:
    """Total variation to the wanted shares, of the prompt where it is largest."""
    world = marked_world(little, method.marks)
    found = enumerated(method, world, data=Data(marks=method.marks), **told).tables
    return distance(world, found, world.tables(wanted))


def within(world: Little, wanted: Floats) -> Tables:
    """The policy with these shares; answers that a mark never sees keep a trace: all odds are finite."""
    return world.tables((1 - TRACE) * wanted + TRACE * world.shares(world.start()))


@pytest.mark.parametrize(
    ("little", "told"),
    [(bandit(arms=3), {"n": 2, "marks": ("no", "yes")}), (tied(), {"rows_per_step": 1, "epochs": 2})],
    ids=["two marks", "three marks, ties, steps"],
)
def test_each_mark_reaches_what_bayes_says_of_it(little: Little, told: dict[str, Any]) -> None:
    method = exact(**told)
    wanted = bayes(little, method.n, len(method.marks))
    assert 0.5 * np.abs(wanted[-1] - wanted[0]).sum() > 0.1, "there is something to learn"
    assert gap(method, little, wanted, rounds=40) <= 1e-3


@pytest.mark.parametrize(
    ("little", "told", "together"),
    [
        (bandit(), {}, 1),
        (tied(), {"n": 4}, 1),
        (bandit(), {"n": 2, "marks": ("no", "yes")}, 2),
        (strings(bits=2), {"n": 2, "marks": ("no", "yes")}, 1),
    ],
    ids=["bandit", "ties", "two groups a window", "strings"],
)
def test_there_it_has_nothing_more_to_teach(little: Little, told: dict[str, Any], together: int) -> None:
    """−E log π is convex in the logits: where its gradient vanishes is where it leads."""
    method = exact(**told)
    world, data = marked_world(little, method.marks), Data(marks=method.marks)
    best = within(world, bayes(little, method.n * together, len(method.marks)))
    assert expected_gradient(method, world, best, data=data, together=together).largest <= 10 * TRACE
    start = expected_gradient(method, world, world.start(), data=data, together=together)
    assert start.largest >= 1e-2


def test_answers_drawn_without_a_mark_and_learnt_without_one_teach_nothing() -> None:
    """Windows that nobody marked, as in an estimate: −E log π of the policy's own answers is at rest."""

    class Unmarked(Conditional):
        def marked(self, window: Window, rendered: Any, rng: Any) -> Window:
            return window

    world, rng = marked_world(strings(bits=2)), np.random.default_rng(0)
    share = rng.dirichlet(np.ones(len(world.answers)), size=world.prompts)
    for tables in (world.start(), world.tables(share)):
        found = expected_gradient(Unmarked(n=2, marks=MARKS), world, tables, data=Data(marks=MARKS))
        assert found.largest <= 1e-12


# With some rows unmarked: every choice of them, each with its probability


class Choosing:
    """A generator whose next draws are as they have to be for these rows to stay unmarked."""

    def __init__(self, plain: Sequence[bool]) -> None:
        self._plain = plain

    def random(self, size: int) -> Floats:
        assert size == len(self._plain)
        return np.where(self._plain, 0.0, 1.0 - 1e-12)


class Case(NamedTuple):
    """A window that can happen, and its probability."""

    window: Window
    chance: float


def windows(little: Little, n: int) -> Iterator[Case]:
    share = little.shares(little.start())[0]
    for answers in itertools.product(range(len(share)), repeat=n):
        rows = [
            Row((little.episode(0, a, i),), {"score": float(little.reward_PA[0, a])})
            for i, a in enumerate(answers)
        ]
        yield Case(Window(0, tuple(rows)), float(np.prod(share[list(answers)])))


def law(method: Conditional, little: Little) -> Floats:
    """What ``sft`` on the rows of a window tends to behind each prompt: expected shares, row by row."""
    world = marked_world(little, method.marks)
    mass = np.zeros((world.prompts, len(world.answers)))

    def rendered(prompt: str, mark: str) -> tuple[int, ...]:
        assert prompt == world.episode(0, 0).prompt
        return world.episode(1 + method.marks.index(mark), 0).prompt_tokens[0]

    for case in windows(little, method.n):
        for plain in itertools.product([False, True], repeat=method.n):
            marked = method.marked(case.window, rendered, Choosing(plain))  # type: ignore[arg-type]
            batch, _ = method.batch(marked, {}, np.random.default_rng(0))
            share = np.prod(np.where(plain, method.unmarked, 1 - method.unmarked))
            for sequence in batch.sequences:
                mass[world.known[sequence.tokens]] += case.chance * share * batch.tokens["weight"][0]
    return normalised(mass)


@pytest.mark.parametrize("unmarked", [0.1, 0.5])
@pytest.mark.parametrize("little", [bandit(), tied()], ids=["bandit", "ties"])
def test_unmarked_rows_are_the_reference_and_marked_ones_what_bayes_says(
    little: Little, unmarked: float
) -> None:
    found = law(exact(unmarked=unmarked), little)
    assert found == pytest.approx(bayes(little, 3, 3), abs=1e-12)


def test_it_stays_the_reference_over_rounds_of_its_own_answers() -> None:
    """Sampled windows, each answered by the policy as it then is: what is unmarked must not drift."""
    little = bandit()
    world, method = (
        marked_world(little, ("no", "yes")),
        exact(n=4, marks=("no", "yes"), unmarked=0.2, rows_per_step=999),
    )
    schedule = Schedule(windows=40, together=50, lr=1.0)
    found = sampled(method, world, 0, schedule, Data(marks=("no", "yes")))
    start, now = world.shares(world.start())[0], world.shares(found)
    assert 0.5 * np.abs(now[0] - start).sum() <= 0.05  # a walk of 40 steps, each of about 40 draws
    assert now[2] @ little.reward_PA[0] > start @ little.reward_PA[0] + 0.2
    assert now[1] @ little.reward_PA[0] < start @ little.reward_PA[0] - 0.2


# Mutants

REAL = conditional.bands


def _by_group(score_R: Floats, count: int) -> Any:
    return np.concatenate([REAL(part, count) for part in np.split(score_R, 2)])


def _upper_end(score_R: Floats, count: int) -> Any:
    upto = np.array([(score_R <= x).mean() for x in score_R])
    return np.minimum((count * upto).astype(int), count - 1)


def _lower_end(score_R: Floats, count: int) -> Any:
    return np.array([int(count * (score_R < x).mean()) for x in score_R])


MUTANTS: dict[str, Callable[[Floats, int], Any]] = {
    "turned round": lambda score, count: np.where(REAL(score, count) < 0, -1, count - 1 - REAL(score, count)),
    "within the group": _by_group,
    "ties to the upper end": _upper_end,
    "ties to the lower end": _lower_end,
    "the worst for all": lambda score, count: np.zeros(len(score), dtype=int),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_does_not_stay_there(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    little, method = tied(), exact(n=2, marks=("no", "yes"))
    world = marked_world(little, method.marks)
    best = within(world, bayes(little, 4, 2))
    monkeypatch.setattr(conditional, "bands", MUTANTS[mutant])
    found = expected_gradient(method, world, best, data=Data(marks=method.marks), together=2)
    assert found.largest > 1e-2


class ByScore(Conditional):
    """Better answers are more often left unmarked."""

    def marked(self, window: Window, rendered: Any, rng: Any) -> Window:
        found = super().marked(window, rendered, rng)
        rows = [b if a.columns["score"] < 0 else a for a, b in zip(window.rows, found.rows, strict=True)]
        return replace(found, rows=tuple(rows))


class Staying(Conditional):
    """Rows of a window without bands stay, unmarked."""

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        rows = [
            replace(r, columns={**r.columns, "band": float(np.nan_to_num(r.columns["band"], nan=-1.0))})
            for r in window.rows
        ]
        return super().batch(replace(window, rows=tuple(rows)), memory, rng)


class Unwritten(Conditional):
    """Bands without marks in the prompts."""

    def marked(self, window: Window, rendered: Any, rng: Any) -> Window:
        found = super().marked(window, rendered, rng)
        rows = [replace(b, episodes=a.episodes) for a, b in zip(window.rows, found.rows, strict=True)]
        return replace(found, rows=tuple(rows))


@pytest.mark.parametrize("kind", [ByScore, Staying])
def test_unmarked_rows_that_are_no_fair_sample_move_the_unmarked_model(kind: type[Conditional]) -> None:
    little = bandit()
    found = law(kind(n=2, marks=MARKS, unmarked=0.2), little)
    assert 0.5 * np.abs(found[0] - bayes(little, 2, 3)[0]).sum() > 0.02


def test_marks_that_are_not_written_teach_nothing_behind_a_mark() -> None:
    found = law(Unwritten(n=2, marks=MARKS, unmarked=0.2), bandit())
    assert np.isnan(found[1:]).all()
