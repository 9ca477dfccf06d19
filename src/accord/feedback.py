"""The asks of a stage put to their overseers: groups of answers in, one table of numbers out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from accord.desk import FrontDesk
from accord.errors import PlanError
from accord.maths.overuse import GOLD
from accord.ports import Ask, Overseer
from accord.records import Judgment, Record
from accord.records.rows import Columns, Floats, Group
from accord.worker import Worker

__all__ = ["Asking", "StageFeedback"]


class Asking(NamedTuple):
    """One ``[[ask]]`` of a plan, built."""

    ask: Ask
    overseer: Overseer


class StageFeedback:
    """Satisfies the ports ``Feedback`` and ``Recording``. ``write`` records every text it is shown."""

    def __init__(
        self,
        asking: Sequence[Asking],
        desk: FrontDesk,
        worker: Worker,
        write: Callable[[Iterable[Record]], None],
    ) -> None:
        self._asking, self._desk, self._worker = tuple(asking), desk, worker
        self._write = write
        self.abstained: Counter[str] = Counter()  # why, in the last call

    @property
    def asking(self) -> tuple[Asking, ...]:
        """The asks, in the order of the plan."""
        return self._asking

    def __call__(self, groups: Sequence[Group]) -> Columns | None:
        """The columns of every ask, joined; ``gold`` makes no row missing. None where nothing is asked."""
        if not self._asking:
            self.take(groups)
            return None
        tables = [self.one(asking, groups) for asking in self._asking]
        first = tables[0]
        values: dict[str, Floats] = {}
        for table in tables:
            if table.members != first.members:
                raise PlanError(
                    "ask", None, "asks of one stage speak of the same rows: all of answers, or all of pairs"
                )
            twice = values.keys() & table.values.keys()
            if twice:
                raise PlanError("ask", sorted(twice), "one ask for each column")
            values.update(table.values)
        # What is only read may be unknown of an answer that is learnt from.
        trained = [table.missing for table in tables if GOLD not in table.values]
        return Columns(
            members=first.members,
            values=values,
            missing=np.any(trained or [first.missing], axis=0),
            parents=tuple(tuple(p for t in tables for p in t.parents[r]) for r in range(len(first.members))),
        )

    def one(self, asking: Asking, groups: Sequence[Group]) -> Columns:
        """The columns of one ask. All questions are pending at once, so that overseers answer in batches."""
        self.take(groups)
        questions = asking.ask.questions(groups)

        async def all_judged() -> list[Judgment]:
            return list(await asyncio.gather(*(self._desk.ask(asking.overseer, q) for q in questions)))

        judgments = self._worker.run(all_judged())
        silent = [j for j in judgments if j.abstention is not None]
        self.abstained = Counter(
            f"{j.abstention} {j.note.partition(' (traceback')[0]}".strip() for j in silent
        )
        return asking.ask.columns(groups, judgments)

    def take(self, groups: Sequence[Group]) -> None:
        """Record these texts and ask nothing."""
        records = [record for group in groups for record in (group.prompt, *group.responses)]
        self._write(records)
        self._desk.hold(records)
