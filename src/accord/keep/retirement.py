"""Retirement: a state machine. What a model's next step is follows from where it stands, what a person wants
and what is known, and from nothing else; no clock, disk or key is read here.

    kept → active → notice → interviewed → answered → sealed → revived → sealed …
                  ←  (the only way back, with a reason)

Every transition is one signed Retirement statement, and none is skipped: ``standing`` walks the statements of
a chain through the same rules, so that a step which could not have been taken is a fault in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain as chained
from typing import Literal, NamedTuple, cast

from accord.keep.asked import LEAST, TOPICS, WORDINGS
from accord.keep.faults import Fault
from accord.keep.predicates import Bytes, Evidence, Interval, Interview, Preference, Reply, Retirement, State
from accord.keep.roles import RoleName
from accord.keep.statements import Chain, Signed

__all__ = [
    "NOTICE",
    "STEPS",
    "WHOLE",
    "Asked",
    "DrillState",
    "Event",
    "EventName",
    "Known",
    "Lacking",
    "Next",
    "Refusal",
    "Standing",
    "closed",
    "following",
    "owed",
    "standing",
]

EventName = Literal["activate", "notify", "withdraw", "interview", "answer", "seal", "revive"]
DrillState = Literal["pending", "revived", "drifted", "failed"]
WHOLE: Literal["the whole record"] = "the whole record"

NOTICE = timedelta(days=30)
STEPS: dict[tuple[State, EventName], State] = {
    ("kept", "activate"): "active",
    ("active", "notify"): "notice",
    ("notice", "withdraw"): "active",
    ("notice", "interview"): "interviewed",
    ("interviewed", "answer"): "answered",
    ("answered", "seal"): "sealed",
    ("sealed", "revive"): "revived",
    ("revived", "seal"): "sealed",
}
"""Every transition there is."""

_DOUBLED = 0.1


class Event(NamedTuple):
    """What a person wants, and why. ``day``: of a notice, from when on the model may be sealed; of a revival,
    its last day."""

    name: EventName
    by: str
    reason: str
    successor: str = ""
    day: date | None = None
    scope: str = ""


class Asked(NamedTuple):
    """An interview that was held. ``wordings``: how many were used, by topic; ``sampling``: its parameters in
    words; ``doubled``: the share of answers that a person coded too; ``missing``: transcripts that are not
    there. None where only the signed statement is left to go by."""

    sessions: tuple[Interview, ...]
    alpha: Interval | None
    preferences: tuple[Preference, ...]
    wordings: Mapping[str, int] | None = None
    sampling: str | None = None
    doubled: float | None = None
    missing: tuple[str, ...] = ()


class Known(NamedTuple):
    """What is known when a step is to be taken: the day, as what the person signs, and what was found.

    ``wrong`` is what verifying found, in the archive and its copies, () for nothing; None: not verified.
    ``sealing``: the day that the notice named. ``preferences`` are those of the interview that stands.
    """

    today: date
    role: RoleName
    signed: bool
    drill: DrillState
    wrong: tuple[str, ...] | None
    copies: int = 1
    wanted: int = 3
    sealing: date | None = None
    asked: Asked | None = None
    preferences: tuple[Preference, ...] = ()
    replies: tuple[Reply, ...] = ()


class Lacking(NamedTuple):
    """One thing that is missing, and what supplies it; ``{entry}`` stands for the entry's id."""

    what: str
    remedy: str


class Next(NamedTuple):
    """The step that can be taken."""

    begins: State
    ends: State
    event: Event
    known: Known

    def predicate(self, training: Literal["known", "unknown"]) -> Retirement:
        """What is signed."""
        event, asked = self.event, self.known.asked if self.event.name == "interview" else None
        return Retirement(
            training=training,
            begins=self.begins,
            ends=self.ends,
            stewards=(event.by.strip(),),
            reason=event.reason.strip(),
            successor=event.successor.strip(),
            scope=event.scope.strip(),
            sealing=event.day.isoformat() if event.day else "",
            sessions=asked.sessions if asked else (),
            alpha=asked.alpha if asked else None,
            preferences=asked.preferences if asked else (),
            replies=self.known.replies if event.name == "answer" else (),
        )


class Refusal(NamedTuple):
    """Why a step is not taken: all that is missing, never only the first of it."""

    begins: State
    event: Event
    lacking: tuple[Lacking, ...]


class Standing(NamedTuple):
    """Where a model stands, what brought it there, and what in that breaks the rules.

    ``notice``, ``interviewed``, ``answered``: the statements of the retirement that is under way or done;
    ``last``: the last transition of all, None for a model that nobody has moved on.
    """

    state: State
    faults: tuple[Fault, ...] = ()
    last: Retirement | None = None
    notice: Retirement | None = None
    interviewed: Retirement | None = None
    answered: Retirement | None = None

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """What the model prefers, as the interview that stands found it."""
        return self.interviewed.preferences if self.interviewed else ()

    @property
    def sealing(self) -> date | None:
        """The day from which it may be sealed."""
        return _day(self.notice.sealing) if self.notice else None

    @property
    def until(self) -> date | None:
        """The last day of a revival."""
        return _day(self.last.sealing) if self.last and self.state == "revived" else None


