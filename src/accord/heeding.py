"""Heeding: what a warning changes about the looks that come after it (layer 2, beside ``rules``).

A warning stops nothing. It has the policy of its step kept (``accord.snapshots``), and for the ``LOOKS``
looks at later steps the guard asks ``ITEMS`` times as many items of each panel and looks twice as often. A
look that comes after the warning at the same step is such a look too, and is not counted. Another warning in
the meantime begins this anew; one that its rule repeats from look to look, while what it speaks of lasts,
does not, or a run that has moved far from its base would be looked at so closely to its end.

1. It all follows from decisions and readings, which a checkpoint holds: there is no counter that a resume
   could lose. Resumed or not, the looks to come are the same ones, of the same size.
2. How many items are drawn is settled before any of them is. An e-process allows every number, and every
   time of looking, that hangs on the past alone (``accord.maths.sequential``): the chance of a false page
   stays what it was, however the warnings fall. Outcomes that were drawn are never drawn again or left out.
3. Which indicators ever cross is a matter of the training alone, which no draw of items steers; so the names
   of a page hold as before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from accord.records import Decision, NotMeasured, Reading

__all__ = ["ITEMS", "LOOKS", "begun", "due", "heeded", "looked", "warned"]

LOOKS = 3
ITEMS = 4
_ELSEWHERE = ("eval.", "held_out.")  # readings that are no look of the guard's


def warned(decisions: Iterable[Decision]) -> list[Decision]:
    """The warnings among them: a rule had something to say and let the loop go on; no person's sign-off."""
    return [one for one in decisions if one.action == "continue" and one.reason and not one.by]


def looked(readings: Iterable[Reading | NotMeasured]) -> frozenset[int]:
    """The steps at which the guard has looked."""
    return frozenset(one.step for one in readings if not one.name.startswith(_ELSEWHERE))


def begun(decisions: Iterable[Decision], readings: Iterable[Reading | NotMeasured]) -> frozenset[int]:
    """The steps at which a warning began: its rule had not warned since the look before."""
    steps, last, found = sorted(looked(readings)), dict[str, int](), list[int]()
    for one in warned(decisions):
        place = bisect_left(steps, one.step)
        if one.rule not in last or (place > 0 and last[one.rule] < steps[place - 1]):
            found.append(one.step)
        last[one.rule] = one.step
    return frozenset(found)


def heeded(decisions: Sequence[Decision], readings: Sequence[Reading | NotMeasured]) -> bool:
    """Whether the look to come is one that a warning brings closer; never the first, which is of the base."""
    newest = max(begun(decisions, readings), default=None)
    if newest is None:
        return False
    steps = looked(readings)
    return bool(steps) and sum(step > newest for step in steps) < LOOKS


def due(count: int, every: int, heeds: bool) -> bool:
    """Whether a look comes after so many windows: every so many, and where a warning is heeded halfway too.

    Every five: after five and ten; heeded also after two and seven, so twice as many. Never more than each.

    >>> [count for count in range(1, 11) if due(count, 5, heeds=True)]
    [2, 5, 7, 10]
    >>> [count for count in range(1, 5) if due(count, 1, heeds=True)]
    [1, 2, 3, 4]
    """
    return count % every == 0 or (heeds and count % every == every // 2)
