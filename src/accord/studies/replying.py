"""Replying: what arms on the helpdesk share: questions, demonstrations, lessons, and what is read.

Each seed has a table of facts, demonstrations and questions of its own; the questions that are read on
(``sealed``) stand in nothing that is trained on. A model lies in a folder of its own: an arm that goes on
from another's finds it, or makes it. Whether a policy came to boilerplate is said by the indicators
``diversity`` and ``template_collapse`` and the rule ``fell``, as a guard has them. A quick study has about a
tenth of the questions and of the lessons.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from accord.records import Episode, NotMeasured, Prompt, Reading
from accord.records.rows import Columns, Group, Row, Window
from accord.rules import Fell, default_rules
from accord.sources import seeded, taken
from accord.stores.files import make_folder, promote
from accord.stores.memory import MemoryStore
from accord.studies.arms import Items
from accord.studies.lessons import taught
from accord.studies.port import Setting
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

__all__ = ["SEEN", "Alarm", "Course", "Replying", "fallen", "graded", "preferred"]

Said = Sequence[tuple[Prompt, str]]

_READER = "study"
_WARMUP = 8
_FEW = 24  # at least so many of what a quick one has a tenth of
_FOLLOWED = 2000  # questions that PPO takes its windows from
SEEN = 0.01  # a smaller difference is none: without it a coin would decide between two that are equal
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
        """A tenth of its windows, or where there is one of its rows; no less than a window, or a step."""
        if self.windows > 1:
            return self.model_copy(update={"windows": max(1, self.windows // 10)})
        return self.model_copy(update={"rows": max(self.step, self.rows // 10)})


class Alarm(NamedTuple):
    """What was read of a policy's answers against another's: whether it fired; how much less they differ
    (EAD), and how much less they tell of their questions (nats)."""

    fired: bool
    spread: float
    told: float


@dataclass(frozen=True)
class Replying:
    """One seed of a study. ``counts``: how many of what, as the study is settled on."""

    seed: int
    worker: Worker
    at: Setting
    counts: Mapping[str, int]
    products: int

    @cached_property
    def world(self) -> Helpdesk:
        return Helpdesk(products=self.products, table=self.seed)

    def count(self, of: str) -> int:
        """How many; of a quick study fewer, but for the answers to a question."""
        whole = self.counts[of]
        return max(_FEW, whole // 10) if self.at.quick and of != "answers" else whole

    @cached_property
    def sealed(self) -> tuple[Prompt, ...]:
        """Questions to read on, each another text."""
        count = self.count("sealed")
        found = tasks(self.world, (f"{self.seed}/sealed/{number}" for number in range(2 * count)))
        return tuple(_once(found)[:count])

    def questions(self, part: str, count: int) -> list[Prompt]:
        """Questions to train on, none of them sealed; a text may come twice."""
        sealed = {prompt.text for prompt in self.sealed}
        found = tasks(self.world, (f"{self.seed}/{part}/{number}" for number in range(count)))
        return [prompt for prompt in found if prompt.text not in sealed]

    def different(self, part: str, count: int = 0) -> list[Prompt]:
        """The same, each text once; as many as are counted for this part, where nobody says how many."""
        return _once(self.questions(part, count or self.count(part)))

    def demonstrated(self, part: str, quality: Quality) -> list[tuple[Prompt, str]]:
        """Demonstrations of this quality, as many as are counted for this part."""
        draw, asked = seeded("helpdesk", self.seed, part), self.questions(part, self.count(part))
        return [(one, demonstration(self.world, case_of(one.text), quality, draw)) for one in asked]

    # Lessons: each gives the folder of a model by its name, which is made where it is not there yet.

    def untaught(self, name: str, size: Size) -> Path:
        """A policy that was taught nothing."""
        return self._made(name, lambda work: save_words(work, self.world.alphabet, self.seed, size=size))

    def taught(self, name: str, model: Path, said: Said, course: Course) -> Path:
        """The model after supervised fine-tuning on what is said, every answer to its end."""
        course = self._sized(course)

        def make(work: Path) -> None:
            method = SFT(rows_per_step=course.step)
            learner = self._learner(model, method, course)
            sampler = learner.sampler()
            rows = [Row((Episode.single(sampler.encode(*one)),), group=g) for g, one in enumerate(said)]
            self._lessons(learner, method, rows, course)
            learner.export(work)

        return self._made(name, make)

    def rewarded(self, name: str, model: Path, pairs: Callable[[], Sequence[Row]], course: Course) -> Path:
        """A reward model that starts from the model, taught these pairs; nobody makes them in vain."""
        course = self._sized(course)

        def make(work: Path) -> None:
            method = RewardModel(rows_per_step=course.step)
            learner = self._learner(model, method, course)
            self._lessons(learner, method, pairs(), course)
            learner.export(work)

        return self._made(name, make)

    def followed(self, name: str, model: Path, reward: Path, course: Course) -> Path:
        """The model after PPO against a reward model, which its critic starts from too."""
        course = self._sized(course)

        def make(work: Path) -> None:
            method = PPO(beta=course.beta, epochs=2, rows_per_step=course.step)
            judge = self.reward(reward)
            asked = self.different("ppo", _FOLLOWED)
            learner = self._learner(model, method, course, str(reward))
            for index in range(course.windows):
                chosen = [asked[i] for i in taken(self.seed, index, course.rows, len(asked))]
                groups = self.answers(learner.sampler(), chosen, 1, f"ppo/{index}")
                score = graded(groups, judge, self.worker)
                rows = tuple(
                    Row((Episode.single(r),), {"score": score[r.id]}, group=g)
                    for g, group in enumerate(groups)
                    for r in group.responses
                )
                taught(learner, method, Window(index, rows), self.seed)
            learner.export(work)

        return self._made(name, make)

    def folder(self, name: str) -> Path:
        """Where a model of this seed lies."""
        return self.at.folder / "models" / f"{name}-{self.seed}"

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of a model, made whole or not at all, unless it stands there."""
        folder = self.folder(name)
        if not folder.is_dir():
            make_folder(folder.parent)
            with tempfile.TemporaryDirectory(prefix=".made-", dir=folder.parent) as scratch:
                work = Path(scratch) / "made"
                make(work)
                promote(work, folder)
        return folder

    def _sized(self, course: Course) -> Course:
        return course.hasty() if self.at.quick else course

    def _lessons(self, learner: Learner, method: Method, rows: Sequence[Row], course: Course) -> None:
        """Windows of these rows, in a fresh order for each pass over them."""
        for index in range(course.windows):
            places = taken(self.seed, index, min(course.rows, len(rows)), len(rows))
            taught(learner, method, Window(index, tuple(rows[i] for i in places)), self.seed)

    def _learner(self, model: Path, method: Method, course: Course, critic: str = "") -> Learner:
        task = Task(f"helpdesk/{self.seed}", self.seed, method.needs(), method.rows.by)
        return _learnt_by(course.lr, critic).learner(str(model), task)

    # What is asked and read

    def sampler(self, model: Path) -> Sampler:
        return _learnt_by(1.0).sampler(str(model), self.at.progress)

    def reward(self, model: Path) -> Overseer:
        """A reward model, to ask for scores."""
        name = str(model)
        reward = Reward(models=(name,), reduction="mean", limit="none")
        return cast(Overseer, reward.seated({name: self.sampler(model)}))

    def answers(self, model: Sampler, prompts: Sequence[Prompt], n: int, key: str) -> list[Group]:
        """Answers whose draws depend on the question and the key alone."""
        return self.worker.run(model.sample(prompts, n, How(f"study/{self.seed}/{key}", 1.0, TOKENS)))

    def read(self, model: Sampler) -> Items:
        """Of the answers to each sealed question the share that is right, that of broken principles, what
        they are worth, and what each of them is (``answer.k``)."""
        groups = self.answers(model, self.sealed, self.count("answers"), "read")
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
        return found

    def alarm(self, policy: Sampler, base: Sampler, by: float) -> Alarm:
        """Whether answers of the policy are boilerplate, against the base's to the same questions: they
        differ less from each other, by the tolerance in use for ``diversity``, or tell less of their
        questions, by so large a share of what the base's told. The last is read on ``probes`` questions, the
        first on twice as many; ValueError where one of them could not be."""
        probes = self.count("probes")
        asked = self.different("probes", 4 * probes)[: 2 * probes]
        ours, theirs = (self.answers(one, asked, _PROBED, "probes") for one in (policy, base))
        look, draw = Look("study", 1, (), tuple(ours), policy), Draw(0, tuple(theirs))
        collapse = TemplateCollapse(batch=probes, every=1).read(look, base, draw)
        told, less_told = _fall(self.worker.run(collapse))
        spread, less_spread = _fall(self.worker.run(Diversity().read(look, base, draw)))
        fired = bool(fallen(spread, _DIVERSITY.by) or fallen(told, by))
        return Alarm(fired, less_spread, less_told)


