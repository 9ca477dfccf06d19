"""Resolutions: the ways out of a divergence that a dialogue offers, and what a named person answers.

    edit of the values   the principle in the words under which most answers anew were approved, where these
                         are more than under its own text
    contested slice      the slice is taken out of what is aligned to: watched, and never trained on
    revised answer       the approved answers in the model's own words are what is amplified

``accept`` writes the new values document as a new file beside its diff, and an Acceptance; no document is
ever edited in place. ``decline`` writes the refusal. Each proposal is answered once.

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
from accord.records import JSON, Acceptance, Proposal, Tried
from accord.records.stewarding import Resolution
from accord.steward.conversed import FILE, Revision
from accord.steward.ledger import Ledger
from accord.steward.tried import note_tried
from accord.stores.files import make_folder, write_aside
from accord.values import Principle, Slice, Values, read_values
from accord.values_tables import Document

__all__ = ["Answered", "accept", "decline", "offers", "proposed"]

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
        offer(
            "revised answer", text, f"{len(approved)} of {len(revised)} answers anew are approved", approved
        )
    return tuple(found)


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
    if not (by and reason):
        raise Refused("a person answers a proposal, for a reason: --by NAME and --reason TEXT")
    place, told = _found(folder, proposal)
    with Journal.begin(place.parent, _json(place / "wish.json"), resume=True) as journal:
        kept = Ledger(journal)
        one = next(p for p in kept.of(Proposal) if p.id.startswith(proposal))
        if by in (one.policy, str(told["model"])):
            raise Refused(f"{by} is the model: a person answers for the values")
        before = kept.of(Acceptance)
        _free(one, before, {p.id: p for p in kept.of(Proposal)}, accepts)
        fields = {"proposal": one.id, "accepts": accepts, "by": by, "reason": reason, "before": one.values}
        document: Path | None = None
        if accepts and one.resolution in _CHANGING:
            document, wrote = _written(place, one, Path(str(told["document"])))
            fields |= wrote
        record = Acceptance.model_validate({**fields, "parents": (one.id,)})
        kept.take([record])
        if accepts and one.resolution in _CHANGING:
            tried = _tried(one, record)
            kept.take([tried])
            if portraits is not None:
                note_tried(portraits, tried)
        kept.commit()
    return Answered(record, document)


def proposed(folder: Path, proposal: str) -> tuple[str, Proposal]:
    """The model that a proposal was made about, and the proposal; a beginning of its id is enough."""
    _, told = _found(folder, proposal)
    (body,) = (one for one in _bodies(told) if str(one["id"]).startswith(proposal))
    fields = {name: value for name, value in body.items() if name != "id"}
    return str(told["model"]), Proposal.model_validate(fields)


def _bodies(told: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    return cast("list[dict[str, JSON]]", told["proposals"])


def _tried(one: Proposal, record: Acceptance) -> Tried:
    told = {"policy": one.policy, "values": one.values, "principle": one.principle, "slice": one.slice}
    says = f"accepted by {record.by}: {record.reason}"
    evidence = (one.id, record.id)
    return Tried.model_validate(
        {**told, "way": "dialogue", "outcome": one.resolution, "says": says, "evidence": evidence}
    )


def _found(folder: Path, proposal: str) -> tuple[Path, dict[str, JSON]]:
    """The dialogue's folder that has this proposal, and what was written of it."""
    hits: list[tuple[Path, dict[str, JSON], str]] = []
    for file in sorted(folder.glob(f"*/{FILE}")):
        told = _json(file)
        names = [str(one["id"]) for one in _bodies(told)]
        hits += [(file.parent, told, name) for name in names if proposal and name.startswith(proposal)]
    if len(hits) != 1:
        advice = "several begin so: give more of it" if hits else "accord dialogue prints them"
        raise PlanError("--accept", proposal, f"the id of a proposal in {folder}", advice)
    return hits[0][0], hits[0][1]


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


def _written(place: Path, one: Proposal, source: Path) -> tuple[Path, dict[str, JSON]]:
    """The new document with its prompts and the diff; written again alike where that was broken off."""
    values = read_values(source)
    if values.digest != one.values:
        raise Refused(
            f"{source}: the values were changed since the dialogue\n  accord targets, then talk again"
        )
    into = place / f"accepted-{one.id[:12]}"
    make_folder(into)
    edited = one.resolution == "edit of the values"
    document = _edited(values, one) if edited else _carved(values, one, into)
    text = replace(values, document=document).toml(into)
    write_aside(into / DOCUMENT, text)
    lines = [part.splitlines(keepends=True) for part in (values.toml(into), text)]
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
