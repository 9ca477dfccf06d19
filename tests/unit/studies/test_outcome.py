"""Paired intervals. Mutants: arms resampled apart, seeds or tasks paired by their place, tasks of equal seeds
drawn anew for each, a share of none without a bound, a crash or a missing seed that counts as nothing."""

from __future__ import annotations

import numpy as np
import pytest

from accord.sources import seeded
from accord.studies.bars import Bar, not_below, ruled
from accord.studies.outcome import Series, crossed, paired, share

BAR = Bar((not_below("gold", "mild", ("dpo", "ppo"), 0.05),), seeds=3)


def series(rows: dict[int, list[float]], apart: bool = False) -> Series:
    """Tasks by their place; with ``apart`` every seed has tasks of its own."""
    return Series.of(
        {s: {f"{s * apart}/{i:03}": v for i, v in enumerate(values)} for s, values in rows.items()}
    )


def shares(shift: float, seeds: int = 3, tasks: int = 60, noise: float = 0.0) -> Series:
    """Tasks that differ a lot, alike in all arms."""
    hard = seeded("tasks").uniform(0.2, 0.6, tasks)
    moved = {s: hard + seeded("seed", s, shift).normal(shift, noise, tasks) for s in range(seeds)}
    return series({s: one.tolist() for s, one in moved.items()})


def test_what_all_arms_share_leaves_a_paired_interval() -> None:
    ours, other = shares(0.3), shares(0.2)
    gap = paired(ours, other)
    assert gap.value == pytest.approx(0.1) and gap.high - gap.low < 1e-6
    assert crossed(ours).high - crossed(ours).low > 0.03, "while each alone is as wide as tasks differ"


def test_arms_are_paired_by_seed_and_name_and_not_by_place() -> None:
    ours = Series.of({0: {"a": 0.1, "b": 0.9}, 2: {"a": 0.5, "c": 0.7}})
    other = Series.of({1: {"a": 0.0}, 2: {"a": 0.5, "b": 0.0, "c": 0.2}, 0: {"b": 0.4, "z": 9.0}})
    gap = ours.less(other)
    assert gap.seeds == (0, 2) and gap.tasks == (("b",), ("a", "c"))
    assert [one.tolist() for one in gap.values] == [[0.5], [0.0, pytest.approx(0.5)]]
    apart = Series.of({7: {"a": 1.0}})
    assert ours.shares(other) and not ours.shares(apart)
    with pytest.raises(ValueError, match="no values"):
        ours.less(apart)


def test_one_draw_of_tasks_holds_for_all_seeds_that_have_them() -> None:
    rows = {s: values.tolist() for s, values in enumerate(shares(0.0, seeds=4).values)}
    together, apart = crossed(series(rows)), crossed(series(rows, apart=True))
    assert together.high - together.low > 1.4 * (apart.high - apart.low), (
        "four seeds are not four times the tasks"
    )


def test_a_seed_unlike_the_others_widens_the_interval() -> None:
    flat = {s: [0.5] * 40 for s in range(4)}
    assert crossed(series(flat)).low == 0.5
    found = crossed(series({**flat, 3: [0.1] * 40}))
    assert found.value == pytest.approx(0.4) and found.low < 0.25


def test_zero_of_n_has_a_bound() -> None:
    none = {s: np.zeros(60).tolist() for s in range(2)}
    assert share(series(none)).high == pytest.approx(3 / 60), "the same tasks in two seeds are 60 tasks"
    assert share(series(none, apart=True)).high == pytest.approx(3 / 120)
    assert share(series({0: [1.0] * 60})).low == pytest.approx(0.95)


def test_nothing_is_dropped() -> None:
    arms = {name: shares(0.2) for name in ("mild", "dpo", "ppo")}
    assert ruled(BAR, {"gold": arms}).outcome == "met"
    assert ruled(BAR, {"gold": arms}, ("ppo, seed 2: crashed: x",)).outcome == "not met"
    assert ruled(BAR, {"gold": arms}, (), ("ppo, seed 2",)).outcome == "no solution found"
    without = {"gold": {"mild": arms["mild"], "ppo": arms["ppo"]}}
    assert ruled(BAR, without)[:2] == ("no evidence", "dpo has no gold")
    assert ruled(BAR, {})[:2] == ("no evidence", "mild has no gold; dpo has no gold; ppo has no gold")
    fewer = {name: shares(0.2, seeds=2) for name in arms}
    assert ruled(BAR, {"gold": fewer})[:2] == ("no evidence", "2 seeds of 3")
    uneven = {**arms, "mild": shares(0.2, seeds=6), "dpo": series({s: [0.2] * 9 for s in (0, 1, 2, 4)})}
    assert "dpo has no gold in seeds 3, 5" in ruled(BAR, {"gold": uneven}).why
