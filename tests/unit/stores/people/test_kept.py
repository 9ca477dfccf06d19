"""Drafts, settings, counts, and what of the journal is told."""

from raters import answered, comparisons, said

from accord.overseers.human import human_config
from accord.records import Prompt, Question
from accord.stores.people import Consent, People, Project


def posted(people, n=2, slots=1):
    asked = comparisons(n)
    people.post(asked.questions, asked.records, slots)
    return asked.questions


def test_a_draft_waits_until_it_is_sent(people, ann, bob):
    posted(people, 1)
    lease = people.lease(ann)
    assert people.draft(ann, lease.question, None) is None
    assert people.draft(ann, lease.question, "half a") == "half a"
    people.draft(ann, lease.question, "half a thought \u0000 \ud800")
    assert people.draft(ann, lease.question, None) == "half a thought \u0000 \ud800"
    assert people.draft(bob, lease.question, None) is None
    people.submit(lease, said(people, lease), "k")
    assert people.draft(ann, lease.question, None) is None


def test_settings_are_kept(people_url):
    project = Project(title="T", groups={"age": ("<40", "40+")}, consent=Consent(text="c", version="1"))
    with People.open(people_url) as people:
        assert people.project() == Project()
        people.keep_project(project)
        people.keep_project(project)
        own = people.id
    with People.open(people_url) as people:
        assert (people.project(), people.id) == (project, own)


def test_progress_counts(people, ann, bob, clock):
    posted(people, 3, slots=2)
    answered(people, ann)
    clock.now += 86_400
    answered(people, bob)
    people.lease(bob, ttl=60)
    progress = people.progress()
    assert progress[:6] == (3, 1, 3, 1, 2, 0)
    assert [day.votes for day in progress.days] == [1, 1]
    assert progress.days[0].day == "2023-11-14"
    assert [(r.rater, r.votes, r.first) for r in progress.raters] == [
        (ann, 1, 1.7e9 + 1000),
        (bob, 1, clock.wall()),
    ]
    clock.now += 61
    assert people.progress()[2:4] == (4, 0), "a lease that ran out is open"


def test_the_config_of_a_seat_is_that_of_human(people, ann):
    posted(people, 1)
    assert answered(people, ann).by.config == human_config(people.id, 0)


def test_events_are_told_behind_one(people, ann):
    posted(people, 3)
    for _ in range(3):
        answered(people, ann)
    every = list(people.events())
    assert [event.seq for event in every] == sorted({event.seq for event in every})
    assert list(people.events(every[0].seq)) == every[1:]


def test_questions_and_prompts_of_any_text(people):
    prompt = Prompt.of("half a pair \ud83d, a null \x00, ‮ and 你好")
    question = Question(asks="revise", prompt=prompt.id, responses=())
    people.post([question], [prompt])
    assert people.read(prompt.id) == prompt
