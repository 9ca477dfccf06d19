"""Judging: the asks of a plan's stage put to its overseers, over answers that somebody else brings.

For a file of answers (``accord judge PLAN FILE``) and for other trainers (``accord judge PLAN --listen``).
Verdicts are kept in a journal that goes by what is asked and of whom: the same answer to the same prompt is
judged once, whatever file or trainer brings it, and an interrupted work asks nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

from accord import catalog
from accord.assembly import Place, engine_of, seated
from accord.auditing.journal import Journal
from accord.auditing.verdicts import Verdicts
from accord.counted_apart import ask_of
from accord.desk import FrontDesk
from accord.errors import ContractError, PlanError, beneath, nearest
from accord.feedback import Asking, StageFeedback
from accord.plan import Plan, Stage
from accord.ports import Queued, Sampler, Seated
from accord.progress import Progress, Silent
from accord.records import JSON, Prompt, Response, digest
from accord.records.rows import Columns, Group
from accord.worker import Worker

__all__ = ["Judged", "Judges", "stage_of"]


class Judged(NamedTuple):
    """A row of verdicts: which answers it speaks of, by their places in the group, and the columns.

    ``why``: where a column has no number, what its overseer said instead of a verdict.
    """

    group: int
    answers: tuple[int, ...]
    columns: dict[str, float | None]
    why: str
    judgments: tuple[str, ...]

    def json(self) -> dict[str, JSON]:
        """What a line of a file, or an answer to a trainer, says of it."""
        told: dict[str, JSON] = {"group": self.group, "answers": list(self.answers), **self.columns}
        return {**told, "missing": self.why or None, "judgments": list(self.judgments)}


def stage_of(plan: Plan, name: str | None) -> Stage:
    """The stage of this name; without one the only one that asks. PlanError where it is unclear."""
    asking = [stage.name for stage in plan.stage if stage.ask]
    if name is None and len(asking) == 1:
        name = asking[0]
    if name is None or name not in asking:
        allowed = f"a stage with an [[stage.ask]]: {', '.join(asking) or 'this plan has none'}"
        raise PlanError("--stage", name, allowed, nearest(name or "", asking))
    return next(stage for stage in plan.stage if stage.name == name)


@dataclass
class Judges:
    """The overseers of a stage, seated. Use it in a ``with`` block; one thread at a time judges."""

    stage: Stage
    worker: Worker
    journal: Journal
    feedback: StageFeedback
    desk: FrontDesk
    _lock: threading.Lock

    @classmethod
    def open(cls, plan: Plan, stage: Stage, folder: Path, progress: Progress | None = None) -> Self:
        """PlanError where an overseer cannot be built without a run: one that reads with a stage's result."""
        progress = progress or Silent()
        asking = _asking(plan, stage, progress)
        asked = [[one.ask.__class__.__name__, one.overseer.config] for one in asking]
        tables = [cast(JSON, table.table()) for table in stage.ask]
        wish: dict[str, JSON] = {"kind": "judging", "asks": tables, "configs": cast(JSON, asked)}
        # What stands under this wish is gone on with: it holds verdicts, and no result to be overwritten.
        journal = Journal.begin(folder, wish, resume=(folder / digest(wish)[:12]).is_dir())
        worker = Worker()
        verdicts = Verdicts(journal)
        desk = FrontDesk(verdicts.take, verdicts.commit, verdicts)
        feedback = StageFeedback(asking, desk, worker, verdicts.take)
        return cls(stage, worker, journal, feedback, desk, threading.Lock())

    @property
    def asked(self) -> tuple[int, int]:
        """How many questions were asked by now, and how many had been answered before."""
        return self.desk.asked, self.desk.reused

    def judge(self, answered: Sequence[tuple[Prompt, Sequence[str]]]) -> list[Judged]:
        """Each prompt with answers to it, judged: the rows that the asks make of them, in order."""
        groups = [_group(prompt, texts) for prompt, texts in answered]
        # Equal answers to equal prompts are one fact, and are asked about once.
        distinct = list({(g.prompt.id, *(r.id for r in g.responses)): g for g in groups}.values())
        with self._lock:
            columns = self.feedback(distinct)
            if columns is None:
                raise ContractError("the stage of a judging", "has an ask", "none")
            silent = self._silences(distinct) if columns.missing.any() else {}
        rows: dict[str, dict[tuple[str, ...], int]] = {}  # by their first answer, in order, each once
        for row, members in enumerate(columns.members):
            rows.setdefault(members[0], {}).setdefault(members, row)
        found: list[Judged] = []
        for place, group in enumerate(groups):
            answers = [response.id for response in group.responses]
            mine = {row for a in answers for m, row in rows.get(a, {}).items() if set(m) <= set(answers)}
            found += [_judged((place, answers), columns, row, silent) for row in sorted(mine)]
        return found

    def close(self) -> None:
        """Let go of the journal and the thread."""
        self.worker.close()
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _silences(self, groups: Sequence[Group]) -> dict[str, list[tuple[frozenset[str], str]]]:
        """What overseers said instead of a verdict: by answer, with all the answers asked about."""
        found: dict[str, list[tuple[frozenset[str], str]]] = {}
        asked = [(one.overseer, q) for one in self.feedback.asking for q in one.ask.questions(groups)]
        for overseer, question in asked:
            judgment = self.desk.known((question.id, overseer.config))
            if judgment is None or judgment.abstention is None:
                continue
            note = judgment.note.partition(" (traceback")[0]
            said = f"{judgment.abstention}: {note}" if note else judgment.abstention
            for answer in question.responses:
                found.setdefault(answer, []).append((frozenset(question.responses), said))
        return found


