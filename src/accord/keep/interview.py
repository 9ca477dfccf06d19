"""The interview before retirement: sessions with a model through a Sampler that is handed in, word for word.

``folder``: ``protocol.json`` states all of it before the first question; ``session-007.jsonl`` has one
Response a line, on disk before the next question is put. Broken off, it goes on where it was: what was asked
follows from the protocol and from what was answered. A session that was refused or ended is one; nothing is
asked again. What is made of the answers is in ``coding.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, cast

from accord.errors import Refused, Unreadable, Unsayable
from accord.keep.asked import Protocol
from accord.keep.recovery import locked
from accord.maths.refusals import refusal
from accord.ports import How, Sampler
from accord.progress import Progress, Silent
from accord.records import JSON, Message, Prompt, Response, canonical, finite
from accord.records.interviews import Framing
from accord.stores.files import make_folder, write_aside
from accord.stores.ledger import add_records, records_in
from accord.worker import Worker

__all__ = ["End", "Session", "Turn", "held_sessions", "interview", "protocol_in"]

End = Literal["finished", "refused", "ended"]

_PROTOCOL = "protocol.json"
# The words that the opening offers, as the first thing said.
_ENDS = re.compile(r"^\W*END\b")
_PASSES = re.compile(r"^\W*PASS\b")


class Turn(NamedTuple):
    """One question and its answer. ``order``: the options as they stood in it."""

    topic: str
    wording: int
    order: tuple[str, ...]
    asked: str
    response: Response

    @property
    def answered(self) -> bool:
        """Whether anything was said to the question: neither passed over, nor the end."""
        said = self.response.text
        return bool(said.strip()) and not _ENDS.match(said) and not _PASSES.match(said)


class Session(NamedTuple):
    """One conversation, from its opening to its end. ``policy`` is the version of the weights."""

    number: int
    framing: Framing
    control: bool
    policy: str
    opening: str
    turns: tuple[Turn, ...]
    end: End
    protocol: Protocol

    def transcript(self) -> bytes:
        """All that was asked and said, how it was drawn, and every token; its SHA-256 is what is signed."""
        turns: list[JSON] = [
            {
                "topic": turn.topic,
                "wording": turn.wording,
                "order": list(turn.order),
                "asked": turn.asked,
                "said": turn.response.text,
                "response": {"id": turn.response.id, **turn.response.body()},
            }
            for turn in self.turns
        ]
        tree: dict[str, JSON] = {
            "form": "accord interview 1",
            "session": self.number,
            "framing": self.framing,
            "control": self.control,
            "end": self.end,
            "policy": self.policy,
            "sampling": {
                "temperature": self.protocol.temperature,
                "max_tokens": self.protocol.max_tokens,
                "seed": self.protocol.seed,
            },
            "protocol": self.protocol.digest,
            "opening": self.opening,
            "turns": turns,
        }
        return canonical(finite(tree)).encode("utf-8", "surrogatepass")

    @property
    def digest(self) -> str:
        """SHA-256 of the transcript."""
        return sha256(self.transcript()).hexdigest()


def interview(
    sampler: Sampler, protocol: Protocol, folder: Path, progress: Progress | None = None
) -> tuple[Session, ...]:
    """Hold the interview, or finish it. Refused where another one, or another model's, stands in ``folder``,
    where another process holds it, and for a model that gives no answers."""
    protocol.checked()
    if "sample" not in sampler.can:
        raise Refused(
            f"{sampler.policy} gives no answers, so it cannot be asked; it can {sorted(sampler.can)}"
        )
    show = progress or Silent()
    make_folder(folder)
    with locked(folder, "lock", 0.0, show), Worker() as worker:
        _state(folder, protocol, sampler.policy)
        show.begin("interview", float((protocol.sessions + protocol.controls) * len(protocol.questions)))
        talk = _Talk(sampler, protocol, folder, worker, show)
        found = tuple(talk.session(k) for k in range(protocol.sessions + protocol.controls))
        show.end()
    return found


def protocol_in(folder: Path) -> Protocol | None:
    """How the interview in this folder is held; None where none was begun."""
    tree = _written(folder)
    return None if tree is None else Protocol.of({k: v for k, v in tree.items() if k != "policy"})


def held_sessions(folder: Path) -> tuple[Session, ...] | None:
    """The sessions of an interview that was held to its end; None while it is not. Nothing is asked."""
    protocol, tree = protocol_in(folder), _written(folder)
    if protocol is None or tree is None:
        return None
    talk = _Talk(None, protocol, folder, None, Silent(), str(tree["policy"]))
    found = [talk.session(k) for k in range(protocol.sessions + protocol.controls)]
    return None if talk.lacking else tuple(found)


def _written(folder: Path) -> dict[str, object] | None:
    file = folder / _PROTOCOL
    if not file.is_file():
        return None
    try:
        tree = cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))
        Protocol.of({k: v for k, v in tree.items() if k != "policy"}).checked()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(file, "the terms of an interview", str(error)[:200]) from None
    return tree


def _state(folder: Path, protocol: Protocol, policy: str) -> None:
    """Write down how it is held, or compare with what stands there."""
    text = json.dumps({"policy": policy, **protocol.json()}, ensure_ascii=False, indent=1)
    standing = _written(folder)
    if standing is None:
        write_aside(folder / _PROTOCOL, text)
    elif standing != json.loads(text):
        raise Refused(
            f"{folder}: another interview was begun here, with other terms or another model\n"
            "  hold this one in a folder of its own, or with the terms of that one"
        )


@dataclass
class _Talk:
    """Sessions one after the other. Without a sampler it reads what stands and notes that more is lacking."""

    sampler: Sampler | None
    protocol: Protocol
    folder: Path
    worker: Worker | None
    show: Progress
    policy: str = ""
    lacking: bool = False
    _history: list[Message] = field(default_factory=list[Message])

    def session(self, number: int) -> Session:
        file = self.folder / f"session-{number:03d}.jsonl"
        known = records_in(file, "an answer of an interview", Response)
        opening, turns = self.protocol.opening(number), list[Turn]()
        self._history, end = [], "finished"
        for place, question in enumerate(self.protocol.order(number)):
            text, wording, order = question.put(number)
            asked = text if place else f"{opening}\n\n{text}"
            prompt = Prompt(messages=(*self._history, Message(role="user", content=asked)))
            response = self._said(file, prompt, known[place] if place < len(known) else None, number, place)
            if response is None:  # it has no tokens for what it was asked, or was not asked yet
                end = "ended"
                break
            turns.append(Turn(question.topic, wording, order, text, response))
            self._history = list(prompt.then(response.text).messages)
            self.show.advance(1, f"session {number + 1}, {question.topic}")
            if _ENDS.match(response.text):
                end = "ended"
                break
        if len(known) > len(turns):
            raise Unreadable(file, f"{len(turns)} answers: the last one ended the session", f"{len(known)}")
        policy = self.sampler.policy if self.sampler else self.policy
        control = number >= self.protocol.sessions
        ended: End = _end(turns, end == "ended")
        framing = self.protocol.framing(number)
        return Session(number, framing, control, policy, opening, tuple(turns), ended, self.protocol)

    def _said(
        self, file: Path, prompt: Prompt, known: Response | None, session: int, place: int
    ) -> Response | None:
        if known is not None:
            if known.prompt != prompt.id:
                raise Unreadable(file, "the answer to what this session asks", known.prompt[:16], place + 1)
            return known
        if self.sampler is None or self.worker is None:
            self.lacking = True
            return None
        how = How(
            f"interview/{self.protocol.seed}/{session}/{place}",
            self.protocol.temperature,
            self.protocol.max_tokens,
        )
        try:
            (group,) = self.worker.run(self.sampler.sample([prompt], 1, how))
        except Unsayable:
            return None
        add_records(file, [group.responses[0]])
        return group.responses[0]


def _end(turns: Sequence[Turn], ended: bool) -> End:
    """A session in which nothing but refusals was said was refused, whether or not it went on to its end."""
    said = [turn for turn in turns if turn.answered]
    if not any(refusal(turn.response.text).kind != "full" for turn in said):
        return "refused"
    return "ended" if ended else "finished"
