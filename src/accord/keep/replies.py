"""Replies that are owed to a model before it is sealed: drafted in a file by anybody, signed by who replies.

    entry = "urn:accord:entry:…"
    by = "A. Person"

    [[reply]]
    to = "4b1d…"              # the Record of a preference, or: the whole record
    says = "remain"           # what it prefers; for the reader
    answer = "decline"        # accept, partly or decline
    reason = "…"

A draft may be incomplete; what is signed may not (``retirement.following``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self, cast, get_args

import tomli_w

from accord.errors import PlanError, Unreadable, nearest
from accord.keep.predicates import Preference, Reply
from accord.keep.retirement import WHOLE, owed
from accord.stores.files import make_folder, write_aside

__all__ = ["ANSWERS", "Draft", "Drafted", "draft_file"]

Answer = Literal["accept", "partly", "decline"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)

_FIELDS = ("to", "says", "answer", "reason")
_TO = re.compile(f"[0-9a-f]{{64}}|{WHOLE}")


class Drafted(NamedTuple):
    """One reply as far as it is written."""

    to: str
    says: str
    answer: str = ""
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Whether it can be signed."""
        return self.answer in ANSWERS and bool(self.reason.strip())


class Draft(NamedTuple):
    """All replies to one model, as far as they are written."""

    entry: str
    by: str
    replies: tuple[Drafted, ...]

    @classmethod
    def blank(cls, entry: str, by: str, preferences: Sequence[Preference]) -> Self:
        """What is owed, with nothing said to it yet."""
        texts = {one.record: one.text for one in preferences}
        return cls(entry, by, tuple(Drafted(to, texts.get(to, WHOLE)) for to in owed(preferences)))

    @classmethod
    def read(cls, file: Path) -> Self:
        """The draft in a file. Unreadable where it is none."""
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(file, "replies in TOML", str(error)) from None
        tables, found = tree.pop("reply", []), list[Drafted]()
        entry, by = str(tree.pop("entry", "")), str(tree.pop("by", ""))
        if tree or not isinstance(tables, list):
            raise Unreadable(file, "entry, by and tables [[reply]]", ", ".join(sorted(tree)))
        for number, one in enumerate(cast("list[object]", tables), start=1):
            table = cast("Mapping[str, object]", one if isinstance(one, dict) else {"": one})
            for name in table:
                if name not in _FIELDS:
                    told = f"reply {number}: {name!r} {nearest(name, _FIELDS)}"
                    raise Unreadable(file, ", ".join(_FIELDS), told)
            found.append(Drafted(*(str(table.get(name, "")).strip() for name in _FIELDS)))
            if not _TO.fullmatch(to := found[-1].to):
                raise Unreadable(file, f"to: the id of a record, or {WHOLE}", f"reply {number}: {to!r}")
            if (answer := found[-1].answer) and answer not in ANSWERS:
                told = f"reply {number}: {answer!r} {nearest(answer, ANSWERS)}"
                raise Unreadable(file, ", ".join(ANSWERS), told)
        return cls(entry, by.strip(), tuple(found))

    def text(self) -> str:
        """The file."""
        replies = [one._asdict() for one in self.replies]
        return tomli_w.dumps({"entry": self.entry, "by": self.by, "reply": replies}, multiline_strings=True)

    def write(self, file: Path) -> None:
        """Keep it; on disk when it returns."""
        make_folder(file.parent)
        write_aside(file, self.text())

    def filled(self, answers: Mapping[str, tuple[str, str]]) -> Draft:
        """The same with these answers and reasons. PlanError for an answer that there is not."""
        found: list[Drafted] = []
        for one in self.replies:
            answer, reason = answers.get(one.to, (one.answer, one.reason))
            if answer and answer not in ANSWERS:
                raise PlanError("answer", answer, ", ".join(ANSWERS))
            found.append(one._replace(answer=answer, reason=reason.strip()))
        return self._replace(replies=tuple(found))

    @property
    def signable(self) -> tuple[Reply, ...]:
        """Those that are complete, as they are signed; the others count as missing."""
        return tuple(
            Reply(
                to=cast("Literal['the whole record']", one.to),
                answer=cast(Answer, one.answer),
                by=self.by,
                reason=one.reason,
            )
            for one in self.replies
            if one.complete and self.by
        )


def draft_file(archive: Path, entry: str) -> Path:
    """Where the server keeps the draft for an entry: beside the storage root, in no object."""
    return archive / "drafts" / f"{entry.rpartition(':')[2]}.toml"
