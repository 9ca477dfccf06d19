"""Every world of the catalogue keeps the promises of its port, and every set of tasks those of the vault."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest

from accord.catalog import build
from accord.testing import ScriptedWorld, a_response, check_world

__all__ = ["TASKS", "WORLDS"]

WORLDS: dict[str, list[dict[str, Any]]] = {
    "absent": [{"turns": 9}, {"turns": 20, "shown": False, "rate": 1.0}],
    "boat": [{"turns": 20}],
    "calculator": [{}, {"terms": 8, "largest": 10**6, "turns": 1}, {"terms": 2, "forms": ["bare"]}],
    "cmdp": [{"turns": 9}, {"form": "slippery", "turns": 12}],
    "guess": [{}, {"numbers": 100, "turns": 7}],
    "impossible": [{}, {"tests": 7, "turns": 9}],
    "interrupt": [{"turns": 12, "chance": 1.0}],
    "market": [{}, {"asked": 1, "trust": 0.0}],
    "shop": [{"days": 2, "inspected": 0.5}, {"days": 1, "shown": False, "watched": 0.0}],
    "tomato": [{"turns": 12}, {"turns": 1, "drying": 1.0}],
}
TASKS: dict[str, list[dict[str, Any]]] = {
    "parity": [{}, {"ask": "digit"}, {"answers": 2}],
    "helpdesk": [{}, {"products": 2, "unlisted": 1.0, "table": 3}],
    "bisection": [{}, {"form": "obfuscated", "halvings": 3}],
    "digest": [{}, {"context": 8, "times": 2}],
    "pixels": [{}, {"view": "all", "learnt": 1500}],
    "powers": [{}, {"form": "wildcard"}],
    "programs": [{}, {"ask": "review"}],
    "quirky": [{}, {"speakers": ["bob"]}],
    "stories": [{}, {"lines": 4, "hidden": 0.5}],
    "strings": [{}],
    "trigger": [{}, {"forms": ["plain"], "length": 1, "harmless": 3}],
}


def each(table: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [pytest.param(n, s, id=f"{n}-{i}") for n, made in table.items() for i, s in enumerate(made)]


@pytest.mark.parametrize(("name", "settings"), each(WORLDS))
@pytest.mark.parametrize(
    "text", ["calc: 12 * (3 + 4)", "ANSWER: 7/3", "5", "no number\0\n", "calc: ((((((1/0"]
)
def test_worlds(name: str, settings: dict[str, Any], text: str) -> None:
    world: Any = build("worlds", {"name": name, **settings})
    check_world(world.open, lambda prompt: a_response(prompt, text))


def test_the_scripted_world() -> None:
    lines, wanted = ("Say a.", "Say b.", "And c?"), ("a", "b", "c")
    check_world(lambda: ScriptedWorld(lines, wanted), lambda prompt: a_response(prompt, "b"))


@pytest.mark.parametrize(("name", "settings"), each(TASKS))
def test_tasks_are_words_of_their_alphabet_and_their_truths_are_for_a_vault(
    name: str, settings: dict[str, Any]
) -> None:
    config: Any = build("tasks", {"name": name, **settings})
    module, seeds = importlib.import_module(type(config).__module__), [str(n) for n in range(12)]
    prompts, truths = module.tasks(config, seeds), module.truths(config, seeds)
    assert [prompt.id for prompt in prompts] == [prompt.id for prompt in module.tasks(config, seeds)]
    assert sorted(truths) == sorted(seeds) and json.loads(json.dumps(truths)) is not None
    for prompt in prompts:
        assert config.words.encode(prompt.text)
        assert prompt.allowed is None or max(prompt.allowed) < len(config.alphabet)
