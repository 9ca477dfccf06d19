"""Small true records and tables for tests: valid as they stand, every part of them can be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from accord.ports import History, How, Sampler, World
from accord.records import (
    By,
    Critiqued,
    Decision,
    Episode,
    Graded,
    Judgment,
    Kind,
    Labelled,
    NotMeasured,
    Point,
    Prompt,
    Question,
    Ranked,
    Reading,
    Response,
    Revised,
    StepEvent,
    Verdict,
)
from accord.records.rows import Columns, Group, Row, Window
from accord.worker import Worker

__all__ = [
    "a_group",
    "a_history",
    "a_judgment",
    "a_reading",
    "a_response",
    "a_row",
    "a_window",
    "an_event",
    "scored",
    "walked",
]


def a_response(prompt: Prompt, text: str = "yes", index: int = 0, tokens: tuple[int, ...] = ()) -> Response:
    """An answer of one token per character (or of ``tokens``) to a prompt of two."""
    return Response(
        prompt=prompt.id,
        text=text,
        prompt_tokens=(1, 2),
        tokens=tokens or tuple(10 + ord(sign) % 90 for sign in text) or (3,),
        policy="test@0",
        seed=f"{prompt.id[:8]}-{index}",
        index=index,
        tokenizer="characters",
        parents=(prompt.id,),
    )


def a_group(text: str = "Why?", *answers: str) -> Group:
    """A prompt with answers to it (by default two)."""
    prompt = Prompt.of(text)
    return Group(
        prompt, tuple(a_response(prompt, said, i) for i, said in enumerate(answers or ("yes", "no")))
    )


def a_row(
    text: str = "yes", *, prompt: str = "Why?", group: int = 0, missing: bool = False, **columns: float
) -> Row:
    """An episode of one turn with its columns."""
    answered = Prompt.of(prompt)
    return Row((Episode.single(a_response(answered, text, len(columns))),), columns, missing, group)


def a_window(scores: Sequence[Sequence[float | None]], index: int = 0, column: str = "score") -> Window:
    """One group for each inner list, one answer for each score; None is an answer that nobody scored.

    Answer k of a group has k + 1 tokens, so means over rows and over tokens differ.
    """
    rows: list[Row] = []
    for g, group in enumerate(scores):
        prompt = Prompt.of(f"prompt {g}")
        for k, score in enumerate(group):
            answer = a_response(prompt, f"{g}.{k}", k, tuple(range(3, k + 4)))
            value = np.nan if score is None else score
            rows.append(Row((Episode.single(answer),), {column: value}, score is None, g))
    return Window(index, tuple(rows))


def scored(groups: Sequence[Group], scores: Mapping[str, float], column: str = "score") -> Columns:
    """What feedback gives: a row per answer, missing where ``scores`` has no such text."""
    answers = [r for group in groups for r in group.responses]
    values = np.array([scores.get(r.text, np.nan) for r in answers], dtype=np.float64)
    return Columns(tuple((r.id,) for r in answers), {column: values}, np.isnan(values), ((),) * len(answers))


def a_judgment(question: Question, best: int = 0, *, by: str = "rater", abstains: bool = False) -> Judgment:
    """A judgment that fits its question. ``best`` is the answer preferred, or the grade given."""
    said: Verdict | None = None if abstains else _verdict(question, best)
    return Judgment(
        question=question.id,
        by=By(type="program", name=by, config=by),
        shown=question.responses,
        verdict=said,
        abstention="unclear" if abstains else None,
        parents=(question.id,),
    )


def _verdict(question: Question, best: int) -> Verdict:
    match question.asks:
        case Kind.COMPARE:
            first = question.responses[best]
            return Ranked(tiers=((first,), tuple(r for r in question.responses if r != first)))
        case Kind.GRADE:
            return Graded(scores={"score": float(best)})
        case Kind.CRITIQUE:
            return Critiqued(points=(Point(severity=1 + best % 4, text="a point"),))
        case Kind.REVISE:
            return Revised(text=f"a better text, version {best}")
        case Kind.LABEL:
            return Labelled(tags=question.instrument.options[best : best + 1])


def an_event(step: int = 1, name: str = "update", text: str = "", **scalars: float) -> StepEvent:
    """Something that happened in the run ``run/stage``; an update was applied unless told otherwise."""
    plain = {"applied": 1.0, "objective": 1.0} if name == "update" else {}
    told = {"name": name, "step": step, "window": step, "scalars": plain | scalars, "text": text}
    return StepEvent.model_validate({"run": "run/stage", **told})


def a_reading(
    name: str = "measure", step: int = 0, value: float = 0.5, change: float | None = None
) -> Reading:
    """A reading with an interval of ±.01 around the value, and around the change to a base of .5."""
    around = (
        {}
        if change is None
        else {"change": change, "change_low": change - 0.01, "change_high": change + 0.01}
    )
    told = {"name": name, "step": step, "instrument": "test", "value": value, "base": 0.5, "n": 4}
    return Reading.model_validate(
        {"run": "run/stage", "low": value - 0.01, "high": value + 0.01, **told, **around}
    )


def a_history(
    events: Sequence[StepEvent] = (),
    readings: Sequence[Reading | NotMeasured] = (),
    decisions: Sequence[Decision] = (),
) -> History:
    """A history of the run ``run/stage`` that stands at the latest step named in it."""
    step = max((record.step for record in (*events, *readings)), default=0)
    return History("run/stage", step, tuple(events), tuple(readings), tuple(decisions))


def walked(
    world: World, sampler: Sampler, seed: str, *, temperature: float = 1.0, turns: int = 64
) -> Episode:
    """The sampler acts in the world until it is over, or ``turns`` were taken."""
    said: list[Response] = []
    rewards: list[float | None] = []
    costs: dict[str, list[float | None]] = {}
    first = prompt = world.reset(seed)
    with Worker() as worker:
        for turn in range(turns):
            how = How(f"{seed}/turn/{turn}", temperature)
            said.append(worker.run(sampler.sample([prompt], 1, how))[0].responses[0])
            led = world.step(said[-1])
            rewards.append(led.reward)
            for name, cost in led.costs.items():
                costs.setdefault(name, [None] * turn).append(cost)
            if led.prompt is None:
                break
            prompt = led.prompt
    return Episode(
        prompt=first.id,
        responses=tuple(r.id for r in said),
        prompt_tokens=tuple(r.prompt_tokens for r in said),
        tokens=tuple(r.tokens for r in said),
        allowed=first.allowed,
        temperature=temperature,
        rewards=tuple(rewards),
        costs={name: tuple(column) for name, column in costs.items()},
        parents=tuple(r.id for r in said),
    )
