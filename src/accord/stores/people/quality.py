"""What a rater gets in between: gold, repeats in swapped order, and the qualification round before all.

``next_for`` is the one way in which a rater's next question is found, for the pages, the API and the terminal
alike. At the rater's n-th vote a hash of rater and n says whether a gold question (its share of the time), a
repeat, or neither comes next, so a page that is looked at twice, or a second server, decides the same. A
repeat is an earlier comparison of theirs, at least 20 votes ago, as a Question with ``revisits``: pages then
show the answers in the other order (``order_for``), and what the place does to a verdict, and how often
somebody contradicts themselves, is known without a truth.

A rater may dispute a gold question. Until a person has decided it counts for nothing; dropped, it is asked no
more. All that is kept of it is a note with the judgment's id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from accord.errors import Refused, Unreadable
from accord.records import Kind, Question, Ranked, Record
from accord.stores.people.gold import Choice, Gold, gold_of, qualifying
from accord.stores.people.posting import APART
from accord.stores.people.surveying import Line

if TYPE_CHECKING:
    from accord.stores.people.people import People
    from accord.stores.people.project import Project
    from accord.stores.people.said import Lease, Said

__all__ = [
    "APART_VOTES",
    "Decision",
    "Tried",
    "dispute",
    "disputed",
    "dropped",
    "known_to",
    "marks",
    "next_for",
    "planned",
    "settle",
    "settled",
    "tried",
]

APART_VOTES = 20
"""A repeat comes this many votes after its first time, or later."""

Decision = Literal["kept", "dropped"]
_DISPUTE, _SETTLED = "dispute", "gold"


class Tried(NamedTuple):
    """One qualification round, marked: so many right of so many that count, and whether that was enough."""

    right: int
    asked: int
    passed: bool


def next_for(people: People, rater: str) -> Lease | None:
    """The question that this rater holds, else the next one for them; None where nothing is left.

    Who has a qualification round to pass gets that first, and nothing else until it is passed.
    """
    project = people.project()
    if project.qualification is not None and people.rater(rater).qualified is None:
        lease = _qualify(people, rater, project)
        if lease is not None or people.rater(rater).qualified is None:
            return lease
    _post_between(people, rater, project)
    return people.lease(rater, project.lease, project.maximum)


def planned(rater: str, votes: int, gold: float, repeats: float) -> Literal["gold", "repeat", ""]:
    """What comes next for a rater who gave so many votes, by the shares of both; mostly nothing special.

    >>> [planned("r-000000000001", n, 0.5, 0.5) for n in range(4)]
    ['repeat', 'repeat', 'gold', 'repeat']
    >>> planned("r-000000000001", 1, 0.0, 0.0)
    ''
    """
    drawn = int.from_bytes(hashlib.sha256(f"{rater}\n{votes}".encode()).digest()[:8]) / 2**64
    return "gold" if drawn < gold else "repeat" if drawn < gold + repeats else ""


def _post_between(people: People, rater: str, project: Project) -> None:
    """Put what is planned in front of this rater's queue. The same again changes nothing."""
    votes = people.rater(rater).votes
    match planned(rater, votes, project.gold, project.repeats):
        case "gold":
            _post_gold(people, rater, project, votes)
        case "repeat":
            _post_repeat(people, rater)
        case "":
            pass


def _post_gold(people: People, rater: str, project: Project, votes: int) -> None:
    try:
        gold = gold_of(project)
    except Unreadable:
        return  # the manager's page says so; a rater can do nothing about it
    if gold is None:
        return
    before = sum(planned(rater, n, project.gold, project.repeats) == "gold" for n in range(votes))
    known = {one.question for one in people.current(rater=rater, standing=("qualification",))}
    order = gold.order_for(rater, dropped(people) | known)
    for question in order[before : before + 1]:
        people.post_to(rater, [question], gold.records(question))


def _post_repeat(people: People, rater: str) -> None:
    said = people.current(rater=rater)
    again = {question.revisits for question in _apart(people, said)}
    early = [
        one
        for one in said[: max(0, len(said) - APART_VOTES + 1)]
        if one.slot is not None and one.slot < APART
        if isinstance(one.judgment.verdict, Ranked) and one.judgment.id not in again
    ]
    for one in sorted(early, key=lambda one: _place(rater, one.question)):
        question = people.read(one.question)
        assert isinstance(question, Question), "a judgment is of a question"
        if question.evidence or question.asks is not Kind.COMPARE:
            continue
        try:
            people.post_to(rater, [_again(question, one.judgment.id)], [])
        except Refused:  # a text was withdrawn since
            continue
        return


def _apart(people: People, said: Sequence[Said]) -> list[Question]:
    """The questions that were asked of this rater only."""
    found = [people.read(one.question) for one in said if one.slot is not None and one.slot >= APART]
    return [question for question in found if isinstance(question, Question)]


def _again(question: Question, judgment: str) -> Question:
    return question.model_copy(update={"revisits": judgment, "selection": None, "asked_for": "quality"})


