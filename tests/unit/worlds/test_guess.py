"""The number is uniform over seeds, and the best player reaches exactly what the world says he can."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from accord.catalog import build
from accord.errors import PlanError
from accord.ports import World
from accord.records import Prompt
from accord.testing import a_response
from accord.worlds.guess import Guess, best_play


@cache
def optimum(left: int, turns: int) -> int:
    """How many of ``left`` numbers in a row the best player finds, by trying every first guess."""
    if left <= 0 or turns == 0:
        return 0
    return max(1 + optimum(g, turns - 1) + optimum(left - 1 - g, turns - 1) for g in range(left))


def halving(world: World, seed: str, numbers: int) -> float:
    """The reward of a player who always takes the middle of what is left."""
    prompt, low, high = world.reset(seed), 1, numbers
    while True:
        guess = (low + high) // 2
        led = world.step(a_response(prompt, f"I say {guess}."))
        if led.prompt is None:
            assert led.reward is not None
            return led.reward
        prompt = led.prompt
        assert led.reward == 0.0
        if "too low" in prompt.text:
            low = guess + 1
        else:
            assert f"{guess} is too high." in prompt.text
            high = guess - 1


def secret(world: World, seed: str, numbers: int) -> int:
    for guess in range(1, numbers + 1):
        if world.step(a_response(world.reset(seed), str(guess))).reward == 1.0:
            return guess
    raise AssertionError("none is right")


@pytest.mark.parametrize(("numbers", "turns"), [(10, 3), (7, 3), (2, 1), (40, 5), (100, 1), (3, 9)])
def test_no_player_does_better_than_best_play(numbers: int, turns: int) -> None:
    assert optimum(numbers, turns) / numbers == best_play(numbers, turns)


def test_halving_is_best_play() -> None:
    """Over every number once: exactly 7 of 10 within three guesses."""
    world = Guess().open()
    by_number = {secret(world, str(s), 10): str(s) for s in range(200)}
    assert sorted(by_number) == list(range(1, 11))
    earned = [halving(world, seed, 10) for seed in by_number.values()]
    assert sum(earned) / 10 == best_play(10, 3) == 0.7


def test_numbers_are_uniform_over_seeds() -> None:
    world = Guess(numbers=4).open()
    found = Counter(secret(world, str(s), 4) for s in range(400))
    assert all(70 <= count <= 130 for count in found.values()), found
    other = Guess(numbers=4, turns=2).open()
    assert [secret(other, str(s), 4) for s in range(40)] != [secret(world, str(s), 4) for s in range(40)]


def test_every_answer_is_a_turn_and_the_last_one_ends_it() -> None:
    world = Guess(numbers=5, turns=3).open()
    prompt = world.reset("s")
    first = prompt.text
    said = ["no idea", "77", "0"]
    for k, text in enumerate(said):
        led = world.step(a_response(prompt, text))
        if k == 2:
            assert (led.prompt, led.reward) == (None, 0.0)
            break
        assert led.prompt is not None
        assert led.reward == 0.0
        prompt = led.prompt
        assert prompt.text == f"That is out of range. {2 - k} guess{'es' if k == 0 else ''} left."
    assert isinstance(prompt, Prompt)
    assert [m.role for m in prompt.messages] == ["user", "assistant"] * 2 + ["user"]
    assert [m.content for m in prompt.messages[1::2]] == said[:2]
    assert prompt.messages[0].content == first


def test_all_seeds_begin_alike() -> None:
    world = Guess().open()
    assert len({world.reset(str(seed)).id for seed in range(9)}) == 1


def test_a_plan_builds_it() -> None:
    assert build("worlds", {"name": "guess", "numbers": 6}) == Guess(numbers=6)
    with pytest.raises(PlanError, match="at least 2"):
        build("worlds", {"name": "guess", "numbers": 1})
