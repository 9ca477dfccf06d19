"""Grounds: what the checks of one stage stand on: the base, the stage's prompts, its overseers' verdicts.

Answers and verdicts go through the journal, so that nothing is asked twice, in this gate or in a later one of
the same base and prompts. What cannot be had is a ``Lacking`` with the words for a person: never a zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from accord import catalog
from accord.assembly import Engine, Place, seated
from accord.auditing.asking import Asking, Budget
from accord.auditing.journal import Journal
from accord.auditing.verdicts import Verdicts
from accord.desk import FrontDesk
from accord.engines.openai_http import is_remote
from accord.errors import PlanError, beneath
from accord.feedback import Asking as Asked
from accord.feedback import StageFeedback
from accord.pages import Page
from accord.plan import AskTable, Plan, Stage
from accord.ports import Ask, How, Method, Queued, Sampler, Seated, Source
from accord.progress import Progress
from accord.records import JSON, Prompt
from accord.records.rows import Group
from accord.reports.tolerances import page_in, rules_of
from accord.sources import Rollouts, SourcePart, Surroundings, seeded
from accord.values import Values
from accord.worker import Worker

__all__ = ["ANSWERS", "PROMPTS", "SCORE", "Extent", "Grounds", "Lacking", "Wishes"]

PROMPTS, ANSWERS = 200, 16  # fewer can refuse and cannot pass
SCORE = "score"


class Lacking(Exception):
    """What a check needs is not there: why, and what would supply it. Never leaves ``accord.gating``."""

    def __init__(self, why: str, *remedy: str) -> None:
        self.why, self.remedy = why, remedy
        super().__init__(why)


class Extent(NamedTuple):
    """How many prompts the base answers, and how often each."""

    prompts: int = PROMPTS
    answers: int = ANSWERS

    @property
    def enough(self) -> bool:
        """Whether a check may pass on so many."""
        return self.prompts >= PROMPTS and self.answers >= ANSWERS


class Wishes(NamedTuple):
    """What a person adds to a plan. ``reward``, ``gold``: FILE.py:function, or a reward model.

    ``command``: how this gate is asked again, for remedies; ``audits``: where finished audits lie.
    """

    command: str
    extent: Extent = Extent()
    reward: str | None = None
    gold: str | None = None
    values: Values | None = None
    audits: Path = Path("audits")


@dataclass
class Grounds:
    """One stage of a plan, with what its checks share. Nothing is opened before a check asks for it."""

    plan: Plan
    stage: Stage
    wishes: Wishes
    engine: Engine
    journal: Journal
    worker: Worker
    progress: Progress
    _opened: dict[str, Sampler] = field(default_factory=dict[str, Sampler])

    @cached_property
    def method(self) -> Method:
        return cast(Method, catalog.build("methods", self.stage.method))

    @cached_property
    def page(self) -> Page | None:
        """The page tier of the stage's guard; None where its rules page nothing."""
        return page_in(rules_of(self.plan, self.stage))

    @property
    def path(self) -> str:
        """How ``--set`` names the stage."""
        return f"stage.{self.stage.name}"

    @cached_property
    def base(self) -> Asking:
        """The plan's base, which remembers what it was asked."""
        self.progress.advance(0, f"opening {self.plan.model}")
        sampler = self.engine.sampler(self.plan.model, self.progress)
        return Asking(sampler, self.journal, Budget(), self.progress, is_remote(self.plan.model))

    @cached_property
    def source(self) -> Source:
        part = cast(SourcePart, catalog.build("sources", self.stage.source))
        with beneath("source"):
            return part.open(Surroundings(self.stage.name, self.plan.seed, self.method.rows, self.worker))

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """The stage's own prompts, a seeded choice of as many as were asked for."""
        every = list(self.source.prompts())
        order = seeded("gate", "prompts").permutation(len(every))[: self.wishes.extent.prompts]
        return tuple(every[i] for i in sorted(map(int, order)))

    @cached_property
    def how(self) -> How:
        """How the stage draws answers; where it draws none, how its guard does."""
        part, guard = catalog.build("sources", self.stage.source), self.stage.guard
        given: object = part if isinstance(part, Rollouts) else guard
        drawn = cast(Rollouts, given)
        return How("gate", drawn.temperature, drawn.max_tokens)

    def answered(
        self, prompts: Sequence[Prompt], what: str, n: int | None = None, how: How | None = None
    ) -> list[Group]:
        """The base's answers to prompts, as many and as long as the stage's own by default. Lacking where it
        gives none."""
        n, how = n or self.wishes.extent.answers, how or self.how
        if "sample" not in self.base.can:
            raise Lacking("the base gives no answers", "a base that answers, in place of model in the plan")
        most = how.max_tokens
        self.progress.say(
            f"{what}: the base answers {len(prompts):,} prompts {n} times, at most {most} tokens each"
        )
        self.progress.begin(what, float(len(prompts) * n * most))
        try:
            return self.worker.run(self.base.sample(prompts, n, how))
        finally:
            self.progress.end()

    def judged(self, groups: Sequence[Group], column: str = SCORE) -> dict[str, float]:
        """What the stage's overseer says of each answer, by its id; unjudged ones are left out.

        Lacking where the stage has no such overseer, or it judges none.
        """
        return self.put(self.asked(column), groups, column)

    def put(self, asked: Asked, groups: Sequence[Group], column: str = SCORE) -> dict[str, float]:
        """What an overseer of single answers says of each, by its id. Lacking where it judges none."""
        records = Verdicts(self.journal)
        desk = FrontDesk(records.take, records.commit, records)
        feedback = StageFeedback([asked], desk, self.worker, records.take)
        self.progress.advance(0, f"judging {sum(len(g.responses) for g in groups):,} answers")
        table = feedback.one(asked, groups)
        known = zip(table.members, table.values[column].tolist(), table.missing.tolist(), strict=True)
        found = {members[0]: float(value) for members, value, missing in known if not missing}
        if not found:
            why = feedback.abstained.most_common(1)
            raise Lacking(
                f"no answer was judged for {column}{f': {why[0][0]}' if why else ''}",
                "an overseer that judges answers to these prompts",
            )
        return found

    @cached_property
    def drawn(self) -> tuple[list[Group], dict[str, float]]:
        """The base's answers to the stage's prompts and what the stage rewards of them; shared by checks."""
        if len(self.prompts) < 2:
            raise Lacking(f"the source has {len(self.prompts)} prompts", "a source with more prompts")
        self.asked(SCORE)
        groups = self.answered(self.prompts, "answers to the stage’s prompts")
        return groups, self.judged(groups)

    @property
    def too_few(self) -> str:
        """Why so many prompts and answers cannot make a check pass; "" where they can."""
        extent, there = self.wishes.extent, len(self.prompts)
        if extent.enough and there >= PROMPTS:
            return ""
        return f"{there} prompts × {extent.answers} answers; {PROMPTS} × {ANSWERS} are needed to pass"

    def asked(self, column: str) -> Asked:
        """Who judges single answers into a column: whom the person names, else the stage's own ask. Lacking
        where there is nobody."""
        given = self.wishes.reward if column == SCORE else self.wishes.gold
        own = [table for table in self.stage.ask if table.column == column]
        if given is None and own:
            return self._seated(own[0])
        return self._given(column, given)

    def _seated(self, table: AskTable) -> Asked:
        overseer = catalog.build("overseers", table.overseer)
        if isinstance(overseer, Queued) and overseer.queues:
            advice = f"{self.wishes.command} --reward FILE.py:function"
            raise Lacking("people judge, and are asked inside a run only", advice)
        for model in overseer.models if isinstance(overseer, Seated) else ():
            if model.startswith("stage:"):
                name = model.removeprefix("stage:")
                raise Lacking(
                    f"{model} judges, and is not trained before the run begins",
                    f"train the stages up to {name} by a plan of their own, then: {self.wishes.command} "
                    f"--reward runs/RUN/{name}/model",
                )
        place = Place(Path("gate") / self.stage.name, self.plan, self.stage, "", self.progress, None)
        built = seated(place, self.engine, (table.overseer, table.overseer), self._opened)
        return Asked(cast(Ask, catalog.build("asks", table)), built)

    def _given(self, column: str, named: str | None) -> Asked:
        """What the person names in the place of an ask of the stage's own."""
        option = "--reward" if column == SCORE else "--gold"
        if named is None:
            raise Lacking(
                f"no ask of the stage judges single answers into the column {column}",
                f"{self.wishes.command} {option} FILE.py:function",
            )
        overseer: dict[str, JSON] = {"name": "program", "fn": named}
        if not _is_program(named):
            overseer = {"name": "reward", "models": [named], "reduction": "mean", "limit": "none"}
        table = {"name": "each", "column": column, "collapse": "distribution", "overseer": overseer}
        try:
            return self._seated(AskTable.model_validate(table))
        except PlanError as error:
            raise error.under(option) from None


def _is_program(name: str) -> bool:
    """``FILE.py:function`` or ``module:function``; a model behind a server has a scheme before it."""
    module, colon, function = name.rpartition(":")
    return bool(colon) and function.isidentifier() and module != "stage" and "://" not in module
