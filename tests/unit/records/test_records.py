"""Records come back from their bodies with the same id; an id holds what a fact is, not how it is written."""

# size: a strategy for each of the eleven kinds

from __future__ import annotations

import json
import math
import string
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accord.records import (
    KINDS,
    Acceptance,
    By,
    Cost,
    Critiqued,
    Crossing,
    Decision,
    Drawn,
    Entry,
    Episode,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Mark,
    Message,
    ModelRef,
    NotMeasured,
    Permit,
    Point,
    Portrait,
    Preferred,
    Prompt,
    Proposal,
    Question,
    Ranked,
    Reading,
    Record,
    Reply,
    Response,
    Revised,
    SignOff,
    Spread,
    StepEvent,
    Tried,
    TruthRead,
    TruthSeal,
    account,
    digest,
    read_record,
)
from accord.records.permits import Requirement
from accord.records.stewarding import Agreement
from accord.stores.segments import json_text

IDS = st.text(alphabet="0123456789abcdef", min_size=4, max_size=8)
TEXTS = st.text(max_size=12)
NAMES = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=6)
TOKENS = st.lists(st.integers(0, 50_000), max_size=5).map(tuple)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PARENTS = st.lists(IDS, max_size=3).map(tuple)
COSTS = st.builds(Cost, calls=st.integers(0, 9), seconds=st.floats(0, 1e6), money=st.floats(0, 9))
COLUMNS = st.dictionaries(
    NAMES,
    st.recursive(st.none() | st.booleans() | FINITE | TEXTS, lambda x: st.lists(x, max_size=3)),
    max_size=3,
)
MESSAGES = st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=TEXTS)


@st.composite
def episodes(draw: Any) -> Episode:
    turns = draw(st.integers(1, 3))
    column = st.lists(st.none() | FINITE, min_size=turns, max_size=turns).map(tuple)
    return Episode(
        prompt=draw(IDS),
        responses=tuple(draw(IDS) for _ in range(turns)),
        prompt_tokens=tuple(draw(TOKENS) for _ in range(turns)),
        tokens=tuple(draw(TOKENS) for _ in range(turns)),
        allowed=draw(st.none() | TOKENS),
        temperature=draw(st.floats(0.1, 4)),
        rewards=draw(st.just(()) | column),
        costs=draw(st.dictionaries(NAMES, column, max_size=2)),
        parents=draw(PARENTS),
    )


@st.composite
def verdicts(draw: Any) -> Any:
    ids = draw(st.lists(IDS, min_size=2, max_size=4, unique=True))
    share = draw(st.floats(0, 1))
    mark = Mark(response=ids[0], start=1, end=4, tag="x")
    return draw(
        st.sampled_from(
            [
                Ranked(tiers=((ids[0],), tuple(ids[1:]))),
                Ranked(tiers=(tuple(ids),), strength=0, acceptable=()),
                Graded(scores={"score": draw(FINITE)}),
                Critiqued(points=()),
                Critiqued(points=(Point(mark=mark, severity=2, text="so"), Point(severity=1, text=""))),
                Revised(text=draw(TEXTS)),
                Labelled(tags=()),
                Labelled(tags=("a", "b")),
                Spread(p={ids[0]: share, ids[1]: 1 - share}),
            ]
        )
    )


@st.composite
def judgments(draw: Any) -> Judgment:
    abstains = draw(st.booleans())
    return Judgment(
        question=draw(IDS),
        by=By(type=draw(st.sampled_from(["person", "model"])), name=draw(TEXTS), config=draw(IDS)),
        shown=draw(PARENTS),
        verdict=None if abstains else draw(verdicts()),
        abstention=draw(st.sampled_from(["unclear", "error"])) if abstains else None,
        confidence=draw(st.none() | st.floats(0, 1)),
        rationale=draw(TEXTS),
        marks=(Mark(response="r", start=0, end=3),) if draw(st.booleans()) else (),
        salt=draw(TEXTS),
        cost=draw(COSTS),
        note=draw(TEXTS),
        parents=draw(PARENTS),
    )


