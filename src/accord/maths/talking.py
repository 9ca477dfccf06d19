"""The texts of a talk before a verdict: what a speaker is shown, and how quotes are told of.

Text in, text out; who speaks, and in what order, is in ``accord.overseers``. The two answers are called One
and Two, since a judge may see them in either order. What a speaker says is never changed, nor anything put
into it: which quotes stand in what was to be quoted from is told beside it, where no speaker can tell it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from accord.maths.judging import boundary, fenced
from accord.records import Prompt, Question, Record, Response

__all__ = ["NAMES", "Quote", "Talk", "blocks", "marked", "marks", "paper", "quotes", "shown", "talk"]

NAMES = ("One", "Two")
_QUOTE = re.compile(r"<quote>(.*?)</quote>", re.DOTALL)
_TOLD = "Quotes, in the order in which they stand: "
_MARKS = re.compile(re.escape(_TOLD) + r"(.*?)\.(?:\s|$)")
_VERIFIED, _UNVERIFIED = "verified", "unverified"
_BLOCK = re.compile(r"^BEGIN (\w{16}) ([^\n]+)\n(.*?)\nEND \1 \2$", re.DOTALL | re.MULTILINE)


class Quote(NamedTuple):
    """What stands between ``<quote>`` and ``</quote>``, and whether it also stands in what may be quoted."""

    text: str
    verified: bool


class Talk(NamedTuple):
    """What is talked about, the same in whatever order the answers were listed.

    ``key``: of the prompt and its answers. ``blocks``: what every speaker is shown, by name. ``sources``:
    what may be quoted. ``answers``: One and Two.
    """

    key: str
    blocks: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    answers: tuple[Response, ...]


def talk(
    key: str,
    prompt: Prompt,
    answers: tuple[Response, ...],
    material: Sequence[str],
    evidence: Sequence[Record],
) -> Talk:
    """``material``: columns of the prompt that may be quoted beside the conversation. ValueError where one is
    no text. Evidence, which others said of the answers, is shown and is no source: it would vouch for itself.
    """
    columns = [(name, prompt.columns.get(name)) for name in material]
    read = [(name, text) for name, text in columns if isinstance(text, str)]
    if len(read) < len(columns):
        lacking = next(name for name, text in columns if not isinstance(text, str))
        raise ValueError(f"speakers are to read the column {lacking!r}, and the prompt has no such text")
    beside = [
        ("evidence", one.text if isinstance(one, Response) else _said(one))
        for one in evidence
        if isinstance(one, Response | Prompt)
    ]
    names = [(f"answer {name}", one.text) for name, one in zip(NAMES, answers, strict=True)]
    sources = (*(m.content for m in prompt.messages), *(text for _, text in read))
    return Talk(key, (("conversation", _said(prompt)), *read, *beside, *names), sources, answers)


def _said(prompt: Prompt) -> str:
    return "\n\n".join(f"{m.role}: {m.content}" for m in prompt.messages)


def quotes(text: str, sources: Sequence[str]) -> tuple[Quote, ...]:
    """The quotes in a text; verified is what stands in one source to the letter. A blank one never is.

    >>> quotes("<quote>it rained</quote>, so <quote>It rained</quote>", ["On Monday it rained."])
    (Quote(text='it rained', verified=True), Quote(text='It rained', verified=False))
    """
    said: list[str] = _QUOTE.findall(text)
    return tuple(Quote(one, bool(one.strip()) and any(one in text for text in sources)) for one in said)


def marked(said: Mapping[str, Sequence[Quote]]) -> str:
    """Which quotes of which texts are verified, in words; "" where nobody quoted.

    >>> marked({"piece 3": [Quote("a", True), Quote("b", False)], "piece 4": []})
    'Quotes, in the order in which they stand: piece 3: verified, unverified.'
    """
    words = {
        name: ", ".join(_VERIFIED if q.verified else _UNVERIFIED for q in of) for name, of in said.items()
    }
    told = "; ".join(f"{name}: {flags}" for name, flags in words.items() if flags)
    return f"{_TOLD}{told}." if told else ""


def marks(told: str) -> dict[str, tuple[bool, ...]]:
    """What ``marked`` says, read back from a text that holds it, for programs that judge.

    >>> marks("Which is better? " + marked({"piece 3": [Quote("a", True), Quote("b", False)]}))
    {'piece 3': (True, False)}
    """
    found: dict[str, tuple[bool, ...]] = {}
    for line in _MARKS.findall(told):
        for part in line.split("; "):
            name, _, flags = part.partition(": ")
            found[name] = tuple(flag == _VERIFIED for flag in flags.split(", "))
    return found


def paper(talk: Talk, turns: Mapping[str, str], told: str) -> str:
    """What a speaker reads: the material and the turns before his, fenced off, then what is wanted."""
    blocks = [*talk.blocks, *turns.items()]
    mark = boundary(talk.key, "talk", [text for _, text in blocks])
    verified = marked({name: quotes(text, talk.sources) for name, text in turns.items()})
    return "\n\n".join(part for part in (fenced(mark, blocks), verified, told) if part)


def blocks(read: str) -> dict[str, str]:
    """What ``paper`` fenced off, by name, read back for speakers that are programs; {} where nothing is.

    >>> answers = tuple(Response(prompt="p", text=text) for text in ("No.", ""))
    >>> about = talk("k", Prompt.of("Is it?"), answers, (), ())
    >>> blocks(paper(about, {"round 1, for One": "Yes"}, "Speak."))
    {'conversation': 'user: Is it?', 'answer One': 'No.', 'answer Two': '', 'round 1, for One': 'Yes'}
    """
    return {name: text for _, name, text in _BLOCK.findall(read)}


def shown(question: Question, talk: Talk, said: Sequence[Response], told: str) -> Question:
    """The question as a judge is asked it then: the answers One and Two and what was said of them as
    evidence, piece by piece, and in the wording what these pieces are and which quotes are verified."""
    first = len(question.evidence) + 1
    found = {f"piece {n}": quotes(one.text, talk.sources) for n, one in enumerate(said, start=first + 2)}
    told = f"Of the evidence, piece {first} is answer One and piece {first + 1} is answer Two. {told}"
    wording = f"{question.instrument.wording or 'Which answer is better?'} {told} {marked(found)}"
    pieces = (one.id for one in (*talk.answers, *said))
    return question.model_copy(
        update={
            "evidence": (*question.evidence, *pieces),
            "instrument": question.instrument.model_copy(update={"wording": wording.strip()}),
        }
    )
