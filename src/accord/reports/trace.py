"""One figure walked back to the prompts it rests on, record by record, each with the file it stands in.

A person's judgment stands in a labelling database (``people.py``); its id is in the stage's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accord.frozen import LOCK
from accord.records import Judgment, Prompt, Question, Reading, Record, Response, StepEvent
from accord.reports.document import Walked
from accord.reports.logs import StageLog
from accord.reports.people import Heard, heard
from accord.reports.transcripts import told_prompt, told_verdict
from accord.reports.words import counted, number, percent

__all__ = ["trace_of"]

_JUDGED = ("held_out.", "versus.", "release.")  # readings that rest on judgments
_ELSEWHERE = "not in what can be read of this stage: an earlier run recorded it, or its line is damaged"


def trace_of(log: StageLog, *, aloud: bool = False) -> tuple[Walked, ...]:
    """From the first held-out reading (else window, else reading) by first parents to a prompt.

    ``aloud``: with what people said, which must then be written nowhere.
    """
    windows = [event for event in log.windows() if event.parents]
    starts: list[Record] = [*log.held_out[:1], *windows[:1], *log.readings[:1]]
    return tuple(_walk(log, starts[0], heard(log), aloud)) if starts else ()


def _walk(log: StageLog, start: Record, said: Mapping[str, Heard], aloud: bool) -> Iterator[Walked]:
    yield _described(log, start)
    here: Record = start
    while (below := _below(here)) is not None:
        kind, record = below
        while record in said:
            outside = said[record]
            yield _outside(log, record, outside, aloud)
            kind, record = (
                ("judgment", outside.made_of[0]) if outside.made_of else ("question", outside.question)
            )
        found = log.records.get(record)
        if found is None:
            yield Walked(kind, record, "", _ELSEWHERE)
            return
        yield _described(log, found)
        here = found


def _outside(log: StageLog, record: str, outside: Heard, aloud: bool) -> Walked:
    judgment, place = outside.judgment, f"{log.folder.name}/{LOCK}"
    if judgment is None or not aloud:
        return Walked("judgment", record, place, outside.says)
    told, text = _told(log, judgment)
    return Walked("judgment", record, place, told, text)


def _below(record: Record) -> tuple[str, str] | None:
    """The next record down, and what it is."""
    match record:
        case Judgment():
            return "question", record.question
        case Question() if record.responses:
            return "response", record.responses[0]
        case Response():
            return "prompt", record.prompt
        case StepEvent() if record.parents:
            return "judgment", record.parents[0]
        case Reading() if record.parents:
            return "judgment" if record.name.startswith(_JUDGED) else "response", record.parents[0]
        case _:
            return None


def _described(log: StageLog, record: Record) -> Walked:
    says, text = _told(log, record)
    return Walked(record.kind, record.id, log.place(record.id), says, text)


def _told(log: StageLog, record: Record) -> tuple[str, str]:
    rests = counted(len(record.parents), "record")
    match record:
        case Reading():
            shown = percent(record.value) if record.unit.startswith("share") else number(record.value)
            return f"{record.name} at step {record.step} is {shown}; it rests on {rests}", ""
        case StepEvent():
            scores = f", mean score {number(record.scalars['score'])}" if "score" in record.scalars else ""
            return f"window {record.window + 1}{scores}; it rests on {rests}", ""
        case Judgment():
            question = log.question(record.question)
            said = told_verdict(record, question, question.responses[0]) if question else record.by.name
            return f"{said} (a {record.by.type})", record.rationale
        case Question():
            answers = counted(len(record.responses), "answer")
            return f"asks to {record.asks.value} {answers}", record.instrument.wording
        case Response():
            tokens = counted(len(record.tokens), "token")
            return (
                f"answer {record.index} of {record.policy}, {tokens}, ended by {record.finish}",
                record.text,
            )
        case Prompt():
            return f"slice {record.slice}" if record.slice else "the prompt", told_prompt(record)
        case _:
            return record.kind, ""
