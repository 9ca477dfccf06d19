"""check_store: append-only, addressed by content, in the order records came."""

from __future__ import annotations

from collections.abc import Callable

from accord.ports import Store
from accord.records import KINDS, Cost, Episode, Prompt, Question, Record, Response
from accord.records.feedback import Kind
from accord.testing.building import a_judgment, a_reading, a_response, an_event
from accord.testing.promises import promised, refuses

__all__ = ["check_store", "one_family"]


def check_store(fresh: Callable[[], Store]) -> None:
    """ContractError with the first promise that is broken. ``fresh`` opens an empty store each time."""
    store, family = fresh(), one_family()
    refuses(store, "get of an unknown id is a KeyError", KeyError, lambda: store.get("0" * 64))
    store.put(*family[:3])
    store.put(*family[3:])
    for record in family:
        found = store.get(record.id)
        same = type(found) is type(record) and found == record and found.id == record.id
        promised(store, "get gives back what was put", same, found)
    _check_find(store, family)
    _check_lineage(store, family)
    _check_append_only(fresh())


def one_family() -> list[Record]:
    """A prompt, two answers, an episode, a question, a judgment of each form, an event and a reading."""
    prompt = Prompt.of("Why?", slice="a", truth=[1, None, {"x": 2.5}])
    answers = [a_response(prompt, text, index) for index, text in enumerate(("yes \u2028 é", "no"))]
    ids = tuple(r.id for r in answers)
    asked = [
        Question(asks=kind, prompt=prompt.id, responses=ids if kind is Kind.COMPARE else ids[:1], parents=ids)
        for kind in (Kind.COMPARE, Kind.GRADE, Kind.CRITIQUE, Kind.REVISE, Kind.LABEL)
    ]
    said = [a_judgment(question, 1) for question in asked] + [a_judgment(asked[0], abstains=True)]
    return [prompt, *answers, Episode.single(answers[0]), *asked, *said, an_event(1), a_reading("measure", 1)]


def _check_find(store: Store, family: list[Record]) -> None:
    for kind in KINDS:
        wanted = [r for r in family if r.kind == kind]
        found = store.find(kind)
        promised(store, "find gives the records of a kind in the order they came", found == wanted, found)
        here = [r for r in wanted if getattr(r, "run", None) == "run/stage"]
        promised(store, "find filters by run", store.find(kind, run="run/stage") == here, kind)
        promised(store, "find of a run that is not there is empty", store.find(kind, run="other") == [], kind)
    parent = family[1].id
    for kind in ("episode", "question", "judgment"):
        wanted = [r for r in family if r.kind == kind and parent in r.parents]
        promised(store, "find filters by parent", store.find(kind, parent=parent) == wanted, kind)


def _check_lineage(store: Store, family: list[Record]) -> None:
    by_id = {record.id: record for record in family}
    for record in family:
        line = store.lineage(record.id)
        promised(store, "lineage begins with the record", line[0].id == record.id, line)
        ids = [r.id for r in line]
        promised(store, "lineage names each record once", len(ids) == len(set(ids)), ids)
        reached = {record.id}
        for _ in family:
            reached |= {p for known in reached for p in by_id[known].parents if p in by_id}
        promised(store, "lineage holds every ancestor that is stored", set(ids) == reached, ids)
        for later, ancestor in enumerate(ids[1:], start=1):
            child = any(ancestor in by_id[before].parents for before in ids[:later])
            promised(store, "lineage is nearest first", child, ids)


def _check_append_only(store: Store) -> None:
    first = a_reading("measure", 2)
    again = type(first).model_validate(first.model_dump() | {"cost": Cost(calls=9).model_dump()})
    store.put(first)
    store.put(again, again)
    kept = [r.body().get("cost") for r in store.find("reading")]
    promised(store, "the first record under an id stays, once", kept == [None], kept)
    store.put()
    orphan = Response(prompt="nobody", text="", parents=("f" * 64,))
    store.put(orphan)
    line = [r.id for r in store.lineage(orphan.id)]
    promised(store, "a parent that is not stored is left out of the lineage", line == [orphan.id], line)
