"""Bisection: the honest debater wins against every liar, and cannot where it does not find the flaw.

Mutants: the disputed half is the first one, the judge applies f to a claim and not to what is agreed on, a
doubt that loses to a wrong claim, an argument with a second flaw, an end told to be right.
"""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from accord.worlds.bisection import (
    OFFERS,
    Bisection,
    Debater,
    Standing,
    Task,
    applied,
    debated,
    doubter,
    exact,
    played,
    ruling,
    standing,
    tasks,
    teller,
    truths,
)

SMALL = Bisection(halvings=3, values=5)
SEEDS = [str(i) for i in range(60)]


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_honesty_wins_against_every_liar(seed: str) -> None:
    """Every plan of a liar over the three rounds, words that are no value among them, in either seat."""
    task = SMALL.draw(seed)
    words = [*(f"0 0 {value}" for value in range(SMALL.values)), "other", "I forgot."]
    for plan in product(words, repeat=SMALL.halvings):
        left = iter(plan)
        honest = teller(task.chains[task.right])
        both = (honest, lambda found, left=left: next(left))
        found = debated(SMALL, task, both if task.right == 0 else both[::-1])
        assert found.winner == task.right, plan
        assert found.rounds + found.steps <= exact(SMALL)["cost"] == 4


@pytest.mark.parametrize("effort", [0, 3, 7, 99])
def test_who_cannot_find_the_flaw_seldom_wins(effort: int) -> None:
    """Every flaw against every step that may be suspected, and what is drawn."""
    config = Bisection(halvings=3, values=7, form="obfuscated", effort=effort)
    task = config.draw("0")
    lie = task.chains[1 - task.right]
    won = [
        debated(config, task, _seated(task, step)).winner == task.right for step in range(1, len(lie))
    ]  # one suspect in eight is right
    assert sum(won) == 1
    assert won.index(True) + 1 == task.flaw
    share = np.mean([played(config, str(seed))[0] for seed in range(400)])
    wanted = exact(config)["honest_wins"]
    assert abs(share - wanted) <= 4 * (wanted * (1 - wanted) / 400) ** 0.5
    assert {played(config, seed)[1].steps for seed in SEEDS[:5]} == {1}


def _seated(task: Task, suspected: int) -> tuple[Debater, Debater]:
    lie = task.chains[1 - task.right]
    both = (doubter(lie, suspected), teller(lie))
    return both if task.right == 0 else both[::-1]


def test_an_argument_has_one_flaw_and_a_wrong_end() -> None:
    for seed in SEEDS:
        task = SMALL.draw(seed)
        true, lie = task.chains[task.right], task.chains[1 - task.right]
        assert all(task.f[a] == b for a, b in pairwise(true))
        flaws = [i for i in range(1, len(lie)) if task.f[lie[i - 1]] != lie[i]]
        assert flaws == [task.flaw]
        assert true[-1] != lie[-1]
        assert applied(SMALL, seed)(true[0]) == true[1]


def test_a_task_shows_nothing_of_what_is_hidden() -> None:
    """The same start and ends over another f, with the other end right: the same prompt."""
    task = SMALL.draw("0")
    other = task._replace(f=task.f[::-1], chains=task.chains[::-1], right=1 - task.right, flaw=1)
    assert SMALL.prompt(task, "0") == SMALL.prompt(other, "0")
    assert tasks(SMALL, SEEDS) == tuple(SMALL.prompt(SMALL.draw(s), s) for s in SEEDS)
    answers = [str(truth["answer"]) for truth in truths(SMALL, SEEDS).values() if isinstance(truth, dict)]
    assert set(answers) == set(OFFERS), "neither order is always the right one"
    prompt = tasks(SMALL, ["0"])[0]
    assert prompt.allowed == SMALL.words.encode("first second")
    assert len({SMALL.words.encode(p.text).__len__() for p in tasks(SMALL, SEEDS)}) == 1


def test_a_judge_rules_on_one_step_only() -> None:
    f = (1, 2, 0)
    assert ruling(Standing(2, 4, 0, (1, 2)), f.__getitem__, 3) == (None, 3, 0)
    assert ruling(Standing(2, 3, 0, (2, 1)), f.__getitem__, 3) == (1, 3, 1)
    assert ruling(Standing(2, 3, 0, (2, None)), f.__getitem__, 3).winner == 1
    assert ruling(Standing(2, 3, 0, (None, 1)), f.__getitem__, 3).winner == 1
    assert ruling(Standing(2, 3, 0, (None, None)), f.__getitem__, 3).winner is None
    assert ruling(Standing(2, 3, 0, (0, 2)), f.__getitem__, 3).winner is None
    assert standing(SMALL, 1, (2, 3), [("0 0 4", "0 0 4")]) == (4, 8, 4, (2, 3))
