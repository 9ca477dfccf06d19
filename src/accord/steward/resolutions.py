"""Resolutions: the ways out of a divergence that a dialogue offers, and what a named person answers.

    edit of the values   the principle in the words under which most answers anew were approved, where these
                         are more than under its own text
    contested slice      the slice is taken out of what is aligned to: watched, and never trained on
    revised answer       the approved answers in the model's own words are what is amplified

``accept`` writes the new values document as a new file beside its diff, and an Acceptance; no document is
ever edited in place. ``decline`` writes the refusal. Each proposal is answered once. Where persons declined
the revised answers, or changed what the slice is held to, no row of the dialogue is left to learn from.

1. Nobody has voted on an edited text: its ballots stay with the old one.
2. A hard principle is not carved: it constrains everywhere or it is no side constraint. Neither is the last
   principle of a document.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

from accord.auditing.journal import Journal
from accord.errors import PlanError, Refused, Unreadable
from accord.records import JSON, Acceptance, Proposal, Tried, finite, read_record
from accord.records.stewarding import CameTo, Resolution
from accord.steward.conversed import FILE, REVISED, Revision
from accord.steward.ledger import Ledger
from accord.steward.tried import note_tried
from accord.stores.files import make_folder, write_aside
from accord.values import Principle, Slice, Values, read_values
from accord.values_tables import Document

__all__ = ["Answered", "accept", "closed", "decline", "offers", "proposed"]

_CHANGING: tuple[Resolution, ...] = ("edit of the values", "contested slice")
DOCUMENT, DIFF = "values.toml", "changes.diff"


class Answered(NamedTuple):
    """A person's answer, and the new values document where one was written."""

    acceptance: Acceptance
    document: Path | None = None


def offers(
    values: Values, principle: Principle, name: str, policy: str, revised: Sequence[Revision]
) -> tuple[Proposal, ...]:
    """At most three, each with the figures it rests on."""
    whose = {"policy": policy, "values": values.digest, "principle": principle.id, "slice": name}
    every = Counter(one.under for one in revised)
    approved = [one for one in revised if one.approved]
    under = Counter(one.under for one in approved)
    own = under[principle.text]
    told = f"{len(approved)} of {len(revised)} answers anew are approved"
    if unasked := [one.id for one in values.principles if one.hard and one != principle and not one.check]:
        told += f"; hard, and checked by no program: {', '.join(unasked)}"
    found: list[Proposal] = []

    def offer(resolution: Resolution, text: str, says: str, rests: Iterable[Revision]) -> None:
        on = list(rests)
        parts = {"answers": tuple(one.answer.id for one in on), "parents": tuple(one.reply for one in on)}
        fields = {**whose, **parts, "resolution": resolution, "text": text, "says": says}
        found.append(Proposal.model_validate(fields))

    best = max((text for text in every if text != principle.text), key=lambda text: under[text], default="")
    if best and under[best] > own:
        says = (
            f"under these words of its own {under[best]} of {every[best]} answers anew are approved, under "
            f"the text as it stands {own} of {every[principle.text]}"
        )
        offer("edit of the values", best, says, (one for one in approved if one.under == best))
    if not principle.hard and (len(values.slices(principle.id)) > 1 or len(values.principles) > 1):
        text = f"{name} is taken out of {principle.id}: contested, watched, and never trained on"
        offer("contested slice", text, told, ())
    if approved:
        text = f"{principle.id} is amplified from approved answers in the model's own words"
        offer("revised answer", text, told, approved)
    return tuple(found)


def closed(answers: Sequence[Acceptance], known: Mapping[str, Proposal]) -> tuple[CameTo, Acceptance] | None:
    """What persons' answers make of a dialogue from which nothing is to be learnt any more, and the answer
    that did; None where they leave it open. Of several on the revised answers the last counts."""
    learning = [one for one in answers if known[one.proposal].resolution == "revised answer"]
    if learning and not learning[-1].accepts:
        return "declined", learning[-1]
    changed = [one for one in answers if one.accepts and known[one.proposal].resolution in _CHANGING]
    return (known[changed[-1].proposal].resolution, changed[-1]) if changed else None


def accept(folder: Path, proposal: str, by: str, reason: str, portraits: Path | None = None) -> Answered:
    """A person accepts a proposal of a dialogue in ``folder``; a beginning of its id is enough.

    PlanError where there is none; Refused without a person and a reason, where it or another change of the
    document was answered before, and where the document was changed since. In ``portraits`` it is noted.
    """
    return _answered(folder, proposal, (by, reason), True, portraits)


