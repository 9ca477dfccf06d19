"""Chronicle: what a stewardship was asked and what each of its steps came to, in one file of its folder.

``runs/<name>/steward.json`` has the wish, and under the name of each finished step its figures with the ids
of the Records they rest on; these stand in ``records.jsonl`` beside it. A step counts once it is in the file,
which is written whole or not at all: whatever is killed, what was finished before stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self, cast

from accord.errors import Refused, Unreadable
from accord.records import JSON, Reading, Record, finite
from accord.records.portraits import Portrait
from accord.records.stewarding import Acceptance, Proposal, Reply, Tried
from accord.stores.files import make_folder, write_aside
from accord.stores.ledger import add_records, records_in

__all__ = ["FILE", "QUESTIONS", "RECORDS", "Chronicle", "Step", "is_stewardship"]

Step = Literal["portrait", "targets", "amplify", "dialogue", "revised", "constitution", "result", "gate"]

QUESTIONS = (
    "What has the model already learned?",
    "Which of our aims does that support?",
    "How is the rest settled with the least override?",
    "What evidence would permit a harder push?",
)
FILE, RECORDS = "steward.json", "records.jsonl"
_WHAT = "a stewardship that accord run wrote"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def is_stewardship(folder: Path) -> bool:
    """Whether a folder is that of a stewardship, and not of a run of a plan."""
    return (folder / FILE).is_file()


@dataclass
class Chronicle:
    """One stewardship. ``asked`` is what it was asked; ``steps`` what came of it so far, in order."""

    folder: Path
    asked: Mapping[str, JSON]
    steps: dict[str, JSON] = field(default_factory=dict[str, JSON])
    _known: list[Record] | None = field(default=None, repr=False)

    @classmethod
    def begin(cls, runs: Path, name: str, asked: Mapping[str, JSON]) -> Self:
        """A new one, or the one of this name that was asked the same. Refused for another, and for a run."""
        if not re.fullmatch(_NAME, name):
            raise Refused(f"--name {name!r}: up to 64 letters, digits, dots, - and _, for it names a folder")
        folder = runs / name
        if is_stewardship(folder):
            found = cls.read(folder)
            if other := sorted(key for key in asked if found.asked.get(key) != asked[key]):
                raise Refused(
                    f"the stewardship {folder} was asked otherwise: {', '.join(other)}\n"
                    f"  go on with it as it was asked: accord resume {folder}\n  or take another --name"
                )
            return found
        if (folder / "run.json").exists():
            raise Refused(f"{folder} is the run of a plan\n  take another --name")
        make_folder(folder)
        found = cls(folder, asked)
        found._write()
        return found

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The one in a folder. Unreadable where there is none."""
        file = folder / FILE
        try:
            tree = cast("dict[str, JSON]", json.loads(file.read_text(encoding="utf-8")))
            asked, steps = tree["asked"], tree["steps"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreadable(file, _WHAT, str(error)[:200]) from None
        if tree.get("kind") != "stewardship" or not isinstance(asked, dict) or not isinstance(steps, dict):
            raise Unreadable(file, _WHAT, f"kind {tree.get('kind')!r}")
        return cls(folder, asked, steps)

    @property
    def name(self) -> str:
        return self.folder.name

    def of(self, step: Step) -> Mapping[str, JSON] | None:
        """What a step came to; None where it is not finished."""
        return cast("Mapping[str, JSON] | None", self.steps.get(step))

    def finished(self, step: Step, told: Mapping[str, JSON], records: Sequence[Record] = ()) -> None:
        """Write what a step came to, after the Records that it rests on."""
        self.add(records)
        self.steps[step] = dict(told)
        self._write()

    def add(self, records: Sequence[Record]) -> None:
        """Records that a finished step rests on, or that came later; each is written once."""
        known = {one.id for one in self.records()}
        if new := list({one.id: one for one in records if one.id not in known}.values()):
            add_records(self.folder / RECORDS, new)
            self._known = None

    def records(self) -> list[Record]:
        """Every Record, in the order they were written."""
        if self._known is None:
            kinds: tuple[type[Record], ...] = (Portrait, Proposal, Reply, Acceptance, Tried, Reading)
            self._known = records_in(self.folder / RECORDS, "a Record of a stewardship", *kinds)
        return self._known

    def portrait(self, name: str) -> Portrait:
        """The portrait with this id. Unreadable where it does not stand there."""
        for one in self.records():
            if isinstance(one, Portrait) and one.id == name:
                return one
        raise Unreadable(self.folder / RECORDS, f"the portrait {name[:12]}", "it is not in it")

    def _write(self) -> None:
        tree = {"kind": "stewardship", "v": 1, "asked": dict(self.asked), "steps": self.steps}
        text = json.dumps(finite(cast(JSON, tree)), ensure_ascii=False, indent=1)
        write_aside(self.folder / FILE, text + "\n")
