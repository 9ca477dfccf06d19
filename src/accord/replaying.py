"""Replaying: the policies between two kept ones, from training repeated on what is recorded (layer 4).

Training goes on from the newest checkpoint before the gap, or from the stage's start, in a folder of its own.
It draws the same answers and reads the same judgments; nobody is asked. A judgment that is not recorded, or
weights of a kept policy that are not, to the byte, those that were kept, and the gap stands: then
nothing tells that the policies in between are those that the run had.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from accord.assembly import Place, assembled
from accord.desk import FrontDesk
from accord.errors import AccordError, ContractError
from accord.feedback import StageFeedback
from accord.frozen import Frozen
from accord.guard import Guard
from accord.loop import Loop
from accord.ports import Closing, Desk, How, Overseer, Sampler, Snapping
from accord.progress import Progress, Silent
from accord.records import Judgment, Kind, Prompt, Question, Record, Response
from accord.redrawing import weights_digest
from accord.snapshots import at_step
from accord.stores.files import make_folder
from accord.stores.runlog import LogView, RunLog
from accord.worker import Worker

__all__ = ["Replayed", "forget", "replayed"]

_NEVER = 2**62  # windows or updates
_TEXTS = ("prompt", "response", "question", "judgment")


class Replayed(NamedTuple):
    """The folder with the policies of the gap, both ends too, or None; and what was done, or why not."""

    folder: Path | None
    says: str


class _Stopped(AccordError):
    """Training is repeated no further; an empty text means that the gap is filled."""


class _Recorded:
    """An overseer whose judgments are all on record: it is never asked, and notes it where it would be.

    Only what a protocol made of people's judgments is made of them once more.
    """

    def __init__(self, inner: Overseer, frozen: Frozen, missed: list[str]) -> None:
        self._inner, self._frozen, self._missed = inner, frozen, missed

    @property
    def answers(self) -> frozenset[Kind]:
        return self._inner.answers

    @property
    def config(self) -> str:
        return self._inner.config

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if self._frozen.made_again(question.id, self.config):
            return await self._inner.judge(question, _RecordedDesk(desk, self._frozen, self._missed))
        self._missed.append(question.id)
        raise ContractError("the log", "it holds every judgment that training rested on", question.id)


class _RecordedDesk:
    """The desk of a protocol that is repeated: nobody whom it asks is asked, and nothing is said."""

    def __init__(self, desk: Desk, frozen: Frozen, missed: list[str]) -> None:
        self._desk, self._frozen, self._missed = desk, frozen, missed

    def read(self, record: str) -> Record:
        return self._desk.read(record)

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        return await self._desk.ask(_Recorded(overseer, self._frozen, self._missed), question)

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        del sampler, how
        self._missed.append(prompt.id)
        raise ContractError("the log", "it holds every text that training rested on", prompt.id)


def replayed(place: Place, view: LogView, gap: tuple[int, int], most: int) -> Replayed:
    """Repeat the training of a stage from ``gap[0]`` to ``gap[1]``, two steps whose policies are kept.

    ``most``: as many updates may be repeated.
    """
    checkpoint = _before(place.folder, gap[0])
    start = int(checkpoint.stem) if checkpoint else 0
    if gap[1] - start > most:
        count = gap[1] - start
        return Replayed(
            None, f"the gap stands: {count:,} updates would be repeated, --repeat {count} allows it"
        )
    there = _elsewhere(place, checkpoint)
    place.progress.begin(f"{place.stage.name}: repeating updates {start:,} to {gap[1]:,}", gap[1] - start)
    try:
        with (
            RunLog.open(there.folder, place.run) as log,
            Frozen(place.folder) as frozen,
            Worker() as worker,
        ):
            loop = assembled(there._replace(frozen=frozen), log, view, worker)
            repeat = _Repeat(loop, frozen, place.folder, there.folder, gap, place.progress)
            try:
                repeat.run(view, worker)
            finally:
                if isinstance(loop.learner, Closing):
                    loop.learner.close()
    except AccordError as error:
        if str(error):
            return Replayed(None, f"the gap stands: {str(error).splitlines()[0]}")
    came = "and the weights came out the same"
    return Replayed(there.folder, f"updates {start + 1:,} to {gap[1]:,} were repeated, {came}")


def forget(place: Place) -> None:
    """Remove what replays left."""
    shutil.rmtree(place.folder / ".replay", ignore_errors=True)


def _before(folder: Path, step: int) -> Path | None:
    """The newest checkpoint of this step or an earlier one."""
    found = sorted(p for p in (folder / "checkpoints").glob("[0-9]*.*") if p.is_dir() and int(p.stem) <= step)
    return found[-1] if found else None


def _elsewhere(place: Place, checkpoint: Path | None) -> Place:
    """A place of the same run and stage names, for draws are named by them, that begins at the checkpoint."""
    forget(place)
    run = place.folder.parent
    folder = place.folder / ".replay" / run.name / place.folder.name
    make_folder(folder / "checkpoints")
    for stage in place.plan.stage:
        if stage.name != place.stage.name and (run / stage.name).is_dir():
            (folder.parent / stage.name).symlink_to(run / stage.name)
    if checkpoint is not None:
        (folder / "checkpoints" / checkpoint.name).symlink_to(checkpoint)
    return place._replace(folder=folder, progress=Silent(), store=None)


@dataclass
class _Repeat:
    """One stretch of training, repeated: ``kept`` is the stage's folder, ``there`` the replay's."""

    loop: Loop
    frozen: Frozen
    kept: Path
    there: Path
    gap: tuple[int, int]
    progress: Progress
    _missed: list[str] = field(default_factory=list[str])

    def run(self, view: LogView, worker: Worker) -> None:
        """Train to the end of the gap. Always ends in _Stopped."""
        loop, watch = self.loop, self.loop.guard.watch
        quiet = watch._replace(
            indicators=(), rules=(), panelled=(), probing=watch.probing._replace(prompts=())
        )
        loop.guard = Guard(quiet, _nothing, worker)
        loop.commit = _nothing
        loop.evaluator = loop.examine = None
        loop.pace = replace(loop.pace, audit_every=_NEVER, save_every=_NEVER)
        assert isinstance(loop.feedback, StageFeedback), "assembled gives the loop this one"
        desk = FrontDesk(_nothing, _nothing, spoken=self.frozen)
        desk.hold(record for kind in _TEXTS for record in view.records(kind))
        asking = [
            one._replace(overseer=_Recorded(one.overseer, self.frozen, self._missed))
            for one in loop.feedback.asking
        ]
        loop.feedback = StageFeedback(asking, desk, worker, _nothing)
        loop.snapshot = self._stepped
        self._compared(loop.state.step)
        loop.train()
        raise _Stopped(f"training ended at update {loop.state.step:,}, before the gap did")

    def _stepped(self) -> None:
        """After every update: keep the policy, compare one that the run kept too, and end with the gap."""
        self.progress.advance(1)
        if self._missed:
            raise _Stopped("evidence incomplete, a judgment that training rested on is not recorded")
        self._compared(self.loop.state.step)
        if self.loop.state.step >= self.gap[1]:
            raise _Stopped("")

    def _compared(self, step: int) -> None:
        learner, mine, known = self.loop.learner, at_step(self.there, step), at_step(self.kept, step)
        if step < self.gap[0] or not isinstance(learner, Snapping):
            return
        if not mine.exists():
            learner.snapshot(mine)
        if known.exists() and weights_digest(mine) != weights_digest(known):
            raise _Stopped(f"repeated, update {step:,} has other weights than the run had")


def _nothing(*_: object) -> None:
    """What is repeated is on record already."""
