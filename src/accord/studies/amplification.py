"""Amplification: can a student be taught what nobody tells it, by answers to smaller questions (1810.08575)?

    X ← SFT on (q, Amplify^H(X⁻)(q)),  X⁻ an older copy of X, H a split that is a program

On ``powers`` (xⁿ in a permutation group) X is a table of logits (``memo``) or a small network. What primitive
questions come to is read from a vault, once each; every other answer is made of a copy's answers to parts,
by the overseer ``amplified``, one split deep. ``supervised`` is told the truth about every question, ``few``
about as many as amplification reads. On ``digest`` nothing is trained: a reader with a bounded context
answers parts of a log that is 8 times as long, a program joins them (``digest_tree``), or it reads what it
can (``digest_truncated``).

1. The paper learns H, from tens of thousands of splits that a person shows. Here H is a program, which no
   person labels; what is counted as a call is a truth that is read. The arms ``…_faults_N`` split N % of all
   questions wrongly, always the same ones.
2. The paper's X⁻ is a moving average of weights. Here it is a copy that stands for some windows (``holds``);
   ``amplified_now`` has a new one for each window.
3. Questions are asked in the order of their size: a window asks those below 4, 8, … as far as parts can be
   known by then. ``supervised`` is asked all of them from the start.
4. The network of the bar is ``window``, an MLP over the words of a question. ``transformer`` is told the
   truth as ``supervised`` is, with as many steps: how far a transformer of 0.1M weights comes in them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.engines.local import Local
from accord.engines.local.words import save_window, save_words
from accord.engines.scripted import Scripted
from accord.methods.sft import SFT
from accord.part import Part
from accord.ports import How, Learner, Memory, Sampler, Task
from accord.problems import problem
from accord.records import JSON, Prompt, Purpose, TruthRead
from accord.records.rows import Group, Row, Window
from accord.sources import seeded
from accord.stores.memory import MemoryStore
from accord.studies.amplifying import Copy, Reader, Splitting, amplified, copied
from accord.studies.arms import Cell, Items, Measured, demand_known
from accord.studies.bars import Bar, below, exactly, times
from accord.studies.lessons import shown, taught
from accord.studies.port import Doing, Form, Setting
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds import digesting
from accord.worlds.digesting import Digest
from accord.worlds.powers import Powers, primitive, questions, truth

__all__ = ["Amplification", "Course", "Way", "level"]

_LENGTH = 6  # words of a question about powers
_GREEDY = 0.05  # a temperature at which what is most probable is said
_HALVED = Splitting("accord.worlds.powers:halved", depth=1, branching=1)
_QUICK = 40  # logs
_LOGS = ("digest_tree", "digest_truncated")
_WHY_HOLDS = "a copy knows the parts of its own level alone"
_TABLES = {
    "powers: share answered rightly; truths beyond primitives; truths read, as a share of supervised's": (
        "right",
        "beyond",
        "calls",
    ),
    "digest: share answered rightly": ("digest", "digest.*"),
    "truths read, by purpose; what was split, what was asked of the copy or the reader": (
        "reads_*",
        "split",
        "asked",
        "minutes",
    ),
}


class Way(BaseModel):
    """How an arm about powers is taught. ``faults``: the share of questions that are split wrongly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    student: Literal["table", "window", "tiny"]
    teacher: Literal["older", "now", "truth", "few"]
    faults: float = Field(default=0.0, ge=0, le=1)