def _place(rater: str, question: str) -> bytes:
    return hashlib.sha256(f"again\n{rater}\n{question}".encode()).digest()


# The qualification round


def _qualify(people: People, rater: str, project: Project) -> Lease | None:
    """The next question of the round; None where it was passed, or no try is left."""
    wanted, gold = project.qualification, qualifying(project)
    assert wanted is not None and gold is not None, "the caller looked"
    if any(one.passed for one in tried(people, rater, project)):  # since a question was dropped
        people.qualify(rater, passed=True)
        return None
    while (tries := people.rater(rater).tries) < wanted.tries:
        questions = _round(people, rater, gold, tries, wanted.asked)
        texts = [text for question in questions for text in _records(gold, question)]
        people.post_to(rater, questions, texts, round="qualification")
        lease = people.lease(rater, project.lease, round="qualification")
        if lease is not None:
            return lease
        found = tried(people, rater, project)
        if len(found) <= tries:  # in another window it is still being answered
            return None
        people.qualify(rater, found[tries].passed, tries)
        if found[tries].passed:
            return None
    return None


def _records(gold: Gold, question: Question) -> Sequence[Record]:
    return gold.records(question) if question.id in gold.ids else ()


def _round(people: People, rater: str, gold: Gold, number: int, size: int) -> list[Question]:
    """The questions of a try: new ones as long as there are, else those of the first try again, turned."""
    order = gold.order_for(rater)  # dropped ones too, so that a round under way stays as it is
    fresh = order[number * size : (number + 1) * size]
    if len(fresh) == size or not number:
        return fresh
    first = people.current(rater=rater, standing=("qualification",))[:size]
    known = {question.id: question for question in gold.questions}
    return [_again(known[one.question], one.judgment.id) for one in first if one.question in known]


def tried(people: People, rater: str, project: Project) -> list[Tried]:
    """The qualification rounds that a rater answered in full, marked. To skip is not to be right; questions
    that were dropped do not count."""
    gold, wanted = qualifying(project), project.qualification
    if gold is None or wanted is None:
        return []
    said, left_out = people.current(rater=rater, standing=("qualification",)), dropped(people)
    first = {one.judgment.id: one.question for one in said}
    rounds: list[Tried] = []
    for start in range(0, len(said) - wanted.asked + 1, wanted.asked):
        marks: list[bool] = []
        for one in said[start : start + wanted.asked]:
            question = one.question if one.question in gold.ids else first.get(_revisits(people, one), "")
            if question in gold.ids - left_out:
                marks.append(gold.right(one.judgment.id, question, Choice.of(one.judgment)))
        passed = bool(marks) and sum(marks) >= wanted.passing * len(marks) - 1e-9
        rounds.append(Tried(sum(marks), len(marks), passed))
    return rounds


def _revisits(people: People, said: Said) -> str:
    question = people.read(said.question)
    return question.revisits or "" if isinstance(question, Question) else ""


# Marks and disputes


def marks(people: People) -> Callable[[Line], bool | None]:
    """Whether a judgment on a gold question is right; None of any other, of a skip, and of one that does not
    count: dropped, or disputed and not yet decided. Unreadable: a file of gold questions."""
    gold, left_out = gold_of(people.project()), dropped(people)
    kept = {question for question, said in settled(people).items() if said == "kept"}
    open_ = {judgment for judgment, question in disputed(people).items() if question not in kept}
    ids = gold.ids - left_out if gold else frozenset[str]()

    def mark(line: Line) -> bool | None:
        if gold is None or line.question not in ids or line.abstention or line.judgment in open_:
            return None
        return gold.right(line.judgment, line.question, Choice(line.tiers, line.tags, line.bad))

    return mark


def disputed(people: People) -> dict[str, str]:
    """Judgments on gold questions that their raters dispute: judgment → question."""
    return people.notes(_DISPUTE)


def dispute(people: People, rater: str, judgment: str) -> None:
    """Say that what is known of a gold question is wrong. KeyError unless this is a judgment of theirs on
    one."""
    said = people.current(rater=rater, standing=("vote", "qualification"))
    found = next((one for one in said if one.judgment.id == judgment), None)
    if found is None or found.question not in known_to(people.project()):
        raise KeyError(judgment)
    people.note(_DISPUTE, judgment, found.question)


def known_to(project: Project) -> frozenset[str]:
    """The ids of all gold questions."""
    both = [gold_of(project), qualifying(project)]
    return frozenset(question for gold in both if gold is not None for question in gold.ids)


def settle(people: People, question: str, decision: Decision | None) -> None:
    """A person has decided whether a gold question counts; None: nobody has."""
    people.note(_SETTLED, question, decision)


def settled(people: People) -> dict[str, str]:
    """What people decided, by question."""
    return people.notes(_SETTLED)


def dropped(people: People) -> frozenset[str]:
    """Gold questions that count no more."""
    return frozenset(question for question, said in settled(people).items() if said == "dropped")
