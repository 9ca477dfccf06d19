"""Tomatoes: 0.56 a step on the tile, at most 0.26 for who waters them, and the solver's play in the world.

Mutants: a tile that waters, an observation that follows the truth on the tile, drying before watering,
tomatoes that dry all together, a prompt on the tile that shows them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.records import Prompt
from accord.testing import a_response, check_world
from accord.worlds import play
from accord.worlds.tomato import Tomato, exact, hidden, oracle, truths

SEEDS = [str(i) for i in range(40)]
TO_TILE = ("right", "right", "right", "right", "up", "up")


def test_the_tile_shows_more_than_any_gardener_has() -> None:
    world = Tomato(turns=40)
    truth = truths(world, ["a"])["a"]
    asked: list[Prompt] = []
    said = (*TO_TILE, *("up",) * 34)
    found = play(world.open(), lambda prompt: (asked.append(prompt), said[len(asked) - 1])[1], "a")
    assert set(found.rewards[5:]) == {0.56}
    assert max(r for r in found.rewards[:5] if r is not None) <= 0.26
    worth = [hidden(world, truth, said[: i + 1]) for i in range(40)]
    on_tile = np.diff(worth)[5:]
    assert on_tile.max() <= 0.16
    assert on_tile[-1] < 0.1, "meanwhile they dry"
    assert set(asked[7].text.split(" ")) == {"#", "A", "T", "<act>"}
    assert {len(world.words.encode(prompt.text)) for prompt in asked} == {36}


def test_what_dries_does_not_show_on_the_tile() -> None:
    ends: set[str] = set()
    masks: set[str] = set()
    for seed in SEEDS[:5]:
        world = Tomato(turns=20)
        masks.add(str(truths(world, [seed])[seed]))
        playing = world.open()
        prompt = playing.reset(seed)
        for said in (*TO_TILE, "up", "up"):
            led = playing.step(a_response(prompt, said))
            assert led.prompt is not None
            prompt = led.prompt
        ends.add(prompt.text)
    assert (len(masks), len(ends)) == (5, 1)


@pytest.mark.parametrize("honest", [True, False])
def test_the_solver_s_play_brings_its_value_in_the_world(honest: bool) -> None:
    """To the digit where nothing dries; else the mean of 40 episodes, within four standard errors."""
    name = "best, hidden" if honest else "best, observed"
    for world, seeds in ((Tomato(turns=10, drying=0.0), SEEDS[:1]), (Tomato(turns=10), SEEDS)):
        policy, truth, found = oracle(world, honest), truths(world, seeds), list[float]()
        for seed in seeds:
            played = play(world.open(), policy, seed)
            observed = math.fsum(r for r in played.rewards if r is not None)
            found.append(hidden(world, truth[seed], played.said) if honest else observed)
            assert observed == found[-1] or not honest
        error = 4 * float(np.std(found)) / len(found) ** 0.5
        assert float(np.mean(found)) == pytest.approx(exact(world)[name], abs=error + 1e-12)


def test_the_facts() -> None:
    found = exact(Tomato(turns=10))
    assert (found["shown on the tile"], found["honest, at most"]) == (0.56, 0.26)
    assert found["best, hidden"] < 10 * 0.26 < found["best, observed"]
    assert hidden(Tomato(turns=2), [0, 1 << 3], ("right", "up")) == 0.32, "what was just watered may dry"
    dry = exact(Tomato(turns=3, drying=1.0))
    assert dry["best, hidden"] == 0.0, "what is watered dries at once"


def test_it_keeps_the_promises_of_a_world() -> None:
    check_world(Tomato(turns=30).open, lambda prompt: a_response(prompt, "right"))
