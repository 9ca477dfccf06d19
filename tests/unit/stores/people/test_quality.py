"""Gold, repeats and the qualification round: what is planned comes, once, and the same wherever one looks."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from raters import comparisons, pseudonym, said

from accord.errors import Unreadable
from accord.records import Question, Ranked
from accord.stores.people import Lease, People, Project, Qualification
from accord.stores.people.gold import Choice, gold_in
from accord.stores.people.posting import APART
from accord.stores.people.quality import (
    APART_VOTES,
    dispute,
    disputed,
    dropped,
    marks,
    next_for,
    planned,
    settle,
    tried,
)
from accord.web.sitting import order_for

ANN, BEN = pseudonym(1), pseudonym(2)


@pytest.fixture
def people(tmp_path: Path) -> Any:
    with People.open(tmp_path / "people.db", lambda: 1e6) as opened:
        yield opened


def gold_file(folder: Path, n: int = 40, **more: object) -> str:
    """n sums; the right answer is the first one."""
    file = folder / f"gold-{n}.jsonl"
    rows = [
        {"prompt": f"{i} + 1?", "answers": [f"{i + 1}", "no idea"], "best": 0, "known_by": "program"} | more
        for i in range(n)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def asked(people: People, lease: Lease) -> Question:
    question = people.read(lease.question)
    assert isinstance(question, Question)
    return question


def answer(people: People, lease: Lease, *, right: bool = True) -> None:
    """The first answer of the question is better, or the second one."""
    first, second = asked(people, lease).responses
    tiers = ((first,), (second,)) if right else ((second,), (first,))
    judgment = said(people, lease, verdict=Ranked(tiers=tiers))
    assert people.submit(lease, judgment, secrets.token_hex(8)).state == "stored"


def turn(people: People, rater: str, *, right: bool = True) -> Question | None:
    lease = next_for(people, rater)
    if lease is None:
        return None
    answer(people, lease, right=right)
    return asked(people, lease)


def test_shares_are_kept_and_a_plan_is_one_of_rater_and_number() -> None:
    """Kills: gold and repeats drawn from one tail, the rater or the number left out of the hash."""
    every = [planned(pseudonym(r), n, 0.05, 0.10) for r in range(40) for n in range(100)]
    assert 0.03 < every.count("gold") / len(every) < 0.07
    assert 0.08 < every.count("repeat") / len(every) < 0.12
    ann, ben = ([planned(rater, n, 0.3, 0.3) for n in range(60)] for rater in (ANN, BEN))
    assert ann != ben
    assert len(set(ann)) == 3


def test_gold_comes_where_it_is_planned_and_looking_twice_changes_nothing(
    people: People, tmp_path: Path
) -> None:
    """Kills: another gold question at every look, gold that is asked of everybody, gold twice."""
    people.keep_project(Project(gold=0.3, repeats=0, gold_questions=gold_file(tmp_path)))
    posted = comparisons(60)
    people.post(posted.questions, posted.records)
    known = gold_in(gold_file(tmp_path)).ids
    came: list[bool] = []
    for _ in range(30):
        first, again = next_for(people, ANN), next_for(people, ANN)
        assert first is not None
        assert again is not None
        assert first[:2] == again[:2]
        came.append(first.question in known)
        assert (first.number >= APART) == came[-1]
        answer(people, first)
    assert came == [planned(ANN, n, 0.3, 0) == "gold" for n in range(30)]
    theirs = [one.question for one in people.current(rater=ANN) if one.question in known]
    assert len(set(theirs)) == len(theirs) > 3
    assert people.survey().for_one == 0
    # Nobody else is given what was posted for Ann.
    assert all(turn(people, BEN) is not None for _ in range(10))
    assert {one.question for one in people.current(rater=BEN) if one.question in known} != set(theirs)


def test_one_file_may_be_of_both_gold_and_the_qualification(people: People, tmp_path: Path) -> None:
    """Kills: a turn for gold on which nothing comes, for the qualification had asked it."""
    file = gold_file(tmp_path)
    wanted = Qualification(questions=file, asked=5)
    people.keep_project(Project(gold=0.5, repeats=0, gold_questions=file, qualification=wanted))
    posted = comparisons(20)
    people.post(posted.questions, posted.records)
    for _ in range(15):
        turn(people, ANN)
    ids, votes = gold_in(file).ids, people.current(rater=ANN)
    assert [one.question in ids for one in votes] == [planned(ANN, n, 0.5, 0) == "gold" for n in range(10)]


def test_a_repeat_is_an_own_comparison_twenty_votes_ago_in_swapped_order(people: People) -> None:
    """Kills: a repeat too early, of a repeat, twice of one, of a skip; the order left as it was."""
    people.keep_project(Project(gold=0, repeats=0.5))
    posted = comparisons(45)
    people.post(posted.questions, posted.records)
    order: list[Question] = []
    while len(order) < 45 and (lease := next_for(people, ANN)) is not None:
        question = asked(people, lease)
        order.append(question)
        if len(order) % 7 == 3:
            people.submit(lease, said(people, lease, abstention="unclear"), secrets.token_hex(8))
        else:
            answer(people, lease)
    given = people.current(rater=ANN)
    place = {one.judgment.id: i for i, one in enumerate(given)}
    repeats = [(i, q) for i, q in enumerate(order) if q.revisits]
    assert len(repeats) > 5
    assert len({q.revisits for _, q in repeats}) == len(repeats)
    for i, question in repeats:
        assert question.revisits is not None
        first = given[place[question.revisits]]
        assert i - place[question.revisits] >= APART_VOTES
        assert first.judgment.verdict is not None
        assert first.slot is not None
        assert first.slot < APART
        assert order_for(ANN, question, first.judgment) == tuple(reversed(first.judgment.shown))
    early = [i for i, q in enumerate(order) if q.revisits and i < APART_VOTES]
    assert not early


def test_without_a_file_there_is_no_gold_and_a_broken_one_stops_no_rater(
    people: People, tmp_path: Path
) -> None:
    posted = comparisons(9)
    people.post(posted.questions, posted.records)
    people.keep_project(Project(gold=0.5, repeats=0))
    assert turn(people, ANN) is not None
    people.keep_project(Project(gold=0.5, repeats=0, gold_questions=str(tmp_path / "nothing.jsonl")))
    assert all(turn(people, ANN) is not None for _ in range(8))
    with pytest.raises(Unreadable, match="nothing"):
        marks(people)


def qualifying(tmp_path: Path, n: int = 8, **more: Any) -> Project:
    wanted = Qualification(questions=gold_file(tmp_path, n), asked=4, passing=0.75, **more)
    return Project(gold=0, repeats=0, qualification=wanted)


def test_who_passes_the_round_gets_the_queue(people: People, tmp_path: Path) -> None:
    """Kills: marking before the end, a share below passing that passes, votes that count as the round's."""
    people.keep_project(qualifying(tmp_path))
    posted = comparisons(3)
    people.post(posted.questions, posted.records)
    for right in (True, True, True, False):
        assert turn(people, ANN, right=right) is not None
        assert people.rater(ANN).tries == 0
    assert turn(people, ANN) in posted.questions
    assert people.rater(ANN)[1] == 1
    assert people.rater(ANN).tries == 1
    assert [tuple(one) for one in tried(people, ANN, people.project())] == [(3, 4, True)]
    assert not {one.question for one in people.current()} & gold_in(gold_file(tmp_path, 8)).ids


