"""Frozen: what people said, as far as a stage uses it. The ids lie in ``judgments.lock`` of its folder, one
JSON object a line; what was said lies in the labelling databases, and nowhere in the run.

Once used, a judgment is repeated exactly, though its person amended it since; later votes wait for the next
run. One that was withdrawn is gone: the stage goes on without the rows that rested on it only where a person
says so (``drop``), and what was dropped stays dropped.

Lines: ``question, config, judgment`` (a person's judgment that is used, and with ``made_of`` what a protocol
made of such ones); ``source, rows`` (the questions that a source trains on, in its order); ``dropped`` (ids
of judgments that were withdrawn).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, cast, runtime_checkable

from accord.desk import Used
from accord.errors import ContractError, PlanError, Refused, Unreadable
from accord.ports import Overseer, Queue, Queued
from accord.progress import Progress, Silent
from accord.records import JSON, By, Judgment
from accord.stores.files import disk, make_folder, sync_folder, write_at
from accord.waiting import Waiting

__all__ = ["LOCK", "Frozen", "check_queue", "file_of", "opened", "read_lock"]

LOCK = "judgments.lock"


def opened(url: str) -> Queue:
    """The labelling database at a path or URL."""
    from accord.stores.people import People

    return People.open(url)


def check_queue(url: str) -> None:
    """PlanError where there is no labelling database of this path; nothing is made."""
    path = file_of(url)
    if path is not None and not path.is_file():
        allowed = "the path or URL of a labelling database that stands"
        advice = "accord label and accord serve make one: begin there, then run the plan"
        raise PlanError("queue", url, allowed, advice)


def file_of(url: str) -> Path | None:
    """The file of a database that is one."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///"))
    return None if "://" in url else Path(url)


@runtime_checkable
class Noting(Protocol):
    """Beside Queue: it notes what used a judgment, so that whoever withdraws it is told."""

    def used(self, judgments: Sequence[str], by: str) -> None: ...


