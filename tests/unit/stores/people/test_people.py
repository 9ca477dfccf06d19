"""Mutants killed here: a lease that ignores the fence, the clock, ``seen`` or the rater's other slots; a
submit that stores twice, or checks nothing; an undo that leaves the vote; an amendment that adds one.
"""

import pytest
from raters import answered, comparisons, pseudonym, said

from accord.errors import Refused
from accord.records import By, Mark, Ranked
from accord.stores.people import Project, Qualification


def posted(people, n=2, slots=1, **kwargs):
    asked = comparisons(n)
    people.post(asked.questions, asked.records, slots, **kwargs)
    return asked.questions


def kinds(people):
    return [event.kind for event in people.events()]


# Posting


def test_what_was_posted_can_be_read(people):
    asked = comparisons(2)
    people.post(asked.questions, asked.records)
    assert people.questions() == asked.questions
    assert [people.read(record.id) for record in asked.records] == asked.records
    assert people.read(asked.questions[0].id) == asked.questions[0]
    with pytest.raises(KeyError):
        people.read("0" * 64)


def test_posted_again_nothing_changes_and_slots_grow(people, ann, bob):
    asked = comparisons(2)
    people.post(asked.questions, asked.records)
    people.post(asked.questions, asked.records, priority=5.0)
    assert people.progress().open == 2
    people.post(asked.questions[:1], asked.records, slots=3)
    people.post(asked.questions[:1], asked.records, slots=2)
    assert (people.progress().questions, people.progress().open) == (2, 4)
    assert people.lease(ann).question == people.lease(bob).question == asked.questions[0].id


def test_a_question_whose_text_is_missing_is_refused_whole(people):
    asked = comparisons(2)
    with pytest.raises(Refused, match="not there to be shown"):
        people.post(asked.questions, asked.records[:-1])
    assert people.questions() == []
    with pytest.raises(Refused, match="1 to 1000"):
        people.post(asked.questions, asked.records, slots=0)


def test_higher_priorities_come_first_then_the_order_of_posting(people):
    low, high = comparisons(2, "low"), comparisons(2, "high")
    people.post(low.questions, low.records)
    people.post(high.questions, high.records, priority=1.0)
    order = [people.lease(pseudonym(n)).question for n in range(4)]
    assert order == [q.id for q in (*high.questions, *low.questions)]


# Leasing


def test_a_slot_is_leased_to_one_rater(people, ann, bob):
    posted(people, 1)
    assert people.lease(ann).number == 0
    assert people.lease(bob) is None


def test_a_rater_gets_what_they_hold_back(people, ann, clock):
    posted(people, 2)
    first = people.lease(ann, ttl=60)
    clock.now += 30
    again = people.lease(ann, ttl=60)
    assert again == first._replace(until=clock.wall() + 60)
    clock.now += 1000
    assert people.lease(ann, ttl=60).fence == first.fence, "nobody took it: it is theirs"


def test_no_rater_has_a_question_twice(people, ann, bob):
    posted(people, 1, slots=2)
    answered(people, ann)
    assert people.lease(ann) is None
    assert people.lease(bob) is not None


def test_an_expired_lease_goes_to_another(people, ann, bob, clock):
    posted(people, 1)
    first = people.lease(ann, ttl=60)
    clock.now += 59
    assert people.lease(bob) is None
    clock.now += 2
    second = people.lease(bob, ttl=60)
    assert (second.slot, second.fence) == (first.slot, first.fence + 1)
    assert people.beat(first) is None


def test_a_beat_keeps_a_lease(people, ann, bob, clock):
    posted(people, 1)
    lease = people.lease(ann, ttl=60)
    for _ in range(3):
        clock.now += 50
        assert people.beat(lease, ttl=60) == clock.wall() + 60
    assert people.lease(bob) is None


def test_a_released_slot_is_open_and_the_old_lease_is_worth_nothing(people, ann, bob):
    posted(people, 1)
    lease = people.lease(ann)
    people.release(lease)
    assert people.beat(lease) is None
    assert people.lease(bob).slot == lease.slot
    people.release(lease)
    assert people.lease(bob) is not None, "a stale release frees nothing"


def test_a_limit_ends_a_raters_turn(people, ann):
    posted(people, 3)
    answered(people, ann)
    answered(people, ann)
    assert people.lease(ann, limit=2) is None
    assert people.lease(ann, limit=3) is not None