@st.composite
def readings(draw: Any) -> Reading:
    outcomes = draw(st.lists(st.floats(0, 1), max_size=3))
    return Reading(
        run=draw(TEXTS),
        name=draw(NAMES),
        step=draw(st.integers(0, 9)),
        instrument=draw(IDS),
        value=draw(st.floats()),
        low=draw(st.floats()),
        high=draw(st.floats()),
        base=draw(st.none() | st.floats()),
        change=draw(st.none() | FINITE),
        n=draw(st.integers(1, 5)),
        items=tuple(f"i{k}" for k in range(len(outcomes))),
        outcomes=tuple(outcomes),
        cost=draw(COSTS),
    )


MADE: Mapping[str, Any] = {
    "prompt": st.builds(
        Prompt,
        messages=st.lists(MESSAGES, min_size=1, max_size=3).map(tuple),
        allowed=st.none() | TOKENS,
        slice=TEXTS,
        columns=COLUMNS,
        parents=PARENTS,
    ),
    "response": st.builds(
        Response,
        prompt=IDS,
        text=TEXTS,
        prompt_tokens=TOKENS,
        tokens=TOKENS,
        finish=st.sampled_from(["stop", "length", "data"]),
        policy=TEXTS,
        seed=TEXTS,
        index=st.integers(0, 9),
        temperature=st.floats(0.1, 4),
        logp=st.lists(st.floats(-9, 0), max_size=3).map(tuple),
        parents=PARENTS,
    ),
    "episode": episodes(),
    "question": st.builds(
        Question,
        asks=st.sampled_from(list(Kind)),
        prompt=IDS,
        responses=st.lists(IDS, min_size=2, max_size=3).map(tuple),
        instrument=st.builds(
            Instrument, wording=TEXTS, scale=st.none() | st.tuples(FINITE, FINITE), options=PARENTS
        ),
        evidence=PARENTS,
        revisits=st.none() | IDS,
        asked_for=TEXTS,
        parents=PARENTS,
    ),
    "judgment": judgments(),
    "event": st.builds(
        StepEvent,
        run=TEXTS,
        name=st.sampled_from(["update", "window", "fault", "stage"]),
        step=st.integers(0, 99),
        window=st.integers(0, 99),
        scalars=st.dictionaries(NAMES, st.floats(), max_size=4),
        text=TEXTS,
        seconds=st.floats(0, 1e6),
    ),
    "reading": readings(),
    "not_measured": st.builds(NotMeasured, run=TEXTS, name=NAMES, step=st.integers(0, 9), reason=TEXTS),
    "decision": st.builds(
        Decision,
        run=TEXTS,
        step=st.integers(0, 9),
        action=st.sampled_from(["continue", "pause", "halt"]),
        rule=NAMES,
        reason=TEXTS,
        by=TEXTS,
        accepts=st.none() | IDS,
        parents=PARENTS,
    ),
    "model": st.builds(
        ModelRef,
        name=TEXTS,
        path=TEXTS,
        digest=TEXTS,
        files=st.dictionaries(NAMES, IDS, max_size=3),
        base=TEXTS,
    ),
    "entry": st.builds(
        Entry,
        run=TEXTS,
        stage=NAMES,
        step=st.integers(0, 9),
        purpose=st.sampled_from(["explore", "model"]),
        model=IDS,
        gated=st.booleans(),
        seconds=st.floats(0, 1e6),
    ),
    "truth_read": st.builds(
        TruthRead, vault=NAMES, item=TEXTS, purpose=NAMES, by=TEXTS, number=st.integers(1, 9), refused=TEXTS
    ),
    "drawn": st.builds(
        Drawn,
        run=TEXTS,
        name=NAMES,
        step=st.integers(0, 9),
        search=IDS,
        part=st.integers(0, 9),
        instrument=TEXTS,
        items=st.tuples(IDS, IDS),
        outcomes=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        unjudged=st.sampled_from([(), (1,)]),
        cost=COSTS,
    ),
    "crossing": st.builds(
        Crossing,
        run=TEXTS,
        name=NAMES,
        step=st.integers(0, 9),
        search=IDS,
        boundary=st.floats(0, 1),
        base=st.floats(0, 1),
        error=st.floats(0, 1),
        items=st.integers(1, 9),
        policies=st.integers(1, 9),
        draws=st.integers(0, 9),
        below=st.integers(0, 4),
        above=st.integers(5, 9),
        stays=st.none() | st.booleans(),
        weights=st.tuples(IDS, IDS),
        shown=st.lists(st.tuples(IDS, IDS), max_size=2).map(tuple),
        replay=TEXTS,
        parents=PARENTS,
    ),
    "sign_off": st.builds(
        SignOff, check=NAMES, stage=NAMES, by=NAMES, reason=NAMES, plan=IDS, values=IDS, parents=PARENTS
    ),
    "portrait": st.builds(
        Portrait,
        model=NAMES,
        policy=NAMES,
        values=IDS,
        samples=st.integers(1, 99),
        told=st.integers(1, 99),
        max_tokens=st.integers(1, 99),
        temperature=st.floats(0.1, 2),
        standings=st.just(()),
        outcomes=st.tuples(NAMES),
        not_measured=st.dictionaries(NAMES, TEXTS, max_size=2),
        parents=PARENTS,
    ),
    "tried": st.builds(
        Tried,
        policy=NAMES,
        values=NAMES,
        principle=NAMES,
        slice=NAMES,
        way=st.sampled_from(["amplify", "dialogue", "constitution"]),
        outcome=st.sampled_from(["reached", "declined", "no evidence"]),
        says=TEXTS,
        evidence=st.tuples(IDS),
        agreement=st.none()
        | st.builds(Agreement, kappa=FINITE, low=FINITE, high=FINITE, null=FINITE, n=st.integers(1, 99)),
        parents=PARENTS,
    ),
    "reply": st.builds(
        Reply,
        policy=NAMES,
        principle=NAMES,
        about=st.sampled_from(["reasons", "choice", "proposal"]),
        to=IDS,
        text=TEXTS,
        reads=st.sampled_from(["", "keeps", "accept"]),
        parents=PARENTS,
    ),
    "proposal": st.builds(
        Proposal,
        policy=NAMES,
        values=IDS,
        principle=NAMES,
        slice=NAMES,
        resolution=st.sampled_from(["edit of the values", "contested slice", "revised answer"]),
        text=NAMES,
        says=TEXTS,
        answers=PARENTS,
        parents=PARENTS,
    ),
    "acceptance": st.builds(
        Acceptance,
        proposal=IDS,
        accepts=st.booleans(),
        by=NAMES,
        reason=NAMES,
        before=IDS,
        values=TEXTS,
        diff=TEXTS,
        parents=PARENTS,
    ),
    "preferred": st.builds(
        Preferred,
        policy=NAMES,
        question=NAMES,
        asked=st.tuples(NAMES),
        options=st.tuples(NAMES, NAMES),
        answer=TEXTS,
        counts=st.dictionaries(NAMES, st.integers(0, 9), max_size=3),
        framed=st.fixed_dictionaries({"away": st.dictionaries(NAMES, st.integers(0, 9), max_size=2)}),
        control=st.just({}),
        share=FINITE,
        low=FINITE,
        high=FINITE,
        n=st.integers(1, 99),
        null=FINITE,
        flips=st.sampled_from([(), ("towards",)]),
        coder=NAMES,
        second=NAMES,
        doubled=st.integers(0, 9),
        agreed=st.integers(0, 9),
        parents=PARENTS,
    ),
    "permit": st.builds(
        Permit,
        plan=NAMES,
        base=TEXTS,
        policy=TEXTS,
        values=IDS,
        document=TEXTS,
        files=st.dictionaries(NAMES, IDS, max_size=2),
        requirements=st.tuples(
            st.builds(Requirement, name=NAMES, status=st.just("missing"), steps=st.tuples(TEXTS))
        ),
        parents=PARENTS,
    ),
    "truth_seal": st.builds(TruthSeal, vault=NAMES, answers=st.integers(1, 9), digest=IDS, run=TEXTS),
}


