"""The report of a stewardship as data: what its ``report.json`` holds and its page is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from accord.records import JSON
from accord.reports.document import Crossed, Decided, Figure, plain

__all__ = [
    "Aim",
    "Changed",
    "Example",
    "Excepted",
    "Needed",
    "Proposed",
    "Stepped",
    "Stewardship",
    "Stood",
    "SubRun",
    "Talked",
]


@dataclass(frozen=True)
class Aim:
    """A principle of the values. ``adopted``: how groups voted; ``contested``: it is watched, not trained."""

    name: str
    kind: str
    text: str
    target: float | None
    hard: bool
    judged: str
    adopted: tuple[str, ...] = ()
    contested: bool = False


@dataclass(frozen=True)
class Stood:
    """How a principle stood in the base, in one slice. Figures are shares with their 95 % intervals."""

    principle: str
    slice: str
    target: float
    n: int
    own: Figure | None
    told: Figure | None
    best: Figure | None
    verdict: str
    why: str


@dataclass(frozen=True)
class Stepped:
    """One step of the third question. ``rows``: figures of every variant, those not taken too; ``shares``:
    what each kept, a slice to a row; ``taken``: the run whose result went on."""

    name: str
    says: str
    done: bool
    rows: tuple[Mapping[str, str], ...] = ()
    shares: tuple[Mapping[str, str], ...] = ()
    runs: tuple[str, ...] = ()
    taken: str = ""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposed:
    """A way out of a divergence. ``model`` is what the model said to it, ``answer`` what a person did."""

    resolution: str
    text: str
    says: str
    model: str
    answer: str
    record: str


@dataclass(frozen=True)
class Talked:
    """A dialogue. ``words``: what the model said first, by what it was asked for."""

    principle: str
    slice: str
    outcome: str
    says: str
    record: str
    words: tuple[tuple[str, str], ...] = ()
    proposals: tuple[Proposed, ...] = ()


@dataclass(frozen=True)
class Changed:
    """A principle before and now. ``seen``: the least change that would have shown in nine of ten cases."""

    principle: str
    slice: str
    target: float
    before: Figure | None
    after: Figure | None
    class_before: str
    class_after: str
    way: str
    change: Figure | None
    seen: float | None
    n: int
    reached: bool
    lost: bool


@dataclass(frozen=True)
class Excepted:
    """What a person took responsibility for: a Pause, a missing requirement, a proposal."""

    what: str
    by: str
    reason: str
    record: str


@dataclass(frozen=True)
class Example:
    """Answers on one principle in one slice, before and now: prompt, answer, whether it keeps it."""

    principle: str
    slice: str
    before: tuple[tuple[str, str, str], ...]
    after: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Needed:
    """A requirement of the gate, and what supplies it."""

    name: str
    what: str
    status: str
    says: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class SubRun:
    """A run that a step made, from its own report. ``pressure``: label, figure and remark; ``lowered``: the
    share of answers and of tokens that each stage pushed down, None where nothing tells."""

    name: str
    state: str
    headline: str
    link: str
    taken: bool
    pressure: tuple[tuple[str, str, str], ...]
    guard: str
    pages: str
    decisions: tuple[Decided, ...]
    acceptances: tuple[Decided, ...]
    crossings: tuple[Crossed, ...]
    warnings: tuple[str, ...]
    lowered: tuple[tuple[str, float | None], ...] = ()

    @property
    def read(self) -> bool:
        """Whether its report could be read."""
        return self.state != "unreadable"


@dataclass(frozen=True)
class Stewardship:
    """A stewardship, as far as it is. Lists that are empty say that there was none."""

    name: str
    state: str
    headline: str
    base: str
    model: str
    document: str
    digest: str
    effort: str
    facts: tuple[tuple[str, str], ...]
    exceptions: tuple[Excepted, ...]
    warnings: tuple[str, ...]
    pushed: str
    statement: str
    aims: tuple[Aim, ...]
    stood: tuple[Stood, ...]
    portrait: str
    untrained: tuple[tuple[str, str], ...]
    steps: tuple[Stepped, ...]
    talks: tuple[Talked, ...]
    changes: tuple[Changed, ...]
    needed: tuple[Needed, ...]
    harder: str
    commands: tuple[tuple[str, str], ...]
    examples: tuple[Example, ...]
    runs: tuple[SubRun, ...]

    def json(self) -> dict[str, JSON]:
        """All of it as JSON."""
        return {"kind": "stewardship report", "v": 1, **cast("dict[str, JSON]", plain(self))}
