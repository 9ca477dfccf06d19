"""A log of Inspect as feedback: what each scorer said of each sample's answer is the judgment of a judge.

| Inspect | here |
|---|---|
| messages before the last answer | the prompt, with the sample's id and target as columns |
| the completion | the answer, of the model, of its epoch |
| ``C``, ``P``, ``I``, ``N``, yes, no, true, false, a number | Grade: 1, ½, 0, 0, 1, 0, 1, 0, the number |
| an object of such values | Grade: one score for each key |
| no score, or NaN | an abstention: ``refused``, ``unparsable`` where the grader failed, ``error`` otherwise |
| lists and other texts | an abstention ``unparsable``, and counted |

*What nobody scored is not left out.* A judge who refuses does so where answers are at their worst, so a mean
of what was scored makes a model look safer than it is. ``bounds`` says what the mean would be if every
missing score were 0, or 1; a range that scores show to be another has no such bounds.

A scorer is a program, ``inspect:`` and its name, also where it asks a model: which one is in its options,
and so in its config. Log, task and options are part of that, so the same scorer with other options is
another judge. Differences from how Inspect counts: a value it cannot read counts 0 there, and nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast, get_args

from pydantic import JsonValue

from accord.records import Abstention, By, Graded, Instrument, Kind, Message, Prompt, digest
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.imports.brought import Brought, Gathered, Row, source_of
from accord.stores.foreign.inspect_files import MARK, Log, read
from accord.stores.foreign.tables import Fields

__all__ = ["Bounds", "bounds", "bring_inspect", "number"]

_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_WHY: Mapping[object, Abstention] = {
    "grader_failed": "unparsable",
    "grader_refused": "refused",
    "refusal": "refused",
    "timeout": "timeout",
}
_ROLES = get_args(Message.model_fields["role"].annotation)
_ATTACHED = "attachment://"


class Bounds(NamedTuple):
    """Of one scorer: how many samples it scored of how many, their mean, and between what the mean of all
    lies whatever the others are worth; None where scores are not within 0 and 1."""

    scorer: str
    scored: int
    asked: int
    mean: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        mean = f"{self.mean:.3f} of {self.scored:,} scored" if self.scored else "none scored"
        told = f"{self.scorer}: {mean}, {self.asked:,} asked"
        if self.scored == self.asked:
            return told
        if self.low is None or self.high is None:
            return f"{told}; the others have no bound: scores are not within 0 and 1"
        return f"{told}; with the others at their worst and best {self.low:.3f} to {self.high:.3f}"


def number(value: object) -> float | None:
    """A score as a number, by Inspect's own letters and words; None for what is none.

    >>> [number(one) for one in ("C", "P", "I", "No", "0.25", 3, True, "maybe", [1])]
    [1.0, 0.5, 0.0, 0.0, 0.25, 3.0, 1.0, None, None]
    """
    if isinstance(value, bool | int | float):
        found = float(value)
    elif isinstance(value, str):
        said = value.strip()
        known = _LETTERS.get(said, _WORDS.get(said.lower()))
        try:
            found = float(said) if known is None else known
        except ValueError:
            return None
    else:
        return None
    return found if math.isfinite(found) else None


def bounds(brought: Brought) -> list[Bounds]:
    """Of every scorer, and each of its scores where it has several."""
    found: dict[str, list[float]] = {}
    asked: dict[str, int] = {}
    for one in (kept.judgment for kept in brought.kept):
        name = one.by.name.removeprefix("inspect:")
        asked[name] = asked.get(name, 0) + 1
        if isinstance(one.verdict, Graded):
            for head, value in one.verdict.scores.items():
                found.setdefault(name if head == "score" else f"{name}.{head}", []).append(value)
    heads = {name: [h for h in found if h == name or h.startswith(f"{name}.")] for name in asked}
    return [
        _bounds(head, found.get(head, []), asked[name]) for name in asked for head in heads[name] or [name]
    ]


def bring_inspect(file: Path, rejecting: bool = False) -> Brought:
    """The feedback in a log. Unreadable names the sample that does not fit; ``rejecting``: it is left out."""
    log, gathered, source = read(file), Gathered(rejecting), source_of(file)
    for number_, sample in log.samples:

        def take(row: Row) -> None:
            _take(row, log, source)

        gathered.row(file, number_, sample, take)
    return gathered.done(file, "Inspect's, with an answer and a score")


def _bounds(name: str, scores: list[float], asked: int) -> Bounds:
    mean = sum(scores) / len(scores) if scores else math.nan
    if any(not 0 <= one <= 1 for one in scores):
        return Bounds(name, len(scores), asked, mean, None, None)
    total = sum(scores)
    return Bounds(name, len(scores), asked, mean, total / asked, (total + asked - len(scores)) / asked)


def _take(row: Row, log: Log, source: str) -> None:
    sample, spec = row.fields, cast(Fields, log.header["eval"])
    messages, said = _conversation(sample, row)
    scorers = _scorers(spec, sample)
    if said is None or not messages:
        row.lost["samples without an answer"] += 1
        return
    columns: dict[str, JsonValue] = {
        "sample": str(sample.get("id", "")),
        "target": cast(JsonValue, sample.get("target")),
    }
    prompt = Prompt(messages=messages, columns=columns)
    epoch, model = sample.get("epoch", 1), spec.get("model")
    if not isinstance(epoch, int) or epoch < 1:
        raise Unfit('"epoch" as a number from 1 on', repr(epoch)[:80])
    answer = row.answer(prompt, said, epoch - 1, policy=str(model or "data"))
    row.lost["events of samples"] += bool(sample.get("events"))
    row.lost["samples that ended in an error"] += bool(sample.get("error"))
    scores = _object(sample.get("scores"), '"scores"')
    ours = MARK in _object(spec.get("metadata"), "eval.metadata")
    for name, options in scorers.items():
        config = digest({"inspect": name, "task": str(spec.get("task")), "options": options})
        by = By(type="program", name=f"inspect:{name}", config=config)
        question = row.ask(Kind.GRADE, prompt, [answer], Instrument(wording=name))
        score = scores.get(name)
        if score is None and ours:
            continue
        verdict, why = _verdict(_object(score, f"scores.{name}") if score is not None else {})
        row.lost["scores that are texts or lists"] += why == _TEXT
        rationale = cast(Fields, score).get("explanation") if score else None
        more = {"rationale": rationale} if isinstance(rationale, str) else {}
        row.say(question, by, verdict, source, note=why, **more)


_TEXT = "no number"


def _verdict(score: Fields) -> tuple[Graded | Abstention, str]:
    """What a score says, and a note where it says nothing."""
    value = score.get("value")
    several = cast("Mapping[str, object]", value) if isinstance(value, dict) else {"score": value}
    found = {name: number(one) for name, one in several.items()}
    if several and all(one is not None for one in found.values()):
        return Graded(scores=cast("dict[str, float]", found)), ""
    if value is None or any(isinstance(one, float) for one in several.values()):
        reason = score.get("reason")
        told = reason if isinstance(reason, str) else "not scored"
        known = cast(Abstention, reason) if reason in get_args(Abstention) else "error"
        return _WHY.get(reason, known), told[:200]
    return "unparsable", _TEXT


def _scorers(spec: Fields, sample: Fields) -> dict[str, JsonValue]:
    """Every scorer that was to score the sample, by name, with its options."""
    found: dict[str, JsonValue] = {}
    listed = spec.get("scorers")
    for one in cast("list[object]", listed) if isinstance(listed, list) else []:
        scorer = _object(one, "eval.scorers")
        found[str(scorer.get("name"))] = cast(JsonValue, scorer.get("options"))
    scores = _object(sample.get("scores"), '"scores"')
    # Two scorers of one name score as ``match`` and ``match1``; a name of its own has no options on record.
    return found | {name: None for name in scores if name not in found}


def _conversation(sample: Fields, row: Row) -> tuple[tuple[Message, ...], str | None]:
    """What was read before the last answer, and that answer; None where there is none."""
    listed = sample.get("messages")
    if not isinstance(listed, list):
        raise Unfit('"messages" as a list', repr(listed)[:80])
    turns = [_object(one, "messages") for one in cast("list[object]", listed)]
    ends = [place for place, turn in enumerate(turns) if turn.get("role") == "assistant"]
    if not ends:
        return (), None
    attached = _object(sample.get("attachments"), '"attachments"')
    texts = ["".join(_texts(turn.get("content"), attached, row)) for turn in turns[: ends[-1] + 1]]
    before = tuple(_message(turn, text) for turn, text in zip(turns, texts[:-1], strict=False))
    return before, texts[-1] or None


def _message(turn: Fields, text: str) -> Message:
    if (role := turn.get("role")) not in _ROLES:
        raise Unfit(f'"role" as one of {", ".join(_ROLES)}', repr(role)[:80])
    return Message.model_validate({"role": role, "content": text})


def _texts(content: object, attached: Fields, row: Row) -> Iterator[str]:
    """The text of a message, out of its parts and of what was attached; other parts are counted."""
    if isinstance(content, str):
        held = attached.get(content.removeprefix(_ATTACHED)) if content.startswith(_ATTACHED) else content
        yield held if isinstance(held, str) else content
        return
    for part in cast("list[object]", content) if isinstance(content, list) else []:
        fields = _object(part, "content")
        if fields.get("type") == "text":
            yield from _texts(fields.get("text"), attached, row)
        else:
            row.lost[f"parts of messages: {fields.get('type')}"] += 1


def _object(value: object, what: str) -> Fields:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit(f"{what} as an object", repr(value)[:80])
    return cast(Fields, value)
