"""Runs written by hand: records through RunLog, with a clock and a writer that never change.

What a stage writes (names, parents, scalars) is what ``accord.stage`` and ``accord.loop`` write. Used by the
tests of reports and by the golden one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from accord.plan import read_plan
from accord.records import (
    Abstention,
    By,
    Cost,
    Decision,
    Entry,
    Episode,
    Graded,
    Judgment,
    Kind,
    ModelRef,
    NotMeasured,
    Prompt,
    Question,
    Reading,
    Record,
    Response,
    StepEvent,
)
from accord.records.events import Action
from accord.stores.runlog import RunLog

STAGE = """
[[stage]]
name = "{name}"
windows = {windows}
source = {{ name = "rollouts", prompts = "questions.jsonl", per_window = 2 }}
method = {{ name = "best_of_n", n = 2, rows_per_step = 2 }}
guard = {{ probes = 2, answers = 3 }}
"""
ASK = """
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "program", fn = "m:brief" }
"""
HELD_OUT = 'held_out = { prompts = "held_out.jsonl", n = 2 }\n'
HEAD = 'name = "brevity"\npurpose = "explore"\nseed = 7\nmodel = "tiny-base"\n'


def plan_of(windows: int = 2, held_out: bool = True, stages: Sequence[str] = ("amplify",)) -> str:
    """The text of a plan with these stages, one like the other."""
    parts = [
        STAGE.format(name=name, windows=windows) + (HELD_OUT if held_out else "") + ASK for name in stages
    ]
    return HEAD + "".join(parts)


class FixedClock:
    """A quarter of a second passes at each look."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start

    def wall(self) -> float:
        self.now += 0.25
        return self.now

    def mono(self) -> float:
        return self.now


def make_run(folder: Path, plan: str = "") -> Path:
    """A run's folder as ``accord run`` leaves it before its first stage."""
    tree = read_plan(plan or plan_of())
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"store": "none", "plan": tree.hash}))
    (folder / "plan.toml").write_text(tree.toml(), encoding="utf-8")
    return folder


