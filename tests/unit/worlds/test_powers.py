"""Powers: what is split is put together right, out of primitives alone, and in as many calls as are said.

Mutants: an odd power without its x, a product in the wrong order, the cycle turned the other way, a star that
is 0 twice, a truth given where it was to be worked out, a faulty split that errs nowhere or everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pytest

from accord.errors import ContractError, PlanError
from accord.overseers import Said
from accord.overseers.amplified import Amplified
from accord.ports import How
from accord.records import Kind, Prompt, Question, Record, Response
from accord.records.rows import Group
from accord.testing import a_response
from accord.testing.leaves import Leaf, judged
from accord.worlds import ACT
from accord.worlds.powers import (
    Powers,
    answered,
    asked,
    element,
    exact,
    faulty,
    given,
    primitive,
    questions,
    split,
    tasks,
    times,
    truth,
    truths,
    word,
)

SMALL = Powers(points=3, below=9)
WILD = Powers(form="wildcard", bits=3)
SEEDS = [str(i) for i in range(80)]


def test_a_power_is_what_multiplying_makes_it() -> None:
    for question in questions(SMALL):
        _, x, n, _ = asked(question)
        assert truth(question) == word(reduce(times, [x] * n, (0, 1, 2)))


@pytest.mark.parametrize("config", [SMALL, Powers(points=5, below=200), WILD])
def test_all_is_answered_out_of_primitives(config: Powers) -> None:
    """No truth but a primitive's is read: any other raises. The most calls are those of ``exact``."""
    found = questions(config) if config == SMALL else [config.draw(seed) for seed in SEEDS]
    read = list[str]()
    calls = [0]
    for question in found:
        said, asks = answered(question, lambda one: read.append(one) or given(one))
        calls.append(asks)
        assert said == truth(question), question
    assert all(map(primitive, read))
    assert max(calls) <= exact(config)["calls"]
    if config == SMALL:
        assert (max(calls), len(found)) == (exact(config)["calls"], exact(config)["questions"])
        assert sum(map(primitive, found)) == exact(config)["primitive"]
        assert max(len(config.words.encode(q)) for q in found) == len(config.prompt(found[0]).text.split())


def test_a_table_learns_all_of_it_in_as_many_rounds() -> None:
    """Each round answers every question from the table of the round before: iterated amplification."""
    known = {q: given(q) for q in questions(SMALL) if primitive(q)}
    rounds = 0
    while len(known) < exact(SMALL)["questions"]:
        known |= {q: said for q in questions(SMALL) if (said := _from(known, q)) is not None}
        rounds += 1
    assert rounds == exact(SMALL)["rounds"] == 3
    assert known == {q: truth(q) for q in questions(SMALL)}


def _from(known: dict[str, str], question: str) -> str | None:
    halves = split(question)
    try:
        part = next(halves)
        while part in known:
            part = halves.send(known[part])
    except StopIteration as done:
        return done.value
    return None


def test_what_is_no_primitive_is_not_given() -> None:
    with pytest.raises(ContractError, match="primitive"):
        given(f"power x120 0 0 2 {ACT}")
    with pytest.raises(ContractError):
        given(f"wildcard + - bit* {ACT}")
    for odd in (
        "",
        "power x122 0 0 2 <act>",
        "power x120 0 2 <act>",
        "wildcard + bit0 <act>",
        "power y 0 0 1",
    ):
        with pytest.raises(PlanError):
            asked(odd)
    with pytest.raises(PlanError):
        SMALL.prompt(f"power x120 0 0 9 {ACT}")
    with pytest.raises(PlanError):
        element("x0123456")


def test_a_faulty_split_errs_in_its_share_and_always_in_the_same() -> None:
    found = [q for q in questions(Powers(points=3, below=40)) if not primitive(q)]

    def wrong(share: float, seed: str) -> list[str]:
        return [q for q in found if _through(q, share, seed) != _through(q, 0.0, seed)]

    assert not wrong(0.0, "a")
    assert wrong(0.2, "a") == wrong(0.2, "a") != wrong(0.2, "b")
    all_wrong, some = len(wrong(1.0, "a")), len(wrong(0.2, "a"))
    assert all_wrong > len(found) / 2, "an error shows wherever x is not its own square or 1"
    assert abs(some / all_wrong - 0.2) < 4 * (0.16 / all_wrong) ** 0.5
    sums = f"wildcard + - + + bit* bit* {ACT}"
    assert _through(sums, 1.0, "a") == "+0" != truth(sums) == "+2"


def _through(question: str, share: float, seed: str) -> str:
    halves = faulty(question, share, seed)
    try:
        part = next(halves)
        while True:
            part = halves.send(truth(part))
    except StopIteration as done:
        return done.value


def test_answers_that_are_none_do_not_stop_a_split() -> None:
    for question, wanted in ((f"power x120 0 0 2 {ACT}", "x201"), (f"wildcard + - bit* {ACT}", "+0")):
        halves = split(question)
        next(halves)
        with pytest.raises(StopIteration) as done:
            while True:
                halves.send("no idea +-3")
        assert done.value.value == wanted


@pytest.mark.parametrize("config", [SMALL, WILD])
def test_amplified_splits_a_question_to_the_end(config: Powers) -> None:
    """Deep enough nobody is asked; one level deep S is asked for the parts, each with its allowed tokens."""
    prompt = next(p for p in tasks(config, SEEDS) if answered(p.text, given)[1] > 2)
    answer = a_response(prompt, truth(prompt.text))
    whole = _amplified(prompt, answer, depth=8)
    assert {r.policy.partition(":")[0] for r in whole if isinstance(r, Response)} == {"program"}
    assert _last(whole) == truth(prompt.text)
    wrong = prompt.model_copy(update={"columns": {**prompt.columns, "faults": 1.0, "faults_seed": "a"}})
    spoilt = _amplified(wrong, a_response(wrong, truth(prompt.text)), depth=1)
    part = next(r for r in spoilt if isinstance(r, Prompt) and r.text != prompt.text)
    assert part == config.prompt(part.text)
    assert _last(spoilt) == _through(prompt.text, 1.0, "a")


class _Knows(Said):
    """S, who knows every answer."""

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(p, tuple(a_response(p, truth(p.text), i) for i in range(n))) for p in prompts]


def _amplified(prompt: Prompt, answer: Response, depth: int) -> list[Record]:
    """What was written at the desk, in order."""
    made = Amplified.model_validate(
        {
            "inner": Leaf(),
            "split": "accord.worlds.powers:halved",
            "depth": depth,
            "branching": 2,
            "model": "s",
        }
    ).seated({"s": _Knows("", "knows")})
    question = Question(asks=Kind.GRADE, prompt=prompt.id, responses=(answer.id,))
    written = list[Record]()
    (said,) = judged(made, [question], [Group(prompt, (answer,))], written)
    assert said.verdict is not None, said
    return written


def _last(written: list[Record]) -> str:
    return [r.text for r in written if isinstance(r, Response)][-1]


@pytest.mark.parametrize("config", [SMALL, WILD])
def test_a_task_shows_its_question_and_nothing_more(config: Powers) -> None:
    found = tasks(config, SEEDS)
    for seed, prompt in zip(SEEDS, found, strict=True):
        assert prompt.text == config.draw(seed)
        assert prompt.columns == {"unparsed": 0, "task": seed}
        assert prompt.allowed == config.words.encode(" ".join(config.answers))
    assert len({len(prompt.text.split()) for prompt in found}) == 1
    held = truths(config, SEEDS)
    assert held["3"] == {"answer": truth(config.draw("3")), "primitive": primitive(config.draw("3"))}
