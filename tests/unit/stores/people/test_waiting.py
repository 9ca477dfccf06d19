"""A run waits for a person: the port ``Queue``."""

import asyncio

import pytest
from raters import answered, comparisons, said

from accord.overseers.human import Human
from accord.ports import Queue
from accord.stores.people import People, waiting


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(waiting, "_TICK", 0.01)


def port(people: People) -> Queue:
    return people


def test_what_was_said_is_answered_at_once(people, ann):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    judgment = answered(people, ann)
    assert asyncio.run(port(people).answer(asked.questions[0].id, 0)) == judgment
    for question, slot in [(asked.questions[0].id, 1), ("0" * 64, 0)]:
        with pytest.raises(KeyError):
            asyncio.run(people.answer(question, slot))


def test_many_wait_and_each_gets_its_own(people_url, ann, bob):
    """Said in another process of the same database, while they wait."""
    with People.open(people_url) as people, People.open(people_url) as app:
        asked = comparisons(5)
        people.post(asked.questions, asked.records, slots=2)

        async def all_of_it():
            waiting_for = [
                asyncio.create_task(people.answer(q.id, slot)) for q in asked.questions for slot in (0, 1)
            ]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting_for)
            given = {}
            for rater in (ann, bob) * 5:
                lease = app.lease(rater)
                given[lease.question, lease.number] = said(app, lease)
                app.submit(lease, given[lease.question, lease.number], lease.question)
                await asyncio.sleep(0)
            got = await asyncio.wait_for(asyncio.gather(*waiting_for), 20)
            assert got == [given[q.id, slot] for q in asked.questions for slot in (0, 1)]

        asyncio.run(all_of_it())


def test_a_deadline_passes_and_a_late_answer_is_kept(people, ann, clock):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)

    async def waits():
        task = asyncio.create_task(people.answer(asked.questions[0].id, 0, deadline=100))
        await asyncio.sleep(0.03)
        assert not task.done()
        clock.now += 101
        return await asyncio.wait_for(task, 5)

    assert asyncio.run(waits()) is None
    judgment = answered(people, ann)
    assert asyncio.run(people.answer(asked.questions[0].id, 0, deadline=0)) == judgment


def test_an_answer_taken_back_is_waited_for_again(people, ann):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    answered(people, ann)
    lease = people.undo(ann)

    async def waits():
        task = asyncio.create_task(people.answer(asked.questions[0].id, 0))
        await asyncio.sleep(0.03)
        assert not task.done()
        second = said(people, lease)
        people.submit(lease, second, "second")
        assert await asyncio.wait_for(task, 5) == second

    asyncio.run(waits())


def test_nobody_waits_for_what_nobody_can_see(people, ann):
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    judgment = answered(people, ann)
    shown = asked.questions[0].model_copy(update={"evidence": (judgment.id,)})
    people.post([shown], [judgment])
    people.withdraw_everything(ann)
    assert asyncio.run(people.answer(shown.id, 0)) is None


def test_who_waits_is_told_when_nobody_can_answer_any_more(people, ann):
    """Kills: a withdrawal that wakes only who waits for a question of the person who withdrew."""
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    judgment = answered(people, ann)
    shown = asked.questions[0].model_copy(update={"evidence": (judgment.id,)})
    people.post([shown], [judgment])

    async def waits():
        task = asyncio.create_task(people.answer(shown.id, 0))
        await asyncio.sleep(0.03)
        assert not task.done()
        people.withdraw_everything(ann)
        assert await asyncio.wait_for(task, 5) is None

    asyncio.run(waits())


def test_human_asks_through_it(people, ann):
    asked = comparisons(1)
    texts = {record.id: record for record in asked.records}

    class Desk:
        def read(self, record):
            return texts[record]

    human = Human(queue="labels.db").queued({"labels.db": people})

    async def both():
        task = asyncio.create_task(human.judge(asked.questions[0], Desk()))
        await asyncio.sleep(0.03)
        judgment = answered(people, ann)
        got = await asyncio.wait_for(task, 5)
        assert got == judgment and got.by.config == human.config

    asyncio.run(both())