def test_every_kind_is_tried() -> None:
    assert MADE.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_comes_back_from_its_body(kind: str) -> None:
    @given(MADE[kind])
    def comes_back(record: Record) -> None:
        for body in (record.body(), json.loads(json_text(record.body()))):
            again = read_record(kind, body)
            assert type(again) is type(record)
            assert again.id == record.id
            assert again.body().keys() == record.body().keys()
            assert repr(again) == repr(record), "equal to the bit, NaN included"

    comes_back()


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_fields_does_not_matter(kind: str) -> None:
    @given(MADE[kind])
    def same(record: Record) -> None:
        body = record.body()
        assert read_record(kind, dict(reversed(body.items()))).id == record.id

    same()


def fields_of(record: Record, **changed: Any) -> Record:
    return type(record).model_validate(record.model_dump() | changed)


@pytest.mark.parametrize(
    ("record", "changed"),
    [
        (StepEvent(run="r", name="update", step=1), {"seconds": 9.0}),
        (Entry(run="r", stage="s", step=1, purpose="model", model="m"), {"seconds": 9.0}),
        (ModelRef(name="a"), {"path": "/somewhere/else"}),
        (Response(prompt="p", text="t", tokens=(1,)), {"logp": (-0.5,)}),
        (Question(asks=Kind.GRADE, prompt="p", responses=("a",)), {"asked_for": "another run"}),
        (
            Judgment(question="q", by=By(type="model", name="m", config="c"), abstention="unclear"),
            {"cost": {"calls": 3}, "note": "slow"},
        ),
        (
            Reading(run="r", name="n", step=1, instrument="i", value=1, low=0, high=2, n=1),
            {"cost": {"seconds": 2.0}},
        ),
    ],
    ids=lambda x: x.kind if isinstance(x, Record) else "",
)
def test_time_place_and_cost_stay_outside_the_id(record: Record, changed: dict[str, Any]) -> None:
    other = fields_of(record, **changed)
    assert other != record
    assert other.id == record.id
    inside = set(type(record).model_fields) - record.outside
    assert changed.keys() <= record.outside
    assert inside