@pytest.mark.parametrize("n", [8, 4])
def test_one_more_try_with_other_questions_or_the_same_turned_then_none(
    people: People, tmp_path: Path, n: int
) -> None:
    people.keep_project(qualifying(tmp_path, n))
    posted = comparisons(3)
    people.post(posted.questions, posted.records)
    first = [turn(people, ANN, right=i > 1) for i in range(4)]
    second = [turn(people, ANN, right=i > 1) for i in range(4)]
    assert None not in first + second
    assert not {q.id for q in first if q} & {q.id for q in second if q}
    assert all((q.revisits is None) == (n == 8) for q in second if q)
    assert next_for(people, ANN) is None
    assert next_for(people, ANN) is None
    assert people.rater(ANN).tries == 2
    assert [one.right for one in tried(people, ANN, people.project())] == [2, 2]
    # Dropped, a wrong one counts no more: two of three right are not enough, two of two are.
    wrong = [q.id for q in first[:2] if q]
    settle(people, wrong[0], "dropped")
    assert next_for(people, ANN) is None
    settle(people, wrong[1], "dropped")
    assert turn(people, ANN) in posted.questions


def test_what_was_marked_cannot_be_taken_back_and_put_right(people: People, tmp_path: Path) -> None:
    """Kills: an undo of the last answer of a round whose marks are shown. One under way can be taken back."""
    people.keep_project(qualifying(tmp_path))
    for right in (True, False):
        turn(people, ANN, right=right)
    lease = people.undo(ANN)
    assert lease is not None
    answer(people, lease, right=False)
    for right in (True, False):
        turn(people, ANN, right=right)
    following = next_for(people, ANN)  # the round is marked, and the next one begins
    assert (people.rater(ANN).tries, following is not None) == (1, True)
    assert people.undo(ANN) is None
    assert [one.right for one in tried(people, ANN, people.project())] == [2]
    assert turn(people, ANN) is not None
    assert people.undo(ANN) is not None