def test_names_do_not_get_in(people):
    posted(people, 1)
    with pytest.raises(Refused, match="no pseudonym"):
        people.lease("Ann Smith")
    with pytest.raises(Refused, match="number of seconds"):
        people.lease(pseudonym(1), ttl=float("inf"))


def test_a_lease_can_be_told_from_its_slot_and_fence(people, ann, bob, clock):
    posted(people, 1)
    lease = people.lease(ann)
    assert people.held(ann, lease.slot, lease.fence) == lease
    assert people.held(bob, lease.slot, lease.fence).until == 0
    with pytest.raises(KeyError):
        people.held(ann, lease.slot, lease.fence + 1)
    with pytest.raises(KeyError):
        people.held(ann, 99, 0)


# Questions for one rater


def test_a_question_for_one_rater_is_for_nobody_else_and_comes_first(people, ann, bob):
    posted(people, 1, priority=9.0)
    gold = comparisons(1, "gold")
    people.post_to(ann, gold.questions, gold.records)
    people.post_to(ann, gold.questions, gold.records)
    people.post_to(bob, gold.questions, gold.records)
    leases = people.lease(ann), people.lease(bob)
    assert [(lease.question, lease.number) for lease in leases] == [
        (gold.questions[0].id, 1000),
        (gold.questions[0].id, 1001),
    ]
    with pytest.raises(Refused, match="another rater"):
        people.submit(leases[0]._replace(rater=bob), said(people, leases[0]._replace(rater=bob)), "k")


def test_what_anybody_may_answer_is_counted_without_what_is_for_one(people, ann):
    """Kills: a total that grows with the gold and the repeats of others, or with slots."""
    posted(people, 3, slots=2)
    gold = comparisons(2, "gold")
    people.post_to(ann, gold.questions, gold.records)
    answered(people, ann)
    assert (people.asked(), people.progress().questions) == (3, 5)
    assert people.raters() == list(people.progress().raters) == [people.rater(ann)]


def test_the_main_round_opens_to_those_who_passed(people, ann, bob, clock):
    people.keep_project(Project(qualification=Qualification(questions="gold.jsonl")))
    posted(people, 1)
    gold = comparisons(1, "gold")
    people.post_to(ann, gold.questions, gold.records, round="qualification")
    assert people.lease(ann) is None
    lease = people.lease(ann, round="qualification")
    people.submit(lease, said(people, lease), "k")
    assert people.current() == [], "what qualifies a rater is no vote"
    assert len(people.current(standing=("qualification",))) == 1
    assert people.qualify(ann, passed=False).qualified is None
    assert people.lease(ann) is None
    standing = people.qualify(ann, passed=True)
    assert (standing.qualified, standing.tries, standing.votes) == (clock.wall(), 2, 0)
    assert people.lease(ann) is not None
    assert people.lease(bob) is None


# Submitting


def test_a_submission_is_kept_once_per_key(people, ann):
    posted(people, 2)
    lease = people.lease(ann)
    judgment = said(people, lease)
    assert people.submit(lease, judgment, "k") == ("stored", judgment.id)
    assert people.submit(lease, judgment, "k") == ("again", judgment.id)
    assert people.submit(lease, said(people, lease), "k") == ("again", judgment.id)
    assert kinds(people) == ["submit"]
    assert [(s.judgment, s.rater, s.slot) for s in people.current()] == [(judgment, ann, 0)]


def test_a_key_is_a_raters_own(people, ann, bob):
    posted(people, 2)
    answered(people, ann, key="k")
    answered(people, bob, key="k")
    assert kinds(people) == ["submit", "submit"]


def test_a_key_that_was_spent_closes_no_other_slot(people, ann):
    posted(people, 2)
    answered(people, ann, key="k")
    lease = people.lease(ann)
    with pytest.raises(Refused, match="another question"):
        people.submit(lease, said(people, lease), "k")
    assert people.progress().leased == 1


def test_the_fence_decides_not_the_clock(people, ann, clock):
    posted(people, 1)
    lease = people.lease(ann, ttl=10)
    clock.now += 10_000
    assert people.submit(lease, said(people, lease), "k").state == "stored"


def test_what_comes_after_another_took_the_slot_is_late_and_no_vote(people, ann, bob, clock):
    (question,) = posted(people, 1)
    stale = people.lease(ann, ttl=10)
    clock.now += 11
    lease = people.lease(bob)
    late = said(people, stale)
    assert people.submit(stale, late, "k").state == "late"
    assert people.submit(lease, said(people, lease), "k").state == "stored"
    assert [s.rater for s in people.current(question.id)] == [bob]
    assert [s.judgment for s in people.current(standing=["late"])] == [late]
    assert kinds(people) == ["late", "submit"]
    assert (people.rater(ann).votes, people.rater(ann).late) == (0, 1)