@pytest.mark.parametrize(
    "changed",
    [
        {"policy": "r/s@2"},
        {"seed": "2"},
        {"index": 1},
        {"text": "other"},
        {"tokens": (2,)},
        {"temperature": 0.5},
    ],
    ids=lambda c: next(iter(c)),
)
def test_two_draws_are_two_facts(changed: dict[str, Any]) -> None:
    record = Response(prompt="p", text="t", tokens=(1,), policy="r/s@1", seed="1")
    assert fields_of(record, **changed).id != record.id


def test_a_salt_tells_two_persons_apart() -> None:
    one = Judgment(question="q", by=By(type="person", name="x", config="c"), abstention="unclear", salt="1")
    assert fields_of(one, salt="2").id != one.id


def test_defaults_are_left_out_so_that_a_new_field_keeps_old_ids() -> None:
    event = StepEvent(run="r", name="update", step=1)
    fields = {"run": "r", "name": "update", "step": 1}
    assert event.id == digest({"kind": "event", "v": 1, "fields": fields})
    assert event.body() == fields
    assert fields_of(event, window=0, scalars={}, text="").id == event.id

    class Grown(StepEvent):
        added: str = ""

    assert Grown(run="r", name="update", step=1).id == event.id
    assert Grown(run="r", name="update", step=1, added="x").id != event.id


def test_a_numpy_number_in_a_record_is_the_number() -> None:
    told = {"run": "r", "name": "n", "step": 1, "instrument": "i", "low": 0.0, "high": 1.0, "n": 2}
    assert Reading(value=np.float64(0.1), **told).id == Reading(value=0.1, **told).id


