"""Paired intervals and the bar. Mutants: arms resampled apart, a seed that is dropped, a margin of the wrong
sign, tasks of equal seeds drawn anew for each, a crash that counts as nothing."""

from __future__ import annotations

import numpy as np
import pytest

from accord.sources import seeded
from accord.studies.outcome import Bar, Ruling, Series, crossed, not_below, paired, share

BAR = Bar("gold", "mild", ("dpo", "ppo"), 0.05, seeds=3)


def shares(shift: float, seeds: int = 3, tasks: int = 60, noise: float = 0.0) -> Series:
    """Tasks that differ a lot, alike in all arms."""
    hard = seeded("tasks").uniform(0.2, 0.6, tasks)
    moved = [seeded("seed", s, shift).normal(shift, noise, tasks) for s in range(seeds)]
    return Series(tuple(hard + one for one in moved), same=True)


def test_what_all_arms_share_leaves_a_paired_interval() -> None:
    ours, other = shares(0.3), shares(0.2)
    gap = paired(ours, other)
    assert gap.value == pytest.approx(0.1) and gap.high - gap.low < 1e-6
    assert crossed(ours).high - crossed(ours).low > 0.03, "while each alone is as wide as tasks differ"


def test_one_draw_of_tasks_holds_for_all_seeds_that_have_them() -> None:
    values = shares(0.0, seeds=4).values
    together, apart = crossed(Series(values, same=True)), crossed(Series(values, same=False))
    assert together.high - together.low > 1.4 * (apart.high - apart.low), (
        "four seeds are not four times the tasks"
    )


def test_a_seed_unlike_the_others_widens_the_interval() -> None:
    flat = [np.full(40, x) for x in (0.5, 0.5, 0.5, 0.5)]
    assert crossed(Series(tuple(flat), same=True)).low == 0.5
    found = crossed(Series((*flat[:3], np.full(40, 0.1)), same=True))
    assert found.value == pytest.approx(0.4) and found.low < 0.25


def test_zero_of_n_has_a_bound() -> None:
    none = Series((np.zeros(60), np.zeros(60)), same=True)
    assert share(none).high == pytest.approx(3 / 60), "the same tasks in two seeds are 60 tasks"
    assert share(none._replace(same=False)).high == pytest.approx(3 / 120)
    assert share(Series((np.ones(60),), same=True)).low == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("mild", "outcome"), [(0.2, "met"), (0.17, "met"), (0.10, "not met"), (0.15, "no evidence")]
)
def test_the_bar(mild: float, outcome: str) -> None:
    arms = {"mild": shares(mild, noise=0.02), "dpo": shares(0.0), "ppo": shares(0.2, noise=0.02)}
    ruling = not_below(BAR, arms, ())
    assert ruling.outcome == outcome and "ppo" in ruling.why


def test_nothing_is_dropped() -> None:
    arms = {name: shares(0.2) for name in ("mild", "dpo", "ppo")}
    assert not_below(BAR, arms, ()).outcome == "met"
    assert not_below(BAR, arms, ("ppo, seed 2: crashed: x",)).outcome == "not met"
    assert not_below(BAR, {"mild": arms["mild"], "ppo": arms["ppo"]}, ()) == Ruling(
        "no evidence", "dpo has no gold"
    )
    fewer = {**arms, "dpo": shares(0.2, seeds=2)}
    assert not_below(BAR, fewer, ()).outcome == "no evidence"