def refusals(lease, question):
    other = By(type="person", name=pseudonym(9), config="c")
    return [
        ({"verdict": Ranked(tiers=((question.responses[0],),))}, "verdict.tiers"),
        ({"marks": (Mark(response=question.responses[0], start=0, end=99),)}, r"marks\[0\].end: is 99"),
        ({"shown": question.responses[:1]}, "shown"),
        ({"salt": "short"}, "salt"),
        ({"by": other}, "by: is the person"),
        ({"by": other.model_copy(update={"name": lease.rater})}, "by.config"),
        ({"question": "0" * 64}, "question"),
    ]


def test_what_does_not_answer_the_question_is_refused_with_the_field(people, ann):
    (question,) = posted(people, 1)
    lease = people.lease(ann)
    for fields, path in refusals(lease, question):
        with pytest.raises(Refused, match=path):
            people.submit(lease, said(people, lease, **fields), "k")
    assert (kinds(people), people.progress().leased) == ([], 1)


def test_a_lease_that_never_was_cannot_be_used(people, ann):
    posted(people, 2)
    lease = people.lease(ann)
    wrong = [lease._replace(fence=7), lease._replace(slot=5), lease._replace(number=1)]
    for never in wrong:
        with pytest.raises(KeyError):
            people.submit(never, said(people, lease), "k")


def test_an_abstention_closes_the_slot(people, ann):
    posted(people, 1)
    answered(people, ann, abstention="unclear")
    assert (people.progress().closed, people.rater(ann).abstained) == (1, 1)


# Taking back, amending, adjudicating


def test_undo_takes_the_vote_back_and_leases_its_slot(people, ann, bob):
    posted(people, 3)
    first = answered(people, ann)
    answered(people, bob)
    ahead = people.lease(ann)
    lease = people.undo(ann)
    assert (lease.question, lease.rater) == (first.question, ann)
    assert people.beat(ahead) is None, "what they held meanwhile is free again"
    assert [s.rater for s in people.current()] == [bob]
    assert people.rater(ann).votes == 0
    second = said(people, lease)
    assert people.submit(lease, second, "second").state == "stored"
    assert kinds(people) == ["submit", "submit", "withdraw", "submit"]
    assert people.judgment(first.id) == first, "a run that used it can still read it"


def test_undo_without_anything_to_take_back(people, ann):
    posted(people, 1)
    people.lease(ann)
    assert people.undo(ann) is None


def test_a_late_one_can_be_taken_back_but_its_slot_is_gone(people, ann, bob, clock):
    posted(people, 1)
    stale = people.lease(ann, ttl=10)
    clock.now += 11
    answered(people, bob)
    people.submit(stale, said(people, stale), "k")
    assert people.undo(ann) is None
    assert people.current(standing=["late"]) == []
    assert len(people.current()) == 1


def test_an_amendment_takes_the_place_of_the_vote(people, ann):
    (question,) = posted(people, 1)
    lease = people.lease(ann)
    first = said(people, lease)
    people.submit(lease, first, "first")
    better = said(people, lease, abstention="conflict")
    assert people.amend(ann, first.id, better, "k") == ("stored", better.id)
    assert people.amend(ann, first.id, better, "k") == ("again", better.id)
    assert [s.judgment for s in people.current()] == [better]
    last = list(people.events())[-1]
    assert (last.kind, last.replaces, last.question) == ("amend", first.id, question.id)
    assert (people.rater(ann).votes, people.rater(ann).abstained, people.progress().closed) == (1, 1, 1)
    assert people.judgment(first.id) == first
    with pytest.raises(KeyError):
        people.amend(ann, first.id, said(people, lease), "another")


def test_adjudication_overrules_nothing(people, ann, bob):
    (question,) = posted(people, 1)
    vote = answered(people, ann)
    by = By(type="person", name=bob, config="adjudicator")
    judgment = vote.model_copy(update={"by": by, "salt": "0" * 32})
    people.adjudicate(question.id, judgment)
    people.adjudicate(question.id, judgment)
    assert [s.judgment for s in people.current(question.id)] == [vote]
    assert [(s.judgment, s.slot) for s in people.current(standing=["adjudicated"])] == [(judgment, None)]
    assert kinds(people) == ["submit", "adjudicate"]


def test_judgments_that_never_were(people):
    with pytest.raises(KeyError):
        people.judgment("0" * 64)
