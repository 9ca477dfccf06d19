"""Many at once, and killed in the middle: no slot twice, nothing lost, nothing stored twice."""

import secrets
import threading
from collections import Counter

from killing import killed_in_submits
from raters import comparisons, pseudonym, said

from accord.stores.people import People


def test_thirty_threads_and_six_hundred_slots(people):
    asked = comparisons(200)
    people.post(asked.questions, asked.records, slots=3)
    taken = []
    broken = []

    def works(number):
        try:
            while lease := people.lease(pseudonym(number)):
                taken.append((lease.slot, lease.question, lease.rater))
                receipt = people.submit(lease, said(people, lease), secrets.token_hex(8))
                assert receipt.state == "stored"
        except BaseException as error:
            broken.append(error)
            raise

    threads = [threading.Thread(target=works, args=[number]) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    assert sorted(slot for slot, _, _ in taken) == sorted({slot for slot, _, _ in taken}), "leased twice"
    assert len(taken) == 600 and len(people.current()) == 600, "none is lost"
    assert max(Counter((question, rater) for _, question, rater in taken).values()) == 1
    assert (people.progress().closed, people.progress().complete) == (600, 200)
    assert sum(rater.votes for rater in people.progress().raters) == 600


def test_two_tabs_of_a_rater_get_one_slot(people):
    asked = comparisons(5)
    people.post(asked.questions, asked.records, slots=2)
    leases = []
    tabs = [threading.Thread(target=lambda: leases.append(people.lease(pseudonym(1)))) for _ in range(8)]
    for tab in tabs:
        tab.start()
    for tab in tabs:
        tab.join()
    assert len({(lease.slot, lease.fence) for lease in leases}) == 1


def test_one_key_sent_many_times_at_once_is_kept_once(people):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    lease = people.lease(pseudonym(1))
    judgment = said(people, lease)
    receipts = []
    sends = [
        threading.Thread(target=lambda: receipts.append(people.submit(lease, judgment, "k").state))
        for _ in range(8)
    ]
    for send in sends:
        send.start()
    for send in sends:
        send.join()
    assert Counter(receipts) == {"stored": 1, "again": 7}
    assert len(list(people.events())) == 1


def test_a_kill_loses_nothing_that_was_acknowledged(people_file):
    """Each acknowledged judgment stands exactly once in the journal, and no other unless it was sent."""
    with People.open(people_file) as people:
        asked = comparisons(200)
        people.post(asked.questions, asked.records)
    fate = killed_in_submits(str(people_file), kills=5, between=4)
    assert fate.kills == 5 and fate.acknowledged >= 20
    assert (fate.lost, fate.twice, fate.unsent) == (0, 0, 0)
    with People.open(people_file) as people:
        assert people.progress().closed == len(list(people.events())) >= fate.acknowledged