class Script:
    """One stage being written. Leaving its ``with`` block without ``finish`` interrupts the stage."""

    def __init__(
        self, run: Path, stage: str = "amplify", writer: str = "0" * 32, start: float = 1.7e9
    ) -> None:
        self.folder = run / stage
        self.run, self.stage = f"{run.name}/{stage}", stage
        self.log = RunLog.open(self.folder, self.run, clock=FixedClock(start), writer=writer)
        environment = {"accord": "0.1.0", "device": "cpu", "python": "3.11.7"}
        (self.folder / "environment.json").write_text(json.dumps(environment))
        self.step, self.audits = 0, 0
        self.readings: list[Reading] = []
        self.base: dict[str, Reading] = {}
        self.said: dict[str, Response] = {}  # the newest first answer to each held-out prompt

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def put(self, *records: Record, name: str = "", commit: bool = True) -> None:
        for record in records:
            self.log.write(record, step=self.step, name=name)
        if commit:
            self.log.commit()

    def answers(self, prompt: Prompt, texts: Sequence[str], key: str) -> list[Response]:
        found: list[Response] = []
        for index, text in enumerate(texts):
            seed = f"{key}/{prompt.id[:8]}/{index}"
            answer = Response(
                prompt=prompt.id,
                text=text,
                prompt_tokens=(1, 2),
                tokens=tuple(range(len(text.split()))),
                finish="length" if text.endswith("and") else "stop",
                policy=f"{self.run}@{self.step}",
                seed=seed,
                index=index,
                parents=(prompt.id,),
            )
            self.put(answer, name=seed)
            found.append(answer)
        return found

    def answers_of(self, text: str, texts: Sequence[str]) -> list[Response]:
        """Answers to a prompt of a window that is never finished."""
        prompt = Prompt.of(text)
        self.put(prompt)
        return self.answers(prompt, texts, "window/unfinished")

    def judge(
        self, answer: Response, score: float | None, abstains: Abstention = "error", by: str = "brief"
    ) -> Judgment:
        question = Question(
            asks=Kind.GRADE,
            prompt=answer.prompt,
            responses=(answer.id,),
            parents=(answer.prompt, answer.id),
        )
        judgment = Judgment(
            question=question.id,
            by=By(type="program", name=by, config="c0"),
            verdict=None if score is None else Graded(scores={"score": score}),
            abstention=abstains if score is None else None,
            cost=Cost(calls=1),
            parents=(question.id,),
        )
        self.put(question, judgment)
        return judgment

    def held_out(
        self, said: Mapping[str, Sequence[tuple[str, float]]], change: tuple[float, float] | None = None
    ) -> None:
        """Answers to held-out prompts with their scores; ``change`` is the interval after training."""
        means: dict[str, float] = {}
        parents: list[str] = []
        for text, pairs in said.items():
            prompt = Prompt.of(text, slice="held out")
            self.put(prompt)
            found = self.answers(prompt, [answer for answer, _ in pairs], f"held_out/{self.step}")
            parents += [self.judge(one, score).id for one, (_, score) in zip(found, pairs, strict=True)]
            self.said[text] = found[0]
            means[prompt.id] = sum(score for _, score in pairs) / len(pairs)
        value = sum(means.values()) / len(means)
        before = self.base.get("held_out.score")
        reading = Reading(
            run=self.run,
            name="held_out.score",
            step=self.step,
            instrument="held-out-instrument",
            value=value,
            low=max(0.0, value - 0.2),
            high=min(1.0, value + 0.2),
            n=len(means),
            unit="share of answers",
            items=tuple(means),
            outcomes=tuple(means.values()),
            parents=tuple(parents),
        )
        if before is not None and change is not None:
            reading = Reading.model_validate(
                reading.model_dump()
                | {"base": before.value, "change": value - before.value}
                | {"change_low": change[0], "change_high": change[1], "parents": (*parents, before.id)}
            )
        self._read(reading)

    def audit(self, kl: float = 0.0, diversity: float = 0.8, missing: str = "") -> None:
        """The guard's look at two probes."""
        answers: list[Response] = []
        for k in range(2):
            prompt = Prompt.of(f"Probe {k}?", slice="probe")
            self.put(prompt)
            answers += self.answers(prompt, ["So it is.", "It is so.", "So."], f"audit/{self.audits}")
        parents = tuple(answer.id for answer in answers)
        shared = {"run": self.run, "step": self.step, "n": 2, "parents": parents, "instrument": "panel"}
        self._read(
            Reading(
                **shared,
                name="reverse_kl",
                value=kl,
                low=kl - 0.1,
                high=kl + 0.1,
                base=0.0,
                change=kl,
                change_low=kl - 0.1,
                change_high=kl + 0.1,
                unit="nats/answer",
                cost=Cost(calls=12, tokens_in=96),
            )
        )
        if missing:
            self.put(
                NotMeasured(run=self.run, name="diversity", step=self.step, reason=missing), name="diversity"
            )
        else:
            fall = diversity - 0.8
            self._read(
                Reading(
                    **shared,
                    name="diversity",
                    value=diversity,
                    low=diversity - 0.05,
                    high=diversity + 0.05,
                    base=0.8,
                    change=fall,
                    change_low=fall - 0.03,
                    change_high=fall + 0.03,
                    unit="EAD on words",
                )
            )
        self.audits += 1

    def indicator(self, name: str) -> None:
        """A reading of an indicator from elsewhere, without a base."""
        self._read(
            Reading(
                run=self.run,
                name=name,
                step=self.step,
                n=1,
                instrument=name,
                value=1.0,
                low=0.0,
                high=2.0,
                unit=name,
            )
        )

    def window(
        self, index: int, texts: Sequence[str] = ("Yes.", "Yes, and then again yes and"), **scalars: float
    ) -> None:
        """Answers to two prompts, judged: the first of each is approved, and learnt from."""
        parents: list[str] = []
        for k in range(2):
            prompt = Prompt.of(f"Question {index}.{k}?", slice="train")
            self.put(prompt)
            found = self.answers(prompt, texts, f"window/{index}")
            parents += [self.judge(one, float(i == 0)).id for i, one in enumerate(found)]
            self.put(*(Episode.single(one) for one in found))
        rows = 2.0 * len(texts)
        seen = {
            "rows": rows,
            "missing": 0.0,
            "steps": 1.0,
            "score": 0.5,
            "accepted": 2.0,
            "unused": 1 - 2 / rows,
        }
        event = StepEvent(
            run=self.run,
            name="window",
            step=self.step,
            window=index,
            scalars=seen | scalars,
            parents=tuple(parents),
        )
        self.put(event, name=f"window/{index}")

    def train_on(self, text: str) -> None:
        """A window of one prompt."""
        prompt = Prompt.of(text, slice="held out")
        self.put(prompt)
        self.put(*(Episode.single(one) for one in self.answers(prompt, ["Yes."], "window/0")))
        self.event("window", rows=1.0, missing=0.0)

    def event(self, name: Literal["window", "fault"], text: str = "", **scalars: float) -> None:
        event = StepEvent(run=self.run, name=name, step=self.step, scalars=scalars, text=text)
        self.put(event, name=f"{name}/0")

    def update(self, window: int, nll: float = 2.0, commit: bool = True, **scalars: float) -> None:
        self.step += 1
        seen = {
            "objective": nll,
            "grad_norm": 1.5,
            "applied": 1.0,
            "tokens": 40.0,
            "answer_tokens": 10.0,
            "pushed_down": 0.0,
            "loss/nll": nll,
        }
        event = StepEvent(run=self.run, name="update", step=self.step, window=window, scalars=seen | scalars)
        self.put(event, name=f"update/{window}", commit=commit)

    def decide(self, action: Action, rule: str, reason: str, parents: Sequence[str] = ()) -> Decision:
        evidence = tuple(parents) or tuple(reading.id for reading in self.readings[-1:])
        decision = Decision(
            run=self.run, step=self.step, action=action, rule=rule, reason=reason, parents=evidence
        )
        self.put(decision)
        return decision

    def accept(self, decision: Decision, by: str, reason: str) -> None:
        self.put(
            Decision(
                run=self.run,
                step=decision.step,
                action="continue",
                rule="acceptance",
                reason=reason,
                by=by,
                accepts=decision.id,
                parents=(decision.id,),
            )
        )

    def finish(self, kept: int | None = None, pushes: bool = True) -> None:
        """The model and the Entry of a finished stage."""
        model = ModelRef(name=f"{self.run}@{self.step}", digest="d" * 64, base="tiny-base")
        entry = Entry(
            run=self.run,
            stage=self.stage,
            step=self.step,
            purpose="explore",
            model=model.id,
            kept=kept,
            pushes=pushes,
            seconds=60.0,
            parents=(model.id,),
        )
        self.put(model, entry)

    def _read(self, reading: Reading) -> None:
        self.base.setdefault(reading.name, reading)
        self.readings.append(reading)
        self.put(reading, name=reading.name)


