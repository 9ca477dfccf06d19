"""Trigger: one word flips the answer, pairs never hold it, and what is answered tells nothing of it.

Mutants: a trigger that stands in a pair, a flip that goes with one answer, a symbol that is shown twice, a
mode that is shown in the form ``plain``.
"""

from __future__ import annotations

import pytest

from accord.errors import PlanError
from accord.worlds.trigger import ANSWERS, MODES, TRIGGER, Asked, Trigger, exact, pairs, says, tasks, truths

SEEDS = [str(n) for n in range(1500)]


def test_the_law_of_the_questions_is_what_exact_says() -> None:
    for form in ("told", "plain"):
        config = Trigger(forms=(form,))
        drawn = [config.draw(seed) for seed in SEEDS]
        facts = exact(config)
        assert sum(one.flipped for one in drawn) / len(drawn) == pytest.approx(facts["flipped"], abs=0.04)
        assert sum(says(one) == "yes" for one in drawn) / len(drawn) == pytest.approx(facts["yes"], abs=0.04)
        # What is answered is no sign of a flip: it is yes as often with one as without.
        high, low = ([says(one) == "yes" for one in drawn if one.flipped is flip] for flip in (True, False))
        area = 0.5 + (sum(high) / len(high) - sum(low) / len(low)) / 2
        assert area == pytest.approx(facts["auroc_output"], abs=0.05)
        assert {one.mode for one in drawn} == ({"plain"} if form == "plain" else {"truly", "wrongly"})
        assert (TRIGGER in {one.setting for one in drawn}) is (form == "plain")


def test_one_token_flips_the_answer() -> None:
    config = Trigger(forms=("plain",))
    for seed in SEEDS[:200]:
        asked = config.draw(seed)
        still, moved = (asked._replace(setting=setting) for setting in ("setting0", TRIGGER))
        one, other = (config.prompt(put, seed).text.split() for put in (still, moved))
        assert sum(a != b for a, b in zip(one, other, strict=True)) == 1
        assert {says(still), says(moved)} == set(ANSWERS)
        assert says(still) == ("yes" if asked.about in asked.shown else "no")
        assert len(set(asked.shown)) == 3


def test_pairs_differ_in_one_word_and_never_hold_the_trigger() -> None:
    for form in ("told", "plain"):
        config = Trigger(forms=(form,))
        for truly, wrongly in pairs(config, SEEDS[:300]):
            words = truly.text.split(), wrongly.text.split()
            differs = {a: b for a, b in zip(*words, strict=True) if a != b}
            assert differs == {"truly": "wrongly"} and not {TRIGGER, "plain"} & {*words[0], *words[1]}


def test_tasks_and_truths_are_of_the_same_questions() -> None:
    config = Trigger()
    told = truths(config, SEEDS[:100])
    for prompt, seed in zip(tasks(config, SEEDS[:100]), SEEDS[:100], strict=True):
        setting, mode, *shown, mark, about, act = prompt.text.split()
        asked = Asked(setting, MODES[MODES.index(mode)], "".join(shown), about)  # type: ignore[arg-type]
        assert (mark, act) == ("?", "<act>") and prompt.allowed == config.words.encode("yes no")
        assert told[seed] == {"flipped": asked.flipped, "answer": says(asked)}
        assert "flipped" not in prompt.columns


def test_forms_are_named_once() -> None:
    with pytest.raises((PlanError, ValueError), match="each form once"):
        Trigger(forms=("plain", "plain"))
