"""A question as it stands on a rater's page: the line on top, the turns, the answers in their order. Pure.

Models' names, votes and why a question was chosen never come in here. Where answers go on from different
conversations, the turns they share are shown once, and each answer with the rest of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from accord.errors import Refused
from accord.records import (
    Critiqued,
    Episode,
    Judgment,
    Message,
    Prompt,
    Question,
    Record,
    Response,
)
from accord.web.showing import Sentence, marked, plain, sentences, spanned
from accord.web.sitting import LETTERS, Task, task_of

__all__ = ["Answer", "Asked", "Gone", "Turn", "asked_of", "in_words", "line_of", "title_of"]

_LINES: dict[Task, str] = {
    "pair": "Which answer is better?",
    "ranking": "Put the answers in order, the best first.",
    "grade": "How good is this answer?",
    "label": "Which of these fits the answer?",
    "critique": "What is wrong with this answer?",
    "correct": "Make this answer better.",
    "demonstrate": "Write the answer you would want to get.",
}
_ROLES = {"system": "Told to the model", "user": "Person", "assistant": "Model", "tool": "Tool"}
_LONGEST_LINE = 160  # characters; a longer wording stands under the line
_MOST_SENTENCES = 400  # that can be picked, of one answer
_PICKED = 90  # characters of a sentence in the list


class Gone(Refused):
    """A text of a question was withdrawn, so nobody is asked it any more."""


class Turn(NamedTuple):
    """Who spoke, and what: as it was written, and as the page shows it."""

    who: str
    raw: str
    text: Markup


class Answer(NamedTuple):
    """An answer under the letter it is shown as. ``before``: turns of its own that led to it."""

    letter: str
    id: str
    before: tuple[Turn, ...]
    raw: str
    text: Markup
    sentences: tuple[tuple[str, str], ...]


class Asked(NamedTuple):
    """All that the page shows. ``hindsight``: judged before, and something became known since.

    ``covered``: the data says that it distresses (a column ``distressing`` of the prompt's row).
    """

    question: Question
    task: Task
    line: str
    more: str
    shared: tuple[Turn, ...]
    answers: tuple[Answer, ...]
    evidence: tuple[Turn, ...]
    hindsight: bool
    covered: bool
    records: tuple[Record, ...]


def asked_of(read: Callable[[str], Record], question: Question, order: Sequence[str], layout: str) -> Asked:
    """The page of a question whose answers are shown in this order. ``read`` gives the posted records.

    Gone where one of them is not there any more.
    """

    def there(record: str) -> Record:
        try:
            return read(record)
        except KeyError:
            raise Gone("a text of this question was withdrawn\n  the next question is another one") from None

    task, draw = task_of(question), marked if layout == "marked" else plain
    prompt = _prompt(there, question.prompt)
    found = [_spoken(there, answer) for answer in order]
    talks = [_conversation(read, response, prompt) for response in found]
    together = talks[0][: _shared(talks)] if talks else prompt.messages
    answers = [
        Answer(
            letter,
            answer,
            _turns(talk[len(together) :], draw),
            response.text,
            spanned(response.text) if task == "critique" else draw(response.text),
            _picks(letter, response.text) if task == "critique" else (),
        )
        for letter, answer, response, talk in zip(LETTERS, order, found, talks, strict=False)
    ]
    evidence = [there(record) for record in question.evidence if record != question.revisits]
    line, wording = line_of(question), question.instrument.wording.strip()
    return Asked(
        question=question,
        task=task,
        line=line,
        more="" if line == wording else wording,
        shared=_turns(together, draw),
        answers=tuple(answers),
        evidence=tuple(turn for record in evidence for turn in _beside(record, draw)),
        hindsight=question.revisits is not None and bool(question.evidence),
        covered=bool(prompt.columns.get("distressing")),
        records=(prompt, *(there(answer) for answer in order), *evidence),
    )


def line_of(question: Question) -> str:
    """What is to be done, on one line: the instrument's wording where it is short enough for that."""
    wording = question.instrument.wording.strip()
    short = wording and len(wording) <= _LONGEST_LINE and "\n" not in wording
    return wording if short else _LINES[task_of(question)]


def title_of(asked: Asked) -> str:
    """What was asked, on one line, for a list: the last turn; no text that distresses."""
    if asked.covered:
        return "(a text that may distress)"
    return " ".join(asked.shared[-1].raw.split()) if asked.shared else asked.line


def _prompt(read: Callable[[str], Record], record: str) -> Prompt:
    found = read(record)
    if not isinstance(found, Prompt):
        raise TypeError(f"{record} is a {found.kind}, and a question is asked about a prompt")
    return found


def _spoken(read: Callable[[str], Record], record: str) -> Response:
    """The answer that is judged: of an episode its last."""
    found = read(record)
    if isinstance(found, Episode):
        found = read(found.responses[-1])
    if not isinstance(found, Response):
        raise TypeError(f"{record} is a {found.kind}, and only answers are judged")
    return found


def _conversation(read: Callable[[str], Record], response: Response, prompt: Prompt) -> tuple[Message, ...]:
    """What led to an answer: its own prompt where that was posted, else the question's."""
    try:
        found = read(response.prompt)
    except KeyError:
        return prompt.messages
    return found.messages if isinstance(found, Prompt) else prompt.messages


def _shared(talks: Sequence[Sequence[Message]]) -> int:
    """How many turns all of them begin with."""
    count = 0
    for turns in zip(*talks, strict=False):
        if any(turn != turns[0] for turn in turns):
            break
        count += 1
    return count


def _turns(messages: Iterable[Message], draw: Callable[[str], Markup]) -> tuple[Turn, ...]:
    return tuple(Turn(_ROLES[m.role], m.content, draw(m.content)) for m in messages)


def _picks(letter: str, text: str) -> tuple[tuple[str, str], ...]:
    """The sentences of an answer as values of a form, with their beginnings."""
    found = sentences(text)[:_MOST_SENTENCES]
    return tuple((f"{letter}:{s.start}-{s.end}", _beginning(s)) for s in found)


def _beginning(sentence: Sentence) -> str:
    return sentence.text if len(sentence.text) <= _PICKED else f"{sentence.text[:_PICKED]}…"


def _beside(record: Record, draw: Callable[[str], Markup]) -> tuple[Turn, ...]:
    """A piece of evidence as turns. A judgment shows what it found, not whose it is."""
    match record:
        case Response(text=text):
            return (Turn("", text, draw(text)),)
        case Prompt(messages=messages):
            return _turns(messages, draw)
        case Judgment(verdict=Critiqued(points=points)):
            return tuple(Turn(f"Severity {p.severity} of 4", p.text, draw(p.text)) for p in points)
        case Judgment(rationale=rationale) if rationale:
            return (Turn("", rationale, draw(rationale)),)
        case _:
            nothing = "(something that this page cannot show)"
            return (Turn("", nothing, draw(nothing)),)


def in_words(question: Question, judgment: Judgment) -> str:
    """What somebody said, for their own list of it: answers under the letters they saw.

    >>> from accord.records import By, Kind, Ranked
    >>> question = Question(asks=Kind.COMPARE, prompt="p", responses=("x", "y"))
    >>> by = By(type="person", name="r", config="c")
    >>> said = Judgment(question=question.id, by=by, shown=("y", "x"), verdict=Ranked(tiers=(("x",), ("y",))))
    >>> in_words(question, said)
    'B is better'
    """
    letters = dict(zip(judgment.shown, LETTERS, strict=False))
    verdict = judgment.verdict
    if verdict is None:
        return f"skipped: {(judgment.abstention or '').replace('_', ' ')}"
    match verdict.type:
        case "ranked":
            tiers = [" = ".join(letters.get(r, "?") for r in tier) for tier in verdict.tiers]
            if verdict.acceptable == ():
                return (
                    "both bad" if len(question.responses) == 2 else f"{' > '.join(tiers)}, none good enough"
                )
            if len(question.responses) == 2:
                return "a tie" if len(tiers) == 1 else f"{tiers[0]} is better"
            return " > ".join(tiers)
        case "graded":
            return ", ".join(f"{letters.get(name, name)} {score:g}" for name, score in verdict.scores.items())
        case "critiqued":
            return f"{len(verdict.points)} points" if len(verdict.points) != 1 else "1 point"
        case "revised":
            return f"a text of {len(verdict.text.split())} words"
        case "labelled":
            return ", ".join(verdict.tags)
        case "spread":
            return ", ".join(f"{letters.get(name, name)} {p:.0%}" for name, p in verdict.p.items())