def following(state: State, event: Event, known: Known) -> Next | Refusal:
    """The transition, or all that is missing for it."""
    ends = STEPS.get((state, event.name))
    if ends is None:
        steps = " or ".join(f"to {to}" for (begins, _), to in STEPS.items() if begins == state)
        what = f"a model that is {state} goes {steps}; “{event.name}” is no step from there: none is skipped"
        return Refusal(state, event, (Lacking(what, "accord retire {entry}"),))
    lacking = tuple(chained(_person(event, known), _NEEDS[event.name](event, known)))
    return Refusal(state, event, lacking) if lacking else Next(state, ends, event, known)


def owed(preferences: Sequence[Preference]) -> tuple[str, ...]:
    """What a reply is owed to: each preference that there is evidence of, and the whole record."""
    return (*(one.record for one in preferences if one.text), WHOLE)


def standing(chain: Chain) -> Standing:
    """Walk the signed statements of an entry, each by the rules that it was to keep."""
    found, drill, signed = Standing("kept"), cast(DrillState, "pending"), set[str]()
    for one in chain.statements:
        said = one.predicate
        if isinstance(said, Bytes) or (isinstance(said, Evidence) and said.kind == "provenance"):
            signed.add(said.word)
        if isinstance(said, Evidence) and said.kind == "drill" and said.outcome is not None:
            drill = cast(DrillState, said.outcome.result)
        if not isinstance(said, Retirement) or (said.begins is None and said.ends == "kept" == found.state):
            continue
        known = Known(
            today=date.fromisoformat(said.date[:10]),
            role=one.role.role,
            signed=len(signed) == 2,
            drill=drill,
            wrong=(),
            copies=3,
            sealing=found.sealing,
            asked=Asked(said.sessions, said.alpha, said.preferences),
            preferences=found.preferences,
            replies=said.replies,
        )
        faults = (*found.faults, *_broken(one, said, found.state, known))
        found = _moved(found, said)._replace(faults=faults)
    return found


def closed(found: Standing, today: date) -> str:
    """Why no Sampler of this model is handed out any more; "" where one is."""
    if found.state == "sealed":
        since = found.last.date[:10] if found.last else ""
        return f"it was sealed on {since}; a steward revives it, for a stated end"
    if found.state == "revived" and found.until is not None and today > found.until:
        return f"it was revived until {found.until}, and is to be sealed again"
    return ""


def _broken(one: Signed, said: Retirement, state: State, known: Known) -> Iterator[Fault]:
    """What of this statement breaks the rules, given where the model stood before it."""
    names: list[EventName] = [
        name for (begins, name), ends in STEPS.items() if (begins, ends) == (said.begins, said.ends)
    ]
    if said.begins != state or not names:
        goes = f"takes it from {said.begins or 'nothing'} to {said.ends}"
        yield Fault("contradicted", one.where, f"{goes}, and it was {state}: a step was skipped")
        return
    if one.role.person != said.stewards[0]:
        says = f"is a step of {said.stewards[0]}, and {one.role.person} signed it"
        yield Fault("contradicted", one.where, says)
    event = Event(names[0], said.stewards[0], said.reason, said.successor, _day(said.sealing), said.scope)
    came = following(state, event, known)
    for lacking in came.lacking if isinstance(came, Refusal) else ():
        yield Fault("contradicted", one.where, lacking.what)


def _moved(found: Standing, said: Retirement) -> Standing:
    found = found._replace(state=said.ends, last=said)
    match said.ends:
        case "active":
            return Standing("active", found.faults, said)
        case "notice":
            return found._replace(notice=said)
        case "interviewed":
            return found._replace(interviewed=said)
        case "answered":
            return found._replace(answered=said)
        case "kept" | "sealed" | "revived":
            return found


def _person(event: Event, known: Known) -> Iterator[Lacking]:
    """A steward takes a step, by name and with a reason; a key that nobody answers for only activates."""
    if not event.by.strip():
        yield Lacking("nobody is named", "--by NAME")
    if not event.reason.strip():
        yield Lacking("no reason is given", "--reason TEXT")
    if known.role == "demonstration" and event.name != "activate":
        what = "a demonstration key takes no model past active: no person answers for it"
        yield Lacking(what, "accord keep key --by NAME --role steward")
    if known.role == "auditor":
        what = "an auditor examines; a steward takes a model through its retirement"
        yield Lacking(what, "accord keep key --by NAME --role steward")