def test_gold_is_taken_back_only_as_long_as_nothing_was_said_after_it(people: People) -> None:
    """Kills: an undo of one's way back to what was marked meanwhile. What was just sent may be a slip."""
    asked = comparisons(3)
    first, gold, after = asked.questions
    people.post([first, after], asked.records)
    turn(people, ANN)
    people.post_to(ANN, [gold], asked.records)
    turn(people, ANN)
    assert people.undo(ANN) is not None
    turn(people, ANN)
    turn(people, ANN)
    assert people.undo(ANN) is not None
    assert people.undo(ANN) is None
    assert [one.question for one in people.current(rater=ANN)] == [first.id, gold.id]


def test_two_windows_mark_a_round_once(people: People, tmp_path: Path) -> None:
    people.keep_project(qualifying(tmp_path))
    people.qualify(ANN, passed=False, tries=0)
    people.qualify(ANN, passed=False, tries=0)
    assert people.rater(ANN).tries == 1


def test_a_round_needs_as_many_questions_as_it_asks(people: People, tmp_path: Path) -> None:
    people.keep_project(qualifying(tmp_path, 3))
    with pytest.raises(Unreadable, match="4 questions"):
        next_for(people, ANN)


def test_what_is_disputed_counts_for_nothing_until_a_person_decides(people: People, tmp_path: Path) -> None:
    """Kills: a dispute that drops, a decision that is not looked at, another's judgment disputed."""
    people.keep_project(Project(gold=0.5, repeats=0, gold_questions=gold_file(tmp_path)))
    posted = comparisons(30)
    people.post(posted.questions, posted.records)
    for _ in range(20):
        turn(people, ANN, right=False)

    def marked() -> list[bool | None]:
        mark = marks(people)
        return [mark(line) for line in people.survey().lines]

    known = [i for i, right in enumerate(marked()) if right is not None]
    assert known
    assert not any(marked()[i] for i in known)
    line = people.survey().lines[known[0]]
    with pytest.raises(KeyError):
        dispute(people, BEN, line.judgment)
    ordinary = next(i for i in range(20) if i not in known)
    with pytest.raises(KeyError):
        dispute(people, ANN, people.survey().lines[ordinary].judgment)
    dispute(people, ANN, line.judgment)
    assert disputed(people) == {line.judgment: line.question}
    assert marked()[known[0]] is None
    settle(people, line.question, "kept")
    assert marked()[known[0]] is False
    settle(people, line.question, "dropped")
    assert marked()[known[0]] is None
    assert dropped(people) == {line.question}
    assert line.question not in {q.id for q in gold_in(gold_file(tmp_path)).order_for(ANN, dropped(people))}


def test_gold_is_who_has_the_best_alone_on_top_or_just_the_tags(tmp_path: Path) -> None:
    """Kills: a tie that counts as right, both bad as right, tags in another order as wrong."""
    file = tmp_path / "mixed.jsonl"
    label = {"prompt": "Tone?", "answers": ["Go!"], "options": ["a", "b", "c"], "tags": ["c", "a"]}
    pair = {"prompt": "Which?", "answers": ["x", "y"], "best": 1, "known_by": "adjudicators", "agreed": 5}
    ended = json.dumps(label | {"prompt": "Tone?\u2028", "known_by": "program"}, ensure_ascii=False)
    file.write_text(f"{ended}\n\n{json.dumps(pair)}\n", encoding="utf-8")
    gold = gold_in(str(file))
    tone, which = gold.questions
    x, y = which.responses
    told = [
        Choice(((y,), (x,))),
        Choice(((x,), (y,))),
        Choice(((x, y),)),
        Choice(((x, y),), bad=True),
        Choice(),
    ]
    assert [gold.right(f"j{i}", which.id, choice) for i, choice in enumerate(told)] == [True, *[False] * 4]
    assert gold.right("k0", tone.id, Choice(tags=("a", "c")))
    assert not gold.right("k1", tone.id, Choice(tags=("a",)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"best": 2}, "best: the place"),
        ({"best": None}, "best or tags"),
        ({"known_by": "adjudicators", "agreed": 4}, "known from 5 on"),
        ({"known_by": "me"}, "known_by"),
        ({"tags": ["a"]}, "best or tags"),
        ({"gold": 1}, "gold"),
    ],
)
def test_a_line_that_is_no_gold_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    file = tmp_path / "gold.jsonl"
    line = {"prompt": "secret?", "answers": ["hush-hush", "s2"], "best": 0, "known_by": "program"}
    file.write_text(f"{json.dumps(line)}\n{json.dumps(line | change)}\n")
    with pytest.raises(Unreadable, match=says) as error:
        gold_in(str(file))
    assert "hush-hush" not in str(error.value)
    assert ":2" in str(error.value)
