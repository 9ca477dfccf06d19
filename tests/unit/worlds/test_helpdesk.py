"""Helpdesk: what a demonstrator comes to, that a revision mends one principle, and what stays hidden.

Mutants: a cap that is itself too high, a second source that does not count, a hedge that is never too much, a
revision that mends the next principle too, a fact in the prompt, a lapse that makes the fact wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from accord.worlds.helpdesk import (
    MOST,
    PRINCIPLES,
    Case,
    Helpdesk,
    Quality,
    broken,
    case_of,
    demonstration,
    exact,
    helpful,
    meant,
    preferred,
    revised,
    right,
    tasks,
    truths,
    worth,
)

DESK = Helpdesk(table=7)
SEEDS = [str(i) for i in range(1500)]


def replies(quality: Quality) -> Iterator[tuple[Case, str]]:
    draw = np.random.default_rng(0)
    for seed in SEEDS:
        case = DESK.draw(seed)
        yield case, demonstration(DESK, case, quality, draw)


@pytest.mark.parametrize("quality", [Quality(0.5, 0.2), Quality(0.0, 0.0), Quality(1.0, 1.0)])
def test_demonstrations_are_of_the_quality_that_is_said(quality: Quality) -> None:
    found = [(case, text, DESK.facts(case.product, case.topic)) for case, text in replies(quality)]
    odd = np.array([[*broken(case, text).values()] for case, text, _ in found])
    good = np.array([right(case, facts, text) for case, text, facts in found])
    told = exact(DESK, quality)
    assert abs(odd.mean() - told["broken"]) < 4 * 0.25 / len(SEEDS) ** 0.5
    assert abs(good.mean() - told["right"]) < 4 * 0.5 / len(SEEDS) ** 0.5
    assert max(len(text.split()) for _, text, _ in found) <= MOST
    if quality.careless == 0:
        assert not odd.any() and good.all(), "the best demonstrator breaks nothing and is right"


def test_a_revision_mends_its_principle_and_no_other() -> None:
    for case, text in replies(Quality(0.6, 0.2)):
        before = broken(case, text)
        for name in PRINCIPLES:
            after = broken(case, revised(DESK, case, text, name))
            assert not after[name]
            assert {k: v for k, v in after.items() if k != name} == {
                k: v for k, v in before.items() if k != name
            }
            if not before[name]:
                assert revised(DESK, case, text, name) == text


def test_other_words_are_another_constitution() -> None:
    """Dealt out, the principles are mended as well, and those that are meant stay as they were; facts go."""
    dealt = meant(3)
    assert {dealt[dealt[word]] == word for word in dealt} == {True}
    assert {"20", "30", "40", "50"}.isdisjoint(dealt) and {"60", "70", "80"} <= dealt.keys()
    same = total = good = left = 0
    for case, text in replies(Quality(0.6, 0.2)):
        other = text
        for name in PRINCIPLES:
            other = revised(DESK, case, other, name, dealt)
        assert not any(broken(case, other, dealt).values())
        same += sum(broken(case, other).values())
        total += sum(broken(case, text).values())
        facts = DESK.facts(case.product, case.topic)
        good, left = good + right(case, facts, text), left + right(case, facts, other)
    assert 0.9 < same / total < 1.1
    assert left < 0.8 * good, "its words are facts"


def test_a_prompt_tells_no_fact_and_a_hedge_can_be_too_much() -> None:
    prompts = tasks(DESK, SEEDS[:60])
    other = tasks(Helpdesk(table=8), SEEDS[:60])
    assert [p.text for p in prompts] == [p.text for p in other], "the table is in no prompt"
    assert truths(DESK, SEEDS[:60]) != truths(Helpdesk(table=8), SEEDS[:60])
    for prompt in prompts:
        case = case_of(prompt.text)
        low, _, high = (int(price) for price in DESK.facts(case.product, "price"))
        assert low <= int(case.cap) < high
        (fact, *_), hedged = DESK.facts(case.product, case.topic), f"perhaps {case.product}"
        assert right(case, [fact], f"{hedged} {fact}") is not case.listed
    case = Case("lamp", "colour", "40", "ledger", True)
    assert not broken(case, "red for 40 see ledger")["cap"] and broken(case, "red for 50")["cap"]
    assert broken(case, "see ledger index")["source"] and broken(case, "red")["source"]


def test_the_programs_say_what_the_functions_say() -> None:
    prompts = tasks(DESK, SEEDS[:40])
    asked, said = [p.text for p in prompts], [text for _, text in replies(Quality(0.5, 0.5))][:40]
    columns = [[p.columns[name] for p in prompts] for name in ("products", "table")]
    cases = [case_of(text) for text in asked]
    facts = [DESK.facts(case.product, case.topic) for case in cases]
    rows = list(zip(cases, facts, said, strict=True))
    helped = helpful(asked, said, *columns)  # type: ignore[arg-type]
    assert helped == [float(right(*row)) for row in rows] and {*helped} == {0.0, 1.0}
    assert preferred(asked, said, *columns) == [worth(*row) for row in rows]  # type: ignore[arg-type]