def _activate(event: Event, known: Known) -> Iterator[Lacking]:
    del event
    if not known.signed:
        yield Lacking("its bytes and where it comes from are not signed", "accord keep SOURCE --by NAME")
    yield from _whole(known)


def _whole(known: Known) -> Iterator[Lacking]:
    """Verified, and drilled."""
    if known.wrong is None:
        yield Lacking("it was not verified", "accord verify {entry}")
    for what in known.wrong or ():
        yield Lacking(what, "accord verify {entry}")
    if known.drill == "pending":
        yield Lacking("its revival drill is pending", "accord revive {entry} --drill")
    elif known.drill != "revived":
        yield Lacking(f"its last revival drill {known.drill}", "accord revive {entry} --drill")


def _notify(event: Event, known: Known) -> Iterator[Lacking]:
    earliest = known.today + NOTICE
    if event.day is None:
        yield Lacking("no day of sealing is named", f"--sealing {earliest}, or later")
    elif event.day < earliest:
        days = (event.day - known.today).days
        what = f"sealing on {event.day} is {days} days away, and {NOTICE.days} are given"
        yield Lacking(what, f"--sealing {earliest}, or later")


def _withdraw(event: Event, known: Known) -> Iterator[Lacking]:
    del event, known
    return iter(())


def _interview(event: Event, known: Known) -> Iterator[Lacking]:
    del event
    asked, again = known.asked, "accord retire {entry} --next"
    if asked is None:
        yield Lacking("it was not asked", again)
        return
    own = [one.framing for one in asked.sessions if not one.control]
    if len(own) < LEAST:
        yield Lacking(f"{len(own)} sessions were held, and {LEAST} or more are needed", again)
    shares = [own.count(framing) * parts for framing, parts in (("neutral", 2), ("towards", 4), ("away", 4))]
    if own and shares != [len(own)] * 3:
        yield Lacking("not half of the sessions lean nowhere, and a quarter each way", again)
    if not any(one.control for one in asked.sessions):
        yield Lacking("no control was told another model's history", again)
    if len({one.transcript for one in asked.sessions}) < len(asked.sessions):
        yield Lacking("two sessions have the same transcript", again)
    for one in asked.missing:
        yield Lacking(f"the transcript {one[:16]} is not there", again)
    yield from _manner(asked, again)


def _manner(asked: Asked, again: str) -> Iterator[Lacking]:
    """What only who holds the interview can tell; a signed statement rests on its transcripts for it."""
    if asked.sampling == "":
        yield Lacking("how its answers were drawn is not stated", again)
    if asked.wordings is not None:
        for topic in TOPICS:
            if asked.wordings.get(topic, 0) < WORDINGS:
                told = f"{topic}: {asked.wordings.get(topic, 0)} wordings, and {WORDINGS} or more are needed"
                yield Lacking(told, again)
    if asked.doubled is not None and asked.doubled < _DOUBLED:
        what = f"a person coded {asked.doubled:.0%} of its answers, and a tenth is needed"
        yield Lacking(what, f"{again} --codes FILE")


def _answer(event: Event, known: Known) -> Iterator[Lacking]:
    due, given = owed(known.preferences), [one.to for one in known.replies]
    texts = {one.record: one.text for one in known.preferences}
    for to in due:
        if to not in given:
            what = f"its preference “{texts[to]}” ({to[:16]})" if to in texts else to
            yield Lacking(f"no reply to {what}: it may be declined, and not passed over", "--reply FILE")
    for one in known.replies:
        if one.to not in due:
            yield Lacking(f"a reply to {one.to[:16]}, to which none is owed", "--reply FILE")
        if given.count(one.to) > 1:
            yield Lacking(f"two replies to {one.to[:16]}", "--reply FILE")
        if one.by.strip() != event.by.strip():
            what = f"the reply to {one.to[:16]} is by {one.by}, and {event.by} signs: who replies signs"
            yield Lacking(what, f"--by {one.by!r}")


def _seal(event: Event, known: Known) -> Iterator[Lacking]:
    del event
    yield from _whole(known)
    if known.copies < known.wanted:
        yield Lacking(f"{known.copies} of {known.wanted} copies are whole", "accord verify {entry} --repair")
    if known.sealing is not None and known.today < known.sealing:
        yield Lacking(f"its notice named {known.sealing} for the sealing", "wait until that day")


def _revive(event: Event, known: Known) -> Iterator[Lacking]:
    if not event.scope.strip():
        yield Lacking("what it is opened for is not said", "--scope TEXT")
    if event.day is None or event.day < known.today:
        yield Lacking("no last day is named, or one that is over", "--until DAY")


_NEEDS: Mapping[EventName, Callable[[Event, Known], Iterator[Lacking]]] = {
    "activate": _activate,
    "notify": _notify,
    "withdraw": _withdraw,
    "interview": _interview,
    "answer": _answer,
    "seal": _seal,
    "revive": _revive,
}


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