class Frozen:
    """Satisfies the port ``Spoken``, and hands out the queues of a stage, each opened once.

    ``go_on`` is how a person resumes the run, for those who watch it wait. ``drift``: rows whose words were
    withdrawn may be dropped. Use it in a ``with`` block.
    """

    def __init__(
        self, folder: Path, progress: Progress | None = None, go_on: str = "", drift: bool = False
    ) -> None:
        self.file, self.stage = folder / LOCK, f"{folder.parent.name}/{folder.name}"
        self.drift = drift
        self._progress, self._go_on = progress or Silent(), go_on
        self._queues: dict[str, Waiting] = {}
        self._used: dict[tuple[str, str], Used] = {}
        self._entry: dict[str, Used] = {}  # by the judgment
        self._of: dict[str, dict[str, Used]] = {}  # by the question and the config, people's own
        self._rows: dict[str, tuple[str, ...]] = {}
        self._dropped = set[str]()
        self.secret = set[str]()  # ids of texts that were made of what people said: no run writes them down
        for entry in read_lock(self.file):
            self._take(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for waiting in self._queues.values():
            waiting.close()
        self._queues = {}

    # Queues

    def queue(self, url: str) -> Waiting:
        """The queue at this path or URL. PlanError where there is none."""
        if url not in self._queues:
            check_queue(url)
            name = file_of(url)
            told = name.name if name is not None else url.rpartition("@")[2]
            self._queues[url] = Waiting(opened(url), told, self._progress, self._go_on)
        return self._queues[url]

    def ready(self, overseer: Overseer) -> Overseer:
        """The overseer with the queues it waits at, if it waits at any."""
        if not isinstance(overseer, Queued) or not overseer.queues:
            return overseer
        return overseer.queued({url: self.queue(url) for url in overseer.queues})

    # What is used

    def known(self, question: str, config: str) -> Judgment | None:
        """What was used as this answer; what is gone abstains. None where it is new, or to be made again."""
        entry = self._used.get((question, config))
        if entry is None:
            return None
        if self.rests_on_dropped([entry.judgment]):
            by = By(type="protocol", name="Withdrawn", config=config)
            note = "a person withdrew what this rested on"
            return Judgment(question=question, by=by, abstention="no_outcome", note=note)
        if entry.made_of:
            return None
        said = self.said(entry.judgment)
        if said is None:
            raise Refused(
                f"evidence incomplete: judgment {entry.judgment[:12]}, which {self.stage} rests on, was "
                "withdrawn\n  accord resume RUN --allow-drift goes on without it"
            )
        return said

    def use(self, used: Sequence[Used]) -> None:
        """See the port. ContractError for a judgment that none of the open queues keeps."""
        new = [one for one in used if self._used.get((one.question, one.config)) != one]
        for queue, judgments in self._kept_in([one.judgment for one in new if not one.made_of]).items():
            # Before the lock: a use that is noted and did not come to be is no loss.
            if isinstance(queue, Noting):
                queue.used(judgments, self.stage)
        self._append({k: v for k, v in one._asdict().items() if v != ()} for one in new)
        for one in new:
            self._note(one)

    def entries(self) -> list[Used]:
        """All that is used, in the order it was first used."""
        return list(self._used.values())

    def rows(self, source: str) -> tuple[str, ...] | None:
        """The questions that this source trains on, once they are frozen."""
        return self._rows.get(source)

    def freeze(self, source: str, rows: Sequence[str]) -> None:
        """These, in this order, and no others from now on."""
        self._append([{"source": source, "rows": list(rows)}])
        self._rows[source] = tuple(rows)

    def of(self, question: str) -> list[Judgment]:
        """What people said to a question, of what is used and still there, in the order it was taken."""
        entries = [one for one in self._of.get(question, {}).values() if one.judgment not in self._dropped]
        found = [self.said(one.judgment) for one in entries]
        return [one for one in found if one is not None]

    # What was withdrawn

    def withdrawn(self) -> list[Used]:
        """People's judgments that were used, are gone, and were not dropped yet. Looks up every one."""
        entries = [e for e in self._used.values() if not e.made_of and e.judgment not in self._dropped]
        return [entry for entry in entries if self.said(entry.judgment) is None]

    def drop(self, gone: Iterable[str]) -> None:
        """Go on without what rested on these judgments, or on these questions whose texts are gone."""
        ids = sorted(set(gone) - self._dropped)
        if ids:
            self._append([{"dropped": cast(JSON, ids)}])
            self._dropped |= set(ids)

    def dropped(self, one: str) -> bool:
        """Whether this judgment or question was dropped itself."""
        return one in self._dropped

    def rests_on_dropped(self, judgments: Iterable[str]) -> bool:
        """Whether any of these was dropped, or made of what was."""
        return bool(self._dropped) and any(
            not self._dropped.isdisjoint(self._under(one)) for one in judgments
        )

    def said(self, judgment: str) -> Judgment | None:
        """A judgment as it was given; None where its person withdrew it. Unreadable: no queue knows it."""
        for queue in self._queues.values():
            try:
                return queue.judgment(judgment)
            except KeyError:
                continue
        known = ", ".join(self._queues) or "no queue at all"
        raise Unreadable(self.file, f"judgments of {known}", f"{judgment}, which is none of them")

    def made_again(self, question: str, config: str) -> bool:
        """Whether a protocol made this of people's judgments, so that it can be made of them once more."""
        entry = self._used.get((question, config))
        return entry is not None and bool(entry.made_of)

    # The file

    def _under(self, judgment: str) -> Iterator[str]:
        """It, the judgments that it was made of, and those that these were made of."""
        front = [judgment]
        while front:
            yield (at := front.pop())
            front += self._entry[at].made_of if at in self._entry else ()

    def _kept_in(self, judgments: Iterable[str]) -> dict[Queue, list[str]]:
        """Which queue keeps which. ContractError for one that none keeps: it would be lost."""
        found: dict[Queue, list[str]] = {}
        for one in judgments:
            for waiting in self._queues.values():
                try:
                    waiting.judgment(one)
                except KeyError:
                    continue
                found.setdefault(waiting.database, []).append(one)
                break
            else:
                promise = "a judgment of a person is kept in a queue that the stage names"
                raise ContractError("an overseer", promise, f"{one}, which none of them keeps")
        return found

    def _take(self, entry: dict[str, JSON]) -> None:
        if "rows" in entry:
            self._rows[str(entry["source"])] = tuple(cast("list[str]", entry["rows"]))
        elif "dropped" in entry:
            self._dropped |= set(cast("list[str]", entry["dropped"]))
        else:
            made_of = tuple(cast("list[str]", entry.get("made_of", [])))
            self._note(Used(str(entry["question"]), str(entry["config"]), str(entry["judgment"]), made_of))

    def _note(self, one: Used) -> None:
        self._used[one.question, one.config] = self._entry[one.judgment] = one
        if not one.made_of:
            self._of.setdefault(one.question, {})[one.config] = one

    def _append(self, entries: Iterable[dict[str, JSON]]) -> None:
        """Whole lines behind the last whole one; on disk when it returns."""
        text = "".join(json.dumps(entry) + "\n" for entry in entries).encode("ascii")
        if not text:
            return
        make_folder(self.file.parent)
        with disk(self.file):
            file = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                # A writer that was killed may have left part of a line, which nobody has relied on.
                end = len(_whole(self.file.read_bytes()))
                os.ftruncate(file, end)
                write_at(file, text, end)
                os.fsync(file)
            finally:
                os.close(file)
            sync_folder(self.file.parent)


def read_lock(file: Path) -> list[dict[str, JSON]]:
    """The lines of a lock; none where there is no such file. Unreadable, with the line: one is damaged."""
    if not file.is_file():
        return []
    found: list[dict[str, JSON]] = []
    for number, line in enumerate(_whole(file.read_bytes()).splitlines(), start=1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        keys = set(cast("dict[str, JSON]", entry)) if isinstance(entry, dict) else set[str]()
        if not (
            {"question", "config", "judgment"} <= keys or {"source", "rows"} <= keys or "dropped" in keys
        ):
            raise Unreadable(file, "a line of judgments.lock", line[:80].decode("utf-8", "replace"), number)
        found.append(cast("dict[str, JSON]", entry))
    return found


def _whole(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]
