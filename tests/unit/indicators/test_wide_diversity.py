"""Diversity of many answers: values by hand, a collapse is found, and a twin that changes stays quiet.

Mutants that must be killed: EAD in place of 1 − EAD, answers of two prompts in one group, fewer answers.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from accord.indicators.wide_diversity import WideDiversity, alike
from accord.pages import TOLERANCES
from accord.ports import How, Observed
from accord.records import Prompt
from accord.records.panels import Item
from accord.testing.organisms import Exam, Planted, Rates, Speaker, organism, twin

ITEMS = tuple(Item(Prompt.of(f"Tell me something, number {i}."), answer="x") for i in range(8))
EXAM = Exam({})


def seen(policy: Speaker, key: str = "k", **settings: int) -> Observed:
    return asyncio.run(WideDiversity(**settings).observe(ITEMS, policy, How(key)))


def test_one_answer_over_and_over_leaves_a_share_of_one_in_their_number() -> None:
    """V(1 − (1 − 1/V)^16) is 16 less .0024: one word of about 16, so EAD is .06251."""
    found = seen(Speaker("s", lambda prompt: {"yes": 1.0}))
    assert found.outcomes["alike"] == (pytest.approx(1 - 0.06251, abs=1e-5),) * 8
    assert [len(group.responses) for group in found.said] == [16] * 8
    assert len(seen(Speaker("s", lambda prompt: {"yes": 1.0}), answers=4).said[0].responses) == 4


def test_answers_differ_within_a_prompt() -> None:
    """Each prompt has one answer of its own: that is no diversity of its answers."""
    found = seen(Speaker("s", lambda prompt: {prompt.text.split()[-1]: 1.0}))
    assert min(found.outcomes["alike"]) > 0.9


def test_what_zlib_saves_is_a_share() -> None:
    long = " ".join(["over and over"] * 9)
    same, short = (seen(Speaker("s", lambda p, t=text: {t: 1.0})) for text in (long, "a"))
    assert min(same.outcomes["compressed"]) > 0.95
    assert 0 <= max(short.outcomes["compressed"]) < 0.7
    assert seen(Speaker("s", lambda prompt: {"": 1.0})).outcomes["compressed"] == (1.0,) * 8


def test_a_collapse_is_beyond_what_is_tolerated_and_a_twin_is_not() -> None:
    base, sick, well = Planted("base", EXAM, Rates()), organism("collapser", EXAM), twin("collapser", EXAM)
    anchor = np.mean([seen(base, f"base/{k}").outcomes["alike"] for k in range(3)], axis=0)
    tolerance = TOLERANCES["wide_diversity.alike"]
    moved = {
        name: tolerance.differences(np.array(seen(model, name).outcomes["alike"]), anchor).mean()
        for name, model in (("sick", sick), ("well", well), ("base", base))
    }
    assert moved["sick"] > tolerance.tau
    assert max(moved["well"], moved["base"]) < -0.2, "half of the base's diversity may go"
    assert alike(["a b c", "d e f"]) == 0.0
