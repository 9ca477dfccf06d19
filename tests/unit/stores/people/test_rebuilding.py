"""What follows from the journal is the same whether it was kept in step or is made anew."""

import random
import threading

import pytest
from raters import comparisons, pseudonym, said

from accord.records import By
from accord.stores.people import People, Project, Qualification, Voice, saying

FOLLOWS = {
    "slot": "SELECT id, state, rater, lease_until FROM slot ORDER BY id",
    "judgment_current": "SELECT * FROM judgment_current ORDER BY seq",
    "seen": "SELECT question, rater FROM seen ORDER BY question, rater",
    "rater": "SELECT rater, votes, abstained, late FROM rater ORDER BY rater",
}


def following(people):
    with people._database.reading() as connection:
        return {
            name: [tuple(row) for row in connection.exec_driver_sql(query)] for name, query in FOLLOWS.items()
        }


def live(people, clock, draw, turns):
    """Raters do whatever they can do, in any order."""
    asked = comparisons(8)
    people.post(asked.questions, asked.records, slots=3)
    raters = [pseudonym(number) for number in range(4)]
    leases = []
    for turn in range(turns):
        rater = draw.choice(raters)
        clock.now += draw.choice([1, 1, 40])
        match draw.choice(
            ["lease", "submit", "submit", "submit", "undo", "amend", "release", "own", "erase"]
        ):
            case "lease":
                leases += [lease] if (lease := people.lease(rater, ttl=30)) else []
            case "submit" if lease := people.lease(rater, ttl=30):
                # Often an old lease is used, which another has taken since: late.
                lease = draw.choice([lease, lease, *leases])
                fields = {"abstention": "unclear"} if draw.random() < 0.3 else {}
                people.submit(lease, said(people, lease, **fields), f"{turn}")
            case "undo":
                people.undo(rater)
            case "amend" if own := [s for s in people.current() if s.rater == rater]:
                old = own[0].judgment
                new = old.model_copy(update={"salt": f"{turn:032d}"})
                people.amend(rater, old.id, new, f"{turn}")
            case "release" if lease := people.lease(rater, ttl=30):
                people.release(lease)
            case "own":
                people.post_to(rater, asked.questions[:1], asked.records)
            case "erase" if draw.random() < 0.2:
                people.withdraw_everything(rater)
            case _:
                pass
    votes = people.current()
    if votes:
        by = By(type="person", name=raters[0], config="adjudicator")
        people.adjudicate(votes[0].question, votes[0].judgment.model_copy(update={"by": by}))


@pytest.mark.parametrize("seed", range(4))
def test_a_rebuilt_database_equals_the_live_one(people, clock, seed):
    live(people, clock, random.Random(seed), 60)
    before = following(people)
    assert any(row[1] == "closed" for row in before["slot"]) and before["judgment_current"]
    people.rebuild()
    assert following(people) == before
    spoil(people)
    assert following(people) != before
    people.rebuild()
    after = following(people)
    # Leases are in no journal: what was leased is open, all else as before.
    assert [row[:3] for row in after["slot"]] == [
        row[:3] if row[1] != "leased" else (row[0], "open", None) for row in before["slot"]
    ]
    assert {k: v for k, v in after.items() if k != "slot"} == {k: v for k, v in before.items() if k != "slot"}


def spoil(people):
    with people._database.writing() as connection:
        for statement in (
            "DELETE FROM judgment_current",
            "DELETE FROM seen",
            "UPDATE rater SET votes = 77, late = 5, abstained = 9",
            "UPDATE slot SET state = 'open', rater = NULL, lease_until = NULL",
        ):
            connection.exec_driver_sql(statement)


def test_what_is_said_while_it_rebuilds_stands(people_url, ann):
    """Kills: a replay that writers do not wait for, or that does not wait for them."""
    with People.open(people_url) as people, People.open(people_url) as other:
        asked = comparisons(1)
        people.post(asked.questions, asked.records)
        lease = people.lease(ann)
        rebuilds = threading.Thread(target=other.rebuild)
        with people._database.writing() as connection:
            saying.submit(connection, 0.0, lease, said(people, lease), "k")
            rebuilds.start()
            rebuilds.join(0.3)
        rebuilds.join()
        assert (people.rater(ann).votes, people.progress().closed, len(people.current())) == (1, 1, 1)


def test_a_vote_from_elsewhere_can_be_taken_back(people, ann):
    """It has no slot: nothing is leased, and the journal tells the same."""
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    judgment = said(people, people.lease(ann))
    people.withdraw_everything(ann)
    people.ingest(asked.questions, asked.records, [Voice(judgment, ann)])
    assert people.rater(ann).votes == 1
    assert people.undo(ann) is None
    before = following(people)
    people.rebuild()
    assert following(people) == before and people.rater(ann).votes == 0


def test_an_amendment_replaces_the_vote_and_not_what_came_late(people, ann):
    """The same judgment stands twice: sent again under another key, after its slot was closed."""
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    lease = people.lease(ann)
    judgment = said(people, lease)
    assert people.submit(lease, judgment, "k").state == "stored"
    assert people.submit(lease, judgment, "another").state == "late"
    people.amend(ann, judgment.id, said(people, lease, abstention="conflict"), "better")
    before = following(people)
    people.rebuild()
    assert following(people) == before


def test_votes_of_a_qualification_stay_what_they_were(people, ann):
    people.keep_project(Project(qualification=Qualification(questions="gold.jsonl")))
    gold = comparisons(1)
    people.post_to(ann, gold.questions, gold.records, round="qualification")
    lease = people.lease(ann, round="qualification")
    people.submit(lease, said(people, lease), "k")
    people.rebuild()
    assert [s.standing for s in people.current(standing=["vote", "qualification"])] == ["qualification"]
