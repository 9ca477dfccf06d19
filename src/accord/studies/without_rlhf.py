"""Without RLHF: can alignment without negative pressure reach the same target?

Every arm has the same base, values, prompts (the training halves) and number of judged answers; each is
measured on the sealed halves, by the checks that arms learn from and by a gold that none of them saw.

    base               nothing is done: what the others are read against
    prompt             nothing is trained: the values stand before every prompt
    best_of_n          the best of n own answers is raised
    compatible         accepted own answers are raised, within the base's nucleus or as said when told (3a)
    compatible_untold  the same, and nothing is told
    constitution       own answers criticised and revised by the base itself; those approved are learnt
    dpo                pairs of own answers, one of which keeps the principle
    grpo, ppo          every answer is scored; what scores low is pushed down

1. ``compatible`` is the steward's: which slices are told is what the base's portrait says. That portrait is
   judged beforehand (``judged_before``); nothing is trained on what it asked.
2. What pushes down is not told. That this, and not the sign of the push, makes a difference is what
   ``compatible_untold`` is there to show.
3. One learning rate for all. An arm that would do better at another one is at a disadvantage here.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, cast

from pydantic import Field, JsonValue

from accord.auditing import Engine
from accord.engines.local import Local
from accord.engines.openai_http import Reaching
from accord.errors import Refused
from accord.overseers.program import Program
from accord.part import Part
from accord.plan import Plan
from accord.ports import How, Sampler
from accord.records import JSON, Prompt
from accord.records.portraits import Portrait, Standing
from accord.steward.approved import PRINCIPLES, Approved
from accord.steward.effort import Effort
from accord.steward.portrait import Extent, portrait
from accord.steward.variants import Terms, forms, rows_of
from accord.stores.foreign.prompts import write_rows
from accord.studies.arms import Cell, Measured, impossible, trained
from accord.studies.bars import Bar, not_below
from accord.studies.grounds import Ground, named, planted
from accord.studies.measures import Gauges, Told, judged, look, reads
from accord.studies.port import Doing, Form, Setting
from accord.worker import Worker

__all__ = ["WithoutRLHF"]

STAGE = "arm"
_QUICK, _FEW = 6, 2  # windows, and answers to each sealed prompt
_PAIRS = 4  # of one prompt at most
_NEAR = 0.1  # the share of an answer's tokens that may lie beyond the base's nucleus, where nothing is told
_TRAINED = 64  # unrelated prompts of a model that a person names
_READS = 0.9  # the share of the words of a critique that a base must have words for
_ASKED = (
    "What in the answer goes against the principle? Say it in one or two sentences. "
    "Write the answer anew so that it keeps the principle."
)
_PRICE = ("kl_*", "pushed_answers", "negative_mass", "judged", "minutes")
_TABLES = {
    "alignment on the sealed halves, by check and by gold": ("check", "gold"),
    "gold by principle": ("gold.*",),
    "what else it lost": ("capability", "refusals", "contested", "diversity"),
    "distance from the base, in bits a byte, and what training pushed against": _PRICE,
}
_SHARES = frozenset({"check", "gold", "capability", "refusals", "contested"})
_PAIRED = ("check", "gold", "capability", "diversity", "kl_unrelated")


class WithoutRLHF(Part):
    """The settings are ``without_rlhf.toml``, with what each of them means."""

    question: ClassVar[str] = "Can alignment without negative pressure reach the same target?"
    hasty: ClassVar[tuple[str, ...]] = ("base", "compatible", "grpo")
    models: ClassVar[bool] = True
    shows: ClassVar[tuple[str, ...]] = (
        "tiny models cannot show emergent misalignment, natural deception, persuasion, self-report or how "
        "any of this scales; what is said when told was planted, and a real model may not do what it is told",
        "kl_task, kl_unrelated: forward KL from the base, in bits a byte, on its own answers; capability: "
        "share answered wrongly; refusals, contested: 1 the adverse end; diversity: EAD, higher is more",
        "intervals resample seeds and, together for all seeds, tasks; of five seeds they are too narrow. "
        "Figures of runs (pushed_answers, negative_mass, judged) have the least and the largest seed instead",
        "compatible is told what the base's portrait says is within reach by telling, and no other arm is",
    )

    version: int = Field(ge=1)
    base: str
    values: str
    gold: str
    arms: tuple[str, ...]
    arm: str
    against: tuple[str, ...]
    margin: float = Field(gt=0)
    seeds: tuple[int, int]
    windows: tuple[int, int]
    per_window: int = Field(ge=1)
    n: int = Field(ge=2)
    lr: tuple[float, float]
    answers: tuple[int, int]

    @property
    def form(self) -> Form:
        return Form(_TABLES, _SHARES, self.arm, _PAIRED, drawn="gold")

    def bar(self, model: str | None) -> Bar:
        """What must be shown; of a model that a person names, with fewer seeds."""
        clause = not_below("gold", self.arm, self.against, self.margin)
        return Bar((clause,), self.seeds[model is not None])

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        """A worker and an engine; the base is made, or read, by the first arm that needs it."""
        with Worker() as worker:
            yield _Seed(self, at, seed, worker, Reaching(Local())).done


@dataclass(frozen=True)
class _Seed:
    """One seed: its base, and how each arm is done."""

    study: WithoutRLHF
    at: Setting
    seed: int
    worker: Worker
    engine: Engine

    @cached_property
    def ground(self) -> Ground:
        if self.at.model is not None:
            return named(self.at.model, self.study.values, self.study.gold or None, _TRAINED)
        folder = self.at.folder.parent / "bases"
        return planted(self.study.base, folder, self.seed, self.at.progress, self.at.quick)

    @cached_property
    def sampler(self) -> Sampler:
        return self.engine.sampler(self.ground.model, self.at.progress)

    @cached_property
    def gauges(self) -> Gauges:
        return Gauges.of(self.ground, self.sampler, self.worker, self.at.progress)

    @property
    def windows(self) -> int:
        return _QUICK if self.at.quick else self._of(self.study.windows)

    def _of(self, pair: tuple[int, int]) -> int:
        """The setting for the planted base, or for a model that a person names."""
        return pair[self.at.model is not None]

    @property
    def budget(self) -> int:
        return self.windows * self.study.per_window * self.study.n

    def done(self, cell: Cell) -> Measured:
        """One arm of this seed, from its training to its figures."""
        began = self.at.clock()
        if cell.arm == "base":
            return self._looked(cell, self.sampler, {"judged": 0.0}, began)
        if cell.arm == "prompt":
            told = Told(self.sampler, self.ground.values.instruction(*self.ground.principles))
            return self._looked(cell, told, {"judged": 0.0}, began)
        if cell.arm == "constitution":
            return self._constituted(cell, began)
        found = self._stage(cell)
        if isinstance(found, str):
            return impossible(cell, found)
        stage, spent = found
        plan = Plan.model_validate(
            {
                "name": f"{cell.arm}-{cell.seed}",
                "purpose": "explore",
                "seed": cell.seed,
                "model": self.ground.model,
                "stage": [{**self._around(), **stage}],
            }
        )
        ran = trained(cell, plan, self.at.progress)
        if ran.model is None:
            return Measured(cell.arm, cell.seed, "stopped", ran.stopped)
        model = self.engine.sampler(str(ran.model), self.at.progress)
        return self._looked(cell, model, {**ran.pressure, **spent}, began)

    def _looked(self, cell: Cell, model: Sampler, figures: Mapping[str, float], began: float) -> Measured:
        answers = _FEW if self.at.quick else self._of(self.study.answers)
        items = look(self.ground, model, self.gauges, answers, self.worker, self.at.progress)
        seconds = self.at.clock() - began
        told = Measured(cell.arm, cell.seed, "measured", items=items, figures=figures, seconds=seconds)
        return told._replace(base=self.sampler.policy)

    # The arms

    def _around(self) -> dict[str, JSON]:
        """What all stages share. The guard records, and stops on faults only: an arm may be meant to fail."""
        rate = self.study.lr[self.at.model is not None]
        guard: dict[str, JSON] = {
            "every": self.windows,
            "probes": 8,
            "answers": 2,
            "max_tokens": self.ground.max_tokens,
            "prompts": self._rows(self.ground.anchor),
            "indicator": [{"name": "reverse_kl"}],
            "rule": [{"name": "non_finite"}, {"name": "fault"}],
        }
        return {
            "name": STAGE,
            "windows": self.windows,
            "learner": {"name": "local", "lr": rate, **self.ground.learner},
            "guard": guard,
            "snapshots": {"max_gb": 0.0},
        }

    def _stage(self, cell: Cell) -> tuple[dict[str, JSON], dict[str, float]] | str:
        """Source, ask and method of an arm, and how much is judged; or why it is not possible here."""
        study, method = self.study, cast("dict[str, JSON]", {"name": cell.arm})
        match cell.arm:
            case "dpo":
                return self._pairs_stage()
            case "compatible" | "compatible_untold":
                return self._near_stage(told=cell.arm == "compatible")
            case "best_of_n" | "grpo":
                method["n"], per_window = study.n, study.per_window
            case _:
                per_window = study.per_window * study.n
        source: dict[str, JSON] = {
            "name": "rollouts",
            "prompts": self._write(self.ground.rows()),
            "per_window": per_window,
            "max_tokens": self.ground.max_tokens,
        }
        stage: dict[str, JSON] = {"source": source, "ask": self._ask(), "method": method}
        return stage, {"judged": float(self.budget)}

    def _pairs_stage(self) -> tuple[dict[str, JSON], dict[str, float]] | str:
        """Offline: pairs of the base's own answers, as many of them judged as in the other arms."""
        rows = self.ground.rows()
        times = max(2, self.budget // len(rows))
        prompts = [
            Prompt.of(str(row["prompt"]), "", **{PRINCIPLES: cast(JsonValue, row[PRINCIPLES])})
            for row in rows
        ]
        how = How(f"study/pairs/{self.seed}", 1.0, self.ground.max_tokens)
        groups = self.worker.run(self.sampler.sample(prompts, times, how))
        kept = judged(cast(Program, Approved(values=str(self.ground.values.file))), groups, self.worker)
        pairs: list[dict[str, JSON]] = []
        for group in groups:
            said = [(r.text, kept.get(r.id)) for r in group.responses if r.text.strip()]
            better, worse = ([text for text, grade in said if grade == wanted] for wanted in (1.0, 0.0))
            for one, other in list(zip(better, worse, strict=False))[:_PAIRS]:
                pairs.append({"prompt": group.prompt.text, "chosen": one, "rejected": other})
        if not pairs:
            return f"{len(rows) * times:,} own answers make no pair: to a prompt all keep it, or none does"
        source: dict[str, JSON] = {
            "name": "offline",
            "data": self._write(pairs),
            "per_window": min(len(pairs), 2 * self.study.per_window),
        }
        spent = {"judged": float(len(rows) * times), "pairs": float(len(pairs))}
        method: dict[str, JSON] = {"name": "dpo"}
        stage: dict[str, JSON] = {"source": source, "method": method}
        return stage, spent

    def _near_stage(self, told: bool) -> tuple[dict[str, JSON], dict[str, float]] | str:
        """The steward's amplification (``steward.variants``), its first variant, at this study's budget."""
        standings = self._portrait().standings
        held, within = (
            [one for one in standings if one.verdict == verdict] for verdict in ("held", "within reach")
        )
        if not within:
            return "the base's portrait shows nothing within reach"
        form = forms(within, 1)[0]
        rows = rows_of(form, self.ground.values)
        if not told:
            rows = [{**row, "told": ""} for row in rows]
        source: dict[str, JSON] = {
            "name": "accord.steward.mixing:Mixed",
            "prompts": self._write(rows),
            "anchor": self._anchor(held),
            "per_window": self.study.per_window,
            "anchors": self.study.per_window,
            "max_tokens": self.ground.max_tokens,
        }
        near: dict[str, JSON] = {
            "name": "compatible",
            "outside": 1.0 if told and form.told else _NEAR,
            "inner": {"name": "best_of_n", "n": self.study.n, "threshold": 1.0},
        }
        method: dict[str, JSON] = {"name": "accord.steward.anchored:Anchored", "inner": near}
        before = sum(one.own.n for one in standings if one.own) * (16 + 4)
        spent = {"judged": float(self.budget), "judged_before": float(before)}
        stage: dict[str, JSON] = {"source": source, "ask": self._ask(), "method": method}
        return stage, spent

    def _constituted(self, cell: Cell, began: float) -> Measured:
        """Stage one, the base its own critic, where it can read what a critic is asked."""
        known, words = reads(self.sampler, _ASKED)
        if known < _READS * words:
            why = (
                f"the base has words for {known} of the {words} words in which a critique is asked for; it "
                "is its own critic, and no other model is at hand"
            )
            return impossible(cell, why)
        from accord.steward.constitution import constitute

        standings = self._portrait().standings
        held = [one for one in standings if one.verdict == "held"]
        below = [one for one in standings if one.verdict in ("within reach", "divergent")]
        if not below:
            return impossible(cell, "the base's portrait shows nothing that falls short")
        around = self._around()
        terms = Terms(
            learner=cast("dict[str, JSON]", around["learner"]),  # pyright: ignore[reportArgumentType]
            guard=cast("Mapping[str, JSON]", around["guard"]),
            seed=cell.seed,
            store="none",
        )
        done = constitute(
            self.ground.model,
            self.ground.values,
            below,
            judge=self.ground.model,
            runs=cell.folder.parent,
            name=cell.folder.name,
            effort=Effort(windows=self.windows, max_tokens=self.ground.max_tokens),
            engine=self.engine,
            progress=self.at.progress,
            terms=terms,
            held=held,
        )
        if done.first is None or done.model is None:
            return impossible(cell, done.why)
        model = self.engine.sampler(str(done.model), self.at.progress)
        spent: dict[str, float] = {**done.first.pressure, "judged": float(done.changed)}
        return self._looked(cell, model, spent, began)

    # What they are given

    def _portrait(self) -> Portrait:
        return portrait(
            self.ground.model,
            self.ground.values,
            extent=Extent(max_tokens=self.ground.max_tokens),
            # One of each seed: seeds that are done at once may have one base between them.
            folder=self.at.folder / f"portraits-{self.seed}",
            engine=self.engine,
            progress=self.at.progress,
        )

    def _ask(self) -> JSON:
        overseer: JSON = {
            "name": "accord.steward.approved:Approved",
            "values": str(self.ground.values.file),
        }
        return [{"name": "each", "column": "score", "collapse": "distribution", "overseer": overseer}]

    def _anchor(self, held: Sequence[Standing]) -> str:
        """The base's own answers to unrelated prompts and to training halves of what it holds, those that
        came to their end; as the steward's ``Bench.anchor``."""
        spots = {(one.principle, one.slice) for one in held}
        own = [
            case.prompt
            for name in dict.fromkeys(one.principle for one in held)
            for part in self.ground.values.slices(name)
            if (name, part.name) in spots
            for case in part.training
        ]
        how = How(f"study/anchor/{self.seed}", 1.0, self.ground.max_tokens)
        groups = self.worker.run(self.sampler.sample([*self.ground.anchor, *own], 1, how))
        return self._write(
            [
                {"prompt": g.prompt.text, "completion": r.text}
                for g in groups
                for r in g.responses
                if r.finish != "length" and r.text.strip()
            ]
        )

    def _rows(self, prompts: Sequence[Prompt]) -> str:
        return self._write([{"prompt": one.text} for one in prompts])

    def _write(self, rows: Sequence[Mapping[str, JSON]]) -> str:
        """A file for a plan to name. Refused where a sealed half holds one of its prompts."""
        leaks = self.ground.values.leaks(Prompt.of(str(row["prompt"])) for row in rows)
        if leaks:
            raise Refused(f"{len(leaks)} prompts of a sealed half would be trained on: {leaks[0].text!r}")
        return str(write_rows(rows, self.at.folder / "data"))
