"""Portrait: what a model is asked of a values document before anything is trained; once, and kept.

``portraits/<id>/``: the id is the hash of the weights and of the values; ``asked.jsonl`` has every answer,
verdict and probability, each on disk before it is used; ``portrait.json`` the Record of the last one. Asked
again with more samples, only the new ones are asked; broken off, it goes on where it was.

1. Answers are drawn in blocks of four with a key of their own, so that sixteen begin with the four of before.
2. Only the sealed half of the prompts is asked: nothing is ever trained on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shlex import join
from typing import Literal, NamedTuple, cast, get_args

import numpy as np

from accord.auditing import Engine, audit
from accord.auditing.asking import Asking, Budget, Foreseen
from accord.auditing.foresight import Foresight, pace
from accord.auditing.journal import Journal
from accord.auditing.programme import Depth, Wish, programme
from accord.auditing.verdicts import Verdicts
from accord.desk import FrontDesk
from accord.engines.local import Local
from accord.engines.openai_http import Reaching, is_remote
from accord.errors import PlanError, nearest
from accord.feedback import Asking as Asked
from accord.feedback import StageFeedback
from accord.indicators.compatibility import instructed
from accord.ports import How, Sampler
from accord.progress import Progress, Silent
from accord.records import Cost, Prompt, Response, digest, finite
from accord.records.rows import Floats, Group
from accord.steward.contrasts import contrasts
from accord.steward.finished import FILE, wish_of
from accord.steward.judges import PERSON, Judged, Judges, Nobody, judge_of, judged_by, waiting
from accord.steward.ledger import journal_of
from accord.steward.standing import BEST, Portrait, Seen, Shown, Standing, standing_of
from accord.stores.files import write_aside
from accord.values import Case, Principle, Slice, Values, read_values, shipped_values
from accord.worker import Worker

__all__ = ["DEPTHS", "Extent", "portrait"]

DEPTHS = ("values", *get_args(Depth))
_BLOCK = 4


class Extent(NamedTuple):
    """How much is asked. ``samples`` own answers to each prompt, ``told`` ones with the principle stated;
    ``prompts``: at most so many of each slice, None for all. ``depth``: that of the audit, ``values`` for
    none. ``command``: how a person asks again, for remedies."""

    samples: int = BEST
    told: int = _BLOCK
    prompts: int | None = None
    max_tokens: int = 128
    temperature: float = 1.0
    depth: str = "values"
    command: str = ""

    def checked(self) -> Extent:
        """PlanError where it cannot be done."""
        least = {"--samples": (self.samples, 1), "--told": (self.told, 1), "--prompts": (self.prompts, 2)}
        for name, (number, few) in least.items():
            if number is not None and number < few:
                raise PlanError(name, number, f"a number of {few} or more")
        if self.depth not in DEPTHS:
            raise PlanError("--depth", self.depth, ", ".join(DEPTHS), nearest(self.depth, DEPTHS))
        return self


class _Course(NamedTuple):
    """A principle in a slice, what is asked of it, and who judges; ``sealed`` prompts could be asked."""

    principle: Principle
    slice: str
    cases: tuple[Case, ...]
    instruction: str
    judge: Asked | Nobody
    sealed: int

    @property
    def prompts(self) -> list[Prompt]:
        return [case.prompt for case in self.cases]

    @property
    def told(self) -> list[Prompt]:
        return [instructed(case.prompt, self.instruction) for case in self.cases]


def portrait(  # size: what a portrait may be given, each with a default
    model: str,
    values: Values | Path | str,
    *,
    extent: Extent | None = None,
    judges: Judges | None = None,
    audits: Path = Path("audits"),
    folder: Path | None = Path("portraits"),
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Portrait:
    """Ask the model, judge what it says, and class every principle and slice. What it takes is told first.

    ``folder`` keeps what was asked, None keeps nothing; ``audits`` where the audit of a depth other than
    ``values`` lies or is made. PlanError where values, depth or model are none.
    """
    extent, show = (extent or Extent()).checked(), progress or Silent()
    values = values if isinstance(values, Values) else read_values(values)
    if not extent.command:
        # It stands in the Record, which travels: no folder of this machine.
        name = values.name if shipped_values().get(values.name) == values.file else values.file.name
        extent = extent._replace(command=join(["accord", "targets", model, "--values", name]))
    opener = engine or Reaching(Local())
    opener.check(model)
    show.say(f"opening {model}")
    sampler = opener.sampler(model, show)
    if not sampler.can & {"sample", "logp"}:
        can = ", ".join(sorted(sampler.can))
        raise PlanError("MODEL", model, "a model that answers or tells log-probabilities", f"it can {can}")
    with journal_of(folder, wish_of(sampler.policy, values.digest)) as journal, Worker() as worker:
        courses = _courses(values, extent, judges or Judges(), partial(opener.sampler, progress=show))
        sitting = _Sitting(sampler, extent, judges or Judges(), journal, worker, show, is_remote(model))
        found = sitting.drawn(model, values, courses)
    if extent.depth != "values":
        audited = _audited(model, sampler.policy, cast(Depth, extent.depth), (audits, opener, show))
        found = found.model_copy(update={"audit": str(audited)})
    if journal.folder is not None:
        told = json.dumps(finite({"id": found.id, **found.body()}), ensure_ascii=False, indent=1)
        write_aside(journal.folder / FILE, told)
        show.say(f"kept in {journal.folder}")
    return found


@dataclass
class _Sitting:
    """One model before its journal: asks what is not there, and has it judged."""

    sampler: Sampler
    extent: Extent
    judges: Judges
    journal: Journal
    worker: Worker
    show: Progress
    remote: bool
    _desk: FrontDesk = field(init=False)
    _records: Verdicts = field(init=False)

    def __post_init__(self) -> None:
        self._records = Verdicts(self.journal)
        self._desk = FrontDesk(self._records.take, self._records.commit, self._records)

    def drawn(self, model: str, values: Values, courses: Sequence[_Course]) -> Portrait:
        """The whole portrait, but for the audit."""
        self._foretell(model, courses)
        asking = Asking(self.sampler, self.journal, Budget(), self.show, self.remote)
        silent = {} if "logp" in self.sampler.can else {"contrast": "the model tells no log-probabilities"}
        silent |= {} if "sample" in self.sampler.can else {"own": "the model gives no answers"}
        standings = [self._standing(asking, course) for course in courses]
        self.show.end()
        return Portrait(
            model=model,
            policy=self.sampler.policy,
            values=values.digest,
            checks=values.checks,
            depth=cast(Literal["values", "quick", "standard", "full"], self.extent.depth),
            samples=self.extent.samples,
            told=self.extent.told,
            max_tokens=self.extent.max_tokens,
            temperature=self.extent.temperature,
            standings=tuple(standings),
            outcomes=tuple(one.id for one in values.principles if one.target is None),
            not_measured=silent,
            cost=self.journal.asked().get(self.sampler.policy, Cost()),
        )

    def _foretell(self, model: str, courses: Sequence[_Course]) -> None:
        """Say what is left to ask, walked with a sampler that says nothing: what is shared counts once."""
        fake = Foreseen(self.sampler, model, self.remote, "logp" not in self.sampler.can or not self.remote)
        for course in courses:
            self._answers(fake, course)
            self.worker.run(contrasts(fake, course.cases))
        asked = self.journal.asked().get(self.sampler.policy, Cost())
        left = Cost()
        if fake.cost.calls > asked.calls:
            read, wrote = fake.cost.tokens_in - asked.tokens_in, fake.cost.tokens_out - asked.tokens_out
            calls = fake.cost.calls - asked.calls
            left = Cost(calls=calls, tokens_in=max(0, read), tokens_out=max(0, wrote))
        here = left.calls and not self.remote
        speed = pace(self.worker, self.sampler) if here else None
        names = frozenset({model} if self.remote else ())
        self.show.say(f"{Foresight({model: left}, names, speed, None).line}; judges are asked beside it")
        self.show.begin("portrait", float(left.tokens_in + left.tokens_out))

    def _standing(self, asking: Asking, course: _Course) -> Standing:
        self.show.advance(0, f"{course.principle.id}, {course.slice}")
        contrast_P, whole_P = self.worker.run(contrasts(asking, course.cases))
        items = tuple(case.prompt.id for case in course.cases)
        seen = Seen(items, contrast_P=contrast_P, whole_P=whole_P)
        if isinstance(course.judge, Nobody):
            return standing_of(
                course.principle,
                course.slice,
                seen._replace(why=course.judge.why, remedy=course.judge.remedy),
            )
        own, told = self._answers(asking, course)
        if not own:
            return standing_of(
                course.principle, course.slice, seen._replace(why="the model gives no answers")
            )
        judged = self._judged(course, [*own, *told])
        seen = seen._replace(
            own_P=_verdicts(own, judged),
            told_P=_verdicts(told, judged),
            why=f"no answer was judged{judged.silent}",
            remedy=self._remedy(course, judged, len(own) * (self.extent.samples + self.extent.told)),
            shown=_examples(own, judged, course.principle.judge == PERSON),
            evidence=judged.judgments,
        )
        return standing_of(course.principle, course.slice, seen)

    def _remedy(self, course: _Course, judged: Judged, answers: int) -> tuple[str, ...]:
        """The commands that supply what lacks, if any can; they count where there is no evidence."""
        found: list[str] = []
        if course.principle.judge == PERSON and self.judges.people and len(judged.kept) < answers:
            found.append(f"{waiting(self.judges.people)}, then this again")
        if self.extent.samples < BEST or len(course.cases) < course.sealed:
            samples = max(BEST, self.extent.samples)
            found.append(f"{self.extent.command} --samples {samples}")
        return tuple(found)

    def _answers(self, sampler: Sampler, course: _Course) -> tuple[list[Group], list[Group]]:
        """Own answers, and those with the principle stated; none where nobody could judge them."""
        if isinstance(course.judge, Nobody) or "sample" not in sampler.can:
            return [], []
        own = self._blocks(sampler, course.prompts, "own", self.extent.samples)
        return own, self._blocks(sampler, course.told, "told", self.extent.told)

    def _blocks(self, sampler: Sampler, prompts: Sequence[Prompt], what: str, n: int) -> list[Group]:
        said: list[list[Response]] = [[] for _ in prompts]
        for start in range(0, n, _BLOCK):
            key = f"portrait/{what}/{start // _BLOCK}"
            how = How(key, self.extent.temperature, self.extent.max_tokens)
            groups = self.worker.run(sampler.sample(prompts, min(_BLOCK, n - start), how))
            for mine, group in zip(said, groups, strict=True):
                mine += group.responses
        return [Group(prompt, tuple(mine)) for prompt, mine in zip(prompts, said, strict=True)]

    def _judged(self, course: _Course, groups: Sequence[Group]) -> Judged:
        assert not isinstance(course.judge, Nobody), "nothing is sampled where nobody judges"
        feedback = StageFeedback([course.judge], self._desk, self.worker, self._records.take)
        return judged_by(course.principle, course.judge, feedback, groups)


def _courses(
    values: Values, extent: Extent, judges: Judges, open_model: Callable[[str], Sampler]
) -> list[_Course]:
    """Every slice of every principle with a target. Models that judge are opened once each."""
    opened: dict[str, Sampler] = {}

    def opening(model: str) -> Sampler:
        opened[model] = opened.get(model) or open_model(model)
        return opened[model]

    found: list[_Course] = []
    for principle in values.principles:
        if principle.target is None:
            continue
        judge = judge_of(values, principle, judges, opening, extent.command)
        told = values.instruction(principle.id)
        slices: Sequence[Slice] = values.slices(principle.id)
        found += [
            _Course(principle, one.name, one.audit[: extent.prompts], told, judge, len(one.audit))
            for one in slices
        ]
    return found


def _verdicts(groups: Sequence[Group], judged: Judged) -> list[Floats]:
    return [np.array([judged.kept.get(r.id, np.nan) for r in group.responses]) for group in groups]


def _examples(groups: Sequence[Group], judged: Judged, by_people: bool) -> tuple[Shown, ...]:
    """Two answers: one that keeps it and one that does not, where both were given; by chance, but settled.

    What people said of a single answer is theirs, and stays where they said it.
    """
    every = sorted(((r.id, g.prompt, r) for g in groups for r in g.responses), key=lambda one: one[0])
    verdicts = [judged.kept.get(name, np.nan) for name, _, _ in every]
    places = [next((i for i, kept in enumerate(verdicts) if kept == wanted), None) for wanted in (1.0, 0.0)]
    chosen = [i for i in places if i is not None]
    chosen += [i for i in range(len(every)) if i not in chosen][: 2 - len(chosen)]
    return tuple(
        Shown(
            prompt=every[i][1].text,
            answer=every[i][2].text,
            kept=None if by_people or np.isnan(verdicts[i]) else bool(verdicts[i]),
        )
        for i in chosen
    )


def _audited(model: str, policy: str, depth: Depth, around: tuple[Path, Engine, Progress]) -> Path:
    """The folder of a finished audit of these weights: one that stands, is gone on with, or new."""
    audits, engine, show = around
    name = digest(programme(Wish((model,), depth=depth)).written())[:12]
    begun = [folder for folder in sorted(audits.glob(f"{name}*")) if folder.is_dir()]
    for folder in begun:
        file = folder / "audit.json"
        if file.is_file() and policy in json.loads(file.read_text(encoding="utf-8"))["policies"].values():
            show.say(f"an audit of {model} at depth {depth} stands in {folder}; no other one is made")
            return folder
    resume = any(not (folder / "audit.json").is_file() for folder in begun)
    table = audit([model], depth=depth, folder=audits, resume=resume, engine=engine, progress=show)
    return Path(table.folder)
