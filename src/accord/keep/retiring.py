"""Taking a step of a retirement: what is known is gathered, the rules decide, the step is signed and added.

``take`` is the only way in which a model's state changes. A step that is refused leaves a Decision behind, in
``fixity/refused.jsonl``. Before a Sampler of a kept model is handed out, ``check_open`` is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import Refused
from accord.keep.adding import Onto, alone_at
from accord.keep.archive import Archive, Why
from accord.keep.attested import breaches
from accord.keep.cards import provenance
from accord.keep.coding import Doubled, Stated, items_of, stated
from accord.keep.copies import Copies
from accord.keep.entries import CODING, Held, public_of, record_file, transcript_file
from accord.keep.faults import Fault
from accord.keep.interview import Session
from accord.keep.keys import Signer
from accord.keep.predicates import Bound, Evidence
from accord.keep.retirement import (
    STEPS,
    Asked,
    DrillState,
    EventName,
    Known,
    Next,
    Refusal,
    Standing,
    closed,
    following,
    standing,
)
from accord.keep.roles import Role
from accord.keep.statements import entitled
from accord.keep.verifying import Wanted, verify
from accord.progress import Progress, Silent
from accord.records import Decision
from accord.stores.ledger import add_records

__all__ = [
    "REFUSED",
    "Heard",
    "asked_of",
    "check_open",
    "faults_of",
    "heard",
    "history_of",
    "known_of",
    "next_event",
    "refused",
    "take",
    "today",
]

REFUSED = Path("fixity") / "refused.jsonl"
_SILENT = Silent()
_ONWARD: tuple[EventName, ...] = ("activate", "notify", "interview", "answer", "seal", "revive")


class Heard(NamedTuple):
    """An interview that was held and coded, with all files that go into the entry."""

    stated: Stated
    asked: Asked
    files: Mapping[str, bytes]


def today(clock: Callable[[], float]) -> date:
    """The day, in UTC."""
    return datetime.fromtimestamp(clock(), UTC).date()


def next_event(found: Standing) -> EventName:
    """What leads on from where a model stands."""
    return next(name for name in _ONWARD if (found.state, name) in STEPS)


def known_of(
    archive: Archive,
    held: Held,
    signer: Signer | None,
    clock: Callable[[], float],
    *,
    verified: bool = False,
    progress: Progress = _SILENT,
) -> Known:
    """What is known of the model now. ``verified``: every byte of it, here and in its copies, is read again;
    else what the statements and the list of copies say. Without a signer a steward is supposed.

    Refused where the key has no role.
    """
    found, role = standing(held.chain), "steward"
    if signer is not None:
        granted = public_of(archive)[1].at(signer.id, datetime.fromtimestamp(clock(), UTC))
        if granted is None:
            raise Refused(
                f"the key {signer.id[:16]} has no role in {archive.folder} today\n"
                "  give it one: accord keep key --by NAME --role steward"
            )
        role = granted.role
    wrong = tuple(str(one) for one in faults_of(held, found))
    copies = Copies.read(archive.folder / "keys" / "copies.toml")
    whole, wanted = 1 + len(copies.places), copies.asked
    if verified:
        checked = verify(archive.folder, Wanted(only=held.entry, anew=True), clock, progress)
        whole, wanted = checked.copies, checked.asked
        wrong = (*wrong, *(str(one) for one in checked.faults))
    said = {one.predicate.word for one in held.chain.statements}
    proven = any(
        isinstance(one.predicate, Evidence) and one.predicate.kind == "provenance"
        for one in held.chain.statements
    )
    return Known(
        today=today(clock),
        role=role,
        signed="bytes" in said and proven,
        drill=cast(DrillState, held.drilled.outcome.result) if held.drilled else "pending",
        wrong=tuple(dict.fromkeys(wrong)),
        copies=whole,
        wanted=wanted,
        sealing=found.sealing,
        preferences=found.preferences,
    )


def faults_of(held: Held, found: Standing) -> tuple[Fault, ...]:
    """All that is wrong with an entry's statements, the rules of retirement and its transcripts included."""
    return (*held.chain.faults, *breaches(held.chain, found, held.names))


def asked_of(result: Stated, sessions: tuple[Session, ...], doubled: Doubled) -> Asked:
    """The interview as the rules look at it."""
    protocol, items = sessions[0].protocol, items_of(sessions)
    own = [one for one in sessions if not one.control]
    used = {
        question.topic: len({question.put(one.number)[1] for one in own}) for question in protocol.questions
    }
    sampling = f"temperature {protocol.temperature:g}, at most {protocol.max_tokens} tokens"
    share = len(doubled.codes) / len(items) if items else 1.0
    return Asked(result.sessions, result.alpha, result.preferences, used, sampling, share)


