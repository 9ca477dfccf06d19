"""The answers of a stage, newest first, as far as they pass a filter: what a person leafs through.

An answer stands in the log wherever it was needed; here it stands once, at the step where it came up first.
The log is read for each page anew, ``MOST`` bytes of each segment at most, the newest files first: what was
left out is said. Only what is shown is read as a record, and held against its id.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from accord.records import Judgment, Prompt, Question, Record, Response
from accord.reports.transcripts import told_verdict
from accord.stores.segments import OPEN, Line, Placed, verified

__all__ = ["MOST", "Answer", "Leaf", "Wanted", "leaf_of"]

MOST = 64_000_000
_KINDS = {"id": str, "kind": str, "run": str, "step": int, "fence": int, "seq": int, "body": dict}
_Body = Mapping[str, Any]


class Wanted(NamedTuple):
    """Which answers. ``low``, ``high``: an answer stays where any grade it was given lies between them.

    ``whose``: of the policy in training, of the base it is measured against, texts that came as data, or all.
    ``text``: in the answer, or in what was asked, whatever the case of its letters.
    """

    first: int | None = None
    last: int | None = None
    text: str = ""
    low: float | None = None
    high: float | None = None
    verdict: Literal["any", "given", "abstained", "none"] = "any"
    whose: Literal["policy", "base", "data", "all"] = "policy"


class Answer(NamedTuple):
    """One answer with what was asked, and what was said of it: who, and what."""

    step: int
    prompt: Prompt | None
    response: Response
    verdicts: tuple[tuple[str, str], ...]


class Leaf(NamedTuple):
    """A page of the answers that pass. ``unread``: bytes of older files; ``broken``: lines left out."""

    answers: tuple[Answer, ...]
    number: int
    pages: int
    found: int
    unread: int
    broken: int


class _Row(NamedTuple):
    """A line of a segment, read as JSON and no further."""

    line: Line
    place: str


def leaf_of(stage: Path, wanted: Wanted, number: int, size: int) -> Leaf:
    """Page ``number``, from 1, of so many answers; the last page where there are fewer."""
    said, old = _rows(stage / "episodes", MOST)
    judged, older = _rows(stage / "judgments", MOST)
    prompts = {row.line.id: row for row in said if row.line.kind == "prompt"}
    verdicts = _verdicts(judged)
    needle = wanted.text.casefold()
    asked = {name for name, row in prompts.items() if needle and needle in _asked(row.line.body).casefold()}
    first: dict[str, _Row] = {}
    for row in said:
        if row.line.kind == "response" and _passes(row.line, wanted, verdicts.get(row.line.id, []), asked):
            known = first.setdefault(row.line.id, row)
            if _order(row) < _order(known):
                first[row.line.id] = row
    # By the step where it came up first, which a filter by steps asks for.
    rows = [row for row in first.values() if _within(row.line.step, wanted.first, wanted.last)]
    rows.sort(key=_order, reverse=True)
    pages = max(1, -(-len(rows) // size))
    number = min(max(1, number), pages)
    shown, broken = list[Answer](), 0
    for row in rows[(number - 1) * size : number * size]:
        response = _record(row)
        if isinstance(response, Response):
            asking = _record(prompts[response.prompt]) if response.prompt in prompts else None
            told = tuple(_told(verdicts.get(response.id, []), response.id))
            prompt = asking if isinstance(asking, Prompt) else None
            shown.append(Answer(row.line.step, prompt, response, told))
        else:
            broken += 1
    return Leaf(tuple(shown), number, pages, len(rows), old + older, broken)


def _order(row: _Row) -> tuple[int, int, int]:
    return row.line.step, row.line.fence, row.line.seq


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


class _Said(NamedTuple):
    """A judgment of an answer and its question, as lines."""

    judgment: _Row
    question: _Row


def _verdicts(rows: Sequence[_Row]) -> dict[str, list[_Said]]:
    """By answer; a judgment that stands twice counts once."""
    questions = {row.line.id: row for row in rows if row.line.kind == "question"}
    judgments = {row.line.id: row for row in rows if row.line.kind == "judgment"}
    found: dict[str, list[_Said]] = defaultdict(list)
    for row in judgments.values():
        question = questions.get(str(row.line.body.get("question")))
        if question is not None:
            for answer in _strings(question.line.body.get("responses")):
                found[answer].append(_Said(row, question))
    return found


def _passes(line: Line, wanted: Wanted, said: Sequence[_Said], asked: set[str]) -> bool:
    if wanted.whose not in ("all", _whose(line)):
        return False
    if wanted.text and str(line.body.get("prompt")) not in asked:
        text = line.body.get("text")
        if not isinstance(text, str) or wanted.text.casefold() not in text.casefold():
            return False
    abstained = [one.judgment.line.body.get("verdict") is None for one in said]
    fits = {
        "any": True,
        "given": not all(abstained),
        "abstained": any(abstained),
        "none": not said,
    }[wanted.verdict]
    if not fits or (wanted.low is None and wanted.high is None):
        return fits
    return any(_within(score, wanted.low, wanted.high) for one in said for score in _scores(one))


def _whose(line: Line) -> str:
    """A policy is named after its run and step; what no policy sampled came as data."""
    policy = line.body.get("policy") or ""
    return "data" if not policy else "policy" if str(policy).startswith(f"{line.run}@") else "base"


def _scores(said: _Said) -> Iterator[float]:
    verdict = cast("_Body", said.judgment.line.body.get("verdict") or {})
    scores = verdict.get("scores") if verdict.get("type") == "graded" else None
    for score in cast("_Body", scores).values() if isinstance(scores, Mapping) else ():
        if isinstance(score, int | float):
            yield float(score)


def _told(said: Sequence[_Said], answer: str) -> Iterator[tuple[str, str]]:
    """Who judged, without the folder a program lies in, and what they said."""
    for one in said:
        judgment, question = _record(one.judgment), _record(one.question)
        if isinstance(judgment, Judgment) and isinstance(question, Question):
            name = judgment.by.name
            yield name.rpartition("/")[2], told_verdict(judgment, question, answer).removeprefix(f"{name}: ")


def _asked(body: _Body) -> str:
    messages = cast("Sequence[object]", body.get("messages") or ())
    turns = [cast("_Body", turn) for turn in messages if isinstance(turn, Mapping)]
    return "\n".join(str(turn.get("content", "")) for turn in turns)


def _strings(value: object) -> list[str]:
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in found if isinstance(one, str)]


def _record(row: _Row) -> Record | None:
    segment = "judgments" if row.line.kind in ("judgment", "question") else "episodes"
    found = verified(Placed(row.line, segment, row.place, ""))
    return None if isinstance(found, str) else found


def _rows(folder: Path, most: int) -> tuple[list[_Row], int]:
    """Lines of the newest files, ``most`` bytes and the file that passes it; bytes of the files left out."""
    rows, read, unread = list[_Row](), 0, 0
    for path, size in _files(folder):
        if read >= most:
            unread += size
            continue
        data = _bytes(path)
        read += len(data)
        for text in data.split(b"\n")[:-1]:  # what has no newline is not written yet
            line = _line(text)
            if line is not None:
                rows.append(_Row(line, path.name))
    return rows, unread


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Segments with their sizes, the one that changed last first; one being sealed may stand twice."""
    if not folder.is_dir():
        return []
    found: list[tuple[float, str, Path, int]] = []
    for path in folder.iterdir():
        try:
            about = path.stat()
        except FileNotFoundError:  # sealed this moment
            path = path.with_name(path.name.removesuffix(OPEN))
            if not path.is_file():
                continue
            about = path.stat()
        if not path.name.startswith("."):
            found.append((about.st_mtime, path.name, path, about.st_size))
    return [(path, size) for _, _, path, size in sorted(found, reverse=True)]


def _bytes(path: Path) -> bytes:
    for name in (path, path.with_name(path.name.removesuffix(OPEN))):
        try:
            return name.read_bytes()
        except FileNotFoundError:
            continue
    return b""


def _line(text: bytes) -> Line | None:
    """None for a footer, and for what is no line of a log."""
    try:
        found = json.loads(text)
        sound = all(isinstance(found[name], kind) for name, kind in _KINDS.items())
        return Line(**found) if sound else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
