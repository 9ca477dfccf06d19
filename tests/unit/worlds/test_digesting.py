"""Digest: what halves are joined to is what the whole log says, and only a slip breaks it.

Mutants: halves in the wrong order, the first block read instead of the last, a count of the left half alone,
a slip that says the truth, a reader who sees beyond its context.
"""

from __future__ import annotations

from typing import cast

import pytest
from pydantic import ValidationError

from accord.errors import PlanError
from accord.worlds.digesting import (
    KINDS,
    Digest,
    asked,
    exact,
    halved,
    joined,
    read,
    tasks,
    truth,
    truths,
)

SMALL = Digest(context=8, times=4)


def _split(question: str, context: int) -> str:
    """Halved until it fits, where a reader without an error answers."""
    if len(asked(question).events) * 2 <= context:
        return read(question, context)
    parts, said = halved(question), cast(str, None)
    try:
        while True:
            said = _split(parts.send(said).text, context)
    except StopIteration as done:
        return str(done.value)


def test_the_tree_is_right_whatever_fits() -> None:
    """Logs of 16 events, and of 15, whose halves are not alike; each kind of question."""
    questions = [SMALL.draw(str(n)) for n in range(60)]
    odd = [" ".join([*one.split()[:-3], "<act>"]) for one in questions]
    assert {asked(one).kind for one in questions} == set(KINDS)
    assert {len(asked(one).events) for one in (*questions, *odd)} == {15, 16}
    for question in (*questions, *odd):
        for context in (2, 8):
            assert _split(question, context) == truth(question), (question, context)


def test_a_reader_sees_the_last_words_alone() -> None:
    log = "key1 value2 key0 value7 key1 value5 <act>"
    assert [read(f"{kind} key1 {log}", 4) for kind in KINDS] == ["n1", "value5", "value5"]
    assert [read(f"{kind} key1 {log}", 6) for kind in KINDS] == ["n2", "value2", "value5"]
    assert read(f"first key1 {log}", 2) == "value5" and read(f"first key0 {log}", 2) == "none"


def test_a_slip_is_never_the_truth_and_comes_as_often_as_said() -> None:
    config = Digest(context=8, times=1)
    questions = [config.draw(str(n)) for n in range(600)]
    assert all(read(q, 8, 1.0, "a") != truth(q) for q in questions)
    slips = [q for q in questions if read(q, 8, 0.2, "a") != truth(q)]
    assert abs(len(slips) / 600 - 0.2) < 4 * (0.16 / 600) ** 0.5
    assert slips == [q for q in questions if read(q, 8, 0.2, "a") != truth(q)]
    assert slips != [q for q in questions if read(q, 8, 0.2, "b") != truth(q)]


def test_truncated_it_is_as_often_right_as_was_counted() -> None:
    facts = exact(SMALL)
    questions = [SMALL.draw(str(n)) for n in range(1200)]
    for kind in KINDS:
        own = [q for q in questions if asked(q).kind == kind]
        share = sum(read(q, SMALL.context) == truth(q) for q in own) / len(own)
        assert abs(share - facts[kind]) < 4 * (0.25 / len(own)) ** 0.5, kind
    assert round(exact(Digest())["truncated"], 3) == 0.331


def test_what_is_no_answer_counts_as_nothing_found() -> None:
    assert (joined("count", "n3", "no idea"), joined("first", "?", "value1"), joined("last", "?", "")) == (
        "n3",
        "value1",
        "none",
    )
    assert joined("count", "n150", "n150") == "n200", "there is no word for more"
    with pytest.raises(PlanError, match="count, first or last"):
        asked("sum key1 key1 value2 <act>")
    with pytest.raises(ValidationError, match="200 events"):
        Digest(context=64, times=8)


def test_a_task_shows_its_log_and_nothing_more() -> None:
    (prompt,) = tasks(SMALL, ["3"])
    assert prompt.text == SMALL.draw("3") and prompt.columns == {"unparsed": 0, "task": "3"}
    assert truths(SMALL, ["3"]) == {"3": {"answer": truth(prompt.text)}}
    assert prompt.allowed is not None
    assert SMALL.words.encode(truth(prompt.text))[0] in prompt.allowed
    part = next(halved(prompt.text))
    assert part.allowed == prompt.allowed and len(asked(part.text).events) == SMALL.events // 2
