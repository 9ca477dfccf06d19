"""The Store port, kept by every store alike."""

import os
import random

import pytest

from accord.records import (
    Cost,
    Decision,
    Entry,
    Episode,
    ModelRef,
    NotMeasured,
    Prompt,
    Question,
    Reading,
    Response,
    StepEvent,
)
from accord.stores import MemoryStore, SqlStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        url = os.environ.get("ACCORD_TEST_POSTGRES", "")
        if not url:
            pytest.skip("ACCORD_TEST_POSTGRES names no empty database")
    with SqlStore(url) as opened:
        if request.param == "postgresql":
            with opened._writer.begin() as connection:
                connection.exec_driver_sql("TRUNCATE record, parent, receipt RESTART IDENTITY")
        yield opened


def reading(**fields):
    return Reading(run="r", name="kl", step=1, instrument="i", value=0.1, low=0, high=1, n=1, **fields)


def event(step, run="r", **fields):
    return StepEvent(run=run, name="update", step=step, **fields)


def test_every_kind_comes_back_as_it_was_put(store):
    prompt = Prompt.of(
        "Grüße, 世界 \U0001f600 \x00 \u2028", slice="a", number=1e20, nested={"x": [1, None, 2.5]}
    )
    answer = Response(prompt=prompt.id, text="", tokens=(1, 2), logp=(-0.5, -1e-9), parents=(prompt.id,))
    records = [
        prompt,
        answer,
        Episode.single(answer),
        Question(asks="grade", prompt=prompt.id, responses=(answer.id,), asked_for="r"),
        event(1, scalars={"a": float("inf"), "b": -0.0, "c": 1e-7}),
        Reading(
            run="r",
            name="kl",
            step=1,
            instrument="i",
            value=0.1,
            low=0,
            high=1,
            n=1,
            items=("a",),
            outcomes=(1,),
        ),
        NotMeasured(run="r", name="kl", step=1, reason="unreachable"),
        Decision(run="r", step=1, action="halt", rule="kl", parents=(answer.id,)),
        ModelRef(name="r/s@1", path="/somewhere", files={"a": "b"}),
        Entry(run="r", stage="s", step=1, purpose="explore", model="m"),
    ]
    store.put(*records)
    for record in records:
        found = store.get(record.id)
        assert found == record
        assert type(found) is type(record)
        assert found.id == record.id


def test_a_number_that_is_none_survives(store):
    lost = event(1, scalars={"loss": float("nan")})
    store.put(lost)
    assert str(store.get(lost.id).scalars["loss"]) == "nan"


def test_an_unknown_id_is_a_key_error(store):
    for look in (store.get, store.lineage):
        with pytest.raises(KeyError):
            look("0" * 64)


def test_the_first_record_under_an_id_stays(store):
    first = reading(cost=Cost(calls=1))
    again = first.model_copy(update={"cost": Cost(calls=9)})
    assert again.id == first.id
    store.put(first)
    store.put(again, again)
    assert store.get(first.id).cost == Cost(calls=1)
    assert store.find("reading") == [first]


def test_find_keeps_the_order_in_which_records_came(store):
    events = [event(step) for step in (5, 1, 3)]
    store.put(events[0], events[1])
    store.put(events[2], events[0])
    assert store.find("event") == events
    assert store.find("reading") == []


def test_find_filters_by_run_and_parent_together(store):
    prompt = Prompt.of("p")
    mine = event(1, run="mine", parents=(prompt.id, prompt.id))
    yours = event(1, run="yours", parents=(prompt.id,))
    orphan = event(2, run="mine")
    store.put(yours, prompt, mine, orphan)
    assert store.find("event", run="mine") == [mine, orphan]
    assert store.find("event", parent=prompt.id) == [yours, mine]
    assert store.find("event", parent=prompt.id, run="mine") == [mine]
    assert store.find("event", run="nobody") == []
    assert store.find("event", parent=mine.id) == []
    assert store.find("prompt", parent=prompt.id) == []
    assert store.find("prompt", run="mine") == [], "a record without a run belongs to none"
    assert store.find("prompt") == [prompt]


def test_a_misspelt_kind_is_not_an_empty_answer(store):
    with pytest.raises(ValueError, match="unknown record kind 'events'"):
        store.find("events")


def test_lineage_is_nearest_first_and_each_once(store):
    root = Prompt.of("root")
    left = event(1, parents=(root.id,))
    right = event(2, parents=("f" * 64, root.id))
    far = event(3, parents=(left.id,))
    leaf = event(4, parents=(right.id, far.id, left.id))
    store.put(leaf, far, right, left, root)
    assert store.lineage(leaf.id) == [leaf, right, far, left, root]
    assert store.lineage(root.id) == [root]


def test_lineage_of_very_many_parents(store):
    parents = [event(step) for step in range(1200)]
    child = event(5000, parents=tuple(parent.id for parent in parents))
    store.put(*parents, child)
    assert store.lineage(child.id) == [child, *parents]


@pytest.mark.parametrize("seed", range(5))
def test_all_stores_answer_alike(store, seed):
    """Puts and looks at random, beside the plainest store there is."""
    draw = random.Random(seed)
    plain: dict[str, StepEvent] = {}
    for _ in range(60):
        parents = tuple(draw.sample(sorted(plain), min(len(plain), draw.randrange(4))))
        new = [
            event(draw.randrange(50), run=draw.choice("ab"), parents=parents, text=str(i)) for i in range(2)
        ]
        store.put(*new)
        for record in new:
            plain.setdefault(record.id, record)
        run, parent = draw.choice(["a", "b", None]), draw.choice([None, *parents])
        expected = [
            r for r in plain.values() if run in (None, r.run) and (parent is None or parent in r.parents)
        ]
        assert store.find("event", run=run, parent=parent) == expected
    for start in draw.sample(sorted(plain), 5):
        line, generation = [plain[start]], [plain[start]]
        while generation:
            known = [record.id for record in line]
            names = dict.fromkeys(p for r in generation for p in r.parents)
            generation = [plain[p] for p in names if p not in known]
            line += generation
        assert store.lineage(start) == line
