"""Given: feedback as records, and Export: rows for another tool beside what they do not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from accord.records import Episode, Judgment, Prompt, Question, Record, Response

__all__ = ["Asked", "Export", "Fields", "Given", "asked_of", "made_of", "named_by"]

Fields = dict[str, JsonValue]


class Given(NamedTuple):
    """Feedback: questions in their order, what was said of them, and the texts they name, by id."""

    questions: tuple[Question, ...]
    judgments: tuple[Judgment, ...]
    records: Mapping[str, Record]


class Export(NamedTuple):
    """Rows, how often each thing was lost that they cannot say, and the judgments that went into them."""

    rows: tuple[Fields, ...]
    lost: Mapping[str, int]
    used: tuple[str, ...]


class Asked(NamedTuple):
    """A question with its texts. ``answers``: the text of each answer, of an episode those of its turns."""

    question: Question
    prompt: Prompt
    answers: Mapping[str, tuple[str, ...]]
    judgments: tuple[Judgment, ...]


def named_by(question: Question, records: Mapping[str, Record]) -> list[str]:
    """The ids of all texts that a question stands on, the turns of its episodes too, each once."""
    named = dict.fromkeys((question.prompt, *question.responses, *question.evidence))
    for name in list(named):
        match records.get(name):
            case Episode() as episode:
                named |= dict.fromkeys((episode.prompt, *episode.responses))
            case _:
                pass
    return list(named)


def asked_of(given: Given, lost: Counter[str]) -> list[Asked]:
    """Every question with its texts. One whose texts are gone is left out, and its judgments are counted."""
    said: dict[str, list[Judgment]] = {question.id: [] for question in given.questions}
    for judgment in given.judgments:
        if judgment.question in said:
            said[judgment.question].append(judgment)
        else:
            lost["judgments of other questions"] += 1
    found: list[Asked] = []
    for question in given.questions:
        prompt = given.records.get(question.prompt)
        answers = {name: _texts(name, given.records) for name in question.responses}
        judgments = tuple(said.get(question.id, ()))
        if isinstance(prompt, Prompt) and all(answers.values()):
            found.append(Asked(question, prompt, answers, judgments))
        else:
            lost["judgments of texts that were withdrawn"] += len(judgments)
    return found


def made_of(rows: Iterable[Fields], lost: Counter[str], used: Iterable[str]) -> Export:
    """An export; reasons that never came up are not listed."""
    return Export(tuple(rows), {why: n for why, n in sorted(lost.items()) if n}, tuple(dict.fromkeys(used)))


def _texts(name: str, records: Mapping[str, Record]) -> tuple[str, ...]:
    """The text of an answer, or of each turn of an episode; nothing where one of them is gone."""
    match records.get(name):
        case Response() as response:
            return (response.text,)
        case Episode() as episode:
            turns = [records.get(turn) for turn in episode.responses]
            texts = tuple(turn.text for turn in turns if isinstance(turn, Response))
            return texts if len(texts) == len(turns) else ()
        case _:
            return ()