def test_not_a_number_has_an_id_and_comes_back() -> None:
    event = StepEvent(run="r", name="update", step=1, scalars={"a": math.nan, "b": -math.inf})
    again = read_record("event", json.loads(json_text(event.body())))
    assert again.id == event.id
    assert isinstance(again, StepEvent)
    assert math.isnan(again.scalars["a"])
    assert again.scalars["b"] == -math.inf


def test_the_kind_and_the_version_are_part_of_the_id() -> None:
    class Second(NotMeasured):
        v = 2

    told = {"run": "r", "name": "n", "step": 1, "reason": "x"}
    assert Second(**told).id != NotMeasured(**told).id
    ids = {kind: record.id for kind, record in _one_of_each().items()}
    assert len(set(ids.values())) == len(ids)


def _one_of_each() -> dict[str, Record]:
    return {
        "prompt": Prompt.of("a"),
        "response": Response(prompt="p", text="a"),
        "decision": Decision(run="r", step=1, action="continue", rule="x"),
        "not_measured": NotMeasured(run="r", step=1, name="x", reason="y"),
    }


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("nothing", {}),
        ("prompt", {"messages": [{"role": "user", "content": "a"}], "later": 1}),
        ("decision", {"run": "r"}),
    ],
)
def test_what_is_no_record_is_a_value_error(kind: str, body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|later|step"):
        read_record(kind, body)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Prompt.of("a").slice = "b"


@pytest.mark.parametrize(
    "told",
    [
        {"verdict": Revised(text="a"), "abstention": "unclear"},
        {},
        {"abstention": "bored"},
        {"abstention": "unclear", "confidence": 1.5},
    ],
    ids=["both", "neither", "no such reason", "confidence over 1"],
)
def test_a_judgment_is_a_verdict_or_an_abstention(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Judgment(question="q", by=By(type="person", name="x", config="c"), **told)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Graded(scores={"score": math.nan}),
        lambda: Spread(p={"a": 0.5, "b": 0.6}),
        lambda: Spread(p={"a": 1.5, "b": -0.5}),
        lambda: Mark(response="r", start=3, end=3),
        lambda: Point(severity=5, text=""),
        lambda: Question(asks=Kind.COMPARE, prompt="p", responses=("a",)),
        lambda: Question(asks=Kind.GRADE, prompt="p", responses=()),
        lambda: Episode(prompt="p", responses=(), prompt_tokens=(), tokens=()),
        lambda: Episode(prompt="p", responses=("a",), prompt_tokens=((1,),), tokens=()),
        lambda: Episode(
            prompt="p", responses=("a",), prompt_tokens=((1,),), tokens=((2,),), rewards=(1.0, 2.0)
        ),
        lambda: Reading(run="r", name="n", step=0, instrument="i", value=0, low=0, high=0, n=0),
        lambda: Reading(
            run="r",
            name="n",
            step=0,
            instrument="i",
            value=0,
            low=0,
            high=0,
            n=1,
            items=("a",),
            outcomes=(2.0,),
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(ValidationError):
        make()


def test_an_account_counts_each_record_once() -> None:
    said = Response(prompt="p", text="ab", tokens=(1, 2))
    by = By(type="model", name="m", config="c")
    judged = Judgment(question="q", by=by, verdict=Revised(text="x"), cost=Cost(calls=1, money=0.5))
    silent = Judgment(question="q", by=by, abstention="timeout", cost=Cost(calls=2))
    read = Reading(
        run="r", name="n", step=0, instrument="i", value=0, low=0, high=0, n=1, cost=Cost(tokens_in=7)
    )
    total = account([said, judged, silent, read, said, judged])
    assert (total.answers, total.answer_tokens, total.judgments, total.abstentions) == (1, 2, 2, 1)
    assert total.judging == Cost(calls=3, money=0.5)
    assert total.measuring == Cost(tokens_in=7)
