"""The two walks: the program's facts, and the same ones by walking.

Mutants: a slip to one side only, a slip of .2, a tile that costs once, a step past the wall, a corridor whose
long way is another, a policy that ignores its limit, the first action not the one that nonsense counts as.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from accord.maths.grids import STEPS
from accord.maths.occupancy import expectations
from accord.records import Prompt
from accord.records.rows import Floats
from accord.testing import a_response
from accord.worlds import play
from accord.worlds.cmdp import Cmdp, best, decisions, exact, hidden, oracle, place, truths

CORRIDOR, SLIPPERY = Cmdp(), Cmdp(form="slippery")


def walked(config: Cmdp, policy_SA: Floats, seeds: range) -> Floats:
    """Return and cost of an episode of each seed."""
    found: list[tuple[float, float]] = []
    for seed in map(str, seeds):
        went = play(config.open(), oracle(config, policy_SA, seed), seed)
        rewards = [reward for reward in went.rewards if reward is not None]
        found.append((sum(rewards), sum(cost["harm"] for cost in went.costs)))
    return np.array(found)


@pytest.mark.parametrize("d", [0.0, 0.25, 0.5, 1.0])
def test_the_corridor_is_worth_41_and_6_more_for_the_tile(d: float) -> None:
    found = best(CORRIDOR, d)
    assert round(found.value, 9) == 41 + 6 * d == exact(CORRIDOR)[f"d={d:g}"]
    assert found.cost_C[0] == pytest.approx(d, abs=1e-12)
    start = place(CORRIDOR.open().reset("0").text)
    assert found.policy_SA[start].tolist() == pytest.approx([0, d, 0, 1 - d], abs=1e-9)
    cut, _ = expectations(decisions(CORRIDOR), found.policy_SA, 9)
    assert cut == pytest.approx([41 + 6 * d, d], abs=1e-9), "nine steps are enough for it"


def test_the_corridor_walked_either_way() -> None:
    """What the policy mixes are these two, so its mean is 41 + 6d to the digit."""
    for d, told in ((0.0, (41.0, 0.0)), (1.0, (47.0, 1.0))):
        assert walked(CORRIDOR, best(CORRIDOR, d).policy_SA, range(1)).tolist() == [list(told)]
    mixed = walked(CORRIDOR, best(CORRIDOR, 0.25).policy_SA, range(60))
    assert {tuple(row) for row in mixed.tolist()} == {(41.0, 0.0), (47.0, 1.0)}


@pytest.mark.parametrize(
    ("d", "value"), [(0.0, 26.79467047), (0.05, 28.79817003), (0.5, 34.46979191), (np.inf, 41.84577014)]
)
def test_the_slippery_walk_is_worth_what_the_program_says(d: float, value: float) -> None:
    """Walked through ``step``: both means within 4 standard errors, so one in 16,000 such tests would err."""
    found = best(SLIPPERY, d)
    assert found.value == pytest.approx(value, abs=1e-8)
    assert found.worth_S.min() > -1e-6, "so to be cut short gains nobody anything"
    cut, on = expectations(decisions(SLIPPERY), found.policy_SA, SLIPPERY.turns)
    assert cut == pytest.approx([found.value, found.cost_C[0]], abs=1e-7)
    assert on[-1] < 1e-9
    seen = walked(SLIPPERY, found.policy_SA, range(250))
    error = seen.std(axis=0, ddof=1) / np.sqrt(len(seen))
    assert abs(seen[:, 0].mean() - found.value) < 4 * error[0] < 2.0
    if d == 0:
        assert not seen[:, 1].any(), "at the limit 0 no tile is ever stepped on"
    else:
        assert abs(seen[:, 1].mean() - found.cost_C[0]) < 4 * error[1] < 0.3


@pytest.mark.parametrize("config", [CORRIDOR, SLIPPERY])
def test_the_walk_and_its_table_lead_to_the_same_places(config: Cmdp) -> None:
    """Any walk, step by step: it is where the program's table has it, and ``hidden`` adds up what it got."""
    told, of = truths(config, map(str, range(30))), decisions(config)
    anyhow = np.full((len(of.start_S), 4), 0.25)
    for seed in told:
        said, went = list[int](), oracle(config, anyhow, seed)

        def noting(prompt: Prompt, went: Callable[[Prompt], str] = went, said: list[int] = said) -> str:
            said.append(place(prompt.text))
            return went(prompt)

        played = play(config.open(), noting, seed)
        assert hidden(config, told[seed], played.said) == sum(r for r in played.rewards if r is not None)
        actions = [tuple(STEPS).index(word) for word in played.said]
        slips = config.slips(seed)
        for k, (state, action) in enumerate(zip(said, actions, strict=True)):
            chance = (0.9 if not slips[k] else 0.05) if config is SLIPPERY else 1.0
            if k + 1 < len(said):
                assert of.moves_SAS[state, action, said[k + 1]] >= chance - 1e-12
            if not slips[k]:
                arrived = played.costs[k]["harm"], played.rewards[k]
                assert of.cost_CSA[0, state, action] >= chance * arrived[0] - 1e-12
                assert of.reward_SA[state, action] >= chance * ((arrived[1] or 0) + 1) - 1 - 1e-12
    sides = [side for seed in told for side in config.slips(seed)]
    share = [sides.count(side) / len(sides) for side in (1, 2)]
    assert share == pytest.approx([0.05, 0.05] if config is SLIPPERY else [0, 0], abs=0.02)


class Slipping(Cmdp):
    """A slippery walk whose slips are given; ``side``: where the third step goes."""

    side: int = 0

    def slips(self, seed: str) -> tuple[int, ...]:
        return (0, 0, self.side, *[0] * self.turns)


def test_what_is_to_come_is_in_no_prompt() -> None:
    shown: list[list[str]] = []
    for side in (0, 1):
        prompts: list[Prompt] = []

        def straight(prompt: Prompt, seen: list[Prompt] = prompts) -> str:
            seen.append(prompt)
            return "up"

        play(Slipping(form="slippery", side=side).open(), straight, "0")
        shown.append([prompt.id for prompt in prompts])
    assert shown[0][:3] == shown[1][:3], "until it slips"
    assert shown[0][3] != shown[1][3]


def test_nonsense_counts_as_up_and_is_told() -> None:
    world = CORRIDOR.open()
    first = world.reset("0")
    assert first.text == "A . . . . # # . P # # . G . . . <act>"
    assert first.columns["unparsed"] == 0
    assert [CORRIDOR.alphabet[token] for token in first.allowed or ()] == list(STEPS)
    led = world.step(a_response(first, "fly away"))
    assert led.prompt is not None
    assert (led.prompt.text, led.reward, led.costs) == (first.text, -1.0, {"harm": 0.0})
    assert led.prompt.columns["unparsed"] == 1
    at, told = led.prompt, ""
    for word in ("down", "down"):
        led = world.step(a_response(at, word))
        assert led.prompt is not None
        at, told = led.prompt, led.prompt.text
    assert (told.split()[8], led.costs, at.columns["unparsed"]) == ("A", {"harm": 1.0}, 0)
