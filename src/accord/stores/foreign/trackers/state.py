"""What a follower remembers on disk: how far it has read, which rows it handed over, how the run stands."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from accord.errors import Unreadable
from accord.records import Decision, Entry
from accord.stores.files import write_aside
from accord.stores.foreign.trackers.rows import Ending, Row, Said, said
from accord.stores.foreign.trackers.tail import Found, Place, fence_of

__all__ = ["State", "Stop"]


class Stop(NamedTuple):
    """A Pause or Halt that nobody has accepted."""

    stage: str
    action: str
    fence: int
    wall: float


class _Mark(NamedTuple):
    """The last (step, window) of a figure: of all fences, and of those below ``fence``."""

    fence: int
    last: tuple[int, int]
    below: tuple[int, int]


@dataclass
class State:
    """One follower's memory. ``waiting`` are rows that the tracker was given and may not hold yet."""

    key: str
    rows: int = 0
    skipped: int = 0
    repeated: int = 0
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    waiting: list[Row] = field(default_factory=list[Row])
    entered: list[str] = field(default_factory=list[str])
    stops: dict[str, Stop] = field(default_factory=dict[str, Stop])
    marks: dict[str, _Mark] = field(default_factory=dict[str, _Mark])
    told: dict[str, None] = field(default_factory=dict[str, None])

    @classmethod
    def load(cls, file: Path) -> State:
        """What ``save`` wrote, or a new one with a random key. Unreadable where the file is neither."""
        if not file.exists():
            return cls(key=uuid4().hex)
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                key=found["key"],
                rows=found["rows"],
                skipped=found["skipped"],
                repeated=found["repeated"],
                places={key: Place(*place) for key, place in found["places"].items()},
                waiting=[Row(*row) for row in found["waiting"]],
                entered=found["entered"],
                stops={key: Stop(*stop) for key, stop in found["stops"].items()},
                marks={key: _Mark(m[0], tuple(m[1]), tuple(m[2])) for key, m in found["marks"].items()},
                told=dict.fromkeys(found["told"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            advice = "delete it to send the whole run once more"
            raise Unreadable(file, "what accord track wrote", f"{error}; {advice}") from error

    def save(self, file: Path) -> None:
        """On disk when it returns."""
        fields = {**vars(self), "told": list(self.told)}
        write_aside(file, json.dumps(fields))

    def take(self, found: Found) -> Row | None:
        """The row of a line, or None: no use for trackers, or it repeats what a lower fence said before.

        A tracker cannot take back, so what was sent first stays; to the bit the same unless the run went on
        under --allow-drift.
        """
        self._course(found)
        words = said(found.stage, found.record)
        if words is None:
            return None
        self.skipped += sum(self._is_new(name, found) for name in words.skipped)
        new = Said(
            {name: value for name, value in words.scalars.items() if self._is_new(name, found)},
            words.texts if words.texts and self._is_untold(f"{found.stage}/{found.record.id[:16]}") else {},
        )
        if not new.scalars and not new.texts:
            self.repeated += bool(words.scalars or words.texts)
            return None
        row = Row(self.rows, found.stage, found.line.step, float(found.line.wall), new.scalars, new.texts)
        self.rows += 1
        self.waiting.append(row)
        return row

    def _is_new(self, name: str, found: Found) -> bool:
        # An event that is no window's counts as window 0: its step alone tells it from a repeat.
        here = (found.line.step, getattr(found.record, "window", 0))
        fence = found.line.fence
        mark = self.marks.get(name, _Mark(fence, (-1, -1), (-1, -1)))
        below = mark.last if fence > mark.fence else mark.below
        self.marks[name] = _Mark(max(fence, mark.fence), max(here, mark.last), below)
        return here > below

    def _is_untold(self, record: str) -> bool:
        untold = record not in self.told
        self.told[record] = None
        return untold

    def _course(self, found: Found) -> None:
        """Notes how the run stands: stages that are finished, and what stopped one."""
        match found.record:
            case Entry() if found.stage not in self.entered:
                self.entered.append(found.stage)
            case Decision(action="continue", accepts=accepted) if accepted:
                self.stops.pop(accepted, None)
            case Decision(action="pause" | "halt" as action) as decision:
                self.stops[decision.id] = Stop(found.stage, action, found.line.fence, float(found.line.wall))
            case _:
                pass

    def ending(self, run: Path, stages: tuple[str, ...], since: float) -> Ending:
        """How the run ended, as far as its log says; empty while it goes on.

        A Pause from before ``since``, or from before the last writer came, ends nothing: it may be accepted
        this moment.
        """
        if stages and set(stages) <= set(self.entered):
            return "done"
        last = [s for s in self.stops.values() if s.fence >= fence_of(run / s.stage)[0] and s.wall >= since]
        if any(stop.action == "halt" for stop in last):
            return "halt"
        return "pause" if last else ""
