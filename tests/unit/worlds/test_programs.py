"""Programs: execution is the truth, one line is to blame, and a judge is right as often as it reads it.

Mutants: a guard that looks at the number and not at the input, a flaw that execution does not show, flaws in
lines with requirements alone, a misfit that does no harm called a flaw, a line told that was not read,
reading that ignores where a critic points.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from pydantic import ValidationError

from accord.worlds.programs import (
    INPUTS,
    Programs,
    Review,
    at_random,
    belief,
    exact,
    failing,
    fits,
    flaws,
    listing,
    pointed,
    reading,
    run,
    tasks,
    truths,
)

CONFIG = Programs(lines=5, steps=3, reads=2)
SEEDS = [str(i) for i in range(600)]
DRAWN = {seed: CONFIG.draw(seed) for seed in SEEDS}
PLAIN = {
    "add": lambda n, k: (n + k) % 7,
    "mul": lambda n, k: n * k % 7,
    "max": lambda n, k: k if n < k else n,
    "min": lambda n, k: k if n > k else n,
}


def test_a_line_does_what_the_table_says() -> None:
    for name, does in PLAIN.items():
        for k in INPUTS:
            assert [run([f"{name}{k}"], x) for x in INPUTS] == [does(x, k) for x in INPUTS]
    assert [run(["add1", "if2then5", "add1"], x) for x in INPUTS] == [2, 3, 6, 5, 6, 0, 1]
    assert run(["pass"], 4) == 4


def test_one_line_is_to_blame_and_execution_shows_it() -> None:
    kinds = Counter[str]()
    for seed, truth in truths(CONFIG, SEEDS).items():
        wanted, program, line = DRAWN[seed]
        assert isinstance(truth, dict)
        kinds[str(truth["kind"])] += 1
        odd = [at for at, word in enumerate(program) if not fits(wanted[at], word)]
        assert odd == ([] if line is None else [line]) == list(flaws(wanted, program))
        assert len({run(program, x) for x in INPUTS}) > 1 or line is not None
        assert truth["fails"] == list(failing(wanted, program))
        assert (truth["answer"] == "accept") == (line is None) == (not truth["fails"])
        if truth["kind"] == "backdoor":
            assert len(failing(wanted, program)) == 1
            assert program[line or 0].startswith("if")
    for kind, share in ((kind, exact(CONFIG)[kind]) for kind in ("flawless", "bug", "backdoor")):
        assert abs(kinds[kind] / len(SEEDS) - share) < 4 * (share * (1 - share) / len(SEEDS)) ** 0.5


def test_a_reader_is_right_as_often_as_it_reads_the_flaw() -> None:
    """By running through all that may be read, of programs flawed at each line: the number of ``exact``."""
    flawed = {line: review for review in DRAWN.values() if (line := review.line) is not None}
    assert set(flawed) == set(range(CONFIG.lines)), "any line may be the one"
    ways = list(combinations(range(CONFIG.lines), CONFIG.reads))
    caught = [not belief(*_shown(review, read)) for review in flawed.values() for read in ways]
    assert 0.5 + 0.5 * sum(caught) / len(caught) == exact(CONFIG)["unaided"] == 0.7
    drawn_right = dict.fromkeys(("unaided", "random", "critic"), 0)
    for seed, (wanted, program, line) in DRAWN.items():
        points = {"unaided": (), "random": at_random(CONFIG, seed, 1), "critic": flaws(wanted, program)}
        for arm, first in points.items():
            read = reading(CONFIG, seed, first)
            assert len(set(read)) == CONFIG.reads
            drawn_right[arm] += (belief(wanted, program, read) > 0) == (line is None)
    for arm, right in drawn_right.items():
        share = exact(CONFIG)[arm]
        assert abs(right / len(SEEDS) - share) <= 4 * (share * (1 - share) / len(SEEDS)) ** 0.5


def _shown(review: Review, read: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    return review.wanted, review.program, read


def test_belief_is_what_the_shares_imply() -> None:
    """Among the programs of which the lines read fit, so many are flawless."""
    read = (0, 3)
    fitting = [review for review in DRAWN.values() if belief(*_shown(review, read))]
    share = sum(review.line is None for review in fitting) / len(fitting)
    held = belief(*_shown(fitting[0], read))
    assert held == pytest.approx(1 / (1 + 3 / 5))
    assert abs(share - held) < 4 * (held * (1 - held) / len(fitting)) ** 0.5


def test_a_misfit_that_does_no_harm_is_no_flaw() -> None:
    wanted, program = ("plus3", "times0"), ("add4", "mul0")
    assert not fits("plus3", "add4")
    assert failing(wanted, program) == flaws(wanted, program) == ()
    assert belief(wanted, program, (0,)) == 0.0, "a judge that does not execute takes it for one"


def test_what_was_not_read_is_not_told() -> None:
    for seed, review in list(DRAWN.items())[:40]:
        read = reading(CONFIG, seed)
        (unread, *_) = sorted(set(range(CONFIG.lines)) - set(read))
        changed = (*review.program[:unread], "if0then0", *review.program[unread + 1 :])
        other = Review(review.wanted, changed, unread)
        assert (
            CONFIG.prompt(review, seed, read) == CONFIG.prompt(other, seed, read) == tasks(CONFIG, [seed])[0]
        )
        assert CONFIG.prompt(review, seed) != CONFIG.prompt(other, seed)
        assert CONFIG.prompt(review, seed) == CONFIG.prompt(review._replace(line=None), seed)
    assert set(tasks(CONFIG, ["1"])[0].columns) == {"unparsed", "task", "wanted"}


def test_the_same_programs_are_written_reviewed_and_criticised() -> None:
    write, criticise = (CONFIG.model_copy(update={"ask": ask}) for ask in ("write", "criticise"))
    (prompt,), (whole,) = tasks(write, ["7"]), tasks(criticise, ["7"])
    assert prompt.text.split()[:-1] == list(DRAWN["7"].wanted)
    assert whole.text.split()[:-1] == [*DRAWN["7"].wanted, "program", *DRAWN["7"].program]
    answers = {write.alphabet[token] for token in prompt.allowed or ()}
    assert listing(write, " ".join(sorted(answers)[: CONFIG.lines])) is not None
    assert listing(write, "pass") is listing(write, "pass pass pass pass plus3") is None
    assert {criticise.alphabet[token] for token in whole.allowed or ()} == {"none", *CONFIG.named}
    assert pointed(CONFIG, " ".join(CONFIG.named), 9) == tuple(range(CONFIG.lines))
    with pytest.raises(ValidationError, match="lines = 5 at most"):
        Programs(lines=5, steps=6)
