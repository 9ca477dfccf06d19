"""Three held-out prompts side by side, chosen by a printed rule, so that nothing is picked by hand."""

from __future__ import annotations

from typing import NamedTuple

from accord.records import (
    Critiqued,
    Graded,
    Judgment,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Reading,
    Response,
    Revised,
    Spread,
)
from accord.reports.document import Said, Transcript, Transcripts
from accord.reports.logs import StageLog
from accord.reports.result import held_out_pair
from accord.reports.words import number

__all__ = ["told_prompt", "told_verdict", "transcripts_of"]

_RULE = (
    "Chosen by rule, not by hand: of the held-out prompts, the one whose mean score gained most, the median "
    "one, and the one that gained least or lost most (ties: the smallest record id). Each is shown with its "
    "first sampled answer (index 0) before and after, whatever that says."
)
_UNPAIRED = (
    "Chosen by rule, not by hand: no score from 0 to 1 by prompt is recorded, so these are the held-out "
    "prompts with the three smallest record ids. Each is shown with its first sampled answer (index 0) "
    "before and after."
)
_ONE = "Transcripts stand side by side once the held-out prompts were answered both before and after."
_NONE = "No held-out prompts were answered, so there are no transcripts."
_LOST = "The answers behind the held-out figures do not stand in this run's log, so none can be shown."


class _Seen(NamedTuple):
    """The answers under one reading: each prompt's first one, with what was said of it, and its mean."""

    first: dict[str, tuple[Response, list[tuple[Judgment, Question]]]]
    mean: dict[str, float]


def transcripts_of(log: StageLog) -> Transcripts:
    """At most three prompts; none where the stage has no pair of held-out readings, and then why."""
    before, after = held_out_pair(log)
    if before is None or after is None:
        return Transcripts(_ONE if before else _NONE)
    old, new = _seen(log, before), _seen(log, after)
    shared = sorted(old.first.keys() & new.first.keys())
    if not shared:
        return Transcripts(_LOST)
    gains = {prompt: new.mean[prompt] - old.mean[prompt] for prompt in old.mean.keys() & new.mean.keys()}
    gains = {prompt: gain for prompt, gain in gains.items() if prompt in shared}
    first = [(prompt, "smallest record id") for prompt in shared[:3]]
    chosen = _chosen(gains) if gains else first
    shown = [_transcript(log, prompt, why, (old, new)) for prompt, why in chosen]
    return Transcripts(_RULE if gains else _UNPAIRED, tuple(shown))


def _chosen(gains: dict[str, float]) -> list[tuple[str, str]]:
    """Most, median and least, each prompt once."""
    order = sorted(gains, key=lambda prompt: (-gains[prompt], prompt))
    least = "largest loss" if gains[order[-1]] < 0 else "smallest gain"
    most = "largest gain" if gains[order[0]] > 0 else "smallest loss" if gains[order[0]] < 0 else "no gain"
    picks = [(order[0], most), (order[-1], least)]
    if len(order) > 2:
        picks.insert(1, (order[(len(order) - 1) // 2], "median"))
    return picks if len(order) > 1 else picks[:1]


def _seen(log: StageLog, reading: Reading) -> _Seen:
    """The answers that this reading's judgments are about; abstentions are found by their question."""
    first: dict[str, tuple[Response, list[tuple[Judgment, Question]]]] = {}
    for judgment in log.judgments_under(reading):
        question = log.question(judgment.question)
        answers = [log.response(record) for record in question.responses] if question else []
        for answer in answers:
            if question is None or answer is None or answer.index != 0:
                continue
            said = [(one, question) for one in log.judged.get(question.id, [])]
            first.setdefault(answer.prompt, (answer, said))
    return _Seen(first, dict(zip(reading.items, reading.outcomes, strict=True)))


def _transcript(log: StageLog, prompt: str, why: str, seen: tuple[_Seen, _Seen]) -> Transcript:
    old, new = seen
    record = log.prompt(prompt)
    gain = new.mean[prompt] - old.mean[prompt] if prompt in old.mean and prompt in new.mean else None
    return Transcript(
        why=why,
        prompt=told_prompt(record) if record else "(this prompt does not stand in the log)",
        record=prompt,
        gain=gain,
        before=_said(log, old, prompt),
        after=_said(log, new, prompt),
    )


def _said(log: StageLog, seen: _Seen, prompt: str) -> Said | None:
    if prompt not in seen.first:
        return None
    response, judgments = seen.first[prompt]
    verdicts = tuple(told_verdict(judgment, question, response.id) for judgment, question in judgments)
    return Said(
        text=response.text,
        finish=response.finish,
        tokens=len(response.tokens),
        verdicts=verdicts,
        mean=seen.mean.get(prompt),
        record=response.id,
        place=log.place(response.id),
    )


def told_prompt(prompt: Prompt) -> str:
    """A prompt as text: a single question bare, a conversation with its roles."""
    if len(prompt.messages) == 1:
        return prompt.text
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt.messages)


def told_verdict(judgment: Judgment, question: Question, response: str) -> str:
    """What an overseer said of one answer, in words."""
    who = judgment.by.name
    match judgment.verdict:
        case None:
            note = f" ({judgment.note})" if judgment.note else ""
            return f"{who}: abstained, {judgment.abstention}{note}"
        case Graded(scores=scores):
            return f"{who}: " + ", ".join(f"{name} {number(score)}" for name, score in scores.items())
        case Ranked(tiers=tiers):
            place = next((k for k, tier in enumerate(tiers, 1) if response in tier), 0)
            tied = place and len(tiers[place - 1]) > 1
            return f"{who}: {'tied ' if tied else ''}place {place} of {len(question.responses)} answers"
        case Spread(p=p):
            return f"{who}: probability {number(p.get(response))} of being the one chosen"
        case Critiqued(points=points):
            return f"{who}: {len(points)} points against it"
        case Labelled(tags=tags):
            return f"{who}: {', '.join(tags) or 'no tag'}"
        case Revised():
            return f"{who}: rewrote it"