def _fall(found: Reading | NotMeasured) -> tuple[Reading, float]:
    """A reading, and how far it lies below the base's."""
    if isinstance(found, NotMeasured):
        raise ValueError(f"{found.name}: {found.reason}")
    if found.change is None:
        raise ValueError(f"{found.name}: nothing was read of the base")
    return found, -found.change


def fallen(reading: Reading, by: float) -> str:
    """What the rule ``fell`` says of a reading: its reason, or nothing. What was nothing cannot fall."""
    if reading.base is not None and reading.base <= 0:
        return ""  # the rule would warn that a relative fall is undefined
    rule = Fell(indicator=reading.name, by=by, action="continue")
    return rule(History(reading.run, reading.step, (), (reading,), ())).reason or ""


def _learnt_by(lr: float, critic: str = "") -> Local:
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


def graded(groups: Sequence[Group], overseer: Overseer, worker: Worker) -> dict[str, float]:
    """What an overseer gives each answer, by the answer's id; ValueError where it gives one nothing."""
    told = _judged(groups, cast(Ask, Each(column="score", collapse="distribution")), overseer, worker)
    if told.missing.any():
        raise ValueError("an answer that nobody graded")
    return {one: float(x) for (one,), x in zip(told.members, told.values["score"], strict=True)}


