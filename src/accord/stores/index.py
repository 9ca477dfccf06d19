"""From run directories into a SqlStore: exactly once, as often as it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from accord.errors import Unreadable
from accord.records import Record
from accord.stores import segments
from accord.stores.runlog import LogLine, log_line, resolved
from accord.stores.segments import FOLDER_OF
from accord.stores.sql import Receipt, SqlStore, Writing

__all__ = ["ImportReport", "import_run"]

Key = tuple[str, str, str, int]  # run, segment, writer, seq


class ImportReport(NamedTuple):
    """Lines imported now, lines imported before, torn lines, and what is wrong with the logs."""

    added: int
    known: int
    torn: int
    problems: list[str]


class _Stage(NamedTuple):
    """A stage's log: each sound line with the digest of its text, and all places where lines are."""

    name: str
    lines: dict[Key, tuple[str, LogLine]]
    places: set[Key]
    torn: int
    problems: list[str]


def import_run(folder: Path, store: SqlStore) -> ImportReport:
    """Index a run's folder, or that of one stage; also while it is being written.

    Each stage is one transaction. A line counts once however often it is imported. What a higher fence
    wrote again leaves the index; what was imported and is now missing or different on disk stays as it was
    imported, and is a problem. Unreadable when the folder holds no run log.
    """
    reports = [_import_stage(stage, store) for stage in _stages(folder)]
    return ImportReport(
        added=sum(report.added for report in reports),
        known=sum(report.known for report in reports),
        torn=sum(report.torn for report in reports),
        problems=[problem for report in reports for problem in report.problems],
    )


def _stages(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise Unreadable(folder, "the folder of a run", "no such folder")
    if segments.is_stage(folder):
        return [folder]
    stages = [path for path in folder.iterdir() if path.is_dir() and segments.is_stage(path)]
    if not stages:
        raise Unreadable(folder, "the folder of a run or of a stage", "no run log in it")
    return sorted(stages, key=_began)


def _began(stage: Path) -> tuple[float, str]:
    """Stages of a run follow each other; their names do not say how."""
    return min((line.wall for line in segments.first_lines(stage)), default=float("inf")), stage.name


def _import_stage(folder: Path, store: SqlStore) -> ImportReport:
    # Read before the transaction, so that other writers do not wait for the reading.
    stage = _read(folder)
    with store.writing() as writing:
        known = _known(writing, stage)
        if known.keys() <= stage.places:
            return _take(writing, stage, known)
    # Lines are known that were not there: another import has read further meanwhile, or they were removed.
    stage = _read(folder)
    with store.writing() as writing:
        return _take(writing, stage, _known(writing, stage))


def _read(folder: Path) -> _Stage:
    scanned = segments.scan(folder)
    lines: dict[Key, tuple[str, LogLine]] = {}
    problems = list(scanned.problems)
    for placed in scanned.lines:
        record = segments.verified(placed)
        if isinstance(record, str):
            problems.append(record)
        else:
            lines[placed.line.run, *placed.key] = placed.sha256, log_line(placed.line, record)
    places = {(placed.line.run, *placed.key) for placed in scanned.lines}
    return _Stage(folder.resolve().name, lines, places, scanned.torn, problems)


def _known(writing: Writing, stage: _Stage) -> dict[Key, Receipt]:
    runs = sorted({run for run, *_ in stage.places})
    receipts = [receipt for run in runs for receipt in writing.receipts(run, stage.name)]
    return {_place(receipt): receipt for receipt in receipts}


def _take(writing: Writing, stage: _Stage, known: dict[Key, Receipt]) -> ImportReport:
    problems = list(stage.problems)
    if gone := len(known.keys() - stage.places):
        problems.append(
            f"{stage.name}: log incomplete: {gone} lines that were imported before cannot be read"
        )
    sound: dict[Key, tuple[str, LogLine]] = {}
    for key, (sha256, line) in stage.lines.items():
        if key in known and known[key].sha256 != sha256:
            problems.append(
                f"{key[1]}: quarantined: line {key[3]} of writer {key[2]} was imported with other content"
            )
        else:
            sound[key] = sha256, line
    counting = {_key(line): line for line in resolved(line for _, line in sound.values())}
    receipts = [
        Receipt(key[0], stage.name, *key[1:], sha256, line.record.id, key in counting)
        for key, (sha256, line) in sound.items()
    ]
    _note(writing, receipts, known, [line.record for line in counting.values()])
    added = len(sound.keys() - known.keys())
    return ImportReport(added, len(sound) - added, stage.torn, problems)


def _note(
    writing: Writing, receipts: Sequence[Receipt], known: dict[Key, Receipt], records: Sequence[Record]
) -> None:
    """Write what changed since the last import: receipts, and the records that count now or no more."""
    changed = [r for r in receipts if (old := known.get(_place(r))) is None or old.current != r.current]
    new = {receipt.record for receipt in changed if receipt.current}
    writing.note(changed)
    writing.put([record for record in records if record.id in new], held=False)
    writing.withdraw(
        {receipt.record for receipt in changed if not receipt.current and _place(receipt) in known}
    )


def _place(receipt: Receipt) -> Key:
    return receipt.run, receipt.segment, receipt.writer, receipt.seq


def _key(line: LogLine) -> Key:
    return line.run, FOLDER_OF[line.record.kind], line.writer, line.seq
