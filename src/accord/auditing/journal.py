"""Journal: the folder of one audit, in which all that was asked and answered is on disk before it is used.

``audits/<id>/``: ``wish.json`` says what the audit is of, ``asked.jsonl`` has one line for each answer, score
or model, ``audit.json`` the result once there is one, ``lock`` the process that writes. A line counts once
its newline is there; what lies behind the last newline was never acknowledged, and is cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from accord.errors import PlanError, Refused, Unreadable
from accord.records import JSON, Cost, digest, finite
from accord.stores.files import disk, make_folder, sync_folder, write_aside, write_at

__all__ = ["Journal"]

_RESULT, _WISH, _ASKED, _LOCK = "audit.json", "wish.json", "asked.jsonl", "lock"


@dataclass
class Journal:
    """Lines by kind and key. Without a folder it lasts as long as the process. Close it, or use ``with``."""

    folder: Path | None = None
    _lines: dict[tuple[str, str], Mapping[str, JSON]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, JSON]]
    )
    _held: int | None = None
    _file: int | None = None
    _end: int = 0

    @classmethod
    def begin(cls, audits: Path, wish: Mapping[str, JSON], resume: bool) -> Self:
        """The folder of this wish under ``audits``: a new one, or with ``resume`` the one that stands.

        Refused where an unfinished one stands and ``resume`` is not said, where there is none to resume, and
        where another process has it.
        """
        if audits.exists() and not audits.is_dir():
            raise PlanError("--folder", str(audits), "a folder, or a name that nothing has yet")
        name = digest(wish)[:12]
        standing = [audits / name]
        while (audits / f"{name}-{len(standing) + 1}").is_dir():
            standing.append(audits / f"{name}-{len(standing) + 1}")
        with disk(audits):
            last = standing[-1] if standing[-1].is_dir() else None
        if resume and last is None:
            raise Refused(f"no audit of this kind stands in {audits}: leave out --resume to begin it")
        if not resume and last is not None and not (last / _RESULT).is_file():
            raise Refused(
                f"{last}: this audit was begun and is not finished\n"
                "  --resume goes on with it and asks only what is missing; or remove that folder"
            )
        fresh = audits / name if last is None else audits / f"{name}-{len(standing) + 1}"
        folder = last if resume and last else fresh
        make_folder(folder)
        journal = cls(folder, _held=_locked(folder / _LOCK))
        try:
            if not (folder / _WISH).is_file():
                write_aside(folder / _WISH, json.dumps(finite(wish), ensure_ascii=False, indent=2))
            journal._open(folder / _ASKED)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def finished(self) -> bool:
        """Whether a result has been written."""
        return self.folder is not None and (self.folder / _RESULT).is_file()

    def known(self, kind: str, key: str) -> Mapping[str, JSON] | None:
        """What was written under this key."""
        return self._lines.get((kind, key))

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind, in the order they were first written."""
        return [key for known, key in self._lines if known == kind]

    def asked(self) -> dict[str, Cost]:
        """What was asked of each model so far, by its policy."""
        found: dict[str, Cost] = {}
        for body in self._lines.values():
            if "cost" in body:
                by = str(body["by"])
                found[by] = found.get(by, Cost()) + Cost.model_validate(body["cost"])
        return found

    def write(self, kind: str, told: Mapping[str, Mapping[str, JSON]]) -> None:
        """Keep these under their keys. They are on disk when it returns."""
        text = "".join(
            json.dumps({"kind": kind, "key": key, **cast("dict[str, JSON]", finite(body))}) + "\n"
            for key, body in told.items()
        )
        if self._file is not None and self.folder is not None:
            data = text.encode("ascii")
            with disk(self.folder / _ASKED):
                write_at(self._file, data, self._end)
                os.fsync(self._file)
            self._end += len(data)
        self._lines |= {(kind, key): body for key, body in told.items()}

    def finish(self, result: Mapping[str, JSON]) -> None:
        """Keep the result; the audit is then over."""
        if self.folder is not None:
            write_aside(self.folder / _RESULT, json.dumps(finite(result), ensure_ascii=False, indent=2))

    def close(self) -> None:
        """Let go of the folder. A second close does nothing."""
        for file in (self._file, self._held):
            if file is not None:
                os.close(file)
        self._file = self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, path: Path) -> None:
        with disk(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            sync_folder(path.parent)
            data = path.read_bytes()
        self._end = data.rfind(b"\n") + 1
        if self._end < len(data):
            os.ftruncate(self._file, self._end)
        for number, text in enumerate(data[: self._end].splitlines(), start=1):
            try:
                body = cast("dict[str, JSON]", json.loads(text))
                kind, key = str(body.pop("kind")), str(body.pop("key"))
            except (ValueError, KeyError, AttributeError) as error:
                found = f"{type(error).__name__}: {error}"
                raise Unreadable(path, "a line that an audit wrote", found, number) from None
            self._lines[kind, key] = body


def _locked(path: Path) -> int:
    with disk(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 64, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise Refused(f"{path.parent}: process {holder} is at this audit; wait for it or end it") from error
    os.ftruncate(lock, 0)
    write_at(lock, f"{os.getpid()}\n".encode("ascii"), 0)
    return lock