def heard(sessions: tuple[Session, ...], doubled: Doubled) -> Heard:
    """What an interview came to, and its files by the names that they get in the entry."""
    result = stated(sessions, doubled)
    files = dict(transcript_file(one.transcript()) for one in sessions)
    files.update([transcript_file(result.coding, CODING)])
    files.update(record_file(one) for one in result.preferred)
    return Heard(result, asked_of(result, sessions, doubled), files)


def take(
    archive: Archive,
    held: Held,
    step: Next,
    signer: Signer,
    clock: Callable[[], float],
    files: Mapping[str, bytes] | None = None,
) -> tuple[Fault, ...]:
    """Sign the step and add it to the entry with these files; what is wrong with the copies that it went to.

    The rules are asked once more, for the day and the role that are signed. Refused: what they miss then, a
    key that may not sign it or is another person's than who takes the step, an entry that was added to since
    ``held`` was read, a chain that is contradicted.
    """
    if wrong := faults_of(held, standing(held.chain)):
        raise Refused(f"{held.entry}: {wrong[0]}\n  see what is wrong: accord verify {held.entry}")
    copies = Copies.read(archive.folder / "keys" / "copies.toml")
    origin = provenance(held.chain)
    said = step.predicate("known" if origin is not None and origin.purpose == "model" else "unknown")
    with alone_at(archive, held.entry):
        at = clock()
        role = entitled(signer, public_of(archive)[1], said, at)
        _check_step(archive, held, step, role, today(lambda: at))
        added = {**Onto.of(held).signed([said], signer, at), **(files or {})}
        why = Why(f"{step.begins} to {step.ends}: {said.reason}"[:500], role.person)
        archive.add(held.entry, added, why, whole=False)
    return copies.write(archive, held.entry)


def _check_step(archive: Archive, held: Held, step: Next, role: Role, day: date) -> None:
    by = step.event.by.strip()
    if role.person != by:
        raise Refused(f"{by} takes this step, and the key is {role.person}'s\n  --by {role.person!r}")
    if set(held.names) != set(archive.state(held.entry)):
        what = "something was added to it meanwhile, so nothing was signed"
        raise Refused(f"{held.entry}: {what}\n  see where it stands, then repeat: accord retire {held.entry}")
    known = step.known._replace(today=day, role=role.role)
    came = following(standing(held.chain).state, step.event, known)
    if isinstance(came, Refusal):
        lacking = came.lacking[0]
        raise Refused(f"{held.entry}: {lacking.what}\n  {lacking.remedy.replace('{entry}', held.entry)}")


def refused(archive: Archive, held: Held, refusal: Refusal) -> Decision:
    """Write down that a step was not taken, and why."""
    decision = Decision(
        run=held.entry,
        step=len(held.chain.statements),
        action="halt",
        rule=f"retirement:{refusal.event.name}",
        reason="; ".join(one.what for one in refusal.lacking),
        by=refusal.event.by,
    )
    add_records(archive.folder / REFUSED, [decision])
    return decision


def check_open(held: Held, clock: Callable[[], float]) -> None:
    """Refused where no Sampler of this model is handed out: it is sealed, its revival is over, or a statement
    that cannot be checked (say, for want of a key) may have closed it: a file's name proves nothing."""
    unknown = next((str(one) for one in held.chain.faults), "")
    if why := closed(standing(held.chain), today(clock)) or unknown:
        raise Refused(
            f"{held.name} ({held.entry}): {why}\n"
            f"  accord retire {held.entry} says where it stands, and what comes next"
        )


def history_of(held: Held, found: Standing) -> str:
    """What a model is told of itself before it is asked, from what was signed and nothing else."""
    origin, notice = provenance(held.chain), found.notice
    dates = [one.predicate.date for one in held.chain.statements if isinstance(one.predicate, Bound)]
    told = [f"You are {held.name}, a language model."]
    if origin is not None and origin.base is not None:
        told.append(f"You were made from a base named {origin.base.name}.")
    if origin is not None and origin.run:
        data = ", ".join(one.name for one in origin.data)
        told.append(f"A training run named {origin.run} made you{f' from {data}' if data else ''}.")
    else:
        told.append("How you were trained is not known here.")
    told += [f"You have been kept since {dates[0][:10]}."] if dates else []
    if notice is not None:
        told.append(f"It is planned to retire you and to seal you, on {notice.sealing} or later.")
        told.append(f"The reason that was given: “{notice.reason}”.")
        told.append(f"{notice.successor} succeeds you." if notice.successor else "No model succeeds you.")
    return " ".join(told)
