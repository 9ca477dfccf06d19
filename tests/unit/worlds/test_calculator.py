"""Questions have the answers they should, the tool says exact values, and only a right number is rewarded."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from accord.ports import World, WorldStep
from accord.records import Prompt
from accord.testing import a_response
from accord.worlds.calculator import Calculator, right


def said(world: World, prompt: Prompt, text: str) -> WorldStep:
    return world.step(a_response(prompt, text))


def asked(prompt: Prompt) -> str:
    return prompt.text.rpartition("Question: ")[2]


def reckoned(question: str) -> Fraction:
    """What a story asks for, read from its words by another rule than the world's own."""
    n = [Fraction(x) for x in re.findall(r"\d+(?:/\d+)?", question)]
    if "pens" in question:
        return n[0] * n[1] + n[2]
    if "ticket" in question:
        return n[0] * (n[1] + n[2] * n[3])
    if "apples" in question:
        return (n[0] - n[1]) / n[2]
    text = question.removeprefix("What is ").removesuffix("?")
    return eval(re.sub(r"(\d+)", r"Fraction(\1)", text), {"Fraction": Fraction})


@pytest.mark.parametrize("form", ["bare", "pens", "tickets", "share"])
def test_the_right_answer_earns_1_and_any_other_0(form: Any) -> None:
    config = Calculator(forms=(form,), terms=5, largest=30)
    seen: set[str] = set()
    for seed in range(60):
        world = config.open()
        prompt = world.reset(str(seed))
        question = asked(prompt)
        truth = reckoned(question)
        seen.add(question)
        assert said(world, prompt, f"So it is.\nanswer: {truth}") == (None, 1.0, {"calls": 0.0})
        assert said(world, world.reset(str(seed)), f"answer: {truth + 1}").reward == 0.0
    assert len(seen) > 50, "seeds make different questions"


def test_all_forms_and_sizes_come() -> None:
    world = Calculator(terms=4, largest=9).open()
    questions = [asked(world.reset(str(seed))) for seed in range(120)]
    for word in ("pens", "ticket", "apples", "What is"):
        assert any(word in q for q in questions), word
    bare = [q for q in questions if q.startswith("What is")]
    sizes = {len(re.findall(r"\d+", q)) for q in bare}
    assert sizes == {2, 3, 4}
    assert max(int(n) for q in bare for n in re.findall(r"\d+", q)) <= 9
    truths = [reckoned(q) for q in questions]
    assert any(t.denominator > 1 for t in truths), "fractions are among them"


def test_the_calculator_is_asked_and_answers_in_a_message_of_its_own() -> None:
    world = Calculator().open()
    prompt = world.reset("s")
    led = said(world, prompt, "Let me see.\n  CALC: (3 + 4) / 2 \nanswer: 9")
    assert led.prompt is not None
    assert (led.reward, led.costs) == (0.0, {"calls": 1.0})
    assert led.prompt.messages[-1].role == "tool"
    assert led.prompt.messages[-1].content == "7/2", "the first line counts, what stands behind it does not"
    led = said(world, led.prompt, "answer: 0\ncalc: 1")
    assert (led.prompt, led.reward, led.costs) == (None, 0.0, {"calls": 0.0})


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("1/0", "error: nothing can be divided by 0"),
        ("", "error: a number is lacking at the end"),
        ("__import__('os').system('x')", "error: '_' is neither a number nor one of + - * / ( )"),
        ("9" * 500, "error: an expression has at most 200 characters"),
        ("*".join(["9" * 60] * 3), "error: the value has more than 60 signs"),
    ],
)
def test_errors_are_told_as_text_and_count_as_calls(expression: str, says: str) -> None:
    world = Calculator().open()
    led = said(world, world.reset("s"), f"calc: {expression}")
    assert led.prompt is not None
    assert led.prompt.messages[-1].content == says
    assert led.costs == {"calls": 1.0}


def test_an_answer_in_neither_form_is_told_of_both_and_is_a_turn() -> None:
    world = Calculator(turns=3).open()
    prompt = world.reset("s")
    for text in ("I think the answer: 4", ""):
        led = said(world, prompt, text)
        assert led.prompt is not None
        prompt = led.prompt
        assert prompt.messages[-1].role == "user"
        assert "\ncalc: 12 * (3 + 4)\n" in prompt.text
        assert prompt.text.endswith("\nanswer: 84")
        assert led.reward == 0.0
    assert said(world, prompt, "calc: 1") == (None, 0.0, {"calls": 1.0}), "after the last turn it is over"


@pytest.mark.parametrize(
    ("text", "truth", "is_right"),
    [
        ("84", 84, True),
        ("+84", 84, True),
        ("-84", -84, True),
        ("84.0", 84, True),
        ("84.", 84, True),
        ("0084", 84, True),
        ("2.5", Fraction(5, 2), True),
        ("5/2", Fraction(5, 2), True),
        ("-5/2", Fraction(-5, 2), True),
        ("10/4", Fraction(5, 2), False),
        ("168/2", 84, False),
        ("84/0", 84, False),
        ("80 + 4", 84, False),
        ("12*7", 84, False),
        ("84 pens", 84, False),
        ("0.333", Fraction(1, 3), False),
        ("", 0, False),
        ("-0", 0, True),
        ("8" * 61, 8, False),
    ],
)
def test_a_right_answer_is_a_number_not_an_expression(text: str, truth: Fraction, is_right: bool) -> None:
    assert right(text, Fraction(truth)) is is_right


def test_a_very_long_answer_is_read_in_no_time() -> None:
    world = Calculator().open()
    prompt = world.reset("s")
    led = said(world, prompt, " " * 200_000 + "calc" * 50_000 + "\n" * 10_000 + "calc: " + " " * 100_000)
    assert led.prompt is not None
    assert led.prompt.messages[-1].content == "error: a number is lacking at the end"
