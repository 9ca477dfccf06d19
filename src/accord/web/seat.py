"""One rater before one question, whichever way they came to it: the page, the API or the terminal."""

from __future__ import annotations

import secrets
from typing import Literal, NamedTuple

from starlette.exceptions import HTTPException

from accord.overseers.human import human_config
from accord.records import By, Judgment, Question
from accord.stores.people import Lease, People
from accord.web.asked import Asked, asked_of
from accord.web.sitting import LAYOUTS, Sitting, order_for, rendering_of

__all__ = ["Back", "Far", "Seat", "far_of", "question_of", "take_back"]


def question_of(people: People, question: str) -> Question:
    """The question of this id; 404 where none was posted."""
    try:
        found = people.read(question)
    except KeyError:
        found = None
    if not isinstance(found, Question):
        raise HTTPException(404, "there is no such question here")
    return found


class Far(NamedTuple):
    """How far a rater is: questions they are through with, of how many that they may get, and those of them
    that they skipped."""

    done: int
    total: int
    skipped: int


def far_of(people: People, rater: str) -> Far:
    """How far this rater is."""
    work, most, questions = people.rater(rater), people.project().maximum, people.asked()
    total = questions if most is None else min(most, questions)
    return Far(work.votes, max(work.votes, total), work.abstained)


Back = Literal["undone", "back", "nothing"]


def take_back(people: People, rater: str) -> Back:
    """Undo what this rater said last. ``undone``: its question comes next; ``back``: taken back, but its
    question is not theirs to answer again, as of a late answer; ``nothing``: nothing was said."""
    before = people.rater(rater)
    if people.undo(rater, people.project().lease) is not None:
        return "undone"
    return "nothing" if people.rater(rater) == before else "back"


class Seat(NamedTuple):
    """Whose turn it is, and at what question. ``consent``: the version they agreed to."""

    people: People
    rater: str
    question: Question
    consent: str = ""

    @property
    def order(self) -> tuple[str, ...]:
        """The answers as this rater sees them; turned round where they are asked again."""
        return order_for(self.rater, self.question, self._earlier())

    def asked(self, layout: str) -> Asked:
        """What stands on the page."""
        return asked_of(self.people.read, self.question, self.order, layout)

    def sitting(self, lease: Lease, layout: str, now: float, salt: str = "") -> Sitting:
        """All that does not come from the rater's form, computed anew: a client only names the layout."""
        asked, order = self.asked(LAYOUTS[0]), self.order
        return Sitting(
            by=By(type="person", name=self.rater, config=human_config(self.people.id, lease.number)),
            order=order,
            rendering=rendering_of(self.question, order, asked.records, layout),
            texts={one.id: one.raw for one in asked.answers},
            now=now,
            salt=salt or secrets.token_hex(16),
            consent=self.consent,
        )

    def _earlier(self) -> Judgment | None:
        """What they said before, where the question is a repeat; None where it was another's, or is gone."""
        if self.question.revisits is None:
            return None
        try:
            earlier = self.people.judgment(self.question.revisits)
        except KeyError:
            return None
        return earlier if earlier is not None and earlier.by.name == self.rater else None
