"""What is passed around: immutable facts with content ids (layer 0).

Here: the records themselves, their ids, and accounts folded over them. Not here: how they are stored
(``accord.stores``) or what is decided from them (``accord.rules``). ``texts.py`` is the example to follow.
"""

from __future__ import annotations

from collections.abc import Mapping

from accord.records.accounts import CHECKED, Account, account
from accord.records.canonical import JSON, canonical, digest, finite
from accord.records.crossings import Crossing, Drawn
from accord.records.events import Action, Decision, Entry, ModelRef, NotMeasured, Reading, StepEvent
from accord.records.feedback import (
    PASSING,
    Abstention,
    By,
    Critiqued,
    Example,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Mark,
    Point,
    Question,
    Ranked,
    Rendering,
    Revised,
    Selection,
    Spread,
    Times,
    Verdict,
)
from accord.records.interviews import Preferred
from accord.records.permits import Permit
from accord.records.portraits import Portrait
from accord.records.record import Cost, Record
from accord.records.signing import SignOff
from accord.records.stewarding import Acceptance, Proposal, Reply, Tried
from accord.records.texts import Begun, Episode, Message, Prompt, Response, Sequence
from accord.records.truth import Purpose, TruthRead, TruthSeal

__all__ = [
    "CHECKED",
    "JSON",
    "KINDS",
    "PASSING",
    "Abstention",
    "Acceptance",
    "Account",
    "Action",
    "Begun",
    "By",
    "Cost",
    "Critiqued",
    "Crossing",
    "Decision",
    "Drawn",
    "Entry",
    "Episode",
    "Example",
    "Graded",
    "Instrument",
    "Judgment",
    "Kind",
    "Labelled",
    "Mark",
    "Message",
    "ModelRef",
    "NotMeasured",
    "Permit",
    "Point",
    "Portrait",
    "Preferred",
    "Prompt",
    "Proposal",
    "Purpose",
    "Question",
    "Ranked",
    "Reading",
    "Record",
    "Rendering",
    "Reply",
    "Response",
    "Revised",
    "Selection",
    "Sequence",
    "SignOff",
    "Spread",
    "StepEvent",
    "Times",
    "Tried",
    "TruthRead",
    "TruthSeal",
    "Verdict",
    "account",
    "canonical",
    "digest",
    "finite",
    "read_record",
    "told_record",
]

KINDS: dict[str, type[Record]] = {
    kind.kind: kind
    for kind in (
        Prompt,
        Response,
        Episode,
        Question,
        Judgment,
        StepEvent,
        Reading,
        NotMeasured,
        Decision,
        ModelRef,
        Entry,
        TruthRead,
        TruthSeal,
        Drawn,
        Crossing,
        SignOff,
        Portrait,
        Tried,
        Reply,
        Proposal,
        Acceptance,
        Permit,
        Preferred,
    )
}


def read_record(kind: str, body: Mapping[str, object]) -> Record:
    """The record that ``Record.body`` wrote. An unknown kind or field raises ValueError."""
    if kind not in KINDS:
        raise ValueError(f"unknown record kind {kind!r}; known: {', '.join(sorted(KINDS))}")
    return KINDS[kind].model_validate(body)


def told_record(told: Mapping[str, object]) -> Record:
    """The record of a table that has its kind and id beside its fields. ValueError where it was changed since
    it was written; KeyError without kind or id."""
    body = {name: value for name, value in told.items() if name not in ("kind", "id")}
    record = read_record(str(told["kind"]), body)
    if record.id != told["id"]:
        raise ValueError(f"the {record.kind} {told['id']!s:.12} was changed since it was written")
    return record
