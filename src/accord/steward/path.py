"""The path: what ``accord run`` does without a method, from the portrait to where the gate would be needed.

    1. portrait       what has the model already learned?
    2. targets        which of our aims does that support? what is held is not trained
    3. amplify        what is within reach; then a dialogue about each divergence, training on what the model
                      revised itself, and the constitution for what stays divergent
    4. gate           for what is left below its target: what a push would be, and what evidence it would take

``runs/<name>/`` holds ``steward.json`` (``stores.chronicle``) and every run that a step made. Each step is on
disk before the next begins; killed anywhere, the path goes on from there, and nothing is done twice.

1. Nothing is pushed: a step that trains raises answers, and what would push stands behind the gate.
2. A step begins with the model that the ones before it came to. Its guard and its KL are relative to that;
   ``result`` compares the whole with the base, principle by principle. What meets its targets without a
   crossing and lost nothing is *preserved*: ``accord keep`` takes it, with no gate, for nothing was pushed.
3. A Pause that nothing else settles ends the path for now: a person answers for it, and it goes on. Where the
   guard halts every run of a step the path ends: what comes next is a person's choice.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self, cast

from accord.auditing import Engine
from accord.engines.local import Local
from accord.engines.openai_http import Reaching
from accord.errors import Refused
from accord.progress import Progress, Silent
from accord.records import JSON, digest
from accord.records.portraits import Portrait, Standing
from accord.records.stewarding import Tried
from accord.steward.answers import Faces, answered
from accord.steward.asked import check, read_terms, told_terms
from accord.steward.effort import Effort
from accord.steward.finished import wish_of
from accord.steward.harder import harder
from accord.steward.moved import Moved, moved
from accord.steward.portrait import Extent
from accord.steward.steps import Calls, Came, Ground, amplified, carried, constituted, conversed, learned
from accord.steward.targets import Targets, targets
from accord.steward.trial import questioned
from accord.steward.variants import Terms
from accord.stores.chronicle import QUESTIONS, Chronicle, Step
from accord.stores.files import make_folder, promote, write_aside
from accord.values import Values, read_values

__all__ = ["Stewarded", "Walk", "checked", "steward"]

Action = Literal["done", "pause", "halt"]
_TRAINS: tuple[Step, ...] = ("amplify", "revised", "constitution")
_ENDED: Mapping[Action, str] = {
    "done": "on its way",
    "pause": "paused: a person has to answer for a run",
    "halt": "the guard halted every run of a step",
}


class Stewarded(NamedTuple):
    """Where a stewardship came to. ``model``: the result, the base where nothing was taken; ``left``: what is
    below its target; ``waits``: the run whose Pause a person has to answer for."""

    folder: Path
    action: Action
    says: str
    model: str
    portrait: Portrait
    moved: tuple[Moved, ...]
    left: tuple[Standing, ...]
    waits: Path | None
    steps: Mapping[str, JSON]

    def json(self) -> dict[str, JSON]:
        """All of it; Records by their ids."""
        return {
            "folder": str(self.folder),
            "action": self.action,
            "says": self.says,
            "model": self.model,
            "portrait": self.portrait.id,
            "left": [{"principle": one.principle, "slice": one.slice} for one in self.left],
            "waits": None if self.waits is None else str(self.waits),
            "steps": dict(self.steps),
        }


def steward(  # size: what a stewardship may be given
    model: str,
    values: Values | Path | str,
    *,
    runs: Path = Path("runs"),
    name: str,
    effort: Effort | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    terms: Terms | None = None,
    portraits: Path = Path("portraits"),
    judge: str | None = None,
) -> Stewarded:
    """Walk the path to its end, or to a Pause or Halt. Called again under its name it goes on where it was.

    ``judge``: the model that criticises and revises; by default the one that is stewarded. Refused where the
    name is that of a stewardship that was asked otherwise.
    """
    checked(model, engine)
    walk = Walk.begin(
        model,
        values,
        runs=runs,
        name=name,
        effort=effort or Effort(),
        terms=terms or Terms(purpose="model"),
        portraits=portraits,
        judge=judge,
    )
    return walk.whole(engine, progress or Silent())


@dataclass
class Walk:
    """One stewardship on its way. Its four questions are answered in order, each once."""

    chronicle: Chronicle
    values: Values
    calls: Calls = field(default_factory=lambda: Calls.real())
    action: Action = "done"
    waits: Path | None = None

    @classmethod
    def begin(  # size: what a stewardship may be given
        cls,
        model: str,
        values: Values | Path | str,
        *,
        runs: Path,
        name: str,
        effort: Effort,
        terms: Terms,
        portraits: Path,
        judge: str | None = None,
    ) -> Self:
        """A new one, or the one of this name that was asked the same. PlanError before anything is written
        where its terms cannot be run."""
        values = values if isinstance(values, Values) else read_values(values)
        check(model, values, effort, terms)
        here = str(Path(model).resolve()) if Path(model).is_dir() else model
        told: dict[str, JSON] = {
            "model": here,
            "values": str(values.file),
            "document": values.name,
            "digest": values.digest,
            "checks": values.checks,
            "effort": effort.model_dump(mode="json"),
            "terms": told_terms(terms, runs),
            "portraits": str(portraits.absolute()),
            "judge": judge or here,
        }
        # As it will be read back: a tuple is a list there.
        asked = cast("dict[str, JSON]", json.loads(json.dumps(told)))
        found = cls(Chronicle.begin(runs.absolute(), name, asked), values)
        write_aside(found.chronicle.folder / "values.toml", values.toml())
        return found

    @classmethod
    def resumed(cls, folder: Path) -> Self:
        """The one in a folder. Refused where its values say something else now; and where their checks do,
        while there is anything left to judge."""
        chronicle = Chronicle.read(folder.absolute())
        values = read_values(Path(str(chronicle.asked["values"])))
        now = {"says": values.digest == chronicle.asked["digest"]}
        now["checks"] = chronicle.of("gate") is not None or values.checks == chronicle.asked.get("checks")
        if other := [what for what, same in now.items() if not same]:
            raise Refused(
                f"{values.file} {other[0]} something else than when {folder} began\n"
                "  restore it, or begin anew with another --name"
            )
        return cls(chronicle, values)

    def whole(self, engine: Engine | None, show: Progress) -> Stewarded:
        """Every question that is not answered yet."""
        for question in range(len(QUESTIONS)):
            self.answer(question, engine, show)
            if self.action != "done":
                break
        return self.stewarded()

    def answer(self, question: int, engine: Engine | None, show: Progress) -> None:
        """Do what one question takes, as far as it is not done. After a Pause or Halt nothing more is."""
        if question == 0:
            self._portrait(engine, show)
            return
        ground = self._ground(engine, show)
        if question == 1:
            self._finish("targets", lambda: Came(self._classes(self.targets)))
        elif question == 2:
            self._settle(ground)
        elif self.action == "done":
            self._finish("gate", lambda: harder(ground, self.model, self.left))

    def lines(self, question: int, faces: Faces) -> list[str]:
        """The answer, for a terminal."""
        return answered(question, self.chronicle, self.targets, faces)

    def stewarded(self) -> Stewarded:
        """Where it came to, so far."""
        result = self.chronicle.of("result")
        says = str(result["says"]) if result else f"{self.targets.headline}; {_ENDED[self.action]}"
        return Stewarded(
            self.chronicle.folder,
            self.action,
            says,
            self.model,
            self.portrait,
            self.changes,
            self.left,
            self.waits,
            self.chronicle.steps,
        )

    # What is known

    @property
    def portrait(self) -> Portrait:
        """The base's."""
        return self.chronicle.portrait(str(self._of("portrait")["id"]))

    @property
    def targets(self) -> Targets:
        return targets(self.portrait, self.values)

    @property
    def model(self) -> str:
        """What the steps so far came to; the base where nothing was taken."""
        taken = self._taken()
        return str(taken[-1]["model"]) if taken else str(self.chronicle.asked["model"])

    @property
    def after(self) -> Portrait:
        """The portrait of that model."""
        taken = self._taken()
        return self.chronicle.portrait(str(taken[-1]["after"])) if taken else self.portrait

    @property
    def changes(self) -> tuple[Moved, ...]:
        """Every principle before and now."""
        return moved(self.portrait, self.after)

    @property
    def left(self) -> tuple[Standing, ...]:
        """What was to change and is below its target still."""
        wanted = ("within reach", "divergent")
        return tuple(one.after for one in self.changes if one.before.verdict in wanted and not one.reached)

    def _of(self, step: Step) -> Mapping[str, JSON]:
        found = self.chronicle.of(step)
        assert found is not None, f"{step} is finished"
        return found

    def _taken(self) -> list[Mapping[str, JSON]]:
        found = [self.chronicle.of(step) for step in _TRAINS]
        return [one for one in found if one is not None and one.get("model") is not None]

    # Steps

    def _ground(self, engine: Engine | None, show: Progress) -> Ground:
        asked = self.chronicle.asked
        return Ground(
            base=str(asked["model"]),
            values=self.values,
            portrait=self.portrait,
            folder=self.chronicle.folder,
            portraits=Path(str(asked["portraits"])),
            effort=Effort.model_validate(asked["effort"]),
            terms=read_terms(cast("dict[str, JSON]", asked["terms"])),
            engine=engine,
            show=show,
            calls=self.calls,
        )

    def _portrait(self, engine: Engine | None, show: Progress) -> None:
        asked = self.chronicle.asked
        if self.chronicle.of("portrait") is not None:
            return
        effort = Effort.model_validate(asked["effort"])
        found = self.calls.portrait(
            str(asked["model"]),
            self.values,
            extent=Extent(effort.samples, effort.told, effort.items, effort.max_tokens),
            judges=read_terms(cast("dict[str, JSON]", asked["terms"])).judges,
            folder=Path(str(asked["portraits"])),
            engine=engine,
            progress=show,
        )
        self.chronicle.finished("portrait", {"id": found.id, "policy": found.policy}, [found])

    def _classes(self, found: Targets) -> dict[str, JSON]:
        told = found.json()
        return {"headline": found.headline, "classes": told["classes"], "contested": told["contested"]}

    def _settle(self, ground: Ground) -> None:
        """The third question: its steps in order, until one waits or was halted."""

        def learning() -> Came:
            talks = cast("list[dict[str, JSON]]", self._of("dialogue").get("dialogues", []))
            return learned(ground, self.model, talks)

        def revising() -> Came:
            divergent = {(one.principle, one.slice) for one in ground.of("divergent")}
            left = [one for one in self.left if (one.principle, one.slice) in divergent]
            return constituted(ground, self.model, left, str(self.chronicle.asked["judge"]))

        steps: dict[Step, Callable[[], Came]] = {
            "amplify": lambda: amplified(ground),
            "dialogue": lambda: conversed(ground),
            "revised": learning,
            "constitution": revising,
        }
        goes_on = all(self._finish(step, does) for step, does in steps.items())
        if goes_on or self.action == "halt":
            self._finish("result", lambda: self._result(ground))

    def _finish(self, step: Step, does: Callable[[], Came]) -> bool:
        """Whether the path goes on: the step is done, now or before, and the guard did not halt all of it."""
        if self.chronicle.of(step) is None:
            came = does()
            if came.waits is not None:
                self.action, self.waits = "pause", came.waits
                return False
            self.chronicle.finished(step, came.told, came.records)
        if self._of(step).get("halted"):
            self.action = "halt"
            return False
        return True

    def _result(self, ground: Ground) -> Came:
        """The whole beside the base, and the result's portrait where ``accord targets`` and the gate look."""
        changes = self.changes
        rose = sum(one.way == "rose" for one in changes)
        reached = sum(one.reached for one in changes if one.before.verdict in ("within reach", "divergent"))
        records: list[Tried] = []
        lost = [f"{one.before.principle}, {one.before.slice}" for one in changes if one.lost]
        held = [one for one in changes if one.before.verdict == "held"]
        if not self._taken():
            says = "nothing was taken: the model is the base"
        else:
            says = f"{rose} of {len(changes)} rose; {reached} that were below their target reach it"
            _shelved(self.after, ground)
            records = carried(ground, self.after, self.left, self.chronicle.records())
        if held:
            kept = len(held) - len(lost)
            says += f"; of {len(held)} held before {kept} show no fall"
        if lost:
            says += f"; LOWER than before: {'; '.join(lost)}"
        if self.left:
            says += f"; {len(self.left)} stay below their target"
        taken = [Path(str(one["model"])) for one in self._taken()]
        whole = taken and not self.left and not lost and ground.terms.purpose == "model"
        # What meets its targets, lost nothing and was never stopped pushed nothing: it needs no gate.
        preserved = bool(whole) and not any(map(questioned, taken))
        told: dict[str, JSON] = {
            "says": f"{says}; preserved: to be kept as it is" if preserved else says,
            "preserved": preserved,
            "model": self.model,
            "portrait": self.after.id,
            "moved": [one.json() for one in changes],
            "lost": cast("list[JSON]", lost),
        }
        return Came(told, tuple(records))


def checked(model: str, engine: Engine | None) -> None:
    """Raises where there is no such model."""
    (engine or Reaching(Local())).check(model)


def _shelved(after: Portrait, ground: Ground) -> None:
    """What the result was asked, beside the portrait of the base: nothing of it is asked again there."""
    name = digest(wish_of(after.policy, after.values))[:12]
    final = ground.portraits / name
    made = sorted(ground.folder.glob(f"*/portraits/{name}"))
    if final.exists() or not made:
        return
    make_folder(ground.portraits)
    with tempfile.TemporaryDirectory(prefix=".portrait-", dir=ground.portraits) as scratch:
        work = Path(scratch) / name
        shutil.copytree(made[0], work)
        promote(work, final)
