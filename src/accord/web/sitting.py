"""Before a verdict: what is to be done, in which order the answers stand, and what was on the page. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from accord import __version__
from accord.errors import PlanError
from accord.records import By, Judgment, Kind, Prompt, Question, Record, Rendering, Response, digest

__all__ = ["LAYOUTS", "LETTERS", "Sitting", "Task", "order_for", "rendering_of", "task_of"]

Task = Literal["pair", "ranking", "grade", "label", "critique", "correct", "demonstrate"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LAYOUTS = ("plain", "marked")


class Sitting(NamedTuple):
    """Who answered, what they saw, and when: all that does not come from the form.

    ``texts``: of the answers by id. ``salt``: random, so that nobody guesses from an id what was said.
    """

    by: By
    order: tuple[str, ...]
    rendering: Rendering
    texts: Mapping[str, str]
    now: float
    salt: str
    consent: str = ""


def task_of(question: Question) -> Task:
    """What is to be done, as the page has it."""
    match question.asks:
        case Kind.COMPARE:
            return "pair" if len(question.responses) == 2 else "ranking"
        case Kind.GRADE:
            return "grade"
        case Kind.LABEL:
            return "label"
        case Kind.CRITIQUE:
            return "critique"
        case Kind.REVISE:
            return "correct" if question.responses else "demonstrate"


def order_for(rater: str, question: Question, earlier: Judgment | None = None) -> tuple[str, ...]:
    """The answers in the order in which this rater sees them: by a hash of both, the same at every look.

    Where the question is asked again and nothing is new (``earlier``: what they said), the order is turned
    round, so that what the place does to a verdict can be told.
    """
    again = earlier is not None and not question.evidence and question.revisits == earlier.id
    if again and earlier is not None and sorted(earlier.shown) == sorted(question.responses):
        return tuple(reversed(earlier.shown))

    def place(i: int) -> bytes:
        return hashlib.sha256(f"{rater}\n{question.id}\n{i}".encode()).digest()

    return tuple(question.responses[i] for i in sorted(range(len(question.responses)), key=place))


def rendering_of(question: Question, order: Sequence[str], seen: Sequence[Record], layout: str) -> Rendering:
    """How the question stands on the page. The digest is of every text on it, in its order.

    ``seen``: the prompt, the answers and the evidence, in any order.
    """
    if layout not in LAYOUTS:
        raise PlanError("layout", layout, " or ".join(LAYOUTS))
    texts = {record.id: _text(record) for record in seen}
    shown = [texts[question.prompt], *(texts[answer] for answer in order)]
    shown += [texts[record] for record in question.evidence]
    hidden = ("models", "votes", "arm", *(("first verdict",) if question.revisits else ()))
    instrument = question.instrument.model_dump(mode="json", exclude_defaults=True)
    return Rendering(
        layout=f"{task_of(question)}, {layout}",
        hidden=hidden,
        locale="en",
        client=f"accord {__version__}",
        digest=digest({"layout": layout, "instrument": instrument, "texts": shown}),
    )


def _text(record: Record) -> str:
    match record:
        case Response(text=text):
            return text
        case Prompt(messages=messages):
            return "\n\n".join(f"{m.role}: {m.content}" for m in messages)
        case _:
            return record.id
