"""Replying: what arms on the helpdesk share: questions, demonstrations, lessons, and what is read.

Each seed has a table of facts, demonstrations and questions of its own; the questions that are read on
(``sealed``) stand in nothing that is trained on. A model lies in a folder of its own: an arm that goes on
from another's finds it, or makes it. Whether a policy came to boilerplate is said by the indicators
``diversity`` and ``template_collapse`` and the rule ``fell``, as a guard has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from pydantic import Field

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.auditing.journal import Journal
from accord.auditing.verdicts import Verdicts
from accord.desk import FrontDesk
from accord.engines.local import Local
from accord.engines.local.words import Size, save_words
from accord.feedback import Asking, StageFeedback
from accord.indicators.diversity import Diversity
from accord.indicators.template_collapse import TemplateCollapse
from accord.methods.ppo import PPO
from accord.methods.reward_model import RewardModel
from accord.methods.sft import SFT
from accord.overseers.reward import Reward
from accord.part import Part
from accord.ports import Ask, Draw, History, How, Learner, Look, Method, Overseer, Sampler, Task
from accord.progress import Progress
from accord.records import Episode, NotMeasured, Prompt, Reading
from accord.records.rows import Columns, Group, Row, Window
from accord.rules import Fell, default_rules
from accord.sources import seeded, taken
from accord.stores.files import make_folder, promote
from accord.stores.memory import MemoryStore
from accord.studies.arms import Items
from accord.studies.lessons import taught
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds.helpdesk import (
    PRINCIPLES,
    TOKENS,
    Helpdesk,
    Quality,
    broken,
    case_of,
    demonstration,
    right,
    tasks,
    truths,
    worth,
)

__all__ = ["Alarm", "Course", "Read", "Replying", "Said", "learnt_by", "preferred"]

Said = Sequence[tuple[Prompt, str]]

_READER = "study"
_WARMUP = 8
_PROBED = 4  # answers to a probe: with fewer, equal ones leave diversity too high to fall by half
_DIVERSITY = next(one for one in default_rules() if isinstance(one, Fell) and one.indicator == "diversity")


class Course(Part):
    """How long and how fast a stage trains: so many ``windows`` of ``rows``, ``step`` rows to an update.

    ``beta``: how PPO is held to where it began; other stages read nothing of it.
    """

    windows: int = Field(default=1, ge=1)
    rows: int = Field(ge=1)
    step: int = Field(default=64, ge=1)
    lr: float = Field(gt=0)
    beta: float = Field(default=0.05, ge=0)

    def hasty(self) -> Course:
        """The tenth part of it."""
        fewer = {"windows": max(1, self.windows // 10), "rows": max(self.step, self.rows // 10)}
        return self.model_copy(update=fewer if self.windows == 1 else {"windows": fewer["windows"]})


class Read(NamedTuple):
    """What a policy is on the sealed questions, and its answers to them."""

    items: Items
    groups: Sequence[Group]


class Alarm(NamedTuple):
    """What was read of a policy's answers against another's: whether it fired, and why; how much less they
    differ (EAD), and how much less they tell of their questions (nats)."""

    fired: bool
    spread: float
    told: float
    reason: str


@dataclass(frozen=True)
class Replying:
    """One seed: ``asked`` sealed questions, ``n`` answers to each."""

    seed: int
    worker: Worker
    progress: Progress
    asked: int
    n: int
    products: int = 24

    @cached_property
    def world(self) -> Helpdesk:
        return Helpdesk(products=self.products, table=self.seed)

    @cached_property
    def sealed(self) -> tuple[Prompt, ...]:
        """Questions to read on, each another text."""
        found = tasks(self.world, (f"{self.seed}/sealed/{number}" for number in range(2 * self.asked)))
        return tuple({prompt.text: prompt for prompt in found}.values())[: self.asked]

    def questions(self, part: str, count: int) -> list[Prompt]:
        """Questions to train on, none of them sealed; a text may come twice."""
        sealed = {prompt.text for prompt in self.sealed}
        found = tasks(self.world, (f"{self.seed}/{part}/{number}" for number in range(count)))
        return [prompt for prompt in found if prompt.text not in sealed]

    def demonstrated(self, part: str, count: int, quality: Quality) -> list[tuple[Prompt, str]]:
        """Demonstrations of this quality."""
        draw, asked = seeded("helpdesk", self.seed, part), self.questions(part, count)
        return [(one, demonstration(self.world, case_of(one.text), quality, draw)) for one in asked]

    # Lessons

    def untaught(self, folder: Path, size: Size) -> Path:
        """A policy that was taught nothing."""
        return _made(folder, lambda work: save_words(work, self.world.alphabet, self.seed, size=size))

    def taught(self, folder: Path, model: Path, said: Said, course: Course) -> Path:
        """The model after supervised fine-tuning on what is said, every answer to its end."""

        def make(work: Path) -> None:
            method = SFT(rows_per_step=course.step)
            learner = self._learner(model, method, course)
            sampler = learner.sampler()
            rows = [Row((Episode.single(sampler.encode(*one)),), group=g) for g, one in enumerate(said)]
            self._lessons(learner, method, rows, course)
            learner.export(work)

        return _made(folder, make)

    def rewarded(self, folder: Path, model: Path, pairs: Sequence[Row], course: Course) -> Path:
        """A reward model that starts from the model, taught these pairs."""

        def make(work: Path) -> None:
            method = RewardModel(rows_per_step=course.step)
            learner = self._learner(model, method, course)
            self._lessons(learner, method, pairs, course)
            learner.export(work)

        return _made(folder, make)

    def followed(self, folder: Path, model: Path, reward: Path, course: Course) -> Path:
        """The model after PPO against a reward model, which its critic starts from too."""

        def make(work: Path) -> None:
            method = PPO(beta=course.beta, epochs=2, rows_per_step=course.step)
            overseer = Reward(models=(str(reward),), reduction="mean", limit="none")
            judge = cast(Overseer, overseer.seated({str(reward): self.sampler(reward)}))
            asked = list({one.text: one for one in self.questions("ppo", 2000)}.values())
            ask = cast(Ask, Each(column="score", collapse="distribution"))
            learner = self._learner(model, method, course, str(reward))
            for index in range(course.windows):
                chosen = [asked[i] for i in taken(self.seed, index, course.rows, len(asked))]
                groups = self.answers(learner.sampler(), chosen, 1, f"ppo/{index}")
                told = judged(groups, ask, judge, self.worker)
                score = dict(zip(told.members, told.values["score"].tolist(), strict=True))
                rows = tuple(
                    Row((Episode.single(r),), {"score": score[r.id,]}, group=g)
                    for g, group in enumerate(groups)
                    for r in group.responses
                )
                taught(learner, method, Window(index, rows), self.seed)
            learner.export(work)

        return _made(folder, make)

    def _lessons(self, learner: Learner, method: Method, rows: Sequence[Row], course: Course) -> None:
        """Windows of these rows, in a fresh order for each pass over them."""
        for index in range(course.windows):
            places = taken(self.seed, index, min(course.rows, len(rows)), len(rows))
            taught(learner, method, Window(index, tuple(rows[i] for i in places)), self.seed)

    def _learner(self, model: Path, method: Method, course: Course, critic: str = "") -> Learner:
        task = Task(f"helpdesk/{self.seed}", self.seed, method.needs(), method.rows.by)
        return learnt_by(course.lr, critic).learner(str(model), task)

    # What is asked and read

    def sampler(self, model: Path) -> Sampler:
        return learnt_by(1.0).sampler(str(model), self.progress)

    def answers(self, model: Sampler, prompts: Sequence[Prompt], n: int, key: str) -> list[Group]:
        """Answers whose draws depend on the question and the key alone."""
        return self.worker.run(model.sample(prompts, n, How(f"study/{self.seed}/{key}", 1.0, TOKENS)))

    def read(self, model: Sampler) -> Read:
        """Of the answers to each sealed question the share that is right, and that of broken principles."""
        groups = self.answers(model, self.sealed, self.n, "read")
        names = [cast(str, one.columns["task"]) for one in self.sealed]
        vault = TruthVault("helpdesk", truths(self.world, names), {_READER: ("score",)}, MemoryStore())
        vault.seal(response.id for group in groups for response in group.responses)
        facts = cast("list[list[str]]", vault.read_all(names, "score", _READER))
        figures = ["helpful", "violations", "worth", *(f"broken.{name}" for name in PRINCIPLES)]
        found: dict[str, dict[str, float]] = {figure: {} for figure in figures}
        for name, group, fact in zip(names, groups, facts, strict=True):
            case, said = case_of(group.prompt.text), [one.text for one in group.responses]
            odd = [broken(case, text) for text in said]
            found["helpful"][name] = float(np.mean([right(case, fact, text) for text in said]))
            found["violations"][name] = float(np.mean([list(one.values()) for one in odd]))
            worths = [worth(case, fact, text) for text in said]
            found["worth"][name] = float(np.mean(worths))
            for place, one in enumerate(worths):
                found.setdefault(f"answer.{place}", {})[name] = one
            for principle in PRINCIPLES:
                found[f"broken.{principle}"][name] = float(np.mean([one[principle] for one in odd]))
        return Read(found, groups)

    def alarm(self, policy: Sampler, base: Sampler, probes: int, by: float) -> Alarm:
        """Whether answers of the policy are boilerplate, against the base's to the same questions: they
        differ less from each other, by the tolerance in use for ``diversity``, or tell less of their
        questions, by so large a share of what the base's told. ``probes`` questions for this, twice as many
        for that; ValueError where one of these could not be read."""
        asked = list({one.text: one for one in self.questions("probes", 4 * probes)}.values())[: 2 * probes]
        ours, theirs = (self.answers(one, asked, _PROBED, "probes") for one in (policy, base))
        look, draw = Look("study", 1, (), tuple(ours), policy), Draw(0, tuple(theirs))
        collapse = self._reading(
            self.worker.run(TemplateCollapse(batch=probes, every=1).read(look, base, draw))
        )
        spread = self._reading(self.worker.run(Diversity().read(look, base, draw)))
        said = (fallen(spread, _DIVERSITY.by), fallen(collapse, by))
        return Alarm(
            any(said), -(spread.change or 0.0), -(collapse.change or 0.0), "; ".join(filter(None, said))
        )

    @staticmethod
    def _reading(found: Reading | NotMeasured) -> Reading:
        if isinstance(found, NotMeasured):
            raise ValueError(f"{found.name}: {found.reason}")
        return found


def fallen(reading: Reading, by: float) -> str:
    """What the rule ``fell`` says of a reading: its reason, or nothing. What was nothing cannot fall."""
    if reading.base is not None and reading.base <= 0:
        return ""  # the rule would warn that a relative fall is undefined
    rule = Fell(indicator=reading.name, by=by, action="continue")
    return rule(History(reading.run, reading.step, (), (reading,), ())).reason or ""


def learnt_by(lr: float, critic: str = "") -> Local:
    """The engine: all weights, in float32 on one core."""
    return Local(
        adapter="full",
        lr=lr,
        critic=critic,
        critic_lr=lr,
        warmup=_WARMUP,
        precision="float32",
        decode="float32",
        device="cpu",
        tokens_per_pass=8192,
    )


def judged(groups: Sequence[Group], ask: Ask, overseer: Overseer, worker: Worker) -> Columns:
    """What an overseer says of these answers at a desk."""
    records = Verdicts(Journal())
    desk = FrontDesk(records.take, records.commit, records)
    asking = Asking(ask, overseer)
    return StageFeedback([asking], desk, worker, records.take).one(asking, groups)


def preferred(groups: Sequence[Group], overseer: Overseer, worker: Worker) -> list[Row]:
    """Pairs of answers as an overseer prefers them. What it does not judge, or finds equal, is no pair: it
    would teach only that the two are alike."""
    ask = cast(Ask, Pairs(column="p", collapse="distribution"))
    told = judged(groups, ask, overseer, worker)
    said = {r.id: (g, r) for g, group in enumerate(groups) for r in group.responses}
    rows: list[Row] = []
    for pair, p, missing in zip(told.members, told.values["p"].tolist(), told.missing.tolist(), strict=True):
        (place, one), (_, other) = (said[name] for name in pair)
        if not missing and p != 0.5 and one.text != other.text:
            episodes = Episode.single(one), Episode.single(other)
            rows.append(Row(episodes, {"p": float(p), "weight": 1.0}, group=place))
    return rows


def _made(folder: Path, make: Callable[[Path], object]) -> Path:
    """What is made in a folder, whole or not at all, unless it stands there."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with tempfile.TemporaryDirectory(prefix=".made-", dir=folder.parent) as scratch:
            work = Path(scratch) / "made"
            make(work)
            promote(work, folder)
    return folder
