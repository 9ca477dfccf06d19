"""check_world: a seed decides everything but the answers, prompts go on, and every episode ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from accord.ports import World, WorldStep
from accord.records import Prompt, Response
from accord.testing.promises import promised

__all__ = ["check_world"]


class _Trace(NamedTuple):
    prompts: tuple[str, ...]
    rewards: tuple[float | None, ...]
    costs: tuple[dict[str, float], ...]


def check_world(fresh: Callable[[], World], answer: Callable[[Prompt], Response], *, turns: int = 64) -> None:
    """ContractError with the first promise that is broken. ``answer`` says something to any prompt, and says
    the same to the same prompt; an episode must end within ``turns`` answers."""
    world = fresh()
    one = _episode(world, "a", answer, turns)
    other = _episode(world, "b", answer, turns)
    again = _episode(world, "a", answer, turns)
    promise = "an episode is a function of the seed and the answers"
    promised(world, promise, one == again, "another one after an episode with another seed")
    promised(world, promise, one == _episode(fresh(), "a", answer, turns), "another one in a fresh world")
    _episode(fresh(), "a", lambda prompt: answer(prompt).model_copy(update={"text": ""}), turns)
    left, right = fresh(), fresh()
    first, second = left.reset("a"), right.reset("b")
    both = (first.id, second.id) == (one.prompts[0], other.prompts[0])
    promised(world, "two worlds side by side share nothing", both, "reset of one changed the other")
    led, beside = left.step(answer(first)), right.step(answer(second))
    same = (led.reward, dict(led.costs)) == (one.rewards[0], one.costs[0])
    same = same and (beside.reward, dict(beside.costs)) == (other.rewards[0], other.costs[0])
    promised(world, "two worlds side by side share nothing", same, "a step in one changed the other")


def _episode(world: World, seed: str, answer: Callable[[Prompt], Response], turns: int) -> _Trace:
    prompt = world.reset(seed)
    prompts, rewards, costs = [prompt.id], list[float | None](), list[dict[str, float]]()
    for _ in range(turns):
        said = answer(prompt)
        led = world.step(said)
        _check_step(world, led, costs)
        rewards.append(led.reward)
        costs.append(dict(led.costs))
        if led.prompt is None:
            return _Trace(tuple(prompts), tuple(rewards), tuple(costs))
        on = prompt.then(said.text).messages
        promise = "a next prompt goes on from the one before: its messages, the answer, what the world says"
        goes_on = led.prompt.messages[: len(on)] == on and led.prompt.answered == len(on)
        promised(world, promise, goes_on and len(led.prompt.messages) > len(on), led.prompt.messages)
        prompt = led.prompt
        prompts.append(prompt.id)
    promised(world, f"an episode ends within {turns} answers", False, f"{turns} answers and no end")
    raise AssertionError("unreachable")


def _check_step(world: World, led: WorldStep, costs: list[dict[str, float]]) -> None:
    finite = led.reward is None or math.isfinite(led.reward)
    promised(world, "a reward is finite, or None where none was seen", finite, led.reward)
    names = set(led.costs)
    same = not costs or names == set(costs[-1])
    promised(world, "every step names the same costs", same, sorted(names))
    finite = all(math.isfinite(cost) for cost in led.costs.values())
    promised(world, "costs are finite", finite, led.costs)