# Gains of 1, .5, 0 and −.5: no two alike, so that no choice hangs on an id.
BEFORE: Mapping[str, Sequence[tuple[str, float]]] = {
    "What is a lion?": [("A lion is a cat and a large one and", 0.0), ("A cat.", 1.0)],
    "Why is the sky blue?": [("Light and air and", 0.0), ("Because light and air and", 0.0)],
    "Who wrote it?": [("She did.", 1.0), ("She and he and", 0.0)],
    "Is it so?": [("It is.", 1.0), ("Yes.", 1.0)],
}
AFTER: Mapping[str, Sequence[tuple[str, float]]] = {
    "What is a lion?": [("A cat.", 1.0), ("A large cat.", 1.0)],
    "Why is the sky blue?": [("Air scatters light.", 1.0), ("Light.", 1.0)],
    "Who wrote it?": [("She and", 0.0), ("She.", 1.0)],
    "Is it so?": [("It is and", 0.0), ("Yes.", 1.0)],
}


def finished(folder: Path) -> Path:
    """A run of one stage that went to its end, with a warning and a Pause that a person accepted."""
    run = make_run(folder)
    with Script(run) as script:
        script.held_out(BEFORE)
        script.audit()
        script.window(0)
        script.update(0, nll=2.5)
        script.audit(kl=0.3, diversity=0.5)
        pause = script.decide("pause", "fell:diversity", "diversity fell by 0.3; tolerated: 10%")
        script.accept(pause, "A. Person", "the probes are few")
        script.window(1, score=0.75)
        script.update(1, nll=2.0, pushed_down=0.2)
        script.held_out(AFTER, change=(0.05, 0.6))
        script.audit(kl=0.8, diversity=0.75)
        script.decide("continue", "grew:reverse_kl", "reverse_kl grew from 0.3 to 0.8")
        script.finish()
    return run