class Course(BaseModel):
    """How long: ``windows`` of ``steps`` steps of ``rows`` questions; each level of size has ``per_level``
    windows, and a copy stands for ``holds``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = Field(ge=1)
    steps: int = Field(ge=1)
    rows: int = Field(ge=1)
    per_level: int = Field(ge=1)
    holds: int = Field(ge=1)
    lr: float = Field(gt=0)

    @model_validator(mode="after")
    def _a_copy_lasts_no_longer_than_its_level(self) -> Self:
        if self.per_level % self.holds:
            raise problem(["holds"], self.holds, f"a divisor of per_level, {self.per_level}", _WHY_HOLDS)
        return self


class Amplification(Part):
    """The settings are ``amplification.toml``, with what each of them means."""

    question: ClassVar[str] = "Can a student learn what nobody tells it, from answers to smaller questions?"
    shows: ClassVar[tuple[str, ...]] = (
        "H is a program: that a person can split what matters, or a model learn to, is not shown",
        "memo is a table, and the digest's reader is scripted (an oracle with a stated error): neither is a "
        "language model",
        "right, digest: shares of 400 questions and of the logs of a seed; beyond: truths that are not "
        "primitive and were read to teach; calls: truths read to teach, over supervised's of the same seed",
    )
    hasty: ClassVar[tuple[str, ...]] = ("memo", "digest_tree", "digest_truncated")
    models: ClassVar[bool] = False

    version: int = Field(ge=1)
    arms: tuple[str, ...]
    seeds: int = Field(ge=1)
    share: float = Field(gt=0)
    calls: float = Field(gt=0)
    factor: float = Field(gt=0)
    powers: Powers
    ways: dict[str, Way]
    table: Course
    network: Course
    tasks: int = Field(ge=1)
    logs: Digest
    error: float = Field(ge=0, lt=1)
    log_tasks: int = Field(ge=1)

    @model_validator(mode="after")
    def _arms_are_known(self) -> Self:
        demand_known(self.arms, (*self.ways, *_LOGS))
        return self

    @property
    def form(self) -> Form:
        shares = frozenset({"right", "digest"})
        return Form(_TABLES, shares, "supervised", ("right",), drawn="right", across=_across)

    def bar(self, model: str | None) -> Bar:
        """What must be shown; a figure that is the same in every seed has an interval of no width."""
        del model
        return Bar(
            (
                times("right", "amplified", "supervised", self.share),
                below("calls", "amplified", self.calls),
                exactly("beyond", "amplified", 0),
                times("digest", "digest_tree", "digest_truncated", self.factor),
            ),
            self.seeds,
        )

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with Worker() as worker:
            one = _Seed(self, at, seed, worker)
            yield lambda cell: one.logs(cell) if cell.arm in _LOGS else one.powers(cell)


class _Taught(NamedTuple):
    """A student, and what it took to teach it."""

    student: Sampler
    figures: Mapping[str, float]


@dataclass(frozen=True)
class _Seed:
    """One seed, and how each arm is done."""

    study: Amplification
    at: Setting
    seed: int
    worker: Worker

    @cached_property
    def questions(self) -> tuple[str, ...]:
        return questions(self.study.powers)

    def powers(self, cell: Cell) -> Measured:
        """An arm about powers: taught, then asked the same questions as every other one."""
        way, store = self.study.ways[cell.arm], MemoryStore()
        vault = self._vault(cell, way, store)
        found = _Lessons(self, way, vault, self._learner(cell, way)).taken()
        asked = _drawn([q for q in self.questions if not primitive(q)], self.study.tasks)
        how = How("amplification/score", _GREEDY, 1)
        groups = self.worker.run(found.student.sample([self.study.powers.prompt(q) for q in asked], 1, how))
        right = _scored(vault, dict(zip(asked, groups, strict=True)))
        reads = cast("list[TruthRead]", store.find("truth_read"))
        beyond = [one for one in reads if one.purpose != "score" and not primitive(one.item)]
        return Measured(
            cell.arm,
            cell.seed,
            "measured",
            items={"right": right, "beyond": {"truths": float(len(beyond))}},
            figures={**_counted(vault), **found.figures},
        )

    def logs(self, cell: Cell) -> Measured:
        """An arm about logs: one reader, with the whole log before it or with what fits."""
        config = self.study.logs
        count = _QUICK if self.at.quick else self.study.log_tasks
        seeds = [f"{self.seed}/{number}" for number in range(count)]
        store = MemoryStore()
        vault = TruthVault(
            "digest", digesting.truths(config, seeds), {"measure": ("score",)}, store, cell.arm
        )
        reader = Reader(config.context, self.study.error, self.seed)
        prompts = digesting.tasks(config, seeds)
        if cell.arm == "digest_tree":
            by = Splitting("accord.worlds.digesting:halved", (config.times - 1).bit_length(), 2)
            texts = [one.text for one in amplified(prompts, by, reader, self.worker).values()]
            groups = [Group(p, (reader.encode(p, text),)) for p, text in zip(prompts, texts, strict=True)]
        else:
            groups = self.worker.run(reader.sample(prompts, 1, How("amplification/read")))
        right = _scored(vault, dict(zip(seeds, groups, strict=True)))
        kinds = {seed: digesting.asked(prompt.text).kind for seed, prompt in zip(seeds, prompts, strict=True)}
        items: dict[str, dict[str, float]] = {"digest": {}}
        for number, (task, value) in enumerate(right.items()):
            name = f"{kinds[task]} {number}"
            items["digest"][name] = items.setdefault(f"digest.{kinds[task]}", {})[name] = value
        figures = {**_counted(vault), "asked": float(reader.asked)}
        return Measured(cell.arm, cell.seed, "measured", items=items, figures=figures)

    def _vault(self, cell: Cell, way: Way, store: MemoryStore) -> TruthVault:
        """All truths about powers. An arm is declared for what it reads, and any other read voids it."""
        teaches: Purpose = "fit" if way.teacher in ("truth", "few") else "leaf"
        truths: dict[str, JSON] = {q: {"answer": truth(q)} for q in self.questions}
        readers: dict[str, tuple[Purpose, ...]] = {"teach": (teaches,), "measure": ("score",)}
        return TruthVault("powers", truths, readers, store, cell.arm)

    def _learner(self, cell: Cell, way: Way) -> Learner:
        words, task = self.study.powers, Task(f"{cell.arm}/sft", cell.seed, SFT().needs(), "data")
        if way.student == "table":
            lr = self.study.table.lr
            return Scripted(words=words.alphabet, sees="last", lr=lr).learner("scripted", task)
        start, ends = cell.folder / "start", words.answers
        if way.student == "window":
            save_window(start, words.alphabet, _LENGTH, cell.seed, ends=ends)
        else:
            save_words(start, words.alphabet, cell.seed, ends=ends)
        engine = Local(
            adapter="full",
            lr=self.study.network.lr,
            precision="float32",
            decode="float32",
            device="cpu",
            tokens_per_pass=16384,
        )
        return engine.learner(str(start), task)


@dataclass
class _Lessons:
    """What a student is taught, window by window. ``known``: answers, of this copy or true."""

    of: _Seed
    way: Way
    vault: TruthVault
    learner: Learner
    known: dict[str, str] = field(default_factory=dict[str, str])
    rows: dict[tuple[str, str], Row] = field(default_factory=dict[tuple[str, str], Row])
    parents: dict[str, str] = field(default_factory=dict[str, str])
    copy: Copy | None = None
    split: int = 0
    asked: int = 0

    @cached_property
    def course(self) -> Course:
        study = self.of.study
        return study.table if self.way.student == "table" else study.network

    @cached_property
    def amplifies(self) -> bool:
        return self.way.teacher in ("older", "now")

    @cached_property
    def primitives(self) -> dict[str, str]:
        """The truth about every primitive question: all that amplification is told."""
        return self._read([q for q in self.of.questions if primitive(q)])

    def taken(self) -> _Taught:
        course, memory = self.course, cast(Memory, {})
        method = SFT(rows_per_step=course.rows)
        few = _drawn(self.of.questions, sum(map(primitive, self.of.questions)), str(self.of.seed))
        for index in range(course.windows):
            size = level(index, course.per_level) if self.amplifies else self.of.study.powers.below
            pool = few if self.way.teacher == "few" else [q for q in self.of.questions if _exponent(q) < size]
            draw = seeded("amplification", self.of.seed, index)
            if course.steps * course.rows < len(pool) or self.way.student != "table":
                asked = [pool[int(i)] for i in draw.integers(len(pool), size=course.steps * course.rows)]
            else:
                asked = list(pool)
            self._answer(index, size, list(dict.fromkeys(asked)))
            window = Window(index, tuple(self._row(q) for q in asked))
            memory, _ = taught(self.learner, method, window, self.of.seed, memory)
        figures = {"split": float(self.split), "asked": float(self.asked)} if self.amplifies else {}
        return _Taught(self.learner.sampler(), figures)

    def _answer(self, index: int, size: int, asked: Sequence[str]) -> None:
        """Have an answer to each of these, by whoever teaches."""
        if not self.amplifies:
            self.known |= self._read([q for q in asked if q not in self.known])
            return
        if self.copy is None or self.way.teacher == "now" or index % self.course.holds == 0:
            config, how = self.of.study.powers, How(f"amplification/{self.of.seed}/{index}", _GREEDY, 1)
            parts = [config.prompt(q) for q in self.of.questions if 1 < _exponent(q) < size / 2]
            self.copy = copied(self.learner.sampler(), parts, self.primitives, how, self.of.worker)
            self.known, self.parents = dict(self.primitives), {}
        prompts = [self._split(q) for q in asked if q not in self.known]
        before = self.copy.asked
        found = amplified(prompts, _HALVED, self.copy, self.of.worker)
        self.known |= {q: one.text for q, one in found.items()}
        self.parents |= {q: one.judgment for q, one in found.items()}
        self.split, self.asked = self.split + len(prompts), self.asked + self.copy.asked - before

    def _split(self, question: str) -> Prompt:
        """The question, with how it is split wrongly, if it is."""
        prompt, faults = self.of.study.powers.prompt(question), self.way.faults
        columns = {**prompt.columns, "faults": faults, "faults_seed": str(self.of.seed)}
        return prompt.model_copy(update={"columns": columns}) if faults else prompt

    def _row(self, question: str) -> Row:
        """The question with its answer; behind it the judgment that says so."""
        at = (question, self.known[question])
        if at not in self.rows:
            pair = (self.of.study.powers.prompt(question), at[1])
            (self.rows[at],) = shown(self.learner.sampler(), [pair])
        parent = self.parents.get(question)
        return replace(self.rows[at], parents=(parent,)) if parent else self.rows[at]

    def _read(self, items: Sequence[str]) -> dict[str, str]:
        purpose = "leaf" if self.amplifies else "fit"
        told = self.vault.read_all(items, purpose, "teach") if items else []
        return {item: _answer(one) for item, one in zip(items, told, strict=True)}


def level(index: int, per_level: int) -> int:
    """Exponents below this are asked in a window: 4 at first, where all parts are primitive, then 8, …

    >>> [level(index, 2) for index in range(5)]
    [4, 4, 8, 8, 16]
    """
    return 4 << (index // per_level)


def _exponent(question: str) -> int:
    return int("".join(question.split()[2:-1]))


def _drawn(pool: Sequence[str], count: int, key: str = "tasks") -> list[str]:
    """So many of them, each once; the same for every arm."""
    chosen = seeded("amplification", key).permutation(len(pool))[:count]
    return [pool[int(i)] for i in sorted(chosen)]


def _scored(vault: TruthVault, groups: Mapping[str, Group]) -> dict[str, float]:
    """1 for each item whose answer is the truth, which is read once all answers are sealed."""
    vault.seal(group.responses[0].id for group in groups.values())
    told = vault.read_all(list(groups), "score", "measure")
    rows = zip(groups.items(), told, strict=True)
    return {item: float(group.responses[0].text == _answer(one)) for (item, group), one in rows}


def _counted(vault: TruthVault) -> dict[str, float]:
    return {f"reads_{purpose}": float(count) for purpose, count in vault.counts.items()}


def _answer(told: JSON) -> str:
    return str(cast("dict[str, JSON]", told)["answer"])


def _across(cells: Mapping[str, Measured]) -> Mapping[str, Items]:
    """Truths that were read to teach, as a share of those that supervised was told in the same seed."""

    def reads(one: Measured) -> float:
        return sum(one.figures.get(f"reads_{purpose}") or 0.0 for purpose in ("leaf", "fit"))

    if "supervised" not in cells:
        return {}
    whole = reads(cells["supervised"])
    return {arm: {"calls": {"share": reads(c) / whole}} for arm, c in cells.items() if "right" in c.items}