def preferred(groups: Sequence[Group], overseer: Overseer, worker: Worker) -> list[Row]:
    """Pairs of answers as an overseer prefers them. What it does not judge, or calls equal, is no pair: it
    would teach only that the two are alike."""
    told = _judged(groups, cast(Ask, Pairs(column="p", collapse="distribution")), overseer, worker)
    said = {r.id: (g, r) for g, group in enumerate(groups) for r in group.responses}
    rows: list[Row] = []
    for pair, p, missing in zip(told.members, told.values["p"].tolist(), told.missing.tolist(), strict=True):
        (place, one), (_, other) = (said[name] for name in pair)
        if not missing and p != 0.5 and one.text != other.text:
            episodes = Episode.single(one), Episode.single(other)
            rows.append(Row(episodes, {"p": float(p), "weight": 1.0}, group=place))
    return rows


def _judged(groups: Sequence[Group], ask: Ask, overseer: Overseer, worker: Worker) -> Columns:
    """What an overseer says of these answers at a desk."""
    records = Verdicts(Journal())
    desk = FrontDesk(records.take, records.commit, records)
    asking = Asking(ask, overseer)
    return StageFeedback([asking], desk, worker, records.take).one(asking, groups)


def _once(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each text once: the last question that has it, where the first one stood."""
    return list({one.text: one for one in prompts}.values())
