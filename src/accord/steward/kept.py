"""Kept: what a stewardship hands to the archive: its result, its Records, and each dialogue to be signed.

A dialogue is read from its own folder, where all of it lies: what it came to, what persons have answered up
to now, and its transcript, which is what was asked of the model and what it said, in order.

1. No verdict is in a transcript, whoever gave it: what people judged stays where they said it. That an answer
   was shown to the model as one that breaks the principle is part of what was asked.
2. What has no end yet is not signed, and neither is a κ that stands in no Record; both are told.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from accord.errors import Refused, Unreadable
from accord.keep.evidence import Talked, dialogue_said
from accord.keep.keeping import Told
from accord.keep.predicates import Dialogue
from accord.records import (
    JSON,
    Acceptance,
    Prompt,
    Proposal,
    Record,
    Reply,
    Response,
    Tried,
    canonical,
    finite,
)
from accord.steward.ledger import Ledger
from accord.steward.path import Walk
from accord.steward.resolutions import closed
from accord.steward.steps import talks_of

__all__ = ["Handed", "stewarded"]


class Handed(NamedTuple):
    """The model, the file of its values, and what is known of it beside its run: Records, one statement for
    each dialogue, and their transcripts."""

    model: Path
    values: str
    records: tuple[Record, ...]
    said: tuple[Dialogue, ...]
    transcripts: tuple[bytes, ...]
    notes: tuple[str, ...]

    def beside(self, told: Told) -> Told:
        """What its last run tells, and this."""
        return told._replace(
            records=tuple({one.id: one for one in (*told.records, *self.records)}.values()),
            said=(*told.said, *self.said),
            transcripts=(*told.transcripts, *self.transcripts),
            notes=(*told.notes, *self.notes),
        )


def stewarded(folder: Path) -> Handed:
    """What a stewardship came to, with what persons have answered to its dialogues up to now.

    Refused where nothing was trained: the result is then the base.
    """
    walk = Walk.resumed(folder)
    base = str(walk.chronicle.asked["model"])
    if walk.model == base:
        raise Refused(f"{folder}: nothing was trained, so its result is the base\n  accord keep {base}")
    records: dict[str, Record] = {one.id: one for one in walk.chronicle.records()}
    said: list[Dialogue] = []
    transcripts: list[bytes] = []
    notes: list[str] = []
    for about, kept in talks_of(folder):
        for kind in (Tried, Proposal, Reply, Acceptance):
            records |= {one.id: one for one in kept.of(kind)}
        found = _talked(kept)
        if isinstance(found, str):
            notes.append(f"the dialogue about {about} is not signed: {found}")
            continue
        talk, transcript = found
        said.append(dialogue_said(talk, "known"))
        transcripts.append(transcript)
    return Handed(
        Path(walk.model),
        str(walk.values.file),
        tuple(records.values()),
        tuple(said),
        tuple(transcripts),
        tuple(notes),
    )


def _talked(kept: Ledger) -> tuple[Talked, bytes] | str:
    """A dialogue and its transcript; or why there is nothing to sign of it yet."""
    proposals, answers = kept.of(Proposal), kept.of(Acceptance)
    closing = closed(answers, {one.id: one for one in proposals})
    ends = kept.of(Tried)
    if not ends:
        return "it has not come to its end"
    if closing is not None:
        # What a person answered was offered on evidence; held again since, it may have come to none.
        ends = [one for one in ends if one.agreement is not None and one.outcome != "no evidence"]
    if not ends or (ends[-1].agreement is None and ends[-1].outcome != "no evidence"):
        return "its κ stands in no Record"
    transcript = _transcript(kept, ends[-1])
    told = (kept.of(Reply), answers, None if closing is None else closing[1])
    return Talked(ends[-1], proposals, *told, sha256(transcript).hexdigest()), transcript


def _transcript(kept: Ledger, tried: Tried) -> bytes:
    """All that was asked and said, how it was drawn, and every token; its SHA-256 is what is signed."""
    asked = {one.id: one for one in kept.of(Prompt)}
    turns: list[JSON] = []
    for said in (one for one in kept.of(Response) if one.policy == tried.policy):
        if said.prompt not in asked:
            expected = "every prompt that was answered"
            raise Unreadable(kept.journal.folder, expected, f"{said.prompt[:12]} is not in it")
        messages: list[JSON] = [
            {"role": one.role, "content": one.content} for one in asked[said.prompt].messages
        ]
        turns.append({"asked": messages, "said": said.text, "response": {"id": said.id, **said.body()}})
    tree: dict[str, JSON] = {
        "form": "accord dialogue 1",
        "policy": tried.policy,
        "values": tried.values,
        "principle": tried.principle,
        "slice": tried.slice,
        "turns": turns,
    }
    return canonical(finite(tree)).encode("utf-8", "surrogatepass")
