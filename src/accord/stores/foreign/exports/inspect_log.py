"""Feedback as a log of Inspect, to be opened in its viewer: a sample for each answer that was judged.

| here | Inspect |
|---|---|
| prompt and answer | messages and output of a sample; its id and target where the prompt has them |
| who judged | a scorer of that name; one that came from Inspect has its old name again |
| Grade | the number, or an object of numbers |
| Label | the label, a list where it is not one; of a distribution an object of shares |
| an abstention | NaN, which Inspect counts as not scored, with its reason |

A log holds scores of answers, so comparisons, rankings, revisions and episodes are left out, and counted. The
means in ``results`` are of what was scored, as Inspect's are, with the number of what was not beside them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from typing import NamedTuple, cast

from pydantic import JsonValue

from accord.records import Graded, Judgment, Labelled, Message, Prompt, Response, Spread, digest
from accord.stores.foreign.exports.form import annotator_of
from accord.stores.foreign.exports.given import Asked, Export, Fields, Given, asked_of, made_of
from accord.stores.foreign.inspect_files import MARK, VERSION, packed

__all__ = ["inspect_log"]

_FOREIGN = "program:inspect:"
_STOPS = {"stop": "stop", "length": "max_tokens", "data": "stop"}


class _Place(NamedTuple):
    """Which sample of the log an answer is."""

    name: str
    epoch: int


def inspect_log(given: Given, at: float, zipped: bool) -> tuple[bytes, Export]:
    """The log as a file, ``.eval`` where ``zipped``, and what it cannot say. ``at``: when it was last said
    something, in seconds since 1970: a log of the same feedback is the same file."""
    lost, used = Counter[str](), list[str]()
    samples: dict[str, Fields] = {}
    places: dict[str, _Place] = {}
    for asked in asked_of(given, lost):
        answer = _answer(asked, given)
        if answer is None:
            lost[f"judgments of {asked.question.asks.value} questions, or of episodes"] += len(
                asked.judgments
            )
            continue
        place = places.setdefault(answer.id, _placed(asked.prompt, answer, places))
        key = f"{place.name}_epoch_{place.epoch}"
        sample = samples.setdefault(key, _sample(asked.prompt, answer, place))
        for judgment in asked.judgments:
            name = _scorer(judgment, asked, cast("Mapping[str, JsonValue]", sample["scores"]))
            cast("dict[str, JsonValue]", sample["scores"])[name] = _score(judgment, answer)
            used.append(judgment.id)
    header = _header(list(samples.values()), at, digest([*samples, *used]))
    return packed(header, samples, zipped), made_of(samples.values(), lost, used)


def _answer(asked: Asked, given: Given) -> Response | None:
    """The one answer that a question is about, where it is graded or labelled and no episode."""
    if asked.question.asks.value not in ("grade", "label") or len(asked.question.responses) != 1:
        return None
    found = given.records.get(asked.question.responses[0])
    return found if isinstance(found, Response) else None


def _placed(prompt: Prompt, answer: Response, taken: Mapping[str, _Place]) -> _Place:
    """The sample's own id and epoch where it came from a log, unless another answer has them."""
    name = prompt.columns.get("sample")
    place = _Place(name, answer.index + 1) if isinstance(name, str) and name else _Place(answer.id[:12], 1)
    return place if place not in taken.values() else _Place(answer.id[:16], 1)


def _sample(prompt: Prompt, answer: Response, place: _Place) -> Fields:
    given = prompt.columns.get("target")
    target: JsonValue = "" if given is None else str(given)
    if isinstance(given, list):
        target = [str(one) for one in given]
    said: Fields = {"role": "assistant", "content": answer.text, "source": "generate", "model": answer.policy}
    asked: list[JsonValue] = [_turn(one) for one in prompt.messages]
    last = next((one.content for one in reversed(prompt.messages) if one.role == "user"), "")
    return {
        "id": place.name,
        "epoch": place.epoch,
        "input": last,
        "target": target,
        "messages": [*asked, said],
        "output": {
            "model": answer.policy,
            "choices": [{"message": said, "stop_reason": _STOPS[answer.finish]}],
            "completion": answer.text,
        },
        "scores": {},
        "metadata": {"prompt": prompt.id, "answer": answer.id},
        "store": {},
        "events": [],
        "model_usage": {},
        "role_usage": {},
        "attachments": {},
    }


def _turn(one: Message) -> Fields:
    return {"role": one.role, "content": one.content}


def _scorer(judgment: Judgment, asked: Asked, taken: Mapping[str, JsonValue]) -> str:
    """Who judged, with the question's wording if it has one, and a number from the second of that name on."""
    who = annotator_of(judgment.by)
    if who.startswith(_FOREIGN):
        who = who.removeprefix(_FOREIGN)
    elif asked.question.instrument.wording:
        who = f"{who}: {asked.question.instrument.wording}"
    several = (f"{who} ({number})" for number in count(2))
    return next(name for name in chain((who,), several) if name not in taken)


def _score(judgment: Judgment, answer: Response) -> Fields:
    told: Fields = {"value": _value(judgment), "answer": answer.text, "history": []}
    if judgment.rationale:
        told["explanation"] = judgment.rationale
    if judgment.abstention is not None:
        told["reason"] = judgment.abstention
    told["metadata"] = {"judgment": judgment.id, "confidence": judgment.confidence}
    return told


def _value(judgment: Judgment) -> JsonValue:
    match judgment.verdict:
        case Graded(scores=scores):
            return scores["score"] if [*scores] == ["score"] else dict(scores)
        case Labelled(tags=tags):
            return tags[0] if len(tags) == 1 else list(tags)
        case Spread(p=p):
            return dict(p)
        case _:
            return math.nan


def _header(samples: Sequence[Fields], at: float, key: str) -> Fields:
    day = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    models = {str(cast(Fields, one["output"])["model"]) for one in samples}
    scored = _means(samples)
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": key[:22],
            "run_id": key[22:44],
            "created": day,
            "task": "accord feedback",
            "task_id": key[44:],
            "task_version": 0,
            "dataset": {"name": "accord feedback", "samples": len(samples), "shuffled": False},
            "model": models.pop() if len(models) == 1 else "several",
            "config": {"epochs": max((cast(int, one["epoch"]) for one in samples), default=1)},
            "packages": {},
            "metadata": {MARK: 1},
            "scorers": [{"name": name, "options": {}, "metadata": {}} for name in scored],
        },
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [_told(name, values) for name, values in scored.items()],
        },
        "stats": {"started_at": day, "completed_at": day, "model_usage": {}, "role_usage": {}},
    }


def _means(samples: Sequence[Fields]) -> dict[str, list[float | None]]:
    """Every scorer's numbers; None where it has none, or another thing."""
    found: dict[str, list[float | None]] = {}
    for one in samples:
        for name, score in cast("dict[str, Fields]", one["scores"]).items():
            value = score["value"]
            known = value if isinstance(value, int | float) and math.isfinite(value) else None
            found.setdefault(name, []).append(known)
    return found


def _told(name: str, values: Sequence[float | None]) -> Fields:
    scored = [one for one in values if one is not None]
    mean: Fields = {"name": "mean", "value": sum(scored) / len(scored), "params": {}} if scored else {}
    return {
        "name": name,
        "scorer": name,
        "params": {},
        "metrics": {"mean": mean} if scored else {},
        "scored_samples": len(scored),
        "unscored_samples": len(values) - len(scored),
    }
