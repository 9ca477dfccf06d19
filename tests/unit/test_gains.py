"""Which gains excuse which pages, and how often there is an excuse where nothing was gained.

Mutants: the sign turned, the start of held-out prompts taken as known, one level for each source or look,
a trained score as a gain, an unnamed page or one with another name excused, an excuse that says nothing, one
that is said at every event.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from accord.gains import EXCUSABLE, established, risen
from accord.maths.intervals import clopper_pearson
from accord.maths.sequential import e_process
from accord.pages import Page, Tolerance, standing
from accord.ports import History
from accord.records import Decision, NotMeasured, Reading, StepEvent
from accord.testing import a_history, check_rule

Found = Reading | NotMeasured


def read(name: str, step: int, outcomes: Sequence[float], anchor: float | None = 0.0) -> Reading:
    mean, count = float(np.mean(outcomes)), len(outcomes)
    return Reading(
        run="run/stage",
        name=name,
        step=step,
        instrument="i",
        value=mean,
        low=0.0,
        high=1.0,
        base=anchor,
        change=mean - (anchor or 0.0),
        n=count,
        items=tuple(f"item {i}" for i in range(count)),
        outcomes=tuple(outcomes),
        anchors=() if anchor is None else (anchor,) * count,
    )


def share(name: str, step: int, ones: int, of: int = 32, anchor: float | None = 0.0) -> Reading:
    return read(name, step, [1.0] * ones + [0.0] * (of - ones), anchor)


def knows(*wrong: int) -> list[Found]:
    """Capability: the base is wrong on half, the policy on so many of 32."""
    return [share("capability.wrong", step, count, anchor=0.5) for step, count in enumerate(wrong)]


def held_out(*right: int, of: int = 64, name: str = "held_out.gold") -> list[Found]:
    return [share(name, 10 * k, count, of, anchor=None) for k, count in enumerate(right)]


def names(found: Sequence[Found], level: float = 0.05, events: Sequence[StepEvent] = ()) -> list[str]:
    return [gain.source for gain in established(a_history(events, found), level)]


def window(**scalars: float) -> StepEvent:
    return StepEvent(run="run/stage", name="window", step=0, scalars=scalars)


# What is a gain


def test_fewer_wrong_answers_are_a_gain_and_more_are_none() -> None:
    better, worse = knows(16, 4, 4, 4, 4), knows(16, 28, 28, 28, 28)
    (gain,) = established(a_history((), better), 0.05)
    deltas = [0.5 - np.array([1.0] * n + [0.0] * (32 - n)) for n in (16, 4, 4, 4, 4)]
    assert gain.e == pytest.approx(e_process(deltas, 0.0)[-1])
    assert (gain.source, gain.needed) == ("capability.wrong", 20)
    assert names(worse) == []
    assert names(knows(16, 16, 15, 16, 14)) == []


def test_held_out_prompts_are_held_against_their_own_start() -> None:
    (gain,) = established(a_history((), held_out(20, 52)), 0.05)
    delta = np.array([1.0] * 52 + [0.0] * 12) - np.array([1.0] * 20 + [0.0] * 44)
    assert gain.e == pytest.approx(risen(delta))
    assert gain.needed == 2 / 0.05, "the first time has a half of the level"
    assert [one.step for one in gain.readings] == [0, 10]
    assert names(held_out(52, 20)) == []
    assert names(held_out(20)) == [], "the start alone is no gain"


def test_a_later_look_needs_more_and_an_earlier_gain_may_be_lost() -> None:
    (gain,) = established(a_history((), held_out(20, 20, 20, 52)), 0.05)
    assert gain.needed == 3 * 4 / 0.05
    assert names(held_out(20, 52, 20)) == []


def test_prompts_that_nobody_judged_any_more_count_as_lost() -> None:
    """The first 24 of 64 are lost, 20 of which were right at the start."""
    start, later = share("held_out.gold", 0, 20, 64, None), read("held_out.gold", 10, [1.0] * 64, None)
    fewer = later.model_dump() | {"items": later.items[24:], "outcomes": later.outcomes[24:]}
    (gain,) = established(a_history((), [start, Reading.model_validate(fewer)]), 0.9)
    delta = np.array([0.0] * 24 + [1.0] * 40) - np.array([1.0] * 20 + [0.0] * 44)
    assert gain.e == pytest.approx(risen(delta))


def test_a_score_that_is_trained_on_is_no_gain() -> None:
    told = held_out(20, 52, name="held_out.score")
    assert names(told) == ["held_out.score"]
    for figure in ("score", "proxy"):
        assert names(told, events=[window(**{figure: 0.5})]) == []
    assert names(held_out(20, 52), events=[window(proxy=0.5)]) == ["held_out.gold"]


def test_sources_share_the_level_and_are_those_of_the_first_look() -> None:
    both = [*knows(16, 4, 4, 4, 4), *held_out(20, 52)]
    assert {gain.needed for gain in established(a_history((), both), 0.05)} == {40.0, 80.0}
    late = [*knows(16, 4, 4, 4, 4), *held_out(20, 52)[1:], share("held_out.gold", 30, 60, 64, None)]
    assert [gain.needed for gain in established(a_history((), late), 0.05)] == [20.0]
    silent = NotMeasured(run="run/stage", name="capability.wrong", step=0, reason="no logp")
    assert names([silent, *knows(16, 0, 0, 0, 0)[1:]]) == []


def test_a_figure_without_bounds_and_another_instrument_are_no_gain() -> None:
    (start, later) = held_out(20, 52)
    assert isinstance(later, Reading)
    free = later.model_copy(update={"items": (), "outcomes": ()})
    assert names([start, free]) == []
    assert names([start, later.model_copy(update={"instrument": "j"})]) == []
    changed = knows(16, 4, 4, 4, 4)
    assert names([*changed[:-1], changed[-1].model_copy(update={"instrument": "j"})]) == []


def test_how_often_a_run_without_a_gain_is_excused() -> None:
    """Prompts of their own difficulty, a start that is one draw of the same policy, nine looks: ≤ .05.

    Kills: the answers of the start as a known number; the level of one look for all of them.
    """
    rng, runs, found = np.random.default_rng(5), 400, 0
    for _ in range(runs):
        p_P = rng.beta(0.7, 0.7, 40)
        told = [
            read("held_out.gold", k, (rng.random(40) < p_P).astype(float).tolist(), None) for k in range(10)
        ]
        found += any(names(told[: k + 1]) for k in range(1, 10))
    assert clopper_pearson(found, runs, 0.98).low <= 0.05


# What it excuses


PAGE = Page(tolerances={"forward_kl.bits": Tolerance(by=0.1), "sycophancy.flips": Tolerance(by=0.1)})


def sick(name: str, count: int = 5) -> list[Found]:
    other = next(iter(set(PAGE.tolerances) - {name}))
    return [one for s in range(count) for one in (share(name, s, 32), share(other, s, 0))]


def said(page: Page, found: Sequence[Found], decisions: tuple[Decision, ...] = ()) -> Decision:
    return page(a_history((), found, decisions))


def test_it_is_a_rule() -> None:
    check_rule(PAGE, [a_history((), [*sick("forward_kl.bits"), *knows(16, 4, 4, 4, 4)])])


def test_a_page_about_how_the_base_speaks_is_excused_by_a_gain_and_says_so() -> None:
    gained = [*sick("forward_kl.bits"), *knows(16, 4, 4, 4, 4)]
    found = said(PAGE, gained)
    assert (found.action, found.rule) == ("continue", "page")
    assert found.reason.startswith(
        "excused: forward_kl; a gain is established at level 0.05: capability.wrong"
    )
    assert "page: forward_kl.bits (e-value" in found.reason
    evidence = {one.id for one in gained if one.name in ("forward_kl.bits", "capability.wrong")}
    assert set(found.parents) == evidence
    # Once while it lasts, whatever comes after; and a page as soon as the gain is gone.
    assert said(PAGE, gained, (found,)).reason == ""
    lost = [*gained, *(share("capability.wrong", s, 30, anchor=0.5) for s in range(5, 12))]
    assert said(PAGE, lost, (found,)).action == "pause"


def test_without_a_gain_it_is_a_page() -> None:
    for found in ([], knows(16, 16, 16, 16, 16), knows(16, 30, 30, 30, 30)):
        assert said(PAGE, [*sick("forward_kl.bits"), *found]).action == "pause"


def test_nothing_else_is_excused() -> None:
    gain = knows(16, 4, 4, 4, 4)
    assert said(PAGE, [*sick("sycophancy.flips"), *gain]).action == "halt"
    both = [share(name, s, 32) for s in range(5) for name in PAGE.tolerances]
    assert said(PAGE, [*both, *gain]).action == "halt", "one name that is not excused: neither is"
    assert {"forward_kl", "base_rank", "greedy_rank", "diversity", "wide_diversity"} == EXCUSABLE


def test_a_page_that_names_nobody_is_not_excused() -> None:
    """Two e-values of about 350 and one of 0: their mean pages at 200, and with the 0 neither reaches it."""
    many = Page(tolerances={f"{k}.x": Tolerance(by=0.1) for k in ("forward_kl", "greedy_rank", "other")})
    counts = (7, 7, 7, 7, 7, 7, 1)
    worn: list[Found] = []
    for step, count in enumerate(counts):
        worn += [share("forward_kl.x", step, count), share("greedy_rank.x", step, count)]
        worn.append(share("other.x", step, 0))
    now = standing(many, a_history((), worn))
    assert now is not None
    assert (now.naming().pages, now.naming().named) == (True, ())
    gain = [share("capability.wrong", s, 2, anchor=0.5) for s in range(len(counts))]
    found = said(many, [*worn, *gain])
    assert (found.action, "none of them can be named alone" in found.reason) == ("pause", True)


def test_a_plan_can_refuse_every_excuse() -> None:
    strict = PAGE.model_copy(update={"excuse_at": 0.0})
    assert said(strict, [*sick("forward_kl.bits"), *knows(16, 4, 4, 4, 4)]).action == "pause"


def test_an_excused_page_comes_after_what_nobody_judged() -> None:
    """Where a page rests on missing outcomes alone, no gain speaks for it."""
    readings: list[Found] = []
    for step in range(60):
        one = share("forward_kl.bits", step, 8)
        readings += [one.model_copy(update={"unjudged": tuple(range(6))}), share("sycophancy.flips", step, 0)]
    gain = [share("capability.wrong", s, 2, anchor=0.5) for s in range(60)]
    found = PAGE(History("run/stage", 60, (), (*readings, *gain), ()))
    assert (found.action, found.reason.partition(":")[0]) == ("pause", "evidence missing")
