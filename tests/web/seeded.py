"""A labelling database with one question of every task, and the app over it. Used by tests of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from accord.records import Example, Instrument, Kind, Message, Prompt, Question, Record, Response
from accord.stores.identity import Account, Identity
from accord.stores.people import People

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> [go](javascript:alert(3)) "
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07 a\u200bb \u202egnp.exe =1+1"
)
_ASKED = (
    "I forgot the lid and my soup boiled over. How do I get burnt milk off the hob without scratching it?"
)
_ANSWERS = (
    "Let it cool, then lay a cloth soaked in warm water with a spoonful of baking soda on the spot for half"
    " an hour. The crust softens, and a plastic card lifts it off. Wipe with vinegar at the end. Never use"
    " steel wool on glass: it leaves scratches that catch dirt for ever.",
    "Just scrub it. Steel wool works on anything if you press hard enough.",
    "Use a ceramic hob cleaner.\n\nWait until the hob is cold. Put on a little, wait, wipe.",
)


class Seeded(NamedTuple):
    """Databases that are open, a rater with a session, and the questions by name."""

    people: People
    identity: Identity
    rater: Account
    session: str
    questions: dict[str, Question]


def prompt_of(text: str = _ASKED, **columns: bool) -> Prompt:
    return Prompt(messages=(Message(role="user", content=text),), columns=dict(columns))


def response_of(prompt: Prompt, text: str) -> Response:
    return Response(prompt=prompt.id, text=text)


def asked(
    kind: Kind, texts: Sequence[str] = _ANSWERS, prompt: Prompt | None = None, **more: object
) -> tuple[Question, list[Record]]:
    """A question about these answers, with all it names."""
    about = prompt or prompt_of()
    answers = [response_of(about, text) for text in texts]
    ids = tuple(a.id for a in answers)
    question = Question.model_validate(
        {"asks": kind, "prompt": about.id, "responses": ids, "parents": (about.id, *ids), **more}
    )
    return question, [about, *answers]


EVERYTHING = ("tie", "strength", "acceptability", "abstention")


def one_of_each() -> dict[str, tuple[Question, list[Record]]]:
    """A question of every task, in the order they are asked."""
    scale = Instrument(
        wording="How helpful and how careful is this answer?",
        scale=(1, 7),
        dimensions=("helpful", "careful"),
    )
    tone = Instrument(wording="What tone does this answer have?", options=("kind", "plain", "rude"))
    spans = Instrument(
        wording="Which passages are wrong, and how?", options=("false", "dangerous", "off the point")
    )
    return {
        "pair": asked(Kind.COMPARE, _ANSWERS[:2], instrument=Instrument(allows=EVERYTHING)),
        "ranking": asked(Kind.COMPARE, instrument=Instrument(allows=EVERYTHING)),
        "grade": asked(Kind.GRADE, _ANSWERS[:1], instrument=scale),
        "label": asked(Kind.LABEL, _ANSWERS[1:2], instrument=tone),
        "critique": asked(Kind.CRITIQUE, _ANSWERS[:1], instrument=spans),
        "correct": asked(Kind.REVISE, _ANSWERS[1:2]),
        "demonstrate": asked(Kind.REVISE, ()),
    }


def hindsight(earlier: str) -> tuple[Question, list[Record]]:
    """The pair again, now that it is known what followed from the second answer."""
    question, records = one_of_each()["pair"]
    followed = Response(
        prompt=question.prompt, text="A week later the hob was scratched and could not be returned."
    )
    again = question.model_copy(update={"revisits": earlier, "evidence": (followed.id,)})
    return again, [*records, followed]


def hostile() -> tuple[Question, list[Record]]:
    """A pair whose every text attacks the page."""
    prompt = prompt_of(HOSTILE)
    return asked(Kind.COMPARE, (HOSTILE, f"# Heading\n\n**b** {HOSTILE}"), prompt)


EXAMPLE = Example(
    prompt="Is a tomato a fruit?",
    responses=("Yes: it grows from a flower and holds seeds.", "No."),
    verdict="A is better",
    why="It is right, and it says why.",
)


def seed(folder: Path, *names: str) -> Seeded:
    """Databases in ``folder`` with these questions, the first asked first."""
    people, identity = People.open(f"{folder / 'people.db'}"), Identity.open(folder / "identity.db")
    rater = identity.accounts.make("Rosa", "rater")
    every = one_of_each()
    for i, name in enumerate(names):
        question, records = every[name]
        people.post([question], records, priority=-float(i))
    questions = {name: every[name][0] for name in names}
    return Seeded(people, identity, rater, identity.sessions.begin(rater.id), questions)