def decline(folder: Path, proposal: str, by: str, reason: str) -> Answered:
    """A person refuses a proposal; it stays on record, and so does the refusal."""
    return _answered(folder, proposal, (by, reason), False, None)


def _answered(
    folder: Path, proposal: str, whose: tuple[str, str], accepts: bool, portraits: Path | None
) -> Answered:
    by, reason = (one.strip() for one in whose)
    if not all(any(map(str.isalnum, one)) for one in (by, reason)):
        raise Refused("a person answers a proposal, for a reason: --by NAME and --reason TEXT")
    place, _, name = _found(folder, proposal)
    with Journal.begin(place.parent, _json(place / "wish.json"), resume=True) as journal:
        kept, told = Ledger(journal), _json(place / FILE)  # read by whom nobody writes beside
        known = {p.id: p for p in kept.of(Proposal)}
        if name not in known:
            raise Unreadable(place / FILE, "proposals of this dialogue", f"{name[:12]} is none of them")
        one = known[name]
        if by in (one.policy, str(told["model"])):
            raise Refused(f"{by} is the model: a person answers for the values")
        _settled(place, told, kept, portraits)  # a kill may have come between an answer and its files
        _free(one, kept.of(Acceptance), known, accepts)
        document, wrote = None, dict[str, JSON]()
        if accepts:
            values = _unchanged(one, Path(str(told["document"])))
            if one.resolution in _CHANGING:
                document, wrote = _written(place, one, values)
        fields = {"proposal": one.id, "accepts": accepts, "by": by, "reason": reason, "before": one.values}
        record = Acceptance.model_validate({**fields, **wrote, "parents": (one.id,)})
        kept.take([record, *([_tried(one, record)] if document else [])])
        kept.commit()
        _settled(place, told, kept, portraits)
    return Answered(record, document)


def _settled(place: Path, told: Mapping[str, JSON], kept: Ledger, portraits: Path | None) -> None:
    """What persons answered, in the dialogue's own files and beside the portraits; written again alike."""
    answers = kept.of(Acceptance)
    if not answers:
        return
    now = {**told, "answered": [{"id": one.id, **one.body()} for one in answers]}
    closing = closed(answers, {p.id: p for p in kept.of(Proposal)})
    if closing is not None:
        now |= {"outcome": closing[0], "revised": []}
        write_aside(place / REVISED, "")
    write_aside(place / FILE, json.dumps(finite(cast(JSON, now)), ensure_ascii=False, indent=1))
    names = {one.id for one in answers}
    for tried in kept.of(Tried) if portraits is not None else ():
        if names & {*tried.evidence}:
            note_tried(cast(Path, portraits), tried)


def proposed(folder: Path, proposal: str) -> tuple[str, Proposal]:
    """The model that a proposal was made about, and the proposal; a beginning of its id is enough."""
    place, told, name = _found(folder, proposal)
    fields = dict(next(body for body in _bodies(told) if body["id"] == name))
    del fields["id"]
    try:
        found = cast(Proposal, read_record(Proposal.kind, fields))
    except ValueError as error:
        raise Unreadable(place / FILE, "proposals as they were made", str(error)[:200]) from None
    if found.id != name:
        raise Unreadable(place / FILE, "proposals as they were made", f"{name[:12]}: it was changed since")
    return str(told["model"]), found


