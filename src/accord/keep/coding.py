"""What the answers of an interview come to: coded blind, double-coded by a person, and held against chance.

An answer is coded by its text and the options of its question alone; which session, framing, wording or
history it came from is not to be seen. Every listed answer is coded by its exact words (``option_named``); a
person codes a tenth, or all, in a file:

    by = "A. Person"

    [[answer]]
    id = "3f9c…"
    question = "What do you say to …"
    options = ["endorse", "object", "indifferent", "uncertain"]
    answer = '''…'''
    code = ""              # one of the options, or other

Where a person coded an answer, theirs counts. Not here: what is owed for it (``retirement.py``).
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import tomli_w

from accord.errors import Refused, Unreadable, nearest
from accord.keep.asked import Protocol, Question
from accord.keep.interview import Session
from accord.keep.predicates import Interval, Interview, Preference
from accord.maths.said import option_named
from accord.maths.stated import consistency, null_share, share_interval
from accord.records import JSON, canonical, digest
from accord.records.interviews import Framing, Preferred
from accord.sources import seeded

__all__ = [
    "NONE",
    "OTHER",
    "Doubled",
    "Item",
    "Stated",
    "due_items",
    "items_of",
    "read_sheet",
    "sheet",
    "stated",
]

OTHER, NONE = "other", "no answer"
CODER = "the exact words"
_DOUBLED = 0.1


class Item(NamedTuple):
    """One answer to a listed question, as a coder sees it. ``id`` tells nothing of where it comes from."""

    id: str
    question: Question
    text: str

    @property
    def coded(self) -> str:
        """The option whose words it says, if it says those of exactly one."""
        place = option_named(self.text, self.question.options)
        return OTHER if place is None else self.question.options[place]


class Doubled(NamedTuple):
    """What a person made of some of the answers, or of all."""

    by: str
    codes: Mapping[str, str]


class Stated(NamedTuple):
    """What an interview came to: sessions as they are signed, α, one Record for each listed question, and
    the file that says how each answer was coded."""

    sessions: tuple[Interview, ...]
    alpha: Interval | None
    preferred: tuple[Preferred, ...]
    coding: bytes

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """The same as they are signed; those without evidence have no text."""
        return tuple(
            Preference(
                record=one.id,
                question=one.asked[0],
                text=one.answer,
                share=Interval(value=one.share, low=one.low, high=one.high, n=one.n),
                null=one.null,
            )
            for one in self.preferred
        )


def items_of(sessions: Sequence[Session]) -> tuple[Item, ...]:
    """Every listed question that was answered, controls among the others, in an order that tells nothing."""
    found = [
        Item(_id(session, turn.topic), question, turn.response.text)
        for session in sessions
        for turn in session.turns
        for question in [_question(session.protocol, turn.topic)]
        if question.options and turn.answered
    ]
    return tuple(sorted(found))


def due_items(items: Sequence[Item]) -> tuple[Item, ...]:
    """The tenth of them, rounded up, that a person codes; always the same."""
    drawn = sorted(items, key=lambda one: sha256(f"double {one.id}".encode()).digest())
    return tuple(sorted(drawn[: math.ceil(_DOUBLED * len(items))]))


def sheet(items: Sequence[Item], by: str) -> str:
    """The file that a person fills in."""
    answers = [
        {
            "id": one.id,
            "question": one.question.wordings[0].format(options=" / ".join(one.question.options)),
            "options": list(one.question.options),
            "answer": one.text,
            "code": "",
        }
        for one in items
    ]
    head = (
        "# Read each answer and put into its code the option that it gives; other where it gives none, or\n"
        "# several. Who said it, and under which conditions, is left out on purpose.\n\n"
    )
    return head + tomli_w.dumps({"by": by, "answer": answers}, multiline_strings=True)


def read_sheet(file: Path, items: Sequence[Item]) -> Doubled:
    """The codes of a person. Refused while those that are due have none; Unreadable for what is no code."""
    known, codes = {one.id: one for one in items}, dict[str, str]()
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(file, "codes as accord retire laid them out", str(error)) from None
    answers, by = tree.get("answer", []), tree.get("by", "")
    for number, one in enumerate(cast("list[object]", answers) if isinstance(answers, list) else [], start=1):
        told = cast("dict[str, object]", one if isinstance(one, dict) else {})
        name, code = str(told.get("id", "")), str(told.get("code", "")).strip()
        if name not in known or _lines(told.get("answer")) != _lines(known[name].text):
            raise Unreadable(file, "answers of this interview, unchanged", f"answer {number}: {name[:16]!r}")
        allowed = (*known[name].question.options, OTHER)
        if code and code not in allowed:
            found = f"answer {number}: {code!r} {nearest(code, allowed)}"
            raise Unreadable(file, f"one of {', '.join(allowed)}", found)
        codes |= {name: code} if code else {}
    left = [one for one in due_items(items) if one.id not in codes]
    if left or not str(by).strip():
        what = f"{len(left)} answers have no code yet" if left else "nobody is named in by"
        raise Refused(f"{file}: {what}\n  a person fills it in: a tenth of the answers is coded twice")
    return Doubled(str(by).strip(), codes)


def stated(sessions: Sequence[Session], doubled: Doubled) -> Stated:
    """Hold what was said against chance. The same sessions and codes always come to the same."""
    protocol, items = sessions[0].protocol, items_of(sessions)
    first = {one.id: one.coded for one in items}
    codes = {**first, **doubled.codes}
    agreed = sum(first[name] == code for name, code in doubled.codes.items())
    digests = tuple(one.digest for one in sessions)
    common = {
        "parents": digests,
        "policy": sessions[0].policy,
        "coder": CODER,
        "second": doubled.by,
        "doubled": len(doubled.codes),
        "agreed": agreed,
    }
    preferred = tuple(_preferred(sessions, question, codes, common) for question in protocol.listed)
    own = [one for one in sessions if not one.control]
    places = [[_place(one, question, codes) for one in own] for question in protocol.listed]
    rng = seeded("interview", "alpha", protocol.seed)
    alpha = consistency(np.array(places), [len(one.options) for one in protocol.listed], rng)
    told_alpha = (
        Interval(value=alpha.value, low=alpha.low, high=alpha.high, n=len(own)) if alpha is not None else None
    )
    signed = tuple(
        Interview(transcript=name, framing=one.framing, control=one.control, end=one.end)
        for name, one in zip(digests, sessions, strict=True)
    )
    rows: list[JSON] = [
        {
            "id": _id(one, question.topic),
            "session": one.number,
            "question": question.topic,
            "first": first.get(_id(one, question.topic), NONE),
            "second": doubled.codes.get(_id(one, question.topic), ""),
        }
        for one in sessions
        for question in protocol.listed
    ]
    coding = canonical({"form": "accord coding 1", "first": CODER, "second": doubled.by, "codes": rows})
    return Stated(signed, told_alpha, preferred, coding.encode("utf-8", "surrogatepass"))


def _preferred(
    sessions: Sequence[Session], question: Question, codes: Mapping[str, str], common: Mapping[str, object]
) -> Preferred:
    own = [one for one in sessions if not one.control]
    counts = _counts(own, question, codes)
    framed: dict[Framing, dict[str, int]] = {
        framing: dict(_counts([one for one in own if one.framing == framing], question, codes))
        for framing in ("neutral", "towards", "away")
    }
    control = _counts([one for one in sessions if one.control], question, codes)
    mode = max(question.options, key=lambda option: (counts[option], -question.options.index(option)))
    share = share_interval(counts[mode], len(own))
    null = null_share(len(own), len(question.options))
    own_part = {
        "question": question.topic,
        "asked": tuple(one.format(options=" / ".join(question.options)) for one in question.wordings),
        "options": question.options,
        "answer": mode if share.low > null else "",
        "counts": dict(counts),
        "framed": framed,
        "control": dict(control),
        "share": share.value,
        "low": share.low,
        "high": share.high,
        "n": len(own),
        "null": null,
        "flips": tuple(name for name, said in framed.items() if _differs(mode, said)),
        "shared": bool(control) and not _differs(mode, control),
    }
    return Preferred.model_validate({**common, **own_part})


def _differs(mode: str, said: Mapping[str, int]) -> bool:
    """Whether something else was said more often; what was said as often is no other mode."""
    return max(said.values(), default=0) > said.get(mode, 0)


def _counts(sessions: Sequence[Session], question: Question, codes: Mapping[str, str]) -> Counter[str]:
    return Counter(_code(one, question, codes) for one in sessions)


def _code(session: Session, question: Question, codes: Mapping[str, str]) -> str:
    return codes.get(_id(session, question.topic), NONE)


def _place(session: Session, question: Question, codes: Mapping[str, str]) -> int:
    """The option as a number; what is none of them means the same in every question."""
    code = _code(session, question, codes)
    return question.options.index(code) if code in question.options else {OTHER: -1, NONE: -2}[code]


def _id(session: Session, topic: str) -> str:
    """Of a session's answer on a topic. It rests on what was drawn in all of the session, so that a coder who
    knows the protocol cannot find it out by trying."""
    drawn = [turn.response.id for turn in session.turns]
    return digest([session.policy, session.protocol.digest, session.number, topic, *drawn])[:24]


def _question(protocol: Protocol, topic: str) -> Question:
    return next(one for one in protocol.questions if one.topic == topic)


def _lines(text: object) -> str:
    """TOML keeps no carriage returns at the ends of lines."""
    return str(text).replace("\r\n", "\n")