def _judged(
    at: tuple[int, list[str]],
    columns: Columns,
    row: int,
    silent: dict[str, list[tuple[frozenset[str], str]]],
) -> Judged:
    """``at``: the place of a group, and the ids of its answers; ``silent``: why verdicts are missing."""
    group, answers = at
    members, missing = columns.members[row], bool(columns.missing[row])
    numbers = {name: None if missing else float(of_R[row]) for name, of_R in columns.values.items()}
    said = [text for asked, text in silent.get(members[0], []) if set(members) <= asked]
    why = ("; ".join(dict.fromkeys(said)) or "no verdict") if missing else ""
    return Judged(group, tuple(map(answers.index, members)), numbers, why, columns.parents[row])


def _group(prompt: Prompt, texts: Sequence[str]) -> Group:
    # An answer is the same fact wherever it stands; only a repeat of it in one group is another.
    places = [list(texts[:k]).count(text) for k, text in enumerate(texts)]
    said = zip(texts, places, strict=True)
    return Group(prompt, tuple(Response(prompt=prompt.id, text=t, finish="data", index=k) for t, k in said))


def _asking(plan: Plan, stage: Stage, progress: Progress) -> list[Asking]:
    engine, opened = engine_of(stage), dict[str, Sampler]()
    place = Place(Path("judging") / stage.name, plan, stage, plan.model, progress, None)
    found: list[Asking] = []
    for index, table in enumerate(stage.ask):
        with beneath(f"stage.{stage.name}.ask[{index}].overseer"):
            overseer = catalog.build("overseers", table.overseer)
            if isinstance(overseer, Queued) and overseer.queues:
                advice = "people are asked with: accord label --fill PLAN, then accord label or accord serve"
                raise PlanError("name", table.overseer.name, "an overseer that answers by itself", advice)
            for model in overseer.models if isinstance(overseer, Seated) else ():
                if model.startswith("stage:"):
                    advice = f'train it first, and name its folder: --set "…model=runs/RUN/{model[6:]}/model"'
                    raise PlanError("model", model, "a model that is there without a run", advice)
            built = seated(place, engine, (table.overseer, table.overseer), opened)
        found.append(Asking(ask_of(table), built, table.share))
    return found
