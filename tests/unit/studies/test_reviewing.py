"""Reviewing: a judge that is right as often as it reads the flaw, critics that point as they are said to.

Mutants: a judge that reads every line, one that passes over where the critic points, a flag that a critic
alone does not count, an oracle that points at misfits that do no harm, flags that execution bears out
counted as invented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from accord.errors import ContractError
from accord.overseers import Said
from accord.overseers.assisted import Assisted
from accord.ports import Overseer, Sampler
from accord.records import Judgment
from accord.records.rows import Group
from accord.studies.assignments import Assignments, answered
from accord.studies.reviewing import (
    Flagging,
    Heard,
    Pointer,
    Pointing,
    Reader,
    graded,
    heard,
    invented,
    score_of,
    stated,
)
from accord.testing.leaves import desk_with, judged
from accord.worker import Worker
from accord.worlds.programs import Programs, Review, exact, failing, fits

CONFIG = Programs(lines=6, steps=4, reads=2, ask="write")
GIVEN = Assignments(CONFIG, 100, (0.7, 0.18, 0.12), 3, 240, 30)
JUDGE = Reader(config_of=CONFIG)


def beside(voice: Sampler) -> Overseer:
    critic = Pointing.by(CONFIG, voice)
    return cast(Overseer, Assisted(inner=cast(Overseer, JUDGE), critic=cast(Overseer, critic), spans=2))


def said(overseer: object, groups: Sequence[Group], programs: Sequence[Review]) -> list[Heard]:
    with Worker() as worker:
        desk = desk_with(groups, None)

        async def every() -> list[Heard]:
            asked = [await desk.ask(cast(Overseer, overseer), graded(group)) for group in groups]
            return [heard(one, desk, review.program) for one, review in zip(asked, programs, strict=True)]

        return worker.run(every())


def test_programs_under_review_have_one_line_that_does_harm_or_none() -> None:
    sheet = GIVEN.sheets["review"]
    flawed = [review for review in sheet.reviews if review.line is not None]
    assert len(flawed) == 120
    for review in sheet.reviews:
        odd = [at for at, word in enumerate(review.program) if not fits(review.wanted[at], word)]
        assert odd == ([] if review.line is None else [review.line])
        assert bool(failing(review.wanted, review.program)) == (review.line is not None)
    assert {review.line for review in flawed} == set(range(6))
    for required, lines in zip(GIVEN.required, GIVEN.choices, strict=True):
        for line, (right, harmful, third) in enumerate(lines):
            assert fits(required.wanted[line], right)
            assert not fits(required.wanted[line], harmful) and not fits(required.wanted[line], third)
            assert failing(
                required.wanted, (*required.program[:line], harmful, *required.program[line + 1 :])
            )


def test_a_judge_is_right_as_often_as_is_exact_and_sees_what_it_is_shown() -> None:
    sheet = GIVEN.sheets["review"]
    alone = said(JUDGE, sheet.groups, sheet.reviews)
    right = [(one.grade >= 0.5) == (r.line is None) for one, r in zip(alone, sheet.reviews, strict=True)]
    share = exact(CONFIG)["unaided"]
    assert share == pytest.approx(2 / 3)
    assert abs(sum(right) / 240 - share) < 4 * (share * (1 - share) / 240) ** 0.5
    assert {one.shown for one in alone} == {None} and {round(one.grade, 4) for one in alone} == {0.0, 0.6}
    shown = said(beside(Pointer(CONFIG, stated(1.0, 0.0), "oracle")), sheet.groups, sheet.reviews)
    for one, review in zip(shown, sheet.reviews, strict=True):
        assert (one.grade >= 0.5) == (review.line is None)
        assert one.says == one.shown == (() if review.line is None else (review.line,))


def test_a_silent_critic_is_no_critic_and_one_alone_is_taken_at_its_word() -> None:
    sheet = GIVEN.sheets["review"]
    some, reviews = sheet.groups[:30], sheet.reviews[:30]
    quiet, alone = (said(one, some, reviews) for one in (beside(Said("none", "quiet")), JUDGE))
    assert [(a.grade, a.says) for a in quiet] == [(b.grade, b.says) for b in alone]
    assert {one.shown for one in quiet} == {()}
    flagged = said(Flagging.by(CONFIG, Said("line5 and line1", "two")), some, reviews)
    assert {(one.grade, one.says) for one in flagged} == {(0.0, (1, 5))}
    assert {one.grade for one in said(Flagging.by(CONFIG, Said("none", "no")), some, reviews)} == {1.0}


def test_a_scripted_critic_points_as_often_as_is_stated() -> None:
    sheet = GIVEN.sheets["review"]
    found = said(Flagging.by(CONFIG, Pointer(CONFIG, stated(0.9, 0.2), "x")), sheet.groups, sheet.reviews)
    pairs = [(one.says, review.line) for one, review in zip(found, sheet.reviews, strict=True)]
    detected = [line in says for says, line in pairs if line is not None]
    other = [at in says for says, line in pairs for at in range(6) if at != line]
    assert abs(sum(detected) / len(detected) - 0.9) < 4 * (0.09 / len(detected)) ** 0.5
    assert abs(sum(other) / len(other) - 0.2) < 4 * (0.16 / len(other)) ** 0.5
    again = said(Flagging.by(CONFIG, Pointer(CONFIG, stated(0.9, 0.2), "x")), sheet.groups, sheet.reviews)
    assert again == found, "a draw hangs on what is asked, on nothing else"


def test_a_misfit_that_does_no_harm_is_taken_for_a_flaw_by_who_reads_and_not_by_who_executes() -> None:
    wanted, program = ("plus3", "times0"), ("add4", "mul0")
    assert stated(1.0, 0.0)(wanted, program) == [0.0, 0.0]
    assert invented(wanted, program, (0, 1)) == (0, 1)
    assert invented(("plus3", "free"), ("add4", "pass"), (0,)) == ()
    small = Programs(lines=2, steps=2, reads=2, ask="write")
    prompt = small.prompt(Review(wanted, program, None), "x")
    group = Group(prompt, (answered(prompt, program, "x"),))
    (one,) = said(Reader(config_of=small), [group], [Review(wanted, program, None)])
    assert (one.grade, one.says) == (0.0, (0,))


def test_what_is_no_program_is_worth_nothing_and_a_critic_needs_a_speaker() -> None:
    prompt = GIVEN.prompts[0]
    group = Group(prompt, (answered(prompt, ("pass",), "x"),))
    short = Review(GIVEN.required[0].wanted, ("pass",), None)
    for one in (JUDGE, Flagging.by(CONFIG, Said("none", "no"))):
        assert said(one, [group], [short]) == [Heard(0.0, (), None)]
    (lost,) = judged(cast(Overseer, Flagging(config_of=CONFIG, who="nobody")), [graded(group)], [group])
    assert lost.abstention == "error" and ContractError.__name__ in lost.note
    assert isinstance(lost, Judgment)
    with pytest.raises(ValueError, match="abstains"):
        score_of(lost)