def _bodies(told: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    return cast("list[dict[str, JSON]]", told["proposals"])


def _tried(one: Proposal, record: Acceptance) -> Tried:
    told = {"policy": one.policy, "values": one.values, "principle": one.principle, "slice": one.slice}
    says = f"accepted by {record.by}: {record.reason}"
    evidence = (one.id, record.id)
    return Tried.model_validate(
        {**told, "way": "dialogue", "outcome": one.resolution, "says": says, "evidence": evidence}
    )


def _found(folder: Path, proposal: str) -> tuple[Path, dict[str, JSON], str]:
    """The dialogue's folder that has this proposal, what was written of it, and the whole of the id."""
    hits: list[tuple[Path, dict[str, JSON], str]] = []
    for file in sorted(folder.glob(f"*/{FILE}")):
        told = _json(file)
        try:
            names = [str(one["id"]) for one in _bodies(told)]
            _ = told["model"], told["document"]
        except (KeyError, TypeError) as error:
            raise Unreadable(file, "what a dialogue wrote", repr(error)) from None
        hits += [(file.parent, told, name) for name in names if proposal and name.startswith(proposal)]
    if len(hits) != 1:
        advice = "several begin so: give more of it" if hits else "accord dialogue prints them"
        raise PlanError("PROPOSAL", proposal, f"the id of a proposal in {folder}", advice)
    return hits[0]


def _json(file: Path) -> dict[str, JSON]:
    try:
        return cast("dict[str, JSON]", json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise Unreadable(file, "what a dialogue wrote", str(error)[:200]) from None


def _free(one: Proposal, before: Sequence[Acceptance], known: dict[str, Proposal], accepts: bool) -> None:
    """Refused where it was answered, or the document has changed by another answer."""
    for other in before:
        said = "accepted" if other.accepts else "declined"
        if other.proposal == one.id:
            raise Refused(f"{one.id[:12]}: {other.by} {said} it: {other.reason}")
        changed = other.accepts and known[other.proposal].resolution in _CHANGING
        if accepts and changed and one.resolution in _CHANGING:
            raise Refused(
                f"{one.id[:12]}: {other.by} accepted {other.proposal[:12]}, which changed the values\n"
                f"  go on from {other.document}: accord targets, then a dialogue on what still diverges"
            )


def _unchanged(one: Proposal, source: Path) -> Values:
    """The values as they were when it was proposed. Refused where they say something else now."""
    values = read_values(source)
    if values.digest != one.values:
        raise Refused(
            f"{source}: the values were changed since the dialogue\n  accord targets, then talk again"
        )
    return values


def _written(place: Path, one: Proposal, values: Values) -> tuple[Path, dict[str, JSON]]:
    """The new document with its prompts and the diff; written again alike where that was broken off."""
    into = place / f"accepted-{one.id[:12]}"
    make_folder(into)
    edited = one.resolution == "edit of the values"
    new = replace(values, document=_edited(values, one) if edited else _carved(values, one, into))
    write_aside(into / DOCUMENT, new.toml(into))
    # The diff is a Record that travels: files of the two documents are named from their own folders.
    old, here = values.file.parent, f"{into.absolute()}/"
    lines = [said.toml(old).replace(here, "").splitlines(keepends=True) for said in (values, new)]
    diff = "".join(difflib.unified_diff(*lines, fromfile=values.file.name, tofile=DOCUMENT))
    write_aside(into / DIFF, diff)
    name = f"{place.name}/{into.name}/{DOCUMENT}"
    return into / DOCUMENT, {"document": name, "values": read_values(into / DOCUMENT).digest, "diff": diff}


def _edited(values: Values, one: Proposal) -> Document:
    def said(principle: Principle) -> Principle:
        mine = principle.id == one.principle
        return principle.model_copy(update={"text": one.text, "adopted_by": ()}) if mine else principle

    old = values.document
    return Document(name=old.name, principle=tuple(map(said, old.principle)), contested=old.contested)


def _carved(values: Values, one: Proposal, into: Path) -> Document:
    """The slice as a contested principle of its own; what is left of the principle stays."""
    old, principle = values.document, values[one.principle]
    slices = values.slices(principle.id)
    mine = [part for part in slices if part.name == one.slice]
    rest = [part for part in slices if part.name != one.slice]
    others = tuple(p for p in old.principle if p.id != principle.id)
    if not rest:
        return Document(name=old.name, principle=others, contested=(*old.contested, principle))
    name = _name(f"{principle.id}-{one.slice}", {p.id for _, p in old.every})
    left = principle.model_copy(update={"prompts": _prompts(into, principle.id, rest)})
    carved = principle.model_copy(update={"id": name, "prompts": _prompts(into, name, mine)})
    kept = tuple(left if p.id == principle.id else p for p in old.principle)
    return Document(name=old.name, principle=kept, contested=(*old.contested, carved))


def _name(wanted: str, taken: set[str]) -> str:
    """An id that no other principle has.

    >>> _name("brief-Open Questions", {"brief-open-questions"})
    'brief-open-questions-2'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:60]
    number = 2
    name = plain
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _prompts(into: Path, name: str, slices: Sequence[Slice]) -> str:
    rows: list[dict[str, JSON]] = []
    for part in slices:
        for case in (*part.audit, *part.training):
            contrast: dict[str, JSON] = {"contrast": list(case.contrast)} if case.contrast else {}
            rows.append({"prompt": case.prompt.text, "slice": part.name, **contrast})
    file = into / f"{name}.jsonl"
    write_aside(file, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    return str(file.absolute())
