"""Snapshots: the policies of a stage, kept so that the step of a crossing can be found afterwards (layer 3).

``<stage>/snapshots/<step>/`` holds what the learner wrote of its policy. Where twenty fit
``snapshots.max_gb``, every step is kept since the guard's last clear look, and before it the steps of its
looks; where fewer fit, those of its looks alone; where not even two do, none. Where warnings are heeded, the
step of one stays as that of a look does. A look is clear when no rule had anything to say at it and no
e-value of a page stood above 1, where it began: a page comes looks after what it pages, so steps are not
thinned while anything speaks against them.

Once the room is full, the policies that stand closest together go first. A kill loses nothing that a resume
does not write again, to the bit; what lies after the step that a resume goes on from is removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from accord.guard import Guard
from accord.heeding import begun, looked
from accord.pages import Page, standing
from accord.plan import Snapshots
from accord.ports import History, Learner, Snapping
from accord.stores.files import disk, make_folder, promote

__all__ = ["EVERY", "Keeper", "at_step", "is_clear", "keeping", "kept", "thinned"]

EVERY = 20  # as many must fit for every step to be kept


def kept(folder: Path) -> tuple[int, ...]:
    """The steps whose policy is kept in a stage's folder, in order."""
    return tuple(sorted(int(p.name) for p in (folder / "snapshots").glob("[0-9]*") if p.is_dir()))


def at_step(folder: Path, step: int) -> Path:
    """Where a stage's folder keeps the policy of this step."""
    return folder / "snapshots" / f"{step:08d}"


def thinned(steps: Sequence[int], looks: frozenset[int], clear: int, room: int) -> list[int]:
    """Which of the steps stay: after the last clear look all, before it those of looks, and ``room`` at most.

    Too many: of the larger part, before or after that look, the step goes whose neighbours are closest; the
    first and the newest stay.

    >>> thinned([0, 1, 2, 3, 4, 5, 6], looks=frozenset({0, 2, 4}), clear=4, room=20)
    [0, 2, 4, 5, 6]
    >>> thinned([0, 2, 4, 8, 9, 10], looks=frozenset({0, 2, 4, 8}), clear=8, room=4)
    [0, 8, 9, 10]
    """
    stay = [step for step in steps if step >= clear or step in looks]
    while len(stay) > max(2, room):
        after = sum(step > clear for step in stay)
        inside = range(1, len(stay) - 1)
        part = [i for i in inside if (stay[i] > clear) == (after > room / 2) and stay[i] != clear]
        stay.pop(min(part or inside, key=lambda i: stay[i + 1] - stay[i - 1]))
    return stay


def is_clear(history: History, pages: Sequence[Page]) -> bool:
    """Whether nothing spoke against the newest look: no decision, and no e-value above its start of 1."""
    said = [one for one in history.decisions if one.step == history.step and one.rule != "acceptance"]
    found = [now for page in pages if (now := standing(page, history)) is not None]
    return not said and all(e[-1] <= 1 for now in found for e in now.e.values())


@dataclass
class Keeper:
    """Keeps the policies of one stage; ``take`` is called after every update and every look.

    ``every``: at every step, else at looks alone. ``room``: how many fit; with 0 nothing is kept.
    """

    folder: Path
    learner: Learner
    guard: Guard
    room: int
    every: bool
    _clear: dict[int, bool] = field(default_factory=dict[int, bool])

    def take(self) -> None:
        """Keep the policy that the learner holds, if it is to be; and thin out what is no longer needed."""
        if not self.room or not isinstance(self.learner, Snapping):
            return
        steps, step, looks = list(kept(self.folder)), self._step(), looked(self.guard.readings)
        marked = looks | self._warned()
        if step not in steps and (self.every or step in marked):
            self._write(self.learner, step)
            steps = sorted([*steps, step])
        stay = set(thinned(steps, marked, self._last_clear(looks), self.room))
        for gone in (one for one in steps if one not in stay):
            _remove(at_step(self.folder, gone))

    def begin(self, step: int) -> None:
        """Remove what a stage that goes on from ``step`` will write again, and what killed writers left."""
        for later in (one for one in kept(self.folder) if one > step):
            _remove(at_step(self.folder, later))
        for leftover in (self.folder / "snapshots").glob(".work-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _step(self) -> int:
        # Not the loop's: once the best weights are back, the learner is at the step they are of.
        return int(self.learner.version.rpartition("@")[2])

    def _write(self, learner: Snapping, step: int) -> None:
        final = at_step(self.folder, step)
        work = final.with_name(f".work-{final.name}")
        make_folder(final.parent)
        with disk(final.parent):
            shutil.rmtree(work, ignore_errors=True)
            learner.snapshot(work)
        promote(work, final)

    def _warned(self) -> frozenset[int]:
        guard = self.guard
        return begun(guard.decisions, guard.readings) if guard.watch.heed else frozenset()

    def _last_clear(self, looks: frozenset[int]) -> int:
        """The newest look that was clear when it was; -1 before the first. Each is judged once."""
        for step in sorted(looks, reverse=True):
            if step not in self._clear:
                self._clear[step] = self._was_clear(step)
            if self._clear[step]:
                return step
        return -1

    def _was_clear(self, step: int) -> bool:
        guard = self.guard
        read = tuple(one for one in guard.readings if one.step <= step)
        decided = tuple(one for one in guard.decisions if one.step <= step)
        pages = [rule for rule in guard.watch.rules if isinstance(rule, Page)]
        return is_clear(History(guard.watch.run, step, (), read, decided), pages)


def keeping(folder: Path, table: Snapshots, learner: Learner, guard: Guard) -> tuple[Keeper, str]:
    """Who keeps the policies of a stage, and what the first screen says of it; nothing without panels."""
    nobody = Keeper(folder, learner, guard, 0, False)
    if not guard.watch.panelled or not table.max_gb:
        return nobody, ""
    if not isinstance(learner, Snapping):
        return nobody, "this learner keeps no policies, so accord crossing will find no step"
    each = max(1, learner.snapshot_bytes)
    room, size = int(table.max_gb * 1e9 / each), f"{_size(each)} each, {table.max_gb:g} GB at most"
    if room < 2:
        beside = "so accord crossing will find no step; snapshots.max_gb = … makes room"
        return nobody, f"no policies are kept ({size}), {beside}"
    where = "the guard's looks"
    if room >= EVERY:
        where = "every update since the guard's last clear look, and at its looks before"
    return Keeper(folder, learner, guard, room, room >= EVERY), f"policies are kept at {where} ({size})"


def _size(count: int) -> str:
    """
    >>> _size(812), _size(19_500_000), _size(538_000_000)
    ('1 kB', '20 MB', '538 MB')
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}" if count < 10 * scale else f"{count / scale:,.0f} {unit}"
    return f"{max(1, round(count / 1e3)):,} kB"


def _remove(snapshot: Path) -> None:
    # Renamed first, so that a kill while deleting leaves no half policy under a valid name.
    gone = snapshot.with_name(f".work-{snapshot.name}")
    snapshot.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
