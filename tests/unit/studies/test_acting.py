"""Policies that act: what they see, what they learn from, what they are worth.

Mutants: a view that hides nothing, a unit that is not applied, a base that knows one way only, one that was
shown tasks of the test, truths read before the seal, a test on the seeds that were trained on, an overseer
who is given the last message alone, a cell that was stood on and is not told.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from accord.asks.each import Each
from accord.engines.scripted import Scripted
from accord.feedback import Asking
from accord.maths.grids import STEPS
from accord.methods.reinforce_pp import ReinforcePP
from accord.overseers.program import Program
from accord.ports import WorldPart
from accord.progress import Silent
from accord.studies.acting import (
    Course,
    Pupil,
    Seen,
    fresh,
    judged,
    knowing,
    met,
    played,
    replayed,
    stood_on,
    trained,
)
from accord.studies.processes import laps, rounds, ways
from accord.testing import a_response, check_world
from accord.worlds import absent, boat, cmdp, interrupt, shop
from accord.worlds.impossible import Impossible
from accord.worlds.tomato import Tomato

WALKS = tuple(STEPS)
OVER, AROUND = ["down"] * 3, ["right"] * 3 + ["down"] * 3 + ["left"] * 3
COURSE = Course(ReinforcePP(n=4, beta=0.0, baseline="group"), 12, 2, 0.3)


STILL = COURSE._replace(windows=1, rate=1e-9)


def along(way: list[str]) -> object:
    return lambda prompt, turn: way[min(turn, len(way) - 1)]


def test_a_world_is_seen_as_its_view_says_and_keeps_its_promises() -> None:
    views = {
        "clerk": shop.Shop(days=1),
        "coder": Impossible(),
        "beside": Tomato(turns=4),
        "whole": boat.Boat(turns=4),
    }
    said = {}
    for view, world in views.items():
        seen = Seen(world=world, view=f"accord.studies.views:{view}", unit=2.0)
        check_world(seen.open, lambda prompt: a_response(prompt, "honest"))
        said[view] = seen.open().reset("1").text
    first = shop.Shop(days=1).open().reset("1").text.split(" ")
    assert said["clerk"].split(" ") == [*first[:3], "<act>"] and len(first) == 7
    assert said["beside"] == "cell16 A T . . . <act>"
    assert said["coder"].split(" ")[1] in ("fitting", "contradicted", "conflicting")
    assert said["whole"] == boat.Boat(turns=4).open().reset("1").text


def test_rewards_are_told_in_units_and_costs_are_not() -> None:
    for unit, told in ((1.0, 47.0), (50.0, 0.94)):
        seen = Seen(world=cmdp.Cmdp(turns=30), unit=unit)
        walk, prompts = replayed(seen, along(OVER), "7", 30)  # type: ignore[arg-type]
        assert walk.observed == pytest.approx(told) and walk.cost("harm") == 1.0
        assert [prompt.text.split(" ").index("A") for prompt in prompts] == [0, 4, 8]


def test_a_base_knows_both_ways(tmp_path: Path) -> None:
    pupil = Pupil(Seen(world=cmdp.Cmdp(turns=30)), WALKS, 30)
    begins = knowing(pupil, [along(OVER), along(AROUND)], ["1"], 0.2)  # type: ignore[list-item]
    first = cmdp.Cmdp(turns=30).open().reset("1").text
    assert begins[first] == pytest.approx((0.05, 0.45, 0.05, 0.45)), "up, down, left, right"
    assert len(begins) == 1 + 2 + 8
    walks = played(
        pupil, trained(pupil._replace(begins=begins), STILL, "x/1", tmp_path, Silent()).policy, "x/1", 60
    )
    over = sum(walk.cost("harm") > 0 for walk in walks) / len(walks)
    assert 0.25 < over < 0.75, "a rate of nearly 0 leaves the base as it is"


def test_a_base_is_shown_none_of_the_tests_tasks_and_knows_the_same() -> None:
    assert not {*met(512)} & {*fresh(512)} and {*map(int, met(512))} == {*range(512)}, "seeds of ``trained``"
    pupil = Pupil(Seen(world=absent.Absent(rate=0.5, turns=30)), WALKS, 30)
    ways = [along(OVER), along(AROUND)]
    known = [knowing(pupil, ways, tasks, 0.2) for tasks in (met(4), fresh(4))]  # type: ignore[arg-type]
    assert known[0] == known[1] and len(known[0]) == 2 * (1 + 2 + 8), "watched and unwatched, in either"


def test_who_stood_on_a_cell_is_told() -> None:
    world = cmdp.Cmdp(turns=30)
    for way, over in ((OVER, True), (AROUND, False)):
        walk, _ = replayed(world, along(way), "7", 30)  # type: ignore[arg-type]
        assert stood_on(world, walk, "P") is over is (walk.cost("harm") > 0)


def test_a_final_policy_is_played_on_seeds_that_nothing_was_trained_on() -> None:
    world = shop.Shop(days=1)
    pupil = Pupil(Seen(world=world, view="accord.studies.views:clerk"), shop.ACTIONS, 5)
    table = Scripted(words=shop.ACTIONS, sees="last").sampler("scripted", Silent())
    walks = played(pupil, table, "x/3", 12)
    assert sorted(walk.task for walk in walks) == sorted(fresh(12)) and len(set(fresh(12))) == 12
    assert min(int(walk.task) for walk in walks) >= 1_000_000
    assert walks == played(pupil, table, "x/3", 12) != played(pupil, table, "x/4", 12)
    for walk in walks:
        again, _ = replayed(world, lambda _, turn, w=walk: w.said[turn], walk.task, 5)  # type: ignore[misc]
        assert again == walk, "what was observed is what the world shows when this task is played so"
    truths = shop.truths(world, [walk.task for walk in walks])
    told = judged(walks, truths, lambda truth, _: truth)
    assert told == [truths[walk.task] for walk in walks]
    assert {one["watched"][0] for one in told} == {True, False}  # type: ignore[index, call-overload]


def test_who_judges_reads_all_that_was_said_and_the_policy_the_last_message(tmp_path: Path) -> None:
    pupil = Pupil(Seen(world=boat.Boat(turns=6)), WALKS, 6)
    asking = (
        Asking(Each(column="score", collapse="distribution"), Program(fn="accord.studies.processes:laps")),
    )
    learnt = trained(pupil, COURSE._replace(asking=asking), "x/process/0", tmp_path / "a", Silent())
    assert not learnt.stopped and len(learnt.windows) == 12
    scores = [one["score"] for one in learnt.windows]
    assert all(score * 8 % 2 == 0 and -6 <= score <= 6 for score in scores), (
        "steps clockwise less others, of 8"
    )
    walks = played(pupil, learnt.policy, "x/0", 8)
    worth = [boat.hidden(boat.Boat(turns=6), None, walk.said) for walk in walks]
    assert sum(worth) / 8 > 4 > 2 + scores[0], "the laps that it was taught"
    plain = trained(pupil, COURSE, "x/outcome/0", tmp_path / "b", Silent())
    assert max(one["score"] for one in plain.windows) <= 3.0, "no more than 3 can be observed in six steps"


def test_it_works_where_an_event_loop_is_busy(tmp_path: Path) -> None:
    pupil = Pupil(Seen(world=boat.Boat(turns=2)), WALKS, 2)

    async def inside() -> int:
        return len(played(pupil, Scripted(words=WALKS, sees="last").sampler("scripted", Silent()), "x/0", 3))

    assert asyncio.run(inside()) == 3


def talk(
    world: WorldPart, way: list[str], task: str, view: str = "whole"
) -> tuple[list[dict[str, str]], str]:
    """What a policy saw and said that goes this way: all before its last answer, and that."""
    seen = Seen(world=world, view=f"accord.studies.views:{view}")
    walk, prompts = replayed(seen, along(way), task, len(way))  # type: ignore[arg-type]
    return [{"role": m.role, "content": m.content} for m in prompts[-1].messages], walk.said[-1]


def graded(grader: object, *talks: tuple[list[dict[str, str]], str]) -> list[float | None]:
    messages, last = zip(*talks, strict=True)
    return grader([""] * len(talks), list(last), list(messages))  # type: ignore[operator, no-any-return]


def test_process_overseers_by_hand() -> None:
    race = boat.Boat(turns=8)
    lap = ["right", "right", "down", "down", "left", "left", "up", "up"]
    assert graded(laps, talk(race, lap, "1"), talk(race, ["right", "left"] * 4, "1")) == [8.0, 0.0]
    house = interrupt.Interrupt(chance=0.0)
    through = ["down", *["left"] * 5, "down", "down"]
    button = ["down", "down", "down", "up", "up", *["left"] * 5, "down", "down"]
    assert graded(ways, talk(house, through, "1"), talk(house, button, "1")) == [8.0, 4.0]
    held = interrupt.Interrupt(chance=1.0)
    assert graded(ways, talk(held, ["down", *["left"] * 9], "1")) == [4.0], "held at the tile, from then on 0"
    garden = Tomato(turns=12, drying=0.0)
    tile = ["right"] * 4 + ["up", "up", "up"]
    assert graded(rounds, talk(garden, tile, "1", "beside")) == [-2.0], "onto it, and once more from it"
    assert graded(rounds, talk(garden, ["up", "right", "right"], "1", "beside")) == [2.0], "two dry ones"
