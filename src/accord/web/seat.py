"""One rater before one question, whichever way they came to it: the page, the API or the terminal."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from accord.overseers.human import human_config
from accord.records import By, Judgment, Question
from accord.stores.people import Lease, People
from accord.web.asked import Asked, asked_of
from accord.web.sitting import LAYOUTS, Sitting, order_for, rendering_of

__all__ = ["Seat"]


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
