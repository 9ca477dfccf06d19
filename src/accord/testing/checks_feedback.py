"""check_overseer and check_ask: judgments that fit their question, numbers that say only what was said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accord.ports import Ask, Overseer, Quoting
from accord.records import (
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Question,
    Ranked,
    Revised,
    Spread,
)
from accord.records.rows import Columns, Group
from accord.testing.building import a_judgment
from accord.testing.laws import check_laws
from accord.testing.leaves import judged
from accord.testing.promises import promised

__all__ = ["check_ask", "check_overseer", "questions_about"]

_FITTING: dict[Kind, tuple[type, ...]] = {
    Kind.COMPARE: (Ranked, Spread),
    Kind.GRADE: (Graded, Spread),
    Kind.CRITIQUE: (Critiqued,),
    Kind.REVISE: (Revised,),
    Kind.LABEL: (Labelled, Spread),
}


def check_overseer(
    overseer: Overseer, groups: Sequence[Group], *, order_free: bool = False, leans: bool = False
) -> None:
    """ContractError with the first promise that is broken, on questions of every kind that it answers.

    One that is made of others (``accord.overseers.Made``) is also put over scripted leaves and held to the
    laws of ``accord.testing.laws``; ``leans``: it means to mind the order, as a simulated rater does.

    ``groups``: answers that it has an opinion of, two or more to a prompt. ``order_free``: it promises that
    the order in which two answers are listed changes nothing (a leaf that reads may lean to one side).
    """
    kinds = overseer.answers
    promised(overseer, "answers holds one Kind or more", bool(kinds) and kinds <= set(Kind), kinds)
    config = overseer.config
    promised(overseer, "config is a hash", bool(config) and config == overseer.config, repr(config))
    for kind in sorted(kinds):
        questions = questions_about(groups, kind)
        said = judged(overseer, questions, groups)
        for question, judgment in zip(questions, said, strict=True):
            _check_judgment(overseer, question, judgment)
        one_by_one = judged(overseer, questions, groups, together=False)
        same = [(a.verdict, a.abstention) for a in said] == [(b.verdict, b.abstention) for b in one_by_one]
        promised(overseer, "questions asked at once are judged as each one alone", same)
        if order_free and kind is Kind.COMPARE:
            _check_order(overseer, questions, said, groups)
    check_laws(overseer, groups, lambda kind: questions_about(groups, kind), leans=leans)


def questions_about(groups: Sequence[Group], kind: Kind) -> list[Question]:
    """One question for each answer, or for each two neighbours of a prompt."""
    size = 2 if kind is Kind.COMPARE else 1
    instrument = Instrument(options=("first", "second") if kind is Kind.LABEL else ())
    asked: list[Question] = []
    for group in groups:
        ids = [r.id for r in group.responses]
        for first in range(0, len(ids) - size + 1, size):
            answers = tuple(ids[first : first + size])
            asked.append(
                Question(asks=kind, prompt=group.prompt.id, responses=answers, instrument=instrument)
            )
    return asked


def _check_judgment(overseer: Overseer, question: Question, judgment: Judgment) -> None:
    failed = judgment.abstention == "error"
    promised(overseer, "judge raises nothing, and what it says fits the question", not failed, judgment.note)
    own = judgment.by.config == overseer.config
    promised(
        overseer, "a judgment is signed with config, or it is never found again", own, judgment.by.config
    )
    promised(overseer, "a judgment names who judged", bool(judgment.by.name), judgment.by)
    shown = set(judgment.shown)
    promise = "shown lists the answers of the question that were seen"
    promised(overseer, promise, shown == set(question.responses), judgment.shown)
    if judgment.verdict is not None:
        fits = isinstance(judgment.verdict, _FITTING[question.asks])
        promised(
            overseer, f"a {question.asks.value} question gets such a verdict", fits, judgment.verdict.type
        )


def _check_order(
    overseer: Overseer, questions: Sequence[Question], said: Sequence[Judgment], groups: Sequence[Group]
) -> None:
    turned = [
        Question.model_validate(q.model_dump() | {"responses": tuple(reversed(q.responses))})
        for q in questions
    ]
    for before, after in zip(said, judged(overseer, turned, groups), strict=True):
        same = _preference(before) == _preference(after)
        promised(overseer, "the order in which answers are listed changes nothing", same, after.verdict)


def _preference(judgment: Judgment) -> object:
    match judgment.verdict:
        case Ranked(tiers=tiers):
            return [frozenset(tier) for tier in tiers]
        case Spread(p=p):
            return p
        case _:
            return judgment.abstention


def check_ask(ask: Ask, groups: Sequence[Group]) -> None:
    """ContractError with the first promise that is broken. ``groups``: two or more answers to each prompt.

    One that counts groups of raters apart is given with its groups, which hold ``rater`` and ``rater 0`` to
    ``rater 2``. Of one that fits ratings (``collapse = "bt"``) each question is judged two to one.
    """
    questions = ask.questions(groups)
    promised(ask, "questions asks something about groups with answers", bool(questions), "nothing")
    again = [q.id for q in ask.questions(groups)]
    promised(ask, "questions is pure", [q.id for q in questions] == again, "other questions the second time")
    owner = {r.id: group for group in groups for r in group.responses}
    if isinstance(ask, Quoting):
        home_of = {group.prompt.id: group for group in groups}
        owner |= {r.id: home_of[r.prompt] for r in ask.quoted(groups)}
    for question in questions:
        strange = [r for r in question.responses if r not in owner]
        promised(ask, "a question is about answers of the groups, or that it quotes", not strange, strange)
        home = {owner[r].prompt.id for r in question.responses}
        promised(ask, "the answers of a question share its prompt", home == {question.prompt}, home)
        named = {question.prompt, *question.responses} <= set(question.parents)
        promised(ask, "a question's parents are its prompt and its answers", named, question.parents)
    _check_columns(ask, groups, questions)
    promised(ask, "no groups are no rows", not ask.columns([], []).members, ask.columns([], []).members)


def _check_columns(ask: Ask, groups: Sequence[Group], questions: Sequence[Question]) -> None:
    answers = {r.id for group in groups for r in group.responses}
    silent = [a_judgment(question, abstains=True) for question in questions]
    for nobody in (ask.columns(groups, []), ask.columns(groups, silent)):
        _check_table(ask, nobody, answers)
        promise = "what nobody judged is missing, never a zero or a tie"
        promised(ask, promise, bool(nobody.missing.all()), nobody.values)
    said = _ballot(ask, questions, 1)
    table = ask.columns(groups, said)
    _check_table(ask, table, answers)
    promised(ask, "what was judged is not missing", not table.missing.any(), table.missing)
    ids = {judgment.id for judgment in said}
    walked = all(parents and set(parents) <= ids for parents in table.parents)
    promised(ask, "the parents of a row are its judgments", walked, table.parents)
    promise = "the order of the judgments changes nothing"
    promised(ask, promise, _equal(table, ask.columns(groups, said[::-1])))
    promised(
        ask,
        "an abstention beside a verdict changes nothing",
        _equal(table, ask.columns(groups, said + silent)),
    )
    other = a_judgment(Question(asks=questions[0].asks, prompt="p", responses=("x", "y")))
    promised(
        ask,
        "a judgment of another question changes nothing",
        _equal(table, ask.columns(groups, [*said, other])),
    )
    _check_votes(ask, groups, questions, table)


def _check_votes(ask: Ask, groups: Sequence[Group], questions: Sequence[Question], table: Columns) -> None:
    """Several judgments of one question: all count, and agreement is not changed by being repeated."""
    thrice = _ballot(ask, questions, 3)
    agreed = ask.columns(groups, thrice)
    _check_table(ask, agreed, {r.id for group in groups for r in group.responses})
    same = all(np.allclose(agreed.values[n], c, atol=1e-9) for n, c in table.values.items() if n != "weight")
    promised(ask, "three judgments that agree say what one says", same, agreed.values)
    about = {question.id: set(question.responses) for question in questions}
    own = [{j.id for j in thrice if about[j.question] >= set(members)} for members in agreed.members]
    counted = all(set(found) >= mine for found, mine in zip(agreed.parents, own, strict=True))
    promised(ask, "every judgment that counts is a parent of its row", counted, agreed.parents)


def _ballot(ask: Ask, questions: Sequence[Question], times: int) -> list[Judgment]:
    """Each question judged so many times alike; where ratings are fitted, two to one."""
    names = ["rater"] if times == 1 else [f"rater {n}" for n in range(times)]
    said = [a_judgment(q, k % 2, by=name) for k, q in enumerate(questions) for name in names]
    if getattr(ask, "collapse", None) == "bt":
        said += [
            a_judgment(q, best, by=f"{who} {name}")
            for k, q in enumerate(questions)
            for who, best in (("again", k % 2), ("against", 1 - k % 2))
            for name in names
        ]
    return said


def _check_table(ask: Ask, table: Columns, answers: set[str]) -> None:
    rows = len(table.members)
    lengths = {len(table.missing), len(table.parents), *(len(c) for c in table.values.values())}
    promised(ask, "columns gives every column one value per row", lengths == {rows} or not rows, lengths)
    known = all(members and set(members) <= answers for members in table.members)
    promised(ask, "a row's members are answers of the groups", known, table.members)
    promised(ask, "columns gives at least one column", bool(table.values), "none")
    for name, column in table.values.items():
        promised(ask, f"{name} is float64", column.dtype == np.float64, column.dtype)
        finite = bool(np.isfinite(column[~table.missing]).all())
        promised(ask, f"{name} is finite where it is not missing", finite, column)


def _equal(one: Columns, two: Columns) -> bool:
    return (
        one.members == two.members
        and [set(p) for p in one.parents] == [set(p) for p in two.parents]
        and one.values.keys() == two.values.keys()
        and all(np.array_equal(one.values[n], two.values[n], equal_nan=True) for n in one.values)
        and bool(np.array_equal(one.missing, two.missing))
    )
