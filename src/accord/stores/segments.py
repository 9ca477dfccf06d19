"""Segments: the files a run log is made of, and the lines in them.

``<stage>/<segment>/<writer>-<number>.jsonl``, with ``.open`` behind it until a footer (count and SHA-256 of
the lines above it) is written, synced, and the file renamed. One line is one record:

    {"id", "kind", "v", "run", "step", "name", "writer", "fence", "seq", "wall", "mono", "body"}

A line counts once its newline is there. What lies behind the last newline is torn: dropped, and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import Unreadable
from accord.records import JSON, KINDS, Record, finite, read_record
from accord.stores.files import disk, sync_folder, write_aside

__all__ = [
    "FOLDER_OF",
    "OPEN",
    "SEGMENTS",
    "Line",
    "Placed",
    "Scan",
    "encode",
    "first_lines",
    "footer",
    "is_stage",
    "json_text",
    "scan",
    "seal_leftovers",
    "segment_name",
    "verified",
]

# In the order in which one record can name another as its parent; so they are written and read.
SEGMENTS = ("episodes", "judgments", "readings", "events", "decisions", "models")

FOLDER_OF: Mapping[str, str] = {
    "prompt": "episodes",
    "response": "episodes",
    "episode": "episodes",
    "question": "judgments",
    "judgment": "judgments",
    "reply": "judgments",
    "proposal": "judgments",
    "tried": "judgments",
    "truth_seal": "judgments",
    "truth_read": "judgments",
    "reading": "readings",
    "not_measured": "readings",
    "drawn": "readings",
    "crossing": "readings",
    "portrait": "readings",
    "preferred": "readings",
    "event": "events",
    "decision": "decisions",
    "acceptance": "decisions",
    "permit": "decisions",
    "sign_off": "decisions",
    "model": "models",
    "entry": "models",
}

OPEN = ".open"


class Line(NamedTuple):
    """One line as it stands in a segment."""

    id: str
    kind: str
    v: int
    run: str
    step: int
    name: str
    writer: str
    fence: int
    seq: int
    wall: float
    mono: float
    body: Mapping[str, JSON]


class Placed(NamedTuple):
    """A line, where it stands, and the SHA-256 of its text."""

    line: Line
    segment: str
    place: str
    sha256: str

    @property
    def key(self) -> tuple[str, str, int]:
        """What may exist once: the place of a line in all that its writer wrote to this segment."""
        return self.segment, self.line.writer, self.line.seq


class Scan(NamedTuple):
    """All lines of a stage that can be trusted to be lines, and what is wrong with the others."""

    lines: list[Placed]
    torn: int
    problems: list[str]


def segment_name(writer: str, number: int) -> str:
    return f"{writer}-{number:06d}.jsonl"


def encode(line: Line) -> bytes:
    """The text of a line, newline included."""
    return json_text(cast(JSON, line._asdict()))


def footer(count: int, sha256: str, torn: int = 0) -> bytes:
    """The last line of a finished segment; ``torn`` counts what its writer left behind the last newline."""
    return json_text({"footer": {"count": count, "sha256": sha256, "torn": torn}})


def json_text(value: JSON) -> bytes:
    """``value`` as one line of JSON, newline included."""
    # Not canonical JSON: that writes 1e20 as an integer, which read back would be another value.
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json_text(finite(value))
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair: legal in JSON only as an escape
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


# Reading


_NUMBER = (int, float)
_TYPES = {"v": int, "step": int, "fence": int, "seq": int, "wall": _NUMBER, "mono": _NUMBER, "body": dict}


class _Content(NamedTuple):
    lines: list[bytes]  # without newline and footer
    footer: Mapping[str, JSON] | None
    torn: int


def _content(data: bytes) -> _Content:
    *lines, tail = data.split(b"\n")
    seal = _footer(lines[-1]) if lines else None
    if seal is None:
        return _Content(lines, None, int(bool(tail)))
    # A footer is written last; what follows one was never meant to be there.
    return _Content(lines[:-1], seal, int(bool(tail)) + cast(int, seal["torn"]))


def _digest(lines: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


def _footer(text: bytes) -> Mapping[str, JSON] | None:
    if not text.startswith(b'{"footer":'):
        return None
    try:
        found = json.loads(text)["footer"]
        count, sha256, torn = found["count"], found["sha256"], found["torn"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return {"count": count, "sha256": sha256, "torn": torn} if isinstance(torn, int) else None


def scan(stage: Path) -> Scan:
    """Read every segment of a stage; safe while another process writes it.

    A line that stands twice counts once. Two different lines at one (segment, writer, seq) contradict each
    other, and both are left out.
    """
    if not stage.is_dir():
        raise Unreadable(stage, "the folder of a stage", "no such folder")
    lines: list[Placed] = []
    torn, problems = 0, list[str]()
    for segment, path in ((name, path) for name in SEGMENTS for path in _files(stage / name)):
        data = _bytes(path)
        if data is None:
            continue
        content = _content(data)
        torn += content.torn
        problems.extend(_seal_problems(path, content))
        for number, text in enumerate(content.lines, 1):
            line, place = _line(text), f"{path}:{number}"
            if isinstance(line, str):
                problems.append(f"{place}: quarantined: {line}")
            else:
                lines.append(Placed(line, segment, place, hashlib.sha256(text).hexdigest()))
    kept, contradictions = _once(lines)
    return Scan(kept, torn, [*problems, *contradictions, *_gaps(stage, lines)])


def _files(folder: Path) -> list[Path]:
    """The segments in a folder, each once, in the order of their names."""
    if not folder.is_dir():
        return []
    # Listed twice: a file renamed during a listing may be missing from it.
    names = {path.name for _ in range(2) for path in folder.iterdir() if not path.name.startswith(".")}
    sealed = {name for name in names if name.endswith(".jsonl")}
    still_open = {n for n in names if n.endswith(".jsonl" + OPEN) and n.removesuffix(OPEN) not in sealed}
    return [folder / name for name in sorted(sealed | still_open)]


def _bytes(path: Path) -> bytes | None:
    """What the segment holds, also when it is sealed this moment; None when it was removed."""
    for name in (path, path.with_name(path.name.removesuffix(OPEN))):
        try:
            return name.read_bytes()
        except FileNotFoundError:
            continue
    return None


def _seal_problems(path: Path, content: _Content) -> Iterator[str]:
    seal = content.footer
    if seal is None:
        if not path.name.endswith(OPEN):
            yield f"{path}: log incomplete: the footer is missing"
    elif seal["count"] != len(content.lines) or seal["sha256"] != _digest(content.lines):
        yield (
            f"{path}: is not what its footer says: {seal['count']} lines with SHA-256 {seal['sha256']}; "
            f"found {len(content.lines)} lines with {_digest(content.lines)}"
        )


def _line(text: bytes) -> Line | str:
    """The line, or what is wrong with it."""
    try:
        found = json.loads(text)
        fields = {name: found.pop(name) for name in Line._fields}
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        return f"is no line of a run log ({type(error).__name__}: {str(error)[:80]})"
    if found:
        return f"has fields that this version of Accord does not know: {', '.join(sorted(found))}"
    for name, value in fields.items():
        wanted = _TYPES.get(name, str)
        if not isinstance(value, wanted) or isinstance(value, bool):
            return f"{name} is {value!r:.80}"
    return Line(**fields)


def _once(lines: Sequence[Placed]) -> tuple[list[Placed], list[str]]:
    of_key: dict[tuple[str, str, int], list[Placed]] = defaultdict(list)
    for placed in lines:
        of_key[placed.key].append(placed)
    kept, problems = list[Placed](), list[str]()
    for same in of_key.values():
        if len({placed.sha256 for placed in same}) == 1:
            kept.append(same[0])
        else:
            places = " and ".join(placed.place for placed in same)
            problems.append(f"{places}: quarantined: one place in the log, two contents")
    return kept, problems


def _gaps(stage: Path, lines: Sequence[Placed]) -> Iterator[str]:
    seqs: dict[tuple[str, str], set[int]] = defaultdict(set)
    for placed in lines:
        seqs[placed.segment, placed.line.writer].add(placed.line.seq)
    for (segment, writer), found in seqs.items():
        expected = 0
        for seq in sorted(found):
            if seq > expected:
                missing = f"line {expected}" if seq == expected + 1 else f"lines {expected} to {seq - 1}"
                yield f"{stage / segment}: log incomplete: {missing} of writer {writer} missing"
            expected = seq + 1


def verified(placed: Placed) -> Record | str:
    """The record of a line, or why its content is not what its id says."""
    line = placed.line
    if FOLDER_OF.get(line.kind) != placed.segment:
        return f"{placed.place}: quarantined: a {line.kind!r} has no place in {placed.segment}"
    if line.v != KINDS[line.kind].v:
        return f"{placed.place}: quarantined: {line.kind} version {line.v}; known: {KINDS[line.kind].v}"
    try:
        record = read_record(line.kind, line.body)
        found = record.id
    except ValueError as error:
        return f"{placed.place}: quarantined: no {line.kind}: {' '.join(str(error).split())[:200]}"
    if found != line.id:
        return f"{placed.place}: quarantined: its id is {line.id}, that of its content {found}"
    return record


def first_lines(stage: Path) -> Iterator[Line]:
    """The first line of each segment: enough to know writers, fences and when they began."""
    for segment in SEGMENTS:
        for path in _files(stage / segment):
            with path.open("rb") as file:
                text = file.readline()
            if text.endswith(b"\n") and isinstance(line := _line(text), Line):
                yield line


def is_stage(folder: Path) -> bool:
    """Whether a run log has been begun in this folder."""
    return (folder / "writer.lock").is_file() or any((folder / segment).is_dir() for segment in SEGMENTS)


# Sealing what a dead writer left


def seal_leftovers(stage: Path) -> int:
    """Seal every open segment; returns how many torn lines were dropped. For the stage's writer only."""
    torn = 0
    for segment in SEGMENTS:
        # Also those that are sealed already: a writer may have died before it removed what it had copied.
        for path in sorted((stage / segment).glob("*.jsonl" + OPEN)):
            torn += _seal(path)
    return torn


def _seal(path: Path) -> int:
    sealed = path.with_name(path.name.removesuffix(OPEN))
    content = _content(path.read_bytes())
    if content.footer is not None:
        # The writer died between footer and rename.
        with disk(path):
            path.rename(sealed)
            sync_folder(path.parent)
        return 0
    # A copy, not a cut: were we killed between cutting and the footer, the count of torn lines would be lost.
    end = footer(len(content.lines), _digest(content.lines), content.torn)
    write_aside(sealed, b"".join(line + b"\n" for line in content.lines) + end)
    with disk(path):
        path.unlink()
        sync_folder(path.parent)
    return content.torn
