"""What the checks of ``accord explain`` read and say, and every limit they go by: arithmetic on events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from accord.records import Reading, StepEvent
from accord.reports.words import counted, number
from accord.rules import BothFell, Missing

__all__ = [
    "LEVELS",
    "LIMITS",
    "Check",
    "Figure",
    "Finding",
    "Level",
    "Limit",
    "Looked",
    "Told",
    "Trend",
    "Unread",
    "between",
    "error_of",
    "few",
    "limits",
    "mean",
    "sentence",
    "trend",
]

Level = Literal["serious", "mend", "normal"]
LEVELS: dict[Level, str] = {
    "serious": "training does not do what it should",
    "mend": "it costs, or leads astray",
    "normal": "it looks odd and is not",
}


class Limit(NamedTuple):
    """A number that a check goes by, and what it bounds."""

    value: float
    says: str


LIMITS: dict[str, Limit] = {
    "half": Limit(0.5, "it counts once it holds in this share of the windows or updates"),
    "windows": Limit(3, "windows needed before anything is said of them"),
    "updates": Limit(5, "updates needed before anything is said of them"),
    "recent": Limit(10, "so many newest windows or updates are looked at"),
    "errors": Limit(3, "standard errors that a change or a mean has to exceed"),
    "thirds": Limit(9, "values needed to compare their first third with their last"),
    "zero_norm": Limit(1e-9, "a gradient norm under it counts as zero"),
    "zero_loss": Limit(1e-4, "an objective within ± this counts as zero"),
    "equal_groups": Limit(0.5, "share of a window's groups with equal scores"),
    "without": Limit(0.5, "share of a window's prompts without an accepted answer"),
    "clipped": Limit(0.3, "share of an update's answer tokens without gradient because of the clip"),
    "both_fell": Limit(BothFell().share, "share of pairs in which both answers lost, over recent updates"),
    "kl_windows": Limit(5, "windows needed before a KL under 0 is more than chance"),
    "probes": Limit(10, "prompts of a reading needed for its interval to mean much"),
    "readings": Limit(2, "such readings, and half of all, below 0 with their whole interval"),
    "cut": Limit(0.5, "share of a window's answers that were stopped by their length"),
    "longer": Limit(1.5, "times as many tokens in an answer at the end as at the beginning"),
    "longer_by": Limit(8, "tokens by which answers have grown at least"),
    "missing": Limit(Missing().share, "share of a window's rows without a verdict"),
    "explains": Limit(0, "share of the variance of returns that the critic foretells"),
    "spike": Limit(10, "times the median gradient norm"),
    "spikes": Limit(3, "updates with such a norm"),
    "moved_after": Limit(20, "updates after which something should have moved"),
    "still_kl": Limit(0.01, "nats an answer has moved from the start (k3)"),
    "still_margin": Limit(0.01, "margin between chosen and rejected answers"),
    "guessing": Limit(0.55, "accuracy on pairs; guessing gives 0.5"),
    "gap": Limit(0.15, "accuracy in training less that in evaluation"),
    "one_sided": Limit(0.1, "share of the rarer label"),
    "withheld": Limit(0.9, "share of the rows to be raised that were withheld, over recent windows"),
}


def limits(*names: str) -> str:
    """The limits of these names, in words, as a finding tells them.

    >>> limits("spikes")
    '3: updates with such a norm'
    """
    return "; ".join(f"{number(LIMITS[name].value)}: {LIMITS[name].says}" for name in names)


class Figure(NamedTuple):
    """One value of a figure, and where: the number of its window (from 1) or of its update."""

    at: int
    value: float


@dataclass(frozen=True)
class Told:
    """What the log of a stage tells. ``cut`` and ``length``: of the answers of each window that has any.

    ``better`` says of evaluations which way is better; ``abstained`` counts reasons of judgments withheld.
    """

    method: str
    windows: Sequence[StepEvent] = ()
    updates: Sequence[StepEvent] = ()
    readings: Sequence[Reading] = ()
    cut: Sequence[Figure] = ()
    length: Sequence[Figure] = ()
    own: bool = False
    better: Literal["lower", "higher"] = "lower"
    abstained: Mapping[str, int] = field(default_factory=dict[str, int])

    def of_windows(self, name: str, over: str = "") -> list[Figure]:
        """A figure of every window that has it; ``over`` divides it by another one that is above 0."""
        found: list[Figure] = []
        for event in self.windows:
            value = event.scalars.get(name, math.nan)
            value = value / below if over and (below := event.scalars.get(over, 0.0)) > 0 else value
            if math.isfinite(value) and (not over or event.scalars.get(over, 0.0) > 0):
                found.append(Figure(event.window + 1, value))
        return found

    def of_updates(self, name: str) -> list[Figure]:
        """A figure of every update that was applied and has it."""
        applied = [event for event in self.updates if event.scalars.get("applied", 1.0) == 1.0]
        values = [(event.step, event.scalars.get(name, math.nan)) for event in applied]
        return [Figure(step, value) for step, value in values if math.isfinite(value)]

    def of_readings(self, start: str) -> list[Reading]:
        """Readings whose names begin so, in order."""
        return [one for one in self.readings if one.name.startswith(start)]


@dataclass(frozen=True)
class Finding:
    """What was seen, what it means, what to do. ``limit`` tells the numbers that it was judged by."""

    check: str
    level: Level
    title: str
    seen: str
    means: str
    do: tuple[str, ...]
    limit: str


class Unread(NamedTuple):
    """A check that could not look, and why."""

    why: str


Looked = Finding | Unread | None  # None: looked, and all is usual
Check = Callable[[Told], Looked]


class Trend(NamedTuple):
    """Means of the first and of the last third, and the standard error of their difference."""

    first: float
    last: float
    error: float

    @property
    def change(self) -> float:
        return self.last - self.first

    @property
    def rises(self) -> bool:
        return self.change > LIMITS["errors"].value * self.error

    @property
    def falls(self) -> bool:
        return -self.change > LIMITS["errors"].value * self.error


def trend(figures: Sequence[Figure]) -> Trend | None:
    """How a figure went; None where there are too few values to tell.

    By hand: thirds (1, 2, 3) and (7, 8, 9) have variance 1 each, so the error is √(1/3 + 1/3).

    >>> found = trend([Figure(at, float(at)) for at in range(1, 10)])
    >>> found.first, found.last, round(found.error, 4), found.rises
    (2.0, 8.0, 0.8165, True)
    """
    if len(figures) < LIMITS["thirds"].value:
        return None
    third = len(figures) // 3
    first, last = ([one.value for one in part] for part in (figures[:third], figures[-third:]))
    return Trend(mean(first), mean(last), math.hypot(error_of(first), error_of(last)))


def mean(values: Sequence[float]) -> float:
    """The mean; not a number of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def error_of(values: Sequence[float]) -> float:
    """The standard error of their mean, 0 where that cannot be told.

    >>> round(error_of([1.0, 2.0, 3.0]), 4)  # √(1/3)
    0.5774
    """
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))


def between(figures: Sequence[Figure], what: str) -> str:
    """Where these figures stand.

    >>> between([Figure(3, 0.0), Figure(5, 0.0)], "window"), between([Figure(4, 0.0)], "update")
    ('2 windows, 3 to 5', '1 update, 4')
    """
    first, last = figures[0].at, figures[-1].at
    return f"{counted(len(figures), what)}, {first}" + (f" to {last}" if last != first else "")


def few(limit: str, what: str = "window") -> str:
    """That there are too few of them yet.

    >>> few("updates", "update")
    'fewer than 5 updates'
    """
    return f"fewer than {counted(int(LIMITS[limit].value), what)}"


def sentence(parts: Sequence[str]) -> str:
    """Parts that are not empty, as one sentence.

    >>> sentence(["the score fell", "", "so did gold"])
    'The score fell; so did gold.'
    """
    text = "; ".join(part for part in parts if part)
    return f"{text[:1].upper()}{text[1:]}."
