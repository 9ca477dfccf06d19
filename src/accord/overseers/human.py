"""Human: asks people. A question waits in their queue until the person in one of its slots has answered.

What a person said is theirs and lies in the queue's database; a run keeps its id. A question that was posted
before is not posted twice, and one that was answered meanwhile is answered at once: so a run that was stopped
while it waited goes on where it stood. Overlap k is a jury of k slots: ``Human(queue, slot=0)`` to
``slot=k-1``, whose configs differ, so that no vote counts twice.

1. Once queued, ``config`` is a hash of the class, the queue's id and the slot: another path to the same
   database, or another deadline, is the same person's seat.
2. ``deadline`` counts from when this process asked, and begins anew after a resume. Past it nobody has
   judged: an abstention ``timeout``, said by the machine. The queue keeps a late answer, which a later run
   finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Self, cast

from pydantic import Field, PrivateAttr

from accord.errors import ContractError, PlanError
from accord.part import Part
from accord.ports import Desk, Queue
from accord.records import JSON, By, Judgment, Kind, Question, Record, digest

__all__ = ["Human", "human_config"]


def human_config(queue_id: str, number: int) -> str:
    """The config of whoever answers slot ``number`` of the questions in this queue, whatever their name.

    >>> human_config("7f", 0) == human_config("7f", 1), len(human_config("7f", 0))
    (False, 64)
    """
    return digest({"class": "accord.overseers.human:Human", "queue": queue_id, "slot": number})


class Human(Part):
    """Awaits the judgment of one slot. ``queue``: a labelling database by path or URL; ``deadline``: seconds,
    after which it waits no longer."""

    queue: str = Field(min_length=1)
    slot: int = Field(default=0, ge=0)
    deadline: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    _open: Queue | None = PrivateAttr(default=None)

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset(Kind)

    @cached_property
    def config(self) -> str:
        """Once queued, that of its seat; before, of its settings."""
        if self._open is not None:
            return human_config(self._open.id, self.slot)
        return digest({"class": "human", "fields": cast(JSON, self.model_dump(mode="json"))})

    @property
    def queues(self) -> tuple[str, ...]:
        return (self.queue,)

    @property
    def waits_at(self) -> str | None:
        """The id of its queue, once it is queued."""
        return self._open.id if self._open is not None else None

    def queued(self, queues: Mapping[str, Queue]) -> Self:
        if self.queue not in queues:
            raise PlanError(
                "queue", self.queue, "a labelling database that is open", "nobody opened this one"
            )
        ready = type(self).model_validate(self.model_dump())
        ready._open = queues[self.queue]
        return ready

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if self._open is None:
            raise ContractError("the caller of Human", "it is queued before it judges", self.queue)
        # Only the texts: what a revisited judgment said is in the queue already, or is not for these eyes.
        named = dict.fromkeys((question.prompt, *question.responses, *question.evidence))
        records: list[Record] = [desk.read(record) for record in named]
        self._open.post([question], records, slots=self.slot + 1)
        said = await self._open.answer(question.id, self.slot, self.deadline)
        if said is not None:
            return said
        by = By(type="protocol", name="Human", config=self.config)
        told = {"question": question.id, "by": by, "shown": question.responses}
        if self.deadline is None:
            note = f"slot {self.slot} cannot be answered any more: a text of the question was withdrawn"
            return Judgment.model_validate({**told, "abstention": "no_outcome", "note": note})
        note = f"slot {self.slot} was not answered within {self.deadline:g} seconds"
        return Judgment.model_validate({**told, "abstention": "timeout", "note": note})
